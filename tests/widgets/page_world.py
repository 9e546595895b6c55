"""A page without a browser: it says hello, answers pings, acknowledges deltas, keeps its rows."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.waiting import until
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

    Attributes
    ----------
    pongs, acks:
        Whether it answers pings and deltas.
    rows:
        (entity, id) -> the row that it knows.
    """

    def __init__(self, wire: Wire, name: str | None = None) -> None:
        self.wire = wire
        self.name = name or f"page-{next(_names):08}"
        self.pongs = self.acks = True
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.cursor = ""
        self.gaps = 0
        self.deltas: list[dict[str, Any]] = []
        self.pushes: list[dict[str, Any]] = []
        self._answers: dict[str, tuple[dict[str, Any], list[bytes]]] = {}
        self._rids = itertools.count(1)
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
        answer = self.answer(self.send(op, args))
        assert answer["ok"], answer
        return answer["data"]

    def error(self, op: str, **args: Any) -> dict[str, Any]:
        """Ask and return the error."""
        answer = self.answer(self.send(op, args))
        assert not answer["ok"], answer
        return answer["error"]

    def hello(self, **more: Any) -> dict[str, Any]:
        data = self.call("hello", version=protocol.VERSION, **more)
        self.cursor = data["cursor"]
        self.rows = {}
        for topic in data.get("topics") or ():
            self.rows["topic", topic["id"]] = topic
        if data.get("feed"):
            self.show(data["feed"])
        return data

    def open(self, topic_id: str) -> dict[str, Any]:
        feed = self.call("topic.open", topic_id=topic_id)
        self.show(feed)
        return feed

    def show(self, feed: dict[str, Any]) -> None:
        for row in feed["batches"]:
            self.rows["batch", row["id"]] = row
        for row in feed["generations"]:
            self.rows["generation", row["id"]] = row

    def since(self) -> dict[str, Any]:
        delta = self.call("since", cursor=self.cursor)
        if not delta["reset"]:
            self.apply(delta)
        return delta

    # -- hearing ----------------------------------------------------------------------------------

    def take(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        if content.get("to") not in (None, self.name):
            return
        if "rid" in content:
            assert content["rid"] not in self._answers or content["rid"].startswith("again")
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


def page_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("workbench-page")]


class Slow:
    """An operation that ends when it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go_on = threading.Event()

    def __call__(self, context: Context, args: dict[str, Any]) -> Answer:
        self.begun.append(str(args.get("title") or args.get("id") or ""))
        assert self.go_on.wait(20)
        return Answer({"begun": list(self.begun)})
