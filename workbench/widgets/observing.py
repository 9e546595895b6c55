"""`observe` for what lives on the desk: prompt, topic, selection and settings.

A change that Python makes calls observers before the assignment returns, as with any trait. One
that a page makes calls them on a background thread: the page waits for its answer, and a slow
observer must not hold it up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import traitlets
from traitlets.utils.bunch import Bunch

from workbench.widgets.desk import Desk
from workbench.workspace.dispatch import call_back
from workbench.workspace.engine import Engine

NAMES = ("prompt", "topic", "selection", "config")


class OfDesk(traitlets.TraitType[Any, Any]):
    """A trait that is kept on the desk: read and set there, observed on the widget, never synced.

    The widget has a method ``_get_<name>`` and a method ``_set_<name>``.
    """

    def get(self, obj: Any, cls: Any = None) -> Any:  # noqa: ARG002 - the signature of traitlets
        """Return what the desk has."""
        return getattr(obj, f"_get_{self.name}")()

    def set(self, obj: Any, value: Any) -> None:
        """Change the desk, which tells all its widgets."""
        getattr(obj, f"_set_{self.name}")(value)


class Observing:
    """Tells the observers of one widget what changed on its desk.

    Parameters
    ----------
    desk, engine:
        Whose changes.
    is_observed:
        Tells whether anybody asked for changes of these names.
    notify:
        Takes a traitlets change; old and new values are made by `show`.
    show:
        Returns what observers get for a name and the desk's plain value.
    """

    def __init__(
        self,
        desk: Desk,
        engine: Engine,
        *,
        is_observed: Callable[[], bool],
        notify: Callable[[Bunch], None],
        show: Callable[[str, Any], Any],
    ) -> None:
        self._desk = desk
        self._engine = engine
        self._is_observed = is_observed
        self._notify = notify
        self._show = show
        self._lock = threading.Lock()  # guards what follows; never held while observers run
        self._seen = desk.observed()
        self._running = self._again = self._stopped = False
        self._unsubscribe = desk.subscribe(self._changed)

    def stop(self) -> None:
        """Tell nobody anything any more."""
        self._stopped = True
        self._unsubscribe()

    def _changed(self, _rev: int, from_client: str | None, _from_n: int | None) -> None:
        if self._stopped or not self._is_observed():
            self._seen = self._desk.observed()
        elif from_client is None and not self._engine.loop.is_current():
            self._tell()
        else:
            with self._lock:
                self._again = True
                if self._running:
                    return
                self._running = True
            threading.Thread(
                target=self._tell_later, name="workbench-observers", daemon=True
            ).start()

    def _tell_later(self) -> None:
        while True:
            with self._lock:
                if not self._again or self._stopped:
                    self._running = False
                    return
                self._again = False
            call_back(self._engine, "An observer of a widget", self._tell)

    def _tell(self) -> None:
        with self._lock:
            before, self._seen = self._seen, self._desk.observed()
            after = self._seen
        for name in NAMES:
            if before[name] != after[name]:
                change = Bunch(
                    name=name,
                    old=self._show(name, before[name]),
                    new=self._show(name, after[name]),
                    type="change",
                )
                self._notify(change)
