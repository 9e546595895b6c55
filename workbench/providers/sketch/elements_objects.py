"""Drawings of things that lie about in a house, and of planets.

Local units: the table is y = 0 and the thing is about one unit tall.
"""

from __future__ import annotations

from math import cos, radians, sin

from workbench.providers.sketch.pen import INK, WHITE, Coat, Pen, tone
from workbench.providers.sketch.streams import Stream


def cup(p: Pen, c: Coat, r: Stream) -> None:
    """A cup with a saucer and a breath of steam."""
    p.oval(0, 0.06, 0.72, 0.09, tone(c.main, 0.86))
    p.oval(0, 0.09, 0.5, 0.05, tone(c.main, 1.1))
    p.line([(0.4, 0.56), (0.66, 0.54), (0.64, 0.3), (0.34, 0.22)], 0.075, tone(c.main, 0.8))
    p.blob(
        [(-0.46, 0.68), (-0.44, 0.36), (-0.24, 0.09), (0.24, 0.09), (0.44, 0.36), (0.46, 0.68)],
        c.main,
    )
    p.blob(
        [(-0.38, 0.6), (-0.36, 0.36), (-0.2, 0.16), (-0.12, 0.4), (-0.18, 0.62)], tone(c.main, 1.25)
    )
    p.oval(0, 0.68, 0.46, 0.09, tone(c.main, 1.2))
    p.oval(0, 0.67, 0.4, 0.065, (92, 58, 40))
    for x in (-0.12, 0.1):
        p.line(
            [(x, 0.78), (x + 0.07, 0.88), (x - 0.03, 0.97), (x + 0.05, 1.08)],
            0.03,
            (226, 222, 218),
            0.008,
        )


def teapot(p: Pen, c: Coat, r: Stream) -> None:
    """A teapot."""
    p.line([(0.4, 0.3), (0.66, 0.42), (0.84, 0.7)], 0.17, tone(c.main, 0.9), 0.08)
    p.line([(-0.4, 0.66), (-0.78, 0.68), (-0.8, 0.36), (-0.42, 0.24)], 0.085, tone(c.main, 0.8))
    p.oval(0, 0.4, 0.54, 0.4, c.main)
    p.oval(-0.1, 0.48, 0.36, 0.26, tone(c.main, 1.13))
    p.oval(-0.22, 0.6, 0.1, 0.06, tone(c.main, 1.7), 25)
    p.oval(0, 0.78, 0.27, 0.06, tone(c.main, 0.75))
    p.oval(0, 0.84, 0.2, 0.07, c.main)
    p.oval(0, 0.94, 0.065, 0.06, c.dark)
    p.box(-0.26, 0.0, 0.26, 0.05, tone(c.main, 0.66))


def bottle(p: Pen, c: Coat, r: Stream) -> None:
    """A bottle with a label."""
    p.blob(
        [
            (-0.2, 0.0),
            (-0.21, 0.5),
            (-0.16, 0.62),
            (-0.07, 0.7),
            (-0.065, 0.98),
            (0.065, 0.98),
            (0.07, 0.7),
            (0.16, 0.62),
            (0.21, 0.5),
            (0.2, 0.0),
        ],
        c.main,
    )
    p.line([(-0.13, 0.08), (-0.135, 0.5), (-0.05, 0.7)], 0.045, tone(c.main, 1.5), 0.02)
    p.box(-0.205, 0.16, 0.205, 0.42, (236, 226, 200))
    p.line([(-0.12, 0.32), (0.12, 0.32)], 0.03, (150, 60, 54))
    p.line([(-0.12, 0.25), (0.12, 0.25)], 0.015, (110, 96, 84))
    p.box(-0.075, 0.9, 0.075, 1.03, (156, 66, 56))


