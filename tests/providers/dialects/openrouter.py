from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="openrouter",
    provider="workbench.providers.openrouter:OpenRouter",
    emulator="workbench.testing.emulators.openrouter:OpenRouterEmulator",
    model="bytedance-seed/seedream-4.5",
    resumable=False,
    options=lambda server: {"base_url": server.base_url, "key": server.key},
)
