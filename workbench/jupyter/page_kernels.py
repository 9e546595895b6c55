"""The kernels of Voilà's pages: they end when nobody looks, and are never more than fit."""

from __future__ import annotations

import time
from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Float, Int


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
        return super().remove_kernel(kernel_id, *arguments, **options)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel that no page has been connected to for long enough."""
        if self._kernel_connections.get(kernel_id):
            self._alone_since.pop(kernel_id, None)
            return
        now = time.monotonic()
        alone_s = now - self._alone_since.setdefault(kernel_id, now)
        kernel = self._kernels[kernel_id]
        busy = getattr(kernel, "execution_state", None) == "busy"  # perhaps it makes its page
        never_came = kernel_id not in self._seen and not busy
        if alone_s >= (self.never_seen_s if never_came else self.cull_idle_timeout):
            await self.shutdown_kernel(kernel_id)  # type: ignore[no-untyped-call]  # likewise
