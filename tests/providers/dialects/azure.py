from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="azure",
    provider="workbench.providers.azure_openai:AzureOpenAI",
    emulator="workbench.testing.emulators.azure_openai:AzureEmulator",
    emulator_options={"deployments": {"pictures": "gpt-image-2"}},
    model="pictures",
    resumable=False,
    options=lambda server: {
        "base_url": server.url,
        "key": server.key,
        "deployments": {"pictures": "gpt-image-2"},
    },
)
