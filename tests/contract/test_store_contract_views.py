"""What pages of the interface read: rows by id, feed pages both ways, walks, counts, the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.store_world import (
    ADA,
    BOB,
    EVE,
    LANES,
    MISSING,
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
from workbench.domain.records import BatchPage, BatchRecord, Identity, Price
from workbench.domain.status import Status
from workbench.domain.submissions import NewImport
from workbench.errors import InvalidRequest, NotAllowed, NotFound
from workbench.ports import Outcome, Selection, Store


def ids_of(page: BatchPage) -> list[str]:
    return [batch.id for batch in page.batches]


def feed(store: Store, count: int, **changes: Any) -> tuple[str, list[BatchRecord]]:
    """A topic with so many batches, newest first."""
    first = submit(store, **changes)
    more = [submit(store, topic_id=first.topic_id, **changes) for _ in range(count - 1)]
    return first.topic_id, [first, *more][::-1]


# -- rows by id ---------------------------------------------------------------------------------


@pytest.mark.req("TOP-5", "FEED-1")
def test_rows_by_id_are_those_that_are_live_and_to_be_seen(store: Store) -> None:
    mine, theirs = make(store, n=2), make(store, BOB)
    kept, gone = pictures(store, mine)
    store.trash(ADA, "generation", gone.id).result()
    (foreign,) = pictures(store, theirs)
    asked = [kept.id, gone.id, foreign.id, MISSING, kept.id]
    found = store.generation_views(ADA, asked)
    assert list(found) == [kept.id]
    assert found[kept.id].record == store.generation(ADA, kept.id)
    assert found[kept.id].asset == store.asset(str(kept.asset_id))
    assert store.pictures(ADA, asked) == {kept.id: store.asset(str(kept.asset_id))}
    assert list(store.generation_views(OPERATOR, asked)) == [kept.id, foreign.id]
    assert store.batch_views(ADA, [mine.id, theirs.id, MISSING]) == {
        mine.id: store.batch_views(ADA, [mine.id])[mine.id]
    }
    assert [t.record.id for t in store.topic_views(ADA, [mine.topic_id, theirs.topic_id])] == [
        mine.topic_id
    ]
    project = store.topic(ADA, mine.topic_id).project_id
    foreign_project = store.topic(BOB, theirs.topic_id).project_id
    assert [p.id for p in store.project_views(ADA, [project, foreign_project])] == [project]
    assert [p.id for p in store.project_views(BOB)] == [foreign_project]


@pytest.mark.req("TOP-5")
def test_what_is_shared_is_seen_and_what_is_hidden_by_what_it_lies_in_is_not(store: Store) -> None:
    batch = make(store)
    (picture,) = pictures(store, batch)
    project = store.topic(ADA, batch.topic_id).project_id

    def seen(identity: Identity) -> list[bool]:
        return [
            bool(store.generation_views(identity, [picture.id])),
            bool(store.pictures(identity, [picture.id])),
            bool(store.batch_views(identity, [batch.id])),
            bool(store.batches_generations(identity, [batch.id])),
            bool(store.topic_views(identity, [batch.topic_id])),
        ]

    assert (seen(ADA), seen(BOB), seen(EVE)) == ([True] * 5, [False] * 5, [False] * 5)
    store.update_topic(ADA, batch.topic_id, visibility="team").result()
    assert (seen(BOB), seen(EVE)) == ([True] * 5, [False] * 5)
    for entity, id in (("batch", batch.id), ("topic", batch.topic_id), ("project", project)):
        store.trash(ADA, entity, id).result()
        assert seen(ADA)[:4] == [False] * 4, entity
        store.restore(ADA, entity, id).result()
    assert seen(ADA) == [True] * 5


@pytest.mark.req("RES-1")
def test_a_judgement_is_that_of_whoever_looks(store: Store) -> None:
    batch = make(store)
    store.update_topic(ADA, batch.topic_id, visibility="workspace").result()
    (picture,) = pictures(store, batch)
    store.judge(ADA, {picture.id: {"rating": 4, "tags": ["b", "a"]}}).result()
    store.judge(BOB, {picture.id: {"favourite": True}}).result()
    of_ada = store.generation_views(ADA, [picture.id])[picture.id].judgement
    of_bob = store.generation_views(BOB, [picture.id])[picture.id].judgement
    assert (of_ada.rating, of_ada.favourite, of_ada.tags) == (4, False, {"a", "b"})
    assert (of_bob.rating, of_bob.favourite, of_bob.tags) == (0, True, frozenset())


def test_more_ids_than_one_read_takes_are_refused(store: Store) -> None:
    for read in (store.generation_views, store.batch_views, store.pictures, store.topic_views):
        read(ADA, [MISSING] * 500)
        with pytest.raises(InvalidRequest):
            read(ADA, [MISSING] * 501)
        with pytest.raises(InvalidRequest):
            read(ADA, MISSING)  # one text is no list
        with pytest.raises(NotFound):
            read(ADA, ["x"])


# -- pages of the feed --------------------------------------------------------------------------


@pytest.mark.req("FEED-5")
def test_pages_go_both_ways_without_repeat_or_skip_while_batches_arrive(store: Store) -> None:
    topic, batches = feed(store, 11)
    ids = [batch.id for batch in batches]
    page = store.batch_page(ADA, topic, limit=4)
    assert (ids_of(page), page.newer) == (ids[:4], None)
    down = ids_of(page)
    pages = [page]
    while pages[-1].older:
        late = submit(store, topic_id=topic)  # arrivals stay above
        pages.append(store.batch_page(ADA, topic, limit=4, cursor=pages[-1].older))
        down += ids_of(pages[-1])
        ids.insert(0, late.id)
    assert down == [batch.id for batch in batches]
    up, at = ids_of(pages[-1]), pages[-1].newer
    while at:
        page = store.batch_page(ADA, topic, limit=3, cursor=at, direction="newer")
        up = ids_of(page) + up
        at = page.newer
    assert up == ids


@pytest.mark.req("FEED-5")
def test_cursors_stay_right_when_the_batches_at_them_go(store: Store) -> None:
    topic, batches = feed(store, 6)
    page = store.batch_page(ADA, topic, limit=2)
    store.trash(ADA, "batch", batches[1].id).result()
    store.trash(ADA, "batch", batches[2].id).result()
    page = store.batch_page(ADA, topic, limit=2, cursor=page.older)
    assert ids_of(page) == [batches[3].id, batches[4].id]
    store.restore(ADA, "batch", batches[2].id).result()
    above = store.batch_page(ADA, topic, limit=9, cursor=page.newer, direction="newer")
    assert ids_of(above) == [batches[0].id, batches[2].id]
    assert above.newer is None
    for batch in batches[4:]:
        store.trash(ADA, "batch", batch.id).result()
    empty = store.batch_page(ADA, topic, limit=2, cursor=page.older)
    assert (ids_of(empty), empty.older) == ([], None)
    assert empty.newer is not None
    back = store.batch_page(ADA, topic, limit=1, cursor=empty.newer, direction="newer")
    assert ids_of(back) == [batches[3].id], "beyond an empty page lies what was before it"


@pytest.mark.req("FEED-5")
def test_a_page_ends_before_it_holds_too_many_images(store: Store) -> None:
    one = store.import_images(
        NewImport(ADA, None, tuple((asset(f"p{i}", source="upload"), "x") for i in range(900)))
    ).result()
    small = [submit(store, topic_id=one.topic_id, n=60) for _ in range(3)][::-1]
    page = store.batch_page(ADA, one.topic_id, limit=20)
    assert ids_of(page) == [batch.id for batch in small]
    page = store.batch_page(ADA, one.topic_id, limit=20, cursor=page.older)
    assert ids_of(page) == [one.id]
    page = store.batch_page(ADA, one.topic_id, limit=20, cursor=page.newer, direction="newer")
    assert ids_of(page) == [batch.id for batch in small]


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": 501},
        {"limit": "5"},
        {"direction": "up"},
        {"direction": None},
        {"cursor": "b1.o.5"},  # of the other direction
        {"cursor": "g1.n.5"},
        {"cursor": "b1.n." + "9" * 30},
        {"cursor": "' OR 1"},
        {"cursor": 5},
    ],
)
def test_a_page_that_makes_no_sense_is_refused(store: Store, wrong: dict[str, Any]) -> None:
    topic, _ = feed(store, 1)
    with pytest.raises(InvalidRequest):
        store.batch_page(ADA, topic, **wrong)


@pytest.mark.req("TOP-5")
def test_nobody_pages_through_a_topic_that_is_not_theirs_to_see(store: Store) -> None:
    topic, _ = feed(store, 2)
    reads: list[Callable[[Identity], object]] = [
        lambda who: store.batch_page(who, topic),
        lambda who: store.active_batches(who, topic),
        lambda who: store.deletion(who, topic),
        lambda who: store.active_count(who, topic),
    ]
    for read in reads:
        for identity in (EVE, BOB):
            with pytest.raises(NotFound):
                read(identity)
    store.trash(ADA, "topic", topic).result()
    assert store.batch_page(ADA, topic) == BatchPage((), None, None)
    assert store.active_batches(ADA, topic) == []


@pytest.mark.req("FEED-3")
def test_active_batches_are_those_with_something_that_has_not_ended(store: Store) -> None:
    topic, batches = feed(store, 3, n=2)
    other = submit(store)
    newest, middle, oldest = batches
    first, _second = pictures(store, newest)
    finish(store, only=first.id)
    store.cancel(ADA, Selection(batch_id=middle.id)).result()
    assert store.active_batches(ADA, topic) == [newest.id, oldest.id]
    store.trash(ADA, "batch", oldest.id).result()
    assert store.active_batches(ADA, topic) == [newest.id]
    finish(store)
    assert store.active_batches(ADA, topic) == []
    assert store.active_batches(ADA, other.topic_id) == []


@pytest.mark.req("FEED-2")
def test_of_each_index_the_latest_generation_is_shown(store: Store) -> None:
    batch = submit(store, n=3)
    second = submit(store, topic_id=batch.topic_id, n=1)
    finish(store, fail=True)
    again = store.retry(ADA, pictures(store, batch)[1].id, Price()).result()
    views = store.batches_generations(ADA, [batch.id, second.id, MISSING])
    shown = [(view.record.batch_id, view.record.index) for view in views]
    assert shown == [(second.id, 0), (batch.id, 0), (batch.id, 1), (batch.id, 2)]
    assert views[2].record.id == again.id
    store.trash(ADA, "generation", again.id).result()
    views = store.batches_generations(ADA, [batch.id])
    assert views[1].record.status is Status.FAILED


# -- walks ----------------------------------------------------------------------------------------


@pytest.mark.req("LBX-1")
def test_a_walk_goes_through_the_finished_pictures_in_the_order_of_the_feed(store: Store) -> None:
    topic, batches = feed(store, 3, n=3)
    finish(store)
    in_order = [g.id for batch in batches for g in pictures(store, batch)]
    store.trash(ADA, "generation", in_order[5]).result()
    waiting = submit(
        store, topic_id=topic, n=2
    )  # not finished: not walked, but one may start there
    (start, _) = pictures(store, waiting)
    left = [id for id in in_order if id != in_order[5]]
    rows, end = store.walk(ADA, start.id, direction="next", limit=5)
    assert ([r.record.id for r in rows], end) == (left[:5], False)
    rows, end = store.walk(ADA, rows[-1].record.id, direction="next", limit=5)
    assert ([r.record.id for r in rows], end) == (left[5:], True)
    rows, end = store.walk(ADA, left[4], direction="previous", limit=2)
    assert ([r.record.id for r in rows], end) == (left[2:4], False), "the last is the neighbour"
    rows, end = store.walk(ADA, left[4], direction="previous", limit=9)
    assert ([r.record.id for r in rows], end) == (left[:4], True)
    rows, _ = store.walk(ADA, in_order[5], direction="next", limit=1)
    assert [r.record.id for r in rows] == [in_order[6]], "also from one that is in the trash"


@pytest.mark.req("LBX-1", "TOP-5")
def test_a_walk_shows_a_retried_picture_once_and_nothing_of_others(store: Store) -> None:
    batch = submit(store, n=2)
    finish(store, fail=True)
    first, second = pictures(store, batch)
    again = store.retry(ADA, first.id, Price()).result()
    finish(store)
    rows, end = store.walk(ADA, second.id, direction="previous", limit=9)
    assert ([r.record.id for r in rows], end) == ([again.id], True)
    with pytest.raises(NotFound):
        store.walk(EVE, first.id, direction="next", limit=9)
    with pytest.raises(NotFound):
        store.walk(ADA, MISSING, direction="next", limit=9)
    for wrong in ({"direction": "up", "limit": 1}, {"direction": "next", "limit": 0}):
        with pytest.raises(InvalidRequest):
            store.walk(ADA, first.id, **wrong)  # type: ignore[arg-type]  # on purpose
    store.trash(ADA, "topic", batch.topic_id).result()
    assert store.walk(ADA, first.id, direction="next", limit=9) == ([], True)


# -- numbers and lists ----------------------------------------------------------------------------


@pytest.mark.req("TOP-1", "TOP-4")
def test_topics_come_with_their_number_of_pictures_and_their_cover(
    store: Store, clock: TurnableClock
) -> None:
    one = make(store, n=2)
    clock.ms += 1
    two = submit(store, n=2)
    first, _ = store.topic_page(ADA).topics
    assert (first.record.id, first.images, first.cover_asset) == (two.topic_id, 0, None)
    (view,) = store.topic_views(ADA, [one.topic_id])
    cover = pictures(store, one)[0]
    assert (view.images, view.cover_asset) == (2, cover.asset_id)
    assert view.record.cover_generation_id == cover.id
    store.trash(ADA, "generation", cover.id).result()
    (view,) = store.topic_views(ADA, [one.topic_id])
    assert (view.images, view.cover_asset) == (1, pictures(store, one)[0].asset_id)
    assert store.topic_counts(ADA, [one.topic_id, two.topic_id]) == {
        one.topic_id: 1,
        two.topic_id: 0,
    }


@pytest.mark.req("TOP-2")
def test_a_deletion_tells_how_much_goes_and_only_to_the_owner(store: Store) -> None:
    batch = make(store, n=3)
    waiting = submit(store, topic_id=batch.topic_id, n=2)
    submit(store)
    store.trash(ADA, "generation", pictures(store, waiting)[0].id).result()
    assert store.deletion(ADA, batch.topic_id) == (3, 1)
    store.update_topic(ADA, batch.topic_id, visibility="workspace").result()
    with pytest.raises(NotAllowed, match="belongs to 'ada'"):
        store.deletion(BOB, batch.topic_id)
    assert store.deletion(OPERATOR, batch.topic_id) == (3, 1)


@pytest.mark.req("PRM-1")
def test_prompts_are_ones_own_last_different_ones(store: Store) -> None:
    for prompt in ("a", "b", "a", "c"):
        submit(store, prompt=prompt)
    gone = submit(store, prompt="deleted")
    store.trash(ADA, "batch", gone.id).result()
    hidden = submit(store, prompt="in a deleted topic")
    store.trash(ADA, "topic", hidden.topic_id).result()
    bring_in(store, ADA, "holiday.png")
    submit(store, BOB, prompt="of somebody else")
    assert store.prompts(ADA) == ["c", "a", "b"]
    assert store.prompts(ADA, limit=2) == ["c", "a"]
    assert store.prompts(EVE) == []
    with pytest.raises(InvalidRequest):
        store.prompts(ADA, limit=0)


@pytest.mark.req("PRM-1")
def test_durations_are_those_of_ones_newest_pictures_of_a_model(
    store: Store, clock: TurnableClock
) -> None:
    for seconds in (5, 3):
        batch = submit(store, width=64, height=32)
        (job,) = store.claim("r1", lanes=LANES, limit=1).result()
        clock.ms += seconds * 1000
        slot = job.slots[0].generation_id
        store.complete(job.fence, Outcome(slot, asset(batch.id), 1)).result()
        store.finish_job(job.fence).result()
    submit(store)
    finish(store, fail=True)
    bring_in(store, ADA, "import")
    assert store.durations(ADA, "painter:oil") == [(3.0, 2048), (5.0, 2048)]
    assert store.durations(ADA, "painter:oil", limit=1) == [(3.0, 2048)]
    assert store.durations(ADA, "other") == store.durations(BOB, "painter:oil") == []


@pytest.mark.req("TOK-3")
def test_balances_come_with_the_last_booking(store: Store) -> None:
    assert store.balance_views(ADA) == []
    store.grant(ADA, "ada", "token", 10_000_000, "welcome").result()
    store.grant(ADA, "ada", "usd", 5, "").result()
    store.grant(BOB, "bob", "token", 7, "bob's").result()
    submit(store, price=Price(unit="token", amount_micro=2_000_000, version=1))
    tokens, dollars = store.balance_views(ADA)
    assert (tokens.unit, tokens.amount_micro, tokens.change_micro) == (
        "token",
        8_000_000,
        -2_000_000,
    )
    assert (dollars.unit, dollars.amount_micro, dollars.reason) == ("usd", 5, "grant")
    assert tokens.transaction_id == [e.id for e in store.ledger(ADA) if e.unit == "token"][-1]
    finish(store, fail=True)
    (back, _) = store.balance_views(ADA)
    assert (back.amount_micro, back.change_micro) == (10_000_000, 2_000_000)


# -- the queue tells of itself --------------------------------------------------------------------


@pytest.mark.req("FEED-10", "LIVE-7")
def test_windows_hear_of_a_pause_also_of_an_empty_queue(store: Store) -> None:
    cursor = store.cursor()
    store.pause(ADA).result()
    store.pause(ADA).result()  # it is: nothing to tell
    store.resume(ADA).result()
    store.resume(ADA).result()
    told = changes_since(store, ADA, cursor)
    assert [(c.entity, c.id, c.kind, c.data) for c in told] == [
        ("queue", "ada", "update", {"paused": True}),
        ("queue", "ada", "update", {"paused": False}),
    ]
    assert told[0].rev < told[1].rev
    assert changes_since(store, BOB, cursor) == []


@pytest.mark.req("FEED-10", "TOP-5")
def test_everybody_hears_of_the_operators_pause_and_nobody_of_a_neighbours(store: Store) -> None:
    cursor = store.cursor()
    store.pause(OPERATOR).result()
    store.pause(BOB).result()
    assert [(c.id, c.data) for c in changes_since(store, EVE, cursor)] == [("", {"paused": True})]
    assert store.paused(EVE)
    store.resume(OPERATOR).result()
    assert [(c.id, c.data) for c in changes_since(store, EVE, cursor)][1:] == [
        ("", {"paused": False})
    ]
    assert [c.id for c in changes_since(store, BOB, cursor)] == ["", "bob", ""]


@pytest.mark.req("FEED-10", "LIVE-7")
def test_windows_hear_that_something_was_put_first(store: Store) -> None:
    submit(store)
    last = submit(store, n=2)
    cursor = store.cursor()
    assert store.run_next(ADA, Selection(batch_id=last.id)).result() == 2
    (told,) = changes_since(store, ADA, cursor)
    assert (told.entity, told.id, told.data) == ("queue", "ada", {"moved": 2})
    finish(store)
    cursor = store.cursor()
    assert store.run_next(ADA, Selection(batch_id=last.id)).result() == 0
    assert changes_since(store, ADA, cursor) == []


@pytest.mark.req("FEED-7", "TOP-5")
def test_own_pictures_are_the_latest_of_each_index_oldest_first(store: Store) -> None:
    make(store, BOB)
    failed = submit(store, n=2)
    finish(store, fail=True)
    one, two = pictures(store, failed)
    again = store.retry(ADA, one.id, Price()).result()
    finish(store)
    made, imported = make(store, n=2), bring_in(store, ADA, "mine")
    gone = pictures(store, make(store))[0]
    store.trash(ADA, "generation", gone.id).result()
    for deleted in (make(store), make(store)):
        store.trash(ADA, "batch", deleted.id).result()
    store.trash(ADA, "topic", make(store).topic_id).result()
    submit(store)  # waits
    expected = [
        again.id,
        *(p.id for p in pictures(store, made)),
        *(p.id for p in pictures(store, imported)),
    ]
    assert [view.record.id for view in store.own_pictures(ADA)] == expected
    assert two.id not in expected
    assert store.own_size(ADA) == (len(expected), 1234 * len(expected))
    assert store.own_size(EVE) == (0, 0)
    after, walked = 0, []
    while views := store.own_pictures(ADA, after=after, limit=1):
        after = views[-1].record.seq
        walked += [view.record.id for view in views]
    assert walked == expected
    for bad in (0, 501):
        with pytest.raises(InvalidRequest):
            store.own_pictures(ADA, limit=bad)


@pytest.mark.req("FEED-7", "FEED-10")
def test_a_late_picture_takes_the_place_of_the_cancelled_one(store: Store) -> None:
    batch = submit(store)
    (job,) = store.claim("r1", lanes=LANES, limit=1).result()
    store.cancel(ADA, Selection(batch_id=batch.id)).result()
    assert store.own_pictures(ADA) == []
    late = store.adopt_late(
        job.fence, Outcome(job.slots[0].generation_id, asset("late"), 7)
    ).result()
    assert late is not None
    assert [view.record.id for view in store.own_pictures(ADA)] == [late.id]
