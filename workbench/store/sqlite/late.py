"""What a paid call leaves after the end of its pictures: late ones, charges, and doubts.

A generation that was cancelled stays cancelled. Whatever its call still gave, or may have given,
stands beside it as another one of the same batch and index, with `retry_of` and the same job.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from workbench.domain.jobs import AttemptState, Fence
from workbench.domain.records import GenerationRecord
from workbench.domain.status import OUTCOME_UNKNOWN, Status
from workbench.ports import Failure, Outcome
from workbench.store.sqlite import jobs, ledger, outcomes, projects_topics, siblings
from workbench.store.sqlite.queries import sql
from workbench.store.sqlite.rows import update_generation

if TYPE_CHECKING:
    from workbench.store.sqlite.writer import Transaction


def adopt_late(tx: Transaction, fence: Fence, outcome: Outcome) -> GenerationRecord | None:
    """Store a paid picture whose generation had ended without one (cancelled, or failed) meanwhile.

    It becomes a new completed generation of the same batch and index with `retry_of`, booked in
    full; the balance may go below 0, since the money is spent. If the ended one lies in the
    trash, so does the new one. Where one of unknown outcome stands there, that one is completed.

    Returns
    -------
        The new generation (the earlier one if this is a repeat); None if the fence is stale or
        the generation is open or completed.
    """
    row = _ended(tx, fence, outcome.generation_id)
    if row is None:
        return None
    late = _late(tx, row)
    if late is not None and _is_open(late):
        outcomes.deliver(tx, late, outcome)
        id = late["id"]
    elif late is None or late["status"] != Status.COMPLETED:
        # What came before it could not be used, and may have been charged already.
        id = _adopt(tx, row, outcome, paid=late is not None and bool(late["charged"]))
    else:
        id = late["id"]
    jobs.end_if_done(tx, row["job_id"], AttemptState.DONE)
    return siblings.record(tx, id)


def fail_late(
    tx: Transaction, fence: Fence, generation_id: str, failure: Failure
) -> GenerationRecord | None:
    """Book what was charged, without a usable picture, for a generation that had ended meanwhile.

    It becomes a failed generation of the same batch and index with `retry_of`, which says what
    came; the balance may go below 0, since the money is spent. Where one of unknown outcome
    stands there, that one fails.

    Returns
    -------
        The new generation (the earlier one if this is a repeat); None if the fence is stale, if
        the generation is open or completed, or if nothing was charged, or that is shown already.
    """
    row = _ended(tx, fence, generation_id)
    if row is None or row["charged"] or not failure.charged:
        return None
    late = _late(tx, row)
    if late is None:
        id = _refuse(tx, row, failure)
    else:
        id = late["id"]
        if _is_open(late):
            outcomes.fail_generation(tx, late, failure)
    jobs.end_if_done(tx, row["job_id"], AttemptState.FAILED)
    return siblings.record(tx, id)


def mark_unknown(tx: Transaction, fence: Fence, *, reason: str) -> bool:
    """Note that nobody knows whether the paid call made (and charged) its pictures.

    The job leaves its lane, reservations stay, and a person decides (`resolve_unknown`). Whoever
    cancelled a picture of that call is asked, too: beside it stands one of unknown outcome, and
    its price is reserved again.

    Returns
    -------
        False if the fence is stale.
    """
    job = jobs.running(tx, fence)
    if job is None:
        return False
    leave_open(tx, job, reason)
    return True


def leave_open(tx: Transaction, job: sqlite3.Row, reason: str) -> None:
    """Leave what a running job was sent for to a person (see `mark_unknown`)."""
    for row in jobs.owed(tx, job["id"]):
        _doubt(tx, row, reason)
    jobs.close_attempts(tx, job["id"], AttemptState.UNKNOWN)
    if jobs.end_if_done(tx, job["id"], AttemptState.UNKNOWN):
        return
    tx.execute("UPDATE job SET state = 'unknown', runner_id = NULL WHERE id = ?", (job["id"],))
    for row in jobs.open_generations(tx, job["id"]):
        update_generation(tx, row["id"], _unknown(reason))


def _unknown(reason: str) -> dict[str, Any]:
    return {
        "status": Status.PROCESSING,
        "detail_key": OUTCOME_UNKNOWN,
        "detail_args": {"reason": reason},
    }


def _ended(tx: Transaction, fence: Fence, generation_id: str) -> sqlite3.Row | None:
    """Return a generation of this claim's job that has ended without a picture."""
    job = jobs.claimed(tx, fence)
    if job is None:
        return None
    return tx.one(
        "SELECT * FROM generation"
        " WHERE id = ? AND job_id = ? AND status IN ('cancelled', 'failed')",
        (generation_id, job["id"]),
    )


