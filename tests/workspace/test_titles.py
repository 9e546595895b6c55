"""Titles of topics by a text model: asked once, behind everything, never over a person's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench as wb
from tests.waiting import until
from tests.workspace.workspace_world import SMALL
from workbench.errors import ConfigurationError
from workbench.providers import text
from workbench.testing.emulators.server import Fault
from workbench.testing.emulators.text import Answer, TextEmulator
from workbench.workspace.workspace import Workspace

SETTINGS = {
    "openai": '[titles]\nmodel = "openai:tiny"\n',
    "gemini": '[titles]\nmodel = "gemini:tiny"\n',
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextEmulator]:
    with TextEmulator() as server:
        assert server.key is not None
        monkeypatch.setenv("OPENAI_API_KEY", server.key)
        monkeypatch.setenv("OPENAI_BASE_URL", server.chat_url)
        monkeypatch.setenv("GEMINI_API_KEY", server.key)
        monkeypatch.setenv("GEMINI_BASE_URL", server.gemini_url)
        yield server


def configured(home: Path, settings: str) -> Path:
    folder = home / "ws"
    folder.mkdir()
    (folder / "config.toml").write_text(settings)
    return folder


def said(ws: Workspace) -> list[str]:
    return [entry.text for entry in ws.debug.entries() if entry.kind == "titles"]


@pytest.mark.req("TOP-3", "PRV-2")
@pytest.mark.parametrize("kind", SETTINGS)
def test_the_first_batch_of_a_topic_is_titled_by_the_text_model(
    workspace_home: Path, server: TextEmulator, kind: str
) -> None:
    server.answers = [Answer('**Title:** "Foxes in the Snow."')]
    with wb.open(configured(workspace_home, SETTINGS[kind])) as ws:
        topic = ws.generate("a red fox, deep snow, soft light", **SMALL).wait(60).topic
        until(lambda: topic.title == "Foxes in the Snow")
        assert topic.record.title_source == "model"
        ws.generate("two more foxes", topic=topic, **SMALL).wait(60)
        topic.title = "My foxes"
    assert len(server.requests) == 1, "one question for a topic"
    assert b"deep snow" in server.requests[0].body


@pytest.mark.req("TOP-3")
def test_a_title_that_a_person_gave_meanwhile_stays(
    workspace_home: Path, server: TextEmulator
) -> None:
    server.answers = [Answer("A Title That Comes Late")]
    server.faults = [Fault(pause_s=0.5)]
    with wb.open(configured(workspace_home, SETTINGS["openai"])) as ws:
        topic = ws.generate("a red fox", **SMALL).topic
        topic.title = "Mine"
        ws.generate("an owl", topic=ws.create_topic("Owls"), **SMALL).wait(60)
        until(lambda: server.requests)
        ws.wait(60)
        assert (topic.title, topic.record.title_source) == ("Mine", "user")
        assert len(server.requests) == 1, "nobody is asked for a topic that has a title"


@pytest.mark.req("TOP-3", "PRV-7")
def test_a_model_that_does_not_answer_leaves_the_title_of_the_prompt_and_is_told(
    workspace_home: Path, server: TextEmulator
) -> None:
    server.faults = [Fault(status=401)]
    with wb.open(configured(workspace_home, SETTINGS["openai"])) as ws:
        batch = ws.generate("a red fox", **SMALL).wait(60)
        until(lambda: said(ws))
        assert batch.topic.title == "a red fox"
        assert server.key is not None
        assert server.key not in str(said(ws))
        assert batch.status == "completed"


@pytest.mark.req("TOP-3", "TOK-2")
def test_without_the_setting_and_for_visitors_nobody_is_asked(
    workspace_home: Path, server: TextEmulator
) -> None:
    folder = configured(workspace_home, SETTINGS["openai"])
    with wb.open(folder, user="visitor-0123") as ws:
        assert ws.generate("a red fox", **SMALL).wait(60).topic.title == "a red fox"
    (folder / "config.toml").unlink()
    with wb.open(folder) as ws:
        assert ws.generate("an owl", **SMALL).wait(60).topic.title == "an owl"
    assert server.requests == []


@pytest.mark.parametrize("name", ["tiny", "acme:tiny", "openai:", "openai: tiny", 3])
def test_a_setting_that_names_no_text_model_is_refused(workspace_home: Path, name: object) -> None:
    given = f'"{name}"' if isinstance(name, str) else name
    with pytest.raises(ConfigurationError, match="titles_model must name a text model"):
        wb.open(configured(workspace_home, f"[titles]\nmodel = {given}\n"))


def test_a_bug_while_a_title_is_asked_for_is_in_the_event_log(
    workspace_home: Path, server: TextEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(model: object, prompt: str) -> str:
        raise LookupError("no such line")

    monkeypatch.setattr(text, "suggest_title", broken)
    with wb.open(configured(workspace_home, SETTINGS["openai"])) as ws:
        topic = ws.generate("an owl", **SMALL).wait(60).topic
        wanted = "Titling a topic failed: LookupError: no such line"
        until(lambda: any(wanted in entry.text for entry in ws.debug.entries()))
        assert topic.title == "an owl"
