"""Changing a small file of the user's that several programs change: one at a time, whole.

Beside the file lies another one, ``NAME.lock``, whose lock the system frees when its holder dies,
however it dies. It is made for its owner only and never removed: whoever waits for it has it open.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from workbench.errors import ConfigurationError
from workbench.providers.redaction import Secret, Unframed

WAIT_S = 10.0
_AGAIN_S = 0.01
# Answers of file systems that have no locks (some NFS and FUSE mounts): there one program at a
# time has to be enough, as it was before.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_thread_lock = threading.Lock()  # locks of files are the process's, or wait for themselves


@contextmanager
def alone(place: Path, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold everybody else off who changes a file: other threads, and other processes.

    Parameters
    ----------
    place:
        The file. Its folder is made where there is none, for its owner only.
    wait_s:
        How long to wait for others, in seconds.

    Raises
    ------
    ConfigurationError
        Somebody else keeps it, or the folder cannot be written to.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> with alone(folder / "keys.json"):
    ...     write_whole(folder / "keys.json", Secret("{}"))
    >>> sorted(path.name for path in folder.iterdir())
    ['keys.json', 'keys.json.lock']
    """
    until = time.monotonic() + wait_s
    if not _thread_lock.acquire(timeout=wait_s):
        raise _busy(place)
    try:
        give_back = _taken(place, until)
        try:
            yield
        finally:
            give_back()
    finally:
        _thread_lock.release()


def write_whole(place: Path, text: Secret) -> None:
    """Replace a file, whole or not at all; it is its owner's only.

    Parameters
    ----------
    place:
        The file, in a folder that is there.
    text:
        What it will hold: a secret, since it may be one.

    Raises
    ------
    ConfigurationError
        It cannot be written.
    """
    with Unframed(lambda error: _unwritable(place, error) if isinstance(error, OSError) else error):
        # mkstemp makes it for the owner only.
        descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.reveal().encode())
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(place)
        finally:
            with suppress(OSError):
                Path(name).unlink()  # it has the name `place` now, if all went well


def _taken(place: Path, until: float) -> Callable[[], None]:
    """Wait for the lock of a file; returns what gives it back."""
    beside = place.with_name(f"{place.name}.lock")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        take = _taken_on_windows if sys.platform == "win32" else _taken_by_flock
        give_back = take(beside, until)
    except OSError as error:
        raise _unwritable(place, error) from None
    if give_back is None:
        raise _busy(place)
    return give_back


def _taken_by_flock(beside: Path, until: float) -> Callable[[], None] | None:
    import fcntl

    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def give_back() -> None:
        with suppress(OSError):
            # By name, and not by closing alone: a forked child may have it open, too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

    with ExitStack() as undo:
        undo.callback(os.close, descriptor)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    return None
                time.sleep(_AGAIN_S)
                continue
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
            undo.pop_all()
            return give_back


def _taken_on_windows(beside: Path, until: float) -> Callable[[], None] | None:
    import filelock

    lock = filelock.FileLock(str(beside), thread_local=False)
    try:
        lock.acquire(timeout=max(0.0, until - time.monotonic()), poll_interval=_AGAIN_S)
    except filelock.Timeout:
        return None
    return lock.release


def _busy(place: Path) -> ConfigurationError:
    return ConfigurationError(
        f"Another program keeps {place.name} for itself: {place}. Try again when it has ended."
    )


def _unwritable(place: Path, error: OSError) -> ConfigurationError:
    why = error.strerror or type(error).__name__
    return ConfigurationError(f"{place.name} cannot be written: {why}. Look at {place.parent}.")
