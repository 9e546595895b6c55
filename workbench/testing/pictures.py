"""Small valid images for tests, made with the standard library only."""

from __future__ import annotations

import hashlib
import struct
import zlib


def png(text: str, *, width: int = 24, height: int = 16) -> bytes:
    r"""Return a PNG whose pixels follow from `text`: same text, same bytes.

    Parameters
    ----------
    text:
        What the picture is made from.
    width, height:
        In pixels.

    Examples
    --------
    >>> png("a fox")[:4], png("a fox") == png("a fox"), png("a fox") == png("an owl")
    (b'\x89PNG', True, False)
    """
    ink = hashlib.sha256(text.encode()).digest()
    rows = bytearray()
    for y in range(height):
        rows.append(0)  # filter: none
        for x in range(width):
            cell = ink[(x * 8 // width + y * 8 // height * 3) % len(ink)]
            rows += bytes((cell, ink[cell % 32], (x * 9 + y * 5 + cell) % 256))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", head),
            _chunk(b"IDAT", zlib.compress(bytes(rows), 6)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
