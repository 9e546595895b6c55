"""Files named by their content: originals, thumbnails, previews.

::

    root/files/ab/abcd…        originals, named by their SHA-256, without a suffix
    root/variants/ab/abcd…-256 thumbnails, made again whenever they are missing
    root/previews/<id>         the last preview of a running generation
    root/tmp/                  files that are being written

An original is written to ``tmp``, synced, renamed and its folder synced before anybody records
it: a row without its file cannot exist, a file without a row is garbage that `orphans` finds.
Nothing that a client sent becomes part of a path: names are 64 hex digits or our own ids.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import DiskFull, InvalidRequest, NotFound

_ASSET_ID = re.compile(r"[0-9a-f]{64}")
_PREVIEW_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_MAX_VARIANT = 4096
_SAMPLE_BYTES = 65_536

# Absent on Windows, where links need a privilege and O_BINARY is needed instead.
_READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_WRITE_FLAGS = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def read_nofollow(path: Path) -> bytes:
    """Read a regular file; symbolic links, pipes and devices are refused.

    Raises
    ------
    OSError
        The file cannot be read, or is not a regular file.
    """
    # O_NONBLOCK: opening a pipe must not wait for its writer.
    descriptor = os.open(path, _READ_FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)  # fdopen refuses a folder, and leaves the descriptor open
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


@contextmanager
def disk_errors(lost: str) -> Iterator[None]:
    """Turn "no space" into `DiskFull`; `lost` says what was not stored ("The image")."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise DiskFull(
            f"The disk (or your quota on it) is full; {lost} was not stored. Free some space, or "
            "empty the trash of the workspace."
        ) from error


