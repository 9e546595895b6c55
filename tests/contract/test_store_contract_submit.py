"""Storing requests and imports: whole or not at all, once, in order, within the balance."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.contract.store_world import (
    ADA,
    BOB,
    EVE,
    MISSING,
    OPERATOR,
    asset,
    bring_in,
    changes_since,
    finish,
    make,
    pictures,
    request,
    submit,
)
from workbench.domain.records import Identity, Price
from workbench.domain.status import Operation, Status
from workbench.domain.submissions import NewImport, NewInput
from workbench.errors import InsufficientBalance, InvalidRequest, NotAllowed, NotFound
from workbench.ports import GenerationQuery, Store

TWO = Price(unit="token", amount_micro=2_000_000, version=1)


@pytest.mark.req("PRM-4", "DAT-1")
def test_a_request_without_a_topic_makes_topic_and_project(store: Store) -> None:
    batch = submit(store, topic_title="A red fox")
    topic = store.topic(ADA, batch.topic_id)
    assert (topic.title, topic.title_source) == ("A red fox", "prompt")
    (project,) = store.projects(ADA)
    assert project.id == topic.project_id
    assert project.title == "Untitled project"
    second = submit(store)
    assert second.topic_id != batch.topic_id
    assert store.projects(ADA) == [project], "one default project per owner"


@pytest.mark.req("TOP-3")
def test_the_first_batch_titles_an_untitled_topic_and_no_other(store: Store) -> None:
    untitled = store.create_topic(ADA).result()
    submit(store, topic_id=untitled.id, topic_title="Foxes in snow")
    assert store.topic(ADA, untitled.id).title == "Foxes in snow"
    submit(store, topic_id=untitled.id, topic_title="Hares")
    assert store.topic(ADA, untitled.id).title == "Foxes in snow"
    named = store.create_topic(ADA, "Mine").result()
    submit(store, topic_id=named.id, topic_title="Hares")
    assert (store.topic(ADA, named.id).title, named.title_source) == ("Mine", "user")


@pytest.mark.req("TOP-3")
def test_a_title_that_a_user_gave_is_never_overwritten(store: Store) -> None:
    topic = store.create_topic(ADA, "Mine").result()
    store.update_topic(ADA, topic.id, title="From a model", title_source="model").result()
    assert store.topic(ADA, topic.id).title == "Mine"
    store.update_topic(ADA, topic.id, title="Mine, renamed").result()
    assert store.topic(ADA, topic.id).title == "Mine, renamed"


@pytest.mark.req("CFG-5", "DAT-1")
def test_each_image_has_its_seed_its_job_and_its_place(store: Store) -> None:
    batch = submit(store, n=3, seeds=(5, None, 2**63 - 1))
    shown = pictures(store, batch)
    assert [g.seed for g in shown] == [5, None, 2**63 - 1]
    assert [g.index for g in shown] == [0, 1, 2]
    assert [g.status for g in shown] == [Status.QUEUED] * 3
    assert len({g.job_id for g in shown}) == 3
    together = submit(store, n=3, batchable=True)
    assert len({g.job_id for g in pictures(store, together)}) == 1


@pytest.mark.req("PRM-3")
def test_a_request_sent_twice_is_stored_once(store: Store) -> None:
    first = submit(store, n=2, client_key="k1")
    cursor = store.cursor()
    again = submit(store, n=4, client_key="k1")
    assert again == first
    assert store.cursor() == cursor, "nothing was written"
    assert submit(store, BOB, client_key="k1").id != first.id, "keys are the owner's own"


@pytest.mark.req("PRM-3", "LIVE-7")
def test_a_request_sent_through_several_engines_at_once_is_stored_once(open_store: Any) -> None:
    stores = [open_store("shared") for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        sent = [pool.submit(submit, stores[i % 3], n=2, client_key="same") for i in range(12)]
        ids = {future.result().id for future in sent}
    assert len(ids) == 1
    assert len(stores[0].topics(ADA)) == 1
    assert len(stores[0].projects(ADA)) == 1


@pytest.mark.req("TOK-2")
def test_what_the_balance_does_not_cover_leaves_nothing(store: Store) -> None:
    store.grant(ADA, "ada", "token", 5_000_000, "start").result()
    cursor = store.cursor()
    with pytest.raises(InsufficientBalance, match=r"needs 6 token.*is 5 token"):
        submit(store, n=3, price=TWO)
    assert store.cursor() == cursor
    assert store.topics(ADA) == []
    batch = submit(store, n=2, price=TWO)
    assert store.balances("ada") == {"token": 1_000_000}
    assert [g.unit for g in pictures(store, batch)] == ["token"] * 2
    finish(store)
    assert store.balances("ada") == {"token": 1_000_000}
    kinds = [entry.kind for entry in store.ledger(ADA)]
    assert kinds == ["grant", "reserve", "reserve", "settle", "settle"]


@pytest.mark.req("FEED-10")
def test_requests_of_a_paused_queue_wait(store: Store) -> None:
    store.pause(ADA).result()
    batch = submit(store)
    (waiting,) = pictures(store, batch)
    assert (waiting.status, waiting.detail) == (Status.PENDING, "paused")
    assert finish(store) == []
    store.resume(ADA).result()
    assert finish(store) == [waiting.id]


@pytest.mark.req("PRV-8")
def test_inputs_are_kept_with_role_and_position(store: Store) -> None:
    photo, mask = asset("photo", source="upload"), asset("mask", source="upload")
    batch = submit(
        store,
        operation=Operation.INPAINT,
        inputs=(NewInput(photo, "source"), NewInput(mask, "mask"), NewInput(photo, "reference", 3)),
    )
    (generation,) = pictures(store, batch)
    kept = {(i.asset_id, i.role, i.position) for i in store.inputs([generation.id])}
    assert kept == {(photo.id, "source", 0), (mask.id, "mask", 0), (photo.id, "reference", 3)}
    assert store.asset(photo.id) == photo
    found = store.asset_generations(ADA, [photo.id])
    assert {(role, g.id) for _, role, g in found} == {
        ("source", generation.id),
        ("reference", generation.id),
    }


@pytest.mark.req("LIVE-1")
def test_a_submission_tells_the_feed_all_that_a_row_needs(store: Store) -> None:
    cursor = store.cursor()
    batch = submit(store, n=2, prompt="x" * 5_000)
    changes = changes_since(store, ADA, cursor)
    assert [c.entity for c in changes] == ["project", "topic", "batch", "generation", "generation"]
    assert {c.kind for c in changes} == {"insert"}
    told = changes[2]
    assert (told.id, told.data["n"], told.omitted) == (batch.id, 2, ("prompt",))
    assert changes[3].data["status"] == "queued"
    assert changes[4].data["idx"] == 1


@pytest.mark.req("TOP-5")
def test_a_topic_of_somebody_else_takes_no_request(store: Store) -> None:
    topic = store.create_topic(ADA, "Mine").result()
    with pytest.raises(NotFound):
        submit(store, EVE, topic_id=topic.id)
    store.update_topic(ADA, topic.id, visibility="workspace").result()
    with pytest.raises(NotAllowed, match="belongs to 'ada'"):
        submit(store, EVE, topic_id=topic.id)
    with pytest.raises(NotFound):
        submit(store, topic_id=MISSING)


def test_a_topic_in_the_trash_takes_no_request(store: Store) -> None:
    topic = store.create_topic(ADA, "Mine").result()
    store.trash(ADA, "topic", topic.id).result()
    with pytest.raises(NotAllowed, match="trash"):
        submit(store, topic_id=topic.id)


BAD = [
    {"prompt": "a\0b"},
    {"prompt": "half \ud83d"},
    {"prompt": 3},
    {"prompt": "x" * 10_001},
    {"negative_prompt": b"no"},
    {"n": 0, "seeds": ()},
    {"n": 2, "seeds": (1,)},
    {"n": True, "seeds": (1,)},
    {"n": 10_001, "seeds": tuple(range(10_001))},
    {"seeds": (2**63,)},
    {"seeds": (1.5,)},
    {"seed": -(2**63) - 1},
    {"width": 0},
    {"height": 2**40},
    {"params": {"x": float("nan")}},
    {"params": {"x": "\ud83d"}},
    {"params": {"x": object()}},
    {"params": {"x": "y" * 300_000}},
    {"params": [1]},
    {"provenance": {"x": {1, 2}}},
    {"priority": 2**70},
    {"client_key": ""},
    {"client_key": "k" * 201},
    {"provider": ""},
    {"source": "\0"},
    {"operation": "dream"},
    {"price": Price(unit="token", amount_micro=2 * 10**18)},
    {"price": Price(unit="no unit", amount_micro=1)},
    {"inputs": (NewInput(asset("a"), "hat"),)},
    {"inputs": (NewInput(asset("a")), NewInput(asset("b")))},
    {"inputs": (NewInput(asset("a"), position=-1),)},
    {"identity": Identity("")},
    {"identity": Identity("a\0b")},
    {"topic_id": 7},
]


@pytest.mark.parametrize("changes", BAD, ids=lambda c: f"{next(iter(c))}")
def test_a_request_that_cannot_be_stored_leaves_nothing(
    store: Store, changes: dict[str, Any]
) -> None:
    cursor = store.cursor()
    with pytest.raises(InvalidRequest) as refused:
        store.submit_batch(request(**changes)).result()
    assert refused.value.message.endswith((".", "?"))
    assert store.cursor() == cursor
    assert store.topics(OPERATOR) == []


@pytest.mark.req("SYN-2", "DAT-2")
def test_an_import_is_a_batch_of_completed_generations(store: Store) -> None:
    batch = bring_in(store, ADA, "a dog", "a cat", "a dog again")
    shown = pictures(store, batch)
    assert [g.prompt for g in shown] == ["a dog", "a cat", "a dog again"]
    assert {g.status for g in shown} == {Status.COMPLETED}
    assert {g.prompt_sent for g in shown} == {None}
    assert all(g.operation is Operation.IMPORT and g.provider is None for g in shown)
    assert store.topic(ADA, batch.topic_id).cover_generation_id == shown[0].id
    found, _ = store.generations(ADA, GenerationQuery(search="cat"))
    assert len(found) == 3, "the batch has the words of all its images"
    copy = bring_in(store, ADA, "a dog")
    assert pictures(store, copy)[0].asset_id == shown[0].asset_id, "copies share one asset"
    assert {role for _, role, _ in store.asset_generations(ADA, [asset("a dog").id])} == {"result"}


@pytest.mark.parametrize(
    "items",
    [(), ((asset("a"), "x" * 10_001),), ((asset("a"), "\ud83d"),)],
    ids=["none", "long", "bad"],
)
def test_an_import_that_cannot_be_stored_leaves_nothing(store: Store, items: Any) -> None:
    with pytest.raises(InvalidRequest):
        store.import_images(NewImport(ADA, None, items)).result()
    assert store.topics(OPERATOR) == []


@pytest.mark.req("TOP-4")
def test_the_cover_is_the_first_success(store: Store) -> None:
    batch = submit(store, n=2)
    assert store.topic(ADA, batch.topic_id).cover_generation_id is None
    second = pictures(store, batch)[1]
    finish(store, only=second.id)
    assert store.topic(ADA, batch.topic_id).cover_generation_id == second.id
    finish(store)
    assert store.topic(ADA, batch.topic_id).cover_generation_id == second.id


@pytest.mark.req("TOP-4")
def test_a_chosen_cover_stays_until_it_goes(store: Store) -> None:
    batch = make(store, n=3)
    first, second, third = (g.id for g in pictures(store, batch))
    topic = store.update_topic(ADA, batch.topic_id, cover_generation_id=third).result()
    assert topic.cover_generation_id == third
    store.trash(ADA, "generation", first).result()
    assert store.topic(ADA, batch.topic_id).cover_generation_id == third
    store.trash(ADA, "generation", third).result()
    assert store.topic(ADA, batch.topic_id).cover_generation_id == second
    with pytest.raises(InvalidRequest, match="cover_generation_id"):
        store.update_topic(ADA, batch.topic_id, cover_generation_id=first).result()
    store.update_topic(ADA, batch.topic_id, cover_generation_id="").result()
    assert store.topic(ADA, batch.topic_id).cover_generation_id == second
