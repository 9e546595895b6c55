"""What callers hand in: shown in a sentence whatever it is, and checked in its simple forms.

Callers are people in notebooks: they pass NumPy scalars, table cells, handles of closed
workspaces. A sentence about such a value must not fail itself: `repr` of a number of 5,000 digits
raises, that of a megabyte of text is one, and that of a handle may read the store.
"""

from __future__ import annotations

import reprlib
from collections.abc import Container, Iterable, Mapping
from itertools import islice
from typing import Any

from workbench.domain.border import asked
from workbench.errors import InvalidRequest

_LONGEST = 80
_INT64 = 2**63

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = _LONGEST
_repr.maxlevel = 3


def shown(value: object) -> str:
    r"""Return `value` as one short line of a sentence; never raises.

    >>> shown("a\nb"), shown(10**5000), shown("x" * 100)[:5]
    ("'a\\nb'", 'a whole number of many digits', "'xxxx")
    >>> shown([10**5000])
    'a list that cannot be shown (ValueError)'
    """

    def short() -> str:
        if isinstance(value, int) and not -_INT64 <= value < 2 * _INT64:
            return "a whole number of many digits"
        return " ".join(_repr.repr(value).split())

    def failed(error: Exception) -> str:
        return f"a {type(value).__name__} that cannot be shown ({type(error).__name__})"

    text = asked(short, failed)  # anybody's `repr`
    text = text.encode(errors="replace").decode()
    return text if len(text) <= _LONGEST + 20 else f"{text[:_LONGEST]}…"


def is_word(value: object, words: Container[str]) -> bool:
    """Tell whether `value` is text and one of `words` (an array answers neither yes nor no)."""
    return isinstance(value, str) and value in words


def check_flag(field: str, value: object) -> bool:
    """Return `value` if it is True or False (NumPy's included), else raise InvalidRequest."""
    if isinstance(value, bool):
        return value
    if type(value).__name__ in ("bool", "bool_") and type(value).__module__ == "numpy":
        return bool(value)
    raise InvalidRequest(field, f"must be True or False, not {shown(value)}.")


def check_whole(field: str, value: object, *, low: int, high: int) -> int:
    """Return `value` if it is a whole number from `low` to `high` (NumPy's included).

    >>> check_whole("limit", 20, low=1, high=500)
    20
    """
    index = getattr(value, "__index__", None)
    if isinstance(value, bool) or index is None:
        raise InvalidRequest(field, f"must be a whole number, not {shown(value)}.")
    try:
        number = int(index())
    except (TypeError, ValueError):  # an array, a NumPy bool, the class int itself
        raise InvalidRequest(field, f"must be one whole number, not {shown(value)}.") from None
    if not low <= number <= high:
        raise InvalidRequest(field, f"must be from {low} to {high}, not {shown(number)}.")
    return number


def check_items(field: str, value: object, what: str, *, limit: int) -> list[Any]:
    """Return the members of a list, set, array or generator; at most `limit` are taken.

    Raises
    ------
    InvalidRequest
        If it is one text, a mapping, no collection at all, or too long.
    """
    if isinstance(value, (str, bytes, bytearray, memoryview, Mapping)) or not _has_members(value):
        raise InvalidRequest(field, f"must be a list of {what}, not {shown(value)}.")
    assert isinstance(value, Iterable)
    members = list(islice(value, limit + 1))
    if len(members) > limit:
        raise InvalidRequest(field, f"has more than {limit:,} entries.")
    return members


def _has_members(value: object) -> bool:
    if isinstance(value, type) or not isinstance(value, Iterable):
        return False
    try:
        iter(value)
    except TypeError:  # NumPy's arrays without a dimension
        return False
    return True
