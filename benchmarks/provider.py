"""A provider whose job is nothing but to say when it began."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from benchmarks.measure import now_ms
from workbench.domain.jobs import (
    FREE,
    Done,
    ImageReady,
    JobEvent,
    JobRef,
    JobRequest,
)
from workbench.domain.parameters import Model
from workbench.ports import ProviderState
from workbench.testing.pictures import png

NAME = "bench"
MODEL = "bench:picture"


class BenchProvider:
    """One tiny picture per slot; calls `began(prompt, milliseconds)` as the first thing.

    A prompt that begins with "block" never ends.
    """

    name = NAME
    title = "Benchmark"
    help = "Says when a job began."
    idempotency = FREE
    concurrency = 8
    deadline_s = 600.0

    def __init__(self, began: Callable[[str, float], None]) -> None:
        self._began = began

    def state(self) -> ProviderState:
        return ProviderState(True)

    def models(self) -> Sequence[Model]:
        return (
            Model(
                id=MODEL,
                provider=NAME,
                name="picture",
                title="Picture",
                help="",
                parameters={},
                max_images=64,
            ),
        )

    async def submit(self, request: JobRequest) -> JobRef:  # noqa: ARG002 - the protocol's
        return JobRef()

    async def events(
        self,
        request: JobRequest,
        ref: JobRef,  # noqa: ARG002 - the protocol's
    ) -> AsyncIterator[JobEvent]:
        self._began(request.prompt, now_ms())
        if request.prompt.startswith("block"):
            await asyncio.sleep(3600)
        for slot in request.slots:
            yield ImageReady(png(str(slot.index)), slot.index, seed=slot.seed)
        yield Done()

    async def cancel(self, ref: JobRef) -> None:
        pass

    async def lookup(self, request: JobRequest) -> JobRef | None:  # noqa: ARG002 - the protocol's
        return None

    async def close(self) -> None:
        pass
