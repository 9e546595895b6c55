"""What a page is told of changes: whole current rows, each once, of what it looks at."""

from __future__ import annotations

import asyncio
import functools
import itertools
import selectors
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest

import workbench as wb
from tests.waiting import until
from tests.widgets.page_world import ALL, Page, wired
from workbench.testing.providers import FakeProvider
from workbench.widgets import follower
from workbench.widgets.client import Client
from workbench.widgets.follower import Delta, Follower, Reader
from workbench.widgets.rows import Rows
from workbench.workspace.workspace import Workspace

SMALL: dict[str, Any] = {"width": 64, "height": 64, "steps": 2}


class Looking:
    """Reads deltas as a page would that has a topic open."""

    def __init__(self, workspace: Workspace, scopes: frozenset[str] = ALL) -> None:
        self.topic: str | None = None
        self.others: list[str] = []
        self.reader = Reader(workspace, scopes, lambda: self.topic)
        self.cursor = workspace.changes().cursor

    def read(self, *, due: set[str] | None = None, held: set[str] | None = None) -> Delta:
        delta = self.reader.read(self.cursor, lambda: self.others, due or set(), held or set())
        self.cursor = delta.cursor
        return delta

    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        delta = self.read()
        found = {(row["e"], row["id"]): row for row in delta.rows}
        assert len(found) == len(delta.rows), "a row twice"
        return found


@pytest.fixture
def looking(idle_ws: Workspace) -> Looking:
    return Looking(idle_ws)


@pytest.mark.req("LIVE-1", "LIVE-8")
def test_a_request_is_told_with_whole_rows(idle_ws: Workspace, looking: Looking) -> None:
    topic = idle_ws.create_topic("Foxes")
    looking.topic = topic.id
    looking.rows()
    batch = idle_ws.generate("a fox", n=3, topic=topic, **SMALL)
    rows = looking.rows()
    ids = [generation.id for generation in batch.generations]
    assert {key for key in rows if key[0] == "generation"} == {("generation", id) for id in ids}
    for id, row in Rows(idle_ws).generations(ids).items():
        assert rows["generation", id] == {
            "e": "generation", "id": id, "k": "put", "rev": row["rev"], "d": row,
        }  # fmt: skip
    assert rows["batch", batch.id]["d"]["prompt"] == "a fox"
    assert looking.rows() == {}


@pytest.mark.req("LIVE-5")
def test_many_changes_of_a_row_are_one_row_as_it_is_now(
    idle_ws: Workspace, looking: Looking
) -> None:
    batch = idle_ws.generate("a fox", **SMALL)
    looking.topic = batch.topic.id
    batch.cancel()
    batch.topic.title = "First"
    batch.topic.title = "Second"
    rows = looking.rows()
    (generation,) = batch.generations
    assert rows["generation", generation.id]["d"]["status"] == "cancelled"
    assert rows["topic", batch.topic.id]["d"]["title"] == "Second"


@pytest.mark.req("LIVE-8")
def test_other_topics_tell_only_how_many_images_they_have(ws: Workspace) -> None:
    looking = Looking(ws)
    shown, other = ws.create_topic("Shown"), ws.create_topic("Other")
    looking.topic = shown.id
    looking.rows()
    ws.generate("a fox", topic=other, **SMALL).wait(30)
    rows = looking.rows()
    assert not [key for key in rows if key[0] in ("generation", "batch")]
    assert rows["topic", other.id]["d"]["images"] == 1
    looking.others = [other.id]
    (again,) = ws.generate("an owl", topic=other, **SMALL).wait(30).generations
    assert looking.rows()["generation", again.id]["d"]["status"] == "completed"


@pytest.mark.req("TOP-7")
def test_a_project_comes_back_with_its_topics(idle_ws: Workspace, looking: Looking) -> None:
    project, elsewhere = idle_ws.create_project("Trips"), idle_ws.create_topic("Elsewhere")
    topic = idle_ws.create_topic("Birds", project=project)
    looking.rows()
    project.delete()
    rows = looking.rows()
    assert rows["project", project.id]["k"] == "gone"  # the page drops its topics with it
    project.restore()
    rows = looking.rows()
    assert rows["project", project.id]["k"] == "put"
    assert rows["topic", topic.id]["d"]["title"] == "Birds"
    assert ("topic", elsewhere.id) not in rows


