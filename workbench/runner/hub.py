"""Wakes whoever follows the change feed: own commits, other processes' doorbell, a slow net.

The hub carries no content. A follower that is called reads the feed from its own cursor; being
called once too often costs it one read, being called too late at most `poll_s`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol

from workbench.domain.listeners import Listeners
from workbench.errors import StoreError
from workbench.runner.loop import EngineLoop


class Doorbell(Protocol):
    """A content-free signal between the processes of one workspace."""

    def fileno(self) -> int:
        """Descriptor that becomes readable when another process rang; -1 if there is none."""

    def drain(self) -> object:
        """Take all rings so far; never blocks."""

    def ring_others(self) -> object:
        """Ring the bells of all other processes; never blocks, never raises."""


class Hub:
    """Calls its subscribers, on the engine loop and coalesced, whenever the feed has moved.

    Parameters
    ----------
    loop:
        the engine's loop; it must run while the hub is started.
    data_version:
        returns a number that changes when any connection committed (fast).
    doorbell:
        signal between processes, or None where there is none.
    poll_s:
        seconds between two looks at `data_version`, the net below lost rings.
    """

    def __init__(
        self,
        loop: EngineLoop,
        *,
        data_version: Callable[[], int],
        doorbell: Doorbell | None,
        poll_s: float = 0.5,
    ) -> None:
        self._engine = loop
        self._data_version = data_version
        self._doorbell = doorbell
        self._poll_s = poll_s
        self._subscribers = Listeners(failed=self._follower_failed)
        self._waiters = Listeners(failed=self._follower_failed)  # told at the end alone
        self._lock = threading.Lock()  # guards _pending and _running: notify comes from any thread
        self._pending = False
        self._running = False
        self._reader: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._seen_version = -1

    def start(self) -> None:
        """Begin to listen. May be called on or off the engine loop."""
        self._on_loop(self._begin)

    def stop(self) -> None:
        """Stop listening and leave no reader or timer behind. Safe to call twice."""
        with self._lock:
            if not self._running:
                return
            self._running = False
        self._on_loop(self._end)

    def notify(self) -> None:
        """Say that this process committed: wakes own subscribers, rings the other processes.

        Any thread may call it; calls between two turns of the loop count as one.
        """
        with self._lock:
            if self._pending or not self._running:
                return
            self._pending = True
        try:
            self._engine.loop.call_soon_threadsafe(self._committed)
        except (StoreError, RuntimeError):
            # The loop is going down: nobody is left to be woken, others have their net.
            with self._lock:
                self._pending = False

    def subscribe(
        self, callback: Callable[[], None], *, at_end: bool = False
    ) -> Callable[[], None]:
        """Call `callback` on the engine loop after changes; it must be quick.

        `at_end`: also when the hub stops, so that whoever waits sees that there is nothing to wait
        for any more.

        Returns
        -------
        A function that ends the subscription; safe to call twice, from any thread.
        """
        end = self._subscribers.add(callback)
        if not at_end:
            return end
        end_waiting = self._waiters.add(callback)

        def unsubscribe() -> None:
            end()
            end_waiting()

        return unsubscribe

    def _on_loop(self, work: Callable[[], None]) -> None:
        if self._engine.is_current():
            work()
            return

        async def run() -> None:
            work()

        self._engine.submit(run()).result()

    def _begin(self) -> None:
        with self._lock:
            if self._running:
                return
            self._running = True
        loop = asyncio.get_running_loop()
        if self._doorbell is not None and (descriptor := self._doorbell.fileno()) >= 0:
            self._reader = descriptor
            loop.add_reader(descriptor, self._rung)
        self._seen_version = self._data_version()
        self._timer = loop.call_later(self._poll_s, self._poll)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reader is not None:
            asyncio.get_running_loop().remove_reader(self._reader)
            self._reader = None
        self._waiters.tell()
        self._subscribers.clear()

    def _committed(self) -> None:
        with self._lock:
            self._pending = False
        if self._doorbell is not None:
            self._doorbell.ring_others()  # first: what own followers do takes its time
        self._subscribers.tell()

    def _rung(self) -> None:
        if self._doorbell is not None:
            self._doorbell.drain()
        self._subscribers.tell()

    def _poll(self) -> None:
        if not self._running:
            return
        self._timer = asyncio.get_running_loop().call_later(self._poll_s, self._poll)
        try:
            # Not in a thread: it reads one counter in shared memory, and a thread hop twice a
            # second would cost more than all the rest of an idle engine.
            version = self._data_version()
        except StoreError:
            return  # the store is closing; its own writers report what is wrong
        if version != self._seen_version:
            self._seen_version = version
            self._subscribers.tell()

    def _follower_failed(self, error: Exception) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a follower of the change feed failed", "exception": error}
        )