def glass(p: Pen, c: Coat, r: Stream) -> None:
    """A glass of wine."""
    pane = (206, 218, 222)
    p.oval(0, 0.03, 0.24, 0.035, pane)
    p.line([(0, 0.03), (0, 0.45)], 0.03, pane)
    p.blob(
        [(-0.24, 0.98), (-0.27, 0.7), (-0.12, 0.46), (0.12, 0.46), (0.27, 0.7), (0.24, 0.98)], pane
    )
    p.blob(
        [(-0.255, 0.78), (-0.23, 0.62), (-0.1, 0.49), (0.1, 0.49), (0.23, 0.62), (0.255, 0.78)],
        c.main,
    )
    p.oval(0, 0.78, 0.25, 0.03, tone(c.main, 1.3))
    p.line([(-0.17, 0.9), (-0.19, 0.68)], 0.025, (248, 250, 250), 0.01)


def vase(p: Pen, c: Coat, r: Stream) -> None:
    """A vase with a bunch of flowers."""
    blooms = ((226, 88, 84), (246, 196, 90), (238, 150, 172), (150, 110, 190), (244, 238, 226))
    heads = []
    for k in range(9):
        a = radians(28 + 15.5 * k)
        d = r.number(0.34, 0.56)
        x, y = cos(a) * d * 0.9, 0.42 + sin(a) * d
        p.line([(0, 0.36), (x * 0.5, 0.42 + (y - 0.42) * 0.6), (x, y)], 0.02, (88, 128, 72))
        p.oval(x * 0.7, 0.4 + (y - 0.42) * 0.6, 0.1, 0.035, (96, 142, 78), 28 + 15.5 * k)
        heads.append((x, y))
    p.blob(
        [
            (-0.1, 0.42),
            (-0.13, 0.36),
            (-0.22, 0.22),
            (-0.16, 0.03),
            (0.16, 0.03),
            (0.22, 0.22),
            (0.13, 0.36),
            (0.1, 0.42),
        ],
        c.main,
    )
    p.blob([(-0.1, 0.34), (-0.17, 0.22), (-0.12, 0.08), (-0.05, 0.2)], tone(c.main, 1.4))
    p.line([(-0.19, 0.16), (0.19, 0.16)], 0.025, c.dark)
    for x, y in heads:
        tint = r.pick(blooms)
        for j in range(6):
            b = radians(60 * j + r.number(0, 20))
            p.oval(
                x + cos(b) * 0.055, y + sin(b) * 0.055, 0.06, 0.05, tone(tint, r.number(0.8, 1.15))
            )
        p.oval(x, y, 0.04, 0.04, (250, 214, 110) if tint[2] > 100 else tone(tint, 0.6))


def jug(p: Pen, c: Coat, r: Stream) -> None:
    """A jug."""
    p.line([(0.24, 0.8), (0.54, 0.78), (0.52, 0.4), (0.32, 0.3)], 0.08, tone(c.main, 0.8))
    p.blob(
        [
            (-0.24, 0.98),
            (-0.2, 0.72),
            (-0.38, 0.36),
            (-0.24, 0.0),
            (0.24, 0.0),
            (0.38, 0.36),
            (0.2, 0.72),
            (0.24, 0.96),
        ],
        c.main,
    )
    p.blob([(-0.14, 0.66), (-0.29, 0.36), (-0.18, 0.1), (-0.06, 0.4)], tone(c.main, 1.25))
    p.poly([(-0.24, 0.98), (-0.4, 1.0), (-0.2, 0.86)], c.main)
    p.oval(0, 0.97, 0.24, 0.045, c.deep)


def book(p: Pen, c: Coat, r: Stream) -> None:
    """A pile of books."""
    for k, fill in enumerate((c.main, (214, 168, 84), (74, 104, 122))):
        y, w, x = 0.3 * k, 0.72 - 0.06 * k, r.number(-0.08, 0.08)
        p.box(x - w, y, x + w, y + 0.28, fill)
        p.box(x - w + 0.1, y + 0.05, x + w + 0.01, y + 0.23, (240, 230, 206))
        p.line([(x - w + 0.12, y + 0.14), (x + w, y + 0.14)], 0.012, (206, 194, 170))
        p.box(x - w, y, x - w + 0.12, y + 0.28, tone(fill, 0.8))


