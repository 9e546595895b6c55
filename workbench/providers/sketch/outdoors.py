"""Scenes under the sky: what stands, swims and flies where."""

from __future__ import annotations

from PIL import ImageDraw

from workbench.providers.sketch import backdrops as bd
from workbench.providers.sketch.elements import DRAWINGS, FLOWERS
from workbench.providers.sketch.landscape import (
    bank,
    count_of,
    far_land,
    island,
    near_land,
    scale_of,
    sky_of,
    skyline,
    street,
    streets,
)
from workbench.providers.sketch.pen import tone
from workbench.providers.sketch.stage import Stage
from workbench.providers.sketch.streams import Stream
from workbench.providers.sketch.understanding import Thing, Understanding
from workbench.providers.sketch.vocabulary import COLOURS

MAIN_KINDS = frozenset(["animal", "figure", "swimmer", "flyer", "object", "plant"])

AIRBORNE = frozenset(("birds", "eagle", "butterfly", "bee"))

SEA_LIFE = frozenset(
    ["fish", "whale", "dolphin", "shark", "octopus", "jellyfish", "crab", "turtle"]
)

WATERS = frozenset(
    ["sea", "lake", "harbour", "puddle", "beach", "river", "waterfall", "island", "iceberg"]
)


def outdoors(stage: Stage, seen: Understanding) -> None:  # noqa: C901, PLR0912, PLR0915 - far to near
    """Paint a scene under the sky, from far to near."""
    r = stage.stream.child("outdoors")
    things = list(seen.elements)
    mains = [t for t in things if t.kind in MAIN_KINDS]
    wet = bool(WATERS & {t.key for t in things}) or any(t.kind == "craft" for t in things)
    wet = (
        wet
        or any(t.key in SEA_LIFE - {"turtle", "crab"} for t in things)
        or seen.has("swan", "duck")
    )
    wet = wet or (seen.has("lighthouse") and not any(t.kind == "land" for t in things))
    snowy = (
        seen.has("snow", "snowman", "igloo", "iceberg", "penguin") or seen.season == "winter"
    ) and ("snow" not in seen.removed)
    sandy = seen.has("dunes", "camel", "pyramid", "cactus", "palm") and not wet
    city = seen.has("city")
    stage.lamps = stage.lamps or (city and seen.has("rain", "fog"))
    forest = seen.place == "forest"
    empty = not any(t.kind not in ("sky", "weather") for t in things) and not seen.place
    if empty and not snowy:
        wet = r.chance(0.5)
        forest = not wet and r.chance(0.5)
    stage.horizon = r.number(0.50, 0.62) if not mains else r.number(0.46, 0.58)
    if stage.height > stage.width * 1.3:
        stage.horizon += 0.05
    disc = sky_of(stage, seen, r)
    far_land(stage, seen, r, snowy=snowy, city=city, empty=empty)
    if city:
        skyline(stage, seen.thing("city"), r)
    if wet:
        rough = 0.8 if "storm" in seen.weather else 0.3 + 0.3 * seen.has("sea")
        sea = seen.thing("sea") or seen.thing("lake") or seen.thing("river")
        tint = COLOURS.get(sea.colour) if sea and sea.colour else None
        _shore_things(stage, things, r)
        bd.water(stage, stage.horizon, rough=rough, tint=tint, glitter=disc[0] if disc else None)
        if seen.has("island", "palm") or seen.has("lighthouse"):
            island(stage, seen, r, mains)
    elif city:
        street(stage, seen, r)
    else:
        near_land(stage, seen, r, snowy=snowy, sandy=sandy, forest=forest)
    if seen.has("fog") or ("mysterious" in seen.mood and r.chance(0.5)):
        bd.fog(stage, stage.horizon - 0.02, 0.16, 0.8)
    if not wet:
        _buildings(stage, things, r)
    if forest or (empty and not wet):
        _forest(stage, seen, r, open_middle=bool(mains))
    _craft(stage, things, r)
    streets(stage, things, r)
    shore = wet and (
        seen.has("beach")
        or any(
            t.kind in ("animal", "figure", "vehicle", "tree", "plant")
            and t.key not in ("swan", "duck")
            for t in things
            if t.key != "palm"
        )
    )
    if shore or (wet and any(t.key in FLOWERS or t.kind == "cover" for t in things)):
        bank(stage, seen, r, snowy=snowy)
    _trees(stage, things, r, mains=bool(mains), wet=wet)
    _flowers(stage, things, r, wet=wet)
    _fliers(stage, things, r)
    _mains(stage, seen, mains, r, wet=wet, shore=shore)
    if seen.has("fog"):
        bd.fog(stage, stage.horizon + 0.16, 0.13, 0.46)
    if seen.has("rain"):
        bd.rain(stage, 1.6 if "storm" in seen.weather else 1.0)
    elif "storm" in seen.weather and "rain" not in seen.removed:
        bd.rain(stage, 0.8)
    if seen.has("snow") or (snowy and r.chance(0.6)):
        bd.snowfall(stage, 1.0)
    struck = seen.has("lightning") or ("storm" in seen.weather and r.chance(0.6))
    if struck and "lightning" not in seen.removed:
        bd.lightning(stage, stage.horizon - 0.02)
    bd.vignette(stage, 0.8 if "dramatic" in seen.mood or "spooky" in seen.mood else 0.5)


