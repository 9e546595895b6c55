"""The doorbell: an empty datagram to every other engine of the workspace says "look".

It carries nothing and may get lost: the change feed is the truth, and a slow poll the net. Sockets
lie in a short runtime folder, since their paths are limited to about 100 bytes.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from workbench.store import forking

_LONGEST_PATH = 103  # bytes, the smallest limit of the systems we know (macOS)
_ID_BYTES = 27  # separator and a ULID
_RECENT_NS = 50_000_000  # file times are this coarse at worst


def runtime_dir(workspace_id: str) -> Path | None:
    """Folder of the doorbell sockets of a workspace, made private; None if there can be none.

    Without a bell the engines still see one another's changes, by polling.
    """
    if sys.platform == "win32" or not hasattr(socket, "AF_UNIX"):
        return None
    name = hashlib.sha256(workspace_id.encode()).hexdigest()[:12]
    own = f"image-workbench-{os.getuid()}"
    candidates = [Path(tempfile.gettempdir(), own), Path("/tmp", own)]  # noqa: S108 - checked below
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        candidates.insert(0, Path(runtime, "image-workbench"))
    for parent in candidates:
        folder = parent / name
        if len(os.fsencode(folder)) + _ID_BYTES > _LONGEST_PATH:
            continue
        if parent.is_absolute() and _make_private(parent) and _make_private(folder):
            return folder
    return None


def _make_private(folder: Path) -> bool:
    """Make a folder that is ours alone; False if somebody else's thing lies there."""
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            return False
        if status.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError:
        return False
    return True


class Bell:
    """One engine's bell. Without a runtime folder it is mute (`fileno()` is -1).

    Parameters
    ----------
    runtime_dir:
        Folder of the sockets, from `runtime_dir`; None makes a mute bell.
    id:
        Id of the engine; its socket has this name.
    is_alive:
        Tells whether the engine of another socket lives; sockets of dead ones are deleted.
    """

    def __init__(
        self,
        runtime_dir: Path | None,
        id: str,
        *,
        is_alive: Callable[[str], bool] | None = None,
    ) -> None:
        self.id = id
        self.socket: socket.socket | None = None
        self._folder = runtime_dir
        self._is_alive = is_alive
        self._listing: tuple[int, list[str]] | None = None
        if runtime_dir is None:
            return
        address = str(runtime_dir / id)
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            bell.setblocking(False)
            with suppress(FileNotFoundError):
                Path(address).unlink()
            bell.bind(address)
        except OSError:
            bell.close()  # no space, no rights: mute
            return
        self.socket = bell
        forking.register(self)

    def fileno(self) -> int:
        """Descriptor that becomes readable when somebody rings; -1 for a mute bell."""
        return -1 if self.socket is None else self.socket.fileno()

    def drain(self) -> bool:
        """Take all waiting rings; True if there was one. Never blocks."""
        rung = False
        while self.socket is not None:
            try:
                self.socket.recv(16)
            except OSError:  # empty (BlockingIOError), or closed meanwhile
                break
            rung = True
        return rung

    def ring_others(self) -> int:
        """Ring every other engine's bell, without blocking; returns how many were reached."""
        if self.socket is None or self._folder is None:
            return 0
        reached = 0
        for name in self._others(self._folder):
            try:
                self.socket.sendto(b"", str(self._folder / name))
                reached += 1
            except BlockingIOError:
                reached += 1  # its queue is full of rings that it has not seen yet
            except FileNotFoundError:
                self._listing = None
            except ConnectionRefusedError:
                self._remove_dead(name)
            except OSError:
                continue  # the poll heals it
        return reached

    def close(self) -> None:
        """Take the bell down. Safe to call twice."""
        forking.forget(self)
        bell, self.socket = self.socket, None
        if bell is None or self._folder is None:
            return
        with suppress(OSError):
            (self._folder / self.id).unlink()
        bell.close()

    def after_fork_in_child(self) -> None:
        """Close the inherited descriptor; the parent's socket file stays."""
        bell, self.socket = self.socket, None
        if bell is not None:
            with suppress(OSError):
                os.close(bell.detach())

    def _others(self, folder: Path) -> list[str]:
        try:
            changed = folder.stat().st_mtime_ns
            if self._listing is not None and self._listing[0] == changed:
                return self._listing[1]
            now_ns = time.time_ns()
            names = [file.name for file in folder.iterdir() if file.name != self.id]
        except OSError:
            return []
        # A socket made within the same tick as this listing would not move the time again.
        self._listing = (changed, names) if now_ns - changed > _RECENT_NS else None
        return names

    def _remove_dead(self, name: str) -> None:
        """Nobody listens at that socket any more; its owner died (or is just closing)."""
        self._listing = None
        if self._folder is not None and not (self._is_alive and self._is_alive(name)):
            with suppress(OSError):
                (self._folder / name).unlink()
