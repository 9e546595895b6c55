"""PF-11: what ``import workbench`` costs a kernel, in a fresh process each time."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.children import REPOSITORY, environment
from benchmarks.measure import Plan, interleaved, median
from benchmarks.report import Figure, Goal, Line

ID = "PF-11"
TITLE = "import workbench, in a fresh process"

# Memory: what the system counts as resident, before and after.
_PROBE = """
import os, sys, time
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
memory = resident() if sys.platform == "linux" else None
begin = time.perf_counter()
{work}
took = (time.perf_counter() - begin) * 1000
print(took, resident() - memory if memory is not None else "nan")
"""
_OPEN = "import workbench\nworkspace = workbench.open({folder!r}, run_jobs=False)"
_CASES = {
    "import workbench": "import workbench",
    "import sqlite3": "import sqlite3",
    "import anywidget": "import anywidget",
}

_NOTES = """\
Python itself is not counted. The package loads its rooms on first use, so 'import and open' (an
  existing workspace, without a runner) is what the first cell pays."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    with tempfile.TemporaryDirectory(dir=plan.folder) as name:
        cases = _CASES | {"import and open": _OPEN.format(folder=str(Path(name) / "workspace"))}
        # The first round fills the caches of files and byte code.
        for work in cases.values():
            _once(work)
        times = plan.some(5, 11)
        found = interleaved({name: partial(_once, work) for name, work in cases.items()}, times)
    goals = {"import workbench": ((Goal(60.0),), (Goal(10.0),))}
    for name, samples in found.items():
        for unit, place in (("ms", 0), ("MB", 1)):
            values = [sample[place] for sample in samples]
            base = median(sample[place] for sample in found["import sqlite3"])
            figure.add(
                Line(
                    name,
                    median(values),
                    unit,
                    low=min(values),
                    high=max(values),
                    samples=len(values),
                    against="" if name == "import sqlite3" else "import sqlite3",
                    against_value=None if name == "import sqlite3" else base,
                    ratio=None if name == "import sqlite3" or not base else median(values) / base,
                    goals=goals.get(name, ((), ()))[place],
                )
            )
    figure.notes += _NOTES.splitlines()
    return figure


def _once(work: str) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE.format(work=work)],
        cwd=REPOSITORY,
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    took, memory = done.stdout.split()
    return float(took), float(memory)
