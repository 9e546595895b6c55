"""What the tests of bfl start from."""

from __future__ import annotations

import time
from decimal import Decimal

import workbench as wb
from tests.providers.world import fast
from workbench.domain.jobs import JobRef, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.providers.bfl import BFL
from workbench.testing.emulators.bfl import BFLEmulator
from workbench.testing.emulators.server import Fault

CANARY = "bfl-canary-0123456789abcdefghij"


MODEL = "flux:flux-2-pro"


COST = Decimal("0.03")


def made_with(server: BFLEmulator, **changes) -> BFL:
    given = {"base_url": server.base_url, "key": server.key, "pace": fast, **changes}
    provider = BFL("flux", **given)
    provider.absent_s = 0.2
    return provider


def added(ws, server: BFLEmulator, **changes) -> BFL:
    provider = made_with(server, **changes)
    ws.add_provider(provider)
    return provider


def only(batch: wb.Batch):
    (generation,) = batch.wait(30).generations
    return generation


def noted(ws, words: str) -> bool:
    until = time.monotonic() + 5
    while time.monotonic() < until:  # a remark may come after the end of its job
        if any(words in repr(entry) for entry in ws.debug.entries()):
            return True
        time.sleep(0.01)
    return False


def paths(server: BFLEmulator, method: str = "POST") -> list[str]:
    return [seen.path for seen in server.requests if seen.method == method]


def polls(server: BFLEmulator) -> int:
    return sum("get_result" in path for path in paths(server, "GET"))


def creates_only(fault: Fault):
    return lambda seen: fault if seen.method == "POST" else None


def polls_only(*faults: Fault):
    left = list(faults)
    return lambda seen: left.pop(0) if "get_result" in seen.path and left else None


def files_only(*faults: Fault):
    left = list(faults)
    return lambda seen: left.pop(0) if "/files/" in seen.path and left else None


async def follow(provider: BFL, request: JobRequest, ref: JobRef) -> list:
    return [event async for event in provider.events(request, ref)]


def asked_for(model: str = "flux-2-pro", **changes) -> JobRequest:
    given = {
        "key": "k",
        "model": model,
        "operation": Operation.GENERATE,
        "prompt": "a fox",
        "negative_prompt": None,
        "width": 1024,
        "height": 1024,
        "params": {},
        "slots": (Slot("g", 4, 7),),
    }
    return JobRequest(**{**given, **changes})
