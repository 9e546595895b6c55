"""Composition: from what a prompt means to a complete picture for the brush to paint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from workbench.providers.sketch.elements import FLOWERS, PORTRAITS
from workbench.providers.sketch.indoors import portrait, still_life
from workbench.providers.sketch.outdoors import MAIN_KINDS, outdoors
from workbench.providers.sketch.palettes import choose_palette
from workbench.providers.sketch.pen import Colour, Light, mix, tone
from workbench.providers.sketch.stage import Stage
from workbench.providers.sketch.streams import Stream
from workbench.providers.sketch.understanding import Understanding
from workbench.providers.sketch.worlds import space, underwater

DEEP_LIFE = frozenset(["fish", "shark", "octopus", "jellyfish"])


@dataclass(frozen=True)
class Target:
    """What the brush works from: the picture, its late details, and where to paint finely."""

    image: Image.Image
    details: Image.Image
    focus: Image.Image
    ground: Colour
    ink: Colour


def compose(seen: Understanding, width: int, height: int, seed: int, palette_lead: float) -> Target:
    """Return the picture that a prompt asks for, at the size asked for."""
    scale = 2 if width * height <= 800 * 800 else 1
    stream = Stream("scene", seed, seen.salt)
    palette = choose_palette(seen, Stream("palette", seed, seen.salt))
    side = stream.pick((-1.0, 1.0)) * stream.number(0.45, 0.9)
    light = Light(side, 0.75, palette.ambient, palette.glow, 0.75 if not palette.night else 0.6)
    stage = Stage(width * scale, height * scale, palette, light, palette_lead, stream)
    kind = _kind(seen)
    {
        "still life": still_life,
        "portrait": portrait,
        "space": space,
        "underwater": underwater,
    }.get(kind, outdoors)(stage, seen)
    size = (width, height)
    image = stage.image.resize(size, Image.Resampling.BOX) if scale > 1 else stage.image
    image = _graded(image, palette.saturation * (0.62 + 0.55 * palette_lead), palette.contrast)
    details = stage.details.resize(size, Image.Resampling.BOX) if scale > 1 else stage.details
    focus = stage.focus.resize(size, Image.Resampling.BILINEAR)
    first = mix(palette.sky[2], palette.near, 0.45)
    return Target(image, details, focus, first, tone(palette.near, 0.34))


def _graded(image: Image.Image, saturation: float, contrast: float) -> Image.Image:
    """Return a picture with its saturation and contrast changed."""
    values = np.asarray(image, dtype=np.float32)
    grey = values[:, :, 0] * np.float32(0.3) + values[:, :, 1] * np.float32(0.59)
    grey += values[:, :, 2] * np.float32(0.11)
    base = grey[:, :, None]
    out = base + (values - base) * np.float32(saturation)
    out = (out - 122) * np.float32(contrast) + 122
    return Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))


def _kind(seen: Understanding) -> str:
    mains = [t for t in seen.elements if t.kind in MAIN_KINDS]
    if seen.frame == "portrait" and (
        any(t.key in PORTRAITS or t.kind in ("figure", "animal") for t in mains) or not mains
    ):
        return "portrait"
    scenery = [
        t
        for t in seen.elements
        if t.kind in ("land", "water", "building", "tree", "street", "craft")
    ]
    objects = [t for t in mains if t.kind == "object" or t.key in ("pumpkin", "mushroom")]
    flowers = [t for t in seen.elements if t.key in FLOWERS]
    if seen.frame == "still_life" or (
        (objects or seen.place == "room")
        and not scenery
        and len(objects) >= len(mains) - len(objects)
    ):
        return "still life"
    del flowers
    if seen.place == "space" or (
        seen.has("planet", "galaxy", "astronaut", "earth") and not scenery and not seen.place
    ):
        return "space"
    if seen.place == "underwater" or (
        any(t.key in DEEP_LIFE for t in seen.elements) and not scenery
    ):
        return "underwater"
    return "outdoors"
