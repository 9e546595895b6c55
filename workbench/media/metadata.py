"""Settings in files that leave and come back.

Two texts go into a file: our JSON, which holds everything and is read back by `read`, and the
A1111 text that other tools show. Pixels are never encoded anew: PNG gets text chunks, JPEG and
WebP get EXIF (user comment: A1111) and XMP (our JSON). What a camera or another program left in
the file (GPS, serial numbers, thumbnails, C2PA, XMP) is cut out on the same occasion, the
orientation and the colour profile stay.

What may be written at all is decided in `disclosure`.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from workbench.errors import ImageRejected
from workbench.media import containers, exif, stripping
from workbench.media.a1111 import a1111_text
from workbench.media.containers import GIF, JPEG, PNG, WEBP, Outline, Part
from workbench.media.disclosure import FIELDS, PROSE, SCHEMA, payload

__all__ = ["FIELDS", "SCHEMA", "a1111_text", "embed", "mime_of", "payload", "read", "same_picture"]

_KEYWORD = b"workbench"
_A1111_KEYWORD = b"parameters"
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:workbench="urn:image-workbench:1">'
    "<workbench:{field}>{text}</workbench:{field}>"
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
_XMP_FIELD = re.compile(
    rb"<workbench:(json|zjson)>([^<]*)</workbench:\1>|\bworkbench:(json|zjson)=\"([^\"]*)\""
)
# A JPEG segment counts its own two length bytes.
_MAX_SEGMENT = 65_533
_MAX_JSON_BYTES = 1_000_000


def mime_of(data: bytes) -> str:
    """The MIME type of bytes that passed the door.

    Raises
    ------
    ImageRejected
        They are none of the allowed formats.
    """
    mime = containers.sniff(data)
    if mime is None:
        raise ImageRejected("This is not an image that can be exported.", reason="not_an_image")
    return mime


def embed(data: bytes, mime: str, info: Mapping[str, Any] | None, *, strip: bool = True) -> bytes:
    """Write settings into a file without touching its pixels.

    Parameters
    ----------
    data:
        A file that passed the door.
    mime:
        Its MIME type.
    info:
        The settings (see `FIELDS`); None writes none.
    strip:
        Cut out all foreign metadata. False keeps it (foreign XMP of a JPEG or WebP gives way to
        ours: there can be only one).

    Returns
    -------
    bytes
        The file, without anything that was glued behind the picture. GIF files hold no settings.

    Raises
    ------
    ImageRejected
        The file is damaged.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (8, 8)).save(file, "PNG")
    >>> read(embed(file.getvalue(), "image/png", {"prompt": "a fox"}))["prompt"]
    'a fox'
    """
    shape = containers.outline(data, mime)
    if mime == GIF:
        return stripping.only_picture(data, shape)
    kept = [
        part
        for part in shape.parts
        if (not strip or stripping.keeps(data, mime, part))
        and not (info is not None and _is_ours(data, mime, part))
    ]
    known = payload(info) if info is not None else None
    text = a1111_text(known) if known is not None else None
    old = exif.find(data, shape)
    upright = exif.orientation(old)
    if mime == PNG:
        added = _png_additions(known, text, upright if strip else 1)
        return _insert_png(data, shape, kept, added)
    block: bytes | None = None
    if text or (strip and upright != 1):
        block = exif.write(None if strip else old, comment=text or None, upright=upright)
    if mime == JPEG:
        return _embed_jpeg(data, shape, kept, known, block)
    return _embed_webp(data, shape, kept, known, block)


def read(data: bytes) -> dict[str, Any] | None:
    """Our JSON from a file, or None. Never raises; the content is as untrusted as the file.

    Returns
    -------
    dict or None
        ``schema`` and those of `FIELDS` that are present and well-formed.
    """
    mime = containers.sniff(data)
    if mime is None or mime == GIF:
        return None
    try:
        shape = containers.outline(data, mime)
    except ImageRejected:
        return None
    for part in shape.parts:
        text = _our_text(data, mime, part)
        if text is None:
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and isinstance(found.get("schema"), int):
            clean = payload(found)
            clean["schema"] = found["schema"]
            if not re.fullmatch(r"[0-9a-f]{64}", str(clean.get("asset_id", ""))):
                clean.pop("asset_id", None)
            return clean
    return None


def same_picture(one: bytes, other: bytes) -> bool:
    """True when two files hold the same encoded pixels, whatever their metadata says."""
    digests = [_pixel_digest(data) for data in (one, other)]
    return digests[0] is not None and digests[0] == digests[1]


_PIXEL_BODIES = frozenset(
    {(PNG, kind) for kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"fcTL", b"fdAT")}
    | {(WEBP, kind) for kind in (b"VP8 ", b"VP8L", b"ALPH", b"ANMF")}
)


def _pixel_digest(data: bytes) -> str | None:
    mime = containers.sniff(data)
    if mime is None:
        return None
    try:
        shape = containers.outline(data, mime)
    except ImageRejected:
        return None
    view = memoryview(data)
    digest = hashlib.sha256(mime.encode())
    if mime == GIF:
        digest.update(view[: shape.end])
    for part in shape.parts:
        # Programs cut IDAT anew, so only the bodies count there.
        if (mime, part.kind) in _PIXEL_BODIES:
            digest.update(view[part.body : part.body_end])
        elif mime == JPEG and not (0xE0 <= part.kind[0] <= 0xEF or part.kind == b"\xfe"):
            digest.update(view[part.start : part.end])
    return digest.hexdigest()


# --- PNG --------------------------------------------------------------------------------------


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _text_chunk(keyword: bytes, text: str) -> bytes:
    """A text chunk as Pillow, and so A1111, would write it."""
    try:
        return _chunk(b"tEXt", keyword + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", keyword + b"\0\0\0\0\0" + text.encode("utf-8", "replace"))


def _png_additions(known: dict[str, Any] | None, text: str | None, upright: int) -> list[bytes]:
    added: list[bytes] = []
    if text:
        added.append(_text_chunk(_A1111_KEYWORD, text))
    if known is not None:
        body = json.dumps(known, ensure_ascii=False).encode()
        added.append(_chunk(b"iTXt", _KEYWORD + b"\0\0\0\0\0" + body))
    if upright != 1:
        added.append(_chunk(b"eXIf", exif.write(None, comment=None, upright=upright)))
    return added


def _insert_png(data: bytes, shape: Outline, kept: list[Part], added: list[bytes]) -> bytes:
    view = memoryview(data)
    pieces: list[bytes | memoryview] = [view[part.start : part.end] for part in kept]
    # Behind the header: readers that stop at the pixels still see the settings.
    pieces[1:1] = added
    return stripping.rebuild(data, shape, pieces)


# --- JPEG and WebP ----------------------------------------------------------------------------


def _xmp_packet(known: dict[str, Any], limit: int | None) -> bytes:
    """Our JSON as XMP. JPEG has 64 KB for it: compressed, then without the long texts."""
    # ASCII only: JSON escapes whatever XML forbids.
    plain = json.dumps(known)
    packet = _XMP.format(field="json", text=html.escape(plain, quote=False)).encode()
    if limit is None or len(packet) <= limit:
        return packet
    short = {
        name: value
        for name, value in known.items()
        if name not in ("params", "prompt_sent") and not (name in PROSE and len(value) > 4_000)
    }
    for candidate in (known, {**short, "shortened": True}):
        squeezed = base64.b64encode(zlib.compress(json.dumps(candidate).encode(), 9)).decode()
        packet = _XMP.format(field="zjson", text=squeezed).encode()
        if len(packet) <= limit:
            break
    return packet


def _embed_jpeg(
    data: bytes,
    shape: Outline,
    kept: list[Part],
    known: dict[str, Any] | None,
    block: bytes | None,
) -> bytes:
    bodies: list[bytes] = []
    if block is not None:
        kept = [part for part in kept if not _is_exif(data, JPEG, part)]
        if len(block) + 6 > _MAX_SEGMENT:
            # The A1111 text does not fit; our JSON (compressed) does.
            block = exif.write(None, comment=None, upright=exif.orientation(block))
        bodies.append(b"Exif\0\0" + block)
    if known is not None:
        room = _MAX_SEGMENT - len(_XMP_HEADER)
        bodies.append(_XMP_HEADER + _xmp_packet(known, room))
    added = [b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body for body in bodies]
    view = memoryview(data)
    pieces: list[bytes | memoryview] = [view[part.start : part.end] for part in kept]
    # JFIF demands to be first.
    at = 1 if kept and kept[0].kind == b"\xe0" else 0
    pieces[at:at] = added
    return stripping.rebuild(data, shape, pieces)


_ICC, _ALPHA, _EXIF, _XMP_FLAG, _ANIMATION = 0x20, 0x10, 0x08, 0x04, 0x02


def _riff(kind: bytes, body: bytes | memoryview) -> bytes:
    padding = b"\0" * (len(body) & 1)
    return b"".join([kind, struct.pack("<I", len(body)), body, padding])


def _embed_webp(
    data: bytes,
    shape: Outline,
    kept: list[Part],
    known: dict[str, Any] | None,
    block: bytes | None,
) -> bytes:
    view = memoryview(data)
    chunks: list[tuple[bytes, bytes | memoryview]] = [
        (part.kind, view[part.body : part.body_end])
        for part in kept
        if part.kind != b"VP8X"
        and not (block is not None and part.kind == b"EXIF")
        and not (known is not None and part.kind == b"XMP ")
    ]
    if block is not None:
        chunks.append((b"EXIF", block))
    if known is not None:
        chunks.append((b"XMP ", _xmp_packet(known, None)))
    kinds = {kind for kind, _ in chunks}
    header = next((part for part in shape.parts if part.kind == b"VP8X"), None)
    # A lone picture needs no extended header; without one the file is as its encoder wrote it.
    alone = len(chunks) == 1 and kinds <= {b"VP8 ", b"VP8L"}
    if not alone and (header is not None or kinds & {b"EXIF", b"XMP "}):
        flags = data[header.body] & ~(_EXIF | _XMP_FLAG) if header else _simple_flags(data)
        flags |= _EXIF if b"EXIF" in kinds else 0
        flags |= _XMP_FLAG if b"XMP " in kinds else 0
        sides = b"".join(struct.pack("<I", side - 1)[:3] for side in (shape.width, shape.height))
        chunks.insert(0, (b"VP8X", bytes([flags, 0, 0, 0]) + sides))
    pieces: list[bytes | memoryview] = [_riff(kind, body) for kind, body in chunks]
    return stripping.rebuild(data, shape, pieces)


def _simple_flags(data: bytes) -> int:
    """Flags of a WebP that had no extended header: only a lossless one can have alpha."""
    if data[12:16] != b"VP8L":
        return 0
    (bits,) = struct.unpack_from("<I", data, 21)
    return _ALPHA if bits >> 28 & 1 else 0


# --- Finding our own --------------------------------------------------------------------------


def _is_exif(data: bytes, mime: str, part: Part) -> bool:
    return mime == JPEG and part.kind == b"\xe1" and data[part.body : part.body + 6] == b"Exif\0\0"


def _is_ours(data: bytes, mime: str, part: Part) -> bool:
    """True for what a new embedding replaces."""
    if mime == PNG:
        if part.kind not in (b"tEXt", b"iTXt", b"zTXt"):
            return False
        keyword = data[part.body : min(part.body + 80, part.body_end)].split(b"\0", 1)[0]
        return keyword in (_KEYWORD, _A1111_KEYWORD)
    if mime == JPEG:
        return part.kind == b"\xe1" and data.startswith(_XMP_HEADER, part.body)
    return part.kind == b"XMP "


def _our_text(data: bytes, mime: str, part: Part) -> str | None:
    """Our JSON, if this part holds it."""
    if not _is_ours(data, mime, part) or part.body_end - part.body > 2 * _MAX_JSON_BYTES:
        return None
    body = data[part.body : part.body_end]
    if mime == PNG:
        if part.kind != b"iTXt" or not body.startswith(_KEYWORD + b"\0"):
            return None
        fields = body[len(_KEYWORD) + 3 :].split(b"\0", 2)
        if len(fields) != 3:
            return None
        raw: bytes | None = fields[2]
        if body[len(_KEYWORD) + 1]:
            raw = _inflate(fields[2])  # another program compressed it
        return None if raw is None else raw.decode("utf-8", "replace")
    match = _XMP_FIELD.search(body)
    if match is None:
        return None
    field, text = (match[1], match[2]) if match[1] else (match[3], match[4])
    if field == b"json":
        return html.unescape(text.decode("utf-8", "replace"))
    try:
        raw = _inflate(base64.b64decode(text, validate=True))
    except ValueError:
        return None
    return None if raw is None else raw.decode("utf-8", "replace")


def _inflate(data: bytes) -> bytes | None:
    """Decompress at most `_MAX_JSON_BYTES`; None for more, or for garbage."""
    try:
        out = zlib.decompressobj().decompress(data, _MAX_JSON_BYTES + 1)
    except zlib.error:
        return None
    return out if len(out) <= _MAX_JSON_BYTES else None
