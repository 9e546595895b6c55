"""fal's queue through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import base64
import functools
import json
import logging
import re
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path

import pytest

import workbench as wb
from workbench.domain.jobs import JobRef, JobRequest, Log, Queued, Running, Slot
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, ProviderError
from workbench.providers import fal_wire
from workbench.providers.catalogue import load
from workbench.providers.fal import HOME, Fal
from workbench.providers.http import Patience
from workbench.providers.polling import Pace
from workbench.runner.settings import RunnerSettings
from workbench.testing.emulators.fal import FalEmulator, faults_in
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png
from workbench.workspace import engine as engines

CANARY = "canary01-23456789-abcd:canary0123456789abcdef"
SCHNELL = "fal:fal-ai/flux/schnell"
COST = Decimal("0.003")  # one billable unit
FAST = functools.partial(Pace, first_s=0.01, longest_s=0.05)
WAITING = {"status": "IN_QUEUE", "queue_position": 0}
MAKING = {"status": "IN_PROGRESS", "logs": []}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    fast = functools.partial(RunnerSettings, backoff_base_s=0.02, backoff_cap_s=0.05)
    monkeypatch.setattr(engines, "RunnerSettings", fast)


@pytest.fixture
def fal():
    with FalEmulator() as server:
        yield server


@pytest.fixture
def emulator():
    opened = []

    def make(**how) -> FalEmulator:
        opened.append(FalEmulator(**how))
        return opened[-1].__enter__()

    yield make
    for server in opened:
        server.close()


def made(server: FalEmulator, **changes) -> Fal:
    given = {"base_url": server.base_url, "key": server.key, "pace": FAST, **changes}
    return Fal("fal", **given)


def added(ws, server: FalEmulator, **changes) -> Fal:
    provider = made(server, **changes)
    ws.add_provider(provider)
    return provider


def ended(batch: wb.Batch) -> wb.Batch:
    return batch.wait(20)


def error_of(batch: wb.Batch):
    (generation,) = ended(batch).generations
    assert generation.error is not None, (generation.status, generation.detail)
    return generation.error


def until(true, seconds=10.0):
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.01)


def asked_for(server: FalEmulator, method: str, end: str) -> list:
    return [
        one
        for one in server.requests
        if one.method == method and one.path.partition("?")[0].endswith(end)
    ]


def request_for(model: str = "fal-ai/flux/schnell", **changes) -> JobRequest:
    given = {
        "key": "k",
        "model": model,
        "operation": Operation.GENERATE,
        "prompt": "a fox",
        "negative_prompt": None,
        "width": 512,
        "height": 512,
        "params": {},
        "slots": (Slot("g", 0, 7),),
        **changes,
    }
    return JobRequest(**given)


async def failing(provider: Fal, ref: JobRef | None = None, **changes) -> ProviderError:
    """Return the error of a job, by its reference where there is one."""
    request = request_for(**changes)

    async def run() -> None:
        given = ref or await provider.submit(request)
        async for _ in provider.events(request, given):
            pass

    with pytest.raises(ProviderError) as caught:
        await run()
    await provider.close()
    return caught.value


# -- what users see -------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "CFG-1")
def test_without_a_key_it_says_which_variable_is_missing(ws):
    ws.add_provider(Fal())
    (info,) = [info for info in ws.providers() if info.name == "fal"]
    assert (info.state.ready, info.state.code) == (False, "key_missing")
    assert "FAL_KEY" in info.state.message


@pytest.mark.req("PRV-2", "PRV-7")
def test_key_and_address_come_from_the_environment(ws, fal, monkeypatch):
    monkeypatch.setenv("FAL_KEY", f" {fal.key}\n")
    monkeypatch.setenv("FAL_BASE_URL", f"{fal.base_url}/")
    ws.add_provider(Fal(pace=FAST))
    assert ended(ws.generate("a fox", model=SCHNELL)).status == "completed"
    assert fal.requests[0].headers["authorization"] == f"Key {fal.key}"


async def test_a_test_asks_for_a_price_and_costs_nothing(fal):
    provider = made(fal, platform_url=fal.platform_url)
    assert "1 price for fal-ai/flux/schnell" in await provider.test()
    assert fal.charges == []
    await provider.close()
    # What the official document of that API says about its request and its answer.
    (seen,) = fal.requests
    assert (seen.method, seen.path) == (
        "GET",
        "/v1/models/pricing?endpoint_id=fal-ai%2Fflux%2Fschnell",
    )
    answer = json.loads(b"".join(fal.reply(seen, Fault()).pieces))
    assert set(answer) == {"prices", "next_cursor", "has_more"}
    assert set(answer["prices"][0]) == {"endpoint_id", "unit_price", "unit", "currency"}
    for changes, kind in (
        ({"key": "wrong"}, ErrorKind.AUTH),
        ({"key": "two words"}, ErrorKind.AUTH),
        ({"key": None}, ErrorKind.AUTH),
    ):
        provider = made(fal, platform_url=fal.platform_url, **changes)
        with pytest.raises(ProviderError) as caught:
            await provider.test()
        assert caught.value.kind is kind
        await provider.close()
    with pytest.raises(ProviderError, match="nothing to ask for"):
        await made(fal).test()


@pytest.mark.req("TOK-6")
def test_models_and_prices_are_dated_data():
    catalogue = load("fal", "fal")
    assert catalogue.dated == "2026-11-21"
    for name, entry in catalogue.entries.items():
        assert entry.model.id == f"fal:{name}"
        entry.model.check({})
        if Operation.EDIT in entry.model.operations:
            assert entry.send["image"] in ("image_url", "image_urls")
            assert entry.model.max_references > 0
    schnell = catalogue.entries["fal-ai/flux/schnell"].model
    assert schnell.price_of({}, width=1000, height=1000).amount_micro == 3_000
    banana = catalogue.entries["fal-ai/nano-banana-2"].model
    assert banana.price_of(banana.check({"resolution": "4K"})).amount_micro == 160_000


@pytest.mark.parametrize("name", list(load("fal", "fal").entries))
def test_every_model_is_asked_for_as_its_fields_are_checked(name):
    """All of our parameters arrive at fields that a model of fal's has, of the right type."""
    entry = load("fal", "fal").entries[name]
    params = entry.model.check({})
    sides = (params.pop("width", None), params.pop("height", None))
    images = ["data:image/png;base64,AAAA"] if entry.model.max_references else []
    request = request_for(
        name, params=params, width=sides[0], height=sides[1], negative_prompt="fog"
    )
    body = fal_wire.body_of(request, request.slots[0], entry, images)
    path = entry.send.get("edit") if images else None
    assert faults_in(body, path or name) == []
    assert ("negative_prompt" in body) == entry.model.negative_prompt
    assert ("seed" in body) == entry.model.seeds


