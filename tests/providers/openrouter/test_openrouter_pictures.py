"""OpenRouter through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import base64
import json
import logging
from decimal import Decimal

import pytest

import workbench as wb
from tests.providers.checks import met, shown_after
from tests.providers.openrouter.world import CANARY, PLAIN, STREAMED, added, posts, provider_for
from tests.providers.world import (
    assert_nowhere,
    ended,
    error_of,
    fast,
    only,
    shown_one_by_one,
)
from workbench.domain.jobs import JobInput, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import InvalidRequest
from workbench.providers.openrouter import OpenRouter
from workbench.testing.emulators.openrouter import OpenRouterEmulator, listed
from workbench.testing.emulators.server import Fault, Turns
from workbench.testing.pictures import png

# -- pictures --------------------------------------------------------------------------------------


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
    only(ws.generate("a fox", model=STREAMED, stream=False, quality="auto", output_compression=50))
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
    assert only(ws.generate("a fox", model=PLAIN)).status == "completed"
    assert posts(server)[0]["provider"] == {"only": ["openai"], "allow_fallbacks": False}
    with pytest.raises(InvalidRequest, match="allow_fallbacks"):
        OpenRouter(routing={"cheapest": True})


@pytest.mark.req("PRV-4")
def test_partial_images_are_shown_on_the_way(ws, server):
    added(ws, server)
    turns = Turns()
    turns.give()  # the first piece is a remark
    server.faults = [Fault(turns=turns)]
    (generation,) = ws.generate("a fox", model=STREAMED).generations
    sketches = [png(f"sketch {place}", width=8, height=8) for place in range(2)]
    looks = [((place, place + 1), sketch) for place, sketch in enumerate(sketches, 1)]
    shown_one_by_one(ws, generation, looks, turns.give)
    assert (generation.status, generation.cost) == ("completed", Decimal("0.04"))
    assert posts(server)[0]["stream"] is True


@pytest.mark.req("PRV-4")
def test_a_model_that_ignores_stream_is_understood(ws, server):
    added(ws, server)
    server._models.clear()
    assert only(ws.generate("a fox", model=STREAMED)).status == "completed"
    assert posts(server)[0]["stream"] is True


@pytest.mark.req("PRV-8")
def test_references_and_a_source_go_in_as_addresses(ws, server):
    added(ws, server)
    assert only(ws.generate("so", model=PLAIN, references=[png("a"), png("b")])).status == (
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


# -- gateways from before --------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-8")
def test_a_gateway_without_the_image_api_is_asked_by_chat(ws):
    with OpenRouterEmulator(legacy=True) as server:
        added(ws, server)
        given = {"aspect_ratio": "16:9", "resolution": "2K", "seed": 3}
        made = only(ws.generate("a fox", model=PLAIN, **given))
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
        assert only(ws.generate("so", model=PLAIN, references=[png("a")])).status == "completed"
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
        thought = only(ws.generate("a fox", model=PLAIN))
        assert (thought.error.kind, thought.error.charged) == ("blocked", True)
        assert thought.cost == Decimal("0.002")


def test_a_model_that_is_gone_does_not_make_a_gateway_old(ws):
    with OpenRouterEmulator(models=[listed("openai/gpt-image-2.5-flare")]) as server:
        added(ws, server)
        error = error_of(ws.generate("a fox", model=PLAIN))
        assert (error.kind, error.charged) == ("bad_request", False)
        assert "No endpoints found." in error.message
        assert not [seen for seen in server.requests if seen.path.endswith("/chat/completions")]


# -- keys ------------------------------------------------------------------------------------------


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
        model = "openrouter:openai/gpt-image-2.5-flare"
        with wb.open(workspace_home / "ws", user="ada") as ws:
            provider = OpenRouter(pace=fast)
            ws.add_provider(provider)
            shown = shown_after(ws, provider, faults, lambda fault: met(ws, server, fault, model))
    assert_nowhere(CANARY, [*shown, caplog.text, *capfd.readouterr()], workspace_home)


# -- a client that is not ours ---------------------------------------------------------------------


@pytest.mark.req("PRV-2")
def test_the_official_client_asks_as_we_do_and_understands_the_emulator(ws, server):
    import openrouter as sdk
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
