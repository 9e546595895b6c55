"""Pictures to measure with, always the same ones."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

_SIDE = 1024
_BLOCKS = 32  # in a row; so large that a mark outlives JPEG, and a picture that is made smaller
_MARK_BITS = 4
_QUALITY = 90


def photo_like() -> bytes:
    """A PNG of 1024 × 1024 with soft forms and fine grain, as image models give them (≈ 1.5 MB)."""
    draw = np.random.default_rng(11)
    y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32) / _SIDE
    canvas = np.zeros((_SIDE, _SIDE, 3), np.float32)
    for _ in range(12):
        middle_x, middle_y, size = draw.random(3).astype(np.float32)
        colour = draw.random(3).astype(np.float32)
        distance = (x - middle_x) ** 2 + (y - middle_y) ** 2
        canvas += np.exp(-distance / (0.03 + 0.15 * size * size))[..., None] * colour
    canvas /= canvas.max()
    coarse = draw.normal(size=(_SIDE // 4, _SIDE // 4, 3)).repeat(4, axis=0).repeat(4, axis=1)
    canvas += 0.02 * coarse + 0.008 * draw.normal(size=canvas.shape)
    pixels = (np.clip(canvas, 0, 1) * 255).astype(np.uint8)
    return _png(Image.fromarray(pixels), 6)


def painted() -> bytes:
    """A PNG of 1024 × 1024 from the built-in painter, as a workspace without keys holds them."""
    from workbench.providers.sketch.painter import encode_png, paint

    *_, canvas = paint("a lighthouse in a storm at dusk", width=1024, height=1024, seed=5, steps=20)
    return encode_png(canvas)


def marked(numbers: int, kind: str, side: int) -> list[bytes]:
    """The photo-like picture as jpeg, webp or png, so many times, each with its number in it.

    Black and white blocks in the upper left corner: four bits, then the same ones turned round.
    Whoever shows the picture can tell by its pixels which one it is.
    """
    if numbers > 2**_MARK_BITS:
        raise ValueError(f"a mark has {_MARK_BITS} bits")
    photo = Image.open(io.BytesIO(photo_like())).resize((side, side), Image.Resampling.LANCZOS)
    block = side // _BLOCKS
    found = []
    for number in range(numbers):
        bits = [number >> place & 1 for place in range(_MARK_BITS)]
        for place, bit in enumerate([*bits, *(1 - bit for bit in bits)]):
            left = place * block
            photo.paste((255 * bit,) * 3, (left, 0, left + block, block))
        found.append(_encoded(photo, kind))
    return found


def _encoded(image: Image.Image, kind: str) -> bytes:
    if kind == "png":
        return _png(image, 6)
    out = io.BytesIO()
    image.save(out, kind, quality=_QUALITY)
    return out.getvalue()


def _png(image: Image.Image, level: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=level)
    return out.getvalue()