def test_a_deleted_batch_is_gone_and_comes_back_with_its_generations(
    idle_ws: Workspace, looking: Looking
) -> None:
    batch = idle_ws.generate("a fox", n=2, **SMALL)
    batch.cancel()
    looking.topic = batch.topic.id
    looking.rows()
    batch.delete()
    rows = looking.rows()
    assert rows["batch", batch.id]["k"] == "gone"
    assert "d" not in rows["batch", batch.id]
    batch.restore()
    rows = looking.rows()
    assert rows["batch", batch.id]["k"] == "put"
    for generation in batch.generations:
        assert rows["generation", generation.id]["d"]["status"] == "cancelled"


def test_a_deleted_generation_and_a_deleted_topic_are_gone(ws: Workspace) -> None:
    looking = Looking(ws)
    batch = ws.generate("a fox", n=2, **SMALL).wait(30)
    looking.topic = batch.topic.id
    looking.rows()
    first, _second = batch.generations
    first.delete()
    rows = looking.rows()
    assert rows["generation", first.id]["k"] == "gone"
    assert rows["topic", batch.topic.id]["d"]["images"] == 1
    batch.topic.delete()
    assert looking.rows()["topic", batch.topic.id]["k"] == "gone"


def test_a_judgement_is_told_with_the_row_of_its_generation(ws: Workspace) -> None:
    looking = Looking(ws)
    (generation,) = ws.generate("a fox", **SMALL).wait(30).generations
    looking.topic = generation.batch.topic.id
    looking.rows()
    generation.rating = 4
    assert looking.rows()["generation", generation.id]["d"]["rating"] == 4
    looking.topic = None
    generation.rating = 5
    assert looking.rows() == {}


def test_bookings_are_summed_up_and_say_what_is_left(idle_ws: Workspace, looking: Looking) -> None:
    before = int(idle_ws.balance * 1_000_000)
    idle_ws.grant(5, "first")
    idle_ws.grant(7, "second")
    row = looking.rows()["balance", "token"]
    assert row["d"]["change_micro"] == 12_000_000
    assert row["d"]["amount_micro"] == before + 12_000_000
    assert row["d"]["reason"] == "second"


def test_the_queue_and_prices_are_told(idle_ws: Workspace, looking: Looking) -> None:
    idle_ws.pause()
    rows = looking.rows()
    assert rows["queue", "queue"]["d"] == {"paused": True, "ahead": None}
    idle_ws.resume()
    newer = looking.rows()
    assert newer["queue", "queue"]["d"] == {"paused": False, "ahead": None}
    assert newer["queue", "queue"]["rev"] > rows["queue", "queue"]["rev"]
    idle_ws.set_price(idle_ws.models()[0].id, 3)
    assert ("models", "models") in looking.rows()
    assert looking.rows() == {}
    idle_ws.add_provider(FakeProvider("newcomer"))
    assert ("models", "models") in looking.rows()


def test_a_widget_is_told_only_what_it_shows(ws: Workspace) -> None:
    looking = Looking(ws, frozenset(("balance",)))
    batch = ws.generate("a fox", **SMALL).wait(30)
    looking.topic = batch.topic.id
    ws.grant(1)
    assert {kind for kind, _ in looking.rows()} == {"balance"}


def test_nobody_elses_rows_are_told(idle_ws: Workspace, bob: Workspace) -> None:
    looking = Looking(bob)
    batch = idle_ws.generate("a fox", **SMALL)
    looking.topic = batch.topic.id
    looking.others = [batch.topic.id]
    idle_ws.grant(5)
    assert looking.rows() == {}


@pytest.mark.req("LIVE-1")
@pytest.mark.parametrize("cursor", ["", "nonsense", "v1.abc.1", "v1.01abc.99999999"])
def test_a_cursor_that_is_none_of_ours_starts_anew(looking: Looking, cursor: str) -> None:
    looking.cursor = cursor
    delta = looking.read()
    assert (delta.reset, delta.rows) == (True, [])
    assert not looking.read().reset


@pytest.mark.req("LIVE-5")
def test_a_long_absence_is_told_in_few_pieces(
    idle_ws: Workspace, looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "MOST_ROWS", 30)
    monkeypatch.setattr(follower, "PAGE", 10)
    topic = idle_ws.create_topic("Foxes")
    looking.topic = topic.id
    made = [idle_ws.generate(f"fox {n}", n=8, topic=topic, **SMALL) for n in range(12)]
    deltas = []
    while not deltas or deltas[-1].more:
        deltas.append(looking.read())
    assert 3 <= len(deltas) <= 6
    told = [row["id"] for delta in deltas for row in delta.rows if row["e"] == "generation"]
    assert sorted(told) == sorted(g.id for batch in made for g in batch.generations)


