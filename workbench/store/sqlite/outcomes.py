"""What becomes of claimed work: progress, pictures, failures. Every write presents its fence."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.domain.jobs import AttemptState, Fence, Progress
from workbench.domain.records import AssetRecord, Json
from workbench.domain.status import ErrorKind, Status
from workbench.ports import Failure, Outcome
from workbench.store.sqlite import jobs, projects_topics, submit
from workbench.store.sqlite.queries import sql
from workbench.store.sqlite.rows import to_json, topic_visibility, update_generation

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

# Longest delay before a retry. `promote_due` takes a job that would wait longer for one that was
# held before the clock stepped back; the runner's own limit (10 min) lies below.
MAX_DELAY_MS = 15 * 60 * 1000
# These remarks of a claim stay until there is something else to say.
_STAYING = frozenset({"restarted", "resumed"})


def report_progress(tx: Transaction, fence: Fence, steps: Sequence[Progress]) -> bool:
    """Store the newest progress of a job's generations; False if the fence is stale.

    Within an attempt nothing goes backwards; ended generations and those of other jobs are left
    alone; what is not new writes nothing.
    """
    job = jobs.running(tx, fence)
    if job is None:
        return False
    rows = {row["id"]: row for row in jobs.open_generations(tx, job["id"])}
    for step in steps:
        row = rows.get(step.generation_id)
        fields = {} if row is None else _news(row, step)
        if fields:
            # Several steps of one generation may come at once: the next one sees this one.
            updated = update_generation(tx, step.generation_id, fields)
            if updated is not None:
                rows[step.generation_id] = updated
    return True


def _news(row: sqlite3.Row, step: Progress) -> dict[str, Any]:
    """Return the columns of `row` that `step` changes."""
    said: dict[str, Any] = {
        "status": (Status.QUEUED if step.queued else Status.PROCESSING).value,
        "progress": max(row["progress"], min(max(float(step.fraction), 0.0), 1.0)),
    }
    if step.step is not None:
        said["step"] = max(row["step"] or 0, step.step)
    if step.total is not None:
        said["total_steps"] = step.total
    if step.preview is not None:
        said["preview"] = max(row["preview"], step.preview)
    news = {name: value for name, value in said.items() if row[name] != value}
    if step.detail_key is not None or row["detail_key"] not in _STAYING:
        arguments = to_json(step.detail_args)
        if (row["detail_key"], row["detail_args"]) != (step.detail_key, arguments):
            news |= {"detail_key": step.detail_key, "detail_args": arguments}
    return news


def complete(tx: Transaction, fence: Fence, outcome: Outcome) -> bool:
    """Store a finished picture: asset, generation, settlement, cover, and the job's end.

    Returns
    -------
        False if the fence is stale or the generation has ended; then nothing is written.
    """
    job = jobs.running(tx, fence)
    row = None
    if job is not None:
        row = tx.one(
            f"SELECT * FROM generation WHERE id = ? AND job_id = ? AND {jobs.OPEN}",  # noqa: S608
            (outcome.generation_id, job["id"]),
        )
    if job is None or row is None:
        return False
    deliver(tx, row, outcome)
    jobs.end_if_done(tx, job["id"], AttemptState.DONE)
    return True


def deliver(tx: Transaction, row: sqlite3.Row, outcome: Outcome) -> None:
    """End the open generation `row` with its picture: asset, settlement, cover."""
    keep_asset(tx, outcome.asset, row)
    cost, unit = cost_of(row["reserved_micro"], row["unit"], outcome)
    unknown = jobs.amount_unknown(row, cost, outcome.cost_micro)
    jobs.settle(tx, row, cost, unit, "picture", unknown=unknown)
    update_generation(
        tx,
        row["id"],
        finished_fields(row, outcome)
        | {
            "step": row["total_steps"] if row["step"] is None else row["step"],
            "error_kind": None,
            "error_key": None,
            "error_args": {},
            "cost_micro": cost,
            "unit": unit or None,
            "charged": cost > 0 or unknown,
            "reserved_micro": 0,
            "finished_at": jobs.ended_at(tx.now, row),
        },
    )
    projects_topics.choose_cover(tx, row["topic_id"])


def finished_fields(row: sqlite3.Row, outcome: Outcome) -> dict[str, Any]:
    """Return what a generation made of `row` is with its picture; what is not told stays."""
    return {
        "status": Status.COMPLETED,
        "progress": 1.0,
        "asset_id": outcome.asset.id,
        "seed": row["seed"] if outcome.seed is None else outcome.seed,
        "prompt_sent": row["prompt_sent"] if outcome.prompt_sent is None else outcome.prompt_sent,
        "detail_key": outcome.detail_key,
        "detail_args": outcome.detail_args,
    }


def cost_of(reserved_micro: int, unit: str | None, outcome: Outcome) -> tuple[int, str]:
    """Return what a picture costs (micro-units) and in which unit, as the ledger books it.

    The price that was reserved is the cost unless the provider named one in the same unit, or
    nothing was reserved: an amount in another currency cannot be set against the reservation.
    """
    return named_cost(reserved_micro, unit or "", outcome.cost_micro, outcome.unit)


def named_cost(
    reserved_micro: int, unit: str, cost_micro: int | None, named: str | None
) -> tuple[int, str]:
    """Return the amount that the provider named, if it counts, else what was reserved."""
    if cost_micro is not None:
        named = named or unit
        if named and (named == unit or not reserved_micro):
            return max(0, cost_micro), named
    return reserved_micro, unit


def keep_asset(tx: Transaction, asset: AssetRecord, row: sqlite3.Row) -> None:
    """Store the row of the image unless the same bytes are known already."""
    visibility = topic_visibility(tx, row["topic_id"])
    submit.insert_asset(tx, asset, of=row, visibility=visibility)


def fail(tx: Transaction, fence: Fence, generation_ids: Sequence[str], failure: Failure) -> int:
    """End open generations of a claimed job as failed; returns how many (0 if stale)."""
    job = jobs.running(tx, fence)
    if job is None:
        return 0
    wanted = set(generation_ids)
    rows = [row for row in jobs.open_generations(tx, job["id"]) if row["id"] in wanted]
    for row in rows:
        fail_generation(tx, row, failure)
    jobs.end_if_done(tx, job["id"], AttemptState.FAILED)
    return len(rows)


def fail_generation(
    tx: Transaction,
    row: sqlite3.Row,
    failure: Failure,
    *,
    detail_key: str | None = None,
) -> None:
    """End the open generation `row` as failed: reservation released, or settled if charged."""
    cost, unit = 0, row["unit"] or ""
    if failure.charged:
        cost, unit = named_cost(row["reserved_micro"], unit, failure.cost_micro, failure.unit)
        unknown = jobs.amount_unknown(row, cost, failure.cost_micro)
        jobs.settle(tx, row, cost, unit, "charged without a picture", unknown=unknown)
    else:
        jobs.release(tx, row, "failed")
    update_generation(
        tx,
        row["id"],
        {
            "status": Status.FAILED,
            "detail_key": detail_key,
            "detail_args": {},
            "error_kind": failure.kind,
            "error_key": failure.key,
            "error_args": failure.args,
            "charged": failure.charged,
            "cost_micro": cost,
            "unit": unit or None,
            "reserved_micro": 0,
            "finished_at": jobs.ended_at(tx.now, row),
        },
    )


def retry_later(
    tx: Transaction,
    fence: Fence,
    *,
    delay_ms: int,
    detail_key: str,
    detail_args: Json,
    count_try: bool = True,
) -> bool:
    """Hold the job for `delay_ms` (at most 15 min), tries + 1; open generations become pending.

    With `count_try` off, tries stay as they are: the job waits for something that is not its fault.

    Returns
    -------
        False if the fence is stale, or nothing is left to retry (then the job is ended).
    """
    job = jobs.running(tx, fence)
    if job is None or jobs.end_if_done(tx, job["id"], AttemptState.CANCELLED):
        return False
    delay = min(max(delay_ms, 0), MAX_DELAY_MS)
    tx.execute(
        sql("jobs.hold_for_retry"),
        {"id": job["id"], "run_at": tx.now + delay, "counted": int(count_try)},
    )
    fields: dict[str, Any] = {
        "status": Status.PENDING,
        "detail_key": detail_key,
        "detail_args": detail_args,
    }
    for row in jobs.open_generations(tx, job["id"]):
        update_generation(tx, row["id"], fields)
    return True


def finish_job(tx: Transaction, fence: Fence) -> bool:
    """End the job; generations that are still open fail as no_image.

    Returns
    -------
        True also when this claim's job had ended by itself with its last generation; False if
        the fence is stale.
    """
    job = jobs.claimed(tx, fence)
    if job is None:
        return False
    if job["state"] == "running":
        failure = Failure(ErrorKind.BAD_IMAGE, "no_image", {"provider": job["provider"]})
        rows = jobs.open_generations(tx, job["id"])
        for row in rows:
            fail_generation(tx, row, failure)
        made = tx.scalar(
            "SELECT EXISTS (SELECT 1 FROM generation WHERE job_id = ? AND status = 'completed')",
            (job["id"],),
        )
        unmade = AttemptState.FAILED if rows else AttemptState.CANCELLED
        jobs.end(tx, job["id"], AttemptState.DONE if made else unmade)
    return True


def unfinished(source: Querying, fence: Fence) -> tuple[str, ...] | None:
    """Return the ids of the job's generations that have not ended; None if the fence is stale.

    A job that this very claim brought to its end gives an empty tuple.
    """
    job = jobs.claimed(source, fence)
    if job is None:
        return None
    return tuple(row["id"] for row in jobs.open_generations(source, job["id"]))
