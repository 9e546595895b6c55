"""OpenAI's dialect through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import json
import logging
import os
from decimal import Decimal

import pytest

import workbench as wb
from tests.providers.checks import (
    DRIPPING,
    LOST,
    REDIRECTED,
    TOO_LATE,
    assert_put_off,
    assert_refused,
    assert_sentence,
    assert_unknown,
    cancelled_on_the_way,
    closed_on_the_way,
    met,
    met_by_one,
    no_pictures,
    patience_with,
    shown_after,
    told_in,
)
from tests.providers.openai.world import CANARY, COST, MODEL, READING, added
from tests.providers.world import (
    PUT_OFF,
    assert_nowhere,
    ended,
    noise,
    only,
    preview_of,
)
from tests.waiting import until
from workbench.providers.pictures import LARGEST_PREVIEW
from workbench.testing.emulators.server import Fault, Turns

# -- faults ----------------------------------------------------------------------------------------


FAILS = [
    (Fault(status=400), "bad_request", "does not accept"),
    (Fault(status=401, code="invalid_api_key"), "auth", "its key"),
    (Fault(status=403), "auth", "does not allow"),
    (Fault(status=404, code="model_not_found"), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    (Fault(status=400, code="moderation_blocked"), "blocked", "content policy"),
    (Fault(status=429, code="insufficient_quota"), "quota", "no credit"),
    REDIRECTED,
    (Fault(status=400, body=b"<html>" + b"x" * 100_000), "bad_request", "does not accept"),
    (Fault(in_stream="moderation_blocked"), "blocked", "content policy"),
]


NO_ANSWER = [
    *LOST,
    Fault(reset_after=40),
    Fault(silent=True),
    Fault(status=504),
    DRIPPING,
    TOO_LATE,
]


NO_STREAM = {"partial_images": 0}


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), FAILS)
def test_a_failure_is_typed_costs_nothing_and_leaves_others_alone(ws, openai, fault, kind, said):
    added(ws, openai)
    ws.grant(10)
    ws.set_price(MODEL, 1)
    error = met_by_one(ws, openai, MODEL, fault).error
    assert_refused(openai, error, kind, said)
    assert_sentence(error)
    assert ws.balance == 8


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize("fault", NO_ANSWER, ids=repr)
def test_a_lost_answer_is_an_unknown_outcome_and_is_not_asked_for_again(ws, openai, fault):
    added(ws, openai, patience=patience_with(fault))
    ws.grant(10)
    ws.set_price(MODEL, 1)
    more = NO_STREAM if fault.drip_s else {}
    assert_unknown(ws, met_by_one(ws, openai, MODEL, fault, **more))
    # What was charged was delivered, or is shown as unknown and stays reserved.
    assert openai.images_charged - 2 in (0, 1)
    assert ws.balance == 7


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [*PUT_OFF, Fault(status=429, headers={"retry-after-ms": "30"})],
    ids=repr,
)
def test_a_passing_failure_is_tried_again_and_charged_once(ws, openai, fault):
    added(ws, openai)
    openai.faults = [fault]
    (made,) = ended(ws.generate("a fox", model=MODEL)).generations
    assert made.status == "completed"
    assert len(openai.requests) == 2
    assert openai.images_charged == 1
    assert made.cost == COST


@pytest.mark.req("PRV-4")
def test_what_retry_after_asks_for_is_waited(ws, openai):
    added(ws, openai)
    openai.faults = [Fault(status=429, headers={"Retry-After": "300"})]
    assert_put_off(ws.generate("a fox", model=MODEL), openai, 300)


@pytest.mark.req("PRV-7")
def test_a_server_that_is_not_there_is_tried_again_and_then_named(ws, openai, monkeypatch):
    added(ws, openai, base_url="http://127.0.0.1:9/v1")
    (waiting,) = ws.generate("a fox", model=MODEL).generations
    # In one look: a moment later it is tried again.
    until(lambda: told_in(waiting.detail, "retrying", "cannot be reached"))
    waiting.cancel()


@pytest.mark.req("PRV-7", "TOK-2")
@no_pictures
@pytest.mark.parametrize("more", [{}, NO_STREAM], ids=["stream", "at once"])
def test_bytes_that_are_no_picture_fail_with_what_they_cost(ws, openai, fault, more):
    added(ws, openai)
    ws.grant(10)
    ws.set_price(MODEL, 1)
    openai.faults = [fault]
    (bad,) = ended(ws.generate("a fox", model=MODEL, **more)).generations
    assert bad.status == "failed"
    assert (bad.error.kind, bad.error.charged) == ("bad_image", True)
    assert ws.balance == 9
    assert ended(ws.generate("another", model=MODEL)).status == "completed"


@pytest.mark.req("PRV-7")
def test_no_picture_and_no_error_is_a_block(ws, openai):
    added(ws, openai)
    openai.faults = [Fault(images=0)]
    made = only(ws.generate("a fox", model=MODEL, **NO_STREAM))
    # Its prompt was read: the tokens of that are billed.
    assert (made.error.kind, made.error.charged, made.cost) == ("blocked", True, READING)
    assert openai.images_charged == 0
    assert ws.balances()["USD"] == -READING


@pytest.mark.req("TOK-2", "TOK-4")
@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "error": {"code": "moderation_blocked"}}, "blocked"),
        ({"type": "image_generation.completed"}, "bad_image"),
    ],
    ids=["error", "completed"],
)
def test_a_stream_that_bills_tokens_and_holds_no_picture_is_booked(ws, openai, event, kind):
    added(ws, openai)
    usage = {"input_tokens": 10, "output_tokens": 1000, "total_tokens": 1010}
    body = f"data: {json.dumps({**event, 'usage': usage})}\n\n".encode()
    openai.faults = [Fault(status=200, body=body, content_type="text/event-stream")]
    (withheld,) = ended(ws.generate("a fox", model=MODEL)).generations
    assert (withheld.error.kind, withheld.error.charged) == (kind, True)
    assert withheld.cost == Decimal("0.03005")
    assert len(openai.requests) == 1
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-4")
def test_partial_images_as_large_as_the_picture_are_made_smaller(ws, openai, monkeypatch):
    from workbench.testing.emulators import openai as emulator

    real, large = emulator.png, noise(700)
    monkeypatch.setattr(emulator, "png", lambda text, **size: large if size else real(text))
    added(ws, openai)
    turns = Turns()
    openai.faults = [Fault(turns=turns)]
    (generation,) = ws.generate("a fox", model=MODEL, partial_images=1).generations
    # The picture comes when the preview was seen: to make one small takes a while.
    shown = until(lambda: preview_of(ws, generation), "a preview")
    assert len(shown) <= LARGEST_PREVIEW < len(large)
    turns.give()
    assert only(generation.batch).status == "completed"


@pytest.mark.req("PRV-7", "TOK-2")
def test_a_picture_that_was_made_and_withheld_costs_what_its_tokens_do(ws, openai):
    added(ws, openai)
    usage = {"input_tokens": 10, "output_tokens": 1000, "total_tokens": 1010}
    openai.faults = [Fault(status=200, body=json.dumps({"data": [], "usage": usage}).encode())]
    (withheld,) = ended(ws.generate("a fox", model=MODEL, **NO_STREAM)).generations
    assert (withheld.error.kind, withheld.error.charged) == ("blocked", True)
    assert withheld.cost == Decimal("0.03005")


def test_a_right_answer_of_a_wrong_type_is_a_right_answer(ws, openai):
    added(ws, openai)
    openai.faults = [Fault(content_type="text/html")]
    assert ended(ws.generate("a fox", model=MODEL, **NO_STREAM)).status == "completed"


@pytest.mark.parametrize("more", [{}, NO_STREAM])
def test_more_pictures_than_asked_for_are_one(ws, openai, more):
    added(ws, openai)
    openai.faults = [Fault(images=3)]
    done = ended(ws.generate("a fox", model=MODEL, **more))
    assert (done.status, len(done.all_generations())) == ("completed", 1)


def test_a_preview_that_is_no_picture_hurts_nobody(ws, openai, monkeypatch):
    from workbench.testing.emulators import openai as emulator

    real = emulator.png
    monkeypatch.setattr(emulator, "png", lambda text, **size: b"nonsense" if size else real(text))
    added(ws, openai)
    openai.faults = [Fault(gap_s=0.2)]
    assert ended(ws.generate("a fox", model=MODEL, partial_images=3)).status == "completed"


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancelled_call_is_followed_to_its_end_because_it_is_paid_for(ws, openai):
    added(ws, openai)
    assert cancelled_on_the_way(ws, openai, MODEL).cost == COST
    assert ws.balances()["USD"] == -COST


@pytest.mark.req("TOK-5")
def test_a_call_that_was_under_way_when_its_process_closed_is_not_made_again(
    workspace_home, openai
):
    closed_on_the_way(workspace_home, openai, added, MODEL)
    assert len(openai.requests) == 1


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(
    workspace_home, workbench_emulator, monkeypatch, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    server = workbench_emulator(key=CANARY)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    faults = [
        None,
        Fault(status=401, code="invalid_api_key"),  # its message repeats the key
        Fault(status=500, body=f'{{"error": "key {CANARY}"}}'.encode()),
        Fault(in_stream=f"token {CANARY}"),
        Fault(reset_after=0),
        Fault(content_type=f"text/{CANARY}"),
        Fault(image=CANARY.encode()),
    ]
    asked = {"model": "openai:gpt-image-2", "partial_images": 1}
    with wb.open(workspace_home / "ws", user="ada") as ws:
        provider = ws._engine.registry.providers["openai"]
        shown = shown_after(ws, provider, faults, lambda fault: met(ws, server, fault, **asked))
    assert_nowhere(CANARY, [*shown, caplog.text, *capfd.readouterr()], workspace_home)
    assert os.environ["OPENAI_API_KEY"] == CANARY
