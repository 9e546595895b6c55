from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="bfl",
    provider="workbench.providers.bfl:BFL",
    emulator="workbench.testing.emulators.bfl:BFLEmulator",
    model="flux-2-pro",
    options=lambda server: {"base_url": server.base_url, "key": server.key},
)
