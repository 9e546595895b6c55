"""Replicate's dialect through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import base64
import functools
import io
import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path

import pytest
from PIL import Image

import workbench as wb
from workbench.domain.jobs import (
    JobInput,
    JobRef,
    JobRequest,
    Log,
    Queued,
    Running,
    Slot,
)
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, InvalidRequest, ProviderError
from workbench.providers.catalogue import entry_of
from workbench.providers.http import Patience
from workbench.providers.polling import Pace
from workbench.providers.replicate import Replicate
from workbench.providers.replicate_schema import entry_of_schema, parameters_of_schema
from workbench.providers.replicate_wire import kind_of, painted, pictures_of, progress_of
from workbench.runner.settings import RunnerSettings
from workbench.testing.emulators.replicate import ReplicateEmulator
from workbench.testing.emulators.replicate_models import MODELS, wrong_in
from workbench.testing.emulators.server import Emulator, Fault
from workbench.testing.pictures import png
from workbench.workspace import engine as engines

SDXL = MODELS["stability-ai/sdxl"].version
CANARY = "r8_canary0123456789abcdefghijklmnopqrst"
SCHNELL = "rep:black-forest-labs/flux-schnell"
COST = Decimal("0.003")  # as the catalogue has it: the API says nothing of costs
FAST = functools.partial(Pace, first_s=0.01, longest_s=0.05)
RETRIES = functools.partial(RunnerSettings, backoff_base_s=0.02, backoff_cap_s=0.05)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(engines, "RunnerSettings", RETRIES)


@pytest.fixture
def server() -> Iterator[ReplicateEmulator]:
    with ReplicateEmulator() as emulator:
        yield emulator


@pytest.fixture
def emulator():
    opened = []

    def make(**how) -> ReplicateEmulator:
        opened.append(ReplicateEmulator(**how))
        return opened[-1].__enter__()

    yield make
    for one in opened:
        one.close()


def made(server: ReplicateEmulator, **changes) -> Replicate:
    given = {"base_url": server.base_url, "key": server.key, "pace": FAST, **changes}
    return Replicate("rep", **given)


@pytest.fixture
async def opened():
    """Makes providers for tests on this loop, and closes them."""
    providers = []

    def make(server: ReplicateEmulator, **changes) -> Replicate:
        providers.append(made(server, **changes))
        return providers[-1]

    yield make
    for provider in providers:
        await provider.close()


def added(ws, server: ReplicateEmulator, **changes) -> Replicate:
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


def faults_at(server: Emulator, method: str, part: str, *faults: Fault | None) -> None:
    """Let the next requests of a kind go wrong, one fault each."""
    waiting = list(faults)

    def fault_of(seen):
        if seen.method == method and part in seen.path and waiting:
            return waiting.pop(0)
        return None

    server.fault_of = fault_of


def creates(server: ReplicateEmulator) -> list:
    found = [one for one in server.requests if one.method == "POST"]
    return [one for one in found if one.path.endswith("/predictions")]


def request_for(model: str = "black-forest-labs/flux-schnell", **changes) -> JobRequest:
    given = {
        "key": "k",
        "model": model,
        "operation": Operation.GENERATE,
        "prompt": "a fox",
        "negative_prompt": None,
        "width": None,
        "height": None,
        "params": {},
        "slots": (Slot("g", 0, 7),),
        **changes,
    }
    return JobRequest(**given)


def given(role: str, content: bytes, position: int = 0) -> JobInput:
    return JobInput("a", role, position, "image/png", lambda: content)


def data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


# -- what users without a key see -----------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-7")
def test_key_and_address_come_from_the_environment(ws, server, monkeypatch):
    provider = Replicate(pace=FAST)
    state = provider.state()
    assert (state.ready, state.code) == (False, "key_missing")
    assert "REPLICATE_API_TOKEN" in state.message
    monkeypatch.setenv("REPLICATE_API_TOKEN", f"{server.key}\n")
    # As the official client has it, without the version; both ways are understood.
    for address in (server.url, f"{server.base_url}/"):
        monkeypatch.setenv("REPLICATE_BASE_URL", address)
        assert provider._address("/x") == f"{server.base_url}/x"
    ws.add_provider(provider)
    model = "replicate:black-forest-labs/flux-schnell"
    assert ended(ws.generate("a fox", model=model)).status == "completed"


def test_home_is_replicates():
    assert Replicate(key="r8_0")._address("/x") == "https://api.replicate.com/v1/x"


@pytest.mark.req("PRV-2")
async def test_test_asks_whose_key_it_is(server, opened):
    provider = opened(server)
    assert await provider.test() == "Replicate answered; the account is emulated."
    stranger = opened(server, key="r8_wrong")
    with pytest.raises(ProviderError, match="its key") as caught:
        await stranger.test()
    assert caught.value.kind is ErrorKind.AUTH
    assert server.charges == []


# -- pictures -------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "TOK-2", "TOK-4")
def test_pictures_come_home_with_what_they_are_estimated_to_cost(ws, server):
    added(ws, server)
    done = ended(ws.generate("a red fox", model=SCHNELL, n=3, seed=40, aspect_ratio="3:2"))
    assert done.status == "completed"
    assert [g.asset.path.read_bytes() for g in done.generations] == [png("a red fox|0")] * 3
    assert [g.seed for g in done.generations] == [40, 41, 42]
    assert [(g.cost, g.record.unit) for g in done.generations] == [(COST, "USD")] * 3
    assert server.images_charged == 3
    assert ws.balances()["USD"] == -3 * COST
    sent = sorted((one.json()["input"].pop("seed"), one.path) for one in creates(server))
    path = "/v1/models/black-forest-labs/flux-schnell/predictions"
    assert sent == [(40, path), (41, path), (42, path)]
    first = creates(server)[0]
    asked = first.json()
    asked["input"].pop("seed")
    assert asked == {
        "input": {
            "prompt": "a red fox",
            "aspect_ratio": "3:2",
            "megapixels": "1",
            "num_inference_steps": 4,
            "output_format": "png",
            "output_quality": 90,
            "go_fast": False,
        }
    }
    assert first.headers["authorization"] == f"Bearer {server.key}"
    assert first.headers["cancel-after"] == "690s"  # our deadline and a minute
    assert "prefer" not in first.headers  # the id comes at once
    files = [one for one in server.requests if one.path.startswith("/delivery/")]
    assert len(files) == 3
    assert not [one for one in files if "authorization" in one.headers]
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-2")
def test_a_model_that_is_not_official_is_asked_for_by_its_version(ws, server):
    added(ws, server)
    done = ended(
        ws.generate(
            "a fox", model="rep:stability-ai/sdxl", width=768, height=512, steps=20, guidance=5,
            negative_prompt="fog", seed=7, scheduler="PNDM",
        )
    )  # fmt: skip
    assert done.status == "completed"
    (seen,) = creates(server)
    assert seen.path == "/v1/predictions"
    assert seen.json() == {
        "version": "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc",
        "input": {
            "prompt": "a fox",
            "negative_prompt": "fog",
            "width": 768,
            "height": 512,
            "num_inference_steps": 20,
            "guidance_scale": 5,
            "prompt_strength": 0.8,
            "scheduler": "PNDM",
            "refine": "no_refiner",
            "seed": 7,
        },
    }


@pytest.mark.parametrize("output", ["list", "url", "data", "object"])
def test_outputs_of_every_shape_are_understood(ws, emulator, output):
    server = emulator(output=output)
    added(ws, server)
    (generation,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert generation.asset.path.read_bytes() == png("a fox|0")


async def test_a_large_seed_is_cut_to_what_the_model_takes_and_said(server, opened):
    provider = opened(server)
    request = request_for("ideogram-ai/ideogram-v3-balanced", slots=(Slot("g", 0, 2**40 + 5),))
    ref = await provider.submit(request)
    events = [event async for event in provider.events(request, ref)]
    assert creates(server)[0].json()["input"]["seed"] == 5
    assert events[-2].seed == 5


@pytest.mark.req("PRV-2", "PRV-4")
def test_a_price_by_resolution_is_reserved(ws, server):
    added(ws, server)
    (made_,) = ended(
        ws.generate("a fox", model="rep:black-forest-labs/flux-2-pro", resolution="2 MP")
    ).generations
    assert made_.cost == Decimal("0.045")
    assert creates(server)[0].json()["input"]["resolution"] == "2 MP"


# -- images that go in ----------------------------------------------------------------------------


@pytest.mark.req("PRV-8")
def test_a_source_and_references_go_in_as_small_data_addresses(ws, server):
    added(ws, server)
    one, two = png("one"), png("two")
    model = "rep:black-forest-labs/flux-2-pro"
    assert (
        ended(ws.generate("mix", model=model, source=one, references=[two])).status == "completed"
    )
    assert creates(server)[0].json()["input"]["input_images"] == [data_url(one), data_url(two)]
    # A model with one field takes the picture that is given, in whatever role.
    for how in ({"source": one}, {"references": [one]}):
        kontext = "rep:black-forest-labs/flux-kontext-pro"
        assert ended(ws.generate("a hat", model=kontext, **how)).status == "completed"
        assert creates(server)[-1].json()["input"]["input_image"] == data_url(one)
    assert server.uploads == {}
    error = error_of(ws.generate("x", model=kontext, source=one, references=[two]))
    assert (error.kind, error.charged) == ("bad_request", False)
    assert "so many images" in error.message


@pytest.mark.req("PRV-8")
def test_a_large_image_is_uploaded(ws, server):
    added(ws, server)
    out = io.BytesIO()
    Image.effect_noise((700, 600), 100).save(out, "PNG")
    large = out.getvalue()
    assert len(large) > 256_000
    model = "rep:black-forest-labs/flux-kontext-pro"
    assert ended(ws.generate("a hat", model=model, source=large)).status == "completed"
    (upload,) = [one for one in server.requests if one.path == "/v1/files"]
    (part,) = upload.parts()
    assert (part.name, part.filename, part.content_type) == ("content", "image.png", "image/png")
    assert server.uploads == {"file0": part.content}
    assert creates(server)[0].json()["input"]["input_image"] == f"{server.base_url}/files/file0"


@pytest.mark.req("PRV-8", "PRV-7")
def test_an_upload_that_fails_costs_nothing_and_is_tried_again(ws, server):
    added(ws, server)
    nowhere = Fault(status=201, body=b"{}")
    faults_at(server, "POST", "/files", Fault(reset_after=0), Fault(status=500), nowhere)
    out = io.BytesIO()
    Image.effect_noise((700, 600), 100).save(out, "PNG")
    batch = ws.generate(
        "a hat", model="rep:black-forest-labs/flux-kontext-pro", source=out.getvalue()
    )
    assert ended(batch).status == "completed"
    assert len(creates(server)) == 1
    assert server.images_charged == 1


@pytest.mark.parametrize(
    ("model", "colour"),
    [("black-forest-labs/flux-fill-pro", 255), ("ideogram-ai/ideogram-v3-balanced", 0)],
)
@pytest.mark.req("PRV-8", "FEED-13")
def test_a_mask_goes_in_with_the_colour_that_the_model_paints(ws, server, model, colour):
    added(ws, server)
    ours = Image.new("RGBA", (8, 4), (9, 9, 9, 255))
    ours.paste((0, 0, 0, 0), (0, 0, 4, 4))  # the left half is painted anew
    batch = ws.generate(
        "a hat", model=f"rep:{model}", source=png("x", width=8, height=4), mask=ours
    )
    assert ended(batch).status == "completed"
    sent = creates(server)[0].json()["input"]["mask"]
    with Image.open(io.BytesIO(base64.b64decode(sent.partition(",")[2]))) as mask:
        assert (mask.mode, mask.getpixel((0, 0)), mask.getpixel((7, 0))) == (
            "L",
            colour,
            255 - colour,
        )


def test_what_is_no_mask_is_a_sentence():
    with pytest.raises(ProviderError, match="mask cannot be read"):
        painted(b"nonsense", "white")


async def test_images_that_a_model_does_not_take_are_refused_before_anything_is_sent(
    server, opened
):
    provider = opened(server)
    mask = given("mask", png("m"))
    for inputs, said in (((given("source", png("a")),), "so many"), ((mask,), "no mask")):
        with pytest.raises(ProviderError, match=said):
            await provider.submit(request_for(inputs=inputs))
    assert server.requests == []


# -- states ---------------------------------------------------------------------------------------


@pytest.mark.req("PRV-4")
async def test_states_and_the_last_bar_of_the_log_are_told_once(emulator, opened):
    bar = "Loading 7/7\n 25%|##5   | 1/4 [00:01<00:03]\r 75%|####  | 3/4 [00:02<00:01]"
    server = emulator(
        states=[
            {"status": "starting"},
            {"status": "starting"},
            {"status": "processing"},
            {"status": "processing", "logs": bar},
            {"status": "processing", "logs": bar},
            {"status": "stretching", "logs": f"{bar}\r100%|#####| 4/4 [00:03<00:00]"},
        ]
    )
    provider = opened(server)
    request = request_for(slots=(Slot("g", 2, None),))
    ref = await provider.submit(request)
    assert ref.resumable
    events = [event async for event in provider.events(request, ref)]
    assert events[:-2] == [Queued(), Running(0, None, 2), Running(3, 4, 2), Running(4, 4, 2)]
    assert events[-1].usage == {
        "prediction": ref.remote_id,
        "predict_time": 0.25,
        "total_time": 0.5,
        "image_count": 1,
    }


@pytest.mark.req("PRV-4")
def test_progress_reaches_the_generation(ws, emulator):
    states = [{"status": "starting"}, *[{"status": "processing", "logs": " 50%|##| 2/4 ["}] * 30]
    server = emulator(states=states)
    added(ws, server)
    (generation,) = ws.generate("a fox", model=SCHNELL).generations
    until(lambda: generation.record.step == 2)
    assert generation.record.total_steps == 4
    until(lambda: generation.status.is_terminal)
    assert generation.status == "completed"


@pytest.mark.parametrize("code", ["unheard_of", None])
def test_an_unknown_state_with_a_picture_and_an_end_is_a_success(ws, server, code):
    added(ws, server)
    server.faults = [Fault(code=code)]
    assert ended(ws.generate("a fox", model=SCHNELL)).status == "completed"


ENDS = [
    ("nsfw", "blocked", "content policy"),
    ("sensitive", "blocked", "content policy"),
    ("model_error", "bad_request", "Cannot identify the image file."),
    ("interrupted", "transient", "please retry"),
    ("canceled", "bad_request", "cancelled at Replicate"),
    ("aborted", "transient", "could not begin in time and charged nothing"),
    ("exploded", "bad_request", "A state that nobody knows yet."),
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("code", "kind", "said"), ENDS)
def test_a_prediction_that_fails_is_typed_and_costs_nothing(ws, server, code, kind, said):
    added(ws, server)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    server.faults = [Fault(code=code)]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert "bills" not in error.message
    assert len(creates(server)) == 1
    assert (ws.balance, server.images_charged) == (10, 0)
    assert ws.doctor().problems == []


@pytest.mark.parametrize(("code", "charged"), [("model_error", False), ("canceled", True)])
def test_a_failure_of_what_is_billed_by_the_second_says_so(ws, server, code, charged):
    added(ws, server)
    server.faults = [Fault(code=code)]
    error = error_of(ws.generate("a fox", model="rep:stability-ai/sdxl"))
    assert error.message.endswith(". Replicate bills the seconds that it ran.")
    assert error.charged is charged


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("output", ["list", "url"])
def test_no_picture_and_no_error_is_a_block(ws, emulator, output):
    server = emulator(output=output)
    added(ws, server)
    server.faults = [Fault(images=0)]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == ("blocked", False)


def test_more_pictures_than_asked_for_are_one(ws, server):
    added(ws, server)
    server.faults = [Fault(images=3)]
    done = ended(ws.generate("a fox", model=SCHNELL))
    assert (done.status, len(done.all_generations())) == ("completed", 1)
    texts = [entry.text for entry in ws.debug.entries()]
    assert "Replicate sent 3 pictures instead of one." in texts


@pytest.mark.req("PRV-7", "TOK-2")
def test_a_result_that_was_removed_is_charged(ws, server):
    added(ws, server)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    server.faults = [Fault(code="removed")]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == ("bad_image", True)
    assert "has removed it" in error.message
    assert len(creates(server)) == server.images_charged == 1
    assert ws.balance == 9
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7", "TOK-5")
def test_a_result_that_is_not_where_it_should_be_is_never_called_not_charged(ws, server):
    added(ws, server)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    server.faults = [Fault(code="expired")]
    (lost,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert "not where Replicate said" in lost.record.detail_args["reason"]
    assert len(creates(server)) == server.images_charged == 1
    assert ws.balance == 9
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    "fault",
    [Fault(image=b"<html>no picture</html>"), Fault(cut=0.5), Fault(image=b"")],
    ids=["text", "half", "nothing"],
)
def test_bytes_that_are_no_picture_are_refused(ws, server, fault):
    added(ws, server)
    server.faults = [fault]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert error.kind == "bad_image"
    assert ended(ws.generate("another", model=SCHNELL)).status == "completed"


# -- refusals and faults of the submission --------------------------------------------------------

REFUSED = [
    (Fault(status=401, code="invalid_token"), "auth", "its key"),
    (Fault(status=403), "auth", "does not allow"),
    (Fault(status=402, code="insufficient_credit"), "quota", "no credit"),
    (Fault(status=404, code="not_found"), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    (Fault(status=422), "bad_request", "This was asked for by a test."),
    (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "bad_request", "redirects"),
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), REFUSED)
def test_a_refusal_is_typed_costs_nothing_and_leaves_others_alone(ws, server, fault, kind, said):
    added(ws, server)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    server.fault_of = lambda seen: fault if b"the bad one" in seen.body else None
    good = ws.generate("a good one", model=SCHNELL, n=2)
    error = error_of(ws.generate("the bad one", model=SCHNELL))
    assert ended(good).status == "completed"
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert server.key not in error.message
    assert ws.balance == 8
    assert len(creates(server)) == 3
    assert ws.doctor().problems == []


LOST = [
    Fault(reset_after=0),
    Fault(reset_after=40),
    Fault(status=200, body=b"<html>Sign in first</html>", content_type="text/html"),
    Fault(status=200, body=b"[]"),
    Fault(status=200, body=b'{"status": "starting"}'),
    Fault(status=502),
    Fault(status=504),
    Fault(drip_s=0.02),
    Fault(pause_s=1.6),
]


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize("fault", LOST, ids=repr)
def test_a_lost_submission_is_an_unknown_outcome_and_is_not_sent_again(ws, server, fault):
    added(ws, server, patience=Patience(total_s=1.2))
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    server.fault_of = lambda seen: fault if b"the bad one" in seen.body else None
    good = ws.generate("a good one", model=SCHNELL)
    (bad,) = ended(ws.generate("the bad one", model=SCHNELL)).generations
    assert ended(good).status == "completed"
    assert (bad.status, bad.detail) == ("processing", "outcome_unknown")
    assert sum(b"the bad one" in seen.body for seen in server.requests) == 1
    assert ws.balance == 8
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": "soon"}),
        Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(status=500),
        Fault(status=503),
    ],
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
    soon = datetime.now(UTC) + timedelta(seconds=2)
    headers = {
        "header": {"Retry-After": "1"},
        "date": {"Retry-After": format_datetime(soon, usegmt=True)},
        "text": {},  # "resets in ~1s"
    }[how]
    server.faults = [Fault(status=429, code="throttled", headers=headers)]
    begun = time.monotonic()
    ended(ws.generate("a fox", model=SCHNELL))
    assert time.monotonic() - begun >= 0.9
    assert len(creates(server)) == 2


# -- faults of the questions ----------------------------------------------------------------------


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
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
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


# -- cancel and resume ----------------------------------------------------------------------------


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancel_reaches_replicate_despite_trouble_on_the_way(ws, emulator):
    server = emulator(states=[{"status": "processing"}] * 1000)
    added(ws, server)
    faults_at(server, "POST", "/cancel", Fault(status=500), Fault(reset_before=True))
    batch = ws.generate("a fox", model=SCHNELL)
    until(lambda: len([one for one in server.requests if one.method == "GET"]) > 2)
    batch.cancel()
    until(lambda: server.cancelled)
    (generation,) = ended(batch).generations
    assert generation.status == "cancelled"
    assert server.cancelled == list(server.predictions)
    assert server.images_charged == 0
    assert ws.balances().get("USD", 0) == 0
    assert ws.doctor().problems == []


async def test_a_cancel_of_what_is_gone_is_no_error(server, opened):
    provider = opened(server)
    await provider.cancel(JobRef("nobody", resumable=True))


@pytest.mark.req("PRV-6", "TOK-5")
def test_what_was_made_before_the_cancel_came_is_kept(ws, server):
    added(ws, server)
    server.fault_of = lambda seen: Fault(pause_s=0.5) if "/delivery/" in seen.path else None
    batch = ws.generate("a fox", model=SCHNELL)
    until(lambda: any("/delivery/" in one.path for one in server.requests))
    batch.cancel()
    until(lambda: len(batch.all_generations()) == 2)
    first, late = batch.all_generations()
    assert (first.status, late.status) == ("cancelled", "completed")
    assert server.images_charged == 1


@pytest.mark.req("PRV-5", "TOK-5")
def test_another_process_takes_a_prediction_over_by_its_id(workspace_home, emulator):
    server = emulator(states=[{"status": "processing"}] * 1000)
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate("a fox", model=SCHNELL)
        until(lambda: any(one.method == "GET" for one in server.requests))
    for prediction in server.predictions.values():
        prediction.states.clear()
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        (generation,) = again.batch(batch.id).wait(20).generations
        assert generation.status == "completed"
        assert again.balances()["USD"] == -COST
        assert again.doctor().problems == []
    assert len(creates(server)) == server.images_charged == 1


@pytest.mark.req("PRV-5")
async def test_a_reference_is_all_that_is_needed(server, opened):
    first = opened(server)
    request = request_for()
    ref = await first.submit(request)
    stored = JobRef(ref.remote_id, ref.resumable, json.loads(json.dumps(ref.data)))
    other = opened(server)
    events = [event async for event in other.events(request, stored)]
    assert events[-2].data == png("a fox|0")
    assert not any(isinstance(event, Log) for event in events)


async def test_the_deadline_is_the_providers_own_and_a_minute(server, opened):
    provider = opened(server, patience=Patience(total_s=100.2))
    await provider.submit(request_for())
    assert creates(server)[0].headers["cancel-after"] == "191s"


# -- any model ------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2")
@pytest.mark.parametrize("model", sorted(MODELS))
async def test_every_model_can_be_discovered_and_used(server, model, opened):
    finder = opened(server)
    entry = await finder.discover(model)
    assert json.loads(json.dumps(entry)) == entry
    provider = opened(server, models=[entry])
    (offered,) = [one for one in provider.models() if one.name == model]
    assert offered.id == f"rep:{model}"
    source = given("source", png("a"))
    inputs = () if Operation.GENERATE in offered.operations else (source, given("mask", png("m")))
    params = {
        name: value for name, value in offered.defaults().items() if name not in ("width", "height")
    }
    ref = await provider.submit(request_for(model, params=params, inputs=inputs))
    assert ref.remote_id in server.predictions


async def test_a_discovered_model_goes_through_the_engine(ws, server, opened):
    finder = opened(server)
    known = f"stability-ai/sdxl:{SDXL}"
    entry = await finder.discover(known)
    assert entry["send"]["version"] == SDXL
    assert entry["send"]["rename"] == {
        "steps": "num_inference_steps",
        "guidance": "guidance_scale",
    }
    assert entry["operations"] == ["generate", "edit", "inpaint"]
    assert entry["negative_prompt"]
    assert "usd" not in entry
    assert "disable_safety_checker" not in entry["parameters"]
    assert "num_outputs" not in entry["parameters"]
    assert list(entry["parameters"])[:2] == ["width", "height"]
    added(ws, server, models=[entry])
    done = await ws.generate("a fox", model=f"rep:{known}", steps=3, width=512, height=512)
    assert done.status == "completed"


@pytest.mark.req("PRV-2", "TOK-6")
async def test_a_refresh_adds_models_and_leaves_the_known_ones(
    server, monkeypatch, tmp_path, opened
):
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(tmp_path))
    provider = opened(server)
    before = {model.name: model for model in provider.models()}
    for _ in range(2):
        assert await provider.refresh() == "Replicate: 1 models as of today."
    after = {model.name: model for model in provider.models()}
    painter = after.pop("emulated/painter")
    assert after == before
    assert list(painter.parameters) == ["style", "guidance"]
    assert Operation.EDIT in painter.operations
    inputs = (given("source", png("a")),)
    request = request_for("emulated/painter", params={"guidance": 7}, inputs=inputs)
    await provider.submit(request)
    asked = creates(server)[0].json()
    assert asked.pop("version") == "5" * 64
    image = data_url(png("a"))
    assert asked["input"] == {
        "prompt": "a fox",
        "guidance_scale": 7,
        "seed": 7,
        "init_image": image,
    }


async def test_what_a_collection_does_not_tell_is_asked_for_by_itself(server, monkeypatch, opened):
    whole = MODELS["emulated/painter"].about("emulated/painter")
    short = {**whole, "latest_version": None}
    strange = [None, {}, {"owner": "../x", "name": "y"}, {"owner": "a", "name": "gone"}]
    body = json.dumps({"models": [short, *strange]}).encode()
    server.faults = [Fault(status=200, body=body)]
    provider = opened(server)
    (entry,) = await provider._read_models()
    assert entry["name"] == "emulated/painter"


@pytest.mark.parametrize("model", ["flux", "a/b/c", "a/b:1", "../x", "a/b?x", ""])
async def test_what_is_no_model_is_not_asked_for(server, model, opened):
    provider = opened(server)
    with pytest.raises(InvalidRequest, match="owner/name"):
        await provider.discover(model)
    assert server.requests == []


async def test_a_model_that_is_not_there_or_says_nothing_is_a_sentence(server, opened):
    provider = opened(server)
    with pytest.raises(ProviderError, match="does not know this model"):
        await provider.discover("nobody/nothing")
    server.faults = [Fault(status=200, body=b'{"is_official": true, "latest_version": null}')]
    with pytest.raises(ProviderError, match="does not say what the input of a/b is"):
        await provider.discover("a/b")


def document(**properties) -> dict:
    return {
        "components": {
            "schemas": {
                "style": {"type": "string", "enum": ["plain", "ornate"]},
                "Input": {"properties": properties, "required": ["text"]},
            }
        }
    }


def test_a_schema_becomes_parameters():
    found = parameters_of_schema(
        document(
            text={"type": "string", "x-order": 0},
            style={"allOf": [{"$ref": "#/components/schemas/style"}], "default": "plain"},
            steps={"type": "integer", "default": 99, "minimum": 1, "maximum": 50, "x-order": 1},
            cfg={"anyOf": [{"type": "number"}, {"type": "null"}], "description": "How\nmuch \x1b"},
            tags={"type": "array", "items": {"type": "string"}, "default": ["a"]},
            model={"type": "string", "enum": ["dev", "schnell"], "default": "dev"},
            tiled={"type": "boolean", "default": False},
            lora={"type": "string", "nullable": True},
            openai_api_key={"type": "string", "writeOnly": True},
            pass_word={"type": "string", "format": "password"},
            disable_safety_checker={"type": "boolean", "default": False},
            num_outputs={"type": "integer", "default": 4},
            broken={"type": "integer", "default": "many", "minimum": "low"},
            odd=5,
            **{"not a name": {"type": "string"}},
        )
    )
    assert found == {
        "steps": {"kind": "integer", "minimum": 1, "maximum": 50},  # its default is out of bounds
        "style": {"kind": "choice", "choices": ["plain", "ornate"], "default": "plain"},
        "cfg": {"kind": "number", "help": "How much", "advanced": True},
        "tags": {"kind": "json", "default": ["a"], "advanced": True},
        "input_model": {
            "kind": "choice",
            "choices": ["dev", "schnell"],
            "default": "dev",
            "advanced": True,
        },
        "tiled": {"kind": "boolean", "default": False, "advanced": True},
        "lora": {"kind": "text", "advanced": True},
        "broken": {"kind": "integer", "advanced": True},
    }


def test_a_schema_says_where_images_go():
    uri = {"type": "string", "format": "uri"}
    size = {"type": "integer", "default": 1024}
    entry = entry_of_schema(
        "a/b",
        document(
            text={"type": "string"},
            image=uri,
            mask_image={**uri, "description": "White is kept, black is painted."},
            image_prompt=uri,
            control_file=uri,
            width=size,
            height=size,
            size={"type": "string", "enum": ["1K", "custom"], "default": "1K"},
            num_images={"type": "integer", "default": 2},
        ),
    )
    assert entry["send"] == {
        "discovered": True,
        "prompt": "text",
        "mask": "mask_image",
        "mask_paints": "black",
        "source": "image",
        "reference": "image_prompt",
        "with_size": {"size": "custom"},
        "fixed": {"num_images": 1},
    }
    assert entry["parameters"]["size"] == {"kind": "choice", "choices": ["1K"], "default": "1K"}
    assert entry["parameters"]["control_file"]["kind"] == "text"
    assert (entry["seeds"], entry["max_references"]) == (False, 1)
    entry_of(entry, "x", "2026-11-21")


@pytest.mark.parametrize("nonsense", [None, [], "x", {}, {"components": 5}, document(a=[])])
def test_a_document_that_is_none_has_no_parameters(nonsense):
    assert parameters_of_schema(nonsense) == {}


@pytest.mark.parametrize("nonsense", [{}, {"name": "../x"}, {"name": "a", "parameters": 5}])
def test_an_entry_that_is_not_in_order_is_refused(nonsense):
    with pytest.raises(InvalidRequest, match="not in order"):
        Replicate(models=[nonsense])


# -- small things ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logs", "found"),
    [
        (None, None),
        ("", None),
        ("1/4", None),
        ("  0%|          | 0/28 [00:00<?, ?it/s]", (0, 28)),
        ("100%|█████| 4/4 [00:00<00:00]\nSaving\n", (4, 4)),
        (" 50%| | 5/4 [", None),
        (" 50%| | 1/0 [", None),
        (f" 50%| | 1/{'9' * 5000} [", (1, 999999999)),
        ("x" * 100_000 + "\n 50%|##| 1/2 [", (1, 2)),
    ],
)
def test_progress_in_logs(logs, found):
    assert progress_of(logs) == found


@pytest.mark.parametrize(
    "output", [None, 5, "a cat", [], [[[[[["https://a.example"]]]]]], {"url": 5}, ["ftp://x"]]
)
def test_outputs_without_a_picture(output):
    assert pictures_of(output) == []


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("NSFW content detected", "blocked"),
        ("The input or output was flagged as sensitive. (E005)", "blocked"),
        ("Prediction failed: All generated images contained NSFW content", "blocked"),
        ("Director: unexpected error handling prediction (E6716)", "transient"),
        ("CUDA out of memory. Tried to allocate", "transient"),
        ("safety_tolerance must be less than 5", "bad_request"),
        ("Image is too small", "bad_request"),
    ],
)
def test_kinds_of_failures(words, kind):
    assert kind_of(words).value == kind


@pytest.mark.req("TOK-6")
def test_models_and_prices_are_dated_data():
    models = {model.name: model for model in Replicate().models()}
    assert len(models) >= 20
    for name, model in models.items():
        model.check({})
        assert "2026-11-21" in model.help or name == "stability-ai/sdxl"
        assert (model.price.amount_micro > 0) == (name != "stability-ai/sdxl")


@pytest.mark.parametrize("name", sorted(model.name for model in Replicate().models()))
def test_what_the_catalogue_sends_is_what_the_schema_takes(name):
    """Each choice and each bound of each parameter, alone."""
    entry = Replicate()._entries()[name]
    fields = MODELS[name].fields
    rename = entry.send.get("rename", {})
    needed = dict.fromkeys(MODELS[name].required, "https://a.example/x")
    for ours, parameter in entry.model.parameters.items():
        field = rename.get(ours, ours)
        bounds = (parameter.default, parameter.minimum, parameter.maximum)
        for value in parameter.choices or [bound for bound in bounds if bound is not None]:
            assert not wrong_in(name, {**needed, field: value})
    for role in ("source", "mask", "references", "reference"):
        assert role not in entry.send or entry.send[role] in fields
    for field in (*rename.values(), *entry.send.get("fixed", {})):
        assert field in fields


async def test_a_model_that_is_gone_is_a_sentence():
    provider = Replicate(key="r8_0123456789")
    with pytest.raises(ProviderError, match=r"no model a/b any more\.") as caught:
        await provider.submit(request_for("a/b"))
    assert caught.value.kind is ErrorKind.UNAVAILABLE


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(
    workspace_home, emulator, monkeypatch, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    server = emulator(key=CANARY)
    monkeypatch.setenv("REPLICATE_API_TOKEN", CANARY)
    monkeypatch.setenv("REPLICATE_BASE_URL", server.base_url)
    faults = [
        None,
        Fault(status=401, code="invalid_token"),  # its message repeats the key
        Fault(status=500, body=f'{{"detail": "key {CANARY}"}}'.encode()),
        Fault(status=200, body=f'["{CANARY}"]'.encode()),
        Fault(reset_after=0),
        Fault(content_type=f"text/{CANARY}"),
        Fault(code="model_error"),
        Fault(image=CANARY.encode()),
    ]
    monkeypatch.setitem(
        server_ends(), "model_error", {"status": "failed", "error": f"Bearer {CANARY} is bad"}
    )
    shown = []
    with wb.open(workspace_home / "ws", user="ada") as ws:
        ws.add_provider(Replicate(pace=FAST))
        for fault in faults:
            server.faults = [fault]
            batch = ws.generate("a fox", model="replicate:black-forest-labs/flux-schnell").wait(20)
            shown += [repr(batch), batch.to_python(), json.dumps(batch.settings())]
            shown += [repr(g) + repr(g.error) + g.detail for g in batch.all_generations()]
        provider = ws._engine.registry.providers["replicate"]
        shown += [repr(provider), repr(vars(provider)), repr(vars(provider._line))]
        shown += [repr(ws.providers()), repr(ws.models()), repr(ws.doctor().to_dict())]
        shown += [ws.frame().to_csv(), ws.ledger().to_csv()]
        shown += [repr(entry) for entry in ws.debug.entries()]
        assert ws.doctor().problems == []
    shown += [caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if CANARY in text]
    for path in Path(workspace_home).rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


def server_ends() -> dict:
    from workbench.testing.emulators import replicate

    return replicate.ENDS


# -- a client that is not ours --------------------------------------------------------------------


@pytest.fixture
def official(server):
    import replicate

    client = replicate.Client(api_token=server.key, base_url=server.url)
    client.poll_interval = 0.01
    yield client
    client._client.close()


@pytest.mark.req("PRV-2")
def test_the_official_client_understands_the_emulator(server, official):
    (waited,) = official.run("black-forest-labs/flux-schnell", input={"prompt": "a fox"})
    assert waited.startswith(f"{server.url}/delivery/")
    prediction = official.models.predictions.create(
        "black-forest-labs/flux-schnell", input={"prompt": "a fox"}, wait=False
    )
    assert prediction.status == "starting"
    seen = set()
    while prediction.status not in ("succeeded", "failed", "canceled"):
        prediction.reload()
        if prediction.progress:
            seen.add((prediction.progress.current, prediction.progress.total))
    assert prediction.output[0].startswith(server.url)
    assert seen == {(2, 4)}
    version = SDXL
    begun = official.predictions.create(version=version, input={"prompt": "an owl"})
    begun.cancel()
    assert begun.status == "canceled"
    assert server.cancelled == [begun.id]
    uploaded = official.files.create(io.BytesIO(b"content"))
    assert uploaded.urls["get"].startswith(server.base_url)
    model = official.models.get("stability-ai/sdxl")
    assert model.latest_version.id == version
    assert official.accounts.current().username == "emulated"
    collection = official.collections.get("text-to-image")
    assert "sdxl" in [one.name for one in collection.models]
    assert next(iter(official.predictions.list())).id == begun.id
    assert server.images_charged == 2


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(status=401, code="invalid_token"), 401),
        (Fault(status=402, code="insufficient_credit"), 402),
        (Fault(status=429, code="throttled"), 429),
        (Fault(status=500), 500),
    ],
    ids=repr,
)
def test_the_official_client_meets_the_same_faults(server, official, fault, status):
    from replicate.exceptions import ModelError, ReplicateError

    server.faults = [fault]
    with pytest.raises(ReplicateError) as caught:
        official.run("black-forest-labs/flux-schnell", input={"prompt": "a fox"})
    assert caught.value.status == status
    assert caught.value.detail
    server.faults = [Fault(code="nsfw")]
    with pytest.raises(ModelError, match="NSFW"):
        official.run("black-forest-labs/flux-schnell", input={"prompt": "a fox"})


@pytest.mark.req("PRV-2")
def test_our_requests_are_those_of_the_official_client(ws, server, official):
    added(ws, server)
    ended(ws.generate("a fox", model=SCHNELL, seed=7, steps=3))
    ended(ws.generate("a fox", model="rep:stability-ai/sdxl", seed=7))
    ours = creates(server)
    official.models.predictions.create(
        "black-forest-labs/flux-schnell", input=ours[0].json()["input"], wait=False
    )
    official.predictions.create(
        version=ours[1].json()["version"], input=ours[1].json()["input"], wait=False
    )
    theirs = creates(server)[2:]
    assert [one.path for one in ours] == [one.path for one in theirs]
    assert [one.json() for one in ours] == [one.json() for one in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.headers["authorization"] == other.headers["authorization"]


def test_the_official_client_fills_its_types_from_the_emulator(server, official):
    from replicate.prediction import Prediction

    told = official.predictions.create(version=SDXL, input={"prompt": "x"})
    told.reload()
    document = server.predictions[told.id].told
    assert set(told.dict()) <= {*document, "metrics", "source", "started_at", "completed_at"} | {
        "webhook",
        "webhook_completed",
        "webhook_events_filter",
        "deployment",
    }
    # What the official document (2026-04-09) says every prediction has.
    required = {"id", "model", "version", "input", "output", "data_removed", "error", "status"}
    assert required | {"created_at", "urls"} <= set(document)
    assert {"get", "cancel", "web"} <= set(document["urls"])
    assert isinstance(told, Prediction)
