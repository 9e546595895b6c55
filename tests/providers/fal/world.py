"""What the tests of fal start from."""

from __future__ import annotations

from decimal import Decimal

from tests.providers.world import added_to, failure_of, job_request, provider_on
from workbench.domain.jobs import JobRef, JobRequest
from workbench.errors import ProviderError
from workbench.providers.fal import Fal
from workbench.testing.emulators.fal import FalEmulator

CANARY = "canary01-23456789-abcd:canary0123456789abcdef"


SCHNELL = "fal:fal-ai/flux/schnell"


COST = Decimal("0.003")  # one billable unit


WAITING = {"status": "IN_QUEUE", "queue_position": 0}


MAKING = {"status": "IN_PROGRESS", "logs": []}


def made(server: FalEmulator, **changes) -> Fal:
    return provider_on(Fal, "fal", server, **changes)


def added(ws, server: FalEmulator, **changes) -> Fal:
    return added_to(ws, made(server, **changes))


def request_for(model: str = "fal-ai/flux/schnell", **changes) -> JobRequest:
    return job_request(model, **{"width": 512, "height": 512, **changes})


async def failing(provider: Fal, ref: JobRef | None = None, **changes) -> ProviderError:
    return await failure_of(provider, request_for(**changes), ref)
