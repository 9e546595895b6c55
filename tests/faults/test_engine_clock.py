"""Wall clocks that jump in the middle of everything: order, durations and retries do not care."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

import workbench as wb
from tests.faults.engine_world import (
    PATIENCE_S,
    PRICE,
    SMALL,
    check_ledger,
    check_sound,
    every_generation,
)
from tests.waiting import until
from workbench.domain.jobs import JobRequest, Running
from workbench.domain.records import Identity
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.testing.providers import FakeProvider, Gate, Move, Picture
from workbench.workspace.engine import Engine
from workbench.workspace.workspace import Workspace

HOUR = 3_600_000
YEAR = 365 * 24 * HOUR
JUMPS = {"an hour back": -HOUR, "two years on": 2 * YEAR, "a minute back": -60_000}


class JumpingClock:
    """The system's clock, and somebody who sets it. The monotonic time stays what it is."""

    def __init__(self) -> None:
        self.offset_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset_ms

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def ws(tmp_path: Path, clock: JumpingClock) -> Iterator[Workspace]:
    """A workspace that runs its jobs by that clock."""
    engine = Engine.acquire(tmp_path / "w", run_jobs=True, clock=clock)
    with Workspace(engine, Identity("ada")) as ws:
        ws.set_price("sketch", PRICE)
        ws.grant(1000)
        yield ws


def check_times(ws: Workspace) -> None:
    """No duration is negative, and the order is that of arrival."""
    made = every_generation(ws)
    assert [g.record.seq for g in made] == sorted(g.record.seq for g in made)
    for generation in made:
        assert generation.duration is None or generation.duration >= 0
        for attempt in generation.attempts:
            assert attempt.finished_at is None or attempt.finished_at >= attempt.started_at
    assert not (ws.frame()["duration_s"] < 0).any()


@pytest.mark.req("LIVE-1", "TOK-2")
@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_pictures_come_in_order_though_the_clock_jumps_under_them(
    ws: Workspace, clock: JumpingClock, jump: int
) -> None:
    start = ws.changes().cursor
    gate = Gate()  # else they might be ready before anybody saw them being painted
    moves = [Running(1, 4), gate, Running(3, 4), Picture()]
    ws.add_provider(FakeProvider("held", script=lambda _request: moves))
    ws.set_price("held:picture", PRICE)
    batches = [ws.generate("before", n=2, **SMALL).wait(PATIENCE_S)]
    batches.append(ws.generate("across", model="held:picture", n=3, **SMALL))
    until(lambda: batches[-1].status == "processing", "it is painted")
    clock.offset_ms += jump
    batches += [ws.generate(f"after {i}", n=1, **SMALL) for i in range(3)]
    gate.open()
    ws.wait(PATIENCE_S)
    assert {batch.status for batch in batches} == {"completed"}
    made = every_generation(ws)
    assert [g.batch.id for g in made] == [b.id for b in batches for _ in range(len(b))]
    newest = [g.id for g in ws.generations(limit=500).items]
    assert newest == [g.id for g in reversed(made)]
    pages: list[str] = []
    cursor = None
    while True:
        page = ws.generations(limit=2, cursor=cursor)
        pages += [g.id for g in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert pages == newest
    changes = ws.changes(start).items
    assert [c.seq for c in changes] == sorted({c.seq for c in changes})
    check_times(ws)
    check_ledger(ws, completed=8)
    check_sound(ws)


def stumble(times: int, *, wait_s: float) -> Callable[[JobRequest], Iterable[Move]]:
    """A service that fails in passing, a few times, and asks for a pause."""
    left = [times]

    def script(request: JobRequest) -> Iterable[Move]:
        left[0] -= 1
        if left[0] >= 0:
            error = ProviderError(ErrorKind.RATE_LIMIT, "try again later", retry_after_s=wait_s)
            return [error]
        return [Picture()]

    return script


@pytest.mark.req("LIVE-4")
@pytest.mark.parametrize("jump", [-HOUR, 2 * YEAR], ids=["an hour back", "two years on"])
def test_a_retry_happens_though_the_clock_jumped_while_it_waited(
    ws: Workspace, clock: JumpingClock, jump: int
) -> None:
    ws.add_provider(FakeProvider("shaky", script=stumble(2, wait_s=4)))
    batch = ws.generate("a fox", model="shaky:picture", n=1)
    until(lambda: batch.generations[0].detail.startswith("retrying"), "it waits for its retry")
    clock.offset_ms += jump
    assert batch.wait(PATIENCE_S).status == "completed"
    assert [a.state for a in batch.generations[0].attempts] == ["failed", "failed", "done"]
    check_times(ws)
    check_sound(ws)


def test_a_workspace_from_the_future_is_opened_as_usual(
    tmp_path: Path, clock: JumpingClock
) -> None:
    """Two years on and back again, over a restart: nothing is pruned, purged or stuck."""
    clock.offset_ms = 2 * YEAR
    folder = tmp_path / "w"
    with Workspace(Engine.acquire(folder, run_jobs=True, clock=clock), Identity("ada")) as ws:
        first = ws.generate("of the future", n=2, **SMALL).wait(PATIENCE_S)
        kept = [g.record.asset_id for g in first.generations]
        waiting = ws.generate("left over", n=2, width=64, height=64, steps=4, delay_ms=200)
        cursor = ws.changes().cursor
    clock.offset_ms = -HOUR
    with Workspace(Engine.acquire(folder, run_jobs=True, clock=clock), Identity("ada")) as ws:
        assert ws.batch(waiting.id).wait(PATIENCE_S).status == "completed"
        now = ws.generate("of today", n=1, **SMALL).wait(PATIENCE_S)
        assert now.status == "completed"
        assert ws.generations(limit=1).items[0].id == now.generations[0].id
        assert [g.record.asset_id for g in ws.batch(first.id).generations] == kept
        page = ws.changes(cursor)
        assert not page.reset
        assert page.items
        waited = ws.generate("a timeout", n=1, width=64, height=64, steps=2, delay_ms=30_000)
        with pytest.raises(TimeoutError):
            waited.wait(timeout=0.05)
        waited.cancel()
        ws.wait(PATIENCE_S)
        check_times(ws)
        check_sound(ws)


def test_jumps_all_the_time_stop_nothing(ws: Workspace, clock: JumpingClock) -> None:
    ended = threading.Event()

    def jump() -> None:
        jumps = [-HOUR, 2 * YEAR, 5_000, -2 * YEAR, -1_000, HOUR, -100]
        number = 0
        while not ended.wait(0.03):
            clock.offset_ms += jumps[number % len(jumps)]
            number += 1

    jumping = threading.Thread(target=jump)
    jumping.start()
    try:
        shaky = FakeProvider("shaky", script=stumble(2, wait_s=0.1))
        ws.add_provider(shaky)
        batches = [ws.generate("a fox", model="shaky:picture", n=2)]
        batches += [ws.generate(f"fox {i}", n=2, **SMALL) for i in range(8)]
        for batch in batches:
            batch.wait(PATIENCE_S)
    finally:
        ended.set()
        jumping.join()
    assert {wb.is_terminal(batch.status) for batch in batches} == {True}
    assert {batch.status for batch in batches} == {"completed"}
    check_times(ws)
    check_ledger(ws, completed=16)
    check_sound(ws)
