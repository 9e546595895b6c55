"""PF-12: bytes of the front end and its parts, and of a second widget on the wire."""

from __future__ import annotations

import base64
import gzip
import json
import re

from benchmarks.browser.lab import lab_of, say
from benchmarks.measure import Plan
from benchmarks.report import Figure, Goal, Line
from workbench.widgets import bundle

ID = "PF-12"
TITLE = "bundle, and what a widget brings over the wire"

_NOTES = """\
The root part is what a page has at once, the others are sent when a widget needs them. Comm
  messages are not compressed, so the root is sent as a module that unpacks itself, and a part as
  a buffer of gzip; 'minified' is what the page's engine parses, styles and words included. Wire:
  what the kernel's socket brought until two seconds after the cell, on a workspace without
  pictures; pings of the widgets before are among it, and parts that are sent for a later click."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)

    def add(label: str, size: float, goal: float | None = None) -> None:
        goals = () if goal is None else (Goal(goal),)
        figure.add(Line(label, size / 1000, "kB", samples=1, goals=goals))

    root = _root(bundle.esm())
    add("root part as it is sent", len(bundle.esm().encode()))
    add("root part, minified", _minified(root), 150.0)
    add("root part, gzip", len(root), 50.0)
    parts = {name: bundle.part(name, bundle.hash()) for name in bundle.PARTS}
    add("root and all parts, minified", sum(map(_minified, (root, *parts.values()))))
    for name, part in parts.items():
        add(f"{name}, minified", _minified(part), 150.0)
        add(f"{name}, gzip", len(part))
    add("loader, minified", len(bundle.loader().encode()))
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


def _root(sent: str) -> bytes:
    """The packed root part in the module that unpacks it."""
    found = re.search(r'"([A-Za-z0-9+/=]{1000,})"', sent)
    if found is None:
        raise RuntimeError("workbench.js carries no packed root part")
    return base64.b64decode(found[1])


def _minified(packed: bytes) -> int:
    """Bytes of the modules in a part."""
    return sum(len(code.encode()) for _, code in json.loads(gzip.decompress(packed)))
