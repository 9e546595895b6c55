"""Still lifes and portraits."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from workbench.providers.sketch import backdrops as bd
from workbench.providers.sketch.elements import DRAWINGS, PORTRAITS
from workbench.providers.sketch.landscape import count_of, scale_of, sky_of
from workbench.providers.sketch.pen import mix, tone
from workbench.providers.sketch.stage import Stage
from workbench.providers.sketch.streams import Stream, cloudy
from workbench.providers.sketch.understanding import Thing, Understanding
from workbench.providers.sketch.vocabulary import COLOURS


def still_life(  # noqa: PLR0915 - from the wall to the things
    stage: Stage,
    seen: Understanding,
) -> None:
    """Paint things on a table before a wall, in the light of a window."""
    r = stage.stream.child("still life")
    p = stage.palette
    line = r.number(0.56, 0.66)
    wall_named = COLOURS[seen.palette[0]] if seen.palette else None
    wall = mix(
        r.pick(((92, 104, 112), (122, 104, 92), (84, 98, 92), (150, 136, 118), (106, 92, 110))),
        p.sky[1],
        0.22 + 0.3 * stage.lead,
    )
    if p.night:
        wall = tone(wall, 0.6)
    table = r.pick(((150, 100, 62), (190, 160, 128), (112, 82, 66), (214, 204, 190)))
    if wall_named:
        table = wall_named
    table = mix(table, p.near, 0.12)
    w, h = max(8, stage.width // 4), max(8, stage.height // 4)
    rows = (np.arange(h, dtype=np.float32) / np.float32(h))[:, None]
    cols = (np.arange(w, dtype=np.float32) / np.float32(w))[None, :]
    side = np.float32(0.0 if stage.light.x < 0 else 1.0)
    fall = 1 / (
        1 + ((cols - side) * (cols - side) + (rows - np.float32(0.1)) ** 2) * np.float32(2.6)
    )
    brushy = cloudy(r.child("wall"), h, w, h * 0.3) - np.float32(0.5)
    level = np.clip(
        fall * np.float32(0.9) + brushy * np.float32(0.3) - np.float32(0.32), -0.6, 0.7
    )[:, :, None]
    colour = np.ones((h, w, 3), dtype=np.float32) * np.array(wall, dtype=np.float32)
    on = rows > np.float32(line)
    top = np.ones((h, w, 3), dtype=np.float32) * np.array(table, dtype=np.float32)
    grain = cloudy(r.child("grain"), h, w, h * 0.07, 9.0) - np.float32(0.5)
    top *= (1 + grain * np.float32(0.34))[:, :, None] * (
        np.float32(0.78) + np.float32(0.36) * (rows - np.float32(line))
    )[:, :, None]
    colour = np.where(on[:, :, None], top, colour)
    light = np.array(mix(p.glow, (255, 244, 220), 0.5), dtype=np.float32)
    colour += (light - colour) * np.clip(level, 0, 1) * np.float32(0.62)
    colour += (np.array((18, 14, 34), dtype=np.float32) - colour) * np.clip(-level, 0, 1)
    picture = Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))
    stage.image.paste(picture.resize((stage.width, stage.height), Image.Resampling.BICUBIC), (0, 0))
    draw = ImageDraw.Draw(stage.image)
    draw.line(
        (0, line * stage.height, stage.width, line * stage.height),
        fill=tone(table, 1.2),
        width=max(1, stage.unit // 170),
    )
    if seen.place == "room" or r.chance(0.35):
        _window(stage, r, line)
    if r.chance(0.5) and not wall_named:
        _cloth(stage, r, line)
    things = [t for t in seen.elements if t.key in DRAWINGS and t.kind != "building"]
    things = things or [
        Thing("bowl", "object"),
        Thing("bottle", "object"),
        Thing("lemon", "object"),
    ]
    if (
        len(things) == 1
        and not things[0].count
        and things[0].key
        in ("apple", "pear", "lemon", "orange_fruit", "egg", "cherry", "strawberry", "banana")
    ):
        usual = r.whole(3, 4) if things[0].key != "banana" else 1
        many = [things[0]] * usual
    else:
        many = [t for t in things for _ in range(count_of(t, 1))]
    many = sorted(many[:12], key=lambda t: -DRAWINGS[t.key].height)
    count = len(many)
    for k, thing in enumerate(many):
        s = r.child("thing", thing.key, k)
        tall = DRAWINGS[thing.key].height
        row = k / max(1, count - 1) if count > 1 else 0.6
        foot = line + 0.08 + (0.93 - line - 0.1) * (0.2 + 0.7 * row)
        size = (
            (0.44 if count == 1 else 0.34 if count == 2 else 0.29 if count <= 4 else 0.22)
            * (0.4 + 0.6 * tall)
            * scale_of(thing)
        )
        size = min(size, 0.8)
        spread = 0.62 if count > 2 else 0.36
        spot = ((k * 0.618 + r.child("spot").number()) % 1.0) if count > 2 else (k + 0.5) / count
        aspect = stage.unit / stage.width
        x = 0.5 + (spot - 0.5) * spread * (aspect if aspect < 1 else 1.0) * 1.35
        edge = min(0.5, DRAWINGS[thing.key].half * size * aspect * 0.95)
        x = min(max(x, edge), 1 - edge)
        stage.put(
            thing.key,
            x,
            foot,
            size,
            s,
            colour=thing.colour,
            eyes=thing.eyes,
            shadow="table",
            focus=230,
        )
    if any(t.key in ("candle", "lamp") for t in many):
        _warm_glow(stage, 0.5, line - 0.1)
    bd.vignette(stage, 0.8)


def _window(stage: Stage, r: Stream, line: float) -> None:
    """Paint a window in the wall, with the sky in it."""
    p = stage.palette
    left = 0.08 if stage.light.x < 0 else 0.58
    x0, x1, y0, y1 = left, left + 0.34, 0.07, line - 0.12
    w, h = stage.width, stage.height
    pane = stage.gradient(((0, p.sky[0]), (0.5, p.sky[2]), (1, p.sky[3])), y0, y1)
    mask = Image.new("L", (w, h), 0)
    draw = ImageDraw.Draw(mask)
    draw.rectangle((x0 * w, y0 * h, x1 * w, y1 * h), fill=255)
    stage.image.paste(pane, (0, 0), mask)
    draw = ImageDraw.Draw(stage.image)
    draw.ellipse(
        (x0 * w - stage.unit * 0.02, (y1 - 0.1) * h, x1 * w - stage.unit * 0.1, (y1 + 0.1) * h),
        fill=mix(p.far, p.haze, 0.3),
    )
    stage.image.paste(
        mix(p.near, (188, 160, 130), 0.3),
        (int(x0 * w) - 2, int(y1 * h), int(x1 * w) + 2, int((y1 + 0.11) * h)),
    )
    frame = mix((232, 224, 208), p.near, 0.3 if not p.night else 0.6)
    thick = max(3, int(stage.unit * 0.017))
    draw.rectangle((x0 * w, y0 * h, x1 * w, y1 * h), outline=frame, width=thick)
    draw.line(((x0 + x1) / 2 * w, y0 * h, (x0 + x1) / 2 * w, y1 * h), fill=frame, width=thick)
    draw.line(
        (x0 * w, (y0 * 0.55 + y1 * 0.45) * h, x1 * w, (y0 * 0.55 + y1 * 0.45) * h),
        fill=frame,
        width=thick,
    )
    wall = stage.image.getpixel((int((x0 - 0.04) * w), int((y1 + 0.05) * h)))
    colour = (
        (int(wall[0]), int(wall[1]), int(wall[2])) if isinstance(wall, tuple) else (120, 110, 100)
    )
    draw.rectangle(
        ((x0 - 0.02) * w, (y1 + 0.016) * h, (x1 + 0.02) * w, min(y1 + 0.115, line - 0.005) * h),
        fill=colour,
    )
    draw.rectangle(
        ((x0 - 0.02) * w, y1 * h, (x1 + 0.02) * w, (y1 + 0.02) * h), fill=tone(frame, 0.9)
    )
    del r


def _cloth(stage: Stage, r: Stream, line: float) -> None:
    """Lay a cloth on the table."""
    cloth = mix(
        r.pick(((226, 218, 204), (170, 74, 66), (84, 110, 142), (206, 172, 104))),
        stage.palette.near,
        0.1,
    )
    w, h = stage.width, stage.height
    a, b = r.number(0.05, 0.2), r.number(0.8, 0.95)
    draw = ImageDraw.Draw(stage.image)
    draw.polygon(
        [
            ((a + 0.06) * w, (line + 0.05) * h),
            ((b - 0.06) * w, (line + 0.05) * h),
            ((b + 0.04) * w, h),
            ((a - 0.04) * w, h),
        ],
        fill=cloth,
    )
    for k in range(9):
        t = (k + r.number(0.2, 0.8)) / 9
        x0, x1 = a + 0.06 + (b - a - 0.12) * t, a - 0.04 + (b - a + 0.08) * t
        draw.line(
            (x0 * w, (line + 0.06) * h, x1 * w, h),
            fill=tone(cloth, r.pick((0.86, 1.12))),
            width=max(1, stage.unit // 130),
        )


def _warm_glow(stage: Stage, x: float, y: float) -> None:
    w = h = 96
    xs = (np.arange(w, dtype=np.float32) / w - np.float32(x))[None, :]
    ys = (np.arange(h, dtype=np.float32) / h - np.float32(y))[:, None]
    mask = np.clip(150 / (1 + (xs * xs + ys * ys) * 22), 0, 255).astype(np.uint8)
    stage.veil((255, 206, 120), Image.fromarray(mask))


def portrait(stage: Stage, seen: Understanding) -> None:
    """Paint a head close up before a loose backdrop."""
    r = stage.stream.child("portrait")
    p = stage.palette
    stage.horizon = 0.7
    outdoors = (
        any(t.kind in ("land", "water", "tree", "cover", "building", "sky") for t in seen.elements)
        or seen.place
    )
    w, h = max(8, stage.width // 4), max(8, stage.height // 4)
    if outdoors:
        sky_of(stage, seen, r)
        bd.hills(stage, 3, 0.42, 0.9, 0.3)
        bd.fog(stage, 0.8, 0.3, 0.4)
        stage.image = stage.image.filter(ImageFilter.BoxBlur(stage.unit / 70))
    else:
        base = mix(r.pick((p.sky[0], p.sky[1], p.far, p.water)), (96, 92, 98), 0.35)
        cloud = cloudy(r.child("back"), h, w, h * 0.42) - np.float32(0.5)
        stroke = cloudy(r.child("stroke"), h, w, h * 0.1, 0.6) - np.float32(0.5)
        rows = (np.arange(h, dtype=np.float32) / np.float32(h))[:, None]
        cols = (np.arange(w, dtype=np.float32) / np.float32(w))[None, :]
        cx = np.float32(0.5 + 0.22 * stage.light.x)
        d = (cols - cx) * (cols - cx) + (rows - np.float32(0.4)) ** 2
        level = (
            np.float32(0.62) / (1 + d * 7)
            - np.float32(0.25)
            + cloud * np.float32(0.5)
            + stroke * np.float32(0.24)
        )[:, :, None]
        colour = np.ones((h, w, 3), dtype=np.float32) * np.array(base, dtype=np.float32)
        warm = np.array(mix(p.glow, p.accent, 0.2), dtype=np.float32)
        colour += (warm - colour) * np.clip(level, 0, 0.8)
        colour += (np.array(tone(base, 0.3), dtype=np.float32) - colour) * np.clip(
            -level * 1.5, 0, 0.9
        )
        picture = Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))
        stage.image.paste(
            picture.resize((stage.width, stage.height), Image.Resampling.BICUBIC), (0, 0)
        )
    mains = [
        t
        for t in seen.elements
        if t.kind in ("figure", "animal", "flyer", "swimmer") and t.key in DRAWINGS
    ]
    mains = mains[:2] or [Thing("person", "figure")]
    for k, thing in enumerate(mains):
        big = thing.key in PORTRAITS or thing.key == "person"
        size = (0.66 if big else 0.74) / (1.0 if len(mains) == 1 else 1.45)
        x = 0.5 + r.number(-0.04, 0.04) if len(mains) == 1 else (0.29, 0.71)[k]
        if big:
            y = (
                0.5
                + (0.5 if thing.key != "rabbit" else 0.52) * size * stage.unit / stage.height
                - 0.03
            )
            y = (
                max(y, 1.0 - 0.2 * size * stage.unit / stage.height)
                if stage.height <= stage.width * 1.2
                else y + 0.1
            )
        else:
            y = 0.94
        if thing.key == "person":
            size *= 1.12
        stage.put(
            thing.key,
            x,
            y,
            size,
            r.child(thing.key, k),
            colour=thing.colour,
            eyes=thing.eyes,
            shadow="none",
            portrait=big,
            focus=255,
        )
        if big and stage.height > stage.width * 1.2:
            _shoulders(stage, x, y, size, thing)
    if seen.has("rain"):
        bd.rain(stage, 0.7)
    if seen.has("snow"):
        bd.snowfall(stage, 0.8)
    bd.vignette(stage, 0.9)


def _shoulders(stage: Stage, x: float, y: float, size: float, thing: Thing) -> None:
    """Fill the space below a head in a tall picture."""
    foot = int(y * stage.height + 0.05 * size * stage.unit)
    if foot >= stage.height - 2:
        return
    at = stage.image.getpixel((int(x * stage.width + 0.42 * size * stage.unit), foot - 2))
    colour = (int(at[0]), int(at[1]), int(at[2])) if isinstance(at, tuple) else (90, 80, 80)
    half = 0.66 * size * stage.unit
    ImageDraw.Draw(stage.image).polygon(
        [
            (x * stage.width - half, foot),
            (x * stage.width + half, foot),
            (x * stage.width + half * 1.3, stage.height),
            (x * stage.width - half * 1.3, stage.height),
        ],
        fill=colour,
    )
    del thing
