"""Amounts: integer micro-units in the store, Decimal in Python, never a float in between."""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation

from workbench.domain.arguments import shown
from workbench.errors import InvalidRequest

MICRO = 1_000_000
TOKEN = "token"  # noqa: S105 - a unit of account, not a secret
USD = "USD"
# Not the caller's context: a precision of 3 set for a paper must not round anybody's money.
_EXACT = Context(prec=60, traps=[])
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
    value = _as_decimal(amount, field)
    if not value.is_finite():
        raise InvalidRequest(field, f"{shown(amount)} is not a finite number.")
    # By its exponent first: 1e999999 times a million is no number any more.
    if value and value.adjusted() > 12:
        raise InvalidRequest(field, f"{shown(amount)} is too large.")
    if value and _finest(value) < -6:
        raise InvalidRequest(field, f"{shown(amount)} is finer than a millionth of a unit.")
    micro = int(_EXACT.scaleb(value, 6)) if value else 0
    if abs(micro) > _LIMIT:
        raise InvalidRequest(field, f"{shown(amount)} is too large.")
    if minimum is not None and micro < minimum:
        raise InvalidRequest(field, f"{shown(amount)} must be at least {from_micro(minimum)}.")
    return micro


def _as_decimal(amount: object, field: str) -> Decimal:
    if isinstance(amount, bool):
        raise InvalidRequest(field, "must be a number, not True or False.")
    if isinstance(amount, Decimal):
        return amount
    if isinstance(amount, int):
        return Decimal(amount)  # str() of thousands of digits raises
    # Numbers of NumPy and pandas have the shortest form that is theirs in str().
    if not isinstance(amount, (float, str)) and not hasattr(amount, "__float__"):
        raise InvalidRequest(field, f"{shown(amount)} is not a number.")
    try:
        return Decimal(str(amount))
    except (InvalidOperation, ValueError):
        raise InvalidRequest(field, f"{shown(amount)} is not a number.") from None


def _finest(value: Decimal) -> int:
    """Return the exponent of the last digit that is not zero."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # finite
    zeros = next(place for place, digit in enumerate(reversed(digits)) if digit)
    return exponent + zeros


def from_micro(micro: int) -> Decimal:
    """Convert integer micro-units to a Decimal in the unit, without trailing zeros.

    >>> from_micro(2500000)
    Decimal('2.5')
    """
    if micro % MICRO == 0:
        return Decimal(micro // MICRO)
    return _EXACT.normalize(_EXACT.scaleb(Decimal(micro), -6))


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
        raise InvalidRequest(
            "unit", f"{shown(unit)} is no unit; use 'token' or a currency like 'USD'."
        )
    return unit
