"""Amounts: integer micro-units in the store, Decimal in Python, never a float in between."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from workbench.errors import InvalidRequest

MICRO = 1_000_000
TOKEN = "token"  # noqa: S105 - a unit of account, not a secret
USD = "USD"
_LIMIT = 10**18  # micro-units; SQLite integers hold 9.2e18, and sums must stay below


def to_micro(
    amount: Decimal | float | str, *, field: str = "amount", minimum: int | None = None
) -> int:
    """Convert an amount in a unit to integer micro-units.

    Parameters
    ----------
    amount:
        In the unit (tokens or USD). A float is read by its shortest decimal form: 0.1 is 0.1.
    field:
        Name used in the error.
    minimum:
        Smallest accepted number of micro-units, or None.

    Raises
    ------
    InvalidRequest
        If it is no number, not finite, finer than a millionth, too large, or below `minimum`.

    >>> to_micro("2.5")
    2500000
    """
    if isinstance(amount, bool):
        raise InvalidRequest(field, "must be a number, not True or False.")
    try:
        value = Decimal(str(amount))
    except (InvalidOperation, ValueError):
        raise InvalidRequest(field, f"{amount!r} is not a number.") from None
    if not value.is_finite():
        raise InvalidRequest(field, f"{amount!r} is not a finite number.")
    if abs(value) * MICRO > _LIMIT:
        raise InvalidRequest(field, f"{amount!r} is too large.")
    micro = value * MICRO
    if micro != micro.to_integral_value():
        raise InvalidRequest(field, f"{amount!r} is finer than a millionth of a unit.")
    if minimum is not None and micro < minimum:
        raise InvalidRequest(field, f"{amount!r} must be at least {from_micro(minimum)}.")
    return int(micro)


def from_micro(micro: int) -> Decimal:
    """Convert integer micro-units to a Decimal in the unit, without trailing zeros.

    >>> from_micro(2500000)
    Decimal('2.5')
    """
    value = Decimal(micro).scaleb(-6)
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()


def amount_text(micro: int, unit: str) -> str:
    """Return an amount as people write it.

    >>> amount_text(2_000_000, "token"), amount_text(40_000, "USD")
    ('2 tokens', '0.04 USD')
    """
    amount = from_micro(micro)
    if unit == TOKEN and amount != 1:
        unit = "tokens"
    return f"{amount:f} {unit}"


def check_unit(unit: str) -> str:
    """Return `unit` if it can name a unit of account (1–12 letters); else raise InvalidRequest."""
    valid = type(unit) is str and 1 <= len(unit) <= 12 and unit.isascii() and unit.isalpha()
    if not valid:
        raise InvalidRequest("unit", f"{unit!r} is no unit; use 'token' or a currency like 'USD'.")
    return unit
