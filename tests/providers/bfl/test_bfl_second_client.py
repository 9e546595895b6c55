"""A client of the API that is not ours: it speaks to the emulator as it does to the real one.

The npm package `@ai-sdk/black-forest-labs` (Vercel's) was written for the API itself. What it does
not know is the image that is filled or expanded: that is asked for in other fields.
"""

from __future__ import annotations

import base64
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.providers.bfl.world import MODEL, added, polls
from tests.providers.javascript import ClientError, called, text_of
from tests.providers.world import only
from workbench.testing.emulators.bfl import BFLEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

CLIENT = "bfl/ai_sdk.mjs"
SIZE = {"width": 1024, "height": 768}
IMAGES = [png("a photo"), png("a hat"), png("a coat")]
TOLD = {"prompt": "a fox", "seed": 7}

# What we always say, and it leaves to the API where nobody asks for another value.
LEFT_OUT = {"output_format", "prompt_upsampling", "safety_tolerance"}

# What it is asked for, and what we are for the same picture.
JOBS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"model": "flux-2-pro", "options": {**SIZE, "outputFormat": "png", "safetyTolerance": 2}},
        {"model": "flux-2-pro", **SIZE, "output_format": "png", "safety_tolerance": 2},
    ),
    (
        {"model": "flux-2-max", "files": IMAGES, "options": SIZE},
        {"model": "flux-2-max", "references": IMAGES, **SIZE},
    ),
    (
        {
            "model": "flux-2-flex",
            "options": {**SIZE, "steps": 30, "guidance": 4.5, "promptUpsampling": False},
        },
        {"model": "flux-2-flex", **SIZE, "steps": 30, "guidance": 4.5, "prompt_upsampling": False},
    ),
    (
        {"model": "flux-2-klein-4b", "files": IMAGES[:1], "options": SIZE},
        {"model": "flux-2-klein-4b", "source": IMAGES[0], **SIZE},
    ),
    (
        {"model": "flux-kontext-pro", "files": IMAGES[:2], "aspectRatio": "16:9"},
        {"model": "flux-kontext-pro", "references": IMAGES[:2], "aspect_ratio": "16:9"},
    ),
    (
        {"model": "flux-pro-1.1", "options": {**SIZE, "imagePrompt": IMAGES[0]}},
        {"model": "flux-pro-1.1", **SIZE, "references": IMAGES[:1]},
    ),
    (
        {
            "model": "flux-pro-1.1-ultra",
            "aspectRatio": "21:9",
            "options": {"raw": True, "imagePrompt": IMAGES[0], "imagePromptStrength": 0.3},
        },
        {
            "model": "flux-pro-1.1-ultra",
            "aspect_ratio": "21:9",
            "raw": True,
            "references": IMAGES[:1],
            "image_prompt_strength": 0.3,
        },
    ),
]


def in_words(value: Any) -> Any:
    """Return a call for JSON: pictures are in base64."""
    if isinstance(value, bytes):
        return text_of(value)
    if isinstance(value, dict):
        return {name: in_words(one) for name, one in value.items()}
    return [in_words(one) for one in value] if isinstance(value, list) else value


def bodies(server: BFLEmulator) -> list[tuple[str, dict[str, Any]]]:
    return [(seen.path, seen.json()) for seen in server.requests if seen.method == "POST"]


@pytest.mark.req("PRV-2", "PRV-4", "PRV-8")
def test_we_ask_for_pictures_as_it_does(ws: Any, server: BFLEmulator, tmp_path: Path) -> None:
    """Field by field, but for what it leaves to the API; and it reads what the emulator answers."""
    added(ws, server)
    server.states = ("Pending", {"status": "Pending", "progress": 0.5}, "Pending")
    calls = [in_words({**TOLD, **job}) for job, _ in JOBS]
    answers = called(CLIENT, server, calls, folder=tmp_path)
    assert [one for one in answers if isinstance(one, ClientError)] == []
    assert polls(server) == 4 * len(JOBS)
    its = bodies(server)
    assert len(its) == len(JOBS) == server.images_charged
    for its_sent, answer, (_, ours) in zip(its, answers, JOBS, strict=True):
        made = only(ws.generate(**TOLD, **{**ours, "model": f"flux:{ours['model']}"}))
        assert made.status == "completed", ours
        path, body = bodies(server)[-1]
        left_to_it = {name: value for name, value in body.items() if name in its_sent[1]}
        assert (path, left_to_it) == its_sent
        assert body.keys() - its_sent[1].keys() <= LEFT_OUT
        assert base64.b64decode(answer["picture"]) == made.asset.path.read_bytes()
        about = {"seed": 7, "cost": 3, "inputMegapixels": 0, "outputMegapixels": 1.05}
        assert (answer["about"], answer["warnings"]) == (about, [])
        assert (made.seed, made.cost) == (7, Decimal("0.03"))


@pytest.mark.req("PRV-2", "PRV-7")
def test_what_goes_wrong_is_told_as_it_reads_it(
    ws: Any, server: BFLEmulator, tmp_path: Path
) -> None:
    added(ws, server)
    fox = {**TOLD, "model": "flux-2-pro"}
    many = {**fox, "files": IMAGES * 3}  # nine, where eight go
    unfilled = {**fox, "model": "flux-pro-1.0-fill"}
    nowhere = {**fox, "model": "flux-0"}
    server.faults = [Fault(status=402), Fault(status=429)]
    calls = [in_words(one) for one in (fox, fox, many, unfilled, nowhere)]
    said = [str(one) for one in called(CLIENT, server, calls, folder=tmp_path)]
    (unknown,) = called(CLIENT, server, [fox], folder=tmp_path, key="bfl-wrong-0123456789")
    for words, its in zip(
        (
            "Insufficient credits",
            "Too many concurrent requests",
            '"loc":["body","input_image_9"]',
            '"msg":"Field required"',
            "Not Found",
            "Not authenticated",
        ),
        [*said, str(unknown)],
        strict=True,
    ):
        assert words in its
    server.ends = "Error"
    (failed,) = called(CLIENT, server, [fox], folder=tmp_path)
    assert "generation failed" in str(failed)
    assert only(ws.generate("a fox", model=MODEL)).error.kind == "bad_request"
    assert server.charges == []
