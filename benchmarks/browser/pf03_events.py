"""PF-3: a job tells a step; when does it stand in the page? Against a trait of a bare widget."""

from __future__ import annotations

from typing import Any

from benchmarks.browser.lab import Opened, lab_of, rounds_of, say
from benchmarks.measure import Plan, median, timed_line
from benchmarks.report import Figure, Goal

ID = "PF-3"
TITLE = "a job's step → the page, in one kernel with a bare anywidget"
_STEPS_S = 17  # 99 steps of 160 ms

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
topic = ws.create_topic("Steps")"""
_SHOW = "bench = wb.Workbench(ws, height=720)\nbench.topic = topic\nbench"
_BARE = "bare = kernel.Bare()\nbare"
_START = """\
batch = ws.generate("steps", model="bench:picture", n=1, topic=topic)
steps.step_bare(bare)"""

_NOTES = """\
From the provider's next instruction being the event (or the trait being set, in a thread) to the
  animation frame after the DOM changed; 'DOM': to the change itself. Both at random times of their
  own, some six a second, in the same page and kernel at the same time."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    found: dict[str, dict[str, list[list[tuple[float, float]]]]] = {
        name: {"ours": [], "bare": []} for name in _CELLS
    }
    with lab_of(plan) as lab:
        cells = [_PREPARE.format(folder=str(plan.folder / "steps")), _SHOW, _BARE]
        with lab.notebook(cells, run=3) as opened:
            opened.bench("listen")
            for _ in range(rounds_of(plan)):
                for name, cell in _CELLS.items():
                    for kind, samples in _round(opened, cell).items():
                        found[name][kind].append(samples)
                        typical = median(painted for _, painted in samples)
                        say(f"{name}, {kind}: {typical:.1f} ms, {len(samples)} steps")
    for name, kinds in found.items():
        for place, what in ((1, "frame"), (0, "DOM")):
            ours = [[sample[place] for sample in one] for one in kinds["ours"]]
            bare = [[sample[place] for sample in one] for one in kinds["bare"]]
            goals = (Goal(1.3, of="ratio"),) if what == "frame" else ()
            against: dict[str, Any] = {"against": "bare widget", "reference": bare}
            figure.add(timed_line(f"step → {what}, {name}", ours, "ms", goals=goals, **against))
            figure.add(timed_line(f"bare trait → {what}, {name}", bare, "ms"))
    figure.notes += _NOTES.splitlines()
    return figure


def _round(opened: Opened, cell: str) -> dict[str, list[tuple[float, float]]]:
    notebook = opened.notebook
    opened.bench("report")  # forget
    opened.ask("steps.told.update(ours={}, bare={})")
    notebook.insert_and_run(_START)
    if cell:
        notebook.insert_and_run(cell.format(seconds=_STEPS_S + 4), wait=False)
    opened.settle(_STEPS_S + 3)
    heard = opened.bench("report")
    notebook.wait_status("idle", within_s=120)
    told: dict[str, dict[str, float]] = opened.ask("steps.told")
    samples: dict[str, list[tuple[float, float]]] = {}
    for kind in ("ours", "bare"):
        seen = {step: heard[kind][step] for step in told[kind] if step in heard[kind]}
        samples[kind] = [
            (at["changed"] - told[kind][step], at["painted"] - told[kind][step])
            for step, at in seen.items()
            if at["painted"] is not None
        ]
        # A step may be passed over when two meet; most must arrive.
        if len(samples[kind]) < 0.7 * len(told[kind]):
            missing = f"{len(samples[kind])} of {len(told[kind])}"
            raise RuntimeError(f"{kind}: only {missing} steps reached the page")
    return samples
