"""Setting providers up, in Python and by command: keys, addresses, jobs at once, tests, lists."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from workbench.domain.jobs import JobRef, JobRequest
from workbench.domain.status import ErrorKind
from workbench.errors import ConfigurationError, NotAllowed, ProviderError
from workbench.jupyter import cli
from workbench.providers import catalogue, keys
from workbench.providers.hosted import Hosted
from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen
from workbench.testing.providers import FakeProvider
from workbench.workspace import plugins
from workbench.workspace.workspace import Workspace

CANARY = "canary-0123456789abcdef"
DATA = {
    "format": 1,
    "dated": "2026-11-21",
    "sources": [],
    "models": [{"name": "fox-1", "usd": {"per_image": "0.04"}}],
}


class Zoo(Hosted):
    """A hosted provider as small as can be."""

    usual_name = "zoo"
    title = "Zoo"
    help = "Pictures of animals."
    home = "https://api.zoo.invalid/v1"
    key_variables = ("ZOO_API_KEY",)
    address_variable = "ZOO_BASE_URL"
    data = "zoo"

    async def submit(self, request: JobRequest) -> JobRef:
        raise ProviderError(ErrorKind.BAD_REQUEST, "The zoo is closed.")

    async def test(self) -> str:
        told = await self._ask("GET", self._address("/models"))
        return f"Zoo answered; {len(told.object()['models'])} models."

    async def _read_models(self) -> Sequence[Mapping[str, Any]]:
        told = await self._ask("GET", self._address("/models"))
        return list(told.object()["models"])


class ZooServer(Emulator):
    models: Sequence[Mapping[str, Any]] = ({"name": "fox-2"}, {"name": "../etc"}, {"name": "wolf"})

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        if seen.headers.get("authorization") != f"Bearer {CANARY}":
            return self.error(401, f"wrong key {seen.headers.get('authorization')}")
        return Reply(200, JSON, [json.dumps({"models": self.models}).encode()])


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shipped = tmp_path / "shipped"
    (shipped / "data").mkdir(parents=True)
    (shipped / "data" / "zoo.json").write_text(json.dumps(DATA))
    monkeypatch.setattr(catalogue, "files", lambda package: shipped)
    entry = EntryPoint("zoo", f"{__name__}:Zoo", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [*entry_points(group=group), entry])
    own = tmp_path / "own"
    monkeypatch.setenv(catalogue.FOLDER, str(own))
    monkeypatch.setattr(keys, "_keyring", lambda: None)
    return own


@pytest.fixture
def server() -> Iterator[ZooServer]:
    with ZooServer() as running:
        yield running


@pytest.fixture
def ws(workspace_home: Path) -> Iterator[Workspace]:
    with wb.open() as workspace:
        yield workspace


def info(ws: Workspace, name: str = "zoo") -> wb.ProviderInfo:
    (found,) = [one for one in ws.providers() if one.name == name]
    return found


# -- in Python ------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_provider_says_what_is_missing_and_where_its_key_is(ws: Workspace) -> None:
    before = info(ws)
    assert (before.state.code, before.takes_key, before.key_place) == ("key_missing", True, None)
    assert "ZOO_API_KEY" in before.state.message
    assert "providers key zoo" in before.state.message
    assert before.base_url == Zoo.home
    assert before.testable
    assert ws.set_key("zoo", CANARY) == "file"
    after = info(ws)
    assert (after.state.ready, after.key_place) == (True, "file")
    assert CANARY not in repr(after)
    assert ws.forget_key("zoo")
    assert not info(ws).state.ready
    sketch = info(ws, "builtin")
    assert (sketch.takes_key, sketch.base_url, sketch.testable) == (False, None, False)


class Shy(FakeProvider):
    """Says everything of itself but where it is."""

    @property
    def base_url(self) -> str:
        raise OSError("no such file")


def test_what_a_plugin_cannot_say_of_itself_is_told_beside_its_state(ws: Workspace) -> None:
    ws.add_provider(Shy("shy"))
    shy = info(ws, "shy")
    assert (shy.state.ready, shy.base_url) == (True, None)
    assert shy.state.message == "It cannot say where it is, or where its key is: no such file"


def test_a_file_of_keys_that_is_not_in_order_is_told_once(ws: Workspace, installed: Path) -> None:
    installed.mkdir(exist_ok=True)
    (installed / keys.FILE).write_text("{")
    (installed / keys.FILE).chmod(0o600)
    state = info(ws).state
    assert (state.ready, state.code) == (False, "error")
    assert state.message.count("is not in order") == 1


def test_address_and_jobs_at_once_are_kept_for_the_next_time(
    ws: Workspace, installed: Path, server: ZooServer
) -> None:
    ws.set_key("zoo", CANARY)
    ws.set_provider("zoo", base_url=f"{server.url}/", concurrency=9)
    assert (info(ws).base_url, info(ws).concurrency) == (server.url, 9)
    assert ws.test_provider("zoo") == "Zoo answered; 3 models."
    assert CANARY not in (installed / "settings.json").read_text()
    ws.close()
    with wb.open() as again:
        assert (info(again).base_url, info(again).concurrency) == (server.url, 9)
        again.set_provider("zoo")
        assert (info(again).base_url, info(again).concurrency) == (Zoo.home, 4)


@pytest.mark.req("TOK-6")
def test_models_are_read_anew_and_strange_ones_are_left_out(
    ws: Workspace, server: ZooServer
) -> None:
    ws.set_key("zoo", CANARY)
    ws.set_provider("zoo", base_url=server.url)
    assert ws.refresh_provider("zoo") == "Zoo: 2 models as of today."
    names = [model.name for model in ws.models() if model.provider == "zoo"]
    assert names == ["fox-1", "fox-2", "wolf"]
    server.models = [{"name": "../etc"}]
    with pytest.raises(ConfigurationError, match="None of the models"):
        ws.refresh_provider("zoo")
    assert len([model for model in ws.models() if model.provider == "zoo"]) == 3


@pytest.mark.req("PRV-7")
def test_a_test_that_fails_says_what_to_look_at_without_the_key(
    ws: Workspace, server: ZooServer
) -> None:
    ws.set_key("zoo", "another-key-123456")
    ws.set_provider("zoo", base_url=server.url)
    with pytest.raises(ProviderError, match="did not accept the key that was entered") as caught:
        ws.test_provider("zoo")
    assert "another-key" not in str(caught.value)
    server.close()
    with pytest.raises(ProviderError, match="cannot be reached"):
        ws.test_provider("zoo")


@pytest.mark.req("PRV-7")
def test_a_server_that_did_not_answer_is_unreachable_until_it_does(
    ws: Workspace, server: ZooServer
) -> None:
    ws.set_key("zoo", CANARY)
    ws.set_provider("zoo", base_url=server.url)
    assert info(ws).state.ready, "nobody has asked it"
    server.faults = [Fault(reset_before=True)]
    with pytest.raises(ProviderError, match="broke off"):
        ws.test_provider("zoo")
    state = info(ws).state
    assert (state.ready, state.code) == (False, "unreachable")
    assert "broke off" in state.message
    # It is what people see. A job finds out for itself: it may be there again by now.
    assert ws.estimate("a fox", model="zoo:fox-1")
    assert ws.test_provider("zoo") == "Zoo answered; 3 models."
    assert info(ws).state.ready
    with wb.open(ws.path) as same:
        assert info(same).state.ready


def dead(ws: Workspace, server: ZooServer) -> None:
    """A provider whose server was there, and is not any more."""
    ws.set_key("zoo", CANARY)
    ws.set_provider("zoo", base_url=server.url)
    server.faults = [Fault(reset_before=True)]
    with pytest.raises(ProviderError):
        ws.test_provider("zoo")
    assert info(ws).state.code == "unreachable"


def test_another_address_is_not_held_to_have_been_silent(ws: Workspace, server: ZooServer) -> None:
    dead(ws, server)
    ws.set_provider("zoo", base_url=server.url, concurrency=3)
    assert info(ws).state.code == "unreachable", "it is still there"
    ws.set_provider("zoo", base_url=f"{server.url}/v2")
    assert info(ws).state.ready
    ws.set_provider("zoo", base_url=server.url)
    assert info(ws).state.ready, "it was not asked since"


def test_a_job_that_is_answered_says_that_a_server_is_there(
    ws: Workspace, server: ZooServer
) -> None:
    dead(ws, server)
    provider = ws._engine.registry.provider("zoo")
    ws._engine.loop.submit(provider.test()).result(10)  # any request of its own
    assert info(ws).state.ready


def test_a_refusal_is_an_answer_and_what_is_missing_comes_first(
    ws: Workspace, server: ZooServer
) -> None:
    ws.set_key("zoo", "another-key-123456")
    ws.set_provider("zoo", base_url=server.url)
    server.faults = [Fault(status=503)]
    for _ in range(2):
        with pytest.raises(ProviderError):
            ws.test_provider("zoo")  # it is busy; it does not take the key
        assert info(ws).state.ready
    dead(ws, server)
    ws.forget_key("zoo")
    assert info(ws).state.code == "key_missing"


def test_pages_are_told_that_a_server_does_not_answer(ws: Workspace, server: ZooServer) -> None:
    ws.set_key("zoo", CANARY)
    ws.set_provider("zoo", base_url=server.url)
    cursor = ws.changes().cursor

    def told() -> list[str]:
        nonlocal cursor
        page = ws.changes(cursor)
        cursor = page.cursor
        return [change.id for change in page.items if change.entity == "provider"]

    ws.test_provider("zoo")
    assert told() == [], "as before"
    server.faults = [Fault(reset_before=True)]
    with pytest.raises(ProviderError):
        ws.test_provider("zoo")
    assert told() == ["zoo"]
    ws.test_provider("zoo")
    assert told() == ["zoo"]


def test_a_plugin_without_a_line_of_ours_is_unreachable_until_its_test_goes_well(
    ws: Workspace,
) -> None:
    class Distant(FakeProvider):
        there = False

        async def test(self) -> str:
            if not self.there:
                raise ProviderError(ErrorKind.TRANSIENT, "Nobody answers. Start the server.")
            return "It answered."

    distant = Distant("distant")
    ws.add_provider(distant)
    with pytest.raises(ProviderError):
        ws.test_provider("distant")
    state = info(ws, "distant").state
    assert (state.code, state.message) == ("unreachable", "Nobody answers. Start the server.")
    distant.there = True
    assert ws.test_provider("distant") == "It answered."
    assert info(ws, "distant").state.ready


@pytest.mark.req("PRV-7", "LIVE-11")
def test_a_bug_in_a_providers_test_is_a_sentence_and_its_place_is_in_the_event_log(
    ws: Workspace,
) -> None:
    class Buggy(FakeProvider):
        async def test(self) -> str:
            raise ZeroDivisionError(CANARY)

    ws.add_provider(Buggy("buggy"))
    with pytest.raises(ProviderError, match=r"^Buggy failed \(ZeroDivisionError\)\.$") as caught:
        ws.test_provider("buggy")
    assert caught.value.__context__ is None
    deadline = time.monotonic() + 30
    while not (entries := ws.debug.entries(kind="plugin")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (entry,) = entries
    assert entry.text == "The test of buggy failed (ZeroDivisionError)."
    assert "in test" in str(entry.data["traceback"])
    assert CANARY not in str(entry)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"base_url": "ftp://zoo"}, "base_url"),
        ({"base_url": "https://ann:pw@zoo"}, "base_url"),
        ({"base_url": 7}, "base_url"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 65}, "concurrency"),
        ({"concurrency": True}, "concurrency"),
        ({"concurrency": "4"}, "concurrency"),
    ],
)
def test_what_cannot_be_set_is_refused(
    ws: Workspace, installed: Path, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(wb.InvalidRequest) as caught:
        ws.set_provider("zoo", **given)
    assert caught.value.field == field
    assert not installed.exists()


def test_names_that_are_none_are_refused_with_a_near_match(ws: Workspace) -> None:
    for call in (ws.test_provider, ws.refresh_provider, ws.set_provider):
        with pytest.raises(wb.InvalidRequest, match="Did you mean 'zoo'"):
            call("zooo")
    with pytest.raises(wb.InvalidRequest, match="nothing that can be set"):
        ws.set_provider("builtin", concurrency=3)
    with pytest.raises(wb.InvalidRequest, match="nothing to test"):
        ws.test_provider("builtin")


def test_a_settings_file_that_is_not_in_order_is_told_and_the_rest_goes_on(
    workspace_home: Path, installed: Path
) -> None:
    installed.mkdir()
    (installed / "settings.json").write_text("{")
    with wb.open() as ws:
        assert "settings.json" in info(ws).state.message
        done = ws.generate("a fox", width=64, height=64, steps=1).wait(30)
        assert done.status == "completed"


# -- servers of one's own -------------------------------------------------------------------------


@pytest.mark.req("PRV-2")
def test_servers_of_the_settings_file_are_providers_of_their_own(
    workspace_home: Path, server: ZooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_API_KEY", "the-key-of-the-real-zoo")
    (workspace_home / ".workbench").mkdir()
    (workspace_home / ".workbench" / "config.toml").write_text(
        f'[servers.attic]\nkind = "zoo"\nbase_url = "{server.url}"\n'
        '[servers.cellar]\nkind = "zo"\n'
        '[servers.garden]\nkind = "zoo"\ncolour = "green"\n'
    )
    with wb.open() as ws:
        # The key of the environment belongs to the provider's own address.
        assert info(ws, "attic").state.code == "key_missing"
        ws.set_key("attic", CANARY)
        assert ws.test_provider("attic") == "Zoo answered; 3 models."
        assert [m.id for m in ws.models() if m.provider == "attic"] == ["attic:fox-1"]
        assert "'zo'" in info(ws, "cellar").state.message
        assert "colour" in info(ws, "garden").state.message
    assert [seen.headers["authorization"] for seen in server.requests] == [f"Bearer {CANARY}"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("servers = 3", r"\[servers\.attic\]"),
        ("[servers]\nattic = 3", "needs a kind"),
        ("[servers.attic]\nbase_url = 'http://x'", "needs a kind"),
        (f"[servers.attic]\nkind = 'zoo'\nkey = '{CANARY}'", "keys do not belong"),
    ],
)
def test_a_server_that_is_not_in_order_is_told(
    workspace_home: Path, text: str, sentence: str
) -> None:
    (workspace_home / ".workbench").mkdir()
    (workspace_home / ".workbench" / "config.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        wb.open()
    assert CANARY not in str(caught.value)


# -- pages ----------------------------------------------------------------------------------------


@pytest.mark.req("APP-2", "PRV-7")
def test_the_kernel_of_a_page_has_no_keys_and_believes_its_worker(
    workspace_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.keep("zoo", CANARY)
    monkeypatch.setenv(keys.OF_WORKER, "builtin,zoo")
    assert keys.find("zoo") is None
    with wb.open(run_jobs=False) as ws:
        assert (info(ws).state.ready, info(ws).key_place) == (True, None)
        assert ws.generate("a fox", model="zoo:fox-1").status == "queued"
        for call in (
            lambda: ws.set_key("zoo", "x1"),
            lambda: ws.forget_key("zoo"),
            lambda: ws.set_provider("zoo", base_url="https://evil.invalid"),
            lambda: ws.test_provider("zoo"),
            lambda: ws.refresh_provider("zoo"),
        ):
            with pytest.raises(NotAllowed):
                call()
    monkeypatch.setenv(keys.OF_WORKER, "")
    with wb.open(run_jobs=False) as ws:
        assert not info(ws).state.ready


# -- by command -----------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_key_is_typed_and_never_an_argument(
    workspace_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{CANARY}\n"))
    assert cli.main(["providers", "key", "zoo"]) == 0
    assert keys.find("zoo") is not None
    assert cli.main(["providers"]) == 0
    assert "zoo (Zoo): ready" in capsys.readouterr().out
    assert cli.main(["providers", "forget", "zoo"]) == 0
    assert cli.main(["providers", "forget", "zoo"]) == 0
    assert cli.main(["providers", "key"]) == 2
    said = capsys.readouterr().out
    assert "Removed.\nThere was none.\n" in said
    assert CANARY not in said


def test_tests_and_lists_by_command(
    workspace_home: Path,
    server: ZooServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ZOO_BASE_URL", server.url)
    monkeypatch.setenv("ZOO_API_KEY", CANARY)
    assert cli.main(["providers", "test", "zoo"]) == 0
    assert cli.main(["providers", "refresh"]) == 0
    said = capsys.readouterr().out
    assert said == "Zoo answered; 3 models.\nZoo: 2 models as of today.\n"
    monkeypatch.setenv("ZOO_API_KEY", "a-wrong-key-0123")
    assert cli.main(["providers", "test", "zoo"]) == 1
    assert "did not accept" in capsys.readouterr().out
    assert cli.main(["providers", "--json"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert listed["zoo"]["models"][0] == {
        "id": "zoo:fox-1",
        "aliases": [],
        "price": "0.04",
        "unit": "USD",
        "billed_by_provider": True,
    }
