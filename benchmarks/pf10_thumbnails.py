"""PF-10: thumbnails of 1024² PNG per core against decoding alone; the event loop meanwhile."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Callable

from PIL import Image

from benchmarks.measure import Plan, interleaved, rate_line, timed_line
from benchmarks.pictures import painted, photo_like
from benchmarks.report import Figure, Goal
from workbench.media import Media
from workbench.media.thumbnails import thumbnail
from workbench.runner.executor import LocalExecutor

ID = "PF-10"
TITLE = "thumbnails of 1024² PNG per core; event-loop delay meanwhile"

_TICK_S = 0.001
_SIZES = (256, 768)

_NOTES = """\
Per second of CPU time of one thread, door and WebP included. The photo-like PNG has the grain
  of a model's picture, the painted one comes from the built-in painter.
stored: Media.thumbnail() with reading and writing the files.
delay: how much later than asked a 1 ms sleep on an asyncio loop ends; the engine's threads work
  meanwhile."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    for name, data in (("photo-like", photo_like()), ("painted", painted())):
        _rates(plan, figure, name, data)
    _loop(plan, figure)
    figure.notes += _NOTES.splitlines()
    return figure


def _rates(plan: Plan, figure: Figure, name: str, data: bytes) -> None:
    count = plan.some(8, 20)
    media = Media(plan.folder / f"media-{name}")
    asset = media.admit(data, source="upload")

    def stored() -> None:
        media.thumbnail(asset.id, 256)
        media.files.variant_path(asset.id, 256).unlink()

    for size in _SIZES:
        with Image.open(io.BytesIO(thumbnail(data, size))) as small:
            if max(small.size) != size or small.format != "WEBP":
                raise RuntimeError(f"a thumbnail of {size} is {small.size} {small.format}")
    found = interleaved(
        {
            "decode": lambda: _per_second(count, lambda: _decode(data)),
            "256": lambda: _per_second(count, lambda: thumbnail(data, 256)),
            "768": lambda: _per_second(count, lambda: thumbnail(data, 768)),
            "stored": lambda: _per_second(count, stored),
        },
        plan.rounds,
    )
    goal = Goal(0.65, of="ratio", at_least=True)
    labels = {"256": "256 px", "768": "768 px", "stored": "256 px, stored"}
    for key, label in labels.items():
        figure.add(
            rate_line(
                f"{name}, {label}",
                found[key],
                "/s",
                against="decode alone",
                reference=found["decode"],
                goals=(goal,) if key == "256" else (),
            )
        )


def _decode(data: bytes) -> None:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        image.load()


def _per_second(count: int, work: Callable[[], object]) -> float:
    work()
    begin = time.thread_time()
    for _ in range(count):
        work()
    return count / (time.thread_time() - begin)


def _loop(plan: Plan, figure: Figure) -> None:
    data = photo_like()
    seconds = plan.some(1, 3)
    found = interleaved(
        {
            "idle": lambda: _delays(None, 0, seconds),
            "1": lambda: _delays(lambda: thumbnail(data, 256), 1, seconds),
            "2": lambda: _delays(lambda: thumbnail(data, 256), 2, seconds),
            "decode": lambda: _delays(lambda: _decode(data), 2, seconds),
        },
        plan.rounds,
    )
    names = {
        "1": "loop delay, 1 thumbnail thread",
        "2": "loop delay, 2 thumbnail threads",
        "decode": "loop delay, 2 threads that decode alone",
    }
    figure.add(timed_line("loop delay, idle", found["idle"], "ms"))
    for key, label in names.items():
        goals = () if key == "decode" else (Goal(5.0, of="p99"),)
        figure.add(
            timed_line(
                label, found[key], "ms", against="idle", reference=found["idle"], goals=goals
            )
        )


def _delays(work: Callable[[], object] | None, threads: int, seconds: float) -> list[float]:
    """Delays of a loop in a thread of its own, as the engine's is, in ms."""
    delays: list[float] = []
    done = 0

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (before := loop.time()) < end:
            await asyncio.sleep(_TICK_S)
            delays.append((loop.time() - before - _TICK_S) * 1000)

    async def busy(executor: LocalExecutor) -> None:
        nonlocal done
        while work is not None:
            await executor.run(work)
            done += 1

    async def main() -> None:
        executor = LocalExecutor(threads=max(1, threads))
        tasks = [asyncio.create_task(busy(executor)) for _ in range(threads)]
        await tick()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        executor.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()
    if work is not None and not done:
        raise RuntimeError("nothing was made meanwhile")
    return delays
