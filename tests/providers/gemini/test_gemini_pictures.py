"""Google's Gemini API through the real engine, against an emulator that its own client knows."""

from __future__ import annotations

import base64
import json
from decimal import Decimal

import pytest

import workbench as wb
from tests.providers.gemini.world import COST, MODEL, WORDS, added
from tests.providers.world import ended, error_of, noise, preview_of, shown_one_by_one
from tests.waiting import until
from workbench.providers.pictures import LARGEST_PREVIEW
from workbench.testing.emulators.server import Fault, Turns
from workbench.testing.pictures import png

# -- pictures --------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "TOK-4")
def test_pictures_come_home_with_what_they_cost(ws, google):
    added(ws, google)
    done = ended(
        ws.generate("a red fox", model=MODEL, n=2, seed=7, aspect_ratio="16:9", image_size="512")
    )
    assert done.status == "completed"
    assert [g.asset.path.read_bytes() for g in done.generations] == [
        png("a red fox|7|0"),
        png("a red fox|8|0"),
    ]
    cost = COST - Decimal("0.00006") * (1120 - 747)
    assert [(g.cost, g.record.unit, g.seed) for g in done.generations] == [
        (cost, "USD", 7),
        (cost, "USD", 8),
    ]
    assert google.images_charged == 2
    assert ws.balances()["USD"] == -2 * cost
    first = min(google.requests, key=lambda seen: seen.json()["generationConfig"]["seed"])
    assert first.path == ("/v1beta/models/gemini-3.1-flash-image:streamGenerateContent?alt=sse")
    assert first.headers["x-goog-api-key"] == google.key
    assert google.key not in first.path
    assert first.json() == {
        "contents": [{"role": "user", "parts": [{"text": "a red fox"}]}],
        "generationConfig": {
            "responseModalities": ["TEXT", "IMAGE"],
            "imageConfig": {"aspectRatio": "16:9", "imageSize": "512"},
            "seed": 7,
            "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "MINIMAL"},
        },
    }
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-2")
def test_without_drafts_the_answer_comes_at_once(ws, google):
    added(ws, google)
    (made,) = ended(ws.generate("a fox", model=MODEL, drafts=False, seed=1)).generations
    assert (made.status, made.cost) == ("completed", COST)
    (seen,) = google.requests
    assert seen.path == "/v1beta/models/gemini-3.1-flash-image:generateContent"
    config = seen.json()["generationConfig"]
    assert config["thinkingConfig"] == {"thinkingLevel": "MINIMAL"}
    assert config["imageConfig"] == {"imageSize": "1K"}


@pytest.mark.req("PRV-2")
def test_a_model_of_one_resolution_is_not_asked_for_another(ws, google):
    added(ws, google)
    made = ended(ws.generate("a fox", model="google:gemini-3.1-flash-lite-image", seed=1))
    assert made.status == "completed"
    assert google.requests[0].json()["generationConfig"] == {
        "responseModalities": ["TEXT", "IMAGE"],
        "seed": 1,
    }


@pytest.mark.req("PRV-4")
def test_drafts_are_shown_on_the_way(ws, another):
    server = another(drafts=3)
    added(ws, server)
    turns = Turns()
    server.faults = [Fault(turns=turns)]
    (generation,) = ws.generate("a fox", model=MODEL, seed=1).generations
    drafts = [png(f"draft {place}", width=8, height=8) for place in range(3)]
    looks = [((place, None), draft) for place, draft in enumerate(drafts, 1)]
    shown_one_by_one(ws, generation, looks, turns.give)
    assert generation.asset.path.read_bytes() == png("a fox|1|0")


@pytest.mark.req("PRV-4")
def test_a_draft_as_large_as_a_picture_is_shown_smaller(ws, google):
    google.draft = noise(1024)
    added(ws, google)
    turns = Turns()
    google.faults = [Fault(turns=turns)]
    (generation,) = ws.generate("a fox", model=MODEL, seed=1).generations
    # The picture comes when the draft was seen: to make one small takes a while.
    shown = until(lambda: preview_of(ws, generation), "a draft")
    assert len(shown) <= LARGEST_PREVIEW < len(google.draft)
    turns.give(10)
    assert ended(generation.batch).status == "completed"


