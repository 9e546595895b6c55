"""Drawings of buildings and what stands in streets; ``lit`` lights their windows.

Local units: the ground is y = 0 and the thing is about one unit tall.
"""

from __future__ import annotations

from math import cos, radians, sin

from workbench.providers.sketch.pen import INK, WHITE, Coat, Colour, Pen, mix, tone
from workbench.providers.sketch.streams import Stream

LIT: Colour = (255, 214, 130)


def _window(p: Pen, x: float, y: float, w: float, h: float, *, lit: bool) -> None:
    p.box(x - w * 0.62, y - h * 0.6, x + w * 0.62, y + h * 0.6, (238, 230, 214))
    p.box(x - w / 2, y - h / 2, x + w / 2, y + h / 2, LIT if lit else (86, 108, 128))
    p.line([(x, y - h / 2), (x, y + h / 2)], w * 0.1, (238, 230, 214))
    p.line([(x - w / 2, y), (x + w / 2, y)], w * 0.1, (238, 230, 214))


def house(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A cottage with a pitched roof and a chimney."""
    wall = c.or_own(r.pick(((236, 222, 196), (226, 200, 168), (214, 218, 214), (232, 208, 190))))
    roof = (
        tone(wall, 0.5)
        if c.named
        else r.pick(((168, 66, 50), (150, 84, 58), (96, 88, 98), (120, 58, 52)))
    )
    w = r.number(0.42, 0.62)
    side = w + r.number(0.24, 0.5)
    p.box(0.2, 0.6, 0.32, 0.98, tone(roof, 0.7))
    p.box(w - 0.08, 0.0, side, 0.5, tone(wall, 0.78))
    p.poly(
        [(w - 0.1, 0.5), (0.02, 0.93), (side - w + 0.02, 0.93), (side + 0.08, 0.48)],
        tone(roof, 0.8),
    )
    p.poly([(-w, 0.0), (w, 0.0), (w, 0.5), (0, 0.92), (-w, 0.5)], wall)
    p.line([(-w - 0.09, 0.42), (0, 0.95)], 0.085, roof)
    p.line([(w + 0.09, 0.42), (0, 0.95)], 0.085, roof)
    door = (104, 70, 52) if not c.named else tone(wall, 0.35)
    p.box(-0.1, 0.0, 0.1, 0.33, door)
    p.oval(0.06, 0.17, 0.015, 0.015, LIT)
    _window(p, -w * 0.62, 0.27, 0.16, 0.18, lit=lit or r.chance(0.15))
    _window(p, w * 0.62, 0.27, 0.16, 0.18, lit=lit and r.chance(0.8))
    _window(p, 0, 0.62, 0.15, 0.17, lit=lit and r.chance(0.6))
    if side - w > 0.3:
        _window(p, (w + side) / 2 + 0.02, 0.27, 0.14, 0.18, lit=lit)


def tower_block(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """One high building with rows of windows."""
    w = r.number(0.14, 0.26)
    body = c.main
    p.box(-w, 0, w, 0.96, body)
    p.box(w * 0.45, 0, w, 0.96, tone(body, 0.78))
    if r.chance(0.5):
        p.box(-w * 0.5, 0.95, w * 0.5, 1.03, tone(body, 0.9))
    if r.chance(0.4):
        p.line([(0, 1.0), (0, 1.15)], 0.02, body)
    rows, cols = 14, max(2, int(w * 20))
    for i in range(rows):
        for j in range(cols):
            if r.chance(0.55 if lit else 0.8):
                x, y = -w + (j + 0.5) * 2 * w / cols, 0.08 + i * 0.062
                pane = (
                    mix(LIT, (255, 240, 200), r.number()) if lit else tone(body, r.pick((0.7, 1.2)))
                )
                p.box(x - 0.018, y, x + 0.018, y + 0.03, pane)


def castle(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A castle with towers and flags."""
    stone = c.or_own((186, 176, 166))
    roof = (122, 66, 72)
    for x, h, w in (
        (-0.62, 0.62, 0.13),
        (0.62, 0.66, 0.13),
        (-0.26, 0.78, 0.12),
        (0.28, 0.86, 0.13),
        (0, 0.66, 0.16),
    ):
        t = tone(stone, r.number(0.86, 1.04))
        p.box(x - w, 0, x + w, h, t)
        p.box(x + w * 0.3, 0, x + w, h, tone(t, 0.8))
        p.box(x - w * 1.15, h - 0.06, x + w * 1.15, h, tone(t, 0.92))
        p.poly([(x - w * 1.25, h), (x + w * 1.25, h), (x, h + w * 2.5)], roof)
        p.poly([(x + w * 0.3, h), (x + w * 1.25, h), (x, h + w * 2.5)], tone(roof, 0.75))
        p.line([(x, h + w * 2.4), (x, h + w * 2.4 + 0.13)], 0.012, INK)
        p.poly(
            [(x, h + w * 2.4 + 0.13), (x + 0.13, h + w * 2.4 + 0.09), (x, h + w * 2.4 + 0.05)],
            (206, 62, 54),
        )
        for y in (0.3, 0.5):
            if y < h - 0.1:
                p.box(
                    x - 0.025,
                    y,
                    x + 0.025,
                    y + 0.09,
                    LIT if lit and r.chance(0.7) else (70, 62, 72),
                )
    p.box(-0.74, 0, 0.74, 0.36, stone)
    for k in range(15):
        x = -0.72 + k * 0.1
        p.box(x, 0.35, x + 0.055, 0.41, stone)
    p.blob([(-0.13, 0.0), (-0.13, 0.18), (0, 0.27), (0.13, 0.18), (0.13, 0.0)], (74, 54, 48))
    for _ in range(26):
        x, y = r.number(-0.7, 0.66), r.number(0.02, 0.32)
        if abs(x) > 0.18:
            p.box(x, y, x + 0.06, y + 0.025, tone(stone, r.pick((0.88, 1.08))))


def tower(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A lone stone tower."""
    stone = c.or_own((176, 162, 150))
    p.poly([(-0.17, 0), (0.17, 0), (0.13, 0.76), (-0.13, 0.76)], stone)
    p.poly([(0.05, 0), (0.17, 0), (0.13, 0.76), (0.04, 0.76)], tone(stone, 0.78))
    p.box(-0.17, 0.7, 0.17, 0.8, tone(stone, 0.92))
    p.poly([(-0.2, 0.8), (0.2, 0.8), (0, 1.08)], (116, 70, 64))
    for y in (0.25, 0.45, 0.6):
        p.box(-0.03, y, 0.025, y + 0.08, LIT if lit else (66, 58, 66))
    p.box(-0.05, 0, 0.05, 0.14, (84, 60, 48))


def lighthouse(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A banded lighthouse on its rock."""
    p.blob(
        [(-0.5, -0.05), (-0.42, 0.05), (-0.18, 0.11), (0.16, 0.1), (0.4, 0.04), (0.55, -0.05)],
        (104, 96, 98),
    )
    band = c.or_own((204, 66, 54))
    for k in range(6):
        y0, y1 = 0.06 + k * 0.115, 0.06 + (k + 1) * 0.115
        a, b = 0.15 - 0.011 * k, 0.15 - 0.011 * (k + 1)
        t = band if k % 2 else WHITE
        p.poly([(-a, y0), (a, y0), (b, y1), (-b, y1)], t)
        p.poly([(a * 0.3, y0), (a, y0), (b, y1), (b * 0.3, y1)], tone(t, 0.78))
    p.box(-0.13, 0.745, 0.13, 0.775, (70, 66, 74))
    p.box(-0.07, 0.775, 0.07, 0.875, (255, 232, 150) if lit else (214, 226, 226))
    p.line([(-0.07, 0.775), (-0.07, 0.875)], 0.014, INK)
    p.line([(0.07, 0.775), (0.07, 0.875)], 0.014, INK)
    p.poly([(-0.1, 0.875), (0.1, 0.875), (0, 0.97)], tone(band, 0.7))
    p.box(-0.03, 0.08, 0.03, 0.18, (90, 66, 56))
    for y in (0.3, 0.5):
        p.box(-0.02, y, 0.02, y + 0.05, (60, 58, 70))


def bridge(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A stone bridge with arches."""
    stone = c.or_own((172, 156, 140))
    top = [(-1.6, 0.34), (-0.9, 0.5), (0, 0.58), (0.9, 0.5), (1.6, 0.34)]
    p.poly([*top, (1.6, -0.02), (-1.6, -0.02)], stone)
    for x, w, h in ((-0.98, 0.26, 0.3), (0, 0.34, 0.42), (0.98, 0.26, 0.3)):
        p.blob(
            [
                (x - w, -0.06),
                (x - w, h * 0.5),
                (x - w * 0.6, h * 0.9),
                (x, h),
                (x + w * 0.6, h * 0.9),
                (x + w, h * 0.5),
                (x + w, -0.06),
            ],
            (58, 62, 76),
        )
    p.line([(x, y + 0.05) for x, y in top], 0.07, tone(stone, 1.15))
    for _ in range(40):
        x, y = r.number(-1.5, 1.5), r.number(0.3, 0.48)
        p.box(x, y, x + 0.1, y + 0.035, tone(stone, r.pick((0.88, 1.08))))


def windmill(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A windmill with four sails."""
    wall = c.or_own((226, 212, 190))
    p.poly([(-0.22, 0), (0.22, 0), (0.13, 0.6), (-0.13, 0.6)], wall)
    p.poly([(0.06, 0), (0.22, 0), (0.13, 0.6), (0.04, 0.6)], tone(wall, 0.8))
    p.blob([(-0.16, 0.58), (-0.1, 0.7), (0, 0.74), (0.1, 0.7), (0.16, 0.58)], (112, 66, 54))
    p.box(-0.05, 0, 0.05, 0.16, (92, 64, 50))
    p.box(-0.03, 0.34, 0.03, 0.42, LIT if lit else (74, 70, 80))

    start = r.number(10, 80)
    for k in range(4):
        a = radians(start + 90 * k)
        dx, dy = cos(a), sin(a)
        tip = (dx * 0.52, 0.62 + dy * 0.52)
        p.poly(
            [
                (dx * 0.1, 0.62 + dy * 0.1),
                tip,
                (tip[0] - dy * 0.12, tip[1] + dx * 0.12),
                (dx * 0.1 - dy * 0.12, 0.62 + dy * 0.1 + dx * 0.12),
            ],
            (238, 228, 206),
        )
        p.line([(0, 0.62), tip], 0.028, (96, 70, 54))
    p.oval(0, 0.62, 0.035, 0.035, (80, 58, 46))


def church(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A village church with a steeple."""
    wall = c.or_own((232, 224, 208))
    roof = (112, 72, 66)
    p.box(-0.1, 0, 0.6, 0.32, tone(wall, 0.86))
    p.poly([(-0.14, 0.31), (0.66, 0.31), (0.56, 0.52), (-0.06, 0.52)], roof)
    p.box(-0.36, 0, -0.06, 0.62, wall)
    p.box(-0.16, 0, -0.06, 0.62, tone(wall, 0.82))
    p.poly([(-0.4, 0.61), (-0.02, 0.61), (-0.21, 1.02)], roof)
    p.line([(-0.21, 1.0), (-0.21, 1.12)], 0.016, INK)
    p.line([(-0.25, 1.08), (-0.17, 1.08)], 0.016, INK)
    p.oval(-0.21, 0.52, 0.05, 0.05, (250, 240, 210))
    p.blob([(-0.27, 0), (-0.27, 0.14), (-0.21, 0.2), (-0.15, 0.14), (-0.15, 0)], (92, 62, 50))
    for x in (0.08, 0.26, 0.44):
        p.blob(
            [(x - 0.035, 0.1), (x - 0.035, 0.2), (x, 0.25), (x + 0.035, 0.2), (x + 0.035, 0.1)],
            LIT if lit else (88, 104, 124),
        )


def pagoda(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A pagoda of four storeys."""
    wall, roof = c.or_own((190, 64, 52)), (62, 66, 78)
    for k in range(4):
        w, y = 0.36 - 0.065 * k, 0.05 + 0.22 * k
        p.box(-w * 0.75, y, w * 0.75, y + 0.14, wall)
        for x in (-0.4, 0, 0.4):
            p.box(x * w - 0.035, y + 0.02, x * w + 0.035, y + 0.12, LIT if lit else (236, 218, 184))
        p.blob(
            [
                (-w * 1.35, y + 0.17),
                (-w * 0.7, y + 0.155),
                (0, y + 0.15),
                (w * 0.7, y + 0.155),
                (w * 1.35, y + 0.17),
                (w * 0.75, y + 0.235),
                (0, y + 0.26),
                (-w * 0.75, y + 0.235),
            ],
            roof,
        )
    p.line([(0, 0.95), (0, 1.12)], 0.025, (210, 168, 80), 0.008)
    p.box(-0.44, 0, 0.44, 0.06, (150, 140, 134))


def barn(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A red barn."""
    wall = c.or_own((172, 54, 46))
    p.box(0.2, 0, 0.95, 0.5, tone(wall, 0.8))
    p.poly([(0.1, 0.92), (0.75, 0.92), (1.02, 0.5), (0.4, 0.48)], (92, 88, 94))
    p.poly(
        [
            (-0.5, 0),
            (0.42, 0),
            (0.42, 0.5),
            (0.26, 0.78),
            (-0.04, 0.94),
            (-0.34, 0.78),
            (-0.5, 0.5),
        ],
        wall,
    )
    p.line([(-0.54, 0.48), (-0.36, 0.79), (-0.04, 0.96), (0.28, 0.79), (0.46, 0.48)], 0.05, WHITE)
    p.box(-0.26, 0, 0.18, 0.4, tone(wall, 0.6))
    for a, b in (((-0.26, 0), (0.18, 0.4)), ((-0.26, 0.4), (0.18, 0.0))):
        p.line([a, b], 0.035, WHITE)
    p.box(-0.12, 0.55, 0.04, 0.7, LIT if lit else (60, 44, 46))


def tent(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A tent."""
    cloth = c.or_own((222, 140, 66))
    p.poly([(0.05, 0.8), (0.75, 0.7), (1.05, 0.0), (0.5, 0.0)], tone(cloth, 0.68))
    p.poly([(-0.6, 0.0), (0.52, 0.0), (0.05, 0.82)], cloth)
    p.poly([(-0.16, 0.0), (0.2, 0.0), (0.05, 0.58)], LIT if lit else (84, 56, 44))


def pyramid(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A pyramid of stone."""
    stone = c.or_own((222, 184, 120))
    p.poly([(-0.9, 0), (0.3, 0), (0, 1.0)], stone)
    p.poly([(0.3, 0), (0.95, 0.05), (0, 1.0)], tone(stone, 0.66))
    for k in range(1, 9):
        y = k / 9
        p.line([(-0.9 * (1 - y), y), (0.3 * (1 - y), y)], 0.008, tone(stone, 0.86))


def igloo(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """An igloo."""
    ice = c.or_own((226, 236, 244))
    p.blob([(-0.7, 0), (-0.62, 0.42), (-0.3, 0.72), (0.1, 0.74), (0.44, 0.5), (0.56, 0.0)], ice)
    for y in (0.2, 0.4, 0.58):
        p.line([(-0.66 + y * 0.3, y), (0.52 - y * 0.3, y)], 0.016, tone(ice, 0.82))
    p.blob([(0.2, 0), (0.22, 0.3), (0.45, 0.42), (0.7, 0.3), (0.76, 0)], tone(ice, 0.94))
    p.blob(
        [(0.32, 0), (0.34, 0.2), (0.48, 0.3), (0.62, 0.2), (0.64, 0)], LIT if lit else (62, 84, 116)
    )


def lamp_post(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A street lamp."""
    iron = c.or_own((52, 54, 62))
    p.line([(0, 0), (0, 0.8)], 0.03, iron)
    p.box(-0.05, 0, 0.05, 0.06, iron)
    p.poly([(-0.05, 0.8), (0.05, 0.8), (0.075, 0.93), (-0.075, 0.93)], LIT)
    p.poly([(-0.09, 0.93), (0.09, 0.93), (0, 1.0)], iron)
    p.line([(-0.08, 0.74), (0.08, 0.74)], 0.02, iron)


def bench(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A park bench."""
    wood = c.or_own((150, 104, 66))
    for x in (-0.7, 0.7):
        p.line([(x, 0), (x, 0.9)], 0.06, INK)
    for y in (0.42, 0.64, 0.78):
        p.box(-0.85, y, 0.85, y + (0.1 if y < 0.5 else 0.08), tone(wood, 0.8 + y * 0.3))


def gate(p: Pen, c: Coat, r: Stream, *, lit: bool = False) -> None:
    """A stone arch."""
    stone = c.or_own((180, 168, 154))
    p.box(-0.45, 0, 0.45, 0.9, stone)
    p.box(-0.52, 0.86, 0.52, 1.0, tone(stone, 0.86))
    p.blob(
        [
            (-0.26, -0.04),
            (-0.26, 0.42),
            (-0.14, 0.62),
            (0, 0.68),
            (0.14, 0.62),
            (0.26, 0.42),
            (0.26, -0.04),
        ],
        (70, 66, 80),
    )
