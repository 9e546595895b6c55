"""The rows of jobs as claims, outcomes and people's actions share them: fence, open work, end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Row
from typing import TYPE_CHECKING, Any

from workbench.domain.jobs import AttemptState, Fence
from workbench.domain.money import TOKEN
from workbench.domain.records import BY_PROVIDER, Price
from workbench.store.sqlite import ledger
from workbench.store.sqlite.queries import sql

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

# Statuses that still change, for conditions in SQL.
OPEN = "status IN ('pending', 'queued', 'processing')"


def known(tx: Querying, statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> Row:
    """Return the one row of a statement that is known to find it."""
    row: Row | None = tx.one(statement, parameters)
    if row is None:
        raise LookupError("the store lacks a row that another row points to")
    return row


def running(tx: Querying, fence: Fence) -> Row | None:
    """Return the running job behind `fence`, or None if the fence is stale."""
    row: Row | None = tx.one(
        sql("jobs.fenced_running"), (fence.job_id, fence.runner_id, fence.attempt)
    )
    return row


def claimed(tx: Querying, fence: Fence) -> Row | None:
    """Return the job behind `fence` while it runs or after this very claim ended it, else None."""
    row: Row | None = tx.one(sql("jobs.fenced"), (fence.job_id, fence.runner_id, fence.attempt))
    return row


def open_generations(tx: Querying, job_id: str) -> list[Row]:
    """Return the generations of the job that have not ended, by index."""
    return list(tx.all(sql("jobs.open_generations"), (job_id,)))


def end(tx: Transaction, job_id: str, attempts: AttemptState) -> None:
    """End the job; submissions that are still open get the state `attempts`.

    A process may die between the outcome and `end_attempt`: an ended job must not look as if a
    submission of it were still under way.
    """
    tx.execute(sql("jobs.end"), {"id": job_id, "now": tx.now})
    close_attempts(tx, job_id, attempts)


def owed(tx: Querying, job_id: str) -> list[Row]:
    """Return the cancelled generations of the job that its open submission may still make.

    While there are any, the job goes on though nobody waits for it: where it is paid, they are
    charged if they are made.
    """
    return list(tx.all(sql("jobs.owed"), {"job_id": job_id}))


def is_sent(tx: Querying, job_id: str) -> bool:
    """Tell whether a submission of the job began whose end is not known."""
    return bool(tx.scalar(sql("jobs.is_sent"), (job_id,)))


def end_if_done(tx: Transaction, job_id: str, attempts: AttemptState) -> bool:
    """End the job if nothing of it is open or owed any more; tell whether it was ended."""
    if tx.scalar(sql("jobs.has_open"), (job_id,)) or owed(tx, job_id):
        return False
    end(tx, job_id, attempts)
    return True


def close_attempts(tx: Transaction, job_id: str, state: AttemptState) -> None:
    """Give the open submissions of the job their end."""
    tx.execute(sql("jobs.close_attempts"), {"job_id": job_id, "state": state.value, "now": tx.now})


def release(tx: Transaction, row: Row, reason: str) -> None:
    """Give back what is reserved for the generation `row` (as it was before it ended)."""
    if row["reserved_micro"]:
        ledger.release(
            tx,
            account=row["owner"],
            unit=row["unit"],
            amount_micro=row["reserved_micro"],
            generation_id=row["id"],
            attempt_key=row["id"],
            rate_version=row["rate_version"],
            reason=reason,
        )


def reserved(row: Row) -> Price:
    """Return the price that is reserved for the generation `row`."""
    return Price(
        unit=row["unit"] or TOKEN,
        amount_micro=row["reserved_micro"],
        version=row["rate_version"] or 0,
    )


def amount_unknown(row: Row, cost_micro: int, told_micro: int | None) -> bool:
    """Tell whether the generation `row` is billed by its provider and nobody knows how much.

    Parameters
    ----------
    row:
        the generation.
    cost_micro:
        what it is taken to cost, in micro-units.
    told_micro:
        what the provider said that it costs, in micro-units; None where it said nothing.
    """
    return row["rate_version"] == BY_PROVIDER and cost_micro == 0 and told_micro is None


def settle(
    tx: Transaction, row: Row, cost_micro: int, unit: str, reason: str, *, unknown: bool = False
) -> None:
    """Book that the generation `row` (as it was before it ended) cost `cost_micro`.

    `unknown`: it cost something that nobody knows (see `amount_unknown`).
    """
    if row["reserved_micro"] or cost_micro or unknown:
        ledger.settle(
            tx,
            account=row["owner"],
            unit=unit,
            reserved_micro=row["reserved_micro"],
            cost_micro=cost_micro,
            generation_id=row["id"],
            attempt_key=row["id"],
            rate_version=row["rate_version"],
            reason=reason,
            unknown=unknown,
        )


def ended_at(now: int, row: Row) -> int:
    """Return the time to store for the end of generation `row`: never before its start.

    The clock may step back while a picture is made; a duration is never negative.
    """
    return max(now, int(row["started_at"] or 0), int(row["created_at"]))


def id_list(ids: Iterable[str]) -> str:
    """Return `ids` as the JSON text that `json_each(?)` takes: any number in one parameter."""
    return json.dumps(list(ids))
