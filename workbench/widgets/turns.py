"""Shorter turns for threads while a page is looked at.

CPython lets a thread that computes go on for 5 ms before another one gets its turn. A click passes
through several threads, so a cell that computes holds each answer up by several turns (a click on
Generate: 225 ms, with turns of 1 ms 79 ms, measured). What the cell itself loses by them is lost in
the noise of a measurement.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

TURN_S = 0.001

_lock = threading.Lock()
_users = 0
_before = 0.0


def shorten() -> Callable[[], None]:
    """Shorten the turns of this process; returns how to put it back (the last one does).

    An interval that is shorter already, or that somebody sets meanwhile, is left as it is.
    """
    global _users, _before
    with _lock:
        _users += 1
        if _users == 1:
            _before = sys.getswitchinterval()
            sys.setswitchinterval(min(TURN_S, _before))
    return _put_back


def _put_back() -> None:
    global _users
    with _lock:
        _users -= 1
        # Read back, it is rounded to microseconds.
        if not _users and abs(sys.getswitchinterval() - min(TURN_S, _before)) < 1e-5:
            sys.setswitchinterval(_before)
