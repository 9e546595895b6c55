"""Google's Gemini API through the real engine, against an emulator that its own client knows."""

from __future__ import annotations

import base64
import functools
import json
import logging
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import workbench as wb
from workbench.domain.jobs import JobRef, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, ProviderError
from workbench.providers import gemini_wire
from workbench.providers.catalogue import load
from workbench.providers.gemini import Gemini
from workbench.providers.gemini_wire import Reading, TokenRates, Tokens, error_in, tokens_of
from workbench.providers.http import Patience
from workbench.providers.polling import Pace
from workbench.testing.emulators import gemini as emulator
from workbench.testing.emulators.gemini import GeminiEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

CANARY = "AIzaCanary0123456789abcdefghijklmnop"
MODEL = "google:gemini-3.1-flash-image"
# 10 tokens of text in at 0.5, 100 of thoughts at 3, 1,120 of a picture at 60 USD per million.
COST = Decimal("0.067505")
BACKGROUND = {"resumable": True}
FAST = functools.partial(Pace, first_s=0.01, longest_s=0.05)


@pytest.fixture
def google() -> Iterator[GeminiEmulator]:
    with GeminiEmulator() as server:
        yield server


@pytest.fixture
def another() -> Iterator:
    opened = []

    def make(**how) -> GeminiEmulator:
        opened.append(GeminiEmulator(**how))
        return opened[-1].__enter__()

    yield make
    for server in opened:
        server.close()


def added(ws, server: GeminiEmulator, **changes) -> Gemini:
    given = {"base_url": server.base_url, "key": server.key, "pace": FAST, **changes}
    provider = Gemini("google", **given)
    ws.add_provider(provider)
    return provider


def ended(batch: wb.Batch) -> wb.Batch:
    return batch.wait(30)


def error_of(batch: wb.Batch):
    (generation,) = ended(batch).generations
    assert generation.error is not None, (generation.status, generation.detail)
    return generation.error


