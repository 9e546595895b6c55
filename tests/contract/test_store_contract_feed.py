"""The change feed: every change once, in order, only to those who may see it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.store_world import (
    ADA,
    BOB,
    EVE,
    OPERATOR,
    TurnableClock,
    changes_since,
    finish,
    make,
    pictures,
    start_of_feed,
    submit,
)
from workbench.errors import InvalidRequest
from workbench.ports import Store


@pytest.mark.req("LIVE-1")
def test_no_cursor_gives_the_present_and_no_items(store: Store) -> None:
    submit(store)
    page = store.changes(ADA, None)
    assert (page.items, page.has_more, page.reset) == ((), False, False)
    assert page.cursor == store.cursor()


@pytest.mark.req("LIVE-1", "LIVE-5")
def test_pages_of_the_feed_give_each_change_once(store: Store) -> None:
    cursor = start_of_feed(store)
    batch = make(store, n=5)
    whole = store.changes(ADA, cursor, limit=5_000)
    assert not whole.has_more
    assert whole.cursor == store.cursor()
    seqs = []
    more = True
    while more:
        page = store.changes(ADA, cursor, limit=3)
        assert len(page.items) <= 3
        seqs += [c.seq for c in page.items]
        cursor, more = page.cursor, page.has_more
    assert seqs == [c.seq for c in whole.items] == sorted(seqs)
    for generation in pictures(store, batch):
        revs = [c.rev for c in whole.items if c.id == generation.id]
        assert revs == list(range(1, generation.rev + 1))


@pytest.mark.req("LIVE-1", "LIVE-4")
def test_the_end_of_a_generation_carries_what_its_row_shows(store: Store) -> None:
    batch = submit(store)
    cursor = store.cursor()
    finish(store)
    (generation,) = pictures(store, batch)
    told = [c for c in changes_since(store, ADA, cursor) if c.id == generation.id][-1]
    assert told.data["status"] == "completed"
    assert told.data["asset_id"] == generation.asset_id
    assert told.data["batch_id"] == batch.id
    assert {"seed", "idx", "cost_micro", "error_kind", "finished_at"} <= told.data.keys()
    assert "reserved_micro" not in told.data
    assert told.topic_id == batch.topic_id


@pytest.mark.req("LIVE-1")
@pytest.mark.parametrize(
    "cursor", ["", "x", "v1.x.0", "v2.x.0", "v1..", "v1.x.-1", "\ud83d", "v1.x." + "9" * 30, "0"]
)
def test_a_cursor_that_is_none_asks_for_a_fresh_read(store: Store, cursor: str) -> None:
    submit(store)
    page = store.changes(ADA, cursor)
    assert (page.items, page.has_more, page.reset) == ((), False, True)
    assert page.cursor == store.cursor()


@pytest.mark.req("LIVE-1")
def test_a_cursor_from_the_future_or_another_workspace_asks_for_a_fresh_read(
    open_store: Any,
) -> None:
    one, two = open_store("one"), open_store("two")
    submit(two)
    assert two.changes(ADA, one.cursor()).reset
    beyond = two.cursor() + "0"
    assert two.changes(ADA, beyond).reset


@pytest.mark.req("LIVE-1")
def test_a_restored_copy_begins_a_new_history(store: Any) -> None:
    submit(store)
    before = store.cursor()
    assert not store.changes(ADA, before).reset
    store.renew_feed_id().result()
    assert store.changes(ADA, before).reset
    assert not store.changes(ADA, store.cursor()).reset


@pytest.mark.parametrize(
    ("since", "limit"), [(None, 0), (None, 5_001), (None, "5"), (None, True), (5, 5), (b"x", 5)]
)
def test_a_page_of_the_feed_that_makes_no_sense_is_refused(
    store: Store, since: Any, limit: Any
) -> None:
    with pytest.raises(InvalidRequest):
        store.changes(ADA, since, limit=limit)


@pytest.mark.req("TOP-5", "LIVE-1")
def test_nobody_hears_of_what_they_may_not_see(store: Store) -> None:
    cursor = start_of_feed(store)
    store.grant(ADA, "ada", "token", 5, "secret").result()
    batch = make(store)
    (picture,) = pictures(store, batch)
    store.judge(ADA, {picture.id: {"note": "secret"}}).result()
    store.say(ADA, batch.topic_id, "secret").result()
    assert changes_since(store, EVE, cursor) == []
    assert store.changes(EVE, cursor).cursor == store.cursor(), "what was passed stays passed"
    entities = {c.entity for c in changes_since(store, ADA, cursor)}
    assert entities >= {"ledger", "judgement", "message", "generation", "asset", "topic"}
    everything = changes_since(store, OPERATOR, cursor)
    assert len(everything) >= len(changes_since(store, ADA, cursor))


@pytest.mark.req("TOP-5", "LIVE-1")
def test_sharing_is_told_and_so_is_its_end(store: Store) -> None:
    batch = make(store)
    cursor = store.cursor()
    store.update_topic(ADA, batch.topic_id, visibility="team").result()
    assert [c.data.get("visibility") for c in changes_since(store, BOB, cursor)] == ["team"]
    assert changes_since(store, EVE, cursor) == []
    submit(store, topic_id=batch.topic_id, prompt="while shared")
    heard = {c.entity for c in changes_since(store, BOB, cursor)}
    assert heard == {"topic", "batch", "generation"}
    shared = store.cursor()
    store.update_topic(ADA, batch.topic_id, visibility="private").result()
    assert [c.data["visibility"] for c in changes_since(store, BOB, shared)] == ["private"]
    submit(store, topic_id=batch.topic_id, prompt="secret again")
    again = changes_since(store, BOB, cursor)
    assert {c.entity for c in again} == {"topic"}, "what was in it is not read any more"


@pytest.mark.req("TOP-5")
def test_judgements_in_a_shared_topic_stay_private(store: Store) -> None:
    batch = make(store)
    store.update_topic(ADA, batch.topic_id, visibility="workspace").result()
    cursor = store.cursor()
    (picture,) = pictures(store, batch)
    store.judge(EVE, {picture.id: {"rating": 1, "note": "hm"}}).result()
    assert changes_since(store, ADA, cursor) == []
    (told,) = changes_since(store, EVE, cursor)
    assert (told.entity, told.id, told.kind) == ("judgement", f"{picture.id}:eve", "insert")
    assert told.data["rating"] == 1


@pytest.mark.req("LIVE-1")
def test_pruning_keeps_the_newest_and_resets_older_cursors(
    store: Store, clock: TurnableClock
) -> None:
    start = start_of_feed(store)
    submit(store, n=5)
    clock.ms += 1_000
    middle = store.cursor()
    submit(store, n=5)
    end = store.cursor()
    assert store.prune_changes(keep_rows=10**6, keep_ms=2_000).result() == 0
    assert not store.changes(ADA, start).reset
    gone = store.prune_changes(keep_rows=10**6, keep_ms=500).result()
    assert gone == int(middle.rsplit(".", 1)[1])
    assert store.changes(ADA, start).reset
    assert len(store.changes(ADA, middle).items) > 5
    assert store.prune_changes(keep_rows=3, keep_ms=10**9).result() > 0
    assert store.changes(ADA, middle).reset
    assert not store.changes(ADA, end).reset
    assert store.prune_changes(keep_rows=0, keep_ms=10**9).result() == 3
    assert store.cursor() == end, "numbers are never used again"
    submit(store)
    assert len(store.changes(ADA, end).items) == 3
    for bad in (-1, True, 1.5, 2**70):
        with pytest.raises(InvalidRequest):
            store.prune_changes(keep_rows=bad, keep_ms=0)  # type: ignore[arg-type]


@pytest.mark.req("LIVE-1")
def test_a_reader_of_few_among_many_changes_gets_short_pages(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.store.sqlite import feed

    monkeypatch.setattr(feed, "SCAN_ROWS", 7)
    cursor = start_of_feed(store)
    submit(store, n=20)
    mine = submit(store, EVE)
    seen = changes_since(store, EVE, cursor)
    assert [c.entity for c in seen] == ["project", "topic", "batch", "generation"]
    assert seen[2].id == mine.id


@pytest.mark.req("LIVE-11")
def test_the_log_takes_any_text_and_shows_it_to_those_it_concerns(store: Store) -> None:
    store.log("info", "runner", "for all").result()
    store.log("error", "provider", "half \ud83d \0 and long " + "x" * 9_000, owner="ada").result()
    odd: Any = {"x": object()}
    store.log("warning", "store", "odd data", data=odd, owner="eve").result()
    assert [e.kind for e in store.log_entries(ADA)] == ["provider", "runner"]
    assert [e.kind for e in store.log_entries(EVE)] == ["store", "runner"]
    assert len(store.log_entries(OPERATOR)) == 3
    assert [e.text for e in store.log_entries(ADA, kind="runner")] == ["for all"]
    assert len(store.log_entries(OPERATOR, limit=1)) == 1
    for level in ("debug", "", 5):
        with pytest.raises(InvalidRequest):
            store.log(level, "runner", "x").result()  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest):
        store.log_entries(ADA, limit=0)
