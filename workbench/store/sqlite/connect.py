"""Opening the store file: private on disk, never through a link, with the settings we rely on."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from workbench.errors import DiskFull, EngineClosed, StoreError, WorkspaceBusy, WorkspaceDamaged

DATABASE = "workbench.sqlite3"
MUTEX = "write.lock"
OWNERS = "owners"
BACKUPS = "backups"
LEASE = "lease"

# What may lie in a folder that is ours alone, and whose mode we therefore may set.
_OURS = {
    *(f"{DATABASE}{ending}" for ending in ("", "-wal", "-shm", "-journal", "-wal-spare")),
    *(MUTEX, OWNERS, BACKUPS, LEASE),
    *("files", "variants", "previews", "tmp", "providers", ".gitignore"),
}

BUSY_MS = 1_000  # one round of waiting; the writer goes on for as long as it takes
READ_BUSY_MS = 30_000
JOURNAL_LIMIT = 64 * 1024 * 1024  # bytes of -wal that stay on disk after a checkpoint
_MINIMUM = (3, 37)  # STRICT tables

_FULL = {sqlite3.SQLITE_FULL}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_IO = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


@dataclass(frozen=True, slots=True)
class Identity:
    """Which files a connection was opened on (device and inode); None where there is none."""

    database: tuple[int, int] | None
    wal: tuple[int, int] | None
    index: tuple[int, int] | None

    @classmethod
    def of(cls, path: str) -> Self:
        """Look at the files of the store at `path` (three stat calls, a few µs)."""
        return cls(file_identity(path), file_identity(path + "-wal"), file_identity(path + "-shm"))


def file_identity(path: str) -> tuple[int, int] | None:
    """Device and inode of a file, None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path costs more than the call, twice per write
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def make_folder(folder: Path) -> Path:
    """Make the workspace folder (0700, parents too) if needed, and return its resolved path.

    Raises
    ------
        StoreError: it cannot be made, or something else lies there.
    """
    try:
        folder = folder.expanduser().resolve()
        with contextlib.suppress(FileExistsError):
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
        is_folder = folder.is_dir()
    except (OSError, RuntimeError) as error:
        raise translate_os(error, folder) from error
    if not is_folder:
        raise StoreError(f"{folder} is not a folder; give the workspace a folder of its own.")
    return folder


def check_folder(folder: Path, *, modes_matter: bool = True) -> None:
    """Make sure that no other user can put files into the folder.

    Parameters
    ----------
    folder:
        The workspace folder.
    modes_matter:
        False on network file systems, which often show made-up modes.

    Raises
    ------
        StoreError: it belongs to another user, or others can write it although it holds other
            things than a workspace (then its mode is not ours to change).
    """
    if sys.platform == "win32":
        return
    status = folder.stat()
    _refuse_foreign(status, folder, "folder")
    if not modes_matter or not status.st_mode & 0o077:
        return
    if {entry.name for entry in os.scandir(folder)} <= _OURS:
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
        if not folder.stat().st_mode & 0o077:
            return
    if folder.stat().st_mode & 0o022:
        raise StoreError(
            f"The folder {folder} can be written by other users, so a workspace in it is not safe. "
            f"Run: chmod 700 {folder} (or choose another folder)."
        )


