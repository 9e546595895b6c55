"""The feed of a topic as a widget of its own."""

from __future__ import annotations

from os import PathLike
from typing import Any, ClassVar

from workbench.widgets import options
from workbench.widgets.base import WorkspaceWidget
from workbench.widgets.voila import in_voila
from workbench.workspace.workspace import Workspace


class GenerationFeed(WorkspaceWidget):
    """What was asked for in the open topic, newest first, and what becomes of it.

    Parameters
    ----------
    workspace:
        A location, a `Workspace`, or another widget to share with; see `Workbench`.
    simple:
        Without what a model calls advanced. None: in Voilà pages.
    height:
        In px; 0: as high as its content.
    hide_below:
        Where there is less room than this, in px, it is not shown.
    accent:
        Any CSS colour.
    layout:
        As for every ipywidget.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> with wb.open(tempfile.mkdtemp()) as ws:
    ...     batch = ws.generate("a red fox", width=64, height=64).wait(60)
    ...     feed = wb.GenerationFeed(ws, height=500)
    ...     feed.topic = batch.topic
    ...     feed.load_more()
    ...     feed.close()
    """

    _scopes: ClassVar[frozenset[str]] = frozenset({"models", "feed", "queue"})

    def __init__(
        self,
        workspace: Workspace | WorkspaceWidget | str | PathLike[str] | None = None,
        *,
        simple: bool | None = None,
        height: int = 720,
        hide_below: int | None = None,
        accent: str = options.BANANA_GOLD,
        layout: Any = None,
        **unknown: Any,
    ) -> None:
        chosen = {
            "simple": in_voila() if simple is None else simple,
            "height": height,
            "hide_below": hide_below,
            "accent": accent,
            "layout": layout,
        }
        super().__init__(workspace, chosen, unknown)

    def refresh(self) -> None:
        """Let every open page read the feed anew."""
        self._tell_pages("refresh")

    def load_more(self) -> None:
        """Let every open page load the next older page."""
        self._tell_pages("more")
