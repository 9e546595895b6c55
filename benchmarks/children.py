"""Processes beside the measuring one: started, listened to, told, killed."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

REPOSITORY = Path(__file__).parents[1]
_PATIENCE_S = 60.0


def environment() -> dict[str, str]:
    """The environment of children: nobody's settings, one BLAS thread."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WORKBENCH_")}
    return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Child:
    """``python -m MODULE …`` whose lines are read as they come.

    Used as a context; whatever happens, the process does not outlive it.
    """

    def __init__(self, module: str, *given: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, given)],
            cwd=REPOSITORY,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.pid = self._process.pid
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def line(self, patience_s: float = _PATIENCE_S) -> str:
        """The next line that it says."""
        try:
            line = self._lines.get(timeout=patience_s)
        except queue.Empty:
            raise TimeoutError(f"a child process said nothing for {patience_s:g} s") from None
        if line is None:
            raise RuntimeError("a child process ended before its time; its error is above")
        return line

    def words(self, first: str, patience_s: float = _PATIENCE_S) -> list[str]:
        """The next line, which must begin with the word `first`; the other words of it."""
        said = self.line(patience_s).split()
        if said[:1] != [first]:
            raise RuntimeError(f"a child process said {said} instead of {first!r}")
        return said[1:]

    def tell(self, text: str) -> None:
        """Send it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL, and no wait."""
        self._process.kill()

    def end(self) -> None:
        """Let it end by itself (its standard input ends), or end it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
