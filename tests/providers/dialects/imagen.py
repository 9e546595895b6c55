"""Several pictures in one call: Imagen, on a server that still has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.providers.dialects import Dialect
from workbench.providers.catalogue import Entry
from workbench.providers.gemini import Gemini


class OldServer(Gemini):
    """As a file of the user's would name its models."""

    def _entries(self) -> Mapping[str, Entry]:
        return {
            name: replace(entry, gone=None)
            for name, entry in super()._entries().items()
            if name.startswith("imagen-")
        }


DIALECT = Dialect(
    name="imagen",
    provider=f"{__name__}:OldServer",
    emulator="workbench.testing.emulators.gemini:GeminiEmulator",
    model="imagen-4.0-generate-001",
    resumable=False,
    options=lambda server: {"base_url": server.base_url, "key": server.key},
)
