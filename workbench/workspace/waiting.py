"""Waiting for what the feed will say: blocking, awaiting, and reading it again on every wake.

All three forms work in a script, a notebook cell, pytest and papermill. Interrupting the waiting
never touches the jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from workbench.domain.arguments import shown
from workbench.errors import InvalidRequest

if TYPE_CHECKING:
    from workbench.workspace.engine import Engine

# A wake can only be lost if this process's engine stalls; then a look now and then still ends it.
_LOOK_AGAIN_S = 10.0
# A notebook's stop button counts when the kernel's loop next does anything (tornado's add_callback
# does not wake it from a signal handler): where nothing else happens, a timer turns it over.
_STOP_AGAIN_S = 0.2


def check_timeout(timeout: float | None) -> float | None:
    """Return `timeout` (seconds, or None for no limit) or raise InvalidRequest."""
    if timeout is None:
        return None
    wrong = InvalidRequest("timeout", f"must be seconds (0 or more) or None, not {shown(timeout)}.")
    # Callers are people: the annotation binds nobody. NumPy's numbers and Decimals are welcome.
    if isinstance(timeout, (bool, str, bytes)) or not hasattr(timeout, "__float__"):
        raise wrong
    try:
        seconds = float(timeout)
    except OverflowError:
        seconds = float("inf") if timeout > 0 else -1.0
    except (TypeError, ValueError):  # an array, or the class float itself
        raise wrong from None
    if not seconds >= 0:
        raise wrong
    return seconds


def wait_blocking(
    engine: Engine, is_over: Callable[[], bool], timeout: float | None, what: str
) -> None:
    """Return when `is_over()` holds.

    Raises
    ------
    TimeoutError
        After `timeout` seconds; the jobs go on.
    WrongThread
        On the engine or dispatcher thread.
    """
    timeout = check_timeout(timeout)
    engine.check_may_block()
    woken = threading.Event()
    unsubscribe = engine.subscribe(woken.set, at_end=True)
    deadline = None if timeout is None else engine.clock.monotonic() + timeout
    try:
        while not is_over():
            left = _LOOK_AGAIN_S
            if deadline is not None:
                left = min(left, deadline - engine.clock.monotonic())
                if left <= 0:
                    raise TimeoutError(f"{what} did not end within {timeout:g} s; it goes on.")
            woken.wait(left)
            woken.clear()
    finally:
        unsubscribe()


@asynccontextmanager
async def wakeups(engine: Engine) -> AsyncIterator[asyncio.Event]:
    """Give an event of the running loop that is set whenever the change feed moved."""
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the waiting loop was closed meanwhile
            loop.call_soon_threadsafe(woken.set)

    timer: asyncio.TimerHandle

    def turn() -> None:
        nonlocal timer
        timer = loop.call_later(_STOP_AGAIN_S, turn)

    unsubscribe = engine.subscribe(wake, at_end=True)
    turn()
    try:
        yield woken
    finally:
        unsubscribe()
        timer.cancel()


async def next_wake(woken: asyncio.Event) -> None:
    """Wait for the next wake (or a moment, see `_LOOK_AGAIN_S`) and clear it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_AGAIN_S):
            await woken.wait()
    woken.clear()


async def wait_async(engine: Engine, is_over: Callable[[], bool]) -> None:
    """Return when `is_over()` holds; works on any event loop, the engine's included."""
    async with wakeups(engine) as woken:
        while not is_over():
            await next_wake(woken)
