"""Google's Gemini API through the real engine, against an emulator that its own client knows."""

from __future__ import annotations

import base64
import json
import logging

import pytest

import workbench as wb
from tests.providers.checks import met, shown_after
from tests.providers.gemini.world import (
    BACKGROUND,
    CANARY,
    MODEL,
    added,
)
from tests.providers.world import assert_nowhere, ended
from workbench.errors import ErrorKind, ProviderError
from workbench.providers import gemini_wire
from workbench.providers.catalogue import load
from workbench.providers.gemini import Gemini
from workbench.providers.gemini_tokens import TokenRates, Tokens, tokens_of
from workbench.providers.gemini_wire import Reading, error_in
from workbench.testing.emulators import gemini as emulator
from workbench.testing.emulators.gemini import GeminiEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- what people see, data -------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-7", "CFG-1")
@pytest.mark.parametrize("variable", ["GEMINI_API_KEY", "GOOGLE_API_KEY"])
def test_key_and_address_come_from_the_environment(ws, google, monkeypatch, variable):
    provider = Gemini()
    assert provider.state().code == "key_missing"
    assert "GEMINI_API_KEY" in provider.state().message
    monkeypatch.setenv(variable, f" {google.key}\n")
    monkeypatch.setenv("GEMINI_BASE_URL", f"{google.base_url}/")
    assert provider.state().ready
    ws.add_provider(provider)
    assert ended(ws.generate("a fox", model="gemini:gemini-3-pro-image")).status == "completed"
    assert google.requests[0].headers["x-goog-api-key"] == google.key
    monkeypatch.setenv("GEMINI_BASE_URL", "nonsense")
    assert provider.state().code == "error"


async def test_asking_for_the_models_costs_nothing(google):
    provider = Gemini("google", base_url=google.base_url, key=google.key)
    assert await provider.test() == "Google Gemini answered; 2 models."
    await provider.close()
    wrong = Gemini("google", base_url=google.base_url, key="AIzaWrong")
    with pytest.raises(ProviderError, match="its key") as caught:
        await wrong.test()
    await wrong.close()
    assert caught.value.kind is ErrorKind.AUTH
    assert "AIzaWrong" not in str(caught.value)
    assert google.charges == []


@pytest.mark.req("TOK-6")
def test_prices_are_dated_data_that_agree_with_the_tokens_of_a_picture():
    catalogue = load("gemini", "gemini")
    assert catalogue.dated == "2026-11-21"
    for name, entry in catalogue.entries.items():
        model = entry.model
        assert set(model.check({})) <= set(model.parameters)
        if name.startswith("imagen"):
            assert entry.is_gone()
            continue
        rates = TokenRates.of(entry.send["usd_per_million_tokens"])
        assert rates.text_in < rates.text_out < rates.image_out
        sizes = model.parameters["image_size"].choices if "image_size" in model.parameters else ()
        for size in sizes or ("1K",):
            estimate = model.price_of({"image_size": size}).amount_micro
            # One reports the tokens of its own: 1,290 and 2,000.
            own = {"gemini-2.5-flash-image": 1290, "gemini-3-pro-image": 1120}.get(name)
            own = 2000 if (name, size) == ("gemini-3-pro-image", "4K") else own
            tokens = own or emulator.IMAGE_TOKENS[size]
            assert estimate == int(rates.cost(Tokens(image_out=tokens)) * 10**6), (name, size)
    assert set(catalogue.entries["gemini-3.1-flash-image"].model.parameters) == {
        "aspect_ratio",
        "image_size",
        "thinking",
        "drafts",
        "resumable",
    }


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {},
        {"promptTokenCount": 1},
        {"promptTokenCount": True, "totalTokenCount": 2},
        {"promptTokenCount": "1", "totalTokenCount": 2},
        {"promptTokenCount": -1, "totalTokenCount": 2},
        {"promptTokenCount": 9, "totalTokenCount": 2},
        {"promptTokenCount": 1, "totalTokenCount": 10**30},
    ],
)
def test_usage_that_says_nothing_is_no_tokens(usage):
    assert tokens_of(usage) == Tokens()


