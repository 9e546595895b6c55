"""Random histories of work: whatever people, workers and the clock do, the invariants hold."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.contract.job_world import (
    ANN,
    BEN,
    BROKEN,
    CHARGED,
    FREE,
    LANE,
    OPERATOR,
    PRICE,
    TOKENS,
    World,
    asset,
    picture,
)
from workbench.domain.jobs import JobRecord, JobRef, Progress
from workbench.domain.records import GenerationRecord, Identity
from workbench.domain.status import TERMINAL
from workbench.errors import InsufficientBalance, NotAllowed
from workbench.ports import Selection

PEOPLE = st.sampled_from([ANN, BEN])
NUMBERS = st.integers(0, 10**6)
FEW = 25  # generations; more only make the examples slow


class Histories(RuleBasedStateMachine):
    """Two users, three workers that die, a clock that jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.folder / "w")
        self.claims: list[JobRecord] = []
        self.seen: dict[str, GenerationRecord] = {}
        self.runners = 0

    def teardown(self) -> None:
        self.world.close()
        shutil.rmtree(self.folder)

    # -- the material of the rules ----------------------------------------------------------
    def pick(self, number: int) -> GenerationRecord:
        ids = [row["id"] for row in self.world.rows("SELECT id FROM generation ORDER BY seq")]
        return self.world.generation(ids[number % len(ids)])

    def job(self, number: int) -> JobRecord:
        """A claim, stale or not: old ones are as likely as new ones."""
        return self.claims[number % len(self.claims)]

    def somebody(self, one: GenerationRecord, number: int) -> Identity:
        return OPERATOR if number % 5 == 0 else Identity(one.owner)

    # -- rules ------------------------------------------------------------------------------
    @initialize()
    def begin(self) -> None:
        for person in (ANN, BEN):
            self.world.grant(person, 8 * TOKENS)
        self.world.submit(ANN, n=2, batchable=True, price=PRICE)
        self.world.submit(BEN)

    @precondition(lambda self: len(self.seen) < FEW)
    @rule(person=PEOPLE, n=st.integers(1, 3), together=st.booleans(), paid=st.booleans())
    def submit(self, person: Identity, n: int, together: bool, paid: bool) -> None:
        price = PRICE if paid else FREE
        try:
            self.world.submit(person, n=n, batchable=together, price=price)
        except InsufficientBalance:
            assert self.world.balance(person) < n * TOKENS

    @rule(runner=st.sampled_from(["r1", "r2", "r3"]), limit=st.integers(1, 3))
    def claim(self, runner: str, limit: int) -> None:
        claimed = self.world.claim(runner, limit=limit)
        self.claims += claimed
        for job in claimed:
            assert job.slots

    @precondition(lambda self: self.claims)
    @rule(number=NUMBERS, slot=NUMBERS, fraction=st.floats(0, 1), queued=st.booleans())
    def progress(self, number: int, slot: int, fraction: float, queued: bool) -> None:
        job = self.job(number)
        id = job.slots[slot % len(job.slots)].generation_id
        step = Progress(id, fraction, step=int(fraction * 20), total=20, queued=queued)
        self.world.store.report_progress(job.fence, [step]).result()

    @precondition(lambda self: self.claims)
    @rule(number=NUMBERS, resumable=st.booleans(), sent=st.booleans())
    def send(self, number: int, resumable: bool, sent: bool) -> None:
        job, store = self.job(number), self.world.store
        try:
            id = store.write_intent(
                job.fence, key=job.id, request_sha="0", generation_id=None
            ).result()
        except NotAllowed:
            return
        if id is not None and sent:
            store.write_submitted(job.fence, id, JobRef(job.id, resumable)).result()

    @precondition(lambda self: self.claims)
    @rule(number=NUMBERS, state=st.sampled_from(["failed", "abandoned"]))
    def end_attempt(self, number: int, state: str) -> None:
        rows = self.world.rows(
            "SELECT id FROM attempt WHERE job_id = ? AND state IN ('intent', 'submitted')",
            self.job(number).id,
        )
        for row in rows:
            self.world.store.end_attempt(row["id"], state).result()

    @precondition(lambda self: self.claims)
    @rule(number=NUMBERS, slot=NUMBERS, cost=st.sampled_from([None, 0, TOKENS // 2, 3 * TOKENS]))
    def complete(self, number: int, slot: int, cost: int | None) -> None:
        job = self.job(number)
        id = job.slots[slot % len(job.slots)].generation_id
        before = self.seen[id]
        outcome = picture(id, asset=asset(str(slot % 3)), cost_micro=cost, unit="token")
        done = self.world.store.complete(job.fence, outcome).result()
        assert not (done and before.status in TERMINAL)

    @precondition(lambda self: self.claims)
    @rule(number=NUMBERS, slot=NUMBERS, charged=st.booleans())
    def fail(self, number: int, slot: int, charged: bool) -> None:
        job = self.job(number)
        id = job.slots[slot % len(job.slots)].generation_id
        failure = CHARGED if charged else BROKEN
        self.world.store.fail(job.fence, [id, "nobody"], failure).result()

    @precondition(lambda self: self.claims)
    @rule(number=NUMBERS, slot=NUMBERS)
    def adopt_late(self, number: int, slot: int) -> None:
        job = self.job(number)
        id = job.slots[slot % len(job.slots)].generation_id
        self.world.store.adopt_late(job.fence, picture(id)).result()

    @precondition(lambda self: self.claims)
    @rule(number=NUMBERS, slot=NUMBERS)
    def fail_late(self, number: int, slot: int) -> None:
        job = self.job(number)
        id = job.slots[slot % len(job.slots)].generation_id
        self.world.store.fail_late(job.fence, id, CHARGED).result()

    @precondition(lambda self: self.claims)
    @rule(
        number=NUMBERS,
        what=st.sampled_from(["finish_job", "hand_over", "mark_unknown", "retry_later"]),
    )
    def leave(self, number: int, what: str) -> None:
        job, store = self.job(number), self.world.store
        calls: dict[str, Callable[[], object]] = {
            "finish_job": lambda: store.finish_job(job.fence).result(),
            "hand_over": lambda: store.hand_over(job.fence).result(),
            "mark_unknown": lambda: store.mark_unknown(job.fence, reason="?").result(),
            "retry_later": lambda: store.retry_later(
                job.fence, delay_ms=5_000, detail_key="retrying", detail_args={}
            ).result(),
        }
        calls[what]()

    @rule(runner=st.sampled_from(["r1", "r2", "r3"]))
    def die(self, runner: str) -> None:
        self.world.store.requeue_dead(runner).result()
        assert not self.world.rows(
            "SELECT 1 FROM job WHERE runner_id = ? AND state = 'running'", runner
        )

    @rule(provider=st.sampled_from([LANE, "other"]))
    def ask_again(self, provider: str) -> None:
        self.world.store.ask_again(provider).result()

    @rule(
        jump=st.sampled_from([1, 1, 10_000, 10_000, -3_600_000, 2 * 365 * 86_400_000]),
    )
    def time_passes(self, jump: int) -> None:
        self.world.clock.ms += jump
        self.world.store.promote_due().result()

    @rule(number=NUMBERS, how=st.sampled_from(["one", "batch", "topic", "all"]))
    def cancel(self, number: int, how: str) -> None:
        one = self.pick(number)
        selection = {
            "one": Selection(generation_ids=(one.id,)),
            "batch": Selection(batch_id=one.batch_id),
            "topic": Selection(topic_id=one.topic_id),
            "all": Selection(everything=number % 4 == 0),
        }[how]
        result = self.world.store.cancel(self.somebody(one, number), selection).result()
        assert not set(result.cancelled) & set(result.already_ended)

    @rule(number=NUMBERS, paid=st.booleans())
    def retry(self, number: int, paid: bool) -> None:
        one = self.pick(number)
        if len(self.seen) >= FEW:
            return
        try:
            again = self.world.store.retry(
                self.somebody(one, number), one.id, PRICE if paid else FREE
            ).result()
        except (NotAllowed, InsufficientBalance):
            return
        assert again.retry_of == one.id

    @rule(number=NUMBERS, said=st.sampled_from(["charged", "not_charged", "retry"]))
    def resolve(self, number: int, said: str) -> None:
        one = self.pick(number)
        try:
            self.world.store.resolve_unknown(Identity(one.owner), one.id, said).result()
        except (NotAllowed, InsufficientBalance):
            return
        assert self.world.generation(one.id).error is not None

    @rule(person=st.sampled_from([ANN, BEN, OPERATOR]), on=st.booleans())
    def pause(self, person: Identity, on: bool) -> None:
        store = self.world.store
        (store.pause(person) if on else store.resume(person)).result()
        if on:
            queued = self.world.rows("SELECT owner FROM job WHERE state = 'queued'")
            assert not [row for row in queued if person.all_users or row["owner"] == person.user]

    @rule(number=NUMBERS)
    def run_next(self, number: int) -> None:
        one = self.pick(number)
        chosen = Selection(generation_ids=(one.id,))
        self.world.store.run_next(Identity(one.owner), chosen).result()

    @rule(number=NUMBERS, deep=st.booleans())
    def edit(self, number: int, deep: bool) -> None:
        one = self.pick(number)
        changes = {"params": {"steps": number % 50}} if deep else {"seed": number}
        try:
            self.world.store.edit_queued(Identity(one.owner), one.id, changes).result()
        except NotAllowed:
            return

    @rule(number=NUMBERS, entity=st.sampled_from(["generation", "batch"]), back=st.booleans())
    def trash(self, number: int, entity: str, back: bool) -> None:
        one = self.pick(number)
        store = self.world.store
        act = store.restore if back else store.trash
        id = one.id if entity == "generation" else one.batch_id
        try:
            act(Identity(one.owner), entity, id).result()
        except NotAllowed:
            assert back

    @rule(number=NUMBERS)
    def empty_the_trash(self, number: int) -> None:
        if number % 3 == 0:
            self.world.store.purge(ANN).result()
            self.world.submit(ANN)  # there is always something to act on

    # -- what always holds ------------------------------------------------------------------
    @invariant()
    def all_is_well(self) -> None:
        assert self.world.problems(deep=False) == []

    @invariant()
    def statuses_end_and_progress_grows(self) -> None:
        ids = [row["id"] for row in self.world.rows("SELECT id FROM generation")]
        for id in ids:
            now = self.world.generation(id)
            before = self.seen.get(now.id)
            self.seen[now.id] = now
            assert now.duration_s is None or now.duration_s >= 0
            if before is None:
                continue
            assert now.seq == before.seq
            assert now.rev >= before.rev
            assert now.attempt >= before.attempt
            if before.status in TERMINAL:
                assert now.status is before.status
                assert (now.cost_micro, now.asset_id) == (before.cost_micro, before.asset_id)
            elif now.attempt == before.attempt:
                assert now.progress >= before.progress


TestHistories = pytest.mark.req("LIVE-4", "TOK-2")(Histories.TestCase)
TestHistories.settings = settings(
    max_examples=50, stateful_step_count=50, suppress_health_check=list(HealthCheck)
)
