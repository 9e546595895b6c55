"""A key that is typed into a page lands in the system's keyring, where there is one.

The keyring is a backend of the `keyring` library, named to it in the library's own way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.kernel_world import Comm, Kernel, opened, settled
from workbench.testing.emulators.openai import OpenAIEmulator

pytestmark = [pytest.mark.timeout(240)]

CANARY = "sk-canary-9f8e7d6c5b4a392817"
BACKEND = '''
import json
from pathlib import Path
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

class Vault(KeyringBackend):
    """Keeps what it is given in a file of its own, beside the workspace."""

    priority = 1
    place = Path(__file__).with_name("vault.json")

    def _kept(self):
        return json.loads(self.place.read_text()) if self.place.exists() else {}

    def set_password(self, service, username, password):
        self.place.write_text(json.dumps({**self._kept(), f"{service}/{username}": password}))

    def get_password(self, service, username):
        return self._kept().get(f"{service}/{username}")

    def delete_password(self, service, username):
        kept = self._kept()
        if kept.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("There is none.")
        self.place.write_text(json.dumps(kept))
'''


@pytest.fixture
def openai() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator(CANARY) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vault_of_a_test.py").write_text(BACKEND)
    return tmp_path


@pytest.fixture
def kernel(folder: Path, openai: OpenAIEmulator) -> Iterator[Kernel]:
    environment = {
        "PYTHON_KEYRING_BACKEND": "vault_of_a_test.Vault",
        "PYTHONPATH": str(folder),
        "WORKBENCH_PROVIDERS": str(folder / "own"),
        "OPENAI_BASE_URL": openai.base_url,
    }
    with opened(folder, environment=environment) as kernel:
        yield kernel


def vault(folder: Path) -> dict[str, str]:
    kept: dict[str, str] = json.loads((folder / "vault.json").read_text())
    return kept


@pytest.mark.req("PRV-7")
def test_a_key_from_the_page_goes_into_the_keyring_and_into_no_file_of_ours(
    kernel: Kernel, folder: Path, openai: OpenAIEmulator
) -> None:
    comm: Comm = kernel.widget()
    page = settled(comm)
    kept = page.call("provider.key", name="openai", key=CANARY)
    assert kept["message"] == "keyring"
    (row,) = [one for one in kept["providers"] if one["name"] == "openai"]
    assert (row["ready"], row["key_place"]) == (True, "keyring")
    assert vault(folder) == {"image-workbench/openai": CANARY}
    file = folder / "own" / "keys.json"
    assert json.loads(file.read_text()) == {"openai": {"in": "keyring"}}

    # Another program has no copy of it in memory: it asks the keyring.
    kernel.run("from workbench.providers import keys\nkeys._of_keyring.clear()")
    assert "answered" in page.call("provider.test", name="openai")["message"]
    assert [one.headers["authorization"] for one in openai.requests] == [f"Bearer {CANARY}"]

    holding = [path for path in folder.rglob("*") if path.is_file() and _has_it(path)]
    assert holding == [folder / "vault.json"]
    assert CANARY not in json.dumps([comm.sent, comm.updates], default=str)
    assert not [cell for cell in kernel.cells.values() if CANARY in repr(cell)]

    gone = page.call("provider.forget", name="openai")
    (row,) = [one for one in gone["providers"] if one["name"] == "openai"]
    assert (row["ready"], row["key_place"]) == (False, None)
    assert vault(folder) == {}


def _has_it(path: Path) -> bool:
    return CANARY.encode() in path.read_bytes()
