"""The same models as interactions: an id that is stored, asked for and cancelled."""

from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="gemini_background",
    provider="workbench.providers.gemini:Gemini",
    emulator="workbench.testing.emulators.gemini:GeminiEmulator",
    model="gemini-3.1-flash-image",
    options=lambda server: {"base_url": server.base_url, "key": server.key},
    request={"resumable": True},
    emulator_options={"statuses": ["in_progress"]},
)
