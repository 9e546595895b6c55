"""PF-13: memory of kernel and page with many pictures, with arrivals, with the lightbox."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.browser.galleries import ours
from benchmarks.browser.lab import Lab, Opened, lab_of, rounds_of, say
from benchmarks.measure import Plan, median, percentile
from benchmarks.report import Figure, Goal, Line

ID = "PF-13"
TITLE = "memory: many pictures, 1,000 arrivals, 100 lightbox openings"
_SMALL = 1_000

_NOTES = """\
Kernel: resident, with the widget shown and at rest, against the same with 1,000 pictures.
Heap: JavaScript objects after a collection. 'more at the end' is the slope of a straight line
  through all measurements behind the first fifth, times its length."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    with lab_of(plan) as lab:
        seen: dict[int, list[float]] = {rows: [] for rows in {_SMALL, *plan.rows}}
        for _ in range(rounds_of(plan)):
            for rows, values in seen.items():
                values.append(_kernel(lab, plan, rows))
                say(f"kernel with {rows:,} pictures: {values[-1]:.0f} MB")
        for rows, values in seen.items():
            more = [value - small for value, small in zip(values, seen[_SMALL], strict=True)]
            label = "kernel, GenerationFeed shown"
            figure.add(Line(label, median(values), "MB", rows=rows, samples=len(values)))
            if rows != _SMALL:
                goals = (Goal(60.0),)
                label = f"more than with {_SMALL:,}"
                figure.add(Line(label, median(more), "MB", rows=rows, goals=goals))
        _arrivals(figure, lab, plan)
        _openings(figure, lab, plan)
    figure.notes += _NOTES.splitlines()
    return figure


def _kernel(lab: Lab, plan: Plan, rows: int) -> float:
    gallery = ours(plan.folder, rows)
    with lab.notebook(gallery.cells, run=2) as opened:
        opened.settle(2)
        return opened.kernel_mb(opened.kernel_pid())


def _arrivals(figure: Figure, lab: Lab, plan: Plan) -> None:
    count = 1_000
    step = count // 10
    prepare = (
        "import workbench as wb\nfrom benchmarks.browser import kernel\n"
        f"ws = wb.open({str(plan.folder / 'arrivals')!r}, user='bench')\n"
        "steps = kernel.stepping(ws)\ntopic = ws.create_topic('Arrivals')"
    )
    show = "shown = wb.GenerationFeed(ws, height=720)\nshown.topic = topic\nshown"
    with lab.notebook([prepare, show], run=2) as opened:
        pid = opened.kernel_pid()
        work = opened.notebook.insert_and_run(f"kernel.arrive(ws, topic, {step})")
        kernel, heap, page = [], [], []
        for _ in range(10):
            opened.notebook.run(work)
            opened.settle(2)
            kernel.append(opened.kernel_mb(pid))
            heap.append(opened.heap_mb())
            page.append(opened.renderer_mb())
            say(f"kernel {kernel[-1]:.0f}, heap {heap[-1]:.1f}, renderer {page[-1]:.0f} MB")
    figure.add(Line(f"kernel after {count:,} arrivals, more at the end", rise(kernel), "MB"))
    goals = (Goal(2.0),)
    label = f"heap after {count:,} arrivals, more at the end"
    figure.add(Line(label, rise(heap), "MB", goals=goals))
    figure.add(Line(f"renderer after {count:,} arrivals, more at the end", rise(page), "MB"))


def _openings(figure: Figure, lab: Lab, plan: Plan) -> None:
    count = 100
    with lab.notebook(ours(plan.folder, _SMALL).cells, run=2) as opened:
        pid = opened.kernel_pid()
        took, kernel, heap, page = _open(opened, count, pid)
    label = f"lightbox, click → picture ({count} openings)"
    p99 = percentile(took, 0.99)
    figure.add(Line(label, median(took), "ms", p99=p99, samples=len(took)))
    figure.add(Line("kernel after the openings, more at the end", rise(kernel), "MB"))
    goals = (Goal(2.0),)
    figure.add(Line("heap after the openings, more at the end", rise(heap), "MB", goals=goals))
    figure.add(Line("renderer after the openings, more at the end", rise(page), "MB"))


def _open(
    opened: Opened, count: int, pid: int
) -> tuple[list[float], list[float], list[float], list[float]]:
    took: list[float] = []
    kernel, heap, page = [], [], []
    for _ in range(10):
        took += opened.bench("openings", count // 10)
        opened.settle(0.5)
        kernel.append(opened.kernel_mb(pid))
        heap.append(opened.heap_mb())
        page.append(opened.renderer_mb())
        say(f"kernel {kernel[-1]:.0f}, heap {heap[-1]:.1f}, renderer {page[-1]:.0f} MB")
    return took, kernel, heap, page


def rise(values: Sequence[float]) -> float:
    """How much a straight line through the later four fifths rises from its begin to its end."""
    later = values[len(values) // 5 :]
    places = range(len(later))
    return statistics.linear_regression(places, later).slope * (len(later) - 1)
