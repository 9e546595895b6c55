"""What a provider bills for a picture, as far as it can be said before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal
from types import MappingProxyType

from workbench.domain.money import MICRO
from workbench.domain.records import JsonValue

_EXACT = Context(prec=60, traps=[])
_MEGAPIXEL = 1_000_000


@dataclass(frozen=True, slots=True)
class SizePrices:
    """US dollars for one picture by its size: some sizes have a price, others a bound.

    Attributes
    ----------
    sizes:
        USD for a width and height in pixels, also for the two turned round.
    per_image, per_megapixel:
        For any other size: a fixed part and one for each million of pixels. It should be what the
        dearest shape costs, so that an estimate is rather too high than too low.
    least:
        No other size costs less.

    Examples
    --------
    >>> prices = SizePrices({(1024, 768): Decimal("0.14")}, Decimal("0.17"), Decimal("0.04"))
    >>> prices.usd(768, 1024), prices.usd(2000, 1000)
    (Decimal('0.14'), Decimal('0.25'))
    """

    sizes: Mapping[tuple[int, int], Decimal] = field(default_factory=dict)
    per_image: Decimal = Decimal(0)
    per_megapixel: Decimal = Decimal(0)
    least: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", MappingProxyType(dict(self.sizes)))

    def usd(self, width: int | None, height: int | None) -> Decimal:
        """Return the estimate for one picture of a size in pixels (None: of a megapixel)."""
        if width and height:
            known = self.sizes.get((width, height), self.sizes.get((height, width)))
            if known is not None:
                return known
        part = _EXACT.divide(self.per_megapixel * _pixels(width, height), Decimal(_MEGAPIXEL))
        return max(self.least, self.per_image + part)


def _pixels(width: int | None, height: int | None) -> int:
    return width * height if width and height else _MEGAPIXEL


@dataclass(frozen=True, slots=True)
class Rate:
    """US dollars for one picture: a fixed part, a part by size, and parts by what was chosen.

    Attributes
    ----------
    per_image:
        USD for each picture.
    per_megapixel:
        USD for each million of pixels, begun ones counted in part.
    by:
        USD to add for the value of a parameter: ``{"quality": {"low": 0.01, "high": 0.17}}``.
    by_size:
        Likewise, where it depends on the size how much: ``{"quality": {"low": SizePrices(…)}}``.

    Examples
    --------
    >>> rate = Rate(by={"quality": {"low": Decimal("0.01"), "high": Decimal("0.17")}})
    >>> rate.micro({"quality": "high"}, width=1024, height=1024)
    170000
    """

    per_image: Decimal = Decimal(0)
    per_megapixel: Decimal = Decimal(0)
    by: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    by_size: Mapping[str, Mapping[str, SizePrices]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", MappingProxyType(dict(self.by)))
        object.__setattr__(self, "by_size", MappingProxyType(dict(self.by_size)))

    def micro(
        self, params: Mapping[str, JsonValue], *, width: int | None, height: int | None
    ) -> int:
        """Return the estimate for one picture in micro-dollars.

        Parameters
        ----------
        params:
            Checked parameters of the request.
        width, height:
            In pixels; None where the model has no size: it counts as a megapixel.
        """
        pixels = _pixels(width, height)
        usd = self.per_image + _EXACT.divide(self.per_megapixel * pixels, Decimal(_MEGAPIXEL))
        tables = [*self.by.items()]
        for name, prices in self.by_size.items():
            tables.append((name, {key: one.usd(width, height) for key, one in prices.items()}))
        for name, table in tables:
            value = params.get(name)
            # Where the provider chooses ("auto"), the dearest one: better too much than too little.
            usd += table.get(str(value), max(table.values(), default=Decimal(0)))
        return int((usd * MICRO).to_integral_value(ROUND_HALF_UP, _EXACT))
