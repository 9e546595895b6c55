"""One ZIP of all of a user's pictures: what to take along before a temporary workspace goes.

The pictures lie in folders by topic, their settings in `manifest.json`. One is read when it is its
turn, so that the archive costs no memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from workbench.domain.records import GenerationRecord, GenerationView
from workbench.errors import NotAllowed, WorkbenchError
from workbench.workspace import files_out

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

MOST_BYTES = 2**30  # of all pictures together
_GIB = 2**30


def to_zip(workspace: Workspace, path: str | PathLike[str]) -> Path:
    """Write all finished pictures into a ZIP; see `Workspace.to_zip`."""
    from workbench.media.archive import write_zip

    name = _name(workspace)
    target = files_out.target_path(path, name.removesuffix(".zip"), (".zip",))
    contents = _Contents(workspace, lambda record: record)
    with files_out.writing_errors():
        write_zip(target, contents.entries(), contents.manifest)
    return target


def write_archive(workspace: Workspace, file: IO[bytes], shown: files_out.Shown) -> str:
    """Write the same into an open file; returns a name for it.

    Parameters
    ----------
    workspace:
        Whose user's pictures.
    file:
        Where to.
    shown:
        Returns of a record what may leave.
    """
    from workbench.media.archive import write_zip

    contents = _Contents(workspace, shown)
    with files_out.disk_full("The archive"):
        write_zip(file, contents.entries(), contents.manifest)
    return _name(workspace)


def _name(workspace: Workspace) -> str:
    now = datetime.fromtimestamp(workspace._engine.clock.now_ms() / 1000, UTC)
    return f"pictures-{now:%Y-%m-%d}.zip"


class _Contents:
    """The files of one archive, in the order in which the pictures were asked for."""

    def __init__(self, workspace: Workspace, shown: files_out.Shown) -> None:
        from workbench.media.archive import Folders

        count, size = workspace._store.own_size(workspace.identity)
        if not count:
            raise NotAllowed("None of your images is finished; there is nothing to put in.")
        if size > MOST_BYTES:
            raise NotAllowed(_too_large(size))
        self._workspace = workspace
        self._shown = shown
        self._folders = Folders()
        self._titles: dict[str, str] = {}
        self._images: list[dict[str, Any]] = []
        self._missing: list[dict[str, Any]] = []

    def entries(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of each picture; one that cannot be read is noted and left out."""
        size = 0
        for view in self._views():
            record = self._shown(view.record)
            assert view.asset is not None
            try:
                name, data = files_out.exported(self._workspace, record, view.asset.mime)
            except (WorkbenchError, OSError) as error:
                # The others must come: there may be no second chance.
                reason = str(error) if isinstance(error, WorkbenchError) else "It cannot be read."
                self._missing.append({"generation_id": record.id, "reason": reason})
                continue
            size += view.asset.size_bytes
            if size > MOST_BYTES:  # more were finished meanwhile
                raise NotAllowed(_too_large(size))
            folder = self._folders.name(record.topic_id, self._titles.get(record.topic_id, ""))
            self._images.append(_described(view, record))
            yield f"{folder}/{name}", data

    def manifest(self, names: list[str]) -> dict[str, Any]:
        """Return what the archive says about its pictures."""
        pairs = zip(self._images, names, strict=True)
        return {
            "workbench": 1,
            "topics": [
                {"topic_id": id, "title": title, "folder": self._folders.name(id, title)}
                for id, title in self._titles.items()
            ],
            "images": [{**image, "file": name} for image, name in pairs],
            "missing": self._missing,
        }

    def _views(self) -> Iterator[GenerationView]:
        store, identity = self._workspace._store, self._workspace.identity
        after = 0
        while views := store.own_pictures(identity, after=after):
            after = views[-1].record.seq
            new = {view.record.topic_id for view in views} - self._titles.keys()
            for topic in store.topic_views(identity, sorted(new)) if new else ():
                self._titles[topic.record.id] = topic.record.title
            yield from views


def _described(view: GenerationView, record: GenerationRecord) -> dict[str, Any]:
    judgement = view.judgement
    return {
        **files_out.describe(record),
        "topic_id": record.topic_id,
        "rating": judgement.rating,
        "favourite": judgement.favourite,
        "tags": sorted(judgement.tags),
        "note": judgement.note,
    }


def _too_large(size: int) -> str:
    return (
        f"Your pictures have {size / _GIB:.1f} GiB together, and one ZIP holds at most "
        f"{MOST_BYTES / _GIB:.0f} GiB. Download them batch by batch."
    )
