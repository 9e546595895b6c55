"""Watchers for tests of providers: who holds up an event loop, who goes to the network, who talks.

They report what they saw; whether that is allowed is the test's business.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, ClassVar, Self

_BEAT_S = 0.005
_LONGEST_TICK_S = 0.02  # what one tick counts at most: a busy machine holds up the watcher, too
# Frames that are no part of what is watched: the loop itself, and this file.
_PLUMBING = ("/asyncio/", "/selectors.py", "/concurrent/futures/", "/threading.py", "/watching.py")
_NETWORK = frozenset({"socket.connect", "socket.getaddrinfo", "socket.sendto"})


@dataclass(frozen=True, slots=True)
class Hold:
    """Something kept an event loop from running.

    Attributes
    ----------
    seconds:
        for how long, at least.
    place:
        where: lines of code, the innermost last.
    """

    seconds: float
    place: str


class LoopWatch:
    """Looks from a thread whether an event loop still runs, and notes who keeps it from that.

    Time counts only while code of somebody is on the loop's thread, and only as far as this
    watcher itself was running: a machine with too much to do holds up nobody's loop by that.

    Parameters
    ----------
    over_s:
        Shorter holds are not noted.

    Attributes
    ----------
    holds:
        what was noted.
    held_s:
        for how long the loop is being held up now, in seconds.

    Examples
    --------
    >>> async def rude():
    ...     async with LoopWatch(over_s=0.05) as watch:
    ...         while watch.held_s < 0.1:
    ...             time.sleep(0.01)
    ...     return watch.holds
    >>> hold = max(asyncio.run(rude()), key=lambda hold: hold.seconds)
    >>> "in rude" in hold.place, hold.seconds >= 0.1
    (True, True)
    """

    def __init__(self, *, over_s: float) -> None:
        self.holds: list[Hold] = []
        self.held_s = 0.0
        self._over_s = over_s
        self._beaten = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop watch", daemon=True)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._timer: asyncio.Handle = self._loop.call_soon(self._beat)
        await asyncio.to_thread(self._thread.start)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        await asyncio.to_thread(self._thread.join)
        self._timer.cancel()

    def _beat(self) -> None:
        self._beaten += 1
        self._timer = self._loop.call_later(_BEAT_S, self._beat)

    def _watch(self) -> None:
        seen, place = -1, ""
        before = time.monotonic()
        while not self._over.wait(_BEAT_S):
            now = time.monotonic()
            tick_s, before = min(now - before, _LONGEST_TICK_S), now
            if self._beaten != seen:
                self._note(place)
                seen, self.held_s, place = self._beaten, 0.0, ""
                continue
            found = _foreign_code(sys._current_frames().get(self._watched))  # noqa: SLF001 - documented, for debuggers
            if found:
                self.held_s += tick_s
                place = place or found
        self._note(place)

    def _note(self, place: str) -> None:
        if self.held_s > self._over_s:
            self.holds.append(Hold(self.held_s, place))


def _foreign_code(frame: FrameType | None) -> str:
    """Return the innermost lines of what a loop calls; "" where it waits, or is busy itself."""
    if frame is None or frame.f_code.co_filename.endswith("selectors.py"):
        return ""
    lines = list(traceback.extract_stack(frame))
    turns = [place for place, line in enumerate(lines) if line.name == "_run_once"]
    if turns:  # what is further out called the loop, and holds up nothing
        lines = lines[turns[-1] :]
    stack = [
        line
        for line in lines
        if not any(part in line.filename.replace("\\", "/") for part in _PLUMBING)
    ]
    return "".join(traceback.format_list(stack[-4:]))


class NetworkWatch:
    """Notes who goes to the network in a ``with`` block: this thread, and those that it starts.

    Attributes
    ----------
    seen:
        what was done: names of audit events with their addresses.

    Examples
    --------
    >>> import socket
    >>> with NetworkWatch() as watch, socket.socket() as line:
    ...     _ = line.connect_ex(("127.0.0.1", 1))
    >>> watch.seen
    ["socket.connect ('127.0.0.1', 1)"]
    """

    _watching: ClassVar[NetworkWatch | None] = None
    _hooked: ClassVar[bool] = False

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._others: frozenset[int] = frozenset()

    def __enter__(self) -> Self:
        if not NetworkWatch._hooked:
            # One for the whole process: such a hook cannot be taken away again.
            sys.addaudithook(_heard)
            NetworkWatch._hooked = True
        here = threading.get_ident()
        self._others = frozenset(
            thread.ident for thread in threading.enumerate() if thread.ident not in (None, here)
        )
        NetworkWatch._watching = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        NetworkWatch._watching = None

    def note(self, event: str, details: tuple[Any, ...]) -> None:
        """Take an audit event of the interpreter."""
        if event == "socket.getaddrinfo":
            address: object = details[:2]
        else:
            address = details[1] if len(details) > 1 else None
            if not isinstance(address, tuple):
                return  # a socket of this machine: a path
        if threading.get_ident() not in self._others:
            self.seen.append(f"{event} {address}")


def _heard(event: str, details: tuple[Any, ...]) -> None:
    if event in _NETWORK and NetworkWatch._watching is not None:  # noqa: SLF001 - one thing in two parts
        NetworkWatch._watching.note(event, details)  # noqa: SLF001 - as above


class Overheard(logging.Handler):
    """Everything that goes to `logging` in a ``with`` block, down to DEBUG.

    Attributes
    ----------
    lines:
        what was said, with tracebacks.

    Examples
    --------
    >>> with Overheard() as said:
    ...     logging.getLogger("anybody").debug("key: %s", "k-123")
    >>> said.lines
    ['anybody: key: k-123']
    """

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record as text."""
        self.lines.append(self.format(record))

    def __enter__(self) -> Self:
        root = logging.getLogger()
        self._level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._level)
