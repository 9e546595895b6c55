"""The whole workbench: settings, prompt, feed and topics in one widget."""

from __future__ import annotations

from os import PathLike
from typing import Any, ClassVar

from workbench.widgets import options
from workbench.widgets.base import WorkspaceWidget
from workbench.widgets.voila import in_voila
from workbench.workspace.batch import Batch
from workbench.workspace.workspace import Workspace

# Arguments of a request that are no settings.
_OF_THE_REQUEST = ("references", "topic", "priority", "client_key", "force")


class Workbench(WorkspaceWidget):
    """Settings left, prompt and feed in the middle, topics right.

    Parameters
    ----------
    workspace:
        A folder, a URL or a `Workspace`; None: the default workspace, as `workbench.open` finds
        it. One that is opened here is closed by `close`. Or another widget, whose workspace and
        state are shared.
    simple:
        Only the controls for everybody, without those that a model calls advanced. None: in
        Voilà pages.
    controls:
        Names of the controls to show (``["model", "n", "seed"]``); None: all.
    height:
        In px; 0: as high as its content.
    hide_below:
        Where there is less room than this, in px, it is not shown.
    accent:
        Any CSS colour.
    layout:
        As for every ipywidget.

    Raises
    ------
    InvalidRequest
        For a location or an option that cannot be used.
    TypeError
        For an option that it does not have.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> bench = wb.Workbench(tempfile.mkdtemp(), height=600)
    >>> bench.config.n = 2
    >>> batch = bench.generate("a red fox in the snow", width=64, height=64).wait(60)
    >>> bench.topic.title, len(batch)
    ('a red fox in the snow', 2)
    >>> bench.close()
    """

    _scopes: ClassVar[frozenset[str]] = frozenset({"models", "topics", "feed", "balance", "queue"})

    def __init__(
        self,
        workspace: Workspace | WorkspaceWidget | str | PathLike[str] | None = None,
        *,
        simple: bool | None = None,
        controls: list[str] | None = None,
        height: int = 720,
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

    def generate(self, prompt: str | None = None, **changes: Any) -> Batch:
        """Do in Python what the button does: the settings of `config`, in the open topic.

        Parameters
        ----------
        prompt:
            None: the prompt that stands in the box.
        changes:
            Settings that are different this time; also `references`, `topic`, `priority`,
            `client_key` and `force` of `Workspace.generate`.

        Returns
        -------
        Batch
            Queued, as `Workspace.generate` returns it. A topic is made if none is open.
        """
        others = {name: changes.pop(name) for name in _OF_THE_REQUEST if name in changes}
        asked = {"topic": self.topic, **self._desk.config.settings(**changes), **others}
        batch = self.workspace.generate(self.prompt if prompt is None else prompt, **asked)
        if self.topic is None:
            self.topic = batch.topic
        return batch

    def refresh(self) -> None:
        """Let every open page read the feed anew."""
        self._tell_pages("refresh")

    def load_more(self) -> None:
        """Let every open page load the next older page of its feed."""
        self._tell_pages("more")
