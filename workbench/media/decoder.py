"""The one place that hands bytes to Pillow's decoders.

The decoder class is chosen by the file's magic and called directly: `Image.open` would consult
process-wide state that a notebook may have changed (registered plugins, `MAX_IMAGE_PIXELS`) and
would warn about large images instead of refusing them. Text, EXIF and XMP are cut off before, so
that their parsers never see hostile bytes.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workbench.errors import ImageRejected
from workbench.media import containers, stripping
from workbench.media.containers import GIF, JPEG, PNG, Outline

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

# What Pillow's parsers raise on hostile bytes, by its own list in Image.open and by fuzzing. A
# MemoryError is not here: it says something about this machine.
_DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
)


@contextmanager
def decoder_errors() -> Iterator[None]:
    """Turn whatever a decoder raises into an `ImageRejected`."""
    from PIL import Image

    try:
        yield
    except Image.DecompressionBombError as error:
        raise ImageRejected(
            "The image has more pixels than this process allows (PIL.Image.MAX_IMAGE_PIXELS).",
            reason="too_many_pixels",
        ) from error
    except _DECODER_ERRORS as error:
        if isinstance(error, OSError) and "truncated" in str(error):
            containers.truncated()
        containers.broken("it cannot be decoded")


def open_frame(data: bytes, shape: Outline) -> ImageFile:
    """Open the first frame with the decoder of its format, nothing decoded yet.

    Use it within `decoder_errors`.

    Parameters
    ----------
    data, shape:
        A file and its outline.

    Raises
    ------
    ImageRejected
        Reason ``broken`` when the decoder sees another size than the header declared: the pixel
        cap was checked against the header.
    """
    picture = io.BytesIO(stripping.only_picture(data, shape, first_frame=True))
    image = _open(picture, shape.mime)
    if image.size != (shape.width, shape.height):
        containers.broken("two sizes in one file")
    return image


def _open(file: io.BytesIO, mime: str) -> ImageFile:
    if mime == PNG:
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile(file)
    if mime == JPEG:
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile(file)
    if mime == GIF:
        from PIL.GifImagePlugin import GifImageFile

        return GifImageFile(file)
    from PIL.WebPImagePlugin import WebPImageFile

    return WebPImageFile(file)
