"""Pendulums that draw: a provider for image-workbench.

A harmonograph hangs a pen from pendulums; friction lets its curve shrink into figures that
Victorians showed in their drawing rooms. The words of the prompt choose the colours, the seed sets
the pendulums going.
"""

from __future__ import annotations

import asyncio
import colorsys
import hashlib
import io
import math
import random
from collections.abc import AsyncIterator, Iterator, Sequence

from PIL import Image, ImageDraw

from workbench.domain.jobs import (
    FREE,
    Done,
    ImageReady,
    JobEvent,
    JobRef,
    JobRequest,
    Partial,
    Running,
    Slot,
)
from workbench.domain.parameters import Model, Parameter, ParameterKind
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.ports import ProviderState

NAME = "harmonograph"
HELP = "Curves of swinging pendulums. They need no key and no network."
_POINTS = 160  # of one swing
_STAGES = 12  # sketches of one picture
_PREVIEW_PIXELS = 256


def parameters() -> dict[str, Parameter]:
    """What can be chosen, in the order in which panels show it."""

    def side(label: str) -> Parameter:
        return Parameter(
            ParameterKind.INTEGER,
            default=512,
            minimum=64,
            maximum=1536,
            step=8,
            unit="px",
            label=label,
        )

    return {
        "width": side("Width"),
        "height": side("Height"),
        "swings": Parameter(
            ParameterKind.INTEGER,
            default=60,
            minimum=5,
            maximum=200,
            label="Swings",
            help="How often the pendulums swing before the pen is lifted.",
        ),
        "friction": Parameter(
            ParameterKind.NUMBER,
            default=0.3,
            minimum=0,
            maximum=1,
            step=0.05,
            label="Friction",
            help="How soon they come to rest.",
        ),
        "paper": Parameter(
            ParameterKind.CHOICE,
            default="dark",
            choices=("dark", "light"),
            label="Paper",
        ),
    }


class Harmonograph:
    """The provider: everything that `workbench.ports.Provider` asks for."""

    name = NAME
    title = "Harmonograph"
    help = HELP
    idempotency = FREE  # a picture costs nothing, and may be drawn again after a crash
    concurrency = 2
    deadline_s = 120.0

    def state(self) -> ProviderState:
        """Ready wherever it is installed."""
        return ProviderState(True)

    def models(self) -> Sequence[Model]:
        """The one model."""
        return (
            Model(
                id=f"{NAME}:pendulum",
                provider=NAME,
                name="pendulum",
                title="Pendulum",
                help=HELP,
                parameters=parameters(),
                max_images=16,
                seeds=True,
                steps_preview=True,
                aliases=("pendulum",),
            ),
        )

    async def submit(self, request: JobRequest) -> JobRef:
        """Give no id: the drawing happens in `events`."""
        return JobRef()

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Draw each picture, with a step and a sketch for each stage."""
        if not request.prompt.strip(" .!?"):
            raise ProviderError(ErrorKind.BAD_REQUEST, "Write a word or two; they mix the inks.")
        for slot in request.slots:
            yield Running(0, _STAGES, slot.index)
            stages = drawing(request, slot)
            for stage in range(1, _STAGES + 1):
                # In a thread: the engine's loop has other jobs to look after.
                paper = await asyncio.to_thread(next, stages)
                yield Running(stage, _STAGES, slot.index)
                if stage < _STAGES:
                    yield Partial(await asyncio.to_thread(sketch, paper), slot.index)
            picture = await asyncio.to_thread(encoded, paper)
            yield ImageReady(picture, slot.index, seed=slot.seed)
        yield Done()

    async def cancel(self, ref: JobRef) -> None:
        """Do nothing: the engine stops the drawing."""

    async def lookup(self, request: JobRequest) -> JobRef | None:
        """Find nothing: nothing was sent."""
        return None

    async def close(self) -> None:
        """Nothing is open."""


def drawing(request: JobRequest, slot: Slot) -> Iterator[Image.Image]:
    """Yield the paper after each stage of the drawing; twice as large, for smooth lines."""
    chance = random.Random(f"{request.prompt}|{slot.seed}")
    width, height = 2 * (request.width or 512), 2 * (request.height or 512)
    swings = int(str(request.params.get("swings", 60)))
    friction = float(str(request.params.get("friction", 0.3)))
    dark = request.params.get("paper") != "light"
    paper = Image.new("RGB", (width, height), (14, 16, 26) if dark else (250, 247, 240))
    pen = ImageDraw.Draw(paper)
    # Close to simple ratios, or the curve is a tangle; not on them, or it repeats itself.
    ratio = chance.choice(((2, 3), (3, 4), (3, 5), (1, 2), (4, 5), (1, 3)))
    x_swing, y_swing = (part + chance.uniform(-0.012, 0.012) for part in ratio)
    turns = [chance.uniform(0, 2 * math.pi) for _ in range(4)]
    inks = inks_of(request.prompt, dark=dark)

    def place(point: int) -> tuple[float, float]:
        time = 2 * math.pi * point / _POINTS
        fade = math.exp(-friction * time / 60)
        x = math.sin(x_swing * time + turns[0]) + 0.5 * math.sin(time + turns[1])
        y = math.sin(y_swing * time + turns[2]) + 0.5 * math.sin(time + turns[3])
        return width * (0.5 + 0.3 * fade * x), height * (0.5 + 0.3 * fade * y)

    last = swings * _POINTS
    for stage in range(_STAGES):
        points = range(last * stage // _STAGES, last * (stage + 1) // _STAGES + 1)
        line = [place(point) for point in points]
        ink = mixed(*inks, stage / (_STAGES - 1))
        pen.line(line, fill=ink, width=max(2, min(width, height) // 500), joint="curve")
        yield paper


def inks_of(prompt: str, *, dark: bool) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Mix two inks from the words of a prompt."""
    hues = hashlib.sha256(prompt.casefold().encode()).digest()[:2]
    first, second = (colorsys.hls_to_rgb(hue / 256, 0.68 if dark else 0.38, 0.75) for hue in hues)
    return _whole(first), _whole(second)


def mixed(
    one: tuple[int, int, int], other: tuple[int, int, int], part: float
) -> tuple[int, int, int]:
    """Mix two colours: `part` of the second one."""
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _whole(colour: tuple[float, float, float]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in colour)
    return red, green, blue


def sketch(paper: Image.Image) -> bytes:
    """Return a small picture of the drawing so far."""
    small = paper.copy()
    small.thumbnail((_PREVIEW_PIXELS, _PREVIEW_PIXELS))
    return _saved(small, "WEBP")


def encoded(paper: Image.Image) -> bytes:
    """Return the finished picture as a PNG file."""
    return _saved(paper.reduce(2), "PNG")


def _saved(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()
