"""Who works on what: claiming jobs fairly, and putting them back when a worker ends."""

from __future__ import annotations

import heapq
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from workbench.domain.jobs import (
    AttemptState,
    Fence,
    JobRecord,
    JobRef,
    OpenAttempt,
    Slot,
)
from workbench.domain.status import ErrorKind, Operation, Status
from workbench.ports import Failure
from workbench.store.sqlite import jobs, late, outcomes
from workbench.store.sqlite.control import PAUSED, is_paused
from workbench.store.sqlite.queries import sql
from workbench.store.sqlite.rows import from_json, update_generation

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

MAX_DEATHS = 3

_Head = tuple[int, int, int, str, str]  # running jobs of the owner, -priority, seq, lane, owner


def claim(
    tx: Transaction, runner_id: str, *, lanes: Mapping[str, int], limit: int
) -> list[JobRecord]:
    """Claim up to `limit` queued jobs for a runner.

    Each pick goes to the owner with the fewest running jobs (over all lanes and processes), then
    to the higher priority, then to the older job. A job whose generations have all ended meanwhile
    is ended on the way and not claimed, unless they were cancelled after it was sent.

    Parameters
    ----------
    tx:
        the transaction.
    runner_id:
        who claims; part of the fence.
    lanes:
        lane -> most jobs running in it at once, over all processes. Others are not touched.
    limit:
        most jobs to claim.

    Returns
    -------
        The claimed jobs in the order of the picks, each with its unfinished generations only; with
        an open attempt, with all that were asked for in it.
    """
    claimed: list[JobRecord] = []
    if limit < 1 or not lanes:
        return claimed
    running: Counter[str] = Counter()
    room = dict(lanes)
    for row in tx.all(sql("jobs.running_counts")):
        running[row["owner"]] += row["jobs"]
        if row["lane"] in room:
            room[row["lane"]] -= row["jobs"]
    heads: list[_Head] = []
    for lane, free in room.items():
        if free > 0:
            found = tx.all(sql("jobs.lane_heads"), {"lane": lane})
            heads.extend(_head(running, lane, row) for row in found)
    heapq.heapify(heads)
    while heads and len(claimed) < limit:
        head = heapq.heappop(heads)
        count, _, seq, lane, owner = head
        if room[lane] < 1:
            continue
        if count != running[owner]:
            # Its owner was served in another lane since this head was looked at.
            heapq.heappush(heads, (running[owner], *head[1:]))
            continue
        job = _take(tx, runner_id, seq)
        if job is not None:
            claimed.append(job)
            running[owner] += 1
            room[lane] -= 1
        following = tx.one(sql("jobs.next_head"), {"lane": lane, "owner": owner})
        if following is not None:
            heapq.heappush(heads, _head(running, lane, following))
    return claimed


def _head(running: Counter[str], lane: str, row: sqlite3.Row) -> _Head:
    return (running[row["owner"]], -row["priority"], row["seq"], lane, row["owner"])


def _take(tx: Transaction, runner_id: str, seq: int) -> JobRecord | None:
    before = jobs.known(tx, "SELECT id, claimed_at FROM job WHERE seq = ?", (seq,))
    rows = jobs.open_generations(tx, before["id"])
    if not rows and not jobs.owed(tx, before["id"]):
        jobs.end(tx, before["id"], AttemptState.UNKNOWN)
        return None
    job = jobs.known(tx, sql("jobs.take"), {"seq": seq, "runner": runner_id, "now": tx.now})
    attempt = _open_attempt(tx, job["id"])
    resumed = attempt is not None and _resumable(attempt, rows)
    # `claimed_at` is kept only where a worker ended without giving the job back by itself.
    abandoned = before["claimed_at"] is not None
    for row in rows:
        update_generation(tx, row["id"], _started(tx, row, resumed=resumed, abandoned=abandoned))
    return _record(tx, job, rows, attempt)


