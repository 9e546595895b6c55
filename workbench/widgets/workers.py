"""Threads for what pages ask: clicks, looks, pictures and the feed do not wait for one another.

One set per engine, shared by its widgets; threads start with the first work and end with the last
widget.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

# name of the pool -> most threads. Waiting (for the store's writer, the disk) is what they do.
_POOLS = {"act": 4, "read": 3, "pictures": 2, "feed": 2}

_lock = threading.Lock()
_workers: dict[object, Workers] = {}


class Workers:
    """The threads of one engine's widgets. Use `of`, not the constructor."""

    def __init__(self, engine: object) -> None:
        self._engine = engine
        self._users = 0
        self._pools = {
            name: ThreadPoolExecutor(threads, thread_name_prefix=f"workbench-page-{name}")
            for name, threads in _POOLS.items()
        }

    @classmethod
    def of(cls, engine: object) -> Workers:
        """Return the workers of `engine`; counts one more user, see `release`."""
        with _lock:
            workers = _workers.get(engine)
            if workers is None:
                workers = _workers[engine] = cls(engine)
            workers._users += 1
            return workers

    def release(self) -> None:
        """Count one user less; with the last one the threads end (after what they do now)."""
        with _lock:
            self._users -= 1
            if self._users or _workers.get(self._engine) is not self:
                return  # in use, or a forked child's copy: its threads are elsewhere
            del _workers[self._engine]
        for pool in self._pools.values():
            # What was not taken back by its caller (closing a file) is still done.
            pool.shutdown(wait=False)

    def start(self, pool: str, work: Callable[[], object]) -> None:
        """Do `work` in a thread of a pool; nobody waits for it."""
        self._pools[pool].submit(work)

    async def run(self, pool: str, work: Callable[..., T], *arguments: Any) -> T:
        """Return ``work(*arguments)``, run in a thread of a pool.

        A cancelled caller takes it back if it has not begun.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pools[pool], work, *arguments)


def _forget_in_child() -> None:
    global _lock
    _lock = threading.Lock()  # the parent may have held it
    _workers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
