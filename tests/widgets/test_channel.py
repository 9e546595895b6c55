"""The channel of a widget: what a page asks, and what it is answered."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

import workbench as wb
from tests.waiting import until
from tests.widgets.page_world import Page, Slow, Wire, replace_handlers, wired
from workbench.widgets import serving
from workbench.widgets.gate import Request
from workbench.widgets.operations.context import Answer, Context
from workbench.widgets.protocol import HELLO, VERSION
from workbench.widgets.workers import Workers
from workbench.workspace.workspace import Workspace

SMALL: dict[str, Any] = {"width": 64, "height": 64, "params": {"steps": 2}}


@pytest.fixture
def wire(ws: Workspace) -> Iterator[Wire]:
    with wired(ws) as (_, wire):
        yield wire


@pytest.fixture
def page(wire: Wire) -> Page:
    page = Page(wire)
    page.hello()
    return page


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.go_on.set()


# -- requests --------------------------------------------------------------------------------------
@pytest.mark.req("LIVE-3")
def test_hello_tells_all_that_a_widget_shows(wire: Wire) -> None:
    data = Page(wire).hello()
    assert set(data) == set(HELLO)
    assert data["version"] == VERSION
    assert data["widget"] == "Workbench"


def test_a_page_of_another_version_is_asked_to_load_again(wire: Wire) -> None:
    page = Page(wire)
    assert page.error("hello", version=VERSION + 1)["code"] == "invalid_request"
    assert wire.pushes("ping") == []


@pytest.mark.req("LIVE-3", "LIVE-4")
def test_a_click_is_answered_with_rows_and_the_rest_is_pushed(ws: Workspace, page: Page) -> None:
    topic = page.call("topic.create", title="Foxes")["topic"]
    page.call("desk.set", n=1, topic_id=topic["id"])
    page.open(topic["id"])
    data = page.call("submit", client_key="k1", prompt="a fox", n=2, **SMALL)
    assert [row["batch_id"] for row in data["generations"]] == [data["batch"]["id"]] * 2
    until(lambda: page.statuses() == ["completed"] * 2, "both pictures")
    assert page.wire.threads == {"workbench-engine"}
    assert page.gaps == 0


@pytest.mark.parametrize("op", ["no.such.op", None, 5])
def test_messages_that_are_none_are_refused_and_the_page_lives_on(page: Page, op: Any) -> None:
    channel = page.wire.channel
    for content in (None, 5, [], "", {}, {"op": op}, {"rid": "x", "client": page.name, "op": op}):
        channel.receive(content, [])
        channel.receive(content, None)
    assert sum(channel.gate.counts.refused.values()) == 14
    assert "items" in page.call("trash")


@pytest.mark.req("LIVE-9")
def test_a_flood_is_refused_and_others_are_served(ws: Workspace, page: Page, slow: Slow) -> None:
    replace_handlers(page.wire, {"topic.create": slow})
    slow.within_s = 50  # longer than anything here waits for the others
    with wired(ws) as (_, other_wire):
        other = Page(other_wire)
        other.hello()
        for _ in range(3_000):
            page.send("topic.create", {"title": "x"})
        until(lambda: slow.begun, "the first of them begins")
        for _ in range(20):
            other.call("prompts")
        assert slow.ended == [], "the others waited for it"
        slow.go_on.set()
    assert page.wire.channel.gate.counts.refused["rate_limited"] > 2_500
    answers = [content for _, content in page.wire.sent if "rid" in content]
    assert len(answers) < 250
    assert page.call("trash") == {"items": []}


@pytest.mark.parametrize(
    ("error", "code", "field"),
    [
        (wb.InvalidRequest("width", "must be less."), "invalid_request", "width"),
        (wb.NotFound("topic", "x"), "not_found", None),
        (wb.NotAllowed("It is not yours."), "not_allowed", None),
        (wb.InsufficientBalance("Too dear."), "insufficient_balance", None),
        (wb.BudgetExceeded("Too dear."), "budget_exceeded", None),
        (wb.DiskFull("No space."), "disk_full", None),
        (wb.WorkspaceBusy("Held by another."), "busy", None),
        (wb.EngineClosed("Closed."), "closed", None),
        (wb.ConfigurationError("Wrong."), "invalid_request", None),
    ],
)
def test_errors_have_a_code_and_a_sentence(
    page: Page, error: wb.WorkbenchError, code: str, field: str | None
) -> None:
    def fails(context: Context, args: dict[str, Any]) -> Answer:
        raise error

    replace_handlers(page.wire, {"trash": fails})
    found = page.error("trash")
    assert (found["code"], found["field"]) == (code, field)
    assert found["message"].endswith(".")


@pytest.mark.req("LIVE-11")
def test_a_bug_is_answered_and_its_traceback_is_in_the_event_log(ws: Workspace, page: Page) -> None:
    def buggy(context: Context, args: dict[str, Any]) -> Answer:
        raise ZeroDivisionError("a bug")

    replace_handlers(page.wire, {"pause": buggy, "trash": buggy})
    for op in ("pause", "trash"):
        found = page.error(op)
        assert found["code"] == "internal"
        assert "a bug" not in found["message"]
        entry = until(
            lambda op=op: [e for e in ws.debug.entries(kind="callback") if op in e.text], "entry"
        )[0]
        assert "ZeroDivisionError: a bug" in str(entry.data["traceback"])
    assert page.call("resume")["paused"] is False


def test_an_answer_that_cannot_be_sent_is_an_error_and_the_channel_lives(
    ws: Workspace, page: Page
) -> None:
    send, sent = page.wire.send, itertools.count()

    def fails_once(content: dict[str, Any], buffers: list[bytes]) -> None:
        if content.get("ok") and next(sent) == 0:
            raise ValueError("not JSON")
        send(content, buffers)

    page.wire.channel._send_out = fails_once
    assert page.error("trash")["code"] == "internal"
    assert page.call("trash") == {"items": []}
    (entry,) = until(lambda: ws.debug.entries(kind="callback"), "entry")
    assert entry.text == "A message to a page could not be sent: ValueError('not JSON')"
    assert "fails_once" in str(entry.data["traceback"])


@pytest.mark.req("LIVE-11")
def test_a_message_that_cannot_be_taken_is_told_in_the_event_log_and_the_channel_lives(
    ws: Workspace, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def buggy(content: object, buffers: object) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(page.wire.channel.gate, "check", buggy)
        page.send("trash")
        (entry,) = until(lambda: ws.debug.entries(kind="callback"), "entry")
    assert entry.text == "A message of a page could not be taken: ZeroDivisionError('a bug')"
    assert "buggy" in str(entry.data["traceback"])
    assert page.call("trash") == {"items": []}


def test_a_click_that_is_repeated_is_done_once_and_answered_again(
    ws: Workspace, page: Page
) -> None:
    first = page.answer(page.send("topic.create", {"title": "Once"}, rid="again-1"))
    page._answers.clear()
    second = page.answer(page.send("topic.create", {"title": "Once"}, rid="again-1"))
    assert first == second
    assert [topic.title for topic in ws.topics()] == ["Once"]
    other = Page(page.wire)
    third = other.answer(other.send("topic.create", {"title": "Other"}, rid="again-1"))
    assert third["data"]["topic"]["title"] == "Other"


def test_a_failed_click_that_is_repeated_fails_the_same_way(page: Page) -> None:
    args = {"generation_id": "0" * 26}
    first = page.answer(page.send("retry", args, rid="again-2"))
    page._answers.clear()
    assert page.answer(page.send("retry", args, rid="again-2")) == first
    assert first["error"]["code"] == "not_found"


def test_only_so_many_answers_are_remembered(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "REMEMBERED", 3)
    for n in range(6):
        page.call("topic.create", title=f"t{n}")
    assert len(page.wire.channel._serving._answers) == 3


@pytest.mark.req("LIVE-9")
def test_clicks_keep_their_order_and_looks_overtake_them(page: Page, slow: Slow) -> None:
    replace_handlers(page.wire, {"topic.create": slow})
    rids = [page.send("topic.create", {"title": f"t{n}"}) for n in range(5)]
    until(lambda: slow.begun, "the first one begins")
    assert "items" in page.call("trash")
    assert slow.begun == ["t0"]
    slow.go_on.set()
    for rid in rids:
        page.answer(rid)
    assert slow.begun == [f"t{n}" for n in range(5)]


@pytest.mark.req("LIVE-9")
def test_pictures_delay_neither_clicks_nor_looks(page: Page, slow: Slow) -> None:
    replace_handlers(page.wire, {"thumbs": slow, "file.open": slow, "upload.begin": slow})
    ids = ["0" * 26]
    for _ in range(30):
        page.send("thumbs", {"ids": ids})
    page.send("file.open", {"kind": "zip", "id": ids[0]})
    page.send("upload.begin", {"name": "x", "size": 5})
    until(lambda: slow.begun, "pictures are worked on")
    assert page.call("topic.create", title="Now")["topic"]["title"] == "Now"
    assert page.call("trash") == {"items": []}


def test_a_slow_click_of_one_widget_does_not_hold_up_another(
    ws: Workspace, page: Page, slow: Slow
) -> None:
    replace_handlers(page.wire, {"pause": slow})
    page.send("pause")
    until(lambda: slow.begun, "it begins")
    with wired(ws) as (_, wire):
        other = Page(wire)
        other.hello()
        assert other.call("resume")["paused"] is False


def test_what_is_aborted_is_not_begun_and_not_answered(page: Page, slow: Slow) -> None:
    replace_handlers(page.wire, {"thumbs": slow})
    rids = [page.send("thumbs", {"ids": ["0" * 26]}) for _ in range(6)]
    until(lambda: len(slow.begun) == 2, "as many as there are threads begin")
    for rid in rids:
        page.send("abort", {"request": rid})
    page.call("trash")
    slow.go_on.set()
    last = page.send("thumbs", {"ids": ["0" * 26]})
    page.answer(last)
    assert not any(map(page.answered, rids))
    assert len(slow.begun) == 3


async def test_what_is_aborted_before_its_first_step_leaves_no_work_behind() -> None:
    answered: list[str] = []
    begun: list[str] = []

    async def work() -> Answer:
        begun.append("work")
        return Answer({})

    async with asyncio.timeout(45):
        serves = serving.Serving(
            {}, Workers(None), lambda _, rid, __: answered.append(rid), print, print
        )
        left = work()
        serves.start(Request("thumbs", "r1", "page", {}), left)
        serves.abort("page", "r1")  # in the same turn of the loop
        await asyncio.gather(*serves.close(), return_exceptions=True)
        await asyncio.sleep(0)
    assert inspect.getcoroutinestate(left) == inspect.CORO_CLOSED
    assert (begun, answered) == ([], [])


def test_a_click_cannot_be_aborted(page: Page, slow: Slow) -> None:
    replace_handlers(page.wire, {"pause": slow, "upload.begin": slow})
    rids = [page.send("pause"), page.send("upload.begin", {"name": "x", "size": 1})]
    until(lambda: len(slow.begun) == 2, "they begin")
    for rid in rids:
        page.send("abort", {"request": rid})
    page.call("trash")
    slow.go_on.set()
    for rid in rids:
        assert page.answer(rid)["ok"]


def test_too_much_at_once_is_refused(
    page: Page, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "MOST_RUNNING", 4)
    monkeypatch.setattr(serving, "MOST_QUEUED", 3)
    replace_handlers(page.wire, {"thumbs": slow, "topic.create": slow})
    looks = [page.send("thumbs", {"ids": ["0" * 26]}) for _ in range(5)]
    assert page.answer(looks[-1])["error"]["code"] == "busy"
    clicks = [page.send("topic.create") for _ in range(6)]
    assert page.answer(clicks[-1])["error"]["code"] == "busy"
