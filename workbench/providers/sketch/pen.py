"""Drawing tools: colours, a pen in local coordinates, and tiles that take light.

A drawing is made in *local units*: the ground is y = 0, up is positive and the thing is about
one unit tall.  The pen turns that into pixels of a tile, which the scene then lights and
places.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]

INK: Colour = (34, 30, 38)
WHITE: Colour = (246, 242, 234)


def clip(value: float) -> int:
    """Return ``value`` as a colour component, 0..255."""
    return 0 if value < 0 else 255 if value > 255 else int(value + 0.5)


def mix(first: Colour, second: Colour, part: float) -> Colour:
    """Return the colour ``part`` of the way (0..1) from ``first`` to ``second``."""
    r, g, b = (clip(a + (c - a) * part) for a, c in zip(first, second, strict=True))
    return r, g, b


def tone(colour: Colour, factor: float) -> Colour:
    """Return ``colour`` darker (factor < 1) or lighter (factor > 1, towards white)."""
    if factor <= 1:
        return mix((18, 14, 30), colour, factor)
    return mix(colour, (255, 250, 238), min(1.0, factor - 1))


def times(colour: Colour, light: tuple[float, float, float]) -> Colour:
    """Return ``colour`` seen under a light with one factor for each of red, green, blue."""
    r, g, b = (clip(a * f) for a, f in zip(colour, light, strict=True))
    return r, g, b


def smooth_closed(points: Sequence[Point], detail: int = 7) -> list[Point]:
    """Return a closed Catmull-Rom curve through ``points``."""
    out: list[Point] = []
    count = len(points)
    for i in range(count):
        p0, p1 = points[i - 1], points[i]
        p2, p3 = points[(i + 1) % count], points[(i + 2) % count]
        out.extend(_span(p0, p1, p2, p3, detail))
    return out


def smooth_open(points: Sequence[Point], detail: int = 7) -> list[Point]:
    """Return an open Catmull-Rom curve through ``points``."""
    if len(points) < 3:
        return list(points)
    padded = [points[0], *points, points[-1]]
    out: list[Point] = []
    for i in range(1, len(padded) - 2):
        out.extend(_span(padded[i - 1], padded[i], padded[i + 1], padded[i + 2], detail))
    out.append(points[-1])
    return out


def _span(p0: Point, p1: Point, p2: Point, p3: Point, detail: int) -> Iterable[Point]:
    for k in range(detail):
        t = k / detail
        t2, t3 = t * t, t * t * t
        a, b = 2 * t2 - t3 - t, 2 - 5 * t2 + 3 * t3
        c, d = t + 4 * t2 - 3 * t3, t3 - t2
        yield (
            (a * p0[0] + b * p1[0] + c * p2[0] + d * p3[0]) / 2,
            (a * p0[1] + b * p1[1] + c * p2[1] + d * p3[1]) / 2,
        )


@dataclass(frozen=True)
class Coat:
    """The colours of one thing: its main colour, the tones made of it, and its eyes."""

    main: Colour
    eye: Colour = (60, 44, 30)
    named: bool = False

    @property
    def light(self) -> Colour:
        """A lighter tone of the main colour."""
        return tone(self.main, 1.28)

    @property
    def pale(self) -> Colour:
        """Nearly white, with a breath of the main colour."""
        return mix(self.main, (255, 248, 236), 0.78)

    @property
    def dark(self) -> Colour:
        """A darker tone of the main colour."""
        return tone(self.main, 0.66)

    @property
    def deep(self) -> Colour:
        """The darkest tone of the main colour."""
        return tone(self.main, 0.36)

    def or_own(self, own: Colour) -> Colour:
        """Return the main colour if the prompt named one, else ``own``."""
        return self.main if self.named else own


class Pen:
    """A pen on a transparent tile, in local units.

    Parameters: ``size`` of the tile in pixels, ``origin`` (the pixel of local 0, 0), ``unit``
    in pixels and ``flip`` to mirror the drawing.
    """

    def __init__(
        self, size: tuple[int, int], origin: Point, unit: float, *, flip: bool = False
    ) -> None:
        self.image = Image.new("RGBA", size, (0, 0, 0, 0))
        self.unit = unit
        self._draw = ImageDraw.Draw(self.image)
        self._ox, self._oy = origin
        self._sx = -unit if flip else unit

    def _at(self, points: Iterable[Point]) -> list[Point]:
        ox, oy, sx, u = self._ox, self._oy, self._sx, self.unit
        return [(round(ox + x * sx, 2), round(oy - y * u, 2)) for x, y in points]

    def poly(self, points: Sequence[Point], fill: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon(self._at(points), fill=(*fill, 255))

    def blob(self, points: Sequence[Point], fill: Colour) -> None:
        """Fill a smooth closed shape through the points."""
        self._draw.polygon(self._at(smooth_closed(points)), fill=(*fill, 255))

    def oval(
        self, x: float, y: float, rx: float, ry: float, fill: Colour, turn: float = 0.0
    ) -> None:
        """Fill an ellipse around (x, y), turned by ``turn`` degrees."""
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        points = [(x + rx * a * c - ry * b * s, y + rx * a * s + ry * b * c) for a, b in _CIRCLE]
        self._draw.polygon(self._at(points), fill=(*fill, 255))

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        """Fill a rectangle."""
        self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill)

    def line(self, points: Sequence[Point], width: float, fill: Colour, end: float = -1.0) -> None:
        """Draw a smooth line that goes from ``width`` to ``end`` (default the same width)."""
        end = width if end < 0 else end
        path = smooth_open(points, 6)
        left: list[Point] = []
        right: list[Point] = []
        last = len(path) - 1
        for i, (x, y) in enumerate(path):
            ax, ay = path[max(i - 1, 0)]
            bx, by = path[min(i + 1, last)]
            dx, dy = bx - ax, by - ay
            size = math.sqrt(dx * dx + dy * dy) or 1.0
            half = max(0.5 * (width + (end - width) * i / max(last, 1)), 0.6 / self.unit)
            left.append((x - dy / size * half, y + dx / size * half))
            right.append((x + dy / size * half, y - dx / size * half))
        self._draw.polygon(self._at(left + right[::-1]), fill=(*fill, 255))
        for (x, y), w in ((path[0], width), (path[-1], end)):
            if w * self.unit > 2:
                self.oval(x, y, w / 2, w / 2, fill)


_CIRCLE = [
    (round(math.cos(math.radians(a)), 6), round(math.sin(math.radians(a)), 6))
    for a in range(0, 360, 10)
]


@dataclass(frozen=True)
class Light:
    """The light of a scene: where it comes from and how it colours things.

    ``x``, ``y``: direction towards the light (y up); ``ambient``: factors for red, green,
    blue; ``rim``: colour of lit edges; ``strength`` 0..1.
    """

    x: float
    y: float
    ambient: tuple[float, float, float]
    rim: Colour
    strength: float


def lit(image: Image.Image, light: Light, unit: float, haze: Colour, far: float) -> Image.Image:
    """Return a tile with volume, ambient light and distance haze (``far`` 0..1) applied."""
    alpha = image.getchannel("A")
    width, height = image.size
    small = (max(2, width // 3), max(2, height // 3))
    depth = max(1.0, unit * 0.07 / 3)
    soft = alpha.resize(small, Image.Resampling.BILINEAR).filter(ImageFilter.BoxBlur(depth))
    fine = alpha.resize(small, Image.Resampling.BILINEAR).filter(ImageFilter.BoxBlur(depth / 3))
    ramp = np.asarray(soft, dtype=np.int32)
    edge = np.asarray(fine, dtype=np.int32)
    dx, dy = round(light.x * depth), round(-light.y * depth)
    volume = _shift(ramp, -dx, -dy) - _shift(ramp, dx, dy)
    thin = _shift(edge, -(dx // 3 or 1), -(dy // 3 or 1)) - edge
    level = np.clip(128 + volume // 2, 0, 255).astype(np.uint8)
    rim = np.clip(thin * 2, 0, 255).astype(np.uint8)
    full = np.asarray(
        Image.fromarray(level).resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32
    )
    rim_full = np.asarray(
        Image.fromarray(rim).resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32
    )
    strength = np.float32(light.strength * 0.62 / 128)
    factor = 1 + (full - 128) * strength
    colour = np.asarray(image.convert("RGB"), dtype=np.float32)
    glow = rim_full * np.float32(light.strength * 0.5 / 255)
    out = np.empty_like(colour)
    for band in range(3):
        part = colour[:, :, band] * factor * np.float32(light.ambient[band])
        part += (np.float32(light.rim[band]) - part) * glow
        part += (np.float32(haze[band]) - part) * np.float32(far)
        out[:, :, band] = part
    result = Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))
    result.putalpha(alpha)
    return result


def _shift(
    values: np.ndarray[tuple[int, ...], np.dtype[np.int32]], dx: int, dy: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Return ``values`` moved by whole pixels, with nothing coming in from outside."""
    out = np.zeros_like(values)
    h, w = values.shape
    if abs(dx) >= w or abs(dy) >= h:
        return out
    out[max(dy, 0) : h + min(dy, 0), max(dx, 0) : w + min(dx, 0)] = values[
        max(-dy, 0) : h + min(-dy, 0), max(-dx, 0) : w + min(-dx, 0)
    ]
    return out
