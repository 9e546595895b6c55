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

    Examples
    --------
    >>> rate = Rate(by={"quality": {"low": Decimal("0.01"), "high": Decimal("0.17")}})
    >>> rate.micro({"quality": "high"}, width=1024, height=1024)
    170000
    """

    per_image: Decimal = Decimal(0)
    per_megapixel: Decimal = Decimal(0)
    by: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", MappingProxyType(dict(self.by)))

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
        pixels = width * height if width and height else _MEGAPIXEL
        usd = self.per_image + _EXACT.divide(self.per_megapixel * pixels, Decimal(_MEGAPIXEL))
        for name, table in self.by.items():
            value = params.get(name)
            # Where the provider chooses ("auto"), the dearest one: better too much than too little.
            usd += table.get(str(value), max(table.values(), default=Decimal(0)))
        return int((usd * MICRO).to_integral_value(ROUND_HALF_UP, _EXACT))
