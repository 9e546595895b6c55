"""How many tokens an answer of Google's took, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from workbench.providers.asking import objects_in

_MICRO = Decimal("0.000001")
_MOST_TOKENS = 10**9


@dataclass(frozen=True, slots=True)
class Tokens:
    """How many tokens of which kind an answer took; thoughts are counted as text."""

    text_in: int = 0
    image_in: int = 0
    text_out: int = 0
    image_out: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.text_in + other.text_in,
            self.image_in + other.image_in,
            self.text_out + other.text_out,
            self.image_out + other.image_out,
        )


NO_TOKENS = Tokens()


@dataclass(frozen=True, slots=True)
class TokenRates:
    """US dollars per million tokens, by what the tokens are.

    >>> rates = TokenRates.of({"text_in": "0.5", "text_out": "3", "image_out": "60"})
    >>> rates.cost(Tokens(text_in=10, text_out=100, image_out=1120))
    Decimal('0.067505')
    """

    text_in: Decimal
    image_in: Decimal
    text_out: Decimal
    image_out: Decimal

    @classmethod
    def of(cls, given: Mapping[str, str]) -> TokenRates:
        """Make rates of the data file's object; without "image_in" images go in as text does."""
        text_in = Decimal(given["text_in"])
        return cls(
            text_in,
            Decimal(given.get("image_in", text_in)),
            Decimal(given["text_out"]),
            Decimal(given["image_out"]),
        )

    def cost(self, tokens: Tokens) -> Decimal:
        """Return what these tokens cost in USD."""
        total = (
            tokens.text_in * self.text_in
            + tokens.image_in * self.image_in
            + tokens.text_out * self.text_out
            + tokens.image_out * self.image_out
        ) / 1_000_000
        return total.quantize(_MICRO, rounding=ROUND_HALF_UP)


def tokens_of(usage: Any) -> Tokens:
    """Read ``usageMetadata`` or an interaction's ``usage``; no tokens where it says not enough.

    What came out besides pictures is the whole less what went in: whether the count of candidates
    holds the thoughts differs between models, and the whole does not.
    """
    if not isinstance(usage, dict):
        return NO_TOKENS
    given = _count(usage, "promptTokenCount", "total_input_tokens")
    whole = _count(usage, "totalTokenCount", "total_tokens")
    pictures = _images_in(usage, "candidatesTokensDetails", "output_tokens_by_modality")
    if given is None or whole is None or whole < given + pictures:
        return NO_TOKENS
    image_in = min(_images_in(usage, "promptTokensDetails", "input_tokens_by_modality"), given)
    return Tokens(given - image_in, image_in, whole - given - pictures, pictures)


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS:
            return value
    return None


def _images_in(usage: Mapping[str, Any], *names: str) -> int:
    return sum(
        _count(one, "tokenCount", "tokens") or 0
        for name in names
        for one in objects_in(usage.get(name))
        if str(one.get("modality", "")).lower() == "image"
    )
