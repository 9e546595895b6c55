"""Pictures on their way out: saved files and ZIPs, with their parameters inside."""

from __future__ import annotations

import os
import tempfile
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.domain.records import BatchRecord, GenerationRecord, JsonValue
from workbench.errors import InvalidRequest, NotAllowed

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

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
    target = _target(path, file_stem(record), _SUFFIXES[asset.mime])
    data = workspace._engine.media.export_bytes(
        record.asset_id, describe(record), metadata=metadata
    )
    write_atomically(target, data)
    return target


def batch_zip(workspace: Workspace, record: BatchRecord, path: str | PathLike[str]) -> Path:
    """Write the finished pictures of a batch into a ZIP; see `Batch.to_zip`."""
    from workbench.media.archive import write_zip

    target = _target(path, _words(record.prompt), (".zip",))
    records = workspace._store.batch_generations(workspace.identity, record.id)
    finished = [generation for generation in records if generation.asset_id is not None]
    if not finished:
        raise NotAllowed("None of this batch's images is finished; there is nothing to put in.")
    entries = []
    for generation in finished:
        assert generation.asset_id is not None
        asset = workspace._store.asset(generation.asset_id)
        name = f"{file_stem(generation)}{_SUFFIXES[asset.mime][0]}"
        data = workspace._engine.media.export_bytes(
            generation.asset_id, describe(generation), metadata=True
        )
        entries.append((name, data))
    manifest: dict[str, Any] = {
        "workbench": 1,
        "batch_id": record.id,
        "prompt": record.prompt,
        "images": [
            {**describe(generation), "file": name, "status": generation.status.value}
            for generation, (name, _) in zip(finished, entries, strict=True)
        ],
        "missing": [
            {"index": generation.index, "status": generation.status.value}
            for generation in records
            if generation.asset_id is None
        ],
    }
    write_zip(target, entries, manifest)
    return target


def file_stem(record: GenerationRecord) -> str:
    """Return a file name without ending: some words of the prompt, the place, the seed."""
    seed = "" if record.seed is None else f"-s{record.seed}"
    return f"{_words(record.prompt)}-{record.index + 1}{seed}"


def _words(prompt: str) -> str:
    from workbench.media.archive import safe_name

    return safe_name("-".join(prompt.lower().split()[:6])[:48], "image")


def _target(path: str | PathLike[str], stem: str, suffixes: tuple[str, ...]) -> Path:
    try:
        target = Path(path).expanduser()
        if "\0" in str(target):
            raise InvalidRequest("path", "must not have NUL characters.")
        if target.is_dir():
            return target / f"{stem}{suffixes[0]}"
    except (TypeError, OSError, RuntimeError) as error:
        raise InvalidRequest("path", f"cannot be used as a file name ({error}).") from None
    if not target.suffix:
        target = target.with_name(target.name + suffixes[0])
    if target.suffix.lower() not in suffixes:
        raise InvalidRequest(
            "path", f"ends in {target.suffix!r}, but this is a {suffixes[0]} file; name it so."
        )
    if not target.parent.is_dir():
        raise InvalidRequest("path", f"there is no folder {str(target.parent)!r}; create it first.")
    return target


def write_atomically(target: Path, data: bytes) -> None:
    """Write a file whole or not at all (temporary file beside it, then rename)."""
    descriptor, temporary = tempfile.mkstemp(prefix=".wb~", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        # mkstemp makes private files; a saved picture gets the rights that the user's umask gives.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
