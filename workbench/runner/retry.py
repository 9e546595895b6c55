"""When to try again: full jitter with Retry-After as floor, and a circuit per provider."""

from __future__ import annotations

import random
from collections.abc import Callable

RETRY_AFTER_CAP_S = 600.0
_LARGEST_EXPONENT = 30


def backoff_s(
    tries: int,
    *,
    base_s: float,
    cap_s: float,
    retry_after_s: float | None = None,
    uniform: Callable[[float, float], float] = random.uniform,
) -> float:
    """Return the seconds to wait before the next submission.

    Parameters
    ----------
    tries:
        submissions that have failed before this one (0 for the first failure).
    base_s:
        bound of the first wait in seconds.
    cap_s:
        bound of all waits in seconds.
    retry_after_s:
        what the provider asked for; a floor, capped at ten minutes.
    uniform:
        draws a number between two others.

    >>> backoff_s(3, base_s=1, cap_s=30, uniform=lambda low, high: high)
    8.0
    >>> backoff_s(0, base_s=1, cap_s=30, retry_after_s=3, uniform=lambda low, high: low)
    3.0
    """
    bound = min(cap_s, base_s * 2.0 ** min(tries, _LARGEST_EXPONENT))
    # Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    wait = uniform(0.0, bound)
    if retry_after_s is not None and retry_after_s > 0:  # NaN fails the comparison, as it should
        # Spread what comes after the floor, too, or all jobs would return at the same moment.
        wait = min(retry_after_s, RETRY_AFTER_CAP_S) + uniform(0.0, min(bound, base_s))
    return wait


class Circuit:
    """Stops sending to a provider that fails again and again.

    Closed: jobs flow. After `threshold` transient failures in a row it opens for about `open_s`
    seconds: no job is claimed. Then one probe at a time is let through (half open): its success
    closes the circuit, its failure opens it again.

    Parameters
    ----------
    monotonic:
        the time in seconds.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        threshold: int = 5,
        open_s: float = 30.0,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._monotonic = monotonic
        self._threshold = threshold
        self._open_s = open_s
        self._uniform = uniform
        self._failures = 0
        self._opens_again_at: float | None = None

    def succeeded(self) -> None:
        """Note that the provider made a picture, or refused for a reason of the request."""
        self._failures = 0
        self._opens_again_at = None

    def failed(self) -> bool:
        """Note a transient failure; returns True if this one opened the circuit."""
        self._failures += 1
        if self._failures < self._threshold:
            return False
        was_open = self.wait_s() > 0
        # Jitter, so that the processes of a workspace do not all probe at once.
        self._opens_again_at = self._monotonic() + self._open_s * self._uniform(0.8, 1.2)
        return not was_open

    def wait_s(self) -> float:
        """Seconds until the next probe may be sent (0: now)."""
        if self._opens_again_at is None:
            return 0.0
        return max(0.0, self._opens_again_at - self._monotonic())

    def allowed(self, concurrency: int) -> int:
        """How many jobs may run at once: `concurrency`, 1 while half open, 0 while open."""
        if self._opens_again_at is None:
            return concurrency
        return 0 if self.wait_s() > 0 else 1
