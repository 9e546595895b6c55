"""A runner's life among others: closing, handing over, taking over, waiting for the rest."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.plugins.engine_guards import engine_threads
from tests.runner_world import QUICK, Process, processes
from tests.waiting import until
from workbench.domain.jobs import JobRef, Running
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.runner.runner import RunnerSettings
from workbench.testing.providers import FakeProvider, Gate, Picture

Open = Callable[..., Process]


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[Open]:
    with processes(tmp_path / "ws") as open_one:
        yield open_one


def tasks_of(process: Process) -> list[str]:
    async def names() -> list[str]:
        await asyncio.sleep(0)
        own = asyncio.current_task()
        return [repr(task) for task in asyncio.all_tasks() if task is not own]

    return process.run(names())


@pytest.mark.req("RES-4")
def test_closing_hands_running_jobs_over_without_counting_a_death(opening: Open) -> None:
    gates = [Gate(), Gate()]
    script = lambda request: [Running(1, 2), gates[request.slots[0].index], Picture()]  # noqa: E731
    here = opening(FakeProvider(script=script))
    batch = here.submit(2)
    for gate in gates:
        gate.wait_reached()  # what is claimed may not have begun yet
    here.stop(grace_s=0.05)
    assert here.statuses(batch) == ["queued", "queued"]
    assert here.store.sql("SELECT deaths, state FROM job")[1] == [(0, "queued")] * 2
    there = opening(FakeProvider())
    assert [g.status.value for g in there.ended(batch)] == ["completed"] * 2
    assert [one.state for one in there.attempts(batch)] == ["abandoned", "done"]


def test_closing_gives_running_jobs_a_moment_to_finish(opening: Open) -> None:
    gate = Gate()
    here = opening(FakeProvider(script=lambda request: [gate, 0.05, Picture()]))
    batch = here.submit()
    gate.wait_reached()
    gate.open()
    here.stop(grace_s=10)
    assert here.statuses(batch) == ["completed"]


def test_closing_with_wait_finishes_everything_first(opening: Open) -> None:
    outcomes = [ProviderError(ErrorKind.TRANSIENT, "Busy.")] * 2

    def script(request):
        return [0.01, outcomes.pop() if outcomes else Picture()]

    here = opening(FakeProvider(script=script, concurrency=2))
    batches = [here.submit(2) for _ in range(5)]
    here.stop(wait=True)
    assert [here.statuses(batch) for batch in batches] == [["completed"] * 2] * 5


def test_closing_with_wait_does_not_forget_what_a_slow_disk_has_not_queued_yet(
    opening: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = [ProviderError(ErrorKind.TRANSIENT, "Busy.")]
    here = opening(FakeProvider(script=lambda request: [outcomes.pop() if outcomes else Picture()]))
    promote = here.store.promote_due

    def late() -> Future[int | None]:
        done: Future[int | None] = Future()

        def work() -> None:
            time.sleep(1.5)
            try:
                done.set_result(promote().result())
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                done.set_exception(error)

        threading.Thread(target=work).start()
        return done

    monkeypatch.setattr(here.store, "promote_due", late)
    batch = here.submit()
    here.stop(wait=True)
    assert here.statuses(batch) == ["completed"]


def test_closing_leaves_no_task_timer_or_thread(opening: Open) -> None:
    before = engine_threads()
    here = opening(FakeProvider())
    here.ended(here.submit(3))
    here.stop()
    assert tasks_of(here) == []
    here.close()
    # They were told to end; the last one may still be on its way out.
    until(lambda: engine_threads() <= before, "the end of all threads")


def test_a_provider_that_cannot_be_stopped_does_not_keep_its_job(
    opening: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.runner.runner._FORCE_S", 0.1)
    gate, release = Gate(), Gate()

    class Stubborn(FakeProvider):
        async def events(self, request, ref):
            while not release.is_open:
                try:
                    await gate.passed()
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    continue
            yield Running(1, 1)

    here = opening(Stubborn())
    batch = here.submit()
    gate.wait_reached()
    here.stop(grace_s=0.05)
    assert here.statuses(batch) == ["queued"]
    there = opening(FakeProvider())
    there.ended(batch)
    release.open()
    gate.open()


@pytest.mark.req("DAT-1")
def test_jobs_of_a_dead_process_go_on_in_a_living_one(opening: Open) -> None:
    here = opening(FakeProvider())
    dead = "dead-runner"  # it holds no lock
    here.providers.clear()  # so that it does not claim it itself
    batch = here.submit()
    here.store.claim(dead, lanes={"fake": 1}, limit=1).result()
    here.until(lambda: here.statuses(batch) == ["queued"], "the takeover")
    here.runner.add_provider(FakeProvider())
    (generation,) = here.ended(batch)
    assert generation.attempt == 2
    assert here.store.sql("SELECT deaths FROM job")[1] == [(1,)]


def test_jobs_of_a_living_process_are_left_to_it(opening: Open) -> None:
    gate = Gate()
    here = opening(FakeProvider(script=lambda request: [gate, Picture()]))
    batch = here.submit()
    gate.wait_reached()
    looked = threading.Event()

    class Looking(Process):
        def is_alive(self, runner_id: str) -> bool:
            alive = super().is_alive(runner_id)
            if runner_id == here.id and alive:
                looked.set()
            return alive

    there = Looking(here.folder, [FakeProvider()], settings=QUICK).start()
    assert looked.wait(45)
    assert here.statuses(batch) == ["processing"]
    gate.open()
    here.ended(batch)
    assert here.one(batch).attempt == 1
    there.close()


def test_a_replaced_worker_writes_nothing(opening: Open) -> None:
    gate = Gate()
    here = opening(FakeProvider(script=lambda request: [gate, Picture()]))
    batch = here.submit()
    gate.wait_reached()
    here.providers.clear()
    here.store.requeue_dead(here.id).result()  # somebody took us for dead
    here.idle()
    gate.open()
    assert here.statuses(batch) == ["queued"]


def test_a_circuit_lets_one_probe_through_and_closes_again(opening: Open) -> None:
    healthy = threading.Event()

    def script(request):
        return [Picture() if healthy.is_set() else ProviderError(ErrorKind.TRANSIENT, "Down.")]

    provider = FakeProvider(script=script, concurrency=8)
    here = opening(
        provider,
        settings=RunnerSettings(backoff_base_s=0.01, backoff_cap_s=0.01, max_tries=50),
    )
    batch = here.submit(6)
    here.until(lambda: "nothing is sent to it" in here.notes())
    here.idle()
    healthy.set()
    here.clock.skipped_s = 100.0  # the circuit's time is over; jobs are due by the clock
    here.clock.ahead_ms = 100_000
    here.submit(provider="nobody")
    here.ended(batch)
    assert here.statuses(batch) == ["completed"] * 6


def test_a_commit_of_another_process_wakes_the_runner(opening: Open) -> None:
    here = opening(FakeProvider())
    client = opening(start=False)
    batch = client.submit()
    here.ended(batch)
    assert client.statuses(batch) == ["completed"]


def test_many_jobs_in_two_processes_are_each_done_once(opening: Open) -> None:
    providers = [FakeProvider(concurrency=6), FakeProvider(concurrency=6)]
    here, there = opening(providers[0]), opening(providers[1])
    batches = [process.submit(4) for process in (here, there) * 8]
    for batch in batches:
        here.ended(batch)
    sent = [slot.generation_id for one in providers for r in one.requests for slot in r.slots]
    assert len(sent) == len(set(sent)) == 64


def test_a_bug_of_ours_does_not_keep_the_job_for_ever(
    opening: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.runner.runner._BUG_PAUSE_S", 0.01)
    bugs = [RuntimeError("a bug")]
    original = FakeProvider.events

    class Clean(FakeProvider):
        events = original

    async def broken(self, reason):
        raise bugs.pop()

    monkeypatch.setattr("workbench.runner.execute.JobRun._after_failure", broken)
    answers: list[object] = [ProviderError(ErrorKind.BLOCKED, "No."), Picture()]
    here = opening(Clean(script=lambda request: [answers.pop(0)]))
    batch = here.submit()
    here.ended(batch)
    assert here.statuses(batch) == ["completed"]
    here.until(lambda: "a bug" in here.notes())


def test_the_lost_free_attempt_of_a_remote_service_is_resumed(opening: Open) -> None:
    """A free service with ids (a server on the same machine) is followed, not asked twice."""
    gate = Gate()
    answer = JobRef("remote", resumable=True)
    provider = FakeProvider(
        on_submit=lambda request: answer, script=lambda request: [gate, Picture()]
    )
    here = opening(provider)
    batch = here.submit()
    gate.wait_reached()
    here.stop(grace_s=0)
    other = FakeProvider()
    there = opening(other)
    there.ended(batch)
    assert other.requests == []
    assert other.followed == [answer]
    gate.open()
