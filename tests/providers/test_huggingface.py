"""Hugging Face's router through the real engine, against an emulator that counts its charges."""

from __future__ import annotations

import base64
import functools
import json
import logging
import time
from pathlib import Path

import pytest

import workbench as wb
from workbench.domain.jobs import JobRef, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, ProviderError
from workbench.providers.catalogue import Entry, load
from workbench.providers.http import Patience
from workbench.providers.huggingface import HOME, HuggingFace, result_of
from workbench.providers.polling import Pace
from workbench.runner.settings import RunnerSettings
from workbench.testing.emulators.huggingface import HuggingFaceEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png
from workbench.workspace import engine as engines

CANARY = "hf_canary0123456789abcdefghij"
SCHNELL = "hf:black-forest-labs/FLUX.1-schnell"
ROUTES = {
    "hf-inference": f"{SCHNELL}:hf-inference",
    "fal-ai": SCHNELL,
    "together": f"{SCHNELL}:together",
    "replicate": f"{SCHNELL}:replicate",
}
QUEUED = "hf:black-forest-labs/FLUX.2-dev"  # by fal's queue
FAST = functools.partial(Pace, first_s=0.01, longest_s=0.05)
WAITING = {"status": "IN_QUEUE", "queue_position": 0}

each_route = pytest.mark.parametrize("route", list(ROUTES))


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    fast = functools.partial(RunnerSettings, backoff_base_s=0.02, backoff_cap_s=0.05)
    monkeypatch.setattr(engines, "RunnerSettings", fast)


@pytest.fixture
def emulator():
    opened = []

    def make(**how) -> HuggingFaceEmulator:
        opened.append(HuggingFaceEmulator(**how))
        return opened[-1].__enter__()

    yield make
    for server in opened:
        server.close()


@pytest.fixture
def hf(emulator):
    return emulator()


def made(server: HuggingFaceEmulator, **changes) -> HuggingFace:
    given = {"base_url": server.base_url, "key": server.key, "pace": FAST, **changes}
    return HuggingFace("hf", **given)


def added(ws, server: HuggingFaceEmulator, **changes) -> HuggingFace:
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


def posts(server: HuggingFaceEmulator) -> list:
    return [one for one in server.requests if one.method == "POST"]