def _shore_things(stage: Stage, things: list[Thing], r: Stream) -> None:
    """Put buildings on the far shore, so that the water mirrors them."""
    for thing in things:
        if thing.kind != "building" or thing.key in ("city", "lighthouse", "lamp_post", "bench"):
            continue
        drawing = DRAWINGS[thing.key]
        count = count_of(thing, 7 if thing.key == "village" else 1)
        for k in range(count):
            s = r.child(thing.key, k)
            x = s.number(0.32, 0.68) if count == 1 else (k + s.number(0.25, 0.75)) / count
            size = 0.16 * drawing.height * scale_of(thing) * (0.62 if count > 4 else 1.0)
            stage.put(
                thing.key,
                x,
                stage.horizon + 0.006,
                size,
                s,
                colour=thing.colour,
                far=0.12,
                shadow="none",
                focus=160,
            )


def _buildings(stage: Stage, things: list[Thing], r: Stream) -> None:
    placed: list[tuple[float, str, float, Thing, Stream]] = []
    for thing in things:
        if thing.kind not in ("building", "vehicle") or thing.key == "city":
            continue
        usual = {"village": 8}.get(thing.key, 1)
        count = count_of(thing, usual)
        for k in range(count):
            s = r.child(thing.key, k)
            low, high = (0.05, 0.26) if count > 1 else (0.1, 0.22)
            if thing.kind == "vehicle":
                low, high = 0.2, 0.3
            y = stage.horizon + s.number(low, high)
            x = (k + s.number(0.2, 0.8)) / count if count > 1 else s.number(0.34, 0.66)
            near = 0.5 + (y - stage.horizon) * 2.2
            base = 0.2 if thing.key != "village" else 0.15
            size = (
                base
                * DRAWINGS[thing.key].height
                * scale_of(thing)
                * near
                * (1.25 if count == 1 else 0.9)
            )
            placed.append((y, thing.key, size, thing, s.child(x)))
    placed.sort(key=lambda item: item[0])
    for index, (y, key, size, thing, s) in enumerate(placed):
        count = len(placed)
        x = (
            s.number(0.34, 0.66)
            if count == 1
            else 0.08 + 0.84 * ((index * 0.618 + r.child("x").number()) % 1.0)
        )
        far = max(0.0, 0.26 - (y - stage.horizon) * 1.4)
        stage.put(key, x, y, size, s, colour=thing.colour, far=far, focus=200)


def _forest(stage: Stage, seen: Understanding, r: Stream, *, open_middle: bool) -> None:
    """Paint bands of trees from far to near, with mist between them."""
    kinds = [t.key for t in seen.elements if t.kind == "tree" and t.key != "bush"]
    keys = kinds or (["pine"] if r.chance(0.6) else ["tree", "birch", "pine"])
    autumn = seen.season == "autumn"
    for band in range(4):
        s = r.child("forest", band)
        y = stage.horizon + (0.015, 0.06, 0.15, 0.34)[band]
        size = (0.15, 0.24, 0.40, 0.72)[band]
        count = (24, 17, 10, 5)[band]
        count = int(count * max(1.0, stage.width / stage.height))
        far = (0.62, 0.40, 0.18, 0.0)[band]
        for k in range(count):
            x = (k + s.number(0, 1)) / count
            if (
                band >= 2
                and abs(x - 0.5) < (0.24 if band == 2 else 0.34)
                and (open_middle or band == 3)
            ):
                continue
            colour = (
                s.pick(("orange", "gold", "red", "ginger")) if autumn and s.chance(0.75) else ""
            )
            key = s.pick(keys)
            stage.put(
                key,
                x,
                y + s.number(-0.015, 0.03),
                size * s.number(0.75, 1.2),
                s.child(k),
                far=far,
                colour=colour,
                shadow="none" if band < 3 else "ground",
                volume=band == 3,
            )
        if band < 3:
            bd.fog(stage, y, 0.07, 0.5 if seen.has("fog") else 0.3)


