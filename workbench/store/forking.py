"""What a forked child does with the locks, sockets and connections it inherited: nothing.

A fork copies descriptors but not threads. Three things were seen to go wrong: a child that lived
on kept the flock of its killed parent; an unlock in the child freed the parent's lock (a fork
shares the open file description); and a child's ``close()`` of an SQLite connection hung or
deleted the write-ahead log under the parent. So the child closes the bare descriptors, never
unlocks, and never touches a SQLite object again, not even when the interpreter ends.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any, Protocol


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


def _after_fork_in_child() -> None:
    inherited = list(_registered.values())
    _registered.clear()
    _kept.append(inherited)
    for thing in inherited:
        thing.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
