from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="comfy",
    provider="workbench.providers.comfyui:ComfyUI",
    emulator="workbench.testing.emulators.comfyui:ComfyUIEmulator",
    model="text-to-image",
    options=lambda server: {"base_url": server.base_url},
    request={"steps": 3},
)
