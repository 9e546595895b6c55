"""PF-8: what the store adds to SQLite: submit with its fsync; claim and complete.

The bare contender has the same tables, indices and triggers in a file of its own, and plain
`sqlite3` writes the same rows into them with fixed statements: no checks, no records, no thread,
no lock. What differs is what the store does besides.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import Fsync, Plan, interleaved, median, now_ms, rate_line
from benchmarks.report import Figure, Goal
from benchmarks.workspaces import (
    LANE,
    ME,
    asset_of,
    folder_with,
    new_topic,
    request,
)
from workbench.domain.ids import new_id
from workbench.domain.jobs import JobRecord
from workbench.ports import Outcome
from workbench.store.sqlite import outcomes
from workbench.store.sqlite.store import SqliteStore

ID = "PF-8"
TITLE = "submit with acceptance fsync; claim + complete"

_RUNNER = "0" * 26
_TABLES = ("batch", "job", "generation", "asset", "change")

_NOTES = """\
Per second, one picture at a time, each call waited for. The bare SQLite writes the same rows
  into the same schema; both files hold the same number of rows, counted afterwards.
claim + complete: NORMAL for both in the first line; as shipped, complete waits for the disk,
  and is compared with a bare FULL there.
in a row: submits that are not waited for one by one (a script's loop of futures)."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    for rows in plan.rows:
        _measure(plan, figure, rows)
    figure.notes += _NOTES.splitlines()
    return figure


def _measure(plan: Plan, figure: Figure, rows: int) -> None:
    store = SqliteStore(folder_with(rows, plan.folder, "store"))
    bare = Bare(folder_with(rows, plan.folder, "bare"))
    fsync = Fsync(plan.folder, append=True)
    topic = new_topic(store)
    few, many = plan.some(60, 150), plan.some(150, 400)
    before = {"store": _counts(store), "bare": bare.counts()}
    try:
        found = interleaved(
            {
                "store submit": lambda: _rate(few, _submits(store, topic)),
                "bare submit": lambda: _rate(few, bare.submit),
                "store row": lambda: _in_a_row(store, topic, few),
                "bare row": lambda: _rate(few, bare.submit),
                "fsync": lambda: 1000 / median(fsync.once_ms() for _ in range(20)),
            },
            plan.rounds,
        )
        queued = 2 * few * plan.rounds
        _queue(store, bare, topic, 2 * many * plan.rounds - queued)
        found |= interleaved(
            {
                "store NORMAL": lambda: _rate(many, _claim_and_complete(store, full=False)),
                "bare NORMAL": lambda: _rate(many, bare.claim_and_complete),
            },
            plan.rounds,
        )
        bare.full_completes = True
        found |= interleaved(
            {
                "store FULL": lambda: _rate(many, _claim_and_complete(store, full=True)),
                "bare FULL": lambda: _rate(many, bare.claim_and_complete),
            },
            plan.rounds,
        )
        after = {"store": _counts(store), "bare": bare.counts()}
        _check_rows(before, after)
        _check_states(store, bare)
    finally:
        fsync.close()
        store.close()
        bare.close()
    shared: dict[str, Any] = {"rows": rows}
    figure.add(
        rate_line(
            "submit",
            found["store submit"],
            "/s",
            against="bare FULL",
            reference=found["bare submit"],
            goals=(Goal(0.7, of="ratio", at_least=True),),
            **shared,
        )
    )
    figure.add(
        rate_line(
            "submit, in a row",
            found["store row"],
            "/s",
            against="bare FULL",
            reference=found["bare row"],
            **shared,
        )
    )
    figure.add(
        rate_line(
            "claim + complete",
            found["store NORMAL"],
            "/s",
            against="bare NORMAL",
            reference=found["bare NORMAL"],
            goals=(Goal(0.4, of="ratio", at_least=True),),
            **shared,
        )
    )
    figure.add(
        rate_line(
            "claim + complete as shipped",
            found["store FULL"],
            "/s",
            against="bare NORMAL + FULL",
            reference=found["bare FULL"],
            **shared,
        )
    )
    figure.add(rate_line("fsync of 4 KiB, appended", found["fsync"], "/s", **shared))


def _rate(count: int, work: Callable[[], object]) -> float:
    begin = now_ms()
    for _ in range(count):
        work()
    return count / (now_ms() - begin) * 1000


def _submits(store: SqliteStore, topic: str) -> Callable[[], object]:
    return lambda: store.submit_batch(request(topic)).result()


def _in_a_row(store: SqliteStore, topic: str, count: int) -> float:
    begin = now_ms()
    futures = [store.submit_batch(request(topic)) for _ in range(count)]
    for future in futures:
        future.result()
    return count / (now_ms() - begin) * 1000


def _queue(store: SqliteStore, bare: Bare, topic: str, count: int) -> None:
    """Queue the same number of jobs in both, so that every claim finds one."""
    for _ in range(max(0, count)):
        store.submit_batch(request(topic))
        bare.submit(full=False)
    store.submit_write(lambda _tx: None).result()


def _claim_and_complete(store: SqliteStore, *, full: bool) -> Callable[[], None]:
    def once() -> None:
        (job,) = store.claim(_RUNNER, lanes={LANE: 8}, limit=1).result()
        outcome = _outcome(job)
        if full:
            done = store.complete(job.fence, outcome).result()
        else:
            done = store.database.write(
                lambda tx: outcomes.complete(tx, job.fence, outcome)
            ).result()
        if not done:
            raise RuntimeError("a claimed job could not be completed")

    return once


def _outcome(job: JobRecord) -> Outcome:
    (slot,) = job.slots
    return Outcome(slot.generation_id, asset_of(slot.generation_id), slot.seed)


def _counts(store: SqliteStore) -> dict[str, int]:
    with store.database.reading() as reader:
        return {t: reader.scalar(f"SELECT count(*) FROM {t}") for t in _TABLES}


def _check_rows(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]) -> None:
    """Both wrote the same number of rows into every table."""
    written = {
        who: {table: after[who][table] - before[who][table] for table in _TABLES} for who in before
    }
    # The new topic gets its cover once.
    spare = written["store"]["change"] - written["bare"]["change"]
    written["store"]["change"] -= spare
    if written["store"] != written["bare"] or not 0 <= spare <= 3:
        raise RuntimeError(f"the contenders wrote different rows: {written}, spare {spare}")


