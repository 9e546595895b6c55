"""The image door: whatever becomes an asset passes `inspect` first.

Provider replies, uploads, URLs and folders all come through here. The order matters: byte cap,
magic bytes, allowed format, pixel cap by the header, structure, checksums, and only then a full
decode of the first frame. The cases are the image rows of the security specification (B10–B18).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import NoReturn

from workbench.errors import ImageRejected
from workbench.media import containers, exif
from workbench.media.containers import PNG, Outline
from workbench.media.decoder import decoder_errors, open_frame

# Progressive JPEGs have about 10 scans. Each is a pass over all pixels and may be a few bytes
# long, so that a small file can occupy a decoder for minutes.
_MAX_SCANS = 100
_MAX_PASSES_OVER_LARGEST = 16


# What people drop by mistake, and what must never pass: (offset, magic, name).
_KNOWN_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (0, b"II+\0", "a BigTIFF image"),
    (0, b"MM\0+", "a BigTIFF image"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"SIMPLE  =", "a FITS image"),
    (0, b"\0\0\1\0", "a Windows icon"),
    (0, b"BM", "a BMP image"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (4, b"ftypavi", "an AVIF image"),
    (4, b"ftyphei", "an HEIC image"),
    (4, b"ftyphev", "an HEIC image"),
    (4, b"ftypmif1", "an HEIF image"),
    (4, b"ftyp", "a video"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"v/1\x01", "an OpenEXR image"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x80\x02", "a pickle file"),
    (0, b"\x80\x03", "a pickle file"),
    (0, b"\x80\x04", "a pickle file"),
    (0, b"\x80\x05", "a pickle file"),
    (0, b"\x93NUMPY", "a NumPy file"),
    (0, b"\x1f\x8b", "a gzip file"),
)
_MARKUP = re.compile(rb"<(svg|\?xml|!doctype|html|head|body|script|!--)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the door lets in.

    Parameters
    ----------
    max_bytes:
        Largest file in bytes (default 50 MB).
    max_pixels:
        Largest picture, width × height in pixels (default 64 Mpx).
    """

    max_bytes: int = 50_000_000
    max_pixels: int = 64_000_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the door found out about a picture.

    `width` and `height` are pixels as stored; a viewer that honours `orientation` (EXIF, 1–8)
    shows `display_width` × `display_height`. `frames` is the number declared by an animated file,
    of which only the first is ever decoded. `trailing_bytes` counts what follows the picture's
    end (a second file glued to it, a phone's depth map); it stays in the stored bytes and is
    dropped on the way out.
    """

    mime: str
    width: int
    height: int
    frames: int
    animated: bool
    sha256: str
    size_bytes: int
    has_alpha: bool
    orientation: int
    trailing_bytes: int

    @property
    def display_width(self) -> int:
        """Width in pixels after the orientation is applied."""
        return self.height if self.orientation >= 5 else self.width

    @property
    def display_height(self) -> int:
        """Height in pixels after the orientation is applied."""
        return self.width if self.orientation >= 5 else self.height


def inspect(data: bytes | bytearray | memoryview, *, limits: Limits = DEFAULT_LIMITS) -> ImageInfo:
    """Look at bytes from anywhere and say what picture they are, or refuse them.

    Parameters
    ----------
    data:
        The whole file.
    limits:
        Caps on bytes and pixels.

    Returns
    -------
    ImageInfo
        Only for files whose checksums hold and whose first frame decodes completely.

    Raises
    ------
    ImageRejected
        With a sentence for people and one of the reasons ``too_large``, ``too_many_pixels``,
        ``not_an_image``, ``format_not_allowed``, ``truncated``, ``broken``.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (4, 3)).save(file, "PNG")
    >>> info = inspect(file.getvalue())
    >>> info.mime, info.width, info.height
    ('image/png', 4, 3)
    """
    raw, shape = read_outline(data, limits=limits)
    upright = exif.orientation(exif.find(raw, shape))
    try:
        has_alpha = _decode(raw, shape)
    except MemoryError as error:
        raise ImageRejected(
            f"There is not enough memory to decode {shape.width} × {shape.height} pixels.",
            reason="too_many_pixels",
        ) from error
    return ImageInfo(
        mime=shape.mime,
        width=shape.width,
        height=shape.height,
        frames=shape.frames,
        animated=shape.frames > 1,
        sha256=hashlib.sha256(raw).hexdigest(),
        size_bytes=len(raw),
        has_alpha=has_alpha,
        orientation=upright,
        trailing_bytes=len(raw) - shape.end,
    )


def read_outline(
    data: bytes | bytearray | memoryview, *, limits: Limits = DEFAULT_LIMITS
) -> tuple[bytes, Outline]:
    """Do everything of `inspect` that needs no decoder: caps, magic, structure.

    Raises
    ------
    ImageRejected
        As `inspect` does.
    """
    size = data.nbytes if isinstance(data, memoryview) else len(data)
    if size > limits.max_bytes:
        raise ImageRejected(
            f"The file has {_mega(size)} MB; at most {_mega(limits.max_bytes)} MB are allowed. "
            "Save it smaller, or as JPEG or WebP.",
            reason="too_large",
        )
    raw = data if isinstance(data, bytes) else bytes(data)
    mime = containers.sniff(raw)
    if mime is None:
        _refuse_format(raw)
    width, height = containers.header_size(raw, mime)
    if width * height > limits.max_pixels:
        raise ImageRejected(
            f"The image is {width} × {height} pixels ({_mega(width * height)} Mpx); at most "
            f"{_mega(limits.max_pixels)} Mpx are allowed. Make it smaller first.",
            reason="too_many_pixels",
        )
    shape = containers.outline(raw, mime)
    passes = shape.scans * width * height
    if shape.scans > _MAX_SCANS or passes > _MAX_PASSES_OVER_LARGEST * limits.max_pixels:
        containers.broken(f"a JPEG that has to be decoded {shape.scans} times over")
    return raw, shape


def _decode(raw: bytes, shape: Outline) -> bool:
    """Check and decode the first frame; return whether it has transparency.

    Both are needed: a PNG with a damaged chunk may still load, and half a JPEG has no sums that
    could be wrong. Pillow's own ``verify()`` is empty for all formats but PNG, where it is the
    check of sums that is done here for the metadata too.
    """
    with decoder_errors():
        if shape.mime == PNG:
            containers.check_png_sums(raw, shape)
        image = open_frame(raw, shape)
        image.load()
        return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _refuse_format(raw: bytes) -> NoReturn:
    allowed = "PNG, JPEG, WebP and GIF are allowed."
    if not raw:
        raise ImageRejected("The file is empty.", reason="truncated")
    if containers.is_beginning(raw):
        containers.truncated()
    name = _name_foreign(raw)
    if name is not None:
        raise ImageRejected(
            f"This is {name}; {allowed} Convert it first.", reason="format_not_allowed"
        )
    raise ImageRejected(f"This is not an image. {allowed}", reason="not_an_image")


def _mega(count: int) -> str:
    """Millions with one decimal, none where it is zero."""
    return f"{count / 1e6:.1f}".removesuffix(".0")


def _name_foreign(data: bytes) -> str | None:
    """Name a well-known format that is not allowed ("a TIFF image"), None for anything else."""
    for offset, magic, name in _KNOWN_FOREIGN:
        if data[offset : offset + len(magic)] == magic:
            return name
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if _MARKUP.match(head):
        return "an SVG drawing" if b"<svg" in data[:4096].lower() else "a web page (HTML or XML)"
    return None