def until(true, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    assert true()


def polls(server: GeminiEmulator) -> list:
    return [seen for seen in server.requests if seen.method == "GET"]


def creates(server: GeminiEmulator) -> list:
    return [
        seen
        for seen in server.requests
        if seen.method == "POST" and not seen.path.endswith("/cancel")
    ]


# -- pictures -------------------------------------------------------------------------------------


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
    server.faults = [Fault(gap_s=0.4)]
    (generation,) = ws.generate("a fox", model=MODEL, seed=1).generations
    shown, steps = set(), set()
    end = time.monotonic() + 20
    while not generation.status.is_terminal and time.monotonic() < end:
        preview = ws._engine.media.read_preview(generation.id)
        if preview:
            shown.add(preview)
        steps.add(generation.record.step)
        time.sleep(0.02)
    assert generation.status == "completed"
    assert shown == {png(f"draft {place}", width=8, height=8) for place in range(3)}
    assert {1, 2, 3} <= steps
    assert generation.asset.path.read_bytes() == png("a fox|1|0")


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


# -- ends without a picture -----------------------------------------------------------------------


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
    assert made.cost == COST + Decimal("0.000305")  # the words cost something, too


@pytest.mark.req("PRV-7")
def test_a_model_that_goes_on_writing_is_not_asked_a_third_time(ws, google):
    added(ws, google)
    google.fault_of = lambda seen: Fault(code="NO_IMAGE")
    error = error_of(ws.generate("a fox", model=MODEL))
    assert (error.kind, error.charged) == ("blocked", False)
    assert "NO_IMAGE" in error.message
    assert "I would rather write." in error.message
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
def test_every_end_without_a_picture_is_typed_and_costs_nothing(ws, google, code, kind, said):
    added(ws, google)
    ws.grant(10)
    ws.set_price(MODEL, 1)
    google.faults = [Fault(code=code)]
    error = error_of(ws.generate("a fox", model=MODEL))
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert google.images_charged == 0
    assert len(google.requests) == 1
    assert ws.balance == 10
    assert ended(ws.generate("a good one", model=MODEL)).status == "completed"


def test_no_picture_and_no_reason_is_a_block(ws, google):
    added(ws, google)
    google.faults = [Fault(status=200, body=b'{"candidates": [{}]}')]
    error = error_of(ws.generate("a fox", model=MODEL, drafts=False))
    assert (error.kind, error.charged) == ("blocked", False)
    assert "no reason given" in error.message


# -- faults ---------------------------------------------------------------------------------------

FAILS = [
    (Fault(status=400), "bad_request", "does not accept"),
    (Fault(status=400, code="API_KEY_INVALID"), "auth", "its key"),
    (Fault(status=401), "auth", "did not accept its key"),
    (Fault(status=403), "auth", "does not allow"),
    (Fault(status=404), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    (Fault(status=402), "quota", "no credit"),
    (Fault(status=429, code="PerDay"), "quota", "no credit"),
    (Fault(status=429, code="NoCredit"), "quota", "no credit"),
    (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "bad_request", "redirects"),
    (Fault(status=400, body=b"<html>" + b"x" * 100_000), "bad_request", "does not accept"),
    (Fault(status=400, body=b'[{"error": {"message": "odd"}}]'), "bad_request", "odd"),
]
LOST = [
    Fault(reset_after=0),
    Fault(reset_after=40),
    Fault(silent=True, code="STOP"),
    Fault(status=200, body=b"<html>Sign in first</html>", content_type="text/html"),
    Fault(status=200, body=b"[]"),
    Fault(status=200, body=b"{}"),
    Fault(status=502),
    Fault(status=504),
    Fault(pause_s=1.6),
]


def only_for(prompt: str, fault: Fault):
    return lambda seen: fault if prompt.encode() in seen.body else None


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(
    ("fault", "kind", "said", "more"),
    [(*row, {}) for row in FAILS]
    + [(*row, BACKGROUND) for row in FAILS if row[0].code != "PerDay"],
    ids=repr,
)
def test_a_failure_is_typed_costs_nothing_and_leaves_others_alone(
    ws, google, fault, kind, said, more
):
    added(ws, google)
    ws.grant(10)
    ws.set_price(MODEL, 1)
    google.fault_of = only_for("the bad one", fault)
    good = ws.generate("a good one", model=MODEL, n=2, **more)
    bad = ws.generate("the bad one", model=MODEL, **more)
    error = error_of(bad)
    assert ended(good).status == "completed"
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert error.message.endswith((".", "…")) or fault.body
    assert google.key not in error.message
    assert ws.balance == 8
    assert sum(b"the bad one" in seen.body for seen in google.requests) == 1
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize("fault", LOST, ids=repr)
def test_a_lost_answer_is_an_unknown_outcome_and_is_not_asked_for_again(ws, google, fault):
    added(ws, google, patience=Patience(total_s=1.2))
    ws.grant(10)
    ws.set_price(MODEL, 1)
    google.fault_of = only_for("the bad one", fault)
    good = ws.generate("a good one", model=MODEL, n=2)
    more = {"drafts": False} if fault.status == 200 else {}
    (bad,) = ended(ws.generate("the bad one", model=MODEL, **more)).generations
    assert ended(good).status == "completed"
    assert (bad.status, bad.detail) == ("processing", "outcome_unknown")
    assert sum(b"the bad one" in seen.body for seen in google.requests) == 1
    assert google.images_charged - 2 in (0, 1)
    assert ws.balance == 7
    assert ws.doctor().problems == []


@pytest.mark.req("TOK-5")
def test_a_slow_drip_ends_at_the_deadline(ws, google):
    added(ws, google, patience=Patience(total_s=1.0))
    google.faults = [Fault(drip_s=0.02)]
    (lost,) = ended(ws.generate("a fox", model=MODEL)).generations
    assert lost.detail == "outcome_unknown"


@pytest.mark.req("TOK-5")
def test_a_picture_whose_stream_broke_off_after_it_is_kept(ws, google):
    added(ws, google)
    google.faults = [Fault(silent=True)]
    (made,) = ended(ws.generate("a fox", model=MODEL, seed=1)).generations
    assert made.status == "completed"
    whole = len(b"".join(google.reply(google.requests[0], Fault(silent=True)).pieces))
    # In the middle of the last event, when the ones before it were read.
    google.faults = [Fault(reset_after=whole + 40, gap_s=0.3)]
    (again,) = ended(ws.generate("a fox", model=MODEL, seed=1, force=True)).generations
    assert again.status == "completed"


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (Fault(status=429, code="RetryInfo:0.05s"), 0.0),
        (Fault(status=429, code="RetryInfo:1.2s"), 1.2),
        (Fault(status=429, code="RetryInfo:soon"), 0.0),
        (Fault(status=429, headers={"Retry-After": "1"}), 1.0),
        (Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), 0.0),
        (Fault(status=500), 0.0),
        (Fault(status=503), 0.0),
        (Fault(in_stream="whatever"), 0.0),
    ],
    ids=repr,
)
def test_a_passing_failure_is_tried_again_after_what_it_asks_for(ws, google, fault, waits):
    added(ws, google)
    google.faults = [fault]
    begun = time.monotonic()
    (made,) = ended(ws.generate("a fox", model=MODEL)).generations
    assert made.status == "completed"
    assert time.monotonic() - begun >= waits
    assert len(google.requests) == 2
    assert google.images_charged - bool(fault.in_stream) == 1


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(
    "fault",
    [Fault(image=b"<html>no picture</html>"), Fault(cut=0.5), Fault(image=b"")],
    ids=["text", "half", "nothing"],
)
@pytest.mark.parametrize(
    "more", [{}, {"drafts": False}, BACKGROUND], ids=["stream", "at once", "background"]
)
def test_bytes_that_are_no_picture_fail_with_what_they_cost(ws, google, fault, more):
    added(ws, google)
    ws.grant(10)
    ws.set_price(MODEL, 1)
    google.faults = [fault]
    error = error_of(ws.generate("a fox", model=MODEL, **more))
    assert (error.kind, error.charged) == ("bad_image", True)
    assert ws.balance == 9
    assert ended(ws.generate("another", model=MODEL)).status == "completed"


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancelled_call_is_followed_to_its_end_because_it_is_paid_for(ws, google):
    added(ws, google)
    google.faults = [Fault(pause_s=0.6)]
    batch = ws.generate("a fox", model=MODEL)
    until(lambda: google.requests)
    batch.cancel()
    until(lambda: len(batch.all_generations()) == 2)
    first, late = batch.all_generations()
    assert (first.status, late.status, late.retry_of) == ("cancelled", "completed", first.id)
    assert ws.balances()["USD"] == -COST


