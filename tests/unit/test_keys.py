"""Keys: where they may be kept, and that they are shown nowhere."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import keyring
import pytest

from workbench.errors import ConfigurationError, InvalidRequest
from workbench.providers import keys
from workbench.providers.redaction import Secret

CANARY = "canary-0123456789abcdef"
the_systems_keyring = keys._keyring


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(tmp_path / "providers"))
    monkeypatch.setattr(keys, "_keyring", lambda: None)
    monkeypatch.setattr(keys, "_of_keyring", {})
    return tmp_path / "providers"


class Ring:
    """A keyring in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False
        self.asked = 0

    def set_password(self, service: str, name: str, value: str) -> None:
        if self.locked:
            raise RuntimeError(f"locked, and it repeats {value}")
        self.kept[service, name] = value

    def get_password(self, service: str, name: str) -> str | None:
        self.asked += 1
        if self.locked:
            raise RuntimeError("locked")
        return self.kept.get((service, name))

    def delete_password(self, service: str, name: str) -> None:
        if self.locked:
            raise RuntimeError("locked")
        del self.kept[service, name]


@pytest.fixture
def ring(place: Path, monkeypatch: pytest.MonkeyPatch) -> Ring:
    """The system's keyring for this test."""
    ring = Ring()
    monkeypatch.setattr(keys, "_keyring", lambda: ring)
    return ring


def test_the_environment_comes_first_and_white_space_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys.keep("zoo", "kept-key-1")
    assert keys.find("zoo", ("ZOO_API_KEY",)) == Secret("kept-key-1")
    monkeypatch.setenv("ZOO_API_KEY", f"  {CANARY}\n")
    assert keys.find("zoo", ("ZOO_API_KEY",)) == Secret(CANARY)
    assert keys.place_of("zoo", ("ZOO_API_KEY",)) == "ZOO_API_KEY"
    monkeypatch.setenv("ZOO_API_KEY", " ")
    assert keys.place_of("zoo", ("ZOO_API_KEY",)) == "file"


@pytest.mark.req("PRV-7")
def test_a_key_in_the_file_is_for_its_owner_only(place: Path) -> None:
    assert keys.find("zoo") is None
    assert keys.keep("zoo", f" {CANARY} ") == "file"
    file = place / keys.FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert keys.find("zoo") == Secret(CANARY)
    assert keys.forget("zoo")
    assert not keys.forget("zoo")
    assert CANARY not in file.read_text()
    assert sorted(one.name for one in place.iterdir()) == [keys.FILE, f"{keys.FILE}.lock"]
    assert stat.S_IMODE((place / f"{keys.FILE}.lock").stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="Not on Windows: the test is about modes of files.")
def test_a_file_that_others_may_read_is_refused_with_what_to_do(place: Path) -> None:
    keys.keep("zoo", CANARY)
    (place / keys.FILE).chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        keys.find("zoo")
    assert CANARY not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="Not on Windows: the test makes symbolic links.")
