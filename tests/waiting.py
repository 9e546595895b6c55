"""Waiting for what another thread or process does: look, until it is so or the time is over."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from typing import Any


def until(holds: Callable[[], Any], what: str = "that", within_s: float = 45.0) -> Any:
    """Wait until `holds()` is true and return what it gave; `what` is named if it never is."""
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen in {within_s:g} s: {what}")
        time.sleep(0.01)
    return found


def until_collected(reference: weakref.ref[Any], what: str) -> None:
    """Wait until nobody has an object any more; a thread may just be done with it."""

    def is_gone() -> bool:
        gc.collect()
        return reference() is None

    until(is_gone, f"nobody has {what} any more")
