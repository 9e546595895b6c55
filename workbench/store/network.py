"""Network file systems: how to know one, and the lease that lets one process in at a time.

The write-ahead log needs memory that all processes share, and that ends at the machine. On NFS,
SMB and their like the store is therefore opened by one process at a time, without shared memory.
"""

from __future__ import annotations

import ctypes
import getpass
import json
import os
import re
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.errors import WorkspaceBusy
from workbench.store.locks import FileLock

_NETWORK_TYPES = {
    *("nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "9p", "afs", "openafs", "auristorfs"),
    *("lustre", "gpfs", "beegfs", "ceph", "glusterfs", "ncpfs", "coda", "ocfs2", "gfs2", "pvfs2"),
    *("orangefs", "panfs", "wekafs", "virtiofs", "vboxsf", "prl_fs", "davfs", "webdav", "afpfs"),
    *("acfs", "pvfs", "fuse.vmhgfs-fuse", "vmhgfs", "drvfs"),
}
# FUSE file systems that keep their data on the local disk. Any other FUSE counts as network:
# wrong the safe way.
_LOCAL_FUSE = {
    *("fuseblk", "fuse.ntfs", "fuse.ntfs-3g", "fuse.exfat", "fuse.ext2", "fuse.fuse-overlayfs"),
    *("fuse.bindfs", "fuse.encfs", "fuse.gocryptfs", "fuse.cryfs", "fuse.mergerfs", "fuse.lxcfs"),
    *("fuse.unionfs", "fuse.zfs", "fuse.ecryptfs", "fuse.archivemount", "fuse.squashfuse"),
}
# f_type of statfs(2), for systems without /proc. Linux: include/uapi/linux/magic.h.
_MAGIC = {
    0x6969: "nfs",
    0x517B: "smb",
    0xFF534D42: "cifs",
    0xFE534D42: "smb2",
    0x01021997: "9p",
    0x5346414F: "afs",
    0x6B414653: "afs",
    0x0BD00BD0: "lustre",
    0x47504653: "gpfs",
    0x19830326: "beegfs",
    0x00C36400: "ceph",
    0x7461636F: "ocfs2",
    0x01161970: "gfs2",
    0x564C: "ncpfs",
    0x73757245: "coda",
    0x65735546: "fuse",
    0x786F4256: "vboxsf",
    0xAAD7AAEA: "panfs",
}


def file_system(path: Path) -> str | None:
    """Name of the network file system on which `path` lies; None for a local disk.

    Parameters
    ----------
    path:
        An existing folder.
    """
    if sys.platform == "win32":
        return _on_windows(path)
    if sys.platform == "darwin":
        return _on_macos(path)
    try:
        table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return _by_magic(path)
    return network_type(mount_type(table, os.fspath(path.resolve())))


def network_type(kind: str | None) -> str | None:
    """Return `kind` if it names a network file system.

    >>> network_type("nfs4"), network_type("ext4"), network_type("fuse.sshfs")
    ('nfs4', None, 'fuse.sshfs')
    """
    if kind is None:
        return None
    if kind in _NETWORK_TYPES:
        return kind
    if (kind == "fuse" or kind.startswith("fuse.")) and kind not in _LOCAL_FUSE:
        return kind
    return None


def mount_type(mountinfo: str, path: str) -> str | None:
    """Type of the file system that holds `path`, by the text of /proc/self/mountinfo."""
    best = -1
    kind = None
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split()
        if not separator or len(fields) < 5 or not after:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # Of two mounts on one point the later one covers the earlier one.
        if inside and len(point) >= best:
            best = len(point)
            kind = after.split()[0]
    return kind


def _by_magic(path: Path) -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(512)
    if libc.statfs(os.fsencode(path), buffer) != 0:
        return None
    magic = ctypes.c_uint32.from_buffer(buffer).value  # the low half of a little-endian long
    return _MAGIC.get(magic)


def _on_macos(path: Path) -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    statfs = getattr(libc, "statfs$INODE64", None) or libc.statfs
    buffer = ctypes.create_string_buffer(4096)
    if statfs(os.fsencode(path), buffer) != 0:
        return None
    flags = ctypes.c_uint32.from_buffer(buffer, 64).value
    name = buffer.raw[72:88].split(b"\0", 1)[0].decode(errors="replace")
    is_local = flags & 0x1000  # MNT_LOCAL
    return None if is_local else name or "network"


def _on_windows(path: Path) -> str | None:
    text = os.fspath(path.resolve())
    if text.startswith("\\\\") and not text.startswith("\\\\?\\"):
        return "smb"
    drive = f"{path.resolve().drive}\\"
    kernel: Any = getattr(ctypes, "windll", None)
    is_remote = kernel is not None and kernel.kernel32.GetDriveTypeW(drive) == 4  # DRIVE_REMOTE
    return "smb" if is_remote else None


class Lease:
    """The right of one process to have a workspace on a network file system open.

    Parameters
    ----------
    path:
        The lease file; it names the holder (host, pid, user, since).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path)

    def acquire(self) -> None:
        """Take the lease.

        Raises
        ------
            WorkspaceBusy: another process has it; the text names it and says what to do.
            OSError: the file cannot be written.
        """
        if not self._lock.acquire(wait=False):
            raise self._busy()
        # Without locks on this file system only the words in the file tell.
        if not self._lock.supported and self._holder_may_live():
            self._lock.close()
            raise self._busy()
        self._lock.write(json.dumps(_whoami()))

    def release(self) -> None:
        """Give the lease back. Safe to call twice."""
        if self._lock.held:
            with suppress(OSError):
                self._lock.write("")
        self._lock.close()

    def holder(self) -> dict[str, Any]:
        """What the lease file says about its holder (empty: nobody)."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _holder_may_live(self) -> bool:
        holder = self.holder()
        if not holder:
            return False
        if holder.get("host") != socket.gethostname():
            return True
        try:
            os.kill(int(holder.get("pid", 0)), 0)
        except (ProcessLookupError, ValueError):
            return False
        except PermissionError:
            return True
        return True

    def _busy(self) -> WorkspaceBusy:
        holder = self.holder()
        who = (
            f"process {holder.get('pid')} of {holder.get('user')} on {holder.get('host')} "
            f"(since {holder.get('since')})"
            if holder
            else "another process"
        )
        remedy = (
            ""
            if self._lock.supported
            else f" If that process is gone, delete the file {self.path}."
        )
        return WorkspaceBusy(
            f"The workspace {self.path.parent} lies on a network file system, where one process at "
            f"a time can have it open, and {who} has it. Close it there, put the workspace on a "
            f"local disk, or use PostgreSQL to share it.{remedy}"
        )


def _whoami() -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid()) if sys.platform != "win32" else "?"
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "user": user,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