@pytest.mark.req("PRV-4", "PRV-7")
def test_a_draft_that_is_no_picture_is_a_remark_and_hurts_nobody(ws, google):
    google.draft = b"no picture" * 40_000
    added(ws, google)
    assert ended(ws.generate("a fox", model=MODEL, seed=1)).status == "completed"
    assert any("A preview of 400 kB is left out" in entry.text for entry in ws.debug.entries())


@pytest.mark.req("PRV-2", "PRV-8")
def test_references_go_in_before_anything_is_made_of_them(ws, google):
    added(ws, google)
    given = [png("one"), png("two")]
    batch = ws.generate("like these", model=MODEL, references=given, operation="edit", seed=3)
    (made,) = ended(batch).generations
    assert (made.status, made.operation) == ("completed", "edit")
    parts = google.requests[0].json()["contents"][0]["parts"]
    assert parts[0] == {"text": "like these"}
    assert [
        (part["inlineData"]["mimeType"], base64.b64decode(part["inlineData"]["data"]))
        for part in parts[1:]
    ] == [("image/png", content) for content in given]
    assert made.cost == COST + Decimal("0.00112")  # 2 × 1,120 tokens at 0.5


@pytest.mark.req("PRV-2")
def test_a_long_seed_is_sent_as_the_api_takes_it_and_told_so(ws, google):
    added(ws, google)
    (made,) = ended(ws.generate("a fox", model=MODEL, seed=2**62 + 5)).generations
    assert (made.status, made.seed) == ("completed", 5)
    assert google.requests[0].json()["generationConfig"]["seed"] == 5


@pytest.mark.req("PRV-2")
def test_a_gateway_that_cannot_stream_is_understood(ws, another):
    server = another(streams=False)
    added(ws, server)
    (made,) = ended(ws.generate("a fox", model=MODEL)).generations
    assert "stream" in server.requests[0].path
    assert (made.status, made.cost) == ("completed", COST)


def test_more_pictures_than_asked_for_are_one(ws, google):
    added(ws, google)
    google.faults = [Fault(images=3)]
    done = ended(ws.generate("a fox", model=MODEL, seed=1))
    assert (done.status, len(done.all_generations())) == ("completed", 1)
    assert done.generations[0].asset.path.read_bytes() == png("a fox|1|2")
    assert any("3 pictures instead of one" in entry.text for entry in ws.debug.entries())


# -- ends without a picture ------------------------------------------------------------------------


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize("reason", ["NO_IMAGE", "IMAGE_OTHER", "MALFORMED_RESPONSE"])
@pytest.mark.parametrize("more", [{}, {"drafts": False}], ids=["stream", "at once"])
def test_a_model_that_wrote_instead_is_asked_once_more(ws, google, reason, more):
    added(ws, google)
    google.faults = [Fault(code=reason)]
    (made,) = ended(ws.generate("a fox", model=MODEL, **more)).generations
    assert made.status == "completed"
    assert len(google.requests) == 2
    assert google.images_charged == 1
    assert made.cost == COST + WORDS


@pytest.mark.req("PRV-7", "TOK-2", "TOK-4")
def test_a_model_that_goes_on_writing_is_not_asked_a_third_time(ws, google):
    added(ws, google)
    google.fault_of = lambda seen: Fault(code="NO_IMAGE")
    (made,) = ended(ws.generate("a fox", model=MODEL)).generations
    assert (made.error.kind, made.error.charged, made.cost) == ("blocked", True, 2 * WORDS)
    assert "NO_IMAGE" in made.error.message
    assert "I would rather write." in made.error.message
    assert len(google.requests) == 2
    assert ws.balances()["USD"] == -2 * WORDS
    assert ws.doctor().problems == []


@pytest.mark.req("TOK-2", "TOK-4")
@pytest.mark.parametrize("fault", [Fault(status=429), Fault(status=500), Fault(status=401)])
def test_what_was_billed_is_booked_where_asking_again_fails(ws, google, fault):
    added(ws, google)
    google.faults = [Fault(code="NO_IMAGE"), fault]
    (made,) = ended(ws.generate("a fox", model=MODEL)).generations
    assert (made.error.kind, made.error.charged, made.cost) == ("blocked", True, WORDS)
    assert len(google.requests) == 2


