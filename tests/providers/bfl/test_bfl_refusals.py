"""Black Forest Labs' dialect through the real engine, against an emulator that counts charges.

The emulator checks each request against the facts of their OpenAPI document (fields, kinds,
ranges), which it has on its own. test_bfl_second_client.py has a client that is not ours speak to
it.
"""

from __future__ import annotations

import base64
import json
import logging
from decimal import Decimal

import pytest

import workbench as wb
from tests.providers.bfl.world import (
    CANARY,
    MODEL,
    added,
    asked_for,
    creates_only,
    files_only,
    made_with,
    paths,
    polls,
    polls_only,
)
from tests.providers.checks import (
    DRIPPING,
    LOST,
    REDIRECTED,
    TOO_LATE,
    assert_account,
    assert_refused,
    assert_sentence,
    assert_unknown,
    failed_downloads,
    met,
    no_pictures,
    patience_with,
    shown_after,
)
from tests.providers.world import (
    PUT_OFF,
    assert_nowhere,
    drained,
    fast,
    only,
    shown_by,
    wait_noted,
)
from tests.waiting import until
from workbench.domain.jobs import Done, JobInput, Log
from workbench.errors import ErrorKind, InvalidRequest, ProviderError
from workbench.providers.bfl import BFL
from workbench.providers.catalogue import load
from workbench.providers.redaction import Secret
from workbench.testing.emulators.bfl import BFLEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- refusals --------------------------------------------------------------------------------------


REFUSED = [
    (Fault(status=401), "auth", "its key"),
    (Fault(status=403), "auth", "does not allow"),
    (Fault(status=402), "quota", "no credit"),
    (Fault(status=404), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    REDIRECTED,
    (
        Fault(
            status=422,
            body=b'{"detail": [{"loc": ["body", "width"], "msg": "is odd.", "type": "x"}]}',
        ),
        "bad_request",
        "width: is odd.",
    ),
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), REFUSED)
def test_a_refused_submission_is_typed_and_costs_nothing(ws, server, fault, kind, said):
    added(ws, server)
    server.fault_of = creates_only(fault)
    error = only(ws.generate("a fox", model=MODEL)).error
    assert_refused(server, error, kind, said)
    assert_sentence(error)
    assert len(server.requests) == 1
    assert server.charges == []


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        *PUT_OFF,
        Fault(status=429, body=b'{"error": "rate_limit_exceeded", "retry_after": 0.1}'),
        Fault(status=429, body=b"no JSON"),
    ],
    ids=repr,
)
def test_a_submission_that_is_put_off_is_made_once(ws, server, fault):
    added(ws, server)
    server.faults = [fault]
    assert only(ws.generate("a fox", model=MODEL)).status == "completed"
    assert len(paths(server)) == 2
    assert server.images_charged == 1


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize(
    ("fault", "pause"),
    [
        (Fault(status=429, headers={"Retry-After": "7"}), 7),
        (Fault(status=429, body=b'{"message": "busy", "retry_after": 5}'), 5),
        (Fault(status=429, body=b'{"retry_after": 1e9}'), 600),
        (Fault(status=429, body=b'{"retry_after": "x"}'), None),
    ],
)
async def test_how_long_to_pause_is_in_header_or_body(server, fault, pause):
    provider = made_with(server)
    server.faults = [fault]
    with pytest.raises(ProviderError) as caught:
        await provider.submit(asked_for())
    await provider.close()
    assert (caught.value.kind, caught.value.retry_after_s) == (ErrorKind.RATE_LIMIT, pause)
    assert not caught.value.maybe_sent


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault",
    [
        *LOST,
        Fault(reset_after=20),
        Fault(status=200, body=b'{"polling_url": "x"}'),
        Fault(status=200, body=b'"fine"'),
        TOO_LATE,
        DRIPPING,
    ],
    ids=repr,
)
def test_a_submission_without_an_answer_is_an_unknown_outcome(ws, server, fault):
    added(ws, server, patience=patience_with(fault))
    server.fault_of = creates_only(fault)
    made = only(ws.generate("a fox", model=MODEL))
    assert_unknown(ws, made)
    assert len(paths(server)) == 1
    assert server.images_charged in (0, 1)


@pytest.mark.req("PRV-7")
def test_a_submission_that_never_went_out_is_made_again(ws, server):
    added(ws, server, base_url="http://127.0.0.1:9/v1")
    (waiting,) = ws.generate("a fox", model=MODEL).generations
    until(lambda: "retrying" in waiting.detail or waiting.error)
    waiting.cancel()
    assert waiting.status in ("cancelled", "failed")


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize("ends", ["Request Moderated", "Content Moderated"])
def test_moderation_is_a_block_and_says_why_in_the_log(ws, server, ends):
    server.ends = ends
    added(ws, server)
    error = only(ws.generate("a fox", model=MODEL)).error
    assert (error.kind, error.charged) == ("blocked", False)
    assert "content policy" in error.message
    wait_noted(ws, "Derivative Works Filter")
    assert server.charges == []


