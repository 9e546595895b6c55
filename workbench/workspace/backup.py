"""A complete copy of a workspace in a new folder: database by SQLite's backup API, then files."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.domain.arguments import shown
from workbench.errors import InvalidRequest
from workbench.workspace.files_out import local_path, writing_errors

if TYPE_CHECKING:
    from workbench.workspace.engine import Engine

DATABASE = "workbench.sqlite3"


def write_backup(engine: Engine, path: str | PathLike[str]) -> Path:
    """Copy the workspace of `engine` to the new folder `path` and return it.

    The copy appears under its name only when it is complete. Its change feed starts a new life, so
    that views that knew the original read everything anew.

    Raises
    ------
    InvalidRequest
        If `path` exists, lies inside the workspace, or its parent does not exist.
    DiskFull
        There is no space for it; nothing is left behind.
    """
    target = local_path(path).absolute()
    with writing_errors():
        parent = target.parent.resolve()
        if os.path.lexists(target):
            raise InvalidRequest("path", f"{shown(str(target))} exists; name one that does not.")
        if not parent.is_dir():
            raise InvalidRequest(
                "path", f"there is no folder {shown(str(parent))}; create it first."
            )
        if parent.is_relative_to(engine.folder):
            raise InvalidRequest("path", "must not lie inside the workspace itself.")
        return _write(engine, target, parent)


def _write(engine: Engine, target: Path, parent: Path) -> Path:
    partial = Path(tempfile.mkdtemp(prefix=".wb~", dir=parent))
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, partial, ignore_errors=True)
        # Database first: a picture that it names has been on disk before its row was written.
        engine.store.backup(partial / DATABASE)
        for asset in engine.store.iter_assets():
            source = engine.media.path(asset.id)
            copy = partial / "files" / asset.id[:2] / asset.id
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                shutil.copyfile(source, copy)
            except FileNotFoundError:
                continue  # purged since, or missing already: the doctor of the copy will say so
            copy.chmod(0o600)
        partial.rename(target)
        undo.pop_all()
    return target
