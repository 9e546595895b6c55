"""The brush: curved strokes that follow the forms of a picture, laid by the thousand.

A stroke is a ribbon of sample points along a path through the direction field.  All strokes of
a pass are laid at once: every sample writes its number into a map of the canvas (a later
stroke covers an earlier one), and the winners then colour their pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from workbench.providers.sketch.streams import Array, Stream, noise

_f = np.float32


@dataclass(frozen=True)
class Hand:
    """How a style moves the brush.

    ``long`` stroke length and ``wide`` in brush radii, ``cover`` how often a pass covers the
    canvas, ``opacity`` 0..1, ``jitter`` of colours in 0..255, ``streak`` strength of the
    bristles, ``grain`` how much the tooth of the paper breaks the stroke, ``loyal`` how far
    (0..765) a stroke may leave its colour before it ends.
    """

    long: float = 7.0
    cover: float = 1.0
    opacity: float = 0.9
    jitter: float = 12.0
    streak: float = 19.0
    grain: float = 0.0
    loyal: float = 66.0
    round: bool = False


def direction_field(image: Image.Image, smooth: float) -> tuple[Array, Array]:
    """Return the cosine and sine of the direction along the edges of a picture.

    The smoothed structure tensor gives the direction; where nothing happens, strokes run
    nearly level.
    """
    grey = np.asarray(image.convert("L").filter(ImageFilter.BoxBlur(1)), dtype=np.int32)
    gx = np.zeros_like(grey)
    gy = np.zeros_like(grey)
    gx[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    gy[1:-1] = grey[2:] - grey[:-2]
    gx, gy = np.clip(gx, -90, 90), np.clip(gy, -90, 90)
    size = max(1, int(smooth))
    xx = _blur(gx * gx, size)
    yy = _blur(gy * gy, size)
    xy = _blur(gx * gy, size)
    a = yy - xx + _f(1.5)  # a little towards the level direction
    b = -2 * xy
    length = np.sqrt(a * a + b * b) + _f(1e-6)
    cos2 = a / length
    cos = np.sqrt(np.clip((1 + cos2) * _f(0.5), 0, 1))
    sin = np.sqrt(np.clip((1 - cos2) * _f(0.5), 0, 1))
    return cos, np.where(b < 0, -sin, sin).astype(_f)


def _blur(values: Array, size: int) -> Array:
    """Return the box mean, from exact whole-number sums."""
    out = values.astype(np.int64)
    for axis in (0, 1):
        padded = np.concatenate(
            [
                np.repeat(out.take([0], axis), size + 1, axis),
                out,
                np.repeat(out.take([-1], axis), size, axis),
            ],
            axis,
        )
        total = np.cumsum(padded, axis=axis)
        n = out.shape[axis]
        high = total.take(range(2 * size + 1, 2 * size + 1 + n), axis)
        low = total.take(range(n), axis)
        out = (high - low) // (2 * size + 1)
    return out.astype(_f)


class Canvas:
    """A canvas in paint: its colours and the thickness of the paint."""

    def __init__(self, image: Image.Image) -> None:
        self.colour = np.asarray(image, dtype=_f).copy()
        self.paint = np.zeros(self.colour.shape[:2], dtype=_f)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.colour.shape[1], self.colour.shape[0]

    def image(self) -> Image.Image:
        """Return the colours as a picture."""
        return Image.fromarray(np.clip(self.colour + _f(0.5), 0, 255).astype(np.uint8))

    def grown(self, size: tuple[int, int]) -> Canvas:
        """Return this canvas at another size."""
        return Canvas(self.image().resize(size, Image.Resampling.BICUBIC))


def choose_spots(
    canvas: Canvas,
    reference: Array,
    radius: float,
    keep: float,
    focus: Array | None,
    stream: Stream,
) -> tuple[Array, Array]:
    """Return where a pass puts its strokes: in each cell of a grid, at its worst pixel.

    ``keep`` is the part of the cells (0..1) that get a stroke, those with most error first.
    """
    width, height = canvas.size
    cell = max(2, int(radius * 1.7))
    rows, cols = height // cell, width // cell
    if rows < 1 or cols < 1:
        return np.array([height // 2]), np.array([width // 2])
    gap = canvas.colour[: rows * cell, : cols * cell] - reference[: rows * cell, : cols * cell]
    error = np.abs(gap[:, :, 0]) + np.abs(gap[:, :, 1]) + np.abs(gap[:, :, 2])
    if focus is not None:
        error = error * (1 + focus[: rows * cell, : cols * cell])
    whole = error.astype(np.int32)
    cells = whole.reshape(rows, cell, cols, cell).transpose(0, 2, 1, 3).reshape(rows * cols, -1)
    jittered = cells * 4 + stream.bytes(cells.shape[0], cells.shape[1]) // 16
    worst = jittered.argmax(axis=1)
    weight = cells.sum(axis=1)
    order = np.argsort(-weight, kind="stable")[: max(1, int(len(weight) * keep))]
    order = order[stream.order(len(order))]
    ys = (order // cols) * cell + worst[order] // cell
    xs = (order % cols) * cell + worst[order] % cell
    return ys, xs


def _footprint(radius: float, length: float, stream: Stream, *, rounded: bool) -> tuple[Array, ...]:
    """Return the samples of one stroke: along, across, opacity, and bristles of 8 kinds."""
    step = 0.96
    n_long = max(2, int(length / step) + 1)
    n_wide = max(2, int(2 * radius / step) + 1)
    along = np.repeat(np.arange(n_long) / (n_long - 1), n_wide)
    across = np.tile(np.arange(n_wide) / (n_wide - 1) * 2 - 1, n_long)
    tip = np.minimum(along, 1 - along) * length / max(radius, 0.5)
    d = np.clip(1 - tip, 0, 1)
    inside = d * d + across * across
    edge = np.clip((1.06 - inside) * (2.2 if radius > 2 else 1.3), 0, 1)
    keep = np.flatnonzero(edge > 0.06)
    keep = keep[np.argsort(edge[keep], kind="stable")]
    along, across, edge = along[keep], across[keep], edge[keep]
    lanes = np.clip(((across + 1) * 0.5 * 15.99).astype(np.int64), 0, 15)
    run = np.clip((along * 5.99).astype(np.int64), 0, 5)
    bristles = (
        stream.numbers(8 * 16, -1, 1).reshape(8, 16)[:, lanes] * 0.75
        + stream.numbers(8 * 96, -1, 1).reshape(8, 96)[:, lanes * 6 + run] * 0.25
    )
    if rounded:
        bristles = bristles * 0.3
    return along, across, edge.astype(_f), bristles.astype(_f)


def lay_strokes(  # noqa: PLR0915 - one pass over the canvas
    canvas: Canvas,
    reference: Array,
    field: tuple[Array, Array],
    spots: tuple[Array, Array],
    radius: float,
    hand: Hand,
    tooth: Array | None,
    stream: Stream,
) -> None:
    """Lay one pass of strokes onto the canvas.

    ``reference`` is what to paint (float32, same size as the canvas), ``field`` the direction
    of strokes, ``spots`` their starts (ys, xs), ``radius`` of the brush in pixels.
    """
    ys, xs = spots
    count = len(ys)
    width, height = canvas.size
    length = max(radius * hand.long, 2.0) if not hand.round else radius * 2.1
    cos, sin = field
    colours = reference[ys, xs]
    noise_value = stream.numbers(count, -1, 1).astype(_f)[:, None] * _f(hand.jitter)
    noise_hue = stream.numbers(count * 3, -1, 1).astype(_f).reshape(count, 3) * _f(
        hand.jitter * 0.55
    )
    mixed = colours + noise_value + noise_hue
    knots = 6
    px, py = np.empty((count, knots)), np.empty((count, knots))
    x, y = xs.astype(np.float64), ys.astype(np.float64)
    px[:, 0], py[:, 0] = x, y
    turn = np.where(stream.numbers(count) < 0.5, -1.0, 1.0)
    last_x, last_y = cos[ys, xs] * turn, sin[ys, xs] * turn
    alive = np.ones(count)
    stride = length / (knots - 1) * stream.numbers(count, 0.65, 1.15)
    for k in range(1, knots):
        ix = np.clip(x, 0, width - 1).astype(np.int64)
        iy = np.clip(y, 0, height - 1).astype(np.int64)
        dx, dy = cos[iy, ix].astype(np.float64), sin[iy, ix].astype(np.float64)
        same = np.where(dx * last_x + dy * last_y < 0, -1.0, 1.0)
        dx, dy = dx * same * 0.7 + last_x * 0.3, dy * same * 0.7 + last_y * 0.3
        size = np.sqrt(dx * dx + dy * dy) + 1e-9
        dx, dy = dx / size, dy / size
        if k > 1:
            away = np.abs(reference[iy, ix] - colours)
            alive = alive * (away[:, 0] + away[:, 1] + away[:, 2] < hand.loyal)
        x, y = x + dx * stride * alive, y + dy * stride * alive
        px[:, k], py[:, k] = x, y
        last_x, last_y = dx, dy
    along, across, edge, bristles = _footprint(
        radius, length, stream.child("foot"), rounded=hand.round
    )
    at = along * (knots - 1)
    low = np.minimum(at.astype(np.int64), knots - 2)
    part = (at - low).astype(_f)
    sx, sy = px.astype(_f), py.astype(_f)
    vx, vy = np.diff(sx, axis=1), np.diff(sy, axis=1)
    norm = np.sqrt(vx * vx + vy * vy) + _f(1e-4)
    ux, uy = vx / norm, vy / norm
    rest = norm < _f(0.01)
    for k in range(1, knots - 1):  # where a stroke ended, keep its last direction
        ux[:, k] = np.where(rest[:, k], ux[:, k - 1], ux[:, k])
        uy[:, k] = np.where(rest[:, k], uy[:, k - 1], uy[:, k])
    swing = (across * radius).astype(_f)
    winner = np.full(width * height + 1, -1, dtype=np.int32)
    samples = len(along)
    block = max(1, 400_000 // samples)
    for start in range(0, count, block):
        rows = slice(start, min(count, start + block))
        fx = sx[rows][:, low] + vx[rows][:, low] * part - uy[rows][:, low] * swing
        fy = sy[rows][:, low] + vy[rows][:, low] * part + ux[rows][:, low] * swing
        ix = (fx + _f(0.5)).astype(np.int32)
        iy = (fy + _f(0.5)).astype(np.int32)
        out = (fx < 0) | (fy < 0) | (ix >= width) | (iy >= height)
        flat = iy * np.int32(width) + ix
        flat[out] = width * height
        number = np.arange(rows.start, rows.stop, dtype=np.int32)[:, None] * np.int32(samples)
        winner[flat] = number + np.arange(samples, dtype=np.int32)
    spots_won = np.flatnonzero(winner[:-1] >= 0)
    won = winner[spots_won]
    stroke = won // np.int32(samples)
    sample = won - stroke * np.int32(samples)
    opacity = edge[sample] * _f(hand.opacity)
    bristle = bristles[stroke & 7, sample]
    if tooth is not None:
        rough = tooth.reshape(-1)[spots_won]
        opacity = opacity * np.clip(
            (rough - _f(hand.grain * 0.72)) * _f(3.2) + _f(0.28) + bristle * _f(0.3), 0, 1
        )
    colour = mixed[stroke] + (bristle * _f(hand.streak))[:, None]
    flat_canvas = canvas.colour.reshape(-1, 3)
    before = flat_canvas[spots_won]
    flat_canvas[spots_won] = before + (colour - before) * opacity[:, None]
    thick = canvas.paint.reshape(-1)
    body = (_f(0.5) + bristle * _f(0.5)) * min(1.0, 0.35 + radius * 0.09)
    thick[spots_won] = thick[spots_won] * (1 - opacity) + body * opacity


def canvas_weave(width: int, height: int) -> Array:
    """Return the weave of a linen canvas, -1..1."""
    x = np.arange(width, dtype=np.int32)[None, :]
    y = np.arange(height, dtype=np.int32)[:, None]
    over = ((x // 2 + y // 2) % 2).astype(_f) * 2 - 1
    thread = noise(Stream("weave"), height, width, 40, 2.5) + noise(
        Stream("weft"), height, width, 2.5, 40
    )
    return over * _f(0.35) + (thread - 1) * _f(0.9)


def paper_tooth(width: int, height: int, size: float = 2.6) -> Array:
    """Return the tooth of rough paper, 0..1."""
    r = Stream("tooth")
    fine = noise(r.child(1), height, width, size, size)
    grit = r.child(2).bytes(height, width).astype(_f) * _f(1 / 255)
    broad = noise(r.child(3), height, width, size * 5, size * 5)
    return fine * _f(0.6) + grit * _f(0.2) + broad * _f(0.2)
