"""PF-2: scroll through a gallery at 3,000 px/s: late frames, tiles without a picture, memory."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.browser.galleries import Gallery, ours, theirs
from benchmarks.browser.lab import Lab, lab_of, rounds_of, told
from benchmarks.measure import Plan, interleaved, percentile, rate_line
from benchmarks.report import Figure, Goal, Line

ID = "PF-2"
TITLE = "programmatic scroll, 3,000 px/s for 4 s"
_PEERS_AT = 5_000
_SPEED, _SECONDS = 3_000, 4
_LATE_MS = 50

_NOTES = """\
A frame is late when it comes more than 50 ms after the one before. A tile is blank from the first
  frame that has half of it in view until one that has its picture loaded, or until it left; 0 for
  one that had it at once. 'nothing': frames in which no tile at all was in view.
CPU time: of the page's process over the scroll, 100 % being one core: a page that was late without
  it waited for the processor.
Memory: after the scroll and a collection, against the page before the gallery's cell ran."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    at = min(_PEERS_AT, max(plan.rows))
    with lab_of(plan) as lab:
        galleries = [ours(plan.folder, at)]
        galleries += [ours(plan.folder, rows) for rows in plan.rows if rows != at]
        galleries += theirs(plan.folder, lab.root, at)
        contenders = {gallery: partial(_scroll, lab, gallery) for gallery in galleries}
        found = interleaved(
            {g.show + str(g.rows): told(g.name, work) for g, work in contenders.items()},
            rounds_of(plan),
        )
    for gallery in galleries:
        _lines(figure, gallery, found[gallery.show + str(gallery.rows)])
    figure.notes += _NOTES.splitlines()
    return figure


def _scroll(lab: Lab, gallery: Gallery) -> dict[str, Any]:
    with lab.notebook(gallery.cells, run=1) as opened:
        heap, resident = opened.heap_mb(), opened.renderer_mb()
        opened.timed(1, "screen", gallery.kind)
        opened.settle(2)
        spent = opened.renderer_cpu_s()
        found: dict[str, Any] = opened.bench("scroll", gallery.kind, _SPEED, _SECONDS)
        found["cpu"] = 100 * (opened.renderer_cpu_s() - spent) / _SECONDS
        opened.settle()
        found["resident"] = opened.renderer_mb() - resident
        found["heap"] = opened.heap_mb() - heap
        frames = found["frames"]
        found["late"] = 100 * sum(frame > _LATE_MS for frame in frames) / len(frames)
        found["blank"] = 100 * sum(wait > 0 for wait in found["waits"]) / len(found["waits"])
        return found


def _lines(figure: Figure, gallery: Gallery, seen: list[dict[str, Any]]) -> None:
    is_ours = gallery.kind == "ours"
    about: dict[str, Any] = {"rows": gallery.rows}

    def add(label: str, values: list[float], unit: str, goal: float | None = None) -> None:
        goals = (Goal(goal),) if is_ours and goal is not None else ()
        figure.add(rate_line(f"{gallery.name}, {label}", values, unit, goals=goals, **about))

    add("late frames", [one["late"] for one in seen], "%", 3.0)
    add("CPU time of the page", [one["cpu"] for one in seen], "%")
    frames = [frame for one in seen for frame in one["frames"]]
    figure.add(
        Line(
            f"{gallery.name}, frame",
            percentile(frames, 0.5),
            "ms",
            p99=percentile(frames, 0.99),
            samples=len(frames),
            **about,
        )
    )
    add("blank tile, p95", [percentile(one["waits"], 0.95) for one in seen], "ms", 100.0)
    add("tiles that were blank", [one["blank"] for one in seen], "%")
    nothing = [100 * one["empty"] / (len(one["frames"]) + 1) for one in seen]
    add("nothing in view", nothing, "%")
    add("moved", [float(one["moved"]) for one in seen], "px")
    add("heap", [one["heap"] for one in seen], "MB", 15.0)
    add("renderer", [one["resident"] for one in seen], "MB")
