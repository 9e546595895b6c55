"""Real workspaces and desks, and pages without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench as wb
from tests.widgets.pages import Page
from workbench.widgets import channel as channel_module
from workbench.widgets import desk as desk_module
from workbench.workspace.workspace import Workspace


@pytest.fixture(autouse=True)
def patient_ends() -> Iterator[None]:
    """Closing waits for the engine's thread however long the machine pauses.

    It gives up after seconds otherwise, and what is to be told at the end comes when the test has
    looked already.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel_module, "_END_S", 45.0)
        patch.setattr(desk_module, "_FLUSH_S", 45.0)
        yield


@pytest.fixture
def ws(workspace_home: Path) -> Iterator[Workspace]:
    """An open workspace that runs its jobs."""
    with wb.open(workspace_home / "ws", user="ada") as workspace:
        yield workspace


@pytest.fixture
def idle_ws(workspace_home: Path) -> Iterator[Workspace]:
    """A workspace without a runner: what is submitted stays queued."""
    with wb.open(workspace_home / "ws", user="ada", run_jobs=False) as workspace:
        yield workspace


@pytest.fixture
def bob(workspace_home: Path) -> Iterator[Workspace]:
    """The same workspace, seen by another user; it runs no jobs."""
    with wb.open(workspace_home / "ws", user="bob", run_jobs=False) as workspace:
        yield workspace


@pytest.fixture
def page(ws: Workspace) -> Iterator[Page]:
    """A page of a workspace that runs its jobs."""
    page = Page(ws)
    yield page
    page.files.close()


@pytest.fixture
def idle(idle_ws: Workspace) -> Iterator[Page]:
    """A page of a workspace without a runner."""
    page = Page(idle_ws)
    yield page
    page.files.close()
