"""Files that one page has open: downloads, uploads under way, and uploaded references.

A handle is random text that means something to its page alone. What is prepared lies in unnamed
temporary files of the workspace's own disk, so that nothing is left behind, whatever happens.
"""

from __future__ import annotations

import io
import secrets
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from workbench.errors import EngineClosed, InvalidRequest, NotAllowed, NotFound

MOST_OPEN = 8  # downloads and unfinished uploads of one page
MOST_REFERENCES = 16
MOST_BYTES = 1280 * 1024 * 1024  # of all together: one ZIP of everything, and some more
SPOOL_BYTES = 2 * 1024 * 1024  # what is smaller stays in memory
IDLE_S = 20.0  # a page that forgot to close a download does not lock itself out


@dataclass(slots=True, eq=False)
class OpenFile:
    """Something open. `lock` surrounds every use of `file`."""

    kind: str  # download | upload | reference
    name: str
    size: int
    file: IO[bytes]
    received: int = 0  # of an upload
    used_at: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)


class PageFiles:
    """The open files of one page. Safe for several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, OpenFile] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def add(self, opened: OpenFile) -> str:
        """Keep what was opened under a new handle, which is returned.

        Raises
        ------
        NotAllowed
            The page has too much open; `opened` is closed.
        """
        with ExitStack() as undo:
            undo.callback(opened.file.close)
            handle = self._add(opened)
            undo.pop_all()
        return handle

    def _add(self, opened: OpenFile) -> str:
        with self._lock:
            if self._closed:
                raise EngineClosed("This page was closed; open it again.")
            if opened.kind == "download" and self._busy() >= MOST_OPEN:
                self._drop_idle()
            if self._busy() >= MOST_OPEN:
                raise NotAllowed(
                    f"{MOST_OPEN} files are being transferred already; wait for one of them."
                )
            if opened.size + sum(other.size for other in self._open.values()) > MOST_BYTES:
                raise NotAllowed(
                    "What this page has open is too large together; wait for a download to end,"
                    " or remove a reference image."
                )
            handle = secrets.token_urlsafe(18)
            self._open[handle] = opened
            return handle

    def _busy(self) -> int:
        return sum(opened.kind != "reference" for opened in self._open.values())

    def _drop_idle(self) -> None:
        downloads = [item for item in self._open.items() if item[1].kind == "download"]
        handle, oldest = min(downloads, key=lambda item: item[1].used_at, default=("", None))
        if oldest is not None and time.monotonic() - oldest.used_at > IDLE_S:
            del self._open[handle]
            _close(oldest)

    def get(self, handle: object, kind: str) -> OpenFile:
        """Return what is open under `handle`.

        Raises
        ------
        NotFound
            Nothing of this kind is, in this page.
        """
        with self._lock:
            opened = self._open.get(handle) if isinstance(handle, str) else None
            if opened is None or opened.kind != kind:
                raise NotFound(kind, str(handle)[:40])
            opened.used_at = time.monotonic()
            return opened

    def close_one(self, handle: object, *kinds: str) -> None:
        """Close and forget; what is not open (any more) is no error."""
        with self._lock:
            opened = self._open.get(handle) if isinstance(handle, str) else None
            if opened is None or opened.kind not in kinds or not isinstance(handle, str):
                return
            del self._open[handle]
        _close(opened)

    def to_reference(self, handle: str, name: str) -> str:
        """Turn a finished upload into a reference, and return its new handle.

        Raises
        ------
        InvalidRequest
            The page has too many references already.
        """
        with self._lock:
            references = sum(opened.kind == "reference" for opened in self._open.values())
            if references >= MOST_REFERENCES:
                raise InvalidRequest(
                    "references", f"are {references} already; remove one of them first."
                )
            opened = self._open.pop(handle, None)
            if opened is None or opened.kind != "upload":
                raise NotFound("upload", handle[:40])
            opened.kind, opened.name = "reference", name
            reference = secrets.token_urlsafe(18)
            self._open[reference] = opened
            return reference

    def close(self) -> None:
        """Close everything; the page is gone. Safe to call twice, from any thread."""
        with self._lock:
            self._closed = True
            opened, self._open = list(self._open.values()), {}
        for one in opened:
            _close(one)


def _close(opened: OpenFile) -> None:
    with opened.lock:
        opened.file.close()


def temporary(folder: Path) -> IO[bytes]:
    """Return an empty temporary file without a name; large content lies below `folder`."""
    folder.mkdir(mode=0o700, exist_ok=True)
    return tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES, dir=str(folder))


def prepared(folder: Path, write: Callable[[IO[bytes]], str]) -> OpenFile:
    """Return a download whose content `write` has written; it returns the name."""
    file = temporary(folder)
    with ExitStack() as undo:
        undo.callback(file.close)
        name = write(file)
        size = file.seek(0, io.SEEK_END)
        undo.pop_all()
    return OpenFile("download", name, size, file)
