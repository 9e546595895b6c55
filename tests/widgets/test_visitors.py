"""Visitors: a page's hello says whose it is, and nobody reaches what is somebody else's."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.waiting import until
from tests.widgets.page_world import Page, Wire, wired
from workbench.widgets import protocol
from workbench.widgets.desk import Desk
from workbench.widgets.failures import failure
from workbench.widgets.visitor import FREE
from workbench.widgets.voila import in_voila
from workbench.workspace import identity
from workbench.workspace.identity import Visitor, user_of_token
from workbench.workspace.workspace import Workspace

pytestmark = pytest.mark.req("TOP-5")

ADA = "a" * 31 + "1"
BOB = "b" * 31 + "2"
SMALL: dict[str, Any] = {"width": 64, "height": 64, "params": {"steps": 2}}

Opener = Callable[[], Workspace]


@pytest.fixture
def arrival(workspace_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    """Opens the workspace as a page kernel does, each time for another visitor to come."""
    monkeypatch.setenv("WORKBENCH_IDENTITY", "anonymous")
    with ExitStack() as opened:

        def arrive(run_jobs: bool = True) -> Workspace:
            monkeypatch.setattr(identity, "_visitor", Visitor())
            return opened.enter_context(wb.open(workspace_home / "ws", run_jobs=run_jobs))

        yield arrive


@dataclass
class Guest:
    """A visitor with a page and a workspace of his own process."""

    ws: Workspace
    wire: Wire
    page: Page
    token: str


@contextmanager
def guest(ws: Workspace, token: str) -> Iterator[Guest]:
    with wired(ws) as (_, wire):
        page = Page(wire)
        page.hello(token=token)
        yield Guest(ws, wire, page, token)
        Desk.of(ws, "test").flush()


def everything(ws: Workspace, owner: str) -> dict[str, Any]:
    tables = ("project", "topic", "batch", "generation", "judgement", "preference")
    found = {table: ws.sql(f"SELECT * FROM {table} WHERE owner = ?", (owner,)) for table in tables}
    return {table: rows.astype(str).to_dict("records") for table, rows in found.items()}


def count(ws: Workspace, table: str, where: str = "true", *values: str) -> int:
    return int(ws.sql(f"SELECT count(*) AS n FROM {table} WHERE {where}", values)["n"][0])


# -- the door -----------------------------------------------------------------------------------


def test_before_hello_nothing_is_done_and_nothing_is_shown(arrival: Opener) -> None:
    ws = arrival()
    with wired(ws) as (channel, wire):
        page = Page(wire)
        number = itertools.count()
        refused = 0
        for op, form in protocol.OPS.items():
            if op in FREE:
                continue
            args = {name: example(kind) for name, kind in form.required.items()}
            rid = f"q{next(number)}"
            buffers = [b"x"] if op == "upload.chunk" else []
            channel.receive({"op": op, "rid": rid, "client": page.name, "args": args}, buffers)
            assert page.answer(rid)["error"]["code"] == "not_allowed", op
            refused += 1
        assert channel.gate.counts.refused == {"not_allowed": refused}
        assert wire.pushes("ping") == wire.pushes("desk") == []
        assert channel.pages == 0
        assert page.call("bundle", hash="x")["hash"]
        for table in ("topic", "batch", "preference", "log"):
            assert count(ws, table) == 0
        page.hello(token=ADA)
        assert page.call("trash") == {"items": []}


def example(kind: str) -> Any:
    values: dict[str, Any] = {
        "text": "x", "id": "0" * 26, "asset": "0" * 64, "whole": 1, "number": 1, "flag": True,
        "object": {}, "texts": [], "ids": ["0" * 26], "scalar": "x",
    }  # fmt: skip
    return values[kind]


@pytest.mark.parametrize("token", [None, "", "x", ADA.upper(), ADA + "0", " " * 32, 5, [ADA], {}])
def test_a_hello_without_a_token_is_refused_and_the_page_may_try_again(
    arrival: Opener, token: Any
) -> None:
    ws = arrival()
    before = ws.user
    with wired(ws) as (channel, wire):
        page = Page(wire)
        args = {} if token is None else {"token": token}
        error = page.error("hello", version=protocol.VERSION, **args)
        is_text = token is None or isinstance(token, str)
        assert error["code"] == ("not_allowed" if is_text else "invalid_request")
        assert ADA not in str(error)
        assert sum(channel.gate.counts.refused.values()) == 1
        assert (ws.user, channel.pages) == (before, 0)
        assert page.error("trash")["code"] == "not_allowed"
        data = page.hello(token=ADA)
        assert data["user"] == ws.user == user_of_token(ADA)
        assert (data["identity"], data["voila"]) == ("anonymous", False)


def test_somebody_elses_hello_is_refused_and_changes_nothing(arrival: Opener) -> None:
    ws = arrival()
    with guest(ws, ADA) as ada, wired(ws) as (_, other_wire):
        ada.page.call("desk.set", n=1, draft="a fox")
        for wire in (ada.wire, other_wire):
            bob = Page(wire)
            error = bob.error("hello", version=protocol.VERSION, token=BOB)
            assert error["code"] == "not_allowed"
            assert "somebody else" in error["message"]
            assert wire.channel.gate.counts.refused["not_allowed"] == 1
            # also in the name of the page that is there
            rid = "again-1"
            hello = {"version": protocol.VERSION, "token": BOB}
            wire.channel.receive(
                {"op": "hello", "rid": rid, "client": ada.page.name, "args": hello}, []
            )
            until(lambda: wire.channel.gate.counts.refused["not_allowed"] == 2, "it is refused")  # noqa: B023
        assert ada.wire.channel.pages == 1
        assert other_wire.channel.pages == 0
        assert ws.user == user_of_token(ADA)
        topic = ada.page.call("topic.create", title="Foxes")["topic"]["id"]
        until(lambda: ("topic", topic) in ada.page.rows, "she is still told what happens")
        reloaded = Page(ada.wire)
        assert reloaded.hello(token=ADA)["desk"]["draft"] == "a fox"


def test_many_hellos_at_once_are_one_visitor(arrival: Opener) -> None:
    ws = arrival()
    with ExitStack() as open_wires:
        wires = [open_wires.enter_context(wired(ws))[1] for _ in range(3)]
        asked = []
        for n in range(24):
            page = Page(wires[n % 3])
            token = f"{n % 8:032x}"
            args = {"version": protocol.VERSION, "token": token}
            asked.append((token, page, page.send("hello", args)))
        answers = [(token, page.answer(rid)) for token, page, rid in asked]
        users = {answer["data"]["user"] for _, answer in answers if answer["ok"]}
        assert users == {ws.user}
        for token, answer in answers:
            assert answer["ok"] == (user_of_token(token) == ws.user)


def test_a_named_user_needs_no_token(arrival: Opener, workspace_home: Path) -> None:
    arrival()
    with wb.open(workspace_home / "ws", user="ada", run_jobs=False) as ws, wired(ws) as (_, wire):
        for more in ({}, {"token": BOB}, {"token": "x"}):
            data = Page(wire).hello(**more)
            assert (data["user"], data["identity"]) == ("ada", "local")


def test_the_token_is_in_nothing_that_is_kept_or_said(
    arrival: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ws = arrival()
    with guest(ws, ADA) as ada:
        bob = Page(ada.wire)
        bob.error("hello", version=protocol.VERSION, token=BOB)
        bob.error("hello", version=9, token=BOB)
        bob.error("hello", version=protocol.VERSION, token=BOB, more=BOB)
        ada.page.call("submit", client_key="k", prompt="a fox", **SMALL)
        said = json.dumps([content for _, content in ada.wire.sent]) + caplog.text + repr(ws)
        request = ada.wire.channel.gate.check(
            {"op": "hello", "rid": "r", "client": bob.name, "args": {"version": 1, "token": BOB}}
        )
        said += repr(request) + repr(vars(ada.wire.channel._door))
    kept = b"".join(path.read_bytes() for path in ws.path.rglob("*") if path.is_file())
    for token in (ADA, BOB):
        assert token not in said
        assert token.encode() not in kept


def test_errors_give_visitors_no_folder(arrival: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [
        wb.DiskFull("No space left on the disk of /srv/secret."),
        wb.WorkspaceBusy("/srv/secret is held by root on host7."),
        wb.StoreError("The workspace folder /srv/secret cannot be used."),
        wb.WorkspaceDamaged("The database /srv/secret is damaged."),
        wb.EngineClosed("This workspace was closed; open it with workbench.open('/srv/secret')."),
        wb.ConfigurationError("WORKBENCH_CONFIG names '/srv/secret'."),
    ]
    arrival()
    for error in errors:
        message = failure(error)["message"]
        assert message.endswith((".",)), message
        assert "/" not in message
    assert failure(wb.InvalidRequest("width", "must be even."))["message"] == "must be even."
    assert failure(wb.NotFound("topic", "x"))["message"].startswith("There is no topic")
    monkeypatch.setenv("WORKBENCH_IDENTITY", "local")
    assert [failure(error)["message"] for error in errors] == [str(error) for error in errors]


@pytest.mark.req("LAY-11")
@pytest.mark.parametrize(
    "variables",
    [
        {"VOILA_KERNEL_ID": "k"},
        {"VOILA_PREHEAT": "True"},  # before anybody has opened the page
        {"SERVER_SOFTWARE": "voila/0.5.13"},
    ],
    ids=str,
)
def test_a_page_of_voila_is_known_however_its_kernel_began(
    arrival: Opener, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    assert not in_voila()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert in_voila()
    bench = wb.Workbench(arrival(run_jobs=False))
    assert bench.simple is True
    bench.close()


# -- desks --------------------------------------------------------------------------------------


@pytest.mark.req("CFG-7")
def test_a_visitor_who_returns_finds_everything_as_it_was(arrival: Opener) -> None:
    with guest(arrival(), ADA) as ada:
        topic = ada.page.call("topic.create", title="Foxes")["topic"]["id"]
        panels = {"config_width": 300}
        desk = {"draft": "a fox", "topic_id": topic, "config": {"n": 3}, "panels": panels}
        ada.page.call("desk.set", n=1, **desk)
        ada.page.open(topic)
        ada.page.call("submit", client_key="k", prompt="a fox", n=1, **SMALL)
        until(lambda: ada.page.statuses() == ["completed"], "the picture")
    with guest(arrival(), BOB) as bob:
        data = bob.page.hello(token=BOB)
        assert (data["desk"]["draft"], data["desk"]["topic_id"], data["topics"]) == ("", None, [])
        assert data["feed"] is None
    with guest(arrival(), ADA) as ada:
        data = ada.page.hello(token=ADA)
        desk = data["desk"]
        assert (desk["draft"], desk["topic_id"], desk["config"]["n"]) == ("a fox", topic, 3)
        assert desk["panels"] == {"config_width": 300}
        assert [row["status"] for row in data["feed"]["generations"]] == ["completed"]
        assert data["feed"]["generations"][0]["mine"] is True


def test_a_desk_is_handed_over_with_its_observers(arrival: Opener) -> None:
    ws = arrival()
    desk = Desk.of(ws, "test")
    told: list[tuple[int, str]] = []
    stop = desk.subscribe(lambda rev, _client, _n: told.append((rev, desk.identity.user)))
    with guest(ws, ADA) as ada:
        assert Desk.of(ws, "test") is desk
        assert desk.identity == ws.identity
        until(lambda: told, "its observers are told")
        assert {user for _, user in told} == {user_of_token(ADA)}
        ada.page.call("desk.set", n=1, draft="a fox")
        assert desk.draft == "a fox"
    stop()


@pytest.mark.req("CFG-7")
def test_what_python_sets_before_is_for_those_who_come_for_the_first_time(arrival: Opener) -> None:
    def notebook() -> Workspace:
        ws = arrival()
        desk = Desk.of(ws, "test")
        desk.change({"config": {"n": 2}, "draft": "a harbour"})
        desk.flush()
        assert count(ws, "preference", "owner = ?", ws.user) == 0
        return ws

    with guest(notebook(), ADA) as ada:
        desk = ada.page.hello(token=ADA)["desk"]
        assert (desk["config"]["n"], desk["draft"]) == (2, "a harbour")
        ada.page.call("desk.set", n=1, config={"n": 5}, draft="")
        Desk.of(ada.ws, "test").flush()
    with guest(notebook(), ADA) as ada:
        desk = ada.page.hello(token=ADA)["desk"]
        assert (desk["config"]["n"], desk["draft"]) == (5, "")
    with guest(notebook(), BOB) as bob:
        assert bob.page.hello(token=BOB)["desk"]["config"]["n"] == 2


def test_observers_of_a_widget_hear_of_the_visitors_desk(arrival: Opener) -> None:
    with guest(arrival(), ADA) as ada:
        ada.page.call("desk.set", n=1, draft="a fox")
    ws = arrival()
    bench = wb.Workbench(ws)
    heard: list[tuple[str, str]] = []
    release = threading.Event()

    def slow(change: Any) -> None:
        heard.append((change["new"], threading.current_thread().name))
        release.wait(10)

    bench.observe(slow, "prompt")
    # The same desk as before: the key of the tests' pages is not that of this process.
    bench._desk.key = "test"
    with guest_of(bench) as page:  # answered although the observer is still at it
        assert page.hello(token=ADA)["desk"]["draft"] == "a fox"
    until(lambda: heard, "the observer")
    release.set()
    assert heard == [("a fox", "workbench-observers")]
    bench.close()


@contextmanager
def guest_of(bench: wb.Workbench) -> Iterator[Page]:
    channel = bench._channel
    assert channel is not None
    wire = Wire()
    wire.channel = channel
    channel._send_out = wire.send
    yield Page(wire)


# -- two visitors -------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_no_operation_reaches_what_is_another_visitors(arrival: Opener) -> None:
    with guest(arrival(), ADA) as ada, guest(arrival(run_jobs=False), BOB) as bob:
        assert ada.ws._engine is bob.ws._engine
        assert ada.ws.user != bob.ws.user
        hers = belongings(ada)
        ids = {id for found in hers.values() for id in found}
        own = bob.page.call("topic.create", title="Boats")["topic"]["id"]
        his = bob.page.call("submit", client_key="k1", prompt="a boat", topic_id=own, n=1, **SMALL)
        assert his["batch"]["id"] not in ids  # her key is not his
        Desk.of(ada.ws, "test").flush()
        before = everything(ada.ws, ada.ws.user)
        asked = 0
        for op in sorted(protocol.OPS.keys() - {"hello", "bye", "desk.set", "bundle", "full_esm"}):
            for args in forgeries(op, hers, own):
                attempt(bob, op, args)
                asked += 1
        assert asked > 100
        # Nor by a cursor that begins before her rows, nor in what he was told by himself.
        assert bob.page.call("since", cursor=hers["cursor"][0])["rows"] is not None
        Desk.of(ada.ws, "test").flush()
        assert everything(ada.ws, ada.ws.user) == before
        secrets = {"a secret fox", "Secret foxes", ada.ws.user, *hers["asset"]}
        for _, content in bob.wire.sent:
            check_nothing_of_hers(content, secrets, ids)
        page = Page(bob.wire)
        data = page.hello(token=BOB)
        assert own in {row["id"] for row in data["topics"]}
        assert {row["mine"] for row in data["topics"]} == {True}


def belongings(ada: Guest) -> dict[str, list[str]]:
    """Make something of each sort, and return the ids."""
    cursor = ada.page.cursor
    page = ada.page
    project = page.call("project.create", title="Secret foxes")["project"]["id"]
    topic = page.call("topic.create", title="Secret foxes", project_id=project)["topic"]["id"]
    page.call("desk.set", n=1, topic_id=topic, draft="a secret fox")
    page.open(topic)
    done = page.call("submit", client_key="k1", prompt="a secret fox", n=2, **SMALL)
    until(lambda: page.statuses() == ["completed"] * 2, "her pictures")
    generations = [row["id"] for row in done["generations"]]
    page.call("judge", generation_id=generations[0], rating=5, note="a secret fox")
    page.call("pause")
    held = page.call("submit", client_key="k2", prompt="a secret fox", n=1, **SMALL)
    opened = page.call("file.open", kind="image", id=generations[0])["handle"]
    upload = page.call("upload.begin", name="fox.png", size=100)["handle"]
    assets = [row["asset"]["id"] for row in page.of("generation").values() if row["asset"]]
    assert len(assets) == 2
    return {
        "project": [project],
        "topic": [topic],
        "batch": [done["batch"]["id"], held["batch"]["id"]],
        "generation": [*generations, held["generations"][0]["id"]],
        "asset": assets,
        "handle": [opened, upload],
        "cursor": [cursor, page.cursor],
    }


def forgeries(op: str, hers: dict[str, list[str]], own: str) -> Iterator[dict[str, Any]]:
    """Arguments of an operation with her ids in every place where one fits."""
    form = protocol.OPS[op]
    rows = [id for kind in ("project", "topic", "batch", "generation") for id in hers[kind]]
    texts: dict[str, list[Any]] = {
        "direction": ["older", "newer", "next", "previous"],
        "kind": ["original", "image", "zip"],
        "entity": ["project", "topic", "batch", "generation"],
        "outcome": ["repeat", "give_up", "discard"],
        "cursor": hers["cursor"],
        "handle": hers["handle"],
        "client_key": ["k1", "k2"],
        "prompt": ["a boat"],
        "title": ["Boats"],
    }

    def values(name: str, kind: str) -> list[Any]:
        if kind == "id":
            return [*rows, own] if name == "topic_id" else rows
        if kind == "ids":
            return [rows]
        if kind == "texts":
            return [[id] for id in (*hers["asset"], *hers["generation"])]
        if kind == "flag":
            return [True]
        if kind == "whole":
            return [0, 5]
        return texts.get(name, [])

    required = [(name, values(name, kind)) for name, kind in form.required.items()]
    optional = [(name, values(name, kind)) for name, kind in form.optional.items()]
    for chosen in itertools.product(*(found for _, found in required)):
        args = dict(zip((name for name, _ in required), chosen, strict=True))
        yield args
        for name, found in optional:
            for value in found:
                yield {**args, name: value}


def attempt(bob: Guest, op: str, args: dict[str, Any]) -> None:
    bob.wire.channel.gate._buckets[protocol.OPS[op].rate].tokens = 100  # not what is tested here
    rid = f"q{next(_numbers)}"
    content = {"op": op, "rid": rid, "client": bob.page.name, "args": args}
    bob.wire.channel.receive(content, [b"x"] if op == "upload.chunk" else [])
    if protocol.OPS[op].rate is protocol.Rate.BEAT or op == "abort":
        return
    until(lambda: bob.page.answered(rid), f"the answer to {op} {args}")
    _, buffers = bob.page._answers[rid]
    assert op == "file.read" or buffers == [], (op, args)


def check_nothing_of_hers(content: dict[str, Any], secrets: set[str], ids: set[str]) -> None:
    text = json.dumps(content)
    for secret in secrets:
        assert secret not in text, content
    if content.get("ok") is False:
        return  # "There is no topic …" says again what he asked for
    for row in [value for value in nested(content) if isinstance(value, dict)]:
        assert row.get("id") not in ids or row.keys() <= {"id", "error", "e", "k", "rev"}, content


def nested(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from nested(item)


_numbers = itertools.count()


def test_visitors_see_what_is_shared_and_change_nothing_of_it(
    arrival: Opener, workspace_home: Path
) -> None:
    with wb.open(workspace_home / "ws", user="lab", run_jobs=False) as lab:
        topic = lab.create_topic("Gallery")
        topic.visibility = "workspace"
        batch = lab.generate("a lighthouse", topic=topic, n=1, width=64, height=64)
        with guest(arrival(run_jobs=False), ADA) as ada:
            feed = ada.page.open(topic.id)
            assert [row["mine"] for row in feed["batches"]] == [False]
            for op, args in (
                ("topic.update", {"id": topic.id, "title": "Mine"}),
                ("delete", {"entity": "batch", "id": batch.id}),
                ("cancel", {"batch_id": batch.id}),
                ("retry_failed", {"batch_id": batch.id}),
                ("run_next", {"generation_id": batch.generations[0].id}),
                ("submit", {"client_key": "k", "prompt": "x", "topic_id": topic.id}),
            ):
                bad = ada.page.answer(ada.page.send(op, args))
                changed = bad["ok"] and (bad["data"].get("cancelled") or bad["data"].get("batch"))
                assert not changed, (op, bad)
        assert (topic.title, batch.status) == ("Gallery", "queued")
