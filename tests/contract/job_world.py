"""A real store on a real file, with short words for what tests of jobs do all the time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from workbench.domain.ids import new_id
from workbench.domain.jobs import Fence, JobRecord, JobRef
from workbench.domain.records import (
    AssetRecord,
    BatchRecord,
    GenerationRecord,
    Identity,
    Price,
)
from workbench.domain.status import ErrorKind
from workbench.domain.submissions import NewBatch
from workbench.ports import Failure, Outcome
from workbench.store.sqlite import ledger, siblings
from workbench.store.sqlite.store import SqliteStore

T = TypeVar("T")

ANN = Identity("ann")
BEN = Identity("ben")
OPERATOR = Identity("root", all_users=True)
LANE = "painter"
TOKENS = 2_000_000  # price of one picture, in micro-tokens
PRICE = Price(unit="token", amount_micro=TOKENS, version=3)
FREE = Price()
BROKEN = Failure(ErrorKind.TRANSIENT, "provider", {"text": "the brush broke"})
CHARGED = Failure(ErrorKind.BLOCKED, "provider", {"text": "refused"}, charged=True)
LANES = {LANE: 1_000, "other": 1_000}


class TurnableClock:
    """Time that tests turn."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000
        self.seconds = 0.0

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        self.seconds += 0.001
        return self.seconds


class World:
    """One open workspace. Every method waits for its write."""

    def __init__(self, folder: Path, *, clock: TurnableClock | None = None) -> None:
        self.clock = clock or TurnableClock()
        self.store = SqliteStore(folder, clock=self.clock)
        self.database = self.store.database
        self.dead: set[str] = set()

    def close(self) -> None:
        self.store.close()

    def grant(self, identity: Identity = ANN, micro: int = 10**12, unit: str = "token") -> None:
        self.database.write(
            lambda tx: ledger.grant(
                tx, account=identity.user, unit=unit, amount_micro=micro, reason="test"
            )
        ).result()

    def submit(self, identity: Identity = ANN, *, n: int = 1, **changes: Any) -> BatchRecord:
        """Store a request of `n` pictures (free, one job each, unless `changes` say otherwise)."""
        request: dict[str, Any] = {
            "identity": identity,
            "topic_id": None,
            "prompt": "a red fox in the snow",
            "negative_prompt": None,
            "provider": LANE,
            "model": f"{LANE}:oil",
            "n": n,
            "seed": 7,
            "seeds": tuple(range(7, 7 + n)),
            "width": 512,
            "height": 512,
            "params": {"steps": 20},
            "lane": LANE,
            "price": FREE,
        }
        new = NewBatch(**(request | changes))
        return self.store.submit_batch(new).result()

    def generations(self, batch: BatchRecord) -> list[GenerationRecord]:
        with self.database.reading() as reader:
            rows = reader.all(
                "SELECT id FROM generation WHERE batch_id = ? ORDER BY idx, seq", (batch.id,)
            )
            return [siblings.record(reader, row["id"]) for row in rows]

    def generation(self, id: str) -> GenerationRecord:
        with self.database.reading() as reader:
            return siblings.record(reader, id)

    def claim(self, runner: str = "r1", *, limit: int = 1_000, **lanes: int) -> list[JobRecord]:
        return self.store.claim(runner, lanes=lanes or LANES, limit=limit).result()

    def one(self, runner: str = "r1") -> JobRecord:
        """Claim exactly one job."""
        (job,) = self.claim(runner, limit=1)
        return job

    def complete(self, job: JobRecord, slot: int = 0, **changes: Any) -> bool:
        outcome = picture(job.slots[slot].generation_id, **changes)
        return self.store.complete(job.fence, outcome).result()

    def submitted(self, job: JobRecord, key: str = "", *, resumable: bool = True) -> str:
        """Go through intent and reference; returns the attempt's id."""
        attempt = self.store.write_intent(
            job.fence, key=key or job.id, request_sha="0" * 64, generation_id=None
        ).result()
        assert attempt is not None
        ref = JobRef(f"remote-{key or job.id}", resumable=resumable, data={"poll": "/status"})
        assert self.store.write_submitted(job.fence, attempt, ref).result()
        return attempt

    def balance(self, identity: Identity = ANN, unit: str = "token") -> int:
        with self.database.reading() as reader:
            return ledger.balance(reader, identity.user, unit)

    def kinds(self, generation_id: str) -> list[str]:
        """Kinds of the bookings of a generation, in order."""
        rows = self.rows(
            "SELECT kind FROM ledger WHERE generation_id = ? ORDER BY seq", generation_id
        )
        return [row["kind"] for row in rows]

    def job(self, id: str) -> Any:
        (row,) = self.rows("SELECT * FROM job WHERE id = ?", id)
        return row

    def job_of(self, generation_id: str) -> Any:
        (row,) = self.rows(
            "SELECT job.* FROM job JOIN generation ON generation.job_id = job.id"
            " WHERE generation.id = ?",
            generation_id,
        )
        return row

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        with self.database.reading() as reader:
            return reader.all(sql, parameters)

    def last_change(self) -> int:
        (row,) = self.rows("SELECT coalesce(max(seq), 0) AS seq FROM change")
        return int(row["seq"])

    def alter(self, sql: str, *parameters: Any) -> None:
        """Damage the store behind its back."""
        self.database.write(lambda tx: tx.execute(sql, parameters).rowcount).result()

    def problems(self, *, deep: bool = True) -> list[str]:
        return self.store.check(live_runners=lambda id: id not in self.dead, deep=deep)


def picture(generation_id: str, **changes: Any) -> Outcome:
    """A finished picture: a new asset for each generation unless `asset` says otherwise."""
    values: dict[str, Any] = {"asset": asset(generation_id), "seed": 7} | changes
    return Outcome(generation_id=generation_id, **values)


def asset(text: str) -> AssetRecord:
    """The row of an image whose bytes are `text`."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return AssetRecord(
        id=digest,
        kind="image",
        mime="image/png",
        width=512,
        height=512,
        size_bytes=1_000,
        frames=1,
        duration_ms=None,
        source="generation",
        created_at=1_800_000_000_000,
    )


def stale(fence: Fence) -> list[Fence]:
    """Fences that look like this one and are not: of a later claim, another worker, no job."""
    return [
        Fence(fence.job_id, fence.runner_id, fence.attempt + 1),
        Fence(fence.job_id, fence.runner_id, fence.attempt - 1),
        Fence(fence.job_id, "somebody", fence.attempt),
        Fence(new_id(), fence.runner_id, fence.attempt),
    ]


def results(futures: Iterable[Future[T]]) -> list[T]:
    return [future.result() for future in futures]
