"""Drawings of fruit and other food.

Local units: the table is y = 0 and the thing is about one unit tall.
"""

from __future__ import annotations

from math import cos, radians, sin

from workbench.providers.sketch.pen import Coat, Pen, mix, tone
from workbench.providers.sketch.streams import Stream


def round_fruit(p: Pen, c: Coat, x: float, y: float, rx: float, ry: float) -> None:
    """A round fruit with its light."""
    p.oval(x, y, rx, ry, c.main)
    p.oval(x - rx * 0.18, y + ry * 0.16, rx * 0.72, ry * 0.72, tone(c.main, 1.1))
    p.oval(x - rx * 0.36, y + ry * 0.4, rx * 0.22, ry * 0.15, tone(c.main, 1.7), 30)


def apple(p: Pen, c: Coat, r: Stream) -> None:
    """An apple with stem and leaf."""
    p.blob(
        [
            (0, 0.82),
            (0.26, 0.9),
            (0.48, 0.66),
            (0.42, 0.26),
            (0.2, 0.02),
            (0, 0.06),
            (-0.2, 0.02),
            (-0.42, 0.26),
            (-0.48, 0.66),
            (-0.26, 0.9),
        ],
        c.main,
    )
    p.blob(
        [(-0.04, 0.76), (-0.26, 0.82), (-0.4, 0.6), (-0.3, 0.26), (-0.1, 0.2), (0.1, 0.5)],
        tone(c.main, 1.13),
    )
    if not c.named:
        p.oval(0.2, 0.36, 0.16, 0.24, mix(c.main, (236, 200, 90), 0.45), -20)
    p.oval(-0.24, 0.66, 0.075, 0.11, tone(c.main, 1.7), -30)
    p.line([(0, 0.78), (0.03, 0.98)], 0.045, (92, 64, 44), 0.03)
    p.blob([(0.03, 0.9), (0.18, 1.02), (0.34, 1.0), (0.2, 0.88)], (104, 150, 72))


def pear(p: Pen, c: Coat, r: Stream) -> None:
    """A pear."""
    p.blob(
        [
            (0, 0.94),
            (0.14, 0.84),
            (0.19, 0.6),
            (0.38, 0.32),
            (0.28, 0.04),
            (0, 0.0),
            (-0.28, 0.04),
            (-0.38, 0.32),
            (-0.19, 0.6),
            (-0.14, 0.84),
        ],
        c.main,
    )
    p.blob(
        [(-0.03, 0.88), (-0.12, 0.6), (-0.27, 0.32), (-0.14, 0.12), (0.08, 0.3), (0.04, 0.7)],
        tone(c.main, 1.16),
    )
    p.oval(0.22, 0.26, 0.1, 0.16, mix(c.main, (206, 110, 60), 0.4))
    p.oval(-0.15, 0.36, 0.045, 0.09, tone(c.main, 1.6), -10)
    p.line([(0, 0.92), (0.05, 1.08)], 0.045, (92, 64, 44), 0.03)


def banana(p: Pen, c: Coat, r: Stream) -> None:
    """A small hand of bananas."""
    for k, (dy, t) in enumerate(((0.2, 0.78), (0.09, 0.92), (0.0, 1.08))):
        x = 0.05 * k
        top = [
            (-0.86 + x, 0.74 + dy * 0.5),
            (-0.6 + x, 0.36 + dy),
            (-0.1 + x, 0.2 + dy),
            (0.42 + x, 0.34 + dy),
            (0.74 + x, 0.66 + dy * 0.8),
        ]
        low = [
            (0.8 + x, 0.58 + dy * 0.8),
            (0.54 + x, 0.14 + dy),
            (-0.04 + x, -0.04 + dy),
            (-0.64 + x, 0.14 + dy),
            (-0.94 + x, 0.66 + dy * 0.5),
        ]
        p.blob(top + low, tone(c.main, t))
        p.line(
            [
                (-0.84 + x, 0.66 + dy * 0.5),
                (-0.5 + x, 0.25 + dy),
                (0, 0.1 + dy),
                (0.5 + x, 0.26 + dy),
            ],
            0.05,
            tone(c.main, t * 1.22),
            0.015,
        )
        p.oval(0.79 + x, 0.66 + dy * 0.8, 0.055, 0.06, (84, 62, 40))
    p.line([(-0.8, 0.74), (-0.92, 0.94)], 0.17, tone(c.main, 0.78), 0.1)
    p.oval(-0.93, 0.97, 0.06, 0.045, (96, 70, 44))


