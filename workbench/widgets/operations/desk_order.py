"""The order of a page's changes of the desk, where the way to the kernel does not keep it.

A page repeats a change that nobody answered. So one that got lost may arrive after a later one of
the same setting, which the repetition of that one brought first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_Path = tuple[str, ...]
_MODEL = ("config", "model")


class DeskOrder:
    """What each setting's last change was, by the page's own counter.

    Examples
    --------
    >>> order = DeskOrder()
    >>> order.note({"draft": "a red fox", "config": {"n": 2}}, 2)
    >>> order.open({"draft": "a red", "config": {"n": 3, "seed": "7"}}, 1)
    {'config': {'seed': '7'}}
    """

    def __init__(self) -> None:
        self._last: dict[_Path, int] = {}

    def open(self, changes: Mapping[str, Any], n: int) -> dict[str, Any]:
        """Return what of a change no later one has set; what was meant for another model is not.

        Parameters
        ----------
        changes:
            As ``desk.set`` has them.
        n:
            The page's counter of changes.
        """
        found: dict[str, Any] = {}
        for path, value in _settings(changes):
            of_config = path[0] == _MODEL[0]
            if self._is_late(path, n) or (of_config and self._is_late(_MODEL, n)):
                continue
            into = found
            for name in path[:-1]:
                into = into.setdefault(name, {})
            into[path[-1]] = value
        return found

    def note(self, changes: Mapping[str, Any], n: int) -> None:
        """Remember a change that was made."""
        for path, _ in _settings(changes):
            self._last[path] = max(n, self._last.get(path, n))

    def _is_late(self, path: _Path, n: int) -> bool:
        return self._last.get(path, n) > n


def _settings(changes: Mapping[str, Any], above: _Path = ()) -> Iterator[tuple[_Path, Any]]:
    """Yield each setting with its path; the values of a parameter are one, whatever they hold."""
    for name, value in changes.items():
        path = (*above, name)
        deeper = path in {("config",), ("config", "params")} and isinstance(value, Mapping)
        if deeper and value:
            yield from _settings(value, path)
        else:
            yield path, value
