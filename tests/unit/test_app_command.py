"""`jupyter workbench app` before it starts anything: what it is asked, and what it hands on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench.jupyter import app, cli
from workbench.jupyter.supervise import Part

KEYS = (
    "OPENAI_API_KEY",
    "REPLICATE_API_TOKEN",
    "FAL_KEY",
    "HF_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "JUPYTERHUB_API_TOKEN",
    "PGPASSWORD",
    "MY_PASSWORD",
    "CLIENT_SECRET",
    "some_api_key",
)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Part]:
    """What would be started: server and worker."""
    parts: list[Part] = []

    def supervise(server: Part, worker: Part, _stop: object) -> int:
        parts.extend([server, worker])
        return 0

    monkeypatch.setattr(app, "supervise", supervise)
    return parts


@pytest.mark.req("APP-2")
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--port", "0"], "port"),
        (["--notebook", "nowhere.ipynb"], "--notebook"),
        (["--notebook", "notes.txt"], "--notebook"),
        (["--workspace", "a-file"], "--workspace"),
        (["--identity", "alice"], "--identity"),
        (["--identity", "jupyterhub"], "JUPYTERHUB_USER"),
        (["--identity", "header"], "WORKBENCH_PROXY_SECRET"),
        (["--theme", "blue"], "--theme"),
        (["--preheat", "-1"], "--preheat"),
        (["--preheat", "many"], "--preheat"),
        (["--config", "nowhere.toml"], "--config"),
        (["--config", "broken.toml"], "broken.toml"),
        (["--config", "unknown.toml"], "visitors_picturs"),
        (["--public"], "--public"),
        (["stray"], "stray"),
        (["--", "another.ipynb"], "--notebook"),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_starts_nothing(
    arguments: list[str],
    word: str,
    workspace_home: Path,
    started: list[Part],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (workspace_home / "a-file").touch()
    (workspace_home / "broken.toml").write_text("[visitors")
    (workspace_home / "unknown.toml").write_text("[visitors]\npicturs = 3")
    assert cli.main(["app", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert word in said
    assert not started


def test_a_header_that_a_kernel_could_not_have_seen_is_refused(
    workspace_home: Path,
    started: list[Part],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WORKBENCH_PROXY_SECRET", "a-secret-of-the-proxy")
    assert cli.main(["app", "--identity", "header", "--preheat", "2"]) == 2
    assert "--preheat" in capsys.readouterr().err
    assert not started


@pytest.mark.req("APP-2")
def test_page_kernels_get_no_key_and_run_no_jobs_and_the_worker_does_both(
    workspace_home: Path, started: list[Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KEYS:
        monkeypatch.setenv(name, "a-secret-value")
    monkeypatch.setenv("WORKBENCH_PROXY_SECRET", "a-secret-value-of-the-proxy")
    assert cli.main(["app", "--workspace", "pictures"]) == 0
    server, worker = started
    folder = workspace_home / "pictures"
    assert server.environment["WORKBENCH_HOME"] == str(folder)
    assert server.environment["WORKBENCH_RUN_JOBS"] == "0"
    assert server.environment["WORKBENCH_IDENTITY"] == "anonymous"
    assert server.environment["PATH"] == os.environ["PATH"]
    assert not [name for name, value in server.environment.items() if "a-secret" in value]
    assert [worker.environment[name] for name in KEYS] == ["a-secret-value"] * len(KEYS)
    for name in ("WORKBENCH_RUN_JOBS", "WORKBENCH_IDENTITY", "WORKBENCH_PROXY_SECRET"):
        assert name not in worker.environment
    assert str(folder) in worker.command
    assert not folder.exists()


def test_behind_a_proxy_kernels_get_its_headers_and_its_secret(
    workspace_home: Path, started: list[Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_PROXY_SECRET", "a-secret-of-the-proxy")
    (workspace_home / "mine.toml").write_text('[identity]\nheader = "X-Remote-User"')
    assert cli.main(["app", "--identity", "header", "--config", "mine.toml"]) == 0
    server, _ = started
    assert server.environment["WORKBENCH_PROXY_SECRET"] == "a-secret-of-the-proxy"
    assert server.environment["WORKBENCH_CONFIG"] == str(workspace_home / "mine.toml")
    headers = [one for one in server.command if "http_header_envs" in one]
    assert [one.partition("=")[2] for one in headers] == ["X-Remote-User", "X-Workbench-Secret"]


def test_the_workspace_is_where_the_notebook_would_find_it(
    workspace_home: Path, started: list[Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = workspace_home / "project"
    (project / ".workbench").mkdir(parents=True)
    (project / "deep").mkdir()
    notebook = project / "deep" / "mine.ipynb"
    notebook.write_text("{}")
    assert cli.main(["app", "--notebook", "project/deep/mine.ipynb"]) == 0
    assert started[0].environment["WORKBENCH_HOME"] == str(project / ".workbench")
    assert str(notebook) in started[0].command
    assert cli.main(["app"]) == 0
    assert started[2].environment["WORKBENCH_HOME"] == str(workspace_home / ".workbench")
    monkeypatch.setenv("WORKBENCH_HOME", str(workspace_home / "other"))
    assert cli.main(["app", "--notebook", "project/deep/mine.ipynb"]) == 0
    assert started[4].environment["WORKBENCH_HOME"] == str(workspace_home / "other")


def test_settings_that_the_environment_names_are_found_from_other_folders_too(
    workspace_home: Path, started: list[Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace_home / "mine.toml").touch()
    monkeypatch.setenv("WORKBENCH_CONFIG", "mine.toml")
    assert cli.main(["app"]) == 0
    for part in started:
        assert part.environment["WORKBENCH_CONFIG"] == str(workspace_home / "mine.toml")


def test_what_stands_after_two_dashes_goes_to_the_server(
    workspace_home: Path, started: list[Part]
) -> None:
    assert cli.main(["app", "--theme", "dark", "--preheat", "3", "--", "--Voila.ip=::1"]) == 0
    server, worker = started
    assert server.command[-1] == "--Voila.ip=::1"
    assert "--VoilaConfiguration.theme=dark" in server.command
    assert "--VoilaConfiguration.default_pool_size=3" in server.command
    assert "--Voila.ip=::1" not in worker.command