def test_what_is_opened_while_the_feed_is_being_read_is_not_missed(
    idle_ws: Workspace, looking: Looking
) -> None:
    batch = idle_ws.generate("a fox", **SMALL)
    asked: list[str] = []

    def topics() -> list[str]:
        asked.append("after the feed")
        return [batch.topic.id]

    delta = looking.reader.read(looking.cursor, topics, set(), set())
    assert asked
    assert [row for row in delta.rows if row["e"] == "generation"]


def test_the_number_of_a_large_topic_waits_its_turn(ws: Workspace) -> None:
    looking = Looking(ws)
    batch = ws.generate("a fox", n=2, **SMALL).wait(30)
    looking.rows()
    cover = Rows(ws).topics([batch.topic.id])[batch.topic.id]["cover_id"]
    next(g for g in batch.generations if g.id != cover).delete()  # else the topic changes, too
    delta = looking.read(held={batch.topic.id})
    assert (delta.counts, delta.held) == ({}, {batch.topic.id})
    assert looking.read(due={batch.topic.id}).counts == {batch.topic.id: 1}
    batch.topic.title = "Told in any case"
    delta = looking.read(held={batch.topic.id})
    assert (delta.counts, delta.held) == ({batch.topic.id: 1}, set())


# -- pace ------------------------------------------------------------------------------------------
class Jumps(selectors.BaseSelector):
    """Waits for nothing: where there is nothing to do, it is as late as the loop wants it to be."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._of_system = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = self._of_system.select(0)
        assert found or timeout is not None, "nothing will ever happen"
        if not found:
            self.now += max(timeout or 0.0, 0.0)
        return found

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._of_system.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._of_system.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._of_system.get_map()

    def close(self) -> None:
        self._of_system.close()


def in_a_time_of_its_own(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a loop whose seconds pass at once; no pause of the machine is in them."""

    def loop() -> asyncio.AbstractEventLoop:
        jumps = Jumps()
        made = asyncio.SelectorEventLoop(jumps)
        made.time = lambda: jumps.now  # type: ignore[method-assign]
        return made

    @functools.wraps(test)
    def run(*args: Any, **named: Any) -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(test(*args, **named))

    return run


class Feed:
    """A feed of numbers, and a page that takes them."""

    def __init__(self) -> None:
        self.newest = 0
        self.reads = 0
        self.fail: list[Exception] = []
        self.more_until = 0
        self.client = Client("page-0001", 0.0, alive=True)
        self.sent: list[tuple[float, dict[str, Any]]] = []
        self.troubles: list[Exception] = []
        self.acks = True

    async def read(self, since: str, due: set[str], held: set[str]) -> Delta:
        self.reads += 1
        await asyncio.sleep(0)
        if self.fail:
            raise self.fail.pop()
        rows = [{"e": "models", "id": str(n)} for n in range(int(since), self.newest)]
        return Delta(str(self.newest), rows)

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append((asyncio.get_running_loop().time(), message))
        if self.acks:
            asyncio.get_running_loop().call_soon(self.client.ack, message["cursor"])

    def change(self) -> None:
        self.newest += 1
        self.client.woken.set()

    def start(self) -> asyncio.Task[None]:
        self.client.start("0")
        work = Follower(self.client, self.read, self.send, self.troubles.append).run()
        return asyncio.create_task(work)


async def eventually(holds: Any, patience_s: float = 8.0) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + patience_s
    while not holds():
        assert loop.time() < end
        await asyncio.sleep(0.01)


@pytest.mark.req("LIVE-3")
@in_a_time_of_its_own
async def test_the_first_delta_leaves_at_once_and_then_ten_a_second_at_most() -> None:
    feed = Feed()
    task = feed.start()
    await asyncio.sleep(0.15)
    clock = asyncio.get_running_loop().time
    feed.change()
    start = clock()
    await eventually(lambda: feed.sent, 1.0)
    assert feed.sent[0][0] - start < 0.05
    start = clock()
    while clock() - start < 1.0:
        feed.change()
        await asyncio.sleep(0.002)
    await eventually(lambda: feed.sent[-1][1]["cursor"] == str(feed.newest))
    times = [at for at, _ in feed.sent]
    assert 9 <= len(times) <= 12
    assert all(later - earlier >= 0.09 for earlier, later in itertools.pairwise(times))
    prevs = [message["prev"] for _, message in feed.sent]
    assert prevs == ["0", *(message["cursor"] for _, message in feed.sent)][:-1]
    told = [row["id"] for _, message in feed.sent for row in message["rows"]]
    assert told == [str(n) for n in range(feed.newest)]
    task.cancel()


