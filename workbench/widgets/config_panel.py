"""The panel of settings as a widget of its own."""

from __future__ import annotations

from os import PathLike
from typing import Any, ClassVar

from workbench.widgets import options
from workbench.widgets.base import WorkspaceWidget
from workbench.widgets.voila import in_voila
from workbench.workspace.workspace import Workspace


class ConfigPanel(WorkspaceWidget):
    """The settings of the next request: model, size, count, seed, and what the model offers.

    Parameters
    ----------
    workspace:
        A location, a `Workspace`, or another widget to share with; see `Workbench`.
    simple:
        Without what a model calls advanced. None: in Voilà pages.
    controls:
        Names of the controls to show; None: all.
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
    >>> panel = wb.ConfigPanel(tempfile.mkdtemp(), controls=["model", "n", "steps"])
    >>> panel.config.steps = 12
    >>> panel.config.settings()["params"]["steps"]
    12
    >>> panel.close()
    """

    _scopes: ClassVar[frozenset[str]] = frozenset({"models"})

    def __init__(
        self,
        workspace: Workspace | WorkspaceWidget | str | PathLike[str] | None = None,
        *,
        simple: bool | None = None,
        controls: list[str] | None = None,
        height: int = 0,
        hide_below: int | None = None,
        accent: str = options.BANANA_GOLD,
        layout: Any = None,
        **unknown: Any,
    ) -> None:
        chosen = {
            "simple": in_voila() if simple is None else simple,
            "controls": controls,
            "height": height,
            "hide_below": hide_below,
            "accent": accent,
            "layout": layout,
        }
        super().__init__(workspace, chosen, unknown)
