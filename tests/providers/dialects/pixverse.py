from __future__ import annotations

from tests.providers.dialects import Dialect
from workbench.testing.pictures import png

DIALECT = Dialect(
    name="pixverse",
    provider="workbench.providers.pixverse:PixVerse",
    emulator="workbench.testing.emulators.pixverse:PixVerseEmulator",
    model="image-template",
    options=lambda server: {"base_url": server.base_url, "key": server.key},
    request={"references": [png("me")]},  # there is nothing without an image to begin with
)