@in_a_time_of_its_own
async def test_only_one_delta_is_on_its_way_and_a_lost_one_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follower, "ACK_LOST_S", 0.3)
    feed = Feed()
    feed.acks = False
    task = feed.start()
    feed.change()
    await eventually(lambda: feed.sent)
    feed.change()
    await asyncio.sleep(0.15)
    assert len(feed.sent) == 1
    await eventually(lambda: len(feed.sent) >= 2)
    again = feed.sent[1][1]
    assert (again["prev"], again["cursor"]) == ("0", "2")
    assert [row["id"] for row in again["rows"]] == ["0", "1"]
    feed.acks = True
    await eventually(lambda: feed.client.acked == "2")
    count = len(feed.sent)
    await asyncio.sleep(0.5)
    assert len(feed.sent) == count
    task.cancel()


@in_a_time_of_its_own
async def test_a_page_that_starts_anew_is_told_from_there() -> None:
    feed = Feed()
    feed.acks = False
    task = feed.start()
    feed.change()
    await eventually(lambda: feed.sent)
    feed.client.hold()
    feed.change()
    await asyncio.sleep(0.3)
    assert len(feed.sent) == 1
    feed.client.start("1")
    await eventually(lambda: len(feed.sent) == 2)
    assert (feed.sent[1][1]["prev"], feed.sent[1][1]["cursor"]) == ("1", "2")
    feed.client.ack("nonsense")
    feed.client.ack("1")
    assert feed.client.acked == "1"
    feed.client.ack("2")
    assert feed.client.acked == "2"
    task.cancel()


@in_a_time_of_its_own
async def test_a_workspace_that_cannot_be_read_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follower, "RETRY_S", 0.05)
    feed = Feed()
    feed.fail = [wb.WorkspaceBusy("busy"), wb.DiskFull("full")]
    task = feed.start()
    feed.change()
    await eventually(lambda: feed.sent)
    assert [type(error).__name__ for error in feed.troubles] == ["DiskFull", "WorkspaceBusy"]
    feed.fail = [wb.EngineClosed("closed")]
    feed.change()
    await eventually(task.done)
    assert task.exception() is None


@in_a_time_of_its_own
async def test_changes_that_do_not_concern_the_page_cost_no_message() -> None:
    feed = Feed()
    task = feed.start()

    async def nothing(since: str, due: set[str], held: set[str]) -> Delta:
        feed.reads += 1
        return Delta(str(feed.newest))

    feed.read = nothing  # type: ignore[method-assign]
    task.cancel()
    task = feed.start()
    feed.change()
    await eventually(lambda: feed.client.read == "1")
    assert feed.sent == []
    assert feed.client.sent == "0"
    task.cancel()


# -- end to end ------------------------------------------------------------------------------------
@pytest.mark.req("LIVE-4", "LIVE-8")
def test_a_page_ends_up_with_the_rows_of_the_store(ws: Workspace) -> None:
    with wired(ws) as (_, wire):
        page, forgetful = Page(wire), Page(wire)
        page.hello()
        forgetful.hello()
        topic = ws.create_topic("Foxes")
        page.call("desk.set", n=1, topic_id=topic.id)
        page.open(topic.id)
        forgetful.open(topic.id)
        progress: list[float] = []
        batch = ws.generate(
            "a fox", n=4, topic=topic, width=64, height=64, steps=8, delay_ms=60, fail=[2]
        )
        until(lambda: "processing" in page.statuses() or "completed" in page.statuses(), "work")
        forgetful.acks = False  # its deltas get lost for a while
        first = batch.generations[0].id
        while "completed" not in (status := page.statuses()) or len(status) < 4:
            progress.append(page.of("generation")[first]["progress"])
            time.sleep(0.02)
        batch.wait(30)
        forgetful.acks = True
        until(lambda: sorted(page.statuses()) == ["completed"] * 3 + ["failed"], "the end")
        assert progress == sorted(progress)
        wanted = Rows(ws).generations([g.id for g in batch.generations])
        assert page.of("generation") == wanted
        until(lambda: forgetful.of("generation") == wanted, "what got lost comes again")
        assert page.of("topic")[topic.id]["images"] == 3
        assert page.gaps == 0
