"""What the tests of fal start from."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.providers.world import FAST
from workbench.domain.jobs import JobRef, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import ProviderError
from workbench.providers.fal import Fal
from workbench.testing.emulators.fal import FalEmulator

CANARY = "canary01-23456789-abcd:canary0123456789abcdef"


SCHNELL = "fal:fal-ai/flux/schnell"


COST = Decimal("0.003")  # one billable unit


WAITING = {"status": "IN_QUEUE", "queue_position": 0}


MAKING = {"status": "IN_PROGRESS", "logs": []}


def made(server: FalEmulator, **changes) -> Fal:
    given = {"base_url": server.base_url, "key": server.key, "pace": FAST, **changes}
    return Fal("fal", **given)


def added(ws, server: FalEmulator, **changes) -> Fal:
    provider = made(server, **changes)
    ws.add_provider(provider)
    return provider


def asked_for(server: FalEmulator, method: str, end: str) -> list:
    return [
        one
        for one in server.requests
        if one.method == method and one.path.partition("?")[0].endswith(end)
    ]


def request_for(model: str = "fal-ai/flux/schnell", **changes) -> JobRequest:
    given = {
        "key": "k",
        "model": model,
        "operation": Operation.GENERATE,
        "prompt": "a fox",
        "negative_prompt": None,
        "width": 512,
        "height": 512,
        "params": {},
        "slots": (Slot("g", 0, 7),),
        **changes,
    }
    return JobRequest(**given)


async def failing(provider: Fal, ref: JobRef | None = None, **changes) -> ProviderError:
    """Return the error of a job, by its reference where there is one."""
    request = request_for(**changes)

    async def run() -> None:
        given = ref or await provider.submit(request)
        async for _ in provider.events(request, given):
            pass

    with pytest.raises(ProviderError) as caught:
        await run()
    await provider.close()
    return caught.value
