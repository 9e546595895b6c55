"""Drawings of animals that look at us: heads from the front, and sitting animals.

Local units: the ground is y = 0 and the animal is about one unit tall.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

from workbench.providers.sketch.pen import INK, WHITE, Coat, Colour, Pen, mix, tone
from workbench.providers.sketch.streams import Stream


@dataclass(frozen=True)
class Face:
    """What makes one kind of head different from another."""

    ears: str = "point"
    ear: float = 1.0
    wide: float = 1.0
    muzzle: str = "none"
    marks: str = ""
    nose: Colour = (52, 38, 44)
    tail: str = "plain"
    slim: float = 1.0


FACES: dict[str, Face] = {
    "fox": Face("point", 1.15, 1.08, "fox", "cheeks", tail="brush", slim=0.86),
    "wolf": Face("point", 1.0, 1.02, "fox", "cheeks mask", tail="brush", slim=0.95),
    "cat": Face("point", 0.95, 1.08, "cat", "stripes whiskers", (206, 120, 124), "long", 0.9),
    "dog": Face("flop", 1.0, 0.94, "dog", "patch tongue", tail="up", slim=0.95),
    "bear": Face("round", 0.8, 1.06, "bear", "", tail="none", slim=1.25),
    "panda": Face("round", 0.85, 1.12, "bear", "panda", tail="none", slim=1.25),
    "rabbit": Face("long", 1.0, 0.9, "cat", "whiskers", (206, 120, 124), "puff", 0.95),
    "mouse": Face("disc", 1.0, 0.9, "cat", "whiskers", (214, 130, 134), "string", 0.85),
    "lion": Face("round", 0.6, 1.0, "bear", "mane", tail="tuft", slim=1.05),
    "tiger": Face("round", 0.7, 1.1, "bear", "stripes cheeks whiskers", (190, 100, 100), "long"),
    "squirrel": Face("tuft", 0.8, 0.92, "cat", "", tail="plume", slim=0.85),
}


def head(p: Pen, c: Coat, kind: str, x: float, y: float, s: float) -> None:  # noqa: C901, PLR0912, PLR0915 - a drawing, part by part
    """Draw the front view of a head of radius about ``s`` around (x, y)."""
    f = FACES[kind]

    def at(dx: float, dy: float) -> tuple[float, float]:
        return x + dx * s, y + dy * s

    def o(dx: float, dy: float, rx: float, ry: float, fill: Colour, turn: float = 0) -> None:
        p.oval(x + dx * s, y + dy * s, rx * s, ry * s, fill, turn)

    panda = "panda" in f.marks
    main = c.or_own((240, 238, 230)) if panda else c.main
    ear_colour = (46, 44, 50) if panda else main
    w = f.wide
    if "mane" in f.marks:
        for k in range(14):
            a = k / 14 * 6.2832

            o(cos(a) * 0.95, sin(a) * 0.95 - 0.05, 0.52, 0.5, c.dark if k % 2 else tone(main, 0.5))
    for side in (-1, 1):
        if f.ears == "point":
            e = f.ear
            p.poly(
                [
                    at(side * 0.98 * w, 0.2),
                    at(side * 0.92 * w, 0.55 + 0.85 * e),
                    at(side * 0.14, 0.78),
                ],
                main,
            )
            p.poly(
                [
                    at(side * 0.86 * w, 0.42),
                    at(side * 0.84 * w, 0.42 + 0.74 * e),
                    at(side * 0.34, 0.76),
                ],
                mix(c.deep, (214, 140, 132), 0.55 if kind == "cat" else 0.12),
            )
            if kind in ("fox", "wolf"):
                p.poly(
                    [
                        at(side * 0.945 * w, 0.36 + 0.5 * e),
                        at(side * 0.92 * w, 0.57 + 0.85 * e),
                        at(side * 0.62 * w, 0.60 + 0.55 * e),
                    ],
                    tone(c.main, 0.24),
                )
        elif f.ears in ("round", "disc"):
            r = 0.42 * f.ear if f.ears == "round" else 0.68
            o(side * 0.74 * w, 0.78, r, r, ear_colour)
            inner = (70, 66, 72) if panda else mix(c.dark, (226, 160, 156), 0.5)
            o(side * 0.74 * w, 0.76, r * 0.62, r * 0.62, inner)
        elif f.ears == "long":
            o(side * 0.42, 1.45, 0.25, 0.92, main, -side * 9)
            o(side * 0.43, 1.40, 0.13, 0.72, mix(c.light, (226, 150, 150), 0.6), -side * 9)
        elif f.ears == "tuft":
            p.poly([at(side * 0.8, 0.4), at(side * 0.72, 1.45), at(side * 0.28, 0.8)], main)
    if f.muzzle == "fox":
        outline = [
            (0, 0.92),
            (0.55, 0.84),
            (0.95, 0.42),
            (1.16, -0.18),
            (0.72, -0.42),
            (0.3, -0.92),
            (0, -1.06),
            (-0.3, -0.92),
            (-0.72, -0.42),
            (-1.16, -0.18),
            (-0.95, 0.42),
            (-0.55, 0.84),
        ]
        p.blob([at(a * w, b) for a, b in outline], main)
    elif f.muzzle == "dog":
        o(0, 0.1, 0.9, 0.92, main)
        o(0, -0.45, 0.62, 0.62, main)
    else:
        o(0, 0, 1.0 * w, 0.92, main)
        if f.muzzle == "cat":
            o(0, -0.28, 0.94 * w, 0.6, main)
    if "patch" in f.marks:
        o(0.42, 0.28, 0.36, 0.48, c.dark, -12)
    if f.ears == "flop":
        for side in (-1, 1):
            p.blob(
                [
                    at(side * 0.5, 0.92),
                    at(side * 0.98, 0.72),
                    at(side * 1.22, 0.0),
                    at(side * 1.08, -0.56),
                    at(side * 0.84, -0.42),
                    at(side * 0.76, 0.22),
                ],
                c.dark,
            )
    pale = mix(main, (255, 250, 240), 0.82)
    if "mask" in f.marks:
        o(0, 0.55, 0.3, 0.5, c.dark)
    if "cheeks" in f.marks:
        for side in (-1, 1):
            p.blob(
                [
                    at(side * 1.06 * w, -0.2),
                    at(side * 0.62, 0.02),
                    at(side * 0.26, -0.2),
                    at(side * 0.1, -0.62),
                    at(side * 0.2, -0.96),
                    at(side * 0.66 * w, -0.48),
                ],
                pale,
            )
    if "stripes" in f.marks:
        dark = tone(main, 0.42)
        for dx in (-0.28, 0.0, 0.28):
            p.line([at(dx, 0.86), at(dx * 0.6, 0.45)], 0.1 * s, dark, 0.02 * s)
        for side in (-1, 1):
            for dy in (0.12, -0.16):
                p.line(
                    [at(side * w * 0.98, dy), at(side * 0.66, dy - 0.06)], 0.1 * s, dark, 0.02 * s
                )
    if f.muzzle == "bear":
        o(0, -0.36, 0.48, 0.4, pale if panda else mix(main, pale, 0.6))
    elif f.muzzle == "dog":
        o(0, -0.5, 0.5, 0.42, mix(main, pale, 0.7))
    elif f.muzzle == "cat":
        o(-0.2, -0.42, 0.27, 0.22, mix(main, pale, 0.75))
        o(0.2, -0.42, 0.27, 0.22, mix(main, pale, 0.75))
    if panda:
        for side in (-1, 1):
            o(side * 0.44, 0.08, 0.27, 0.33, (46, 44, 50), side * 28)
    eye_y, eye_x = (0.06, 0.45) if f.muzzle != "fox" else (0.1, 0.46)
    big = 0.20 if kind in ("cat", "mouse", "rabbit", "squirrel", "tiger") else 0.135
    for side in (-1, 1):
        o(side * eye_x, eye_y, big * 1.22, big * 1.12, tone(main, 0.3), -side * 12)
        if kind in ("cat", "tiger", "wolf", "lion"):
            o(side * eye_x, eye_y, big, big * 0.94, c.eye)
            o(side * eye_x, eye_y, big * (0.34 if kind == "cat" else 0.5), big * 0.8, INK)
        else:
            o(side * eye_x, eye_y, big * 0.95, big * 0.9, mix(c.eye, INK, 0.45))
        o(side * eye_x - 0.06, eye_y + 0.07, big * 0.34, big * 0.34, WHITE)
    nose_y = {"fox": -0.86, "dog": -0.34, "bear": -0.22, "cat": -0.26}.get(f.muzzle, -0.3)
    size = 0.17 if f.muzzle in ("dog", "bear", "fox") else 0.1
    o(0, nose_y, size * 1.15, size * 0.86, f.nose)
    if size > 0.12:
        o(-0.05, nose_y + 0.05, size * 0.3, size * 0.2, (150, 140, 146))
    if f.muzzle != "fox":
        for side in (-1, 1):
            p.line(
                [
                    at(0, nose_y - 0.08),
                    at(side * 0.08, nose_y - 0.26),
                    at(side * 0.24, nose_y - 0.26),
                ],
                0.045 * s,
                tone(main, 0.25),
                0.02 * s,
            )
    if "tongue" in f.marks:
        o(0.02, -0.82, 0.13, 0.2, (222, 104, 112))
    if "whiskers" in f.marks:
        for side in (-1, 1):
            for dy in (-0.3, -0.42, -0.54):
                p.line(
                    [at(side * 0.3, dy - 0.02), at(side * 1.3, dy + 0.1 - (dy + 0.42) * -0.8)],
                    0.03 * s,
                    mix(pale, (190, 186, 180), 0.3),
                    0.012 * s,
                )


def sitter(p: Pen, c: Coat, kind: str, r: Stream) -> None:  # noqa: C901, PLR0912 - a drawing, part by part
    """Draw a sitting animal with its face to us, one unit tall."""
    f = FACES[kind]
    w = f.slim
    main = c.or_own((240, 238, 230)) if kind == "panda" else c.main
    limbs = (46, 44, 50) if kind == "panda" else c.main
    pale = mix(main, (255, 250, 240), 0.8)
    paws = tone(c.main, 0.26) if kind == "fox" else mix(limbs, pale, 0.15)
    if f.tail == "brush":
        p.blob(
            [
                (0.14, 0.10),
                (0.40, 0.0),
                (0.68, 0.08),
                (0.80, 0.34),
                (0.70, 0.58),
                (0.60, 0.60),
                (0.58, 0.40),
                (0.44, 0.26),
                (0.2, 0.26),
            ],
            c.main,
        )
        p.blob([(0.80, 0.36), (0.74, 0.56), (0.60, 0.70), (0.575, 0.52), (0.66, 0.42)], pale)
    elif f.tail in ("long", "string", "tuft"):
        thick = 0.075 if f.tail == "long" else 0.03
        path = [(0.2, 0.06), (0.48, 0.04), (0.56, 0.2), (0.50, 0.36), (0.60, 0.46)]
        p.line(path, thick, mix(c.main, (220, 150, 150), 0.5) if f.tail == "string" else c.main)
        if f.tail == "tuft":
            p.oval(0.61, 0.49, 0.06, 0.075, c.deep)
    elif f.tail == "plume":
        p.blob(
            [
                (0.12, 0.05),
                (0.45, 0.02),
                (0.6, 0.3),
                (0.52, 0.62),
                (0.66, 0.86),
                (0.44, 1.0),
                (0.3, 0.8),
                (0.34, 0.45),
                (0.24, 0.22),
            ],
            c.dark,
        )
    elif f.tail == "up":
        p.line([(0.2, 0.1), (0.4, 0.2), (0.5, 0.42)], 0.08, c.main, 0.03)
    elif f.tail == "puff":
        p.oval(0.3, 0.12, 0.1, 0.1, pale)
    back = tone(main, 0.86)
    p.oval(-0.2 * w, 0.15, 0.17 * w, 0.16, back)
    p.oval(0.2 * w, 0.15, 0.17 * w, 0.16, back)
    body = [(0, 0.74), (0.17, 0.62), (0.25, 0.38), (0.29, 0.14), (0.2, 0.02), (0, 0.0)]
    p.blob(
        [(a * w, b) for a, b in body] + [(-a * w, b) for a, b in body[-2:0:-1]],
        main,
    )
    if kind not in ("lion", "panda"):
        p.blob(
            [
                (-0.11 * w, 0.62),
                (0.11 * w, 0.62),
                (0.13 * w, 0.4),
                (0.04, 0.2),
                (-0.04, 0.2),
                (-0.13 * w, 0.4),
            ],
            pale,
        )
    if kind == "panda":
        p.blob([(-0.3, 0.58), (0, 0.66), (0.3, 0.58), (0.26, 0.44), (0, 0.5), (-0.26, 0.44)], limbs)
    if "stripes" in f.marks:
        for side in (-1, 1):
            for y in (0.2, 0.31, 0.42):
                p.line(
                    [(side * 0.27 * w, y), (side * 0.15 * w, y + 0.03)],
                    0.034,
                    tone(main, 0.45),
                    0.006,
                )
    shade = tone(limbs, 0.8)
    for side in (-1, 1):
        p.blob(
            [
                (side * 0.02, 0.42),
                (side * 0.15 * w, 0.4),
                (side * 0.14 * w, 0.1),
                (side * 0.15 * w, 0.02),
                (side * 0.03, 0.02),
                (side * 0.045, 0.2),
            ],
            shade if side > 0 else limbs,
        )
        p.oval(side * 0.092 * w, 0.035, 0.075 * w, 0.045, paws)
        p.oval(side * 0.29 * w, 0.035, 0.1 * w, 0.045, paws)
        if kind == "fox":
            p.poly(
                [
                    (side * 0.035, 0.24),
                    (side * 0.135, 0.22),
                    (side * 0.145, 0.04),
                    (side * 0.04, 0.04),
                ],
                paws,
            )
    size = {"rabbit": 0.2, "mouse": 0.21, "squirrel": 0.19}.get(kind, 0.225)
    y = {"rabbit": 0.62, "mouse": 0.68, "squirrel": 0.66}.get(kind, 0.74)
    head(p, c, kind, (r.number() - 0.5) * 0.05, y, size)
