from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="webui",
    provider="workbench.providers.sdwebui:SDWebUI",
    emulator="workbench.testing.emulators.sdwebui:SDWebUIEmulator",
    model="current",
    resumable=False,
    options=lambda server: {"base_url": server.base_url},
    request={"steps": 3},
)