def lemon(p: Pen, c: Coat, r: Stream) -> None:
    """A lemon, sometimes cut."""
    turn = r.number(-12, 18)
    p.oval(0.5, 0.36 + turn * 0.005, 0.13, 0.11, tone(c.main, 0.9), turn)
    p.oval(-0.5, 0.36 - turn * 0.005, 0.1, 0.09, tone(c.main, 0.82), turn)
    p.oval(0, 0.38, 0.52, 0.38, c.main, turn)
    p.oval(-0.07, 0.46, 0.37, 0.25, tone(c.main, 1.14), turn)
    p.oval(-0.18, 0.58, 0.11, 0.055, tone(c.main, 1.7), turn + 10)
    for _ in range(10):
        p.oval(r.number(-0.3, 0.36), r.number(0.14, 0.56), 0.014, 0.012, tone(c.main, 0.85))
    if r.chance(0.4):
        p.oval(0.62, 0.26, 0.27, 0.27, tone(c.main, 0.95))
        p.oval(0.62, 0.26, 0.235, 0.235, (252, 246, 214))
        for k in range(8):
            a = radians(45 * k + 10)
            b = radians(45 * k + 44)
            p.poly(
                [
                    (0.62 + cos(a) * 0.04, 0.26 + sin(a) * 0.04),
                    (0.62 + cos(a) * 0.2, 0.26 + sin(a) * 0.2),
                    (0.62 + cos(b) * 0.2, 0.26 + sin(b) * 0.2),
                ],
                tone(c.main, 1.3),
            )


def orange_fruit(p: Pen, c: Coat, r: Stream) -> None:
    """An orange."""
    round_fruit(p, c, 0, 0.45, 0.46, 0.45)
    p.oval(0.04, 0.84, 0.05, 0.03, (98, 120, 60))
    p.blob([(0.05, 0.85), (0.2, 0.98), (0.38, 0.94), (0.2, 0.85)], (92, 138, 70))
    for _ in range(14):
        p.oval(r.number(-0.3, 0.34), r.number(0.15, 0.7), 0.012, 0.012, tone(c.main, 0.86))


def cherry(p: Pen, c: Coat, r: Stream) -> None:
    """Two cherries on their stems."""
    p.line([(-0.28, 0.4), (-0.1, 0.76), (0.14, 1.0)], 0.03, (108, 130, 66))
    p.line([(0.3, 0.36), (0.26, 0.7), (0.14, 1.0)], 0.03, (108, 130, 66))
    p.blob([(0.14, 1.0), (0.34, 1.08), (0.56, 0.98), (0.34, 0.9)], (92, 138, 70))
    round_fruit(p, c, -0.3, 0.26, 0.26, 0.26)
    round_fruit(p, c, 0.3, 0.23, 0.25, 0.24)


def grapes(p: Pen, c: Coat, r: Stream) -> None:
    """A bunch of grapes."""
    p.line([(0, 0.8), (0.04, 1.02)], 0.045, (98, 74, 50))
    p.blob([(0.02, 0.9), (0.26, 1.04), (0.46, 0.9), (0.3, 0.78), (0.1, 0.8)], (110, 146, 74))
    for row, (count, y) in enumerate(
        ((1, 0.1), (2, 0.24), (3, 0.39), (4, 0.54), (5, 0.69), (4, 0.82))
    ):
        for k in range(count):
            x = (k - (count - 1) / 2) * 0.19 + r.number(-0.02, 0.02)
            p.oval(x, y, 0.11, 0.11, tone(c.main, 0.62 + 0.12 * ((k + row) % 4)))
            p.oval(x - 0.035, y + 0.04, 0.035, 0.03, tone(c.main, 1.5))


def strawberry(p: Pen, c: Coat, r: Stream) -> None:
    """A strawberry."""
    p.blob(
        [
            (0, 0.84),
            (0.34, 0.8),
            (0.42, 0.54),
            (0.2, 0.14),
            (0, 0.0),
            (-0.2, 0.14),
            (-0.42, 0.54),
            (-0.34, 0.8),
        ],
        c.main,
    )
    p.blob([(-0.04, 0.76), (-0.3, 0.7), (-0.3, 0.46), (-0.1, 0.2), (0.06, 0.5)], tone(c.main, 1.15))
    for y in (0.2, 0.36, 0.52, 0.68):
        for k in range(-2, 3):
            x = k * 0.15 + (0.07 if int(y * 100) % 32 == 4 else 0)
            if abs(x) < y * 0.6:
                p.oval(x, y, 0.018, 0.028, (250, 220, 130))
    for a in (20, 60, 100, 140, 170):
        p.blob(
            [
                (0, 0.82),
                (cos(radians(a)) * 0.2, 0.86 + sin(radians(a)) * 0.05),
                (cos(radians(a)) * 0.34, 0.8 + sin(radians(a)) * 0.18),
                (cos(radians(a)) * 0.12, 0.78),
            ],
            (88, 142, 70),
        )


def watermelon(p: Pen, c: Coat, r: Stream) -> None:
    """A slice of watermelon."""
    for s, fill in ((1.0, (62, 118, 66)), (0.93, (214, 228, 186)), (0.86, c.main)):
        p.poly(
            [
                (cos(radians(a)) * 0.9 * s, 0.88 + sin(radians(a)) * 0.86 * s)
                for a in range(180, 361, 9)
            ],
            fill,
        )
    for k in range(9):
        a, d = radians(200 + 17 * k), 0.36 + 0.24 * (k % 2)
        p.oval(cos(a) * d, 0.86 + sin(a) * d, 0.022, 0.04, (48, 36, 36))