def _resumable(attempt: OpenAttempt, rows: list[sqlite3.Row]) -> bool:
    if attempt.state is AttemptState.SUBMITTED:
        return attempt.ref.resumable or attempt.ref.remote_id is not None
    # Sent or not, nobody knows; with progress on record it was work of a process that is gone.
    return all(row["progress"] == 0 and row["preview"] == 0 for row in rows)


def _started(
    tx: Transaction, row: sqlite3.Row, *, resumed: bool, abandoned: bool
) -> dict[str, Any]:
    if resumed and row["attempt"] > 0:
        return {
            "status": Status.PROCESSING,
            "detail_key": "resumed",
            "detail_args": {},
            "started_at": row["started_at"] or max(tx.now, row["created_at"]),
        }
    return fresh_start(tx, row, restarted=abandoned and row["attempt"] > 0)


def fresh_start(tx: Transaction, row: sqlite3.Row, *, restarted: bool) -> dict[str, Any]:
    """Return the fields of a generation whose work begins from nothing: attempt + 1, progress 0."""
    attempt = row["attempt"] + 1
    return {
        "status": Status.PROCESSING,
        "attempt": attempt,
        "progress": 0.0,
        "step": None,
        "total_steps": None,
        "detail_key": "restarted" if restarted else None,
        "detail_args": {"attempt": attempt} if restarted else {},
        "started_at": max(tx.now, row["created_at"]),
    }


def _asked_for(tx: Transaction, job_id: str, attempt: OpenAttempt) -> list[sqlite3.Row]:
    """Return the generations that were open when the attempt began.

    A resend has to ask for all of them, also for those whose pictures came home before the crash:
    to the provider the same key with another request is a mistake.
    """
    return tx.all(sql("jobs.asked_for"), {"job_id": job_id, "since": attempt.started_at})


def _open_attempt(tx: Transaction, job_id: str) -> OpenAttempt | None:
    row = tx.one(sql("jobs.open_attempt"), (job_id,))
    if row is None:
        return None
    return OpenAttempt(
        id=row["id"],
        key=row["idempotency_key"],
        state=AttemptState(row["state"]),
        ref=JobRef(row["remote_id"], bool(row["resumable"]), from_json(row["remote"])),
        sent_at=row["sent_at"],
        started_at=row["started_at"],
    )


def _record(
    tx: Transaction, job: sqlite3.Row, rows: list[sqlite3.Row], attempt: OpenAttempt | None
) -> JobRecord:
    asked = rows if attempt is None else _asked_for(tx, job["id"], attempt)
    # Generations of one job share everything but the seed (`edit_queued` splits them otherwise).
    first = (rows or asked)[0]
    batch = jobs.known(
        tx, "SELECT prompt, negative_prompt, params FROM batch WHERE id = ?", (job["batch_id"],)
    )
    return JobRecord(
        id=job["id"],
        seq=job["seq"],
        batch_id=job["batch_id"],
        topic_id=first["topic_id"],
        provider=job["provider"],
        model=job["model"],
        operation=Operation(first["operation"]),
        lane=job["lane"],
        owner=job["owner"],
        attempt=job["attempt"],
        deaths=job["deaths"],
        tries=job["tries"],
        runner_id=job["runner_id"],
        prompt=batch["prompt"] if first["prompt_sent"] is None else first["prompt_sent"],
        negative_prompt=batch["negative_prompt"],
        width=first["width"],
        height=first["height"],
        params=from_json(batch["params"] if first["params"] is None else first["params"]),
        slots=tuple(
            Slot(row["id"], row["idx"], row["seed"], is_retry=row["retry_of"] is not None)
            for row in asked
        ),
        inputs=tuple(
            (row["asset_id"], row["role"], row["position"], row["mime"])
            for row in tx.all(sql("jobs.job_inputs"), (first["id"],))
        ),
        open_attempt=attempt,
    )


