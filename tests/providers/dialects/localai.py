from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="localai",
    provider="workbench.providers.openai_images:OpenAIImages",
    emulator="workbench.testing.emulators.openai:OpenAIEmulator",
    emulator_options={"key": None, "speaks": "localai", "streams": False},
    model="flux.1-dev",
    resumable=False,
    options=lambda server: {
        "base_url": server.base_url,
        "profile": "localai",
        "models": ["flux.1-dev"],
    },
)
