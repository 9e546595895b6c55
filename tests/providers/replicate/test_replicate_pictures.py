"""Replicate's dialect through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import base64
import io
import logging
from decimal import Decimal

import pytest
from PIL import Image

import workbench as wb
from tests.providers.checks import met, shown_after
from tests.providers.replicate.world import (
    CANARY,
    COST,
    SCHNELL,
    SDXL,
    added,
    creates,
    data_url,
    faults_at,
    given,
    request_for,
)
from tests.providers.world import FAST, assert_nowhere, ended, error_of
from workbench.domain.jobs import (
    Slot,
)
from workbench.errors import ErrorKind, ProviderError
from workbench.providers.replicate import Replicate
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- what users without a key see ------------------------------------------------------------------


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


# -- pictures --------------------------------------------------------------------------------------


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


# -- images that go in -----------------------------------------------------------------------------


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


async def test_images_that_a_model_does_not_take_are_refused_before_anything_is_sent(
    server, opened
):
    provider = opened(server)
    mask = given("mask", png("m"))
    for inputs, said in (((given("source", png("a")),), "so many"), ((mask,), "no mask")):
        with pytest.raises(ProviderError, match=said):
            await provider.submit(request_for(inputs=inputs))
    assert server.requests == []


# -- keys ------------------------------------------------------------------------------------------


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
    model = "replicate:black-forest-labs/flux-schnell"
    with wb.open(workspace_home / "ws", user="ada") as ws:
        provider = Replicate(pace=FAST)
        ws.add_provider(provider)
        shown = shown_after(ws, provider, faults, lambda fault: met(ws, server, fault, model))
    assert_nowhere(CANARY, [*shown, caplog.text, *capfd.readouterr()], workspace_home)


def server_ends() -> dict:
    from workbench.testing.emulators import replicate

    return replicate.ENDS


# -- a client that is not ours ---------------------------------------------------------------------


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
