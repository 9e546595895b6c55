"""What the cells of the measured notebooks call, in the kernel."""

from __future__ import annotations

import asyncio
import base64
import random
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import ipywidgets
from IPython.display import HTML

from benchmarks.browser.bare import Bare
from benchmarks.provider import BenchProvider
from benchmarks.roles import add_provider
from workbench.domain.jobs import Done, ImageReady, JobEvent, JobRef, JobRequest, Running
from workbench.testing.pictures import png

STEPS = 100  # so that a step is a percent
_SIDE = 160
_BOX = "height:720px;overflow:auto;display:flex;flex-wrap:wrap;align-content:flex-start;gap:8px"


# -- galleries: what a person would write instead -------------------------------------------------
def pictures(folder: str, count: int) -> list[bytes]:
    """Thumbnails in the kernel's memory."""
    found = [path.read_bytes() for path in sorted(Path(folder).glob("*-256.webp"))]
    return [found[i % len(found)] for i in range(count)]


def inline(data: Sequence[bytes]) -> HTML:
    """All of them as base64 in HTML."""
    urls = (f"data:image/webp;base64,{base64.b64encode(one).decode()}" for one in data)
    return _html(f'<img src="{url}" width={_SIDE} height={_SIDE}>' for url in urls)


def linked(folder: str, count: int) -> HTML:
    """HTML with addresses of files that the server gives out."""
    return _html(
        f'<img src="/files/{folder}/{i:06d}.webp" loading=lazy width={_SIDE} height={_SIDE}>'
        for i in range(count)
    )


def _html(images: Any) -> HTML:
    box = f'<div class="bench-box" style="{_BOX}">{"".join(images)}</div>'
    return HTML(box)  # type: ignore[no-untyped-call]


def grid(data: Sequence[bytes]) -> ipywidgets.GridBox:
    """A grid of ipywidgets' images."""
    about = {"format": "webp", "width": _SIDE, "height": _SIDE}
    children = [ipywidgets.Image(value=one, **about) for one in data]
    columns = f"repeat(auto-fill, {_SIDE}px)"
    layout = {"height": "720px", "overflow": "auto", "grid_template_columns": columns}
    box = ipywidgets.GridBox(children, layout=layout)
    box.add_class("bench-box")
    return box


# -- bare widgets --------------------------------------------------------------------------------
def button() -> ipywidgets.VBox:
    """A button of ipywidgets, and a label that counts its clicks."""
    count = 0
    press = ipywidgets.Button(description="button")
    press.add_class("bench-button")
    label = ipywidgets.Label("0")
    label.add_class("bench-answers")

    def clicked(_button: object) -> None:
        nonlocal count
        count += 1
        label.value = str(count)

    press.on_click(clicked)
    return ipywidgets.VBox([press, label])


def keep_updating(bare: Bare, every_s: float) -> None:
    """Let a background thread set its trait for ever, as progress of a job would."""

    def work() -> None:
        while True:
            time.sleep(every_s)
            bare.value += 1

    threading.Thread(target=work, daemon=True).start()


# -- events ----------------------------------------------------------------------------------------
class Stepping(BenchProvider):
    """Tells a step every now and then, and notes when."""

    def __init__(self) -> None:
        super().__init__(lambda _prompt, _at: None)
        self.told: dict[str, dict[int, float]] = {"ours": {}, "bare": {}}
        self._draw = random.Random(3)

    async def events(
        self,
        request: JobRequest,
        ref: JobRef,  # noqa: ARG002 - the protocol's
    ) -> AsyncIterator[JobEvent]:
        if request.prompt.startswith("steps"):
            for step in range(1, STEPS):
                # Never in step with a timer, and slower than anything coalesces.
                await asyncio.sleep(self._draw.uniform(0.12, 0.2))
                self.told["ours"][step] = time.time() * 1000
                yield Running(step, STEPS, 0)
        for slot in request.slots:
            yield ImageReady(png(str(slot.index)), slot.index, seed=slot.seed)
        yield Done()

    def step_bare(self, bare: Bare) -> None:
        """Set the trait of a bare widget as often, from a thread."""
        draw = random.Random(4)

        def work() -> None:
            for step in range(1, STEPS):
                time.sleep(draw.uniform(0.12, 0.2))
                self.told["bare"][step] = time.time() * 1000
                bare.value = step

        threading.Thread(target=work, daemon=True).start()


def stepping(ws: Any) -> Stepping:
    """Add the provider to an open workspace."""
    provider = Stepping()
    add_provider(ws, provider)
    return provider


def burn(seconds: float) -> None:
    """A cell that computes."""
    end = time.monotonic() + seconds
    number = 1
    while time.monotonic() < end:
        number = number * 3 % 1_000_003


def arrive(ws: Any, topic: Any, count: int) -> None:
    """So many pictures arrive, four to a request, some requests at a time."""
    left = count
    while left > 0:
        batches = [
            ws.generate(f"arrival {left} {i}", model="bench:picture", n=4, topic=topic)
            for i in range(5)
        ]
        for batch in batches:
            batch.wait(60)
        left -= 20
