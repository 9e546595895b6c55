"""Tells pages what the desk is like now, at most ten times a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.widgets.desk import Desk

DESK_EVERY_S = 0.1

Snapshot = tuple[int, dict[str, Any]]


class DeskNews:
    """The pushes of one widget about its desk. Belongs to the engine's loop.

    Parameters
    ----------
    desk:
        The desk.
    read:
        Runs a function that reads the desk in a thread (it may have to look at the store).
    push:
        Sends a push to all pages.
    shown:
        Returns of a snapshot of the desk what the pages are to see.
    """

    def __init__(
        self,
        desk: Desk,
        read: Callable[[Callable[[], Snapshot]], Awaitable[Snapshot]],
        push: Callable[[dict[str, Any]], object],
        shown: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        self._desk = desk
        self._read = read
        self._push = push
        self._shown = shown
        self._waiting: tuple[str | None, int | None] | None = None  # who made the change
        self.running = False

    def add(self, from_client: str | None, from_n: int | None) -> None:
        """Note a change; changes that come together go together."""
        if self._waiting is not None and self._waiting[0] != from_client:
            from_client = from_n = None  # of several: no page may take it for its own alone
        self._waiting = (from_client, from_n)

    async def run(self) -> None:
        """Push until nothing is waiting; at once back if that is being done already.

        Raises
        ------
        StoreError
            The workspace cannot be read; the next change tries again.
        """
        if self.running:
            return  # two changes came before the first run began
        self.running = True
        try:
            while self._waiting is not None:
                (from_client, from_n), self._waiting = self._waiting, None
                rev, desk = await self._read(self._now)
                sender = {"from_client": from_client, "from_n": from_n}
                self._push({"push": "desk", "rev": rev, "desk": desk, **sender})
                await asyncio.sleep(DESK_EVERY_S)
        finally:
            self.running = False

    def _now(self) -> Snapshot:
        rev = self._desk.rev  # first: what comes between is told again, not left out
        return rev, self._shown(self._desk.snapshot())
