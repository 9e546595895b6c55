"""Scenes in outer space and under water."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFilter

from workbench.providers.sketch import backdrops as bd
from workbench.providers.sketch.elements import DRAWINGS
from workbench.providers.sketch.landscape import count_of, scale_of
from workbench.providers.sketch.pen import Pen, tone
from workbench.providers.sketch.stage import Stage
from workbench.providers.sketch.streams import ridge
from workbench.providers.sketch.understanding import Thing, Understanding


def space(stage: Stage, seen: Understanding) -> None:
    """Paint outer space: nebula, stars, planets and travellers."""
    r = stage.stream.child("space")
    stage.horizon = 1.0
    bd.sky(stage, disc=None, clouds=0.0, galaxy=True)
    bd.stars(stage, 380, 1.0)
    if seen.has("comet"):
        bd.comet(stage)
    things = [t for t in seen.elements if t.key in DRAWINGS]
    if not any(t.kind == "cosmic" for t in things) and "planet" not in seen.removed:
        s = r.child("background planet")
        stage.put(
            "planet",
            s.pick((0.18, 0.82)),
            s.number(0.36, 0.5),
            s.number(0.26, 0.42),
            s,
            shadow="none",
            far=0.2,
        )
    if seen.has("moon", "sun"):
        bd.disc(stage, r.pick((0.22, 0.78)), 0.2, 0.1, moon=seen.has("moon"), crescent=False)
    order = sorted(things, key=lambda t: t.kind != "cosmic")
    for thing in order:
        count = count_of(thing, 1)
        for k in range(count):
            s = r.child(thing.key, k)
            size = (
                (0.5 if len(things) == 1 else 0.4)
                / (1.0 if count == 1 else 1.4)
                * min(DRAWINGS[thing.key].height, 1.3)
                * scale_of(thing)
            )
            x = (
                s.number(0.35, 0.65)
                if len(things) == 1 and count == 1
                else 0.14
                + 0.72
                * (
                    (
                        k * 0.618
                        + order.index(thing) * (0.5 if len(things) == 2 else 0.36)
                        + r.child("x").number()
                    )
                    % 1.0
                )
            )
            y = min(0.97, 0.5 + size * stage.unit / stage.height * 0.5 + s.number(-0.12, 0.12))
            turn = s.number(-28, 28) if thing.kind in ("air", "figure") else 0.0
            stage.put(
                thing.key, x, y, size, s, colour=thing.colour, shadow="none", turn=turn, focus=220
            )
    bd.vignette(stage, 0.6)


def underwater(stage: Stage, seen: Understanding) -> None:
    """Paint the sea from below: rays of light, weed, bubbles and its animals."""
    r = stage.stream.child("underwater")
    p = stage.palette
    stage.horizon = 1.0
    bd.sky(stage, disc=(0.5 + 0.3 * stage.light.x, -0.05, 0.12), clouds=0.0)
    w, h = stage.width, stage.height
    rays = Image.new("L", (w // 4, h // 4), 0)
    draw = ImageDraw.Draw(rays)
    for _ in range(9):
        x = r.number(-0.1, 1.1) * w / 4
        q = r.number(0.01, 0.06) * w / 4
        lean = -stage.light.x * 0.3 * w / 4
        draw.polygon(
            [(x, 0), (x + q, 0), (x + q * 3 + lean, h / 4 * 0.85), (x + lean - q, h / 4 * 0.85)],
            fill=r.whole(20, 56),
        )
    stage.veil((226, 255, 246), rays.filter(ImageFilter.BoxBlur(max(1.0, stage.unit / 160))))
    bd.hills(stage, 2, 0.66, 0.96, 0.4, peak=0.7)

    sand = stage.shade((214, 190, 140), 0.25)
    line = 0.88 - (ridge(r.child("sand"), w, w * 0.4, 3) - 0.5) * 0.06
    bd.ground(stage, line, sand, grassy=False, snowy=True)
    weed = Image.new("RGBA", (w, h), (0, 0, 0, 0))
    for k in range(26):
        s = r.child("weed", k)
        pen = Pen(
            (1, 1), (s.number() * w, (0.9 + 0.1 * s.number()) * h), stage.unit * s.number(0.14, 0.4)
        )
        pen.image = weed
        pen._draw = ImageDraw.Draw(weed)  # noqa: SLF001
        tint = s.pick(((60, 132, 92), (90, 150, 84), (206, 96, 96), (176, 92, 140), (230, 150, 90)))
        if s.chance(0.6):
            pen.line(
                [
                    (0, 0),
                    (s.number(-0.1, 0.1), 0.35),
                    (s.number(-0.14, 0.14), 0.7),
                    (s.number(-0.2, 0.2), 1.0),
                ],
                0.09,
                tint,
                0.02,
            )
        else:
            for a in (-0.5, -0.25, 0.0, 0.25, 0.5):
                pen.line(
                    [(0, 0), (a * 0.5, 0.2), (a, 0.42)], 0.075, tone(tint, 0.9 + a * 0.3), 0.06
                )
    weed = stage.grade(weed, 0.18)
    stage.image.paste(weed, (0, 0), weed)
    bubbles = ImageDraw.Draw(stage.details)
    for _ in range(40):
        x, y, q = r.number() * w, r.number() * h, r.number(0.003, 0.011) * stage.unit
        bubbles.ellipse(
            (x - q, y - q, x + q, y + q), outline=(226, 250, 250, 170), width=max(1, int(q * 0.3))
        )
    things = [
        t
        for t in seen.elements
        if t.key in DRAWINGS and t.kind in ("swimmer", "animal", "figure", "object", "craft")
    ]
    things = things or [Thing("fish", "swimmer", count=5)]
    total = sum(count_of(t, 3 if t.key == "fish" and len(things) == 1 else 1) for t in things)
    slot = 0
    for thing in things:
        for k in range(count_of(thing, 3 if thing.key == "fish" and len(things) == 1 else 1)):
            s = r.child("main", thing.key, k)
            size = (
                (0.5 if total == 1 else 0.3 if total <= 4 else 0.2)
                * (0.55 + 0.45 * DRAWINGS[thing.key].height)
                * scale_of(thing)
                * s.number(0.85, 1.15)
            )
            x = (
                s.number(0.4, 0.6)
                if total == 1
                else 0.14 + 0.72 * ((slot * 0.618 + r.child("x").number()) % 1.0)
            )
            y = 0.16 + 0.62 * (slot + 0.6) / total + size * stage.unit / stage.height * 0.3
            low = thing.key in ("crab", "turtle") or thing.kind == "object"
            stage.put(
                thing.key,
                x,
                0.93 if low else min(y, 0.9),
                size,
                s,
                colour=thing.colour,
                eyes=thing.eyes,
                shadow="ground" if low else "none",
                turn=0.0 if low else s.number(-10, 10),
                far=0.1,
                focus=230,
            )
            slot += 1
    bd.vignette(stage, 0.7)
    del p
