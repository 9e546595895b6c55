"""Real workspaces: a real database, real files, the real painter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench as wb
from workbench.workspace.workspace import Workspace


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
