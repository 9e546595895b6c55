"""The pieces of the runner, each by itself."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from workbench.errors import ConfigurationError, EngineClosed
from workbench.runner import failpoints
from workbench.runner.executor import LocalExecutor, thread_iter
from workbench.runner.failpoints import FAILPOINTS, FailpointReached, failpoint
from workbench.runner.hub import Hub
from workbench.runner.loop import EngineLoop
from workbench.runner.pulse import Pulse
from workbench.runner.retry import Circuit, backoff_s
from workbench.runner.waiting import DeadlinePassed, Stalled, Stop, Stopped, Waiting
from workbench.testing.providers import Gate

WAIT_S = 45.0


@pytest.fixture
def engine() -> Iterator[EngineLoop]:
    loop = EngineLoop()
    loop.start()
    yield loop
    loop.stop()


# -- retry ----------------------------------------------------------------------------------------


def test_the_wait_doubles_with_each_try_up_to_its_cap() -> None:
    highest = [backoff_s(n, base_s=1, cap_s=30, uniform=lambda _, high: high) for n in range(8)]
    assert highest == [1, 2, 4, 8, 16, 30, 30, 30]
    assert backoff_s(10**6, base_s=1, cap_s=30, uniform=lambda _, high: high) == 30
    assert backoff_s(3, base_s=1, cap_s=30, uniform=lambda low, _: low) == 0


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(3.0, 3, 4), (1e9, 600, 601), (math.inf, 600, 601), (math.nan, 0, 1), (-5.0, 0, 1)],
)
def test_retry_after_is_a_floor_up_to_ten_minutes(asked: float, least: float, most: float) -> None:
    for _ in range(50):
        wait = backoff_s(0, base_s=1, cap_s=30, retry_after_s=asked)
        assert least <= wait <= most


def test_the_circuit_opens_half_opens_and_closes() -> None:
    now = [0.0]
    circuit = Circuit(lambda: now[0], uniform=lambda low, high: 1.0)
    assert [circuit.failed() for _ in range(4)] == [False] * 4
    assert circuit.allowed(8) == 8
    assert circuit.failed()
    assert (circuit.allowed(8), circuit.wait_s()) == (0, 30)
    now[0] = 31
    assert circuit.allowed(8) == 1
    assert circuit.failed()
    assert circuit.allowed(8) == 0
    now[0] = 62
    circuit.succeeded()
    assert circuit.allowed(8) == 8
    assert not circuit.failed()


# -- failpoints -----------------------------------------------------------------------------------


@pytest.fixture
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_a_failpoint_does_nothing_until_it_is_armed(disarmed: None) -> None:
    for name, meaning in FAILPOINTS:
        assert meaning
        failpoint(name)


def test_a_failpoint_acts_at_its_nth_hit_and_once(disarmed: None) -> None:
    failpoints.arm("after_file:3=raise")
    failpoint("after_file")
    failpoint("after_claim")
    failpoint("after_file")
    with pytest.raises(FailpointReached):
        failpoint("after_file")
    failpoint("after_file")


@pytest.mark.parametrize("text", ["nowhere", "after_file=explode", "after_file:x", "after_file:-1"])
def test_a_misspelt_failpoint_is_refused(disarmed: None, text: str) -> None:
    with pytest.raises(ConfigurationError, match="after_claim"):
        failpoints.arm(text)


def test_failpoints_come_from_the_environment(
    disarmed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_FAILPOINT", "after_claim=raise, before_fail=raise")
    failpoints.arm_from_environment()
    for name in ("after_claim", "before_fail"):
        with pytest.raises(FailpointReached):
            failpoint(name)


# -- loop and executor ----------------------------------------------------------------------------


def test_the_engine_thread_runs_coroutines_of_other_threads(engine: EngineLoop) -> None:
    async def where() -> str:
        assert engine.is_current()
        return threading.current_thread().name

    assert engine.submit(where()).result(WAIT_S) == "workbench-engine"
    assert not engine.is_current()


def test_a_stopped_loop_ends_what_ran_on_it_and_takes_nothing_more() -> None:
    engine = EngineLoop()
    engine.start()
    started, ended = threading.Event(), threading.Event()

    async def forever() -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    future = engine.submit(forever())
    assert started.wait(WAIT_S)
    engine.stop()
    engine.stop()
    assert ended.is_set()
    assert future.cancelled()
    with pytest.raises(EngineClosed):
        engine.submit(forever())


def test_an_error_that_nobody_waits_for_is_reported() -> None:
    seen: list[BaseException | None] = []
    engine = EngineLoop(on_exception=lambda _text, error: seen.append(error))
    engine.start()

    async def plan() -> None:
        asyncio.get_running_loop().call_soon(int, "no number")

    engine.submit(plan()).result(WAIT_S)
    engine.stop()
    assert [type(error) for error in seen] == [ValueError]


def test_a_task_that_calls_exit_is_reported_and_ends_no_engine() -> None:
    seen: list[BaseException | None] = []
    engine = EngineLoop(on_exception=lambda _text, error: seen.append(error))
    engine.start()

    async def leaves() -> None:
        sys.exit(3)

    async def answers() -> str:
        return "here"

    left = [engine.submit(leaves()) for _ in range(2)]
    assert engine.submit(answers()).result(WAIT_S) == "here"
    for future in left:
        with pytest.raises(SystemExit):
            future.result(WAIT_S)
    engine.stop()
    assert [type(error) for error in seen] == [SystemExit, SystemExit]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Not on Windows: the test forks a process.")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_no_engine(engine: EngineLoop) -> None:
    child = os.fork()
    if child == 0:
        try:
            engine.loop  # noqa: B018
        except EngineClosed:
            engine.stop()
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


async def test_work_runs_in_threads_with_our_name() -> None:
    executor = LocalExecutor(threads=1)
    name = await executor.run(lambda: threading.current_thread().name)
    assert name.startswith("workbench-work")
    with pytest.raises(ZeroDivisionError):
        await executor.run(lambda: 1 / 0)
    executor.close()


async def test_a_blocking_generator_is_walked_in_a_thread_and_closed() -> None:
    executor = LocalExecutor(threads=1)
    closed: list[str] = []

    def steps() -> Iterator[str]:
        try:
            while True:
                yield threading.current_thread().name
        finally:
            closed.append(threading.current_thread().name)

    walking = thread_iter(executor, steps())
    assert (await anext(walking)).startswith("workbench-work")
    await walking.aclose()  # type: ignore[attr-defined]
    assert closed[0].startswith("workbench-work")
    assert [item async for item in thread_iter(executor, [1, 2])] == [1, 2]
    executor.close()


# -- pulse and waiting ----------------------------------------------------------------------------


async def test_beats_during_work_count_as_one_more() -> None:
    runs: list[int] = []
    going, gate = asyncio.Event(), asyncio.Event()

    async def work() -> float:
        runs.append(1)
        going.set()
        await gate.wait()
        return 0.0

    pulse = Pulse(work)
    pulse.beat()
    await going.wait()
    for _ in range(10):
        pulse.beat()
    gate.set()
    await pulse.settle()
    assert len(runs) == 2
    await pulse.stop()
    pulse.beat()
    assert len(runs) == 2


async def test_a_pulse_keeps_its_distance_unless_it_is_urgent() -> None:
    runs: list[int] = []

    async def work() -> float:
        runs.append(1)
        return 3600.0

    pulse = Pulse(work)
    await pulse.settle()
    pulse.beat()
    await asyncio.sleep(0.01)
    assert len(runs) == 1
    await pulse.settle()
    assert len(runs) == 2
    pulse.beat()
    await pulse.stop()


async def test_a_bug_in_a_pulse_is_told_and_the_next_beat_is_heard() -> None:
    told: list[BaseException] = []
    runs: list[int] = []

    async def work() -> float:
        runs.append(1)
        if len(runs) == 1:
            raise ZeroDivisionError("a bug")
        return 0.0

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    pulse = Pulse(work)
    await pulse.settle()
    await pulse.settle()
    await pulse.stop()
    assert len(runs) == 2
    assert [str(error) for error in told] == ["a bug"]


async def test_a_stop_reaches_a_wait_and_nothing_else() -> None:
    waiting = Waiting(60)
    stored: list[str] = []
    inside = asyncio.Event()

    async def task() -> None:
        await asyncio.sleep(0.01)  # no wait for the provider: a stop must not cut this
        stored.append("kept")
        inside.set()
        with pytest.raises(Stopped, match="CANCELLED"):
            await waiting.wait_for(asyncio.sleep(60))
        await asyncio.sleep(0)  # what comes after is not cancelled either
        stored.append("after")

    running = asyncio.create_task(task())
    await asyncio.sleep(0)
    waiting.stop(Stop.CANCELLED)
    waiting.stop(Stop.LOST)
    await running
    assert stored == ["kept", "after"]


async def test_a_provider_that_swallows_the_stop_is_stopped_at_the_next_wait() -> None:
    waiting = Waiting(60)

    async def swallow() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return "answer"

    asyncio.get_running_loop().call_later(0.01, waiting.stop, Stop.HAND_OVER)
    assert await waiting.wait_for(swallow()) == "answer"
    with pytest.raises(Stopped, match="HAND_OVER"):
        await waiting.wait_for(swallow())
    await asyncio.sleep(0)


async def test_the_deadline_is_told_from_a_timeout_of_the_provider() -> None:
    async def times_out() -> None:
        raise TimeoutError("read timed out")

    waiting = Waiting(0.05)
    with pytest.raises(TimeoutError, match="read timed out"):
        await waiting.wait_for(times_out())
    with pytest.raises(DeadlinePassed):
        await waiting.wait_for(asyncio.sleep(60))
    await waiting.wait_for(asyncio.sleep(0), timed=False)


async def test_whichever_is_first_ends_a_wait_the_deadline_or_the_silence() -> None:
    with pytest.raises(Stalled, match="silent for"):
        await Waiting(60).wait_for(asyncio.sleep(60), quiet_s=0.05)
    with pytest.raises(Stalled):
        await Waiting(60).wait_for(asyncio.sleep(60), timed=False, quiet_s=0.05)
    with pytest.raises(DeadlinePassed) as caught:
        await Waiting(0.05).wait_for(asyncio.sleep(60), quiet_s=60)
    assert type(caught.value) is DeadlinePassed
    assert await Waiting(60).wait_for(asyncio.sleep(0, "answer"), quiet_s=0.05) == "answer"


# -- hub ------------------------------------------------------------------------------------------


class Pipe:
    """A doorbell in this process."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.rung_others = 0

    def fileno(self) -> int:
        return self.ours.fileno()

    def drain(self) -> None:
        self.ours.recv(100)

    def ring_others(self) -> None:
        self.rung_others += 1

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.mark.req("LIVE-7")
def test_the_hub_wakes_on_own_commits_rings_and_the_net(engine: EngineLoop) -> None:
    version = [1]
    bell = Pipe()
    hub = Hub(engine, data_version=lambda: version[0], doorbell=bell, poll_s=0.02)
    hub.start()
    woken = threading.Semaphore(0)
    end = hub.subscribe(woken.release)
    hub.notify()
    assert woken.acquire(timeout=WAIT_S)
    bell.theirs.send(b"!")
    assert woken.acquire(timeout=WAIT_S)
    version[0] = 2
    assert woken.acquire(timeout=WAIT_S)
    end()
    end()
    hub.stop()
    hub.stop()
    hub.notify()
    assert bell.rung_others == 1
    bell.close()


