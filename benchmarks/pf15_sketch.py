"""PF-15: the built-in painter on one core: 512², 20 steps, a preview for each step."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks.children import REPOSITORY, environment
from benchmarks.measure import Plan, median, rate_line
from benchmarks.report import Figure, Goal

ID = "PF-15"
TITLE = "sketch 512², 20 steps, on one core, a preview per step"

_STEPS = 20
_PROMPTS = (
    "a red fox in the snow",
    "a lighthouse in a storm at dusk",
    "a bowl of fruit on a table",
    "portrait of an old fisherman",
    "a city street at night in the rain",
)


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    rounds = [_child(plan.some(3, len(_PROMPTS))) for _ in range(plan.rounds)]
    for name, goals in (("paint, previews, PNG", (Goal(0.8),)), ("paint alone", ())):
        cpu = [median(one[name][0] for one in found) for found in rounds]
        wall = [median(one[name][1] for one in found) for found in rounds]
        figure.add(rate_line(f"{name}: CPU time", cpu, "s", goals=goals))
        figure.add(rate_line(f"{name}: elapsed", wall, "s"))
    worst = max(
        median(found[place]["paint, previews, PNG"][0] for found in rounds)
        for place in range(len(rounds[0]))
    )
    figure.add(rate_line("slowest of the prompts: CPU time", [worst], "s", goals=(Goal(0.8),)))
    figure.notes.append(
        f"Median over {len(rounds[0])} prompts in the default style; a process bound to one core "
        "where the system allows it. CPU time is what counts on a shared machine."
    )
    return figure


Times = dict[str, tuple[float, float]]  # CPU seconds and elapsed seconds


def _child(prompts: int) -> list[Times]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.pf15_sketch", str(prompts)],
        cwd=REPOSITORY,
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    found: list[Times] = []
    for line in done.stdout.splitlines():
        whole_cpu, whole, cpu, wall = map(float, line.split())
        found.append({"paint, previews, PNG": (whole_cpu, whole), "paint alone": (cpu, wall)})
    if len(found) != prompts:
        raise RuntimeError(f"{len(found)} of {prompts} pictures were painted")
    return found


def _paint(prompts: int) -> None:
    from workbench.providers.sketch.painter import paint

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    list(paint("warm", width=64, height=64, seed=1, steps=2))
    for seed, prompt in enumerate(_PROMPTS[:prompts]):
        print(*_timed(prompt, seed, whole=True), *_timed(prompt, seed, whole=False), flush=True)


def _timed(prompt: str, seed: int, *, whole: bool) -> tuple[float, float]:
    from workbench.providers.sketch.painter import encode_png, paint
    from workbench.providers.sketch.provider import _preview

    begin, cpu = time.perf_counter(), time.process_time()
    steps = 0
    for canvas in paint(prompt, width=512, height=512, seed=seed, steps=_STEPS):
        steps += 1
        if whole:
            _preview(canvas)
    if whole:
        encode_png(canvas)
    taken = time.process_time() - cpu, time.perf_counter() - begin
    if steps != _STEPS:
        raise RuntimeError(f"{steps} steps instead of {_STEPS}")
    return taken


if __name__ == "__main__":
    _paint(int(sys.argv[1]))
