"""What stays of a widget where no kernel runs: a contact sheet in an output of its own.

A saved notebook, an export, nbviewer and GitHub show it; a live view hides it. It is a display of
its own because a widget's output that is updated is drawn anew, and with it the live view.

The root of its HTML has the attribute ``data-wbx-sheet`` with the widget's model id (and the class
``wbx-sheet``, which survives JupyterLab's sanitiser): a page that got its first answer from the
kernel hides the output around it. A style in it, which acts in trusted notebooks only, hides what
JupyterLab writes instead of a live view whose kernel is gone: "Error displaying widget: model not
found". (In others, and in exports, that place shows HTML: nothing, or the note of `fallback`.)
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from workbench.domain.records import GenerationRecord
from workbench.errors import EngineClosed, NotFound, WorkbenchError
from workbench.widgets.desk import Desk
from workbench.widgets.voila import in_voila
from workbench.workspace import display
from workbench.workspace.markup import Html, element
from workbench.workspace.workspace import Workspace

#: Most bytes of its HTML.
MAX_BYTES = 150_000
EVERY_S = 10.0  # at most so often while nobody runs cells
SOON_S = 3.0  # after the cell's end, where a page shows the live view
_PAGE_S = 0.3  # within which a page speaks up; Jupyter's own take 0.1 to 0.2 s
_SHOWN = 24
_PIXELS = 128

# The output of a live view has elements in it, that of the error has text alone.
_NO_ERROR = (
    ".jp-OutputArea-child:has(~.jp-OutputArea-child .wbx-sheet) "
    ".jp-OutputArea-output.jupyter-widgets:not(:has(*)){display:none}"
)

_NOTE = object()  # seen, where only the note is published

_log = logging.getLogger(__name__)


def fallback(title: str) -> Html:
    """Return a note for places where the live view cannot be."""
    said = f"{title} is a live view; run the cell to bring it back."
    return element("div", said, dir="auto", style="font-size:12px;opacity:0.72;padding:2px 0")


class ContactSheet:
    """The sheet of one widget: the pictures of the desk's topic, or a note.

    Parameters
    ----------
    title:
        Name of the widget.
    model_id:
        The widget's.
    pictures:
        Whether the widget shows any.
    workspace, desk:
        What it shows.
    has_pages:
        Tells whether any page is attached: without one nothing is published but at a cell's end.
    """

    def __init__(
        self,
        title: str,
        model_id: str,
        workspace: Workspace,
        desk: Desk,
        *,
        pictures: bool,
        has_pages: Callable[[], bool],
    ) -> None:
        self._title = title
        self._pictures = pictures
        self._id = model_id
        self._workspace = workspace
        self._engine = workspace._engine
        self._desk = desk
        self._has_pages = has_pages
        self._lock = threading.Lock()  # one refresh at a time
        self._shell: Any = None
        self._wanted: object = None  # the request of the cell that displayed the widget
        self._dirty = False
        self._timed = False
        self._seen: object = None  # what the published sheet shows
        self._at = float("-inf")
        self._small: dict[str, bytes | None] = {}
        self._stops: list[Callable[[], None]] = []

    def show(self) -> bool:
        """Put the sheet below the output that is being made, when its cell ends.

        Returns
        -------
        bool
            False where there is no cell: in scripts, terminals and Voilà.
        """
        shell = _kernel_shell()
        if shell is None:
            return False
        self._wanted = _request(shell)
        if not self._stops:
            self._shell = shell
            shell.events.register("post_run_cell", self._cell_ended)
            self._stops = [
                lambda: shell.events.unregister("post_run_cell", self._cell_ended),
                self._engine.subscribe(self._changed),
                self._desk.subscribe(self._desk_changed),
            ]
        return True

    def close(self) -> None:
        """Leave it as it is, and follow no more."""
        while self._stops:
            self._stops.pop()()
        self._shell = None
        self._small = {}

    # -- when -------------------------------------------------------------------------------------

    def _cell_ended(self, *_result: object) -> None:
        # Displayed by a callback, and not by a cell: no cell's end is the place for the sheet.
        new = self._wanted is not None and self._wanted == _request(self._shell)
        self._wanted = None
        if new and self._page_comes():
            # Its pictures come first. The sheet's would take the same thread and the same socket.
            self._publish(self._note(), again=False)
            self._seen = _NOTE
            self._at = time.monotonic() + SOON_S - EVERY_S
            self._desk_changed()
        elif new or (self._dirty and self._seen is not None):
            self._refresh(new=new)

    def _page_comes(self) -> bool:
        """Wait a moment for a page. None comes where a notebook is run by a program."""
        if not self._pictures or self._desk.topic_id is None:
            return False
        end = time.monotonic() + _PAGE_S
        while not self._has_pages():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def _desk_changed(self, *_change: object) -> None:
        try:
            self._engine.loop.loop.call_soon_threadsafe(self._changed)
        except (EngineClosed, RuntimeError):
            return  # closing; what is published stays

    def _changed(self) -> None:
        """Note on the engine's loop that something moved."""
        self._dirty = True
        if self._seen is None or self._timed or not self._stops or not self._has_pages():
            return
        self._timed = True
        wait_s = max(0.0, self._at + EVERY_S - time.monotonic())
        asyncio.get_running_loop().call_later(wait_s, self._due)

    def _due(self) -> None:
        self._timed = False
        if self._stops and self._dirty:
            # Away from the loop: it reads files and may shrink pictures.
            asyncio.get_running_loop().run_in_executor(None, self._refresh)

    # -- what -------------------------------------------------------------------------------------

    def _refresh(self, *, new: bool = False) -> None:
        """Publish the sheet if it shows anything else than before; `new`: in a new output."""
        with self._lock:
            shell = self._shell
            if shell is None:
                return
            self._dirty = False
            self._at = time.monotonic()
            try:
                topic, images, records = self._records()
                shown = [(one.id, one.status, one.asset_id) for one in records]
                seen = (topic and (topic.id, topic.title), images, shown)
                if seen == self._seen and not new:
                    return
                bundle = self._bundle(topic, images, records)
            except (WorkbenchError, OSError) as error:
                # Closed meanwhile, a full disk: the sheet that is there stays.
                _log.debug("The contact sheet was not refreshed: %s", error)
                return
            again = self._seen is not None and not new
            self._seen = seen
            self._publish(bundle, again=again)

    def _publish(self, bundle: dict[str, str], *, again: bool) -> None:
        shell = self._shell
        if shell is not None:
            shell.display_pub.publish(
                data=bundle, transient={"display_id": f"wbx-{self._id}"}, update=again
            )

    def _records(self) -> tuple[Any, int, list[GenerationRecord]]:
        topic_id = self._desk.topic_id if self._pictures else None
        if topic_id is None:
            return None, 0, []
        store, identity = self._engine.store, self._desk.identity
        try:
            topic = store.topic(identity, topic_id)
        except NotFound:
            return None, 0, []
        query = self._workspace._query(limit=_SHOWN, topic=topic_id)
        records, _ = store.generations(identity, query)
        images = store.topic_counts(identity, [topic_id]).get(topic_id, 0)
        return topic, images, list(records)

    def _note(self) -> dict[str, str]:
        return self._rooted(
            {"text/plain": f"{self._title} shows no pictures yet.", "text/html": ""}
        )

    def _bundle(self, topic: Any, images: int, records: list[GenerationRecord]) -> dict[str, str]:
        if topic is None:
            return self._note()
        pictured = [(record, self._picture(record)) for record in records]
        self._small = {record.asset_id: picture for record, picture in pictured if record.asset_id}
        return self._rooted(
            display.topic_bundle(topic, pictured, images=images, max_bytes=MAX_BYTES)
        )

    def _rooted(self, bundle: dict[str, str]) -> dict[str, str]:
        root = {"class": "wbx-sheet", "data-wbx-sheet": self._id}
        style = Html(f"<style>{_NO_ERROR}</style>")
        html = element("div", Html(bundle["text/html"]), fallback(self._title), style, **root)
        return {"text/plain": bundle["text/plain"], "text/html": html}

    def _picture(self, record: GenerationRecord) -> bytes | None:
        if record.asset_id is not None and record.asset_id in self._small:
            return self._small[record.asset_id]
        picture = self._workspace._small_picture(record)
        return None if picture is None else self._engine.media.shrink(picture, _PIXELS)


def _request(shell: Any) -> object:
    """Return the id of the request that the calling context answers."""
    header = getattr(shell.display_pub, "parent_header", None)
    return header.get("msg_id") if isinstance(header, dict) else None


def _kernel_shell() -> Any:
    """Return the kernel's shell; None in scripts, terminals, and Voilà, which saves nothing."""
    if in_voila():
        return None
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell if hasattr(shell, "kernel") else None
