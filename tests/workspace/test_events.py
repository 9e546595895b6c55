"""Public events one by one, a view that is fed twice, and cursors that are too old."""

from __future__ import annotations

import functools
import random
import sys
import threading
from decimal import Decimal
from typing import Any

import pytest

import workbench as wb
from tests.waiting import until
from tests.workspace.odd_world import png
from tests.workspace.workspace_world import SMALL
from workbench.domain.events import EVENTS
from workbench.domain.jobs import Running
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.testing.providers import FakeProvider, Gate, Picture
from workbench.workspace.workspace import Workspace

MARK = "the end of what is waited for"


class Recorder:
    """Every event of a workspace, until a topic with the title MARK appears."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._ended = threading.Event()
        self.seen: list[tuple[str, dict[str, Any]]] = []
        for name in sorted(EVENTS):
            workspace.on(name, functools.partial(self._note, name))

    def _note(self, name: str, payload: dict[str, Any]) -> None:
        if payload.get("title") == MARK:
            self._ended.set()
        else:
            self.seen.append((name, payload))

    def until_now(self) -> dict[str, list[dict[str, Any]]]:
        self._workspace.create_topic(MARK)
        assert self._ended.wait(30)
        found: dict[str, list[dict[str, Any]]] = {}
        for name, payload in self.seen:
            found.setdefault(name, []).append(payload)
        return found


@pytest.mark.req("LIVE-2", "TOK-3")
def test_each_event_comes_with_the_payload_that_is_documented(ws):
    ws.set_price("sketch", 2)
    topic = ws.create_topic("foxes")
    events = Recorder(ws)
    ws.grant(10, "start")
    batch = ws.generate("a fox", n=2, fail=[1], topic=topic, **SMALL).wait(60)
    made, failed = batch.generations
    ws.pause()
    stopped = ws.generate("an owl", topic=topic, **SMALL).generations[0]
    stopped.cancel()
    made.rating = 4
    brought = ws.import_images(png("red"), topic=topic).generations[0]
    topic.title = "Foxes"
    ws.say(topic, "hello")
    made.delete()
    made.restore()
    topic.delete()
    topic.restore()
    got = events.until_now()
    assert set(got) == EVENTS - {
        *("message_update", "collection_insert", "collection_update", "collection_delete")
    }
    for payloads in got.values():
        for payload in payloads:
            assert {"topic_id", "owner", "at"} <= set(payload)
            assert payload["owner"] == "ada"
            assert isinstance(payload["at"], int)
    progress = got["generation_progress"][0]
    assert {"generation_id", "batch_id", "status", "progress", "step", "total_steps"} <= set(
        progress
    )
    assert {"attempt", "detail"} <= set(progress)
    (completed,) = got["generation_completed"]
    assert completed["generation_id"] == made.id
    assert completed["batch_id"] == batch.id
    assert (completed["asset_id"], completed["seed"]) == (made.asset.id, made.seed)
    assert (completed["cost_micro"], completed["unit"]) == (2_000_000, "token")
    (ended,) = got["generation_failed"]
    assert (ended["generation_id"], ended["error_kind"]) == (failed.id, failed.error.kind)
    assert (ended["message"], ended["charged"]) == (failed.error.message, False)
    assert [e["generation_id"] for e in got["generation_cancelled"]] == [stopped.id]
    assert [e["generation_id"] for e in got["image_insert"]] == [made.id, brought.id, made.id]
    assert {"generation_id": made.id, "rating": 4}.items() <= got["image_update"][0].items()
    assert [e["generation_id"] for e in got["image_delete"]] == [made.id]
    assert [e["topic_id"] for e in got["topic_delete"]] == [topic.id]
    assert topic.id in [e["topic_id"] for e in got["topic_insert"]]
    assert "Foxes" in [e.get("title") for e in got["topic_update"]]
    (said,) = got["message_insert"]
    assert said["text"] == "hello"
    assert said["message_id"] == ws.messages(topic).items[0].id
    money = got["token_balance_updated"]
    assert {e["unit"] for e in money} == {"token"}
    assert isinstance(money[0]["balance"], Decimal)
    assert (money[0]["balance"], money[0]["change"], money[0]["reason"]) == (10, 10, "start")
    assert money[-1]["balance"] == ws.balance == 8
    assert len({e["transaction_id"] for e in money}) == len(money)


@pytest.mark.req("LIVE-2", "FEED-8")
def test_a_deleted_batch_tells_of_each_of_its_images(ws):
    batch = ws.generate("a fox", n=3, fail=[2], **SMALL).wait(60)
    first, second, third = batch.generations
    events = Recorder(ws)
    second.delete()
    batch.delete()
    batch.restore()
    got = events.until_now()
    assert [e["generation_id"] for e in got["image_delete"]] == [second.id, first.id, third.id]
    assert [e["asset_id"] for e in got["image_insert"]] == [first.asset.id]
    assert {e["batch_id"] for e in got["image_delete"]} == {batch.id}


@pytest.mark.req("LIVE-2")
def test_a_callback_hears_nothing_from_before_it_and_nothing_after_its_workspace_closed(ws):
    gate, reached = threading.Event(), threading.Event()

    def slow(payload: dict[str, Any]) -> None:
        reached.set()
        gate.wait(30)

    ws.on("topic_insert", slow)
    ws.create_topic("before")
    assert reached.wait(30)
    ws.create_topic("also before")
    late: list[str] = []
    with wb.open(ws.path, user="ada", run_jobs=False) as second:
        second.on("topic_insert", lambda payload: late.append(payload["title"]))
        gate.set()
        events = Recorder(second)
        second.create_topic("now")
        events.until_now()
        assert late[0] == "now"
    heard = len(late)
    events = Recorder(ws)
    ws.create_topic("later")
    events.until_now()
    assert len(late) == heard


@pytest.mark.req("LIVE-2")
def test_any_kind_of_coroutine_function_is_run_and_its_failure_noted(ws):
    done = threading.Event()
    ran: list[str] = []

    class Callable:
        async def __call__(self, payload: dict[str, Any]) -> None:
            ran.append("object")

    async def plain(name: str, payload: dict[str, Any]) -> None:
        ran.append(name)
        done.set()
        raise LookupError("a bug in a coroutine")

    ws.on("topic_insert", Callable())
    ws.on("topic_insert", functools.partial(plain, "partial"))
    ws.create_topic("x")
    assert done.wait(30)
    Recorder(ws).until_now()
    assert sorted(set(ran)) == ["object", "partial"]
    entries = until(lambda: ws.debug.entries(kind="callback"))  # written behind the callbacks
    assert "a bug in a coroutine" in entries[0].text


@pytest.mark.req("LIVE-2")
def test_a_callback_that_calls_exit_is_told_of_and_the_others_hear_on(ws):
    def leaves(payload: dict[str, Any]) -> None:
        sys.exit(f"after {payload['title']}")

    async def leaves_too(payload: dict[str, Any]) -> None:
        leaves(payload)

    ws.on("topic_insert", leaves)
    ws.on("topic_insert", leaves_too)
    heard = Recorder(ws)
    ws.create_topic("one")
    ws.create_topic("two")
    assert [topic["title"] for topic in heard.until_now()["topic_insert"]] == ["one", "two"]

    def told(what: str) -> bool:
        return any(what in entry.text for entry in ws.debug.entries(kind="callback"))

    until(lambda: told("exit('after one')"))
    until(lambda: told("exit('after two')"))
    assert ws.generate("a fox", **SMALL).wait(60).generations[0].status == "completed"


class View:
    """What a client keeps of the feed: by row, the newest revision wins."""

    def __init__(self) -> None:
        self.revs: dict[str, int] = {}
        self.rows: dict[str, dict[str, Any]] = {}

    def apply(self, change: Any) -> None:
        if change.rev <= self.revs.get(change.id, 0):
            return
        self.revs[change.id] = change.rev
        self.rows.setdefault(change.id, {}).update(change.data)


@pytest.mark.req("LIVE-4")
def test_a_feed_applied_twice_and_repeated_at_random_gives_the_same_view(ws):
    cursor = ws.changes().cursor
    batch = ws.generate("a fox", n=3, fail=[1], delay_ms=20, width=64, height=64, steps=8).wait(60)
    batch.retry_failed()[0].wait(60)
    changes = [c for c in ws.changes(cursor).items if c.entity == "generation"]
    once, again = View(), View()
    for change in changes:
        once.apply(change)
    chance = random.Random(7)
    for place, change in enumerate(changes):
        again.apply(change)
        again.apply(change)
        again.apply(changes[chance.randint(0, place)])  # late and out of order
    assert again.rows == once.rows
    for generation in batch.all_generations():
        row, record = again.rows[generation.id], generation.record
        assert again.revs[generation.id] == record.rev
        assert (row["status"], row["progress"]) == (record.status, record.progress)
        assert row["attempt"] == record.attempt


@pytest.mark.req("LIVE-4")
def test_progress_only_grows_within_an_attempt_and_an_end_is_an_end(ws):
    gate = Gate()

    def script(request):
        if request.slots[0].index == 0:
            return [Running(1, 4), ProviderError(ErrorKind.BAD_REQUEST, "It says no.")]
        return [Running(1, 4), Running(2, 4), gate, Running(3, 4), Picture()]

    ws.add_provider(FakeProvider("slow", script=script))
    cursor = ws.changes().cursor
    batch = ws.generate("a fox", model="slow:picture", n=2)
    # Steps are written behind the stream; without the gate, all of them might be one.
    until(lambda: batch.generations[1].progress == 0.5)
    gate.open()
    batch.wait(60)
    before = [g.record for g in batch.generations]
    assert ws.cancel_all() == 0
    for generation in batch.generations:
        assert generation.cancel() is False
    assert [g.record for g in batch.generations] == before
    for generation in batch.generations:
        told = [c.data for c in ws.changes(cursor).items if c.id == generation.id]
        told = [data for data in told if "progress" in data]
        steps = [(data["attempt"], data["progress"]) for data in told]
        assert steps == sorted(steps)
        assert steps[0] == (0, 0.0)
        started = [data["progress"] for data in told if data["attempt"] == 1]
        assert started[0] == 0.0
        ends = [place for place, data in enumerate(told) if wb.is_terminal(data["status"])]
        assert ends == [len(told) - 1]
    middle = [p for data in told if 0 < (p := data["progress"]) < 1]
    assert middle  # real progress, not only a beginning and an end


@pytest.mark.req("LIVE-1")
async def test_a_cursor_older_than_what_is_kept_answers_reset(ws):
    old = ws.changes().cursor
    for number in range(20):
        ws.create_topic(f"topic {number}")
    kept = ws.changes().cursor
    ws.create_topic("kept")
    ws._store.prune_changes(keep_rows=2, keep_ms=10**12).result()
    assert ws.changes(old).reset
    assert ws.changes(old).items == ()
    page = ws.changes(kept)
    assert not page.reset
    assert [c.data.get("title") for c in page.items if c.entity == "topic"] == ["kept"]
    with pytest.raises(wb.InvalidRequest, match="too old"):
        await anext(ws.follow(since=old))


@pytest.mark.req("LIVE-1")
def test_long_fields_are_named_and_read_from_the_row(idle_ws):
    cursor = idle_ws.changes().cursor
    prompt = "ä" * 600  # 1,200 bytes
    batch = idle_ws.generate(prompt)
    (change,) = [c for c in idle_ws.changes(cursor).items if c.entity == "batch"]
    assert change.omitted == ("prompt",)
    assert "prompt" not in change.data
    assert (change.id, change.kind, change.rev) == (batch.id, "insert", 1)
    assert idle_ws.batch(change.id).prompt == prompt


@pytest.mark.req("LIVE-1", "DAT-1")
def test_inserts_updates_and_deletes_are_in_the_feed(idle_ws):
    cursor = idle_ws.changes().cursor
    topic = idle_ws.create_topic("x")
    topic.title = "y"
    topic.delete()
    idle_ws.empty_trash()
    told = [c for c in idle_ws.changes(cursor).items if c.id == topic.id]
    assert [c.kind for c in told] == ["insert", "update", "update", "delete"]
    assert [c.rev for c in told] == [1, 2, 3, 4]


@pytest.mark.req("LIVE-11", "DAT-5")
def test_every_submission_to_a_provider_is_in_the_log_pane(ws):
    batch = ws.generate("a fox", n=2, fail=[1], **SMALL).wait(60)
    made, failed = batch.generations
    attempts = ws.debug.attempts()
    assert len(attempts) == 2
    by_state = {attempt.state: attempt for attempt in attempts}
    assert set(by_state) == {"done", "failed"}
    assert by_state["failed"].error_kind == "bad_request"
    assert by_state["failed"].error_message == failed.error.message
    for generation in (made, failed):
        (attempt,) = generation.attempts
        assert attempt in attempts
        assert (attempt.provider, attempt.number) == ("builtin", 1)
        assert attempt.started_at <= attempt.finished_at
    shown = repr(ws.debug)
    assert "attempt 1 done" in shown
    assert failed.error.message in shown
    with wb.open(ws.path, user="bob", run_jobs=False) as bob:
        assert bob.debug.attempts() == []
