"""What one person has in front of them in one notebook: settings, unsent prompt, topic, selection.

All widgets of a notebook that show the same workspace share one desk, and so stay in step with one
another and with Python. It is kept in the workspace (CFG-7): a page that is loaded again and a
kernel that is started again find it as it was.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from workbench.domain.arguments import check_flag, check_items, check_whole, shown
from workbench.domain.ids import is_id
from workbench.domain.parameters import (
    MAX_PROMPT_CHARACTERS,
    Model,
    Parameter,
    check_characters,
    unknown_name,
)
from workbench.domain.records import Identity, JsonValue
from workbench.errors import EngineClosed, InvalidRequest, NotFound, WorkbenchError
from workbench.widgets.config import (
    Config,
    Settings,
    as_stored,
    changed,
    first_settings,
    in_force,
    restored,
)
from workbench.widgets.notebook import notebook_key
from workbench.workspace.engine import Engine
from workbench.workspace.identity import Owner, Visitor
from workbench.workspace.workspace import Workspace

PARTS = ("config", "draft", "topic_id", "selection", "panels")
MAX_SELECTION = 500
_SAVE_AFTER_S = 0.4
_FLUSH_S = 5.0

# revision, and the page and its counter if a page made the change
Callback = Callable[[int, str | None, int | None], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _State:
    settings: Settings
    draft: str = ""
    topic_id: str | None = None
    # Nobody chose to have no topic: then the first one that appears is opened.
    any_topic: bool = True
    selection: tuple[str, ...] = ()
    panels: Mapping[str, Any] = field(default_factory=dict)


class Desk:
    """The shared state of one notebook's widgets. Use `Desk.of`; all methods from any thread."""

    def __init__(self, engine: Engine, owner: Owner, key: str) -> None:
        self._engine = engine
        # A handle of its own: it must go on when the one that somebody opened is closed.
        self._workspace = Workspace(engine, owner)
        self.key = key
        self.dropped: tuple[str, ...] = ()
        self.remark = ""
        self._lock = threading.RLock()
        self._callbacks: list[Callback] = []
        self._unfollow: Callable[[], None] | None = None
        self._rev = 0
        self._unsaved = self._timed = False
        self._writing: Future[None] | None = None  # the latest write
        self._nobodys = not owner.known  # of a visitor to come: nothing is read or kept yet
        stored = None if self._nobodys else self._stored()
        self._state = self._first_state() if stored is None else self._restored(stored)
        self._model = self._find_model(self._state.settings.model)
        self.config = Config(self)
        self._mend()

    @classmethod
    def of(cls, workspace: Workspace, key: str | None = None) -> Desk:
        """Return the desk of a notebook (None: the running one) and the workspace's identity.

        Example
        -------
        ``Desk.of(bench.workspace).snapshot()["config"]["model"]``
        """
        workspace._check_open()
        engine = workspace._engine
        key = notebook_key(workspace.path) if key is None else key
        name = (engine.id, workspace._owner, key)
        with _desks_lock:
            desk = _desks.get(name)
            if desk is None:
                desk = _desks[name] = cls(engine, workspace._owner, key)
            return desk

    @classmethod
    def hand_over(cls, visitor: Visitor) -> None:
        """Give all desks that wait for `visitor` to him: he was recognised. Safe to call twice."""
        with _desks_lock:
            desks = [desk for desk in _desks.values() if desk._workspace._owner.visitor is visitor]
        for desk in desks:
            with contextlib.suppress(EngineClosed):  # of a workspace that was closed
                desk._receive()

    @property
    def identity(self) -> Identity:
        """Whose it is."""
        return self._workspace.identity

    # -- reading ----------------------------------------------------------------------------------

    @property
    def rev(self) -> int:
        """Counts the changes since this process opened the desk."""
        return self._rev

    @property
    def draft(self) -> str:
        """The prompt that was not sent yet."""
        return self._state.draft

    @property
    def topic_id(self) -> str | None:
        """The topic that is open, or None."""
        self._mend()
        return self._state.topic_id

    @property
    def selection(self) -> tuple[str, ...]:
        """Ids of the selected generations (some may be gone since)."""
        return self._state.selection

    @property
    def model(self) -> Model | None:
        """The model of the settings, or None where no provider offers one."""
        return self._model

    def values(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the settings in force, defaults included, the seed as a number.

        With `changes` those that would be in force after them; nothing is changed.
        """
        with self._lock:
            settings, model = self._state.settings, self._model
            if changes:
                settings, _ = changed(self._engine.registry, settings, changes)
                model = self._find_model(settings.model)
            return in_force(settings, model)

    def parameters(self) -> Mapping[str, Parameter]:
        """Return the parameters of the model, hidden ones included."""
        return MappingProxyType({}) if self._model is None else self._model.parameters

    def observed(self) -> dict[str, Any]:
        """Return plain values to compare, as they are, read without the store."""
        with self._lock:
            state = self._state
            return {
                "prompt": state.draft,
                "topic": state.topic_id,
                "selection": state.selection,
                "config": in_force(state.settings, self._model),
            }

    def snapshot(self) -> dict[str, Any]:
        """Return what pages are sent (`protocol.DESK`); the seed as decimal text."""
        self._mend()
        with self._lock:
            state = self._state
            config = in_force(state.settings, self._model)
            config["seed"] = None if config["seed"] is None else str(config["seed"])
            return {
                "config": config,
                "draft": state.draft,
                "topic_id": state.topic_id,
                "selection": list(state.selection),
                "panels": dict(state.panels),
                "dropped": list(self.dropped),
                "remark": self.remark,
            }

    # -- changing ---------------------------------------------------------------------------------

    def change(
        self,
        changes: Mapping[str, Any],
        from_client: str | None = None,
        from_n: int | None = None,
    ) -> int:
        """Change parts of it (all or none), tell the subscribers, and return the revision.

        Parameters
        ----------
        changes:
            Of `PARTS`: ``config`` as for `workbench.widgets.config.changed`, ``draft`` text,
            ``topic_id`` ("" or None: none), ``selection`` ids, ``panels`` sizes and flags.
        from_client, from_n:
            The page that made the change and its own counter; they are passed on.

        Raises
        ------
        InvalidRequest, NotFound
            For a value that cannot be; nothing is changed then.
        """
        for name in changes:
            if name not in PARTS:
                raise unknown_name(name, PARTS, "a desk has no")
        with self._lock:
            self._engine.check_open()
            before = self._state
            state, dropped = self._changed(before, changes)
            if state == before and not dropped:
                return self._rev
            if state.settings.model != before.settings.model:
                self._model = self._find_model(state.settings.model)
                self.dropped, self.remark = tuple(dropped), self._remark(dropped)
            self._become(state)
            rev = self._rev
        self._tell(rev, from_client, from_n)
        return rev

    def _changed(self, state: _State, changes: Mapping[str, Any]) -> tuple[_State, list[str]]:
        dropped: list[str] = []
        config = changes.get("config")
        if config is not None:
            if not isinstance(config, Mapping):
                raise InvalidRequest("config", f"must be settings by name, not {shown(config)}.")
            settings, dropped = changed(self._engine.registry, state.settings, config)
            state = replace(state, settings=settings)
        if "draft" in changes:
            state = replace(state, draft=_draft(changes["draft"]))
        if "topic_id" in changes:
            topic_id = self._checked_topic(changes["topic_id"])
            if topic_id != state.topic_id:
                state = replace(state, selection=())
            state = replace(state, topic_id=topic_id, any_topic=False)
        if "selection" in changes:
            state = replace(state, selection=_selection(changes["selection"]))
        if "panels" in changes:
            state = replace(state, panels={**state.panels, **_panels(changes["panels"])})
        return state, dropped

    def _become(self, state: _State) -> None:
        self._state = state
        self._rev += 1
        self._unsaved = True
        self._save_soon()

    def _checked_topic(self, id: object) -> str | None:
        if id is None or id == "":
            return None
        if not isinstance(id, str):
            raise InvalidRequest("topic", f"must be a topic or its id, not {shown(id)}.")
        record = self._engine.store.topic(self.identity, id)
        if record.deleted_at is not None:
            raise InvalidRequest("topic", "it is in the trash; restore it first.")
        return record.id

    def _remark(self, dropped: list[str]) -> str:
        if not dropped or self._model is None:
            return ""
        labels = [self._label(name) for name in dropped]
        named = labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"
        return f"{self._model.title} does not take over: {named}."

    def _label(self, name: str) -> str:
        words = {"n": "image count", "negative_prompt": "negative prompt"}
        return words.get(name, name)

    # -- subscribers ------------------------------------------------------------------------------

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call `callback(rev, from_client, from_n)` after each change; returns the way to stop it.

        It is called on the thread that made the change, the engine's included, and must be quick.
        Several changes at once may come in any order: read `snapshot` and keep the highest rev.
        """
        with self._lock:
            entry = _Entry(callback)
            self._callbacks.append(entry)
            if self._unfollow is None:
                self._unfollow = self._engine.subscribe(self._feed_moved)

        def unsubscribe() -> None:
            with self._lock:
                if entry in self._callbacks:
                    self._callbacks.remove(entry)
                if not self._callbacks and self._unfollow is not None:
                    self._unfollow()
                    self._unfollow = None

        return unsubscribe

    def _tell(self, rev: int, from_client: str | None, from_n: int | None) -> None:
        with self._lock:
            callbacks = list(self._callbacks)
        with contextlib.ExitStack() as all_of_them:  # also when one of them raises
            for callback in reversed(callbacks):
                all_of_them.callback(callback, rev, from_client, from_n)

    # -- topics that come and go ------------------------------------------------------------------

    def _feed_moved(self) -> None:
        try:
            self._mend()
        except EngineClosed:
            return  # the last turn of a loop that is going down

    def _mend(self) -> None:
        """Leave a topic that is gone for its neighbour; take the first one that appears."""
        with self._lock:
            state = self._state
            if self._engine.closed or (state.topic_id is None and not state.any_topic):
                return
            topic_id = self._present_topic(state.topic_id)
            if topic_id == state.topic_id:
                return
            # A topic that vanished leaves its place to the next one that comes, if it was the last.
            self._become(replace(state, topic_id=topic_id, any_topic=True, selection=()))
            rev = self._rev
        self._tell(rev, None, None)

    def _present_topic(self, id: str | None) -> str | None:
        if id is not None:
            try:
                if self._engine.store.topic(self.identity, id).deleted_at is None:
                    return id
                neighbour = self._workspace.topic(id).neighbour()
                return None if neighbour is None else neighbour.id
            except NotFound:  # purged, or not shared any more
                pass
        newest = self._engine.store.topics(self.identity, limit=1)
        return newest[0].id if newest else None

    # -- keeping it -------------------------------------------------------------------------------

    def _receive(self) -> None:
        """Become the desk of the visitor who was recognised.

        What Python set before is for those who come for the first time; others find their own.
        """
        with self._lock:
            if not self._nobodys:
                return
            stored = self._stored()
            if stored is not None:
                self._state = self._restored(stored)
                self._unsaved = False
            elif self._state.any_topic:
                self._state = replace(self._state, topic_id=None)
            self._model = self._find_model(self._state.settings.model)
            self._nobodys = False
            self._rev += 1
            rev = self._rev
            if self._unsaved:
                self._save_soon()
        with contextlib.suppress(RuntimeError):  # the engine has ended
            # There, observers do not hold up the page that is being answered.
            self._engine.loop.loop.call_soon_threadsafe(self._tell, rev, None, None)

    def _stored(self) -> dict[str, JsonValue] | None:
        stored = self._engine.store.preference(self.identity.user, self._preference)
        return stored if isinstance(stored, dict) else None

    def _first_state(self) -> _State:
        default = self._engine.settings.default_model
        return _State(first_settings(self._engine.registry, default))

    def _restored(self, stored: dict[str, JsonValue]) -> _State:
        registry = self._engine.registry
        default = self._engine.settings.default_model
        config = stored.get("config")
        settings, dropped, self.remark = restored(
            registry, default, config if isinstance(config, dict) else {}
        )
        self.dropped = tuple(dropped)
        state = _State(settings, any_topic=stored.get("any_topic") is not False)
        # Written by another version, or by hand: what cannot be read is as if it were not there.
        with contextlib.suppress(InvalidRequest, KeyError):
            state = replace(state, draft=_draft(stored["draft"]))
        with contextlib.suppress(InvalidRequest, KeyError):
            state = replace(state, selection=_selection(stored["selection"]))
        with contextlib.suppress(InvalidRequest, KeyError):
            state = replace(state, panels=_panels(stored["panels"]))
        topic_id = stored.get("topic_id")
        return replace(state, topic_id=str(topic_id) if is_id(topic_id) else None)

    @property
    def _preference(self) -> str:
        return f"desk:{self.key}"

    def _find_model(self, id: str) -> Model | None:
        if not id:
            return None
        return self._engine.registry.model(id)

    def _save_soon(self) -> None:
        if self._timed:
            return
        try:
            loop = self._engine.loop.loop
            loop.call_soon_threadsafe(loop.call_later, _SAVE_AFTER_S, self._save)
        except (EngineClosed, RuntimeError):
            return  # closing: `flush` is what keeps it
        self._timed = True

    def _save(self) -> None:
        self._timed = False
        try:
            self._write()
        except EngineClosed:
            return

    def _write(self) -> Future[None] | None:
        """Begin to write what is not kept yet; returns the latest write, which may be under way."""
        with self._lock:
            if not self._unsaved or self._nobodys:
                return self._writing
            self._unsaved = False
            state = self._state
            value = {
                "config": as_stored(state.settings),
                "draft": state.draft,
                "topic_id": state.topic_id,
                "any_topic": state.any_topic,
                "selection": list(state.selection),
                "panels": dict(state.panels),
            }
            store = self._engine.store
            written = store.set_preference(self.identity.user, self._preference, value)
            self._writing = written
        written.add_done_callback(self._written)
        return written

    def _written(self, future: Future[None]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._unsaved = True  # the next change tries again
            error = "cancelled" if future.cancelled() else future.exception()
            _log.warning("The settings of this notebook could not be kept: %s", error)

    def flush(self) -> None:
        """Write now what is not kept yet, and wait for it (not on the engine's own thread)."""
        try:
            written = self._write()
            if written is not None and not self._engine.loop.is_current():
                written.result(_FLUSH_S)
        except (WorkbenchError, OSError, TimeoutError, CancelledError) as error:
            # A closed engine or a full disk: what is lost is the latest half second of typing.
            _log.debug("The settings of this notebook were not kept: %s", error)


class _Entry:
    """One subscription; the same function may be subscribed twice."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    def __call__(self, rev: int, from_client: str | None, from_n: int | None) -> None:
        self._callback(rev, from_client, from_n)


# -- checks -------------------------------------------------------------------------------------


def _draft(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidRequest("prompt", f"must be text, not {type(value).__name__}.")
    if len(value) > MAX_PROMPT_CHARACTERS:
        raise InvalidRequest(
            "prompt", f"has {len(value):,} characters; the limit is {MAX_PROMPT_CHARACTERS:,}."
        )
    return check_characters("prompt", value)


def _selection(value: object) -> tuple[str, ...]:
    ids = check_items("selection", value, "ids of generations", limit=MAX_SELECTION)
    for id in ids:
        if not is_id(id):
            raise InvalidRequest("selection", f"{shown(id)} is no id of a generation.")
    return tuple(dict.fromkeys(ids))


def _panels(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequest("panels", f"must be sizes and flags by name, not {shown(value)}.")
    checked: dict[str, Any] = {}
    for name, size in value.items():
        if name in ("config_open", "topics_open"):
            checked[name] = check_flag(name, size)
        elif name in ("config_width", "topics_width"):
            whole = round(size) if isinstance(size, float) and abs(size) < 1e6 else size
            checked[name] = check_whole(name, whole, low=0, high=4_000)
        else:
            known = ("config_open", "config_width", "topics_open", "topics_width")
            raise unknown_name(name, known, "there is no panel setting")
    return checked


# -- all desks of this process ------------------------------------------------------------------

_desks: weakref.WeakValueDictionary[tuple[str, Owner, str], Desk] = weakref.WeakValueDictionary()
_desks_lock = threading.RLock()


def _flush_all() -> None:
    for desk in list(_desks.values()):
        desk.flush()


def _forget_in_child() -> None:
    global _desks_lock
    _desks_lock = threading.RLock()  # the parent may have held it
    _desks.clear()


# Registered after the engine's own hook, and so called before it: engines still take writes then.
getattr(threading, "_register_atexit", atexit.register)(_flush_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
