"""What the tests of bfl start from."""

from __future__ import annotations

from decimal import Decimal

from tests.providers.world import added_to, job_request, provider_on
from workbench.domain.jobs import JobRequest, Slot
from workbench.providers.bfl import BFL
from workbench.testing.emulators.bfl import BFLEmulator
from workbench.testing.emulators.server import Fault

CANARY = "bfl-canary-0123456789abcdefghij"


MODEL = "flux:flux-2-pro"


COST = Decimal("0.03")


def made_with(server: BFLEmulator, **changes) -> BFL:
    provider: BFL = provider_on(BFL, "flux", server, **changes)
    return provider


def added(ws, server: BFLEmulator, **changes) -> BFL:
    return added_to(ws, made_with(server, **changes))


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


def asked_for(model: str = "flux-2-pro", **changes) -> JobRequest:
    given = {"width": 1024, "height": 1024, "slots": (Slot("g", 4, 7),), **changes}
    return job_request(model, **given)
