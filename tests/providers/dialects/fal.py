from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="fal",
    provider="workbench.providers.fal:Fal",
    emulator="workbench.testing.emulators.fal:FalEmulator",
    model="fal-ai/flux/schnell",
    options=lambda server: {"base_url": server.base_url, "key": server.key},
)
