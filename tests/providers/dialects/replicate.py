from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="rep",
    provider="workbench.providers.replicate:Replicate",
    emulator="workbench.testing.emulators.replicate:ReplicateEmulator",
    emulator_options={"states": [{"status": "starting"}]},
    model="black-forest-labs/flux-schnell",
    options=lambda server: {"base_url": server.base_url, "key": server.key},
)
