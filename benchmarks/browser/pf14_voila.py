"""PF-14: a visitor opens the app; when is the first picture there?"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import psutil
from playwright.sync_api import Browser, sync_playwright

from benchmarks.browser.lab import rounds_of, told
from benchmarks.browser.rooms import room
from benchmarks.children import REPOSITORY
from benchmarks.measure import Plan, interleaved, rate_line
from benchmarks.report import Figure, Goal
from tests.browser.ensure_browser import find_browser
from tests.browser.voila_world import AppServer

ID = "PF-14"
_REST_S, _REST_TRIES = 0.8, 75
_RESTING = 0.05  # of a core: four servers with their workers look at their stores now and then
TITLE = "Voilà: page → first picture"
_ROWS = 5_000
_BARE_CELLS = ["from benchmarks.browser.bare import Bare", "Bare()"]
_PICTURE = (
    "[...document.querySelectorAll('[data-testid=thumb]')]"
    ".some(image => image.complete && image.naturalWidth > 0)"
)
_BARE = "document.querySelector('.bench-bare[data-live]') !== null"
# In each frame, from the start of the navigation on.
_WATCH = """(() => {
  const look = () => {
    if (CONDITION) window.benchDone = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""
_NOTES = """\
From the start of the navigation to the frame in which the first picture of a topic of 5,000 stands
  there. Bare: a notebook with an anywidget that was answered once, served by the same command. A
  fresh browser profile each time, nothing cached; its kernel starts with the page ('preheated':
  one is kept ready, as `--preheat 1` does)."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    notebook = plan.folder / "bare.ipynb"
    nbformat.write(_book(_BARE_CELLS), notebook)
    options = {"Workbench": [], "bare anywidget": ["--notebook", notebook]}
    conditions = {"Workbench": _PICTURE, "bare anywidget": _BARE}
    gallery = room(plan.folder, _ROWS)
    apps: dict[str, AppServer] = {}
    try:
        for name, given in options.items():
            for heat in ("cold", "preheated"):
                more = ["--preheat", "1"] if heat == "preheated" else []
                apps[f"{name}, {heat}"] = _app(
                    plan.folder / f"{name} {heat}".replace(" ", "-"), gallery, [*given, *more]
                )
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(**find_browser().launch_options)
            for app in apps.values():
                _at_rest(app)
            cases: dict[str, Callable[[], Any]] = {
                name: told(name, partial(_visit, browser, app, conditions[name.rpartition(",")[0]]))
                for name, app in apps.items()
            }
            found = interleaved(cases, rounds_of(plan))
            browser.close()
    finally:
        for app in apps.values():
            app.stop()
    for name, seen in found.items():
        against: dict[str, Any] = {}
        if name.startswith("Workbench"):
            reference = found[name.replace("Workbench", "bare anywidget")]
            against = {"against": "bare anywidget", "reference": [one["all"] for one in reference]}
            against["goals"] = (Goal(1.25, of="ratio"),)
        figure.add(rate_line(name, [one["all"] for one in seen], "ms", **against))
    figure.notes += _NOTES.splitlines()
    return figure


def _app(base: Path, workspace: Path, options: list[Any]) -> AppServer:
    environment = {"PYTHONPATH": str(REPOSITORY), "WORKBENCH_USER": "bench"}
    app = AppServer(
        base,
        options=["--identity", "local", *options],
        environment=environment,
        workspace=workspace,
    )
    return app.start()


def _visit(browser: Browser, app: AppServer, condition: str) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        context.add_init_script(_WATCH.replace("CONDITION", condition))
        page = context.new_page()
        page.goto(app.url(), timeout=120_000)
        page.wait_for_function("() => window.benchDone !== undefined", timeout=120_000)
        taken = float(page.evaluate("() => window.benchDone"))
    finally:
        context.close()
    _at_rest(app)
    return {"all": taken}


def _at_rest(app: AppServer) -> None:
    """Wait until it computes no more: its kernel has ended, and a preheated one is made anew."""
    for _ in range(_REST_TRIES):
        before = _cpu_s(app)
        time.sleep(_REST_S)
        # Less than before: a kernel ended, and its time is not booked to its parent yet.
        if abs(_cpu_s(app) - before) < _RESTING * _REST_S:
            return
    raise TimeoutError("a server of the app did not come to rest")


def _cpu_s(app: AppServer) -> float:
    main = psutil.Process(app.process.pid)
    spent = 0.0
    for one in [main, *main.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            spent += times.user + times.system + times.children_user + times.children_system
    return spent


def _book(cells: list[str]) -> nbformat.NotebookNode:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    return book
