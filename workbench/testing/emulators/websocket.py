"""Websockets for an emulator: the server's side of RFC 6455, by hand and without extensions."""

from __future__ import annotations

import base64
import hashlib
import queue
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

from workbench.testing.emulators import server
from workbench.testing.emulators.server import Fault, Seen

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of the protocol
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_JOIN_S = 2.0


class Meets(Protocol):
    """An emulator that takes websockets."""

    def take(self, seen: Seen) -> Fault:
        """Note a request and return what goes wrong with it."""

    def refuses(self, seen: Seen) -> int:
        """Return the status with which a websocket is refused; 0 if it is taken."""

    def meet(self, seen: Seen, connection: Connection) -> None:
        """Greet a client."""

    def hear(self, connection: Connection, text: str) -> None:
        """Take what a client says."""

    def part(self, connection: Connection) -> None:
        """Forget a client that has gone."""


class WebsocketHandler(server._Handler):  # noqa: SLF001 - the same server, with websockets besides
    """Answers HTTP as every emulator does, and opens websockets."""

    def do_GET(self) -> None:  # noqa: N802 - the name is http.server's
        """Answer, or become a websocket."""
        if self.headers.get("Upgrade", "").lower() != "websocket":
            super().do_GET()
            return
        emulator: Meets = self.server.emulator  # type: ignore[assignment] # whoever uses this one
        self.close_connection = True
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen("GET", self.path, headers, b"")
        fault = emulator.take(seen)
        if fault.reset_before or fault.reset_after is not None:
            self._cut()
            return
        refused = fault.status or emulator.refuses(seen)
        if refused:
            self.send_error(refused)
            return
        key = headers["sec-websocket-key"].encode()
        digest = hashlib.sha1(key + _GUID).digest()  # noqa: S324 - the protocol's
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        connection = Connection(self.connection)
        emulator.meet(seen, connection)
        try:
            for text in connection.texts(self.rfile):
                emulator.hear(connection, text)
        finally:
            emulator.part(connection)
            connection.close()


class Connection:
    """One websocket. A thread of its own writes: who does not read holds up nobody."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._out: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="emulator's socket", daemon=True)
        self._writer.start()

    def send(self, message: str | bytes) -> None:
        """Send a message; what cannot be sent is lost."""
        if isinstance(message, str):
            self._out.put(_frame_of(_TEXT, message.encode()))
        else:
            self._out.put(_frame_of(_BINARY, message))

    def texts(self, file: Any) -> Iterator[str]:
        """Yield what the client says, until it goes."""
        message = b""
        while (read := _read_frame(file)) is not None:
            kind, is_last, content = read
            if kind == _CLOSE:
                self._out.put(_frame_of(_CLOSE, content[:2]))
                return
            if kind == _PING:
                self._out.put(_frame_of(_PONG, content))
            if kind >= _CLOSE:
                continue
            message += content
            if is_last:
                yield message.decode("utf-8", "replace")
                message = b""

    def cut(self) -> None:
        """Break the connection off."""
        with suppress(OSError):
            # Who reads here wakes up; closing alone would leave it waiting.
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the writer, when it has written all."""
        self._out.put(None)
        self._writer.join(_JOIN_S)

    def _write(self) -> None:
        while (frame := self._out.get()) is not None:
            try:
                self._connection.sendall(frame)
            except OSError:
                return


def _frame_of(kind: int, content: bytes) -> bytes:
    size = len(content)
    if size < 126:
        head = struct.pack(">BB", 0x80 | kind, size)
    elif size < 2**16:
        head = struct.pack(">BBH", 0x80 | kind, 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | kind, 127, size)
    return head + content


def _read_frame(file: Any) -> tuple[int, bool, bytes] | None:
    """Return kind, whether it is the last of its message, and content; None at the end."""
    try:
        head = file.read(2)
        if len(head) < 2:
            return None
        size = head[1] & 0x7F
        if size > 125:
            size = int.from_bytes(file.read(2 if size == 126 else 8), "big")
        mask = file.read(4) if head[1] & 0x80 else bytes(4)
        content = file.read(size)
    except (OSError, ValueError):
        return None
    if len(content) < size:
        return None
    plain = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
    return head[0] & 0x0F, bool(head[0] & 0x80), plain
