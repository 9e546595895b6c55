"""Every failpoint × SIGKILL × kinds of providers × one and two workers: nothing charged twice.

After each run every picture is delivered, or refused, or (only where nobody can know) shown as
unknown; the service's own book of charges and the workspace's ledger agree with that.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.runner_world import OPERATOR, Process
from workbench.domain.records import BatchRecord, Price
from workbench.domain.status import OUTCOME_UNKNOWN, Status
from workbench.testing.providers import ChargeBook

WORKER = Path(__file__).with_name("paid_worker.py")
PATIENCE_S = 80.0
PRICE = Price(amount_micro=1_000_000)
GRANTED = 100_000_000

# Points that every job passes, and those on the way of a failure.
STRAIGHT = [
    "after_claim",
    "before_intent",
    "after_intent",
    "after_send",
    "after_submitted",
    "after_image",
    "after_file",
    "after_complete",
    "before_finish",
    "after_finish",
    "before_retry",
    "after_retry",
    "before_fail",
    "after_fail",
]
# Where the first worker dies, then where the second one does.
IN_A_ROW = [
    ("after_claim", "after_takeover"),
    ("after_intent", "before_resume"),
    ("after_send", "before_resume"),
    ("after_send", "after_unknown"),
    ("after_send", "after_send"),
    ("after_send", "after_submitted"),
    ("after_submitted", "after_file"),
    ("after_file", "after_file"),
]
KINDS = [
    ("free", "yes"),
    ("keyed", "yes"),
    ("keyed", "no"),
    ("lookup", "yes"),
    ("lookup", "no"),
    ("none", "yes"),
    ("none", "no"),
]
_ONLY_PAID = {"before_intent", "after_intent", "after_submitted"}


def passes(kind: tuple[str, str], *points: str) -> bool:
    """Tell whether jobs of such a provider come by these points."""
    if kind[0] == "free":
        return not _ONLY_PAID & set(points)
    return kind[0] == "none" or "after_unknown" not in points


class Worker:
    """A worker process."""

    def __init__(self, folder: Path, kind: tuple[str, str], failpoint: str = "", **more: str):
        environment = {**os.environ, "WORKBENCH_FAILPOINT": failpoint, **more}
        command = [sys.executable, str(WORKER), str(folder), str(folder.parent / "book"), *kind]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )

    def ready(self) -> Worker:
        assert self.process.stdout is not None
        for _ in range(2):
            self.process.stdout.readline()
        return self

    @property
    def was_killed(self) -> bool:
        return self.process.poll() == -signal.SIGKILL

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.communicate(timeout=PATIENCE_S)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def client(folder: Path) -> Iterator[Process]:
    """The user's process: it runs no jobs."""
    process = Process(folder)
    try:
        yield process
    finally:
        process.close()


def submit_all(here: Process) -> list[BatchRecord]:
    here.store.grant(OPERATOR, "ann", "token", GRANTED, "test").result()
    return [
        here.submit(2, prompt="fox", price=PRICE),
        here.submit(2, prompt="owl", price=PRICE, batchable=True),
        here.submit(1, prompt="hiccup", price=PRICE),
        here.submit(1, prompt="refuse", price=PRICE),
    ]


def settled(here: Process, batches: list[BatchRecord]) -> bool:
    return all(
        generation.status.is_terminal or generation.detail_key == OUTCOME_UNKNOWN
        for batch in batches
        for generation in here.generations(batch)
    )


def verify(here: Process, batches: list[BatchRecord], kind: str) -> Counter[str]:
    """Compare what the user sees with what the service charged and the ledger says."""
    charges: Counter[str] = Counter()
    for charge in ChargeBook(here.folder.parent / "book").charges():
        charges.update(charge.generations)
    seen: Counter[str] = Counter()
    held = 0
    for batch in batches:
        for generation in here.generations(batch):
            refused = batch.prompt == "refuse"
            unknown = generation.detail_key == OUTCOME_UNKNOWN
            seen["unknown" if unknown else generation.status.value] += 1
            if unknown:
                assert kind == "none", "only a service without key and look-up may leave doubt"
                assert charges[generation.id] <= 1
                held += PRICE.amount_micro
                continue
            assert generation.status is (Status.FAILED if refused else Status.COMPLETED)
            if not refused:
                held += PRICE.amount_micro
                assert here.media.read(generation.asset_id or "")
            paid = 0 if refused or kind == "free" else 1
            assert charges[generation.id] == paid, f"{generation.id} charged wrongly"
    assert here.store.balances("ann") == {"token": GRANTED - held}
    here.until(lambda: here.problems() == [], f"a sound store: {here.problems()}", PATIENCE_S)
    states = {state for (state,) in here.store.sql("SELECT state FROM job")[1]}
    assert states <= {"ended", "unknown"}
    attempts = Counter(
        state
        for (state,) in here.store.sql(
            "SELECT state FROM attempt WHERE job_id IN (SELECT id FROM job WHERE state = 'ended')"
        )[1]
    )
    assert not attempts.keys() & {"intent", "submitted"}
    return seen


