"""What the tests of openrouter start from."""

from __future__ import annotations

from tests.providers.world import fast
from workbench.providers.openrouter import OpenRouter
from workbench.testing.emulators.openrouter import OpenRouterEmulator

CANARY = "sk-or-v1-canary0123456789abcdef"


PLAIN = "or:bytedance-seed/seedream-4.5"


STREAMED = "or:openai/gpt-image-2.5-flare"


def provider_for(server: OpenRouterEmulator, **changes) -> OpenRouter:
    given = {"base_url": server.base_url, "key": server.key, "pace": fast, **changes}
    return OpenRouter("or", **given)


def added(ws, server: OpenRouterEmulator, **changes) -> OpenRouter:
    provider = provider_for(server, **changes)
    ws.add_provider(provider)
    return provider


def posts(server: OpenRouterEmulator) -> list[dict]:
    return [seen.json() for seen in server.requests if seen.method == "POST"]