@pytest.mark.req("TOK-5")
def test_asking_again_without_an_answer_leaves_the_outcome_open(ws, google):
    added(ws, google)
    google.faults = [Fault(code="NO_IMAGE"), Fault(reset_after=0)]
    (lost,) = ended(ws.generate("a fox", model=MODEL)).generations
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert len(google.requests) == 2


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("prompt:SAFETY", "blocked", "content policy"),
        ("prompt:OTHER", "blocked", "content policy"),
        ("prompt:PROHIBITED_CONTENT", "blocked", "content policy"),
        ("SAFETY", "blocked", "content policy"),
        ("RECITATION", "blocked", "content policy"),
        ("SPII", "blocked", "content policy"),
        ("IMAGE_SAFETY", "blocked", "content policy"),
        ("IMAGE_PROHIBITED_CONTENT", "blocked", "content policy"),
        ("IMAGE_RECITATION", "blocked", "content policy"),
        ("STOP", "blocked", "sent no picture (STOP)"),
        ("OTHER", "blocked", "sent no picture (OTHER)"),
        ("A_WORD_OF_2027", "blocked", "sent no picture (A_WORD_OF_2027)"),
        ("MAX_TOKENS", "bad_request", "sent no picture (MAX_TOKENS)"),
        ("LANGUAGE", "bad_request", "sent no picture (LANGUAGE)"),
        ("PUP_LIMITED_DISABLED", "auth", "does not allow"),
    ],
)
def test_every_end_without_a_picture_is_typed_and_costs_its_tokens(ws, google, code, kind, said):
    added(ws, google)
    google.faults = [Fault(code=code)]
    (made,) = ended(ws.generate("a fox", model=MODEL)).generations
    assert (made.error.kind, made.error.charged) == (kind, True)
    # A prompt that is refused was read, and not thought about.
    assert made.cost == (Decimal("0.000005") if code.startswith("prompt:") else WORDS)
    assert ws.balances()["USD"] == -made.cost
    assert said in made.error.message
    assert google.images_charged == 0
    assert len(google.requests) == 1
    assert ws.doctor().problems == []
    assert ended(ws.generate("a good one", model=MODEL)).status == "completed"


def test_no_picture_and_no_reason_is_a_block(ws, google):
    added(ws, google)
    google.faults = [Fault(status=200, body=b'{"candidates": []}')]
    error = error_of(ws.generate("a fox", model=MODEL, drafts=False))
    assert (error.kind, error.charged) == ("blocked", False)
    assert "no reason given" in error.message


# -- Imagen ----------------------------------------------------------------------------------------


IMAGEN = "google:imagen-4.0-generate-001"


@pytest.fixture
def with_imagen(workspace_home, monkeypatch) -> None:
    """A server that still has it is named in the user's own file."""
    folder = workspace_home / "own"
    folder.mkdir()
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(folder))
    models = [{"name": "imagen-4.0-generate-001", "gone": None}]
    (folder / "gemini.json").write_text(json.dumps({"format": 1, "models": models}))


@pytest.mark.req("PRV-2")
def test_imagen_makes_several_pictures_in_one_call(with_imagen, ws, google):
    added(ws, google)
    done = ended(ws.generate("a fox", model=IMAGEN, n=3, aspect_ratio="16:9"))
    assert done.status == "completed"
    assert [g.asset.path.read_bytes() for g in done.generations] == [
        png(f"a fox|None|{place}") for place in range(3)
    ]
    (seen,) = google.requests
    assert seen.path == "/v1beta/models/imagen-4.0-generate-001:predict"
    assert seen.json() == {
        "instances": [{"prompt": "a fox"}],
        "parameters": {
            "sampleCount": 3,
            "aspectRatio": "16:9",
            "sampleImageSize": "1K",
            "includeRaiReason": True,
        },
    }


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("images", [0, 2, 5])
def test_fewer_predictions_than_asked_for_were_filtered(with_imagen, ws, google, images):
    added(ws, google)
    google.faults = [Fault(images=images)]
    done = ended(ws.generate("a fox", model=IMAGEN, n=3))
    statuses = [str(generation.status) for generation in done.generations]
    kept = min(images, 3)
    assert statuses == ["completed"] * kept + ["failed"] * (3 - kept)
    for generation in done.generations[kept:]:
        assert (generation.error.kind, generation.error.charged) == ("blocked", False)
    assert google.images_charged == kept


def test_imagen_is_not_offered_where_it_is_gone(ws, google):
    added(ws, google)
    with pytest.raises(wb.InvalidRequest, match="model"):
        ws.generate("a fox", model=IMAGEN)
