"""What the browser may ask: every message from a page passes here, and nothing else does.

A page is nobody we know (in Voilà it is any visitor, with any message that he can think of). So a
message is looked at in order of what it costs to look: its keys, its operation, how often that may
come, its size and depth, then each argument. What is wrong is refused with a sentence; nothing in
here raises, waits, reads the workspace or keeps the message.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from workbench.domain.arguments import shown
from workbench.domain.ids import is_asset_id, is_id
from workbench.widgets.protocol import (
    MAX_BUFFER_BYTES,
    MAX_DEPTH,
    MAX_MESSAGE_BYTES,
    OPS,
    RATES,
    Op,
    Rate,
)

MAX_VALUES = 5_000  # in one message; looking at more would take milliseconds
MAX_TEXT = 200  # characters, where the operation does not say otherwise
MAX_ENTRIES = 200
MAX_WHOLE = 2**53  # beyond it JavaScript's numbers are not exact
REFUSALS_ANSWERED_S = 1.0  # one answer per so many seconds

_KEYS = frozenset(("op", "rid", "client", "args"))
_CLIENT = re.compile(r"[A-Za-z0-9_-]{8,40}")
_RID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_WITH_BUFFER = "upload.chunk"


@dataclass(frozen=True, slots=True)
class Request:
    """A message that may be acted upon; its arguments have the form that the operation asks for."""

    op: str
    rid: str
    client: str
    args: Mapping[str, Any] = field(repr=False)  # prompts, a visitor's token: not for logs
    buffers: tuple[bytes, ...] = ()

    @property
    def rate(self) -> Rate:
        """The class of requests that it belongs to."""
        return OPS[self.op].rate


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message is not acted upon. `rid` and `client` are known if there is anybody to tell."""

    code: str
    message: str
    rid: str | None = None
    client: str | None = None
    field: str | None = None
    tell: bool = False  # False: another refusal was answered just now

    @property
    def error(self) -> dict[str, Any]:
        """What the page gets to read."""
        return {"code": self.code, "message": self.message, "field": self.field}


class _Refused(Exception):
    """Ends the checks of a message; never leaves this module."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


@dataclass(slots=True)
class _Bucket:
    """Tokens that come back with time; a request takes one."""

    per_second: float
    burst: float
    tokens: float
    at: float

    def take(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.per_second)
        self.at = now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


@dataclass(slots=True)
class Counts:
    """How many messages a gate has let in and refused, by code."""

    passed: int = 0
    refused: dict[str, int] = field(default_factory=dict)


class Gate:
    """The gate of one widget. Any thread may use it.

    Parameters
    ----------
    now:
        Monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        start = now()
        self._buckets = {
            rate: _Bucket(per_second, burst, burst, start)
            for rate, (per_second, burst) in RATES.items()
        }
        self._told_at = float("-inf")
        self.counts = Counts()

    def check(self, content: object, buffers: object = ()) -> Request | Refusal:
        """Return the request that a message is, or why it is none. Never raises."""
        rid = client = None
        try:
            rid, client = _sender(content)
            request = self._checked(content, buffers)
        except _Refused as refused:
            return self._refuse(refused, rid, client)
        with self._lock:
            self.counts.passed += 1
        return request

    def note(self, code: str) -> None:
        """Count a message that was let in here and refused by what comes behind."""
        with self._lock:
            self.counts.refused[code] = self.counts.refused.get(code, 0) + 1

    def _checked(self, content: object, buffers: object) -> Request:
        # Of this very type, as JSON makes it: another one's methods could do anything.
        if type(content) is not dict or content.keys() != _KEYS:
            raise _Refused("bad_message", "A message needs op, rid, client and args, nothing else.")
        rid, client = _sender(content)
        if rid is None or client is None:
            raise _Refused("bad_message", "rid and client must be short names.")
        name = content["op"]
        if not isinstance(name, str) or name not in OPS:
            raise _Refused("bad_message", f"There is no operation {shown(name)}.")
        op = OPS[name]
        self._check_rate(op.rate)
        args = content["args"]
        if not isinstance(args, dict):
            raise _Refused("bad_message", "args must be an object.")
        _check_size(args)
        _check_arguments(op, args)
        return Request(name, rid, client, args, _checked_buffers(name, buffers))

    def _check_rate(self, rate: Rate) -> None:
        with self._lock:
            if self._buckets[rate].take(self._now()):
                return
        raise _Refused("rate_limited", "Too many requests at once; wait a moment.")

    def _refuse(self, refused: _Refused, rid: str | None, client: str | None) -> Refusal:
        with self._lock:
            refusals = self.counts.refused
            refusals[refused.code] = refusals.get(refused.code, 0) + 1
            now = self._now()
            tell = rid is not None and now - self._told_at >= REFUSALS_ANSWERED_S
            if tell:
                self._told_at = now
        return Refusal(refused.code, refused.message, rid, client, refused.field, tell)


