from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="together",
    provider="workbench.providers.together:Together",
    emulator="workbench.testing.emulators.openai:OpenAIEmulator",
    emulator_options={"key": "tgp_v1_0123456789", "speaks": "together", "streams": False},
    model="black-forest-labs/FLUX.1-schnell",
    resumable=False,
    options=lambda server: {"base_url": server.base_url, "key": server.key},
)
