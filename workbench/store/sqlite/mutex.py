"""The side mutex: one writer or checkpointer at a time over all processes of a workspace.

SQLite before 3.51.3 can corrupt a WAL database when two connections write and checkpoint at the
same instant, and its own locks vanish when anything in the process opens and closes the file.
Neither can happen between processes that take this flock first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from workbench.store.locks import FileLock


class Mutex:
    """The lock `write.lock` of a workspace folder. Used by the writer thread only.

    Parameters
    ----------
    path:
        The lock file.
    monotonic:
        Seconds that never go back, for `waiting_since`.
    """

    def __init__(self, path: Path, *, monotonic: Callable[[], float]) -> None:
        self.waiting_since: float | None = None
        self._lock = FileLock(path)
        self._monotonic = monotonic

    def acquire(self) -> None:
        """Take the mutex; while another process holds it, `waiting_since` says since when."""
        if self._lock.acquire(wait=False):
            return
        self.waiting_since = self._monotonic()
        try:
            self._lock.acquire()
        finally:
            self.waiting_since = None

    def try_acquire(self) -> bool:
        """Take the mutex if it is free now."""
        return self._lock.acquire(wait=False)

    def release(self) -> None:
        """Give it to the next one."""
        self._lock.release()

    def close(self) -> None:
        """Release and close the file."""
        self._lock.close()