def _check_states(store: SqliteStore, bare: Bare) -> None:
    counts = "SELECT count(*) FROM generation WHERE status = 'completed'"
    with store.database.reading() as reader:
        both = reader.scalar(counts), bare.scalar(counts)
    if both[0] != both[1]:
        raise RuntimeError(f"completed generations differ: {both}")


class Bare:
    """Plain sqlite3 on the same schema: WAL, one connection, fixed statements."""

    def __init__(self, folder: Path) -> None:
        (file,) = folder.glob("*.sqlite3")
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL").fetchall()
        self._db.execute("PRAGMA foreign_keys = ON")
        self._synchronous = ""
        self.topic = str(self.scalar("SELECT id FROM topic ORDER BY seq LIMIT 1"))
        self.full_completes = False

    def close(self) -> None:
        self._db.close()

    def scalar(self, sql: str) -> Any:
        return self._db.execute(sql).fetchone()[0]

    def counts(self) -> dict[str, int]:
        return {table: self.scalar(f"SELECT count(*) FROM {table}") for table in _TABLES}

    def _begin(self, synchronous: str) -> None:
        if synchronous != self._synchronous:
            self._db.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        self._db.execute("BEGIN IMMEDIATE")

    def _change(self, entity: str, id: str, kind: str, data: str) -> None:
        self._db.execute(_CHANGE, (entity, id, kind, data, self.topic, ME.user, _now()))

    def submit(self, *, full: bool = True) -> None:
        """Topic touched, batch, job, generation, and a change for each of three."""
        new = request(self.topic)
        batch, job, generation, now = new_id(), new_id(), new_id(), _now()
        params = json.dumps(new.params)
        self._begin("FULL" if full else "NORMAL")
        run = self._db.execute
        run("UPDATE topic SET updated_at = ?, rev = rev + 1 WHERE id = ?", (now, self.topic))
        self._change("topic", self.topic, "update", _SHORT)
        run(_BATCH, (batch, self.topic, new.prompt, LANE, new.model, params, ME.user, now))
        self._change("batch", batch, "insert", _LONG)
        run(_JOB, (job, batch, LANE, new.model, LANE, ME.user, now))
        run(_GENERATION, (generation, batch, self.topic, job, LANE, new.model, 7, ME.user, now))
        self._change("generation", generation, "insert", _LONG)
        run("COMMIT")

    def claim_and_complete(self) -> None:
        """Two transactions: job and generation taken; asset in, both ended."""
        run, now = self._db.execute, _now()
        self._begin("NORMAL")
        job, attempt = run(_TAKE, (_RUNNER, now, LANE)).fetchone()
        (generation,) = run(_START, (now, job)).fetchone()
        self._change("generation", generation, "update", _MIDDLE)
        run("COMMIT")
        asset = asset_of(generation).id
        self._begin("FULL" if self.full_completes else "NORMAL")
        run(_ASSET, (asset, now))
        self._change("asset", asset, "insert", _MIDDLE)
        run(_END, (asset, now, generation))
        self._change("generation", generation, "update", _LONG)
        run(_ENDED, (now, job, _RUNNER, attempt))
        run("COMMIT")


