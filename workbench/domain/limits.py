"""How much anonymous visitors may make, so that one of them cannot keep out the others."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

#: Names of anonymous visitors begin with it; nobody else's should (see `workspace.identity`).
VISITOR_PREFIX = "visitor-"

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class VisitorLimits:
    """What a visitor may make; None is no limit, 0 nothing at all.

    Attributes
    ----------
    images_per_day:
        Images of one visitor per day (UTC). Failed and cancelled ones do not count.
    unfinished:
        Images of one visitor that wait or are being made at a time.
    queue:
        The same of all visitors together.
    usd_per_day:
        What one visitor may spend per day (UTC) of what providers bill to the operator's keys.
        Only without a limit they get models of which nobody knows before what they cost.
    """

    images_per_day: int | None = 100
    unfinished: int | None = 8
    queue: int | None = 200
    usd_per_day: Decimal | None = Decimal(0)


def is_visitor(user: str) -> bool:
    """Tell whether this is the name of an anonymous visitor.

    >>> is_visitor("visitor-0123"), is_visitor("ada")
    (True, False)
    """
    return user.startswith(VISITOR_PREFIX)


def day_start(now_ms: int) -> int:
    """Return the last midnight (UTC) before a time, both in UTC milliseconds.

    >>> day_start(86_400_000 + 5), day_start(86_400_000 - 1)
    (86400000, 0)
    """
    return now_ms // DAY_MS * DAY_MS
