"""Contact sheets: one small picture of many, whatever goes in."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from workbench.errors import InvalidRequest
from workbench.media.contact import STATUS_COLOURS, contact_sheet

pytestmark = pytest.mark.req("LAY-10a", "RES-12c")


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def colours_near(image: Image.Image, colour: tuple[int, ...], by: int = 40) -> int:
    pixels = image.convert("RGB").get_flattened_data()
    return sum(all(abs(a - b) <= by for a, b in zip(p, colour, strict=True)) for p in pixels)  # type: ignore[arg-type]


RED = saved(Image.new("RGB", (300, 200), (255, 0, 0)))
BLUE = saved(Image.new("RGB", (200, 300), (0, 0, 255)), "JPEG")


@pytest.mark.parametrize("encoding", ["webp", "jpeg", "png"])
def test_pictures_stand_in_rows(encoding: str) -> None:
    sheet = opened(contact_sheet([RED, BLUE, RED], columns=2, cell=100, encoding=encoding))
    assert sheet.format == encoding.upper()
    assert sheet.size == (2 * 104 + 4, 2 * 104 + 4)
    left_top = sheet.crop((4, 4, 104, 104))
    right_top = sheet.crop((108, 4, 208, 104))
    assert colours_near(left_top, (255, 0, 0)) > 5_000
    assert colours_near(right_top, (0, 0, 255)) > 5_000
    assert colours_near(sheet.crop((108, 108, 208, 208)), (255, 0, 0)) == 0


def test_a_sheet_is_no_wider_than_its_pictures() -> None:
    assert opened(contact_sheet([RED], columns=8, cell=100)).size == (108, 108)


@pytest.mark.parametrize("status", STATUS_COLOURS)
def test_what_is_missing_shows_the_colour_of_its_status(status: str) -> None:
    data = contact_sheet([None], columns=1, cell=100, statuses=[status], encoding="png")
    assert colours_near(opened(data), STATUS_COLOURS[status], 30) > 300


def test_what_cannot_be_decoded_is_a_placeholder_too() -> None:
    broken = [b"", b"<svg/>", RED[:40], None]
    sheet = opened(contact_sheet([*broken, RED], columns=5, cell=60, statuses=["failed"]))
    assert sheet.width == 5 * 64 + 4


@pytest.mark.parametrize("encoding", ["webp", "jpeg", "png"])
@pytest.mark.parametrize("max_bytes", [2_000, 10_000, 60_000])
def test_the_budget_of_bytes_is_never_exceeded(encoding: str, max_bytes: int) -> None:
    noise = [saved(Image.effect_noise((200, 200), 100 + n)) for n in range(12)]
    data = contact_sheet(noise, columns=4, cell=200, max_bytes=max_bytes, encoding=encoding)
    assert len(data) <= max_bytes
    assert opened(data).width >= 16


def test_hundreds_of_pictures_fit_too() -> None:
    data = contact_sheet([None] * 3_000, columns=50, cell=1024, max_bytes=50_000)
    sheet = opened(data)
    assert len(data) <= 50_000
    assert sheet.width * sheet.height <= 16_000_000


def test_labels_of_any_text_stay_inside_their_cell() -> None:
    labels = [
        "a red fox",
        "x" * 100_000,
        "<script>alert(1)</script>",
        "\x1b[31m\u202e\0\n\t",
        "\ud800🦊 עברית",
        "",
    ]
    data = contact_sheet([None] * 6, columns=3, cell=80, labels=labels, encoding="png")
    sheet = opened(data)
    assert sheet.size == (3 * 84 + 4, 2 * 100 + 4)
    assert b"fox" not in data
    assert b"script" not in data


def test_fewer_labels_and_statuses_than_pictures_are_fine() -> None:
    assert contact_sheet([None, None], labels=["one"], statuses=[])


def test_nothing_of_the_pictures_metadata_is_in_the_sheet() -> None:
    exif = Image.Exif()
    exif[0x010F] = "CANARY"
    source = saved(Image.new("RGB", (300, 300)), "JPEG", exif=exif, comment=b"CANARY")
    for encoding in ("webp", "jpeg", "png"):
        assert b"CANARY" not in contact_sheet([source], encoding=encoding)


def test_transparent_pictures_stand_on_the_ground_colour() -> None:
    clear = saved(Image.new("RGBA", (100, 100), (255, 0, 0, 0)))
    assert colours_near(opened(contact_sheet([clear], cell=100)), (255, 0, 0)) == 0


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("columns", {"columns": 0}),
        ("columns", {"columns": 65}),
        ("cell", {"cell": 15}),
        ("cell", {"cell": 2_000}),
        ("max_bytes", {"max_bytes": 100}),
        ("encoding", {"encoding": "svg"}),
    ],
)
def test_impossible_wishes_are_named(field: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        contact_sheet([RED], **options)
    assert caught.value.field == field


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        contact_sheet([])
