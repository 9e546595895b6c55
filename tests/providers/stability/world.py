"""What the tests of stability start from."""

from __future__ import annotations

import workbench as wb
from tests.providers.world import added_to, provider_on
from workbench.providers.stability import Stability
from workbench.testing.emulators.stability import StabilityEmulator
from workbench.testing.pictures import png

CANARY = "sk-canary-0123456789abcdefghij"


CORE = "stab:stable-image-core"


CREATIVE = "stab:upscale-creative"


def made_with(server: StabilityEmulator, **changes) -> Stability:
    provider: Stability = provider_on(Stability, "stab", server, **changes)
    provider.penalty_s = 0.05
    return provider


def added(ws, server: StabilityEmulator, **changes) -> Stability:
    return added_to(ws, made_with(server, **changes))


def fields_of(seen) -> dict[str, str]:
    return {part.name: part.content.decode() for part in seen.parts() if part.filename is None}


def files_of(seen) -> dict[str, tuple[str, bytes]]:
    return {part.name: (part.content_type, part.content) for part in seen.parts() if part.filename}


def posts(server: StabilityEmulator) -> list:
    return [seen for seen in server.requests if seen.method == "POST"]


def polls(server: StabilityEmulator) -> int:
    return sum(seen.path.startswith("/v2beta/results/") for seen in server.requests)


def upscaled(ws, **changes) -> wb.Batch:
    given = {"model": CREATIVE, "source": png("small"), "operation": "upscale", **changes}
    return ws.generate("a sharp fox", **given)
