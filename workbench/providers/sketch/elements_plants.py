"""Drawings of trees, bushes and flowers.

Local units: the ground is y = 0 and the plant is about one unit tall.
"""

from __future__ import annotations

from math import cos, radians, sin

from workbench.providers.sketch.pen import Coat, Colour, Pen, tone
from workbench.providers.sketch.streams import Stream

BARK: Colour = (96, 72, 56)


def _crown(p: Pen, c: Colour, r: Stream, x: float, y: float, w: float, h: float, n: int) -> None:
    """Draw a leafy crown: dark clumps below, light ones above."""
    for level, (low, high) in enumerate(((-1.0, 0.3), (-0.6, 0.7), (-0.1, 1.0))):
        fill = tone(c, (0.58, 0.86, 1.14)[level])
        for _ in range(n - 2 * level):
            a, d = r.number(0, 6.283), r.number(0.2, 0.95 - 0.16 * level)
            dy = sin(a) * d
            if low <= dy <= high:
                s = r.number(0.2, 0.34) * (1 - 0.22 * level)
                p.oval(
                    x + cos(a) * d * w - 0.05 * level * w,
                    y + dy * h,
                    s * w,
                    s * h * 0.9,
                    fill,
                    r.number(0, 90),
                )
        if level == 0:
            p.oval(x, y, w * 0.8, h * 0.78, fill)


def tree(p: Pen, c: Coat, r: Stream) -> None:
    """A leafy tree."""
    lean = r.number(-0.06, 0.06)
    p.line([(0, -0.02), (lean, 0.3), (lean * 1.5, 0.6)], 0.11, BARK, 0.04)
    p.line([(lean, 0.32), (lean - 0.16, 0.52)], 0.05, BARK, 0.02)
    p.line([(lean, 0.36), (lean + 0.18, 0.54)], 0.05, BARK, 0.02)
    _crown(p, c.main, r, lean * 1.5, 0.66, r.number(0.36, 0.44), 0.34, 15)


def pine(p: Pen, c: Coat, r: Stream) -> None:
    """A fir tree."""
    p.line([(0, -0.02), (0, 0.5)], 0.06, BARK, 0.03)
    w = r.number(0.24, 0.32)
    for k in range(6):
        y, s = 0.1 + 0.145 * k, w * (1 - k / 6.6)
        jag = [
            (s * (j / 5) * 2 - s, y - 0.03 * (j % 2) + r.number(-0.015, 0.015)) for j in range(6)
        ]
        p.poly([*jag, (0.0, y + 0.26)], tone(c.main, 0.72 + 0.07 * k))
        p.poly([jag[0], jag[1], jag[2], (-s * 0.12, y + 0.2)], tone(c.main, 0.95 + 0.06 * k))


def palm(p: Pen, c: Coat, r: Stream) -> None:
    """A palm tree."""
    lean = r.number(0.1, 0.26)
    top = (lean, 0.74)
    p.line([(0, -0.02), (lean * 0.25, 0.36), top], 0.085, (142, 108, 74), 0.05)
    for k in range(6):
        y = 0.06 + 0.1 * k
        x = lean * (0.25 * y / 0.36 if y < 0.36 else 0.25 + 0.75 * (y - 0.36) / 0.38)
        p.line([(x - 0.03, y), (x + 0.03, y + 0.012)], 0.014, (110, 82, 58))
    for k, around in enumerate((200, 165, 130, 95, 60, 25, -12, 222, -30)):
        a = around + int(r.number(-9, 9))
        dx, dy = cos(radians(a)), sin(radians(a))
        mid = (top[0] + dx * 0.22, top[1] + dy * 0.2 + 0.05)
        end = (top[0] + dx * 0.44, top[1] + dy * 0.26 - 0.12)
        p.blob(
            [top, (mid[0], mid[1] + 0.045), end, (mid[0], mid[1] - 0.035)],
            tone(c.main, 0.62 + 0.08 * (k % 6)),
        )
    for dx in (-0.04, 0.03):
        p.oval(top[0] + dx, top[1] - 0.03, 0.035, 0.035, (112, 74, 50))


def birch(p: Pen, c: Coat, r: Stream) -> None:
    """A birch with a white stem."""
    lean = r.number(-0.05, 0.05)
    _crown(p, tone(c.main, 0.9), r, lean, 0.68, 0.3, 0.32, 12)
    p.line([(0, -0.02), (lean, 0.45), (lean * 1.4, 0.86)], 0.055, (234, 230, 222), 0.02)
    for _ in range(8):
        y = r.number(0.03, 0.6)
        x = lean * y / 0.5
        p.line([(x - 0.024, y), (x + r.number(-0.01, 0.02), y + 0.006)], 0.012, (70, 64, 66))
    for _ in range(8):
        p.oval(
            lean + r.number(-0.24, 0.24),
            r.number(0.52, 0.94),
            0.07,
            0.05,
            tone(c.main, r.number(0.9, 1.25)),
        )


