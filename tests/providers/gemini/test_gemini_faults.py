"""Google's Gemini API through the real engine, against an emulator that its own client knows."""

from __future__ import annotations

import pytest

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
    met_by_one,
    no_pictures,
    patience_with,
)
from tests.providers.gemini.world import (
    BACKGROUND,
    COST,
    MODEL,
    added,
)
from tests.providers.world import ended, error_of
from workbench.testing.emulators.server import Fault

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
    REDIRECTED,
    (Fault(status=400, body=b"<html>" + b"x" * 100_000), "bad_request", "does not accept"),
    (Fault(status=400, body=b'[{"error": {"message": "odd"}}]'), "bad_request", "odd"),
]


NO_ANSWER = [
    *LOST,
    Fault(reset_after=40),
    Fault(silent=True, code="STOP"),
    Fault(status=200, body=b"{}"),
    Fault(status=504),
    TOO_LATE,
]


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
    error = met_by_one(ws, google, MODEL, fault, **more).error
    assert_refused(google, error, kind, said)
    if not fault.body:
        assert_sentence(error)
    assert ws.balance == 8


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize("fault", NO_ANSWER, ids=repr)
def test_a_lost_answer_is_an_unknown_outcome_and_is_not_asked_for_again(ws, google, fault):
    added(ws, google, patience=patience_with(fault))
    ws.grant(10)
    ws.set_price(MODEL, 1)
    more = {"drafts": False} if fault.status == 200 else {}
    assert_unknown(ws, met_by_one(ws, google, MODEL, fault, **more))
    assert google.images_charged - 2 in (0, 1)
    assert ws.balance == 7


@pytest.mark.req("TOK-5")
def test_a_slow_drip_ends_at_the_deadline(ws, google):
    added(ws, google, patience=patience_with(DRIPPING))
    google.faults = [DRIPPING]
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
        (Fault(status=429, code="RetryInfo:0.05s"), 0),
        (Fault(status=429, code="RetryInfo:300.2s"), 300),
        (Fault(status=429, code="RetryInfo:soon"), 0),
        (Fault(status=429, headers={"Retry-After": "300"}), 300),
        (Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), 0),
        (Fault(status=500), 0),
        (Fault(status=503), 0),
        (Fault(in_stream="whatever"), 0),
    ],
    ids=repr,
)
def test_a_passing_failure_is_tried_again_after_what_it_asks_for(ws, google, fault, waits):
    added(ws, google)
    google.faults = [fault]
    batch = ws.generate("a fox", model=MODEL)
    if waits:
        assert_put_off(batch, google, waits)
        return
    (made,) = ended(batch).generations
    assert made.status == "completed"
    assert len(google.requests) == 2
    assert google.images_charged - bool(fault.in_stream) == 1


@pytest.mark.req("PRV-7", "TOK-2")
@no_pictures
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
    assert cancelled_on_the_way(ws, google, MODEL)
    assert ws.balances()["USD"] == -COST


@pytest.mark.req("TOK-5")
def test_a_call_that_was_under_way_when_its_process_closed_is_not_made_again(
    workspace_home, google
):
    closed_on_the_way(workspace_home, google, added, MODEL)
    assert len(google.requests) == 1
