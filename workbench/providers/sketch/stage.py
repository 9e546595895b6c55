"""The stage: the canvas on which a scene is set, and the ways to put things on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from workbench.providers.sketch import elements_faces, elements_figures
from workbench.providers.sketch.elements import DRAWINGS, PORTRAITS
from workbench.providers.sketch.palettes import Palette
from workbench.providers.sketch.pen import Coat, Colour, Light, Pen, Point, lit, mix, tone
from workbench.providers.sketch.streams import Array, Stream
from workbench.providers.sketch.vocabulary import COLOURS


class Stage:
    """A canvas with its palette, light, horizon and random stream.

    Coordinates are fractions: x of the width, y of the height from the top; sizes are
    fractions of ``unit``, the shorter side in pixels.
    """

    def __init__(
        self, width: int, height: int, palette: Palette, light: Light, lead: float, stream: Stream
    ) -> None:
        self.width, self.height = width, height
        self.unit = min(width, height)
        self.palette = palette
        self.light = light
        self.lead = lead
        self.stream = stream
        self.image = Image.new("RGB", (width, height), palette.sky[3])
        self.details = Image.new("RGBA", (width, height), (*palette.disc, 0))
        self.focus = Image.new("L", (max(1, width // 8), max(1, height // 8)), 0)
        self.horizon = 0.6
        self.lamps = palette.night

    def veil(self, colour: Colour, mask: Image.Image) -> None:
        """Lay a colour over the canvas where the mask says (L, any size)."""
        if mask.size != self.image.size:
            mask = mask.resize(self.image.size, Image.Resampling.BILINEAR)
        self.image.paste(colour, (0, 0), mask)

    def gradient(self, stops: Sequence[tuple[float, Colour]], y0: float, y1: float) -> Image.Image:
        """Return a canvas-sized picture with colours changing from y0 to y1."""
        rows = (np.arange(self.height, dtype=np.float64) / self.height - y0) / max(y1 - y0, 1e-6)
        at = [s[0] for s in stops]
        column = np.stack(
            [np.interp(rows, at, [float(s[1][b]) for s in stops]) for b in range(3)], axis=1
        )
        strip = Image.fromarray((column + 0.5).astype(np.uint8)[:, None, :])
        return strip.resize((self.width, self.height), Image.Resampling.NEAREST)

    def below(self, line: Array) -> Image.Image:
        """Return a mask of what lies below a line of y fractions across the canvas."""
        mask = Image.new("L", (self.width, self.height), 0)
        step = max(1, self.width // 256)
        xs = [*range(0, self.width, step), self.width]
        count = len(line)
        points: list[Point] = [
            (float(x), round(float(line[min(x * count // self.width, count - 1)]) * self.height, 2))
            for x in xs
        ]
        points += [(float(self.width), float(self.height)), (0.0, float(self.height))]
        ImageDraw.Draw(mask).polygon(points, fill=255)
        return mask

    def shade(self, colour: Colour, far: float) -> Colour:
        """Return a colour under the light of the scene, ``far`` (0..1) into the haze."""
        lit_colour = tuple(
            min(255, int(c * f)) for c, f in zip(colour, self.light.ambient, strict=True)
        )
        return mix((lit_colour[0], lit_colour[1], lit_colour[2]), self.palette.haze, far)

    def grade(self, tile: Image.Image, far: float) -> Image.Image:
        """Return a tile under the ambient light and haze, without volume (quick)."""
        table: list[int] = []
        for band in range(3):
            factor, haze = self.light.ambient[band], self.palette.haze[band]
            table += [min(255, int(v * factor * (1 - far) + haze * far)) for v in range(256)]
        return tile.point(table + list(range(256)))

    def coat(self, key: str, colour: str, eyes: str, stream: Stream) -> Coat:
        """Return the coat of a thing: the colour the prompt names, or one of its own."""
        own = stream.pick(DRAWINGS[key].colours)
        eye = COLOURS.get(eyes, (60, 44, 30))
        if key in ("cat", "tiger", "wolf", "lion") and not eyes:
            eye = stream.pick(((206, 176, 70), (120, 168, 92), (216, 150, 60)))
        if colour:
            return Coat(COLOURS[colour], eye, True)
        own = mix(own, self.palette.accent, 0.06 * self.lead)
        return Coat(own, eye)

    def put(  # noqa: PLR0912 - one thing, step by step
        self,
        key: str,
        x: float,
        y: float,
        size: float,
        stream: Stream,
        *,
        colour: str = "",
        eyes: str = "",
        far: float = 0.0,
        shadow: str = "ground",
        volume: bool = True,
        sink: float = 0.0,
        flip: bool | None = None,
        turn: float = 0.0,
        portrait: bool = False,
        focus: int = 0,
    ) -> None:
        """Put one thing on the canvas: its foot at (x, y), ``size`` units tall.

        ``shadow`` is ``ground``, ``water`` (a reflection), ``table`` or ``none``; ``sink``
        is the part of its height below the water; without ``volume`` it is drawn flat (quicker).
        """
        drawing = DRAWINGS[key]
        scale = size * self.unit
        if scale < 3:
            return
        half, top, foot = drawing.half, drawing.top, 0.4 if key == "rocket" else 0.2
        if portrait:
            half, top, foot = 1.0, 1.25, 0.3
        tile_w = max(4, int(2 * half * scale))
        tile_h = max(4, int((top + foot) * scale))
        origin = (tile_w / 2, top * scale)
        mirrored = stream.chance(0.5) if flip is None else flip
        pen = Pen((tile_w, tile_h), origin, scale, flip=mirrored)
        coat = self.coat(key, colour, eyes, stream)
        if portrait and key in PORTRAITS:
            self._bust(pen, coat, key)
        elif portrait and key == "person":
            elements_figures.bust(pen, coat, stream)
        else:
            drawing.run(pen, coat, stream, lit=self.lamps)
        tile = pen.image
        if turn:
            tile = tile.rotate(turn, Image.Resampling.BILINEAR, center=origin)
        if sink:
            waterline = int(origin[1] - sink * scale)
            tile.paste((0, 0, 0, 0), (0, waterline, tile_w, tile_h))
            origin = (origin[0], float(waterline))
        raw = tile
        if volume and scale > self.unit * 0.13:
            tile = lit(tile, self.light, scale, self.palette.haze, far)
        else:
            tile = self.grade(tile, far)
        if (drawing.lights and self.lamps) or key in ("candle", "lamp", "lamp_post"):
            self._keep_lights(raw, tile)
        left, upper = int(x * self.width - origin[0]), int(y * self.height - origin[1])
        alpha = tile.getchannel("A")
        if shadow in ("ground", "table"):
            self._cast(alpha, left, upper, origin, scale, shadow)
        elif shadow == "water":
            self._mirror(tile, left, upper, origin, scale)
        self.image.paste(tile, (left, upper), alpha)
        self.details.paste((*self.palette.disc, 0), (left, upper), alpha)
        if focus:
            small = alpha.resize((max(1, tile_w // 8), max(1, tile_h // 8)))
            self.focus.paste(focus, (left // 8, upper // 8), small)

    @staticmethod
    def _bust(pen: Pen, coat: Coat, key: str) -> None:
        """Draw the head and shoulders of an animal."""
        body = coat.main if key != "panda" else (46, 44, 50)
        pen.blob([(-0.74, -0.3), (-0.6, 0.08), (-0.3, 0.3), (0.3, 0.3), (0.6, 0.08), (0.74, -0.3)],
                 tone(body, 0.85))  # fmt: skip
        if key not in ("lion", "panda"):
            pen.blob(
                [(-0.3, 0.26), (0.3, 0.26), (0.34, -0.1), (0.0, -0.3), (-0.34, -0.1)], coat.pale
            )
        elements_faces.head(pen, coat, key, 0.0, 0.5, 0.46 if key != "rabbit" else 0.36)

    @staticmethod
    def _keep_lights(raw: Image.Image, tile: Image.Image) -> None:
        """Let lit windows and flames shine: undo the darkness of night on them."""
        pixels = np.asarray(raw)
        warm = (pixels[:, :, 0] == 255) & (pixels[:, :, 2] < 205) & (pixels[:, :, 1] > 170)
        if warm.any():
            mask = Image.fromarray(warm * np.uint8(255))
            tile.paste(raw, (0, 0), ImageChops.multiply(mask, raw.getchannel("A")))

    def _cast(
        self, alpha: Image.Image, left: int, upper: int, origin: Point, scale: float, kind: str
    ) -> None:
        """Cast a soft shadow away from the light."""
        w, h = alpha.size
        small = alpha.resize((max(2, w // 4), max(2, h // 4)))
        sw, sh = small.size
        lean = -self.light.x * (1.1 if kind == "table" else 0.9)
        flat = 0.26 if kind == "table" else 0.3
        wide = int(sw + abs(lean) * sh) + 8
        low = max(2, int(sh * flat))
        foot = origin[1] / 4
        shift = (wide - sw) / 2
        # output (x, y) of the shadow -> input of the upright silhouette
        up = 1 / flat
        data = (1.0, -lean * up * 0.62, -shift + lean * 0.0, 0.0, -up, foot)
        fallen = small.transform(
            (wide, low), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR
        )
        strength = 0.42 if not self.palette.night else 0.34
        fallen = fallen.filter(ImageFilter.BoxBlur(max(1.0, scale * 0.004)))
        fade = Image.fromarray(
            np.repeat(
                (np.linspace(255 * strength, 255 * strength * 0.35, low)).astype(np.uint8)[:, None],
                wide,
                axis=1,
            )
        )
        fallen = ImageChops.multiply(fallen, fade).resize(
            (wide * 4, low * 4), Image.Resampling.BILINEAR
        )
        dark = mix(self.palette.near, (16, 12, 34), 0.72)
        self.image.paste(dark, (left - int(shift * 4), upper + int(origin[1]) - 2), fallen)
        # a contact shadow
        spot_w, spot_h = max(4, int(scale * 0.62)), max(3, int(scale * 0.085))
        spot = Image.new("L", (spot_w, spot_h), 0)
        ImageDraw.Draw(spot).ellipse(
            (spot_w * 0.12, spot_h * 0.2, spot_w * 0.88, spot_h * 0.8), fill=120
        )
        spot = spot.filter(ImageFilter.BoxBlur(max(1.0, spot_h * 0.2)))
        at = (left + int(origin[0]) - spot_w // 2, upper + int(origin[1]) - spot_h // 2)
        self.image.paste(mix(dark, (8, 6, 20), 0.4), at, spot)

    def _mirror(
        self, tile: Image.Image, left: int, upper: int, origin: Point, scale: float
    ) -> None:
        """Paint the wavering reflection of a tile in the water below its foot."""
        foot = int(origin[1])
        above = tile.crop((0, 0, tile.width, foot)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        depth = max(2, int(foot * 0.8))
        above = above.resize((tile.width, depth), Image.Resampling.BILINEAR)
        pixels = np.asarray(above).copy()
        rows = np.arange(depth)
        sway = self.stream.child("sway", left).numbers(
            depth // max(2, int(scale * 0.018)) + 4, -1, 1
        )
        knot = rows / max(2, int(scale * 0.018))
        whole = knot.astype(np.int64)
        offset = sway[whole] * (1 - (knot - whole)) + sway[whole + 1] * (knot - whole)
        offset = (offset * scale * 0.035 * (0.35 + rows / depth)).astype(np.int64)
        cols = np.clip(np.arange(tile.width)[None, :] + offset[:, None], 0, tile.width - 1)
        pixels = pixels[rows[:, None], cols]
        fade = np.linspace(0.58, 0.12, depth, dtype=np.float32)[:, None]
        mask = Image.fromarray((pixels[:, :, 3] * fade).astype(np.uint8))
        mirrored = Image.fromarray(pixels[:, :, :3])
        water = Image.new("RGB", mirrored.size, self.palette.water)
        mirrored = Image.blend(mirrored, water, 0.3)
        self.image.paste(mirrored, (left, upper + foot - int(scale * 0.02)), mask)
