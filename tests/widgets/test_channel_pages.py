"""The channel of a widget: pages that come, sleep and go, and the end of it all."""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import workbench as wb
from tests.waiting import until
from tests.widgets.page_world import (
    ALL,
    Page,
    Slow,
    Wire,
    fall_silent,
    page_threads,
    replace_handlers,
    wired,
)
from workbench.widgets import channel as channel_module
from workbench.widgets import client as clients
from workbench.widgets import turns
from workbench.widgets.channel import Channel
from workbench.widgets.desk import Desk
from workbench.widgets.operations.context import Answer, Context
from workbench.widgets.operations.snapshot import snapshot
from workbench.widgets.protocol import PING_EVERY_S, VERSION
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


# -- pages that come and go ------------------------------------------------------------------------
@pytest.mark.req("LIVE-3")
def test_without_a_page_nothing_is_published(ws: Workspace, wire: Wire) -> None:
    ws.generate("a fox", width=64, height=64, steps=2).wait(30)
    Desk.of(ws, "test").change({"draft": "typed"})
    time.sleep(1.0)
    assert wire.sent == []


@pytest.mark.req("LIVE-9")
def test_threads_take_short_turns_while_a_page_is_there(ws: Workspace) -> None:
    before = sys.getswitchinterval()
    with wired(ws) as (_, wire), wired(ws) as (_, other):
        first, second = Page(wire), Page(other)
        first.hello()
        second.hello()
        assert sys.getswitchinterval() == pytest.approx(turns.TURN_S)
        fall_silent(second)
        until(lambda: other.channel._stop_listening == [], "the second page asleep")
        assert sys.getswitchinterval() == pytest.approx(turns.TURN_S)
        fall_silent(first)
        until(lambda: sys.getswitchinterval() == pytest.approx(before), "the first page asleep")


def test_turns_that_somebody_sets_meanwhile_stay() -> None:
    before = sys.getswitchinterval()
    put_back = turns.shorten()
    try:
        sys.setswitchinterval(0.002)
        put_back()
        assert sys.getswitchinterval() == pytest.approx(0.002)
    finally:
        sys.setswitchinterval(before)


