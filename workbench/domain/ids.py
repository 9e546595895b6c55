"""Identifiers that sort by time (ULID: 48 bits of milliseconds, 80 random bits, 26 characters).

Source of the format: https://github.com/ulid/spec. Within one process ids never go backwards, even
if the clock does: a later call always sorts after an earlier one.
"""

from __future__ import annotations

import os
import re
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Return a new id: 26 lower-case characters that sort by time of creation.

    >>> a, b = new_id(), new_id()
    >>> len(a), a < b
    (26, True)
    """
    global _last
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    with _lock:
        if value <= _last:
            # Same millisecond or a clock that stepped back: stay ahead of the previous id.
            value = _last + 1 + int.from_bytes(os.urandom(4), "big")
        _last = value
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def _replace_lock_in_child() -> None:
    global _lock
    _lock = threading.Lock()  # the parent may have held it at the moment of the fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_lock_in_child)


def is_id(text: object) -> bool:
    """Tell whether `text` has the form of an id made by `new_id`."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def is_asset_id(text: object) -> bool:
    """Tell whether `text` has the form of an asset id (SHA-256 as 64 lower-case hex digits)."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None
