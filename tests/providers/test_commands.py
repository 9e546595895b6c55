"""``jupyter workbench providers`` with the plugins that ship, each against an emulator."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import workbench as wb
from workbench.jupyter import cli
from workbench.testing.emulators.openai import OpenAIEmulator
from workbench.testing.emulators.openrouter import OpenRouterEmulator
from workbench.workspace import plugins

KEY = "sk-canary-0123456789"


@pytest.fixture(autouse=True)
def all_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "entry_points", entry_points)


@pytest.fixture
def own(workspace_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = workspace_home / "own"
    folder.mkdir()
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(folder))
    return folder


@pytest.fixture(autouse=True)
def two_are_ready(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """OpenAI, whose models are in a data file, and OpenRouter, which has a list of its own."""
    with OpenAIEmulator(key=KEY) as openai, OpenRouterEmulator(key=KEY) as router:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", openai.base_url)
        monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
        monkeypatch.setenv("OPENROUTER_BASE_URL", router.base_url)
        yield


@pytest.mark.req("PRV-2")
def test_who_has_no_list_is_passed_by_and_says_why_where_it_is_named(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["providers", "refresh"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("OpenRouter: ")
    assert line.endswith(" models as of today.")
    assert cli.main(["providers", "refresh", "openai"]) == 1
    said = capsys.readouterr().out
    assert "The models of OpenAI and their prices are in a data file of this package" in said


@pytest.mark.req("PRV-2")
def test_a_broken_file_of_one_provider_stops_no_other(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "openai_images.json").write_text("{")
    with wb.open() as ws:
        openai = next(one for one in ws.providers() if one.name == "openai")
        assert (openai.state.ready, openai.state.code) == (False, "error")
        assert ws.generate("a fox", width=256, height=256).wait(30).status == "completed"
        assert [one.text for one in ws.debug.entries() if one.level == "error"] == []
    assert cli.main(["providers", "test"]) == 1
    told = capsys.readouterr().out
    assert "openai: openai_images.json is not JSON" in told
    assert "OpenRouter answered" in told
    assert cli.main(["providers", "refresh"]) == 0
    assert capsys.readouterr().out.startswith("OpenRouter: ")
    assert cli.main(["providers", "test", "openai"]) == 1
    assert "openai_images.json is not JSON" in capsys.readouterr().out
