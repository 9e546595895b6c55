"""The README says nothing that is not so: its code runs, its names and commands exist."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

import workbench as wb
from workbench.jupyter.cli import build_parser
from workbench.testing.emulators.openai import OpenAIEmulator

pytestmark = pytest.mark.timeout(170)  # pictures are painted

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.req("APP-1")
async def test_the_first_steps_run_as_written(workspace_home: Path) -> None:
    code = compile(BLOCKS[0], "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, object] = {}
    running = eval(code, names)
    if inspect.isawaitable(running):
        await running
    ws = names["ws"]
    assert isinstance(ws, wb.Workspace)
    try:
        assert (workspace_home / "fox.png").stat().st_size > 10_000
        assert ws.balance == 992
    finally:
        await ws.aclose()


@pytest.mark.req("TOK-4")
def test_what_is_said_about_money_runs_as_written(
    workspace_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = BLOCKS[1:]
    with OpenAIEmulator() as server, wb.open() as ws:
        monkeypatch.setenv("OPENAI_API_KEY", server.key or "")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        exec(compile(block, "README.md", "exec"), {"ws": ws})  # our own README
        ws.wait(30)
        assert server.images_charged == 4
        assert list(ws.spend("provider").index) == ["openai"]


@pytest.mark.parametrize(
    ("prefix", "owner"), [("ws", wb.Workspace), ("batch", wb.Batch), ("g", wb.Generation)]
)
def test_every_name_in_the_readme_exists(prefix: str, owner: type) -> None:
    used = set(re.findall(rf"\b{prefix}\.([a-z_]+)", README))
    assert used
    assert {name for name in used if not hasattr(owner, name)} == set()


def test_the_readme_lists_the_commands_that_there_are() -> None:
    listed = set(re.findall(r"^jupyter workbench (\w+)", README, re.MULTILINE))
    (commands,) = (
        action.choices
        for action in build_parser()._actions
        if action.dest == "command" and action.choices is not None
    )
    assert listed == set(commands)
    for line in re.findall(r"^jupyter workbench .*", README, re.MULTILINE):
        options = commands[line.split()[2]]._option_string_actions
        assert set(re.findall(r"--[a-z-]+", line)) <= set(options), line


def test_the_readme_names_targets_of_the_makefile() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert {"lab", "app", "test"} <= named <= targets


@pytest.mark.req("APP-3")
def test_binders_links_open_the_app_first_and_jupyterlab_second() -> None:
    app, lab = re.findall(
        r"https://mybinder\.org/v2/gh/OWNER/REPOSITORY/HEAD\?urlpath=(\S+)\)", README
    )
    assert unquote(app) == "voila/render/notebooks/app.ipynb"
    assert unquote(lab) == "lab/tree/notebooks/00_quickstart.ipynb"


def test_every_file_that_the_readme_names_is_there() -> None:
    # tests/requirements.md is made by `make requirements`, and lies in the repository like these.
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (REPOSITORY / target).exists(), target
    assert (REPOSITORY / "notebooks/images/sketch.webp").stat().st_size <= 300_000
