"""The command line: what it says, how it ends, and that it never shows a traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import workbench as wb
from tests.waiting import until
from workbench.jupyter import cli, lab, worker

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def workspace(workspace_home: Path) -> Path:
    """A workspace with two finished pictures in the default place of the current folder."""
    with wb.open(user="alice") as ws:
        ws.generate("a red fox", n=2, seed=7, width=64, height=64, steps=4).wait(30)
        return ws.path


def run(*arguments: str, timeout: float = 40) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


@pytest.mark.req("APP-2")
@pytest.mark.parametrize("command", ["lab", "app", "worker", "doctor", "backup", "providers"])
def test_each_command_has_a_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "example" in text
    assert f"jupyter workbench {command}" in text


def test_only_commands_that_work_are_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in ("lab", "app", "worker", "doctor", "backup", "providers"):
        assert re.search(rf"^ {{4}}{command}\b", text, re.MULTILINE)
    for later in ("export", "import"):
        assert not re.search(rf"^ {{4}}{later}\b", text, re.MULTILINE)
        assert cli.main([later]) == 2
    assert cli.main([]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["lab", "--port", "70000"],
        ["lab", "--port", "http"],
        ["lab", "--notebook", "nowhere.ipynb"],
        ["lab", "--notebook", "notes.txt"],
        ["lab", "--work", "x"],
        ["lab", "stray"],
        ["worker", "--workspace"],
        ["worker", "--workspace", "a-file"],
        ["worker", "--workspace", "http://example.org"],
        ["worker", "--workspace", "a\0b"],
        ["doctor", "--workspace", "nowhere"],
        ["doctor", "--", "--more"],
        ["backup"],
        ["backup", "copy", "--workspace", "nowhere"],
        ["providers", "--workspace", ""],
    ],
)
def test_a_wrong_command_ends_with_2_and_one_sentence(
    arguments: list[str], workspace_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace_home / "a-file").write_text("text", encoding="utf-8")
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.rstrip().endswith((".", "--help"))
    assert "Traceback" not in said
    assert not (workspace_home / ".workbench").exists()


@pytest.mark.req("APP-2", "DAT-6")
def test_the_doctor_says_ok_and_can_say_it_as_json(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out.startswith("ok\n")
    assert cli.main(["doctor", "--json", "--workspace", str(workspace)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert report["problems"] == []


@pytest.mark.req("APP-2", "DAT-6")
def test_the_doctor_names_a_missing_file_and_ends_with_1(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = next(path for path in (workspace / "files").rglob("*") if path.is_file())
    victim.unlink()
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("1 problem")
    assert "missing" in said
    assert "Traceback" not in said


@pytest.mark.req("APP-2", "DAT-6")
def test_a_backup_is_a_workspace_of_its_own(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    assert cli.main(["backup", str(copy)]) == 0
    assert str(copy) in capsys.readouterr().out
    with wb.open(copy, user="alice", run_jobs=False) as ws:
        assert len(ws.generations(status="completed")) == 2
        assert ws.doctor().ok
    assert cli.main(["backup", str(copy)]) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.req("APP-2", "PRV-1")
def test_providers_lists_state_and_models_without_making_a_workspace(
    workspace_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["providers"]) == 0
    said = capsys.readouterr().out
    assert "builtin:sketch, sketch: free" in said
    assert ": ready" in said
    assert not (workspace_home / ".workbench").exists()
    assert cli.main(["providers", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["models"][0]["id"] == "builtin:sketch"


def test_providers_shows_the_price_that_a_workspace_has_set(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with wb.open(user="alice", run_jobs=False) as ws:
        ws.set_price("sketch", "2.5")
    assert cli.main(["providers"]) == 0
    assert "sketch: 2.5 token" in capsys.readouterr().out


@pytest.mark.req("APP-2")
def test_a_worker_with_once_finishes_the_queue_of_every_user(workspace_home: Path) -> None:
    with wb.open(user="alice", run_jobs=False) as ws:
        batch = ws.generate("a red fox", n=2, width=64, height=64, steps=4).id
    with wb.open(user="bob", run_jobs=False) as ws:
        other = ws.generate("an owl", width=64, height=64, steps=4).id
    done = run("worker", "--once")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Working in ")
    assert lines[-2:] == ["The queue is empty", "Stopped"]
    with wb.open(user="alice", run_jobs=False) as ws:
        assert ws.batch(batch).status == "completed"
    with wb.open(user="bob", run_jobs=False) as ws:
        assert ws.batch(other).status == "completed"


@pytest.mark.timeout(120)
@pytest.mark.req("APP-2")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_worker_gracefully_and_its_job_goes_back(
    number: signal.Signals, workspace_home: Path
) -> None:
    with wb.open(user="alice", run_jobs=False) as ws:
        batch = ws.generate("a red fox", width=64, height=64, steps=20, delay_ms=5_000)
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench", "worker"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        try:
            until(lambda: batch.status == "processing")
            process.send_signal(number)
            # The picture would take almost two minutes: it is not waited for.
            out, err = process.communicate(timeout=45)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0, err
        assert err == ""
        assert out.splitlines()[-1] == "Stopped"
        assert batch.status == "queued"


def test_the_worker_tells_each_state_of_the_queue_once(
    workspace_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with wb.open(user="alice") as ws:
        ws.pause()
        ws.generate("a red fox", n=2, width=64, height=64, steps=4)
        assert worker.describe(worker.job_counts(ws)) == "2 paused"
        ws.resume()
        worker.work(ws, threading.Event(), once=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "The queue is empty"
    assert len(lines) == len({*lines})


def test_the_shipped_notebook_is_copied_once_and_never_overwritten(workspace_home: Path) -> None:
    copy = lab.find_notebook(None, workspace_home)
    assert copy == workspace_home / "00_quickstart.ipynb"
    assert copy.read_bytes() == (lab.shipped_notebooks() / copy.name).read_bytes()
    others = [path.name for path in lab.shipped_notebooks().glob("*.ipynb")]
    assert sorted(path.name for path in workspace_home.glob("*.ipynb")) == sorted(others)
    (workspace_home / "01_python_api.ipynb").unlink()
    copy.write_text("my own work", encoding="utf-8")
    assert lab.find_notebook(None, workspace_home).read_text(encoding="utf-8") == "my own work"
    assert not (workspace_home / "01_python_api.ipynb").exists()  # put away by a person


def test_in_a_checkout_the_notebook_is_opened_where_it_lies() -> None:
    notebook = lab.find_notebook(None, REPOSITORY)
    assert notebook == REPOSITORY / "notebooks" / "00_quickstart.ipynb"
    assert not (REPOSITORY / "00_quickstart.ipynb").exists()


def test_lab_serves_the_current_folder_or_that_of_a_notebook_elsewhere(
    workspace_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUPYTER_GATEWAY_URL", raising=False)
    inside = workspace_home / "deep" / "my notes #1.ipynb"
    inside.parent.mkdir()
    command = lab.lab_command(inside, port=8890, browser=False, extra=["--ServerApp.token=x"])
    assert f"--ServerApp.root_dir={workspace_home}" in command
    assert "--LabApp.default_url=/lab/tree/deep/my%20notes%20%231.ipynb" in command
    assert {"--no-browser", "--ServerApp.port=8890", "--ServerApp.port_retries=0"} < set(command)
    assert command[-1] == "--ServerApp.token=x"
    outside = tmp_path / "elsewhere" / "n.ipynb"
    command = lab.lab_command(outside, port=None, browser=True, extra=[])
    assert f"--ServerApp.root_dir={outside.parent}" in command
    assert "--no-browser" not in command


def test_our_defaults_for_jupyterlab_come_after_those_of_people() -> None:
    alone = lab.config_path(None)
    assert lab.config_path("mine") == f"mine{os.pathsep}{alone}"
    file = Path(alone) / "labconfig" / "default_setting_overrides.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    assert settings["@jupyterlab/apputils-extension:notification"] == {"fetchNews": "false"}


def test_a_gateway_keeps_its_own_kernel_connection(
    workspace_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connection(*extra: str) -> bool:
        command = lab.lab_command(workspace_home / "n.ipynb", port=None, browser=True, extra=extra)
        return any("kernel_websocket_connection_class" in word for word in command)

    assert connection()
    assert not connection("--gateway-url=http://gateway")
    monkeypatch.setenv("JUPYTER_GATEWAY_URL", "http://gateway")
    assert not connection()
