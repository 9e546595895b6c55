"""The styles: how each one prepares its surface, paints and finishes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageFilter

from workbench.providers.sketch.brush import (
    Canvas,
    Hand,
    canvas_weave,
    choose_spots,
    direction_field,
    lay_strokes,
    paper_tooth,
)
from workbench.providers.sketch.pen import Colour, mix
from workbench.providers.sketch.scene import Target
from workbench.providers.sketch.streams import Array, Stream, cloudy, noise

_f = np.float32


def paint_in(
    style: str, target: Target, steps: int, seed: int, lead: float
) -> Iterator[Image.Image]:
    """Return the pictures of a style, one for each step."""
    stream = Stream("paint", style, seed)
    if style == "painterly":
        return _strokes(target, steps, stream, Hand(), _linen(target, lead), relief=True)
    if style == "pastel":
        hand = Hand(long=9, opacity=0.8, jitter=15, streak=9, grain=0.5, loyal=90)
        return _strokes(
            target, steps, stream, hand, mix(target.ground, (196, 178, 160), 0.55), chalk=True
        )
    if style == "pointillist":
        hand = Hand(long=1, opacity=0.96, jitter=30, streak=5, loyal=300, round=True)
        return _strokes(target, steps, stream, hand, mix(target.ground, (236, 222, 196), 0.6))
    if style == "watercolour":
        return _washes(target, steps, stream)
    if style == "ink":
        return _pen_and_wash(target, steps, stream)
    return _print(target, steps, stream)


def _linen(target: Target, lead: float) -> Colour:
    return mix(mix(target.ground, (150, 104, 74), 0.35), target.ink, 0.12 * lead)


def _strokes(  # noqa: C901, PLR0912, PLR0915 - one loop over the steps
    target: Target,
    steps: int,
    stream: Stream,
    hand: Hand,
    ground: Colour,
    *,
    relief: bool = False,
    chalk: bool = False,
) -> Iterator[Image.Image]:
    """Paint with the brush, from coarse strokes to fine ones."""
    image = target.image
    if chalk:
        image = Image.blend(image, Image.new("RGB", image.size, (250, 240, 226)), 0.12)
    width, height = image.size
    unit = min(width, height)
    dots = hand.round
    first = 0.05 * unit if not dots else 0.026 * unit
    last = max(0.95, (0.0028 if not chalk else 0.0034) * unit * (20 / steps) ** 0.4)
    if dots:
        last = max(1.2, 0.0052 * unit * (20 / steps) ** 0.3)
    first = max(first, last * 1.5, 2.0)
    canvas: Canvas | None = None
    level = 0
    cache: dict[int, tuple[Image.Image, tuple[Array, Array], Array | None, Array]] = {}
    weave = canvas_weave(width, height) if relief else None
    tooth = paper_tooth(width, height) if chalk else None
    for step in range(steps):
        t = step / max(1, steps - 1) if steps > 1 else 0.55
        radius = round(first * (last / first) ** (t**0.8), 3)
        want = 4 if radius >= 14 else 2 if radius >= 6 else 1
        if dots or chalk:
            want = min(want, 2)
        want = min(want, max(1, unit // 48))
        size = (max(8, width // want), max(8, height // want))
        if canvas is None:
            canvas = Canvas(Image.new("RGB", size, ground))
        elif want != level:
            canvas = canvas.grown(size)
        level = want
        if want not in cache:
            small = image.resize(size, Image.Resampling.BOX) if want > 1 else image
            focus = np.asarray(target.focus.resize(size, Image.Resampling.BOX), dtype=_f) * _f(
                1.2 / 255
            )
            teeth = None
            if tooth is not None:
                teeth = tooth[::want, ::want][: size[1], : size[0]]
            smooth = max(2, 5.0 * unit / 512 / want)
            cache.clear()
            cache[want] = (small, direction_field(small, smooth), teeth, focus)
        small, field, teeth, focus = cache[want]
        brush = max(0.9, radius / want)
        soft = small.filter(ImageFilter.BoxBlur(brush * 0.35)) if brush > 1.6 else small
        reference = np.asarray(soft, dtype=_f)
        keep = 1.0 if step < 2 else max(0.24, 0.95 - 0.8 * t)
        passes = 2 if step == 0 else 1
        if steps <= 4:
            passes = 3
        now = Hand(
            **{
                **hand.__dict__,
                "jitter": hand.jitter * (1 - 0.66 * t) if not dots else hand.jitter * (1 - 0.3 * t),
                "loyal": hand.loyal * (1.7 - 0.9 * t),
            }
        )
        for turn in range(passes):
            s = stream.child(step, turn)
            spots = choose_spots(canvas, reference, brush, keep, focus if t > 0.3 else None, s)
            lay_strokes(canvas, reference, field, spots, brush, now, teeth, s.child("lay"))
        shown = canvas.image()
        if want > 1:
            shown = shown.resize((width, height), Image.Resampling.BILINEAR)
        if t > 0.72 or steps == 1:
            shown = _with_details(
                shown, target.details, min(1.0, (t - 0.72) / 0.28) if steps > 1 else 1.0
            )
        if relief and weave is not None:
            shown = _relief(shown, canvas.paint if want == 1 else None, weave)
        yield shown


def _with_details(image: Image.Image, details: Image.Image, part: float) -> Image.Image:
    if part <= 0:
        return image
    alpha = details.getchannel("A").point([int(v * part) for v in range(256)])
    out = image.copy()
    out.paste(details.convert("RGB"), (0, 0), alpha)
    return out


def _relief(image: Image.Image, paint: Array | None, weave: Array) -> Image.Image:
    """Light the thickness of the paint and the weave of the canvas from the upper left."""
    shade = weave * _f(2.2)
    if paint is not None:
        shade[1:, 1:] += (paint[1:, 1:] - paint[:-1, :-1]) * _f(26)
    level = np.clip(shade, -26, 26).astype(np.int16)[:, :, None]
    out = np.asarray(image, dtype=np.int16) + level
    return Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))


def _warped(image: Image.Image, reach: float, cell: float, stream: Stream) -> Image.Image:
    """Return a picture with wavering edges."""
    width, height = image.size
    dx = (noise(stream.child("x"), height, width, cell, cell) - _f(0.5)) * _f(2 * reach)
    dy = (noise(stream.child("y"), height, width, cell, cell) - _f(0.5)) * _f(2 * reach)
    ix = np.clip((np.arange(width, dtype=_f)[None, :] + dx).astype(np.int32), 0, width - 1)
    iy = np.clip((np.arange(height, dtype=_f)[:, None] + dy).astype(np.int32), 0, height - 1)
    return Image.fromarray(np.asarray(image)[iy, ix])


def _reveal(
    layers: list[Array], order: Array, steps: int, crisp: float
) -> Iterator[tuple[float, Array]]:
    """Yield (progress, picture) while each layer spreads over the one before it."""
    spans = len(layers) - 1
    for step in range(steps):
        done = (step + 1) / steps
        at = (0.17 + 0.83 * done) * spans  # the first wash is broad
        k = min(int(at - 1e-9), spans - 1)
        part = at - k
        if part >= 1:
            yield done, layers[k + 1]
            continue
        mask = np.clip((_f(part * (1 + 1.6 / crisp)) - order) * _f(crisp), 0, 1)[:, :, None]
        yield done, layers[k] + (layers[k + 1] - layers[k]) * mask


def _order(stream: Stream, height: int, width: int) -> Array:
    """Return the order (0..1) in which the surface is painted: in patches, from above."""
    patch = cloudy(stream, height, width, min(height, width) * 0.3, 1.6)
    y = (np.arange(height, dtype=_f) / _f(height))[:, None]
    return np.clip((patch - _f(0.5)) * _f(1.3) + _f(0.5) + (y - _f(0.5)) * _f(0.35), 0, 1)


def _darkness(image: Array) -> Array:
    grey = image[:, :, 0] * _f(0.3) + image[:, :, 1] * _f(0.59) + image[:, :, 2] * _f(0.11)
    return 255 - grey


def _levels(image: Image.Image, radii: list[float]) -> list[Image.Image]:
    return [image.filter(ImageFilter.BoxBlur(r)) if r >= 0.5 else image for r in radii]


def _wash_layers(target: Target, steps: int, stream: Stream, lighten: float) -> list[Array]:
    """Return the washes from paper to the finest, as transparent colour on paper."""
    image = target.image
    unit = min(image.size)
    paper = np.array((250, 246, 236), dtype=_f)
    fine = max(0.0, 0.0022 * unit * (20 / steps) ** 0.5)
    radii = [0.045 * unit, 0.018 * unit, 0.007 * unit, fine]
    median = image.filter(ImageFilter.MedianFilter(3)) if unit >= 128 else image
    layers: list[Array] = [np.ones((image.size[1], image.size[0], 3), dtype=_f) * paper]
    strength = (0.5, 0.74, 0.9, 1.0)
    for k, radius in enumerate(radii):
        soft = _levels(median, [radius])[0]
        wet = _warped(
            soft,
            (0.016, 0.010, 0.006, 0.0035)[k] * unit,
            0.04 * unit / (k + 1) + 4,
            stream.child("warp", k),
        )
        pigment = 1 - np.asarray(wet, dtype=_f) * _f(1 / 255)
        pigment = pigment * _f(strength[k] * (1 - lighten))
        layers.append(paper * (1 - pigment))
    return layers


def _wet_edges(image: Array, strength: float, unit: int) -> Array:
    """Return the dark rims that pigment leaves where a wash ends."""
    dark = _darkness(image)
    small = Image.fromarray(np.clip(dark, 0, 255).astype(np.uint8))
    soft = np.asarray(small.filter(ImageFilter.BoxBlur(max(1.0, unit * 0.008))), dtype=_f)
    rims: Array = np.clip((dark - soft) * _f(strength), 0, 34)
    return rims


def _washes(target: Target, steps: int, stream: Stream) -> Iterator[Image.Image]:
    """Paint in watercolour."""
    width, height = target.image.size
    unit = min(width, height)
    layers = _wash_layers(target, steps, stream, 0.12)
    order = _order(stream.child("order"), height, width)
    tooth = paper_tooth(width, height, max(2.0, unit / 200))
    bloom = cloudy(stream.child("bloom"), height, width, unit * 0.22) - _f(0.5)
    border = _border(stream, height, width)
    paper = np.array((250, 246, 236), dtype=_f)
    grain = (tooth - _f(0.5)) * _f(0.34) + bloom * _f(0.42)
    for done, flat in _reveal(layers, order, steps, 5.0):
        picture = flat.copy()
        density = (255 - picture) * _f(1 / 255)
        picture -= density * (grain * _f(120))[:, :, None]
        if done > 0.3:
            picture -= _wet_edges(flat, 0.9 * done, unit)[:, :, None]
        picture = paper + (picture - paper) * border
        shown = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        if done > 0.8:
            shown = _with_details(shown, target.details, (done - 0.8) * 4.2)
        yield shown


def _border(stream: Stream, height: int, width: int) -> Array:
    """Return the mask of the painted area: paper shows around it with a loose edge."""
    unit = min(height, width)
    x = np.arange(width, dtype=_f)[None, :]
    y = np.arange(height, dtype=_f)[:, None]
    inset = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y)) / _f(unit)
    loose = cloudy(stream.child("border"), height, width, unit * 0.12)
    return np.clip((inset - _f(0.012) - (loose - _f(0.4)) * _f(0.05)) * _f(90), 0, 1)[:, :, None]


def _pen_and_wash(target: Target, steps: int, stream: Stream) -> Iterator[Image.Image]:
    """Draw with the pen, then lay light washes, then hatch."""
    width, height = target.image.size
    unit = min(width, height)
    layers = _wash_layers(target, steps, stream, 0.36)
    order = _order(stream.child("order"), height, width)
    border = _border(stream, height, width)
    grey = target.image.convert("L")
    lines = _contours(target.image, unit, stream)
    hatch = _hatching(grey, unit, stream)
    paper = np.array((249, 244, 232), dtype=_f)
    ink = np.array(mix(target.ink, (30, 26, 38), 0.55), dtype=_f)
    tooth = (paper_tooth(width, height) - _f(0.5))[:, :, None] * _f(9)
    late = stream.child("late")
    when = cloudy(late, height, width, unit * 0.14)
    for done, flat in _reveal(layers, order, steps, 5.0):
        picture = paper + (flat - paper) * border + tooth
        drawn = np.clip((_f(done * 2.6 + 0.12) - when) * 5, 0, 1)
        hatched = np.clip((_f(done * 2.0 - 0.62) - when) * 5, 0, 1)
        dark = (
            np.clip(np.maximum(lines * drawn, hatch * hatched * _f(0.72)), 0, 1)[:, :, None]
            * border
        )
        picture = picture + (ink - picture) * dark
        shown = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        if done > 0.85:
            shown = _with_details(shown, target.details, 0.8)
        yield shown


def _contours(image: Image.Image, unit: int, stream: Stream) -> Array:
    """Return the ink lines along the edges of a picture, 0..1."""
    width, height = image.size
    wavy = _warped(image, max(1.0, unit * 0.003), unit * 0.03 + 3, stream.child("hand"))
    near = wavy.filter(ImageFilter.BoxBlur(max(0.6, unit / 620)))
    wide = wavy.filter(ImageFilter.BoxBlur(max(1.6, unit / 170)))
    a, b = np.asarray(near, dtype=np.int32), np.asarray(wide, dtype=np.int32)
    gap = np.abs(a - b)
    edge = gap[:, :, 0] + gap[:, :, 1] + gap[:, :, 2]
    dark = (b - a).sum(axis=2)
    press = noise(stream.child("press"), height, width, unit * 0.05, unit * 0.05)
    line = np.clip((edge.astype(_f) - _f(15)) * _f(0.034), 0, 1) * (dark > 0)
    drawn: Array = line * (_f(0.62) + press)
    return drawn


def _hatching(grey: Image.Image, unit: int, stream: Stream) -> Array:
    """Return hatching that thickens where the picture is dark, 0..1."""
    width, height = grey.size
    soft = np.asarray(grey.filter(ImageFilter.BoxBlur(max(1.0, unit / 200))), dtype=_f)
    mean = grey.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    usual = 1 - (mean / 255 if isinstance(mean, (int, float)) else 0.5)
    dark = 1 - soft * _f(1 / 255) - _f(min(0.28, max(-0.08, usual - 0.46)))
    sway = noise(stream.child("sway"), height, width, unit * 0.09, unit * 0.09) * _f(unit * 0.02)
    broken = noise(stream.child("broken"), height, width, unit * 0.025, unit * 0.025)
    x = np.arange(width, dtype=_f)[None, :]
    y = np.arange(height, dtype=_f)[:, None]
    gap = _f(max(3.2, unit / 110))
    out = np.zeros((height, width), dtype=_f)
    for (ax, ay), start in (((0.62, 0.78), 0.42), ((-0.66, 0.75), 0.60), ((0.05, 1.0), 0.74)):
        across = (x * _f(ax) + y * _f(ay) + sway) / gap
        saw = across - np.floor(across)
        wave = np.abs(saw - _f(0.5)) * 2
        wide = np.clip((dark - _f(start)) * _f(0.9), 0, _f(0.30))
        line = np.clip((wide - wave) * gap * _f(0.7) + _f(0.25), 0, 1) * (wide > _f(0.015))
        out = np.maximum(out, line * np.clip(broken * 3 + _f(0.1), 0, 1))
    return out


def _print(target: Target, steps: int, stream: Stream) -> Iterator[Image.Image]:
    """Print a poster in few flat colours."""
    image = target.image
    width, height = image.size
    unit = min(width, height)
    colours = 8 + min(9, steps // 3)
    paper: Colour = (244, 234, 212)
    layers: list[Array] = [np.ones((height, width, 3), dtype=_f) * np.array(paper, dtype=_f)]
    specs = [(0.03, 3), (0.014, 5), (0.006, max(6, colours - 3)), (0.0024, colours)]
    for radius, number in specs:
        size = max(1, int(radius * unit))
        soft = image.filter(ImageFilter.BoxBlur(size))
        few = soft.quantize(number, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        plain = few.convert("RGB").filter(ImageFilter.MedianFilter(5 if unit >= 200 else 3))
        layers.append(np.asarray(_punchy(plain), dtype=_f))
    fine = layers[-1]
    shift = max(1, unit // 260)
    fine = fine.copy()
    fine[:, shift:, 0] = fine[:, :-shift, 0]
    fine[shift:, :, 2] = fine[:-shift, :, 2]
    layers[-1] = fine
    order = _order(stream.child("order"), height, width)
    grain = (paper_tooth(width, height) - _f(0.5)) * _f(30)
    specks = stream.child("specks").bytes(height, width) > 252
    rim = _frame(height, width)
    base = np.array(paper, dtype=_f)
    for done, flat in _reveal(layers, order, steps, 60.0):
        picture = flat + grain[:, :, None]
        picture[specks] += (base - picture[specks]) * _f(0.6)
        picture = base + (picture - base) * rim
        shown = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        if done > 0.85:
            shown = _with_details(shown, target.details, 0.9)
        yield shown


def _punchy(image: Image.Image) -> Image.Image:
    """Return a picture with the firm colours of printing ink."""
    values = np.asarray(image, dtype=_f)
    grey = (255 - _darkness(values))[:, :, None]
    out = grey + (values - grey) * _f(1.22)
    out = (out - 128) * _f(1.12) + 132
    return Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))


def _frame(height: int, width: int) -> Array:
    """Return the mask of the printed area inside its paper margin."""
    unit = min(height, width)
    inset = max(2, int(unit * 0.026))
    mask = np.zeros((height, width, 1), dtype=_f)
    mask[inset:-inset, inset:-inset] = 1
    return mask
