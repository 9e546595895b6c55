"""PF-7: kill -9 of the worker; when does its job run elsewhere?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import workbench as wb
from benchmarks.children import Child
from benchmarks.measure import Plan, now_ms, pauses, timed_line
from benchmarks.provider import MODEL, BenchProvider
from benchmarks.report import Figure, Goal
from benchmarks.roles import USER, add_provider
from benchmarks.workspaces import folder_with

ID = "PF-7"
TITLE = "kill -9 of the worker → its job runs elsewhere"

_NOTES = """\
From the SIGKILL in the middle of a job to the first line of its body elsewhere. Each kill comes
  at a random moment of the other worker's rounds.
A started worker includes the start of Python and the opening of the workspace."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    for rows in plan.rows:
        standby, fresh = _measure(plan, rows)
        figure.add(
            timed_line("another worker is there", standby, "s", rows=rows, goals=(Goal(0.5),))
        )
        figure.add(timed_line("a worker is started at the kill", fresh, "s", rows=rows))
    figure.notes += _NOTES.splitlines()
    return figure


def _measure(plan: Plan, rows: int) -> tuple[list[list[float]], list[list[float]]]:
    folder = folder_with(rows, plan.folder, "takeover")
    standby: list[list[float]] = []
    fresh: list[list[float]] = []
    with wb.open(folder, user=USER, run_jobs=False) as ws:
        add_provider(ws, BenchProvider(lambda *_: None))
        kills = Kills(folder, ws, ws.create_topic("Benchmark"), pauses(300, 900))
        for _ in range(plan.rounds):
            standby.append([kills.once(waiting=True) for _ in range(plan.some(1, 3))])
            fresh.append([kills.once(waiting=False)])
    return standby, fresh


@dataclass
class Kills:
    """Kills workers in the middle of their job, one after the other."""

    folder: Path
    ws: wb.Workspace
    topic: wb.Topic
    pause: Callable[[], None]
    turn: int = 0

    def once(self, *, waiting: bool) -> float:
        """Seconds until the job's body begins in the other worker, which waits or is started."""
        self.turn += 1
        prompt = f"block{self.turn}"
        with Child("benchmarks.roles", "worker", self.folder) as first:
            first.words("ready")
            batch = self.ws.generate(prompt, model=MODEL, topic=self.topic)
            _expect(first, prompt)
            if waiting:
                with Child("benchmarks.roles", "worker", self.folder) as other:
                    other.words("ready")
                    self.pause()
                    killed = now_ms()
                    first.kill()
                    began = _expect(other, prompt)
                    batch.cancel()
            else:
                self.pause()
                killed = now_ms()
                first.kill()
                with Child("benchmarks.roles", "worker", self.folder) as other:
                    other.words("ready")
                    began = _expect(other, prompt)
                    batch.cancel()
        return (began - killed) / 1000


def _expect(worker: Child, prompt: str) -> float:
    """When this job began there."""
    name, at = worker.words("began")
    if name != prompt:
        raise RuntimeError(f"the worker began {name} instead of {prompt}")
    return float(at)
