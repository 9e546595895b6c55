"""ComfyUI's websocket: steps and previews of one job while it is made.

What it says is a hint: it may be late, doubled or lost. Whether a job waits, runs or has ended is
asked for by HTTP. The socket is opened under a client id of the job's own, so that what comes is
about this job even where it does not say so (as the older kind of preview).

The ``websockets`` package comes with ``image-workbench[comfyui]``; `library` returns None without.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import struct
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from workbench.providers.http import Headers, revealed
from workbench.providers.redaction import Unframed

_LARGEST_MESSAGE = 8 * 2**20
_MOST_UNREAD = 32  # messages, until the server has to wait
_OPEN_S = 10.0
_CLOSE_S = 2.0

_PREVIEW, _PREVIEW_ABOUT = 1, 4  # kinds of binary messages
_HEAD = struct.Struct(">I")
_CAN = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})


@dataclass(frozen=True, slots=True)
class Begun:
    """The job runs now."""


@dataclass(frozen=True, slots=True)
class Step:
    """`value` of `total` steps of a node are done."""

    value: int
    total: int


@dataclass(frozen=True, slots=True)
class Preview:
    """An encoded picture of the unfinished one."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Over:
    """The job has ended, or is about to be in the history."""


@dataclass(frozen=True, slots=True)
class QueueMoved:
    """The queue of the server has changed."""


Message = Begun | Step | Preview | Over | QueueMoved


class SocketLost(Exception):
    """The connection broke off, or was refused; the text says how, in a word."""


def library() -> Any:
    """Return the client of the websockets package, or None. It may block: use a thread."""
    try:
        return importlib.import_module("websockets.asyncio.client")
    except ImportError:
        return None


class Socket:
    """An open websocket for one job.

    Parameters
    ----------
    connection:
        Of the websockets package.
    prompt_id:
        The job's id: what is said of others is left out.

    Examples
    --------
    ::

        socket = await Socket.open(client, "ws://127.0.0.1:8188/ws?clientId=…", {}, prompt_id)
        while message := await socket.next(20):
            ...
    """

    def __init__(self, connection: Any, prompt_id: str) -> None:
        self._connection = connection
        self._prompt_id = prompt_id

    @classmethod
    async def open(cls, client: Any, url: str, headers: Headers, prompt_id: str) -> Socket:
        """Connect, and say that previews may come with what they belong to.

        Raises
        ------
        SocketLost
            It did not come about.
        """
        options = await asyncio.to_thread(_options, client, url)
        with Unframed(_lost_or):
            connection = await _without_redirects(client)(
                url, additional_headers=revealed(headers), **options
            )
            async with AsyncExitStack() as undo:
                undo.push_async_callback(_cut, connection)  # nobody else could close it
                await connection.send(_CAN)
                undo.pop_all()
            return cls(connection, prompt_id)

    async def next(self, timeout_s: float) -> Message | None:
        """Return the next message that says something; None if none came in time.

        Raises
        ------
        SocketLost
            The connection broke off.
        """
        with Unframed(_lost_or):
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._heard()
            except TimeoutError:
                return None

    async def _heard(self) -> Message:
        while True:
            raw = await self._connection.recv()
            message = (
                read_binary(raw, self._prompt_id)
                if isinstance(raw, bytes)
                else read_text(raw, self._prompt_id)
            )
            if message is not None:
                return message

    async def close(self) -> None:
        """Cut it."""
        await _cut(self._connection)


async def _cut(connection: Any) -> None:
    """Break a connection off.

    A closing handshake would not be heard where more has come than was read: the client stops
    reading then. There is nothing to lose, as what matters is asked for by HTTP.
    """
    with suppress(*_failures()):
        connection.transport.abort()
        async with asyncio.timeout(_CLOSE_S):
            await connection.wait_closed()


