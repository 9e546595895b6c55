"""Stability AI's dialect through the real engine, against an emulator that counts charges.

The emulator checks each form against the facts of their OpenAPI document (fields, kinds, ranges),
which it has on its own. test_stability_second_client.py has a client that is not ours speak to it.
"""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest

import workbench as wb
from tests.providers.checks import (
    DRIPPING,
    LOST,
    REDIRECTED,
    TOO_LATE,
    assert_account,
    assert_refused,
    assert_sentence,
    assert_unknown,
    cancelled_on_the_way,
    closed_on_the_way,
    met,
    patience_with,
    shown_after,
)
from tests.providers.stability.world import CANARY, CORE, CREATIVE, added, made_with, upscaled
from tests.providers.world import PUT_OFF, assert_nowhere, drained, fast, job_request, only
from workbench.domain.jobs import JobInput, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, InvalidRequest, ProviderError
from workbench.providers.catalogue import load
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
    REDIRECTED,
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), REFUSED)
@pytest.mark.parametrize("model", [CORE, CREATIVE])
def test_a_refusal_is_typed_and_costs_nothing(ws, server, fault, kind, said, model):
    added(ws, server)
    server.faults = [fault]
    batch = upscaled(ws) if model == CREATIVE else ws.generate("a fox", model=model)
    error = only(batch).error
    assert_refused(server, error, kind, said)
    assert_sentence(error)
    assert len(server.requests) == 1
    assert server.charges == []


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize("fault", PUT_OFF, ids=repr)
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
        *LOST,
        Fault(reset_after=40),
        Fault(status=200, body=b'{"image": ', content_type="application/json"),
        TOO_LATE,
        DRIPPING,
    ],
    ids=repr,
)
def test_a_call_without_an_answer_is_an_unknown_outcome(ws, server, fault):
    added(ws, server, patience=patience_with(fault))
    server.faults = [fault]
    made = only(ws.generate("a fox", model=CORE))
    assert_unknown(ws, made)
    assert len(server.requests) == 1
    assert server.images_charged in (0, 1)


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
    late = cancelled_on_the_way(ws, server, CORE)
    assert late.cost == Decimal("0.03")


@pytest.mark.req("TOK-5")
def test_a_call_that_was_under_way_when_its_process_closed_is_not_made_again(
    workspace_home, server
):
    closed_on_the_way(workspace_home, server, added, CORE)
    assert len(server.requests) == 1


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
    said = "Stability AI answered; 12.35 credits are left."
    await assert_account(made_with, server, said, wrong_key="sk-wrong-0123456789")


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
    with StabilityEmulator(key=CANARY) as server, wb.open(workspace_home / "ws", user="ada") as ws:
        monkeypatch.setenv("STABILITY_API_KEY", CANARY)
        monkeypatch.setenv("STABILITY_BASE_URL", server.base_url)
        provider = Stability(pace=fast)
        ws.add_provider(provider)
        faults = (
            None,
            Fault(status=401, body=f'{{"name": "{CANARY}", "errors": ["{CANARY}"]}}'.encode()),
            Fault(status=400, body=f'{{"errors": ["key {CANARY}", 7]}}'.encode()),
            Fault(status=500, body=f'{{"message": "token {CANARY}"}}'.encode()),
            Fault(reset_after=0),
            Fault(content_type=f"text/{CANARY}"),
            Fault(image=CANARY.encode()),
        )
        model = "stability:stable-image-core"
        shown = shown_after(ws, provider, faults, lambda fault: met(ws, server, fault, model))
    assert_nowhere(CANARY, [*shown, caplog.text, *capfd.readouterr()], workspace_home)