def _late(tx: Transaction, row: sqlite3.Row) -> sqlite3.Row | None:
    """Return what stands beside the ended generation `row`, the picture if there is one."""
    return tx.one(sql("jobs.late"), {"id": row["id"], "job_id": row["job_id"]})


def _is_open(late: sqlite3.Row) -> bool:
    """Tell whether what stands there is of unknown outcome (it may be asked for once more)."""
    return late["status"] not in (Status.COMPLETED, Status.FAILED)


def _price(tx: Transaction, row: sqlite3.Row) -> int:
    """Return what was reserved for `row` before its end gave it back, in micro-units."""
    return int(tx.scalar(sql("jobs.price_reserved"), (row["id"],)) or 0)


def _adopt(tx: Transaction, row: sqlite3.Row, outcome: Outcome, *, paid: bool) -> str:
    outcomes.keep_asset(tx, outcome.asset, row)
    # The price is no longer reserved; a failure that was charged has paid for this picture.
    cost, unit, unknown = 0, row["unit"] or "", False
    if not row["charged"] and not paid:
        cost, unit = outcomes.cost_of(_price(tx, row), row["unit"], outcome)
        unknown = jobs.amount_unknown(row, cost, outcome.cost_micro)
    id = _book(
        tx,
        row,
        outcomes.finished_fields(row, outcome) | {"charged": cost > 0 or unknown},
        (cost, unit),
        "late picture",
        unknown=unknown,
    )
    if row["deleted_at"] is None:
        projects_topics.choose_cover(tx, row["topic_id"])
    return id


def _refuse(tx: Transaction, row: sqlite3.Row, failure: Failure) -> str:
    cost = outcomes.named_cost(_price(tx, row), row["unit"] or "", failure.cost_micro, failure.unit)
    fields = {
        "status": Status.FAILED,
        "progress": row["progress"],
        "error_kind": failure.kind,
        "error_key": failure.key,
        "error_args": failure.args,
        "charged": True,
    }
    unknown = jobs.amount_unknown(row, cost[0], failure.cost_micro)
    return _book(tx, row, fields, cost, "charged without a picture", unknown=unknown)


def _doubt(tx: Transaction, row: sqlite3.Row, reason: str) -> None:
    """Reserve again what the cancelled generation `row` may have cost, until a person decides."""
    price = _price(tx, row)
    fields = _unknown(reason) | {"progress": row["progress"], "reserved_micro": price}
    _beside(tx, row, fields, (price, row["unit"] or ""), "cancelled, outcome unknown")


def _book(
    tx: Transaction,
    row: sqlite3.Row,
    fields: dict[str, Any],
    cost: tuple[int, str],
    reason: str,
    *,
    unknown: bool,
) -> str:
    """Insert what came late beside `row`, book its cost (micro-units, unit) and return its id."""
    finished = {"cost_micro": cost[0], "finished_at": jobs.ended_at(tx.now, row)}
    id = _beside(tx, row, fields | finished, cost, reason)
    booking = _booking(row, id, cost[1], reason)
    ledger.settle(tx, reserved_micro=cost[0], cost_micro=cost[0], unknown=unknown, **booking)
    return id


def _beside(
    tx: Transaction,
    row: sqlite3.Row,
    fields: dict[str, Any],
    price: tuple[int, str],
    reason: str,
) -> str:
    """Insert a generation of the same job beside `row`, reserve its price and return its id."""
    amount_micro, unit = price
    id = siblings.insert(
        tx,
        row,
        {
            "job_id": row["job_id"],
            "step": row["step"],
            "total_steps": row["total_steps"],
            "attempt": row["attempt"],
            "preview": 0,
            "unit": unit or None,
            "rate_version": row["rate_version"],
            "started_at": row["started_at"],
            "deleted_at": row["deleted_at"],
            "deleted_by": row["deleted_by"],
            **fields,
        },
    )
    ledger.overdraw(tx, amount_micro=amount_micro, **_booking(row, id, unit, reason))
    return id


def _booking(row: sqlite3.Row, id: str, unit: str, reason: str) -> dict[str, Any]:
    return {
        "account": row["owner"],
        "unit": unit,
        "generation_id": id,
        "attempt_key": id,
        "rate_version": row["rate_version"],
        "reason": reason,
    }