@pytest.mark.req("TOK-5")
def test_a_call_that_was_under_way_when_its_process_closed_is_not_made_again(
    workspace_home, google
):
    google.faults = [Fault(pause_s=3.0)]
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, google)
        batch = ws.generate("a fox", model=MODEL)
        until(lambda: google.requests)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, google)
        (generation,) = again.batch(batch.id).wait(30).generations
        assert (generation.status, generation.detail) == ("processing", "outcome_unknown")
    assert len(google.requests) == google.images_charged == 1


# -- in the background ----------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-4", "TOK-4")
def test_an_interaction_is_begun_asked_for_and_comes_home(ws, google):
    added(ws, google)
    batch = ws.generate(
        "a fox", model=MODEL, seed=7, aspect_ratio="1:4", references=[png("one")], **BACKGROUND
    )
    (made,) = ended(batch).generations
    assert (made.status, made.seed) == ("completed", 7)
    assert made.cost == COST + Decimal("0.00056")
    assert made.asset.path.read_bytes() == png("a fox|7|0")
    create, *asked = google.requests
    assert (create.method, create.path) == ("POST", "/v1beta/interactions")
    assert create.headers["api-revision"] == "2026-05-20"
    assert create.json() == {
        "model": "gemini-3.1-flash-image",
        "input": [
            {
                "type": "user_input",
                "content": [
                    {"type": "text", "text": "a fox"},
                    {
                        "type": "image",
                        "mime_type": "image/png",
                        "data": base64.b64encode(png("one")).decode(),
                    },
                ],
            }
        ],
        "response_format": {"type": "image", "aspect_ratio": "1:4", "image_size": "1K"},
        "background": True,
        "store": True,
        "generation_config": {"seed": 7, "thinking_level": "minimal"},
    }
    assert [(one.method, one.path) for one in asked] == [
        ("GET", "/v1beta/interactions/v1_Chd0")
    ] * 3
    assert google.images_charged == 1
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-4")
def test_its_place_in_the_queue_and_its_progress_are_told(ws, google):
    google.statuses = ["queued"] * 20 + ["in_progress"] * 20
    added(ws, google)
    (generation,) = ws.generate("a fox", model=MODEL, **BACKGROUND).generations
    told = []
    until(lambda: told.append(str(generation.status)) or generation.status.is_terminal, 20)
    shown = [one for place, one in enumerate(told) if told[place - 1 : place] != [one]]
    assert shown[-3:] == ["queued", "processing", "completed"]


