"""Submissions to providers: written before sending, so that a paid call is never sent blindly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.domain.ids import new_id
from workbench.domain.jobs import AttemptState, Fence, JobRef
from workbench.domain.records import Json
from workbench.errors import NotAllowed
from workbench.store.sqlite import claim, jobs
from workbench.store.sqlite.queries import sql
from workbench.store.sqlite.rows import to_json, update_generation

if TYPE_CHECKING:
    from workbench.store.sqlite.writer import Transaction

# A key whose earlier submission ended like this may be sent again: nothing was made under it.
_AGAIN = frozenset(
    {
        AttemptState.INTENT,
        AttemptState.SUBMITTED,
        AttemptState.FAILED,
        AttemptState.CANCELLED,
        AttemptState.ABANDONED,
    }
)


def write_intent(
    tx: Transaction, fence: Fence, *, key: str, request_sha: str, generation_id: str | None
) -> str | None:
    """Write down, before sending, that the job goes out under `key`.

    Parameters
    ----------
    tx:
        a FULL transaction.
    fence:
        the claim.
    key:
        idempotency key, the same for every resend. A key that this job used before gives
        the row of then.
    request_sha:
        SHA-256 of the request.
    generation_id:
        the generation it is for, or None for a call that makes several.

    Returns
    -------
        The attempt's id; None if the fence is stale or nobody wants the pictures any more (then
        the job is ended): nothing may be sent.

    Raises
    ------
        NotAllowed: the key belongs to another job, or was sent and has its end (made, or not
            known); sending it again might be charged twice.
    """
    job = jobs.running(tx, fence)
    if job is None or jobs.end_if_done(tx, job["id"], AttemptState.CANCELLED):
        return None
    if generation_id is not None:
        wanted = tx.scalar(
            f"SELECT EXISTS (SELECT 1 FROM generation WHERE id = ? AND job_id = ? AND {jobs.OPEN})",  # noqa: S608
            (generation_id, job["id"]),
        )
        if not wanted:
            return None
    values = {
        "job_id": job["id"],
        "generation_id": generation_id,
        "provider": job["provider"],
        "model": job["model"],
        "key": key,
        "request_sha": request_sha,
        "runner_id": fence.runner_id,
        "now": tx.now,
    }
    known = tx.one("SELECT id, job_id, state FROM attempt WHERE idempotency_key = ?", (key,))
    if known is None:
        id = new_id()
        tx.execute(sql("jobs.insert_attempt"), {"id": id, **values})
        return id
    if known["job_id"] != job["id"] or known["state"] not in _AGAIN:
        raise NotAllowed(
            f"The idempotency key {key!r} was used before (state {known['state']}); sending it"
            " again might make and charge a second picture. Use a new key for a new request."
        )
    tx.execute(
        sql("jobs.reopen_attempt"),
        {"id": known["id"], "runner_id": fence.runner_id, "request_sha": request_sha},
    )
    return str(known["id"])


def write_submitted(tx: Transaction, fence: Fence, attempt_id: str, ref: JobRef) -> bool:
    """Store what the provider gave, before the first poll; False if the fence is stale.

    Raises
    ------
        NotAllowed: another submission has this reference already.
    """
    job = jobs.running(tx, fence)
    if job is None:
        return False
    twin = tx.one(sql("jobs.same_remote"), (job["provider"], ref.remote_id, attempt_id))
    if twin is not None:
        # Polling it would hand one picture, and one charge, to two requests.
        raise NotAllowed(
            f"{job['provider']} gave the reference {ref.remote_id!r} of an earlier submission;"
            " this one was not accepted as a new job. Try again."
        )
    done = tx.execute(
        sql("jobs.submitted"),
        {
            "id": attempt_id,
            "job_id": job["id"],
            "remote_id": ref.remote_id,
            "remote": to_json(ref.data),
            "resumable": int(ref.resumable),
            "now": tx.now,
        },
    )
    return done.rowcount == 1


def end_attempt(
    tx: Transaction,
    attempt_id: str,
    state: str,
    *,
    error_kind: str | None = None,
    error_message: str | None = None,
    usage: Json | None = None,
) -> None:
    """Write down how a submission ended.

    ``abandoned`` means that the work is started anew: generations that the claim took for resumed
    begin a new attempt at progress 0.
    """
    end = AttemptState(state)
    row = tx.one(
        sql("jobs.end_attempt"),
        {
            "id": attempt_id,
            "state": end.value,
            "error_kind": error_kind,
            "error_message": error_message,
            "usage": None if usage is None else to_json(usage),
            "now": tx.now,
        },
    )
    if row is None or end is not AttemptState.ABANDONED:
        return
    if tx.scalar("SELECT state FROM job WHERE id = ?", (row["job_id"],)) == "running":
        for generation in jobs.open_generations(tx, row["job_id"]):
            if generation["detail_key"] == "resumed":
                fields = claim.fresh_start(tx, generation, restarted=True)
                update_generation(tx, generation["id"], fields)
