"""Skies, land, water and weather: everything of a scene that is not a thing."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from workbench.providers.sketch.pen import Colour, mix, tone
from workbench.providers.sketch.stage import Stage
from workbench.providers.sketch.streams import Array, Stream, cloudy, noise, ridge

_f = np.float32


def sky(
    stage: Stage,
    *,
    disc: tuple[float, float, float] | None,
    clouds: float,
    tint: Colour | None = None,
    rainbow: bool = False,
    aurora: bool = False,
    galaxy: bool = False,
) -> None:
    """Paint the sky: gradient, glow around sun or moon, clouds and lights.

    ``disc`` is (x, y, radius) of sun or moon as fractions; ``clouds`` 0..1 the cover.
    """
    r = stage.stream.child("sky")
    p = stage.palette
    w, h = max(16, stage.width // 4), max(16, stage.height // 4)
    colours = [mix(c, tint, 0.62) if tint else c for c in p.sky]
    at = np.linspace(0, 1, 256)
    lut = np.stack(
        [np.interp(at, (0.0, 0.34, 0.7, 1.0), [float(c[b]) for c in colours]) for b in range(3)],
        axis=1,
    ).astype(_f)
    y = (np.arange(h, dtype=_f) / _f(h))[:, None]
    x = (np.arange(w, dtype=_f) / _f(w))[None, :]
    wash = cloudy(r.child("wash"), h, w, h * 0.35, 2.6)
    level = np.clip(y / _f(max(stage.horizon, 0.2)) + (wash - _f(0.5)) * _f(0.34), 0, 1)
    out = lut[(level * 255).astype(np.int64)]
    aspect = _f(stage.width / stage.height)
    if disc is not None:
        dx, dy = (x - _f(disc[0])) * aspect, y - _f(disc[1])
        d2 = (dx * dx + dy * dy) / _f((disc[2] * stage.unit / stage.height * 2.6) ** 2)
        glow = (_f(0.86) / (1 + d2))[:, :, None]
        out += (np.array(p.glow, dtype=_f) - out) * glow
    if galaxy:
        band = cloudy(r.child("galaxy"), h, w, h * 0.3)
        fine = cloudy(r.child("dust"), h, w, h * 0.12)
        slope = y - _f(0.15) - x * _f(0.6) + (band - _f(0.5)) * _f(0.4)
        near = 1 / (1 + slope * slope * 26)
        glow = (near * np.clip(fine * _f(2.0) - _f(0.5), 0, 1))[:, :, None]
        warm = np.array((236, 150, 190), dtype=_f)
        cool = np.array((130, 170, 250), dtype=_f)
        out += ((warm * band[:, :, None] + cool * (1 - band[:, :, None])) - out) * glow * _f(0.72)
    if aurora:
        _aurora(out, r, h, w)
    if rainbow:
        _rainbow(out, x, y, aspect, r)
    if clouds > 0:
        _clouds(out, stage, r, clouds, x, y, disc)
    picture = Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))
    stage.image.paste(picture.resize((stage.width, stage.height), Image.Resampling.BICUBIC))


def _clouds(
    out: Array,
    stage: Stage,
    r: Stream,
    cover: float,
    x: Array,
    y: Array,
    disc: tuple[float, float, float] | None,
) -> None:
    h, w = out.shape[:2]
    p = stage.palette
    big = cloudy(r.child("clouds"), h, w, h * 0.30, 2.7)
    band = noise(r.child("band"), h, 1, h * 0.2, 1)
    edge = _f(0.74 - 0.32 * cover) - (band - _f(0.5)) * _f(0.16)
    body = np.clip((big - edge) * _f(7.0), 0, 1)
    body *= np.clip((_f(stage.horizon) - y) * _f(9.0), 0, 1)
    lift = max(1, h // 40)
    above = np.zeros_like(body)
    above[lift:] = body[:-lift]
    above[:lift] = body[:lift]
    top = np.clip(body - above, 0, 1)
    dark = 0.30 if not p.night else 0.5
    base = mix(mix(p.sky[1], p.sky[2], 0.5), (58, 52, 78), 0.26 if cover < 0.8 else 0.42)
    bright = mix(p.glow, (255, 252, 246), 0.35) if not p.night else mix(p.sky[3], p.glow, 0.45)
    light = np.clip(top * _f(1.7) + _f(dark) * (1 - above), 0, 1)
    if disc is not None:
        dx = x - _f(disc[0])
        light *= 1 / (1 + dx * dx * _f(1.4))
    light = light[:, :, None]
    colour = np.array(base, dtype=_f) * (1 - light) + np.array(bright, dtype=_f) * light
    out += (colour - out) * (body * _f(0.88))[:, :, None]


def _aurora(out: Array, r: Stream, h: int, w: int) -> None:
    y = (np.arange(h, dtype=_f) / _f(h))[:, None]
    for k, (low, high) in enumerate(
        (
            ((70, 240, 170), (120, 90, 220)),
            ((60, 220, 200), (210, 90, 190)),
            ((110, 250, 150), (70, 120, 230)),
        )
    ):
        s = r.child("aurora", k)
        foot = (s.number(0.28, 0.5) + (ridge(s, w, w * 0.42, 3) - 0.5) * 0.34).astype(_f)[None, :]
        rays = (ridge(s.child("rays"), w, w * 0.03, 3)).astype(_f)[None, :]
        reach = _f(0.16) + rays * _f(0.26)
        t = (foot - y) / reach
        glow = np.where(t >= 0, np.clip(1 - t, 0, 1), np.clip(1 + t * 9, 0, 1)).astype(_f)
        glow = glow * glow * (_f(0.3) + rays * _f(0.62))
        tt = np.clip(t, 0, 1)[:, :, None]
        colour = np.array(low, dtype=_f) * (1 - tt) + np.array(high, dtype=_f) * tt
        out += (colour - out) * glow[:, :, None]


def _rainbow(out: Array, x: Array, y: Array, aspect: np.float32, r: Stream) -> None:
    cx, cy, radius = r.number(0.3, 0.7), r.number(0.72, 0.82), r.number(0.5, 0.62)
    dx, dy = (x - _f(cx)) * aspect, y - _f(cy)
    d = np.sqrt(dx * dx + dy * dy)
    t = (d - _f(radius)) / _f(0.075)
    hues = (
        (138, 80, 190),
        (70, 110, 210),
        (70, 176, 190),
        (110, 190, 90),
        (250, 220, 90),
        (244, 150, 60),
        (226, 70, 64),
    )
    at = np.linspace(0, 1, 7)
    lut = np.stack(
        [np.interp(np.linspace(0, 1, 64), at, [float(c[b]) for c in hues]) for b in range(3)],
        axis=1,
    ).astype(_f)
    inside = np.clip(np.minimum(t * 5, (1 - t) * 5), 0, 1)
    colour = lut[(np.clip(t, 0, 1) * 63).astype(np.int64)]
    out += (colour - out) * (inside * _f(0.66))[:, :, None]


def disc(stage: Stage, x: float, y: float, radius: float, *, moon: bool, crescent: bool) -> None:
    """Paint sun or moon."""
    p = stage.palette
    r = int(radius * stage.unit)
    side = 2 * r + 8
    mask = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(mask)
    draw.ellipse((4, 4, 4 + 2 * r, 4 + 2 * r), fill=255)
    if crescent:
        shift = int(r * 0.62)
        draw.ellipse((4 + shift, 4 - shift // 3, 4 + 2 * r + shift, 4 + 2 * r - shift // 3), fill=0)
    face = Image.new("RGB", (side, side), p.disc)
    if moon:
        s = stage.stream.child("moon")
        marks = ImageDraw.Draw(face)
        for _ in range(9):
            a, b, q = (
                s.number(0.15, 0.8) * side,
                s.number(0.15, 0.8) * side,
                s.number(0.03, 0.12) * side,
            )
            marks.ellipse((a - q, b - q, a + q, b + q * 0.8), fill=mix(p.disc, p.haze, 0.26))
        face = face.filter(ImageFilter.BoxBlur(max(1, side // 60)))
    left, upper = int(x * stage.width) - r - 4, int(y * stage.height) - r - 4
    stage.image.paste(face, (left, upper), mask.filter(ImageFilter.BoxBlur(1)))


def stars(stage: Stage, count: int, below: float) -> None:
    """Scatter stars, on the detail layer."""
    r = stage.stream.child("stars")
    draw = ImageDraw.Draw(stage.details)
    base = max(0.7, stage.unit / 640)
    for _ in range(count):
        x, y = r.number() * stage.width, (r.number() ** 1.4) * below * stage.height
        bright = r.number()
        size = base * (0.6 + 1.5 * bright * bright)
        colour = mix(
            (255, 250, 236), r.pick(((170, 200, 255), (255, 220, 170), (255, 255, 255))), 0.4
        )
        alpha = int(110 + 145 * bright)
        draw.ellipse((x - size, y - size, x + size, y + size), fill=(*colour, alpha))
        if bright > 0.95:
            for dx, dy in ((4.5, 0), (0, 4.5)):
                draw.line((x - dx * size, y - dy * size, x + dx * size, y + dy * size),
                          fill=(*colour, 150), width=max(1, int(base)))  # fmt: skip


def comet(stage: Stage) -> None:
    """Draw a comet with its tail."""
    r = stage.stream.child("comet")
    draw = ImageDraw.Draw(stage.details)
    x, y = r.number(0.3, 0.75) * stage.width, r.number(0.1, 0.25) * stage.height
    dx = r.pick((-1, 1)) * 0.36 * stage.unit
    dy = -0.14 * stage.unit
    n = stage.unit / 512
    for k in range(26, 0, -1):
        t = k / 26
        q = 5.5 * n * (1 - t) + 0.7 * n
        cx, cy = x + dx * t, y + dy * t
        draw.ellipse(
            (cx - q, cy - q, cx + q, cy + q), fill=(255, 246, 220, int(235 * (1 - t) + 14))
        )
    draw.ellipse((x - 6 * n, y - 6 * n, x + 6 * n, y + 6 * n), fill=(255, 252, 240, 255))


def lightning(stage: Stage, foot: float) -> None:
    """Strike lightning from the clouds to the land."""
    r = stage.stream.child("lightning")
    draw = ImageDraw.Draw(stage.details)
    for bolt in range(r.whole(1, 2)):
        x, y = r.number(0.2, 0.8) * stage.width, r.number(0.02, 0.1) * stage.height
        end = foot * stage.height
        path = [(x, y)]
        while y < end:
            y += r.number(0.03, 0.07) * stage.height
            x += r.number(-0.055, 0.055) * stage.unit
            path.append((x, min(y, end)))
        for width, fill in (
            (9, (190, 200, 255, 50)),
            (5, (220, 224, 255, 130)),
            (2, (255, 255, 250, 255)),
        ):
            draw.line(
                path,
                fill=fill,
                width=max(1, int(width * stage.unit / 512 * (1 if bolt == 0 else 0.6))),
            )
        for _ in range(3):
            bx, by = r.pick(path[1:-1] or path)
            branch = [(bx, by)]
            side = r.pick((-1, 1))
            for _ in range(4):
                bx += side * r.number(0.01, 0.05) * stage.unit
                by += r.number(0.02, 0.05) * stage.height
                branch.append((bx, by))
            draw.line(branch, fill=(235, 236, 255, 190), width=max(1, int(stage.unit / 512)))


def hills(
    stage: Stage,
    count: int,
    top: float,
    foot: float,
    sharp: float,
    *,
    peak: float = 1.0,
    snow: bool = False,
    tint: Colour | None = None,
) -> list[Array]:
    """Paint ``count`` layers of land from far to near; return their ridge lines."""
    p = stage.palette
    lines: list[Array] = []
    for k in range(count):
        r = stage.stream.child("hills", k)
        t = (k + 1) / (count + 0.35)
        base = top + (foot - top) * (k + 0.55) / max(count, 1)
        tall = (foot - top) * peak * (1.05 - 0.5 * t) * (1.0 if sharp < 0.5 else 1.2)
        cell = stage.width * r.number(0.2, 0.34) * (1 - 0.25 * t) * (stage.unit / stage.width)
        level = ridge(r, stage.width, cell, 5 if sharp > 0.3 else 4, sharp * (1 - 0.3 * t))
        line = base - (level - 0.42) * tall * 1.35
        lines.append(line)
        colour = mix(p.far, p.near, t)
        if tint:
            colour = mix(colour, tone(tint, 0.7 + 0.5 * (1 - t)), 0.55)
        colour = mix(colour, p.haze, 0.30 * (1 - t))
        low = mix(colour, p.haze, 0.42 * (1 - 0.5 * t))
        start = float(line.min())
        area = stage.gradient(
            ((0, tone(colour, 0.94)), (0.4, colour), (1, low)), start, foot + 0.02
        )
        mask = stage.below(line)
        area = _relief(stage, area, line, r, sharp, t, snow=snow and sharp > 0.3)
        stage.image.paste(area, (0, 0), mask)
    return lines


def _relief(
    stage: Stage, area: Image.Image, line: Array, r: Stream, sharp: float, t: float, *, snow: bool
) -> Image.Image:
    """Model a layer of land: lit and dark slopes, and snow near the ridge."""
    q = 4
    w, h = max(8, stage.width // q), max(8, stage.height // q)
    low = line[:: max(1, len(line) // w)][:w].astype(_f)
    low = np.pad(low, (0, w - len(low)), mode="edge")
    y = (np.arange(h, dtype=_f) / _f(h))[:, None]
    depth = np.clip(y - low[None, :], 0, 1)
    wander = cloudy(r.child("relief"), h, w, h * 0.16) - _f(0.5)
    reach = max(2, w // 40)
    slope = np.zeros(w, dtype=_f)
    slope[reach:-reach] = low[2 * reach :] - low[: -2 * reach]
    shift = (wander * _f(w * 0.20) * np.clip(depth * _f(8), 0, 1)).astype(np.int64)
    cols = np.clip(np.arange(w)[None, :] + shift, 0, w - 1)
    side = _f(1 if stage.light.x < 0 else -1)
    face = np.clip(slope[cols] * side * _f(-14 if sharp > 0.3 else -7), -1, 1)
    fade = np.clip(1 - depth * _f(3.2), 0, 1)
    strength = _f((0.34 if sharp > 0.3 else 0.2) * (0.5 + 0.5 * t))
    level = face * fade * strength + wander * _f(0.22)
    small = np.asarray(area.resize((w, h), Image.Resampling.BOX), dtype=_f)
    light = np.array(mix(stage.palette.glow, stage.palette.disc, 0.3), dtype=_f)
    lit = np.clip(level, 0, 1)[:, :, None]
    dark = np.clip(-level, 0, 1)[:, :, None]
    out = small + (light - small) * lit * _f(0.8)
    out = out + (np.array((22, 18, 52), dtype=_f) - out) * dark
    if snow:
        cap = np.clip((_f(0.055) + wander * _f(0.16) - depth) * _f(40), 0, 1)
        high = np.clip((_f(stage.horizon - 0.1) - low[None, :]) * _f(12), 0, 1)
        white = np.array(stage.shade((250, 248, 250), 0.12), dtype=_f)
        white = white * (_f(0.86) + face[:, :, None] * _f(0.14))
        out = out + (white - out) * (cap * high)[:, :, None]
    picture = Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))
    return picture.resize((stage.width, stage.height), Image.Resampling.BICUBIC)


def water(
    stage: Stage,
    top: float,
    *,
    rough: float = 0.4,
    tint: Colour | None = None,
    glitter: float | None = None,
    mask: Image.Image | None = None,
) -> None:
    """Paint water from ``top`` down: it mirrors what is above, wavers and glitters."""
    r = stage.stream.child("water")
    p = stage.palette
    y0 = int(top * stage.height)
    depth = stage.height - y0
    if depth < 2:
        return
    pixels = np.asarray(stage.image)
    rows = np.arange(depth)
    t = (rows / depth).astype(_f)
    waver = cloudy(r.child("waver"), depth, stage.width, max(3.0, depth * 0.05), 5.0) - _f(0.5)
    push = waver * (t * _f(0.16 * (0.4 + rough)) + _f(0.008))[:, None] * _f(stage.height)
    source = np.clip(
        y0 - 1 - (rows[:, None] * 1.05).astype(np.int64) - push.astype(np.int64),
        0,
        y0 - 1 if y0 else 0,
    )
    side = (waver * (t * _f(0.05 * (0.3 + rough)))[:, None] * _f(stage.width)).astype(np.int64)
    cols = np.clip(np.arange(stage.width)[None, :] + side, 0, stage.width - 1)
    seen = pixels[source, cols].astype(_f)
    deep = mix(p.water, tint, 0.7) if tint else p.water
    body = np.array(deep, dtype=_f)
    part = (_f(0.24 + 0.2 * rough) + t * _f(0.30))[:, None, None]
    out = seen + (body - seen) * part
    fine = noise(
        r.child("ripple"), depth, stage.width, max(2.0, stage.unit * 0.006), stage.unit * 0.06
    )
    crest = np.clip((fine - _f(0.66)) * 4, 0, 1) * (_f(0.10 + 0.3 * rough))
    light = np.array(mix(p.sky[3], (255, 255, 255), 0.25), dtype=_f)
    out += (light - out) * crest[:, :, None]
    trough = np.clip((_f(0.34) - fine) * 4, 0, 1) * _f(0.16 + 0.22 * rough)
    out += (np.array(tone(deep, 0.6), dtype=_f) - out) * trough[:, :, None]
    picture = Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))
    if mask is None:
        stage.image.paste(picture, (0, y0))
    else:
        stage.image.paste(picture, (0, y0), mask.crop((0, y0, stage.width, stage.height)))
    edge = ImageDraw.Draw(stage.image)
    if mask is None:
        edge.line(
            (0, y0, stage.width, y0),
            fill=mix(p.haze, p.sky[3], 0.5),
            width=max(1, stage.unit // 400),
        )
    if glitter is not None:
        draw = ImageDraw.Draw(stage.details)
        for _ in range(130):
            d = r.number() ** 1.3
            y = y0 + d * depth * 0.95 + 2
            spread = (0.02 + 0.10 * d) * stage.unit
            x = glitter * stage.width + r.number(-1, 1) * r.number() * spread * 1.6
            long = (0.008 + 0.05 * d) * stage.unit * r.number(0.4, 1.3)
            thick = max(1, int((0.0022 + 0.006 * d) * stage.unit))
            draw.line(
                (x - long, y, x + long, y),
                fill=(*mix(p.disc, p.glow, r.number(0, 0.6)), r.whole(90, 220)),
                width=thick,
            )


def ground(stage: Stage, line: Array, colour: Colour, *, grassy: bool, snowy: bool = False) -> None:
    """Paint the near ground below a line, with patches of light and blades of grass."""
    r = stage.stream.child("ground")
    p = stage.palette
    top = float(line.min())
    far = mix(colour, p.haze, 0.26)
    area = stage.gradient(
        ((0, far), (0.35, colour), (1, tone(colour, 0.62 if not snowy else 0.86))), top, 1.0
    )
    w, h = max(8, stage.width // 4), max(8, stage.height // 4)
    patch = cloudy(r.child("patch"), h, w, h * 0.16, 3.4) - _f(0.5)
    fine = noise(r.child("fine"), h, w, max(2.0, h * 0.012), h * 0.05) - _f(0.5)
    small = np.asarray(area.resize((w, h), Image.Resampling.BOX), dtype=_f)
    level = patch * _f(0.62) + fine * _f(0.16)
    warm = np.array(mix(p.glow, colour, 0.35), dtype=_f)
    cold = np.array(mix(tone(colour, 0.4), (30, 26, 60), 0.35), dtype=_f)
    out = small + (warm - small) * np.clip(level, 0, 1)[:, :, None]
    out = out + (cold - out) * np.clip(-level, 0, 1)[:, :, None]
    picture = Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))
    stage.image.paste(
        picture.resize((stage.width, stage.height), Image.Resampling.BICUBIC),
        (0, 0),
        stage.below(line),
    )
    if grassy:
        blades(stage, colour, top, 1.0, 420)


def blades(stage: Stage, colour: Colour, top: float, foot: float, count: int) -> None:
    """Draw blades of grass, small far away and large near."""
    r = stage.stream.child("blades", int(top * 1000))
    draw = ImageDraw.Draw(stage.image)
    numbers = r.numbers(count * 5).reshape(count, 5)
    numbers = numbers[np.argsort(numbers[:, 1], kind="stable")]
    for a, b, c, d, e in numbers.tolist():
        depth = 0.06 + 0.94 * b
        y = (top + (foot - top) * depth) * stage.height
        tall = (0.008 + 0.055 * depth * depth) * stage.unit * (0.6 + 0.8 * c)
        x = a * stage.width
        fill = tone(colour, 0.66 + 0.62 * d)
        lean = (e - 0.5) * tall * 0.9
        draw.line((x, y, x + lean, y - tall), fill=fill, width=max(1, int(tall * 0.09)))


def fog(stage: Stage, y: float, thick: float, strength: float) -> None:
    """Draw a bank of mist around the height ``y``."""
    r = stage.stream.child("fog", int(y * 100))
    w, h = max(8, stage.width // 8), max(8, stage.height // 8)
    rows = (np.arange(h, dtype=_f) / _f(h))[:, None]
    veil = cloudy(r, h, w, h * 0.2, 3.0)
    d = (rows - _f(y)) / _f(thick)
    bank = 1 / (1 + d * d * d * d)
    mask = np.clip(bank * (_f(0.45) + veil * _f(0.8)) * _f(255 * strength), 0, 255)
    stage.veil(
        mix(stage.palette.haze, (248, 246, 242), 0.16 if stage.palette.night else 0.34),
        Image.fromarray(mask.astype(np.uint8)),
    )


def rain(stage: Stage, heavy: float) -> None:
    """Draw rain on the detail layer."""
    r = stage.stream.child("rain")
    draw = ImageDraw.Draw(stage.details)
    lean = r.number(-0.25, 0.25)
    tint = mix(stage.palette.sky[3], (236, 242, 250), 0.6)
    for _ in range(int(260 * heavy)):
        x, y = r.number(-0.1, 1.1) * stage.width, r.number(-0.05, 1) * stage.height
        long = r.number(0.025, 0.075) * stage.unit
        draw.line(
            (x, y, x + lean * long, y + long),
            fill=(*tint, r.whole(50, 150)),
            width=max(1, stage.unit // 480),
        )


def snowfall(stage: Stage, heavy: float) -> None:
    """Draw falling snow on the detail layer."""
    r = stage.stream.child("snowfall")
    draw = ImageDraw.Draw(stage.details)
    for _ in range(int(230 * heavy)):
        x, y, d = r.number() * stage.width, r.number() * stage.height, r.number()
        q = (0.0012 + 0.0052 * d * d) * stage.unit
        draw.ellipse((x - q, y - q, x + q, y + q), fill=(250, 250, 252, r.whole(130, 235)))


def vignette(stage: Stage, strength: float) -> None:
    """Darken the corners."""
    w, h = 64, 64
    x = (np.arange(w, dtype=_f) / _f(31.5) - 1)[None, :]
    y = (np.arange(h, dtype=_f) / _f(31.5) - 1)[:, None]
    d = x * x + y * y
    mask = np.clip((d - _f(0.75)) * _f(0.62 * strength * 255), 0, 255)
    stage.veil(
        mix(tone(stage.palette.sky[0], 0.4), (14, 10, 26), 0.5),
        Image.fromarray(mask.astype(np.uint8)),
    )
