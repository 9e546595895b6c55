"""The land of a scene: sky, mountains, shores, streets and rivers."""

from __future__ import annotations

from math import sin

import numpy as np
from PIL import Image, ImageDraw

from workbench.providers.sketch import backdrops as bd
from workbench.providers.sketch.pen import Colour, Pen, mix, tone
from workbench.providers.sketch.stage import Stage
from workbench.providers.sketch.streams import Array, Stream, ridge
from workbench.providers.sketch.understanding import Thing, Understanding
from workbench.providers.sketch.vocabulary import COLOURS


def count_of(thing: Thing, usual: int) -> int:
    """Return how many of a thing to paint, ``usual`` if the prompt names no number."""
    return min(thing.count or usual, 12)


def scale_of(thing: Thing) -> float:
    """Return the factor for small and big things."""
    return (0.62, 1.0, 1.35)[thing.size + 1]


def sky_of(stage: Stage, seen: Understanding, r: Stream) -> tuple[float, float, float] | None:
    """Paint the sky; return (x, y, radius) of sun or moon if one stands in it."""
    p = stage.palette
    night = p.night and p.name not in ("dusk", "neon")
    moon = seen.has("moon") or (night and not seen.has("sun"))
    hidden = ("sun" in seen.removed and not moon) or ("moon" in seen.removed and moon)
    grey = p.name in ("storm", "grey") and not seen.has("sun", "moon")
    size = r.number(0.05, 0.085) * (1.35 if p.name in ("sunset", "ember", "rose") else 1.0)
    thing = seen.thing("moon" if moon else "sun")
    if thing:
        size *= scale_of(thing) * 1.1
    x = 0.5 + (0.16 + r.number(0, 0.2)) * (1 if stage.light.x > 0 else -1)
    low = p.name in ("sunset", "ember", "rose", "dawn")
    y = stage.horizon * (r.number(0.44, 0.74) if low else r.number(0.2, 0.46))
    if thing and not low:
        y = max(0.6 * size * stage.unit / stage.height, 0.06) + stage.horizon * r.number(0.08, 0.26)
    disc = None if hidden or grey else (x, y, size)
    clouds = r.number(0.2, 0.6)
    if seen.has("clouds"):
        clouds = 0.85
    if grey:
        clouds = 1.0
    if "clouds" in seen.removed or "clear" in seen.weather or seen.has("stars", "aurora", "galaxy"):
        clouds = 0.0 if not seen.has("clouds") else 0.4
    if "minimal" in seen.mood:
        clouds *= 0.4
    named = seen.thing("sky")
    bd.sky(
        stage,
        disc=disc or (x, y, size * 0.7),
        clouds=clouds,
        tint=COLOURS.get(named.colour) if named and named.colour else None,
        rainbow=seen.has("rainbow"),
        aurora=seen.has("aurora"),
        galaxy=seen.has("galaxy"),
    )
    if (night or p.name == "dusk" or seen.has("stars")) and "stars" not in seen.removed:
        many = seen.has("stars", "galaxy") or p.name == "space"
        bd.stars(stage, 260 if many else 110 if night else 50, stage.horizon * 0.95)
    if seen.has("comet"):
        bd.comet(stage)
    if disc:
        bd.disc(stage, x, y, size, moon=moon, crescent=bool(seen.thing("moon")) and r.chance(0.3))
    return disc


def far_land(
    stage: Stage, seen: Understanding, r: Stream, *, snowy: bool, city: bool, empty: bool
) -> None:
    """Paint mountains, hills, dunes and what else closes the view."""
    h = stage.horizon
    tint = None
    for key in ("mountains", "hills", "dunes"):
        thing = seen.thing(key)
        if thing and thing.colour:
            tint = COLOURS[thing.colour]
    if seen.has("volcano"):
        _volcano(stage, r)
        bd.hills(stage, 1, h - 0.06, h + 0.02, 0.2)
    elif seen.has("mountains", "iceberg", "cliff"):
        bd.hills(
            stage,
            r.whole(2, 3),
            h - r.number(0.28, 0.36),
            h + 0.02,
            0.85,
            peak=1.35,
            snow=snowy
            or stage.palette.name in ("day", "breeze", "winter", "spring", "dawn")
            or r.chance(0.4),
            tint=tint,
        )
    elif seen.has("dunes", "camel", "pyramid"):
        bd.hills(stage, 2, h - 0.13, h + 0.02, 0.12, peak=0.8, tint=tint)
    elif seen.has("sea", "beach", "ship", "whale", "island") and not seen.has("hills"):
        if r.chance(0.45):
            bd.hills(stage, 1, h - 0.07, h + 0.012, 0.3, peak=0.6)
    elif city:
        bd.hills(stage, 1, h - 0.14, h + 0.02, 0.2, peak=0.5)
    elif seen.place == "savanna" or seen.has("wheat", "elephant", "giraffe", "zebra"):
        bd.hills(stage, 1, h - 0.07, h + 0.02, 0.15, peak=0.5)
    else:
        sharp = r.pick((0.1, 0.3, 0.8)) if not seen.has("hills") else 0.08
        bd.hills(
            stage,
            r.whole(2, 4) if empty or seen.has("hills") else r.whole(1, 3),
            h - r.number(0.16, 0.27),
            h + 0.03,
            sharp,
            tint=tint,
            snow=snowy,
        )
    if seen.has("waterfall"):
        _waterfall(stage, r)


