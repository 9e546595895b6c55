"""What the tests of replicate start from."""

from __future__ import annotations

import base64
import functools
from decimal import Decimal

from tests.providers.world import added_to, job_request, provider_on
from workbench.domain.jobs import (
    JobInput,
    JobRequest,
)
from workbench.providers.replicate import Replicate
from workbench.runner.settings import RunnerSettings
from workbench.testing.emulators.replicate import ReplicateEmulator
from workbench.testing.emulators.replicate_models import MODELS
from workbench.testing.emulators.server import Emulator, Fault

SDXL = MODELS["stability-ai/sdxl"].version


CANARY = "r8_canary0123456789abcdefghijklmnopqrst"


SCHNELL = "rep:black-forest-labs/flux-schnell"


COST = Decimal("0.003")  # as the catalogue has it: the API says nothing of costs


RETRIES = functools.partial(RunnerSettings, backoff_base_s=0.02, backoff_cap_s=0.05)


def made(server: ReplicateEmulator, **changes) -> Replicate:
    return provider_on(Replicate, "rep", server, **changes)


def added(ws, server: ReplicateEmulator, **changes) -> Replicate:
    return added_to(ws, made(server, **changes))


def faults_at(server: Emulator, method: str, part: str, *faults: Fault | None) -> None:
    """Let the next requests of a kind go wrong, one fault each."""
    waiting = list(faults)

    def fault_of(seen):
        if seen.method == method and part in seen.path and waiting:
            return waiting.pop(0)
        return None

    server.fault_of = fault_of


def creates(server: ReplicateEmulator) -> list:
    found = [one for one in server.requests if one.method == "POST"]
    return [one for one in found if one.path.endswith("/predictions")]


def request_for(model: str = "black-forest-labs/flux-schnell", **changes) -> JobRequest:
    return job_request(model, **changes)


def given(role: str, content: bytes, position: int = 0) -> JobInput:
    return JobInput("a", role, position, "image/png", lambda: content)


def data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def document(**properties) -> dict:
    return {
        "components": {
            "schemas": {
                "style": {"type": "string", "enum": ["plain", "ornate"]},
                "Input": {"properties": properties, "required": ["text"]},
            }
        }
    }
