from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="gemini",
    provider="workbench.providers.gemini:Gemini",
    emulator="workbench.testing.emulators.gemini:GeminiEmulator",
    model="gemini-3.1-flash-image",
    resumable=False,
    options=lambda server: {"base_url": server.base_url, "key": server.key},
)
