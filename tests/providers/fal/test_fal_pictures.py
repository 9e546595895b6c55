"""fal's queue through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import base64
import json
from decimal import Decimal

import pytest

from tests.providers.checks import assert_asks_nothing_away_from_home
from tests.providers.fal.world import COST, SCHNELL, added, made, request_for
from tests.providers.world import FAST, ended, error_of, requests_of, step_of
from tests.waiting import until
from workbench.domain.jobs import Log, Queued, Running
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, ProviderError
from workbench.providers import fal_wire
from workbench.providers.catalogue import load
from workbench.providers.fal import Fal
from workbench.testing.emulators.fal import faults_in
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- what users see --------------------------------------------------------------------------------


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
    await assert_asks_nothing_away_from_home(made, fal)


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


# -- pictures --------------------------------------------------------------------------------------


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
    posts = requests_of(fal, "POST", "/schnell")
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
    assert len(requests_of(fal, "GET", "/status/stream")) == 2
    assert requests_of(fal, "GET", "/status") == []
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
    (post,) = requests_of(fal, "POST", "/edit")
    assert post.path == "/fal-ai/nano-banana-2/edit"
    urls = post.json()["image_urls"]
    assert [url.partition(",")[0] for url in urls] == ["data:image/png;base64"] * 2
    ended(ws.generate("a hat", model="fal:fal-ai/flux-pro/kontext", references=[png("one")]))
    assert requests_of(fal, "POST", "/kontext")[0].json()["image_url"] == urls[0]
    # What is billed is known for neither: the estimate counts.
    assert done.generations[0].cost == Decimal("0.08")


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize("streams", [True, False], ids=["pushed", "asked"])
def test_place_in_the_queue_and_steps_are_shown(ws, emulator, streams):
    bar = {"message": " 75%|#######   | 3/4 [00:00<00:00]", "timestamp": "1"}
    # Each state lasts until it was seen.
    waiting = {"status": "IN_QUEUE", "queue_position": 4}
    making = {"status": "IN_PROGRESS", "logs": [bar]}
    server = emulator(streams=streams, states=[waiting] * 10_000)
    server.fault_of = lambda seen: Fault(gap_s=0.02)
    added(ws, server)
    (generation,) = ws.generate("a fox", model=SCHNELL).generations
    until(lambda: "5" in generation.detail)
    server.jobs["job-0"].states = [making] * 10_000
    until(lambda: step_of(generation) == (3, 4))
    assert generation.status == "processing"
    server.jobs["job-0"].states = []
    assert ended(generation.batch).status == "completed"


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
    assert len(requests_of(fal, "GET", "/status/stream")) == 1
    assert requests_of(fal, "GET", "/status")[0].path.endswith("?logs=1")
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
    assert len(requests_of(server, "GET", "/status")) == 15


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


# -- moderation ------------------------------------------------------------------------------------


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
    # It was made, and is billed there.
    assert (error.kind, error.charged) == ("blocked", True)
    assert (batch.generations[0].asset, batch.generations[0].cost) == (None, COST)
    assert ws.balances()["USD"] == -COST
    assert not [one for one in fal.requests if one.path.startswith("/files/")]
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


# -- a client that is not ours ---------------------------------------------------------------------


@pytest.fixture
def official(fal, monkeypatch):
    import fal_client as client
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
    body = requests_of(fal, "POST", "/schnell")[0].json()
    official.submit("fal-ai/flux/schnell", body, start_timeout=600)
    ours, theirs = requests_of(fal, "POST", "/schnell")
    assert (ours.path, ours.json()) == (theirs.path, theirs.json())
    assert ours.headers["authorization"] == theirs.headers["authorization"]
    timeouts = [float(one.headers["x-fal-request-timeout"]) for one in (ours, theirs)]
    assert timeouts == [600.0, 600.0]


@pytest.mark.req("PRV-2")
@pytest.mark.parametrize("status", [401, 403, 422])
def test_the_official_client_meets_the_same_faults(fal, official, status):
    import fal_client

    fal.faults = [Fault(status=status)]
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        official.submit("fal-ai/flux/schnell", {"prompt": "a fox"})
    assert caught.value.status_code == status
    assert fal.images_charged == 0
