"""What an operation gets and gives: who asks, and the answer with its binary parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.widgets.operations.desk_order import DeskOrder
from workbench.widgets.operations.handles import PageFiles
from workbench.widgets.rows import Rows

if TYPE_CHECKING:
    from workbench.widgets.desk import Desk
    from workbench.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks: one page of one widget.

    Attributes
    ----------
    workspace:
        The workspace of the widget; everything is seen and done as its identity.
    desk:
        The desk that the widget shows.
    widget:
        Class name of the widget.
    simple:
        Whether the widget offers the few controls only.
    client:
        Name of the page.
    buffers:
        Binary parts of the request (uploads only).
    files:
        The downloads and uploads that the page has open; closed with it.
    desk_order:
        The order of the page's changes of the desk.
    """

    workspace: Workspace
    desk: Desk
    widget: str
    simple: bool
    client: str
    buffers: tuple[bytes, ...] = ()
    files: PageFiles = field(default_factory=PageFiles)
    desk_order: DeskOrder = field(default_factory=DeskOrder)

    def rows(self) -> Rows:
        """Return what makes rows for this page."""
        return Rows(self.workspace, simple=self.simple)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers: JSON data and binary buffers."""

    data: dict[str, Any] = field(default_factory=dict)
    buffers: tuple[bytes, ...] = ()
