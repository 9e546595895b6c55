"""The list of topics as a widget of its own."""

from __future__ import annotations

from os import PathLike
from typing import Any, ClassVar

from workbench.widgets import options
from workbench.widgets.base import WorkspaceWidget
from workbench.workspace.workspace import Workspace


class TopicsSidebar(WorkspaceWidget):
    """The topics, the latest activity first; a click opens one in all widgets of the notebook.

    Parameters
    ----------
    workspace:
        A location, a `Workspace`, or another widget to share with; see `Workbench`.
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
    ...     sidebar = wb.TopicsSidebar(ws)
    ...     sidebar.topic = ws.create_topic("Foxes")
    ...     sidebar.close()
    """

    _scopes: ClassVar[frozenset[str]] = frozenset({"topics"})

    def __init__(
        self,
        workspace: Workspace | WorkspaceWidget | str | PathLike[str] | None = None,
        *,
        height: int = 0,
        hide_below: int | None = None,
        accent: str = options.BANANA_GOLD,
        layout: Any = None,
        **unknown: Any,
    ) -> None:
        chosen = {
            "height": height,
            "hide_below": hide_below,
            "accent": accent,
            "layout": layout,
        }
        super().__init__(workspace, chosen, unknown)