@pytest.mark.req("TOK-2", "TOK-4")
@pytest.mark.parametrize(
    "end",
    [
        {"status": "Content Moderated", "cost": 4.5},
        {"status": "Error", "cost": 4.5},
        {"status": "Ready", "result": {}, "cost": 4.5},
    ],
    ids=lambda end: end["status"],
)
def test_an_end_without_a_picture_that_names_a_cost_is_booked(ws, server, end):
    server.states = (end,)
    added(ws, server)
    made = only(ws.generate("a fox", model=MODEL))
    assert (made.error.charged, made.cost) == (True, Decimal("0.045"))
    assert ws.balances()["USD"] == -Decimal("0.045")
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("ends", ["Error", "Failed"])
def test_a_job_that_failed_there_fails_at_once(ws, server, ends):
    server.ends = ends
    added(ws, server)
    error = only(ws.generate("a fox", model=MODEL)).error
    assert (error.kind, error.charged) == ("bad_request", False)
    assert "The worker fell over." in error.message
    assert polls(server) == 2


@pytest.mark.req("PRV-7")
def test_ready_without_a_picture_is_a_block(ws, server):
    added(ws, server)
    server.faults = [Fault(images=0)]
    error = only(ws.generate("a fox", model=MODEL)).error
    assert (error.kind, error.charged) == ("blocked", False)


@pytest.mark.req("PRV-7", "TOK-2")
def test_ready_with_its_picture_in_a_field_of_another_name_is_no_block(ws, server):
    added(ws, server)
    said = {"status": "Ready", "result": {"seed": 7, "image": "https://pictures.example/1.png"}}
    server.fault_of = polls_only(Fault(status=200, body=json.dumps(said).encode()))
    error = only(ws.generate("a fox", model=MODEL)).error
    assert (error.kind, error.charged) == ("bad_image", True)


def test_more_pictures_than_one_are_one(ws, server):
    added(ws, server)
    server.faults = [Fault(images=3)]
    done = ws.generate("a fox", model=MODEL).wait(30)
    assert (done.status, len(done.all_generations())) == ("completed", 1)


@pytest.mark.req("PRV-7", "TOK-2")
@no_pictures
def test_bytes_that_are_no_picture_fail_with_what_they_cost(ws, server, fault):
    added(ws, server)
    server.faults = [fault]
    bad = only(ws.generate("a fox", model=MODEL))
    assert (bad.error.kind, bad.error.charged) == ("bad_image", True)


@pytest.mark.req("PRV-5", "PRV-7", "TOK-5")
@failed_downloads
def test_a_picture_that_could_not_be_fetched_is_fetched_again(ws, server, fault):
    added(ws, server)
    server.fault_of = files_only(fault)
    assert only(ws.generate("a fox", model=MODEL)).status == "completed"
    assert len(paths(server)) == server.images_charged == 1


@pytest.mark.req("PRV-7", "TOK-5")
def test_an_address_that_has_expired_leaves_an_unknown_outcome(ws, server):
    server.expired = 1_000
    added(ws, server)
    made = only(ws.generate("a fox", model=MODEL))
    assert_unknown(ws, made)
    wait_noted(ws, "not where")
    assert len(paths(server)) == server.images_charged == 1


@pytest.mark.req("PRV-5", "TOK-5")
def test_a_job_that_nobody_knows_any_more_is_an_unknown_outcome(ws, server):
    server.states = ("Task not found",) * 1_000
    provider = added(ws, server)
    provider.absent_s = 0.05
    made = only(ws.generate("a fox", model=MODEL))
    assert_unknown(ws, made)
    assert len(paths(server)) == 1


async def test_a_job_that_is_not_found_by_status_404_is_waited_for(server):
    provider = made_with(server)
    request = asked_for()
    ref = await provider.submit(request)
    gone = Fault(status=404, body=b'{"detail": "Task not found"}')
    server.fault_of = polls_only(gone, gone)
    events = await drained(provider, request, ref)
    await provider.close()
    assert isinstance(events[-1], Done)


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/v1",
        "http://api.bfl.ai/v1",
        "https://api.bfl.ai.evil.example/v1",
        "https://evilbfl.ai/v1",
        "http://127.0.0.1:9/v1",
    ],
)
def test_a_polling_address_that_is_not_theirs_does_not_get_the_key(ws, server, address):
    server.polling = address
    added(ws, server)
    made = only(ws.generate("a fox", model=MODEL))
    assert_unknown(ws, made)
    assert len(server.requests) == 1


