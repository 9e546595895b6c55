"""The door of a widget whose visitor is not known yet: his page's `hello` opens it, by a token.

Where it is known from the start who the user is, the door stands open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.widgets.desk import Desk

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

#: What a page may ask for before it said whose it is: none of it reads or changes a row.
FREE = frozenset(("hello", "bundle", "full_esm", "pong", "ack", "probe", "abort", "bye"))

CLOSED = "This page has not said yet whose it is. Reload it."


class Door:
    """The door of one widget.

    Parameters
    ----------
    workspace:
        What the widget shows.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._visitor = workspace._owner.visitor
        self._open = self._visitor is None

    @property
    def owner(self) -> str | None:
        """Whose what happens here is: nobody's as long as no visitor is known."""
        return self._workspace.user if self._workspace._owner.known else None

    @property
    def asks(self) -> bool:
        """Whether it takes a token to come in."""
        return self._visitor is not None

    def lets_in(self, op: str) -> bool:
        """Tell whether an operation may be done now."""
        return self._open or op in FREE

    def admit(self, token: object) -> None:
        """Open it to whoever has the visitor's token; the first one is the visitor. Blocking.

        From then on all workspaces of this process that were opened for the visitor, and their
        desks, are his.

        Raises
        ------
        NotAllowed
            It is no token, or somebody else's.
        StoreError
            His desk could not be read; the door stays as it was.
        """
        if self._visitor is None:
            return
        self._visitor.recognise(token)
        Desk.hand_over(self._visitor)
        self._open = True
