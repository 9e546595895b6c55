"""Callbacks on events: one dispatcher thread per engine, in order, at least once.

A callback that raises is written to the event log and stays subscribed; a coroutine function runs
on the engine's loop. No callback ever runs on the engine's own thread, so it may be slow.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.domain.arguments import is_word, shown
from workbench.domain.border import asked, told
from workbench.domain.events import EVENTS, Event, events_of
from workbench.domain.parameters import closest
from workbench.domain.records import ChangeRecord, Identity
from workbench.errors import EngineClosed, InvalidRequest, NotFound, StoreError
from workbench.workspace.identity import Owner
from workbench.workspace.plugins import trace_of

if TYPE_CHECKING:
    from workbench.workspace.engine import Engine

Callback = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True, slots=True, eq=False)  # the same function may be subscribed twice
class _Subscription:
    name: str
    callback: Callback
    after_seq: int


class _Listener:
    """The callbacks of one owner with their place in the feed."""

    def __init__(self, owner: Owner, cursor: str) -> None:
        self.owner = owner
        self.cursor = cursor
        self.subscriptions: list[_Subscription] = []


class Dispatcher:
    """Reads the change feed and calls what was subscribed with ``ws.on``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._listeners: dict[Owner, _Listener] = {}
        self._woken = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._unsubscribe: Callable[[], None] | None = None

    def on(self, owner: Owner, name: str, callback: Callback) -> Callable[[], None]:
        """Subscribe; returns the function that ends the subscription.

        Raises
        ------
        InvalidRequest
            For an unknown event (with a near match) or something that cannot be called.
        """
        if not is_word(name, EVENTS):
            given: object = name
            near = closest(given, EVENTS) if isinstance(given, str) else None
            hint = (
                f" Did you mean {near!r}?" if near else f" There are: {', '.join(sorted(EVENTS))}."
            )
            raise InvalidRequest("name", f"there is no event {shown(name)}.{hint}")
        if not callable(callback):
            raise InvalidRequest("callback", f"must be a function, not {shown(callback)}.")
        with self._lock:
            # What the others have not been told yet happened before this subscription.
            entry = _Subscription(name, callback, self._engine.store.last_seq())
            listener = self._listeners.get(owner)
            if listener is None:
                listener = _Listener(owner, self._engine.store.cursor())
                self._listeners[owner] = listener
            listener.subscriptions.append(entry)
            self._start()

        def unsubscribe() -> None:
            with self._lock:
                if entry in listener.subscriptions:
                    listener.subscriptions.remove(entry)
                if not listener.subscriptions and self._listeners.get(owner) is listener:
                    del self._listeners[owner]

        return unsubscribe

    def is_current(self) -> bool:
        """Tell whether the calling thread is the dispatcher's."""
        return threading.current_thread() is self._thread

    def stop(self) -> None:
        """Deliver nothing more and end the thread."""
        self._stopped = True
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._woken.set()
        if self._thread is not None and not self.is_current():
            self._thread.join(5)

    def _start(self) -> None:
        if self._thread is None and not self._stopped:
            self._unsubscribe = self._engine.subscribe(self._woken.set)
            self._thread = threading.Thread(target=self._run, name="workbench-events", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            self._woken.wait()
            self._woken.clear()
            with self._lock:
                listeners = list(self._listeners.values())
            for listener in listeners:
                try:
                    self._deliver(listener)
                except EngineClosed:
                    return
                except StoreError as error:
                    text = f"Events could not be read: {error}"
                    self._engine.store.log("error", "callback", text, data={"traceback": ""})

    def _deliver(self, listener: _Listener) -> None:
        while not self._stopped:
            identity = listener.owner.identity
            page = self._engine.store.changes(identity, listener.cursor)
            for change in page.items:
                for name, payload in self._events(identity, change):
                    for entry in list(listener.subscriptions):
                        if entry.name == name and change.seq > entry.after_seq:
                            self._call(name, entry.callback, payload)
            listener.cursor = page.cursor
            if not page.has_more:
                return

    def _events(self, identity: Identity, change: ChangeRecord) -> Iterator[Event]:
        yield from events_of(change)
        # A batch goes to the trash, and comes back, as one row; people follow images.
        if change.entity != "batch" or "deleted_at" not in change.data or change.kind != "update":
            return
        with contextlib.suppress(NotFound):  # purged meanwhile: each image tells that itself
            for record in self._engine.store.batch_generations(identity, change.id):
                ids = {"generation_id": record.id, "batch_id": change.id}
                common = {"topic_id": change.topic_id, "owner": change.owner, "at": change.at}
                if change.data["deleted_at"] is not None:
                    yield "image_delete", {**ids, **common}
                elif record.asset_id is not None:
                    yield "image_insert", {**ids, "asset_id": record.asset_id, **common}

    def _call(self, name: str, callback: Callback, payload: dict[str, Any]) -> None:
        title = (
            f"The callback {getattr(callback, '__qualname__', None) or shown(callback)} for {name}"
        )

        def look(future: Future[Any]) -> None:
            if not future.cancelled() and (error := future.exception()) is not None:
                log_failure(self._engine, title, error)

        def call() -> None:
            result = callback(dict(payload))
            # Asked of the result: a callable object or a partial may be one, too.
            if inspect.iscoroutine(result):
                self._engine.loop.submit(result).add_done_callback(look)

        call_back(self._engine, title, call)


def call_back(engine: Engine, title: str, call: Callable[[], object]) -> None:
    """Call what a user gave us; whatever it raises is told in the event log, and goes no further.

    Parameters
    ----------
    engine:
        Whose event log.
    title:
        What is called, at the beginning of a sentence.
    call:
        Calls it.
    """
    asked(call, lambda error: log_failure(engine, title, error))


def log_failure(engine: Engine, title: str, error: BaseException) -> None:
    """Write into the event log what a function of the user's raised."""
    text = f"{title} failed: {told(error)}"
    with contextlib.suppress(EngineClosed):  # there is no log to write to any more
        engine.store.log("error", "callback", text, data={"traceback": trace_of(error)})
