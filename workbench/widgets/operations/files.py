"""Downloads and uploads, chunk by chunk, and the references of a request."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import IO, Any

from workbench.domain.arguments import check_whole
from workbench.domain.ids import is_id
from workbench.errors import InvalidRequest, NotAllowed, NotFound
from workbench.widgets.operations.context import Answer, Context
from workbench.widgets.operations.handles import OpenFile, prepared, temporary
from workbench.widgets.operations.looking import found
from workbench.widgets.protocol import FILE_CHUNK_BYTES, MAX_BUFFER_BYTES
from workbench.workspace.files_out import disk_full
from workbench.workspace.generation import Generation
from workbench.workspace.view import View

EVERYTHING = "everything"
_ZIP_TYPE = "application/zip"
_MAX_NAME = 200
_FAR = 2**53

_packing = threading.Lock()  # of everything, in this process


# -- downloads ------------------------------------------------------------------------------------
def file_open(context: Context, args: dict[str, Any]) -> Answer:
    """Open a picture to keep ("original") or to look at ("image"), a batch's "zip", "everything".

    The last is one ZIP of all of the user's pictures, and has no id.
    """
    kinds = {"original": _original, "image": _image, "zip": _zip}
    kind, id = args["kind"], args.get("id")
    if kind != EVERYTHING and kind not in kinds:
        raise InvalidRequest("kind", f"must be one of {', '.join((*kinds, EVERYTHING))}.")
    if (id is None) is not (kind == EVERYTHING):
        raise InvalidRequest("id", "is missing." if id is None else f"has no meaning with {kind}.")
    opened, mime = _everything(context) if id is None else kinds[kind](context, id)
    handle = context.files.add(opened)
    return Answer({"handle": handle, "name": opened.name, "mime": mime, "size": opened.size})


def _original(context: Context, id: str) -> tuple[OpenFile, str]:
    rows = context.rows()
    view = found(rows, id)
    name, data = rows.view.exported(replace(view, record=rows.shown.record(view.record)))
    mime = "" if view.asset is None else view.asset.mime
    return OpenFile("download", name, len(data), io.BytesIO(data)), mime


def _image(context: Context, id: str) -> tuple[OpenFile, str]:
    view = View(context.workspace)
    asset = view.pictures([id]).get(id)
    if asset is None:
        raise NotFound("picture", id)
    file = view.open_image(asset)
    size = file.seek(0, io.SEEK_END)
    return OpenFile("download", "image", size, file), asset.mime


def _zip(context: Context, id: str) -> tuple[OpenFile, str]:
    rows = context.rows()
    view, shown = rows.view, rows.shown.record
    if id not in view.batches([id]):
        raise NotFound("batch", id)
    with disk_full("The archive"):
        opened = prepared(view.temporary_folder(), lambda file: view.write_archive(id, file, shown))
    return opened, _ZIP_TYPE


def _everything(context: Context) -> tuple[OpenFile, str]:
    rows = context.rows()
    view, shown = rows.view, rows.shown.record
    # It takes a while, a thread and much of the disk: whoever asks again meanwhile has to wait.
    if not _packing.acquire(blocking=False):
        raise NotAllowed("Pictures are being packed already; try again when that is done.")
    try:
        with disk_full("The archive"):
            opened = prepared(
                view.temporary_folder(), lambda file: view.write_everything(file, shown)
            )
    finally:
        _packing.release()
    return opened, _ZIP_TYPE


def file_read(context: Context, args: dict[str, Any]) -> Answer:
    """Return the next piece of an open download."""
    opened = context.files.get(args["handle"], "download")
    offset = check_whole("offset", args["offset"], low=0, high=_FAR)
    if offset > opened.size:
        raise InvalidRequest("offset", f"is beyond the end of the file ({opened.size} bytes).")
    with opened.lock:
        data = _read(opened, offset)
    end = offset + len(data) >= opened.size
    return Answer({"offset": offset, "size": len(data), "end": end}, (data,))


def _read(opened: OpenFile, offset: int) -> bytes:
    if opened.file.closed:
        raise NotFound("download", opened.name)
    opened.file.seek(offset)
    return opened.file.read(min(FILE_CHUNK_BYTES, opened.size - offset))


def file_close(context: Context, args: dict[str, Any]) -> Answer:
    """Close a download; one that is closed already is no error."""
    context.files.close_one(args["handle"], "download")
    return Answer()


# -- uploads --------------------------------------------------------------------------------------
def upload_begin(context: Context, args: dict[str, Any]) -> Answer:
    """Begin an upload of so many bytes."""
    view = View(context.workspace)
    most = view.max_upload_bytes()
    size = check_whole("size", args["size"], low=0, high=_FAR)
    if not 0 < size <= most:
        raise InvalidRequest("size", f"must be 1 to {most:,} bytes; this file has {size:,}.")
    with disk_full("The upload"):
        file = temporary(view.temporary_folder())
    name = "".join(letter for letter in args["name"] if letter.isprintable())[-_MAX_NAME:]
    return Answer({"handle": context.files.add(OpenFile("upload", name, size, file))})


def upload_chunk(context: Context, args: dict[str, Any]) -> Answer:
    """Take the next piece, which must begin where the last one ended."""
    buffer = context.buffers[0] if context.buffers else b""
    opened = context.files.get(args["handle"], "upload")
    offset = check_whole("offset", args["offset"], low=0, high=_FAR)
    if not 0 < len(buffer) <= MAX_BUFFER_BYTES:
        raise InvalidRequest("offset", f"a piece has 1 to {MAX_BUFFER_BYTES:,} bytes.")
    with opened.lock:
        if opened.file.closed:
            raise NotFound("upload", opened.name)
        if offset + len(buffer) == opened.received:
            return Answer({"received": opened.received})  # sent again: its answer was lost
        if offset != opened.received:
            raise InvalidRequest("offset", f"must be {opened.received}, where the last one ended.")
        if offset + len(buffer) > opened.size:
            raise InvalidRequest("offset", f"goes beyond the {opened.size:,} bytes announced.")
        _append(opened.file, offset, buffer)
        opened.received += len(buffer)
        return Answer({"received": opened.received})


def _append(file: IO[bytes], offset: int, buffer: bytes) -> None:
    with disk_full("The upload"):
        file.seek(offset)
        file.write(buffer)
        file.flush()


def upload_end(context: Context, args: dict[str, Any]) -> Answer:
    """Show what came to the image door; it becomes a reference for requests of this page.

    It is stored with the first request that uses it. Until then it is a temporary file, which goes
    with the page.
    """
    handle = args["handle"]
    opened = context.files.get(handle, "upload")
    if opened.received != opened.size:
        raise InvalidRequest("handle", f"has {opened.received:,} of {opened.size:,} bytes only.")
    try:
        asset = View(context.workspace).inspect(_whole(opened), "file")
    except InvalidRequest:
        context.files.close_one(handle, "upload")
        raise
    reference = context.files.to_reference(handle, opened.name)
    return Answer({"asset": asset, "reference": reference})


def upload_abort(context: Context, args: dict[str, Any]) -> Answer:
    """Forget an upload, or a reference that is not wanted any more."""
    context.files.close_one(args["handle"], "upload", "reference")
    return Answer()


def references_of(context: Context, names: Sequence[str]) -> list[bytes | Generation]:
    """Return the images that references stand for: uploads of this page, or generations by id.

    Raises
    ------
    InvalidRequest
        One of them is neither (uploaded by another page, forgotten, deleted, not to be seen).
    """
    pictures = View(context.workspace).pictures([name for name in names if is_id(name)])
    images: list[bytes | Generation] = []
    for place, name in enumerate(names):
        try:
            if name in pictures:
                images.append(context.workspace.generation(name))
            else:
                images.append(_whole(context.files.get(name, "reference")))
        except NotFound:
            raise InvalidRequest(
                f"references[{place}]", "is not there any more; choose it again."
            ) from None
    return images


def _whole(opened: OpenFile) -> bytes:
    with opened.lock:
        if opened.file.closed:
            raise NotFound(opened.kind, opened.name)
        opened.file.seek(0)
        return opened.file.read()
