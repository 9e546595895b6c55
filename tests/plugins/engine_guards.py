"""Two guards around every test: no blocked engine loop, no engine thread left behind."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import blockbuster.blockbuster
import pytest
from blockbuster import BlockBuster

ENGINE_THREAD_PREFIX = "workbench-"
LEAK_GRACE_S = 30.0  # a machine may pause; what ends by itself has ended long before

# The store's one write connection lives on the engine thread: its short transactions and
# their side mutex are what that thread is for (architecture.md, Store). What handlers of logging
# do is the choice of whoever installed them: a test here logs everything into a file.
_MAY_BLOCK = ("/workbench/store/", "/logging/__init__.py")
_WAITS = {"wait", "_wait_for_tstate_lock"}


class LoopGuard:
    """Notes each blocking call made on the loop of an engine thread."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._buster = BlockBuster()
        for name, function in self._buster.functions.items():
            function.can_block_predicate = _outside_engine_or(name, function.can_block_predicate)

    def start(self) -> None:
        """Watch from now on. The call that blocks raises where it is made, too."""
        violations = self.violations

        class RecordedBlockingError(blockbuster.blockbuster.BlockingError):
            """Kept in the list, since a broad border of the runner may swallow it."""

            def __init__(self, func: str) -> None:
                super().__init__(func)
                stack = "".join(traceback.format_stack()[:-2][-8:])
                violations.append(f"{func} on {threading.current_thread().name}:\n{stack}")

        self._original = blockbuster.blockbuster.BlockingError
        blockbuster.blockbuster.BlockingError = RecordedBlockingError  # type: ignore[misc]
        self._buster.activate()

    def stop(self) -> None:
        """Watch no more."""
        self._buster.deactivate()
        blockbuster.blockbuster.BlockingError = self._original  # type: ignore[misc]


def _outside_engine_or(name: str, predicate: Callable[..., bool]) -> Callable[..., bool]:
    # A mutex that another thread holds for a microsecond is no blocked loop, and would fail
    # tests by chance; waiting for an event, a condition, a future or a thread is one.
    only_waits = name.startswith("threading.Lock.")

    def may_block(*args: Any, **kwargs: Any) -> bool:
        if not threading.current_thread().name.startswith(ENGINE_THREAD_PREFIX):
            return True
        if predicate(*args, **kwargs):
            return True
        stack = [frame.f_code for frame, _ in traceback.walk_stack(None)]
        if only_waits and not any(
            code.co_filename == threading.__file__ and code.co_name in _WAITS for code in stack
        ):
            return True
        return any(
            part in code.co_filename.replace("\\", "/") for code in stack for part in _MAY_BLOCK
        )

    return may_block


@pytest.fixture(autouse=True)
def engine_loop_guard(request: pytest.FixtureRequest) -> Iterator[LoopGuard | None]:
    """Fails the test if code on an engine thread's loop made a blocking call.

    `@pytest.mark.blocking_allowed("why")` switches it off.
    """
    if request.node.get_closest_marker("blocking_allowed"):
        yield None
        return
    guard = LoopGuard()
    guard.start()
    try:
        yield guard
    finally:
        guard.stop()
    if guard.violations:
        pytest.fail("blocking calls on the engine loop:\n\n" + "\n".join(guard.violations))


def engine_threads() -> set[threading.Thread]:
    """The engine threads that are alive in this process."""
    return {
        thread
        for thread in threading.enumerate()
        if thread.name.startswith(ENGINE_THREAD_PREFIX) and thread.is_alive()
    }


@pytest.fixture(autouse=True)
def no_engine_thread_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails the test that leaves an engine thread running long after its end.

    `@pytest.mark.keeps_threads("why")` switches it off.
    """
    before = engine_threads()
    yield
    if request.node.get_closest_marker("keeps_threads"):
        return
    deadline = time.monotonic() + LEAK_GRACE_S
    while (left := engine_threads() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    if left:
        names = ", ".join(sorted(thread.name for thread in left))
        pytest.fail(f"the test left engine threads running: {names}; close its workspace")
