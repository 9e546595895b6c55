"""The system's time behind the Clock protocol."""

from __future__ import annotations

import time


class SystemClock:
    """Wall clock for rows, monotonic clock for waiting."""

    def now_ms(self) -> int:
        """UTC milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