def _sender(content: object) -> tuple[str | None, str | None]:
    """Return rid and client of a message, None for what does not look like one."""
    if type(content) is not dict:
        return None, None
    rid, client = content.get("rid"), content.get("client")
    if not isinstance(rid, str) or _RID.fullmatch(rid) is None:
        return None, None
    if not isinstance(client, str) or _CLIENT.fullmatch(client) is None:
        return None, None
    return rid, client


def _check_size(args: dict[Any, Any]) -> None:
    """Refuse what is too large or too deep, or holds no sound value, without recursion."""
    size = values = 0
    level: list[Any] = [args]
    for _depth in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            values += 1
            size += _size(value)
            if isinstance(value, dict):
                values += len(value)
                size += sum(map(_key_size, value)) if values <= MAX_VALUES else 0
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            if values + len(below) > MAX_VALUES or size > MAX_MESSAGE_BYTES:
                raise _Refused("too_large", "The message is too large.")
        if not below:
            return
        level = below
    raise _Refused("bad_message", "The message is nested too deeply.")


def _key_size(key: object) -> int:
    if not isinstance(key, str):
        raise _Refused("bad_message", "Names in a message must be text.")
    return _size(key)


def _size(value: object) -> int:
    """Return about how many bytes of JSON a value takes by itself."""
    if isinstance(value, str):
        if len(value) > MAX_MESSAGE_BYTES:  # before anything that looks at each character
            raise _Refused("too_large", "The message is too large.")
        try:
            return len(value.encode()) + 3
        except UnicodeEncodeError:  # half a surrogate pair cannot be stored
            raise _Refused("bad_message", "A text holds a broken character.") from None
    if value is None or isinstance(value, (bool, dict, list)):
        return 5
    if isinstance(value, int):
        if not -MAX_WHOLE <= value <= MAX_WHOLE:
            raise _Refused("bad_message", "A number has too many digits; send it as text.")
        return 8
    if isinstance(value, float):
        if not isfinite(value):
            raise _Refused("bad_message", "A number must be finite.")
        return 16
    raise _Refused("bad_message", "A message holds text, numbers, flags, lists and objects only.")


def _check_arguments(op: Op, args: Mapping[str, Any]) -> None:
    for name in op.required:
        if args.get(name) is None:
            raise _Refused("invalid_request", "is missing.", name)
    for name, value in args.items():
        kind = op.required.get(name) or op.optional.get(name)
        if kind is None:
            raise _Refused("invalid_request", "is not an argument of this operation.", name[:40])
        if value is not None:
            reason = _CHECKS[kind](value, op.limits.get(name))
            if reason:
                raise _Refused("invalid_request", reason, name)


def _text(value: object, limit: int | None) -> str:
    if not isinstance(value, str):
        return "must be text."
    most = limit or MAX_TEXT
    return "" if len(value) <= most else f"must have at most {most:,} characters."


def _id(value: object, _limit: int | None) -> str:
    return "" if is_id(value) else "must be an id."


def _asset(value: object, _limit: int | None) -> str:
    return "" if is_asset_id(value) else "must be the id of an image."


def _whole(value: object, _limit: int | None) -> str:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return "" if is_whole else "must be a whole number."


def _number(value: object, _limit: int | None) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "" if is_number else "must be a number."


def _flag(value: object, _limit: int | None) -> str:
    return "" if isinstance(value, bool) else "must be true or false."


def _object(value: object, _limit: int | None) -> str:
    return "" if isinstance(value, dict) else "must be an object."


def _texts(value: object, limit: int | None) -> str:
    return _list(value, limit, lambda entry: not _text(entry, None), "short texts")


def _ids(value: object, limit: int | None) -> str:
    return _list(value, limit, is_id, "ids")


def _list(value: object, limit: int | None, fits: Callable[[object], bool], what: str) -> str:
    most = limit or MAX_ENTRIES
    if not isinstance(value, list) or len(value) > most:
        return f"must be a list of at most {most} {what}."
    return "" if all(map(fits, value)) else f"must be a list of {what}."


def _scalar(value: object, limit: int | None) -> str:
    if isinstance(value, str):
        return _text(value, limit)
    return "" if isinstance(value, (bool, int, float)) else "must be text, a number or a flag."


_CHECKS: Mapping[str, Callable[[object, int | None], str]] = {
    "text": _text,
    "id": _id,
    "asset": _asset,
    "whole": _whole,
    "number": _number,
    "flag": _flag,
    "object": _object,
    "texts": _texts,
    "ids": _ids,
    "scalar": _scalar,
}


def _checked_buffers(op: str, buffers: object) -> tuple[bytes, ...]:
    parts = [] if buffers is None else buffers
    if not isinstance(parts, Sequence) or len(parts) != (1 if op == _WITH_BUFFER else 0):
        raise _Refused("bad_message", "Only a piece of an upload carries data, and carries one.")
    if not all(isinstance(part, (bytes, bytearray, memoryview)) for part in parts):
        raise _Refused("bad_message", "What a message carries must be bytes.")
    views = [memoryview(part) for part in parts]
    if any(view.nbytes > MAX_BUFFER_BYTES for view in views):
        raise _Refused("too_large", "A piece of an upload must be 1 MiB or less.")
    return tuple(bytes(view) for view in views)