def request_for(model: str, **changes) -> JobRequest:
    given = {
        "key": "k",
        "model": model.removeprefix("hf:"),
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


async def failing(provider: HuggingFace, request: JobRequest, ref: JobRef | None = None):
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
def test_without_a_token_it_says_which_variable_is_missing(ws):
    ws.add_provider(HuggingFace())
    (info,) = [info for info in ws.providers() if info.name == "huggingface"]
    assert (info.state.ready, info.state.code) == (False, "key_missing")
    assert "HF_TOKEN" in info.state.message


@pytest.mark.req("PRV-2", "PRV-7")
def test_token_and_address_come_from_the_environment(ws, hf, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hf.key)
    monkeypatch.setenv("HF_BASE_URL", f"{hf.base_url}/")
    ws.add_provider(HuggingFace(pace=FAST))
    model = "huggingface:black-forest-labs/FLUX.1-schnell"
    assert ended(ws.generate("a fox", model=model)).status == "completed"
    assert hf.requests[0].headers["authorization"] == f"Bearer {hf.key}"


async def test_a_test_says_whose_token_it_is(hf):
    provider = made(hf, hub_url=hf.url)
    assert await provider.test() == "Hugging Face answered; the token is of ada."
    await provider.close()
    assert hf.charges == []
    for key in ("hf_wrong", None):
        provider = made(hf, hub_url=hf.url, key=key)
        with pytest.raises(ProviderError) as caught:
            await provider.test()
        assert caught.value.kind is ErrorKind.AUTH
        await provider.close()
    with pytest.raises(ProviderError, match="nothing to ask for"):
        await made(hf).test()
    assert HuggingFace()._base() == HOME


@pytest.mark.req("TOK-6")
def test_models_are_dated_data_that_names_a_route_for_each():
    catalogue = load("huggingface", "hf")
    assert catalogue.dated == "2026-11-21"
    provider = HuggingFace("hf")
    routes = set()
    for name, entry in catalogue.entries.items():
        assert entry.model.id == f"hf:{name}"
        entry.model.check({})
        routes.add(provider._route(entry))
        if Operation.EDIT in entry.model.operations:
            assert entry.send["image"]
    assert routes == {*ROUTES, "fal-ai-queue"}


@pytest.mark.parametrize("name", list(load("huggingface", "hf").entries))
@pytest.mark.req("PRV-2", "PRV-8")
def test_every_model_makes_a_picture(ws, hf, name):
    """The emulator refuses fields that the partner's dialect does not have."""
    added(ws, hf)
    entry = load("huggingface", "hf").entries[name]
    more = {"negative_prompt": "fog"} if entry.model.negative_prompt else {}
    if Operation.EDIT in entry.model.operations:
        more["references"] = [png("one")]
    (done,) = ended(ws.generate("a fox", model=f"hf:{name}", **more)).generations
    assert done.status == "completed", done.error
    assert done.asset.path.read_bytes() == png("a fox|0")
    assert hf.images_charged == 1
    assert ws.doctor().problems == []


# -- what is sent ---------------------------------------------------------------------------------

SENT = {
    "hf-inference": (
        "/hf-inference/models/black-forest-labs/FLUX.1-schnell",
        {
            "inputs": "a fox",
            "parameters": {"num_inference_steps": 3, "width": 768, "height": 512, "seed": 7},
        },
    ),
    "fal-ai": (
        "/fal-ai/fal-ai/flux/schnell",
        {
            "prompt": "a fox",
            "num_inference_steps": 3,
            "image_size": {"width": 768, "height": 512},
            "seed": 7,
        },
    ),
    "together": (
        "/together/v1/images/generations",
        {
            "prompt": "a fox",
            "steps": 3,
            "width": 768,
            "height": 512,
            "seed": 7,
            "model": "black-forest-labs/FLUX.1-schnell",
            "response_format": "base64",
        },
    ),
    "replicate": (
        "/replicate/v1/models/black-forest-labs/flux-schnell/predictions",
        {
            "input": {
                "prompt": "a fox",
                "aspect_ratio": "1:1",
                "num_inference_steps": 3,
                "output_format": "png",
                "seed": 7,
            }
        },
    ),
}


@pytest.mark.req("PRV-2")
@each_route
def test_each_route_is_asked_in_its_partner_s_dialect(ws, hf, route):
    added(ws, hf)
    size = {} if route == "replicate" else {"width": 768, "height": 512}
    done = ended(ws.generate("a fox", model=ROUTES[route], seed=7, steps=3, **size))
    assert (done.status, done.generations[0].seed) == ("completed", 7)
    (post,) = posts(hf)
    assert (post.path, post.json()) == SENT[route]
    assert post.headers["authorization"] == f"Bearer {hf.key}"
    assert (post.headers.get("prefer") == "wait") == (route == "replicate")
    files = [one for one in hf.requests if one.path.startswith("/files/")]
    assert len(files) == (route in ("fal-ai", "replicate"))
    assert all("authorization" not in one.headers for one in files)


@pytest.mark.req("PRV-8", "PRV-4")
def test_an_edit_goes_through_fal_s_queue_at_the_router_s_address(ws, emulator):
    bar = {"message": " 75%|#######   | 3/4 [00:00<00:00]"}
    states = [WAITING, *[{"status": "IN_PROGRESS", "logs": [bar]}] * 10]
    hf = emulator(states=states)
    added(ws, hf)
    hf.fault_of = lambda seen: Fault(pause_s=0.05)
    batch = ws.generate("a hat", model=QUEUED, references=[png("one"), png("two")])
    (generation,) = batch.generations
    steps = set()
    while not generation.status.is_terminal:
        steps.add((generation.record.step, generation.record.total_steps))
        time.sleep(0.02)
    assert generation.status == "completed"
    assert (3, 4) in steps
    (post,) = posts(hf)
    assert post.path == "/fal-ai/fal-ai/flux-2/edit?_subdomain=queue"
    assert len(post.json()["image_urls"]) == 2
    assert "image_size" not in post.json()  # that of the first picture
    paths = {one.path for one in hf.requests if one.method == "GET"}
    base = "/fal-ai/fal-ai/flux-2/requests/job-0"
    assert f"{base}/status?_subdomain=queue&logs=1" in paths
    assert f"{base}?_subdomain=queue" in paths


# -- failures -------------------------------------------------------------------------------------

REFUSED = [
    (Fault(status=401, code="not_authorized"), "auth", "did not accept"),
    (Fault(status=403), "auth", "does not allow"),
    (Fault(status=402, code="no_credit"), "quota", "exceeded your monthly included credits"),
    (Fault(status=404), "bad_request", "does not know this model"),
    (Fault(status=400), "bad_request", "This was asked for by a test."),
    (Fault(status=400, code="nsfw_words"), "blocked", "content policy"),
    (Fault(status=422, body=b'{"detail": [{"loc": ["body", "seed"], "msg": "is wrong"}]}'),
     "bad_request", "seed: is wrong"),
    (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "bad_request", "redirects"),
]  # fmt: skip


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), REFUSED, ids=repr)
def test_a_refusal_is_typed_and_costs_nothing(ws, hf, fault, kind, said):
    added(ws, hf)
    ws.grant(10)
    for model in ROUTES.values():
        ws.set_price(model, 1)
        hf.faults = [fault]
        error = error_of(ws.generate("a fox", model=model))
        assert (error.kind, error.charged) == (kind, False)
        assert said in error.message
        assert hf.key not in error.message
    assert len(hf.requests) == len(ROUTES)
    assert ws.balance == 10


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(reset_after=0),
        Fault(reset_after=30),
        Fault(status=504),
        Fault(status=200, body=b"<html>Sign in first</html>", content_type="text/html"),
        Fault(pause_s=0.8),
    ],
    ids=repr,
)
def test_a_lost_answer_is_an_unknown_outcome_and_is_not_asked_for_again(ws, hf, fault):
    added(ws, hf, patience=Patience(total_s=0.5))
    ws.grant(10)
    hf.fault_of = lambda seen: fault
    batches = []
    for model in ROUTES.values():
        ws.set_price(model, 1)
        batches.append(ws.generate("a fox", model=model))
    for batch in batches:
        (lost,) = ended(batch).generations
        assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert len(posts(hf)) == len(hf.requests) == len(ROUTES)
    assert hf.images_charged <= len(ROUTES)
    assert ws.balance == 10 - len(ROUTES)
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": "soon"}),
        Fault(status=500),
        Fault(status=503, body=b'{"error": "loading", "estimated_time": "soon"}'),
        Fault(status=503, body=b"[]"),
        Fault(status=503, body=b"<html>"),
    ],
    ids=repr,
)
def test_a_passing_failure_is_tried_again_and_charged_once(ws, hf, fault):
    added(ws, hf)
    for model in ROUTES.values():
        hf.faults = [fault]
        assert ended(ws.generate("a fox", model=model)).status == "completed"
    assert len(posts(hf)) == 2 * len(ROUTES)
    assert hf.images_charged == len(ROUTES)