def carrot(p: Pen, c: Coat, r: Stream) -> None:
    """A carrot."""
    for a in (150, 165, 185, 205):
        p.line(
            [
                (-0.6, 0.26),
                (-0.6 + cos(radians(a)) * 0.4, 0.26 - sin(radians(a + 180)) * 0.4 + 0.1),
            ],
            0.08,
            (98, 152, 70),
            0.02,
        )
    p.blob(
        [(-0.64, 0.3), (-0.5, 0.44), (0.1, 0.32), (0.86, 0.12), (0.1, 0.08), (-0.5, 0.08)], c.main
    )
    for x in (-0.4, -0.15, 0.1, 0.35):
        p.line([(x, 0.32 - 0.1 * x), (x + 0.03, 0.22)], 0.02, c.dark)


def bread(p: Pen, c: Coat, r: Stream) -> None:
    """A loaf of bread."""
    p.blob(
        [
            (-0.9, 0.2),
            (-0.76, 0.56),
            (-0.3, 0.72),
            (0.3, 0.72),
            (0.76, 0.56),
            (0.9, 0.2),
            (0.6, 0.0),
            (-0.6, 0.0),
        ],
        c.main,
    )
    p.blob(
        [(-0.76, 0.36), (-0.5, 0.6), (0, 0.66), (0.5, 0.6), (0.3, 0.44), (-0.4, 0.4)],
        tone(c.main, 1.18),
    )
    for x in (-0.45, -0.1, 0.25):
        p.blob([(x, 0.66), (x + 0.1, 0.66), (x + 0.28, 0.36), (x + 0.18, 0.36)], (244, 222, 178))


def cheese(p: Pen, c: Coat, r: Stream) -> None:
    """A wedge of cheese."""
    p.poly([(-0.8, 0.36), (0.2, 0.78), (0.8, 0.46)], tone(c.main, 1.25))
    p.poly([(-0.8, 0.36), (0.8, 0.46), (0.8, 0.04), (-0.8, 0.0)], c.main)
    for x, y, s in (
        (-0.4, 0.2, 0.08),
        (0.0, 0.28, 0.1),
        (0.35, 0.16, 0.07),
        (0.62, 0.3, 0.06),
        (-0.1, 0.1, 0.05),
    ):
        p.oval(x, y, s, s * 0.8, tone(c.main, 0.74))


def cake(p: Pen, c: Coat, r: Stream) -> None:
    """A cake with icing and a candle."""
    p.oval(0, 0.06, 0.8, 0.1, (226, 224, 220))
    p.box(-0.6, 0.08, 0.6, 0.5, (206, 152, 100))
    p.line([(-0.6, 0.28), (0.6, 0.28)], 0.06, (250, 236, 214))
    icing = c.main
    p.blob(
        [
            (-0.63, 0.56),
            (0, 0.66),
            (0.63, 0.56),
            (0.6, 0.36),
            (0.48, 0.42),
            (0.34, 0.32),
            (0.18, 0.43),
            (0, 0.33),
            (-0.18, 0.43),
            (-0.34, 0.32),
            (-0.48, 0.42),
            (-0.6, 0.36),
        ],
        icing,
    )
    for x in (-0.36, 0.0, 0.36):
        p.oval(x, 0.64, 0.065, 0.065, (206, 48, 58))
    p.line([(0.18, 0.62), (0.18, 0.9)], 0.05, (240, 232, 200))
    p.blob([(0.14, 0.92), (0.18, 1.06), (0.22, 0.92), (0.18, 0.88)], (255, 206, 90))


def bowl(p: Pen, c: Coat, r: Stream) -> None:
    """A bowl of fruit."""
    fruit = ((206, 62, 48), (240, 180, 60), (150, 176, 70), (232, 130, 50), (190, 60, 60))
    for k, (x, y) in enumerate(
        ((-0.42, 0.56), (0.42, 0.56), (-0.14, 0.62), (0.16, 0.6), (0.0, 0.82))
    ):
        round_fruit(p, Coat(fruit[k]), x, y, 0.22, 0.21)
    p.blob(
        [
            (-0.84, 0.52),
            (-0.6, 0.2),
            (-0.3, 0.03),
            (0.3, 0.03),
            (0.6, 0.2),
            (0.84, 0.52),
            (0, 0.42),
        ],
        c.main,
    )
    p.blob([(-0.68, 0.42), (-0.46, 0.2), (-0.26, 0.1), (-0.3, 0.38)], tone(c.main, 1.25))
    p.line([(-0.84, 0.51), (0, 0.425), (0.84, 0.51)], 0.045, tone(c.main, 1.15))
    p.box(-0.28, 0.0, 0.28, 0.05, c.dark)
