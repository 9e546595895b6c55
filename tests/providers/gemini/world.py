"""What the tests of gemini start from."""

from __future__ import annotations

from decimal import Decimal

from tests.providers.world import added_to, provider_on
from workbench.providers.gemini import Gemini
from workbench.testing.emulators.gemini import GeminiEmulator

CANARY = "AIzaCanary0123456789abcdefghijklmnop"


MODEL = "google:gemini-3.1-flash-image"


# 10 tokens of text in at 0.5, 100 of thoughts at 3, 1,120 of a picture at 60 USD per million.
COST = Decimal("0.067505")


# What thinking about it costs where no picture comes of it: 10 tokens in, 100 of thoughts.
WORDS = Decimal("0.000305")


BACKGROUND = {"resumable": True}


def added(ws, server: GeminiEmulator, **changes) -> Gemini:
    return added_to(ws, provider_on(Gemini, "google", server, **changes))


def polls(server: GeminiEmulator) -> list:
    return [seen for seen in server.requests if seen.method == "GET"]


def creates(server: GeminiEmulator) -> list:
    return [
        seen
        for seen in server.requests
        if seen.method == "POST" and not seen.path.endswith("/cancel")
    ]
