"""`jupyter workbench lab`: a real server, a real browser, every cell of the tour."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Page, sync_playwright

from tests.browser.ensure_browser import browser_or_skip
from tests.browser.servers import JupyterServer

REPOSITORY = Path(__file__).parents[2]
ARTIFACTS = REPOSITORY / "tests" / "artifacts"
NOTEBOOK = "00_quickstart.ipynb"
TOUR = "01_python_api.ipynb"
PLUGIN = "03_write_a_provider.ipynb"
APP = "app.ipynb"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[JupyterServer]:
    """`jupyter-workbench lab` as a person calls it, in an empty folder, with an empty home."""
    server = JupyterServer(tmp_path / "project", tmp_path / "home", extra=())
    server.start()
    yield server
    server.stop()


@pytest.mark.req("APP-1", "APP-2")
def test_lab_serves_the_notebook_and_one_interrupt_ends_it_cleanly(lab: JupyterServer) -> None:
    listing = lab.get("api/contents")
    assert sorted(item["name"] for item in listing["content"]) == [NOTEBOOK, TOUR, PLUGIN, APP]
    assert lab.get(f"api/contents/{NOTEBOOK}?content=0")["type"] == "notebook"
    assert f"/lab/tree/{NOTEBOOK}" in lab.said()
    assert lab.interrupt() == 0
    said = lab.said()
    assert "Traceback" not in said
    assert "PromptWebsocketConnection" not in said  # no complaint about our setting
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", lab.port)) != 0


@pytest.mark.req("APP-1")
def test_a_port_that_is_taken_is_an_error_and_not_another_port(lab: JupyterServer) -> None:
    command = Path(sys.executable).with_name("jupyter-workbench")
    done = subprocess.run(
        [str(command), "lab", "--no-browser", "--port", str(lab.port)],
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
        cwd=lab.folder,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode != 0
    assert str(lab.port) in done.stderr


@pytest.mark.faults  # long
@pytest.mark.req("APP-1", "LAY-10")
def test_every_cell_of_the_tour_runs_in_a_real_jupyterlab(lab: JupyterServer) -> None:
    found = browser_or_skip()
    ARTIFACTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**found.launch_options)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(90_000)
        page.goto(lab.url(f"lab/tree/{TOUR}"))
        run_all(page, lab.folder / TOUR)
        page.screenshot(path=ARTIFACTS / "lab-tour-end.png")
        outputs = page.locator(".jp-OutputArea-output img[src^='data:image/webp']")
        page.locator(".jp-Cell").nth(6).scroll_into_view_if_needed()
        outputs.first.wait_for()
        assert outputs.first.evaluate("image => image.naturalWidth") > 0
        page.screenshot(path=ARTIFACTS / "lab-tour.png")
        browser.close()
    done = nbformat.read(lab.folder / TOUR, as_version=4)
    assert failures_of(done.cells) == []
    text = json.dumps(done)
    assert text.count("data:image/webp;base64,") >= 20
    assert len(text) < 3_000_000
    assert (lab.folder / ".workbench" / ".gitignore").read_text().strip() == "*"
    assert lab.interrupt() == 0


def failures_of(cells: list[Any]) -> list[tuple[str, str, str]]:
    return [
        (cell["id"], output["ename"], output["evalue"])
        for cell in cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "error"
    ]


def run_all(page: Page, path: Path) -> None:
    """Run all cells by the menu, and save until the last one has an output in the file."""
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=120_000)
    page.locator(".jp-NotebookPanel-toolbar").get_by_text("Python 3").wait_for(timeout=120_000)
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
    page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        page.wait_for_timeout(2_000)
        page.keyboard.press("Control+s")
        page.wait_for_timeout(1_000)
        cells = nbformat.read(path, as_version=4).cells
        codes = [cell for cell in cells if cell.cell_type == "code"]
        if (codes[-1].execution_count is not None and codes[-1].outputs) or failures_of(cells):
            return
    pytest.fail("the cells did not end")
