"""Just enough EXIF: read the orientation, write the orientation and a user comment.

EXIF is a small TIFF file: a header, then directories of 12-byte entries whose longer values lie
elsewhere in the file, found by offset. New directories are appended behind the old bytes, so
every old offset (maker notes too) stays right.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from workbench.media.containers import JPEG, PNG, WEBP, Outline

_ORIENTATION = 0x0112
_EXIF_DIRECTORY = 0x8769
_USER_COMMENT = 0x9286
_SHORT, _LONG, _UNDEFINED = 3, 4, 7
# Directories of real cameras have under 100 entries.
_MAX_ENTRIES = 1_000

_EMPTY = b"MM\0*\0\0\0\x08\0\0\0\0\0\0"


class _Entry(NamedTuple):
    tag: int
    kind: int
    length: int
    value: bytes  # 4 bytes: the value itself, or its offset


def find(data: bytes, shape: Outline) -> bytes | None:
    """The TIFF bytes of a file's EXIF block, or None."""
    for part in shape.parts:
        body = data[part.body : part.body + 6]
        if shape.mime == JPEG and part.kind == b"\xe1" and body == b"Exif\0\0":
            return data[part.body + 6 : part.body_end]
        if (shape.mime == PNG and part.kind == b"eXIf") or (
            shape.mime == WEBP and part.kind == b"EXIF"
        ):
            # Some WebP writers keep the JPEG prefix.
            skip = 6 if body == b"Exif\0\0" else 0
            return data[part.body + skip : part.body_end]
    return None


def orientation(tiff: bytes | None) -> int:
    """Orientation 1–8 of an EXIF block; 1 (upright) for none, unknown or broken ones."""
    if tiff is None:
        return 1
    try:
        order, entries = _directory(tiff, None)
    except (struct.error, ValueError):
        return 1
    for entry in entries:
        if entry.tag == _ORIENTATION and entry.kind == _SHORT:
            (value,) = struct.unpack_from(order + "H", entry.value)
            return value if 1 <= value <= 8 else 1
    return 1


def write(old: bytes | None, *, comment: str | None, upright: int = 1) -> bytes:
    """A TIFF block with a user comment and an orientation.

    Parameters
    ----------
    old:
        An EXIF block whose other entries are kept, or None to start anew. A broken one is
        replaced.
    comment:
        The user comment, written as A1111 and its readers expect it (``UNICODE``, UTF-16
        big-endian whatever the byte order of the block is). None: no comment.
    upright:
        The orientation, 1–8. 1 is left out of a new block.

    Examples
    --------
    >>> orientation(write(None, comment=None, upright=6))
    6
    """
    base = old or _EMPTY
    try:
        order, first = _directory(base, None)
        pointer = next((e for e in first if e.tag == _EXIF_DIRECTORY), None)
        inner = []
        if pointer is not None:
            (offset,) = struct.unpack(order + "I", pointer.value)
            inner = _directory(base, offset)[1]
    except (struct.error, ValueError):
        base = _EMPTY
        order, first, inner = ">", [], []
    out = bytearray(base)
    outer = {entry.tag: entry for entry in first}
    if comment is not None:
        # The old text would stay in the file as bytes that nobody points to.
        for entry in inner:
            if entry.tag == _USER_COMMENT and entry.length > 4:
                (at,) = struct.unpack(order + "I", entry.value)
                at = max(at, 8)  # a hostile offset must not hit the header
                room = len(out[at : at + entry.length])
                out[at : at + room] = bytes(room)
        payload = b"UNICODE\0" + comment.encode("utf-16-be", "surrogatepass")
        at = _append(out, payload)
        entries = {entry.tag: entry for entry in inner}
        entries[_USER_COMMENT] = _Entry(
            _USER_COMMENT, _UNDEFINED, len(payload), struct.pack(order + "I", at)
        )
        at = _append(out, _pack(order, entries))
        outer[_EXIF_DIRECTORY] = _Entry(_EXIF_DIRECTORY, _LONG, 1, struct.pack(order + "I", at))
    if upright != 1 or _ORIENTATION in outer:
        value = struct.pack(order + "HH", upright, 0)
        outer[_ORIENTATION] = _Entry(_ORIENTATION, _SHORT, 1, value)
    at = _append(out, _pack(order, outer))
    out[4:8] = struct.pack(order + "I", at)
    return bytes(out)


def read_comment(tiff: bytes | None) -> str | None:
    """The user comment of an EXIF block as text, or None."""
    if tiff is None:
        return None
    try:
        order, first = _directory(tiff, None)
        for entry in first:
            if entry.tag == _EXIF_DIRECTORY:
                (offset,) = struct.unpack(order + "I", entry.value)
                return _comment(tiff, order, offset)
    except (struct.error, ValueError):
        return None
    return None


def _comment(tiff: bytes, order: str, offset: int) -> str | None:
    for entry in _directory(tiff, offset)[1]:
        if entry.tag == _USER_COMMENT and entry.length > 8:
            (at,) = struct.unpack(order + "I", entry.value)
            raw = tiff[at : at + entry.length]
            if raw.startswith(b"UNICODE\0"):
                return raw[8:].decode("utf-16-be", "replace")
            return raw[8:].decode("utf-8", "replace")
    return None


def _directory(tiff: bytes, offset: int | None) -> tuple[str, list[_Entry]]:
    """Byte order and entries of the directory at `offset` (None: the first one)."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        raise ValueError("not a TIFF block")
    if offset is None:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    if count > _MAX_ENTRIES:
        raise ValueError("too many entries")
    entries = [
        _Entry(*struct.unpack_from(order + "HHI4s", tiff, offset + 2 + 12 * n))
        for n in range(count)
    ]
    return order, entries


def _append(out: bytearray, block: bytes) -> int:
    if len(out) & 1:
        out.append(0)  # TIFF offsets are even
    at = len(out)
    out += block
    return at


def _pack(order: str, entries: dict[int, _Entry]) -> bytes:
    """A directory, sorted by tag as the format demands, with no successor (no thumbnail)."""
    packed = [struct.pack(order + "HHI4s", *entries[tag]) for tag in sorted(entries)]
    return b"".join([struct.pack(order + "H", len(packed)), *packed, bytes(4)])