def test_many_commits_wake_once_per_turn_of_the_loop(engine: EngineLoop) -> None:
    hub = Hub(engine, data_version=lambda: 1, doorbell=None)
    hub.start()
    woken: list[int] = []
    hub.subscribe(lambda: woken.append(1))

    async def burst() -> None:
        for _ in range(1000):
            hub.notify()

    engine.submit(burst()).result(WAIT_S)
    engine.submit(asyncio.sleep(0)).result(WAIT_S)
    assert len(woken) == 1
    hub.stop()


def test_a_follower_that_fails_does_not_deafen_the_others() -> None:
    troubles: list[BaseException | None] = []
    engine = EngineLoop(on_exception=lambda _text, error: troubles.append(error))
    engine.start()
    hub = Hub(engine, data_version=lambda: 1, doorbell=None)
    hub.start()
    heard = threading.Event()
    hub.subscribe(lambda: 1 / 0)
    hub.subscribe(heard.set)
    hub.notify()
    assert heard.wait(WAIT_S)
    hub.stop()
    engine.stop()
    assert isinstance(troubles[0], ZeroDivisionError)


def test_a_gate_holds_until_it_is_opened(engine: EngineLoop) -> None:
    gate = Gate()
    future = engine.submit(gate.passed())
    gate.wait_reached()
    assert not future.done()
    gate.open()
    future.result(WAIT_S)
    engine.submit(gate.passed()).result(WAIT_S)
    with pytest.raises(TimeoutError):
        Gate().wait_reached(0.01)
