"""The lightbox as a widget of its own."""

from __future__ import annotations

from os import PathLike
from typing import Any, ClassVar

from workbench.domain.arguments import shown
from workbench.errors import InvalidRequest
from workbench.widgets import options
from workbench.widgets.base import WorkspaceWidget
from workbench.workspace.generation import Generation
from workbench.workspace.workspace import Workspace


class Lightbox(WorkspaceWidget):
    """One picture over the whole page, opened from Python; arrows walk its topic.

    Parameters
    ----------
    workspace:
        A location, a `Workspace`, or another widget to share with; see `Workbench`.
    accent:
        Any CSS colour.
    layout:
        As for every ipywidget.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> with wb.open(tempfile.mkdtemp()) as ws:
    ...     batch = ws.generate("a red fox", width=64, height=64).wait(60)
    ...     lightbox = wb.Lightbox(ws)
    ...     lightbox.open(batch.generations[0])
    ...     lightbox.close()
    """

    _scopes: ClassVar[frozenset[str]] = frozenset({"models"})

    def __init__(
        self,
        workspace: Workspace | WorkspaceWidget | str | PathLike[str] | None = None,
        *,
        accent: str = options.BANANA_GOLD,
        layout: Any = None,
        **unknown: Any,
    ) -> None:
        chosen = {
            "accent": accent,
            "layout": layout,
        }
        super().__init__(workspace, chosen, unknown)

    def open(self, generation: Generation | str | None = None) -> None:
        """Show a picture in every page that shows this widget, or in the next one that does.

        Parameters
        ----------
        generation:
            A completed generation or its id.

        Raises
        ------
        InvalidRequest, NotFound
            If it is none, or has no picture (yet).
        """
        if generation is None and self._channel is None:
            super().open()  # ipywidgets calls its own `open` when the widget is made
            return
        if not isinstance(generation, (Generation, str)):
            raise InvalidRequest("generation", f"must be a generation, not {shown(generation)}.")
        id = generation.id if isinstance(generation, Generation) else generation
        handle = self.workspace.generation(id)
        if handle.asset is None:
            raise InvalidRequest("generation", f"it has no picture; it is {handle.status}.")
        assert self._channel is not None
        self._channel.open_lightbox(handle.id)
