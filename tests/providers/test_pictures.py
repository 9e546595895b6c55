"""Masks as others want them, and previews that are too large to be shown as they are."""

from __future__ import annotations

import io
import struct
import threading
import zlib

import pytest
from PIL import Image

from tests.providers.world import noise
from workbench.domain.jobs import JobInput, Log, Partial
from workbench.errors import ErrorKind, ProviderError
from workbench.providers import pictures
from workbench.providers.inputs import read_mask
from workbench.providers.pictures import LARGEST_PREVIEW, Previews, painted

# -- previews -------------------------------------------------------------------------------------


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def enormous() -> bytes:
    """The beginning of a PNG of 400 million pixels."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(20_001)) + bytes(300_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)


def many_scans() -> bytes:
    """A progressive JPEG whose last scan stands in it again and again."""
    held = io.BytesIO()
    Image.effect_noise((900, 900), 90).save(held, "JPEG", progressive=True, quality=95)
    whole = held.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * 200 + whole[-2:]


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize(
    ("side", "kind", "mode"),
    [
        (700, "PNG", "RGB"),
        (900, "JPEG", "RGB"),
        (700, "WEBP", "RGB"),
        (900, "GIF", "L"),
        (600, "PNG", "RGBA"),
        (700, "PNG", "L"),
    ],
)
async def test_a_large_preview_is_made_small_enough(side, kind, mode):
    large = noise(side, kind, mode)
    assert len(large) > LARGEST_PREVIEW
    event = await Previews(3).event(large)
    assert isinstance(event, Partial)
    assert (event.index, 0 < len(event.data) <= LARGEST_PREVIEW) == (3, True)
    with Image.open(io.BytesIO(event.data)) as small:
        small.load()
        assert small.mode == ("RGBA" if mode == "RGBA" else "RGB")
        assert small.width == small.height <= 768


async def test_a_small_preview_is_shown_as_it_came_and_none_is_nothing():
    previews = Previews(0)
    assert await previews.event(b"whatever it is") == Partial(b"whatever it is", 0)
    assert await previews.event(b"") is None


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: b"x" * 300_000, "it is no PNG, JPEG, WebP or GIF"),
        (lambda: noise(700)[:500_000], "it cannot be decoded"),
        (lambda: noise(900, "JPEG")[:300_000], "it cannot be decoded"),
        (lambda: b"\x89PNG\r\n\x1a\n" + bytes(300_000), "it cannot be decoded"),
        (lambda: b"GIF89a" + bytes(300_000), "it cannot be decoded"),
        (lambda: b"RIFF\0\0\0\0WEBP" + bytes(300_000), "it cannot be decoded"),
        (enormous, "it has 20000 × 20000 pixels"),
        (many_scans, "too many times over"),
        (lambda: b"\x89PNG\r\n\x1a\n" + bytes(31_000_000), "it has too many bytes"),
    ],
    ids=["text", "half", "half a JPEG", "PNG", "GIF", "WebP", "pixels", "scans", "bytes"],
)
async def test_a_hopeless_preview_is_left_out_and_that_is_said_once(made, why):
    hopeless = made()
    assert len(hopeless) > LARGEST_PREVIEW
    previews = Previews(2)
    told = await previews.event(hopeless)
    assert isinstance(told, Log)
    assert why in told.text
    assert told.index == 2
    assert await previews.event(hopeless) is None
    # What comes after it is shown again.
    assert await previews.event(b"a small one") == Partial(b"a small one", 2)


async def test_a_picture_is_never_decoded_on_the_loop(monkeypatch):
    """Decoding takes longer than the loop, which all jobs share, may be held up."""
    threads = []
    real = pictures.opened

    def opened(data):
        threads.append(threading.current_thread())
        return real(data)

    monkeypatch.setattr(pictures, "opened", opened)
    await Previews(0).event(noise(700))
    await painted(noise(8))
    assert len(threads) == 2
    assert threading.current_thread() not in threads


# -- masks ----------------------------------------------------------------------------------------


def png_of(image: Image.Image) -> bytes:
    held = io.BytesIO()
    image.save(held, "PNG")
    return held.getvalue()


def pixels_of(mask: bytes) -> list[int]:
    with Image.open(io.BytesIO(mask)) as image:
        assert (image.mode, image.format) == ("L", "PNG")
        return list(image.get_flattened_data())


@pytest.mark.req("PRV-8")
async def test_what_is_transparent_is_painted_white_or_black():
    ours = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    ours.putpixel((1, 0), (0, 0, 0, 0))
    assert pixels_of(await painted(png_of(ours))) == [0, 255]
    assert pixels_of(await painted(png_of(ours), "black")) == [255, 0]
    given = JobInput("m", "mask", 0, "image/png", lambda: png_of(ours))
    assert pixels_of(await read_mask(given)) == [0, 255]


async def test_a_mask_without_transparency_is_black_and_white_already():
    assert pixels_of(await painted(png_of(Image.new("L", (2, 1), 255)))) == [255, 255]
    assert pixels_of(await painted(png_of(Image.new("L", (2, 1), 255)), "black")) == [0, 0]


async def test_a_mask_in_a_palette_may_be_transparent_too():
    ours = Image.new("P", (2, 1), 0)
    ours.putpalette([0, 0, 0, 255, 255, 255])
    ours.putpixel((1, 0), 1)
    held = io.BytesIO()
    ours.save(held, "PNG", transparency=1)
    assert pixels_of(await painted(held.getvalue())) == [0, 255]


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("mask", [b"no picture", b"", png_of(Image.new("L", (64, 64)))[:60]])
async def test_a_mask_that_is_no_picture_is_a_sentence(mask):
    with pytest.raises(ProviderError, match="The mask cannot be read: it ") as caught:
        await painted(mask)
    assert caught.value.kind is ErrorKind.BAD_REQUEST
