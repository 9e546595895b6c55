"""Doing it again: retries of ended generations, and paid calls whose outcome is unknown."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from workbench.domain.ids import new_id
from workbench.domain.jobs import AttemptState
from workbench.domain.limits import VisitorLimits
from workbench.domain.records import GenerationRecord, Identity, Price
from workbench.domain.status import ErrorKind, Status
from workbench.errors import InvalidRequest, NotAllowed
from workbench.ports import Failure
from workbench.store.sqlite import access, caps, control, jobs, ledger, outcomes, siblings, visitors
from workbench.store.sqlite.queries import sql

if TYPE_CHECKING:
    from workbench.store.sqlite.writer import Transaction

_OUTCOMES = ("charged", "not_charged", "retry")


def retry(
    tx: Transaction,
    identity: Identity,
    generation_id: str,
    price: Price,
    limits: VisitorLimits | None = None,
) -> GenerationRecord:
    """Queue a failed or cancelled generation again: a new one in the same batch and index.

    It has the same settings and seed; the old one and its error stay. A second call while that
    retry has not ended returns it instead of making another (a double click).

    Parameters
    ----------
    tx:
        a FULL transaction.
    identity:
        who asks.
    generation_id:
        the ended generation.
    price:
        what is reserved for the new one, from its owner's balance.
    limits:
        how much a visitor may make (None: no limits).

    Returns
    -------
        The new generation: queued, or pending while its owner's queue is paused.

    Raises
    ------
        NotFound, NotAllowed: not there, somebody else's, not ended, completed, or in the trash.
        InsufficientBalance, LimitReached: nothing was stored.
    """
    row = access.own_row(tx, identity, "generation", generation_id)
    if row["status"] not in (Status.FAILED, Status.CANCELLED):
        raise NotAllowed(_why_not(row))
    again = tx.scalar(sql("jobs.active_retry"), (generation_id,))
    if again is None:
        visitors.check(tx, limits, row["owner"], 1, price, now=tx.now)
        caps.check(tx, row["owner"], row["topic_id"], price, 1, now=tx.now)
        again = _again(tx, row, price)
    return siblings.record(tx, again)


def _why_not(row: sqlite3.Row) -> str:
    if row["status"] == Status.COMPLETED:
        return (
            "This picture is complete; only failed and cancelled ones are retried. Generate again"
            " with its settings and another seed for a variation."
        )
    if control.unknown_outcome(row):
        return (
            "Whether this picture was made and charged is not known; settle that first"
            " (charged, not charged, or retry)."
        )
    return f"This picture is still {row['status']}; cancel it first, or wait for its end."


def _again(tx: Transaction, row: sqlite3.Row, price: Price) -> str:
    old = tx.one("SELECT lane FROM job WHERE id = ?", (row["job_id"],))
    paused = control.is_paused(tx, row["owner"])
    job_id = new_id()
    tx.execute(
        sql("jobs.insert_job"),
        {
            "id": job_id,
            "batch_id": row["batch_id"],
            "provider": row["provider"],
            "model": row["model"],
            "lane": row["provider"] if old is None else old["lane"],
            "owner": row["owner"],
            "priority": tx.scalar("SELECT priority FROM batch WHERE id = ?", (row["batch_id"],)),
            "state": "held" if paused else "queued",
            "hold": control.PAUSED if paused else None,
            "now": tx.now,
        },
    )
    id = siblings.insert(
        tx,
        row,
        {
            "job_id": job_id,
            "status": Status.PENDING if paused else Status.QUEUED,
            "detail_key": control.PAUSED if paused else None,
            "unit": price.unit,
            "rate_version": price.version,
            "reserved_micro": price.amount_micro,
        },
    )
    ledger.reserve(
        tx,
        account=row["owner"],
        unit=price.unit,
        amount_micro=price.amount_micro,
        generation_id=id,
        attempt_key=id,
        rate_version=price.version,
        reason="retry",
        afterwards=price.by_provider,
    )
    return id


def resolve_unknown(
    tx: Transaction,
    identity: Identity,
    generation_id: str,
    outcome: str,
    limits: VisitorLimits | None = None,
) -> GenerationRecord:
    """Settle a paid call without a known end, as a person says.

    Parameters
    ----------
    tx:
        a FULL transaction.
    identity:
        who decides.
    generation_id:
        a generation whose detail is outcome_unknown.
    outcome:
        "charged" (failed, the reserved price is booked), "not_charged" (failed, the
        reservation is released) or "retry" (not charged, and queued again at the same price).
    limits:
        how much a visitor may make (None: no limits).

    Returns
    -------
        The failed generation, or with "retry" the new one.

    Raises
    ------
        InvalidRequest: `outcome` is none of the three.
        NotFound, NotAllowed: not there, somebody else's, or its outcome is known.
        InsufficientBalance, LimitReached: the retry is not covered, or one too many; nothing was
            changed.
    """
    if outcome not in _OUTCOMES:
        raise InvalidRequest("outcome", f"{outcome!r} must be one of {', '.join(_OUTCOMES)}.")
    row = access.own_row(tx, identity, "generation", generation_id, live=False)
    if not control.unknown_outcome(row):
        raise NotAllowed(
            f"The outcome of this picture is known: it is {row['status']}. Nothing to settle."
        )
    charged = outcome == "charged"
    failure = Failure(
        ErrorKind.UNKNOWN_OUTCOME, "unknown_outcome", {"provider": row["provider"]}, charged
    )
    detail = "settled_by_person" if charged else None
    outcomes.fail_generation(tx, row, failure, detail_key=detail)
    jobs.end_if_done(tx, row["job_id"], AttemptState.UNKNOWN)
    if outcome != "retry":
        return siblings.record(tx, generation_id)
    price = jobs.reserved(row)
    visitors.check(tx, limits, row["owner"], 1, price, now=tx.now)
    caps.check(tx, row["owner"], row["topic_id"], price, 1, now=tx.now)
    return siblings.record(tx, _again(tx, row, price))