def write_whole(path: Path, data: bytes, *, temporary: Path, durable: bool) -> None:
    """Write a file so that other processes see all of it or nothing.

    Parameters
    ----------
    path:
        Where the file shall be; replaced if there is one.
    data:
        Its content.
    temporary:
        A new name on the same file system.
    durable:
        Sync the content and the folder, so that the file survives a power loss.

    Raises
    ------
    OSError
        The temporary file is gone again.
    """
    descriptor = os.open(temporary, _WRITE_FLAGS, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            if durable:
                os.fsync(descriptor)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # it has the name `path` now, if all went well
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power loss, where the system offers it."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # SMB and some FUSE file systems cannot sync a folder; the rename is all they offer.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


class FileStore:
    """The image files of one workspace. Safe for many threads and processes at once.

    Parameters
    ----------
    root:
        The folder; made (mode 0700) at the first write.

    Examples
    --------
    >>> import hashlib, tempfile
    >>> store = FileStore(Path(tempfile.mkdtemp()))
    >>> asset_id = hashlib.sha256(b"picture").hexdigest()
    >>> store.put(b"picture", asset_id).name == asset_id
    True
    >>> store.read(asset_id)
    b'picture'
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self._files = self.root / "files"
        self._variants = self.root / "variants"
        self._previews = self.root / "previews"
        self._tmp = self.root / "tmp"
        self._synced_shards: set[str] = set()

    # --- originals ------------------------------------------------------------------------

    def put(self, data: bytes, sha256: str) -> Path:
        """Store an original durably; storing it again is cheap.

        Parameters
        ----------
        data:
            The bytes.
        sha256:
            Their SHA-256 in hex, which is the asset's id.

        Returns
        -------
        Path
            Where the file is. It is on disk, with its name, when this returns.

        Raises
        ------
        DiskFull
            Nothing was stored.
        ValueError
            The hash is not that of the data.
        """
        path = self.path(sha256)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError("these bytes have another SHA-256")
        with disk_errors("the image"):
            self._folder(self._files)
            self._folder(path.parent)
            if path.parent.name not in self._synced_shards:
                # Whoever made it may have crashed before the name was safe.
                sync_folder(self._files)
                self._synced_shards.add(path.parent.name)
            if _looks_the_same(path, data):
                # Another process may have renamed it and not yet synced the folder; and a file
                # that is wanted again is young again for `orphans`.
                _touch(path)
                sync_folder(path.parent)
                return path
            try:
                write_whole(path, data, temporary=self._temporary(), durable=True)
            except PermissionError:
                # Windows: somebody reads the file that is already there.
                if not _looks_the_same(path, data):
                    raise
        return path

    def path(self, asset_id: str) -> Path:
        """Where the original is, or would be.

        Raises
        ------
        InvalidRequest
            The id is not a SHA-256 in lower-case hex.
        """
        return self._files / _check_asset_id(asset_id)[:2] / asset_id

    def exists(self, asset_id: str) -> bool:
        """True when the original is there as a regular file."""
        try:
            return stat.S_ISREG(self.path(asset_id).lstat().st_mode)
        except FileNotFoundError:
            return False

    def read(self, asset_id: str) -> bytes:
        """The bytes of an original.

        Raises
        ------
        NotFound
            There is no such file.
        """
        try:
            return read_nofollow(self.path(asset_id))
        except FileNotFoundError:
            raise NotFound("image file", asset_id) from None

    def verify(self, asset_id: str) -> bool:
        """Hash the original again: True when it is there and unchanged."""
        try:
            return hashlib.sha256(self.read(asset_id)).hexdigest() == asset_id
        except (NotFound, OSError):
            return False

    def remove(self, asset_id: str) -> None:
        """Remove an original and its thumbnails; missing ones are no error."""
        path = self.path(asset_id)
        folder = self._variants / asset_id[:2]
        for variant in folder.glob(f"{asset_id}-*") if folder.is_dir() else ():
            variant.unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    def iter_files(self) -> Iterator[str]:
        """The ids of all originals, in no order."""
        for entry in _entries_of_shards(self._files):
            if _ASSET_ID.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                yield entry.name

    def orphans(
        self,
        known: Container[str] | Callable[[str], bool],
        *,
        older_than_s: float = 3600,
    ) -> Iterator[str]:
        """The ids of originals that nobody knows.

        Parameters
        ----------
        known:
            The ids that have a row, or a function that tells whether one has.
        older_than_s:
            Younger files are left out (seconds): their row may be on its way.
        """
        limit = time.time() - older_than_s
        is_known = known if callable(known) else known.__contains__
        for asset_id in self.iter_files():
            try:
                modified = self.path(asset_id).lstat().st_mtime
            except FileNotFoundError:
                continue
            if modified <= limit and not is_known(asset_id):
                yield asset_id

    # --- thumbnails -----------------------------------------------------------------------

    def variant_path(self, asset_id: str, size: int) -> Path:
        """Where the thumbnail of this size (pixels) is, or would be."""
        if not 1 <= size <= _MAX_VARIANT:
            raise InvalidRequest("size", f"A thumbnail has 1 to {_MAX_VARIANT} pixels.")
        return self._variants / _check_asset_id(asset_id)[:2] / f"{asset_id}-{size:d}"

    def put_variant(self, asset_id: str, size: int, data: bytes) -> Path:
        """Store a thumbnail. Not synced: it can be made again.

        Raises
        ------
        DiskFull
            Nothing was stored.
        """
        path = self.variant_path(asset_id, size)
        with disk_errors("the thumbnail"):
            self._folder(self._variants)
            self._folder(path.parent)
            write_whole(path, data, temporary=self._temporary(), durable=False)
        return path

    # --- previews -------------------------------------------------------------------------

    def put_preview(self, preview_id: str, data: bytes) -> Path:
        """Store the latest preview of a generation; readers see the old one or the new one.

        Raises
        ------
        DiskFull
            The old preview is still there.
        """
        path = self._preview_path(preview_id)
        with disk_errors("the preview"):
            self._folder(self._previews)
            write_whole(path, data, temporary=self._temporary(), durable=False)
        return path

    def read_preview(self, preview_id: str) -> bytes | None:
        """The latest preview, or None."""
        try:
            return read_nofollow(self._preview_path(preview_id))
        except FileNotFoundError:
            return None

    def drop_preview(self, preview_id: str) -> None:
        """Forget a preview; a missing one is no error."""
        self._preview_path(preview_id).unlink(missing_ok=True)

    # --- housekeeping ---------------------------------------------------------------------

    def sweep_temp(self, older_than_s: float = 3600) -> int:
        """Remove what crashed writers left behind.

        Parameters
        ----------
        older_than_s:
            Younger files are left alone (seconds): somebody may be writing them.

        Returns
        -------
        int
            How many files went.
        """
        limit = time.time() - older_than_s
        count = 0
        if not self._tmp.is_dir():
            return 0
        with os.scandir(self._tmp) as entries:
            for entry in entries:
                try:
                    if entry.stat(follow_symlinks=False).st_mtime <= limit:
                        Path(entry.path).unlink()
                        count += 1
                except (FileNotFoundError, PermissionError, IsADirectoryError):
                    continue  # another process was faster, or Windows holds it
        return count

    def old_temp(self, older_than_s: float = 3600) -> int:
        """How many temporary files are older than this (seconds)."""
        limit = time.time() - older_than_s
        if not self._tmp.is_dir():
            return 0
        count = 0
        for path in self._tmp.iterdir():
            try:
                count += path.stat().st_mtime <= limit
            except FileNotFoundError:
                continue  # its writer finished meanwhile
        return count

    def free_bytes(self) -> int:
        """Bytes that this user may still write to the disk of the workspace."""
        folder = self.root
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def _preview_path(self, preview_id: str) -> Path:
        if not _PREVIEW_ID.fullmatch(preview_id):
            raise InvalidRequest("id", "This is not the id of a generation.")
        return self._previews / preview_id

    def _temporary(self) -> Path:
        self._folder(self._tmp)
        return self._tmp / uuid.uuid4().hex

    def _folder(self, folder: Path) -> None:
        """Make a folder for this user only."""
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            return
        except FileNotFoundError:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)


def _check_asset_id(asset_id: str) -> str:
    if not _ASSET_ID.fullmatch(asset_id):
        raise InvalidRequest("asset", "This is not the id of an image (64 hex digits).")
    return asset_id


def _looks_the_same(path: Path, data: bytes) -> bool:
    """Compare size, beginning and end with what is stored. A torn file is written again."""
    try:
        descriptor = os.open(path, _READ_FLAGS)
    except OSError:
        return False
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size != len(data):
        os.close(descriptor)
        return False
    with os.fdopen(descriptor, "rb") as file:
        if file.read(_SAMPLE_BYTES) != data[:_SAMPLE_BYTES]:
            return False
        file.seek(max(0, len(data) - _SAMPLE_BYTES))
        return file.read() == data[max(0, len(data) - _SAMPLE_BYTES) :]


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:
        # A reader without ownership may still use the file.
        return


def _entries_of_shards(folder: Path) -> Iterator[os.DirEntry[str]]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as shards:
        for shard in shards:
            if shard.is_dir(follow_symlinks=False):
                with os.scandir(shard.path) as entries:
                    yield from entries
