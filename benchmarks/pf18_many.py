"""PF-18: 200 calls at once on one runner; how late does the engine's loop come to anything else?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import workbench as wb
from benchmarks.children import Child
from benchmarks.measure import Plan, cpu_seconds, median, now_ms, rate_line, timed_line
from benchmarks.report import Figure, Goal, Line
from benchmarks.roles import USER
from workbench.domain.status import Status
from workbench.providers.openai_images import OpenAIImages
from workbench.testing.pictures import png

ID = "PF-18"
TITLE = "200 calls of a provider at once on one runner"
_AT_ONCE = 200
_GOAL_MS = 50.0
_TICK_S = 0.005
_PAUSE_S = 1.0  # of the emulator, after the last one has asked

_NOTES = """\
20 batches of 10 pictures. The emulator, in another process, answers nobody before all 200 have
  asked, and then after 1 s: all at once. A timer of 5 ms on the engine's loop says how late it is,
  from the first submit to the last picture; the idle loop is measured before.
CPU time: of the loop's thread between two looks at the timer. On a busy machine the loop is late
  because others have the processor; what it does itself in one go is this.
all 200 at home: from the first submit to the last picture, the 1 s included; and the CPU time of
  this process for it, all threads."""

Tick = tuple[float, float]  # milliseconds: how late; CPU time of the loop's thread since the last


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    image = plan.folder / "tile.png"
    image.write_bytes(png("tile", width=256, height=256))
    busy: list[list[Tick]] = []
    idle: list[list[Tick]] = []
    took: list[float] = []
    spent: list[float] = []
    for number in range(plan.rounds):
        folder = plan.folder / f"many{number}"
        folder.mkdir()
        (folder / "config.toml").write_text(f"[runner]\nmax_jobs = {_AT_ONCE}\n", "utf-8")
        with (
            Child("benchmarks.emulated", _PAUSE_S, image, _AT_ONCE) as server,
            wb.open(folder, user=USER) as ws,
        ):
            base_url, key = server.line().split()
            ws.add_provider(OpenAIImages("bench", base_url=base_url, key=key, concurrency=_AT_ONCE))
            with _lateness(ws) as late:
                time.sleep(1)
            idle.append(late)
            begin, cpu = time.monotonic(), cpu_seconds()
            with _lateness(ws) as late:
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
                for batch in batches:
                    batch.wait(120)
            busy.append(late)
            took.append(time.monotonic() - begin)
            spent.append(cpu_seconds() - cpu)
            ended = [g.status for batch in batches for g in batch.generations]
            home = ended.count(Status.COMPLETED)
            if home != _AT_ONCE:
                raise RuntimeError(f"only {home} of {_AT_ONCE} came home")
    for place, name, goals in ((0, "lateness", (Goal(_GOAL_MS, of="p99"),)), (1, "CPU time", ())):
        loaded, unloaded = (
            [[one[place] for one in some] for some in kind] for kind in (busy, idle)
        )
        title = f"{name} of the loop"
        figure.add(timed_line(title, loaded, "ms", against="idle", reference=unloaded, goals=goals))
        longest = [max(one) for one in loaded]
        figure.add(
            Line(
                f"{name}, longest of a round",
                median(longest),
                "ms",
                low=min(longest),
                high=max(longest),
                samples=len(longest),
            )
        )
    figure.add(rate_line("all 200 at home", took, "s"))
    figure.add(rate_line("all 200 at home: CPU time of the process", spent, "s"))
    figure.notes += _NOTES.splitlines()
    return figure


@contextmanager
def _lateness(ws: wb.Workspace) -> Iterator[list[Tick]]:
    """Fill a list, as long as the block lasts, with how late the engine's loop is."""
    found: list[Tick] = []
    ended = False

    async def watch() -> None:
        while not ended:
            now, cpu = now_ms(), time.thread_time()
            await asyncio.sleep(_TICK_S)
            late = max(0.0, now_ms() - now - _TICK_S * 1000)
            found.append((late, (time.thread_time() - cpu) * 1000))

    loop = ws._engine.loop  # noqa: SLF001 - it is what is measured
    watching = loop.submit(watch())
    try:
        yield found
    finally:
        ended = True
        watching.result()
