"""The prompt box as a widget of its own."""

from __future__ import annotations

from os import PathLike
from typing import Any, ClassVar

from workbench.widgets import options
from workbench.widgets.base import WorkspaceWidget
from workbench.widgets.voila import in_voila
from workbench.workspace.workspace import Workspace


class PromptBox(WorkspaceWidget):
    """The prompt with its Generate button, the estimate and the reference images.

    Parameters
    ----------
    workspace:
        A location, a `Workspace`, or another widget to share with; see `Workbench`.
    simple:
        Without what a model calls advanced. None: in Voilà pages.
    hide_below:
        Where there is less room than this, in px, it is not shown.
    accent:
        Any CSS colour.
    layout:
        As for every ipywidget.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> box = wb.PromptBox(tempfile.mkdtemp())
    >>> box.prompt = "a lighthouse at dusk"
    >>> box.close()
    """

    _scopes: ClassVar[frozenset[str]] = frozenset({"models", "balance"})

    def __init__(
        self,
        workspace: Workspace | WorkspaceWidget | str | PathLike[str] | None = None,
        *,
        simple: bool | None = None,
        hide_below: int | None = None,
        accent: str = options.BANANA_GOLD,
        layout: Any = None,
        **unknown: Any,
    ) -> None:
        chosen = {
            "simple": in_voila() if simple is None else simple,
            "hide_below": hide_below,
            "accent": accent,
            "layout": layout,
        }
        super().__init__(workspace, chosen, unknown)
