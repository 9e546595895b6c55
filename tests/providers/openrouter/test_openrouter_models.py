"""OpenRouter through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.openrouter.world import added, provider_for
from workbench.domain.status import Operation
from workbench.errors import ProviderError
from workbench.providers import openai_wire, openrouter_models, openrouter_wire
from workbench.providers.catalogue import catalogue_of, load
from workbench.providers.openrouter import OpenRouter
from workbench.testing.emulators.openrouter import FLAT, OpenRouterEmulator, listed
from workbench.testing.emulators.server import Fault


@pytest.mark.req("CFG-1", "PRV-2")
def test_without_a_key_it_says_what_is_missing(monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    state = OpenRouter().state()
    assert (state.ready, state.code) == (False, "key_missing")
    assert "OPENROUTER_API_KEY" in state.message


async def test_asking_about_the_key_costs_nothing(server):
    assert await provider_for(server).test() == (
        "OpenRouter answered; 12.50 USD of the key's limit are left."
    )
    with pytest.raises(ProviderError, match="did not accept its key"):
        await provider_for(server, key="sk-or-v1-wrong").test()
    assert server.images_charged == 0


@pytest.mark.req("TOK-6")
def test_models_are_dated_data():
    catalogue = load("openrouter", "openrouter")
    assert catalogue.dated == "2026-11-21"
    for name, entry in catalogue.entries.items():
        assert entry.model.id == f"openrouter:{name}"
        entry.model.check({})
    flare = catalogue.entries["openai/gpt-image-2.5-flare"].model
    assert flare.price_of(flare.check({"quality": "low"})).amount_micro == 5880


def price(**line) -> dict:
    return {"billable": "output_image", "unit": "image", **line}


@pytest.mark.req("TOK-4", "TOK-6")
async def test_lists_become_entries_of_a_data_file():
    tiers = [
        price(cost_usd=0.05),
        price(cost_usd=0.1, variant="2k"),
        price(cost_usd=0.2, variant="4K"),
    ]
    many = {
        "quality": {"type": "enum", "values": ["auto", "low", "high"]},
        "output_format": {"type": "enum", "values": ["webp", "png", "svg"]},
        "output_compression": {"type": "range", "min": 0, "max": 100},
        "background": {"type": "enum", "values": ["auto", "opaque"]},
        "style": {"type": "enum", "values": ["flat", "oil"]},
        "strength": {"type": "range", "min": 0, "max": 0.5},
        "unheard_of": {"type": "boolean"},
        "strange": {"type": "object"},
        "size": {"type": "enum", "values": ["1024x1024", "2048x2048"]},
    }
    megapixel = [price(unit="megapixel", cost_usd=0.03)]
    models = [
        listed("a/flat", prices=[[FLAT], [price(cost_usd=0.06)]]),
        listed("a/tiers", prices=[tiers]),
        listed("a/many", takes=many, streams=True, prices=[megapixel]),
        listed("a/megapixel", prices=[megapixel]),
        listed("a/tokens", prices=[[FLAT], [price(unit="token", cost_usd=3e-05)]]),
        listed("a/request", takes={}, prices=[[price(unit="request", cost_usd=0.01)]]),
        listed("a/vector", takes={"output_format": {"type": "enum", "values": ["svg"]}}),
        {**listed("a/text"), "architecture": {"output_modalities": ["text"]}},
        listed("a/nobody"),
        {**listed("a/odd"), "id": "../../etc/passwd"},
    ]
    with OpenRouterEmulator(models=models) as server:
        server.faults = [Fault(status=429, headers={"Retry-After": "0"}), Fault(status=502)]
        found = await provider_for(server).discover()
    entries = catalogue_of(found, "openrouter", "test").entries
    assert set(entries) == {
        "a/flat",
        "a/tiers",
        "a/many",
        "a/megapixel",
        "a/tokens",
        "a/request",
        "a/nobody",
    }
    flat = entries["a/flat"].model
    assert (flat.max_references, flat.seeds, flat.steps_preview) == (14, True, False)
    assert flat.operations == (Operation.GENERATE, Operation.EDIT)
    assert list(flat.parameters) == ["aspect_ratio", "resolution"]
    assert flat.defaults() == {"aspect_ratio": "1:1", "resolution": "1K"}

    def usd(name: str, **given) -> Decimal:
        model = entries[name].model
        return Decimal(model.price_of(model.check(given)).amount_micro) / 1_000_000

    assert usd("a/flat") == Decimal("0.06")  # the dearest: who will be asked is not known
    assert [usd("a/tiers", resolution=one) for one in ("1K", "2K", "4K")] == [
        Decimal("0.05"),
        Decimal("0.1"),
        Decimal("0.2"),
    ]
    assert usd("a/megapixel", resolution="4K") == Decimal("0.504")
    assert (usd("a/many"), usd("a/request")) == (Decimal("0.03"), Decimal("0.01"))
    assert [model.get("usd") for model in found["models"] if model["name"] == "a/tokens"] == [None]
    many_parameters = entries["a/many"].model.parameters
    assert list(many_parameters) == [
        *("size", "quality", "background", "output_format", "output_compression"),
        *("strength", "style", "stream"),
    ]
    assert many_parameters["output_format"].choices == ("webp", "png")
    assert many_parameters["output_format"].default == "png"
    assert entries["a/many"].model.seeds is False
    assert date.fromisoformat(found["dated"])


@pytest.mark.req("TOK-6", "PRV-2")
def test_what_is_read_anew_lies_over_the_file_that_ships(tmp_path, monkeypatch, ws):
    lists = [
        listed("new/model", prices=[[FLAT]]),
        listed(
            "openai/gpt-image-2.5-flare",
            streams=True,
            prices=[[price(unit="token", cost_usd=3e-05)]],
        ),
    ]
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(tmp_path))
    with OpenRouterEmulator(models=lists) as server:
        added(ws, server)
        assert ws.refresh_provider("or") == "OpenRouter: 2 models as of today."
        assert "or:new/model" in [model.id for model in ws.models()]
        assert ws.test_provider("or").startswith("OpenRouter answered")
    entries = load("openrouter", "or").entries
    assert entries["new/model"].model.price_of({}).amount_micro == 40_000
    flare = entries["openai/gpt-image-2.5-flare"].model
    # Its tokens have a price that nobody tells in pictures: the one that ships stays.
    assert flare.price.amount_micro > 0
    assert "resolution" in flare.parameters


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"data": 5}', b'{"data": [5, {"id": 5}, {"id": "no-slash"}]}', b"[]", b'"text"'],
)
async def test_a_strange_list_is_an_empty_one(server, body):
    server.faults = [Fault(status=200, body=body)]
    assert (await provider_for(server).discover())["models"] == []


@pytest.mark.parametrize(
    "endpoints",
    [
        None,
        {},
        {"endpoints": []},
        {"endpoints": [5]},
        {"endpoints": [{"pricing": "free"}]},
        {"endpoints": [{"pricing": [price(cost_usd="much")]}]},
        {"endpoints": [{"pricing": [price(cost_usd=-1)]}]},
        {"endpoints": [{"pricing": [price(unit="furlong", cost_usd=1)]}]},
        {"endpoints": [{"pricing": [FLAT, price(unit="megapixel", cost_usd=1)]}]},
    ],
    ids=repr,
)
def test_prices_that_say_nothing_are_no_prices(endpoints):
    model = openrouter_models.model_from(listed("a/b"), endpoints)
    assert model is not None
    assert "usd" not in model


@pytest.mark.parametrize(
    "given",
    [
        {"type": "enum", "values": "1K"},
        {"type": "enum", "values": [5, "", None]},
        {"type": "range", "min": 9, "max": 1},
        {"type": "range", "min": "0", "max": "1"},
        {"type": "range", "min": float("nan"), "max": 1},
        5,
        None,
    ],
    ids=repr,
)
def test_descriptors_that_say_nothing_are_left_out(given):
    model = openrouter_models.model_from(listed("a/b", takes={"resolution": given}), None)
    assert model is not None
    assert model["parameters"] == {}


_KEYS = st.sampled_from(
    [
        *("error", "data", "choices", "message", "images", "image_url", "url", "b64_json", "usage"),
        *("cost", "cost_details", "is_byok", "metadata", "code", "type", "error_type", "reasons"),
        *("raw", "id", "refusal", "inner_error", "endpoints", "pricing", "billable", "unit"),
        *("variant", "cost_usd", "supported_parameters", "architecture", "values", "min", "max"),
        *("resolution", "input_references", "output_format", "name", "total_tokens"),
    ]
)


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(
        ["output_image", "image", "enum", "range", "1K", "a/b", "data:x,y", "1e-999999999"]
    ),
)


_ANYTHING = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=20,
)


@pytest.mark.req("PRV-7")
@settings(max_examples=300)
@given(_ANYTHING)
def test_answers_of_any_shape_are_read_or_refused(value):
    body = json.dumps(value).encode()
    for read in (openrouter_wire.result_of, openai_wire.result_of):
        with suppress(openai_wire.NotReadable):
            read(body)
    for read in (openrouter_wire.kind_of, openrouter_wire.code_of, openai_wire.kind_of):
        read(value)
    openrouter_wire.words_of(value, "")
    openrouter_wire.booked(value)
    openai_wire.names_of(value)
    openrouter_models.ids_of(value)
    given = value if isinstance(value, dict) else {}
    for listing in ({**given, "id": "a/b"}, listed("a/b", takes={"resolution": value})):
        entry = openrouter_models.model_from(listing, value)
        if entry is not None:
            catalogue_of(openrouter_models.data_file([entry], date(2026, 1, 1)), "or", "test")