def test_a_polling_address_of_a_region_gets_the_key():
    provider = BFL("flux", key=CANARY)
    for host in ("api.eu2.bfl.ai", "bfl.ai", "api.us.bfl.ai:443"):
        url = f"https://{host}/v1/get_result?id=1"
        assert provider._own(url) == url
        assert provider._headers(url) == {"x-key": Secret(CANARY)}


def test_without_a_polling_address_the_usual_one_is_asked(ws, server):
    server.polling = ""
    added(ws, server)
    server.fault_of = lambda seen: (
        Fault(status=200, body=b'{"id": "job-0"}') if seen.method == "POST" else None
    )
    server._jobs["job-0"] = type("Job", (), {"asked": {}, "fault": Fault(), "states": []})()
    assert only(ws.generate("a fox", model=MODEL)).status == "completed"


# -- small things ----------------------------------------------------------------------------------


async def test_what_is_wrong_here_is_said_before_anything_is_sent(server):
    provider = made_with(server)
    with pytest.raises(ProviderError, match=r"no model flux-9 any more\.") as caught:
        await provider.submit(asked_for("flux-9"))
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    one = JobInput("a", "reference", 0, "image/png", lambda: png("a"))
    with pytest.raises(InvalidRequest, match="takes 4 images; 5 were given"):
        await provider.submit(asked_for("flux-2-klein-4b", inputs=(one,) * 5))
    with pytest.raises(InvalidRequest, match="needs an image"):
        await provider.submit(asked_for("flux-pro-1.0-expand"))

    def gone() -> bytes:
        raise OSError("no such file")

    lost = JobInput("a", "reference", 0, "image/png", gone)
    with pytest.raises(ProviderError, match="cannot be read"):
        await provider.submit(asked_for(inputs=(lost,)))
    await provider.close()
    assert server.requests == []


@pytest.mark.req("PRV-7")
async def test_the_account_can_be_asked_without_cost(server):
    said = "Black Forest Labs answered; 117.5 credits are left."
    await assert_account(made_with, server, said, wrong_key="bfl-wrong-0123456789")


@pytest.mark.req("TOK-6")
def test_prices_are_dated_and_as_their_formula_says():
    catalogue = load("bfl", "bfl")
    assert catalogue.dated == "2026-11-21"
    # First megapixel, each further one, in cents (black-forest-labs/skills).
    told = {"pro": (3, "1.5"), "max": (7, 3), "flex": (5, 5), "klein-4b": ("1.4", "0.1")}
    for name, (first, more) in told.items():
        rate = catalogue.entries[f"flux-2-{name}"].model.rate
        for megapixels in (1, 4):
            cents = Decimal(first) + Decimal(more) * (megapixels - 1)
            asked = rate.micro({}, width=1000 * megapixels, height=1000)
            assert asked == int(cents * 10_000)


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(workspace_home, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with BFLEmulator(key=CANARY) as server, wb.open(workspace_home / "ws", user="ada") as ws:
        monkeypatch.setenv("BFL_API_KEY", CANARY)
        monkeypatch.setenv("BFL_BASE_URL", server.base_url)
        provider = BFL(pace=fast)
        ws.add_provider(provider)
        model = "bfl:flux-2-pro"
        faults = (
            None,
            Fault(status=401, body=f'{{"detail": "no {CANARY}"}}'.encode()),
            Fault(status=422, body=f'{{"detail": [{{"msg": "key {CANARY}"}}]}}'.encode()),
            Fault(status=500, body=f'{{"detail": "token {CANARY}"}}'.encode()),
            Fault(reset_after=0),
            Fault(image=CANARY.encode()),
        )
        shown = shown_after(ws, provider, faults, lambda fault: met(ws, server, fault, model))
        server.ends = CANARY
        server.states = ({"status": "Error", "details": {"error": f"key {CANARY}"}},)
        shown.append(repr(only(ws.generate("a fox", model=model)).error))
        shown += shown_by(ws, provider)
    assert_nowhere(CANARY, [*shown, caplog.text, *capfd.readouterr()], workspace_home)


async def test_a_preview_at_an_address_is_fetched_without_the_key(server):
    server.states = (
        {"status": "Pending", "preview": {"url": f"{server.url}/files/job-0.png?x=1"}},
        {"status": "Pending", "preview": {"url": "http://127.0.0.1:9/nothing-there.png"}},
        {"status": "Pending", "preview": base64.b64encode(b"x" * 300_000).decode()},
    )
    provider = made_with(server)
    request = asked_for()
    events = await drained(provider, request)
    await provider.close()
    assert [event.data for event in events if type(event).__name__ == "Partial"] == [png("a fox")]
    (remark,) = [event for event in events if isinstance(event, Log)]
    assert "A preview of 300 kB is left out" in remark.text
    files = [seen for seen in server.requests if "/files/" in seen.path]
    assert not any("x-key" in seen.headers for seen in files)