@pytest.mark.req("PRV-4")
def test_an_unknown_status_is_waited_out_and_a_repeated_one_hurts_nobody(ws, google):
    google.statuses = ["in_progress", "queued", "queued", "pondering", "", "in_progress"]
    added(ws, google)
    assert ended(ws.generate("a fox", model=MODEL, **BACKGROUND)).status == "completed"
    assert google.images_charged == 1


@pytest.mark.req("PRV-6")
def test_a_cancel_reaches_the_interaction(ws, google):
    google.statuses = ["in_progress"] * 100_000
    added(ws, google)
    batch = ws.generate("a fox", model=MODEL, **BACKGROUND)
    until(lambda: len(polls(google)) > 2)
    batch.cancel()
    until(lambda: any(seen.path.endswith("/v1_Chd0/cancel") for seen in google.requests))
    (generation,) = ended(batch).generations
    assert generation.status == "cancelled"
    assert google.images_charged == 0
    asked = len(google.requests)
    time.sleep(0.3)
    assert len(google.requests) <= asked + 2
    assert ws.balances().get("USD", 0) == 0


@pytest.mark.req("PRV-5", "TOK-5")
def test_another_process_goes_on_with_nothing_but_the_reference(workspace_home, google):
    google.statuses = ["in_progress"] * 100_000
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, google)
        batch = ws.generate("a fox", model=MODEL, seed=7, **BACKGROUND)
        until(lambda: len(polls(google)) > 1)
    (job,) = google.jobs.values()
    job.statuses.clear()
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, google)
        (made,) = again.batch(batch.id).wait(30).generations
        assert (made.status, made.seed, made.cost) == ("completed", 7, COST)
        assert again.doctor().problems == []
    assert len(creates(google)) == google.images_charged == 1


@pytest.mark.req("PRV-4", "PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503),
        Fault(status=502),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, code="RetryInfo:0.05s"),
        Fault(reset_before=True),
        Fault(reset_after=0),
        Fault(reset_after=30),
    ],
    ids=repr,
)
def test_a_question_that_fails_in_passing_is_asked_again(ws, google, fault):
    added(ws, google)
    google.faults = [None, None, fault, fault]
    (made,) = ended(ws.generate("a fox", model=MODEL, **BACKGROUND)).generations
    assert made.status == "completed"
    assert len(creates(google)) == google.images_charged == 1


@pytest.mark.req("TOK-5")
@pytest.mark.parametrize("fault", [Fault(reset_after=0), Fault(status=504), Fault(status=200)])
def test_a_create_whose_answer_was_lost_is_an_unknown_outcome(ws, google, fault):
    added(ws, google)
    body = {"body": b"{}"} if fault.status == 200 else {}
    google.faults = [Fault(status=fault.status, reset_after=fault.reset_after, **body)]
    (lost,) = ended(ws.generate("a fox", model=MODEL, **BACKGROUND)).generations
    assert lost.detail == "outcome_unknown"
    assert len(google.requests) == 1


