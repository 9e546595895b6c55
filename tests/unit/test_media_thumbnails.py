"""Thumbnails: small, upright, right in colour, and silent about where they come from."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from workbench.errors import ImageRejected, InvalidRequest, NotFound
from workbench.media import Limits, Media
from workbench.media.thumbnails import thumbnail

pytestmark = pytest.mark.req("DAT-2")


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.format == "WEBP"
    return image


def near(image: Image.Image, at: tuple[int, int], colour: tuple[int, ...], by: int = 12) -> bool:
    pixel = image.getpixel(at)
    assert isinstance(pixel, tuple)
    return all(abs(a - b) <= by for a, b in zip(pixel, colour, strict=False))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("size", [256, 768])
def test_the_longest_edge_is_the_size_asked_for(kind: str, size: int) -> None:
    source = saved(Image.new("RGB", (1200, 900), "teal"), kind)
    small = opened(thumbnail(source, size))
    assert small.size == (size, size * 3 // 4)
    assert near(small, (5, 5), (0, 128, 128))


def test_small_pictures_are_not_blown_up() -> None:
    assert opened(thumbnail(saved(Image.new("RGB", (40, 30)), "PNG"), 256)).size == (40, 30)


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1)])
def test_extreme_shapes_keep_at_least_one_pixel(shape: tuple[int, int]) -> None:
    small = opened(thumbnail(saved(Image.new("RGB", shape, "red"), "PNG"), 256))
    assert min(small.size) == 1
    assert max(small.size) <= 256


def corners() -> Image.Image:
    """Red at the top left, green at the top right, blue at the bottom left."""
    image = Image.new("RGB", (600, 300), "white")
    image.paste((255, 0, 0), (0, 0, 300, 150))
    image.paste((0, 255, 0), (300, 0, 600, 150))
    image.paste((0, 0, 255), (0, 150, 300, 300))
    return image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    # What a camera stores is the inverse of what a viewer has to do.
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turn = stored.get(orientation)
    image = corners() if turn is None else corners().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    small = opened(thumbnail(saved(image, kind, exif=exif), 256))
    assert small.size == (256, 128)
    assert near(small, (40, 20), (255, 0, 0), 40)
    assert near(small, (216, 20), (0, 255, 0), 40)
    assert near(small, (40, 108), (0, 0, 255), 40)


def test_transparency_is_kept() -> None:
    image = Image.new("RGBA", (400, 400), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 200, 400))
    for kind in ("PNG", "WEBP"):
        small = opened(thumbnail(saved(image, kind), 256))
        assert small.mode == "RGBA"
        assert near(small, (30, 100), (0, 0, 255, 255))
        assert small.getpixel((220, 100))[3] == 0  # type: ignore[index]


def test_palettes_with_and_without_a_transparent_colour() -> None:
    image = Image.new("P", (300, 300), 1)
    image.putpalette([255, 0, 0, 0, 0, 255] + [0] * 762)
    image.paste(0, (0, 0, 150, 300))
    for kind in ("PNG", "GIF"):
        assert near(opened(thumbnail(saved(image, kind), 256)), (20, 20), (255, 0, 0))
        clear = opened(thumbnail(saved(image, kind, transparency=0), 256))
        assert clear.getpixel((20, 20))[3] == 0  # type: ignore[index]
        assert near(clear, (230, 20), (0, 0, 255, 255))


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.new("L", (300, 300), 128), (128, 128, 128)),
        (Image.new("1", (300, 300), 1), (255, 255, 255)),
        (Image.new("LA", (300, 300), (128, 200)), (128, 128, 128, 200)),
        (Image.new("I;16", (300, 300), 128 * 257), (128, 128, 128)),
        (Image.new("I;16", (300, 300), 65_535), (255, 255, 255)),
    ],
)
def test_grey_of_any_depth_keeps_its_brightness(
    image: Image.Image, colour: tuple[int, ...]
) -> None:
    assert near(opened(thumbnail(saved(image, "PNG"), 256)), (100, 100), colour, 4)


def test_a_colour_key_in_a_picture_without_palette_is_transparent() -> None:
    image = Image.new("RGB", (300, 300), (1, 2, 3))
    small = opened(thumbnail(saved(image, "PNG", transparency=(1, 2, 3)), 256))
    assert small.getpixel((100, 100))[3] == 0  # type: ignore[index]


def test_print_colours_become_screen_colours() -> None:
    image = Image.new("CMYK", (300, 300), (0, 255, 255, 0))
    small = opened(thumbnail(saved(image, "JPEG", quality=95), 256))
    assert small.mode == "RGB"
    assert near(small, (100, 100), (255, 0, 0), 30)


def swapped_profile() -> bytes:
    """A profile that a viewer must honour: it calls our red something else."""
    profile = ImageCms.createProfile("LAB")
    del profile
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Exchange the tags of the red and the green primary: red bytes then mean green.
    swapped = bytearray(srgb)
    red, green = srgb.index(b"rXYZ"), srgb.index(b"gXYZ")
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    at = srgb.find("sRGB".encode("utf-16-be"))
    if at >= 0:
        swapped[at : at + 8] = "xyzw".encode("utf-16-be")
    return bytes(swapped)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_colour_profiles_are_applied_and_left_out(kind: str) -> None:
    image = Image.new("RGB", (300, 300), (255, 0, 0))
    data = saved(image, kind, icc_profile=swapped_profile())
    small = opened(thumbnail(data, 256))
    assert near(small, (100, 100), (0, 255, 0), 40)
    assert "icc_profile" not in small.info


def test_colour_profiles_keep_transparency() -> None:
    image = Image.new("RGBA", (300, 300), (255, 0, 0, 100))
    small = opened(thumbnail(saved(image, "PNG", icc_profile=swapped_profile()), 256))
    assert small.getpixel((100, 100))[3] == 100  # type: ignore[index]
    assert near(small, (100, 100), (0, 255, 0), 40)


@pytest.mark.parametrize("profile", [b"garbage", b"\0" * 128, swapped_profile()[:200]])
@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "1"])
def test_broken_or_wrong_profiles_are_ignored(profile: bytes, mode: str) -> None:
    data = saved(Image.new(mode, (300, 300)), "PNG", icc_profile=profile)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(thumbnail(data, 256)).size == (256, 256)


def test_a_profile_of_another_kind_of_colour_is_ignored() -> None:
    data = saved(Image.new("L", (300, 300), 77), "PNG", icc_profile=swapped_profile())
    assert near(opened(thumbnail(data, 256)), (9, 9), (77, 77, 77), 4)


def test_nothing_of_the_metadata_remains() -> None:
    exif = Image.Exif()
    exif[0x010F] = "CANARY camera"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (48.0, 12.0, 30.0)
    for kind in ("JPEG", "WEBP", "PNG"):
        options: dict[str, Any] = {"exif": exif}
        if kind != "PNG":
            options["xmp"] = b"<x:xmpmeta>CANARY</x:xmpmeta>"
        small = thumbnail(saved(corners(), kind, **options), 256)
        for canary in (b"CANARY", b"EXIF", b"Exif", b"XMP", b"ICCP"):
            assert canary not in small


def test_of_an_animation_the_first_frame_is_shown() -> None:
    frames = [Image.new("RGB", (300, 300), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        small = opened(thumbnail(data, 256))
        assert near(small, (9, 9), (255, 0, 0))
        assert getattr(small, "n_frames", 1) == 1


def test_what_the_door_refuses_gets_no_thumbnail() -> None:
    whole = saved(corners(), "PNG")
    for data in (b"", b"<svg/>", whole[:-30], whole[:60]):
        with pytest.raises(ImageRejected):
            thumbnail(data, 256)


def test_paths_are_read_and_links_are_not(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(saved(corners(), "PNG"))
    assert opened(thumbnail(file, 256)).size == (256, 128)
    link = tmp_path / "b"
    link.symlink_to(file)
    with pytest.raises(OSError, match=r".+"):
        thumbnail(link, 256)


# --- The facade ----------------------------------------------------------------------------------


@pytest.fixture
def media(tmp_path: Path) -> Media:
    return Media(tmp_path / "media")


def test_admitted_bytes_come_back_exactly(media: Media) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(corners(), "JPEG", exif=exif) + b"tail"
    asset = media.admit(memoryview(data), source="upload")
    assert media.read(asset.id) == data
    assert (asset.mime, asset.source, asset.size_bytes) == ("image/jpeg", "upload", len(data))
    assert (asset.width, asset.height) == (300, 600)
    assert media.path(asset.id).read_bytes() == data


def test_the_picture_itself_opens_upright_and_anew_each_time(media: Media) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    turned = corners().transpose(Image.Transpose.ROTATE_270)
    asset = media.admit(saved(turned, "PNG", exif=exif), source="upload")
    image = media.open(asset.id)
    assert (image.size, image.size) == ((600, 300), (asset.width, asset.height))
    assert image.getpixel((10, 10)) == (255, 0, 0)
    image.putpixel((10, 10), (0, 0, 0))
    assert media.open(asset.id).getpixel((10, 10)) == (255, 0, 0)
    with pytest.raises(NotFound):
        media.open("ab" * 32)


def test_what_was_stored_under_wider_caps_stays_usable(tmp_path: Path) -> None:
    asset = Media(tmp_path).admit(saved(corners(), "PNG"), source="upload")
    narrow = Media(tmp_path, Limits(max_bytes=100, max_pixels=100))
    assert opened(narrow.thumbnail(asset.id).read_bytes()).size == (256, 128)
    assert narrow.open(asset.id).size == (600, 300)


def test_what_is_refused_leaves_no_trace(media: Media, tmp_path: Path) -> None:
    with pytest.raises(ImageRejected):
        media.admit(b"<svg/>", source="upload")
    assert list(tmp_path.iterdir()) == []


def test_thumbnails_are_made_once_and_again_when_lost(media: Media) -> None:
    asset = media.admit(saved(corners(), "PNG"), source="upload")
    path = media.thumbnail(asset.id, 256)
    made = path.stat().st_mtime_ns
    assert media.thumbnail(asset.id, 256) == path
    assert path.stat().st_mtime_ns == made
    path.unlink()
    assert opened(media.thumbnail(asset.id).read_bytes()).size == (256, 128)
    assert media.thumbnail(asset.id, 768) != path
    with pytest.raises(InvalidRequest):
        media.thumbnail(asset.id, 300)
    media.remove(asset.id)
    assert not path.exists()
    with pytest.raises(NotFound):
        media.thumbnail(asset.id, 256)


def test_previews_pass_the_door_too(media: Media) -> None:
    media.put_preview("g1", saved(Image.new("RGB", (64, 64)), "JPEG"))
    kept = media.read_preview("g1")
    assert kept
    for data in (b"<svg/>", kept[:-5], saved(Image.new("1", (4000, 4000)), "PNG")):
        with pytest.raises(ImageRejected):
            media.put_preview("g1", data)
    assert media.read_preview("g1") == kept
    media.drop_preview("g1")
    assert media.read_preview("g1") is None
