"""Files without what is not the picture: metadata, hidden chunks, trailing bytes.

Pixels are never encoded anew; parts of the file are copied or left out.
"""

from __future__ import annotations

import struct

from workbench.media.containers import GIF, JPEG, PNG, PNG_MAGIC, WEBP, Outline, Part

_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_PNG_COLOUR = frozenset({b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI", b"sBIT"})
_PNG_LOOKS = frozenset({b"pHYs", b"bKGD", b"acTL", b"fcTL", b"fdAT"})
_WEBP_PIXELS = frozenset({b"VP8X", b"ALPH", b"VP8 ", b"VP8L", b"ANIM", b"ANMF", b"ICCP"})

# Frames, tables, scans, restart interval, line count, end. D0-D7 stand inside scans only.
_JPEG_PIXELS = frozenset({*range(0xC0, 0xD0), 0xD9, 0xDA, 0xDB, 0xDC, 0xDD} - {0xC8})


def keeps(data: bytes, mime: str, part: Part, *, first_frame: bool = False) -> bool:
    """True for the parts that a picture needs to look right; all others are metadata.

    An allow-list: chunks that nobody knows (C2PA, camera blobs, hidden files) are metadata.
    """
    if mime == PNG:
        looks = frozenset() if first_frame else _PNG_LOOKS
        return part.kind in _PNG_PIXELS or part.kind in _PNG_COLOUR or part.kind in looks
    if mime == WEBP:
        return part.kind in _WEBP_PIXELS
    if mime == JPEG:
        marker = part.kind[0]
        body = data[part.body : part.body + 12]
        if marker == 0xE0:
            # "JFXX" and a JFIF header with width and height at its end carry a thumbnail.
            return body.startswith(b"JFIF\0") and part.body_end - part.body == 14
        if marker == 0xE2:
            return body.startswith(b"ICC_PROFILE\0")
        if marker == 0xEE:
            return body.startswith(b"Adobe")  # says how the colours are coded
        return marker in _JPEG_PIXELS
    return True


def rebuild(data: bytes, shape: Outline, pieces: list[bytes | memoryview]) -> bytes:
    """Put a file together again from the bytes of its parts (with what was added to them)."""
    if shape.mime == PNG:
        return b"".join([PNG_MAGIC, *pieces])
    if shape.mime == JPEG:
        return b"".join([b"\xff\xd8", *pieces])
    if shape.mime == WEBP:
        size = 4 + sum(len(piece) for piece in pieces)
        return b"".join([b"RIFF", struct.pack("<I", size), b"WEBP", *pieces])
    return data[: shape.end]


def only_picture(data: bytes, shape: Outline, *, first_frame: bool = False) -> bytes:
    """The same picture without metadata and without trailing bytes, pixels untouched.

    Parameters
    ----------
    data, shape:
        A file and its outline.
    first_frame:
        Leave out the animation of a PNG too. Decoders get such a copy: fewer parsers of
        hostile bytes run, and text chunks of any size do no harm.

    Returns
    -------
    bytes
        `data` itself when there is nothing to take away.
    """
    if shape.mime == GIF:
        return data if shape.end == len(data) else data[: shape.end]
    kept = [p for p in shape.parts if keeps(data, shape.mime, p, first_frame=first_frame)]
    header = {PNG: 8, JPEG: 2, WEBP: 12}[shape.mime]
    if header + sum(part.end - part.start for part in kept) == len(data):
        return data
    view = memoryview(data)
    return rebuild(data, shape, [_piece(view, shape.mime, part) for part in kept])


def _piece(view: memoryview, mime: str, part: Part) -> bytes | memoryview:
    piece = view[part.start : part.end]
    if mime != WEBP:
        return piece
    if part.kind == b"VP8X":
        # The header says which chunks follow: EXIF (bit 3) and XMP (bit 2) are gone now.
        return b"".join([piece[:8], bytes([piece[8] & ~0x0C]), piece[9:]])
    return b"".join([piece, b"\0"]) if len(piece) & 1 else piece
