"""Opening, sharing, closing, forking, and going on after the process that ran the jobs is gone."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import workbench as wb
from tests.workspace.workspace_world import SMALL
from workbench.testing.providers import FakeProvider
from workbench.workspace.location import resolve, resolve_user


def test_the_same_folder_twice_is_one_engine_that_closes_with_the_last(workspace_home):
    first = wb.open(workspace_home / "ws", user="ada")
    second = wb.open(str(workspace_home / "other" / ".." / "ws"), user="bob")
    assert first._engine is second._engine
    first.close()
    first.close()
    with pytest.raises(wb.EngineClosed, match="open it again"):
        first.topics()
    assert second.topics() == []
    engine = second._engine
    second.close()
    assert engine.closed
    with wb.open(workspace_home / "ws") as third:
        assert third._engine is not engine


@pytest.mark.req("FEED-9")
def test_what_is_queued_at_the_end_is_done_by_whoever_opens_next(workspace_home):
    with wb.open(workspace_home / "ws", user="ada") as workspace:
        batch = workspace.generate("a fox", n=3, delay_ms=200, **SMALL)
        id = batch.id
    with wb.open(workspace_home / "ws", user="ada") as workspace:
        again = workspace.batch(id)
        assert not wb.is_terminal(again.status) or again.status == "completed"
        again.wait(60)
        assert [g.status for g in again.generations] == ["completed"] * 3
        assert len(again.all_generations()) == 3
        assert workspace.doctor().ok, workspace.doctor().problems


def test_closing_with_wait_finishes_what_is_queued(workspace_home):
    workspace = wb.open(workspace_home / "ws", user="ada")
    batch = workspace.generate("a fox", n=3, **SMALL)
    workspace.close(wait=True)
    with wb.open(workspace_home / "ws", user="ada", run_jobs=False) as again:
        assert again.batch(batch.id).status == "completed"


async def test_a_workspace_is_an_async_context_manager(workspace_home):
    async with wb.open(workspace_home / "ws") as workspace:
        batch = await workspace.generate("a fox", **SMALL)
        assert batch.status == "completed"
    with pytest.raises(wb.EngineClosed):
        workspace.topics()


@pytest.mark.req("RES-4")
def test_a_plain_script_that_just_ends_loses_nothing(workspace_home):
    script = textwrap.dedent(
        """
        import sys, workbench as wb
        ws = wb.open(sys.argv[1], user="ada")
        batch = ws.generate("a fox", n=4, delay_ms=300, width=64, height=64, steps=4)
        print(batch.id)
        """
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(workspace_home / "ws")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    with wb.open(workspace_home / "ws", user="ada") as workspace:
        batch = workspace.batch(done.stdout.strip())
        assert batch.wait(60).status == "completed"
        assert {g.status for g in batch.generations} == {"completed"}
        assert workspace.doctor().ok, workspace.doctor().problems


def _use_in_child(workspace, queue):
    try:
        workspace.topics()
    except wb.EngineClosed as error:
        queue.put(("refused", str(error)))
    with wb.open(workspace.path, user="child") as own:
        batch = own.generate("from a child", **SMALL).wait(30)
        queue.put(("own", str(batch.status)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Not on Windows: the test forks a process.")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_is_told_to_open_its_own_and_the_parent_goes_on(ws):
    ws.generate("before", **SMALL).wait(60)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_use_in_child, args=(ws, queue))
    child.start()
    first, second = queue.get(timeout=45), queue.get(timeout=45)
    child.join(30)
    assert first[0] == "refused"
    assert "fork" in first[1]
    assert second == ("own", "completed")
    assert child.exitcode == 0
    assert ws.generate("after", **SMALL).wait(60).status == "completed"


@pytest.mark.parametrize(
    "location", ["", "a\0b", 5, "mysql://x/y", "sqlite://host/x", "postgresql://x/y", b"bytes"]
)
def test_locations_that_cannot_be_opened_are_refused(workspace_home, location):
    with pytest.raises(wb.InvalidRequest, match="location"):
        wb.open(location)


def test_a_file_is_no_workspace(workspace_home):
    (workspace_home / "file").write_text("x")
    with pytest.raises(wb.WorkbenchError, match="file"):
        wb.open(workspace_home / "file")


def test_the_default_folder_is_the_nearest_one_upwards(workspace_home, monkeypatch):
    (workspace_home / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(workspace_home / "a" / "b")
    assert resolve(None) == workspace_home / "a" / "b" / ".workbench"
    (workspace_home / ".workbench").mkdir()
    assert resolve(None) == workspace_home / ".workbench"
    monkeypatch.setenv("JPY_SESSION_NAME", str(workspace_home / "a" / "note.ipynb"))
    assert resolve(None) == workspace_home / ".workbench"
    monkeypatch.setenv("WORKBENCH_HOME", str(workspace_home / "home"))
    assert resolve(None) == workspace_home / "home"
    monkeypatch.setenv("WORKBENCH_HOME", " ")
    with pytest.raises(wb.ConfigurationError, match="WORKBENCH_HOME"):
        resolve(None)
    assert resolve("sqlite:///rel") == Path.cwd() / "rel"
    assert resolve(f"sqlite:///{workspace_home}/x y%20z") == workspace_home / "x y z"


def test_the_workspace_folder_is_private_and_kept_out_of_git(ws):
    assert ws.path.stat().st_mode & 0o777 == 0o700
    assert (ws.path / "workbench.sqlite3").stat().st_mode & 0o777 == 0o600
    assert (ws.path / ".gitignore").read_text().strip() == "*"


@pytest.mark.parametrize("user", ["", " ", "x" * 300, "a\nb", 5])
def test_names_that_cannot_own_rows_are_refused(workspace_home, user):
    with pytest.raises(wb.InvalidRequest):
        wb.open(workspace_home / "ws", user=user)


def test_the_user_comes_from_the_environment_or_the_system(monkeypatch):
    monkeypatch.setenv("WORKBENCH_USER", "grace")
    assert resolve_user(None) == "grace"
    assert resolve_user("ada") == "ada"
    monkeypatch.delenv("WORKBENCH_USER")
    assert resolve_user(None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[runner]\nmax_job = 3", "Did you mean 'runner_max_jobs'"),
        ("[runner]\nmax_jobs = 0", "from 1 to 1000"),
        ("[media]\nmax_bytes = 'big'", "whole number"),
        ("default_model = 5", "default_model"),
        ("not toml", "not TOML"),
    ],
)
def test_a_wrong_settings_file_is_explained(workspace_home, monkeypatch, text, words):
    file = workspace_home / "my.toml"
    file.write_text(text)
    monkeypatch.setenv("WORKBENCH_CONFIG", str(file))
    with pytest.raises(wb.ConfigurationError, match=words):
        wb.open(workspace_home / "ws")
    monkeypatch.setenv("WORKBENCH_CONFIG", str(workspace_home / "missing.toml"))
    with pytest.raises(wb.ConfigurationError, match="does not exist"):
        wb.open(workspace_home / "ws")


@pytest.mark.req("LIVE-11")
def test_a_bug_on_the_engines_loop_is_told_in_the_event_log_once(ws, caplog):
    heard = threading.Semaphore(0)

    def broken():
        heard.release()
        raise ZeroDivisionError("a bug")

    ws._engine.subscribe(broken)
    ws._engine.loop.loop.call_soon_threadsafe(broken)
    for title in ("a", "b"):
        ws.create_topic(title)
        assert heard.acquire(timeout=30)
    deadline = time.monotonic() + 30
    while len(entries := ws.debug.entries(kind="runner")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(entries) == 2, "one of each kind"
    assert {entry.level for entry in entries} == {"error"}
    assert all("ZeroDivisionError: a bug" in entry.text for entry in entries)
    assert all("in broken" in str(entry.data["traceback"]) for entry in entries)


def test_a_plugin_that_cannot_close_is_told_of_and_the_workspace_closes(workspace_home):
    class Clumsy(FakeProvider):
        async def close(self):
            raise ZeroDivisionError("a bug")

    with wb.open(workspace_home / "ws") as workspace:
        workspace.add_provider(Clumsy("clumsy"))
    with wb.open(workspace_home / "ws", run_jobs=False) as again:
        (entry,) = again.debug.entries(kind="plugin")
    assert entry.text == ("The provider 'clumsy' could not be closed: ZeroDivisionError('a bug')")
    assert "in close" in str(entry.data["traceback"])


@pytest.mark.req("PRV-3")
def test_a_broken_plugin_is_reported_and_hurts_nobody(workspace_home, monkeypatch):
    from importlib import metadata

    from workbench.workspace import plugins

    real = plugins.entry_points
    broken = metadata.EntryPoint("broken", "no.such.module:Provider", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [broken, *real(group=group)])
    with wb.open(workspace_home / "ws", run_jobs=False) as workspace:
        states = {info.name: info.state for info in workspace.providers()}
        assert not states["broken"].ready
        assert "could not be loaded" in states["broken"].message
        assert states["builtin"].ready
        assert workspace.debug.entries(kind="plugin")
        assert any("broken" in warning for warning in workspace.doctor().warnings)