@pytest.mark.req("PRV-4")
def test_a_model_that_is_being_loaded_is_waited_for_as_long_as_it_says(ws, hf):
    added(ws, hf)
    body = json.dumps({"error": "Model is currently loading", "estimated_time": 1.0}).encode()
    hf.faults = [Fault(status=503, body=body)]
    begun = time.monotonic()
    assert ended(ws.generate("a fox", model=ROUTES["hf-inference"])).status == "completed"
    assert time.monotonic() - begun >= 1.0


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (Fault(status=503, body=b'{"estimated_time": 20.5}'), 20.5),
        (Fault(status=503, body=b'{"estimated_time": 1e9}'), 600.0),
        (Fault(status=503, body=b'{"estimated_time": -1}'), None),
        (Fault(status=503, body=b'{"estimated_time": 9}', headers={"Retry-After": "2"}), 2.0),
        (Fault(status=500, body=b'{"estimated_time": 9}'), None),
    ],
)
async def test_how_long_a_model_is_loaded_is_a_floor(hf, fault, seconds):
    hf.faults = [fault]
    error = await failing(made(hf), request_for(ROUTES["hf-inference"]))
    assert (error.kind, error.retry_after_s, error.maybe_sent) == (
        ErrorKind.TRANSIENT,
        seconds,
        False,
    )