def willow(p: Pen, c: Coat, r: Stream) -> None:
    """A weeping willow."""
    p.line([(0, -0.02), (0.03, 0.3), (-0.02, 0.62)], 0.12, BARK, 0.06)
    p.oval(0, 0.74, 0.42, 0.25, tone(c.main, 0.6))
    for k in range(30):
        x = -0.46 + 0.92 * k / 29
        top = 0.92 - 0.7 * x * x
        low = r.number(0.12, 0.42)
        p.line(
            [(x * 0.75, top), (x, (top + low) / 2), (x * 1.08 + r.number(-0.03, 0.03), low)],
            0.05,
            tone(c.main, r.number(0.65, 1.15)),
            0.015,
        )


def cherry_tree(p: Pen, c: Coat, r: Stream) -> None:
    """A tree in blossom."""
    bloom = c.or_own((242, 178, 196))
    p.line([(0, -0.02), (-0.05, 0.3), (0.05, 0.56)], 0.1, (84, 60, 58), 0.04)
    p.line([(-0.03, 0.3), (-0.25, 0.56)], 0.05, (84, 60, 58), 0.02)
    p.line([(0.0, 0.38), (0.26, 0.58)], 0.05, (84, 60, 58), 0.02)
    _crown(p, bloom, r, 0, 0.68, 0.46, 0.3, 17)
    for _ in range(26):
        a, d = r.number(0, 6.283), r.number(0.1, 1.0)
        p.oval(cos(a) * d * 0.44, 0.68 + sin(a) * d * 0.28, 0.02, 0.018, tone(bloom, 1.6))


def cypress(p: Pen, c: Coat, r: Stream) -> None:
    """A slender cypress."""
    p.line([(0, -0.02), (0, 0.2)], 0.05, BARK)
    w = r.number(0.11, 0.15)
    p.blob(
        [
            (-w * 0.7, 0.06),
            (-w, 0.3),
            (-w * 0.66, 0.7),
            (0.01, 1.02),
            (w * 0.66, 0.7),
            (w, 0.3),
            (w * 0.7, 0.06),
        ],
        tone(c.main, 0.7),
    )
    for _ in range(12):
        y = r.number(0.12, 0.85)
        x = r.number(-0.7, 0.3) * w * (1.1 - y)
        p.line(
            [(x, y - 0.05), (x + 0.012, y + 0.09)], 0.035, tone(c.main, r.number(0.85, 1.1)), 0.01
        )


def bare_tree(p: Pen, c: Coat, r: Stream) -> None:
    """A tree without leaves."""
    bark = c.or_own((78, 64, 60))

    def grow(x: float, y: float, angle: float, length: float, width: float, left: int) -> None:
        dx, dy = cos(radians(angle)) * length, sin(radians(angle)) * length
        p.line([(x, y), (x + dx * 0.5, y + dy * 0.52), (x + dx, y + dy)], width, bark, width * 0.6)
        if left:
            for turn in (r.number(14, 38), -r.number(14, 38)):
                grow(
                    x + dx,
                    y + dy,
                    angle + turn,
                    length * r.number(0.62, 0.8),
                    width * 0.6,
                    left - 1,
                )

    grow(0, -0.02, 90 + r.number(-5, 5), 0.32, 0.1, 4)


def bush(p: Pen, c: Coat, r: Stream) -> None:
    """A bush."""
    _crown(p, c.main, r, 0, 0.42, 0.62, 0.46, 14)


def cactus(p: Pen, c: Coat, r: Stream) -> None:
    """A saguaro cactus."""
    green = c.main
    for s, y, top in ((-1, 0.36, 0.72), (1, 0.46, 0.84)):
        p.line(
            [(0, y), (s * 0.22, y + 0.01), (s * 0.26, y + 0.1), (s * 0.26, top)],
            0.115,
            tone(green, 0.84 if s > 0 else 1.0),
        )
    p.line([(0, -0.02), (0, 0.93)], 0.2, green)
    for x in (-0.05, 0.0, 0.05):
        p.line([(x, 0.02), (x, 0.93)], 0.012, tone(green, 0.62 if x >= 0 else 1.35))
    p.oval(0.01, 1.03, 0.045, 0.035, (236, 110, 140))


def mushroom(p: Pen, c: Coat, r: Stream) -> None:
    """A toadstool."""
    for dx, s in ((0, 1.0), (0.52, 0.52)):
        p.blob(
            [
                (dx - 0.13 * s, 0),
                (dx - 0.09 * s, 0.5 * s),
                (dx + 0.09 * s, 0.5 * s),
                (dx + 0.14 * s, 0),
            ],
            (240, 230, 208),
        )
        p.blob(
            [(dx - 0.2 * s, 0.44 * s), (dx, 0.5 * s), (dx + 0.2 * s, 0.44 * s), (dx, 0.36 * s)],
            (222, 208, 182),
        )
        p.blob(
            [
                (dx - 0.48 * s, 0.46 * s),
                (dx - 0.36 * s, 0.8 * s),
                (dx, 0.98 * s),
                (dx + 0.36 * s, 0.8 * s),
                (dx + 0.48 * s, 0.46 * s),
                (dx + 0.2 * s, 0.52 * s),
                (dx - 0.2 * s, 0.52 * s),
            ],
            c.main,
        )
        for x, y, q in (
            (-0.2, 0.72, 0.07),
            (0.08, 0.82, 0.085),
            (0.28, 0.64, 0.06),
            (-0.02, 0.6, 0.055),
            (-0.32, 0.56, 0.04),
        ):
            p.oval(dx + x * s, y * s, q * s, q * s * 0.8, (250, 244, 230))