def test_a_link_in_its_place_is_not_followed(place: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(json.dumps({"zoo": {"key": CANARY}}))
    elsewhere.chmod(0o600)
    place.mkdir()
    (place / keys.FILE).symlink_to(elsewhere)
    with pytest.raises(ConfigurationError):
        keys.find("zoo")


@pytest.mark.parametrize("text", ["", "{", "[]", "[[[", "\0"])
def test_a_file_that_is_not_in_order_is_an_error_and_not_no_key(place: Path, text: str) -> None:
    place.mkdir()
    (place / keys.FILE).write_text(text)
    (place / keys.FILE).chmod(0o600)
    with pytest.raises(ConfigurationError, match="not in order"):
        keys.find("zoo")


@pytest.mark.parametrize("key", ["", "  ", "two words", "tab\there", "kéy", "x" * 5_000, "a\x00b"])
def test_what_cannot_be_a_key_is_refused_without_being_repeated(place: Path, key: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        keys.keep("zoo", key)
    assert not key.strip() or key not in str(caught.value)
    assert not place.exists()


@pytest.mark.req("PRV-7")
def test_a_keyring_is_used_where_there_is_one_and_the_file_only_says_so(
    place: Path, ring: Ring
) -> None:
    assert keys.keep("zoo", CANARY) == "keyring"
    assert CANARY not in (place / keys.FILE).read_text()
    keys._of_keyring.clear()
    assert [keys.find("zoo"), keys.find("zoo")] == [Secret(CANARY)] * 2
    assert ring.asked == 1  # it may take a second, and ask its user
    ring.locked = True
    keys._of_keyring.clear()
    with pytest.raises(ConfigurationError, match="Unlock"):
        keys.find("zoo")
    ring.locked = False
    assert keys.forget("zoo") == "removed"
    assert ring.kept == {}
    assert keys.find("zoo") is None


def test_a_keyring_that_takes_nothing_leaves_the_file(
    ring: Ring, caplog: pytest.LogCaptureFixture
) -> None:
    ring.locked = True
    assert keys.keep("zoo", CANARY) == "file"
    assert keys.find("zoo") == Secret(CANARY)
    assert "The keyring does not take the key of zoo (RuntimeError)" in caplog.text
    assert CANARY not in caplog.text


def test_a_keyring_that_deletes_nothing_is_named_so_that_one_can_look(
    ring: Ring, caplog: pytest.LogCaptureFixture
) -> None:
    assert keys.keep("zoo", CANARY) == "keyring"
    ring.locked = True
    assert keys.forget("zoo") == "keyring"
    assert ring.kept
    assert keys.find("zoo") is None
    assert "The keyring does not delete the key of zoo (RuntimeError)" in caplog.text
    assert keys.SERVICE in keys.LEFT
    assert keys.forget("zoo") is None


def test_a_key_that_somebody_deleted_in_the_keyring_is_removed(
    ring: Ring, caplog: pytest.LogCaptureFixture
) -> None:
    assert keys.keep("zoo", CANARY) == "keyring"
    ring.kept.clear()  # by hand: the ring raises KeyError
    assert keys.forget("zoo") == "removed"
    assert caplog.text == ""


ODD_RING = """
import os
from keyring.backend import KeyringBackend

class Odd(KeyringBackend):
    priority = -1  # the library keeps it, and no later test in this process is to get it

    def __init__(self):
        if os.environ.get("PYTHON_KEYRING_BACKEND") == "odd_ring.Odd":
            raise LookupError("no session, and it repeats what it was told")

    def get_password(self, service, name): ...
    def set_password(self, service, name, value): ...
    def delete_password(self, service, name): ...
"""


@pytest.mark.parametrize("named", ["odd_ring.Odd", "odd_ring.Nobody", "no_such_module.Ring"])
def test_a_keyring_that_cannot_begin_leaves_the_file_and_is_told_of(
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "odd_ring.py").write_text(ODD_RING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(keys, "_keyring", the_systems_keyring)
    monkeypatch.setattr(keyring.core, "_keyring_backend", None)  # it chooses anew
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", named)
    assert keys.keep("zoo", CANARY) == "file"
    assert keys.find("zoo") == Secret(CANARY)
    assert "The system's keyring cannot be used (" in caplog.text
    assert "no session" not in caplog.text


@pytest.mark.req("PRV-7")
def test_a_key_in_a_keyring_that_is_gone_is_an_error_and_not_no_key(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as there:
        ring = Ring()
        there.setattr(keys, "_keyring", lambda: ring)
        assert keys.keep("zoo", CANARY) == "keyring"
    keys._of_keyring.clear()  # another process, in a session without a keyring
    with pytest.raises(ConfigurationError, match="Enter the key anew"):
        keys.find("zoo")
    assert keys.forget("zoo") == "keyring"
    assert "look for it under 'image-workbench'" in caplog.text
    assert keys.find("zoo") is None
