"""A server and one worker beside it, kept alive by one small process.

Both are told to end by the end of their standard input. That is how the supervisor stops them, and
what happens by itself when it is killed: nothing is left running then, on any system.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_LOOK_S = 0.2
_END_WITHIN_S = 10.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_LIVED_S = 60.0  # whoever lived that long did not die of what it does at its start
_NEW_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # on Windows
_SIGNALLED = 128  # where a shell begins to count those whom a signal ended


@dataclass(frozen=True)
class Part:
    """What the supervisor runs: a name for its messages, a command, all environment variables."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    quiet: bool = False  # its standard output is of no interest; its errors are


def supervise(server: Part, worker: Part, stop: threading.Event) -> int:
    """Run both until `stop` is set or the server ends; a worker that ends is started again.

    Returns
    -------
    int
        0 if it was stopped, else the exit code of the server.
    """
    kept = _Kept(worker)
    serving = start(server)
    try:
        while not stop.wait(_LOOK_S):
            code = serving.poll()
            if code is not None:
                _say(f"The {server.name} ended ({_how(code)}).")
                return _SIGNALLED - code if code < 0 else code
            kept.look()
        _say("Stopping")
    finally:
        end([serving, *kept.running()])
    return 0


def start(part: Part) -> subprocess.Popen[bytes]:
    """Start a part; it is out of reach of the terminal's Ctrl-C, which is the supervisor's."""
    return subprocess.Popen(  # noqa: S603  (our own commands)
        part.command,
        env=part.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL if part.quiet else None,
        start_new_session=True,  # on POSIX
        creationflags=_NEW_GROUP,
    )


def end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Let all end in order, at the same time, and kill what needs longer than 10 s."""
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()
    deadline = time.monotonic() + _END_WITHIN_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def when_input_ends(act: Callable[[], None]) -> None:
    """Call `act` in a thread of its own when this process's standard input ends."""

    def watch() -> None:
        # Not through sys.stdin: its lock would be held when the interpreter ends.
        with contextlib.suppress(OSError):  # there is none, or it broke: it ended
            while os.read(0, 1024):
                pass
        act()

    threading.Thread(target=watch, name="workbench-parent", daemon=True).start()


class _Kept:
    """The worker, started again when it ends, with longer and longer pauses."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._pause_s = _FIRST_PAUSE_S
        self._next = 0.0
        self._started = time.monotonic()
        self._process: subprocess.Popen[bytes] | None = start(part)

    def look(self) -> None:
        """Notice its end, or start it again if it is time to."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._next:
                self._started = now
                self._process = start(self._part)
            return
        code = self._process.poll()
        if code is None:
            return
        end([self._process])  # closes our end of its input
        self._process = None
        if now - self._started >= _LIVED_S:
            self._pause_s = _FIRST_PAUSE_S
        self._next = now + self._pause_s
        _say(
            f"The {self._part.name} ended ({_how(code)}); a new one starts in {self._pause_s:g} s."
        )
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def running(self) -> list[subprocess.Popen[bytes]]:
        return [] if self._process is None else [self._process]


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"status {code}"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
