"""What people do with waiting and running work: cancel, pause, resume, run next, edit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.domain.ids import new_id
from workbench.domain.limits import VisitorLimits
from workbench.domain.parameters import MAX_PROMPT_CHARACTERS, PRICED, Model, check_json
from workbench.domain.records import CancelResult, GenerationRecord, Identity, Json
from workbench.domain.status import OUTCOME_UNKNOWN, Status
from workbench.errors import InvalidRequest, NotAllowed
from workbench.ports import Selection
from workbench.store.sqlite import access, feed, jobs, repricing, siblings
from workbench.store.sqlite.queries import sql
from workbench.store.sqlite.rows import update_generation
from workbench.store.sqlite.validate import check_text

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

PAUSED = "paused"  # detail of a held generation, hold of its job, and the preference's key
EVERYBODY = ""  # owner of the preference by which an operator pauses all queues
_MAX_SEED = 2**63 - 1  # SQLite's largest integer
_MAX_SIDE = 2**16  # pixels; what a model takes is checked by the workspace


def is_paused(source: Querying, owner: str) -> bool:
    """Tell whether new jobs of `owner` are held: the queue is paused by them or for everybody.

    Parameters
    ----------
    source:
        a transaction or a reader.
    owner:
        the user whose queue it is; "" asks for the pause of everybody's only.
    """
    return bool(
        source.scalar(
            "SELECT EXISTS (SELECT 1 FROM preference"
            " WHERE key = 'paused' AND value = 'true' AND owner IN (?, ''))",
            (owner,),
        )
    )


def cancel(tx: Transaction, identity: Identity, selection: Selection) -> CancelResult:
    """Cancel what is selected and has not ended, in one transaction.

    Single ids and a batch must be the caller's own; of a topic or of everything the caller's own
    rows are meant. Generations whose outcome is unknown stay as they are and are reported as
    `already_ended`: their paid call is out of our hands, `resolve_unknown` settles them. For a
    topic and for everything, rows that had ended are not listed: there may be 100,000.

    Raises
    ------
        NotFound: an id, the batch or the topic is not there or not to be seen.
        NotAllowed: it is somebody else's.
    """
    chosen = selected(tx, identity, selection)
    cancelled = cancel_generations(tx, chosen)
    done = set(cancelled)
    return CancelResult(tuple(cancelled), tuple(id for id in chosen if id not in done))


def cancel_generations(tx: Transaction, generation_ids: Iterable[str]) -> list[str]:
    """Cancel the generations that are open: status, reservation, and their jobs.

    No question of ownership is asked here. A job with nothing left to do is ended if it waited
    and was not sent; if it runs, its runner is asked to stop (`cancel_requested`) and ends it.

    Returns
    -------
        The ids that became cancelled, oldest first.
    """
    rows = tx.all(sql("jobs.cancellable"), (jobs.id_list(generation_ids),))
    for row in rows:
        update_generation(
            tx,
            row["id"],
            {
                "status": Status.CANCELLED,
                "detail_key": None,
                "detail_args": {},
                "reserved_micro": 0,
                "finished_at": jobs.ended_at(tx.now, row),
            },
        )
        jobs.release(tx, row, "cancelled")
    touched = jobs.id_list(sorted({row["job_id"] for row in rows if row["job_id"]}))
    # One with an open submission was given back by another worker. It stays, for whoever takes it
    # over to ask what became of that call: it may have been charged.
    tx.execute(sql("jobs.end_cancelled_jobs"), {"jobs": touched, "now": tx.now})
    tx.execute(sql("jobs.ask_runners_to_cancel"), {"jobs": touched})
    return [row["id"] for row in rows]


def selected(tx: Transaction, identity: Identity, selection: Selection) -> list[str]:
    """Return the ids that `selection` means for `identity`, without repeats.

    Raises
    ------
        NotFound: an id, the batch or the topic is not there or not to be seen.
        NotAllowed: an id or the batch is somebody else's.
    """
    owner = None if identity.all_users else identity.user
    found: dict[str, None] = {}
    for id in selection.generation_ids:
        access.own_row(tx, identity, "generation", id, live=False)
        found[id] = None
    if selection.batch_id is not None:
        access.own_row(tx, identity, "batch", selection.batch_id, live=False)
        rows = tx.all(sql("jobs.selected_batch"), {"batch_id": selection.batch_id})
        found.update((row["id"], None) for row in rows)
    if selection.topic_id is not None:
        access.visible_row(tx, identity, "topic", selection.topic_id)
        parameters = {"topic_id": selection.topic_id, "owner": owner}
        found.update((row["id"], None) for row in tx.all(sql("jobs.selected_topic"), parameters))
    if selection.everything:
        rows = tx.all(sql("jobs.selected_everything"), {"owner": owner})
        found.update((row["id"], None) for row in rows)
    return list(found)


def pause(tx: Transaction, identity: Identity) -> int:
    """Hold the caller's queued jobs and those still to come; returns how many were held.

    With `all_users` everybody's. What runs goes on to its end; what waits for a retry is held
    when its time comes.
    """
    _set_paused(tx, EVERYBODY if identity.all_users else identity.user, paused=True)
    owner = None if identity.all_users else identity.user
    rows = tx.all(sql("jobs.pause"), {"owner": owner})
    _show_all(tx, rows, Status.PENDING, PAUSED)
    return len(rows)


def resume(tx: Transaction, identity: Identity) -> int:
    """Queue again what `pause` held; returns how many jobs.

    With `all_users` the pause of everybody (and the caller's own) ends; whoever paused for
    themselves stays paused. A user cannot end the pause of everybody.
    """
    _set_paused(tx, identity.user, paused=False)
    if identity.all_users:
        _set_paused(tx, EVERYBODY, paused=False)
    owner = None if identity.all_users else identity.user
    rows = tx.all(sql("jobs.resume"), {"owner": owner})
    _show_all(tx, rows, Status.QUEUED, None)
    return len(rows)


def _set_paused(tx: Transaction, owner: str, *, paused: bool) -> None:
    known = tx.scalar("SELECT value FROM preference WHERE owner = ? AND key = 'paused'", (owner,))
    if (known == "true") is paused:
        return
    _record_queue(tx, owner, {"paused": paused})
    tx.execute(
        "INSERT INTO preference (owner, key, value, updated_at) VALUES (?, 'paused', ?, ?)"
        " ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value,"
        " updated_at = excluded.updated_at",
        (owner, "true" if paused else "false", tx.now),
    )


def _record_queue(tx: Transaction, owner: str, data: Mapping[str, Any]) -> None:
    """Tell windows about a queue: entity "queue", id = its owner ("": everybody's).

    No table has a row for it; its place in the feed is its revision.
    """
    everybody = owner == EVERYBODY
    feed.record(
        tx,
        "queue",
        owner,
        "update",
        feed.last_seq(tx) + 1,
        data,
        owner=None if everybody else owner,
        visibility="workspace" if everybody else "private",
    )


def _show_all(
    tx: Transaction, rows: Iterable[sqlite3.Row], status: Status, detail_key: str | None
) -> None:
    ids = jobs.id_list(row["id"] for row in rows)
    fields: dict[str, Any] = {"status": status, "detail_key": detail_key, "detail_args": {}}
    for row in tx.all(sql("jobs.generations_of_jobs"), (ids,)):
        update_generation(tx, row["id"], fields)


def run_next(tx: Transaction, identity: Identity, selection: Selection) -> int:
    """Put the waiting jobs of the selection before all others of their owner.

    Among themselves they keep their order. Held ones come first once they are queued.

    Returns
    -------
        How many jobs were moved.
    """
    chosen = jobs.id_list(selected(tx, identity, selection))
    rows = tx.all(sql("jobs.waiting_jobs"), (chosen,))
    highest: dict[str, int] = {}
    for row in rows:
        owner = row["owner"]
        if owner not in highest:
            highest[owner] = tx.scalar(sql("jobs.highest_priority"), {"owner": owner})
        tx.execute("UPDATE job SET priority = ? WHERE id = ?", (highest[owner] + 1, row["id"]))
    for owner in highest:
        _record_queue(tx, owner, {"moved": sum(row["owner"] == owner for row in rows)})
    return len(rows)


def edit_queued(
    tx: Transaction,
    identity: Identity,
    generation_id: str,
    changes: Mapping[str, Any],
    *,
    model: Model | None = None,
    limits: VisitorLimits | None = None,
) -> GenerationRecord:
    """Change seed, width, height, params or prompt_sent of a generation that still waits.

    If its job makes further pictures in the same call, it gets a job of its own, unless only the
    seed changes (seeds are per picture anyway).

    Parameters
    ----------
    tx:
        a FULL transaction.
    identity:
        who asks.
    generation_id:
        the waiting generation.
    changes:
        the fields by name.
    model:
        prices what it becomes; None: the price stays.
    limits:
        what a visitor may spend (None: no limits).

    Raises
    ------
        NotFound, NotAllowed: not there, somebody else's, already claimed, sent or ended.
        InvalidRequest: a name that cannot be changed, or a value of the wrong type.
        LimitReached, BudgetExceeded, InsufficientBalance: what it becomes dearer is not covered.
    """
    row = access.own_row(tx, identity, "generation", generation_id)
    fields: dict[str, Any] = {name: _checked(name, value) for name, value in changes.items()}
    job = None
    if row["status"] in (Status.PENDING, Status.QUEUED):
        job = tx.one("SELECT * FROM job WHERE id = ?", (row["job_id"],))
    if job is None or job["state"] not in ("held", "queued"):
        raise NotAllowed(
            f"Only a waiting picture can be changed; this one is {row['status']}."
            " Cancel it and generate again, or use its settings for a new request."
        )
    if tx.one(sql("jobs.open_attempt"), (job["id"],)) is not None:
        raise NotAllowed(
            "This picture was already sent to its provider by a worker that ended; the answer is"
            " collected first. Cancel it and generate again to change its settings."
        )
    if fields.keys() - {"seed"} and len(jobs.open_generations(tx, job["id"])) > 1:
        alone = new_id()
        tx.execute(sql("jobs.split_job"), {"new_id": alone, "id": job["id"], "now": tx.now})
        fields["job_id"] = alone
    if model is not None and fields.keys() & PRICED:
        # Of the row as it is in this transaction: another change may have come between.
        before = siblings.record(tx, generation_id)
        price = model.price_of(
            fields.get("params", before.params),
            width=fields.get("width", before.width),
            height=fields.get("height", before.height),
        )
        fields |= repricing.reprice(tx, row, price, limits)
    if fields:
        update_generation(tx, generation_id, fields)
    return siblings.record(tx, generation_id)


def _side(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_SIDE:
        raise InvalidRequest(name, f"must be a whole number of pixels from 1 on, not {value!r}.")
    return value


def _seed(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_SEED:
        raise InvalidRequest(name, f"must be a whole number from 0 on, not {value!r}.")
    return value


def _params(name: str, value: object) -> Json:
    if not isinstance(value, Mapping):
        raise InvalidRequest(name, f"must map names to values, not {type(value).__name__}.")
    checked = check_json(name, value)
    return checked if isinstance(checked, dict) else {}


def _prompt(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(name, "must be text that says what to draw.")
    return check_text(name, value, limit=MAX_PROMPT_CHARACTERS)


_EDITABLE: Mapping[str, Callable[[str, object], Any]] = {
    "seed": _seed,
    "width": _side,
    "height": _side,
    "params": _params,
    "prompt_sent": _prompt,
}


def _checked(name: str, value: object) -> Any:
    check = _EDITABLE.get(name)
    if check is None:
        known = ", ".join(_EDITABLE)
        raise InvalidRequest(name, f"cannot be changed while it waits; these can: {known}.")
    return check(name, value)


def unknown_outcome(row: sqlite3.Row) -> bool:
    """Tell whether the generation waits for a person to settle a paid call without known end."""
    return bool(row["status"] == Status.PROCESSING and row["detail_key"] == OUTCOME_UNKNOWN)
