"""PF-4: click Generate; when is the row in the page acknowledged, while a cell blocks?"""

from __future__ import annotations

import random
from typing import Any

from benchmarks.browser.lab import Opened, lab_of, rounds_of, say
from benchmarks.measure import Plan, median, timed_line
from benchmarks.report import Figure, Goal

ID = "PF-4"
TITLE = "click → acknowledged in the page while a cell blocks the kernel"
_CLICK_S = 0.9  # with its pause
_CELL_S = 3

_CELLS = {
    "idle": "",
    "sleeping cell": "import time; time.sleep({seconds})",
    "computing cell": "kernel.burn({seconds})",
}
_PREPARE = """\
import workbench as wb
from benchmarks.browser import kernel
ws = wb.open({folder!r}, user="bench")
steps = kernel.stepping(ws)
topic = ws.create_topic("Clicks")"""
_SHOW = """\
bench = wb.Workbench(ws, height=720)
bench.topic = topic
bench.config.update(model="bench:picture", n=1)
bench"""
_BARE = "bare = kernel.Bare()\nkernel.keep_updating(bare, 0.7)\nbare"
_BUTTON = "kernel.button()"

_NOTES = """\
ours: the click writes a durable request; acknowledged when the card has the kernel's id ('shown':
  when a card of the page's own stands there). bare: an anywidget's message and its answer; its
  trait is set by a thread every 0.7 s, as a live widget's are. ipywidgets: Button.on_click that
  sets a Label; each click 0.5 s after a cell of 3 s began."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    clicks = plan.some(10, 20)
    found: dict[str, dict[str, list[list[float]]]] = {
        name: {kind: [] for kind in ("ours", "shown", "bare", "ipywidgets")} for name in _CELLS
    }
    with lab_of(plan) as lab:
        cells = [_PREPARE.format(folder=str(plan.folder / "clicks")), _SHOW, _BARE, _BUTTON]
        with lab.notebook(cells, run=4) as opened:
            for _ in range(rounds_of(plan)):
                for name, cell in _CELLS.items():
                    for kind, samples in _round(opened, cell, clicks).items():
                        found[name][kind].append(samples)
                        say(f"{name}, {kind}: {median(samples):.0f} ms")
    for name, kinds in found.items():
        goals = (Goal(60.0), Goal(150.0, of="p99")) if name != "idle" else ()
        about: dict[str, Any] = {
            "against": "ipywidgets button",
            "reference": kinds["ipywidgets"],
            "goals": goals,
        }
        figure.add(timed_line(f"Generate, acknowledged, {name}", kinds["ours"], "ms", **about))
        figure.add(timed_line(f"Generate, shown, {name}", kinds["shown"], "ms"))
        figure.add(timed_line(f"bare anywidget, {name}", kinds["bare"], "ms"))
        figure.add(timed_line(f"ipywidgets button, {name}", kinds["ipywidgets"], "ms"))
    figure.notes += _NOTES.splitlines()
    return figure


def _round(opened: Opened, cell: str, clicks: int) -> dict[str, list[float]]:
    notebook = opened.notebook
    draw = random.Random(6)
    samples: dict[str, list[float]] = {"ours": [], "shown": [], "bare": [], "ipywidgets": []}

    def click(kind: str, pause_ms: float, limit_ms: float) -> None:
        found = opened.bench("click", kind, pause_ms, limit_ms)
        if not found["answered"]:
            # The limit is its time: it waited at least so long.
            say(f"{kind}: no answer in {limit_ms:.0f} ms")
        samples[kind].append(found["took"])
        if kind == "ours" and found["local"] is not None:
            samples["shown"].append(found["local"])

    if cell:
        seconds = clicks * 2 * _CLICK_S + 2
        notebook.insert_and_run(cell.format(seconds=seconds), wait=False)
        opened.settle(0.5)
    for _ in range(clicks):
        for kind in ("ours", "bare"):
            click(kind, draw.uniform(400, 700), 5_000)
    notebook.wait_status("idle", within_s=120)
    for _ in range(3):
        if cell:
            notebook.insert_and_run(cell.format(seconds=_CELL_S), wait=False)
        click("ipywidgets", 500, 10_000)
        notebook.wait_status("idle", within_s=120)
    return samples