@pytest.mark.req("TOK-5", "PRV-7")
@pytest.mark.parametrize("fault", [Fault(status=404), Fault(status=400, code="API_KEY_INVALID")])
async def test_a_reference_that_cannot_be_asked_for_leaves_its_outcome_open(google, fault):
    provider = Gemini("google", base_url=google.base_url, key=google.key, pace=FAST)
    request = _request(params=BACKGROUND)
    ref = await provider.submit(request)
    google.fault_of = lambda seen: fault
    with pytest.raises(ProviderError) as caught:
        [event async for event in provider.events(request, ref)]
    await provider.close()
    assert caught.value.maybe_sent
    assert len(polls(google)) == 1


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("blocked_by_safety", "blocked", "content policy"),
        ("status:failed", "transient", "gave this picture up (failed). Retry it. It says:"),
        ("status:incomplete", "transient", "gave this picture up (incomplete)"),
        ("status:requires_action", "transient", "(requires_action)"),
        ("status:cancelled", "transient", "cancelled this job"),
        ("status:budget_exceeded", "quota", "no credit"),
        ("status:completed", "blocked", "sent no picture"),
    ],
)
def test_an_interaction_that_is_over_is_not_asked_for_again(ws, google, code, kind, said):
    added(ws, google)
    ws.grant(10)
    ws.set_price(MODEL, 1)
    google.faults = [Fault(code=code)]
    error = error_of(ws.generate("a fox", model=MODEL, **BACKGROUND))
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert len(polls(google)) == 3
    assert google.images_charged == 0
    assert ws.balance == 10


@pytest.mark.parametrize(("images", "ends"), [(0, "failed"), (3, "completed")])
def test_no_picture_of_an_interaction_is_a_block_and_more_are_one(ws, google, images, ends):
    added(ws, google)
    google.faults = [Fault(images=images)]
    (made,) = ended(ws.generate("a fox", model=MODEL, **BACKGROUND)).generations
    assert made.status == ends
    assert made.error is None or made.error.kind == "blocked"


@pytest.mark.req("PRV-7")
def test_a_picture_that_was_left_at_an_address_is_fetched_without_the_key(ws, another):
    server = another(uris=True)
    added(ws, server)
    assert ended(ws.generate("a fox", model=MODEL, **BACKGROUND)).status == "completed"
    (fetched,) = [seen for seen in server.requests if seen.path.startswith("/files/")]
    assert "x-goog-api-key" not in fetched.headers


@pytest.mark.req("PRV-7", "TOK-5")
async def test_an_address_that_is_over_is_a_picture_that_was_paid_for(another):
    server = another(uris=True, statuses=[])
    server.fault_of = lambda seen: Fault(status=403) if "/files/" in seen.path else None
    provider = Gemini("google", base_url=server.base_url, key=server.key, pace=FAST)
    request = _request(params=BACKGROUND)
    ref = await provider.submit(request)
    with pytest.raises(ProviderError) as caught:
        [event async for event in provider.events(request, ref)]
    await provider.close()
    assert caught.value.maybe_sent
    assert "very-secret" not in str(caught.value)


@pytest.mark.req("PRV-7")
async def test_an_address_that_is_not_googles_is_never_asked(google):
    provider = Gemini("google", base_url=google.base_url, key=google.key, pace=FAST)
    ref = JobRef("x", resumable=True, data={"poll": "http://127.0.0.1:9/x", "cancel": None})
    with pytest.raises(ProviderError, match="not its own"):
        [event async for event in provider.events(_request(), ref)]
    with pytest.raises(ProviderError, match="not its own"):
        await provider.cancel(ref)
    await provider.close()
    assert google.requests == []


def test_a_model_that_does_not_run_in_the_background_says_so(ws, another):
    server = another(background=False)
    added(ws, server)
    error = error_of(ws.generate("a fox", model=MODEL, **BACKGROUND))
    assert (error.kind, error.charged) == ("bad_request", False)
    assert "background=true is not supported" in error.message
    with pytest.raises(wb.InvalidRequest, match="no such parameter"):
        ws.generate("a fox", model="google:gemini-2.5-flash-image", **BACKGROUND)


def _request(**changes) -> JobRequest:
    given = {
        "key": "k",
        "model": "gemini-3.1-flash-image",
        "operation": Operation.GENERATE,
        "prompt": "a fox",
        "negative_prompt": None,
        "width": None,
        "height": None,
        "params": {},
        "slots": (Slot("g", 0, 7),),
    }
    return JobRequest(**{**given, **changes})


# -- Imagen ---------------------------------------------------------------------------------------

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


