"""Reference images: paths, URLs, PIL images, bytes, assets or generations, made into assets."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.domain.ids import is_asset_id
from workbench.domain.parameters import Model
from workbench.domain.records import AssetRecord
from workbench.errors import ImageRejected, InvalidRequest, NotFound
from workbench.workspace.asset import Asset
from workbench.workspace.generation import Generation

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace


def resolve_references(workspace: Workspace, model: Model, references: object) -> list[AssetRecord]:
    """Store every reference and return the assets in order.

    Raises
    ------
    InvalidRequest
        Naming the reference (``references[1]``) that cannot be used, and why.
    """
    items = _as_list(references)
    if not items:
        return []
    if model.max_references == 0:
        raise InvalidRequest("references", f"{model.title} takes no reference images.")
    if len(items) > model.max_references:
        raise InvalidRequest(
            "references",
            f"{model.title} takes at most {model.max_references}; {len(items)} were given.",
        )
    return [
        admit_image(workspace, item, f"references[{place}]") for place, item in enumerate(items)
    ]


def _as_list(references: object) -> list[Any]:
    if references is None:
        return []
    single = (str, bytes, bytearray, memoryview, os.PathLike, Asset, Generation)
    if isinstance(references, single) or _is_pil(references):
        return [references]
    if isinstance(references, Iterable):
        return list(references)
    raise InvalidRequest("references", f"must be a list, not {type(references).__name__}.")


def admit_image(workspace: Workspace, item: object, field: str) -> AssetRecord:
    """Turn one thing that stands for an image into a stored asset.

    Raises
    ------
    InvalidRequest
        If it is not an image, cannot be read, or is not yours to see.
    """
    engine = workspace._engine
    if isinstance(item, Generation):
        asset = item.asset
        if asset is None:
            raise InvalidRequest(field, "this generation has no picture (yet).")
        return asset.record
    if isinstance(item, Asset) or is_asset_id(item):
        asset_id = item.id if isinstance(item, Asset) else str(item)
        if not workspace._store.asset_visible(workspace.identity, asset_id):
            raise InvalidRequest(field, str(NotFound("asset", asset_id[:12])))
        return workspace._store.asset(asset_id)
    data = _bytes_of(workspace, item, field)
    try:
        record = engine.media.admit(data, source="upload")
    except ImageRejected as error:
        raise InvalidRequest(field, str(error)) from error
    workspace._store.record_asset(record).result()
    if not engine.media.exists(record.id):  # a purge of the same content came between
        engine.media.admit(data, source="upload")
    return record


def _bytes_of(workspace: Workspace, item: object, field: str) -> bytes:
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    if _is_pil(item):
        buffer = io.BytesIO()
        item.save(buffer, format="PNG")  # type: ignore[attr-defined]  # a PIL image, see _is_pil
        return buffer.getvalue()
    if isinstance(item, str) and "://" in item:
        return _from_url(workspace, item, field)
    if isinstance(item, (str, os.PathLike)):
        return read_file(Path(os.fsdecode(item)), field, workspace._engine.settings.media_max_bytes)
    raise InvalidRequest(
        field,
        f"is a {type(item).__name__}; give a path, a URL, bytes, a PIL image, an asset or a "
        "generation.",
    )


def _from_url(workspace: Workspace, url: str, field: str) -> bytes:
    # On the engine's loop: the caller's own loop may be running (notebooks).
    fetching = workspace._engine.media.fetch(url, field=field)
    try:
        return workspace._engine.loop.submit(fetching).result()
    except ImageRejected as error:
        raise InvalidRequest(field, str(error)) from error


def read_file(path: Path, field: str, max_bytes: int) -> bytes:
    """Read a regular file whole; devices, pipes and folders are never opened for reading.

    Raises
    ------
    InvalidRequest
        If it is missing, not a regular file, too large, or changes while it is read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidRequest(field, f"{path.name!r} cannot be read: {reason}.") from None
    with os.fdopen(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise InvalidRequest(field, f"{path.name!r} is not a file.")
        if before.st_size > max_bytes:
            raise InvalidRequest(
                field, f"{path.name!r} has {before.st_size:,} bytes; the limit is {max_bytes:,}."
            )
        data = file.read(max_bytes + 1)
        after = os.fstat(descriptor)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise InvalidRequest(field, f"{path.name!r} is still being written; try again.")
    return data


def _is_pil(item: object) -> bool:
    # Without importing PIL: whoever has such an image has it imported.
    return type(item).__module__.startswith("PIL.") and hasattr(item, "save")
