"""Threads for blocking and CPU work, so that the loop never waits for either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from workbench.ports import Executor

T = TypeVar("T")

_END = object()


class LocalExecutor:
    """A pool of threads of this process (see `workbench.ports.Executor`).

    Parameters
    ----------
    threads:
        most pieces of work at once.
    name:
        prefix of the threads' names.

    >>> import asyncio
    >>> executor = LocalExecutor(threads=1)
    >>> asyncio.run(executor.run(sum, [1, 2]))
    3
    >>> executor.close()
    """

    def __init__(self, threads: int = 2, *, name: str = "workbench-work") -> None:
        # Threads start with the first work, not here.
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Return ``work(*arguments)``, run in a thread. A cancelled caller does not stop it."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def close(self, *, wait: bool = True) -> None:
        """Drop what has not begun and wait for what has.

        With `wait` off it returns at once (for callers on the loop); the threads then end by
        themselves.
        """
        self._pool.shutdown(wait=wait, cancel_futures=True)


async def thread_iter(executor: Executor, items: Iterable[T]) -> AsyncIterator[T]:
    """Yield from a blocking iterable: each of its steps runs in a thread of `executor`.

    The iterator is closed (in a thread, too) when the caller stops early.
    """
    iterator = await executor.run(iter, items)
    try:
        while (item := await executor.run(next, iterator, _END)) is not _END:
            yield cast("T", item)
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            await executor.run(close)