def requeue_dead(
    tx: Transaction,
    runner_id: str,
    *,
    max_deaths: int = MAX_DEATHS,
    free: Collection[str] = frozenset(),
) -> int:
    """Put the running jobs of a dead runner back and forget the runner.

    A job that took `max_deaths` workers with it is failed as poison, but for one that was sent to a
    provider that is not in `free`: it may be charged, and its outcome is unknown. Two sweepers do
    no harm: the second one finds no running job of that runner any more.

    Returns
    -------
        How many jobs were dealt with.
    """
    rows = tx.all(sql("jobs.running_of"), (runner_id,))
    for job in rows:
        deaths = job["deaths"] + 1
        tx.execute("UPDATE job SET deaths = ? WHERE id = ?", (deaths, job["id"]))
        # After `max_deaths` nobody asks any more what became of the last submission.
        if jobs.end_if_done(tx, job["id"], AttemptState.UNKNOWN):
            continue
        if deaths >= max_deaths and job["provider"] not in free and jobs.is_sent(tx, job["id"]):
            late.leave_open(tx, job, f"It ended {deaths} workers, and was sent before that.")
        elif deaths >= max_deaths:
            failure = Failure(ErrorKind.POISON, "poison", {"deaths": deaths})
            for row in jobs.open_generations(tx, job["id"]):
                outcomes.fail_generation(tx, row, failure)
            jobs.end(tx, job["id"], AttemptState.UNKNOWN)
        else:
            put_back(tx, job)
    tx.execute("DELETE FROM runner WHERE id = ?", (runner_id,))
    return len(rows)


def hand_over(tx: Transaction, fence: Fence) -> bool:
    """Put an unfinished job back into the queue without counting a death; False if stale."""
    job = jobs.running(tx, fence)
    if job is None:
        return False
    if not jobs.end_if_done(tx, job["id"], AttemptState.UNKNOWN):
        put_back(tx, job)
    return True


def in_doubt(source: Querying, provider: str) -> list[sqlite3.Row]:
    """Return the jobs of unknown outcome whose provider gave a reference, oldest first.

    Not those that ended their workers: they would end the next one, at every start.
    """
    return list(source.all(sql("jobs.unknown_with_reference"), (provider, MAX_DEATHS)))


def ask_again(tx: Transaction, provider: str) -> int:
    """Queue the jobs that wait for a person although their provider can be asked by a reference.

    What was not ready in time may be by now. A paused queue stays as it is.

    Returns
    -------
        How many jobs were queued.
    """
    count = 0
    for job in in_doubt(tx, provider):
        if not is_paused(tx, job["owner"]):
            tx.execute(sql("jobs.reopen_unknown"), (job["id"],))
            put_back(tx, job)
            count += 1
    return count


def put_back(tx: Transaction, job: sqlite3.Row) -> None:
    """Queue the job, or hold it while its owner's queue is paused; its open generations follow.

    Their progress stays visible until the next claim says how the work goes on.
    """
    paused = is_paused(tx, job["owner"])
    tx.execute(sql("jobs.hold_paused" if paused else "jobs.queue"), (job["id"],))
    fields: dict[str, Any] = {
        "status": Status.PENDING if paused else Status.QUEUED,
        "detail_key": PAUSED if paused else None,
        "detail_args": {},
    }
    for row in jobs.open_generations(tx, job["id"]):
        update_generation(tx, row["id"], fields)


def promote_due(tx: Transaction) -> int | None:
    """Queue the jobs whose retry time has come; returns the next such time (ms) or None.

    A job that would have to wait longer than any delay can be was held before the clock stepped
    back: it is due now.
    """
    limits = {"now": tx.now, "farthest": tx.now + outcomes.MAX_DELAY_MS}
    for job in tx.all(sql("jobs.due"), limits):
        put_back(tx, job)
    found = tx.scalar(sql("jobs.next_due"))
    return None if found is None else int(found)
