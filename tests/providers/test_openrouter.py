"""OpenRouter through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.domain.jobs import JobInput, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import InvalidRequest, ProviderError
from workbench.providers import openai_wire, openrouter_models, openrouter_wire
from workbench.providers.catalogue import catalogue_of, load
from workbench.providers.http import Patience
from workbench.providers.openrouter import OpenRouter
from workbench.providers.polling import Pace
from workbench.testing.emulators.openrouter import FLAT, OpenRouterEmulator, listed
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

CANARY = "sk-or-v1-canary0123456789abcdef"
PLAIN = "or:bytedance-seed/seedream-4.5"
STREAMED = "or:openai/gpt-image-2.5-flare"


def fast() -> Pace:
    return Pace(first_s=0.01, longest_s=0.05)


@pytest.fixture
def server() -> Iterator[OpenRouterEmulator]:
    with OpenRouterEmulator() as emulator:
        yield emulator


def provider_for(server: OpenRouterEmulator, **changes) -> OpenRouter:
    given = {"base_url": server.base_url, "key": server.key, "pace": fast, **changes}
    return OpenRouter("or", **given)


def added(ws, server: OpenRouterEmulator, **changes) -> OpenRouter:
    provider = provider_for(server, **changes)
    ws.add_provider(provider)
    return provider


def ended(batch: wb.Batch) -> wb.Batch:
    return batch.wait(30)


def one(batch: wb.Batch) -> wb.Generation:
    (generation,) = ended(batch).generations
    return generation


def error_of(batch: wb.Batch):
    generation = one(batch)
    assert generation.error is not None, (generation.status, generation.detail)
    return generation.error


def posts(server: OpenRouterEmulator) -> list[dict]:
    return [seen.json() for seen in server.requests if seen.method == "POST"]


# -- pictures -------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "TOK-2", "TOK-4")
def test_pictures_come_home_and_are_booked_at_what_openrouter_says(ws, server):
    added(ws, server)
    server.cost = "0.0412345"
    given = {"aspect_ratio": "16:9", "resolution": "2K", "seed": 2**33 + 5}
    done = ended(ws.generate("a red fox", model=PLAIN, n=2, **given))
    assert done.status == "completed"
    assert [g.cost for g in done.generations] == [Decimal("0.041235")] * 2  # in micro-dollars
    assert {g.record.unit for g in done.generations} == {"USD"}
    assert ws.balances()["USD"] == -2 * Decimal("0.041235")
    assert server.images_charged == 2
    assert server.requests[0].path == "/api/v1/images"
    assert server.requests[0].headers["authorization"] == f"Bearer {server.key}"
    first, second = sorted(posts(server), key=lambda body: body["seed"])
    assert first == {
        "model": "bytedance-seed/seedream-4.5",
        "prompt": "a red fox",
        "aspect_ratio": "16:9",
        "resolution": "2K",
        "seed": 5,
    }
    assert second == {**first, "seed": second["seed"]}
    assert sorted(g.seed for g in done.generations) == [first["seed"], second["seed"]]
    assert done.generations[0].asset.path.read_bytes() == png(
        f"a red fox|0|{done.generations[0].seed}"
    )
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-2")
def test_what_is_left_to_the_provider_is_not_sent(ws, server):
    added(ws, server)
    one(ws.generate("a fox", model=STREAMED, stream=False, quality="auto", output_compression=50))
    assert posts(server) == [
        {
            "model": "openai/gpt-image-2.5-flare",
            "prompt": "a fox",
            "aspect_ratio": "1:1",
            "output_format": "png",
        }
    ]


@pytest.mark.req("PRV-2")
def test_who_may_make_a_picture_is_sent_along(ws, server):
    added(ws, server, routing={"only": ["openai"], "allow_fallbacks": False})
    assert one(ws.generate("a fox", model=PLAIN)).status == "completed"
    assert posts(server)[0]["provider"] == {"only": ["openai"], "allow_fallbacks": False}
    with pytest.raises(InvalidRequest, match="allow_fallbacks"):
        OpenRouter(routing={"cheapest": True})


@pytest.mark.req("PRV-4")
def test_partial_images_are_shown_on_the_way(ws, server):
    added(ws, server)
    server.faults = [Fault(gap_s=0.3)]
    (generation,) = ws.generate("a fox", model=STREAMED).generations
    shown, steps = set(), set()
    until = time.monotonic() + 20
    while not generation.status.is_terminal and time.monotonic() < until:
        preview = ws._engine.media.read_preview(generation.id)
        shown |= {preview} if preview else set()
        steps.add(generation.record.step)
        time.sleep(0.02)
    assert (generation.status, generation.cost) == ("completed", Decimal("0.04"))
    assert shown == {png(f"sketch {place}", width=8, height=8) for place in range(2)}
    assert {1, 2} <= steps
    assert posts(server)[0]["stream"] is True


@pytest.mark.req("PRV-4")
def test_a_model_that_ignores_stream_is_understood(ws, server):
    added(ws, server)
    server._models.clear()
    assert one(ws.generate("a fox", model=STREAMED)).status == "completed"
    assert posts(server)[0]["stream"] is True


@pytest.mark.req("PRV-8")
def test_references_and_a_source_go_in_as_addresses(ws, server):
    added(ws, server)
    assert one(ws.generate("so", model=PLAIN, references=[png("a"), png("b")])).status == (
        "completed"
    )
    addresses = [one["image_url"]["url"] for one in posts(server)[0]["input_references"]]
    assert [base64.b64decode(text.partition(",")[2]) for text in addresses] == [png("a"), png("b")]
    assert all(text.startswith("data:image/png;base64,") for text in addresses)


async def test_a_source_comes_before_references_and_a_mask_is_refused(server):
    provider = provider_for(server)

    def given(role: str, position: int) -> JobInput:
        return JobInput("a", role, position, "image/png", f"{role}{position}".encode)

    def request(*inputs: JobInput) -> JobRequest:
        model = PLAIN.partition(":")[2]
        slots = (Slot("g", 0, None),)
        return JobRequest("k", model, Operation.EDIT, "x", None, None, None, {}, slots, inputs)

    asked = request(given("reference", 1), given("reference", 0), given("source", 0))
    events = [event async for event in provider.events(asked, await provider.submit(asked))]
    assert type(events[-1]).__name__ == "Done"
    sent = [
        part["image_url"]["url"].partition(",")[2] for part in posts(server)[0]["input_references"]
    ]
    assert [base64.b64decode(text) for text in sent] == [b"source0", b"reference0", b"reference1"]
    with pytest.raises(InvalidRequest, match="mask"):
        await provider.submit(request(given("mask", 0)))
    await provider.close()


# -- failures -------------------------------------------------------------------------------------

FAILS = [
    (Fault(status=400), "bad_request", "Invalid request parameters"),
    (Fault(status=400, code="content_policy_violation"), "blocked", "content policy"),
    (Fault(status=401), "auth", "did not accept its key"),
    (Fault(status=402), "quota", "no credit left"),
    (Fault(status=403), "auth", "Only management keys"),
    (Fault(status=403, code="moderation"), "blocked", "content policy"),
    (Fault(status=403, code="refusal"), "blocked", "content policy"),
    (Fault(status=404), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    (Fault(status=422, code="raw"), "bad_request", "(OpenAI: This was asked for by a test.)"),
    (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "bad_request", "redirects"),
    (Fault(status=200, body=b'{"error": {"code": 402, "message": "no"}}'), "quota", "no credit"),
    (Fault(images=0), "blocked", "content policy"),
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), FAILS)
def test_a_failure_is_typed_and_costs_nothing(ws, server, fault, kind, said):
    added(ws, server)
    server.faults = [fault]
    error = error_of(ws.generate("a very bad fox", model=PLAIN))
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert server.key not in error.message
    assert server.images_charged == 0
    assert len(posts(server)) == 1
    assert ws.balances().get("USD", 0) == 0


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(
    ("code", "kind"),
    [("content_filter", "blocked"), ("402", "quota"), ("invalid_prompt", "bad_request")],
)
def test_a_failure_in_a_stream_is_typed_and_costs_nothing(ws, server, code, kind):
    added(ws, server)
    server.faults = [Fault(in_stream=code)]
    error = error_of(ws.generate("a fox", model=STREAMED))
    assert (error.kind, error.charged, server.images_charged) == (kind, False, 0)


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": "date"}),
        Fault(status=500),
        Fault(status=502),
        Fault(status=503),
        Fault(status=529),
        Fault(in_stream="upstream_error"),
        Fault(in_stream="502"),
    ],
    ids=repr,
)
def test_what_is_passing_and_not_charged_is_tried_again(ws, server, fault):
    if fault.headers.get("Retry-After") == "date":
        at = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
        fault = Fault(status=429, headers={"Retry-After": at})
    added(ws, server)
    server.faults = [fault]
    made = one(ws.generate("a fox", model=STREAMED))
    assert made.status == "completed", made.error
    assert made.cost == Decimal("0.04")
    assert (len(posts(server)), server.images_charged) == (2, 1)


@pytest.mark.req("PRV-4")
def test_what_retry_after_asks_for_is_waited(ws, server):
    added(ws, server)
    server.faults = [Fault(status=429, headers={"Retry-After": "1"})]
    begun = time.monotonic()
    assert one(ws.generate("a fox", model=PLAIN)).status == "completed"
    assert time.monotonic() - begun >= 1.0


LOST = [
    Fault(reset_after=0),
    Fault(reset_before=True),
    Fault(status=524),
    Fault(status=504),
    Fault(status=502, body=b"<html>a machine in between</html>", content_type="text/html"),
    Fault(status=200, body=b"<html>Sign in</html>", content_type="text/html"),
    Fault(status=200, body=b"[]"),
    Fault(pause_s=1.4),
    Fault(drip_s=0.02),
]


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize("fault", LOST, ids=repr)
def test_a_lost_answer_is_an_unknown_outcome_and_is_not_asked_for_again(ws, server, fault):
    server.tells_id = False
    added(ws, server, patience=Patience(total_s=1.0))
    server.fault_of = lambda seen: fault if b"the bad one" in seen.body else None
    good = ws.generate("a good one", model=PLAIN)
    lost = one(ws.generate("the bad one", model=PLAIN))
    assert ended(good).status == "completed"
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert sum(body["prompt"] == "the bad one" for body in posts(server)) == 1
    assert ws.doctor().problems == []


@pytest.mark.req("TOK-5")
def test_a_picture_whose_record_says_that_it_was_given_up_is_made_again(ws, server):
    added(ws, server)
    server.record_after = 1
    server.faults = [Fault(silent=True)]
    made = one(ws.generate("a fox", model=STREAMED))
    assert made.status == "completed"
    assert [seen.path for seen in server.requests[1:3]] == ["/api/v1/generation?id=gen-0"] * 2
    assert (len(posts(server)), server.images_charged) == (2, 1)


@pytest.mark.req("TOK-5")
def test_a_picture_that_was_charged_and_lost_is_booked(ws, server):
    added(ws, server)
    server.faults = [Fault(reset_after=60)]
    lost = one(ws.generate("a fox", model=PLAIN))
    assert (lost.status, lost.error.kind, lost.error.charged) == ("failed", "bad_image", True)
    assert "made and charged the picture" in lost.error.message
    assert (lost.cost, ws.balances()["USD"]) == (Decimal("0.04"), -Decimal("0.04"))
    assert (len(posts(server)), server.images_charged) == (1, 1)
    assert ws.doctor().problems == []


@pytest.mark.req("TOK-5")
@pytest.mark.parametrize("odd", ["no record", "still going"])
def test_without_a_record_that_says_so_a_lost_picture_is_an_open_question(ws, server, odd):
    added(ws, server)
    server.record_after = 99 if odd == "no record" else 0
    server.cost = "0"
    server.faults = [Fault(reset_after=60)]
    lost = one(ws.generate("a fox", model=PLAIN))
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert len(posts(server)) == 1


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(
    "fault", [Fault(image=b"<html>"), Fault(cut=0.5), Fault(image=b"<svg/>")], ids=repr
)
@pytest.mark.parametrize("model", [PLAIN, STREAMED])
def test_bytes_that_are_no_picture_fail_with_what_they_cost(ws, server, fault, model):
    added(ws, server)
    server.faults = [fault]
    error = error_of(ws.generate("a fox", model=model))
    assert (error.kind, error.charged) == ("bad_image", True)


def test_more_pictures_than_asked_for_are_one(ws, server):
    added(ws, server)
    for model in (PLAIN, STREAMED):
        server.faults = [Fault(images=3)]
        done = ended(ws.generate("a fox", model=model))
        assert (done.status, len(done.all_generations())) == ("completed", 1)


def test_a_right_answer_of_a_wrong_type_is_a_right_answer(ws, server):
    added(ws, server)
    server.faults = [Fault(content_type="text/html")]
    assert one(ws.generate("a fox", model=PLAIN)).status == "completed"


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancelled_call_is_followed_to_its_end_because_it_may_be_paid_for(ws, server):
    added(ws, server)
    server.faults = [Fault(pause_s=0.6)]
    batch = ws.generate("a fox", model=PLAIN)
    until = time.monotonic() + 10
    while not server.requests and time.monotonic() < until:
        time.sleep(0.01)
    batch.cancel()
    while len(batch.all_generations()) == 1 and time.monotonic() < until:
        time.sleep(0.02)
    first, late = batch.all_generations()
    assert (first.status, late.status, late.cost) == ("cancelled", "completed", Decimal("0.04"))


@pytest.mark.req("TOK-5")
def test_a_call_that_was_under_way_when_its_process_closed_is_not_made_again(
    workspace_home, server
):
    server.faults = [Fault(pause_s=3.0)]
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate("a fox", model=PLAIN)
        until = time.monotonic() + 10
        while not server.requests and time.monotonic() < until:
            time.sleep(0.01)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        (generation,) = again.batch(batch.id).wait(30).generations
        assert (generation.status, generation.detail) == ("processing", "outcome_unknown")
        assert again.doctor().problems == []
    assert len(posts(server)) == server.images_charged == 1


# -- gateways from before -------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-8")
def test_a_gateway_without_the_image_api_is_asked_by_chat(ws):
    with OpenRouterEmulator(legacy=True) as server:
        added(ws, server)
        given = {"aspect_ratio": "16:9", "resolution": "2K", "seed": 3}
        made = one(ws.generate("a fox", model=PLAIN, **given))
        assert (made.status, made.cost, made.seed) == ("completed", Decimal("0.04"), 3)
        assert [seen.path.removeprefix("/api/v1") for seen in server.requests] == [
            "/images",
            "/images/models",
            "/chat/completions",
        ]
        assert posts(server)[1] == {
            "model": "bytedance-seed/seedream-4.5",
            "messages": [{"role": "user", "content": "a fox"}],
            "modalities": ["image", "text"],
            "usage": {"include": True},
            "image_config": {"aspect_ratio": "16:9", "image_size": "2K"},
            "seed": 3,
        }
        assert one(ws.generate("so", model=PLAIN, references=[png("a")])).status == "completed"
        content = posts(server)[-1]["messages"][0]["content"]
        assert [part["type"] for part in content] == ["text", "image_url"]
        assert server.requests[-1].path == server.requests[-2].path.replace("models", "") or (
            len(server.requests) == 4  # what was found out once is remembered
        )
        server.faults = [Fault(images=0)]
        error = error_of(ws.generate("a fox", model=PLAIN))
        assert (error.kind, error.charged) == ("blocked", False)
        server.faults = [Fault(status=402)]
        assert error_of(ws.generate("a fox", model=PLAIN)).kind == "quota"
        refused = {
            "choices": [{"message": {"content": "I will not."}, "finish_reason": "stop"}],
            "usage": {"cost": 0.002},
        }
        server.faults = [Fault(status=200, body=json.dumps(refused).encode())]
        thought = one(ws.generate("a fox", model=PLAIN))
        assert (thought.error.kind, thought.error.charged) == ("blocked", True)
        assert thought.cost == Decimal("0.002")


def test_a_model_that_is_gone_does_not_make_a_gateway_old(ws):
    with OpenRouterEmulator(models=[listed("openai/gpt-image-2.5-flare")]) as server:
        added(ws, server)
        error = error_of(ws.generate("a fox", model=PLAIN))
        assert (error.kind, error.charged) == ("bad_request", False)
        assert "No endpoints found." in error.message
        assert not [seen for seen in server.requests if seen.path.endswith("/chat/completions")]


# -- what there is --------------------------------------------------------------------------------


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


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(workspace_home, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with OpenRouterEmulator(CANARY) as server:
        monkeypatch.setenv("OPENROUTER_API_KEY", CANARY)
        monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
        repeated = json.dumps(
            {"error": {"code": 400, "message": f"key {CANARY}", "metadata": {"raw": f"x {CANARY}"}}}
        )
        faults = [
            None,
            Fault(status=401, body=repeated.encode()),
            Fault(status=400, body=repeated.encode()),
            Fault(in_stream=f"token {CANARY}"),
            Fault(reset_after=0),
            Fault(content_type=f"text/{CANARY}"),
            Fault(image=CANARY.encode()),
        ]
        shown = []
        with wb.open(workspace_home / "ws", user="ada") as ws:
            ws.add_provider(OpenRouter(pace=fast))
            for fault in faults:
                server.faults = [fault]
                batch = ws.generate("a fox", model="openrouter:openai/gpt-image-2.5-flare").wait(30)
                shown += [repr(batch), batch.to_python(), json.dumps(batch.settings())]
                shown += [repr(g) + repr(g.error) + g.detail for g in batch.all_generations()]
            provider = ws._engine.registry.providers["openrouter"]
            shown += [repr(provider), repr(vars(provider)), repr(ws.providers())]
            shown += [repr(entry) for entry in ws.debug.entries()]
            assert ws.doctor().problems == []
    shown += [caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if CANARY in text]
    for path in Path(workspace_home).rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


# -- a client that is not ours --------------------------------------------------------------------


@pytest.mark.req("PRV-2")
def test_the_official_client_asks_as_we_do_and_understands_the_emulator(ws, server):
    sdk = pytest.importorskip("openrouter")
    from openrouter import errors

    added(ws, server)
    given = {"aspect_ratio": "16:9", "quality": "high", "output_format": "webp"}
    ended(ws.generate("a fox", model=STREAMED, output_compression=80, **given))
    ended(ws.generate("a fox", model=PLAIN, seed=7, resolution="2K", references=[png("a")]))
    address = f"data:image/png;base64,{base64.b64encode(png('a')).decode()}"
    with sdk.OpenRouter(
        api_key=server.key, server_url=server.base_url, retry_config=None
    ) as client:
        with client.images.generate(
            model="openai/gpt-image-2.5-flare",
            prompt="a fox",
            output_compression=80,
            stream=True,
            **given,
        ) as events:
            kinds = [event.type for event in events]
        whole = client.images.generate(
            model="bytedance-seed/seedream-4.5",
            prompt="a fox",
            seed=7,
            resolution="2K",
            input_references=[{"type": "image_url", "image_url": {"url": address}}],
        )
        models = client.images.list_models().data
        endpoints = client.images.list_model_endpoints(author="bytedance-seed", slug="seedream-4.5")
        server.faults = [Fault(status=402)]
        with pytest.raises(errors.PaymentRequiredResponseError):
            client.images.generate(model="a/b", prompt="a fox")
        server.faults = [Fault(status=403, code="moderation")]
        with pytest.raises(errors.ForbiddenResponseError):
            client.images.generate(model="a/b", prompt="a fox")
    assert kinds == [*["image_generation.partial_image"] * 2, "image_generation.completed"]
    assert (base64.b64decode(whole.data[0].b64_json), whole.usage.cost) == (png("a fox|0|7"), 0.04)
    assert [model.id for model in models] == [PLAIN[3:], STREAMED[3:]]
    assert endpoints.endpoints[0].pricing[0].cost_usd == 0.04
    ours, theirs = posts(server)[:2], posts(server)[2:4]
    assert ours == theirs
