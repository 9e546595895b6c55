"""Stability AI's dialect through the real engine, against an emulator that counts charges.

There is no client of theirs to compare with: the emulator checks each form against the facts of
their OpenAPI document (fields, kinds, ranges), which it has on its own.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from email.utils import formatdate

import pytest

import workbench as wb
from tests.providers.stability.world import CANARY, CORE, CREATIVE, added, made_with, upscaled
from tests.providers.world import (
    assert_nowhere,
    drained,
    fast,
    job_request,
    only,
    shown_by,
    shown_of,
    until,
)
from workbench.domain.jobs import JobInput, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, InvalidRequest, ProviderError
from workbench.providers.catalogue import load
from workbench.providers.http import Patience
from workbench.providers.stability import Stability
from workbench.testing.emulators.server import Fault
from workbench.testing.emulators.stability import StabilityEmulator
from workbench.testing.pictures import png

# -- refusals --------------------------------------------------------------------------------------


REFUSED = [
    (Fault(status=400), "bad_request", "This was asked for by a test."),
    (Fault(status=401), "auth", "its key"),
    (Fault(status=402), "quota", "no credit"),
    (Fault(status=403), "blocked", "content policy"),
    (Fault(status=403, code="forbidden"), "auth", "does not allow"),
    (Fault(status=404), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    (Fault(status=422), "bad_request", "does not accept"),
    (Fault(status=422, code="public_figure"), "blocked", "content policy"),
    (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "bad_request", "redirects"),
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), REFUSED)
@pytest.mark.parametrize("model", [CORE, CREATIVE])
def test_a_refusal_is_typed_and_costs_nothing(ws, server, fault, kind, said, model):
    added(ws, server)
    server.faults = [fault]
    batch = upscaled(ws) if model == CREATIVE else ws.generate("a fox", model=model)
    error = only(batch).error
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert error.message.endswith((".", "…"))
    assert len(server.requests) == 1
    assert server.charges == []


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": formatdate(0, usegmt=True)}),
        Fault(status=429),
        Fault(status=500),
        Fault(status=503),
    ],
    ids=repr,
)
def test_a_call_that_is_put_off_is_made_once(ws, server, fault):
    added(ws, server)
    server.faults = [fault]
    assert only(ws.generate("a fox", model=CORE)).status == "completed"
    assert len(server.requests) == 2
    assert server.images_charged == 1


@pytest.mark.req("PRV-4")
async def test_too_many_requests_are_a_minute_of_silence(server):
    provider = made_with(server)
    provider.penalty_s = Stability.penalty_s
    for fault, pause in (
        (Fault(status=429), 60.0),
        (Fault(status=429, headers={"Retry-After": "7"}), 7.0),
    ):
        server.faults = [fault]
        with pytest.raises(ProviderError) as caught:
            await drained(provider, asked_for())
        assert (caught.value.kind, caught.value.retry_after_s) == (ErrorKind.RATE_LIMIT, pause)
    await provider.close()


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(reset_after=0),
        Fault(reset_after=40),
        Fault(status=200, body=b"<html>Sign in</html>", content_type="text/html"),
        Fault(status=200, body=b'{"image": ', content_type="application/json"),
        Fault(status=200, body=b"[]", content_type="application/json"),
        Fault(status=502),
        Fault(pause_s=1.6),
        Fault(drip_s=0.02),
    ],
    ids=repr,
)
def test_a_call_without_an_answer_is_an_unknown_outcome(ws, server, fault):
    added(ws, server, patience=Patience(total_s=1.2))
    server.faults = [fault]
    made = only(ws.generate("a fox", model=CORE))
    assert (made.status, made.detail) == ("processing", "outcome_unknown")
    assert len(server.requests) == 1
    assert server.images_charged in (0, 1)
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize("json_answers", [False, True], ids=["bytes", "json"])
def test_a_picture_that_their_filter_blurred_is_a_block(ws, server, json_answers):
    server.reason, server.json_answers = "CONTENT_FILTERED", json_answers
    added(ws, server)
    made = only(ws.generate("a fox", model=CORE))
    assert (made.error.kind, made.error.charged) == ("blocked", False)
    assert made.asset is None
    assert server.images_charged == 0


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize("json_answers", [False, True], ids=["bytes", "json"])
def test_a_picture_without_bytes_was_made_and_is_booked(ws, server, json_answers):
    server.json_answers = json_answers
    added(ws, server)
    server.faults = [Fault(image=b"")]
    made = only(ws.generate("a fox", model=CORE))
    assert (made.error.kind, made.error.charged) == ("bad_image", True)
    assert made.cost == ws.estimate("a fox", model=CORE).cost > 0
    assert server.images_charged == 1


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(
    "fault", [Fault(image=b"<html>no picture</html>"), Fault(cut=0.5)], ids=["text", "half"]
)
@pytest.mark.parametrize("json_answers", [False, True], ids=["bytes", "json"])
def test_bytes_that_are_no_picture_fail_with_what_they_cost(ws, server, fault, json_answers):
    server.json_answers = json_answers
    added(ws, server)
    server.faults = [fault]
    bad = only(ws.generate("a fox", model=CORE))
    assert (bad.error.kind, bad.error.charged) == ("bad_image", True)


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancelled_call_is_followed_because_it_is_paid_for(ws, server):
    added(ws, server)
    server.faults = [Fault(pause_s=0.5)]
    batch = ws.generate("a fox", model=CORE)
    until(lambda: server.requests)
    batch.cancel()
    until(lambda: len(batch.all_generations()) == 2)
    first, late = batch.all_generations()
    assert (first.status, late.status, late.cost) == ("cancelled", "completed", Decimal("0.03"))


@pytest.mark.req("TOK-5")
def test_a_call_that_was_under_way_when_its_process_closed_is_not_made_again(
    workspace_home, server
):
    server.faults = [Fault(pause_s=3.0)]
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate("a fox", model=CORE)
        until(lambda: server.requests)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        made = only(again.batch(batch.id))
        assert (made.status, made.detail) == ("processing", "outcome_unknown")
    assert len(server.requests) == server.images_charged == 1


# -- small things ----------------------------------------------------------------------------------


def asked_for(model: str = "stable-image-core", **changes) -> JobRequest:
    return job_request(model, **{"slots": (Slot("g", 4, 7),), **changes})


async def test_what_is_wrong_here_is_said_before_anything_is_sent(server):
    provider = made_with(server)

    def image(content: bytes) -> JobInput:
        return JobInput("a", "source", 0, "image/png", lambda: content)

    with pytest.raises(ProviderError, match=r"no model dall-e any more\."):
        await provider.submit(asked_for("dall-e"))
    with pytest.raises(InvalidRequest, match="takes no images; 1 were given"):
        await provider.submit(asked_for(inputs=(image(b"x"),)))
    with pytest.raises(InvalidRequest, match="takes one image; 2 were given"):
        await provider.submit(asked_for("sd3.5-large", inputs=(image(b"x"),) * 2))
    with pytest.raises(InvalidRequest, match="needs an image"):
        await provider.submit(asked_for("upscale-fast"))
    large = asked_for("upscale-fast", inputs=(image(b"x" * 11_000_000),))
    with pytest.raises(InvalidRequest, match="more than 10 MB"):
        await drained(provider, large)
    unreadable = asked_for("inpaint", inputs=(image(png("a")), JobInput("m", "mask", 0, "", bytes)))
    with pytest.raises(ProviderError, match="mask cannot be read"):
        await drained(provider, unreadable)
    await provider.close()
    assert server.requests == []


async def test_a_job_of_a_model_that_is_gone_is_still_followed(server):
    provider = made_with(server)
    ref = await provider.submit(
        asked_for(
            "upscale-creative",
            operation=Operation.UPSCALE,
            inputs=(JobInput("a", "source", 0, "image/png", lambda: png("a")),),
        )
    )
    *_, ready, done = await drained(provider, asked_for("gone"), ref)
    await provider.close()
    assert (ready.data, ready.cost, done.usage) == (png("a fox"), None, {"id": ref.remote_id})


@pytest.mark.req("PRV-7")
async def test_the_account_can_be_asked_without_cost(server):
    provider = made_with(server)
    assert await provider.test() == "Stability AI answered; 12.35 credits are left."
    wrong = made_with(server, key="sk-wrong-0123456789")
    with pytest.raises(ProviderError) as caught:
        await wrong.test()
    assert caught.value.kind is ErrorKind.AUTH
    await provider.close()
    await wrong.close()


@pytest.mark.req("TOK-6")
def test_prices_are_dated_and_as_their_pages_say():
    catalogue = load("stability", "stab")
    assert catalogue.dated == "2026-11-21"
    charged = {name: entry.model.rate.per_image * 100 for name, entry in catalogue.entries.items()}
    # Of the document of each endpoint, and of stability.ai/api-pricing-update-25.
    told = {
        "stable-image-core": "3",
        "stable-image-ultra": "8",
        "sd3.5-large": "6.5",
        "sd3.5-large-turbo": "4",
        "sd3.5-medium": "3.5",
        "sd3.5-flash": "2.5",
        "erase": "5",
        "inpaint": "5",
        "remove-background": "5",
        "search-and-replace": "5",
        "sketch": "5",
        "structure": "5",
        "style": "5",
        "upscale-fast": "2",
        "upscale-conservative": "40",
        "upscale-creative": "60",
    }
    assert {name: charged[name] for name in told} == {
        name: Decimal(text) for name, text in told.items()
    }


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(workspace_home, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    shown = []
    with StabilityEmulator(key=CANARY) as server, wb.open(workspace_home / "ws", user="ada") as ws:
        monkeypatch.setenv("STABILITY_API_KEY", CANARY)
        monkeypatch.setenv("STABILITY_BASE_URL", server.base_url)
        provider = Stability(pace=fast)
        ws.add_provider(provider)
        for fault in (
            None,
            Fault(status=401, body=f'{{"name": "{CANARY}", "errors": ["{CANARY}"]}}'.encode()),
            Fault(status=400, body=f'{{"errors": ["key {CANARY}", 7]}}'.encode()),
            Fault(status=500, body=f'{{"message": "token {CANARY}"}}'.encode()),
            Fault(reset_after=0),
            Fault(content_type=f"text/{CANARY}"),
            Fault(image=CANARY.encode()),
        ):
            server.faults = [fault]
            batch = ws.generate("a fox", model="stability:stable-image-core").wait(30)
            shown += shown_of(batch)
        shown += shown_by(ws, provider)
    assert_nowhere(CANARY, [*shown, caplog.text, *capfd.readouterr()], workspace_home)
