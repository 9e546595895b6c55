"""The one call of Stability AI's that gives an id, which others can follow."""

from __future__ import annotations

from tests.providers.dialects import Dialect
from workbench.testing.pictures import png

DIALECT = Dialect(
    name="stability_up",
    provider="workbench.providers.stability:Stability",
    emulator="workbench.testing.emulators.stability:StabilityEmulator",
    model="upscale-creative",
    options=lambda server: {"base_url": server.base_url, "key": server.key},
    request={"references": [png("me")]},  # there is nothing without an image to begin with
)
