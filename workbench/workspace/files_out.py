"""Pictures on their way out: saved files and ZIPs, with their parameters inside."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from workbench.domain.arguments import shown
from workbench.domain.records import BatchRecord, GenerationRecord, JsonValue
from workbench.errors import DiskFull, InvalidRequest, NotAllowed, NotFound

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

#: Returns of a record what may leave in a file.
Shown = Callable[[GenerationRecord], GenerationRecord]

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_BINARY = getattr(os, "O_BINARY", 0)
_SUFFIXES = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/webp": (".webp",),
    "image/gif": (".gif",),
}


def describe(record: GenerationRecord) -> dict[str, JsonValue]:
    """Return what a file says about its picture; never a path, a user or a key."""
    described: dict[str, JsonValue] = {
        "generation_id": record.id,
        "asset_id": record.asset_id,
        "operation": record.operation.value,
        "prompt": record.prompt,
        "prompt_sent": record.prompt_sent,
        "negative_prompt": record.negative_prompt,
        "provider": record.provider,
        "model": record.model,
        "width": record.width,
        "height": record.height,
        "seed": record.seed,
        "params": dict(record.params),
        "created_at": record.created_at,
    }
    return {key: value for key, value in described.items() if value is not None}


def save(
    workspace: Workspace, record: GenerationRecord, path: str | PathLike[str], *, metadata: bool
) -> Path:
    """Write one picture; see `Generation.save`."""
    assert record.asset_id is not None
    asset = workspace._store.asset(record.asset_id)
    target = target_path(path, file_stem(record), _SUFFIXES[asset.mime])
    data = workspace._engine.media.export_bytes(
        record.asset_id, describe(record), metadata=metadata
    )
    write_atomically(target, data)
    return target


def batch_zip(workspace: Workspace, record: BatchRecord, path: str | PathLike[str]) -> Path:
    """Write the finished pictures of a batch into a ZIP; see `Batch.to_zip`."""
    from workbench.media.archive import write_zip

    target = target_path(path, _words(record.prompt), (".zip",))
    entries, manifest = _contents(workspace, record)
    written = list(entries)  # an image that cannot be read is no fault of the target
    with writing_errors():
        write_zip(target, written, manifest)
    return target


def write_archive(
    workspace: Workspace, record: BatchRecord, file: IO[bytes], shown: Shown | None = None
) -> str:
    """Write the ZIP of a batch into an open file, image by image; returns a name for it."""
    from workbench.media.archive import write_zip

    entries, manifest = _contents(workspace, record, shown)
    with disk_full("The archive"):
        write_zip(file, entries, manifest)
    return f"{_words(record.prompt)}.zip"


def _contents(
    workspace: Workspace, record: BatchRecord, shown: Shown | None = None
) -> tuple[Iterator[tuple[str, bytes]], dict[str, Any]]:
    """Return the files of a batch's ZIP, each made when it is its turn, and the manifest."""
    records = workspace._store.batch_generations(workspace.identity, record.id)
    if shown is not None:
        records = [shown(generation) for generation in records]
    finished = [generation for generation in records if generation.asset_id is not None]
    if not finished:
        raise NotAllowed("None of this batch's images is finished; there is nothing to put in.")
    assets = [workspace._store.asset(str(generation.asset_id)) for generation in finished]
    names = [
        f"{file_stem(generation)}{_SUFFIXES[asset.mime][0]}"
        for generation, asset in zip(finished, assets, strict=True)
    ]
    manifest: dict[str, Any] = {
        "workbench": 1,
        "batch_id": record.id,
        "prompt": record.prompt,
        "images": [
            {**describe(generation), "file": name, "status": generation.status.value}
            for generation, name in zip(finished, names, strict=True)
        ],
        "missing": [
            {"index": generation.index, "status": generation.status.value}
            for generation in records
            if generation.asset_id is None
        ],
    }
    entries = (
        (name, _export(workspace, generation))
        for name, generation in zip(names, finished, strict=True)
    )
    return entries, manifest