def candle(p: Pen, c: Coat, r: Stream) -> None:
    """A burning candle in its holder."""
    p.oval(0, 0.05, 0.36, 0.07, (168, 132, 78))
    p.line([(0.3, 0.08), (0.46, 0.18), (0.32, 0.22)], 0.045, (168, 132, 78))
    p.box(-0.11, 0.06, 0.11, 0.66, c.main)
    p.box(0.03, 0.06, 0.11, 0.66, c.dark)
    p.oval(0, 0.66, 0.11, 0.03, c.light)
    p.line([(0, 0.66), (0.005, 0.74)], 0.015, INK)
    p.blob([(-0.065, 0.8), (0.0, 1.04), (0.065, 0.8), (0, 0.72)], (255, 176, 60))
    p.blob([(-0.03, 0.8), (0.0, 0.94), (0.03, 0.8), (0, 0.75)], (255, 246, 200))


def lamp(p: Pen, c: Coat, r: Stream) -> None:
    """A table lamp."""
    p.oval(0, 0.04, 0.28, 0.05, (120, 92, 66))
    p.line([(0, 0.04), (0, 0.55)], 0.055, (150, 116, 80))
    p.oval(0, 0.22, 0.11, 0.13, (150, 116, 80))
    p.poly([(-0.4, 0.52), (0.4, 0.52), (0.22, 1.0), (-0.22, 1.0)], c.main)
    p.poly([(-0.3, 0.52), (0.16, 0.52), (0.08, 1.0), (-0.16, 1.0)], tone(c.main, 1.4))


def clock(p: Pen, c: Coat, r: Stream) -> None:
    """A round clock."""
    p.oval(0, 0.5, 0.5, 0.5, c.main)
    p.oval(0, 0.5, 0.42, 0.42, (248, 242, 226))
    for k in range(12):
        a = radians(30 * k)
        p.line(
            [(cos(a) * 0.33, 0.5 + sin(a) * 0.33), (cos(a) * 0.39, 0.5 + sin(a) * 0.39)], 0.03, INK
        )
    p.line([(0, 0.5), (0.14, 0.68)], 0.04, INK)
    p.line([(0, 0.5), (-0.24, 0.62)], 0.03, INK)
    p.oval(0, 0.5, 0.035, 0.035, (200, 60, 50))


def chair(p: Pen, c: Coat, r: Stream) -> None:
    """A wooden chair."""
    for x0, x1 in ((-0.22, -0.2), (0.36, 0.38)):
        p.line([(x0, 1.0), (x1, 0.14)], 0.055, tone(c.main, 0.7))
    for y in (0.92, 0.76, 0.62):
        p.line([(-0.22, y), (0.37, y - 0.02)], 0.06, tone(c.main, 0.85))
    for x in (-0.36, 0.24):
        p.line([(x, 0.44), (x - 0.02, 0.0)], 0.06, c.main)
    p.poly([(-0.42, 0.42), (0.28, 0.42), (0.42, 0.54), (-0.22, 0.54)], (222, 186, 118))
    p.poly([(-0.42, 0.42), (0.28, 0.42), (0.28, 0.36), (-0.42, 0.36)], c.main)


def guitar(p: Pen, c: Coat, r: Stream) -> None:
    """A guitar."""
    p.line([(0, 0.5), (0, 1.0)], 0.07, (70, 48, 40))
    p.box(-0.06, 0.96, 0.06, 1.12, (58, 40, 36))
    p.blob(
        [
            (0, 0.58),
            (0.17, 0.52),
            (0.15, 0.38),
            (0.25, 0.2),
            (0.16, 0.02),
            (0, 0.0),
            (-0.16, 0.02),
            (-0.25, 0.2),
            (-0.15, 0.38),
            (-0.17, 0.52),
        ],
        c.main,
    )
    p.blob(
        [
            (0, 0.54),
            (0.13, 0.49),
            (0.12, 0.38),
            (0.2, 0.2),
            (0.12, 0.06),
            (0, 0.04),
            (-0.12, 0.06),
            (-0.2, 0.2),
            (-0.12, 0.38),
            (-0.13, 0.49),
        ],
        tone(c.main, 1.22),
    )
    p.oval(0, 0.36, 0.07, 0.07, (56, 36, 32))
    p.box(-0.09, 0.14, 0.09, 0.17, (70, 48, 40))
    for x in (-0.018, 0.0, 0.018):
        p.line([(x, 0.16), (x, 1.0)], 0.006, (236, 230, 214))


