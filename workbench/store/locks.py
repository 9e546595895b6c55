"""Locks on side files that the system frees when their process dies, however it dies.

POSIX uses flock(2): its locks belong to the open file, so a plain ``open()`` of the same file
elsewhere in the process does not drop them (record locks, which SQLite uses, would be dropped).
Windows uses the package `filelock`, imported only there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import Any

from workbench.store import forking

# Answers of file systems that have no locks (some NFS and FUSE mounts).
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class FileLock:
    """An exclusive lock on one file, which is made if needed (0600) and never deleted here.

    Two objects on one path exclude each other, in one process as between processes. Not
    re-entrant. Closed in forked children without unlocking.

    Parameters
    ----------
    path:
        The side file. Its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.supported = True  # False: this file system has no locks; acquire() then succeeds
        self.held = False
        self._fd = -1
        self._identity = (0, 0)
        self._windows_lock: Any = None
        forking.register(self)

    def acquire(self, *, wait: bool = True) -> bool:
        """Take the lock; with `wait` sleep in the kernel until it is free (no polling).

        Returns
        -------
            False if `wait` is off and somebody else holds it.

        Raises
        ------
            OSError: the file cannot be made (no rights, no space, read-only).
        """
        if sys.platform == "win32":
            return self._acquire_on_windows(wait=wait)
        import fcntl

        mode = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
        while True:
            if self._fd < 0:
                self._open()
            try:
                fcntl.flock(self._fd, mode)
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                self.supported = False
            if self._is_current():
                self.held = True
                return True
            # Somebody deleted or replaced the file: a lock on the old one excludes nobody.
            self._close_descriptor()

    def release(self) -> None:
        """Give the lock back and keep the file open for the next time."""
        if not self.held:
            return
        self.held = False
        if sys.platform == "win32":
            self._windows_lock.release()
        elif self.supported and self._fd >= 0:
            import fcntl

            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the lock back and close the file. Safe to call twice."""
        forking.forget(self)
        if sys.platform == "win32":
            self.release()
        self.held = False
        self._close_descriptor()

    def write(self, text: str) -> None:
        """Replace the contents of the (small) locked file, for people who look into it."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text.encode(), 0)

    def after_fork_in_child(self) -> None:
        """Close the inherited descriptor. Unlocking would free the parent's lock."""
        self.held = False
        self._close_descriptor()

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self.path, flags, 0o600)
        status = os.fstat(self._fd)
        self._identity = (status.st_dev, status.st_ino)

    def _is_current(self) -> bool:
        try:
            status = os.stat(self.path)  # noqa: PTH116 - once per write; a Path costs more
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _close_descriptor(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)

    def _acquire_on_windows(self, *, wait: bool) -> bool:
        import filelock

        if self._windows_lock is None:
            self._windows_lock = filelock.FileLock(str(self.path), thread_local=False)
        try:
            self._windows_lock.acquire(blocking=wait)
        except filelock.Timeout:
            return False
        self.held = True
        return True


def is_locked(path: Path) -> bool:
    """Tell whether some process (this one too) holds the lock of `path`. A missing file: no.

    Probing takes a shared lock for an instant, so that two probes never see each other.
    """
    if sys.platform == "win32":
        probe = FileLock(path)
        if not path.exists():
            return False
        try:
            return not probe.acquire(wait=False)
        finally:
            probe.close()
    import fcntl

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