def run_to_the_end(here: Process, batches: list[BatchRecord], workers: list[Worker]) -> None:
    try:
        here.until(lambda: settled(here, batches), "the end of all jobs", PATIENCE_S)
    finally:
        for worker in workers:
            worker.close()


@pytest.mark.req("TOK-5", "DAT-1", "PRV-5")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("point", "kind"),
    [(point, kind) for point in STRAIGHT for kind in KINDS if passes(kind, point)],
    ids=str,
)
def test_a_kill_at_any_point_charges_nothing_twice_and_loses_nothing(
    tmp_path: Path, point: str, kind: tuple[str, str], workers: int
) -> None:
    folder = tmp_path / "ws"
    with client(folder) as here:
        batches = submit_all(here)
        running = [Worker(folder, kind, point)]
        if workers == 2:
            running.append(Worker(folder, kind))
        here.until(
            lambda: running[0].was_killed or (workers == 2 and settled(here, batches)),
            f"the kill at {point}",
            PATIENCE_S,
        )
        if workers == 1:
            running.append(Worker(folder, kind))
        run_to_the_end(here, batches, running)
        verify(here, batches, kind[0])


@pytest.mark.req("TOK-5")
@pytest.mark.parametrize(
    ("points", "kind"),
    [(points, kind) for points in IN_A_ROW for kind in KINDS if passes(kind, *points)],
    ids=str,
)
def test_the_one_that_takes_over_may_die_too(
    tmp_path: Path, points: tuple[str, ...], kind: tuple[str, str]
) -> None:
    folder = tmp_path / "ws"
    with client(folder) as here:
        batches = submit_all(here)
        running = []
        for point in points:
            running.append(Worker(folder, kind, point))
            here.until(
                lambda: running[-1].was_killed or settled(here, batches), f"{point}", PATIENCE_S
            )
        running.append(Worker(folder, kind))
        run_to_the_end(here, batches, running)
        verify(here, batches, kind[0])


@pytest.mark.req("TOK-5")
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_kills_at_random_moments_charge_nothing_twice(
    tmp_path: Path, kind: tuple[str, str]
) -> None:
    chance = random.Random(f"kills of {kind}")
    folder = tmp_path / "ws"
    with client(folder) as here:
        batches = submit_all(here)
        for _ in range(8):
            worker = Worker(folder, kind, STEP_S="0.03").ready()
            time.sleep(chance.uniform(0.0, 0.12))
            worker.kill()
            worker.close()
            if settled(here, batches):
                batches += [here.submit(2, prompt="fox", price=PRICE)]
        run_to_the_end(here, batches, [Worker(folder, kind)])
        verify(here, batches, kind[0])


@pytest.mark.req("TOK-5")
@pytest.mark.parametrize("kind", [one for one in KINDS if one[0] != "free"], ids="-".join)
def test_a_kill_around_a_late_picture_keeps_the_books(
    tmp_path: Path, kind: tuple[str, str]
) -> None:
    """Cancelled while it was made: the picture comes late, and the worker dies right then."""
    folder = tmp_path / "ws"
    with client(folder) as here:
        here.store.grant(OPERATOR, "ann", "token", GRANTED, "test").result()
        batch = here.submit(1, prompt="fox", price=PRICE)
        # It takes seconds, so that it is cancelled before it comes though this process may sleep.
        first = Worker(folder, kind, "after_late", STEP_S="2").ready()
        book = ChargeBook(folder.parent / "book")
        here.until(book.charges, "the charge", PATIENCE_S)
        here.cancel(here.one(batch).id)
        here.until(lambda: first.was_killed, "the kill after the late picture", PATIENCE_S)
        run_to_the_end(here, [batch], [first, Worker(folder, kind).ready()])
        cancelled, late = here.generations(batch)
        assert (cancelled.status.value, late.status.value) == ("cancelled", "completed")
        assert late.retry_of == cancelled.id
        assert len(book.charges()) == 1
        assert here.store.balances("ann") == {"token": GRANTED - PRICE.amount_micro}
        here.until(lambda: here.problems() == [], "a sound store", PATIENCE_S)


@pytest.mark.req("DAT-1")
def test_a_stopped_process_is_not_replaced(tmp_path: Path) -> None:
    """SIGSTOP (a suspended laptop, a debugger) keeps the lock: no heartbeat expires."""
    folder = tmp_path / "ws"
    kind = ("free", "yes")
    with client(folder) as here:
        batch = here.submit(1, prompt="fox")
        # It takes seconds, so that it is caught in the middle though this process may sleep.
        sleeper = Worker(folder, kind, STEP_S="3").ready()
        here.until(lambda: here.statuses(batch) == ["processing"], "the claim", PATIENCE_S)
        # Inside a transaction of ours, so that it does not fall asleep with the write lock.
        here.store.submit_write(lambda _tx: sleeper.process.send_signal(signal.SIGSTOP)).result()
        other = Worker(folder, kind).ready()
        time.sleep(1.0)
        assert here.statuses(batch) == ["processing"]
        sleeper.process.send_signal(signal.SIGCONT)
        run_to_the_end(here, [batch], [sleeper, other])
        assert here.one(batch).attempt == 1
        assert here.store.attempts(here.one(batch).id)[0].state == "done"
