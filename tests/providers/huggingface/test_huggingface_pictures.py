"""Hugging Face's router through the real engine, against an emulator that counts its charges."""

from __future__ import annotations

import json
import logging

import pytest

import workbench as wb
from tests.providers.checks import assert_asks_nothing_away_from_home, met, shown_after
from tests.providers.huggingface.world import (
    CANARY,
    QUEUED,
    ROUTES,
    WAITING,
    added,
    each_route,
    made,
    posts,
)
from tests.providers.world import FAST, assert_nowhere, ended, step_of
from tests.waiting import until
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, ProviderError
from workbench.providers.catalogue import load
from workbench.providers.huggingface import HOME, HuggingFace
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- what users see --------------------------------------------------------------------------------


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
    await assert_asks_nothing_away_from_home(made, hf)
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


# -- what is sent ----------------------------------------------------------------------------------


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
    states = [WAITING, *[{"status": "IN_PROGRESS", "logs": [bar]}] * 10_000]
    hf = emulator(states=states)
    added(ws, hf)
    batch = ws.generate("a hat", model=QUEUED, references=[png("one"), png("two")])
    (generation,) = batch.generations
    until(lambda: step_of(generation) == (3, 4))
    hf.jobs["job-0"].states = []
    assert ended(batch).status == "completed"
    (post,) = posts(hf)
    assert post.path == "/fal-ai/fal-ai/flux-2/edit?_subdomain=queue"
    assert len(post.json()["image_urls"]) == 2
    assert "image_size" not in post.json()  # that of the first picture
    paths = {one.path for one in hf.requests if one.method == "GET"}
    base = "/fal-ai/fal-ai/flux-2/requests/job-0"
    assert f"{base}/status?_subdomain=queue&logs=1" in paths
    assert f"{base}?_subdomain=queue" in paths


# -- keys ------------------------------------------------------------------------------------------


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
        provider = HuggingFace("hf", pace=FAST)
        ws.add_provider(provider)
        for model in ROUTES.values():
            shown += shown_after(
                ws, provider, faults, lambda fault, model=model: met(ws, server, fault, model)
            )
    assert_nowhere(CANARY, [*shown, caplog.text, *capfd.readouterr()], workspace_home)


# -- a client that is not ours ---------------------------------------------------------------------


@pytest.fixture
def official(hf):
    """Make clients for a partner; their requests for the router and the Hub go to the emulator."""
    import httpx2
    import huggingface_hub as hub
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


@pytest.mark.req("PRV-2")
@pytest.mark.parametrize("status", [400, 401, 402, 429])
def test_the_official_client_meets_the_same_faults(hf, official, status):
    from huggingface_hub.errors import HfHubHTTPError

    hf.fault_of = lambda seen: Fault(status=status) if seen.method == "POST" else None
    with pytest.raises(HfHubHTTPError) as caught:
        official("hf-inference").text_to_image("a fox", model="black-forest-labs/FLUX.1-schnell")
    assert caught.value.response.status_code == status
    assert "This was asked for by a test." in caught.value.response.text
    assert hf.images_charged == 0