# -- pictures -------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-4", "TOK-4")
def test_a_picture_comes_home_with_what_it_cost(ws, fal):
    added(ws, fal)
    done = ended(
        ws.generate("a red fox", model=SCHNELL, n=2, width=768, height=512, seed=11, steps=3)
    )
    assert done.status == "completed"
    assert [g.asset.path.read_bytes() for g in done.generations] == [png("a red fox|0")] * 2
    assert [(g.cost, g.record.unit, g.record.charged) for g in done.generations] == [
        (COST, "USD", True)
    ] * 2
    posts = asked_for(fal, "POST", "/schnell")
    assert sorted(one.json()["seed"] for one in posts) == sorted(g.seed for g in done.generations)
    assert posts[0].path == "/fal-ai/flux/schnell"
    assert posts[0].headers["x-fal-request-timeout"] == "600"
    body = posts[0].json()
    body.pop("seed")
    assert body == {
        "prompt": "a red fox",
        "image_size": {"width": 768, "height": 512},
        "num_inference_steps": 3,
        "guidance_scale": 3.5,
        "output_format": "png",
        "enable_safety_checker": True,
    }
    # Pushed, not asked for; and the picture is fetched without the key.
    assert len(asked_for(fal, "GET", "/status/stream")) == 2
    assert asked_for(fal, "GET", "/status") == []
    files = [one for one in fal.requests if one.path.startswith("/files/")]
    assert len(files) == 2
    assert all("authorization" not in one.headers for one in files)
    assert fal.images_charged == 2
    assert ws.balances()["USD"] == -2 * COST
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-2", "PRV-8")
def test_references_go_in_as_data_addresses_by_the_model_s_own_path(ws, fal):
    added(ws, fal)
    references = [png("one"), png("two")]
    done = ended(ws.generate("like these", model="fal:fal-ai/nano-banana-2", references=references))
    assert done.status == "completed"
    (post,) = asked_for(fal, "POST", "/edit")
    assert post.path == "/fal-ai/nano-banana-2/edit"
    urls = post.json()["image_urls"]
    assert [url.partition(",")[0] for url in urls] == ["data:image/png;base64"] * 2
    ended(ws.generate("a hat", model="fal:fal-ai/flux-pro/kontext", references=[png("one")]))
    assert asked_for(fal, "POST", "/kontext")[0].json()["image_url"] == urls[0]
    # What is billed is known for neither: the estimate counts.
    assert done.generations[0].cost == Decimal("0.08")


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize("streams", [True, False], ids=["pushed", "asked"])
def test_place_in_the_queue_and_steps_are_shown(ws, emulator, streams):
    bar = {"message": " 75%|#######   | 3/4 [00:00<00:00]", "timestamp": "1"}
    states = [
        {"status": "IN_QUEUE", "queue_position": 4},
        *[{"status": "IN_PROGRESS", "logs": [bar]}] * 3,
    ]
    server = emulator(streams=streams, states=states)
    server.fault_of = lambda seen: Fault(gap_s=0.2, pause_s=0.0 if streams else 0.2)
    added(ws, server)
    (generation,) = ws.generate("a fox", model=SCHNELL).generations
    seen = set()
    while not generation.status.is_terminal:
        seen.add((generation.status.value, generation.record.step, generation.record.total_steps))
        seen.add(generation.detail)
        time.sleep(0.02)
    assert generation.status == "completed"
    assert ("processing", 3, 4) in seen
    assert any("5" in one for one in seen if isinstance(one, str)), seen


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize(
    "broken",
    [
        Fault(status=404),
        Fault(status=401),
        Fault(reset_before=True),
        Fault(reset_after=300),
        Fault(silent=True),
        Fault(content_type="application/json"),
        Fault(
            status=200, body=b"data: {nonsense\n\ndata: []\n\n", content_type="text/event-stream"
        ),
    ],
    ids=repr,
)
def test_a_stream_that_breaks_is_followed_by_asking(ws, fal, broken):
    added(ws, fal)
    fal.fault_of = lambda seen: broken if "/stream" in seen.path else None
    (done,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert (done.status, done.cost) == ("completed", COST)
    assert len(asked_for(fal, "GET", "/status/stream")) == 1
    assert asked_for(fal, "GET", "/status")[0].path.endswith("?logs=1")
    assert fal.images_charged == 1


def test_statuses_that_repeat_come_late_or_are_not_known_are_borne(ws, emulator):
    states = [
        {"status": "IN_PROGRESS", "logs": None},
        {"status": "IN_QUEUE"},
        {"status": "IN_QUEUE", "queue_position": "many"},
        {"status": "THINKING"},
        {},
        {"status": "IN_PROGRESS", "logs": "none"},
        {"status": "IN_PROGRESS", "logs": [{"message": 3}, 4]},
    ]
    server = emulator(states=states * 2, streams=False)
    added(ws, server)
    assert ended(ws.generate("a fox", model=SCHNELL)).status == "completed"
    assert len(asked_for(server, "GET", "/status")) == 15


def test_what_a_status_says_that_is_new_becomes_an_event():
    progress = fal_wire.Progress(2)
    lines = [{"message": "loading", "timestamp": str(n // 2)} for n in range(60)]
    bar = {"message": "x\r 25%|##   | 1/4 [..]\r 50%|####  | 2/4 [..]"}
    status = {"status": "IN_PROGRESS", "logs": [*lines, bar]}
    first = list(progress.events(fal_wire.status_of(status)))
    assert first[0] == Running(2, 4, 2)
    assert len(first) == 1 + 20  # no more than twenty lines, each once
    assert first[1] == Log("loading", 2)
    assert list(progress.events(fal_wire.status_of(status))) == []
    assert list(progress.events(fal_wire.status_of({"status": "IN_QUEUE"}))) == [Queued(None)]


@pytest.mark.parametrize(
    ("value", "ended_", "error"),
    [
        ({"status": "COMPLETED"}, True, None),
        ({"status": "COMPLETED", "error": "no"}, True, "no"),
        ({"status": "COMPLETED", "error": {"message": "no"}}, True, "no"),
        ({"status": "FAILED"}, True, "failed"),
        ({"status": "CANCELED"}, True, "canceled"),
        ({"status": "WHATEVER"}, False, None),
        ({"status": "WHATEVER", "error": "broke"}, True, "broke"),
    ],
)
def test_a_state_ends_a_job_where_it_says_so(value, ended_, error):
    status = fal_wire.status_of(value)
    assert (status.ended, status.error) == (ended_, error)


def test_a_longer_prompt_that_was_used_is_kept(ws, fal):
    real = fal.make
    fal.make = lambda job: real(job) | {"prompt": "a fox, in the evening sun"}
    added(ws, fal)
    (done,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert done.record.prompt_sent == "a fox, in the evening sun"


def test_one_picture_may_come_under_another_name_and_as_data(ws, fal):
    picture = "data:image/png;base64," + base64.b64encode(png("x")).decode()
    fal.make = lambda job: fal.charge(job.seen, 1) or {"image": {"url": picture}}
    added(ws, fal)
    (done,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert done.asset.path.read_bytes() == png("x")


# -- moderation -----------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("tells", [True, False])
def test_a_prompt_that_is_refused_is_blocked_and_not_charged(ws, emulator, tells):
    server = emulator(tells_errors=tells)
    added(ws, server)
    server.faults = [Fault(code="content_policy_violation")]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == ("blocked", False)
    assert "content policy" in error.message
    assert server.images_charged == 0


@pytest.mark.req("PRV-7")
def test_a_picture_that_was_blacked_out_is_blocked_never_delivered(ws, fal):
    added(ws, fal)
    fal.faults = [Fault(code="nsfw")]
    batch = ws.generate("a fox", model=SCHNELL)
    error = error_of(batch)
    assert error.kind == "blocked"
    assert batch.generations[0].asset is None
    assert not [one for one in fal.requests if one.path.startswith("/files/")]
    # It was made and is billed there, which the log tells.
    assert fal.images_charged == 1
    assert any("counted 1 billable units" in repr(entry) for entry in ws.debug.entries())
    # Without a checker a flag is no more than a remark.
    fal.faults = [Fault(code="nsfw")]
    done = ended(ws.generate("a fox", model=SCHNELL, enable_safety_checker=False))
    assert done.status == "completed"


def test_no_picture_and_no_error_is_a_block(ws, fal):
    added(ws, fal)
    fal.faults = [Fault(images=0)]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == ("blocked", False)
    assert fal.images_charged == 0


def test_more_pictures_than_asked_for_are_one(ws, fal):
    added(ws, fal)
    fal.faults = [Fault(images=3)]
    done = ended(ws.generate("a fox", model=SCHNELL))
    assert (done.status, len(done.all_generations())) == ("completed", 1)
    assert len([one for one in fal.requests if one.path.startswith("/files/")]) == 1


# -- failures -------------------------------------------------------------------------------------

REFUSED = [
    (Fault(status=401, code="not_authorized"), "auth", "did not accept"),
    (Fault(status=403), "auth", "does not allow"),
    (Fault(status=403, code="no_credit"), "quota", "no credit"),
    (Fault(status=402), "quota", "no credit"),
    (Fault(status=404), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    (Fault(status=422), "bad_request", "prompt: This was asked for by a test."),
    (Fault(status=400, body=b"<html>" + b"x" * 100_000), "bad_request", "does not accept"),
    (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "bad_request", "redirects"),
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), REFUSED, ids=repr)
def test_a_submission_that_is_refused_costs_nothing(ws, fal, fault, kind, said):
    added(ws, fal)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    fal.faults = [fault]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert error.message.endswith((".", "…"))
    assert fal.key not in error.message
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
        Fault(drip_s=0.02),
        Fault(pause_s=0.9),
    ],
    ids=repr,
)  # fmt: skip
def test_a_submission_whose_answer_is_lost_is_an_unknown_outcome(ws, fal, fault):
    added(ws, fal, patience=Patience(total_s=0.7))
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    fal.faults = [fault]
    (lost,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert len(fal.requests) == 1
    assert ws.balance == 9  # it stays reserved
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": "soon"}),
        Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(status=429),
        Fault(status=500),
        Fault(status=503),
    ],
    ids=repr,
)
def test_a_submission_that_fails_in_passing_is_made_again_and_charged_once(ws, fal, fault):
    added(ws, fal)
    fal.faults = [fault]
    (done,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert done.status == "completed"
    assert len(asked_for(fal, "POST", "/schnell")) == 2
    assert fal.images_charged == 1


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_what_retry_after_asks_for_is_waited(ws, fal, kind):
    added(ws, fal)
    now = datetime.now(UTC)
    headers = {
        "seconds": {"Retry-After": "1"},
        "date": {
            "Date": format_datetime(now, usegmt=True),
            "Retry-After": format_datetime(now + timedelta(seconds=1), usegmt=True),
        },
    }[kind]
    fal.faults = [Fault(status=429, headers=headers)]
    begun = time.monotonic()
    assert ended(ws.generate("a fox", model=SCHNELL)).status == "completed"
    assert time.monotonic() - begun >= 1.0


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
    jobs = len(asked_for(server, "POST", "/schnell"))
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
    assert len(asked_for(server, "POST", "/schnell")) == 1
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
    assert len(asked_for(server, "POST", "/schnell")) == 1
    assert len(asked_for(server, "GET", "/requests/job-0")) == 1
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
@pytest.mark.parametrize(
    "fault",
    [Fault(image=b"<html>no picture</html>"), Fault(cut=0.5), Fault(image=b"")],
    ids=["text", "half", "nothing"],
)
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


# -- addresses ------------------------------------------------------------------------------------


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


# -- cancel and resume ----------------------------------------------------------------------------


@pytest.mark.req("PRV-6")
def test_a_cancel_takes_a_job_out_of_the_queue(ws, emulator):
    server = emulator(streams=False, states=[WAITING] * 10_000)
    added(ws, server)
    batch = ws.generate("a fox", model=SCHNELL)
    until(lambda: asked_for(server, "GET", "/status"))
    batch.cancel()
    until(lambda: server.cancelled == ["job-0"])
    assert batch.generations[0].status == "cancelled"
    until(lambda: asked_for(server, "GET", "/requests/job-0"))
    assert server.images_charged == 0
    (put,) = asked_for(server, "PUT", "/cancel")
    assert put.headers["authorization"] == f"Key {server.key}"
    assert len(batch.all_generations()) == 1
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-6", "PRV-4")
def test_a_picture_that_was_made_in_spite_of_a_cancel_comes_home(ws, emulator):
    server = emulator(streams=False, states=[MAKING] * 40)
    added(ws, server)
    batch = ws.generate("a fox", model=SCHNELL)
    until(lambda: len(asked_for(server, "GET", "/status")) > 2)
    batch.cancel()
    until(lambda: len(batch.all_generations()) == 2)
    first, late = batch.all_generations()
    assert (first.status, late.status) == ("cancelled", "completed")
    assert late.cost == COST
    assert server.images_charged == 1


@pytest.mark.parametrize(
    ("fault", "raises"),
    [
        (None, False),
        (Fault(status=400), False),
        (Fault(status=404), False),
        (Fault(status=500), True),
    ],
)
async def test_a_cancel_that_comes_too_late_is_no_error(fal, fault, raises):
    provider = made(fal)
    ref = await provider.submit(request_for())
    fal.faults = [fault]
    if raises:
        with pytest.raises(ProviderError):
            await provider.cancel(ref)
    else:
        await provider.cancel(ref)
    await provider.cancel(JobRef())  # nothing that could be cancelled
    await provider.close()


@pytest.mark.req("PRV-5", "TOK-5")
@pytest.mark.parametrize("streams", [True, False], ids=["pushed", "asked"])
def test_restarting_resumes_the_job_by_its_reference(workspace_home, emulator, streams):
    server = emulator(streams=streams, states=[WAITING, *[MAKING] * 10_000])
    if streams:
        server.fault_of = lambda seen: Fault(gap_s=0.02)
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate("a fox", model=SCHNELL)
        until(lambda: server.jobs and len(server.jobs["job-0"].states) < 9_998)
    server.jobs["job-0"].states = [MAKING]
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        (done,) = ended(again.batch(batch.id)).generations
        assert (done.status, done.cost) == ("completed", COST)
        assert again.doctor().problems == []
    assert len(asked_for(server, "POST", "/schnell")) == server.images_charged == 1


@pytest.mark.req("PRV-5")
async def test_a_reference_is_all_that_another_process_needs(fal):
    first = made(fal)
    ref = await first.submit(request_for())
    await first.close()
    kept = JobRef(ref.remote_id, ref.resumable, json.loads(json.dumps(ref.data)))
    second = made(fal)
    events = [event async for event in second.events(request_for(), kept)]
    await second.close()
    assert events[-1].usage == {
        "request_id": "job-0",
        "billable_units": "1",
        "inference_time_s": 0.25,
    }
    assert (events[-1].cost, events[-1].unit) == (COST, "USD")
    assert "secret" not in repr(events[-1])


@pytest.mark.parametrize("units", ["", "many", "NaN", "-1", "1e30"])
def test_units_that_are_no_count_are_no_cost(units):
    entry = load("fal", "fal").entries["fal-ai/flux/schnell"]
    assert fal_wire.bill_of({"x-fal-billable-units": units}, entry) == fal_wire.Bill()


async def test_a_job_has_one_picture_and_a_model_that_is_there(fal):
    provider = made(fal)
    two = request_for(slots=(Slot("a", 0, 1), Slot("b", 1, 2)))
    with pytest.raises(ProviderError, match="one picture at a time"):
        await provider.submit(two)
    with pytest.raises(ProviderError, match=r"no model fal-ai/gone any more\."):
        await provider.submit(request_for("fal-ai/gone"))
    assert fal.requests == []


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(
    workspace_home, emulator, monkeypatch, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    states = [{"status": "IN_PROGRESS", "logs": [{"message": f"key is {CANARY}"}]}]
    server = emulator(key=CANARY, states=states)
    monkeypatch.setenv("FAL_KEY", CANARY)
    monkeypatch.setenv("FAL_BASE_URL", server.base_url)
    body = json.dumps({"detail": f"key {CANARY}"}).encode()
    faults = [
        [],
        [Fault(status=401, code="not_authorized")],  # its message repeats the key
        [Fault(status=400, body=body)],
        [Fault(in_stream=CANARY)],
        [Fault(code=f"x {CANARY}")],
        [None, None, Fault(status=422, body=body)],
        [Fault(image=CANARY.encode())],
        [Fault(status=200, body=b"{", content_type="text/html")],
    ]
    shown = []
    with wb.open(workspace_home / "ws", user="ada") as ws:
        ws.add_provider(Fal(pace=FAST))
        for given in faults:
            server.faults = list(given)
            batch = ended(ws.generate("a fox", model=SCHNELL))
            shown += [repr(batch), batch.to_python(), json.dumps(batch.settings())]
            shown += [repr(g) + repr(g.error) + g.detail for g in batch.all_generations()]
        provider = ws._engine.registry.providers["fal"]
        shown += [repr(provider), repr(vars(provider)), repr(vars(provider._line))]
        shown += [repr(ws.providers()), repr(ws.doctor().to_dict())]
        shown += [ws.frame().to_csv(), ws.ledger().to_csv()]
        shown += [repr(entry) for entry in ws.debug.entries()]
        assert ws.doctor().problems == []
    shown += [caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if CANARY in text]
    for path in Path(workspace_home).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert CANARY.encode() not in content, path
            assert b"very-secret" not in content, path  # nor an address that is signed


# -- a client that is not ours --------------------------------------------------------------------


@pytest.fixture
def official(fal, monkeypatch):
    client = pytest.importorskip("fal_client", reason="the official client is not installed")
    from fal_client import client as inside

    # It speaks https only.
    monkeypatch.setattr(inside, "QUEUE_URL_FORMAT", f"{fal.url}/")
    opened = client.SyncClient(key=fal.key)
    yield opened
    opened._client.close()


@pytest.mark.req("PRV-2")
def test_the_official_client_understands_the_emulator(fal, official):
    import fal_client

    handle = official.submit(
        "fal-ai/flux/schnell", {"prompt": "a fox", "num_images": 2}, start_timeout=30
    )
    states = list(handle.iter_events(with_logs=True, interval=0.01))
    assert [type(state).__name__ for state in states] == [
        "Queued",
        "Queued",
        "InProgress",
        "Completed",
    ]
    assert states[0].position == 1
    assert "2/4" in states[2].logs[0]["message"]
    result = handle.get(interval=0.01)
    assert len(result["images"]) == fal.images_charged == 2
    again = official.get_handle("fal-ai/flux/schnell", handle.request_id)
    assert again.get(interval=0.01) == result
    late = official.submit("fal-ai/flux/schnell", {"prompt": "a fox"})
    late.cancel()
    assert fal.cancelled == [late.request_id]
    fal.faults = [Fault(code="content_policy_violation")]
    refused = official.submit("fal-ai/flux/schnell", {"prompt": "a fox"})
    states = list(refused.iter_events(interval=0.01))
    assert states[-1].error == "Unprocessable Entity"
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        refused.get(interval=0.01)
    assert caught.value.status_code == 422
    assert caught.value.message[0]["type"] == "content_policy_violation"


@pytest.mark.req("PRV-2")
def test_our_submission_is_that_of_the_official_client(ws, fal, official):
    added(ws, fal)
    ended(ws.generate("a fox", model=SCHNELL, seed=5, width=512, height=512))
    body = asked_for(fal, "POST", "/schnell")[0].json()
    official.submit("fal-ai/flux/schnell", body, start_timeout=600)
    ours, theirs = asked_for(fal, "POST", "/schnell")
    assert (ours.path, ours.json()) == (theirs.path, theirs.json())
    assert ours.headers["authorization"] == theirs.headers["authorization"]
    timeouts = [float(one.headers["x-fal-request-timeout"]) for one in (ours, theirs)]
    assert timeouts == [600.0, 600.0]