def umbrella(p: Pen, c: Coat, r: Stream) -> None:
    """An open umbrella."""
    p.line([(0, 0.98), (0, 0.12), (0.06, 0.03), (0.13, 0.1)], 0.03, (84, 62, 50))
    arc = [(cos(radians(a)) * 0.62, 0.5 + sin(radians(a)) * 0.46) for a in range(180, -1, -12)]
    p.poly([*arc, (0.4, 0.54), (0.2, 0.5), (0, 0.54), (-0.2, 0.5), (-0.4, 0.54)], c.main)
    p.blob(
        [(0, 0.97), (-0.2, 0.8), (-0.22, 0.52), (0, 0.54), (0.16, 0.52), (0.16, 0.8)],
        tone(c.main, 1.2),
    )
    p.line([(0, 0.96), (0, 1.04)], 0.025, INK)


def hat(p: Pen, c: Coat, r: Stream) -> None:
    """A hat with a ribbon."""
    p.oval(0, 0.14, 0.8, 0.13, tone(c.main, 0.85))
    p.blob(
        [
            (-0.4, 0.14),
            (-0.38, 0.6),
            (-0.2, 0.74),
            (0, 0.68),
            (0.2, 0.74),
            (0.38, 0.6),
            (0.4, 0.14),
        ],
        c.main,
    )
    p.line([(-0.4, 0.25), (0, 0.2), (0.4, 0.25)], 0.11, tone(c.main, 0.45))


def egg(p: Pen, c: Coat, r: Stream) -> None:
    """An egg."""
    p.blob(
        [
            (0, 0.92),
            (0.24, 0.72),
            (0.34, 0.36),
            (0.2, 0.04),
            (0, 0.0),
            (-0.2, 0.04),
            (-0.34, 0.36),
            (-0.24, 0.72),
        ],
        c.main,
    )
    p.oval(-0.09, 0.5, 0.13, 0.22, tone(c.main, 1.4), -12)


