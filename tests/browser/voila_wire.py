"""A websocket on the kernel of a Voilà page, as anybody can open who sees the page.

    wire = Wire.arrive(app)                  # loads the page as a script does: no browser
    wire = Wire(app, visitor.kernel_id())    # beside the page of a browser, on its own kernel
    wire.hello(token)
    wire.ask("thumbs", {"ids": [id]})

It speaks Jupyter's protocol, and says whatever it is told to.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import secrets
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import websocket

from tests.browser.voila_world import AppServer, VoilaPage

PROTOCOL = "v1.kernel.websocket.jupyter.org"
WIDGETS = "jupyter.widget"
_ANSWER_S = 1.1  # the gate answers one refusal a second; then it is asked again
_GIVEN_UP_S = 150.0


@dataclass
class Heard:
    """A message of the kernel."""

    type: str
    content: dict[str, Any]
    parent: str = ""
    buffers: list[bytes] = field(default_factory=list)

    @property
    def custom(self) -> dict[str, Any]:
        """What a widget of ours said; empty if it is something else."""
        data = self.content.get("data")
        said = data.get("content") if isinstance(data, dict) else None
        return said if self.type == "comm_msg" and isinstance(said, dict) else {}


class Wire:
    """One connection, and all that it heard."""

    def __init__(self, app: AppServer, kernel_id: str) -> None:
        self.app = app
        self.kernel_id = kernel_id
        self.client = f"wire-{secrets.token_hex(8)}"
        self.token = ""
        self.heard: list[Heard] = []
        self._count = 0
        self._socket = websocket.create_connection(
            app.url(f"api/kernels/{kernel_id}/channels?session_id={self.client}").replace(
                "http", "ws", 1
            ),
            origin=app.url().rstrip("/"),
            subprotocols=[PROTOCOL],
            timeout=_GIVEN_UP_S,
        )
        self.comm = self._comm_of_widget()

    @classmethod
    def arrive(cls, app: AppServer) -> Wire:
        """Load the page, whose kernel it is then."""
        return cls(app, kernel_of(ask(app, "/")[1].decode()))

    @classmethod
    def beside(cls, visitor: VoilaPage) -> Wire:
        """Join a browser's page in its kernel, as the same visitor."""
        wire = cls(visitor.app, visitor.kernel_id())
        wire.hello(token_of(visitor))
        return wire

    def close(self) -> None:
        self._socket.close()

    def leave(self) -> None:
        """Close it, and end the kernel as a page does that is left."""
        self.close()
        here = {"Origin": self.app.url().rstrip("/")}
        path = f"/voila/api/shutdown/{self.kernel_id}"
        assert ask(self.app, path, method="POST", headers=here)[0] == 204

    # -- saying -----------------------------------------------------------------------------------

    def raw(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            self._socket.send_binary(frame)
        else:
            self._socket.send(frame)

    def say(self, kind: str, content: Any, *, channel: str = "shell", **more: Any) -> str:
        """Send one message of Jupyter; returns its number."""
        number = uuid4().hex
        header = {
            "msg_id": number, "msg_type": kind, "session": self.client, "username": "mallory",
            "date": "2026-01-01T00:00:00Z", "version": "5.3",
        }  # fmt: skip
        message = {
            "header": header, "parent_header": {}, "metadata": {}, "content": content, **more,
        }  # fmt: skip
        self.raw(_frame(channel, *message.values()))
        return number

    def widget(self, data: Any) -> None:
        """Say something to the comm of the widget."""
        self.say("comm_msg", {"comm_id": self.comm, "data": data})

    def custom(self, content: Any) -> None:
        self.widget({"method": "custom", "content": content})

    def request(self, op: Any, args: Any) -> str:
        """Send a request of the page's protocol; returns its number."""
        self._count += 1
        rid = f"r{self._count}"
        self.custom({"op": op, "rid": rid, "client": self.client, "args": args})
        return rid

    # -- asking -----------------------------------------------------------------------------------

    def answer(self, op: str, args: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """Ask, and wait for the answer; what the gate refused without a word is asked again.

        So is what a kernel takes longer for: the answer to any of the questions will do.
        """
        deadline = time.monotonic() + _GIVEN_UP_S
        asked: set[str] = set()
        while time.monotonic() < deadline:
            asked.add(self.request(op, args))
            found = self._hear(
                lambda one: one.custom.get("rid") in asked and one.custom["to"] == self.client,
                within_s=_ANSWER_S,
            )
            if found is not None:
                return found.custom, found.buffers
        raise AssertionError(f"{op} was never answered")

    def ask(self, op: str, /, **args: Any) -> dict[str, Any]:
        """Return what a request is answered with, which is no error."""
        said, _ = self.answer(op, args)
        assert said["ok"], f"{op}: {said['error']}"
        return dict(said["data"])

    def refusal(self, op: str, /, **args: Any) -> dict[str, Any]:
        """Return the error that a request is answered with."""
        said, _ = self.answer(op, args)
        assert not said["ok"], f"{op} {args} was done: {said}"
        assert said["error"]["message"]
        return dict(said["error"])

    def pictures(self, *ids: str) -> list[bytes]:
        """The thumbnails of these that it may see."""
        return self.answer("thumbs", {"ids": list(ids), "size": 256})[1]

    def hello(self, token: str = "") -> dict[str, Any]:
        """Say whose page it is; without a token, somebody new."""
        self.token = token or self.token or secrets.token_hex(16)
        return self.ask("hello", version=1, token=self.token)

    def comms(self) -> dict[str, Any]:
        """All that is open in the kernel."""
        number = self.say("comm_info_request", {})
        reply = self.wait(lambda one: one.type == "comm_info_reply" and one.parent == number)
        return dict(reply.content["comms"])

    def wait(self, wanted: Callable[[Heard], bool]) -> Heard:
        found = self._hear(wanted, within_s=_GIVEN_UP_S)
        assert found is not None, "it was never said"
        return found

    def everything(self) -> str:
        """All that it heard, as one text."""
        return json.dumps([one.content for one in self.heard])

    def _comm_of_widget(self) -> str:
        number = self.say("comm_info_request", {"target_name": WIDGETS})
        reply = self.wait(lambda one: one.type == "comm_info_reply" and one.parent == number)
        for _ in range(60):
            for comm in reply.content["comms"]:
                self.say("comm_msg", {"comm_id": comm, "data": {"method": "request_state"}})
            # A widget tells its state five times a second, and no more.
            if state := self._hear(lambda one: "_esm" in _state(one), within_s=1.0):
                return str(state.content["comm_id"])
        raise AssertionError("there is no widget of ours")

    def _hear(self, wanted: Callable[[Heard], bool], *, within_s: float) -> Heard | None:
        deadline = time.monotonic() + within_s
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                message = self._socket.recv()
            except websocket.WebSocketTimeoutException:
                return None
            if not message:
                raise AssertionError("the server closed the connection")
            heard = _read(message)
            self.heard.append(heard)
            if wanted(heard):
                return heard
        return None


def ask(
    app: AppServer, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """One request, with the path exactly as it is written here."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=_GIVEN_UP_S)
    connection.request(method, path, headers=dict(headers or {}))
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply.status, body


def kernel_of(page: str) -> str:
    found = re.search(r'"kernelId": "([^"]+)"', page)
    assert found, page[:500]
    return found[1]


def token_of(visitor: VoilaPage) -> str:
    """The secret that the visitor's browser keeps."""
    return str(visitor.page.evaluate("localStorage.getItem('workbench-visitor')"))


def _state(heard: Heard) -> dict[str, Any]:
    data = heard.content.get("data")
    return data.get("state") or {} if isinstance(data, dict) else {}


def _frame(channel: str, *parts: Any) -> bytes:
    pieces = [channel.encode(), *(json.dumps(part).encode() for part in parts)]
    start = 8 * (len(pieces) + 2)
    ends = list(itertools.accumulate(map(len, pieces), initial=start))
    return struct.pack(f"<{len(ends) + 1}Q", len(ends), *ends) + b"".join(pieces)


def _read(frame: bytes) -> Heard:
    (count,) = struct.unpack_from("<Q", frame)
    ends = struct.unpack_from(f"<{count}Q", frame, 8)
    _channel, *parts = [frame[at:end] for at, end in itertools.pairwise(ends)]
    header, parent, _metadata, content = [json.loads(part) for part in parts[:4]]
    return Heard(header["msg_type"], content, parent.get("msg_id", ""), parts[4:])
