"""PF-12: bytes of the bundle, and of a second widget on the wire."""

from __future__ import annotations

import base64
import gzip
import re

from benchmarks.browser.lab import lab_of, say
from benchmarks.measure import Plan
from benchmarks.report import Figure, Goal, Line
from workbench.widgets import bundle

ID = "PF-12"
TITLE = "bundle, and what a widget brings over the wire"

_NOTES = """\
Comm messages are not compressed, so the bundle is sent as a module that unpacks itself; 'minified'
  is what the page's engine parses. Wire: what the kernel's socket brought until two seconds after
  the cell, on a workspace without pictures; pings of the widgets before are among it."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    whole, loader = bundle.esm().encode(), bundle.loader().encode()

    def add(label: str, size: float, goal: float | None = None) -> None:
        goals = () if goal is None else (Goal(goal),)
        figure.add(Line(label, size / 1000, "kB", samples=1, goals=goals))

    unpacked = _unpacked(whole)
    add("bundle as it is sent", len(whole), 150.0)
    add("bundle, minified", len(unpacked), 150.0)
    add("bundle, gzip", len(gzip.compress(unpacked, 9)), 50.0)
    add("loader, minified", len(loader))
    cells = {
        "first widget (Workbench)": "bench = wb.Workbench(ws)\nbench",
        "second widget: Workbench": "wb.Workbench(bench)",
        "third widget: GenerationFeed": "wb.GenerationFeed(bench)",
        "fourth widget: TokenBalance": "wb.TokenBalance(bench)",
    }
    prepare = f"import workbench as wb\nws = wb.open({str(plan.folder / 'bytes')!r})"
    with lab_of(plan) as lab, lab.notebook([prepare, *cells.values()], run=1) as opened:
        for index, label in enumerate(cells, start=1):
            before = opened.page.evaluate("() => window.bench.wire.received")
            opened.notebook.run(index)
            opened.settle(2)
            after = opened.page.evaluate("() => window.bench.wire.received")
            say(f"{label}: {after - before} bytes")
            add(f"wire, {label}", after - before, 60.0 if label.startswith("second") else None)
    figure.notes += _NOTES.splitlines()
    return figure


def _unpacked(sent: bytes) -> bytes:
    """What a bundle that unpacks itself holds; one that does not is returned as it is."""
    packed = re.search(rb'atob\("([^"]+)"\)', sent)
    return sent if packed is None else gzip.decompress(base64.b64decode(packed[1]))