def test_thoughts_are_counted_once_whether_the_candidates_hold_them_or_not():
    details = [{"modality": "IMAGE", "tokenCount": 1120}]
    common = {"promptTokenCount": 10, "totalTokenCount": 2010, "candidatesTokensDetails": details}
    apart = {**common, "candidatesTokenCount": 1120, "thoughtsTokenCount": 880}
    within = {**common, "candidatesTokenCount": 2000, "thoughtsTokenCount": 880}
    assert tokens_of(apart) == tokens_of(within) == Tokens(10, 0, 880, 1120)


@pytest.mark.parametrize(
    "chunk",
    [
        {"candidates": None},
        {"candidates": [None]},
        {"candidates": [{"content": None}]},
        {"candidates": [{"content": {"parts": [None, 5, {"inlineData": 7}]}}]},
        {"candidates": [{"content": {"parts": [{"inlineData": {"data": 7}}]}}]},
        {"candidates": [{"content": {"parts": [{"inlineData": {"data": "", "mimeType": "a/b"}}]}}]},
        {"promptFeedback": 7, "usageMetadata": 7, "responseId": 7},
    ],
)
def test_an_answer_of_any_shape_is_read_without_a_crash(chunk):
    reading = Reading()
    assert reading.take(chunk) == []
    assert reading.pictures == []


@pytest.mark.parametrize("value", [None, 5, [], {}, {"error": 5}, {"error": {"details": 7}}, "x"])
def test_an_error_of_any_shape_is_read_without_a_crash(value):
    assert error_in(value) == gemini_wire.Said()
    assert gemini_wire.interaction_of({"steps": value, "errors": value}).pictures == ()


def test_the_wait_is_read_from_the_words_where_the_details_are_missing():
    said = error_in({"error": {"code": 429, "message": "Please retry in 47.434392449s."}})
    assert (said.kind, said.retry_after_s) == (None, 47.434392449)


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(
    workspace_home, another, monkeypatch, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    server = another(key=CANARY, statuses=["in_progress"])
    faults = [
        None,
        Fault(status=400, code="API_KEY_INVALID"),
        Fault(status=500, body=f'{{"error": {{"message": "key {CANARY}"}}}}'.encode()),
        Fault(in_stream=f"token {CANARY}"),
        Fault(code=CANARY),
        Fault(reset_after=0),
        Fault(content_type=f"text/{CANARY}"),
        Fault(image=CANARY.encode()),
    ]
    shown = []
    with wb.open(workspace_home / "ws", user="ada") as ws:
        provider = added(ws, server, key=CANARY)
        for more in ({}, BACKGROUND):
            shown += shown_after(
                ws, provider, faults, lambda fault, more=more: met(ws, server, fault, MODEL, **more)
            )
    assert_nowhere(CANARY, [*shown, caplog.text, *capfd.readouterr()], workspace_home)


# -- a client that is not ours ---------------------------------------------------------------------


@pytest.fixture
def genai():
    from google import genai

    return genai


def official(genai, server: GeminiEmulator, **how):
    options = {"base_url": server.url, "api_version": "v1beta"}
    return genai.Client(api_key=server.key, http_options=options, **how)


@pytest.mark.req("PRV-2")
def test_the_official_client_understands_the_emulator(genai, google):
    types = genai.types
    client = official(genai, google)
    config = types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"],
        seed=7,
        image_config=types.ImageConfig(aspect_ratio="16:9", image_size="2K"),
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_level="HIGH"),
    )
    ask = {"model": "gemini-3.1-flash-image", "contents": "a fox", "config": config}
    answer = client.models.generate_content(**ask)
    pictures = [part for part in answer.parts if part.inline_data]
    assert [part.thought for part in pictures] == [True, None]
    assert pictures[-1].inline_data.data == png("a fox|7|0")
    assert answer.usage_metadata.candidates_tokens_details[0].token_count == 1680
    chunks = list(client.models.generate_content_stream(**ask))
    assert [len(chunk.parts or ()) for chunk in chunks] == [2, 2, 0]
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    google.faults = [Fault(code="prompt:PROHIBITED_CONTENT"), Fault(code="NO_IMAGE")]
    assert client.models.generate_content(**ask).prompt_feedback.block_reason == (
        "PROHIBITED_CONTENT"
    )
    assert client.models.generate_content(**ask).candidates[0].finish_reason == "NO_IMAGE"
    assert google.images_charged == 2
    client.close()


