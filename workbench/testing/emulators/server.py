"""A small HTTP server with faults on demand and a book of what it charged.

A dialect is a subclass of `Emulator` that answers requests; what goes wrong on the way is decided
here, in the same way for all of them.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast

JSON = "application/json"
_JOIN_S = 5.0
_TURN_S = 0.05  # between two looks whether the server is over


class Turns:
    """Turns that a test gives when it has seen enough: no emulator is faster than who looks at it.

    Examples
    --------
    >>> turns = Turns()
    >>> turns.give(2)
    >>> [turns.taken(), turns.taken(), turns.taken()]
    [True, True, False]
    """

    def __init__(self) -> None:
        self._given = threading.Semaphore(0)

    def give(self, count: int = 1) -> None:
        """Let one thing more happen, or several."""
        self._given.release(count)

    def taken(self, within_s: float = 0.0) -> bool:
        """Take a turn, if one is given within these seconds."""
        return self._given.acquire(timeout=within_s)


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request.

    Attributes
    ----------
    status:
        answer with this status and charge nothing.
    headers:
        more headers of the answer, "Retry-After" for example.
    body:
        the body of an answer with `status`; None: the dialect's own error.
    code:
        the dialect's word for what is wrong (a moderation block, an empty account).
    reset_before:
        cut the connection before the request is worked on: nothing is charged.
    reset_after:
        cut the connection when this many bytes of the answer's body are out; what the request
        costs is charged. 0: before its status line.
    drip_s:
        seconds between two bytes of the body.
    pause_s:
        seconds before the answer; the end of the server ends them.
    gap_s:
        seconds between two pieces of a streamed body.
    turns:
        each piece of a streamed body but the first waits for its turn.
    content_type:
        the answer's, instead of its own.
    images:
        how many pictures an answer has, whatever was asked for.
    image:
        the bytes of each of them.
    cut:
        only this part of each picture (0 to 1).
    in_stream:
        an error of this code in the middle of a stream of events.
    silent:
        a stream of events that ends without its last one.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    code: str | None = None
    reset_before: bool = False
    reset_after: int | None = None
    drip_s: float = 0.0
    pause_s: float = 0.0
    gap_s: float = 0.0
    turns: Turns | None = field(default=None, repr=False)
    content_type: str | None = None
    images: int | None = None
    image: bytes | None = None
    cut: float | None = None
    in_stream: str | None = None
    silent: bool = False


NO_FAULT = Fault()


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body."""

    name: str
    filename: str | None
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived. Names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the JSON of the body."""
        return json.loads(self.body)

    def parts(self) -> list[Part]:
        """Return the parts of a multipart body, in their order."""
        kind = self.headers.get("content-type", "")
        message = BytesParser(policy=HTTP).parsebytes(
            b"Content-Type: " + kind.encode() + b"\r\n\r\n" + self.body
        )
        return [
            Part(
                str(part.get_param("name", header="content-disposition")),
                part.get_filename(),
                part.get_content_type(),
                cast("bytes", part.get_payload(decode=True)),
            )
            for part in message.iter_parts()
        ]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its body in pieces, so that events come one by one."""

    status: int
    content_type: str
    pieces: Iterable[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request cost: its number (from 0), and how many pictures were made."""

    request: int
    images: int


class Emulator:
    """A server on 127.0.0.1 for the time of a ``with`` block.

    Attributes
    ----------
    requests:
        what arrived, in order.
    charges:
        what was charged, in order.
    faults:
        what goes wrong with the next requests, one each; None or nothing left: all is well.
    shuffle:
        changes the events of answers that are streams: their order, how often each comes.
    over:
        set when it is closed: whatever waits in it stops waiting.

    Examples
    --------
    >>> with Emulator() as server:
    ...     server.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self.charges: list[Charge] = []
        self.faults: list[Fault | None] = []
        self.fault_of: Callable[[Seen], Fault | None] | None = None
        self.shuffle: Callable[[list[bytes]], list[bytes]] | None = None
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.emulator = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="emulator", daemon=True
        )

    # -- life -------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the server and every connection."""
        self.over.set()
        self._server.shutdown()
        self._server.cut_all()
        self._server.server_close()
        self._thread.join(_JOIN_S)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def images_charged(self) -> int:
        """How many pictures were charged in all."""
        return sum(charge.images for charge in self.charges)

    # -- for dialects -----------------------------------------------------------------------------

    def answer(self, seen: Seen, fault: Fault) -> Reply:  # noqa: ARG002 - for subclasses
        """Return the answer to a request; subclasses charge with `charge`."""
        return self.error(404, f"There is nothing at {seen.path}.")

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error in the words of the dialect."""
        body = json.dumps({"error": {"message": message, "code": code}}).encode()
        return Reply(status, JSON, [body])

    def charge(self, seen: Seen, images: int) -> None:
        """Note that a request cost something."""
        with self._lock:
            place = next(at for at, one in enumerate(self.requests) if one is seen)
            self.charges.append(Charge(place, images))

    def give_back(self, seen: Seen) -> None:
        """Take back what a request was charged."""
        with self._lock:
            self.charges = [one for one in self.charges if self.requests[one.request] is not seen]

    # -- one request ------------------------------------------------------------------------------

    def take(self, seen: Seen) -> Fault:
        """Note a request and return what goes wrong with it."""
        with self._lock:
            self.requests.append(seen)
            if self.fault_of is not None:
                return self.fault_of(seen) or NO_FAULT
            return (self.faults.pop(0) if self.faults else None) or NO_FAULT

    def reply(self, seen: Seen, fault: Fault) -> Reply:
        """Return the answer, with what the fault changes in it."""
        if fault.status is not None:
            reply = self.error(fault.status, "This was asked for by a test.", fault.code)
            pieces = reply.pieces if fault.body is None else [fault.body]
            headers = {**reply.headers, **fault.headers}
            kind = fault.content_type or reply.content_type
            return Reply(fault.status, kind, pieces, headers)
        reply = self.answer(seen, fault)
        pieces = reply.pieces
        if reply.streamed and self.shuffle is not None:
            pieces = self.shuffle(list(pieces))
        return Reply(
            reply.status,
            fault.content_type or reply.content_type,
            pieces,
            {**reply.headers, **fault.headers},
            streamed=reply.streamed,
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256  # as many may knock at once as a test likes
    emulator: Emulator

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut_all(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):  # wakes the thread that waits for its next request
                connection.shutdown(socket.SHUT_RDWR)
            _cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # whoever sent it is gone: there is no request
            self.close_connection = True
            return
        self._serve(body)

    do_PUT = do_POST  # noqa: N815 - the names are http.server's

    def do_GET(self) -> None:
        self._serve(b"")

    do_DELETE = do_GET  # noqa: N815 - as above

    def _serve(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, headers, body)
        emulator = self.server.emulator
        fault = emulator.take(seen)
        if fault.reset_before:
            self._cut()
            return
        reply = emulator.reply(seen, fault)
        if fault.pause_s:
            emulator.over.wait(fault.pause_s)
        if fault.reset_after == 0:
            self._cut()
            return
        try:
            self._send(reply, fault)
        except OSError:
            self.close_connection = True

    def _send(self, reply: Reply, fault: Fault) -> None:
        if "Date" in reply.headers:
            self.send_response_only(reply.status)  # two dates would be none
        else:
            self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.streamed:
            self.send_header("Transfer-Encoding", "chunked")
            pieces: Iterator[bytes] = (_chunk(piece) for piece in reply.pieces)
        else:
            whole = b"".join(reply.pieces)
            self.send_header("Content-Length", str(len(whole)))
            pieces = iter([whole])
        self.end_headers()
        sent = 0
        for place, piece in enumerate(pieces):
            if place:
                self._waits(fault)
            for part in _drops(piece, fault, self.server.emulator.over):
                if fault.reset_after is not None and sent + len(part) >= fault.reset_after:
                    self.wfile.write(part[: fault.reset_after - sent])
                    self._cut()
                    return
                self.wfile.write(part)
                sent += len(part)
        if reply.streamed:
            self.wfile.write(b"0\r\n\r\n")

    def _waits(self, fault: Fault) -> None:
        """Wait between two pieces, as long as somebody may still want the second one."""
        over = self.server.emulator.over
        if fault.gap_s:
            over.wait(fault.gap_s)
        if fault.turns is not None:
            while not fault.turns.taken(_TURN_S) and not over.is_set():
                pass

    def _cut(self) -> None:
        self.close_connection = True
        _cut(self.connection)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Write nothing."""


def _drops(piece: bytes, fault: Fault, over: threading.Event) -> Iterator[bytes]:
    if not fault.drip_s:
        yield piece
        return
    for place in range(len(piece)):
        yield piece[place : place + 1]
        over.wait(fault.drip_s)


def _chunk(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def _cut(connection: socket.socket) -> None:
    """Reset a connection: what is on its way is lost, and the other side gets an error."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    except OSError:
        pass


def sse(events: Sequence[tuple[str, Mapping[str, Any]]]) -> list[bytes]:
    r"""Return server-sent events, a piece each: their names and their data.

    >>> sse([("a", {"x": 1})])
    [b'event: a\ndata: {"x": 1}\n\n']
    """
    return [f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in events]