def _trees(stage: Stage, things: list[Thing], r: Stream, *, mains: bool, wet: bool) -> None:
    if any(t.key == "palm" for t in things) and wet:
        things = [t for t in things if t.key != "palm"]
    trees = [t for t in things if t.kind == "tree"]
    if trees and stage.stream.child("f").number() < 2 and len(trees) < 3:
        for thing in trees:
            usual = 1 if not mains and len(things) <= 3 else 4
            count = count_of(thing, usual)
            for k in range(count):
                s = r.child("tree", thing.key, k)
                if count == 1:
                    x, y, size = s.number(0.3, 0.7), stage.horizon + 0.26, 0.62
                    if mains:
                        x, size = s.pick((0.16, 0.84)), 0.5
                else:
                    x, y = (k + s.number(0.15, 0.85)) / count, stage.horizon + s.number(0.05, 0.2)
                    size = 0.2 + (y - stage.horizon) * 1.2
                    if any(other.kind == "building" for other in things):
                        x = x * 0.56 if x < 0.5 else 1 - (1 - x) * 0.56
                stage.put(
                    thing.key,
                    x,
                    y,
                    size * scale_of(thing),
                    s,
                    colour=thing.colour,
                    far=max(0, 0.2 - (y - stage.horizon)),
                    focus=120,
                )


def _craft(stage: Stage, things: list[Thing], r: Stream) -> None:
    for thing in things:
        if thing.kind != "craft":
            continue
        count = count_of(thing, 1)
        order = sorted(r.child(thing.key, k).number() for k in range(count))
        for k, place in enumerate(order):
            s = r.child(thing.key, "at", k)
            depth = place
            if count == 1:
                depth = 0.42 + 0.3 * place
            y = stage.horizon + 0.05 + 0.3 * depth * (0.95 - stage.horizon) / 0.4
            spot = (k * 0.618 + s.child("same").number() * 0.2 + r.child("craft").number()) % 1.0
            x = (
                0.14 + 0.72 * spot
                if count > 1
                else s.pick((0.17, 0.83))
                if any(t.kind in MAIN_KINDS for t in things)
                else s.pick((s.number(0.24, 0.42), s.number(0.56, 0.76)))
            )
            size = (0.12 + 0.30 * depth) * DRAWINGS[thing.key].height * scale_of(thing)
            if count > 3:
                size *= 0.8
            stage.put(
                thing.key,
                x,
                y,
                size,
                s,
                colour=thing.colour,
                far=0.16 * (1 - depth),
                shadow="water",
                focus=220,
            )


def _flowers(stage: Stage, things: list[Thing], r: Stream, *, wet: bool) -> None:
    kinds = [t for t in things if t.key in FLOWERS]
    if not kinds and any(t.key == "meadow" for t in things):
        kinds = [Thing("daisies", "cover"), Thing("poppies", "cover", colour="pink")]
    top = stage.horizon + (0.05 if not wet else 0.3)
    for thing in kinds:
        s = r.child("flowers", thing.key)
        count = 170 // len(kinds) if not thing.count else thing.count
        depths = sorted(s.numbers(count).tolist())
        for k, place in enumerate(depths):
            depth = 0.75 if thing.count else place
            y = top + (1.04 - top) * depth**1.25
            size = (
                (0.02 + 0.24 * depth * depth) * DRAWINGS[thing.key].height * 1.6 * scale_of(thing)
            )
            if thing.count:
                size = 0.5 * scale_of(thing)
            x = s.number() if not thing.count else (k + 0.5) / count
            stage.put(
                thing.key, x, y, size, s, colour=thing.colour, far=0.3 * (1 - depth), shadow="none"
            )


