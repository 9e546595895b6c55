"""The image door: what passes, what is refused, and what a refusal costs (rows B10 to B18)."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import subprocess
import sys
import textwrap
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import GifImagePlugin, Image, ImageFile, WebPImagePlugin

from workbench.errors import ImageRejected
from workbench.media import Limits, inspect

REASONS = {
    "too_large",
    "too_many_pixels",
    "not_an_image",
    "format_not_allowed",
    "truncated",
    "broken",
}


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, pixels: bytes, *, depth: int = 8, extra: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", pixels) + chunk(b"IEND")


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)


def uint24(number: int) -> bytes:
    return struct.pack("<I", number)[:3]


def webp(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def picture() -> Image.Image:
    return Image.linear_gradient("L").resize((120, 80)).convert("RGB")


SAMPLES = {
    "png": saved(picture(), "PNG"),
    "jpeg": saved(picture(), "JPEG"),
    "progressive": saved(picture(), "JPEG", progressive=True),
    "webp": saved(picture(), "WEBP"),
    "lossless": saved(picture(), "WEBP", lossless=True),
    "gif": saved(picture(), "GIF"),
}


def refusal(data: bytes, **options: Any) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        inspect(data, **options)
    sentence = str(caught.value)
    assert caught.value.reason in REASONS
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    return caught.value


# --- What passes --------------------------------------------------------------------------------


@pytest.mark.req("DAT-2")
@pytest.mark.parametrize("name", SAMPLES)
def test_each_allowed_format_is_described(name: str) -> None:
    info = inspect(SAMPLES[name])
    mime = {"progressive": "jpeg", "lossless": "webp"}.get(name, name)
    assert (info.mime, info.width, info.height) == (f"image/{mime}", 120, 80)
    assert (info.frames, info.animated, info.trailing_bytes) == (1, False, 0)
    assert info.size_bytes == len(SAMPLES[name])
    assert len(info.sha256) == 64
    assert info.orientation == 1


def test_views_and_bytearrays_are_bytes_too() -> None:
    data = SAMPLES["png"]
    assert inspect(memoryview(data)) == inspect(bytearray(data)) == inspect(data)


@pytest.mark.parametrize(
    ("image", "kind", "alpha"),
    [
        (Image.new("RGB", (4, 4)), "PNG", False),
        (Image.new("RGBA", (4, 4)), "PNG", True),
        (Image.new("LA", (4, 4)), "PNG", True),
        (Image.new("RGBA", (4, 4)), "WEBP", True),
        (Image.new("RGB", (4, 4)), "WEBP", False),
        (Image.new("CMYK", (4, 4)), "JPEG", False),
        (Image.new("I;16", (4, 4)), "PNG", False),
    ],
)
def test_transparency_is_reported(image: Image.Image, kind: str, alpha: bool) -> None:
    assert inspect(saved(image, kind)).has_alpha is alpha


def test_a_palette_with_a_transparent_colour_has_alpha() -> None:
    assert inspect(saved(Image.new("P", (4, 4)), "PNG", transparency=0)).has_alpha
    assert inspect(saved(Image.new("P", (4, 4)), "GIF", transparency=0)).has_alpha


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_turns_the_size_that_is_shown(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    info = inspect(saved(picture(), kind, exif=exif))
    assert info.orientation == 6
    assert (info.width, info.height) == (120, 80)
    assert (info.display_width, info.display_height) == (80, 120)


# --- B10, B11: more pixels than can be held ------------------------------------------------------

JPEG_65500 = b"\xff\xd8\xff\xc0\x00\x11\x08" + struct.pack(">HH", 65500, 65500) + b"\x03" + bytes(9)
BOMBS = {
    "png": png(60_000, 60_000, b"x"),
    "png without a body": png(60_000, 60_000, b"")[:33],
    "jpeg": JPEG_65500,
    "webp extended": webp(riff(b"VP8X", bytes(4) + uint24(16_383) * 2)),
    "webp lossless": webp(riff(b"VP8L", b"\x2f" + struct.pack("<I", 0x3FFF | 0x3FFF << 14))),
    "webp lossy": webp(riff(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + b"\xff\x3f" * 2)),
    "gif screen": b"GIF89a\xff\xff\xff\xff\0\0\0\x3b",
    "gif frame": b"GIF89a\1\0\1\0\0\0\0" + b"\x2c\0\0\0\0\xff\xff\xff\xff\0\2\0\x3b",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_header_with_too_many_pixels_is_refused_before_anything_is_decoded(name: str) -> None:
    inspect(SAMPLES["png"])  # loads the decoders, which is not the bomb's doing
    tracemalloc.start()
    try:
        assert refusal(BOMBS[name]).reason == "too_many_pixels"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(
    sys.platform == "win32", reason="Not on Windows: Python's module resource tells the memory."
)
def test_refusing_bombs_takes_less_than_ten_megabytes_of_the_process() -> None:
    program = textwrap.dedent(
        """
        import pathlib, resource, sys
        from workbench.errors import ImageRejected
        from workbench.media import inspect
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        files = [pathlib.Path(name).read_bytes() for name in sys.argv[1:]]
        before = peak()
        for data in files:
            try:
                inspect(data)
            except ImageRejected as refusal:
                assert refusal.reason == "too_many_pixels"
            else:
                raise SystemExit("let in")
        print(peak() - before)
        """
    )
    root = Path(__file__).parents[2]
    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    paths = []
    for number, data in enumerate([*BOMBS.values(), png_of_170_megapixels()]):
        path = folder / f"wb-bomb-{os.getpid()}-{number}"
        path.write_bytes(data)
        paths.append(path)
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, paths)],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        for path in paths:
            path.unlink()
    kilobytes = int(done.stdout)
    assert kilobytes < 10_000


def png_of_170_megapixels() -> bytes:
    packer = zlib.compressobj(9)
    row = b"\0" + bytes(13_040 // 8)
    pixels = b"".join(packer.compress(row * 100) for _ in range(131)) + packer.flush()
    return png(13_040, 13_040, pixels, depth=1)


def test_a_small_file_of_170_megapixels_is_refused_though_pillow_would_open_it() -> None:
    data = png_of_170_megapixels()
    assert len(data) < 500_000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert Image.open(io.BytesIO(data)).size == (13_040, 13_040)
    assert refusal(data).reason == "too_many_pixels"


def test_both_caps_are_settings() -> None:
    data = SAMPLES["png"]
    assert refusal(data, limits=Limits(max_bytes=len(data) - 1)).reason == "too_large"
    assert refusal(data, limits=Limits(max_pixels=120 * 80 - 1)).reason == "too_many_pixels"
    assert inspect(data, limits=Limits(max_bytes=len(data), max_pixels=120 * 80))
    assert (Limits().max_bytes, Limits().max_pixels) == (50_000_000, 64_000_000)


def test_a_view_that_is_too_large_is_not_even_copied() -> None:
    view = memoryview(bytearray(60_000_000))
    tracemalloc.start()
    try:
        assert refusal(view).reason == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_notebook_that_lowered_pillows_own_limit_gets_no_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100 * 80)
    for name in ("png", "jpeg", "webp", "gif"):
        assert inspect(SAMPLES[name]).width == 120


def test_far_too_small_a_limit_of_pillow_is_a_refusal_not_a_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert refusal(SAMPLES["webp"]).reason == "too_many_pixels"


def test_pixel_data_beyond_the_picture_is_never_inflated() -> None:
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(bytes(1_000_000)) for _ in range(60)) + packer.flush()
    inspect(SAMPLES["png"])
    tracemalloc.start()
    try:
        assert inspect(png(1, 1, pixels)).width == 1
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


# --- B13: animations -------------------------------------------------------------------------


def animated_webp(frames: int, side: int) -> bytes:
    frame = saved(Image.new("RGB", (side, side), "red"), "WEBP", lossless=True, method=0)[12:]
    header = riff(b"VP8X", bytes([2, 0, 0, 0]) + uint24(side - 1) * 2) + riff(b"ANIM", bytes(6))
    where = bytes(6) + uint24(side - 1) * 2 + uint24(100) + b"\0"
    return webp(header + riff(b"ANMF", where + frame) * frames)


def test_of_an_animated_webp_only_the_first_frame_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = animated_webp(30, 4096)
    assert len(data) < 3_000
    decoded = []
    original = WebPImagePlugin.WebPImageFile._get_next

    def counting(self: WebPImagePlugin.WebPImageFile) -> tuple[bytes, int, int]:
        decoded.append(1)
        return original(self)

    monkeypatch.setattr(WebPImagePlugin.WebPImageFile, "_get_next", counting)
    info = inspect(data)
    assert (info.animated, info.frames, len(decoded)) == (True, 30, 1)


def test_of_an_animated_gif_only_the_first_frame_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = [Image.new("L", (20, 20), number % 256) for number in range(300)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    seen: list[int] = []
    original = GifImagePlugin.GifImageFile._seek

    def counting(self: GifImagePlugin.GifImageFile, frame: int, *rest: Any, **more: Any) -> None:
        seen.append(frame)
        original(self, frame, *rest, **more)

    monkeypatch.setattr(GifImagePlugin.GifImageFile, "_seek", counting)
    info = inspect(data)
    assert (info.animated, info.frames) == (True, 300)
    assert set(seen) == {0}


def test_an_animated_png_is_flagged_and_its_first_frame_decoded() -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue", "lime")]
    info = inspect(saved(frames[0], "PNG", save_all=True, append_images=frames[1:]))
    assert (info.mime, info.animated, info.frames) == ("image/png", True, 3)


# --- B14: formats ------------------------------------------------------------------------------

FOREIGN = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "svg with prologue": b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg onload="alert(1)"/>',
    "html": b"<!DOCTYPE html><html><script>alert(1)</script></html>",
    "html with comment": b"  \n<!-- x --><html></html>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "binary eps": b"\xc5\xd0\xd3\xc6" + bytes(40),
    "pdf": b"%PDF-1.7\n",
    "fits": b"SIMPLE  =                    T" + b" " * 2850,
    "psd": b"8BPS\0\1" + bytes(40),
    "ico": b"\0\0\1\0\1\0" + bytes(40),
    "zip": b"PK\x03\x04" + bytes(40),
    "pickle": pickle.dumps({"a": 1}, protocol=4),
    "numpy": b"\x93NUMPY\1\0" + bytes(40),
    "gzip": b"\x1f\x8b\x08" + bytes(40),
    "mp4": b"\0\0\0\x18ftypmp42" + bytes(40),
    "heic": b"\0\0\0\x18ftypheic" + bytes(40),
    "jpeg xl": b"\xff\x0a" + bytes(40),
    "tiff": saved(picture(), "TIFF"),
    "bmp": saved(picture(), "BMP"),
    "avif": saved(picture(), "AVIF"),
}
NOT_IMAGES = {
    "text": b"just a text that somebody named cat.png",
    "json": b'{"error": "quota"}',
    "zeros": bytes(64),
    "python": b"import os; os.system('true')\n",
    "ppm": saved(picture(), "PPM"),
    "tga": saved(picture(), "TGA"),
    "wave": b"RIFF\x24\0\0\0WAVEfmt ",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_formats_are_refused_by_name(name: str) -> None:
    refused = refusal(FOREIGN[name])
    assert refused.reason == "format_not_allowed"
    assert "PNG, JPEG, WebP and GIF are allowed" in str(refused)


@pytest.mark.parametrize("name", NOT_IMAGES)
def test_what_is_no_image_is_refused(name: str) -> None:
    assert refusal(NOT_IMAGES[name]).reason == "not_an_image"


def test_decoders_that_a_notebook_registered_are_never_asked() -> None:
    asked = []

    def evil(file: Any, name: Any) -> None:
        asked.append(name)

    Image.preinit()
    before = Image.OPEN["PNG"]
    try:
        Image.register_open("PNG", evil, lambda prefix: True)  # type: ignore[arg-type]
        assert inspect(SAMPLES["png"]).mime == "image/png"
    finally:
        Image.OPEN["PNG"] = before
    assert not asked


# --- B15: two files in one -------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("what", ["zip", "html"])
def test_what_is_glued_behind_a_picture_is_counted(name: str, what: str) -> None:
    tail = b"<html><script>alert(1)</script></html>"
    if what == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("x.sh", "echo")
        tail = out.getvalue()
    info = inspect(SAMPLES[name] + tail)
    assert info.trailing_bytes == len(tail)
    assert info.size_bytes == len(SAMPLES[name]) + len(tail)


# --- Cut off and damaged -----------------------------------------------------------------------


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("name", SAMPLES)
def test_no_beginning_of_a_file_passes(
    name: str, lenient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Many notebooks set this for their own loading; it must not open the door.
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    data = SAMPLES[name]
    step = max(1, len(data) // 60)
    lengths = {*range(20), *range(0, len(data), step), *range(len(data) - 24, len(data))}
    for length in sorted(lengths):
        assert refusal(data[:length]).reason == "truncated", length


def test_a_png_that_lost_its_last_bytes_loads_in_pillow_and_is_refused_here() -> None:
    for lost in range(8, 21):
        cut = SAMPLES["png"][:-lost]
        if lost <= 12:
            Image.open(io.BytesIO(cut)).load()
        assert refusal(cut).reason == "truncated"


def test_half_a_jpeg_verifies_in_pillow_and_is_refused_here() -> None:
    whole = saved(Image.effect_noise((400, 300), 60), "JPEG")
    half = whole[: len(whole) // 2]
    Image.open(io.BytesIO(half)).verify()
    assert refusal(half).reason == "truncated"


def test_missing_pixel_data_within_whole_chunks_is_noticed() -> None:
    pixels = zlib.compress(bytes(101 * 100))
    assert inspect(png(100, 100, pixels))
    assert refusal(png(100, 100, pixels[:-20])).reason in ("broken", "truncated")
    assert refusal(png(100, 100, zlib.compress(bytes(500)))).reason in ("broken", "truncated")


def test_a_wrong_checksum_is_noticed_even_in_metadata() -> None:
    good = png(1, 1, zlib.compress(bytes(2)), extra=chunk(b"tEXt", b"a\0b"))
    assert inspect(good)
    assert refusal(good.replace(b"a\0b", b"a\0c")).reason == "broken"


@pytest.mark.parametrize(
    "data",
    [
        png(0, 5, zlib.compress(b"")),
        webp(riff(b"VP8X", bytes(4) + uint24(9) * 2)),
        webp(riff(b"JUNK", bytes(20))),
        webp(riff(b"VP8L", bytes(20))),
        b"GIF89a\1\0\1\0\0\0\0\x3b",
        b"GIF89a\1\0\1\0\0\0\0\x99" + bytes(20),
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xfe\0\0" + bytes(20),
        b"\xff\xd8\xff\xda\0\2" + bytes(20),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", bytes(13)),
    ],
)
def test_files_that_make_no_sense_are_broken(data: bytes) -> None:
    assert refusal(data).reason == "broken"


def test_a_second_frame_header_cannot_smuggle_another_size() -> None:
    data = SAMPLES["jpeg"]
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 19]
    larger = frame[:5] + struct.pack(">HH", 60_000, 60_000) + frame[9:]
    assert refusal(data[: at + 19] + larger + data[at + 19 :]).reason == "broken"


def test_a_canvas_larger_than_its_picture_is_refused() -> None:
    inner = SAMPLES["lossless"][12:]
    data = webp(riff(b"VP8X", bytes(4) + uint24(7_999) * 2) + inner)
    assert refusal(data).reason == "broken"


@pytest.mark.parametrize(
    "data",
    [
        png(1, 1, b"", extra=chunk(b"teSt") * 300_000),
        b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000,
        b"GIF89a\1\0\1\0\0\0\0\x21\xfe" + b"\1x" * 2_000_000,
        b"GIF89a\1\0\1\0\0\0\0" + bytes(2_000_000),
        webp(SAMPLES["lossless"][12:] + riff(b"JUNK", b"") * 500_000),
    ],
    ids=["png chunks", "jpeg segments", "gif blocks", "gif padding", "webp chunks"],
)
def test_floods_of_tiny_parts_are_refused(data: bytes) -> None:
    assert refusal(data).reason == "broken"


def test_a_jpeg_with_thousands_of_scans_is_refused() -> None:
    data = SAMPLES["progressive"]
    start = data.rindex(b"\xff\xda")
    last_scan = data[start:-2]
    assert refusal(data[:-2] + last_scan * 2_000 + b"\xff\xd9").reason == "broken"


# --- Metadata never matters to the door -----------------------------------------------------


def test_a_huge_compressed_text_does_no_harm() -> None:
    text = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(50_000_000), 9))
    inspect(SAMPLES["png"])
    tracemalloc.start()
    try:
        assert inspect(png(1, 1, zlib.compress(bytes(2)), extra=text * 4))
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"garbage",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\x01\0\0\0\x63\0\0\0" * 10,
        b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\x09\0\0\0\0\0\0",
        b"MM\0*\0\0\0\x08\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x08\0\0\0\0",
    ],
)
def test_broken_exif_neither_warns_nor_turns_the_picture(exif: bytes) -> None:
    body = b"Exif\0\0" + exif
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    jpeg = SAMPLES["jpeg"]
    assert inspect(jpeg[:2] + segment + jpeg[2:]).orientation == 1
    assert inspect(png(1, 1, zlib.compress(bytes(2)), extra=chunk(b"eXIf", exif))).orientation == 1


def test_stray_bytes_between_segments_are_skipped_as_cameras_need_it() -> None:
    jpeg = SAMPLES["jpeg"]
    at = jpeg.index(b"\xff\xdb")
    assert inspect(jpeg[:at] + b"\0\0\x42" + jpeg[at:]).width == 120


# --- Anything at all -------------------------------------------------------------------------


@settings(max_examples=300)
@given(
    name=st.sampled_from(sorted(SAMPLES)),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.integers(0, 60),
)
def test_whatever_is_changed_in_a_file_the_door_only_ever_refuses(
    name: str, edits: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(SAMPLES[name])
    for at, value in edits:
        data[at % len(data)] = value
    if cut:
        del data[len(data) // 2 : len(data) // 2 + cut]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with contextlib.suppress(ImageRejected):
            inspect(bytes(data))


@settings(max_examples=200)
@given(
    magic=st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\1\0\0WEBP"]
    ),
    rest=st.binary(max_size=200),
)
def test_random_bytes_are_refused(magic: bytes, rest: bytes) -> None:
    with pytest.raises(ImageRejected):
        inspect(magic + rest)
