"""The guards of tests/plugins/engine_guards.py see what they are there for."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.plugins.engine_guards import LoopGuard, engine_threads

pytestmark = pytest.mark.blocking_allowed("these tests switch a guard of their own on and off")


@pytest.fixture
def guard() -> Iterator[LoopGuard]:
    guard = LoopGuard()
    guard.start()
    yield guard
    guard.stop()


def run_on_a_loop(body: Callable[[], Awaitable[None]], thread_name: str) -> None:
    """Runs `body` on a loop of a thread of that name; what it raises is swallowed."""

    async def swallowing() -> None:
        try:
            await body()
        except Exception:
            logging.getLogger(__name__).debug("swallowed", exc_info=True)

    thread = threading.Thread(
        target=lambda: asyncio.run(swallowing()), name=thread_name, daemon=True
    )
    thread.start()
    thread.join()


async def sleeps() -> None:
    time.sleep(0.001)  # noqa: ASYNC251 - the blocking call is the point


async def waits_for_a_future() -> None:
    never: Future[None] = Future()
    never.result(timeout=0.001)


async def only_asks() -> None:
    await asyncio.sleep(0.001)
    queue.Queue().put(1)
    await asyncio.to_thread(time.sleep, 0.001)


@pytest.mark.parametrize("blocking", [sleeps, waits_for_a_future])
def test_a_blocking_call_on_the_engine_loop_is_noted_even_if_it_is_swallowed(
    guard: LoopGuard, blocking: Callable[[], Awaitable[None]]
) -> None:
    run_on_a_loop(blocking, "workbench-engine")
    assert len(guard.violations) == 1
    assert blocking.__name__ in guard.violations[0]


def test_a_file_read_on_the_engine_loop_is_noted(guard: LoopGuard, tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_text("text", encoding="utf-8")

    async def reads() -> None:
        path.read_text(encoding="utf-8")

    run_on_a_loop(reads, "workbench-engine")
    assert guard.violations


def test_other_loops_may_block(guard: LoopGuard) -> None:
    run_on_a_loop(sleeps, "somebody-else")
    assert guard.violations == []


def test_waiting_without_blocking_is_no_violation(guard: LoopGuard) -> None:
    run_on_a_loop(only_asks, "workbench-engine")
    assert guard.violations == []


def test_engine_threads_are_found_by_name() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="workbench-engine-test")
    thread.start()
    try:
        assert thread in engine_threads()
    finally:
        stop.set()
        thread.join()
    assert thread not in engine_threads()
