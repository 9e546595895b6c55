"""What all widgets are: one anywidget model, one channel, a shared workspace and a shared desk.

The page gets a handful of traits that say how the widget looks and no data at all; everything
else goes through the channel. Nothing that a page sends sets a trait.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Mapping
from os import PathLike
from typing import Any, ClassVar

import anywidget
import traitlets
from ipywidgets import DOMWidget, Layout

from workbench.domain.arguments import check_items, shown
from workbench.errors import EngineClosed, InvalidRequest, NotFound
from workbench.widgets import bundle, options, voila
from workbench.widgets.channel import Channel
from workbench.widgets.config import Config
from workbench.widgets.contact_sheet import ContactSheet, fallback
from workbench.widgets.desk import MAX_SELECTION, Desk
from workbench.widgets.observing import NAMES, Observing, OfDesk
from workbench.workspace.generation import Generation
from workbench.workspace.markup import element
from workbench.workspace.topic import Topic
from workbench.workspace.workspace import Workspace, open_workspace

VIEW_MIME = "application/vnd.jupyter.widget-view+json"
_MOST_EARLY = 20  # messages before the channel is there
_STATES_PER_S = 5  # answers to request_state; one may carry the whole bundle

_bundle_lock = threading.Lock()
_bundle_given = False


class WorkspaceWidget(anywidget.AnyWidget):
    """What `Workbench` and the smaller widgets have in common.

    `prompt`, `topic`, `selection` and `config` are shared by all widgets of a notebook that show
    the same workspace, and are kept with it. They can be set and observed like traits; what
    a page changes calls observers on a background thread.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> with wb.open(tempfile.mkdtemp()) as ws:
    ...     feed = wb.GenerationFeed(ws)
    ...     feed.topic = ws.create_topic("Foxes")
    ...     box = wb.PromptBox(feed)
    ...     box.observe(lambda change: print("now:", change["new"]), "prompt")
    ...     feed.prompt = "a red fox"
    ...     print(box.topic.title)
    ...     box.close()
    ...     feed.close()
    now: a red fox
    Foxes
    """

    #: Parts of the workspace that the page is sent at once; see `operations.snapshot`.
    _scopes: ClassVar[frozenset[str]] = frozenset()

    _esm = traitlets.Unicode(help="The root part of the bundle, or its loader.").tag(sync=True)
    _widget = traitlets.Unicode(help="Which widget the page draws.").tag(sync=True)
    _hash = traitlets.Unicode(help="Hash of the bundle.").tag(sync=True)
    height = options.Option(options.check_pixels, 0, "In px; 0: as high as its content.")
    hide_below = options.Option(
        options.check_optional_pixels, None, "Where less room is, in px, it is not shown."
    )
    simple = options.Option(options.check_simple, False, "Only the controls for everybody.")
    controls = options.Option(options.check_controls, None, "Names of the controls; None: all.")
    accent = options.Option(options.check_accent, options.BANANA_GOLD, "Any CSS colour.")

    _desk: Desk

    prompt = OfDesk("", help="The prompt that was not sent yet.")
    topic = OfDesk(None, help="The topic that is open, or None.")
    selection = OfDesk([], help="The selected generations.")
    config = OfDesk(None, help="The settings of the next request.")

    def __init__(
        self,
        workspace: Workspace | WorkspaceWidget | str | PathLike[str] | None = None,
        chosen: Mapping[str, Any] | None = None,
        unknown: Mapping[str, Any] | None = None,
    ) -> None:
        self._lease: _Lease | None = None  # first: `close` and `__del__` look at it
        given = {} if chosen is None else dict(chosen)
        if unknown:
            raise options.unknown_option(type(self).__name__, next(iter(unknown)), given)
        self._states: deque[float] = deque(maxlen=_STATES_PER_S)
        self._channel: Channel | None = None
        self._early: deque[tuple[Any, Any]] = deque(maxlen=_MOST_EARLY)
        with voila.failures_told(), contextlib.ExitStack() as undo:
            lease = _lease_of(workspace)
            undo.callback(lease.release)
            self._shown = lease.workspace
            shared = workspace._desk if isinstance(workspace, WorkspaceWidget) else None
            self._desk = Desk.of(lease.workspace) if shared is None else shared
            traits = {name: value for name, value in given.items() if value is not None}
            self._own_layout = not isinstance(traits.get("layout"), Layout)
            undo.callback(self._close_model)
            voila.refuse_stock_widgets()
            super().__init__(
                _esm=_next_esm(), _widget=type(self).__name__, _hash=bundle.hash(), **traits
            )
            self._channel = Channel(
                send=self.send,
                workspace=lease.workspace,
                desk=self._desk,
                widget=self._widget,
                scopes=self._scopes,
                simple=self.simple,
                comm=self.comm,
                on_full_esm=self._give_full_esm,
            )
            undo.callback(self._channel.close)
            while self._early:
                self._channel.receive(*self._early.popleft())
            self._sheet = ContactSheet(
                self._widget,
                self.model_id,
                lease.workspace,
                self._desk,
                pictures="feed" in self._scopes,
                has_pages=self._has_pages,
            )
            self._observing = Observing(
                self._desk,
                lease.workspace._engine,
                is_observed=self._is_observed,
                notify=self._notify_observers_of,
                show=self._as_seen,
            )
            self.comm.on_close(self._closed_by_page)
            # Whoever closes the workspace first: the latest half second of typing is kept.
            self._shown._subscriptions.append(self._desk.flush)
            undo.pop_all()
        self._lease = lease

    # -- life -------------------------------------------------------------------------------------

    def close(self) -> None:
        """Take it off every page, and close the workspace if it was opened for it. Safe twice.

        What it showed stays in the workspace; other widgets on the same workspace go on.
        """
        lease = self.__dict__.get("_lease")
        if lease is None:  # closed, or it never came to be
            return
        self._lease = None
        with contextlib.ExitStack() as ending:  # all of it, whatever a part raises
            ending.callback(lease.release)
            ending.callback(self._desk.flush)
            ending.callback(self._forget_flush)
            ending.callback(self._close_model)
            if self._channel is not None:
                ending.callback(self._channel.close)
            ending.callback(self._sheet.close)
            ending.callback(self._observing.stop)

    def __del__(self) -> None:
        # A widget that lives is held by ipywidgets: this one was closed, or never came to be.
        self.close()

    def _close_model(self) -> None:
        if self.comm is not None and self._own_layout:
            self.layout.close()
        DOMWidget.close(self)

    def _forget_flush(self) -> None:
        with contextlib.suppress(ValueError):  # it was closed with its list
            self._shown._subscriptions.remove(self._desk.flush)

    def _closed_by_page(self, _message: object) -> None:
        # On a thread of its own: closing a workspace may take seconds.
        threading.Thread(target=self.close, name="workbench-widget-closing", daemon=True).start()

    def __repr__(self) -> str:
        name = type(self).__name__
        if self._lease is None:
            return f"<{name} closed>"
        return f"<{name} of {self._shown.path.name!r}>"

    # -- what it shows ----------------------------------------------------------------------------

    @property
    def workspace(self) -> Workspace:
        """The workspace that it shows."""
        if self._lease is None:
            raise EngineClosed("This widget was closed; make a new one.")
        return self._shown

    def _get_prompt(self) -> str:
        return self._desk.draft

    def _set_prompt(self, value: Any) -> None:
        self._desk.change({"draft": value})

    def _get_topic(self) -> Topic | None:
        return self._as_seen("topic", self._desk.topic_id)  # type: ignore[no-any-return]

    def _set_topic(self, value: Any) -> None:
        self._desk.change({"topic_id": value.id if isinstance(value, Topic) else value})

    def _get_selection(self) -> list[Generation]:
        return self._as_seen("selection", self._desk.selection)  # type: ignore[no-any-return]

    def _set_selection(self, value: Any) -> None:
        items = check_items("selection", value, "generations", limit=MAX_SELECTION)
        ids = [item.id if isinstance(item, Generation) else item for item in items]
        for id in ids:
            if not isinstance(id, str):
                raise InvalidRequest("selection", f"{shown(id)} is no generation.")
            self.workspace.generation(id)
        self._desk.change({"selection": ids})

    def _get_config(self) -> Config:
        return self._desk.config

    def _set_config(self, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise InvalidRequest("config", "assign one of its fields, or a dict of settings.")
        self._desk.config.update(**value)

    def _as_seen(self, name: str, value: Any) -> Any:
        """Return what people get for a plain value of the desk."""
        if name == "topic":
            return None if value is None else Topic(self._shown, value)
        if name == "selection":
            return [Generation(self._shown, id) for id in value if self._is_there(id)]
        return value

    def _is_there(self, id: str) -> bool:
        try:
            return self._shown.generation(id).record.deleted_at is None
        except NotFound:
            return False

    def _is_observed(self) -> bool:
        known = self._trait_notifiers
        return any("change" in known.get(name, {}) for name in (*NAMES, traitlets.All))

    def _notify_observers_of(self, change: Any) -> None:
        change.owner = self
        self.notify_change(change)

    # -- messages ---------------------------------------------------------------------------------

    def set_state(self, sync_data: Any) -> None:
        """Set nothing: no trait is a page's to set, and a forged one is not echoed either."""

    def _handle_msg(self, msg: Any) -> None:
        """Take a message of the page; whatever is in it, this neither blocks nor raises."""
        content = msg.get("content")
        data = content.get("data") if isinstance(content, dict) else None
        if not isinstance(data, dict):
            return
        method = data.get("method")
        if method == "custom":
            message = data.get("content"), msg.get("buffers") or []
            if self._channel is None:  # a page is quicker than `__init__`
                self._early.append(message)
            else:
                self._channel.receive(*message)
        elif method == "request_state" and self._may_send_state():
            self.send_state()

    def _may_send_state(self) -> bool:
        now = time.monotonic()
        if len(self._states) == _STATES_PER_S and now - self._states[0] < 1:
            return False
        self._states.append(now)
        return True

    def _give_full_esm(self) -> None:
        """Replace the loader by the whole bundle, for a page that cannot load it otherwise."""
        self._esm = bundle.whole()

    def _tell_pages(self, action: str) -> None:
        if self._lease is None or self._channel is None:
            raise EngineClosed("This widget was closed; make a new one.")
        self._channel.tell_feed(action)

    def _has_pages(self) -> bool:
        return self._channel is not None and self._channel.pages > 0

    @traitlets.observe("simple")
    def _simple_changed(self, change: Any) -> None:
        if self._channel is not None:
            self._channel.simple = change["new"]

    # -- display ----------------------------------------------------------------------------------

    def _repr_mimebundle_(self, **_options: Any) -> Any:
        """Return the live view, and beside it what is shown where no kernel runs."""
        text = repr(self)
        if self._lease is None or self.comm is None:
            return {"text/plain": text}
        # Where no kernel runs: the sheet, or, where none can be, a note in this very place.
        note = element("div") if self._sheet.show() else fallback(self._widget)
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"text/plain": text, "text/html": note, VIEW_MIME: view}


class _Lease:
    """A workspace that several widgets show; one that was opened for them is closed by the last."""

    def __init__(self, workspace: Workspace, *, owned: bool) -> None:
        self.workspace = workspace
        self._owned = owned
        self._users = 1
        self._lock = threading.Lock()

    def share(self) -> _Lease:
        """Count one more widget."""
        with self._lock:
            self._users += 1
        return self

    def release(self) -> None:
        """Count one less."""
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last and self._owned:
            self.workspace.close()


def _lease_of(source: Workspace | WorkspaceWidget | str | PathLike[str] | None) -> _Lease:
    if isinstance(source, WorkspaceWidget):
        lease = source._lease
        if lease is None:
            raise EngineClosed("The widget that was given is closed; make a new one.")
        lease.workspace._check_open()
        return lease.share()
    if isinstance(source, Workspace):
        source._check_open()
        return _Lease(source, owned=False)
    return _Lease(open_workspace(source), owned=True)


def _next_esm() -> str:
    """Return the root part for the first widget of this process, then the loader."""
    global _bundle_given
    with _bundle_lock:
        first, _bundle_given = not _bundle_given, True
    return bundle.esm() if first else bundle.loader()
