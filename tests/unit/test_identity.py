"""Whose rows a process makes and sees: local, jupyterhub, header, anonymous."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from workbench.domain.records import Identity
from workbench.jupyter.cli import main
from workbench.workspace import identity
from workbench.workspace.identity import MODES, Owner, Visitor, resolve_owner, user_of_token
from workbench.workspace.workspace import Workspace

TOKEN = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
SECRET = "a proxy's secret, long enough"
SMALL: dict[str, Any] = {"width": 64, "height": 64}


def user(folder: Path, given: str | None = None) -> str:
    return resolve_owner(given, None, folder).identity.user


@pytest.fixture
def visitor(monkeypatch: pytest.MonkeyPatch) -> Visitor:
    """This process serves a visitor who is not known yet."""
    monkeypatch.setenv("WORKBENCH_IDENTITY", "anonymous")
    monkeypatch.setattr(identity, "_visitor", Visitor())
    return identity._visitor


# -- local, jupyterhub --------------------------------------------------------------------------


@pytest.mark.req("TOP-5")
def test_locally_it_is_the_named_user_or_the_systems(
    workspace_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mode in ("", "local"):
        monkeypatch.setenv("WORKBENCH_IDENTITY", mode)
        monkeypatch.delenv("WORKBENCH_USER", raising=False)
        assert user(workspace_home)
        monkeypatch.setenv("WORKBENCH_USER", "grace")
        assert user(workspace_home) == "grace"
        assert resolve_owner(None, "lab", workspace_home).identity.team == "lab"


@pytest.mark.req("TOP-5")
def test_on_a_hub_it_is_the_hubs_user_and_nobody_else(
    workspace_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_IDENTITY", "jupyterhub")
    monkeypatch.setenv("WORKBENCH_USER", "grace")  # means nothing here
    for missing in (None, "", " ", "a\nb", "x" * 300):
        if missing is not None:
            monkeypatch.setenv("JUPYTERHUB_USER", missing)
        with pytest.raises(wb.ConfigurationError, match="JUPYTERHUB_USER"):
            wb.open(workspace_home / "ws")
    assert not (workspace_home / "ws").exists()
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    with wb.open(workspace_home / "ws", run_jobs=False) as ws:
        assert (ws.user, ws._owner.mode) == ("ada", "jupyterhub")


def test_who_is_named_in_python_is_that_user_in_every_mode(
    workspace_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mode in MODES:
        monkeypatch.setenv("WORKBENCH_IDENTITY", mode)
        owner = resolve_owner("ada", None, workspace_home)
        assert (owner.identity.user, owner.known, owner.mode) == ("ada", True, "local")


@pytest.mark.parametrize("mode", ["Local", "anon", "anonymous ", "none", "\x1b[31m", "x" * 9999])
def test_a_mode_that_is_none_is_a_sentence(
    workspace_home: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("WORKBENCH_IDENTITY", mode)
    with pytest.raises(wb.ConfigurationError, match="WORKBENCH_IDENTITY") as caught:
        wb.open(workspace_home / "ws")
    assert "anonymous" in str(caught.value) or "local" in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)


# -- header -------------------------------------------------------------------------------------


@pytest.fixture
def behind_a_proxy(workspace_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_IDENTITY", "header")
    monkeypatch.setenv("WORKBENCH_PROXY_SECRET", SECRET)
    monkeypatch.setenv("HTTP_X_FORWARDED_USER", "ada")
    monkeypatch.setenv("HTTP_X_WORKBENCH_SECRET", SECRET)
    return workspace_home


@pytest.mark.req("TOP-5")
def test_a_proxy_names_the_user(behind_a_proxy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with wb.open(behind_a_proxy / "ws", run_jobs=False) as ws:
        assert (ws.user, ws._owner.mode) == ("ada", "header")
    settings = behind_a_proxy / "settings.toml"
    settings.write_text('[identity]\nheader = "Remote-User"\nsecret_header = "X-My-Secret"\n')
    monkeypatch.setenv("WORKBENCH_CONFIG", str(settings))
    with pytest.raises(wb.ConfigurationError, match="X-My-Secret"):
        user(behind_a_proxy)
    monkeypatch.setenv("HTTP_X_MY_SECRET", SECRET)
    with pytest.raises(wb.ConfigurationError, match="Remote-User must name the user"):
        user(behind_a_proxy)
    monkeypatch.setenv("HTTP_REMOTE_USER", "grace")
    assert user(behind_a_proxy) == "grace"


@pytest.mark.req("TOP-5")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKBENCH_PROXY_SECRET", None),
        ("WORKBENCH_PROXY_SECRET", ""),
        ("WORKBENCH_PROXY_SECRET", "short"),
        ("WORKBENCH_PROXY_SECRET", SECRET + "!"),
        ("HTTP_X_WORKBENCH_SECRET", None),
        ("HTTP_X_WORKBENCH_SECRET", ""),
        ("HTTP_X_WORKBENCH_SECRET", f"{SECRET},{SECRET}"),
        ("HTTP_X_WORKBENCH_SECRET", "é\udcff"),
        ("HTTP_X_FORWARDED_USER", None),
        ("HTTP_X_FORWARDED_USER", ""),
        ("HTTP_X_FORWARDED_USER", "mallory,ada"),
        ("HTTP_X_FORWARDED_USER", "a\tb"),
        ("HTTP_X_FORWARDED_USER", user_of_token(TOKEN)),
    ],
)
def test_without_the_proxys_word_there_is_no_user(
    behind_a_proxy: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WORKBENCH_USER", "grace")
    monkeypatch.setenv("JUPYTERHUB_USER", "grace")
    with pytest.raises(wb.ConfigurationError) as caught:
        wb.open(behind_a_proxy / "ws")
    assert SECRET not in str(caught.value)
    assert not (behind_a_proxy / "ws").exists()


@pytest.mark.parametrize("header", ["", "X User", "X:User", "ü", "-x", "x" * 200, 5, True])
def test_a_header_that_is_none_is_a_sentence(behind_a_proxy: Path, header: Any) -> None:
    folder = behind_a_proxy / "ws"
    folder.mkdir()
    value = f'"{header}"' if isinstance(header, str) else str(header).lower()
    (folder / "config.toml").write_text(f"[identity]\nheader = {value}\n", "utf-8")
    with pytest.raises(wb.ConfigurationError, match="header"):
        wb.open(folder)


def test_one_header_for_both_is_refused(behind_a_proxy: Path) -> None:
    folder = behind_a_proxy / "ws"
    folder.mkdir()
    (folder / "config.toml").write_text('[identity]\nheader = "x-workbench-secret"\n', "utf-8")
    with pytest.raises(wb.ConfigurationError, match="both"):
        wb.open(folder)


def test_commands_serve_everybody_whatever_pages_are_told(
    behind_a_proxy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with wb.open(behind_a_proxy / "ws", run_jobs=False) as ws:
        batch = ws.generate("a fox", **SMALL)
        monkeypatch.delenv("HTTP_X_WORKBENCH_SECRET")
        for mode in MODES:
            monkeypatch.setenv("WORKBENCH_IDENTITY", mode)
            assert main(["worker", "--once", "--workspace", str(ws.path)]) == 0
            assert main(["doctor", "--quick", "--workspace", str(ws.path)]) == 0
        assert batch.status == "completed"
    capsys.readouterr()


# -- visitors -----------------------------------------------------------------------------------


@pytest.mark.req("TOP-5")
def test_a_token_gives_the_same_user_always_and_is_not_given_away(visitor: Visitor) -> None:
    assert user_of_token(TOKEN) == "visitor-14558fdba512bf16a08771814cd16495"
    assert user_of_token(OTHER) != user_of_token(TOKEN)
    visitor.recognise(TOKEN)
    assert visitor.user == user_of_token(TOKEN)
    owner = Owner(Identity(""), visitor)
    for text in (repr(visitor), repr(owner), str(owner.identity), user_of_token(TOKEN)):
        assert TOKEN not in text
    kept = {name: getattr(visitor, name) for name in Visitor.__slots__}
    assert TOKEN not in str(kept)
    with pytest.raises(TypeError):
        pickle.dumps(visitor)
    with pytest.raises(TypeError):
        copy.deepcopy(visitor)


@pytest.mark.req("TOP-5")
@pytest.mark.parametrize(
    "token",
    [
        None, "", 5, True, [], {}, TOKEN.encode(), TOKEN.upper(), TOKEN[:-1], TOKEN + "0",
        TOKEN + "\n", " " + TOKEN, "g" * 32, "０" * 32, "\0" * 32, "0" * 999_999,
        f"visitor-{TOKEN}",
    ],
    ids=lambda token: f"{type(token).__name__}-{str(token)[:12]!r}",
)  # fmt: skip
def test_what_is_no_token_recognises_nobody(visitor: Visitor, token: object) -> None:
    before = visitor.user
    for _ in range(2):
        with pytest.raises(wb.NotAllowed) as caught:
            visitor.recognise(token)
        assert len(str(caught.value)) < 100
    assert (visitor.known, visitor.user) == (False, before)
    visitor.recognise(TOKEN)
    with pytest.raises(wb.NotAllowed):
        visitor.recognise(token)
    assert visitor.user == user_of_token(TOKEN)


@pytest.mark.req("TOP-5")
def test_the_first_token_counts_and_no_other_one_later(visitor: Visitor) -> None:
    visitor.recognise(TOKEN)
    visitor.recognise(TOKEN)
    with pytest.raises(wb.NotAllowed, match="somebody else") as caught:
        visitor.recognise(OTHER)
    assert OTHER not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert visitor.user == user_of_token(TOKEN)


def test_of_many_tokens_at_once_one_wins(visitor: Visitor) -> None:
    tokens = [f"{n:032x}" for n in range(16)]
    admitted: list[str] = []
    start = threading.Barrier(len(tokens))

    def come(token: str) -> None:
        start.wait(10)
        try:
            visitor.recognise(token)
        except wb.NotAllowed:
            return
        admitted.append(token)

    threads = [threading.Thread(target=come, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [user_of_token(token) for token in admitted] == [visitor.user]


@pytest.mark.req("TOP-5")
def test_nobody_owns_nothing_until_the_visitor_is_known(
    visitor: Visitor, workspace_home: Path
) -> None:
    with wb.open(workspace_home / "ws", user="ada", run_jobs=False) as ada:
        mine = ada.create_topic("Foxes")
        ada.generate("a fox", topic=mine, **SMALL)
        with wb.open(workspace_home / "ws", run_jobs=False) as ws:
            assert ws.user.startswith("visitor-")
            assert ws.user != user_of_token(TOKEN)
            assert (ws.topics(), ws.projects(), list(ws.generations())) == ([], [], [])
            with pytest.raises(wb.NotFound):
                ws.topic(mine.id)
            before = everything(ada)
            for act in acts(ws):
                with pytest.raises(wb.NotAllowed, match="visitor"):
                    act()
            assert everything(ada) == before
            visitor.recognise(TOKEN)
            assert ws.user == user_of_token(TOKEN)
            for act in acts(ws):
                act()
            assert {topic.record.owner for topic in ws.topics()} == {user_of_token(TOKEN)}


def acts(ws: Workspace) -> list[Any]:
    return [
        lambda: ws.create_topic("x"),
        lambda: ws.create_project("x"),
        lambda: ws.generate("a fox", **SMALL),
        lambda: ws.grant(5),
        ws.cancel_all,
        ws.pause,
        ws.resume,
    ]


def everything(ws: Workspace) -> list[Any]:
    tables = ("project", "topic", "batch", "generation", "job", "ledger", "preference", "change")
    return [ws.sql(f"SELECT * FROM {table}").to_dict("records") for table in tables]


@pytest.mark.req("TOP-5")
def test_what_was_opened_for_the_visitor_follows_and_hears_what_is_his(
    visitor: Visitor, workspace_home: Path
) -> None:
    heard: list[str] = []
    came = threading.Event()

    def hear(event: dict[str, Any]) -> None:
        heard.append(event["owner"])
        came.set()

    with (
        wb.open(workspace_home / "ws", run_jobs=False) as ws,
        wb.open(workspace_home / "ws", run_jobs=False, team="lab") as team,
        wb.open(workspace_home / "ws", user="ada", run_jobs=False) as ada,
    ):
        stop = ws.on("topic_insert", hear)
        visitor.recognise(TOKEN)
        assert ws.identity == Identity(user_of_token(TOKEN))
        assert (team.user, team.team) == (ws.user, "lab")
        assert ada.user == "ada"
        ada.create_topic("not to be heard")
        topic = ws.create_topic("Foxes")
        assert came.wait(10)
        assert heard == [ws.user]
        stop()
        assert ws._engine.dispatcher._listeners == {}
        assert team.topic(topic.id).title == "Foxes"


def test_a_token_is_in_no_row_and_in_no_log(
    visitor: Visitor, workspace_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with wb.open(workspace_home / "ws", run_jobs=False) as ws:
        visitor.recognise(TOKEN)
        ws.create_topic("Foxes")
        with pytest.raises(wb.NotAllowed):
            visitor.recognise(OTHER)
        text = repr(ws) + caplog.text
    files = b"".join(path.read_bytes() for path in (workspace_home / "ws").rglob("*.sqlite3*"))
    for token in (TOKEN, OTHER):
        assert token not in text
        assert token.encode() not in files
    assert user_of_token(TOKEN).encode() in files


def test_a_fork_serves_the_same_visitor(visitor: Visitor) -> None:
    visitor.recognise(TOKEN)
    visitor._lock.acquire()  # as a thread might have it
    child = os.fork()
    if child == 0:
        visitor.renew_lock()  # the process's own visitor does that by itself
        visitor.recognise(TOKEN)
        os._exit(0 if visitor.user == user_of_token(TOKEN) else 1)
    visitor._lock.release()
    assert os.waitpid(child, 0)[1] == 0


# -- other variables ----------------------------------------------------------------------------


def test_jobs_run_here_unless_the_environment_or_the_caller_says_no(
    workspace_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases: list[tuple[str | None, bool | None, bool]] = [
        (None, None, True),
        ("", None, True),
        ("1", None, True),
        ("0", None, False),
        ("0", True, True),
        ("1", False, False),
    ]
    for said, given, runs in cases:
        if said is not None:
            monkeypatch.setenv("WORKBENCH_RUN_JOBS", said)
        with wb.open(workspace_home / "ws", run_jobs=given) as ws:
            assert (ws._engine.runner is not None) is runs, (said, given)
    monkeypatch.setenv("WORKBENCH_RUN_JOBS", "no")
    with pytest.raises(wb.ConfigurationError, match="WORKBENCH_RUN_JOBS must be 0 or 1"):
        wb.open(workspace_home / "ws")


def test_the_doctor_knows_the_variables(
    workspace_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_IDENTITY", "local")
    monkeypatch.setenv("WORKBENCH_PROXY_SECRET", SECRET)
    monkeypatch.setenv("WORKBENCH_RUN_JOBS", "0")
    monkeypatch.setenv("WORKBENCH_TEMPORARY", "1")
    monkeypatch.setenv("WORKBENCH_IDENTTY", "local")
    with wb.open(workspace_home / "ws") as ws:
        named = [line for line in ws.doctor(deep=False).warnings if "WORKBENCH_" in line]
    assert named == ["WORKBENCH_IDENTTY is set but not known; WORKBENCH_IDENTITY is."]
