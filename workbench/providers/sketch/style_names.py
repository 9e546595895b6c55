"""The styles by name. Apart from what paints in them: a settings panel needs no NumPy."""

from __future__ import annotations

STYLES: dict[str, str] = {
    "painterly": "oil on canvas: curved brush strokes with visible bristles",
    "watercolour": "transparent washes on rough paper, with wet edges",
    "ink": "pen and wash: contours and hatching in ink over light colour",
    "pastel": "chalk on toned paper, with the tooth of the paper showing",
    "print": "a poster print: flat shapes in few colours, slightly out of register",
    "pointillist": "dots of pure colour, close together",
}
