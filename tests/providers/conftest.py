"""Emulated providers, and workspaces that use them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

import workbench as wb
from workbench.testing.emulators.openai import OpenAIEmulator
from workbench.workspace import plugins
from workbench.workspace.workspace import Workspace

# Not offered to anybody yet: prices of what the provider bills later are not told in the page.
COMING = [
    EntryPoint("openai", "workbench.providers.openai_images:OpenAIImages", plugins.GROUP),
]


@pytest.fixture(autouse=True)
def providers_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [*entry_points(group=group), *COMING]
    )


@pytest.fixture
def openai() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator() as server:
        yield server


@pytest.fixture
def ws(workspace_home: Path) -> Iterator[Workspace]:
    with wb.open(workspace_home / "ws", user="ada") as workspace:
        yield workspace
