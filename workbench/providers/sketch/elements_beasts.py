"""Drawings of animals from the side: horses and cattle, and single odd beasts.

Local units: the ground is y = 0, the animal is about one unit tall and looks right.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

from workbench.providers.sketch.pen import INK, WHITE, Coat, Colour, Pen, mix, tone
from workbench.providers.sketch.streams import Stream


@dataclass(frozen=True)
class Build:
    """The proportions of an animal seen from the side."""

    leg: float
    body: float
    deep: float
    neck: float
    lean: float
    skull: float
    snout: float
    ears: str = "short"
    tail: str = "thin"
    marks: str = ""
    thick: float = 0.075


BUILDS: dict[str, Build] = {
    "horse": Build(0.44, 0.66, 0.33, 0.21, 0.20, 0.115, 0.21, "short", "hair", "mane", 0.065),
    "deer": Build(0.43, 0.54, 0.25, 0.23, 0.13, 0.09, 0.14, "leaf", "stub", "antlers spots", 0.045),
    "cow": Build(0.34, 0.78, 0.40, 0.10, 0.2, 0.13, 0.17, "side", "thin", "horns patches", 0.09),
    "sheep": Build(0.26, 0.66, 0.44, 0.08, 0.16, 0.11, 0.12, "side", "stub", "wool", 0.06),
    "pig": Build(0.2, 0.8, 0.46, 0.02, 0.2, 0.16, 0.13, "short", "curl", "pig", 0.1),
    "giraffe": Build(0.42, 0.36, 0.19, 0.50, 0.20, 0.06, 0.11, "leaf", "thin", "tall spots", 0.045),
    "zebra": Build(0.42, 0.66, 0.33, 0.20, 0.19, 0.115, 0.18, "short", "thin", "mane bands", 0.065),
    "camel": Build(0.46, 0.6, 0.24, 0.30, 0.3, 0.085, 0.15, "short", "thin", "hump", 0.06),
}


def walker(p: Pen, c: Coat, kind: str, r: Stream) -> None:  # noqa: C901, PLR0912, PLR0915 - a drawing, part by part
    """Draw a four-legged animal from the side, one unit tall, looking right."""
    b = BUILDS[kind]
    length, half = b.body, b.deep / 2
    mid = b.leg + half
    front, back = length * 0.42, -length * 0.42
    skin = c.main if "wool" not in b.marks else c.or_own((236, 230, 216))
    limb = skin if "wool" not in b.marks else (74, 64, 66)
    for x, step in ((back + 0.05, 0.03), (front - 0.02, -0.04)):
        _leg(p, x, b.leg, b.thick, tone(limb, 0.62), step, half)
    if b.tail == "hair":
        p.blob(
            [
                (back - 0.02, mid + 0.1),
                (back - 0.16, mid - 0.02),
                (back - 0.17, mid - 0.3),
                (back - 0.1, mid - 0.38),
                (back - 0.06, mid - 0.1),
            ],
            c.deep,
        )
    elif b.tail == "thin":
        p.line(
            [(back - 0.02, mid + 0.08), (back - 0.12, mid - 0.05), (back - 0.1, mid - 0.24)],
            0.025,
            c.dark,
        )
        p.oval(back - 0.1, mid - 0.27, 0.025, 0.05, c.deep)
    elif b.tail == "curl":
        p.line(
            [
                (back, mid + 0.08),
                (back - 0.1, mid + 0.16),
                (back - 0.14, mid + 0.08),
                (back - 0.08, mid + 0.06),
            ],
            0.03,
            c.dark,
        )
    else:
        p.oval(back - 0.06, mid + 0.06, 0.07, 0.04, c.pale, 40)
    body = [
        (back - 0.05, mid + half * 0.55),
        (0.0, mid + half * 0.86),
        (front, mid + half),
        (front + 0.09, mid + half * 0.2),
        (front, mid - half * 0.85),
        (0, mid - half * 0.92),
        (back + 0.06, mid - half * 0.7),
        (back - 0.08, mid - half * 0.1),
    ]
    if "wool" in b.marks:
        for _ in range(16):
            x = back + (front - back) * r.number(-0.05, 1.05)
            p.oval(x, mid + half * r.number(-0.6, 0.8), 0.12, 0.11, tone(skin, r.number(0.9, 1.1)))
    p.blob(body, skin)
    if "hump" in b.marks:
        p.blob(
            [
                (-0.2, mid + 0.05),
                (-0.1, mid + half + 0.14),
                (0.02, mid + half + 0.2),
                (0.14, mid + half + 0.1),
                (0.24, mid + 0.05),
            ],
            tone(skin, 0.94),
        )
    for x, step in ((back - 0.01, -0.03), (front + 0.03, 0.03)):
        _leg(p, x, b.leg, b.thick * 1.05, limb, step, half)
    hx, hy = front + 0.06 + b.lean, mid + half * 0.6 + b.neck
    nape = (front - 0.04, mid + half * 0.9)
    p.blob(
        [
            nape,
            (hx - b.skull * 1.0, hy + b.skull * 0.5),
            (hx + 0.01, hy - b.skull * 0.5),
            (front + 0.11, mid + half * 0.1),
            (front - 0.02, mid - half * 0.2),
        ],
        skin,
    )
    if "wool" in b.marks:
        for k in range(12):
            x = back + (front - back) * (k + 0.5) / 12
            p.oval(
                x,
                mid + half * 0.7 * (1 if k % 2 else 0.6),
                0.1,
                0.1,
                tone(skin, 1.06 - 0.08 * (k % 3)),
            )
    if "mane" in b.marks:
        p.blob(
            [
                (nape[0] - 0.03, nape[1] - 0.02),
                (hx - b.skull * 1.5, hy),
                (hx - b.skull * 0.4, hy + b.skull * 1.25),
                (hx - b.skull * 0.6, hy + b.skull * 0.2),
                (front + 0.02, mid + half * 0.9),
            ],
            c.deep,
        )
    drop = -0.45 * b.snout
    face = limb if "wool" in b.marks else skin
    p.blob(
        [
            (hx - b.skull, hy + b.skull * 0.5),
            (hx, hy + b.skull * 0.9),
            (hx + b.snout, hy + drop + b.skull * 0.5),
            (hx + b.snout * 1.1, hy + drop - b.skull * 0.2),
            (hx + b.snout * 0.7, hy + drop - b.skull * 0.5),
            (hx - b.skull * 0.5, hy - b.skull * 0.9),
        ],
        face,
    )
    end = (
        (238, 158, 160)
        if "pig" in b.marks
        else mix(face, c.pale, 0.45)
        if kind in ("cow", "deer")
        else tone(face, 0.6)
    )
    p.oval(hx + b.snout * 0.98, hy + drop + b.skull * 0.1, b.skull * 0.38, b.skull * 0.5, end, -30)
    p.oval(hx + b.skull * 0.2, hy + b.skull * 0.3, b.skull * 0.2, b.skull * 0.2, INK)
    p.oval(hx + b.skull * 0.25, hy + b.skull * 0.37, b.skull * 0.07, b.skull * 0.07, WHITE)
    top = (hx - b.skull * 0.5, hy + b.skull * 0.7)
    if b.ears == "side":
        p.oval(top[0] - 0.05, top[1] - 0.02, 0.09, 0.04, tone(face, 0.8), 150)
    elif b.ears == "leaf":
        p.oval(top[0] - 0.06, top[1] + 0.05, 0.09, 0.04, tone(face, 0.85), 140)
    else:
        p.poly(
            [(top[0] - 0.03, top[1]), (top[0] - 0.01, top[1] + b.skull), (top[0] + 0.05, top[1])],
            skin,
        )
    if "antlers" in b.marks:
        horn = (150, 116, 84)
        for side in (0, 0.05):
            ax = top[0] + side
            p.line(
                [(ax, top[1]), (ax - 0.08, top[1] + 0.14), (ax - 0.02, top[1] + 0.3)],
                0.026,
                horn,
                0.01,
            )
            p.line([(ax - 0.05, top[1] + 0.1), (ax + 0.06, top[1] + 0.2)], 0.02, horn, 0.008)
            p.line([(ax - 0.07, top[1] + 0.18), (ax - 0.16, top[1] + 0.28)], 0.02, horn, 0.008)
    if "horns" in b.marks:
        p.line(
            [
                (top[0] + 0.02, top[1]),
                (top[0] + 0.08, top[1] + 0.07),
                (top[0] + 0.05, top[1] + 0.13),
            ],
            0.035,
            (232, 222, 200),
            0.01,
        )
    if "tall" in b.marks:
        for dx in (0.0, 0.04):
            p.line([(top[0] + dx, top[1]), (top[0] + dx - 0.01, top[1] + 0.07)], 0.018, c.dark)
    if "patches" in b.marks:
        patch = tone(c.main, 0.25) if c.main[0] > 110 else WHITE
        for dx in (-0.24, -0.02, 0.2):
            p.oval(
                dx + r.number(-0.04, 0.04),
                mid + r.number(-0.04, 0.1),
                r.number(0.06, 0.12),
                r.number(0.05, 0.1),
                patch,
                30,
            )
    if "spots" in b.marks:
        mark = tone(c.main, 0.55) if kind == "giraffe" else c.pale
        size = 0.032 if kind == "giraffe" else 0.014
        for _ in range(22):
            t = r.number()
            x = back + (front - back) * t
            p.oval(
                x, mid + half * r.number(-0.5 if kind == "giraffe" else 0.1, 0.7), size, size, mark
            )
        if kind == "giraffe":
            for k in range(9):
                t = (k + 0.5) / 9
                p.oval(
                    front + 0.03 + (hx - front - 0.08) * t,
                    mid + half + (hy - mid - half) * t,
                    0.028,
                    0.026,
                    mark,
                )
    if "bands" in b.marks:
        band = (44, 42, 50)
        for k in range(9):
            x = back + (front - back) * (k + 0.3) / 9
            p.line(
                [(x, mid + half * 0.85), (x + 0.03, mid), (x, mid - half * 0.5)], 0.028, band, 0.008
            )
        for k in range(5):
            t = (k + 0.5) / 5
            x, y = front + 0.02 + (hx - front - 0.05) * t, mid + half * 0.8 + (hy - mid - half) * t
            p.line([(x - 0.05, y + 0.04), (x + 0.07, y - 0.05)], 0.024, band, 0.008)


def _leg(p: Pen, x: float, leg: float, w: float, fill: Colour, step: float, half: float) -> None:
    p.blob(
        [
            (x - w * 0.9, leg + half * 0.6),
            (x + w * 0.9, leg + half * 0.6),
            (x + w * 0.55, leg * 0.55),
            (x + step + w * 0.42, 0.03),
            (x + step - w * 0.42, 0.03),
            (x - w * 0.45, leg * 0.5),
        ],
        fill,
    )
    p.box(x + step - w * 0.48, 0.0, x + step + w * 0.6, 0.05, tone(fill, 0.45))


def elephant(p: Pen, c: Coat, r: Stream) -> None:
    """An elephant from the side."""
    for x in (-0.28, 0.16):
        p.blob(
            [(x - 0.1, 0.45), (x + 0.1, 0.45), (x + 0.09, 0.0), (x - 0.09, 0.0)], tone(c.main, 0.66)
        )
    p.blob(
        [
            (-0.46, 0.6),
            (-0.3, 0.88),
            (0.0, 0.94),
            (0.28, 0.9),
            (0.36, 0.6),
            (0.22, 0.36),
            (-0.3, 0.34),
            (-0.46, 0.44),
        ],
        c.main,
    )
    p.line([(-0.45, 0.68), (-0.54, 0.5), (-0.53, 0.34)], 0.035, c.dark, 0.02)
    for x in (-0.36, 0.26):
        p.blob([(x - 0.1, 0.5), (x + 0.11, 0.5), (x + 0.1, 0.0), (x - 0.09, 0.0)], c.main)
        for k in (-0.05, 0.01, 0.07):
            p.oval(x + k, 0.02, 0.025, 0.02, c.pale)
    p.blob(
        [(0.28, 0.9), (0.46, 0.96), (0.62, 0.84), (0.66, 0.6), (0.52, 0.48), (0.32, 0.56)], c.main
    )
    p.line(
        [(0.58, 0.66), (0.68, 0.44), (0.68, 0.22), (0.76, 0.1), (0.84, 0.14)], 0.17, c.main, 0.055
    )
    for k in range(4):
        p.line(
            [(0.61 + 0.01 * k, 0.42 - 0.06 * k), (0.71 + 0.01 * k, 0.40 - 0.06 * k)], 0.012, c.dark
        )
    p.line([(0.56, 0.52), (0.66, 0.42), (0.8, 0.42)], 0.055, (246, 238, 214), 0.015)
    p.blob(
        [
            (0.3, 0.88),
            (0.42, 0.82),
            (0.44, 0.6),
            (0.34, 0.42),
            (0.16, 0.46),
            (0.1, 0.7),
            (0.16, 0.86),
        ],
        tone(c.main, 0.84),
    )
    p.blob(
        [(0.3, 0.82), (0.37, 0.76), (0.37, 0.6), (0.29, 0.5), (0.19, 0.56), (0.17, 0.74)],
        mix(c.main, (206, 150, 150), 0.35),
    )
    p.oval(0.53, 0.74, 0.022, 0.022, INK)


def hedgehog(p: Pen, c: Coat, r: Stream) -> None:
    """A hedgehog from the side."""
    p.blob([(0.2, 0.1), (0.3, 0.5), (0.52, 0.46), (0.78, 0.2), (0.5, 0.08)], c.pale)
    for _ in range(70):
        a, d = r.number(0.0, 3.3), r.number(0.25, 1.0)

        x, y = -0.12 + cos(a) * 0.5 * d, 0.22 + sin(a) * 0.5 * d
        p.line(
            [(x, y), (x + cos(a) * 0.16 - 0.05, y + sin(a) * 0.16)],
            0.05,
            tone(c.main, r.number(0.4, 1.2)),
            0.008,
        )
    p.oval(0.5, 0.34, 0.035, 0.04, INK)
    p.oval(0.78, 0.2, 0.05, 0.045, INK)
    p.oval(0.2, 0.42, 0.08, 0.1, tone(c.main, 0.9))
    for x in (-0.3, 0.25):
        p.oval(x, 0.05, 0.1, 0.05, c.dark)


def frog(p: Pen, c: Coat, r: Stream) -> None:
    """A sitting frog."""
    for s in (-1, 1):
        p.blob(
            [(s * 0.2, 0.1), (s * 0.6, 0.5), (s * 0.72, 0.2), (s * 0.6, 0.02), (s * 0.3, 0.0)],
            c.dark,
        )
    p.oval(0, 0.35, 0.45, 0.36, c.main)
    p.oval(0, 0.28, 0.32, 0.26, c.pale)
    p.oval(0, 0.66, 0.44, 0.26, c.main)
    for s in (-1, 1):
        p.oval(s * 0.26, 0.88, 0.15, 0.15, c.main)
        p.oval(s * 0.27, 0.89, 0.1, 0.1, (248, 226, 120))
        p.oval(s * 0.27, 0.89, 0.06, 0.04, INK)
        p.blob(
            [(s * 0.1, 0.3), (s * 0.26, 0.3), (s * 0.3, 0.05), (s * 0.4, 0.0), (s * 0.12, 0.0)],
            c.light,
        )
    p.line([(-0.34, 0.62), (0, 0.55), (0.34, 0.62)], 0.03, c.deep)


def turtle(p: Pen, c: Coat, r: Stream) -> None:
    """A turtle from the side."""
    skin = tone(c.main, 1.2)
    p.blob(
        [
            (0.5, 0.3),
            (0.75, 0.42),
            (0.86, 0.62),
            (1.02, 0.6),
            (1.04, 0.44),
            (0.9, 0.3),
            (0.6, 0.16),
        ],
        skin,
    )
    for x in (-0.42, 0.4):
        p.blob([(x - 0.12, 0.3), (x + 0.12, 0.3), (x + 0.16, 0.0), (x - 0.1, 0.0)], skin)
    p.poly([(-0.6, 0.24), (-0.82, 0.12), (-0.5, 0.16)], skin)
    p.blob([(-0.68, 0.2), (-0.5, 0.62), (0, 0.82), (0.5, 0.62), (0.68, 0.2), (0, 0.14)], c.dark)
    for x, y in ((-0.36, 0.42), (0, 0.52), (0.36, 0.42), (-0.18, 0.66), (0.18, 0.66)):
        p.oval(x, y, 0.15, 0.1, tone(c.main, 0.92))
    p.oval(0.94, 0.54, 0.025, 0.03, INK)


def snail(p: Pen, c: Coat, r: Stream) -> None:
    """A snail from the side."""
    skin = (206, 178, 132)
    p.blob(
        [(-0.75, 0.0), (-0.3, 0.2), (0.3, 0.2), (0.5, 0.52), (0.72, 0.56), (0.74, 0.2), (0.6, 0.0)],
        skin,
    )
    for x in (0.58, 0.7):
        p.line([(x, 0.5), (x + 0.08, 0.8)], 0.035, skin)
        p.oval(x + 0.08, 0.81, 0.035, 0.035, INK)
    p.oval(-0.08, 0.5, 0.48, 0.44, c.main)
    for k, s in enumerate((0.8, 0.58, 0.36, 0.16)):
        p.oval(
            -0.06 + 0.03 * k, 0.48 - 0.02 * k, 0.48 * s, 0.44 * s, c.dark if k % 2 == 0 else c.light
        )


def dragon(p: Pen, c: Coat, r: Stream) -> None:
    """A dragon with spread wings."""
    wing = tone(c.main, 0.72)
    for s, dark in ((1, 0.6), (-1, 1.0)):
        p.poly(
            [
                (0.0, 0.55),
                (0.25 * s - 0.1, 1.05),
                (0.75 * s - 0.1, 1.0),
                (0.6 * s - 0.1, 0.8),
                (0.56 * s - 0.1, 0.62),
                (0.36 * s - 0.1, 0.6),
                (0.2 * s, 0.46),
            ],
            tone(wing, dark),
        )
    p.line([(-0.2, 0.3), (-0.55, 0.16), (-0.8, 0.3), (-0.86, 0.52)], 0.2, c.main, 0.02)
    p.poly([(-0.95, 0.5), (-0.84, 0.68), (-0.76, 0.5)], c.dark)
    p.blob(
        [(-0.3, 0.34), (-0.05, 0.58), (0.22, 0.5), (0.28, 0.28), (0.05, 0.12), (-0.22, 0.16)],
        c.main,
    )
    p.blob([(0.0, 0.4), (0.22, 0.42), (0.24, 0.24), (0.08, 0.15), (-0.04, 0.2)], c.pale)
    p.line([(0.14, 0.46), (0.36, 0.62), (0.34, 0.82), (0.46, 0.92)], 0.18, c.main, 0.12)
    p.blob(
        [(0.36, 0.86), (0.46, 1.02), (0.62, 0.96), (0.84, 0.88), (0.82, 0.8), (0.56, 0.78)], c.main
    )
    p.line([(0.42, 0.98), (0.34, 1.12)], 0.05, c.pale, 0.01)
    p.oval(0.56, 0.93, 0.03, 0.03, (252, 220, 90))
    p.blob(
        [(0.84, 0.84), (1.0, 0.92), (1.2, 0.84), (1.04, 0.82), (1.14, 0.74), (0.98, 0.76)],
        (250, 160, 60),
    )
    for x in (-0.15, 0.14):
        p.blob(
            [(x - 0.1, 0.28), (x + 0.08, 0.28), (x + 0.06, 0.1), (x + 0.14, 0.0), (x - 0.06, 0.0)],
            c.dark,
        )
    for k in range(6):
        x = -0.5 + 0.11 * k
        p.poly(
            [(x, 0.3 + 0.035 * k), (x + 0.02, 0.4 + 0.035 * k), (x + 0.08, 0.32 + 0.04 * k)], c.deep
        )


def dinosaur(p: Pen, c: Coat, r: Stream) -> None:
    """A long-necked dinosaur."""
    p.line([(-0.3, 0.36), (-0.7, 0.22), (-1.05, 0.3)], 0.22, c.main, 0.02)
    for x in (-0.2, 0.16):
        p.blob([(x - 0.08, 0.3), (x + 0.08, 0.3), (x + 0.08, 0.0), (x - 0.08, 0.0)], c.dark)
    p.oval(-0.02, 0.36, 0.4, 0.22, c.main)
    for x in (-0.28, 0.24):
        p.blob([(x - 0.09, 0.34), (x + 0.09, 0.34), (x + 0.08, 0.0), (x - 0.08, 0.0)], c.main)
    p.line([(0.26, 0.42), (0.5, 0.6), (0.52, 0.86)], 0.2, c.main, 0.1)
    p.blob([(0.46, 0.86), (0.54, 0.98), (0.7, 0.94), (0.76, 0.86), (0.6, 0.82)], c.main)
    p.oval(0.58, 0.92, 0.02, 0.022, INK)
    for k in range(5):
        p.oval(-0.24 + 0.11 * k, 0.46, 0.035, 0.028, c.dark)