def exported(workspace: Workspace, record: GenerationRecord, mime: str) -> tuple[str, bytes]:
    """Return a name and the bytes of a picture as it leaves, its settings inside."""
    return f"{file_stem(record)}{_SUFFIXES[mime][0]}", _export(workspace, record)


def _export(workspace: Workspace, record: GenerationRecord) -> bytes:
    return workspace._engine.media.export_bytes(
        str(record.asset_id), describe(record), metadata=True
    )


def open_stored(workspace: Workspace, asset_id: str) -> IO[bytes]:
    """Open the stored bytes of an image (a link in its place is not followed).

    Raises
    ------
    NotFound
        The file is missing.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | _BINARY
    try:
        return os.fdopen(os.open(workspace._engine.media.path(asset_id), flags), "rb")
    except FileNotFoundError:
        raise NotFound("image file", asset_id[:12]) from None


@contextlib.contextmanager
def disk_full(what: str) -> Iterator[None]:
    """Turn "no space" into a sentence; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise DiskFull(f"{what} did not fit on the disk. Free some space.") from error


def file_stem(record: GenerationRecord) -> str:
    """Return a file name without ending: some words of the prompt, the place, the seed."""
    seed = "" if record.seed is None else f"-s{record.seed}"
    return f"{_words(record.prompt)}-{record.index + 1}{seed}"


def _words(prompt: str) -> str:
    from workbench.media.archive import safe_name

    return safe_name("-".join(prompt.lower().split()[:6])[:48], "image")


def target_path(path: str | PathLike[str], stem: str, suffixes: tuple[str, ...]) -> Path:
    """Return the file that a person means by a path: in a folder it is named after `stem`.

    Raises
    ------
    InvalidRequest
        There is no such folder, or the path ends in something else than one of `suffixes`.
    """
    target = local_path(path)
    try:
        if target.is_dir():
            return target / f"{stem}{suffixes[0]}"
    except OSError as error:
        raise _unusable(error) from None
    if target.name in ("", ".."):
        raise InvalidRequest("path", f"there is no folder {shown(str(target))}; create it first.")
    if not target.suffix:
        target = target.with_name(target.name + suffixes[0])
    if target.suffix.lower() not in suffixes:
        raise InvalidRequest(
            "path", f"ends in {shown(target.suffix)}, but this is a {suffixes[0]} file; name it so."
        )
    if not target.parent.is_dir():
        folder = shown(str(target.parent))
        raise InvalidRequest("path", f"there is no folder {folder}; create it first.")
    return target


def local_path(path: object, field: str = "path") -> Path:
    """Return a path that a person gave, ``~`` filled in.

    Raises
    ------
    InvalidRequest
        If no file can have this name.
    """
    try:
        target = Path(path).expanduser()  # type: ignore[arg-type]  # callers are people
        if b"\0" in os.fsencode(target):
            raise InvalidRequest(field, "must not have NUL characters.")
    except (TypeError, RuntimeError) as error:  # no path at all, or a home that is not known
        raise InvalidRequest(field, f"cannot be used as a file name ({error}).") from None
    except UnicodeEncodeError:
        raise InvalidRequest(field, "is not valid Unicode text (half a surrogate).") from None
    return target


@contextlib.contextmanager
def writing_errors() -> Iterator[None]:
    """Turn what the file system refuses at a place that a person chose into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFull("The disk is full; nothing was written. Free some space.") from error
        raise _unusable(error) from error


def _unusable(error: OSError) -> InvalidRequest:
    return InvalidRequest("path", f"cannot be written: {error.strerror or error}.")


def write_atomically(target: Path, data: bytes) -> None:
    """Write a file whole or not at all (temporary file beside it, then rename)."""
    temporary = target.with_name(f".wb~{uuid.uuid4().hex}")
    with writing_errors():
        # A new file of the usual mode: the user's umask decides who else may read the picture.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)  # it has the name `target` now, if all went well
