"""What the tests of huggingface start from."""

from __future__ import annotations

import pytest

from tests.providers.world import FAST
from workbench.domain.jobs import JobRef, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import ProviderError
from workbench.providers.huggingface import HuggingFace
from workbench.testing.emulators.huggingface import HuggingFaceEmulator

CANARY = "hf_canary0123456789abcdefghij"


SCHNELL = "hf:black-forest-labs/FLUX.1-schnell"


ROUTES = {
    "hf-inference": f"{SCHNELL}:hf-inference",
    "fal-ai": SCHNELL,
    "together": f"{SCHNELL}:together",
    "replicate": f"{SCHNELL}:replicate",
}


QUEUED = "hf:black-forest-labs/FLUX.2-dev"  # by fal's queue


WAITING = {"status": "IN_QUEUE", "queue_position": 0}


each_route = pytest.mark.parametrize("route", list(ROUTES))


def made(server: HuggingFaceEmulator, **changes) -> HuggingFace:
    given = {"base_url": server.base_url, "key": server.key, "pace": FAST, **changes}
    return HuggingFace("hf", **given)


def added(ws, server: HuggingFaceEmulator, **changes) -> HuggingFace:
    provider = made(server, **changes)
    ws.add_provider(provider)
    return provider


def posts(server: HuggingFaceEmulator) -> list:
    return [one for one in server.requests if one.method == "POST"]


def request_for(model: str, **changes) -> JobRequest:
    given = {
        "key": "k",
        "model": model.removeprefix("hf:"),
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


async def failing(provider: HuggingFace, request: JobRequest, ref: JobRef | None = None):
    async def run() -> None:
        given = ref or await provider.submit(request)
        async for _ in provider.events(request, given):
            pass

    with pytest.raises(ProviderError) as caught:
        await run()
    await provider.close()
    return caught.value
