"""Work that is asked for often and done as often as needed, never twice at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

_AFTER_A_BUG_S = 1.0


class Pulse:
    """Runs `work` soon after each `beat`; beats that come while it runs count as one more run.

    Lives on the engine loop. `work` returns the seconds during which the next run would be too
    early (0: none).
    """

    def __init__(self, work: Callable[[], Awaitable[float]]) -> None:
        self._work = work
        self._wanted = False
        self._stopped = False
        self._not_before = 0.0
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def beat(self, *, urgent: bool = False) -> None:
        """Ask for a run. An urgent one does not keep the distance to the last."""
        if self._stopped:
            return
        self._wanted = True
        if urgent:
            self._not_before = 0.0
            self._hurry.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def settle(self) -> None:
        """Ask for a run now, and return when it and all that were asked for are done."""
        self.beat(urgent=True)
        while self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Take no more beats and wait for the run in progress."""
        self._stopped = True
        self._wanted = False
        self._hurry.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._wanted:
                while (wait_s := self._not_before - loop.time()) > 0 and not self._stopped:
                    self._hurry.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(wait_s):
                            await self._hurry.wait()
                if self._stopped:
                    return
                self._wanted = False
                self._hurry.clear()
                begun = loop.time()
                gap_s = await self._guarded(loop)
                # An urgent beat that came meanwhile keeps no distance either.
                self._not_before = 0.0 if self._hurry.is_set() else begun + gap_s
        finally:
            self._task = None

    async def _guarded(self, loop: asyncio.AbstractEventLoop) -> float:
        try:
            return await self._work()
        except Exception as error:  # noqa: BLE001 - border "runner task": into the event log, by the loop
            loop.call_exception_handler({"message": "the runner's own work", "exception": error})
            return _AFTER_A_BUG_S