def _fliers(stage: Stage, things: list[Thing], r: Stream) -> None:
    for thing in things:
        if thing.kind != "air" and thing.key not in AIRBORNE:
            continue
        usual = {"birds": 6, "butterfly": 1}.get(thing.key, 1)
        count = count_of(thing, usual)
        alone = count == 1 and not [t for t in things if t is not thing and t.kind in MAIN_KINDS]
        for k in range(count):
            s = r.child("air", thing.key, k)
            size = (
                DRAWINGS[thing.key].height
                * scale_of(thing)
                * (0.42 if alone else s.number(0.16, 0.34))
            )
            if thing.key in ("butterfly", "bee") and not alone:
                size *= 0.5
            x = (
                s.number(0.3, 0.7)
                if count == 1
                else 0.1 + 0.8 * ((k * 0.618 + r.child("air").number()) % 1.0)
            )
            y = max(
                s.number(0.2, stage.horizon - 0.02), size * stage.unit / stage.height * 1.06 + 0.02
            )
            if thing.key == "birds":
                y = s.number(0.08, stage.horizon * 0.75)
            turn = s.number(-24, 24) if thing.key in ("rocket", "kite", "butterfly") else 0.0
            stage.put(
                thing.key,
                x,
                y,
                size,
                s,
                colour=thing.colour,
                shadow="none",
                turn=turn,
                far=0.0 if alone else 0.12,
                focus=180,
            )


def _mains(
    stage: Stage, seen: Understanding, mains: list[Thing], r: Stream, *, wet: bool, shore: bool
) -> None:
    """Put the subjects in the foreground, large enough to be recognised."""
    subjects = [t for t in mains if t.key not in AIRBORNE]
    total = sum(count_of(t, 1) for t in subjects)
    slot = 0
    start = r.child("slot").number()
    for thing in subjects:
        drawing = DRAWINGS[thing.key]
        for k in range(count_of(thing, 1)):
            s = r.child("main", thing.key, k)
            base = 0.52 if total == 1 else 0.40 if total == 2 else 0.32 if total <= 4 else 0.22
            if any(t.kind in ("building", "craft", "vehicle", "tree") for t in seen.elements):
                base *= 0.8
            size = base * (0.45 + 0.55 * drawing.height) * scale_of(thing)
            room = 0.9 * stage.width / stage.unit / max(1, total)
            size = min(size, room / (2 * drawing.half) * (1.0 if total == 1 else 1.3), 0.74)
            x = s.number(0.36, 0.64) if total == 1 else (slot + 0.5) / total + s.number(-0.03, 0.03)
            if total == 1:
                edge = min(0.5, drawing.half * size * stage.unit / stage.width * 0.92)
                x = min(max(x, edge), 1 - edge)
            if total == 2:
                x = (0.31, 0.69)[slot] + s.number(-0.03, 0.03)
            y = min(
                0.95, stage.horizon + (1 - stage.horizon) * s.number(0.62, 0.8) + 0.04 * (slot % 2)
            )
            shadow, sink = "ground", 0.0
            swims = thing.key in ("swan", "duck") or thing.key in SEA_LIFE - {"turtle", "crab"}
            if wet and swims:
                y, shadow = stage.horizon + (1 - stage.horizon) * s.number(0.32, 0.6), "water"
                sink = {"whale": 0.2, "swan": 0.05, "duck": 0.08, "shark": 0.28}.get(thing.key, 0.0)
            elif wet and not shore:
                shadow = "water"
            if thing.key in ("owl", "bird"):
                y, shadow = stage.horizon + 0.2, "none"
                size *= 1.15
            if thing.key == "ghost":
                y -= 0.08
            stage.put(
                thing.key,
                x,
                y,
                size,
                s,
                colour=thing.colour,
                eyes=thing.eyes,
                shadow=shadow,
                sink=sink,
                focus=255,
            )
            if thing.key in ("fox", "cat", "rabbit", "hedgehog", "mouse", "squirrel") and not wet:
                _tufts(stage, x, y, size, s)
            slot += 1
    del start


def _tufts(stage: Stage, x: float, y: float, size: float, s: Stream) -> None:
    """Let a few blades of grass or snow clumps overlap the feet."""
    at = stage.image.getpixel(
        (
            int(min(max(x, 0.02), 0.98) * (stage.width - 1)),
            int(min(y + 0.04, 0.99) * (stage.height - 1)),
        )
    )
    colour = (int(at[0]), int(at[1]), int(at[2])) if isinstance(at, tuple) else (90, 110, 70)
    draw = ImageDraw.Draw(stage.image)
    for _ in range(34):
        a = (x + s.number(-0.42, 0.42) * size * stage.unit / stage.width) * stage.width
        tall = s.number(0.02, 0.075) * size * stage.unit
        b = (y + s.number(0.0, 0.02)) * stage.height
        draw.line(
            (a, b, a + s.number(-0.3, 0.3) * tall, b - tall),
            fill=tone(colour, s.number(0.75, 1.25)),
            width=max(1, int(size * stage.unit * 0.008)),
        )
