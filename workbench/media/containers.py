"""How PNG, JPEG, WebP and GIF files are built, read byte by byte and without a decoder.

The image door needs the size of a picture before anything is decoded, the place where it really
ends, and the number of its frames without decoding them. The metadata room cuts and inserts
chunks without touching a pixel. Both stand on `outline`, which walks a file once and names its
parts. Every loop here is bounded: a file of a few megabytes can hold millions of empty chunks.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from workbench.errors import ImageRejected

PNG = "image/png"
JPEG = "image/jpeg"
WEBP = "image/webp"
GIF = "image/gif"

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"

# A 50 MB PNG of 1 KB chunks has 50,000 of them; more is an attack on the loop, not a picture.
_MAX_PARTS = 100_000
# A GIF of 50 MB in full blocks (255 bytes) has 200,000.
_MAX_GIF_BLOCKS = 500_000

# Inside JPEG scan data 0xFF is followed by 00 (stuffing), D0-D7 (restart) or FF (fill) unless a
# marker begins.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_ANY_MARKER = re.compile(rb"\xff[^\x00\xff]")
_JPEG_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


class Part(NamedTuple):
    """One chunk, segment or run of scan data; ``start:end`` covers its header too."""

    kind: bytes
    start: int
    end: int
    body: int
    body_end: int


@dataclass(frozen=True, slots=True)
class Outline:
    """What a file says about itself, read without decoding it.

    `end` is the offset behind the picture's last byte; what follows is not part of it. `scans`
    is the number of passes that a JPEG decoder makes over the picture (1 for other formats).
    """

    mime: str
    width: int
    height: int
    frames: int
    scans: int
    end: int
    parts: tuple[Part, ...]


def sniff(data: bytes) -> str | None:
    """Tell one of the four allowed formats by its magic bytes.

    Parameters
    ----------
    data:
        The file, or its first 16 bytes.

    Returns
    -------
    str or None
        ``"image/png"``, ``"image/jpeg"``, ``"image/webp"``, ``"image/gif"`` or None.

    Examples
    --------
    >>> sniff(b"GIF89a" + bytes(10))
    'image/gif'
    >>> sniff(b"<svg>") is None
    True
    """
    if data.startswith(PNG_MAGIC):
        return PNG
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    return None


def is_beginning(data: bytes) -> bool:
    """True when these few bytes could be the start of an allowed file that is still arriving."""
    magics = (PNG_MAGIC, b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
    if len(data) >= 12:
        return False
    return any(magic.startswith(data) for magic in magics) or (
        data[:4] == b"RIFF"[: len(data)] and len(data) < 12
    )


def outline(data: bytes, mime: str) -> Outline:
    """Walk a whole file once and name its parts.

    Parameters
    ----------
    data:
        The file.
    mime:
        What `sniff` said.

    Raises
    ------
    ImageRejected
        Reason ``truncated`` where the file ends too early, ``broken`` where it makes no sense.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (4, 3)).save(file, "PNG")
    >>> outline(file.getvalue(), "image/png").width
    4
    """
    try:
        shape = _WALKERS[mime](data)
    except (struct.error, IndexError):
        truncated()
    if not shape.width or not shape.height:
        broken("a picture without pixels")
    return shape


def header_size(data: bytes, mime: str) -> tuple[int, int]:
    """Width and height in pixels as the header declares them; reads a few bytes of any file."""
    try:
        return _HEADERS[mime](data)
    except (struct.error, IndexError):
        truncated()


def truncated() -> NoReturn:
    """Raise the rejection of a file that ends too early."""
    raise ImageRejected(
        "The image file is cut off: its end is missing. Copy or download it again.",
        reason="truncated",
    )


def broken(detail: str) -> NoReturn:
    """Raise the rejection of a file that makes no sense; `detail` says what is wrong."""
    raise ImageRejected(
        f"The image file is damaged ({detail}). Copy or download it again, or save it anew.",
        reason="broken",
    )


# --- PNG ------------------------------------------------------------------------------------


def _png_header(data: bytes) -> tuple[int, int]:
    length, kind, width, height = struct.unpack_from(">I4sII", data, 8)
    if kind != b"IHDR" or length != 13:
        broken("a PNG that does not begin with its header")
    return width, height


def _walk_png(data: bytes) -> Outline:
    width, height = _png_header(data)
    parts: list[Part] = []
    frames, at = 1, 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            truncated()
        parts.append(Part(kind, at, end, at + 8, end - 4))
        if len(parts) > _MAX_PARTS:
            broken("too many chunks")
        if kind == b"acTL" and length == 8:
            frames = max(1, min(struct.unpack_from(">I", data, at + 8)[0], _MAX_PARTS))
        at = end
        if kind == b"IEND":
            return Outline(PNG, width, height, frames, 1, at, tuple(parts))


def check_png_sums(data: bytes, shape: Outline) -> None:
    """Check the checksum of every PNG chunk, the metadata too (the decoder never sees that).

    Raises
    ------
    ImageRejected
        Reason ``broken`` at the first sum that does not hold.
    """
    view = memoryview(data)
    for part in shape.parts:
        (stored,) = struct.unpack_from(">I", data, part.body_end)
        if zlib.crc32(view[part.start + 4 : part.body_end]) != stored:
            broken("a checksum does not hold")


# --- JPEG -----------------------------------------------------------------------------------


def _jpeg_segment(data: bytes, at: int) -> Part:
    """Find the next segment; stray bytes before its marker belong to no part."""
    # Cameras leave stray bytes between segments; decoders skip them, so this does too. FF FF is
    # fill, FF 00 is no marker.
    match = _JPEG_ANY_MARKER.search(data, at)
    if match is None:
        truncated()
    start, at = match.start(), match.end()
    marker = data[start + 1]
    if marker in _JPEG_ALONE or marker == 0xD9:
        return Part(bytes([marker]), start, at, at, at)
    (length,) = struct.unpack_from(">H", data, at)
    if length < 2:
        broken("a JPEG segment without length")
    if at + length > len(data):
        truncated()
    return Part(bytes([marker]), start, at + length, at + 2, at + length)


def _jpeg_header(data: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(_MAX_PARTS):
        part = _jpeg_segment(data, at)
        if part.kind[0] in _JPEG_FRAME:
            height, width = struct.unpack_from(">HH", data, part.body + 1)
            return width, height
        if part.kind[0] in (0xDA, 0xD9):
            broken("a JPEG without a frame header")
        at = part.end
    broken("too many segments")


def _walk_jpeg(data: bytes) -> Outline:
    width, height = _jpeg_header(data)
    parts: list[Part] = []
    at, scans = 2, 0
    while len(parts) <= _MAX_PARTS:
        part = _jpeg_segment(data, at)
        if part.kind[0] in _JPEG_FRAME and any(p.kind[0] in _JPEG_FRAME for p in parts):
            broken("two JPEG frames in one")
        if part.kind == b"\xd9":
            parts.append(part)
            if not scans:
                broken("a JPEG without a picture")
            return Outline(JPEG, width, height, 1, scans, part.end, tuple(parts))
        if part.kind == b"\xda":
            scans += 1
            following = _JPEG_MARKER.search(data, part.end)
            if following is None:
                truncated()
            part = part._replace(end=following.start(), body_end=following.start())
        parts.append(part)
        at = part.end
    broken("too many segments")


# --- WebP -----------------------------------------------------------------------------------


def _uint24(data: bytes, at: int) -> int:
    low, high = struct.unpack_from("<HB", data, at)
    return int(low) | int(high) << 16


def _webp_header(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        return _uint24(data, 24) + 1, _uint24(data, 27) + 1
    if kind == b"VP8L":
        signature, bits = struct.unpack_from("<BI", data, 20)
        if signature != 0x2F:
            broken("a WebP without a picture")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        sync, width, height = struct.unpack_from("<3sHH", data, 23)
        if sync != b"\x9d\x01\x2a":
            broken("a WebP without a picture")
        return width & 0x3FFF, height & 0x3FFF
    if len(data) < 16:
        truncated()
    broken("a WebP without a picture")


def _walk_webp(data: bytes) -> Outline:
    width, height = _webp_header(data)
    (size,) = struct.unpack_from("<I", data, 4)
    end = 8 + size + (size & 1)
    # Some encoders leave out the last padding byte; what counts is that the chunks are whole.
    if 8 + size > len(data):
        truncated()
    parts: list[Part] = []
    at, frames = 12, 0
    while at + 8 <= 8 + size:
        kind, length = struct.unpack_from("<4sI", data, at)
        body_end = at + 8 + length
        if body_end > 8 + size:
            truncated()
        parts.append(Part(kind, at, min(body_end + (length & 1), len(data)), at + 8, body_end))
        if len(parts) > _MAX_PARTS:
            broken("too many chunks")
        frames += kind == b"ANMF"
        at = body_end + (length & 1)
    if not any(part.kind in (b"VP8 ", b"VP8L", b"ANMF") for part in parts):
        broken("a WebP without a picture")
    return Outline(WEBP, width, height, max(1, frames), 1, min(end, len(data)), tuple(parts))


# --- GIF ------------------------------------------------------------------------------------


def _gif_table(flags: int) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_skip(data: bytes, at: int, budget: list[int]) -> int:
    """Offset behind a run of sub-blocks."""
    while size := data[at]:
        at += 1 + size
        budget[0] -= 1
        if budget[0] < 0:
            broken("too many blocks")
    return at + 1


def _gif_blocks(data: bytes) -> tuple[int, int, int, int]:
    """Width, height, frames and end. The first frame may be larger than the screen."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at, frames, budget = 13 + _gif_table(flags), 0, [_MAX_GIF_BLOCKS]
    while True:
        kind = data[at]
        if kind == 0x3B:
            return width, height, frames, at + 1
        if kind == 0x21:
            at = _gif_skip(data, at + 2, budget)
        elif kind == 0x2C:
            left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, at + 1)
            if not frames:
                width, height = max(width, left + wide), max(height, top + high)
            frames += 1
            at = _gif_skip(data, at + 11 + _gif_table(flags), budget)
        elif kind == 0:
            at += 1  # stray padding that common encoders write and every reader skips
            budget[0] -= 1
            if budget[0] < 0:
                broken("too many blocks")
        else:
            broken("an unknown GIF block")


def _gif_header(data: bytes) -> tuple[int, int]:
    width, height, _, _ = _gif_blocks(data)
    return width, height


def _walk_gif(data: bytes) -> Outline:
    width, height, frames, end = _gif_blocks(data)
    if not frames:
        broken("a GIF without a picture")
    return Outline(GIF, width, height, frames, 1, end, ())


_HEADERS: dict[str, Callable[[bytes], tuple[int, int]]] = {
    PNG: _png_header,
    JPEG: _jpeg_header,
    WEBP: _webp_header,
    GIF: _gif_header,
}
_WALKERS: dict[str, Callable[[bytes], Outline]] = {
    PNG: _walk_png,
    JPEG: _walk_jpeg,
    WEBP: _walk_webp,
    GIF: _walk_gif,
}
