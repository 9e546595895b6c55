"""The painter: from a prompt to a picture, step by step.

A procedural painter, not a neural model: words choose palette, scene and things from a table,
and brush strokes paint them from coarse to fine.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from workbench.providers.sketch.palettes import choose_palette
from workbench.providers.sketch.pen import mix, tone
from workbench.providers.sketch.scene import Target, compose
from workbench.providers.sketch.streams import Stream
from workbench.providers.sketch.style_names import STYLES
from workbench.providers.sketch.styles import paint_in
from workbench.providers.sketch.understanding import Understanding, understand

__all__ = ["STYLES", "VERSION", "Understanding", "encode_png", "paint", "understand"]

VERSION = "1"
"""Changes whenever the same request gives other pixels."""

SMALLEST, LARGEST, GRID, MOST_STEPS = 64, 2048, 8, 60


def paint(
    prompt: str,
    *,
    negative_prompt: str = "",
    width: int,
    height: int,
    seed: int,
    steps: int = 20,
    style: str = "painterly",
    palette: float = 0.7,
    reference: Image.Image | None = None,
) -> Iterator[Image.Image]:
    """Paint a prompt and yield the canvas after every step.

    Parameters: ``prompt`` and ``negative_prompt`` (words of the latter are left out);
    ``width`` and ``height`` in pixels, 64..2048 in steps of 8; ``seed`` any whole number;
    ``steps`` 1..60, more are finer; ``style`` a key of ``STYLES``; ``palette`` 0..1 from
    natural, muted colours to bold ones; ``reference`` a picture to paint instead of a scene.

    Returns an iterator of exactly ``steps`` RGB images; the last is the finished picture.
    It may be abandoned after any step.  Raises ``ValueError`` for a value out of range.

    Example::

        >>> *_, picture = paint("a red boat at sunset", width=128, height=96, seed=7, steps=4)
        >>> picture.size
        (128, 96)
    """
    for name, value in (("width", width), ("height", height)):
        if not SMALLEST <= value <= LARGEST or value % GRID:
            raise ValueError(
                f"The {name} must be a multiple of {GRID} from {SMALLEST} to {LARGEST} pixels,"
                f" not {value}."
            )
    if not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"The steps must be a whole number from 1 to {MOST_STEPS}, not {steps}.")
    if style not in STYLES:
        raise ValueError(f"The style must be one of {', '.join(STYLES)}, not {style!r}.")
    if not 0 <= palette <= 1:
        raise ValueError(f"The palette must be a number from 0 to 1, not {palette}.")
    return _steps(prompt, negative_prompt, width, height, seed, steps, style, palette, reference)


def _steps(
    prompt: str,
    negative_prompt: str,
    width: int,
    height: int,
    seed: int,
    steps: int,
    style: str,
    palette: float,
    reference: Image.Image | None,
) -> Iterator[Image.Image]:
    seen = understand(prompt, negative_prompt)
    if reference is None:
        target = compose(seen, width, height, seed, palette)
    else:
        target = _from_reference(seen, reference, width, height, seed, palette)
    yield from paint_in(style, target, steps, seed ^ (seen.salt & 0xFFFF), palette)


def _from_reference(
    seen: Understanding,
    reference: Image.Image,
    width: int,
    height: int,
    seed: int,
    lead: float,
) -> Target:
    """Return a target that is the reference itself, in colours leaning to the scene's."""
    source = reference.convert("RGB")
    scale = max(width / source.width, height / source.height)
    wide, high = width / scale, height / scale
    left, upper = (source.width - wide) / 2, (source.height - high) / 2
    picture = source.resize(
        (width, height), Image.Resampling.BICUBIC, (left, upper, left + wide, upper + high)
    )
    colours = choose_palette(seen, Stream("palette", seed, seen.salt))
    values = np.asarray(picture, dtype=np.float32)
    grey = values[:, :, 0] * np.float32(0.3) + values[:, :, 1] * np.float32(0.59)
    grey += values[:, :, 2] * np.float32(0.11)
    ramp = [
        tone(colours.near, 0.35),
        colours.near,
        colours.far,
        colours.sky[2],
        colours.sky[3],
        colours.disc,
    ]
    at = sorted(0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2] for c in ramp)
    ramp.sort(key=lambda c: 0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2])
    lut = np.stack(
        [np.interp(np.arange(256), at, [float(c[b]) for c in ramp]) for b in range(3)], axis=1
    )
    toned = lut.astype(np.float32)[np.clip(grey, 0, 255).astype(np.int64)]
    part = np.float32(0.42 * lead)
    named = bool(seen.elements or seen.palette or seen.time or seen.mood)
    out = values + (toned - values) * (part if named else part * np.float32(0.4))
    picture = Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))
    mean = picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    ground = (
        (int(mean[0]), int(mean[1]), int(mean[2])) if isinstance(mean, tuple) else (128, 120, 110)
    )
    blank = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    plain = Target(
        picture, blank, Image.new("L", (width, height), 0), ground, tone(colours.near, 0.34)
    )
    return replace(plain, ground=mix(ground, colours.near, 0.2))


def encode_png(image: Image.Image) -> bytes:
    r"""Return an image as a PNG file, without metadata and the same bytes every time.

    Example::

        >>> encode_png(Image.new("RGB", (64, 64)))[:4]
        b'\x89PNG'
    """
    out = io.BytesIO()
    Image.frombytes("RGB", image.size, image.convert("RGB").tobytes()).save(
        out, format="PNG", compress_level=3
    )
    return out.getvalue()
