"""The balance as a widget of its own."""

from __future__ import annotations

from os import PathLike
from typing import Any, ClassVar

from workbench.widgets import options
from workbench.widgets.base import WorkspaceWidget
from workbench.workspace.workspace import Workspace


class TokenBalance(WorkspaceWidget):
    """The chip with the balance; it follows every booking.

    Parameters
    ----------
    workspace:
        A location, a `Workspace`, or another widget to share with; see `Workbench`.
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
    ...     chip = wb.TokenBalance(ws)
    ...     chip.workspace.balance == ws.balance
    ...     chip.close()
    True
    """

    _scopes: ClassVar[frozenset[str]] = frozenset({"balance"})

    def __init__(
        self,
        workspace: Workspace | WorkspaceWidget | str | PathLike[str] | None = None,
        *,
        hide_below: int | None = None,
        accent: str = options.BANANA_GOLD,
        layout: Any = None,
        **unknown: Any,
    ) -> None:
        chosen = {
            "hide_below": hide_below,
            "accent": accent,
            "layout": layout,
        }
        super().__init__(workspace, chosen, unknown)
