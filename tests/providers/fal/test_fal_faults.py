"""fal's queue through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.providers.checks import (
    DRIPPING,
    REDIRECTED,
    TOO_LATE,
    assert_put_off,
    assert_refused,
    assert_sentence,
    assert_unknown,
    no_pictures,
    patience_with,
)
from tests.providers.fal.world import CANARY, COST, SCHNELL, added, failing, made, request_for
from tests.providers.world import PUT_OFF, ended, error_of, requests_of
from workbench.domain.jobs import JobRef
from workbench.errors import ErrorKind, ProviderError
from workbench.providers import fal_wire
from workbench.providers.fal import HOME, Fal
from workbench.testing.emulators.fal import faults_in
from workbench.testing.emulators.server import Fault

# -- failures --------------------------------------------------------------------------------------


REFUSED = [
    (Fault(status=401, code="not_authorized"), "auth", "did not accept"),
    (Fault(status=403), "auth", "does not allow"),
    (Fault(status=403, code="no_credit"), "quota", "no credit"),
    (Fault(status=402), "quota", "no credit"),
    (Fault(status=404), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    (Fault(status=422), "bad_request", "prompt: This was asked for by a test."),
    (Fault(status=400, body=b"<html>" + b"x" * 100_000), "bad_request", "does not accept"),
    REDIRECTED,
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), REFUSED, ids=repr)
def test_a_submission_that_is_refused_costs_nothing(ws, fal, fault, kind, said):
    added(ws, fal)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    fal.faults = [fault]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert_refused(fal, error, kind, said)
    assert_sentence(error)
    assert len(fal.requests) == 1
    assert ws.balance == 10
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("tells", [True, False])
def test_a_wrong_field_is_named(ws, emulator, tells):
    server = emulator(tells_errors=tells)
    added(ws, server)
    real = server.job_of

    def job_of(seen, model, fault):
        job = real(seen, model, fault)
        job.wrong = faults_in({"prompt": "x", "image_size": {"width": 0, "height": 8}}, model)
        return job

    server.job_of = job_of
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == ("bad_request", False)
    assert "image_size.width: Input should be less than or equal to 14142" in error.message
    assert server.images_charged == 0


@pytest.mark.parametrize(
    ("value", "words", "kind"),
    [
        ({"detail": "no"}, "no", None),
        ({"detail": "User is locked. Reason: TOP_UP."}, None, ErrorKind.QUOTA),
        ({"detail": "late", "error_type": "request_timeout"}, "late", ErrorKind.TRANSIENT),
        ({"error": {"type": "validation_error", "message": "no"}}, "no", None),
        ({"detail": [{"loc": ["body"], "msg": "a"}, {"loc": ["body", "x", 0], "msg": "b"}]},
         "a; x.0: b", None),
        ({"detail": [{"msg": "a", "type": "z"}, {"type": "content_policy_violation"}]}, "a; ",
         ErrorKind.BLOCKED),
        ({"detail": []}, "", None),
        ({"detail": [3]}, "", None),
        ([], "", None),
        ("text", "", None),
    ],
)  # fmt: skip
def test_errors_are_read_in_every_shape(value, words, kind):
    said = fal_wire.said_by(value)
    assert said.kind == kind
    assert words is None or said.words == words


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(reset_after=0),
        Fault(reset_after=40),
        Fault(status=502),
        Fault(status=504),
        Fault(status=200, body=b"<html>Sign in first</html>", content_type="text/html"),
        Fault(status=200, body=b"[]"),
        Fault(status=200, body=b'{"request_id": "job-0"}'),
        Fault(status=200, body=b'{"request_id": "j", "status_url": "https://evil.example/s", '
                               b'"response_url": "https://evil.example/r"}'),
        DRIPPING,
        TOO_LATE,
    ],
    ids=repr,
)  # fmt: skip
def test_a_submission_whose_answer_is_lost_is_an_unknown_outcome(ws, fal, fault):
    added(ws, fal, patience=patience_with(fault))
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    fal.faults = [fault]
    (lost,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert_unknown(ws, lost)
    assert len(fal.requests) == 1
    assert ws.balance == 9  # it stays reserved


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    PUT_OFF,
    ids=repr,
)
def test_a_submission_that_fails_in_passing_is_made_again_and_charged_once(ws, fal, fault):
    added(ws, fal)
    fal.faults = [fault]
    (done,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert done.status == "completed"
    assert len(requests_of(fal, "POST", "/schnell")) == 2
    assert fal.images_charged == 1


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_what_retry_after_asks_for_is_waited(ws, fal, kind):
    added(ws, fal)
    now = datetime.now(UTC)
    headers = {
        "seconds": {"Retry-After": "300"},
        "date": {
            "Date": format_datetime(now, usegmt=True),
            "Retry-After": format_datetime(now + timedelta(seconds=300), usegmt=True),
        },
    }[kind]
    fal.faults = [Fault(status=429, headers=headers)]
    assert_put_off(ws.generate("a fox", model=SCHNELL), fal, 300)


PASSING = [
    Fault(status=500),
    Fault(status=502, body=b"<html>nginx</html>"),
    Fault(status=429, headers={"Retry-After": "0"}),
    Fault(status=404),
    Fault(status=200, body=b"<html>Sign in first</html>", content_type="text/html"),
    Fault(status=200, body=b'{"status": '),
    Fault(reset_before=True),
    Fault(reset_after=0),
    Fault(reset_after=20),
]


@pytest.mark.req("PRV-4", "TOK-5")
@pytest.mark.parametrize("where", [r".*/status", r".*/requests/[\w-]+", r"/files/.*"])
def test_a_question_that_fails_in_passing_is_asked_again(ws, emulator, where):
    server = emulator(streams=False)
    added(ws, server)
    left = []

    def fault_of(seen):
        there = re.fullmatch(where, seen.path.partition("?")[0])
        return left.pop() if there and left else None

    server.fault_of = fault_of
    for fault in PASSING:
        if where.startswith("/files") and fault.status in (200, 404):
            continue  # of a file that is the end
        left += [fault, fault]
        (done,) = ended(ws.generate("a fox", model=SCHNELL)).generations
        assert (done.status, done.cost) == ("completed", COST), fault
        assert left == []
    jobs = len(requests_of(server, "POST", "/schnell"))
    assert jobs == server.images_charged == len(ws.frame())
    assert ws.doctor().problems == []


@pytest.mark.req("TOK-5", "PRV-7")
@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ("/files/", Fault(status=403)),
        ("/files/", Fault(status=404)),
        ("/files/", Fault(status=410)),
        ("/requests/job-0", Fault(status=401)),
        ("/status", Fault(status=403, code="no_credit")),
    ],
    ids=repr,
)
def test_what_was_made_and_cannot_be_had_is_left_to_a_person(ws, emulator, where, fault):
    server = emulator(streams=False)
    added(ws, server)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    server.fault_of = lambda seen: fault if where in seen.path else None
    if where != "/files/":
        server.fault_of = lambda seen: (
            fault if seen.path.partition("?")[0].endswith(where) else None
        )
    (lost,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert len(requests_of(server, "POST", "/schnell")) == 1
    assert ws.balance == 9
    # Once it works again, asking again brings it home; nothing is sent twice.
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("tells", [True, False])
def test_a_runner_that_failed_for_good_ends_the_job_uncharged(ws, emulator, tells):
    server = emulator(tells_errors=tells, streams=False, states=())
    added(ws, server)
    server.faults = [Fault(in_stream="runner_disconnected")]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == ("unavailable", False)
    assert "The runner did not get through this." in error.message
    assert error.message.endswith("Try again later, or choose another model.")
    assert len(requests_of(server, "POST", "/schnell")) == 1
    assert len(requests_of(server, "GET", "/requests/job-0")) == 1
    assert server.images_charged == 0


async def test_a_job_s_own_error_and_a_failed_question_are_told_apart(emulator):
    server = emulator(streams=False, states=())
    server.faults = [Fault(in_stream="startup_timeout")]
    error = await failing(made(server))
    assert (error.kind, error.maybe_sent) == (ErrorKind.UNAVAILABLE, False)
    # The state said that it failed; that the result cannot be asked for changes nothing.
    server.faults = [Fault(code="content_policy_violation"), None, None, Fault(status=401)]
    error = await failing(made(server))
    assert (error.kind, error.maybe_sent) == (ErrorKind.UNAVAILABLE, False)
    assert "Unprocessable Entity" in error.message
    server.faults = [None, *[Fault(reset_before=True)] * 20]
    error = await failing(made(server))
    assert (error.kind, error.maybe_sent) == (ErrorKind.TRANSIENT, True)
    server.faults = [None, *[Fault(status=404)] * 20]
    error = await failing(made(server))
    assert (error.kind, error.maybe_sent) == (ErrorKind.TRANSIENT, True)
    assert "does not tell what became of this job" in error.message


@pytest.mark.req("PRV-7", "TOK-2")
@no_pictures
def test_bytes_that_are_no_picture_fail_with_what_they_cost(ws, fal, fault):
    added(ws, fal)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    fal.faults = [fault]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == ("bad_image", True)
    assert ws.balance == 9


def test_a_slow_answer_is_waited_for(ws, fal):
    added(ws, fal)
    fal.fault_of = lambda seen: Fault(drip_s=0.0002)
    assert ended(ws.generate("a fox", model=SCHNELL)).status == "completed"


# -- addresses -------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://queue.fal.run/a/requests/1", True),
        ("https://other.fal.run/a", True),
        ("http://queue.fal.run/a", False),
        ("https://fal.run.evil.example/a", False),
        ("https://evilfal.run/a", False),
        ("http://127.0.0.1:9/a", False),
        ("file:///etc/passwd", False),
        (None, False),
    ],
)
async def test_jobs_are_asked_for_at_fal_s_addresses_only(url, may):
    provider = Fal(key=CANARY)
    assert (HOME, may) == (provider._base(), provider._may_have_key(url or ""))
    if may:
        return
    ref = JobRef("1", resumable=True, data={"status_url": url, "response_url": url})
    error = await failing(provider, ref)
    assert (error.kind, error.maybe_sent) == (ErrorKind.TRANSIENT, True)
    assert "not its own" in error.message


async def test_a_foreign_cancel_address_is_not_used(fal):
    fal.faults = []
    real = fal._addresses
    fal._addresses = lambda job: real(job) | {"cancel_url": "https://evil.example/c"}
    provider = made(fal)
    ref = await provider.submit(request_for())
    assert set(ref.data) == {"status_url", "response_url"}
    await provider.cancel(ref)
    with pytest.raises(ProviderError, match="not its own"):
        await provider.cancel(JobRef("1", data={"cancel_url": "https://evil.example/c"}))
    await provider.close()
    assert len(fal.requests) == 1
