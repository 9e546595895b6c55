"""Replicate's dialect through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
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
    met_by_one,
    patience_with,
)
from tests.providers.replicate.world import SCHNELL, added, creates, faults_at
from tests.providers.world import PUT_OFF, ended
from tests.waiting import until
from workbench.domain.jobs import (
    JobRef,
)
from workbench.testing.emulators.server import Emulator, Fault

# -- refusals and faults of the submission ---------------------------------------------------------


REFUSED = [
    (Fault(status=401, code="invalid_token"), "auth", "its key"),
    (Fault(status=403), "auth", "does not allow"),
    (Fault(status=402, code="insufficient_credit"), "quota", "no credit"),
    (Fault(status=404, code="not_found"), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    (Fault(status=422), "bad_request", "This was asked for by a test."),
    REDIRECTED,
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), REFUSED)
def test_a_refusal_is_typed_costs_nothing_and_leaves_others_alone(ws, server, fault, kind, said):
    added(ws, server)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    error = met_by_one(ws, server, SCHNELL, fault).error
    assert_refused(server, error, kind, said)
    assert ws.balance == 8
    assert len(creates(server)) == 3


NO_ANSWER = [
    *LOST,
    Fault(reset_after=40),
    Fault(status=200, body=b'{"status": "starting"}'),
    Fault(status=504),
    DRIPPING,
    TOO_LATE,
]


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize("fault", NO_ANSWER, ids=repr)
def test_a_lost_submission_is_an_unknown_outcome_and_is_not_sent_again(ws, server, fault):
    added(ws, server, patience=patience_with(fault))
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    assert_unknown(ws, met_by_one(ws, server, SCHNELL, fault, n=1))
    assert ws.balance == 8


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    PUT_OFF,
    ids=repr,
)
def test_a_passing_refusal_is_tried_again_and_charged_once(ws, server, fault):
    added(ws, server)
    server.faults = [fault]
    (made_,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert made_.status == "completed"
    assert len(creates(server)) == 2
    assert server.images_charged == 1


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize("how", ["header", "date", "text"])
def test_what_a_throttled_request_is_told_to_wait_is_waited(ws, server, how):
    added(ws, server)
    now = datetime.now(UTC)
    headers = {
        "header": {"Retry-After": "300"},
        "date": {
            "Date": format_datetime(now, usegmt=True),
            "Retry-After": format_datetime(now + timedelta(seconds=300), usegmt=True),
        },
        "text": {},
    }[how]
    words = json.dumps({"detail": "Request was throttled. Your rate limit resets in ~300s."})
    body = words.encode() if how == "text" else None
    server.faults = [Fault(status=429, code="throttled", headers=headers, body=body)]
    assert_put_off(ws.generate("a fox", model=SCHNELL), server, 300)


# -- faults of the questions -----------------------------------------------------------------------


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=500),
        Fault(status=502),
        Fault(status=404, code="not_found"),
        Fault(reset_before=True),
        Fault(reset_after=0),
        Fault(reset_after=40),
        Fault(status=200, body=b"<html>Sign in first</html>", content_type="text/html"),
        Fault(status=200, body=b'{"id": "'),
        Fault(status=200, body=b"[]"),
    ],
    ids=repr,
)
def test_a_question_that_fails_in_passing_is_asked_again(ws, server, fault):
    added(ws, server)
    faults_at(server, "GET", "/v1/predictions/", fault, None, fault, fault)
    assert ended(ws.generate("a fox", model=SCHNELL)).status == "completed"
    assert len(creates(server)) == server.images_charged == 1


def test_an_answer_that_drips_is_read_to_its_end(ws, server):
    added(ws, server)
    faults_at(server, "GET", "/v1/predictions/", Fault(drip_s=0.0005))
    assert ended(ws.generate("a fox", model=SCHNELL)).status == "completed"


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault", [Fault(status=500), Fault(status=404), Fault(status=401, code="invalid_token")]
)
def test_questions_that_go_on_failing_leave_the_outcome_open(ws, server, fault):
    added(ws, server)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    server.fault_of = lambda seen: fault if seen.method == "GET" else None
    (lost,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert_unknown(ws, lost)
    assert len(creates(server)) == 1
    assert ws.balance == 9


@pytest.mark.req("PRV-7", "TOK-5")
def test_a_picture_that_is_fetched_with_trouble_is_asked_for_again(ws, server):
    added(ws, server)
    faults_at(server, "GET", "/delivery/", Fault(reset_after=20), Fault(status=503))
    assert ended(ws.generate("a fox", model=SCHNELL)).status == "completed"
    assert len(creates(server)) == server.images_charged == 1


@pytest.mark.req("PRV-7")
def test_a_foreign_address_is_never_asked(ws, emulator):
    with Emulator() as stranger:
        server = emulator(poll_at=stranger.url)
        added(ws, server)
        assert ended(ws.generate("a fox", model=SCHNELL)).status == "completed"
        batch = ws.generate("a fox", model=SCHNELL)
        until(lambda: len(server.predictions) == 2)
        batch.cancel()
        ended(batch)
        assert stranger.requests == []


@pytest.mark.parametrize("url", ["https://a:b", "http://[", 5, "", "https://127.0.0.1:x/v1/a"])
async def test_an_address_that_is_none_is_not_used(server, url, opened):
    provider = opened(server)
    ref = JobRef("id0", resumable=True, data={"get": url})
    assert provider._place(ref, "get", "") == f"{server.base_url}/predictions/id0"
