"""Money: append-only bookings in integer micro-units, and a balance per account and unit.

A reservation takes the price away, the settlement gives back what was not used, a release gives
back all of it::

    reserve  -price      settle  +(price - cost)      release  +price

so that a completed picture costs its cost and any other nothing. The balance row is kept in the
same transaction; the condition in its UPDATE is what many processes cannot overspend. Each row
carries a SHA-256 over the chain before it and itself: a row that was changed, removed or slipped
in shows (`verify_chain`).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING

from workbench.domain.ids import new_id
from workbench.domain.money import amount_text, check_unit, from_micro
from workbench.domain.records import LedgerEntry
from workbench.errors import InsufficientBalance, InvalidRequest
from workbench.store.sqlite import feed, queries

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

_LARGEST = 4 * 10**18  # SQLite integers end at 9.2e18; no sum of two may pass that
_PAGE_ROWS = 1_000
# The reason of a booking of 0 that stands for an amount; `caps.spend` counts them.
AMOUNT_UNKNOWN = "billed by the provider, amount not known"


def balance(source: Querying, account: str, unit: str) -> int:
    """Return the balance in micro-units (0 for an account that never had a booking)."""
    found = source.scalar(queries.sql("ledger.balance"), (account, unit))
    return 0 if found is None else int(found)


def grant(
    tx: Transaction, *, account: str, unit: str, amount_micro: int, reason: str
) -> LedgerEntry:
    """Add an amount above 0 to an account and return the booking."""
    if balance(tx, account, unit) + amount_micro > _LARGEST:
        raise InvalidRequest("amount", "would make the balance too large a number.")
    return _book(tx, "grant", account, unit, amount_micro, reason=reason)


def reserve(
    tx: Transaction,
    *,
    account: str,
    unit: str,
    amount_micro: int,
    generation_id: str,
    attempt_key: str,
    rate_version: int | None,
    reason: str,
    afterwards: bool = False,
) -> None:
    """Take the price of a picture out of the balance; 0 books nothing.

    `afterwards`: the provider bills it to whoever owns the key, so that no balance has to cover
    it; the account says (below 0) what was spent.

    Raises
    ------
        InsufficientBalance: the balance does not cover it; nothing was booked.
    """
    if amount_micro == 0:
        return
    if not afterwards:
        covered = tx.execute(
            queries.sql("ledger.take"), (amount_micro, account, unit, amount_micro)
        ).rowcount
        if not covered:
            raise insufficient(balance(tx, account, unit), amount_micro, unit)
    _book(
        tx,
        "reserve",
        account,
        unit,
        -amount_micro,
        reason=reason,
        generation_id=generation_id,
        attempt_key=attempt_key,
        rate_version=rate_version,
        balance_done=not afterwards,
    )


def insufficient(have_micro: int, need_micro: int, unit: str) -> InsufficientBalance:
    """Return the error for a request that the balance does not cover."""
    return InsufficientBalance(
        f"This needs {amount_text(need_micro, unit)}, but the balance is "
        f"{amount_text(have_micro, unit)}. Ask for less, or add to the balance with ws.grant()."
    )


def settle(
    tx: Transaction,
    *,
    generation_id: str,
    attempt_key: str,
    reserved_micro: int,
    cost_micro: int,
    account: str,
    unit: str,
    rate_version: int | None = None,
    reason: str = "generation",
    unknown: bool = False,
) -> None:
    """Give back what a completed picture did not use of its reservation.

    The booking is written even where that is 0, so that each completed picture has its settlement;
    a picture that neither reserved nor cost anything books nothing, unless its provider bills it
    and nobody knows how much (`unknown`): that is booked as 0 and says so. A cost above the
    reservation may take the balance below 0: the money is spent.
    """
    if unknown:
        reason = AMOUNT_UNKNOWN
    elif reserved_micro == 0 and cost_micro == 0:
        return
    _book(
        tx,
        "settle",
        account,
        unit,
        reserved_micro - cost_micro,
        reason=reason,
        generation_id=generation_id,
        attempt_key=attempt_key,
        rate_version=rate_version,
    )


def release(
    tx: Transaction,
    *,
    generation_id: str,
    attempt_key: str,
    amount_micro: int,
    account: str,
    unit: str,
    rate_version: int | None = None,
    reason: str = "not charged",
) -> None:
    """Give back what is reserved and not needed (0: no booking).

    All of it where a picture failed or was cancelled, a part where it became cheaper.
    """
    if amount_micro == 0:
        return
    _book(
        tx,
        "release",
        account,
        unit,
        amount_micro,
        reason=reason,
        generation_id=generation_id,
        attempt_key=attempt_key,
        rate_version=rate_version,
    )


def refund(
    tx: Transaction,
    *,
    generation_id: str,
    attempt_key: str,
    amount_micro: int,
    account: str,
    unit: str,
    rate_version: int | None = None,
    reason: str = "refund",
) -> None:
    """Give back what was settled (a provider took a charge back); 0 books nothing."""
    if amount_micro == 0:
        return
    _book(
        tx,
        "refund",
        account,
        unit,
        amount_micro,
        reason=reason,
        generation_id=generation_id,
        attempt_key=attempt_key,
        rate_version=rate_version,
    )


def overdraw(
    tx: Transaction,
    *,
    account: str,
    unit: str,
    amount_micro: int,
    generation_id: str,
    attempt_key: str,
    rate_version: int | None,
    reason: str,
) -> None:
    """Reserve without asking the balance: for a late result whose money is already spent."""
    if amount_micro == 0:
        return
    _book(
        tx,
        "reserve",
        account,
        unit,
        -amount_micro,
        reason=reason,
        generation_id=generation_id,
        attempt_key=attempt_key,
        rate_version=rate_version,
    )


def _book(
    tx: Transaction,
    kind: str,
    account: str,
    unit: str,
    amount_micro: int,
    *,
    reason: str,
    generation_id: str | None = None,
    attempt_key: str | None = None,
    rate_version: int | None = None,
    balance_done: bool = False,
) -> LedgerEntry:
    check_unit(unit)
    if not balance_done:
        tx.execute(queries.sql("ledger.add"), (account, unit, amount_micro))
    after = balance(tx, account, unit)
    id = new_id()
    # Inside a write transaction no other process can come between reading and writing the chain.
    before = tx.scalar(queries.sql("ledger.last_chain")) or ""
    values = (
        id,
        account,
        unit,
        kind,
        amount_micro,
        generation_id,
        attempt_key,
        reason,
        rate_version,
        tx.now,
    )
    row = tx.one(queries.sql("ledger.insert"), (*values, _chain(str(before), *values)))
    feed.record(
        tx,
        "ledger",
        id,
        "insert",
        1,
        {
            "account": account,
            "unit": unit,
            "kind": kind,
            "amount_micro": amount_micro,
            "balance_micro": after,
            "reason": reason,
            "transaction_id": id,
            "generation_id": generation_id,
        },
        owner=account,
    )
    assert row is not None  # RETURNING gives the row that was inserted
    return entry(row)


def _chain(before: str, *values: object) -> str:
    text = json.dumps([before, *values], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def entry(row: sqlite3.Row) -> LedgerEntry:
    """Return the record of a row of `ledger`."""
    return LedgerEntry(
        seq=row["seq"],
        id=row["id"],
        account=row["account"],
        unit=row["unit"],
        kind=row["kind"],
        amount_micro=row["amount_micro"],
        generation_id=row["generation_id"],
        attempt_key=row["attempt_key"],
        reason=row["reason"],
        rate_version=row["rate_version"],
        created_at=row["created_at"],
    )


def page(
    reader: Querying, account: str | None, unit: str | None, after_seq: int
) -> list[LedgerEntry]:
    """Return the next bookings after `after_seq`, oldest first: of all accounts, or of one.

    Parameters
    ----------
    reader:
        a reading connection or a transaction.
    account:
        None for all accounts (then `unit` is not asked).
    unit:
        the account's unit, since bookings are indexed by account and unit.
    after_seq:
        `seq` of the last booking of the page before (0: from the beginning).
    """
    if account is None:
        rows = reader.all(queries.sql("ledger.page_all"), (after_seq, _PAGE_ROWS))
    else:
        parameters = (account, unit, after_seq, _PAGE_ROWS)
        rows = reader.all(queries.sql("ledger.page_account"), parameters)
    return [entry(row) for row in rows]


def verify_chain(reader: Querying) -> list[str]:
    """Check the hash chain and the balances; returns problems as sentences (empty: all is well)."""
    problems: list[str] = []
    sums: dict[tuple[str, str], int] = {}
    before = ""
    for row in _rows(reader):
        expected = _chain(
            before,
            row["id"],
            row["account"],
            row["unit"],
            row["kind"],
            row["amount_micro"],
            row["generation_id"],
            row["attempt_key"],
            row["reason"],
            row["rate_version"],
            row["created_at"],
        )
        if row["chain"] != expected:
            problems.append(
                f"Ledger entry {row['seq']} ({row['id']}) does not fit the entry before it: "
                "a booking was changed, removed or slipped in."
            )
        before = row["chain"]
        key = (row["account"], row["unit"])
        sums[key] = sums.get(key, 0) + row["amount_micro"]
    kept = {
        (row["account"], row["unit"]): row["amount_micro"]
        for row in reader.all(queries.sql("ledger.all_balances"))
    }
    for account, unit in sorted(sums.keys() | kept.keys()):
        booked, shown = sums.get((account, unit), 0), kept.get((account, unit), 0)
        if booked != shown:
            problems.append(
                f"The balance of {account!r} is {from_micro(shown)} {unit}, but its bookings sum "
                f"up to {from_micro(booked)} {unit}."
            )
    return problems


def _rows(reader: Querying) -> Iterator[sqlite3.Row]:
    after = 0
    while rows := reader.all(queries.sql("ledger.page_all"), (after, _PAGE_ROWS)):
        yield from rows
        after = rows[-1]["seq"]
