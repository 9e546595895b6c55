"""Waiting for a provider so that a stop from outside arrives there, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from enum import Enum, auto
from operator import itemgetter
from typing import Any, TypeVar

T = TypeVar("T")


class Stop(Enum):
    """Why a running job is stopped from outside."""

    CANCELLED = auto()  # nobody wants its pictures any more
    HAND_OVER = auto()  # this process is closing
    LOST = auto()  # it belongs to somebody else now, or has ended


class Stopped(Exception):
    """Raised in a job's task where it waits for its provider."""

    def __init__(self, reason: Stop) -> None:
        super().__init__(reason.name)
        self.reason = reason


class DeadlinePassed(Exception):
    """The job took longer than its provider allows."""


class Stalled(DeadlinePassed):
    """The provider said nothing for too long."""

    def __init__(self, quiet_s: float) -> None:
        super().__init__(f"silent for {quiet_s:g} s")
        self.quiet_s = quiet_s


class Waiting:
    """The waits of one task.

    A task that is cancelled at any await could lose what it just stored or sent. So a stop cancels
    the task only while it is inside `wait_for`; elsewhere it is remembered until the next one.

    Parameters
    ----------
    deadline_s:
        seconds from now after which a timed wait raises DeadlinePassed.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline = asyncio.get_running_loop().time() + deadline_s
        self._reason: Stop | None = None
        self._inside = False
        self._task: asyncio.Task[Any] | None = None

    def stop(self, reason: Stop) -> None:
        """Stop the task at its next wait (at once if it waits now). The first reason counts."""
        if self._reason is None:
            self._reason = reason
            if self._inside and self._task is not None:
                self._task.cancel()

    async def wait_for(
        self, awaitable: Awaitable[T], *, timed: bool = True, quiet_s: float | None = None
    ) -> T:
        """Return what `awaitable` gives; without `timed` the deadline does not count.

        Parameters
        ----------
        awaitable:
            what is waited for.
        timed:
            the deadline of the job counts.
        quiet_s:
            the longest that this one wait may take, in seconds; None: only the deadline counts.

        Raises
        ------
        Stopped
            somebody called `stop`.
        DeadlinePassed
            it took too long; Stalled: this one wait did.
        """
        if self._reason is not None:
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            raise Stopped(self._reason)
        self._task = asyncio.current_task()
        self._inside = True
        ends = [(self._deadline, DeadlinePassed())] if timed else []
        if quiet_s is not None:
            ends.append((asyncio.get_running_loop().time() + quiet_s, Stalled(quiet_s)))
        at, passed = min(ends, key=itemgetter(0), default=(None, DeadlinePassed()))
        timeout = asyncio.timeout_at(at)
        try:
            async with timeout:
                return await awaitable
        except TimeoutError as error:
            if timeout.expired():
                raise passed from error
            raise
        except asyncio.CancelledError:
            if self._reason is None:
                raise  # not ours: the loop is going down
            raise Stopped(self._reason) from None
        finally:
            self._inside = False
            if self._reason is not None and self._task is not None:
                # Also where the provider swallowed the cancellation.
                while self._task.cancelling():
                    self._task.uncancel()
