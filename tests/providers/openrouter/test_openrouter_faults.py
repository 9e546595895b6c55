"""OpenRouter through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import pytest

from tests.providers.checks import (
    DRIPPING,
    LOST,
    REDIRECTED,
    TOO_LATE,
    assert_put_off,
    assert_refused,
    assert_unknown,
    cancelled_on_the_way,
    closed_on_the_way,
    met_by_one,
    patience_with,
)
from tests.providers.openrouter.world import PLAIN, STREAMED, added, posts
from tests.providers.world import ended, error_of, only
from workbench.testing.emulators.server import Fault

FAILS = [
    (Fault(status=400), "bad_request", "Invalid request parameters"),
    (Fault(status=400, code="content_policy_violation"), "blocked", "content policy"),
    (Fault(status=401), "auth", "did not accept its key"),
    (Fault(status=402), "quota", "no credit left"),
    (Fault(status=403), "auth", "Only management keys"),
    (Fault(status=403, code="moderation"), "blocked", "content policy"),
    (Fault(status=403, code="refusal"), "blocked", "content policy"),
    (Fault(status=404), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    (Fault(status=422, code="raw"), "bad_request", "(OpenAI: This was asked for by a test.)"),
    REDIRECTED,
    (Fault(status=200, body=b'{"error": {"code": 402, "message": "no"}}'), "quota", "no credit"),
    (Fault(images=0), "blocked", "content policy"),
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), FAILS)
def test_a_failure_is_typed_and_costs_nothing(ws, server, fault, kind, said):
    added(ws, server)
    server.faults = [fault]
    error = error_of(ws.generate("a very bad fox", model=PLAIN))
    assert_refused(server, error, kind, said)
    assert server.images_charged == 0
    assert len(posts(server)) == 1
    assert ws.balances().get("USD", 0) == 0


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(
    ("code", "kind"),
    [("content_filter", "blocked"), ("402", "quota"), ("invalid_prompt", "bad_request")],
)
def test_a_failure_in_a_stream_is_typed_and_costs_nothing(ws, server, code, kind):
    added(ws, server)
    server.faults = [Fault(in_stream=code)]
    error = error_of(ws.generate("a fox", model=STREAMED))
    assert (error.kind, error.charged, server.images_charged) == (kind, False, 0)


@pytest.mark.req("TOK-2", "TOK-4")
@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "error": {"code": "content_filter", "message": "no"}}, "blocked"),
        ({"type": "image_generation.completed"}, "bad_image"),
        ({"type": "usage"}, "bad_image"),
    ],
    ids=lambda event: event["type"] if isinstance(event, dict) else "",
)
def test_a_stream_that_names_a_cost_and_holds_no_picture_is_booked(ws, server, event, kind):
    added(ws, server)
    told = json.dumps({**event, "usage": {"cost": 0.002, "total_tokens": 9}})
    body = f"data: {told}\n\ndata: [DONE]\n\n".encode()
    server.faults = [Fault(status=200, body=body, content_type="text/event-stream")]
    made = only(ws.generate("a fox", model=STREAMED))
    assert (made.error.kind, made.error.charged) == (kind, True)
    assert (made.cost, ws.balances()["USD"]) == (Decimal("0.002"), -Decimal("0.002"))
    assert len(posts(server)) == 1
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": "date"}),
        Fault(status=500),
        Fault(status=502),
        Fault(status=503),
        Fault(status=529),
        Fault(in_stream="upstream_error"),
        Fault(in_stream="502"),
    ],
    ids=repr,
)
def test_what_is_passing_and_not_charged_is_tried_again(ws, server, fault):
    if fault.headers.get("Retry-After") == "date":
        at = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
        fault = Fault(status=429, headers={"Retry-After": at})
    added(ws, server)
    server.faults = [fault]
    made = only(ws.generate("a fox", model=STREAMED))
    assert made.status == "completed", made.error
    assert made.cost == Decimal("0.04")
    assert (len(posts(server)), server.images_charged) == (2, 1)


@pytest.mark.req("PRV-4")
def test_what_retry_after_asks_for_is_waited(ws, server):
    added(ws, server)
    server.faults = [Fault(status=429, headers={"Retry-After": "300"})]
    assert_put_off(ws.generate("a fox", model=PLAIN), server, 300)


NO_ANSWER = [
    # A 502 in its own words is passing.
    *[fault for fault in LOST if fault.status != 502],
    Fault(status=502, body=b"<html>a machine in between</html>", content_type="text/html"),
    Fault(reset_before=True),
    Fault(status=524),
    Fault(status=504),
    TOO_LATE,
    DRIPPING,
]


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize("fault", NO_ANSWER, ids=repr)
def test_a_lost_answer_is_an_unknown_outcome_and_is_not_asked_for_again(ws, server, fault):
    server.tells_id = False
    added(ws, server, patience=patience_with(fault))
    assert_unknown(ws, met_by_one(ws, server, PLAIN, fault, n=1))


@pytest.mark.req("TOK-5")
def test_a_picture_whose_record_says_that_it_was_given_up_is_made_again(ws, server):
    added(ws, server)
    server.record_after = 1
    server.faults = [Fault(silent=True)]
    made = only(ws.generate("a fox", model=STREAMED))
    assert made.status == "completed"
    assert [seen.path for seen in server.requests[1:3]] == ["/api/v1/generation?id=gen-0"] * 2
    assert (len(posts(server)), server.images_charged) == (2, 1)


@pytest.mark.req("TOK-5")
def test_a_picture_that_was_charged_and_lost_is_booked(ws, server):
    added(ws, server)
    server.faults = [Fault(reset_after=60)]
    lost = only(ws.generate("a fox", model=PLAIN))
    assert (lost.status, lost.error.kind, lost.error.charged) == ("failed", "bad_image", True)
    assert "made and charged the picture" in lost.error.message
    assert (lost.cost, ws.balances()["USD"]) == (Decimal("0.04"), -Decimal("0.04"))
    assert (len(posts(server)), server.images_charged) == (1, 1)
    assert ws.doctor().problems == []


@pytest.mark.req("TOK-5")
@pytest.mark.parametrize("odd", ["no record", "still going"])
def test_without_a_record_that_says_so_a_lost_picture_is_an_open_question(ws, server, odd):
    added(ws, server)
    server.record_after = 99 if odd == "no record" else 0
    server.cost = "0"
    server.faults = [Fault(reset_after=60)]
    lost = only(ws.generate("a fox", model=PLAIN))
    assert_unknown(ws, lost)
    assert len(posts(server)) == 1


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(
    "fault", [Fault(image=b"<html>"), Fault(cut=0.5), Fault(image=b"<svg/>")], ids=repr
)
@pytest.mark.parametrize("model", [PLAIN, STREAMED])
def test_bytes_that_are_no_picture_fail_with_what_they_cost(ws, server, fault, model):
    added(ws, server)
    server.faults = [fault]
    error = error_of(ws.generate("a fox", model=model))
    assert (error.kind, error.charged) == ("bad_image", True)


def test_more_pictures_than_asked_for_are_one(ws, server):
    added(ws, server)
    for model in (PLAIN, STREAMED):
        server.faults = [Fault(images=3)]
        done = ended(ws.generate("a fox", model=model))
        assert (done.status, len(done.all_generations())) == ("completed", 1)


def test_a_right_answer_of_a_wrong_type_is_a_right_answer(ws, server):
    added(ws, server)
    server.faults = [Fault(content_type="text/html")]
    assert only(ws.generate("a fox", model=PLAIN)).status == "completed"


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancelled_call_is_followed_to_its_end_because_it_may_be_paid_for(ws, server):
    added(ws, server)
    late = cancelled_on_the_way(ws, server, PLAIN)
    assert late.cost == Decimal("0.04")


@pytest.mark.req("TOK-5")
def test_a_call_that_was_under_way_when_its_process_closed_is_not_made_again(
    workspace_home, server
):
    closed_on_the_way(workspace_home, server, added, PLAIN)
    assert len(posts(server)) == 1