def _volcano(stage: Stage, r: Stream) -> None:
    h, p = stage.horizon, stage.palette
    x = r.number(0.36, 0.64)
    draw = ImageDraw.Draw(stage.image)
    w, hh = stage.width, stage.height
    top = h - 0.34
    body = mix(p.near, (64, 52, 58), 0.5)
    for k in range(7):
        a, q = (x + r.number(-0.05, 0.1) * k * 0.5) * w, (0.03 + 0.014 * k) * stage.unit
        y = (top - 0.03 * k) * hh
        draw.ellipse(
            (a - q * 1.5, y - q, a + q * 1.5, y + q),
            fill=mix(p.sky[1], (92, 78, 82), 0.6 - 0.04 * k),
        )
    slope = [
        (x - 0.5, h + 0.03),
        (x - 0.2, h - 0.12),
        (x - 0.05, top),
        (x + 0.05, top),
        (x + 0.22, h - 0.13),
        (x + 0.52, h + 0.03),
    ]
    draw.polygon([(a * w, b * hh) for a, b in slope], fill=body)
    draw.polygon(
        [
            (a * w, b * hh)
            for a, b in (
                (x + 0.01, top),
                (x + 0.05, top),
                (x + 0.22, h - 0.13),
                (x + 0.52, h + 0.03),
                (x + 0.12, h + 0.03),
            )
        ],
        fill=tone(body, 0.7),
    )
    for dx, long in ((-0.02, 0.3), (0.015, 0.36), (0.04, 0.2)):
        path = [
            ((x + dx + dx * 2.2 * t + 0.012 * (k % 2)) * w, (top + long * t) * hh)
            for k, t in enumerate(np.linspace(0, 1, 8).tolist())
        ]
        draw.line(path, fill=(255, 120, 40), width=max(2, int(stage.unit * 0.014)), joint="curve")
        draw.line(path, fill=(255, 220, 120), width=max(1, int(stage.unit * 0.005)), joint="curve")
    draw.ellipse(
        ((x - 0.05) * w, (top - 0.012) * hh, (x + 0.05) * w, (top + 0.016) * hh),
        fill=(255, 150, 60),
    )


