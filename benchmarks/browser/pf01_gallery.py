"""PF-1: a cell runs; when does the first screen of pictures stand, after how many bytes?"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.browser.galleries import Gallery, ours, theirs
from benchmarks.browser.lab import MEGA, Lab, lab_of, rounds_of, told
from benchmarks.measure import Plan, interleaved, rate_line
from benchmarks.report import Figure, Goal

ID = "PF-1"
TITLE = "gallery in JupyterLab: cell run → first screen of pictures"
_PEERS_AT = 5_000

_NOTES = """\
From the command that runs the cell to the frame in which every picture of the first screen is
  loaded; all galleries are 720 px high, a fresh page and kernel each time. Kernel and thumbnails
  are warm. 'wire': what the kernel's socket brought, the widget's JavaScript included; files of
  the file-URL gallery come over HTTP and are counted there.
Against: the GenerationFeed of the same number of pictures, in turns with it; ratio: ours by
  theirs."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    at = min(_PEERS_AT, max(plan.rows))
    with lab_of(plan) as lab:
        galleries = [ours(plan.folder, at), ours(plan.folder, at, "Workbench")]
        galleries += [ours(plan.folder, rows) for rows in plan.rows if rows != at]
        galleries += theirs(plan.folder, lab.root, at)
        names = [f"{gallery.name} {gallery.rows}" for gallery in galleries]
        found = interleaved(
            {
                name: told(name, partial(_show, lab, gallery))
                for name, gallery in zip(names, galleries, strict=True)
            },
            rounds_of(plan),
        )
    samples = {gallery: found[name] for name, gallery in zip(names, galleries, strict=True)}
    for gallery, seen in samples.items():
        _lines(figure, gallery, seen, samples[galleries[0]], galleries[0])
    figure.notes += _NOTES.splitlines()
    return figure


def _show(lab: Lab, gallery: Gallery) -> dict[str, Any]:
    with lab.notebook(gallery.cells, run=1) as opened:
        found = opened.timed(1, "screen", gallery.kind)
        opened.settle(2)
        found["later"] = opened.page.evaluate("() => window.bench.wire.received")
        found["wire"] = found["received"] / MEGA
        found["web"] = found["http"] / MEGA
        return found


def _lines(
    figure: Figure, gallery: Gallery, seen: list[Any], feed: list[Any], first: Gallery
) -> None:
    is_feed = gallery.name == first.name
    time_goals: tuple[Goal, ...] = (Goal(0.3),) if is_feed else ()
    wire_goals: tuple[Goal, ...] = (Goal(0.6),) if is_feed else ()
    about: dict[str, Any] = {"rows": gallery.rows}
    seconds = [one["all"] / 1000 for one in seen]
    if gallery.kind == "plain":
        # Ours through theirs, as everywhere.
        ours_seconds = [one["all"] / 1000 for one in feed]
        line = rate_line(f"{gallery.name}, first screen", seconds, "s", **about)
        figure.add(line)
        ratio = [a / b for a, b in zip(ours_seconds, seconds, strict=True)]
        figure.add(rate_line(f"GenerationFeed by {gallery.name}", ratio, "×", goals=(Goal(1.0),)))
    elif gallery is first or not is_feed:
        goals = time_goals
        figure.add(rate_line(f"{gallery.name}, first screen", seconds, "s", goals=goals, **about))
    else:
        figure.add(
            rate_line(
                f"{gallery.name}, first screen",
                seconds,
                "s",
                against=f"{first.rows:,}",
                reference=[one["all"] / 1000 for one in feed],
                goals=(*time_goals, Goal(1.2, of="ratio")),
                **about,
            )
        )
    figure.add(
        rate_line(f"{gallery.name}, first picture", [o["first"] / 1000 for o in seen], "s", **about)
    )
    wire = [one["wire"] for one in seen]
    figure.add(rate_line(f"{gallery.name}, wire", wire, "MB", goals=wire_goals, **about))
    if any(one["web"] > 0.01 for one in seen):
        figure.add(rate_line(f"{gallery.name}, HTTP", [o["web"] for o in seen], "MB", **about))
    shown = [float(one["shown"]) for one in seen]
    figure.add(rate_line(f"{gallery.name}, pictures in view", shown, "", **about))