@pytest.mark.req("PRV-2")
def test_the_official_client_runs_and_cancels_interactions(genai, google):
    client = official(genai, google)
    ask = {
        "model": "gemini-3.1-flash-image",
        "input": [{"type": "text", "text": "a fox"}],
        "response_format": {"type": "image", "aspect_ratio": "1:8"},
        "generation_config": {"seed": 7},
        "background": True,
        "store": True,
    }
    begun = client.interactions.create(**ask)
    statuses = [begun.status]
    while statuses[-1] != "completed":
        now = client.interactions.get(begun.id)
        statuses.append(now.status)
    assert statuses == ["in_progress", "queued", "in_progress", "completed"]
    assert base64.b64decode(now.output_image.data) == png("a fox|7|0")
    assert now.usage.output_tokens_by_modality[0].tokens == 1120
    other = client.interactions.create(**ask)
    assert client.interactions.cancel(other.id).status == "cancelled"
    assert google.images_charged == 1
    client.close()


@pytest.mark.req("PRV-2")
def test_the_official_client_knows_imagen_on_googles_other_platform_only(genai, google):
    """It speaks the same ``predict`` there; for this API the method was taken out."""
    client = official(genai, google, vertexai=True)
    with pytest.warns(Warning, match="deprecated"):
        made = client.models.generate_images(
            model="imagen-4.0-generate-001", prompt="a fox", config={"number_of_images": 2}
        )
    assert [one.image.image_bytes for one in made.generated_images] == [
        png("a fox|None|0"),
        png("a fox|None|1"),
    ]
    client.close()


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(status=400, code="API_KEY_INVALID"), "INVALID_ARGUMENT"),
        (Fault(status=429, code="RetryInfo:12s"), "RESOURCE_EXHAUSTED"),
        (Fault(status=503), "UNAVAILABLE"),
    ],
    ids=repr,
)
def test_the_official_client_meets_the_same_faults(genai, google, fault, status):
    client = official(genai, google)
    google.faults = [fault]
    with pytest.raises(genai.errors.APIError) as caught:
        client.models.generate_content(
            model="gemini-3.1-flash-image",
            contents="a fox",
            config={"response_modalities": ["IMAGE"]},
        )
    assert (caught.value.code, caught.value.status) == (fault.status, status)
    client.close()


@pytest.mark.req("PRV-2")
def test_our_requests_are_those_of_the_official_client(genai, ws, google):
    types = genai.types
    added(ws, google)
    shape = {"aspect_ratio": "16:9", "image_size": "2K"}
    reference = png("one")
    chosen = {**shape, "seed": 7, "thinking": "high", "references": [reference]}
    ended(ws.generate("a fox", model=MODEL, **chosen))
    ended(ws.generate("a fox", model=MODEL, **chosen, **BACKGROUND))
    client = official(genai, google)
    part = types.Part.from_bytes(data=reference, mime_type="image/png")
    config = types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"],
        seed=7,
        image_config=types.ImageConfig(**shape),
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_level="HIGH"),
    )
    contents = [types.Content(role="user", parts=[types.Part(text="a fox"), part])]
    list(
        client.models.generate_content_stream(
            model="gemini-3.1-flash-image", contents=contents, config=config
        )
    )
    encoded = base64.b64encode(reference).decode()
    client.interactions.create(
        model="gemini-3.1-flash-image",
        input=[
            {"type": "text", "text": "a fox"},
            {"type": "image", "data": encoded, "mime_type": "image/png"},
        ],
        response_format={"type": "image", **shape},
        generation_config={"seed": 7, "thinking_level": "high"},
        background=True,
        store=True,
    )
    client.close()
    streams = [seen for seen in google.requests if "stream" in seen.path]
    ours, theirs = (seen.json() for seen in streams)
    assert streams[0].path == streams[1].path
    assert _urlsafe(ours) == _urlsafe(emulator.camel(theirs))
    types.GenerateContentConfig.model_validate(ours["generationConfig"])
    begun = [seen for seen in google.requests if seen.path.endswith("/interactions")]
    ours, theirs = (seen.json() for seen in begun)
    assert ours == theirs


def _urlsafe(body: dict) -> str:
    """The client writes base64 with - and _; the API takes both."""
    return json.dumps(body, sort_keys=True).replace("+", "-").replace("\\/", "_").replace("/", "_")
