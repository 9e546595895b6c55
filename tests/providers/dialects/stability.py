from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="stability",
    provider="workbench.providers.stability:Stability",
    emulator="workbench.testing.emulators.stability:StabilityEmulator",
    model="sd3.5-medium",
    resumable=False,
    options=lambda server: {"base_url": server.base_url, "key": server.key},
)
