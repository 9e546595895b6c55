"""A waiting picture that is changed may cost something else: its reservation follows."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from workbench.domain.ids import new_id
from workbench.domain.limits import VisitorLimits
from workbench.domain.records import Price
from workbench.store.sqlite import caps, jobs, ledger, visitors

if TYPE_CHECKING:
    from workbench.store.sqlite.writer import Transaction

_REASON = "changed while it waited"


def reprice(
    tx: Transaction, row: sqlite3.Row, price: Price, limits: VisitorLimits | None
) -> dict[str, Any]:
    """Reserve `price` for the open generation `row` in place of what is reserved for it.

    Only the difference is booked. What becomes cheaper is never refused, except that nobody knows
    whether a price that is not known is lower.

    Returns
    -------
        The columns of the generation that change; none where the price stays.

    Raises
    ------
        LimitReached, BudgetExceeded, InsufficientBalance: what it becomes dearer is not covered.
    """
    old = jobs.reserved(row)
    if _parts(old) == _parts(price):
        return {}
    already = old.amount_micro if old.unit == price.unit else 0
    if price.amount_micro > already or price.is_unknown:
        visitors.check_money(tx, limits, row["owner"], price, 1, already_micro=already, now=tx.now)
        caps.check(tx, row["owner"], row["topic_id"], price, 1, already_micro=already, now=tx.now)
    _book(tx, row, old, price, already)
    return {
        "unit": price.unit,
        "rate_version": price.version,
        "reserved_micro": price.amount_micro,
    }


def _parts(price: Price) -> tuple[str, int, int]:
    return price.unit, price.amount_micro, price.version


def _book(tx: Transaction, row: sqlite3.Row, old: Price, new: Price, already: int) -> None:
    # A key of its own: the picture's own one is for its first reservation and its end.
    booking: dict[str, Any] = {
        "account": row["owner"],
        "generation_id": row["id"],
        "attempt_key": new_id(),
        "rate_version": new.version,
        "reason": _REASON,
    }
    back = old.amount_micro - min(already, new.amount_micro)
    ledger.release(tx, unit=old.unit, amount_micro=back, **booking)
    ledger.reserve(
        tx,
        unit=new.unit,
        amount_micro=max(0, new.amount_micro - already),
        afterwards=new.by_provider,
        **booking,
    )
