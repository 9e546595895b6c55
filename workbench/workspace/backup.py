"""A complete copy of a workspace in a new folder: database by SQLite's backup API, then files."""

from __future__ import annotations

import shutil
import tempfile
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InvalidRequest

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
    """
    try:
        target = Path(path).expanduser().absolute()
        parent = target.parent.resolve()
    except (TypeError, ValueError, OSError, RuntimeError) as error:
        raise InvalidRequest("path", f"cannot be used as a folder ({error}).") from None
    if target.exists() or target.is_symlink():
        raise InvalidRequest("path", f"{str(target)!r} exists; name a folder that does not.")
    if not parent.is_dir():
        raise InvalidRequest("path", f"there is no folder {str(parent)!r}; create it first.")
    if parent == engine.folder or parent.is_relative_to(engine.folder):
        raise InvalidRequest("path", "must not lie inside the workspace itself.")
    partial = Path(tempfile.mkdtemp(prefix=f".wb~{target.name[:32]}-", dir=parent))
    try:
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
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return target
