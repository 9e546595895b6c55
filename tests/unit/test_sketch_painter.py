"""The painter of the provider ``sketch``: the same request paints the same picture."""

import hashlib
import io
import subprocess
import sys
from itertools import islice, pairwise

import numpy as np
import pytest
from PIL import Image

from workbench.providers.sketch import painter
from workbench.providers.sketch.painter import STYLES, encode_png, paint

pytestmark = pytest.mark.req("PRV-1")

PROMPT = "a fox in the snow at night"


def finished(prompt=PROMPT, **options):
    request = {"width": 96, "height": 96, "seed": 5, "steps": 4} | options
    *_, picture = paint(prompt, **request)
    return picture


def difference(one, other):
    a, b = np.asarray(one, dtype=np.int16), np.asarray(other, dtype=np.int16)
    return float(np.abs(a - b).mean())


@pytest.mark.parametrize("style", STYLES)
def test_the_same_request_paints_the_same_bytes(style):
    assert encode_png(finished(style=style)) == encode_png(finished(style=style))


def test_another_process_paints_the_same_bytes():
    code = (
        "import hashlib\n"
        "from workbench.providers.sketch.painter import encode_png, paint\n"
        f"*_, p = paint({PROMPT!r}, width=96, height=96, seed=5, steps=4)\n"
        "print(hashlib.sha256(encode_png(p)).hexdigest())\n"
    )
    command = [sys.executable, "-c", code]
    first, second = (
        subprocess.run(command, capture_output=True, check=True, text=True).stdout for _ in range(2)
    )
    assert first == second
    assert first.strip() == hashlib.sha256(encode_png(finished())).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 6},
        {"style": "ink"},
        {"steps": 5},
        {"palette": 0.1},
        {"prompt": "a cat in the snow at night"},
        {"prompt": PROMPT + " gronk"},
        {"negative_prompt": "stars"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_the_request_changes_the_picture(change):
    assert difference(finished(), finished(**change)) > 0.5


def test_different_unknown_words_paint_different_pictures():
    assert difference(finished("a zorblax hill"), finished("a quuxly hill")) > 0.5


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_there_is_one_picture_per_step(style, steps):
    pictures = list(
        paint("hills and a lake", width=64, height=64, seed=1, steps=steps, style=style)
    )
    assert len(pictures) == steps
    assert {(p.mode, p.size) for p in pictures} == {("RGB", (64, 64))}


@pytest.mark.parametrize("style", STYLES)
def test_the_previews_come_nearer_to_the_finished_picture(style):
    pictures = list(paint(PROMPT, width=128, height=128, seed=2, steps=10, style=style))
    gaps = [difference(p, pictures[-1]) for p in pictures]
    assert gaps[0] > gaps[4] > gaps[8] > 0
    assert all(difference(a, b) > 0 for a, b in pairwise(pictures))


def test_an_early_preview_is_neither_blank_nor_noise():
    early = next(paint("sunset over the sea", width=128, height=128, seed=2, steps=20))
    values = np.asarray(early.convert("L"), dtype=np.float32)
    assert values.std() > 8
    assert np.abs(np.diff(values, axis=1)).mean() < 12


def test_painting_can_be_left_after_any_step():
    pictures = paint(PROMPT, width=64, height=64, seed=1, steps=20)
    assert len(list(islice(pictures, 3))) == 3
    pictures.close()


@pytest.mark.parametrize("size", [(64, 64), (64, 256), (256, 64), (136, 72), (72, 200), (1024, 64)])
@pytest.mark.parametrize("style", STYLES)
def test_any_aspect_ratio_can_be_painted(size, style):
    width, height = size
    picture = finished("a boat at sunset", width=width, height=height, style=style, steps=2)
    assert picture.size == size


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"width": 60}, "width"),
        ({"height": 2056}, "height"),
        ({"width": 100}, "multiple of 8"),
        ({"steps": 0}, "steps"),
        ({"steps": 61}, "steps"),
        ({"style": "cubist"}, "style"),
        ({"palette": 1.5}, "palette"),
        ({"palette": float("nan")}, "palette"),
    ],
)
def test_a_value_out_of_range_is_refused_at_once_with_a_sentence(change, word):
    request = {"width": 64, "height": 64, "seed": 1} | change
    with pytest.raises(ValueError, match=word):
        paint("hills", **request)


def test_a_reference_is_painted_itself():
    reference = Image.new("RGB", (200, 100), (30, 60, 200))
    reference.paste((240, 220, 40), (60, 20, 140, 80))
    picture = finished("", reference=reference, width=128, height=64, palette=0.0)
    middle, corner = picture.getpixel((64, 32)), picture.getpixel((8, 8))
    assert middle[0] > 150 > middle[2]
    assert corner[2] > 110 > corner[0]


def test_the_palette_moves_a_reference_towards_the_scene():
    reference = Image.linear_gradient("L").convert("RGB")
    plain = finished("sunset", reference=reference, palette=0.0)
    bold = finished("sunset", reference=reference, palette=1.0)
    assert difference(plain, bold) > 5


def test_a_bolder_palette_is_more_saturated():
    def saturation(level):
        picture = finished("sunset over the sea", palette=level).convert("HSV")
        return np.asarray(picture)[:, :, 1].mean()

    assert saturation(1.0) > saturation(0.0) + 10


def test_a_colour_in_the_prompt_colours_its_thing():
    def red(prompt):
        values = np.asarray(finished(prompt, width=128, height=128), dtype=np.int16)
        return int(((values[:, :, 0] - values[:, :, 2] > 80) & (values[:, :, 1] < 110)).sum())

    assert red("a red cat in a meadow at noon") > red("a blue cat in a meadow at noon") + 150


def test_the_png_is_plain_and_can_be_read_back():
    picture = finished()
    picture.info["secret"] = "text"
    data = encode_png(picture)
    assert b"tEXt" not in data
    assert difference(Image.open(io.BytesIO(data)), picture) == 0


@pytest.mark.parametrize(
    "prompt",
    ["", " ", "\x00\ud800", "🦊🚀🌈", "夕焼けの海", "z̸̢͝a̵l̷g̶o̸ " * 50, "no no without", "x" * 20_000],
)
def test_hostile_prompts_are_painted(prompt):
    assert finished(prompt, width=64, height=64, steps=2).size == (64, 64)


def test_the_version_and_the_help_are_honest():
    assert painter.VERSION
    assert "not a neural model" in painter.__doc__
    assert len(STYLES) >= 4
    assert all(STYLES.values())