@pytest.mark.req("PRV-7")
@each_route
def test_no_picture_and_no_error_is_a_block_or_unknown(ws, hf, route):
    added(ws, hf)
    hf.faults = [Fault(image=b"") if route == "hf-inference" else Fault(images=0)]
    (none,) = ended(ws.generate("a fox", model=ROUTES[route])).generations
    if route == "hf-inference":  # bytes were to come, and none did
        assert none.detail == "outcome_unknown"
    else:
        assert (none.error.kind, none.error.charged) == ("blocked", False)


@pytest.mark.parametrize("route", ["fal-ai", "together", "replicate"])
def test_more_pictures_than_asked_for_are_one(ws, hf, route):
    added(ws, hf)
    hf.faults = [Fault(images=3)]
    done = ended(ws.generate("a fox", model=ROUTES[route]))
    assert (done.status, len(done.all_generations())) == ("completed", 1)


@each_route
@pytest.mark.parametrize("fault", [Fault(image=b"\x89PNG?"), Fault(cut=0.5)], ids=repr)
def test_bytes_that_are_no_picture_fail(ws, hf, route, fault):
    added(ws, hf)
    hf.faults = [fault]
    assert error_of(ws.generate("a fox", model=ROUTES[route])).kind == "bad_image"


def test_a_right_answer_of_a_wrong_type_is_a_right_answer(ws, hf):
    added(ws, hf)
    for kind in ("text/html", "application/octet-stream"):
        hf.faults = [Fault(content_type=kind)]
        done = ended(ws.generate("a fox", model=ROUTES["hf-inference"]))
        assert done.status == "completed"


def test_own_machines_may_answer_in_json(ws, hf):
    added(ws, hf)
    text = base64.b64encode(png("b64")).decode()
    for value in ({"data": [{"b64_json": text}]}, {"output": [f"data:image/png;base64,{text}"]}):
        body = json.dumps(value).encode()
        hf.faults = [Fault(status=200, body=body, content_type="application/json")]
        (done,) = ended(ws.generate("a fox", model=ROUTES["hf-inference"])).generations
        assert done.asset.path.read_bytes() == png("b64")
    hf.faults = [Fault(status=200, body=b'{"images": ', content_type="application/json")]
    (lost,) = ended(ws.generate("a fox", model=ROUTES["hf-inference"])).generations
    assert lost.detail == "outcome_unknown"


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        ({"data": [{"url": "u"}, {"b64_json": "QQ=="}, 3]}, ["u", "data:image/png;base64,QQ=="]),
        ({"output": "u"}, ["u"]),
        ({"output": None}, []),
        ({"output": ["u", None, 3]}, ["u"]),
        ({"images": [{"url": "u"}]}, ["u"]),
        ({}, []),
        ([], []),
        ("u", []),
    ],
)
def test_pictures_are_found_in_every_answer(value, urls):
    assert [picture.url for picture in result_of(value).pictures] == urls


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("route", ["fal-ai", "replicate"])
def test_a_picture_that_is_refused_after_it_was_asked_for_is_blocked(ws, hf, route):
    added(ws, hf)
    hf.faults = [Fault(code={"fal-ai": "nsfw", "replicate": "nsfw_words"}[route])]
    assert error_of(ws.generate("a fox", model=ROUTES[route])).kind == "blocked"


