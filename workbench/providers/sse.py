"""Server-sent events, read from pieces of bytes as they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its name ("" if none was given) and its data."""

    name: str
    data: bytes


class EventTooLarge(Exception):
    """An event has more bytes than was allowed."""


class EventReader:
    r"""Cuts a stream of bytes into events (WHATWG HTML, "Server-sent events").

    Parameters
    ----------
    max_bytes:
        The most that one event may hold.

    Examples
    --------
    >>> reader = EventReader(max_bytes=1000)
    >>> list(reader.feed(b"event: a\r\ndata: 1\n")), list(reader.feed(b"data: 2\n\n: hm\n"))
    ([], [ServerEvent(name='a', data=b'1\n2')])
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = bytearray()
        self._looked = 0  # up to here there is no end of a line in `_rest`
        self._data: list[bytes] = []
        self._size = 0
        self._name = ""
        self._first = True

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """Take the next piece and yield every event that ends in it.

        Raises
        ------
        EventTooLarge
            Nothing can be read after that.
        """
        self._rest += piece
        start = 0
        while (end := self._end_of_line(start)) is not None:
            stop, following = end
            line = bytes(self._rest[start:stop])
            start = following
            event = self._line(line)
            if event is not None:
                yield event
        del self._rest[:start]
        self._looked = max(0, self._looked - start)
        if len(self._rest) + self._size > self._max_bytes:
            raise EventTooLarge

    def close(self) -> Iterator[ServerEvent]:
        """Yield what came whole but for its last empty line: some servers leave that out."""
        lines = [bytes(self._rest).removesuffix(b"\r")] if self._rest else []
        self._rest.clear()
        for line in [*lines, b""]:
            event = self._line(line)
            if event is not None:
                yield event

    def _end_of_line(self, start: int) -> tuple[int, int] | None:
        begin = max(start, self._looked)
        feed = self._rest.find(b"\n", begin)
        back = self._rest.find(b"\r", begin, feed if feed >= 0 else len(self._rest))
        if back >= 0:
            if back + 1 == len(self._rest):
                self._looked = back  # perhaps half of "\r\n"
                return None
            self._looked = back + (2 if self._rest[back + 1] == 0x0A else 1)
            return back, self._looked
        if feed < 0:
            self._looked = len(self._rest)
            return None
        self._looked = feed + 1
        return feed, feed + 1

    def _line(self, line: bytes) -> ServerEvent | None:
        if self._first:
            self._first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            event = ServerEvent(self._name, b"\n".join(self._data)) if self._data else None
            self._data, self._size, self._name = [], 0, ""
            return event
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > self._max_bytes:
                raise EventTooLarge
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        return None
