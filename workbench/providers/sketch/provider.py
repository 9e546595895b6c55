"""The built-in provider: the painter behind the same protocol as any other plugin.

It needs no key and no network, so that the first picture is there at once, and tests have real
progress, previews, seeds and failures.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

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
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.ports import ProviderState
from workbench.providers.sketch.style_names import STYLES

if TYPE_CHECKING:
    from PIL.Image import Image

HELP = (
    "A procedural painter, not a neural model: it looks up the words of the prompt in a table of "
    "scenes, things, colours and moods and paints them with brush strokes, coarse to fine. It "
    "needs no key and no network."
)
_PREVIEW_PIXELS = 256
_PREVIEW_EVERY_S = 0.1
_MAX_WORDS_NAMED = 12

_STYLE_HELP = "How it is painted."


def _parameters() -> dict[str, Parameter]:
    def size(label: str) -> Parameter:
        return Parameter(
            ParameterKind.INTEGER,
            default=512,
            minimum=64,
            maximum=2048,
            step=8,
            unit="px",
            label=label,
            group="size",
        )

    return {
        "width": size("Width"),
        "height": size("Height"),
        "steps": Parameter(
            ParameterKind.INTEGER,
            default=20,
            minimum=1,
            maximum=60,
            step=1,
            label="Steps",
            help="Layers of strokes, from coarse to fine.",
        ),
        "style": Parameter(
            ParameterKind.CHOICE,
            default=next(iter(STYLES)),
            choices=tuple(STYLES),
            label="Style",
            help=_STYLE_HELP,
        ),
        "palette": Parameter(
            ParameterKind.NUMBER,
            default=0.7,
            minimum=0,
            maximum=1,
            step=0.05,
            label="Palette",
            help="0 = natural, muted colours; 1 = bold ones.",
        ),
        "fail": Parameter(
            ParameterKind.JSON,
            label="Fail on demand",
            help="For tests: a probability for every try, or a list of image indices whose first "
            "try fails.",
            hidden=True,
            validator=check_fail,
        ),
        "delay_ms": Parameter(
            ParameterKind.INTEGER,
            minimum=0,
            maximum=60_000,
            unit="ms",
            label="Delay",
            help="For tests: extra time for each step.",
            hidden=True,
        ),
    }


class SketchProvider:
    """Provider ``builtin`` with the model ``sketch``."""

    name = "builtin"
    title = "Built in"
    help = HELP
    idempotency = FREE
    concurrency = max(1, min(8, os.cpu_count() or 1))
    deadline_s = 1800.0

    def __init__(self) -> None:
        self._model: Model | None = None

    def state(self) -> ProviderState:
        """Ready wherever Pillow and NumPy are."""
        return ProviderState(True)

    def models(self) -> Sequence[Model]:
        """The one model."""
        if self._model is None:
            self._model = Model(
                id="builtin:sketch",
                provider=self.name,
                name="sketch",
                title="Sketch",
                help=HELP,
                parameters=_parameters(),
                max_images=64,
                max_references=1,
                negative_prompt=True,
                seeds=True,
                steps_preview=True,
                aliases=("sketch",),
            )
        return (self._model,)

    async def submit(self, request: JobRequest) -> JobRef:
        """Nothing to send anywhere: the painting happens in `events`."""
        return JobRef()

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Paint every slot, one after the other, with a step and a preview for each layer."""
        steps = _whole(request.params.get("steps"), 20)
        delay_s = _whole(request.params.get("delay_ms"), 0) / 1000
        for slot in request.slots:
            yield Running(0, steps, slot.index)
            fails = fails_on_demand(request.params.get("fail"), slot)
            canvases = await asyncio.to_thread(_canvases, request, slot, steps)
            canvas: Image | None = None
            preview_at = 0.0
            for step in range(1, steps + 1):
                if delay_s:
                    await asyncio.sleep(delay_s)
                if fails and step > steps // 2:
                    raise ProviderError(
                        ErrorKind.BAD_REQUEST,
                        "It failed because the parameter 'fail' asked for it.",
                    )
                canvas = await asyncio.to_thread(next, canvases)
                yield Running(step, steps, slot.index)
                if step < steps and time.monotonic() >= preview_at:
                    yield Partial(await asyncio.to_thread(_preview, canvas), slot.index)
                    preview_at = time.monotonic() + _PREVIEW_EVERY_S
            assert canvas is not None
            yield await asyncio.to_thread(_finished, request, slot, canvas)
        yield Done()

    async def cancel(self, ref: JobRef) -> None:
        """Nothing to tell anybody: the task that paints is stopped."""

    async def lookup(self, request: JobRequest) -> JobRef | None:
        """There is nothing to look up."""
        return None

    async def close(self) -> None:
        """Nothing is kept open."""


def check_fail(fail: JsonValue) -> None:
    """Raise ValueError unless `fail` is None, a probability or a list of indices."""
    if fail is None:
        return
    if isinstance(fail, list):
        if all(isinstance(index, int) and not isinstance(index, bool) for index in fail):
            return
    elif isinstance(fail, (int, float)) and not isinstance(fail, bool) and 0 <= fail <= 1:
        return
    raise ValueError("must be a probability from 0 to 1 or a list of image indices.")


def fails_on_demand(fail: JsonValue, slot: Slot) -> bool:
    """Tell whether the testing parameter makes this try fail (the same try always alike)."""
    if isinstance(fail, list):
        return slot.index in fail and not slot.is_retry
    if not isinstance(fail, (int, float)):
        return False
    digest = hashlib.sha256(f"fail {slot.generation_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48 < fail


def _canvases(request: JobRequest, slot: Slot, steps: int) -> Iterator[Image]:
    from workbench.providers.sketch.painter import paint

    reference = None
    if request.inputs:
        from PIL import Image

        reference = Image.open(
            io.BytesIO(request.inputs[0].read()), formats=("PNG", "JPEG", "WEBP", "GIF")
        ).convert("RGB")
    return paint(
        request.prompt,
        negative_prompt=request.negative_prompt or "",
        width=request.width or 512,
        height=request.height or 512,
        seed=slot.seed or 0,
        steps=steps,
        style=str(request.params.get("style", "painterly")),
        palette=_number(request.params.get("palette"), 0.7),
        reference=reference,
    )


def _preview(canvas: Image) -> bytes:
    small = canvas.copy()
    small.thumbnail((_PREVIEW_PIXELS, _PREVIEW_PIXELS), reducing_gap=2.0)
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=70, method=0)
    return buffer.getvalue()


def _finished(request: JobRequest, slot: Slot, canvas: Image) -> ImageReady:
    from workbench.providers.sketch.painter import encode_png, understand

    words = understand(request.prompt, request.negative_prompt or "").not_understood
    named = ", ".join(words[:_MAX_WORDS_NAMED]) + (" …" if len(words) > _MAX_WORDS_NAMED else "")
    return ImageReady(
        encode_png(canvas),
        slot.index,
        seed=slot.seed,
        detail_key="not_understood" if words else None,
        detail_args={"words": named} if words else {},
    )


def _whole(value: JsonValue, default: int) -> int:
    return int(value) if isinstance(value, (int, float)) else default


def _number(value: JsonValue, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) else default
