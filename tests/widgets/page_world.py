"""A page without a browser: it says hello, answers pings, acknowledges deltas, keeps its rows."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.waiting import until
from workbench.widgets import client as clients
from workbench.widgets import protocol
from workbench.widgets.channel import Channel
from workbench.widgets.desk import Desk
from workbench.widgets.operations.context import Answer, Context
from workbench.workspace.workspace import Workspace

ALL = frozenset(("models", "topics", "feed", "balance", "queue"))
_names = itertools.count(1)


class Wire:
    """Stands for the comm: what a channel sends reaches all pages that are attached."""

    def __init__(self) -> None:
        self.channel: Channel
        self.pages: list[Page] = []
        self.sent: list[tuple[float, dict[str, Any]]] = []
        self.threads: set[str] = set()

    def send(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        self.threads.add(threading.current_thread().name)
        self.sent.append((time.monotonic(), content))
        for page in list(self.pages):
            page.take(content, buffers)

    def pushes(self, name: str) -> list[dict[str, Any]]:
        return [content for _, content in self.sent if content.get("push") == name]


class Page:
    """One page on a wire.

    As in a browser, one message is taken after the other: what an answer brings is there before
    anything that was sent after it. (The test's own thread may come much later.)

    Attributes
    ----------
    pongs, acks:
        Whether it answers pings and deltas.
    rows:
        (entity, id) -> the row that it knows.
    greeted:
        How many pushes had come when its last hello was answered.
    """

    def __init__(self, wire: Wire, name: str | None = None) -> None:
        self.wire = wire
        self.name = name or f"page-{next(_names):08}"
        self.pongs = self.acks = True
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.cursor = ""
        self.gaps = 0
        self.greeted = 0
        self.deltas: list[dict[str, Any]] = []
        self.pushes: list[dict[str, Any]] = []
        self._answers: dict[str, tuple[dict[str, Any], list[bytes]]] = {}
        self._rids = itertools.count(1)
        self._takes: dict[str, Callable[[dict[str, Any]], None]] = {}
        wire.pages.append(self)

    # -- asking -----------------------------------------------------------------------------------

    def send(self, op: str, args: dict[str, Any] | None = None, *, rid: str | None = None) -> str:
        rid = rid or f"r{next(self._rids)}"
        content = {"op": op, "rid": rid, "client": self.name, "args": args or {}}
        self.wire.channel.receive(content, [])
        return rid

    def answer(self, rid: str) -> dict[str, Any]:
        return until(lambda: self._answers.get(rid), f"the answer to {rid}")[0]

    def buffers(self, rid: str) -> list[bytes]:
        """What came with the answer to that."""
        return until(lambda: self._answers.get(rid), f"the answer to {rid}")[1]

    def answered(self, rid: str) -> bool:
        return rid in self._answers

    def call(self, op: str, **args: Any) -> dict[str, Any]:
        """Ask and return the data of the answer."""
        return self._call(op, args)

    def _call(
        self, op: str, args: dict[str, Any], take: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Ask; `take` gets the data when the answer arrives, on the thread that brings it."""
        rid = f"r{next(self._rids)}"
        if take is not None:
            self._takes[rid] = take
        answer = self.answer(self.send(op, args, rid=rid))
        assert answer["ok"], answer
        return answer["data"]

    def error(self, op: str, **args: Any) -> dict[str, Any]:
        """Ask and return the error."""
        answer = self.answer(self.send(op, args))
        assert not answer["ok"], answer
        return answer["error"]

    def hello(self, **more: Any) -> dict[str, Any]:
        return self._call("hello", {"version": protocol.VERSION, **more}, self._greet)

    def _greet(self, data: dict[str, Any]) -> None:
        self.greeted = len(self.pushes)
        self.cursor = data["cursor"]
        self.rows = {}
        for topic in data.get("topics") or ():
            self.rows["topic", topic["id"]] = topic
        if data.get("feed"):
            self.show(data["feed"])

    def open(self, topic_id: str) -> dict[str, Any]:
        return self._call("topic.open", {"topic_id": topic_id}, self.show)

    def show(self, feed: dict[str, Any]) -> None:
        for row in feed["batches"]:
            self._know("batch", row)
        for row in feed["generations"]:
            self._know("generation", row)

    def _know(self, entity: str, row: dict[str, Any]) -> None:
        """Keep a row, but for one that a delta has overtaken."""
        known = self.rows.get((entity, row["id"]))
        if known is None or row.get("rev", 0) >= known.get("rev", 0):
            self.rows[entity, row["id"]] = row

    def since(self) -> dict[str, Any]:
        return self._call("since", {"cursor": self.cursor}, self._catch_up)

    def _catch_up(self, delta: dict[str, Any]) -> None:
        if not delta["reset"]:
            self.apply(delta)

    # -- hearing ----------------------------------------------------------------------------------

    def take(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        if content.get("to") not in (None, self.name):
            return
        if "rid" in content:
            assert content["rid"] not in self._answers or content["rid"].startswith("again")
            take = self._takes.pop(content["rid"], None)
            if take is not None and content["ok"]:
                take(content["data"])
            self._answers[content["rid"]] = (content, buffers)
            return
        self.pushes.append(content)
        if content["push"] == "ping" and self.pongs:
            self.send("pong", {"n": content["n"]})
        elif content["push"] == "probe":
            self.send("probe", {"n": content["n"]})
        elif content["push"] == "delta":
            self.deltas.append(content)
            if not self.acks:
                return
            if content["prev"] != self.cursor:
                self.gaps += 1
                return
            self.apply(content)
            self.send("ack", {"cursor": content["cursor"]})

    def apply(self, delta: dict[str, Any]) -> None:
        for row in delta["rows"]:
            key = (row["e"], row["id"])
            known = self.rows.get(key)
            if row["k"] == "gone":
                self.rows.pop(key, None)
            elif known is None or row["rev"] >= known.get("rev", 0):
                self.rows[key] = row["d"]
        self.cursor = delta["cursor"]

    # -- looking ----------------------------------------------------------------------------------

    def of(self, entity: str) -> dict[str, dict[str, Any]]:
        return {id: row for (kind, id), row in list(self.rows.items()) if kind == entity}

    def statuses(self) -> list[str]:
        rows = self.of("generation").values()
        return [row["status"] for row in sorted(rows, key=lambda row: (row["seq"], row["index"]))]

    def heard(self, name: str) -> list[dict[str, Any]]:
        return [push for push in list(self.pushes) if push["push"] == name]


@contextmanager
def wired(
    workspace: Workspace, scopes: frozenset[str] = ALL, **options: Any
) -> Iterator[tuple[Channel, Wire]]:
    """Open a channel on a workspace, and close it."""
    wire = Wire()
    channel = Channel(
        send=wire.send,
        workspace=workspace,
        desk=Desk.of(workspace, "test"),
        widget="Workbench",
        scopes=scopes,
        **options,
    )
    wire.channel = channel
    try:
        yield channel, wire
    finally:
        channel.close()


def replace_handlers(wire: Wire, handlers: Mapping[str, Any]) -> None:
    found = wire.channel._serving
    found._handlers = {**found._handlers, **handlers}


def fall_silent(page: Page) -> None:
    """Let a page answer nothing any more, and return when its channel has given it up.

    It is made to look as if it were silent for long enough. To shorten that time instead would give
    up other pages, too, as soon as the machine pauses for a moment.
    """
    channel = page.wire.channel
    page.pongs = page.acks = False

    def given_up() -> bool:
        client = channel._clients.get(page.name)
        if client is None or not client.alive:
            return True
        client.seen = channel._loop.time() - clients.CLIENT_GONE_S
        return False

    until(given_up, f"{page.name} is given up")


def page_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("workbench-page")]


class Slow:
    """An operation that ends when it is told to.

    Attributes
    ----------
    within_s:
        How long it waits for that. Less than closing a channel waits (`patient_ends`): an end that
        waited for it would find it ended.
    """

    def __init__(self) -> None:
        self.within_s = 20.0
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.go_on = threading.Event()

    def __call__(self, context: Context, args: dict[str, Any]) -> Answer:
        name = str(args.get("title") or args.get("id") or "")
        self.begun.append(name)
        told = self.go_on.wait(self.within_s)
        self.ended.append(name)
        assert told
        return Answer({"begun": list(self.begun)})