# -- what people see, data ------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-7", "CFG-1")
@pytest.mark.parametrize("variable", ["GEMINI_API_KEY", "GOOGLE_API_KEY"])
def test_key_and_address_come_from_the_environment(ws, google, monkeypatch, variable):
    provider = Gemini()
    assert provider.state().code == "key_missing"
    assert "GEMINI_API_KEY" in provider.state().message
    monkeypatch.setenv(variable, f" {google.key}\n")
    monkeypatch.setenv("GEMINI_BASE_URL", f"{google.base_url}/")
    assert provider.state().ready
    ws.add_provider(provider)
    assert ended(ws.generate("a fox", model="gemini:gemini-3-pro-image")).status == "completed"
    assert google.requests[0].headers["x-goog-api-key"] == google.key
    monkeypatch.setenv("GEMINI_BASE_URL", "nonsense")
    assert provider.state().code == "error"


async def test_asking_for_the_models_costs_nothing(google):
    provider = Gemini("google", base_url=google.base_url, key=google.key)
    assert await provider.test() == "Google Gemini answered; 2 models."
    await provider.close()
    wrong = Gemini("google", base_url=google.base_url, key="AIzaWrong")
    with pytest.raises(ProviderError, match="its key") as caught:
        await wrong.test()
    await wrong.close()
    assert caught.value.kind is ErrorKind.AUTH
    assert "AIzaWrong" not in str(caught.value)
    assert google.charges == []


@pytest.mark.req("TOK-6")
def test_prices_are_dated_data_that_agree_with_the_tokens_of_a_picture():
    catalogue = load("gemini", "gemini")
    assert catalogue.dated == "2026-11-21"
    for name, entry in catalogue.entries.items():
        model = entry.model
        assert set(model.check({})) <= set(model.parameters)
        if name.startswith("imagen"):
            assert entry.is_gone()
            continue
        rates = TokenRates.of(entry.send["usd_per_million_tokens"])
        assert rates.text_in < rates.text_out < rates.image_out
        sizes = model.parameters["image_size"].choices if "image_size" in model.parameters else ()
        for size in sizes or ("1K",):
            estimate = model.price_of({"image_size": size}).amount_micro
            # One reports the tokens of its own: 1,290 and 2,000.
            own = {"gemini-2.5-flash-image": 1290, "gemini-3-pro-image": 1120}.get(name)
            own = 2000 if (name, size) == ("gemini-3-pro-image", "4K") else own
            tokens = own or emulator.IMAGE_TOKENS[size]
            assert estimate == int(rates.cost(Tokens(image_out=tokens)) * 10**6), (name, size)
    assert set(catalogue.entries["gemini-3.1-flash-image"].model.parameters) == {
        "aspect_ratio",
        "image_size",
        "thinking",
        "drafts",
        "resumable",
    }


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {},
        {"promptTokenCount": 1},
        {"promptTokenCount": True, "totalTokenCount": 2},
        {"promptTokenCount": "1", "totalTokenCount": 2},
        {"promptTokenCount": -1, "totalTokenCount": 2},
        {"promptTokenCount": 9, "totalTokenCount": 2},
        {"promptTokenCount": 1, "totalTokenCount": 10**30},
    ],
)
def test_usage_that_says_nothing_is_no_tokens(usage):
    assert tokens_of(usage) == Tokens()


def test_thoughts_are_counted_once_whether_the_candidates_hold_them_or_not():
    details = [{"modality": "IMAGE", "tokenCount": 1120}]
    common = {"promptTokenCount": 10, "totalTokenCount": 2010, "candidatesTokensDetails": details}
    apart = {**common, "candidatesTokenCount": 1120, "thoughtsTokenCount": 880}
    within = {**common, "candidatesTokenCount": 2000, "thoughtsTokenCount": 880}
    assert tokens_of(apart) == tokens_of(within) == Tokens(10, 0, 880, 1120)


@pytest.mark.parametrize(
    "chunk",
    [
        {"candidates": None},
        {"candidates": [None]},
        {"candidates": [{"content": None}]},
        {"candidates": [{"content": {"parts": [None, 5, {"inlineData": 7}]}}]},
        {"candidates": [{"content": {"parts": [{"inlineData": {"data": 7}}]}}]},
        {"candidates": [{"content": {"parts": [{"inlineData": {"data": "", "mimeType": "a/b"}}]}}]},
        {"promptFeedback": 7, "usageMetadata": 7, "responseId": 7},
    ],
)
def test_an_answer_of_any_shape_is_read_without_a_crash(chunk):
    reading = Reading()
    assert reading.take(chunk) == []
    assert reading.pictures == []