@pytest.mark.req("LIVE-6")
def test_pings_come_while_a_page_answers_and_end_when_it_is_silent(wire: Wire) -> None:
    page = Page(wire)
    page.hello()
    until(lambda: len(page.heard("ping")) >= 6, "pings")
    times = [at for at, content in wire.sent if content.get("push") == "ping"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap > PING_EVERY_S * 0.9 for gap in gaps)
    assert PING_EVERY_S < 1.0
    assert min(gaps) < 2.0  # a machine pauses now and then, not each time
    numbers = [ping["n"] for ping in page.heard("ping")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert wire.channel.pages == 1
    fall_silent(page)
    assert wire.channel.pages == 0
    until(lambda: wire.channel._stop_listening == [], "nobody listens any more")
    count = len(wire.sent)
    time.sleep(1.5)
    assert len(wire.sent) == count


def test_a_page_that_says_goodbye_is_forgotten_at_once(page: Page) -> None:
    page.send("bye")
    until(lambda: page.wire.channel.pages == 0, "it is forgotten")
    page.hello()
    assert page.wire.channel.pages == 1


@pytest.mark.req("LIVE-5")
def test_a_page_that_slept_asks_what_it_missed_and_gets_exactly_that(
    ws: Workspace, wire: Wire
) -> None:
    topic = ws.create_topic("Foxes")
    before = ws.generate("before", topic=topic, width=64, height=64, steps=2).wait(30)
    page = Page(wire)
    Desk.of(ws, "test").change({"topic_id": topic.id})
    page.hello()
    fall_silent(page)
    assert wire.channel.pages == 0
    page.pushes.clear()
    made = ws.generate("a fox", n=3, topic=topic, width=64, height=64, steps=2).wait(30)
    page.pongs = page.acks = True
    delta = page.since()
    told = {row["id"] for row in delta["rows"] if row["e"] == "generation"}
    assert told == {g.id for g in made.generations}
    assert not told & {g.id for g in before.generations}
    assert len(delta["rows"]) < 8
    assert page.statuses() == ["completed"] * 4
    until(lambda: page.heard("desk"), "the desk, which may have changed meanwhile")
    ws.generate("an owl", topic=topic, width=64, height=64, steps=2).wait(30)
    until(lambda: page.statuses() == ["completed"] * 5, "and it is live again")


@pytest.mark.req("LIVE-5", "LIVE-6")
def test_a_page_that_hears_the_pings_of_others_and_is_told_nothing_is_called_back(
    ws: Workspace, wire: Wire
) -> None:
    topic = ws.create_topic("Foxes")
    page, other = Page(wire), Page(wire)
    page.hello()
    other.hello()
    Desk.of(ws, "test").change({"topic_id": topic.id})
    page.send("bye")  # said by somebody else in its name
    until(lambda: page.gaps > 0, "it hears that it missed something")
    page.since()
    gaps = page.gaps  # it hears it again as long as it has not asked
    ws.generate("a fox", topic=topic, width=64, height=64, steps=2).wait(30)
    until(lambda: page.statuses() == ["completed"], "it is told again")
    assert page.gaps == gaps
    assert other.gaps == 0


@pytest.mark.req("LIVE-5")
def test_a_gap_is_healed_with_since(ws: Workspace, page: Page) -> None:
    topic = ws.create_topic("Foxes")
    page.call("desk.set", n=1, topic_id=topic.id)
    page.open(topic.id)
    until(lambda: page.wire.channel._clients.get(page.name).acked == page.cursor, "all is told")
    page.cursor = "v1.somebody.1"  # what it had is lost
    ws.generate("a fox", topic=topic, width=64, height=64, steps=2).wait(30)
    until(lambda: page.gaps, "a delta that does not fit")
    assert page.since()["reset"]
    page.hello()
    assert page.statuses() == ["completed"]
    page.cursor, page.gaps = page.cursor, 0
    ws.generate("a fox", topic=topic, width=64, height=64, steps=2).wait(30)
    until(lambda: page.statuses() == ["completed"] * 2, "it follows again")


@pytest.mark.req("LIVE-7")
def test_pages_of_two_widgets_and_of_one_follow_the_same_workspace(
    ws: Workspace, wire: Wire
) -> None:
    with wired(ws) as (_, other_wire):
        pages = [Page(wire), Page(wire), Page(other_wire)]
        for page in pages:
            page.hello()
        topic = pages[0].call("topic.create", title="Foxes")["topic"]
        # The desk takes the first topic that there is, which would go together with what follows.
        for page in pages:
            until(
                lambda page=page: any(
                    d["desk"]["topic_id"] == topic["id"] for d in page.heard("desk")
                ),
                "the desk takes it",
            )
        pages[0].call("desk.set", n=7, topic_id=topic["id"], draft="typed")
        for page in pages:
            until(
                lambda page=page: [d for d in page.heard("desk") if d["desk"]["draft"] == "typed"],
                "the desk",
            )
            push = page.heard("desk")[-1]
            assert (push["from_client"], push["from_n"]) == (pages[0].name, 7)
            page.open(topic["id"])
        pages[0].call("submit", client_key="k", prompt="a fox", n=2, **SMALL)
        for page in pages:
            until(lambda page=page: page.statuses() == ["completed"] * 2, "both pictures")
            assert page.of("generation") == pages[0].of("generation")


def test_another_process_is_followed_through_the_feed(ws: Workspace, page: Page) -> None:
    other = wb.open(ws.path, user="ada", run_jobs=False)
    try:
        topic = other.create_topic("From elsewhere")
        until(lambda: topic.id in page.of("topic"), "the topic")
    finally:
        other.close()


def test_changes_of_the_desk_that_come_together_go_together(ws: Workspace, page: Page) -> None:
    desk = Desk.of(ws, "test")
    page.pushes.clear()
    for n in range(500):
        desk.change({"draft": f"typed {n}"})
    until(
        lambda: page.heard("desk") and page.heard("desk")[-1]["desk"]["draft"] == "typed 499",
        "the last change",
    )
    assert len(page.heard("desk")) < 60
    assert {push["from_client"] for push in page.heard("desk")} == {None}
    revs = [push["rev"] for push in page.heard("desk")]
    assert revs == sorted(revs)


def test_a_change_of_the_desk_during_the_greeting_is_not_missed(
    ws: Workspace, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(context: Context, scopes: frozenset[str]) -> dict[str, Any]:
        data = snapshot(context, scopes)
        Desk.of(ws, "test").change({"draft": "typed meanwhile"})
        return data

    monkeypatch.setattr(channel_module, "snapshot", slowly)
    page = Page(wire)
    assert page.hello()["desk"]["draft"] == ""

    def told() -> list[str]:  # it has no use for what came before the greeting
        later = page.pushes[page.greeted :]
        return [push["desk"]["draft"] for push in later if push["push"] == "desk"]

    until(told, "the desk")
    assert told()[-1] == "typed meanwhile"


def test_what_python_says_before_there_is_a_page_reaches_the_first(wire: Wire) -> None:
    wire.channel.notify("disk_full", "No space.", "warning")
    wire.channel.open_lightbox("0" * 26)
    wire.channel.tell_feed("refresh")
    time.sleep(0.2)
    assert wire.sent == []
    page = Page(wire)
    page.hello()
    until(lambda: page.heard("open"), "the picture")
    assert page.heard("notice")[0]["message"] == "No space."
    assert page.heard("feed") == []
    wire.channel.tell_feed("more")
    until(lambda: page.heard("feed"), "the wish")
    wire.channel.open_lightbox("1" * 26)
    until(lambda: len(page.heard("open")) == 2, "the second picture")
    assert page.heard("open")[1]["generation_id"] == "1" * 26


@pytest.fixture
def nobody_looks_at_the_disk(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has space: a look would take back what was told, sooner or later."""

    def away() -> bool:
        raise FileNotFoundError

    monkeypatch.setattr(ws._engine, "disk_is_full", away)
    monkeypatch.setattr(channel_module, "SAME_NOTICE_S", 3600.0)


@pytest.mark.usefixtures("nobody_looks_at_the_disk")
def test_a_full_disk_is_told_to_the_other_pages_too(wire: Wire) -> None:
    def fails(context: Context, args: dict[str, Any]) -> Answer:
        raise wb.DiskFull("There is no space left.")

    page = Page(wire)
    page.hello()
    other = Page(page.wire)
    other.hello()
    replace_handlers(page.wire, {"pause": fails})
    for _ in range(3):
        assert page.error("pause")["code"] == "disk_full"
    until(lambda: other.heard("notice"), "the notice")
    assert [n["message"] for n in other.heard("notice")] == ["There is no space left."]
    assert page.heard("notice") == []


@pytest.mark.usefixtures("nobody_looks_at_the_disk")
def test_pictures_that_wait_for_disk_space_are_told(
    ws: Workspace, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(wire)
    page.hello()
    topic = ws.create_topic("Foxes")
    page.call("desk.set", n=1, topic_id=topic.id)
    page.open(topic.id)

    def full(data: bytes, *, source: str) -> Any:
        raise wb.DiskFull("There is no space left.")

    with monkeypatch.context() as patch:
        patch.setattr(ws._engine.media, "admit", full)
        batch = ws.generate("a fox", topic=topic, width=64, height=64, steps=2)
        until(lambda: page.heard("notice"), "the notice")
    (notice,) = page.heard("notice")
    assert (notice["code"], notice["level"]) == ("disk_full", "error")
    assert "wait" in notice["message"]
    batch.cancel()


def test_a_full_disk_is_told_while_nothing_can_be_written_and_taken_back_when_there_is_space(
    ws: Workspace, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "_PINGS_PER_LOOK", 2)
    with monkeypatch.context() as patch:
        patch.setattr(ws._engine.media.files, "free_bytes", lambda: 1000)
        until(lambda: page.heard("notice"), "the notice")
        assert page.heard("notice")[0]["code"] == "disk_full"
        assert "wait" in page.heard("notice")[0]["message"]
    until(lambda: page.heard("notice")[-1]["message"] == "", "its end")
    assert page.heard("notice")[-1]["code"] == "disk_full"


def test_a_page_that_says_goodbye_while_it_is_greeted_stays_gone(wire: Wire) -> None:
    asked = []
    for _ in range(20):
        page = Page(wire)
        asked.append((page, page.send("hello", {"version": VERSION})))
        page.send("bye")
    for page, rid in asked:
        page.answer(rid)
    assert Page(wire).call("trash") == {"items": []}  # which comes after the last goodbye
    until(lambda: not wire.channel._serving._running, "all is answered")
    until(lambda: wire.channel._beating is None or wire.channel._beating.done(), "no more pings")
    assert wire.channel.pages == 0
    assert wire.channel._followers == {}


def test_somebody_who_makes_up_pages_gets_no_further_than_a_few(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "MOST_ALIVE", 3)
    monkeypatch.setattr(clients, "MOST_PAGES", 5)
    pages = [Page(wire) for _ in range(7)]
    for page in pages[:3]:
        page.hello()
    assert pages[3].error("hello", version=VERSION)["code"] == "not_allowed"
    assert pages[4].call("trash") == {"items": []}
    assert pages[5].call("trash") == {"items": []}  # in the place of one that never lived
    assert wire.channel.pages == 3
    assert len(wire.channel._clients._known) == 5


@pytest.mark.req("LIVE-3")
def test_far_fewer_than_300_messages_a_second_however_busy_it_is(ws: Workspace, page: Page) -> None:
    topic = ws.create_topic("Busy")
    page.call("desk.set", n=1, topic_id=topic.id)
    page.open(topic.id)
    start = time.monotonic()
    sent = len(page.wire.sent)
    batches = [
        ws.generate(f"fox {n}", n=8, topic=topic, width=64, height=64, steps=8) for n in range(4)
    ]
    for batch in batches:
        batch.wait(50)
    until(lambda: page.statuses() == ["completed"] * 32, "all of them")
    seconds = time.monotonic() - start
    assert len(page.wire.sent) - sent <= 12 * seconds + 12
    assert page.gaps == 0


# -- the end ---------------------------------------------------------------------------------------
@pytest.mark.req("LIVE-3")
def test_a_closed_channel_tells_its_pages_and_leaves_nothing_behind(ws: Workspace) -> None:
    subscribed = len(ws._engine.hub._subscribers)
    until(lambda: not page_threads(), "those of the test before end")
    with wired(ws) as (channel, wire):
        page = Page(wire)
        page.hello()
        page.call("trash")
        assert page_threads()
        channel.close()
        assert page.heard("closed")
        channel.close()
        assert page.error("trash")["code"] == "closed"
        page.send("pong", {"n": 1})  # is not answered
        channel.notify("x", "Nobody reads it.")
    until(lambda: not channel._tasks, "all tasks end")
    assert channel.close not in ws._subscriptions
    assert len(ws._engine.hub._subscribers) <= subscribed
    until(lambda: not page_threads(), "the threads end")
    assert channel._clients.alive() == []


@pytest.mark.req("LIVE-3")
def test_a_workspace_that_is_closed_under_it_is_told(workspace_home: Any) -> None:
    workspace = wb.open(workspace_home / "ws", user="ada")
    with wired(workspace) as (channel, wire):
        page = Page(wire)
        page.hello()
        workspace.close()
        assert page.heard("closed")
        assert page.error("trash")["code"] == "closed"
        assert page.error("hello", version=VERSION)["code"] == "closed"
        channel.notify("x", "Nobody reads it.")
        channel.open_lightbox("0" * 26)
    until(lambda: not page_threads(), "the threads end")


def test_another_workspace_on_the_same_engine_goes_on(ws: Workspace, page: Page) -> None:
    second = wb.open(ws.path, user="ada")
    with wired(second) as (_, wire):
        other = Page(wire)
        other.hello()
        second.close()
        assert other.heard("closed")
        assert other.error("trash")["code"] == "closed"
    assert page.call("trash") == {"items": []}


def test_it_closes_while_everything_is_under_way(ws: Workspace, slow: Slow) -> None:
    with wired(ws) as (channel, wire):
        page = Page(wire)
        page.hello()
        replace_handlers(wire, {"pause": slow, "thumbs": slow, "trash": slow})
        page.send("pause")
        page.send("resume")
        page.send("trash")
        page.send("thumbs", {"ids": ["0" * 26]})
        until(lambda: len(slow.begun) == 3, "they begin")
        channel.close()
        assert slow.ended == [], "it waited for what threads are doing"
        slow.go_on.set()
    time.sleep(0.2)
    assert not [c for _, c in wire.sent if "rid" in c and c.get("data", {}).get("begun")]


@pytest.mark.req("LIVE-3", "LIVE-11")
def test_many_pages_that_come_ask_and_go_leave_nothing_and_fail_nothing(ws: Workspace) -> None:
    topic = ws.create_topic("Foxes")
    ws.generate("a fox", n=4, topic=topic, width=64, height=64, steps=2)
    ops: list[tuple[str, dict[str, Any]]] = [
        ("hello", {"version": VERSION}),
        ("hello", {"version": VERSION}),
        ("since", {"cursor": ws.changes().cursor}),
        ("since", {"cursor": "v1.x.1"}),
        ("topic.open", {"topic_id": topic.id}),
        ("topic.open", {"topic_id": "0" * 26}),
        ("desk.set", {"n": 1, "topic_id": topic.id, "draft": "x"}),
        ("topic.create", {}),
        ("abort", {"request": "again-3"}),
        ("pong", {"n": 1}),
        ("ack", {"cursor": "x"}),
        ("prompts", {}),
        ("bye", {}),
    ]
    with wired(ws) as (channel, wire):
        end = time.monotonic() + 3.0

        def enough() -> bool:  # on a slow machine it takes longer, but it ends in any case
            now = time.monotonic()
            return now > end and (channel.gate.counts.passed > 200 or now > end + 30)

        def torment(seed: int) -> None:
            chance = random.Random(seed)
            pages = [Page(wire) for _ in range(4)]
            while not enough():
                page = chance.choice(pages)
                op, args = chance.choice(ops)
                page.send(op, args, rid=f"again-{chance.randrange(50)}")
                time.sleep(chance.random() * 0.02)

        threads = [threading.Thread(target=torment, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        while not enough():
            ws.generate("an owl", topic=topic, width=64, height=64, steps=2)
            time.sleep(0.3)
        channel.close()  # in the middle of it
        for thread in threads:
            thread.join()
    until(lambda: not channel._tasks, "all tasks end")
    until(lambda: not page_threads(), "the threads end")
    assert [entry.text for entry in ws.debug.entries(kind="callback")] == []
    assert channel.gate.counts.passed > 200


def test_it_can_be_closed_on_the_engines_own_thread(ws: Workspace) -> None:
    with wired(ws) as (channel, wire):
        page = Page(wire)
        page.hello()

        async def close() -> None:
            channel.close()

        ws._engine.loop.submit(close()).result(45)
        assert page.heard("closed")


def test_files_that_a_page_left_open_are_closed(ws: Workspace, wire: Wire) -> None:
    (generation,) = ws.generate("a fox", width=64, height=64, steps=2).wait(30).generations
    page = Page(wire)
    page.hello()
    opened = page.call("file.open", kind="image", id=generation.id)
    files = wire.channel._clients.get(page.name).files
    assert len(files) == 1
    fall_silent(page)
    until(lambda: len(files) == 0, "it is closed")
    assert page.error("file.read", handle=opened["handle"], offset=0)["code"] == "not_found"
    again = page.call("file.open", kind="image", id=generation.id)
    assert page.call("file.read", handle=again["handle"], offset=0)["size"] > 0


def test_a_channel_of_a_closed_workspace_cannot_be_opened(workspace_home: Any) -> None:
    workspace = wb.open(workspace_home / "ws", user="ada")
    desk = Desk.of(workspace, "test")
    workspace.close()
    with pytest.raises(wb.EngineClosed):
        Channel(
            send=lambda content, buffers: None,
            workspace=workspace,
            desk=desk,
            widget="Workbench",
            scopes=ALL,
        )
    until(lambda: not page_threads(), "no thread is left")
