"""Who is alive: each open engine holds a lock on ``owners/<id>.lock``.

No heartbeats: the system frees the lock at any death, within no time, and sleep does not expire it.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from workbench.store.locks import FileLock, is_locked

_FOLDER = "owners"
_ENDING = ".lock"


class OwnerLock:
    """Proof of life of one engine.

    Parameters
    ----------
    folder:
        The workspace folder.
    id:
        Id of the engine (a ULID).
    """

    def __init__(self, folder: Path, id: str) -> None:
        self.id = id
        self._path = _path(folder, id)
        self._lock: FileLock | None = None

    def acquire(self) -> None:
        """Hold the lock until `release` or death.

        Raises
        ------
            OSError: the file cannot be made.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(self._path)
        # Waits at most for somebody who just looks whether we live.
        lock.acquire()
        self._lock = lock
        with suppress(OSError):  # a full disk: the words are for people only
            lock.write(f"{os.getpid()} {socket.gethostname()}\n")

    def release(self) -> None:
        """Delete the file and let go: a clean end. Safe to call twice."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        if lock.held:  # not in a forked child
            with suppress(OSError):
                self._path.unlink()
        lock.close()


def is_alive(folder: Path, id: str) -> bool:
    """Tell whether the engine `id` of the workspace in `folder` is alive (this one, too)."""
    return is_locked(_path(folder, id))


def dead_owners(folder: Path) -> list[str]:
    """Ids of engines that died without closing: their files are there, their locks are free."""
    try:
        names = [file.name for file in (folder / _FOLDER).iterdir()]
    except FileNotFoundError:
        return []
    ids = [name.removesuffix(_ENDING) for name in names if name.endswith(_ENDING)]
    return sorted(id for id in ids if not is_alive(folder, id))


def remove_dead(folder: Path, id: str) -> bool:
    """Delete the file of a dead engine. False if it lives, or somebody else is deleting it."""
    path = _path(folder, id)
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        if not lock.acquire(wait=False):
            return False
        # Deleted under its lock: an engine that opened it meanwhile sees that and makes it anew.
        with suppress(OSError):
            path.unlink()
        return True
    finally:
        lock.close()


def _path(folder: Path, id: str) -> Path:
    return folder / _FOLDER / f"{id}{_ENDING}"
