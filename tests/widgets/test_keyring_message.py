"""The page's message with a key, and a keyring as the library `keyring` knows them.

The backend is one of a person's own, registered like any other; that it is there, where the key is
kept and how it is found again is left to the library and to us.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.compat import properties
from keyring.errors import KeyringLocked, PasswordDeleteError

import workbench as wb
from tests.widgets.page_world import Page, wired
from workbench.jupyter import cli
from workbench.providers import catalogue, keys
from workbench.testing.emulators.openai import OpenAIEmulator
from workbench.workspace import plugins

pytestmark = pytest.mark.req("PRV-7")

KEY = "sk-canary-of-the-keyring-0123456789"
MODEL = "openai:gpt-image-2.5-flare"


class OwnKeyring(KeyringBackend):
    """A keyring in memory, which its owner may lock."""

    @properties.classproperty
    def priority(cls) -> float:  # noqa: N805 - a property of the class
        # The library takes the best of all that it knows, here for every test of this process.
        raise RuntimeError("Only for who sets it.")

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self._open()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._open()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._open()
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("There is no such password.")

    def _open(self) -> None:
        if self.locked:
            raise KeyringLocked("Its owner locked it.")


@pytest.fixture
def ring() -> Iterator[OwnKeyring]:
    before, own = keyring.get_keyring(), OwnKeyring()
    keyring.set_keyring(own)
    yield own
    keyring.set_keyring(before)
    keys._of_keyring.clear()


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two plugins, and a folder of settings of the test's own."""
    few = [one for one in entry_points(group=plugins.GROUP) if one.name in ("builtin", "openai")]
    monkeypatch.setattr(plugins, "entry_points", lambda group: few)
    monkeypatch.setenv(catalogue.FOLDER, str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def server() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator(key=KEY) as running:
        yield running


def place_told(answer: dict) -> str | None:
    (found,) = [one["key_place"] for one in answer["providers"] if one["name"] == "openai"]
    return found


def holding(*folders: Path) -> list[Path]:
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if KEY.encode() in file.read_bytes()]


def test_a_key_from_the_page_lies_in_the_keyring_and_makes_pictures(
    workspace_home: Path, own_folder: Path, ring: OwnKeyring, server: OpenAIEmulator
) -> None:
    with wb.open(workspace_home / "ws", user="ada") as ws, wired(ws) as (_, wire):
        page = Page(wire)
        page.hello()
        page.call("provider.set", name="openai", base_url=server.base_url)
        kept = page.call("provider.key", name="openai", key=f" {KEY}\n")
        assert (place_told(kept), kept["message"]) == ("keyring", "keyring")
        assert ring.kept == {(keys.SERVICE, "openai"): KEY}
        assert json.loads((own_folder / keys.FILE).read_text()) == {"openai": {"in": "keyring"}}
        page.call("provider.test", name="openai")
        keys._of_keyring.clear()  # as another process would begin
        made = ws.generate("a fox", model=MODEL, partial_images=0).wait(30)
        assert made.status == "completed"
        assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
        assert KEY not in json.dumps(wire.sent, default=str)
        gone = page.call("provider.forget", name="openai")
        assert place_told(gone) is None
        assert ring.kept == {}
    assert holding(workspace_home, own_folder) == []


def test_a_locked_keyring_leaves_the_key_to_the_file_and_says_so(
    workspace_home: Path, own_folder: Path, ring: OwnKeyring, caplog: pytest.LogCaptureFixture
) -> None:
    ring.locked = True
    with wb.open(workspace_home / "ws", user="ada") as ws, wired(ws) as (_, wire):
        page = Page(wire)
        page.hello()
        kept = page.call("provider.key", name="openai", key=KEY)
        assert (place_told(kept), kept["message"]) == ("file", "file")
        assert KEY not in json.dumps(wire.sent, default=str)
    assert "does not take the key of openai (KeyringLocked)" in caplog.text
    assert KEY not in caplog.text
    assert holding(workspace_home, own_folder) == [own_folder / keys.FILE]


def test_a_keyring_that_is_locked_later_is_named_when_its_key_is_needed(
    workspace_home: Path, ring: OwnKeyring, server: OpenAIEmulator
) -> None:
    with wb.open(workspace_home / "ws", user="ada") as ws, wired(ws) as (_, wire):
        page = Page(wire)
        page.hello()
        page.call("provider.key", name="openai", key=KEY)
        page.call("provider.set", name="openai", base_url=server.base_url)
        ring.locked = True
        keys._of_keyring.clear()
        refused = page.error("provider.test", name="openai")
        assert "The keyring does not give the key of openai" in refused["message"]
        assert "Unlock it" in refused["message"]
        ring.locked = False
        page.call("provider.test", name="openai")


def test_a_key_that_a_locked_keyring_does_not_delete_is_not_said_to_be_gone(
    workspace_home: Path, own_folder: Path, ring: OwnKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    with wb.open(workspace_home / "ws", user="ada") as ws, wired(ws) as (_, wire):
        page = Page(wire)
        page.hello()
        page.call("provider.key", name="openai", key=KEY)
        ring.locked = True
        gone = page.call("provider.forget", name="openai")
        assert place_told(gone) is None
        assert "the system's keyring did not delete it" in gone["message"]
        assert "image-workbench" in gone["message"]
        assert ring.kept == {(keys.SERVICE, "openai"): KEY}
        (said,) = [one.text for one in ws.debug.entries() if one.level == "warning"]
        assert said == f"openai: {gone['message']}"
        ring.locked = False
        page.call("provider.key", name="openai", key=KEY)
        ring.locked = True
        assert cli.main(["providers", "forget", "openai"]) == 1
        assert f"{gone['message']}\n" in capsys.readouterr().out
        assert KEY not in json.dumps(wire.sent, default=str)
