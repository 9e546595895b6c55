"""The change feed as Python sees it: pages, following, callbacks, the event log."""

from __future__ import annotations

import asyncio
import threading

import pytest

import workbench as wb
from tests.waiting import until
from tests.workspace.workspace_world import SMALL


@pytest.mark.req("LIVE-1")
def test_pages_of_changes_tell_everything_once_and_in_order(ws):
    start = ws.changes()
    assert start.items == ()
    ws.generate("a fox", n=2, **SMALL).wait(60)
    cursor, seen = start.cursor, []
    while True:
        page = ws.changes(cursor, limit=3)
        seen += page.items
        cursor = page.cursor
        if not page.has_more:
            break
    assert [change.seq for change in seen] == sorted({change.seq for change in seen})
    kinds = {change.entity for change in seen}
    assert {"topic", "batch", "generation", "asset"} <= kinds
    for generation in ws.generations().items:
        revs = [change.rev for change in seen if change.id == generation.id]
        assert revs == sorted(set(revs))
        assert revs[-1] == generation.record.rev


@pytest.mark.req("LIVE-1")
@pytest.mark.parametrize("cursor", ["garbage", "v1.other.5", "", "v1", "v2.x.y"])
def test_a_cursor_from_elsewhere_means_reset(ws, cursor):
    ws.create_topic("x")
    page = ws.changes(cursor)
    assert page.reset
    assert page.items == ()
    assert not ws.changes(page.cursor).reset


@pytest.mark.req("LIVE-1")
async def test_following_gives_every_change_from_now_on(ws):
    ws.create_topic("before")
    follower = ws.follow()
    first = asyncio.ensure_future(anext(follower))
    await asyncio.sleep(0.05)
    topic = ws.create_topic("after")
    change = await asyncio.wait_for(first, 10)
    while change.entity != "topic":
        change = await asyncio.wait_for(anext(follower), 10)
    assert (change.id, change.kind, change.data["title"]) == (topic.id, "insert", "after")
    await follower.aclose()
    stale = ws.follow(since="v1.old.1")
    with pytest.raises(wb.InvalidRequest, match="read everything anew"):
        await anext(stale)


@pytest.mark.req("LIVE-2", "TOK-3")
def test_callbacks_get_every_event_in_order_with_its_payload(ws):
    ws.set_price("sketch", 2)
    got: list[tuple[str, dict[str, object]]] = []
    done = threading.Event()

    def note(name: str):
        def callback(payload: dict[str, object]) -> None:
            got.append((name, payload))
            if payload.get("title") == "the end":
                done.set()

        return callback

    names = ("generation_progress", "generation_completed", "generation_failed")
    names += ("token_balance_updated", "image_insert", "topic_insert")
    stops = [ws.on(name, note(name)) for name in names]
    ws.grant(10, "start")
    batch = ws.generate("a fox", n=2, fail=[1], **SMALL).wait(60)
    ws.create_topic("the end")  # of the pictures more is told than that they ended
    assert done.wait(45)
    for stop in stops:
        stop()
    by_name = {name: [p for n, p in got if n == name] for name in names}
    first, second = batch.generations
    assert by_name["topic_insert"][0]["topic_id"] == batch.topic.id
    completed = by_name["generation_completed"][0]
    assert completed["generation_id"] == first.id
    assert completed["asset_id"] == first.asset.id
    failed = by_name["generation_failed"][0]
    assert failed["generation_id"] == second.id
    assert failed["message"] == second.error.message
    assert failed["charged"] is False
    changes = [payload["change"] for payload in by_name["token_balance_updated"]]
    assert sum(changes) == ws.balance == 8
    assert {p["transaction_id"] for p in by_name["token_balance_updated"]} <= set(ws.ledger().index)
    progress = [
        payload["progress"]
        for payload in by_name["generation_progress"]
        if payload["generation_id"] == first.id and payload["status"] == "processing"
    ]
    assert progress == sorted(progress)