def read_text(text: str, prompt_id: str) -> Message | None:
    """Return what a text message says about a job; None if nothing.

    >>> read_text('{"type": "progress", "data": {"value": 3, "max": 8}}', "p")
    Step(value=3, total=8)
    >>> read_text('{"type": "progress", "data": {"value": 3, "max": 8, "prompt_id": "x"}}', "p")
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    kind = said.get("type") if isinstance(said, dict) else None
    data = said.get("data") if isinstance(said, dict) else None
    if not isinstance(data, dict) or data.get("prompt_id", prompt_id) != prompt_id:
        return None
    if kind == "status":
        return QueueMoved()
    if kind in ("execution_start", "execution_cached"):
        return Begun()
    if kind in ("execution_success", "execution_error", "execution_interrupted"):
        return Over()
    if kind == "executing":
        return Over() if data.get("node", "") is None else Begun()
    if kind == "progress":
        return _step(data)
    if kind == "progress_state":
        return _running_node(data.get("nodes"))
    return None


def read_binary(message: bytes, prompt_id: str) -> Preview | None:
    r"""Return the preview in a binary message; None if there is none, or another job's.

    >>> read_binary(b"\0\0\0\x01" + b"\0\0\0\x01" + b"jpeg", "p")
    Preview(data=b'jpeg')
    """
    if len(message) <= 2 * _HEAD.size:
        return None
    kind, number = _HEAD.unpack_from(message)[0], _HEAD.unpack_from(message, _HEAD.size)[0]
    rest = message[2 * _HEAD.size :]
    if kind == _PREVIEW:
        return Preview(rest)  # `number` says PNG or JPEG, as its first bytes do
    if kind != _PREVIEW_ABOUT or number >= len(rest):
        return None
    try:
        about = json.loads(rest[:number])
    except (ValueError, RecursionError):
        return None
    if not isinstance(about, dict) or about.get("prompt_id", prompt_id) != prompt_id:
        return None
    return Preview(rest[number:])


def _step(data: Mapping[str, Any]) -> Step | None:
    value, total = data.get("value"), data.get("max")
    # Numbers may come as 3.0; one of one is how nodes without steps say that they are done.
    if not isinstance(value, (int, float)) or not isinstance(total, (int, float)):
        return None
    if not 1 < total < 1e9 or not 0 <= value <= total:
        return None
    return Step(int(value), int(total))


def _running_node(nodes: object) -> Step | None:
    for node in nodes.values() if isinstance(nodes, dict) else ():
        if isinstance(node, dict) and node.get("state") == "running":
            step = _step(node)
            if step is not None:
                return step
    return None


def _failures() -> tuple[type[Exception], ...]:
    """Return what the client raises for connections; ValueError: for addresses that are none."""
    from websockets.exceptions import WebSocketException

    return OSError, EOFError, ValueError, WebSocketException


def _lost_or(error: BaseException) -> BaseException:
    """Return SocketLost for what the client raises for connections, and anything else as it is.

    Both are raised without frames, since those of the client hold the headers, and so the key.
    """
    return SocketLost(type(error).__name__) if isinstance(error, _failures()) else error


def _options(client: Any, url: str) -> dict[str, Any]:
    """Return how to connect; reading certificates blocks."""
    import inspect
    import ssl

    logger = logging.getLogger("websockets.client")
    if logger.level == logging.NOTSET:
        # At DEBUG it writes each header, and one of them may hold a key.
        logger.setLevel(logging.WARNING)
    options: dict[str, Any] = {
        "compression": None,  # a few KB can hold gigabytes
        "max_size": _LARGEST_MESSAGE,
        "open_timeout": _OPEN_S,
        "close_timeout": _CLOSE_S,
        "max_queue": _MOST_UNREAD,
        "logger": logger,
    }
    if "proxy" in inspect.signature(client.connect.__init__).parameters:  # websockets 15 and newer
        options["proxy"] = None
    if url.startswith("wss:"):
        options["ssl"] = ssl.create_default_context()
    return options


def _without_redirects(client: Any) -> Any:
    def stay(self: Any, error: Exception) -> Exception:  # noqa: ARG001 - a method's signature
        return error

    return type("Connect", (client.connect,), {"process_redirect": stay})
