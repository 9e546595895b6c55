from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="oai",
    provider="workbench.providers.openai_images:OpenAIImages",
    emulator="workbench.testing.emulators.openai:OpenAIEmulator",
    model="gpt-image-2.5-flare",
    resumable=False,
    options=lambda server: {"base_url": server.base_url, "key": server.key},
)