@pytest.mark.parametrize("value", [None, 5, [], {}, {"error": 5}, {"error": {"details": 7}}, "x"])
def test_an_error_of_any_shape_is_read_without_a_crash(value):
    assert error_in(value) == (gemini_wire.Said(), None)
    assert gemini_wire.interaction_of({"steps": value, "errors": value}).pictures == ()


def test_the_wait_is_read_from_the_words_where_the_details_are_missing():
    said, wait_s = error_in({"error": {"code": 429, "message": "Please retry in 47.434392449s."}})
    assert (said.kind, wait_s) == (None, 47.434392449)


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(
    workspace_home, another, monkeypatch, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    server = another(key=CANARY, statuses=["in_progress"])
    faults = [
        None,
        Fault(status=400, code="API_KEY_INVALID"),
        Fault(status=500, body=f'{{"error": {{"message": "key {CANARY}"}}}}'.encode()),
        Fault(in_stream=f"token {CANARY}"),
        Fault(code=CANARY),
        Fault(reset_after=0),
        Fault(content_type=f"text/{CANARY}"),
        Fault(image=CANARY.encode()),
    ]
    shown = []
    with wb.open(workspace_home / "ws", user="ada") as ws:
        provider = added(ws, server, key=CANARY)
        for fault in faults:
            for more in ({}, BACKGROUND):
                server.faults = [fault]
                batch = ws.generate("a fox", model=MODEL, **more).wait(30)
                shown += [repr(batch), batch.to_python(), json.dumps(batch.settings())]
                shown += [repr(g) + repr(g.error) + g.detail for g in batch.all_generations()]
        shown += [repr(provider), repr(vars(provider)), repr(vars(provider._line))]
        shown += [repr(ws.providers()), repr(ws.models()), repr(ws.doctor().to_dict())]
        shown += [ws.frame().to_csv(), ws.ledger().to_csv()]
        shown += [repr(entry) for entry in ws.debug.entries()]
        assert ws.doctor().problems == []
    shown += [caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if CANARY in text]
    for path in Path(workspace_home).rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


# -- a client that is not ours --------------------------------------------------------------------


@pytest.fixture
def genai():
    return pytest.importorskip("google.genai", reason="google-genai is not installed")


def official(genai, server: GeminiEmulator, **how):
    options = {"base_url": server.url, "api_version": "v1beta"}
    return genai.Client(api_key=server.key, http_options=options, **how)


@pytest.mark.req("PRV-2")
def test_the_official_client_understands_the_emulator(genai, google):
    types = genai.types
    client = official(genai, google)
    config = types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"],
        seed=7,
        image_config=types.ImageConfig(aspect_ratio="16:9", image_size="2K"),
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_level="HIGH"),
    )
    ask = {"model": "gemini-3.1-flash-image", "contents": "a fox", "config": config}
    answer = client.models.generate_content(**ask)
    pictures = [part for part in answer.parts if part.inline_data]
    assert [part.thought for part in pictures] == [True, None]
    assert pictures[-1].inline_data.data == png("a fox|7|0")
    assert answer.usage_metadata.candidates_tokens_details[0].token_count == 1680
    chunks = list(client.models.generate_content_stream(**ask))
    assert [len(chunk.parts or ()) for chunk in chunks] == [2, 2, 0]
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    google.faults = [Fault(code="prompt:PROHIBITED_CONTENT"), Fault(code="NO_IMAGE")]
    assert client.models.generate_content(**ask).prompt_feedback.block_reason == (
        "PROHIBITED_CONTENT"
    )
    assert client.models.generate_content(**ask).candidates[0].finish_reason == "NO_IMAGE"
    assert google.images_charged == 2
    client.close()


