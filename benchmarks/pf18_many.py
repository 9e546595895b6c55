"""PF-18: 200 calls at once on one runner; how late does the engine's loop come to anything else?"""

from __future__ import annotations

import asyncio
import time

import workbench as wb
from benchmarks.children import Child
from benchmarks.measure import Plan, now_ms, timed_line
from benchmarks.report import Figure, Goal, Line
from benchmarks.roles import USER
from workbench.providers.openai_images import OpenAIImages
from workbench.testing.pictures import png

ID = "PF-18"
TITLE = "200 calls of a provider at once on one runner"
_AT_ONCE = 200
_GOAL_MS = 50.0
_TICK_S = 0.005
_PAUSE_S = 2.0  # of the emulator, so that all are open at the same time

_NOTES = """\
20 batches of 10 pictures; the emulator, in another process, answers after 2 s. A timer of 5 ms on
  the engine's loop says how late it is; the idle loop is measured before.
all 200 at home: from the first submit to the last picture, the 2 s included."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    image = plan.folder / "tile.png"
    image.write_bytes(png("tile", width=256, height=256))
    busy: list[list[float]] = []
    idle: list[list[float]] = []
    took: list[float] = []
    for number in range(plan.rounds):
        folder = plan.folder / f"many{number}"
        folder.mkdir()
        (folder / "config.toml").write_text(f"[runner]\nmax_jobs = {_AT_ONCE}\n", "utf-8")
        with (
            Child("benchmarks.emulated", _PAUSE_S, image) as server,
            wb.open(folder, user=USER) as ws,
        ):
            base_url, key = server.line().split()
            ws.add_provider(OpenAIImages("bench", base_url=base_url, key=key, concurrency=_AT_ONCE))
            idle.append(_lateness(ws, 1.0))
            begin = time.monotonic()
            topic = ws.create_topic("many")
            batches = [
                ws.generate(
                    f"picture {one}",
                    model="bench:gpt-image-2.5-flare",
                    n=10,
                    partial_images=0,
                    topic=topic,
                )
                for one in range(_AT_ONCE // 10)
            ]
            busy.append(_lateness(ws, _PAUSE_S + 1.0))
            for batch in batches:
                batch.wait(120)
            took.append(time.monotonic() - begin)
            ended = [g.status for batch in batches for g in batch.generations]
            if ended.count("completed") != _AT_ONCE:
                raise RuntimeError(f"only {ended.count('completed')} of {_AT_ONCE} came home")
    goal = Goal(_GOAL_MS, of="p99")
    figure.add(
        timed_line(
            "lateness of the loop", busy, "ms", against="idle", reference=idle, goals=(goal,)
        )
    )
    figure.add(Line("all 200 at home", sorted(took)[len(took) // 2], "s", samples=len(took)))
    figure.notes += _NOTES.splitlines()
    return figure


def _lateness(ws: wb.Workspace, seconds: float) -> list[float]:
    async def watch() -> list[float]:
        found = []
        end = now_ms() + seconds * 1000
        while (now := now_ms()) < end:
            await asyncio.sleep(_TICK_S)
            found.append(max(0.0, now_ms() - now - _TICK_S * 1000))
        return found

    loop = ws._engine.loop  # noqa: SLF001 - it is what is measured
    late: list[float] = loop.submit(watch()).result()
    return late
