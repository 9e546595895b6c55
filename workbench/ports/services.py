"""The ports beside the store: pictures and their files, providers, where blocking work runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from workbench.domain.jobs import (
    IdempotencyPolicy,
    JobEvent,
    JobRef,
    JobRequest,
)
from workbench.domain.parameters import Model
from workbench.domain.records import (
    AssetRecord,
)

T = TypeVar("T")


@runtime_checkable
class Media(Protocol):
    """The image files of one workspace. Every method blocks; the engine calls them in threads."""

    def admit(self, data: bytes, *, source: str) -> AssetRecord:
        """Check bytes at the image door, store them, return the asset (ImageRejected, DiskFull)."""

    def read(self, asset_id: str) -> bytes: ...
    def exists(self, asset_id: str) -> bool: ...
    def path(self, asset_id: str) -> Path: ...
    def thumbnail(self, asset_id: str, size: int) -> Path:
        """Path of the WebP thumbnail with this longer side (256 or 768), made if needed."""

    def put_preview(self, generation_id: str, data: bytes) -> None: ...
    def read_preview(self, generation_id: str) -> bytes | None: ...
    def drop_preview(self, generation_id: str) -> None: ...
    def remove(self, asset_id: str) -> None: ...
    def free_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ProviderState:
    """Whether a provider can be used here, and if not, what is missing (a sentence)."""

    ready: bool
    code: str = "ready"  # ready | key_missing | package_missing | unreachable | error
    message: str = ""


@runtime_checkable
class Provider(Protocol):
    """A service or engine that makes images. One instance serves many jobs at once.

    ``events`` runs on the engine's loop and must not block it: CPU work goes through `executor`.

    One that knows how long it may be silent while it makes a picture has that as `stall_s`, in
    seconds (None: until its deadline). Without it, what the runner takes for usual counts.
    """

    name: str
    title: str
    help: str
    idempotency: IdempotencyPolicy
    concurrency: int  # jobs at once over all processes of a workspace
    deadline_s: float  # longest time for one job

    def state(self) -> ProviderState: ...
    def models(self) -> Sequence[Model]: ...
    async def submit(self, request: JobRequest) -> JobRef: ...
    def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]: ...
    async def cancel(self, ref: JobRef) -> None: ...
    async def lookup(self, request: JobRequest) -> JobRef | None: ...
    async def close(self) -> None: ...


class Executor(Protocol):
    """Where blocking work runs. Later also a cluster."""

    async def run(self, work: Callable[..., T], *arguments: Any) -> T: ...
    def close(self) -> None: ...
