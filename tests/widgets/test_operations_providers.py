"""Setting providers up from a page: for whom, with what, and that a key goes one way only."""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest
from IPython.core.ultratb import VerboseTB
from PIL import Image

import workbench as wb
from tests.widgets.page_world import Page as WirePage
from tests.widgets.page_world import wired
from tests.widgets.pages import Page
from workbench.domain.jobs import JobRef, JobRequest
from workbench.domain.status import ErrorKind
from workbench.errors import NotAllowed, ProviderError
from workbench.providers import catalogue, keys
from workbench.providers.hosted import Hosted
from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen
from workbench.widgets import protocol
from workbench.workspace import identity, plugins
from workbench.workspace.identity import Visitor
from workbench.workspace.workspace import Workspace

pytestmark = pytest.mark.req("PRV-7")

CANARY = "canary-0123456789abcdef"
VISITOR = "a" * 31 + "1"
DATA = {
    "format": 1,
    "dated": "2026-11-21",
    "sources": [],
    "models": [{"name": "fox-1", "usd": {"per_image": "0.04"}}],
}
ANSWER = {"providers", "models", "may_set", "message"}
SETTING: Mapping[str, dict[str, Any]] = {
    "provider.test": {},
    "provider.refresh": {},
    "provider.set": {"base_url": "http://127.0.0.1:1/v1", "concurrency": 2},
    "provider.key": {"key": CANARY},
    "provider.forget": {},
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
    """It says the key that came in its errors, as some do."""

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        given = seen.headers.get("authorization", "")
        if given != f"Bearer {CANARY}":
            return self.error(401, f"wrong key {given}")
        models = json.dumps({"models": [{"name": "fox-2"}, {"name": "wolf"}]})
        return Reply(200, JSON, [models.encode()])


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shipped = tmp_path / "shipped"
    (shipped / "data").mkdir(parents=True)
    (shipped / "data" / "zoo.json").write_text(json.dumps(DATA))
    monkeypatch.setattr(catalogue, "files", lambda package: shipped)
    builtin = [one for one in entry_points(group=plugins.GROUP) if one.name == "builtin"]
    zoo = EntryPoint("zoo", f"{__name__}:Zoo", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [*builtin, zoo])
    own = tmp_path / "own"
    monkeypatch.setenv(catalogue.FOLDER, str(own))
    monkeypatch.delenv("ZOO_API_KEY", raising=False)
    monkeypatch.setattr(keys, "_keyring", lambda: None)
    return own


@pytest.fixture
def server() -> Iterator[ZooServer]:
    with ZooServer() as running:
        yield running


def zoo_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    assert set(answer) == ANSWER
    (found,) = [dict(one) for one in answer["providers"] if one["name"] == "zoo"]
    return found


def models_of(answer: Mapping[str, Any]) -> list[str]:
    return [model["id"] for model in answer["models"]]


# -- the way through ------------------------------------------------------------------------------


def test_from_a_missing_key_to_its_models_and_back(page: Page, server: ZooServer) -> None:
    before = page.ask("providers")
    zoo = zoo_of(before)
    assert (zoo["ready"], zoo["code"], zoo["key_place"]) == (False, "key_missing", None)
    assert zoo["takes_key"]
    assert zoo["testable"]
    assert zoo["refreshable"]
    assert (zoo["base_url"], zoo["set_base_url"]) == (Zoo.home, None)
    # What cannot be used is not offered.
    assert models_of(before) == ["builtin:sketch"]

    kept = page.ask("provider.key", name="zoo", key=f"  {CANARY}\n")
    assert (zoo_of(kept)["ready"], zoo_of(kept)["key_place"], kept["message"]) == (
        True, "file", "file",
    )  # fmt: skip
    assert models_of(kept) == ["builtin:sketch", "zoo:fox-1"]

    put = page.ask("provider.set", name="zoo", base_url=f"{server.url}/", concurrency=7)
    zoo = zoo_of(put)
    assert (zoo["base_url"], zoo["set_base_url"], zoo["concurrency"]) == (server.url, server.url, 7)
    assert page.ask("provider.test", name="zoo") == {"message": "Zoo answered; 2 models."}
    fresh = page.ask("provider.refresh", name="zoo")
    assert fresh["message"] == "Zoo: 2 models as of today."
    assert models_of(fresh) == ["builtin:sketch", "zoo:fox-1", "zoo:fox-2", "zoo:wolf"]

    zoo = zoo_of(page.ask("provider.set", name="zoo"))
    assert (zoo["base_url"], zoo["set_base_url"], zoo["concurrency"]) == (Zoo.home, None, 4)
    gone = page.ask("provider.forget", name="zoo")
    assert zoo_of(gone)["code"] == "key_missing"
    assert models_of(gone) == ["builtin:sketch"]
    assert zoo_of(page.ask("provider.forget", name="zoo"))["key_place"] is None


def test_a_server_that_does_not_answer_is_shown_so_until_it_does(
    page: Page, server: ZooServer
) -> None:
    page.ask("provider.key", name="zoo", key=CANARY)
    page.ask("provider.set", name="zoo", base_url=server.url)
    server.faults = [Fault(reset_before=True)]
    with pytest.raises(ProviderError, match="broke off"):
        page.ask("provider.test", name="zoo")
    zoo = zoo_of(page.ask("providers"))
    assert (zoo["ready"], zoo["code"], zoo["testable"]) == (False, "unreachable", True)
    assert "broke off" in zoo["message"]
    assert models_of(page.ask("providers")) == ["builtin:sketch"]
    page.ask("provider.test", name="zoo")
    zoo = zoo_of(page.ask("providers"))
    assert (zoo["ready"], zoo["code"], zoo["message"]) == (True, "ready", "")
    assert models_of(page.ask("providers")) == ["builtin:sketch", "zoo:fox-1"]


def test_a_key_is_in_no_answer_no_repr_and_no_log(
    ws: Workspace, server: ZooServer, installed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with wired(ws) as (channel, wire):
        page = WirePage(wire)
        page.hello()
        wrong = "wrong-key-9876543210"
        page.call("provider.set", name="zoo", base_url=server.url)
        page.call("provider.key", name="zoo", key=wrong)
        refused = page.error("provider.test", name="zoo")
        assert refused["code"] == "provider"
        assert "did not accept" in refused["message"]
        assert wrong not in json.dumps(refused)
        page.call("provider.key", name="zoo", key=CANARY)
        page.call("provider.test", name="zoo")
        page.call("provider.refresh", name="zoo")
        page.error("provider.key", name="zoo", key=f"{CANARY} {CANARY}")
        page.error("provider.key", name="zo", key=CANARY)
        page.error("provider.key", name="zoo", key=CANARY, more=CANARY)
        page.send("provider.key", {"name": CANARY, "key": CANARY * 1000})  # refused in silence
        page.call("providers")
        told = json.dumps(wire.sent, default=str) + repr(channel.gate.counts)
    provider = ws._engine.registry.provider("zoo")
    told += repr(ws.providers()) + repr(provider) + repr(vars(provider)) + repr(ws)
    told += ws.sql("SELECT * FROM log").to_string() + caplog.text
    # A name that there is not is said again: that one is not the key's place.
    assert CANARY not in told.replace(f"no provider '{CANARY}'", "")
    assert wrong not in told
    folders = (Path(ws.path), installed)
    holding = [
        file
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file() and CANARY.encode() in file.read_bytes()
    ]
    assert holding == [installed / keys.FILE]


def test_a_key_is_in_nothing_that_leaves_a_workspace(
    page: Page, ws: Workspace, server: ZooServer, installed: Path, tmp_path: Path
) -> None:
    """Saved pictures, archives, backups, notebooks and what is exported of them, tracebacks."""
    page.ask("provider.key", name="zoo", key=CANARY)
    page.ask("provider.set", name="zoo", base_url=server.url)
    page.ask("provider.test", name="zoo")
    batch = ws.generate("a boat", model="builtin:sketch", width=64, height=64, steps=1).wait(30)
    refused = ws.generate("a barge", model="zoo:fox-1").wait(30)
    assert (batch.status, refused.status) == ("completed", "failed")
    out = tmp_path / "out"
    out.mkdir()
    batch.generations[0].save(out / "one.png")
    batch.to_zip(out / "batch.zip")
    ws.to_zip(out / "all.zip")
    ws.backup(out / "backup")
    shown = [repr(ws), *(str(one._repr_mimebundle_()) for one in (batch, refused))]
    shown += [batch.to_python(), json.dumps(batch.settings()), json.dumps(ws.doctor().to_dict())]
    shown += [ws.frame().to_csv(), ws.ledger().to_csv()]
    server.close()
    with pytest.raises(ProviderError) as caught:
        ws.test_provider("zoo")
    shown.append(VerboseTB(theme_name="nocolor").text(caught.type, caught.value, caught.tb))
    assert "cannot be reached" in shown[-1]
    read = {path: b"".join(unpacked(path)) for path in out.rglob("*") if path.is_file()}
    holding = {path.name for path, data in read.items() if b"a boat" in data}
    assert holding >= {"one.png", "batch.zip", "all.zip", "workbench.sqlite3"}, "it is looked into"
    assert not [path for path, data in read.items() if CANARY.encode() in data]
    assert not [text for text in shown if CANARY in text]


def unpacked(path: Path) -> Iterator[bytes]:
    """What is in a file: its bytes, and what an archive or a picture has packed into them."""
    data = path.read_bytes()
    yield data
    packed = [data]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            packed += [archive.read(name) for name in archive.namelist()]
    for one in packed:
        yield one
        if one.startswith(b"\x89PNG"):
            with Image.open(io.BytesIO(one)) as picture:
                yield repr(picture.info).encode()


# -- for whom -------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", SETTING)
def test_visitors_set_nothing_up(
    op: str, workspace_home: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.keep("zoo", CANARY)
    before = (installed / keys.FILE).read_bytes()
    monkeypatch.setenv("WORKBENCH_IDENTITY", "anonymous")
    monkeypatch.setattr(identity, "_visitor", Visitor())
    with wb.open(workspace_home / "ws", run_jobs=False) as ws, wired(ws) as (_, wire):
        page = WirePage(wire)
        args = {"name": "zoo", **SETTING[op]}
        assert page.error(op, **args)["code"] == "not_allowed", "before it says who it is"
        assert page.hello(token=VISITOR)["may_set_providers"] is False
        refused = page.error(op, **args)
        assert refused["code"] == "not_allowed"
        assert refused["message"] == "Providers are set up by whoever runs this."
        assert page.error("providers")["code"] == "not_allowed"
        assert CANARY not in json.dumps(wire.sent, default=str)
    assert (installed / keys.FILE).read_bytes() == before
    assert not (installed / "settings.json").exists()


@pytest.mark.parametrize("op", SETTING)
def test_the_kernel_of_a_page_sets_nothing_up(
    op: str, idle: Page, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(keys.OF_WORKER, "builtin")
    with pytest.raises(NotAllowed, match="whoever runs this"):
        idle.ask(op, name="zoo", **SETTING[op])
    with pytest.raises(NotAllowed):
        idle.ask("providers")
    assert not installed.exists()


@pytest.mark.parametrize("ready", [True, False])
def test_visitors_are_not_told_where_a_server_is(
    ready: bool, workspace_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses within somebody's network, and names of variables, are the operator's."""
    monkeypatch.setenv("WORKBENCH_IDENTITY", "anonymous")
    monkeypatch.setattr(identity, "_visitor", Visitor())
    monkeypatch.setenv("ZOO_BASE_URL", "http://10.1.2.3:8080/v1")
    if ready:
        monkeypatch.setenv("ZOO_API_KEY", CANARY)
    with wb.open(workspace_home / "ws", run_jobs=False) as ws, wired(ws) as (_, wire):
        page = WirePage(wire)
        hello = page.hello(token=VISITOR)
        (zoo,) = [one for one in hello["providers"] if one["name"] == "zoo"]
        assert (zoo["ready"], zoo["message"]) == (ready, "")
        assert page.error("providers")["code"] == "not_allowed"
        told = json.dumps(wire.sent, default=str)
        for secret in ("10.1.2.3", "ZOO_API_KEY", CANARY):
            assert secret not in told


# -- forged messages ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("provider.test", {}),
        ("provider.test", {"name": None}),
        ("provider.test", {"name": ["zoo"]}),
        ("provider.test", {"name": {"$ne": ""}}),
        ("provider.test", {"name": "x" * 201}),
        ("provider.test", {"name": "zoo", "url": "http://169.254.169.254/"}),
        ("provider.key", {"name": "zoo"}),
        ("provider.key", {"name": "zoo", "key": None}),
        ("provider.key", {"name": "zoo", "key": 7}),
        ("provider.key", {"name": "zoo", "key": ["a"]}),
        ("provider.key", {"name": "zoo", "key": "k" * 4001}),
        ("provider.set", {"name": "zoo", "base_url": "x" * 2001}),
        ("provider.set", {"name": "zoo", "base_url": ["http://x"]}),
        ("provider.set", {"name": "zoo", "concurrency": "4"}),
        ("provider.set", {"name": "zoo", "concurrency": 1.5}),
        ("provider.set", {"name": "zoo", "key": "not here"}),
        ("provider.forget", {"name": 0}),
        ("provider.refresh", {"name": True}),
    ],
)
def test_what_has_not_the_form_is_refused_at_the_gate(
    ws: Workspace, installed: Path, op: str, args: dict[str, Any]
) -> None:
    with wired(ws) as (channel, wire):
        page = WirePage(wire)
        page.hello()
        code = page.error(op, **args)["code"]
        assert code in ("invalid_request", "bad_message", "too_large")
        assert sum(channel.gate.counts.refused.values()) == 1
    assert not installed.exists()


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("provider.test", {"name": "zooo"}),
        ("provider.test", {"name": ""}),
        ("provider.test", {"name": "../zoo"}),
        ("provider.test", {"name": "builtin"}),
        ("provider.key", {"name": "__proto__", "key": CANARY}),
        ("provider.key", {"name": "zoo\x00", "key": CANARY}),
        ("provider.key", {"name": "zoo", "key": ""}),
        ("provider.key", {"name": "zoo", "key": " \n"}),
        ("provider.key", {"name": "zoo", "key": "two words"}),
        ("provider.key", {"name": "zoo", "key": "line\r\nX-Injected: 1"}),
        ("provider.key", {"name": "zoo", "key": "ключ-0123456789"}),
        ("provider.set", {"name": "zoo", "base_url": "file:///etc/passwd"}),
        ("provider.set", {"name": "zoo", "base_url": "https://ann:pw@zoo"}),
        ("provider.set", {"name": "zoo", "base_url": "javascript:alert(1)"}),
        ("provider.set", {"name": "zoo", "concurrency": 0}),
        ("provider.set", {"name": "zoo", "concurrency": 65}),
        ("provider.set", {"name": "builtin", "concurrency": 2}),
        ("provider.refresh", {"name": "builtin"}),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_kept(
    page: Page, installed: Path, op: str, args: dict[str, Any]
) -> None:
    with pytest.raises(wb.InvalidRequest) as caught:
        page.ask(op, **args)
    key = args.get("key", "").strip()
    assert not key or key not in str(caught.value)
    assert not (installed / keys.FILE).exists()
    assert not (installed / "settings.json").exists()


def test_the_rows_have_what_the_page_knows(page: Page) -> None:
    mirror = Path(protocol.__file__).parent.parent / "frontend" / "src" / "protocol.ts"
    text = mirror.read_text()
    for start in ("interface ProviderSettings", "interface ProvidersAnswer"):
        assert start in text
    for name in (*page.ask("providers")["providers"][0], *ANSWER):
        assert f"{name}:" in text, name


@pytest.mark.req("TOK-4")
@pytest.mark.parametrize(
    ("usd", "seen"), [("0", set()), ("0.5", {"fox-1"}), ("false", {"fox-1", "secretive"})]
)
def test_visitors_see_what_costs_real_money_only_where_they_may_spend_some(
    usd: str,
    seen: set[str],
    workspace_home: Path,
    installed: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nobody knows what this one costs: no limit but none at all goes with it.
    own = DATA | {"models": [{"name": "secretive"}]}
    installed.mkdir(exist_ok=True)
    (installed / "zoo.json").write_text(json.dumps(own))
    monkeypatch.setenv("WORKBENCH_IDENTITY", "anonymous")
    monkeypatch.setattr(identity, "_visitor", Visitor())
    monkeypatch.setenv("ZOO_API_KEY", CANARY)
    (workspace_home / "ws").mkdir()
    (workspace_home / "ws" / "config.toml").write_text(f"[visitors]\nusd_per_day = {usd}\n")
    with wb.open(workspace_home / "ws", run_jobs=False) as ws, wired(ws) as (_, wire):
        told = WirePage(wire).hello(token=VISITOR)
        ids = {one["id"] for one in told["models"]}
        assert ids == {"builtin:sketch", *(f"zoo:{name}" for name in seen)}
