"""Who wants to hear of something: all of them do, also when one of them fails."""

from __future__ import annotations

import threading
from collections.abc import Callable

from workbench.domain.border import asked, told

Listener = Callable[[], object]


class Listeners:
    """Functions that are called, one after the other, whenever something happened.

    Parameters
    ----------
    failed:
        Records, where somebody sees it, what a listener raised. It is told of the first of a row
        of equal errors: a listener that is broken fails each time.

    Examples
    --------
    >>> listeners = Listeners(failed=lambda error: print("failed:", error))
    >>> end = listeners.add(lambda: [].pop())
    >>> _ = listeners.add(lambda: print("heard"))
    >>> listeners.tell()
    failed: pop from empty list
    heard
    >>> end()
    >>> listeners.tell()
    heard
    """

    def __init__(self, *, failed: Callable[[Exception], object]) -> None:
        self._failed = failed
        self._lock = threading.Lock()
        self._all: tuple[_One, ...] = ()  # replaced whole, so that `tell` needs no lock

    def __len__(self) -> int:
        return len(self._all)

    def add(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` from now on; returns what ends that (safe to call twice)."""
        one = _One(listener)
        with self._lock:
            self._all = (*self._all, one)

        def end() -> None:
            with self._lock:
                self._all = tuple(other for other in self._all if other is not one)

        return end

    def clear(self) -> None:
        """End it for all."""
        with self._lock:
            self._all = ()

    def tell(self) -> None:
        """Call all of them, in the calling thread."""
        for one in self._all:
            error = asked(one.hear, lambda error: error)
            text = "" if error is None else told(error)
            is_new, one.last_error = text != one.last_error, text
            if error is not None and is_new:
                self._failed(error)


class _One:
    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.last_error = ""

    def hear(self) -> None:
        self.listener()