@pytest.mark.req("PRV-2")
def test_the_official_client_runs_and_cancels_interactions(genai, google):
    client = official(genai, google)
    ask = {
        "model": "gemini-3.1-flash-image",
        "input": [{"type": "text", "text": "a fox"}],
        "response_format": {"type": "image", "aspect_ratio": "1:8"},
        "generation_config": {"seed": 7},
        "background": True,
        "store": True,
    }
    begun = client.interactions.create(**ask)
    statuses = [begun.status]
    while statuses[-1] != "completed":
        now = client.interactions.get(begun.id)
        statuses.append(now.status)
    assert statuses == ["in_progress", "queued", "in_progress", "completed"]
    assert base64.b64decode(now.output_image.data) == png("a fox|7|0")
    assert now.usage.output_tokens_by_modality[0].tokens == 1120
    other = client.interactions.create(**ask)
    assert client.interactions.cancel(other.id).status == "cancelled"
    assert google.images_charged == 1
    client.close()


@pytest.mark.req("PRV-2")
def test_the_official_client_knows_imagen_on_googles_other_platform_only(genai, google):
    """It speaks the same ``predict`` there; for this API the method was taken out."""
    client = official(genai, google, vertexai=True)
    with pytest.warns(Warning, match="deprecated"):
        made = client.models.generate_images(
            model="imagen-4.0-generate-001", prompt="a fox", config={"number_of_images": 2}
        )
    assert [one.image.image_bytes for one in made.generated_images] == [
        png("a fox|None|0"),
        png("a fox|None|1"),
    ]
    client.close()


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(status=400, code="API_KEY_INVALID"), "INVALID_ARGUMENT"),
        (Fault(status=429, code="RetryInfo:12s"), "RESOURCE_EXHAUSTED"),
        (Fault(status=503), "UNAVAILABLE"),
    ],
    ids=repr,
)
def test_the_official_client_meets_the_same_faults(genai, google, fault, status):
    client = official(genai, google)
    google.faults = [fault]
    with pytest.raises(genai.errors.APIError) as caught:
        client.models.generate_content(
            model="gemini-3.1-flash-image",
            contents="a fox",
            config={"response_modalities": ["IMAGE"]},
        )
    assert (caught.value.code, caught.value.status) == (fault.status, status)
    client.close()


@pytest.mark.req("PRV-2")
def test_our_requests_are_those_of_the_official_client(genai, ws, google):
    types = genai.types
    added(ws, google)
    shape = {"aspect_ratio": "16:9", "image_size": "2K"}
    reference = png("one")
    chosen = {**shape, "seed": 7, "thinking": "high", "references": [reference]}
    ended(ws.generate("a fox", model=MODEL, **chosen))
    ended(ws.generate("a fox", model=MODEL, **chosen, **BACKGROUND))
    client = official(genai, google)
    part = types.Part.from_bytes(data=reference, mime_type="image/png")
    config = types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"],
        seed=7,
        image_config=types.ImageConfig(**shape),
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_level="HIGH"),
    )
    contents = [types.Content(role="user", parts=[types.Part(text="a fox"), part])]
    list(
        client.models.generate_content_stream(
            model="gemini-3.1-flash-image", contents=contents, config=config
        )
    )
    encoded = base64.b64encode(reference).decode()
    client.interactions.create(
        model="gemini-3.1-flash-image",
        input=[
            {"type": "text", "text": "a fox"},
            {"type": "image", "data": encoded, "mime_type": "image/png"},
        ],
        response_format={"type": "image", **shape},
        generation_config={"seed": 7, "thinking_level": "high"},
        background=True,
        store=True,
    )
    client.close()
    streams = [seen for seen in google.requests if "stream" in seen.path]
    ours, theirs = (seen.json() for seen in streams)
    assert streams[0].path == streams[1].path
    assert _urlsafe(ours) == _urlsafe(emulator.camel(theirs))
    types.GenerateContentConfig.model_validate(ours["generationConfig"])
    begun = [seen for seen in google.requests if seen.path.endswith("/interactions")]
    ours, theirs = (seen.json() for seen in begun)
    assert ours == theirs


def _urlsafe(body: dict) -> str:
    """The client writes base64 with - and _; the API takes both."""
    return json.dumps(body, sort_keys=True).replace("+", "-").replace("\\/", "_").replace("/", "_")
