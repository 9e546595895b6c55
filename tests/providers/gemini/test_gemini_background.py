"""Google's Gemini API through the real engine, against an emulator that its own client knows."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest

import workbench as wb
from tests.providers.gemini.world import BACKGROUND, COST, MODEL, WORDS, added, creates, polls
from tests.providers.world import FAST, ended, error_of, job_request
from tests.waiting import until
from workbench.domain.jobs import JobRef, JobRequest
from workbench.errors import ProviderError
from workbench.providers.gemini import Gemini
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png


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
    # Each of both lasts until it was seen; while it is made here, it waits there.
    google.statuses = ["in_progress"] * 100_000
    added(ws, google)
    (generation,) = ws.generate("a fox", model=MODEL, **BACKGROUND).generations
    until(lambda: polls(google) and generation.status == "processing")
    (job,) = google.jobs.values()
    job.statuses = ["queued"] * 100_000
    until(lambda: generation.status == "queued")
    job.statuses = ["in_progress"] * 100_000
    until(lambda: generation.status == "processing")
    job.statuses = []
    assert ended(generation.batch).status == "completed"


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
    until(lambda: not ws._engine.runner.running)  # nobody asks any more
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


@pytest.mark.req("TOK-4")
@pytest.mark.parametrize(("images", "ends"), [(0, "failed"), (3, "completed")])
def test_no_picture_of_an_interaction_is_a_block_and_more_are_one(ws, google, images, ends):
    added(ws, google)
    google.faults = [Fault(images=images)]
    (made,) = ended(ws.generate("a fox", model=MODEL, **BACKGROUND)).generations
    assert made.status == ends
    assert made.error is None or (made.error.kind, made.error.charged) == ("blocked", True)
    assert made.cost == (COST if images else WORDS)
    assert ws.balances()["USD"] == -made.cost


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
    return job_request("gemini-3.1-flash-image", **changes)