@pytest.mark.req("PRV-7")
def test_a_prediction_that_failed_ends_uncharged_and_is_not_asked_for_again(ws, hf):
    added(ws, hf)
    hf.faults = [Fault(code="CUDA out of memory")]
    error = error_of(ws.generate("a fox", model=ROUTES["replicate"]))
    assert (error.kind, error.charged) == ("unavailable", False)
    assert "CUDA out of memory" in error.message
    assert len(hf.requests) == 1


@pytest.mark.parametrize("route", ["fal-ai", "replicate"])
def test_an_address_that_fails_in_passing_is_fetched_again(ws, hf, route):
    added(ws, hf)
    left = [Fault(status=500), Fault(reset_before=True), Fault(reset_after=20)]
    hf.fault_of = lambda seen: left.pop() if seen.path.startswith("/files/") and left else None
    assert ended(ws.generate("a fox", model=ROUTES[route])).status == "completed"
    assert left == []
    assert hf.images_charged == len(posts(hf)) == 1


@pytest.mark.req("TOK-5")
@pytest.mark.parametrize("route", ["fal-ai", "replicate"])
def test_an_address_that_has_expired_leaves_it_to_a_person(ws, hf, route):
    added(ws, hf)
    hf.fault_of = lambda seen: Fault(status=410) if seen.path.startswith("/files/") else None
    (lost,) = ended(ws.generate("a fox", model=ROUTES[route])).generations
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert len(posts(hf)) == 1


# -- jobs with an id ------------------------------------------------------------------------------


@pytest.mark.req("PRV-4", "PRV-5")
def test_a_prediction_that_is_not_done_in_time_is_asked_for_again(ws, emulator):
    hf = emulator(predictions=4)
    added(ws, hf)
    left = [Fault(status=500), Fault(reset_before=True), Fault(status=404)]
    hf.fault_of = lambda seen: left.pop() if "predictions/p" in seen.path and left else None
    (done,) = ended(ws.generate("a fox", model=ROUTES["replicate"])).generations
    assert done.status == "completed"
    assert hf.images_charged == len(posts(hf)) == 1
    paths = [one.path for one in hf.requests if one.method == "GET"]
    assert paths.count("/replicate/v1/predictions/prediction0") == 4 + 3


@pytest.mark.req("TOK-5")
def test_a_prediction_that_the_router_does_not_tell_about_is_left_to_a_person(ws, emulator):
    hf = emulator(predictions=1, tells_predictions=False)
    added(ws, hf)
    (lost,) = ended(ws.generate("a fox", model=ROUTES["replicate"])).generations
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert len(posts(hf)) == 1


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, {"status": "succeeded", "output": ["https://a.example/1.png"]}),
        ({"output": ["https://a.example/1.png?signature=s"]}, {"status": "processing"}),
        ({"output": ["data:image/png;base64,AAAA"]}, {"status": "processing"}),
        ({"status": "failed", "output": None, "error": "x"}, {"status": "failed", "error": "x"}),
    ],
)
async def test_no_signed_address_and_no_picture_is_kept_in_a_reference(hf, changes, kept):
    answer = {"id": "p", "status": "succeeded", "output": ["https://a.example/1.png"], **changes}
    hf.faults = [Fault(status=201, body=json.dumps(answer).encode())]
    provider = made(hf)
    ref = await provider.submit(request_for(ROUTES["replicate"]))
    await provider.close()
    assert (ref.remote_id, ref.resumable, ref.data) == ("p", True, kept)


