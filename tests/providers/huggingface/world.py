"""What the tests of huggingface start from."""

from __future__ import annotations

import pytest

from tests.providers.world import added_to, job_request, provider_on
from workbench.domain.jobs import JobRequest
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
    return provider_on(HuggingFace, "hf", server, **changes)


def added(ws, server: HuggingFaceEmulator, **changes) -> HuggingFace:
    return added_to(ws, made(server, **changes))


def posts(server: HuggingFaceEmulator) -> list:
    return [one for one in server.requests if one.method == "POST"]


def request_for(model: str, **changes) -> JobRequest:
    return job_request(model.removeprefix("hf:"), **{"width": 512, "height": 512, **changes})
