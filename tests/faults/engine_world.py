"""What the fault tests of the whole engine share: children that can be killed, and the truth."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

import workbench as wb
from workbench.workspace.workspace import Workspace

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 90.0  # for what must happen, on a machine that is busy with other things

SMALL = {"width": 64, "height": 64, "steps": 2}
PRICE = 2

HEAD = f"""
import os, pathlib, signal, sys, threading, time
import workbench as wb
folder, given = sys.argv[1], sys.argv[2:]
SMALL = {SMALL!r}
def say(*words):  # one write: several threads may speak
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def hear():
    return sys.stdin.readline().strip()
def opened(**options):
    return wb.open(folder, user="ada", **options)
"""


class Child:
    """A Python process on a workspace, whose lines are read as they come."""

    def __init__(self, script: str, folder: Path, *given: object, failpoint: str = "") -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WORKBENCH_")}
        if failpoint:
            environment["WORKBENCH_FAILPOINT"] = failpoint
        # A file: nobody has to read it so that the child can go on.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", HEAD + script, str(folder), *map(str, given)],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,  # a group of its own, with the children that it forks
        )
        self.pid = self._process.pid
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):  # a line cut by a kill was not said
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def line(self) -> str:
        """The next line that it says."""
        try:
            line = self._lines.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise AssertionError(f"the child says nothing; {self.errors()}") from None
        assert line is not None, f"the child ended; {self.errors()}"
        return line

    def line_so_far(self) -> str | None:
        """The next line if it has said one."""
        if self._lines.empty():
            assert self.code is None, f"the child ended; {self.errors()}"
            return None
        return self.line()

    def tell(self, word: str) -> None:
        """Answer its `hear()`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> list[str]:
        """SIGKILL; returns what it had said and nobody read yet."""
        self._process.kill()
        return self.rest(-signal.SIGKILL)

    def rest(self, *codes: int) -> list[str]:
        """Wait for its end with this exit code (0); returns the lines that nobody read yet."""
        found = self._process.wait(timeout=PATIENCE_S)
        assert found in (codes or (0,)), f"exit code {found}; {self.errors()}"
        said: list[str] = []
        while (line := self._lines.get(timeout=PATIENCE_S)) is not None:
            said.append(line)
        return said

    @property
    def code(self) -> int | None:
        """Its exit code; None while it lives."""
        return self._process.poll()

    @property
    def state(self) -> str:
        """What the system says about it (Linux): R, S, T for stopped, Z, …"""
        text = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        return text.rpartition(") ")[2][0]

    def errors(self) -> str:
        """Everything that it wrote to stderr so far."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def end(self) -> None:
        """End it and its children, whatever they do."""
        # A child that lives on would keep the pipe open, and the reader waiting for its end.
        with contextlib.suppress(ProcessLookupError):  # all of them ended
            os.killpg(self.pid, signal.SIGKILL)  # also ends a stopped one
        self._process.wait()
        self._reading.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        self._errors.close()


class Crew:
    """The children of a test; none outlives it."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def start(self, script: str, folder: Path, *given: object, failpoint: str = "") -> Child:
        """Start one more."""
        child = Child(script, folder, *given, failpoint=failpoint)
        self._children.append(child)
        return child

    def run(self, script: str, folder: Path, *given: object) -> list[str]:
        """Start one, wait for its clean and silent end, and return what it said."""
        child = self.start(script, folder, *given)
        said = child.rest()
        assert child.errors() == ""
        return said

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._children:
            child.end()


def opened(folder: Path, *, run_jobs: bool = True) -> Workspace:
    """The workspace, in this process."""
    return wb.open(folder, user="ada", run_jobs=run_jobs)


def fund(folder: Path, tokens: int = 1000) -> None:
    """Make the workspace, with a price of 2 tokens per picture and this balance."""
    with opened(folder, run_jobs=False) as ws:
        ws.set_price("sketch", PRICE)
        ws.grant(tokens)


def check_sound(ws: Workspace) -> None:
    """Every invariant holds, and no preview outlived its picture."""
    report = ws.doctor()
    assert report.ok, report.problems
    assert not ws.sql("SELECT 1 FROM job WHERE state <> 'ended'").empty or not names(
        ws.path / "previews"
    )


def names(folder: Path) -> list[str]:
    """The names in a folder (none: it is not there)."""
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def temporary_files(folder: Path) -> list[str]:
    """What lies in the folder of files that are being written.

    A kill may leave one there until the sweep of the next hour; an error may not.
    """
    return names(folder / "tmp")


def check_ledger(ws: Workspace, *, granted: int = 1000, completed: int, released: int = 0) -> None:
    """Each completed picture was paid once, each failed or cancelled one not at all."""
    kinds = Counter(ws.ledger()["kind"])
    assert kinds["reserve"] == completed + released
    assert kinds["settle"] == completed
    assert kinds["release"] == released
    assert ws.balance == granted - PRICE * completed


def every_generation(ws: Workspace) -> list[wb.Generation]:
    """All generations, oldest first, history included."""
    found: list[wb.Generation] = []
    cursor = None
    while True:
        page = ws.generations(limit=500, cursor=cursor, order="oldest")
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def stored_files(folder: Path) -> set[str]:
    """Names (hashes) of all originals on disk."""
    return {path.name for path in (folder / "files").glob("*/*")}
