"""Contact sheets: one small picture of many, for notebooks that are read without a kernel."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.errors import ImageRejected, InvalidRequest
from workbench.media.thumbnails import small

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

# Neutral ground that works in light and dark notebooks.
_GROUND = (32, 33, 36)
_EMPTY = (48, 50, 54)
_INK = (232, 234, 237)
#: Status word to colour; the same hues as the status badges.
STATUS_COLOURS = {
    "pending": (234, 179, 8),
    "queued": (59, 130, 246),
    "processing": (59, 130, 246),
    "completed": (34, 197, 94),
    "failed": (239, 68, 68),
    "cancelled": (148, 148, 158),
}
_GAP = 4
_LABEL_HEIGHT = 16
_LABEL_CHARACTERS = 80
_MAX_SHEET_PIXELS = 16_000_000
_FORMATS = {"webp": "WEBP", "jpeg": "JPEG", "png": "PNG"}


def contact_sheet(
    images: Sequence[bytes | None],
    *,
    columns: int = 4,
    cell: int = 160,
    labels: Sequence[str] | None = None,
    statuses: Sequence[str] | None = None,
    max_bytes: int = 200_000,
    encoding: str = "webp",
) -> bytes:
    """Draw pictures into one sheet that never exceeds a number of bytes.

    Parameters
    ----------
    images:
        Image files (originals or thumbnails); None, or bytes that cannot be decoded, become a
        placeholder in the colour of its status.
    columns:
        Cells per row, 1–64.
    cell:
        Edge of a cell in pixels, 16–1024. Made smaller when the sheet would not fit.
    labels:
        A line of text under each picture; shown as pixels, cut where the cell ends.
    statuses:
        A status word per picture ("failed"); needed for placeholders only.
    max_bytes:
        Upper bound of the result in bytes, at least 2,000.
    encoding:
        ``"webp"``, ``"jpeg"`` or ``"png"``.

    Returns
    -------
    bytes
        The sheet, without any metadata.

    Raises
    ------
    InvalidRequest
        A number is out of its range, or there is nothing to draw.

    Examples
    --------
    >>> sheet = contact_sheet([None, None], columns=2, statuses=["failed", "queued"])
    >>> sheet[8:12], len(sheet) < 200_000
    (b'WEBP', True)
    """
    _check(images, columns, cell, max_bytes, encoding)
    rows = -(-len(images) // columns)
    text_height = _LABEL_HEIGHT if labels else 0
    # Photos need 10 to 20 pixels per byte at a quality that is worth looking at; drawing more
    # than could ever fit would only cost time.
    most = min(_MAX_SHEET_PIXELS, 40 * max_bytes)
    while cell > 8 and columns * rows * (cell + _GAP) * (cell + _GAP + text_height) > most:
        cell = max(8, cell * 3 // 4)
    sheet = _draw(images, columns, cell, labels, statuses)
    while True:
        for quality in (80, 65, 50, 35, 20):
            data = _encode(sheet, encoding, quality)
            if len(data) <= max_bytes:
                return data
            if encoding == "png":
                break  # has no quality
        if max(sheet.size) <= 16:
            raise InvalidRequest("max_bytes", f"{max_bytes} bytes are too few for a sheet.")
        shrunk = (max(1, sheet.width * 3 // 4), max(1, sheet.height * 3 // 4))
        sheet = sheet.resize(shrunk, reducing_gap=2.0)


def _check(
    images: Sequence[bytes | None], columns: int, cell: int, max_bytes: int, encoding: str
) -> None:
    if not images:
        raise InvalidRequest("images", "A contact sheet needs at least one picture.")
    if not 1 <= columns <= 64:
        raise InvalidRequest("columns", "A contact sheet has 1 to 64 columns.")
    if not 16 <= cell <= 1024:
        raise InvalidRequest("cell", "A cell has 16 to 1024 pixels.")
    if max_bytes < 2_000:
        raise InvalidRequest("max_bytes", "A contact sheet needs at least 2,000 bytes.")
    if encoding not in _FORMATS:
        raise InvalidRequest("encoding", "Use webp, jpeg or png.")


def _draw(
    images: Sequence[bytes | None],
    columns: int,
    cell: int,
    labels: Sequence[str] | None,
    statuses: Sequence[str] | None,
) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height = cell + (_LABEL_HEIGHT if labels else 0)
    size = (columns * (cell + _GAP) + _GAP, rows * (height + _GAP) + _GAP)
    sheet = Image.new("RGB", size, _GROUND)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11) if labels else None
    for index, data in enumerate(images):
        left = _GAP + index % columns * (cell + _GAP)
        top = _GAP + index // columns * (height + _GAP)
        picture = _cell_picture(data, cell)
        if picture is not None:
            at = (left + (cell - picture.width) // 2, top + (cell - picture.height) // 2)
            sheet.paste(picture, at, picture if picture.mode == "RGBA" else None)
        else:
            status = statuses[index] if statuses and index < len(statuses) else ""
            _placeholder(pen, left, top, cell, status)
        if font is not None and labels and index < len(labels):
            line = _fitting(pen, font, labels[index], cell)
            pen.text((left, top + cell + 1), line, fill=_INK, font=font)
    return sheet


def _cell_picture(data: bytes | None, cell: int) -> Image | None:
    if data is None:
        return None
    try:
        return small(data, cell)
    except ImageRejected:
        return None


def _placeholder(pen: ImageDraw, left: int, top: int, cell: int, status: str) -> None:
    colour = STATUS_COLOURS.get(status, STATUS_COLOURS["cancelled"])
    box = (left, top, left + cell - 1, top + cell - 1)
    pen.rectangle(box, fill=_EMPTY, outline=colour)
    middle, radius = cell // 2, max(2, cell // 10)
    mark = (
        left + middle - radius,
        top + middle - radius,
        left + middle + radius,
        top + middle + radius,
    )
    if status in ("failed", "cancelled"):
        pen.line((mark[0], mark[1], mark[2], mark[3]), fill=colour, width=3)
        pen.line((mark[0], mark[3], mark[2], mark[1]), fill=colour, width=3)
    else:
        pen.ellipse(mark, outline=colour, width=3)


def _fitting(pen: ImageDraw, font: FreeTypeFont | ImageFont, text: str, width: int) -> str:
    """One line of the text that is no wider than the cell."""
    visible = (
        " " if unicodedata.category(character)[0] in "CZ" else character
        for character in text[: 4 * _LABEL_CHARACTERS]
    )
    line = " ".join("".join(visible).split())[:_LABEL_CHARACTERS]
    if pen.textlength(line, font=font) <= width:
        return line
    while line and pen.textlength(f"{line}…", font=font) > width:
        line = line[:-1]
    return f"{line}…"


def _encode(sheet: Image, encoding: str, quality: int) -> bytes:
    out = io.BytesIO()
    if encoding == "png":
        sheet.quantize(128).save(out, "PNG", optimize=True)
    elif encoding == "jpeg":
        sheet.save(out, "JPEG", quality=quality, optimize=True)
    else:
        sheet.save(out, "WEBP", quality=quality, method=2)
    return out.getvalue()
