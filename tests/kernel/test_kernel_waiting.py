"""Waiting for pictures in the cells of a real kernel: all three forms, and the stop button."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import KernelManager

if TYPE_CHECKING:
    from jupyter_client.blocking import BlockingKernelClient

pytestmark = [pytest.mark.timeout(240), pytest.mark.req("RES-4")]

START = """
import workbench as wb
ws = wb.open()
small = dict(width=64, height=64, steps=4)
# Its pictures go on until the test lets them end, and not less, however long anybody sleeps.
from workbench.domain.jobs import Running
from workbench.testing.providers import FakeProvider, Gate, Picture
gate = Gate()
def milling(_):
    step = 0
    while not gate.is_open:
        step += 1
        yield 0.2
        yield Running(step, 10_000)
    yield Picture()
ws.add_provider(FakeProvider("mill", script=milling, deadline_s=3600))
slow = dict(model="mill:picture", width=64, height=64)
"""


@dataclass
class Answer:
    """What a cell printed, showed, and how it ended."""

    text: str = ""
    shown: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None


class Session:
    """A kernel and the cells that run in it."""

    def __init__(self, folder: Path) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(folder))
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.manager.context.destroy()

    def start(self, code: str) -> str:
        message: str = self.client.execute(code)
        return message

    def run(self, code: str) -> Answer:
        return self.answer(self.start(code))

    def answer(self, message: str, *, until: str | None = None) -> Answer:
        """Collect the outputs of a cell until it is idle (or has printed `until`)."""
        answer = Answer()
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            try:
                found = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if found["parent_header"].get("msg_id") != message:
                continue
            content = found["content"]
            if found["msg_type"] == "stream":
                answer.text += content["text"]
                if until is not None and until in answer.text:
                    return answer
            elif found["msg_type"] in ("execute_result", "display_data"):
                answer.shown.append(content["data"])
            elif found["msg_type"] == "error":
                answer.error = content["ename"]
            elif found["msg_type"] == "status" and content["execution_state"] == "idle":
                return answer
        pytest.fail(f"the cell did not end: {answer}")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    session = Session(tmp_path_factory.mktemp("notebooks"))
    try:
        assert session.run(START).error is None
        yield session
    finally:
        session.close()


def test_await_gives_the_finished_batch_and_shows_it(session: Session) -> None:
    answer = session.run("await ws.generate('a red fox', n=2, seed=7, **small)")
    assert answer.error is None
    (shown,) = answer.shown
    assert shown["text/html"].count("data:image/webp;base64,") == 2
    assert "a red fox" in shown["text/plain"]
    assert "completed" in shown["text/plain"]


def test_wait_gives_the_finished_batch(session: Session) -> None:
    answer = session.run("print(ws.generate('an owl', n=2, **small).wait(30).status)")
    assert (answer.text, answer.error) == ("completed\n", None)


def test_async_for_gives_each_image_once_as_it_ends(session: Session) -> None:
    answer = session.run(
        "async for g in ws.generate('a boat', n=3, fail=[1], **small):\n"
        "    print(g.index, g.status)"
    )
    assert answer.error is None
    assert sorted(answer.text.splitlines()) == ["0 completed", "1 failed", "2 completed"]


def test_a_wait_that_takes_too_long_raises_and_the_job_goes_on(session: Session) -> None:
    answer = session.run("late = ws.generate('a tower', **slow)\nlate.wait(0.2)")
    assert answer.error == "TimeoutError"
    answer = session.run("print(late.status, late.cancel())")
    assert answer.text in ("processing 1\n", "queued 1\n")


@pytest.mark.parametrize(
    "waiting",
    ["work.wait()", "await work", "async for g in work:\n    pass", "await work.generations[0]"],
)
def test_the_stop_button_ends_the_waiting_and_not_the_job(session: Session, waiting: str) -> None:
    message = session.start(
        "gate = Gate()\n"
        f"work = ws.generate('a mill', **slow)\nprint('waiting', flush=True)\n{waiting}"
    )
    session.answer(message, until="waiting")
    time.sleep(0.3)  # into the waiting itself
    session.manager.interrupt_kernel()
    assert session.answer(message).error in ("KeyboardInterrupt", "CancelledError")
    answer = session.run("print(work.status)")
    assert answer.text in ("processing\n", "queued\n")
    answer = session.run("gate.open()\nprint((await work).status, work.generations[0].attempt)")
    assert (answer.text, answer.error) == ("completed 1\n", None)


def test_the_stop_button_ends_an_await_while_nothing_else_happens(session: Session) -> None:
    # Tornado's loop does not wake for it, which hits one press of a few: so there are some, and
    # the look at the store now and then, which would hide it, is taken away.
    session.run(
        "from workbench.workspace import waiting\n"
        "waiting._LOOK_AGAIN_S = 3600.0\n"
        "def silent(_):\n"
        "    yield gate\n"
        "    yield Picture()\n"
        "ws.add_provider(FakeProvider('silent', script=silent, deadline_s=3600))\n"
        "gate = Gate()\n"
        "work = ws.generate('a pond', model='silent:picture', width=64, height=64)"
    )
    try:
        for _ in range(10):
            message = session.start("print('waiting', flush=True)\nawait work")
            session.answer(message, until="waiting")
            time.sleep(0.3)
            session.manager.interrupt_kernel()
            assert session.answer(message).error == "CancelledError"
    except BaseException:  # `pytest.fail` raises no Exception
        # The cell may be waiting still: without this, the next one would hide the error by its own.
        session.manager.interrupt_kernel()
        raise
    finally:
        answer = session.run(
            "waiting._LOOK_AGAIN_S = 10.0\ngate.open()\nprint((await work).status)"
        )
    assert answer.text == "completed\n"


def test_a_callback_may_not_wait_for_the_engine_that_calls_it(session: Session) -> None:
    answer = session.run(
        "import threading\n"
        "seen, done = [], threading.Event()\n"
        "def watch(event):\n"
        "    try:\n"
        "        ws.generation(event['generation_id']).batch.wait(5)\n"
        "    except Exception as error:\n"
        "        seen.append(type(error).__name__)\n"
        "    done.set()\n"
        "stop = ws.on('generation_completed', watch)\n"
        "ws.generate('a cat', **small).wait()\n"
        "done.wait(35)\n"
        "stop()\n"
        "print(seen)"
    )
    assert (answer.text, answer.error) == ("['WrongThread']\n", None)