@pytest.mark.req("PRV-5", "TOK-5")
@pytest.mark.parametrize("model", [QUEUED, ROUTES["replicate"]], ids=["queue", "prediction"])
def test_restarting_resumes_the_job_by_its_reference(workspace_home, emulator, model):
    hf = emulator(states=[WAITING] * 10_000, predictions=10_000)
    more = {"references": [png("one")]} if model == QUEUED else {}
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, hf)
        batch = ws.generate("a fox", model=model, **more)
        until(lambda: len(hf.requests) > 3)
    for job in hf.jobs.values():
        job.states = []
    for id, (seen, fault, _left) in list(hf._predicted.items()):
        hf._predicted[id] = (seen, fault, 0)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, hf)
        (done,) = ended(again.batch(batch.id)).generations
        assert done.status == "completed"
        assert again.doctor().problems == []
    assert len(posts(hf)) == hf.images_charged == 1


@pytest.mark.req("TOK-5")
def test_a_call_that_was_under_way_when_its_process_closed_is_not_made_again(workspace_home, hf):
    hf.faults = [Fault(pause_s=3.5)]
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, hf)
        batch = ws.generate("a fox", model=ROUTES["hf-inference"])
        until(lambda: hf.requests)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, hf)
        (lost,) = ended(again.batch(batch.id)).generations
        assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert len(hf.requests) == hf.images_charged == 1


@pytest.mark.req("PRV-6")
def test_a_cancel_reaches_the_queue(ws, emulator):
    hf = emulator(states=[WAITING] * 10_000)
    added(ws, hf)
    batch = ws.generate("a hat", model=QUEUED, references=[png("one")])
    until(lambda: len(hf.requests) > 2)
    batch.cancel()
    until(lambda: hf.cancelled == ["job-0"])
    assert batch.generations[0].status == "cancelled"
    assert hf.images_charged == 0


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancelled_call_is_followed_to_its_end_because_it_is_paid_for(ws, hf):
    added(ws, hf)
    hf.faults = [Fault(pause_s=0.6)]
    batch = ws.generate("a fox", model=ROUTES["hf-inference"])
    until(lambda: hf.requests)
    batch.cancel()
    until(lambda: len(batch.all_generations()) == 2)
    first, late = batch.all_generations()
    assert (first.status, late.status) == ("cancelled", "completed")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"request_id": "j"},
        {"request_id": "j", "response_url": "https://queue.fal.run/../../etc"},
        {"request_id": "../x", "response_url": "https://queue.fal.run/a/b/requests/j"},
        {"request_id": 3, "response_url": 4},
    ],
)
async def test_a_job_without_a_name_is_an_unknown_outcome(hf, value):
    hf.faults = [Fault(status=200, body=json.dumps(value).encode())]
    error = await failing(made(hf), request_for(QUEUED))
    assert (error.kind, error.maybe_sent) == (ErrorKind.TRANSIENT, True)


async def test_a_foreign_address_is_not_asked(hf):
    url = "https://queue.fal.run/a/b/requests/j"  # fal's own does not take this key
    ref = JobRef("j", resumable=True, data={"response_url": url, "status_url": url})
    error = await failing(made(hf), request_for(QUEUED), ref)
    assert error.maybe_sent
    assert "not its own" in error.message
    assert hf.requests == []
    await made(hf).cancel(JobRef())