def shell(p: Pen, c: Coat, r: Stream) -> None:
    """A scallop shell."""
    p.poly([(-0.16, 0.0), (0.16, 0.0), (0.1, 0.14), (-0.1, 0.14)], c.dark)
    rim = [
        (cos(radians(a)) * 0.56, 0.2 + sin(radians(a)) * 0.72 + (0.03 if (a // 10) % 2 else 0))
        for a in range(0, 181, 10)
    ]
    p.blob([*rim, (0, 0.06)], c.main)
    for a in range(20, 170, 20):
        p.line(
            [(0, 0.1), (cos(radians(a)) * 0.5, 0.2 + sin(radians(a)) * 0.66)],
            0.03,
            c.light if a % 40 else c.dark,
            0.05,
        )


def heart(p: Pen, c: Coat, r: Stream) -> None:
    """A heart."""
    p.blob(
        [
            (0, 0.74),
            (0.2, 0.95),
            (0.46, 0.84),
            (0.46, 0.54),
            (0.2, 0.2),
            (0, 0.0),
            (-0.2, 0.2),
            (-0.46, 0.54),
            (-0.46, 0.84),
            (-0.2, 0.95),
        ],
        c.main,
    )
    p.oval(-0.25, 0.76, 0.12, 0.08, tone(c.main, 1.5), 35)


def gift(p: Pen, c: Coat, r: Stream) -> None:
    """A present with a bow."""
    p.box(-0.46, 0, 0.46, 0.6, c.main)
    p.box(0.14, 0, 0.46, 0.6, c.dark)
    p.box(-0.52, 0.56, 0.52, 0.74, tone(c.main, 1.15))
    p.box(-0.08, 0, 0.08, 0.74, (250, 220, 130))
    for s in (-1, 1):
        p.blob([(0, 0.74), (s * 0.14, 0.96), (s * 0.36, 0.94), (s * 0.26, 0.78)], (250, 220, 130))


def key_thing(p: Pen, c: Coat, r: Stream) -> None:
    """An old key."""
    p.oval(-0.5, 0.4, 0.26, 0.26, c.main)
    p.oval(-0.5, 0.4, 0.14, 0.14, (64, 52, 46))
    p.line([(-0.26, 0.4), (0.74, 0.4)], 0.1, c.main)
    p.box(0.46, 0.16, 0.56, 0.4, c.main)
    p.box(0.64, 0.1, 0.76, 0.4, c.main)


def skull(p: Pen, c: Coat, r: Stream) -> None:
    """A skull."""
    p.blob(
        [
            (0, 1.0),
            (0.36, 0.9),
            (0.46, 0.58),
            (0.3, 0.34),
            (0.24, 0.04),
            (-0.24, 0.04),
            (-0.3, 0.34),
            (-0.46, 0.58),
            (-0.36, 0.9),
        ],
        c.main,
    )
    for s in (-1, 1):
        p.oval(s * 0.17, 0.5, 0.12, 0.13, (58, 48, 48))
    p.poly([(0, 0.42), (0.06, 0.3), (-0.06, 0.3)], (58, 48, 48))
    for k in range(-2, 3):
        p.line([(k * 0.08, 0.05), (k * 0.08, 0.18)], 0.018, (84, 72, 66))


def flowerpot(p: Pen, c: Coat, r: Stream) -> None:
    """A plant in a pot."""
    for k in range(11):
        a = radians(20 + 14 * k)
        d = r.number(0.36, 0.56)
        p.line([(0, 0.36), (cos(a) * d * 0.5, 0.4 + sin(a) * d * 0.7)], 0.02, (86, 122, 70))
        p.oval(
            cos(a) * d * 0.7,
            0.42 + sin(a) * d * 0.8,
            0.17,
            0.07,
            tone((92, 142, 80), r.number(0.7, 1.2)),
            20 + 14 * k,
        )
    p.poly([(-0.27, 0.36), (0.27, 0.36), (0.19, 0), (-0.19, 0)], c.main)
    p.box(-0.3, 0.32, 0.3, 0.42, tone(c.main, 1.12))


def planet(p: Pen, c: Coat, r: Stream) -> None:
    """A planet with bands and a ring."""
    ring = r.chance(0.7)
    tilt = r.number(-24, 24)
    if ring:
        p.oval(0, 0.5, 0.86, 0.2, tone(c.main, 1.35), tilt)
        p.oval(0, 0.5, 0.7, 0.14, (36, 34, 62), tilt)
    for k in range(13):
        y = -1 + (k + 0.5) / 6.5
        w = (1 - y * y) ** 0.5 * 0.46
        p.oval(0, 0.5 + y * 0.44, w, 0.07, tone(c.main, r.number(0.72, 1.2)))
    p.oval(r.number(-0.1, 0.15), r.number(0.3, 0.6), 0.1, 0.05, tone(c.main, 0.7))
    if ring:
        t = radians(tilt)
        for s, e in ((0.78, 0.17), (0.68, 0.145)):
            points = [(cos(radians(a)) * s, sin(radians(a)) * e) for a in range(200, 341, 10)]
            p.line(
                [(x * cos(t) - y * sin(t), 0.5 + x * sin(t) + y * cos(t)) for x, y in points],
                0.055,
                tone(c.main, 1.5 if s > 0.7 else 1.1),
            )


def earth(p: Pen, c: Coat, r: Stream) -> None:
    """The Earth seen from space."""
    p.oval(0, 0.5, 0.5, 0.5, (120, 176, 226))
    p.oval(0, 0.5, 0.47, 0.47, c.main)
    for x, y, w, h, t in (
        (-0.2, 0.68, 0.16, 0.12, 20),
        (-0.14, 0.36, 0.09, 0.17, -15),
        (0.16, 0.6, 0.11, 0.2, 10),
        (0.26, 0.74, 0.12, 0.06, -30),
        (0.3, 0.3, 0.07, 0.06, 0),
    ):
        p.oval(x, y, w, h, (96, 142, 82), t)
        p.oval(x + 0.03, y - 0.02, w * 0.6, h * 0.5, (172, 156, 100), t)
    for _ in range(9):
        x, y = r.number(-0.3, 0.3), r.number(0.2, 0.8)
        p.oval(x, y, r.number(0.06, 0.15), 0.02, WHITE, r.number(-20, 20))
    p.oval(0, 0.94, 0.16, 0.03, WHITE)