@pytest.mark.req("LIVE-2", "LIVE-11")
def test_a_callback_that_fails_is_logged_and_stays(ws):
    calls: list[str] = []
    called_twice = threading.Event()

    def broken(payload: dict[str, object]) -> None:
        calls.append(str(payload["topic_id"]))
        if len(calls) == 2:
            called_twice.set()
        raise ValueError("my own bug")

    stop = ws.on("topic_insert", broken)
    ws.create_topic("one")
    ws.create_topic("two")
    assert called_twice.wait(20)
    stop()
    ws.create_topic("three")
    ws.close()
    with wb.open(ws.path, user="ada", run_jobs=False) as again:
        entries = again.debug.entries(kind="callback")
        assert len(entries) == 2
        assert "my own bug" in entries[0].text
        assert "test_live" in entries[0].data["traceback"]
        assert "my own bug" in repr(again.debug)
        assert len(again.debug.frame(kind="callback")) == 2
    assert len(calls) == 2


@pytest.mark.req("TOK-3", "TOK-1")
def test_a_callback_of_the_balance_that_fails_or_hangs_never_fails_the_debit(ws):
    """What the chip hears comes after the ledger has it, and is not waited for."""
    ws.set_price("sketch", 1)
    ws.grant(10, "start")
    heard: list[dict[str, object]] = []
    in_it, let_go = threading.Event(), threading.Event()

    def broken(payload: dict[str, object]) -> None:
        heard.append(payload)
        in_it.set()
        if not let_go.wait(20):
            raise AssertionError("nobody let it go: the debits waited for it")
        raise ValueError("my own bug")

    stop = ws.on("token_balance_updated", broken)
    done = ws.generate("a fox", n=3, **SMALL).wait(60)  # while the first callback hangs
    assert in_it.wait(20)
    assert not let_go.is_set()
    assert (done.status, ws.balance) == ("completed", 7)
    assert len(heard) == 1
    let_go.set()
    ws.generate("an owl", n=1, **SMALL).wait(60)
    assert ws.balance == 6
    ledger = ws.ledger()
    debits = {id for id, row in ledger.iterrows() if row["amount"] < 0}
    assert debits
    until(
        lambda: debits <= {payload["transaction_id"] for payload in heard},
        "it stayed, and heard all",
    )
    ws.close()
    stop()
    with wb.open(ws.path, user="ada", run_jobs=False) as again:
        failures = again.debug.entries(kind="callback")
        assert len(failures) == len(heard)
        assert "my own bug" in failures[0].text
        assert again.doctor().problems == []


@pytest.mark.req("LIVE-2")
def test_coroutine_callbacks_run_on_the_engine_loop(ws):
    where: list[str] = []
    done = threading.Event()

    async def callback(payload: dict[str, object]) -> None:
        await asyncio.sleep(0)
        where.append(threading.current_thread().name)
        done.set()

    stop = ws.on("topic_insert", callback)
    ws.create_topic("x")
    assert done.wait(20)
    stop()
    assert where == ["workbench-engine"]


@pytest.mark.req("LIVE-2")
def test_unknown_events_and_non_functions_are_refused(idle_ws):
    with pytest.raises(wb.InvalidRequest, match="Did you mean 'generation_completed'"):
        idle_ws.on("generation_complete", print)
    with pytest.raises(wb.InvalidRequest, match="function"):
        idle_ws.on("topic_insert", "print")


@pytest.mark.req("LIVE-7", "TOP-5")
def test_another_user_of_the_workspace_sees_only_what_is_shared(ws):
    mine = ws.generate("secret fox", **SMALL).wait(60)
    with wb.open(ws.path, user="bob") as other:
        assert other.topics() == []
        assert other.generations().items == []
        assert other.frame().empty
        for call in (
            lambda: other.topic(mine.topic.id),
            lambda: other.batch(mine.id),
            lambda: other.generation(mine.generations[0].id),
            lambda: other.generate("x", topic=mine.topic.id),
            lambda: other.generate("x", references=[mine.generations[0].asset.id]),
        ):
            with pytest.raises((wb.NotFound, wb.InvalidRequest)):
                call()
        start = other.changes().cursor
        mine.topic.title = "still secret"
        assert other.changes(start).items == ()
        mine.topic.visibility = "workspace"
        assert [t.id for t in other.topics()] == [mine.topic.id]
        assert len(other.generations().items) == 1
        seen = other.generation(mine.generations[0].id)
        with pytest.raises(wb.NotAllowed):
            seen.delete()
        with pytest.raises(wb.NotAllowed):
            other.topic(mine.topic.id).title = "mine now"
        seen.rating = 5
        assert seen.rating == 5
        assert mine.generations[0].rating == 0