def _waterfall(stage: Stage, r: Stream) -> None:
    p, h = stage.palette, stage.horizon
    x, wide = r.number(0.4, 0.6), r.number(0.05, 0.08)
    draw = ImageDraw.Draw(stage.image)
    w, hh = stage.width, stage.height
    top = h - r.number(0.24, 0.3)
    rock = mix(p.near, (92, 86, 92), 0.5)
    left = [
        (x - 0.36, h + 0.03),
        (x - 0.33, top + 0.05),
        (x - 0.2, top - 0.03),
        (x - wide, top),
        (x + wide, top),
        (x + 0.22, top - 0.04),
        (x + 0.34, top + 0.06),
        (x + 0.37, h + 0.03),
    ]
    draw.polygon([(a * w, b * hh) for a, b in left], fill=rock)
    for _ in range(60):
        a, b = r.number(x - 0.33, x + 0.33), r.number(top, h)
        draw.line(
            (a * w, b * hh, (a + r.number(-0.01, 0.01)) * w, (b + 0.06) * hh),
            fill=tone(rock, r.number(0.6, 1.2)),
            width=max(1, stage.unit // 110),
        )
    for _ in range(70):
        a = r.number(x - wide, x + wide)
        b = r.number(top, h - 0.08)
        draw.line(
            (a * w, b * hh, a * w, (b + r.number(0.06, 0.14)) * hh),
            fill=mix((236, 244, 248), p.water, r.number(0, 0.45)),
            width=max(1, stage.unit // 90),
        )
    for _ in range(24):
        a, q = r.number(x - wide * 1.8, x + wide * 1.8), r.number(0.01, 0.03) * stage.unit
        draw.ellipse(
            (a * w - q * 1.6, h * hh - q, a * w + q * 1.6, h * hh + q),
            fill=mix((240, 246, 248), p.haze, 0.3),
        )


def skyline(stage: Stage, thing: Thing | None, r: Stream) -> None:
    """Paint rows of high buildings."""
    tint = thing.colour if thing else ""
    for row, (count, low, high, far) in enumerate(
        ((16, 0.14, 0.30, 0.62), (13, 0.12, 0.36, 0.34), (10, 0.08, 0.26, 0.05))
    ):
        s = r.child("city", row)
        for k in range(count):
            x = (k + s.number(0.1, 0.9)) / count
            size = s.number(low, high) * (1.25 if stage.height > stage.width else 1.0)
            stage.put(
                "city", x, stage.horizon + 0.012, size, s, far=far, shadow="none", colour=tint
            )
        bd.fog(stage, stage.horizon, 0.06, 0.26)


def street(stage: Stage, seen: Understanding, r: Stream) -> None:
    """Paint a city's foreground: a wet street that mirrors, or a dry square."""
    wet = seen.has("rain", "puddle") or stage.palette.night or "wet" in seen.weather
    if wet:
        bd.water(stage, stage.horizon, rough=0.12, tint=mix(stage.palette.water, (44, 44, 58), 0.5))
    line = np.full(64, stage.horizon + 0.002)
    colour = stage.shade((122, 118, 122), 0.1)
    if not wet:
        bd.ground(stage, line, colour, grassy=False)
    draw = ImageDraw.Draw(stage.image)
    w, h, y0 = stage.width, stage.height, stage.horizon
    for k in range(7):
        t0, t1 = (k / 7) ** 1.7, ((k + 0.5) / 7) ** 1.7
        a, b = y0 + (1 - y0) * t0, y0 + (1 - y0) * t1
        q0, q1 = 0.002 + 0.016 * t0, 0.002 + 0.016 * t1
        fill = mix(colour, (240, 226, 180), 0.5 if not wet else 0.3)
        draw.polygon(
            [
                ((0.5 - q0) * w, a * h),
                ((0.5 + q0) * w, a * h),
                ((0.5 + q1) * w, b * h),
                ((0.5 - q1) * w, b * h),
            ],
            fill=fill,
        )
    for side in (-1, 1):
        for k in range(3):
            t = (k + 0.6) / 3
            stage.put(
                "lamp_post",
                0.5 + side * (0.12 + 0.36 * t * t),
                y0 + (1 - y0) * t * t * 0.8,
                0.1 + 0.3 * t * t,
                r.child("lamp", side, k),
                shadow="none",
            )


def near_land(
    stage: Stage, seen: Understanding, r: Stream, *, snowy: bool, sandy: bool, forest: bool
) -> None:
    """Paint the ground on which things stand."""
    p, lead = stage.palette, stage.lead
    if snowy:
        natural: Colour = (228, 234, 244)
    elif sandy:
        natural = (222, 180, 118)
    elif seen.has("wheat"):
        natural = (206, 168, 84)
    elif seen.season == "autumn":
        natural = (156, 122, 66)
    elif seen.place == "savanna" or seen.has("lion", "zebra", "giraffe", "elephant"):
        natural = (190, 160, 88)
    elif seen.has("lavender"):
        natural = (128, 112, 150)
    else:
        natural = (108, 142, 76)
    for key in ("meadow", "grass", "dunes"):
        thing = seen.thing(key)
        if thing and thing.colour:
            natural = COLOURS[thing.colour]
            lead = 0.1
    colour = mix(
        stage.shade(natural, 0.05),
        p.near if not snowy else mix(p.near, p.haze, 0.5),
        0.12 + 0.42 * lead,
    )
    wave = stage.stream.child("near")

    line = stage.horizon + 0.02 - (ridge(wave, stage.width, stage.width * 0.5, 3) - 0.5) * 0.07
    bd.ground(
        stage,
        line,
        colour,
        grassy=not (snowy or sandy or (forest and p.night)),
        snowy=snowy or sandy,
    )
    if seen.has("river") or seen.has("waterfall"):
        _river(stage, r)


def _river(stage: Stage, r: Stream) -> None:
    mask = Image.new("L", (stage.width, stage.height), 0)
    points_l, points_r = [], []
    phase = r.number(0, 6.28)

    for k in range(24):
        t = k / 23
        y = stage.horizon + 0.02 + (1 - stage.horizon) * t
        x = 0.5 + 0.16 * sin(phase + t * 4.6) * (0.25 + t)
        q = 0.008 + 0.2 * t * t
        points_l.append(((x - q) * stage.width, y * stage.height))
        points_r.append(((x + q) * stage.width, y * stage.height))
    ImageDraw.Draw(mask).polygon(points_l + points_r[::-1], fill=255)
    bd.water(stage, stage.horizon, rough=0.3, mask=mask)


def island(stage: Stage, seen: Understanding, r: Stream, mains: list[Thing]) -> None:
    """Paint a small island, with its palms and its lighthouse."""
    x = r.number(0.3, 0.7) if not mains else r.pick((0.24, 0.76))
    y = stage.horizon + r.number(0.05, 0.1)
    sand = stage.shade((218, 190, 138) if not seen.has("lighthouse") else (110, 102, 104), 0.05)
    size = stage.unit * 0.5
    pen = Pen((int(size * 2), int(size * 0.5)), (size, size * 0.3), size)
    pen.blob(
        [
            (-0.62, -0.02),
            (-0.36, 0.06),
            (-0.08, 0.13),
            (0.2, 0.1),
            (0.5, 0.03),
            (0.66, -0.02),
            (0.2, -0.05),
            (-0.3, -0.05),
        ],
        sand,
    )
    pen.blob(
        [(-0.36, 0.05), (-0.1, 0.14), (0.16, 0.12), (0.3, 0.06), (0, 0.05)],
        stage.shade((96, 132, 80), 0.1),
    )
    at = (int(x * stage.width - size), int(y * stage.height - size * 0.3))
    stage.image.paste(pen.image, at, pen.image)
    if seen.has("lighthouse"):
        thing = seen.thing("lighthouse")
        stage.put(
            "lighthouse",
            x,
            y - 0.02,
            0.46 * (scale_of(thing) if thing else 1),
            r.child("lh"),
            shadow="none",
            colour=thing.colour if thing else "",
            focus=200,
        )
    palm = seen.thing("palm")
    if palm or not seen.has("lighthouse"):
        for k in range(count_of(palm, 3) if palm else 2):
            stage.put(
                "palm",
                x + r.number(-0.14, 0.14),
                y - 0.02,
                r.number(0.26, 0.38),
                r.child("palm", k),
                shadow="none",
            )


def streets(stage: Stage, things: list[Thing], r: Stream) -> None:
    """Paint roads, rails and fences over the ground."""
    keys = {t.key for t in things}
    w, h, top = stage.width, stage.height, stage.horizon
    draw = ImageDraw.Draw(stage.image)
    if keys & {"road", "railway"}:
        colour = stage.shade((176, 154, 126) if "road" in keys else (128, 116, 110), 0.1)
        bend = r.number(-0.2, 0.2)
        left, right = [], []
        for k in range(20):
            t = k / 19
            y = top + 0.03 + (1 - top) * t
            x = 0.5 + bend * (1 - t) * (1 - t) + 0.05 * (t - 0.5)
            q = 0.006 + 0.2 * t * t
            left.append(((x - q) * w, y * h))
            right.append(((x + q) * w, y * h))
        draw.polygon(left + right[::-1], fill=colour)
        for line in (left, right):
            draw.line(line, fill=tone(colour, 0.7), width=max(1, stage.unit // 200))
    if "fence" in keys:
        wood = stage.shade((196, 176, 150), 0.0)
        y = top + 0.22
        for k in range(22):
            x = (k + 0.5) / 22
            draw.rectangle(
                ((x - 0.006) * w, (y - 0.07) * h, (x + 0.006) * w, y * h),
                fill=tone(wood, r.number(0.8, 1.1)),
            )
        for dy in (0.055, 0.025):
            draw.line(
                (0, (y - dy) * h, w, (y - dy) * h),
                fill=tone(wood, 0.85),
                width=max(2, int(0.008 * stage.unit)),
            )


def bank(stage: Stage, seen: Understanding, r: Stream, *, snowy: bool) -> None:
    """Paint a near shore in front of the water, for those who stand there."""
    natural: Colour = (
        (226, 198, 148) if seen.has("beach", "sea", "crab", "palm") else (112, 140, 78)
    )
    if snowy:
        natural = (228, 234, 244)
    colour = mix(stage.shade(natural, 0.04), stage.palette.near, 0.08 + 0.22 * stage.lead)
    level = ridge(r.child("bank"), stage.width, stage.width * 0.6, 3)
    start = stage.horizon + (1 - stage.horizon) * 0.48
    x = np.arange(stage.width) / stage.width
    lean = (x - 0.5) * r.pick((-0.16, 0.16))
    line: Array = start + lean - (level - 0.5) * 0.08
    foam = line - 0.008
    stage.veil(
        mix(stage.palette.sky[3], (255, 255, 255), 0.5),
        stage.below(foam).point([v // 2 for v in range(256)]),
    )
    bd.ground(
        stage,
        line,
        colour,
        grassy=not (snowy or seen.has("beach", "sea", "crab", "palm")),
        snowy=True,
    )
