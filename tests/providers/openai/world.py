"""What the tests of openai start from."""

from __future__ import annotations

from decimal import Decimal

from workbench.providers.openai_images import OpenAIImages
from workbench.testing.emulators.openai import OpenAIEmulator

CANARY = "sk-canary-0123456789abcdefghij"


MODEL = "oai:gpt-image-2.5-flare"


# 10 tokens of text in at 5, 1,000 + 100 of pictures out at 30 USD per million.
COST = Decimal("0.03305")


READING = Decimal("0.00005")  # those of the text alone


def added(ws, server: OpenAIEmulator, **changes) -> OpenAIImages:
    given = {"base_url": server.base_url, "key": server.key, **changes}
    provider = OpenAIImages("oai", **given)
    ws.add_provider(provider)
    return provider
