"""A client of the API that is not ours: it speaks to the emulator as it does to the real one.

The npm package `stability-ai` was written for the API itself, by somebody else. It has pictures
told in JSON, where we ask for their bytes.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.providers.javascript import ClientError, called
from tests.providers.stability.world import CORE, added, fields_of, files_of, posts
from tests.providers.world import only
from workbench.testing.emulators.server import Fault, Seen
from workbench.testing.emulators.stability import StabilityEmulator
from workbench.testing.pictures import png

CLIENT = "stability/stability_ai.mjs"
PHOTO, MASK = png("a photo"), png("where")

MORE = {"seed": 7, "outputFormat": "webp"}
ALL = {**MORE, "negativePrompt": "fog"}
OUR_MORE = {"seed": 7, "output_format": "webp"}
SIDES = {"left": 64, "right": 16, "up": 32, "down": 8}
OUR_ALL = {**OUR_MORE, "negative_prompt": "fog"}

# What it does not know, and leaves to the API's defaults.
UNKNOWN_TO_IT = {"cfg_scale", "creativity", "grow_mask"}

_SD3 = {"model": "sd3.5-medium", "mode": "text-to-image", "aspectRatio": "1:1"}
_BEGUN = {"model": "sd3.5-large", "mode": "image-to-image", "image": "photo.png", "strength": 0.4}
# Its function, what that is given, and what we are asked for the same picture.
JOBS: list[tuple[str, list[Any], dict[str, Any]]] = [
    (
        "generate.core",
        ["a fox", {**ALL, "aspectRatio": "16:9"}],
        {**OUR_ALL, "model": "stable-image-core", "aspect_ratio": "16:9"},
    ),
    (
        "generate.ultra",
        ["a fox", {**ALL, "aspectRatio": "2:3"}],
        {**OUR_ALL, "model": "stable-image-ultra", "aspect_ratio": "2:3"},
    ),
    (
        "generate.sd3",
        ["a fox", {**ALL, **_SD3}],
        {**OUR_ALL, "model": "sd3.5-medium", "aspect_ratio": "1:1"},
    ),
    (
        "generate.sd3",
        ["a fox", {**ALL, **_BEGUN}],
        {**OUR_ALL, "model": "sd3.5-large", "source": PHOTO, "strength": 0.4},
    ),
    (
        "edit.inpaint",
        ["photo.png", "a fox", {**ALL, "mask": "mask.png"}],
        {**OUR_ALL, "model": "inpaint", "source": PHOTO, "mask": MASK},
    ),
    (
        "edit.erase",
        ["photo.png", {**MORE, "mask": "mask.png"}],
        {**OUR_MORE, "model": "erase", "source": PHOTO, "mask": MASK},
    ),
    (
        "edit.outpaint",
        ["photo.png", {**MORE, "prompt": "a fox", **SIDES}],
        {**OUR_MORE, "model": "outpaint", "source": PHOTO, **SIDES},
    ),
    (
        "edit.searchAndReplace",
        ["photo.png", "a fox", "a dog", ALL],
        {**OUR_ALL, "model": "search-and-replace", "source": PHOTO, "search_prompt": "a dog"},
    ),
    (
        "edit.removeBackground",
        ["photo.png", {"outputFormat": "webp"}],
        {"model": "remove-background", "source": PHOTO, "output_format": "webp"},
    ),
    (
        "control.sketch",
        ["photo.png", "a fox", {**ALL, "controlStrength": 0.6}],
        {**OUR_ALL, "model": "sketch", "source": PHOTO, "control_strength": 0.6},
    ),
    (
        "control.structure",
        ["photo.png", "a fox", {**ALL, "controlStrength": 0.6}],
        {**OUR_ALL, "model": "structure", "source": PHOTO, "control_strength": 0.6},
    ),
    (
        "control.style",
        ["photo.png", "a fox", {**ALL, "aspectRatio": "1:1", "fidelity": 0.3}],
        {**OUR_ALL, "model": "style", "source": PHOTO, "aspect_ratio": "1:1", "fidelity": 0.3},
    ),
    (
        "upscale.conservative",
        ["photo.png", "a fox", {**ALL, "creativity": 0.3}],
        {**OUR_ALL, "model": "upscale-conservative", "source": PHOTO, "creativity": 0.3},
    ),
    (
        "upscale.startCreative",
        ["photo.png", "a fox", {**ALL, "creativity": 0.2}],
        {**OUR_ALL, "model": "upscale-creative", "source": PHOTO, "creativity": 0.2},
    ),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where it finds the images that it is given by their names."""
    (tmp_path / "photo.png").write_bytes(PHOTO)
    (tmp_path / "mask.png").write_bytes(MASK)
    return tmp_path


