"""Emulated providers, and workspaces that use them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

import workbench as wb
from workbench.runner.settings import RunnerSettings
from workbench.testing.emulators.openai import OpenAIEmulator
from workbench.workspace import engine, plugins
from workbench.workspace.workspace import Workspace

PLUGINS = ("builtin", "openai")
_SLOWLY_S = 180  # what takes 20 s on a busy machine may take five times as long on a slow one


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A limit of time is for what hangs. (Those of diffusers, which import torch, have their own.)

    Several waits of 45 s each may follow one another, and each says itself what did not happen.
    """
    here = Path(__file__).parent
    for item in items:
        inside = here in item.path.parents and here / "diffusers" not in item.path.parents
        if inside and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SLOWLY_S))


@pytest.fixture(autouse=True)
def few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only two of the installed ones: tests add the others themselves, with an emulator each."""
    monkeypatch.setattr(plugins, "entry_points", _few_of)


@functools.cache
def _few_of(group: str) -> list[EntryPoint]:
    # Once in a process: it reads the metadata of every package, which took a tenth of these tests.
    return [one for one in entry_points(group=group) if one.name in PLUGINS]


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails in passing is tried again at once."""
    quick = functools.partial(RunnerSettings, backoff_base_s=0.02, backoff_cap_s=0.1)
    monkeypatch.setattr(engine, "RunnerSettings", quick)


@pytest.fixture
def openai() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator() as server:
        yield server


@pytest.fixture
def ws(workspace_home: Path) -> Iterator[Workspace]:
    with wb.open(workspace_home / "ws", user="ada") as workspace:
        yield workspace
