"""Reference images: paths, URLs, PIL images, bytes, assets or generations, made into assets."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from workbench.domain.arguments import check_items, shown
from workbench.domain.ids import is_asset_id
from workbench.domain.parameters import Model
from workbench.domain.records import AssetRecord
from workbench.domain.submissions import NewInput
from workbench.errors import (
    ImageRejected,
    InvalidRequest,
    NotFound,
    StoreError,
    WrongThread,
)
from workbench.workspace.asset import Asset
from workbench.workspace.files_out import local_path
from workbench.workspace.generation import Generation

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

_MOST_GIVEN = 1_000  # references; a model takes far fewer
_TO_RGB = frozenset({"CMYK", "HSV", "LAB", "RGBX", "YCbCr"})  # modes that PNG does not have
_TO_RGBA = frozenset({"La", "PA", "RGBa"})


class Intake:
    """Images on their way in: their files are stored at once, their rows come with the batch.

    ``with Intake(workspace) as intake`` surrounds both. If anything in the block fails, files that
    no row needs go again, so that a refused request leaves nothing behind.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._engine = workspace._engine
        self._stored: dict[str, tuple[object, str]] = {}
        self.known: list[str] = []  # ids of images that were here before

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            # Not for ever: the doctor names files without a row.
            with contextlib.suppress(StoreError, OSError):
                self._engine.remove_files(sorted(self._stored))
            return
        for id, (item, field) in self._stored.items():
            if not self._engine.media.exists(id):  # a purge of the same content came between
                self._engine.media.admit(self._bytes_of(item, field), source="upload")

    def admit(self, item: object, field: str) -> AssetRecord:
        """Turn one thing that stands for an image into an asset whose file is stored.

        Raises
        ------
        InvalidRequest
            If it is not an image, cannot be read, or is not yours to see.
        """
        known = self._known(item, field)
        if known is not None:
            self.known.append(known.id)
            return known
        data = self._bytes_of(item, field)
        try:
            record = self._engine.media.admit(data, source="upload")
        except ImageRejected as error:
            raise InvalidRequest(field, str(error)) from error
        self._stored[record.id] = (item, field)
        return record

    def _known(self, item: object, field: str) -> AssetRecord | None:
        """Return the asset if `item` names one of this workspace that its user may see."""
        if isinstance(item, Generation):
            item = item.asset
            if item is None:
                raise InvalidRequest(field, "this generation has no picture (yet).")
        if isinstance(item, Asset):
            if item._engine is not self._engine:
                return None  # from elsewhere: its bytes are copied
            id = item.id
        elif isinstance(item, str) and is_asset_id(item):
            id = item
        else:
            return None
        # Also for handles: they may be another user's, and sharing may have ended.
        if not self._workspace._store.asset_visible(self._workspace.identity, id):
            raise InvalidRequest(field, str(NotFound("asset", id[:12])))
        return self._workspace._store.asset(id)

    def _bytes_of(self, item: object, field: str) -> bytes:
        if isinstance(item, Generation):
            item = item.asset
        if isinstance(item, Asset):
            return item.read()
        if isinstance(item, (bytes, bytearray, memoryview)):
            return bytes(item)
        if _is_pil(item):
            return _png_of(item, field, self._engine.settings.media_max_pixels)
        if isinstance(item, str) and "://" in item:
            return self._from_url(item, field)
        if isinstance(item, (str, os.PathLike)):
            path = local_path(item, field)
            return read_file(path, field, self._engine.settings.media_max_bytes)
        raise InvalidRequest(
            field,
            f"is a {type(item).__name__}; give a path, a URL, bytes, a PIL image, an asset or a "
            "generation.",
        )

    def _from_url(self, url: str, field: str) -> bytes:
        # On the engine's loop: the caller's own loop may be running (notebooks).
        if self._engine.loop.is_current():
            raise WrongThread(
                "Fetching a URL here would stop the engine that fetches it; do it in another "
                "thread, or give the bytes."
            )
        fetching = self._engine.loop.submit(self._engine.media.fetch(url, field=field))
        try:
            return fetching.result()
        except ImageRejected as error:
            raise InvalidRequest(field, str(error)) from error
        finally:
            fetching.cancel()  # does nothing unless the waiting was interrupted


def resolve_references(intake: Intake, model: Model, references: object) -> list[AssetRecord]:
    """Store the file of every reference and return the assets in order.

    Raises
    ------
    InvalidRequest
        Naming the reference (``references[1]``) that cannot be used, and why.
    """
    items = reference_list(references)
    if not items:
        return []
    if model.max_references == 0:
        raise InvalidRequest("references", f"{model.title} takes no reference images.")
    if len(items) > model.max_references:
        raise InvalidRequest(
            "references",
            f"{model.title} takes at most {model.max_references}; {len(items)} were given.",
        )
    return [intake.admit(item, f"references[{place}]") for place, item in enumerate(items)]


def resolve_inputs(
    intake: Intake, model: Model, *, references: object, source: object, mask: object
) -> list[NewInput]:
    """Store the file of every image that goes in and return them with role and position.

    Raises
    ------
    InvalidRequest
        Naming the argument that cannot be used, and why.
    """
    inputs = [
        NewInput(asset, "reference", place)
        for place, asset in enumerate(resolve_references(intake, model, references))
    ]
    for role, item in (("source", source), ("mask", mask)):
        if item is not None:
            inputs.append(NewInput(intake.admit(item, role), role, 0))
    return inputs


def reference_list(references: object) -> list[Any]:
    """Return what was given as references as a list."""
    return [] if references is None else image_list("references", references, limit=_MOST_GIVEN)


def image_list(field: str, images: object, *, limit: int) -> list[Any]:
    """Return one image as a list of one, and several as a list.

    Raises
    ------
    InvalidRequest
        If it is neither, or has more than `limit` members.
    """
    single = (str, bytes, bytearray, memoryview, os.PathLike, Asset, Generation)
    if isinstance(images, single) or _is_pil(images):
        return [images]
    return check_items(field, images, "images", limit=limit)


def _png_of(image: Any, field: str, max_pixels: int) -> bytes:
    buffer = io.BytesIO()
    try:
        if image.width * image.height > max_pixels:
            raise InvalidRequest(field, f"has more than {max_pixels:,} pixels.")
        if image.mode in _TO_RGB:
            image = image.convert("RGB")
        elif image.mode in _TO_RGBA:
            image = image.convert("RGBA")
        image.save(buffer, format="PNG")
    # What PIL raises for closed, empty and half-loaded images, and modes that PNG does not have.
    except (OSError, ValueError, TypeError, AttributeError, SyntaxError, SystemError) as error:
        if isinstance(error, InvalidRequest):
            raise
        raise InvalidRequest(field, f"is an image that cannot be used: {error}.") from None
    return buffer.getvalue()


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
        raise InvalidRequest(field, f"{shown(path.name)} cannot be read: {reason}.") from None
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        os.close(descriptor)  # fdopen refuses a folder, and leaves the descriptor open
        raise InvalidRequest(field, f"{shown(path.name)} is not a file.")
    with os.fdopen(descriptor, "rb") as file:
        if before.st_size > max_bytes:
            raise InvalidRequest(
                field,
                f"{shown(path.name)} has {before.st_size:,} bytes; the limit is {max_bytes:,}.",
            )
        data = file.read(max_bytes + 1)
        after = os.fstat(descriptor)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise InvalidRequest(field, f"{shown(path.name)} is still being written; try again.")
    return data


def _is_pil(item: object) -> bool:
    # Without importing PIL: whoever has such an image has it imported.
    return type(item).__module__.startswith("PIL.") and hasattr(item, "save")
