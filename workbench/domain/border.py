"""The border to code of other people: plugins, callbacks, keyrings, a class of theirs.

Such code may raise whatever it likes, and none of it may end what called it. So it is caught whole,
here and nowhere else, and nothing is lost with it: `failed` must say where people see it. What is
no error of that code passes: an interrupt, a cancel, a signal that ends the program.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def asked(work: Callable[[], T], failed: Callable[[Exception], T]) -> T:
    """Return what other people's code answers, or what `failed` makes of whatever it raises.

    Parameters
    ----------
    work:
        Calls that code.
    failed:
        Records the error where people see it: in a log, in a list, in what is returned.

    Examples
    --------
    >>> asked(lambda: {}["zoo"], lambda error: f"no answer: {error!r}")
    "no answer: KeyError('zoo')"
    """
    try:
        with ending_nothing():
            return work()
    except Exception as error:  # noqa: BLE001 - border "plugin load": `failed` records it
        return failed(error)


async def awaited(
    work: Callable[[], Awaitable[T]], failed: Callable[[Exception], T], *, within_s: float
) -> T:
    """Await what other people's code does; otherwise as `asked`.

    In the task that calls this: a generator must be closed where it was read.

    Parameters
    ----------
    work:
        Calls that code.
    failed:
        Records the error where people see it; also a TimeoutError.
    within_s:
        How long it may take, in seconds.

    Examples
    --------
    >>> asyncio.run(awaited(lambda: asyncio.sleep(9), print, within_s=0.0))
    <BLANKLINE>
    """
    try:
        async with asyncio.timeout(within_s):
            with ending_nothing():
                return await work()
    except Exception as error:  # noqa: BLE001 - border "plugin load": `failed` records it
        return failed(error)


@contextmanager
def ending_nothing() -> Iterator[None]:
    """Raise a RuntimeError for what other people's code raises to end itself, or the program.

    Outside the main thread SystemExit ends no program, but the thread, and says nothing; in the
    main thread it passes, since a signal may have raised it. A cancel that nobody asked for would
    end a task for which others wait.

    Examples
    --------
    >>> with ending_nothing():
    ...     raise asyncio.CancelledError
    Traceback (most recent call last):
      ...
    RuntimeError: it cancelled itself
    """
    try:
        yield
    except SystemExit as error:
        if threading.current_thread() is threading.main_thread():
            raise
        raise RuntimeError(f"it wanted to end the program: exit({error.code!r})") from error
    except asyncio.CancelledError as error:
        if _is_being_cancelled():
            raise
        raise RuntimeError("it cancelled itself") from error


def _is_being_cancelled() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop here
        return False
    return task is not None and task.cancelling() > 0


def told(error: BaseException) -> str:
    """Return the class and the text of an error, also where the text cannot be had.

    >>> told(ValueError("no such size"))
    'ValueError: no such size'
    """
    name = type(error).__name__
    return asked(
        lambda: f"{name}: {error}", lambda other: f"{name} (no text: {type(other).__name__})"
    )
