"""Blocking, awaiting and iterating give the same; giving up the waiting leaves the jobs alone."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import workbench as wb
from tests.workspace.workspace_world import SMALL
from workbench.testing.providers import FakeProvider, Gate, Picture

pytestmark = pytest.mark.req("RES-4")


def test_wait_returns_the_batch_when_every_image_has_ended(ws):
    batch = ws.generate("a fox", n=2, fail=[0], **SMALL)
    assert batch.wait(timeout=60) is batch
    assert [g.status for g in batch.generations] == ["failed", "completed"]


async def test_await_returns_the_batch_when_every_image_has_ended(ws):
    batch = ws.generate("a fox", n=2, fail=[0], **SMALL)
    assert await batch is batch
    assert [g.status for g in batch.generations] == ["failed", "completed"]


async def test_async_for_gives_each_image_once_as_it_ends(ws):
    batch = ws.generate("a fox", n=4, fail=[2], delay_ms=20, **SMALL)
    seen = [(generation.index, generation.status) async for generation in batch]
    assert sorted(index for index, _ in seen) == [0, 1, 2, 3]
    assert dict(seen)[2] == "failed"
    assert all(wb.is_terminal(status) for _, status in seen)
    assert [g async for g in batch] == batch.generations


def test_asyncio_run_in_a_script_works_with_several_batches_at_once(ws):
    async def work() -> list[str]:
        batches = [ws.generate(f"fox {i}", **SMALL) for i in range(3)]
        done = await asyncio.gather(*(b._wait() for b in batches))
        return [batch.status for batch in done]

    assert asyncio.run(work()) == ["completed"] * 3


def test_waiting_longer_than_allowed_is_a_timeout_and_the_job_goes_on(ws):
    gate = Gate()
    ws.add_provider(FakeProvider("slow", script=lambda request: [gate, Picture()]))
    batch = ws.generate("a fox", model="slow:picture")
    with pytest.raises(TimeoutError, match="goes on"):
        batch.wait(timeout=0.05)
    assert not wb.is_terminal(batch.status)
    gate.open()
    assert batch.wait(60).status == "completed"


@pytest.mark.parametrize("timeout", [-1, "soon", True, float("nan")])
def test_a_senseless_timeout_is_refused(idle_ws, timeout):
    with pytest.raises(wb.InvalidRequest, match="timeout"):
        idle_ws.generate("x").wait(timeout)


async def test_cancelling_an_await_ends_the_waiting_not_the_job(ws):
    gate = Gate()
    ws.add_provider(FakeProvider("slow", script=lambda request: [gate, Picture()]))
    batch = ws.generate("a fox", model="slow:picture")
    task = asyncio.ensure_future(batch._wait())
    await asyncio.to_thread(gate.wait_reached)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open()
    assert (await batch).status == "completed"


def test_a_blocking_wait_on_the_dispatcher_thread_is_refused(ws):
    raised: list[BaseException] = []
    called = threading.Event()

    def callback(payload: dict[str, object]) -> None:
        try:
            ws.generate("another", **SMALL).wait(5)
        except wb.WorkbenchError as error:
            raised.append(error)
        called.set()

    unsubscribe = ws.on("generation_completed", callback)
    ws.generate("a fox", **SMALL).wait(60)
    assert called.wait(45)
    unsubscribe()
    assert isinstance(raised[0], wb.WrongThread)
    assert isinstance(raised[0], RuntimeError)


def test_a_blocking_wait_on_the_engine_thread_is_refused_and_await_works_there(ws):
    batch = ws.generate("a fox", **SMALL)

    async def on_the_engine() -> str:
        with pytest.raises(wb.WrongThread):
            batch.wait(5)
        return (await batch).status

    assert ws._engine.loop.submit(on_the_engine()).result(60) == "completed"


def test_waiting_on_a_closed_workspace_says_so(workspace_home):
    workspace = wb.open(workspace_home / "ws", run_jobs=False)
    batch = workspace.generate("a fox")
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            batch.wait(30)
        except wb.WorkbenchError as error:
            failures.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.2)
    workspace.close()
    waiting.join(45)
    assert isinstance(failures[0], wb.EngineClosed)


async def test_one_generation_can_be_waited_for(ws):
    batch = ws.generate("a fox", n=2, **SMALL)
    first, second = batch.generations
    assert (await first).status == "completed"
    assert second.wait(60).status == "completed"
