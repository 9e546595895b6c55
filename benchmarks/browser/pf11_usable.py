"""PF-11, the page's half: the cell `Workbench()` runs; when can a person type a prompt?"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.browser.lab import Lab, lab_of, rounds_of, told
from benchmarks.measure import Plan, interleaved, rate_line
from benchmarks.report import Figure, Goal

ID = "PF-11"
TITLE = "the first cell → the widget is usable"

_BARE_IMPORT = "import anywidget, ipywidgets, traitlets"
_BARE = "from benchmarks.browser.bare import Bare\nBare()"
_WARM = "from workbench import Workbench\nimport numpy, PIL.Image"

_NOTES = """\
Usable: the prompt takes text and the light says live. Bare: an anywidget's button whose first
  message was answered. A fresh kernel and page each time, an existing workspace of one topic.
'import in the cell' is the cell that a notebook begins with. 'import before': `import workbench`
  (or anywidget) ran in the cell before. 'all loaded': whatever else is loaded on first use, too."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    folder = str(plan.folder / "usable")
    show = f"wb.Workbench({folder!r})"
    cases = {
        "Workbench, import in the cell": ("ours", "1", f"import workbench as wb\n{show}"),
        "Workbench, import before": ("ours", "import workbench as wb", show),
        "Workbench, all loaded": ("ours", f"import workbench as wb\n{_WARM}", show),
        "bare anywidget, import in the cell": ("bare", "1", f"{_BARE_IMPORT}\n{_BARE}"),
        "bare anywidget, import before": ("bare", _BARE_IMPORT, _BARE),
    }
    with lab_of(plan) as lab:
        with lab.notebook([f"import workbench as wb\n{show}.topic = None"], run=1):
            pass  # the workspace is there
        found = interleaved(
            {name: told(name, partial(_once, lab, *case)) for name, case in cases.items()},
            rounds_of(plan),
        )
    for name, seen in found.items():
        _, _, after = name.partition(", ")
        bare = f"bare anywidget, {after}"
        reference = found.get(bare if bare in found else "bare anywidget, import before", [])
        against: dict[str, Any] = {}
        if name.startswith("Workbench"):
            against = {"against": "bare anywidget", "reference": [one["all"] for one in reference]}
            against["goals"] = (Goal(400.0),)
        figure.add(rate_line(name, [one["all"] for one in seen], "ms", **against))
    figure.notes += _NOTES.splitlines()
    return figure


def _once(lab: Lab, kind: str, before: str, cell: str) -> dict[str, Any]:
    with lab.notebook([before, cell], run=1) as opened:
        found = opened.timed(1, "usable", kind)
        found["all"] = float(found["all"])
        return found
