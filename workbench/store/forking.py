"""What a forked child does with the locks, sockets and connections it inherited: nothing.

A fork copies descriptors but not threads. Five things were seen to go wrong: a child that lived
on kept the flock of its killed parent; an unlock in the child freed the parent's lock (a fork
shares the open file description); a child's ``close()`` of an SQLite connection hung or deleted
the write-ahead log under the parent; a child forked in the middle of a transaction could never
write to the same store, since SQLite keeps one table of locks for all connections of a process,
and in the child's copy the lock stays taken; and a child forked while another thread imported a
module (the runner imports lazily) waited for that import for ever. So the child closes the bare
descriptors, never unlocks, and never touches a SQLite object again, not even when the interpreter
ends; and a fork waits until no thread is inside SQLite and none imports.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

# A fork does not wait for ever: somebody may hold a read open, or a foreign program the file.
LONGEST_WAIT_S = 5.0


class Inherited(Protocol):
    """Something that must be put out of use in a forked child."""

    def after_fork_in_child(self) -> None:
        """Close plain descriptors and mark the object dead. Must not block or unlock."""


_registered: dict[int, Inherited] = {}
_kept: list[Any] = []

# A list alone does not keep an object for good: the interpreter's end empties modules and runs
# the finalisers of SQLite. One reference too many does.
_add_reference: Callable[[Any], None] | None
try:
    _add_reference = ctypes.pythonapi.Py_IncRef
    _add_reference.argtypes = [ctypes.py_object]
    _add_reference.restype = None
except AttributeError:  # an interpreter without CPython's C API
    _add_reference = None


def register(thing: Inherited) -> None:
    """Have ``thing.after_fork_in_child()`` called in every child forked from now on."""
    _registered[id(thing)] = thing


def forget(thing: Inherited) -> None:
    """Undo `register`; unknown things are ignored."""
    _registered.pop(id(thing), None)


def keep_forever(thing: object) -> None:
    """Make sure that the finaliser of `thing` never runs in this process."""
    _kept.append(thing)
    if _add_reference is not None:
        _add_reference(thing)


def others_import() -> bool:
    """Whether another thread is importing a module.

    Python has no question for that; where its table of locks is called otherwise one day, the
    answer is no.
    """
    locks = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", {})
    here = threading.get_ident()
    owners = (getattr(reference(), "owner", None) for reference in list(locks.values()))
    return any(owner not in (None, here) for owner in owners)


class Gate:
    """The threads that are inside SQLite; a fork waits for them, and they for it.

    Examples
    --------
    >>> with in_sqlite:  # nested as often as needed
    ...     with in_sqlite:
    ...         in_sqlite.inside
    1
    """

    def __init__(self) -> None:
        self.inside = 0
        self._changed = threading.Condition(threading.Lock())
        self._closed = False
        self._here = threading.local()

    def __enter__(self) -> None:
        depth = getattr(self._here, "depth", 0)
        if depth == 0:
            with self._changed:
                while self._closed:
                    self._changed.wait()
                self.inside += 1
        self._here.depth = depth + 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._here.depth -= 1
        if self._here.depth == 0:
            with self._changed:
                self.inside -= 1
                if self._closed:
                    self._changed.notify_all()

    def before_fork(self) -> None:
        """Let nobody in, and wait until the others are out and import nothing."""
        own = min(getattr(self._here, "depth", 0), 1)
        until = time.monotonic() + LONGEST_WAIT_S
        with self._changed:
            while self._closed:  # another thread forks
                self._changed.wait()
            self._closed = True
            while self.inside > own and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
        while others_import() and time.monotonic() < until:
            time.sleep(0.001)

    def after_fork_in_parent(self) -> None:
        """Let everybody in again."""
        with self._changed:
            self._closed = False
            self._changed.notify_all()

    def after_fork_in_child(self) -> None:
        """Start anew: only the thread that forked is there."""
        depth = getattr(self._here, "depth", 0)
        self.__init__()  # type: ignore[misc]  # the locks are copies of the parent's
        self.inside = min(depth, 1)
        self._here.depth = depth


in_sqlite = Gate()


def _after_fork_in_child() -> None:
    in_sqlite.after_fork_in_child()
    inherited = list(_registered.values())
    _registered.clear()
    _kept.append(inherited)
    for thing in inherited:
        thing.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=in_sqlite.before_fork,
        after_in_parent=in_sqlite.after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