def of_image(name: str, *given: Any) -> dict[str, Any]:
    return {"name": f"v2beta.stableImage.{name}", "given": given}


def sent(seen: Seen) -> tuple[str, dict[str, str], dict[str, tuple[str, bytes]]]:
    """Where to, fields, and files; a mask without its bytes, since ours is made black and white."""
    files = {
        name: (mime, b"" if name == "mask" else content)
        for name, (mime, content) in files_of(seen).items()
    }
    return seen.path, fields_of(seen), files


@pytest.mark.req("PRV-2", "PRV-8")
def test_we_ask_for_pictures_as_it_does(ws: Any, server: StabilityEmulator, folder: Path) -> None:
    """Field by field, but for what it leaves to the API; and it reads what the emulator answers."""
    added(ws, server)
    asked = [of_image(name, *given) for name, given, _ in JOBS]
    answers = called(CLIENT, server, asked, folder=folder)
    assert [one for one in answers if isinstance(one, ClientError)] == []
    its = [sent(seen) for seen in posts(server)]
    assert len(its) == len(JOBS) == server.images_charged
    for (name, _, ours), its_sent, answer in zip(JOBS, its, answers, strict=True):
        upscales = "upscale" in name
        more = {"operation": "upscale"} if upscales else {}
        made = only(ws.generate("a fox", **{**ours, **more, "model": f"stab:{ours['model']}"}))
        assert made.status == "completed", name
        path, fields, files = sent(posts(server)[-1])
        left_to_it = {key: value for key, value in fields.items() if key in its_sent[1]}
        assert (path, left_to_it, files) == its_sent, name
        assert fields.keys() - its_sent[1].keys() <= UNKNOWN_TO_IT, name
        if "picture" in answer:
            about = (answer["contentFiltered"], answer["errored"], answer["seed"])
            assert about == (False, False, int(fields.get("seed", 343_940_597))), name
            picture = made.asset.path.read_bytes()
            assert base64.b64decode(answer["picture"]) == picture, name


@pytest.mark.req("PRV-2", "PRV-4")
def test_it_asks_for_a_job_by_its_id(server: StabilityEmulator, folder: Path) -> None:
    begin = [of_image("upscale.startCreative", "photo.png", "a fox", {"outputFormat": "png"})]
    (begun,) = called(CLIENT, server, begin, folder=folder)
    assert len(begun["id"]) == 64
    ask = of_image("results.fetchAsyncGenerationResult", begun["id"])
    nobodys = of_image("results.fetchAsyncGenerationResult", "f" * 64)
    balance = {"name": "v1.user.balance", "given": []}
    *waiting, done, lost, left = called(
        CLIENT, server, [ask, ask, ask, nobodys, balance], folder=folder
    )
    assert waiting == [{"id": begun["id"], "status": "in-progress"}] * 2
    assert base64.b64decode(done["picture"]) == png("a fox")
    assert (lost.name, server.images_charged) == ("StabilityAIRecordNotFoundError", 1)
    assert left == {"credits": 12.3456}


@pytest.mark.req("PRV-2", "PRV-7")
def test_what_goes_wrong_is_what_it_knows_by_name(
    ws: Any, server: StabilityEmulator, folder: Path
) -> None:
    added(ws, server)
    core = of_image("generate.core", "a fox", {"outputFormat": "png"})
    wrong = of_image("generate.core", "a fox", {"outputFormat": "gif"})
    server.faults = [Fault(status=403)]
    moderated, refused = called(CLIENT, server, [core, wrong], folder=folder)
    (unknown,) = called(CLIENT, server, [core], folder=folder, key="sk-wrong-0123456789")
    assert [
        (one.name, name in str(one))
        for one, name in (
            (moderated, "content_moderation"),
            (refused, "bad_request"),
            (unknown, "unauthorized"),
        )
    ] == [
        ("StabilityAIContentModerationError", True),
        ("StabilityAIInvalidRequestError", True),
        ("StabilityAIUnauthorizedError", True),
    ]
    server.faults = [Fault(status=403)]
    assert only(ws.generate("a fox", model=CORE)).error.kind == "blocked"
    server.reason = "CONTENT_FILTERED"
    (blurred,) = called(CLIENT, server, [core], folder=folder)
    assert blurred["contentFiltered"]
    assert only(ws.generate("a fox", model=CORE)).error.kind == "blocked"
    assert server.charges == []
