"""What providers change in pictures: masks as others want them, previews that are too large.

Pillow is imported when there is something to change, and all of it runs in a thread.
"""

from __future__ import annotations

import asyncio
import io
import struct
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.domain.jobs import Log, Partial
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers.redaction import plain

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

LARGEST_PREVIEW = 256_000  # bytes, as `workbench.domain.jobs.Partial` may have
_MOST_BYTES = 30_000_000  # of a preview that is made smaller
_MOST_PIXELS = 32_000_000  # 4K pictures have at most 18 million
_SIDES = (768, 512, 256)
_JPEG = b"\xff\xd8\xff"
# A progressive JPEG has about ten scans. Each is a pass over all pixels, and may be a few bytes.
_SCAN = b"\xff\xda"
_MOST_SCANS = 100
# What Pillow's decoders raise on hostile bytes, by its own list in Image.open and by fuzzing.
_OF_DATA = (OSError, ValueError, SyntaxError, EOFError, LookupError, struct.error, zlib.error)
_OF_CODE = (TypeError, AttributeError, ArithmeticError, AssertionError, RuntimeError, MemoryError)
_DECODER_ERRORS = (*_OF_DATA, *_OF_CODE)


class Unreadable(Exception):
    """There is no picture in these bytes that may be decoded; the text says why."""


# -- masks ----------------------------------------------------------------------------------------


async def painted(mask: bytes, colour: str = "white") -> bytes:
    """Return a mask of ours (transparent: paint anew) as a PNG in black and white.

    Parameters
    ----------
    mask:
        A picture. One without transparency is taken to be black and white already, with white for
        what is painted anew.
    colour:
        Of what is painted anew: white, or black.

    Raises
    ------
    ProviderError
        It is no picture.
    """
    try:
        return await asyncio.to_thread(_repainted, mask, colour)
    except Unreadable as error:
        raise ProviderError(
            ErrorKind.BAD_REQUEST, f"The mask cannot be read: {plain(str(error))}."
        ) from None


def _repainted(mask: bytes, colour: str) -> bytes:
    from PIL import ImageChops

    try:
        with opened(mask) as image:
            if _is_clear(image):
                white = ImageChops.invert(image.convert("RGBA").getchannel("A"))
            else:
                white = image.convert("L")
        out = io.BytesIO()
        (ImageChops.invert(white) if colour == "black" else white).save(out, "PNG")
    except _DECODER_ERRORS as error:
        raise _undecodable(error) from None
    return out.getvalue()


# -- previews -------------------------------------------------------------------------------------


class Previews:
    """The previews of one picture: those that are too large are made smaller.

    One that cannot be made smaller is left out, which is said once: a picture without previews is
    a picture.

    Parameters
    ----------
    index:
        Of the picture's slot.

    Examples
    --------
    >>> previews = Previews(0)
    >>> asyncio.run(previews.event(b"a small one"))
    Partial(data=b'a small one', index=0)
    >>> asyncio.run(previews.event(b"no picture" * 30_000)).text
    'A preview of 300 kB is left out: it is no PNG, JPEG, WebP or GIF.'
    """

    def __init__(self, index: int) -> None:
        self._index = index
        self._told = False

    async def event(self, data: bytes) -> Partial | Log | None:
        """Return what is to be yielded for a preview; None: nothing."""
        if not data:
            return None
        if len(data) <= LARGEST_PREVIEW:
            return Partial(data, self._index)
        try:
            return Partial(await asyncio.to_thread(_smaller, data), self._index)
        except Unreadable as error:
            if self._told:
                return None
            self._told = True
            size = f"{len(data) / 1000:.0f} kB"
            return Log(f"A preview of {size} is left out: {plain(str(error))}.", self._index)


def _smaller(data: bytes) -> bytes:
    """Return a picture of at most `LARGEST_PREVIEW` bytes."""
    if len(data) > _MOST_BYTES:
        raise Unreadable("it has too many bytes")
    if data.startswith(_JPEG) and data.count(_SCAN) > _MOST_SCANS:
        raise Unreadable("it would have to be decoded too many times over")
    try:
        with opened(data) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise Unreadable(f"it has {image.width} × {image.height} pixels")
            image.draft(None, (_SIDES[0], _SIDES[0]))  # a JPEG comes as small as it can
            picture = image.convert("RGBA" if _is_clear(image) else "RGB")
        for side in _SIDES:
            picture.thumbnail((side, side))
            out = io.BytesIO()
            # The quickest way to encode: it is looked at for a second.
            picture.save(out, "WEBP", quality=75, method=0)
            if out.tell() <= LARGEST_PREVIEW:
                return out.getvalue()
    except _DECODER_ERRORS as error:
        raise _undecodable(error) from None
    raise Unreadable("it does not get small enough")


# -- both -----------------------------------------------------------------------------------------


def opened(data: bytes) -> ImageFile:
    """Open a picture with the decoder of its format; nothing is decoded yet.

    The decoder is called directly, as the image door does: `Image.open` would consult what a
    notebook may have changed (registered plugins, a limit of pixels), and only warn of large ones.

    Raises
    ------
    Unreadable
        Its format is none of ours.
    """
    kind = _decoder_of(data)
    try:
        return kind(io.BytesIO(data))
    except _DECODER_ERRORS as error:
        raise _undecodable(error) from None


def _decoder_of(data: bytes) -> Callable[[io.BytesIO], ImageFile]:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile
    if data.startswith(_JPEG):
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        from PIL.WebPImagePlugin import WebPImageFile

        return WebPImageFile
    if data.startswith((b"GIF87a", b"GIF89a")):
        from PIL.GifImagePlugin import GifImageFile

        return GifImageFile
    raise Unreadable("it is no PNG, JPEG, WebP or GIF")


def _is_clear(image: ImageFile) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


def _undecodable(error: BaseException) -> Unreadable:
    return Unreadable(f"it cannot be decoded ({type(error).__name__})")