def fern(p: Pen, c: Coat, r: Stream) -> None:
    """A fern with arching fronds."""
    for k in range(7):
        a = 30 + 20 * k + r.number(-6, 6)
        dx, dy = cos(radians(a)), sin(radians(a))
        p.line([(0, 0), (dx * 0.36, dy * 0.6), (dx * 0.8, dy * 0.8)], 0.018, c.dark)
        for j in range(1, 9):
            t = j / 9
            x, y = dx * 0.8 * t, dy * (1.1 * t - 0.3 * t * t)
            for s in (-1, 1):
                p.oval(
                    x - dy * 0.07 * s * (1.1 - t),
                    y + dx * 0.07 * s * (1.1 - t),
                    0.075 * (1.15 - t),
                    0.028,
                    tone(c.main, 0.8 + 0.07 * k),
                    a + s * 50,
                )


def pumpkin(p: Pen, c: Coat, r: Stream) -> None:
    """A pumpkin."""
    p.line([(0, 0.78), (0.04, 0.9), (0.12, 0.98)], 0.1, (98, 112, 62), 0.06)
    for x, w, t in (
        (-0.42, 0.26, 0.74),
        (0.42, 0.26, 0.7),
        (-0.24, 0.28, 0.92),
        (0.24, 0.28, 0.86),
        (0, 0.26, 1.08),
    ):
        p.oval(x, 0.42, w, 0.42, tone(c.main, t))


def flower(p: Pen, c: Coat, r: Stream, kind: str = "flowers") -> None:
    """One flower of a kind, on its stem."""
    lean = r.number(-0.08, 0.08)
    stem = (84, 128, 66)
    top = (lean, 0.78)
    p.line([(0, 0), (lean * 0.4, 0.4), top], 0.035, stem, 0.026)
    if kind == "lavender":
        for k in range(7):
            p.oval(
                lean * (0.5 + 0.07 * k) + (0.03 if k % 2 else -0.03),
                0.5 + 0.07 * k,
                0.05,
                0.045,
                tone(c.main, 0.85 + 0.06 * k),
            )
        return
    if kind == "wheat":
        for k in range(6):
            for s in (-1, 1):
                p.oval(
                    lean + s * 0.03,
                    0.62 + 0.06 * k,
                    0.022,
                    0.05,
                    tone(c.main, 0.9 + 0.05 * k),
                    -s * 25,
                )
        return
    for s in (-1, 1):
        p.blob(
            [(lean * 0.2, 0.08), (s * 0.17, 0.3), (s * 0.24, 0.52), (s * 0.07, 0.36)],
            tone(stem, 0.9 if s > 0 else 1.1),
        )
    if kind == "tulips":
        p.blob(
            [
                (lean - 0.14, 0.86),
                (lean - 0.15, 1.02),
                (lean - 0.06, 0.97),
                (lean, 1.06),
                (lean + 0.06, 0.97),
                (lean + 0.15, 1.02),
                (lean + 0.14, 0.86),
                (lean, 0.72),
            ],
            c.main,
        )
        p.blob(
            [(lean - 0.06, 0.95), (lean, 1.05), (lean + 0.06, 0.95), (lean, 0.76)],
            tone(c.main, 1.18),
        )
        return
    if kind == "roses":
        for k, wide in enumerate((1.0, 0.74, 0.48, 0.24)):
            p.oval(
                lean + 0.015 * k,
                0.86 + 0.01 * k,
                0.19 * wide,
                0.17 * wide,
                tone(c.main, (0.7, 0.95, 1.15, 0.75)[k]),
            )
        return
    petals, size, core = {
        "sunflowers": (14, 0.24, (98, 62, 38)),
        "daisies": (11, 0.17, (240, 196, 70)),
        "poppies": (5, 0.2, (44, 38, 44)),
    }.get(kind, (6, 0.17, (246, 208, 96)))
    start = r.number(0, 60)
    for k in range(petals):
        a = radians(start + 360 * k / petals)
        x, y = top[0] + cos(a) * size * 0.62, top[1] + 0.06 + sin(a) * size * 0.58
        wide = size * (0.5 if petals > 8 else 0.62 if petals == 6 else 0.78)
        p.oval(
            x,
            y,
            size * 0.52,
            wide * (0.36 if petals > 8 else 0.62),
            tone(c.main, 0.86 + 0.28 * (sin(a) * 0.5 + 0.5)),
            start + 360 * k / petals,
        )
    q = size * (0.46 if kind == "sunflowers" else 0.3)
    p.oval(top[0], top[1] + 0.06, q, q * 0.92, core)
    p.oval(top[0] - q * 0.2, top[1] + 0.06 + q * 0.25, q * 0.45, q * 0.38, tone(core, 1.25))
