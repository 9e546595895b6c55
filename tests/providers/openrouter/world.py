"""What the tests of openrouter start from."""

from __future__ import annotations

from tests.providers.world import added_to, provider_on
from workbench.providers.openrouter import OpenRouter
from workbench.testing.emulators.openrouter import OpenRouterEmulator

CANARY = "sk-or-v1-canary0123456789abcdef"


PLAIN = "or:bytedance-seed/seedream-4.5"


STREAMED = "or:openai/gpt-image-2.5-flare"


def provider_for(server: OpenRouterEmulator, **changes) -> OpenRouter:
    return provider_on(OpenRouter, "or", server, **changes)


def added(ws, server: OpenRouterEmulator, **changes) -> OpenRouter:
    return added_to(ws, provider_for(server, **changes))


def posts(server: OpenRouterEmulator) -> list[dict]:
    return [seen.json() for seen in server.requests if seen.method == "POST"]
