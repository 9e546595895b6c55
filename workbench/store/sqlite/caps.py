"""Caps: how much may be spent a day or in all, by everybody, by one user, in one topic.

They are looked at inside the transaction that reserves, so that many processes together keep to
them. Budgets (``with ws.budget(…)``) belong to one program; caps to the workspace.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from workbench.domain.limits import day_start
from workbench.domain.money import amount_text, check_unit, from_micro
from workbench.domain.records import Cap, Identity, Price, Spent
from workbench.errors import BudgetExceeded, NotAllowed
from workbench.store.sqlite import access, ledger, validate
from workbench.store.sqlite.queries import sql

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

# By what spending can be shown -> the column; days are those of UTC.
_KEYS = {
    "day": "date(l.created_at / 1000, 'unixepoch')",
    "provider": "coalesce(g.provider, '(deleted)')",
    "model": "coalesce(g.model, '(deleted)')",
    "topic": "coalesce(t.title, '(deleted)')",
    "user": "l.account",
}
SPEND_BY = tuple(_KEYS)
_SCOPES = ("everybody", "user", "topic")
_PERIODS = ("day", "total")
_LARGEST = 10**18  # micro-units
_WHOSE = {"everybody": "everybody", "user": "you", "topic": "this topic"}


def check(
    source: Querying,
    user: str,
    topic_id: str | None,
    price: Price,
    n: int,
    *,
    now: int,
    already_micro: int = 0,
) -> None:
    """Raise BudgetExceeded if `n` images at `price` do not fit under the caps.

    Where the price is not known before, a cap that is used up stops them.

    Parameters
    ----------
    source:
        the transaction that will reserve, or a look at what it would find.
    user, topic_id:
        who pays, and where they will be (None: in a topic that is made for them).
    price, n:
        what one costs, and how many there are.
    now:
        UTC milliseconds.
    already_micro:
        what is reserved for them and counts as spent.
    """
    if price.is_free:
        return
    who = {"unit": price.unit, "user": user, "topic": topic_id or ""}
    for row in source.all(sql("caps.of"), who):
        spent = spent_under(source, row, now)
        need = price.amount_micro * n - already_micro
        most = row["amount_micro"]
        if spent + need > most or (price.by_provider and spent >= most):
            raise BudgetExceeded(_too_much(row, price, need, spent))


def _too_much(row: sqlite3.Row, price: Price, need: int, spent: int) -> str:
    a_day = " a day" if row["period"] == "day" else ""
    cap = f"the cap of {amount_text(row['amount_micro'], row['unit'])}{a_day}"
    left = max(0, row["amount_micro"] - spent)
    about = "about " if price.by_provider else ""
    cost = f"{about}{amount_text(need, price.unit)}" if need else "an amount not known before"
    until = " It starts anew at midnight (UTC)." if a_day else ""
    return (
        f"This would cost {cost}, but only {from_micro(left):f} of {cap} for "
        f"{_WHOSE[row['scope']]} is left.{until} Ask for fewer images, or change the cap with "
        "ws.set_cap()."
    )


def spent_under(source: Querying, row: sqlite3.Row, now: int) -> int:
    """Return what counts under a cap by now, in micro-units."""
    scope, subject = row["scope"], row["subject"]
    values = {
        "unit": row["unit"],
        "user": subject if scope == "user" else None,
        "topic": subject if scope == "topic" else None,
    }
    if row["period"] == "day":
        return int(source.scalar(sql("caps.day"), {**values, "since": day_start(now)}))
    return int(source.scalar(sql(f"caps.{scope}_total"), values))


def set_cap(tx: Transaction, identity: Identity, cap: Cap, *, remove: bool = False) -> None:
    """Set a cap in place of an earlier one of that kind, or take it away.

    Raises
    ------
        NotAllowed: somebody else's account or topic, or everybody's, without being the operator.
        NotFound: there is no such topic.
    """
    validate.check_identity(identity)
    validate.check_choice("scope", cap.scope, _SCOPES)
    validate.check_choice("per", cap.per, _PERIODS)
    validate.check_text("subject", cap.subject, limit=validate.MAX_NAME_CHARACTERS)
    check_unit(cap.unit)
    if cap.scope == "topic":
        access.own_row(tx, identity, "topic", cap.subject)
    elif not identity.all_users and (cap.scope == "everybody" or cap.subject != identity.user):
        raise NotAllowed("Caps of others are set by the operator: all_users=True.")
    if remove:
        tx.execute(sql("caps.remove"), (cap.scope, cap.subject, cap.unit, cap.per))
        return
    validate.check_whole("limit", cap.limit_micro, low=0, high=_LARGEST)
    tx.execute(
        sql("caps.put"),
        {
            "scope": cap.scope,
            "subject": cap.subject,
            "unit": cap.unit,
            "period": cap.per,
            "amount_micro": cap.limit_micro,
            "set_by": identity.user,
            "now": tx.now,
        },
    )


def caps(source: Querying, identity: Identity, now: int) -> list[Cap]:
    """Return the caps that bind `identity`, and with all_users everybody's."""
    found = []
    for row in source.all(sql("caps.all")):
        scope, subject = row["scope"], row["subject"]
        seen = identity.all_users or scope == "everybody" or subject == identity.user
        if scope == "topic" and not seen:
            topic = source.one(sql("access.topic"), (subject,))
            seen = topic is not None and access.sees(identity, topic)
        if seen:
            spent = spent_under(source, row, now)
            found.append(
                Cap(scope, subject, row["unit"], row["period"], row["amount_micro"], spent)
            )
    return found


def spend(source: Querying, identity: Identity, by: str, since_ms: int) -> list[Spent]:
    """Return what was spent since a time, by day, provider, model, topic or user.

    Raises
    ------
        InvalidRequest: `by` is none of these.
    """
    validate.check_choice("by", by, SPEND_BY)
    values = {
        "everybody": identity.all_users,
        "user": identity.user,
        "since": since_ms,
        "unknown": ledger.AMOUNT_UNKNOWN,
    }
    found = source.all(sql("caps.spend").replace("{key}", _KEYS[by]), values)
    return [
        Spent(row["what"], row["unit"], row["spent_micro"], row["images"], row["not_known"])
        for row in found
    ]
