"""Following what changes in a workspace: pages of the feed, iteration, callbacks, the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from workbench.domain.records import ChangePage, ChangeRecord
from workbench.errors import InvalidRequest
from workbench.workspace.event_log import EventLog
from workbench.workspace.handle import Handle, check_page_limit
from workbench.workspace.waiting import next_wake, wakeups


class Following(Handle):
    """The part of a workspace that tells what changed."""

    def changes(self, since: str | None = None, limit: int = 500) -> ChangePage:
        """Return what changed after a cursor.

        Parameters
        ----------
        since:
            A cursor from an earlier page; None returns no items but the current cursor.
        limit:
            1 to 500.

        Returns
        -------
        ChangePage
            With ``reset`` set when the cursor is too old or from elsewhere: then read everything
            anew and go on from the new cursor.
        """
        page: ChangePage = self._store.changes(self.identity, since, limit=check_page_limit(limit))
        return page

    async def follow(self, since: str | None = None) -> AsyncIterator[ChangeRecord]:
        """Yield every change from now on, or after a cursor, in order and without gaps.

        Raises
        ------
        InvalidRequest
            If the cursor is too old or from elsewhere: read everything anew and follow from
            ``changes().cursor``.
        """
        cursor = self.changes().cursor if since is None else since
        async with wakeups(self._engine) as woken:
            while True:
                page = self.changes(cursor)
                if page.reset:
                    raise InvalidRequest(
                        "since",
                        "the cursor is too old or from another workspace; read everything anew "
                        "and follow from changes().cursor.",
                    )
                for change in page.items:
                    yield change
                cursor = page.cursor
                if not page.has_more:
                    await next_wake(woken)

    def on(self, name: str, callback: Callable[[dict[str, Any]], Any]) -> Callable[[], None]:
        """Call `callback(payload)` for every event of this name; returns the way to stop it.

        Events and payloads are those of `workbench.domain.events`. Callbacks run in order on one
        dispatcher thread (coroutine functions on the engine's loop), at least once for each event;
        one that raises is noted in the event log and stays.
        """
        self._check_open()
        unsubscribe = self._engine.dispatcher.on(self._owner, name, callback)
        self._subscriptions.append(unsubscribe)
        return unsubscribe

    def _unsubscribe_all(self) -> None:
        # The engine may live on for other workspaces of this process: their callbacks stay.
        while self._subscriptions:
            self._subscriptions.pop()()

    @property
    def debug(self) -> EventLog:
        """The event log: failed callbacks, provider attempts, housekeeping, with times."""
        return EventLog(self)