async def test_a_route_that_is_not_known_is_a_sentence(hf):
    provider = made(hf)
    entries = dict(provider._entries())
    known = entries["black-forest-labs/FLUX.1-schnell"]
    provider._loaded = type(provider._loaded)(
        "2026-11-21", {known.model.name: Entry(known.model, {"route": "nobody"})}
    )
    with pytest.raises(ProviderError, match="goes to nobody, which is not known here") as caught:
        await provider.submit(request_for(SCHNELL))
    assert caught.value.kind is ErrorKind.UNAVAILABLE


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(
    workspace_home, emulator, monkeypatch, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    server = emulator(key=CANARY)
    monkeypatch.setenv("HF_TOKEN", CANARY)
    monkeypatch.setenv("HF_BASE_URL", server.base_url)
    body = json.dumps({"error": f"key {CANARY}"}).encode()
    faults = [
        None,
        Fault(status=401, code="not_authorized"),  # its message repeats the key
        Fault(status=400, body=body),
        Fault(code=f"x {CANARY}"),
        Fault(image=CANARY.encode()),
        Fault(status=200, body=CANARY.encode()),
        Fault(reset_after=0),
    ]
    shown = []
    with wb.open(workspace_home / "ws", user="ada") as ws:
        ws.add_provider(HuggingFace("hf", pace=FAST))
        for model in ROUTES.values():
            for fault in faults:
                server.faults = [fault]
                batch = ended(ws.generate("a fox", model=model))
                shown += [repr(batch), batch.to_python(), json.dumps(batch.settings())]
                shown += [repr(g) + repr(g.error) + g.detail for g in batch.all_generations()]
        provider = ws._engine.registry.providers["hf"]
        shown += [repr(provider), repr(vars(provider)), repr(vars(provider._line))]
        shown += [ws.frame().to_csv(), ws.ledger().to_csv()]
        shown += [repr(entry) for entry in ws.debug.entries()]
        assert ws.doctor().problems == []
    shown += [caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if CANARY in text]
    for path in Path(workspace_home).rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


# -- a client that is not ours --------------------------------------------------------------------


@pytest.fixture
def official(hf):
    """Make clients for a partner; their requests for the router and the Hub go to the emulator."""
    hub = pytest.importorskip("huggingface_hub", reason="the official client is not installed")
    import httpx2
    from huggingface_hub.inference._providers import _common, hf_inference

    class ToEmulator(httpx2.HTTPTransport):
        def handle_request(self, request):
            if request.url.host in ("router.huggingface.co", "huggingface.co"):
                here = httpx2.URL(hf.url)
                request.url = request.url.copy_with(scheme="http", host=here.host, port=here.port)
            return super().handle_request(request)

    hub.set_client_factory(lambda: httpx2.Client(transport=ToEmulator()))
    yield lambda partner: hub.InferenceClient(provider=partner, api_key=hf.key)
    hub.close_session()
    hub.set_client_factory(httpx2.Client)
    _common._fetch_inference_provider_mapping.cache_clear()
    hf_inference._check_supported_task.cache_clear()


@pytest.mark.req("PRV-2")
@each_route
def test_the_official_client_sends_what_we_send_and_gets_what_we_get(ws, hf, official, route):
    added(ws, hf)
    size = {} if route == "replicate" else {"width": 768, "height": 512}
    ended(ws.generate("a fox", model=ROUTES[route], seed=7, steps=3, **size))
    extra = {"aspect_ratio": "1:1", "output_format": "png"} if route == "replicate" else None
    picture = official(route).text_to_image(
        "a fox",
        model="black-forest-labs/FLUX.1-schnell",
        num_inference_steps=3,
        seed=7,
        extra_body=extra,
        **size,
    )
    assert picture.size == (24, 16)
    ours, theirs = posts(hf)
    assert (ours.path, ours.json()) == (theirs.path, theirs.json())
    for name in ("authorization", "prefer"):
        assert ours.headers.get(name) == theirs.headers.get(name)
    assert hf.images_charged == 2


@pytest.mark.req("PRV-2", "PRV-8")
def test_the_official_client_edits_through_the_same_queue(ws, hf, official):
    added(ws, hf)
    ended(ws.generate("a hat", model=QUEUED, references=[png("one")], seed=7))
    picture = official("fal-ai").image_to_image(
        png("one"), prompt="a hat", model="black-forest-labs/FLUX.2-dev"
    )
    assert picture.size == (24, 16)
    ours, theirs = posts(hf)
    assert ours.path == theirs.path
    fields = theirs.json()
    assert (
        fields["image_urls"][0].partition(",")[2]
        == (ours.json()["image_urls"][0].partition(",")[2])
    )
    polls = [one.path for one in hf.requests if one.path.partition("?")[0].endswith("/status")]
    assert {path.partition("?")[0].rpartition("/requests/")[0] for path in polls} == {
        "/fal-ai/fal-ai/flux-2"
    }
