"""Palettes: the colours and the light that a time of day, a weather and a mood bring."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workbench.providers.sketch.pen import Colour, mix, tone
from workbench.providers.sketch.streams import Stream
from workbench.providers.sketch.understanding import Understanding
from workbench.providers.sketch.vocabulary import COLOURS


@dataclass(frozen=True)
class Palette:
    """The colours of a scene.

    ``sky`` from top to horizon, ``far`` and ``near`` the ends of the ramp of land layers,
    ``water`` its deep colour, ``disc`` and ``glow`` of sun or moon, ``haze`` of the distance,
    ``ambient`` the factors of the light on things, ``accent`` for small things, ``night``
    whether lamps are lit, ``grade`` factors of saturation and contrast.
    """

    name: str
    sky: tuple[Colour, Colour, Colour, Colour]
    far: Colour
    near: Colour
    water: Colour
    disc: Colour
    glow: Colour
    haze: Colour
    ambient: tuple[float, float, float]
    accent: Colour
    night: bool = False
    saturation: float = 1.0
    contrast: float = 1.0


def _rgb(text: str) -> Colour:
    return int(text[0:2], 16), int(text[2:4], 16), int(text[4:6], 16)


def _palette(
    name: str,
    sky: str,
    land: str,
    water: str,
    lights: str,
    ambient: tuple[float, float, float],
    accent: str,
    *,
    night: bool = False,
) -> Palette:
    s = [_rgb(c) for c in sky.split()]
    far, near = (_rgb(c) for c in land.split())
    disc, glow, haze = (_rgb(c) for c in lights.split())
    return Palette(
        name,
        (s[0], s[1], s[2], s[3]),
        far,
        near,
        _rgb(water),
        disc,
        glow,
        haze,
        ambient,
        _rgb(accent),
        night,
    )


PALETTES: dict[str, Palette] = {
    p.name: p
    for p in (
        _palette("day", "3f86d0 6fb0e6 a9d3ee e2eee6", "86aed2 4f7f52", "2f74ad",
                 "fff6d0 fff2c4 c3dcea", (1.0, 1.0, 0.98), "e4573d"),
        _palette("breeze", "2c7fb8 58b4d6 a4dde0 f2f1d8", "8cc0cc 4a8a63", "1d7f97",
                 "fff8dc fff0c0 cfe9e4", (1.0, 1.0, 0.97), "ee7752"),
        _palette("sunset", "2b1b52 7a2f6b d65a5c fba456", "9a4268 3a1f3e", "4a2454",
                 "fff4c6 ffb35e e88a62", (1.0, 0.80, 0.74), "ffd07a"),
        _palette("ember", "4a2038 a53b3a ea7a35 ffd07c", "b8553f 4a2222", "6a2b34",
                 "fff3c9 ffc46a f0a45e", (1.02, 0.82, 0.68), "ffe09a"),
        _palette("rose", "6a2a66 b04a86 e283a0 fbc9b6", "a95a8c 4b2450", "6d3468",
                 "fff2dd ffc9b4 e8a3ac", (1.0, 0.84, 0.88), "fff0c2"),
        _palette("dawn", "5d6fa8 9d95c4 eebfb6 ffe3b8", "8f93b8 4c5668", "66799f",
                 "fff6d8 ffdca4 e8cfc6", (1.0, 0.92, 0.90), "f08a74"),
        _palette("dusk", "141c48 323a7c 7c5c96 de9c8c", "4b4a80 1d2144", "242b5c",
                 "fff0d4 f0a884 7d6a96", (0.74, 0.70, 0.86), "ffc46c", night=True),
        _palette("night", "070d26 10204a 1f3a70 3c5f92", "2a447a 0e1a34", "0f2347",
                 "fbf7e4 a8c4ea 35527f", (0.52, 0.62, 0.90), "ffcb6b", night=True),
        _palette("violet_night", "0d0826 251450 48277c 7d4f9e", "3f2a70 150f30", "1d1446",
                 "fff4ea cba6ee 4a3579", (0.60, 0.56, 0.90), "ffca74", night=True),
        _palette("storm", "29323d 46525e 6f7c84 a3a9a6", "5d6a72 323b3c", "34454f",
                 "e8ebe4 c4ccce 8a9598", (0.78, 0.82, 0.88), "d9a441"),
        _palette("grey", "7f8d99 a3aeb4 c4cac9 dfdfd8", "98a5aa 566259", "6f8490",
                 "f8f4e8 efe9da c2c9c9", (0.92, 0.94, 0.96), "c8553d"),
        _palette("teal", "14414a 22707a 5aa89c cfe6c0", "3f8a84 123f40", "14565c",
                 "fdf9d8 e6f2bc 8cc4b4", (0.84, 0.96, 0.92), "f2b45a"),
        _palette("amber", "a8571c d98a34 f3bd62 fde8b0", "c98844 6b3c1c", "8a5a34",
                 "fffbe4 fff0b8 edc487", (1.02, 0.90, 0.74), "3f7a86"),
        _palette("autumn", "6c8ca4 a5b8b8 e4cfa4 f6dfae", "a98a6a 7c4a26", "5c7078",
                 "fff4d0 ffe2a0 d8bd98", (1.02, 0.93, 0.82), "c8402c"),
        _palette("winter", "6f9cc6 a2c3de cfdfea f4ece6", "9db7d2 dfe8f0", "5f8bb0",
                 "fffaec fff0d8 d4e0ea", (0.95, 0.98, 1.04), "c8463c"),
        _palette("spring", "66b2dc 9bd2e4 cdeadc f8f0d8", "9cc6b8 6fa85a", "4f9fb4",
                 "fffbe0 fff3c8 d4e8dc", (1.0, 1.02, 0.97), "ee8fae"),
        _palette("neon", "0c0726 2b0f5c 7a1d86 f0518c", "3a1c6c 0e0a28", "1c0f48",
                 "fff0e0 ff6aa8 6a2a86", (0.78, 0.62, 1.0), "35e0e0", night=True),
        _palette("murk", "0d1614 1e2e2a 3e5148 7f8a6c", "2d403a 0c1412", "14231f",
                 "eef0cc b8c090 48584c", (0.60, 0.68, 0.62), "c9a23a", night=True),
        _palette("sepia", "7a6248 a88c66 cdb48a ecdcb8", "9d8260 54402c", "7c6850",
                 "fff6da f6e4b4 cdb792", (1.0, 0.92, 0.78), "8a3c26"),
        _palette("space", "04040f 0b0c26 191440 2c1d58", "2a2560 0a0a20", "0c1030",
                 "fff6e0 9fb2f0 2c2a5c", (0.86, 0.88, 1.0), "ff9f5a", night=True),
        _palette("underwater", "7fdcd8 2fa6bc 146a96 0a3560", "2a7fa0 123f5c", "0d4a78",
                 "f4ffe8 c8fff0 2f8fae", (0.82, 0.96, 1.0), "ffb05a"),
    )
}  # fmt: skip

_MOODS: dict[str, tuple[float, float, str, float]] = {
    # mood: saturation, contrast, colour to lean to, how far
    "calm": (0.94, 0.94, "", 0.0),
    "dramatic": (1.10, 1.20, "", 0.0),
    "cheerful": (1.16, 1.04, "", 0.0),
    "gloomy": (0.62, 0.94, "5a6672", 0.22),
    "dreamy": (0.84, 0.82, "f2dce8", 0.20),
    "mysterious": (1.0, 1.08, "5a3c8c", 0.20),
    "warm": (1.06, 1.02, "f0a850", 0.18),
    "cold": (0.92, 1.02, "7fb0dc", 0.22),
    "spooky": (0.72, 1.16, "26382c", 0.28),
    "vintage": (0.66, 0.92, "c8aa78", 0.26),
    "neon": (1.34, 1.14, "", 0.0),
    "minimal": (0.90, 0.96, "", 0.0),
}

_MOOD_PALETTES = {
    "warm": ("ember", "amber", "sunset"),
    "spooky": ("murk", "violet_night"),
    "neon": ("neon",),
    "mysterious": ("teal", "violet_night", "dusk"),
    "dreamy": ("rose", "dawn"),
    "gloomy": ("grey", "storm"),
    "vintage": ("sepia",),
    "cold": ("winter", "grey"),
    "dramatic": ("sunset", "ember", "dusk"),
}


def _named(seen: Understanding, stream: Stream) -> str:  # noqa: C901, PLR0912 - a list of rules
    """Return the name of the palette that the prompt asks for."""
    if seen.place == "space" or (
        seen.has("galaxy", "planet", "astronaut", "earth", "rocket") and not seen.time
    ):
        return "space"
    if seen.place == "underwater":
        return "underwater"
    if "neon" in seen.mood:
        return "neon"
    times = {
        "sunset": ("sunset", "sunset", "ember", "rose"),
        "sunrise": ("dawn", "dawn", "rose"),
        "dusk": ("dusk",),
        "night": ("night", "night", "violet_night"),
    }
    if seen.time in times:
        return stream.pick(times[seen.time])
    if seen.has("moon", "stars", "aurora", "comet"):
        return stream.pick(("night", "violet_night")) if not seen.has("sun") else "dusk"
    if "storm" in seen.weather or seen.has("lightning", "volcano"):
        return "storm"
    for mood in seen.mood:
        if mood in _MOOD_PALETTES:
            return stream.pick(_MOOD_PALETTES[mood])
    if seen.has("rain"):
        return stream.pick(("grey", "storm", "teal"))
    if seen.has("snow", "snowman", "igloo", "iceberg", "penguin") or seen.season == "winter":
        return "winter"
    if seen.has("fog"):
        return stream.pick(("teal", "grey", "dawn"))
    if seen.has("dunes", "camel", "pyramid", "cactus") or seen.place == "savanna":
        return stream.pick(("amber", "amber", "ember"))
    if seen.season in ("autumn", "spring"):
        return seen.season
    if seen.time == "day" or seen.season == "summer" or seen.has("sun", "rainbow"):
        return stream.pick(("day", "breeze"))
    if seen.place == "forest" or seen.has("pine"):
        return stream.pick(("teal", "day", "amber", "spring"))
    return stream.pick(("day", "breeze", "sunset", "amber", "spring", "dawn", "teal", "rose"))


def choose_palette(seen: Understanding, stream: Stream) -> Palette:
    """Return the palette for a prompt; unknown words and the seed lean it a little.

    Example::

        >>> from workbench.providers.sketch.understanding import understand
        >>> choose_palette(understand("a calm night"), Stream(1)).night
        True
    """
    name = _named(seen, stream)
    if name == "day" and "clear" not in seen.weather and seen.has("rain"):
        name = "grey"
    palette = PALETTES[name]
    saturation = contrast = 1.0
    for mood in seen.mood:
        sat, con, lean, far = _MOODS.get(mood, (1.0, 1.0, "", 0.0))
        saturation *= sat
        contrast *= con
        if lean:
            palette = _lean(palette, _rgb(lean), far)
    for colour in seen.palette[:3]:
        palette = _lean(palette, COLOURS[colour], 0.42 / len(seen.palette[:3]) + 0.08)
    if seen.salt:
        odd = Stream("salt", seen.salt)
        lean_to = (odd.whole(40, 235), odd.whole(40, 235), odd.whole(60, 235))
        palette = _lean(palette, lean_to, 0.06 + odd.number() * 0.08)
    shift = (stream.whole(30, 230), stream.whole(30, 230), stream.whole(30, 230))
    palette = _lean(palette, shift, 0.05)
    return replace(palette, saturation=saturation, contrast=contrast)


def _lean(palette: Palette, colour: Colour, far: float) -> Palette:
    """Return a palette that leans towards a colour and keeps its lights and darks."""

    def to(own: Colour, part: float = far) -> Colour:
        level = sum(own) / max(1, sum(colour))
        wanted = tone(colour, min(1.75, max(0.12, level)))
        return mix(own, wanted, part)

    sky = palette.sky
    return replace(
        palette,
        sky=(to(sky[0]), to(sky[1]), to(sky[2]), to(sky[3])),
        far=to(palette.far),
        near=to(palette.near),
        water=to(palette.water),
        haze=to(palette.haze),
        glow=to(palette.glow, far * 0.5),
    )
