"""Trash, restore, purge: what goes can come back; what goes for good leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.store_world import (
    ADA,
    BOB,
    EVE,
    LANES,
    OPERATOR,
    TurnableClock,
    asset,
    bring_in,
    changes_since,
    finish,
    make,
    pictures,
    submit,
)
from workbench.domain.jobs import JobRef
from workbench.domain.records import Price
from workbench.domain.status import Status
from workbench.domain.submissions import NewInput
from workbench.errors import InvalidRequest, NotAllowed, NotFound
from workbench.ports import Store


def trashed(store: Store) -> list[tuple[str, str]]:
    return [(item.entity, item.id) for item in store.trash_items(ADA)]


@pytest.mark.req("TOP-2", "FEED-8")
def test_a_topic_goes_with_all_in_it_and_comes_back(store: Store) -> None:
    batch = make(store, n=3, topic_title="Foxes")
    submit(store, topic_id=batch.topic_id, n=2)
    assert store.trash(ADA, "topic", batch.topic_id).result() == 3
    assert store.topics(ADA) == []
    assert store.topic(ADA, batch.topic_id).deleted_at is not None
    (item,) = store.trash_items(ADA)
    assert (item.entity, item.title, item.images, item.deleted_by) == ("topic", "Foxes", 3, "ada")
    assert store.trash(ADA, "topic", batch.topic_id).result() == 0, "gone already"
    store.restore(ADA, "topic", batch.topic_id).result()
    assert [t.id for t in store.topics(ADA)] == [batch.topic_id]
    assert store.batch_counts(batch.id) == {Status.COMPLETED: 3}
    assert store.trash_items(ADA) == []


@pytest.mark.req("FEED-8")
@pytest.mark.parametrize("n", [1, 2])
def test_a_picture_goes_and_comes_with_the_attempts_that_it_took_the_place_of(
    store: Store, n: int
) -> None:
    batch = submit(store, n=n)
    first = pictures(store, batch)[0]
    finish(store, fail=True, only=first.id)
    again = store.retry(ADA, first.id, Price()).result()
    finish(store)

    def whole() -> list[tuple[str, Status]]:
        all_of_it = store.batch_generations(ADA, batch.id, history=True)
        return [(one.id, one.status) for one in all_of_it]

    before = whole()
    assert (first.id, Status.FAILED) in before
    assert pictures(store, batch)[0].id == again.id
    assert store.trash(ADA, "generation", again.id).result() == 1
    assert len(pictures(store, batch)) == n - 1, "no failed attempt comes to light"
    assert len(store.batches(ADA, batch.topic_id)[0]) == (0 if n == 1 else 1)
    assert trashed(store) == [("batch", batch.id) if n == 1 else ("generation", again.id)]
    store.restore(ADA, "generation", again.id).result()
    assert whole() == before
    assert trashed(store) == []
    assert store.check(live_runners=lambda _: True) == []


@pytest.mark.req("TOP-2", "TOK-2")
def test_what_runs_in_a_deleted_topic_is_cancelled_and_not_charged(store: Store) -> None:
    store.grant(ADA, "ada", "token", 10_000_000, "start").result()
    price = Price(unit="token", amount_micro=2_000_000, version=1)
    batch = submit(store, n=2, price=price)
    (job,) = store.claim("r1", lanes=LANES, limit=1).result()
    neighbour = submit(store, price=price)
    store.trash(ADA, "project", store.topic(ADA, batch.topic_id).project_id).result()
    assert store.balances("ada") == {"token": 10_000_000}
    assert {g.status for g in pictures(store, batch)} == {Status.CANCELLED}
    assert {g.status for g in pictures(store, neighbour)} == {Status.CANCELLED}
    assert store.unfinished(job.fence) == ()
    store.finish_job(job.fence).result()


@pytest.mark.req("FEED-8", "FEED-10")
def test_the_last_image_takes_its_batch_and_brings_it_back(
    store: Store, clock: TurnableClock
) -> None:
    batch = make(store, n=2)
    first, second = (g.id for g in pictures(store, batch))
    assert store.trash(ADA, "generation", first).result() == 1
    assert trashed(store) == [("generation", first)]
    assert store.batch(ADA, batch.id).deleted_at is None
    clock.ms += 1
    store.trash(ADA, "generation", second).result()
    assert store.batch(ADA, batch.id).deleted_at == clock.ms
    assert trashed(store) == [("batch", batch.id)], "listed as one thing"
    assert store.topic(ADA, batch.topic_id).cover_generation_id is None
    store.restore(ADA, "generation", second).result()
    assert store.batch(ADA, batch.id).deleted_at is None
    assert [g.id for g in pictures(store, batch)] == [second]
    assert store.topic(ADA, batch.topic_id).cover_generation_id == second
    clock.ms += 1
    store.trash(ADA, "generation", second).result()
    store.restore(ADA, "batch", batch.id).result()
    assert [g.id for g in pictures(store, batch)] == [second], "it came back with its batch"
    assert trashed(store) == [("generation", first)]


@pytest.mark.req("TOP-2")
def test_nothing_comes_back_into_something_deleted(store: Store) -> None:
    batch = make(store)
    topic = store.topic(ADA, batch.topic_id)
    (picture,) = pictures(store, batch)
    store.trash(ADA, "generation", picture.id).result()
    store.trash(ADA, "topic", topic.id).result()
    with pytest.raises(NotAllowed, match="topic is in the trash"):
        store.restore(ADA, "generation", picture.id).result()
    assert store.generation(ADA, picture.id).deleted_at is not None
    store.trash(ADA, "project", topic.project_id).result()
    with pytest.raises(NotAllowed, match="project is in the trash"):
        store.restore(ADA, "topic", topic.id).result()
    store.restore(ADA, "project", topic.project_id).result()
    store.restore(ADA, "topic", topic.id).result()
    store.restore(ADA, "generation", picture.id).result()
    assert store.trash_items(ADA) == []
    store.restore(ADA, "topic", topic.id).result()


@pytest.mark.req("TOP-5")
def test_nobody_deletes_what_is_not_theirs(store: Store) -> None:
    batch = make(store)
    (picture,) = pictures(store, batch)
    for entity, id in (("topic", batch.topic_id), ("batch", batch.id), ("generation", picture.id)):
        with pytest.raises(NotFound):
            store.trash(EVE, entity, id).result()
        with pytest.raises(NotFound):
            store.restore(EVE, entity, id).result()
    store.update_topic(ADA, batch.topic_id, visibility="workspace").result()
    with pytest.raises(NotAllowed, match="belongs to"):
        store.trash(EVE, "generation", picture.id).result()
    with pytest.raises(InvalidRequest):
        store.trash(ADA, "asset", picture.id).result()
    store.trash(OPERATOR, "topic", batch.topic_id).result()
    assert store.trash_items(EVE) == []
    assert [i.deleted_by for i in store.trash_items(ADA)] == ["root"]


@pytest.mark.req("FEED-8", "LIVE-1")
def test_the_feed_tells_what_went_what_came_back_and_what_is_gone(store: Store) -> None:
    batch = make(store)
    cursor = store.cursor()
    store.trash(ADA, "topic", batch.topic_id).result()
    store.restore(ADA, "topic", batch.topic_id).result()
    told = [c for c in changes_since(store, ADA, cursor) if c.entity == "topic"]
    assert [c.data["deleted_at"] is not None for c in told] == [True, False]
    store.trash(ADA, "topic", batch.topic_id).result()
    cursor = store.cursor()
    store.purge(ADA).result()
    gone = {c.entity for c in changes_since(store, ADA, cursor) if c.kind == "delete"}
    assert gone == {"generation", "batch", "topic", "asset"}


@pytest.mark.req("FEED-8")
def test_purging_returns_the_images_that_nothing_needs(store: Store) -> None:
    kept = bring_in(store, ADA, "both", "kept")
    gone = bring_in(store, ADA, "both", "gone", "source")
    theirs = bring_in(store, BOB, "theirs")
    user = submit(store, inputs=(NewInput(asset("source", source="upload"), "source"),))
    store.trash(ADA, "topic", gone.topic_id).result()
    store.trash(BOB, "topic", theirs.topic_id).result()
    assert store.purge(ADA).result() == [asset("gone").id]
    with pytest.raises(NotFound):
        store.topic(ADA, gone.topic_id)
    with pytest.raises(NotFound):
        store.asset(asset("gone").id)
    assert store.asset(asset("both").id) == asset("both", source="upload")
    assert [i.entity for i in store.trash_items(BOB)] == ["topic"], "only one's own"
    store.trash(ADA, "batch", user.id).result()
    store.trash(ADA, "batch", kept.id).result()
    assert sorted(store.purge(None).result()) == sorted(
        asset(name).id for name in ("both", "kept", "source", "theirs")
    )
    assert store.trash_items(OPERATOR) == []
    assert list(store.iter_assets()) == []
    assert {t.id for t in store.topics(ADA)} == {kept.topic_id, user.topic_id}


@pytest.mark.req("TOP-2")
def test_purging_takes_only_what_went_long_enough_ago(store: Store, clock: TurnableClock) -> None:
    old, new = make(store), make(store)
    store.trash(ADA, "batch", old.id).result()
    clock.ms += 1_000
    store.trash(ADA, "batch", new.id).result()
    assert len(store.purge(None, deleted_before_ms=clock.ms).result()) == 1
    assert trashed(store) == [("batch", new.id)]
    for bad in ("x", 1.5, 2**64):
        with pytest.raises(InvalidRequest):
            store.purge(None, deleted_before_ms=bad)  # type: ignore[arg-type]


@pytest.mark.req("TOK-5", "TOK-2")
def test_an_unknown_outcome_is_not_purged_before_it_is_settled(store: Store) -> None:
    store.grant(ADA, "ada", "token", 5_000_000, "start").result()
    batch = submit(store, price=Price(unit="token", amount_micro=2_000_000, version=1))
    (job,) = store.claim("r1", lanes=LANES, limit=1).result()
    attempt = store.write_intent(
        job.fence, key="k", request_sha="0" * 64, generation_id=None
    ).result()
    assert attempt is not None
    assert store.write_submitted(job.fence, attempt, JobRef("remote")).result()
    assert store.mark_unknown(job.fence, reason="no answer").result()
    (picture,) = pictures(store, batch)
    store.trash(ADA, "topic", batch.topic_id).result()
    assert store.purge(None).result() == []
    assert trashed(store) == [("topic", batch.topic_id)]
    assert store.generation(ADA, picture.id).status is Status.PROCESSING
    store.resolve_unknown(ADA, picture.id, "not_charged").result()
    assert store.balances("ada") == {"token": 5_000_000}
    store.purge(None).result()
    assert store.trash_items(ADA) == []
    assert len(list(store.ledger(ADA))) == 3, "bookings outlive pictures"


@pytest.mark.req("FEED-8", "TOK-5", "PRV-6")
def test_a_call_that_is_under_way_is_not_purged_before_its_costs_are_known(store: Store) -> None:
    store.grant(ADA, "ada", "token", 5_000_000, "start").result()
    batch = submit(store, price=Price(unit="token", amount_micro=2_000_000, version=1))
    (job,) = store.claim("r1", lanes=LANES, limit=1).result()
    store.write_intent(job.fence, key="k", request_sha="0" * 64, generation_id=None).result()
    (picture,) = pictures(store, batch)
    store.trash(ADA, "topic", batch.topic_id).result()
    assert store.purge(None).result() == []
    assert store.generation(ADA, picture.id).status is Status.CANCELLED
    assert store.mark_unknown(job.fence, reason="no answer").result()
    assert store.purge(None).result() == []
    (doubt,) = [one for one in pictures(store, batch) if one.id != picture.id]
    store.resolve_unknown(ADA, doubt.id, "charged").result()
    assert store.balances("ada") == {"token": 3_000_000}
    store.purge(None).result()
    assert store.trash_items(ADA) == []


@pytest.mark.req("FEED-8")
def test_many_rows_are_purged_in_many_short_transactions(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.store.sqlite import purge

    monkeypatch.setattr(purge, "CHUNK", 3)
    batches = [make(store, n=4) for _ in range(3)]
    for batch in batches[1:]:
        store.trash(ADA, "topic", batch.topic_id).result()
    store.trash(ADA, "generation", pictures(store, batches[0])[0].id).result()
    assert len(set(store.purge(ADA).result())) == 9
    assert len(list(store.iter_assets())) == 3
    assert [t.id for t in store.topics(ADA)] == [batches[0].topic_id]
    assert store.topic(ADA, batches[0].topic_id).cover_generation_id == (
        pictures(store, batches[0])[0].id
    )


@pytest.mark.req("TOP-2")
def test_a_deleted_default_project_is_replaced(store: Store) -> None:
    batch = make(store)
    project = store.topic(ADA, batch.topic_id).project_id
    assert store.trash(ADA, "project", project).result() == 1
    other = make(store)
    assert store.topic(ADA, other.topic_id).project_id != project
    assert finish(store) == []
    (item,) = store.trash_items(ADA)
    assert (item.entity, item.images) == ("project", 1)
    store.purge(ADA).result()
    assert len(store.projects(ADA)) == 1
