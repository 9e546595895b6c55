"""The kernels of Voilà's pages: they end when nobody looks, and are never more than fit."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Float, Int


class Door:
    """Lets `width` pages be made at a time.

    A kernel takes a second of a core until its page is there: more at a time than there are cores
    would all be late, and what is shown already would stutter. A page that takes long, because its
    notebook does or because its kernel cannot start, keeps nobody waiting for longer than
    `longest_s`.
    """

    def __init__(self, width: int, longest_s: float = 10.0) -> None:
        self._free = asyncio.Semaphore(width)
        self._longest_s = longest_s

    @contextlib.asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Wait for one's turn, and have it for as long as the block runs."""
        await self._free.acquire()
        through = False

        def go_on() -> None:
            nonlocal through
            if not through:
                through = True
                self._free.release()

        timer = asyncio.get_running_loop().call_later(self._longest_s, go_on)
        try:
            yield
        finally:
            timer.cancel()
            go_on()


class PageKernels(AsyncMappingKernelManager):
    """Ends a kernel that no page is connected to, whatever it does.

    Jupyter Server asks how long a kernel has been idle, and one that keeps sending to a page that
    is gone never is. A page that leaves ends its kernel itself; what is left for here are browsers
    that crashed, computers that sleep, and whoever did not wait for the page.
    """

    most_visitors = Int(100, help="Pages at a time; more are told to come back.", config=True)
    never_seen_s = Float(
        60.0, help="Seconds until a kernel ends whose page never connected.", config=True
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]  # it says nothing
        self._seen: set[str] = set()
        self._alone_since: dict[str, float] = {}
        self._ready_since: dict[str, float] = {}  # its page may come: it runs no cell

    @property
    def is_full(self) -> bool:
        """Whether as many pages are open as may be."""
        waiting = sum(len(pool) for pool in getattr(self, "_pools", {}).values())  # Voilà's
        return len(self) - waiting >= self.most_visitors

    def notify_connect(self, kernel_id: str) -> None:
        """Note that a page is there."""
        super().notify_connect(kernel_id)  # type: ignore[no-untyped-call]  # likewise
        self._seen.add(kernel_id)

    def remove_kernel(self, kernel_id: str, *arguments: Any, **options: Any) -> Any:
        """Forget a kernel that ended."""
        self._seen.discard(kernel_id)
        self._alone_since.pop(kernel_id, None)
        self._ready_since.pop(kernel_id, None)
        return super().remove_kernel(kernel_id, *arguments, **options)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel that no page has been connected to for long enough."""
        if kernel_id not in self._kernels:
            return  # it ended while another one was shut down
        if self._kernel_connections.get(kernel_id):
            self._alone_since.pop(kernel_id, None)
            return
        now = time.monotonic()
        alone_s = now - self._alone_since.setdefault(kernel_id, now)
        kernel = self._kernels[kernel_id]
        limit_s: float = self.cull_idle_timeout
        if kernel_id not in self._seen:
            # While it is busy it perhaps makes its page, which takes long on a slow machine.
            limit_s = max(limit_s, self.never_seen_s)
            if getattr(kernel, "execution_state", None) == "busy":
                self._ready_since.pop(kernel_id, None)
            elif now - self._ready_since.setdefault(kernel_id, now) >= self.never_seen_s:
                limit_s = self.never_seen_s
        if alone_s >= limit_s:
            await self.shutdown_kernel(kernel_id)  # type: ignore[no-untyped-call]  # likewise