def prepare_file(path: Path, *, modes_matter: bool = True) -> bool:
    """Make the empty store file (0600) or check it. Called under the mutex.

    Returns
    -------
        True if the file is new.

    Raises
    ------
        StoreError: a symbolic link, another user's file, or open to others beyond repair.
    """
    for ending in ("-wal", "-shm"):
        if (beside := Path(f"{path}{ending}")).is_symlink():
            raise StoreError(f"{beside} is a symbolic link; remove it and open again.")
    try:
        status = path.lstat()
    except FileNotFoundError:
        _refuse_left_over_log(path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        # The file was not there a moment ago, so no connection of this process can lose its
        # locks by this close. SQLite itself would make it with the umask's rights.
        os.close(os.open(path, flags, 0o600))
        return True
    if not stat.S_ISREG(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
        raise StoreError(
            f"{path} is {kind}; a workspace keeps its database inside its own folder. "
            "Move the real file there, or open the workspace where the file is."
        )
    if sys.platform == "win32":
        return False
    _refuse_foreign(status, path, "file")
    if modes_matter and status.st_mode & 0o077:
        with contextlib.suppress(OSError):
            path.chmod(0o600)
            for ending in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{path}{ending}").chmod(0o600)
        if path.stat().st_mode & 0o077:
            raise StoreError(f"{path} can be read by other users. Run: chmod 600 {path}")
    return False


def _refuse_left_over_log(path: Path) -> None:
    log = Path(f"{path}-wal")
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > 0:
            raise WorkspaceDamaged(
                f"{path.name} is missing from {path.parent}, but its write-ahead log "
                f"{log.name} is there. Put the database back beside it (or a backup, after moving "
                "the log away); a new workspace needs an empty folder."
            )


def _refuse_foreign(status: os.stat_result, path: Path, kind: str) -> None:
    if sys.platform != "win32" and status.st_uid != os.geteuid():
        raise StoreError(
            f"The {kind} {path} belongs to another user (uid {status.st_uid}). A workspace of "
            "files is for one user; several users share one by PostgreSQL, or choose another "
            "location."
        )


def connect_writer(
    path: Path, *, exclusive: bool, inspect: Callable[[sqlite3.Connection], object] | None = None
) -> sqlite3.Connection:
    """Open the one connection that writes. Called under the mutex, in the writer thread.

    Parameters
    ----------
    path:
        The store file, which exists.
    exclusive:
        For network file systems: locks the file for good and keeps the WAL index in memory.
    inspect:
        Called before anything is changed; raises if this is no file for us.
    """
    db = _connect(path, "rw", READ_BUSY_MS)
    with contextlib.ExitStack() as undo:
        undo.callback(db.close)
        if exclusive:
            db.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        if inspect is not None:
            inspect(db)
        _keep_log(db, path)
        db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        db.execute(f"PRAGMA journal_size_limit = {JOURNAL_LIMIT}").fetchall()
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # opens the log
        db.execute(f"PRAGMA busy_timeout = {BUSY_MS}").fetchall()
        undo.pop_all()
    return db


def _keep_log(db: sqlite3.Connection, path: Path) -> None:
    mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(
            f"SQLite cannot keep a write-ahead log in {path.parent} (it answered {mode!r}); "
            "choose a folder on a local disk."
        )


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that can only read."""
    db = _connect(path, "ro", READ_BUSY_MS)
    with contextlib.ExitStack() as undo:
        undo.callback(db.close)
        db.execute("PRAGMA query_only = ON")
        undo.pop_all()
    return db


def _connect(path: Path, mode: str, busy_ms: int) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < _MINIMUM:
        raise StoreError(
            f"This Python has SQLite {sqlite3.sqlite_version}; image-workbench needs 3.37 or newer."
        )
    db = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_ms / 1000,
        isolation_level=None,
        check_same_thread=False,  # our own locks hand connections from thread to thread
        cached_statements=512,
    )
    db.row_factory = sqlite3.Row
    return db


def abandon(db: sqlite3.Connection) -> None:
    """Close a connection whose log was deleted or replaced, without touching the new log.

    A plain close by the last connection checkpoints its old log and deletes whatever lies at the
    log's path, which may by now be another process's log with acknowledged commits.
    """
    if sys.version_info >= (3, 12):
        db.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
    db.close()


def stale_index_open(path: Path) -> bool:
    """Tell whether this process still has a deleted WAL index of the store open (Linux).

    SQLite shares one index per database file and process: while any connection (a forgotten
    ``sqlite3.connect`` in a notebook) keeps the deleted one, a new connection would get it too.
    """
    try:
        descriptors = list(Path("/proc/self/fd").iterdir())
    except OSError:
        return False
    deleted = f"{path}-shm (deleted)"
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()) == deleted:
                return True
    return False


def version_warning() -> str | None:
    """A sentence for `doctor` if this SQLite has the WAL-reset bug, else None.

    Fixed in 3.51.3, with back-ports 3.50.7 and 3.44.6.
    """
    version = sqlite3.sqlite_version_info
    if version >= (3, 51, 3) or (
        version[:2] in {(3, 50), (3, 44)} and version >= _BACKPORT[version[:2]]
    ):
        return None
    return (
        f"This Python uses SQLite {sqlite3.sqlite_version}, which can lose commits when two "
        "programs write and checkpoint at the same instant (fixed in 3.51.3). image-workbench "
        "prevents that between its own processes; do not let other programs write into "
        f"{DATABASE}, and run no Litestream beside it."
    )


_BACKPORT: dict[tuple[int, ...], tuple[int, int, int]] = {(3, 50): (3, 50, 7), (3, 44): (3, 44, 6)}


def closed(*, forked: bool) -> EngineClosed:
    """The error for using a closed store, or one that belongs to the parent process."""
    if forked:
        return EngineClosed(
            "This process was forked from the one that opened the workspace, and cannot use it: "
            "open the workspace anew here, or start workers by spawn instead of fork."
        )
    return EngineClosed("The workspace was closed; open it again to go on.")


def translate(error: sqlite3.Error, path: Path) -> Exception:
    """Return the error that people should read for an error of SQLite (or the same one)."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary in _FULL or (primary in _IO and _no_space(path.parent)):
        return _disk_full(path.parent)
    if primary in _DAMAGED:
        return WorkspaceDamaged(
            f"The database {path} is damaged or not an image-workbench database ({error}). Stop "
            f"other programs that use it, then restore a backup (see {path.parent / BACKUPS}); "
            "`jupyter workbench doctor` tells more."
        )
    if primary in _IO:
        return StoreError(f"The disk of {path.parent} failed ({error}); check the disk, try again.")
    if primary == sqlite3.SQLITE_READONLY:
        return StoreError(
            f"The database {path} cannot be written ({error}); check its permissions and whether "
            "the disk is mounted read-only."
        )
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return WorkspaceBusy(
            f"Another program keeps {path} locked ({error}); close it there, then try again."
        )
    return error


def translate_os(error: Exception, folder: Path) -> StoreError:
    """Return the error that people should read for an error of the file system."""
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return _disk_full(folder)
    return StoreError(
        f"The workspace folder {folder} cannot be used ({error}); choose another location or "
        "correct its permissions."
    )


_NO_SPACE = {28, 122}  # ENOSPC, EDQUOT (the latter is missing from errno on some systems)


def _disk_full(folder: Path) -> DiskFull:
    return DiskFull(
        f"No space left on the disk of {folder}. Nothing of what was stored before is lost; free "
        "some space (or inodes) and try again."
    )


def _no_space(folder: Path) -> bool:
    """SQLite reports a full disk as an I/O error when it grows the WAL index or makes a file."""
    if sys.platform == "win32":
        return False
    try:
        status = os.statvfs(folder)
    except OSError:
        return False
    return status.f_bavail * status.f_frsize < 64 * 1024 or status.f_favail == 0 < status.f_files
