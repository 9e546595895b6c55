"""Asking a provider again and again until a job has ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from workbench.domain.status import RETRYABLE
from workbench.errors import ProviderError

_FIRST_S, _LONGEST_S = 1.0, 30.0
_MOST_STUMBLES = 5
_LONGEST_PAUSE_S = 600.0


class Pace:
    """When to ask next: after 1 s, doubled each time up to 30 s, with jitter.

    A sign of progress makes the waits short again. What the provider asks to wait is a floor.
    Questions that fail in passing are asked again, five times in a row at most: the job goes on
    without us.

    Parameters
    ----------
    first_s, longest_s:
        Bounds of the first wait and of all, in seconds.
    uniform:
        Draws a number between two others.

    Examples
    --------
    >>> pace = Pace(uniform=lambda low, high: high)
    >>> [pace.next_s(), pace.next_s(), pace.next_s(retry_after_s=7.0)]
    [1.0, 2.0, 7.0]
    """

    def __init__(
        self,
        *,
        first_s: float = _FIRST_S,
        longest_s: float = _LONGEST_S,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._uniform = uniform
        self._next_s = first_s
        self._stumbles = 0

    def next_s(self, retry_after_s: float | None = None) -> float:
        """Return how long to wait now, in seconds; the next wait is twice as long."""
        bound, self._next_s = self._next_s, min(self._longest_s, 2 * self._next_s)
        wait = self._uniform(bound / 2, bound)
        if retry_after_s is not None and retry_after_s > wait:
            return min(retry_after_s, _LONGEST_PAUSE_S)
        return wait

    async def wait(self, retry_after_s: float | None = None) -> None:
        """Wait until the next question."""
        await asyncio.sleep(self.next_s(retry_after_s))

    def moved(self) -> None:
        """Note that the job made progress: ask soon again."""
        self._next_s = self._first_s

    def answered(self) -> None:
        """Note that a question was answered."""
        self._stumbles = 0

    async def stumbled(self, error: ProviderError) -> None:
        """Wait after a question that failed in passing; else, or too often, raise the error.

        Raises
        ------
        ProviderError
            `error` itself.
        """
        self._stumbles += 1
        if error.kind not in RETRYABLE or self._stumbles > _MOST_STUMBLES:
            raise error
        await self.wait(error.retry_after_s)
