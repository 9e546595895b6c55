"""OpenAI's dialect through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.providers.openai.world import MODEL, added
from tests.providers.world import ended, error_of
from workbench.errors import InvalidRequest
from workbench.providers.catalogue import load
from workbench.providers.openai_images import OpenAIImages
from workbench.providers.openai_models import profile_of, token_rates
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- servers that speak the same dialect -----------------------------------------------------------


@pytest.mark.req("PRV-2")
def test_a_server_that_ignores_stream_is_understood(ws, workbench_emulator):
    server = workbench_emulator(streams=False)
    added(ws, server)
    (made,) = ended(ws.generate("a fox", model=MODEL, partial_images=2)).generations
    assert server.requests[0].json()["stream"] is True
    assert (made.status, made.cost) == ("completed", Decimal("0.03005"))


@pytest.mark.req("PRV-2")
def test_a_compatible_server_gets_what_its_profile_says(ws, workbench_emulator):
    server = workbench_emulator(
        key=None, streams=False, string_errors=True, speaks="stable-diffusion.cpp"
    )
    added(ws, server, key=None, profile="stable-diffusion.cpp", models=("tiny",))
    made = ended(
        ws.generate("a fox", model="oai:tiny", seed=7, steps=4, width=512, negative_prompt="fog")
    )
    (generation,) = made.generations
    assert (generation.status, generation.seed, generation.cost) == ("completed", 7, 0)
    (seen,) = server.requests
    assert "authorization" not in seen.headers
    asked = seen.json()
    prompt, _, rest = asked.pop("prompt").partition(" <sd_cpp_extra_args>")
    assert prompt == "a fox"
    assert json.loads(rest.removesuffix("</sd_cpp_extra_args>")) == {
        "seed": 7,
        "sample_params": {"sample_steps": 4},
        "negative_prompt": "fog",
    }
    assert asked == {"model": "tiny", "n": 1, "size": "512x512"}
    server.faults = [Fault(status=400)]
    error = error_of(ws.generate("a fox", model="oai:tiny"))
    assert "This was asked for by a test." in error.message
    # It is free, so that a lost answer is asked for again.
    server.faults = [Fault(reset_after=0)]
    assert ended(ws.generate("a fox", model="oai:tiny")).status == "completed"


@pytest.mark.req("PRV-2")
def test_a_picture_that_is_left_at_an_address_is_fetched(ws, workbench_emulator):
    server = workbench_emulator(urls=True, speaks="together")
    added(ws, server, profile="together", models=("flux",))
    (made,) = ended(ws.generate("a fox", model="oai:flux", width=256, height=128)).generations
    assert made.status == "completed"
    asked = server.requests[0].json()
    assert (asked["width"], asked["height"], asked["response_format"]) == (256, 128, "base64")
    assert asked["seed"] == made.seed
    assert "authorization" not in server.requests[1].headers


@pytest.mark.parametrize("name", ["openai", "stable-diffusion.cpp", "localai", "vllm-omni"])
def test_every_profile_can_be_read(name):
    assert profile_of(name).name == name


def test_an_unknown_profile_is_refused_by_name():
    with pytest.raises(InvalidRequest, match="localai"):
        OpenAIImages("x", profile="nobody")


# -- data ------------------------------------------------------------------------------------------


@pytest.mark.req("TOK-6")
def test_models_and_prices_are_dated_data_that_the_price_table_agrees_with():
    catalogue = load("openai_images", "openai")
    assert catalogue.dated == "2026-11-21"
    assert "gpt-image-1" not in catalogue.entries  # it is gone
    for name, entry in catalogue.entries.items():
        assert entry.model.id == f"openai:{name}"
        rates = token_rates(entry)
        assert rates is not None
        assert 0 < rates.text_in <= rates.image_in <= rates.image_out
        entry.model.check({})
    assert "2026-12-01" in catalogue.entries["gpt-image-1.5"].model.help


@pytest.mark.req("TOK-4")
@pytest.mark.parametrize(
    ("quality", "previews", "usd"),
    [("low", 0, "0.00588"), ("max", 0, "0.21072"), ("auto", 0, "0.21072"), ("low", 2, "0.01188")],
)
def test_an_estimate_is_tokens_times_their_price(quality, previews, usd):
    model = load("openai_images", "openai").entries["gpt-image-2.5-flare"].model
    params = model.check({"quality": quality, "partial_images": previews})
    price = model.price_of(params, width=1024, height=1024)
    assert (price.unit, price.by_provider) == ("USD", True)
    assert price.amount_micro == int(Decimal(usd) * 1_000_000)


@pytest.mark.req("TOK-4", "TOK-6")
@pytest.mark.parametrize("name", ["openai_images", "azure_openai"])
def test_an_estimate_follows_the_size(name):
    model = load(name, "openai").entries["gpt-image-2.5-sunburst"].model

    def usd(width, height, quality="max"):
        params = model.check({"quality": quality, "partial_images": 0})
        return model.price_of(params, width=width, height=height)

    # As the price table has it; a square is dearer than a wider picture of more pixels.
    known = {(1024, 768): "0.14445", (1920, 1080): "0.1584", (3840, 2160): "0.40026"}
    assert {size: usd(*size) for size in known} == {s: Decimal(v) for s, v in known.items()}
    assert usd(2160, 3840) == usd(3840, 2160)
    assert usd(1920, 1080, "low") == Decimal("0.00441")
    # Nothing is known of other sizes: at least as much as of those that are not larger.
    assert usd(256, 256) == usd(1024, 1024)
    squares = [usd(side, side) for side in (1024, 1536, 2048, 2880)]
    assert squares == sorted(set(squares))
    for quality in ("low", "medium", "high", "xhigh", "max"):
        for width, height in ((1024, 768), (1024, 1536), (1920, 1080), (2560, 1440), (3840, 2160)):
            assert usd(width + 16, height, quality) > usd(width, height, quality)


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"input_tokens": 1},
        {"input_tokens": -1, "output_tokens": 1},
        {"input_tokens": True, "output_tokens": 1},
        {"input_tokens": "1", "output_tokens": 1},
        {"input_tokens": 10**30, "output_tokens": 1},
    ],
)
def test_usage_that_says_nothing_is_no_cost(usage):
    rates = token_rates(load("openai_images", "openai").entries["gpt-image-2"])
    assert rates.cost(usage) is None


# -- a client that is not ours ---------------------------------------------------------------------


@pytest.fixture
def official(openai):
    from openai import OpenAI

    with OpenAI(api_key=openai.key, base_url=openai.base_url, max_retries=0) as client:
        yield client


@pytest.mark.req("PRV-2")
def test_the_official_client_understands_the_emulator(openai, official):
    at_once = official.images.generate(model="gpt-image-2", prompt="a fox", n=2)
    assert [base64.b64decode(one.b64_json) for one in at_once.data] == [
        png("a fox|0"),
        png("a fox|1"),
    ]
    assert at_once.usage.output_tokens == 2000
    names = [
        event.type
        for event in official.images.generate(
            model="gpt-image-2", prompt="a fox", stream=True, partial_images=2
        )
    ]
    assert names == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    edited = official.images.edit(
        model="gpt-image-2",
        prompt="a hat",
        image=[("a.png", io.BytesIO(png("a")), "image/png")],
        mask=("m.png", io.BytesIO(png("m")), "image/png"),
    )
    assert base64.b64decode(edited.data[0].b64_json) == png("a hat|0")
    assert openai.images_charged == 4


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=401, code="invalid_api_key"), "AuthenticationError"),
        (Fault(status=429), "RateLimitError"),
        (Fault(status=400, code="moderation_blocked"), "BadRequestError"),
        (Fault(status=500), "InternalServerError"),
        (Fault(reset_after=0), "APIConnectionError"),
    ],
    ids=repr,
)
def test_the_official_client_meets_the_same_faults(openai, official, fault, error):
    import openai as sdk

    openai.faults = [fault]
    with pytest.raises(getattr(sdk, error)) as caught:
        official.images.generate(model="gpt-image-2", prompt="a fox")
    if fault.code and fault.status == 400:
        assert caught.value.code == fault.code


@pytest.mark.req("PRV-2")
def test_our_requests_are_those_of_the_official_client(ws, openai, official):
    """Same fields from both, and what we send is what the SDK's own types allow."""
    from openai.types.image_generate_params import ImageGenerateParamsStreaming
    from openai.types.images_response import ImagesResponse
    from pydantic import TypeAdapter

    added(ws, openai)
    given = {
        "quality": "high",
        "background": "opaque",
        "output_format": "webp",
        "output_compression": 80,
        "moderation": "low",
        "partial_images": 2,
    }
    ended(ws.generate("a fox", model=MODEL, width=1536, height=1024, **given))
    list(
        official.images.generate(
            model="gpt-image-2.5-flare", prompt="a fox", n=1, size="1536x1024", stream=True, **given
        )
    )
    ours, theirs = (seen.json() for seen in openai.requests)
    assert ours == theirs
    TypeAdapter(ImageGenerateParamsStreaming).validate_python(ours)
    plain = dict(ours, stream=False)
    seen = replace(openai.requests[0], body=json.dumps(plain).encode())
    openai.take(seen)
    ImagesResponse.model_validate(json.loads(b"".join(openai.reply(seen, Fault()).pieces)))