def _now() -> int:
    return time.time_ns() // 1_000_000


# Change rows of the sizes that the store writes.
_SHORT = json.dumps({"updated_at": 1_800_000_000_000})
_MIDDLE = json.dumps({"text": "x" * 220})
_LONG = json.dumps({"text": "x" * 560})
_CHANGE = (
    "INSERT INTO change (entity, entity_id, kind, rev, data, topic_id, owner, at) "
    "VALUES (?, ?, ?, 1, ?, ?, ?, ?)"
)
_BATCH = (
    "INSERT INTO batch (id, topic_id, operation, source, prompt, provider, model, width, height, "
    "n, seed, params, owner, created_at) "
    "VALUES (?, ?, 'generate', 'api', ?, ?, ?, 512, 512, 1, 7, ?, ?, ?)"
)
_JOB = (
    "INSERT INTO job (id, batch_id, provider, model, lane, owner, state, created_at) "
    "VALUES (?, ?, ?, ?, ?, ?, 'queued', ?)"
)
_GENERATION = (
    "INSERT INTO generation (id, batch_id, topic_id, job_id, idx, operation, source, status, "
    "provider, model, width, height, seed, owner, created_at) "
    "VALUES (?, ?, ?, ?, 0, 'generate', 'api', 'queued', ?, ?, 512, 512, ?, ?, ?)"
)
_TAKE = (
    "UPDATE job SET state = 'running', attempt = attempt + 1, runner_id = ?, claimed_at = ? "
    "WHERE seq = (SELECT seq FROM job WHERE state = 'queued' AND lane = ? "
    "ORDER BY priority DESC, seq LIMIT 1) RETURNING id, attempt"
)
_START = (
    "UPDATE generation SET status = 'processing', attempt = attempt + 1, started_at = ?, "
    "rev = rev + 1 WHERE job_id = ? RETURNING id"
)
_ASSET = (
    "INSERT INTO asset (id, mime, width, height, size_bytes, source, created_at) "
    "VALUES (?, 'image/png', 512, 512, 300000, 'generation', ?)"
)
_END = (
    "UPDATE generation SET status = 'completed', progress = 1, asset_id = ?, finished_at = ?, "
    "rev = rev + 1 WHERE id = ?"
)
_ENDED = (
    "UPDATE job SET state = 'ended', ended_at = ? WHERE id = ? AND runner_id = ? AND attempt = ?"
)
