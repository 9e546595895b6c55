"""Text models in both dialects, against an emulator that both official clients understand."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import get_type_hints

import pytest

from tests.providers.world import several
from workbench.errors import ErrorKind, InvalidRequest, ProviderError
from workbench.providers import keys
from workbench.providers.http import Patience
from workbench.providers.polling import Pace
from workbench.providers.text import (
    IMAGE_TOOL,
    GeminiText,
    ImageCall,
    OpenAIText,
    TextMessage,
    TextReply,
    TextUsage,
    ToolCall,
    image_call,
    suggest_title,
)
from workbench.providers.text_wire import LONGEST_TEXT, Hearing
from workbench.testing.emulators.server import Fault
from workbench.testing.emulators.text import IN_TOKENS, OUT_TOKENS, Answer, TextEmulator

CANARY = "sk-canary-0123456789abcdefghij"
USAGE = TextUsage(IN_TOKENS, OUT_TOKENS)
ASKED = [
    TextMessage("system", "Be kind."),
    TextMessage("user", "Draw me a fox."),
]
FAST = functools.partial(Pace, first_s=0.01, longest_s=0.05)
BOTH = pytest.mark.parametrize("dialect", ["openai", "gemini"])
WAYS = pytest.mark.parametrize("way", ["reply", "stream"])


@pytest.fixture
def server() -> Iterator[TextEmulator]:
    with TextEmulator() as running:
        yield running


@pytest.fixture
def another() -> Iterator:
    with several(TextEmulator) as make:
        yield make


def model_of(dialect: str, server: TextEmulator, **changes):
    address = server.chat_url if dialect == "openai" else server.gemini_url
    given = {"model": "tiny", "base_url": address, "key": server.key, "pace": FAST, **changes}
    return (OpenAIText if dialect == "openai" else GeminiText)(**given)


async def answered(model, way: str = "reply", messages=ASKED, tools=None) -> TextReply:
    try:
        if way == "reply":
            return await model.reply(messages, tools)
        *deltas, whole = [one async for one in model.stream(messages, tools)]
        assert isinstance(whole, TextReply)
        assert "".join(deltas) == whole.text
        return whole
    finally:
        await model.close()


# -- text -----------------------------------------------------------------------------------------


@pytest.mark.req("CHT-4")
@BOTH
@WAYS
async def test_an_answer_in_text_comes_home_with_what_it_took(server, dialect, way):
    server.answers = [Answer("A fox? With pleasure.")]
    reply = await answered(model_of(dialect, server), way)
    assert reply == TextReply("A fox? With pleasure.", (), USAGE)


@BOTH
async def test_text_comes_piece_by_piece(server, dialect):
    server.answers = [Answer("one two three four")]
    model = model_of(dialect, server)
    deltas = [one async for one in model.stream(ASKED)]
    await model.close()
    assert deltas[:-1] == ["one t", "wo th", "ree f", "our"]


async def test_what_is_sent_to_a_chat_server(server):
    await answered(model_of("openai", server))
    await answered(model_of("openai", server), "stream", tools=[IMAGE_TOOL])
    plain, streamed = server.requests
    assert (plain.method, plain.path) == ("POST", "/v1/chat/completions")
    assert plain.headers["authorization"] == f"Bearer {server.key}"
    assert plain.json() == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Draw me a fox."},
        ],
    }
    asked = streamed.json()
    assert (asked["stream"], asked["stream_options"]) == (True, {"include_usage": True})
    (tool,) = asked["tools"]
    assert tool["function"]["name"] == "generate_image"
    assert set(tool["function"]["parameters"]["properties"]) == {"prompt", "count", "size"}


async def test_what_is_sent_to_google(server):
    await answered(model_of("gemini", server))
    await answered(model_of("gemini", server), "stream", tools=[IMAGE_TOOL])
    plain, streamed = server.requests
    assert (plain.method, plain.path) == ("POST", "/v1beta/models/tiny:generateContent")
    assert plain.headers["x-goog-api-key"] == server.key
    assert "authorization" not in plain.headers
    assert plain.json() == {
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "contents": [{"role": "user", "parts": [{"text": "Draw me a fox."}]}],
    }
    assert streamed.path == "/v1beta/models/tiny:streamGenerateContent?alt=sse"
    (tools,) = streamed.json()["tools"]
    assert tools["functionDeclarations"][0]["name"] == "generate_image"


@BOTH
async def test_a_server_that_ignores_stream_is_understood(another, dialect):
    server = another(streams=False)
    server.answers = [Answer("All at once.")]
    reply = await answered(model_of(dialect, server), "stream")
    assert reply == TextReply("All at once.", (), USAGE)


# -- tools ----------------------------------------------------------------------------------------


@pytest.mark.req("CHT-4")
@BOTH
@WAYS
async def test_a_model_asks_for_pictures_and_hears_what_became_of_them(another, dialect, way):
    server = another(signatures=True)
    wanted = {"prompt": "a red fox", "count": 2, "size": "1024x768"}
    server.answers = [Answer("At once. ", [(IMAGE_TOOL.name, wanted)]), Answer("Here they are.")]
    model = model_of(dialect, server)
    reply = await answered(model, way, tools=[IMAGE_TOOL])
    (call,) = reply.tool_calls
    assert (reply.text, call.name, call.arguments) == ("At once. ", IMAGE_TOOL.name, wanted)
    assert image_call(call) == ImageCall("a red fox", 2, 1024, 768)
    assert reply.usage == USAGE
    messages = [
        *ASKED,
        TextMessage("assistant", reply.text, calls=reply.tool_calls),
        TextMessage("tool", "2 pictures were made.", answers=call),
    ]
    last = await answered(model, way, messages, [IMAGE_TOOL])
    assert last.text == "Here they are."
    sent = json.dumps(server.requests[-1].json())
    assert "2 pictures were made." in sent
    # Without what belongs to the call the server would have refused it.
    assert dialect == "openai" or "thoughtSignature" in sent


@BOTH
@WAYS
async def test_several_calls_and_no_text(server, dialect, way):
    server.answers = [Answer("", [("generate_image", {"prompt": p}) for p in "ab"])]
    reply = await answered(model_of(dialect, server), way, tools=[IMAGE_TOOL])
    assert [call.arguments for call in reply.tool_calls] == [{"prompt": "a"}, {"prompt": "b"}]
    assert len({call.id for call in reply.tool_calls}) == 2


@pytest.mark.parametrize("arguments", ['{"prompt": ', "[]", "null", "a fox", "[" * 50_000])
@WAYS
async def test_arguments_that_are_no_object_are_none(server, arguments, way):
    server.answers = [Answer("", [("generate_image", arguments)])]
    reply = await answered(model_of("openai", server), way, tools=[IMAGE_TOOL])
    assert reply.tool_calls[0].arguments is None
    with pytest.raises(InvalidRequest, match="JSON object"):
        image_call(reply.tool_calls[0])


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        ({"prompt": " a fox "}, ImageCall("a fox")),
        ({"prompt": "a fox", "count": 3.0}, ImageCall("a fox", 3)),
        ({"prompt": "a fox", "size": "auto"}, ImageCall("a fox")),
        ({"prompt": "a fox", "size": "512 × 256"}, ImageCall("a fox", 1, 512, 256)),
        ({"prompt": "a fox", "style": "oil"}, ImageCall("a fox")),
    ],
)
def test_arguments_are_read_kindly(arguments, read):
    assert image_call(ToolCall("1", "generate_image", arguments)) == read


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": "x" * 10_001}, "prompt"),
        ({"prompt": "x", "count": 0}, "count"),
        ({"prompt": "x", "count": 1_000_000}, "count"),
        ({"prompt": "x", "count": True}, "count"),
        ({"prompt": "x", "count": "2"}, "count"),
        ({"prompt": "x", "count": 1.5}, "count"),
        ({"prompt": "x", "size": "large"}, "size"),
        ({"prompt": "x", "size": "0x100"}, "size"),
        ({"prompt": "x", "size": "999999x1"}, "size"),
        ({"prompt": "x", "size": [1, 2]}, "size"),
    ],
)
def test_what_a_model_asks_for_is_checked(arguments, field):
    with pytest.raises(InvalidRequest) as caught:
        image_call(ToolCall("1", "generate_image", arguments))
    assert caught.value.field == field
    with pytest.raises(InvalidRequest, match="no such tool"):
        image_call(ToolCall("1", "delete_everything", {"prompt": "x"}))


# -- titles ---------------------------------------------------------------------------------------


@pytest.mark.req("TOP-3")
@BOTH
async def test_a_title_is_suggested(server, dialect):
    server.answers = [Answer('"Foxes in the Snow."')]
    model = model_of(dialect, server)
    prompt = "a red fox\nin the snow " + "very detailed " * 1000
    assert await suggest_title(model, prompt) == "Foxes in the Snow"
    await model.close()
    assert len(server.requests[0].body) < 6_000
    assert b"not an instruction" in server.requests[0].body


@pytest.mark.req("TOP-3")
@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ("Foxes", "Foxes"),
        ("  \n\n## **Foxes at Dawn**\n\nI chose this because…", "Foxes at Dawn"),
        ("Title: Foxes", "Foxes"),
        ("**Title:** *Foxes*", "Foxes"),
        ("<think>The user wants\na title.</think>\nFoxes", "Foxes"),
        ("« Renards dans la neige »", "Renards dans la neige"),
        ("雪の中の狐。", "雪の中の狐"),
        ("<b>Foxes</b>\x1b[31m \u202eabc", "<b>Foxes</b> [31m abc"),
        ("Fox " * 20, "Fox Fox Fox Fox Fox Fox Fox Fox Fox Fox Fox Fox Fox Fox Fox"),
        ("x" * 100, "x" * 60),
        ("see https://a.example/?key=1", "see https://a.example/?…"),
        ("", None),
        ("   \n ", None),
        ('"…"', None),
        ("<think>never ends", None),
        ("I am afraid that I cannot do that, " * 10, None),
    ],
)
async def test_a_title_is_short_plain_text_or_nothing(server, answer, title):
    server.answers = [Answer(answer or " ")]
    model = model_of("openai", server)
    assert await suggest_title(model, "a fox") == title
    await model.close()
    assert title is None or len(title) <= 60


@pytest.mark.req("TOP-3")
async def test_a_refusal_is_no_title_and_a_missing_key_is_an_error(server):
    server.answers = [Answer("", reason="prompt:SAFETY")]
    model = model_of("gemini", server)
    assert await suggest_title(model, "a fox") is None
    await model.close()
    with pytest.raises(ProviderError, match="OPENAI_API_KEY"):
        await suggest_title(OpenAIText(model="tiny"), "a fox")


# -- faults ---------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
@BOTH
@WAYS
@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (Fault(status=400), ErrorKind.BAD_REQUEST, "asked for by a test"),
        (Fault(status=401, code="invalid_api_key"), ErrorKind.AUTH, "its key"),
        (Fault(status=404), ErrorKind.BAD_REQUEST, "does not know this model"),
        (Fault(status=402), ErrorKind.QUOTA, "no credit"),
        (Fault(status=302, headers={"Location": "/x"}), ErrorKind.BAD_REQUEST, "redirects"),
        (Fault(status=200, body=b"<html>"), ErrorKind.BAD_REQUEST, "not whole JSON"),
        (Fault(status=200, body=b"[5]"), ErrorKind.BAD_REQUEST, "another shape"),
        (Fault(status=200, body=b"{}"), ErrorKind.BAD_REQUEST, "an end before its text"),
        (Fault(status=200, body=b'{"x": "' + b"x" * 5_000_000), ErrorKind.BAD_REQUEST, "more by"),
        (Fault(status=429, headers={"Retry-After": "3600"}), ErrorKind.RATE_LIMIT, "a pause"),
    ],
    ids=lambda one: repr(one)[:50],
)
async def test_a_failure_is_typed_and_not_repeated(server, dialect, way, fault, kind, said):
    server.fault_of = lambda seen: fault
    with pytest.raises(ProviderError) as caught:
        await answered(model_of(dialect, server), way)
    assert caught.value.kind is kind
    assert said in caught.value.message
    assert len(server.requests) == 1


@pytest.mark.req("PRV-4", "PRV-7")
@BOTH
@WAYS
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429),
        Fault(status=429, headers={"Retry-After": "0.1"}),
        Fault(status=500),
        Fault(status=502),
        Fault(reset_before=True),
        Fault(reset_after=0),
    ],
    ids=repr,
)
async def test_a_passing_failure_is_tried_again_and_in_the_end_told(server, dialect, way, fault):
    server.faults = [fault, fault]
    assert (await answered(model_of(dialect, server), way)).text == "Hello."
    assert len(server.requests) == 3
    server.fault_of = lambda seen: fault
    with pytest.raises(ProviderError):
        await answered(model_of(dialect, server), way)
    assert len(server.requests) == 6


@BOTH
@pytest.mark.parametrize("fault", [Fault(in_stream="UNAVAILABLE"), Fault(reset_after=90)])
async def test_a_stream_that_breaks_in_the_middle_says_so(server, dialect, fault):
    server.answers = [Answer("word " * 50)]
    server.faults = [fault]
    model = model_of(dialect, server)
    heard = []

    async def listen() -> None:
        async for one in model.stream(ASKED):
            heard.append(one)  # noqa: PERF401 - kept although it breaks off

    with pytest.raises(ProviderError) as caught:
        await listen()
    await model.close()
    assert caught.value.kind is ErrorKind.TRANSIENT
    assert not any(isinstance(one, TextReply) for one in heard)


async def test_an_answer_that_drips_ends_at_the_deadline(server):
    server.fault_of = lambda seen: Fault(drip_s=0.5)
    model = model_of("openai", server, patience=Patience(total_s=2.0))
    with pytest.raises(ProviderError, match="did not answer in time"):
        await answered(model)


@pytest.mark.parametrize(
    ("dialect", "reason", "kind"),
    [
        ("openai", "content_filter", ErrorKind.BLOCKED),
        ("openai", "length", ErrorKind.BAD_REQUEST),
        ("gemini", "prompt:PROHIBITED_CONTENT", ErrorKind.BLOCKED),
        ("gemini", "SAFETY", ErrorKind.BLOCKED),
        ("gemini", "MAX_TOKENS", ErrorKind.BAD_REQUEST),
        ("gemini", "A_WORD_OF_2027", ErrorKind.BAD_REQUEST),
    ],
)
@WAYS
async def test_an_answer_of_nothing_is_never_a_success(server, dialect, reason, kind, way):
    server.answers = [Answer("", reason=reason)]
    with pytest.raises(ProviderError) as caught:
        await answered(model_of(dialect, server), way)
    assert caught.value.kind is kind


async def test_a_stream_that_is_left_early_is_closed(server):
    server.answers = [Answer("word " * 50)]
    model = model_of("openai", server)
    stream = model.stream(ASKED)
    assert await anext(stream) == "word "
    await stream.aclose()
    assert (await answered(model)).text == "Hello."


@pytest.mark.parametrize(
    "told",
    [
        {"choices": None, "usage": 5},
        {"choices": [None]},
        {"choices": [{"message": None}]},
        {"choices": [{"delta": {"content": 5, "tool_calls": [None, 5, {}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": "x", "id": 5, "function": 5}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"function": {"name": 5, "arguments": 5}}]}}]},
        {"candidates": [{"content": 5}], "usageMetadata": 5, "promptFeedback": 5},
        {"candidates": [{"content": {"parts": [5, {"functionCall": {"name": 5, "args": 5}}]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {}}]}, "finishReason": 5}]},
    ],
)
def test_an_answer_of_any_shape_is_heard_without_a_crash(told):
    hearing = Hearing()
    assert hearing.hear_chat(told) == hearing.hear_content(told) == ""
    assert hearing.reply() == TextReply()


def test_an_answer_without_end_is_cut():
    hearing = Hearing()
    piece = {"choices": [{"delta": {"content": "x" * 90_000}}]}
    call = {"choices": [{"delta": {"tool_calls": [{"function": {"name": "n"}}] * 100}}]}
    for _ in range(5):
        hearing.hear_chat(piece)
        hearing.hear_chat(call)
    reply = hearing.reply()
    assert len(reply.text) == LONGEST_TEXT
    assert len(reply.tool_calls) <= 16


def test_content_in_parts_and_arguments_that_are_no_text_are_heard():
    hearing = Hearing()
    arguments = {"prompt": "a fox"}
    message = {
        "content": [{"type": "text", "text": "Hello"}, {"type": "image_url"}],
        "tool_calls": [{"id": "1", "function": {"name": "n", "arguments": arguments}}],
    }
    assert hearing.hear_chat({"choices": [{"message": message}]}) == "Hello"
    assert hearing.reply().tool_calls == (ToolCall("1", "n", arguments),)
    refused = Hearing()
    told = {"choices": [{"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}]}
    assert refused.hear_chat(told) == "No."


# -- keys and addresses ---------------------------------------------------------------------------


@pytest.mark.req("CFG-1", "PRV-7")
@pytest.mark.parametrize(
    ("made", "key", "address"),
    [
        (OpenAIText, "OPENAI_API_KEY", "OPENAI_BASE_URL"),
        (GeminiText, "GEMINI_API_KEY", "GEMINI_BASE_URL"),
    ],
)
async def test_key_and_address_come_from_the_environment(server, monkeypatch, made, key, address):
    model = made(model="tiny", pace=FAST)
    assert (model.state().ready, model.state().code) == (False, "key_missing")
    assert key in model.state().message
    monkeypatch.setenv(key, f" {server.key}\n")
    base = server.chat_url if made is OpenAIText else server.gemini_url
    monkeypatch.setenv(address, f"{base}/")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj_1")
    assert model.state().ready
    assert (await answered(model)).text == "Hello."
    assert server.requests[0].headers.get("openai-project") == (
        "proj_1" if made is OpenAIText else None
    )
    assert await model.test() == f"{model.title} answered; 3 models."
    await model.close()
    monkeypatch.setenv(address, "nonsense")
    assert (model.state().code, address in model.state().message) == ("error", True)


async def test_a_server_of_ones_own_needs_no_key_and_gets_none(another, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org_1")
    server = another(key=None)
    model = OpenAIText("mine", model="tiny", base_url=server.chat_url, pace=FAST)
    assert model.state().ready
    assert (await answered(model)).text == "Hello."
    assert "authorization" not in server.requests[0].headers
    assert "openai-organization" not in server.requests[0].headers


def test_a_key_that_was_kept_for_the_pictures_is_good_for_text(workspace_home, monkeypatch):
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(workspace_home / "own"))
    keys.keep("gemini", CANARY)
    try:
        assert GeminiText(model="tiny").state().ready
        assert CANARY not in repr(vars(GeminiText(model="tiny")))
    finally:
        keys.forget("gemini")


@pytest.mark.req("PRV-7")
@BOTH
async def test_a_key_is_in_no_error_and_no_log(another, dialect, caplog):
    caplog.set_level(logging.DEBUG)
    server = another(key=CANARY)
    shown = []
    for fault in (
        Fault(status=401, code="invalid_api_key"),
        Fault(status=400, body=f'{{"error": {{"message": "key {CANARY}"}}}}'.encode()),
        Fault(status=400, body=f'{{"error": "{CANARY}"}}'.encode()),
        Fault(status=200, body=b"<html>", content_type=f"text/{CANARY}"),
        Fault(in_stream=CANARY),
        Fault(reset_after=0),
    ):
        server.fault_of = functools.partial(lambda fault, seen: fault, fault)
        server.answers = []
        model = model_of(dialect, server)
        with pytest.raises(ProviderError) as caught:
            await answered(model, "stream")
        shown += [str(caught.value), repr(caught.value), repr(model), repr(vars(model))]
    assert not [text for text in [*shown, caplog.text] if CANARY in text]


# -- clients that are not ours --------------------------------------------------------------------


async def test_the_official_openai_client_understands_the_emulator(server):
    from openai import OpenAI
    from openai.types.chat.completion_create_params import (
        CompletionCreateParamsNonStreaming,
        CompletionCreateParamsStreaming,
    )
    from pydantic import TypeAdapter

    arguments = {"prompt": "a fox"}
    said = Answer("At once.", [("generate_image", arguments)])
    server.answers = [said, said, said, replace(said, text="Then.")]
    ours = model_of("openai", server)
    await answered(ours, "reply", tools=[IMAGE_TOOL])
    reply = await answered(ours, "stream", tools=[IMAGE_TOOL])
    first, second = (seen.json() for seen in server.requests)
    TypeAdapter(CompletionCreateParamsNonStreaming).validate_python(first)
    TypeAdapter(CompletionCreateParamsStreaming).validate_python(second)
    assert set(first) < set(second) <= set(get_type_hints(CompletionCreateParamsStreaming))
    with OpenAI(api_key=server.key, base_url=server.chat_url, max_retries=0) as client:
        theirs = client.chat.completions.create(**first)
        (choice,) = theirs.choices
        assert choice.message.content == reply.text
        (call,) = choice.message.tool_calls
        assert json.loads(call.function.arguments) == reply.tool_calls[0].arguments == arguments
        assert (call.id, theirs.usage.completion_tokens) == (reply.tool_calls[0].id, OUT_TOKENS)
        text, parts = "", ""
        for chunk in client.chat.completions.create(**second):
            for one in chunk.choices:
                text += one.delta.content or ""
                for part in one.delta.tool_calls or ():
                    parts += part.function.arguments or ""
        assert (text, json.loads(parts)) == ("Then.", arguments)


def test_googles_official_client_understands_the_emulator(another):
    from google import genai

    types = genai.types
    server = another(signatures=True)
    arguments = {"prompt": "a fox"}
    server.answers = [Answer("At once.", [("generate_image", arguments)]), Answer("Then.")]
    options = {"base_url": server.url, "api_version": "v1beta"}
    declared = types.FunctionDeclaration(
        name=IMAGE_TOOL.name,
        description=IMAGE_TOOL.description,
        parameters_json_schema=None,
        parameters=types.Schema.model_validate(dict(IMAGE_TOOL.parameters)),
    )
    config = types.GenerateContentConfig(
        system_instruction="Be kind.",
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    with genai.Client(api_key=server.key, http_options=options) as client:
        ask = {"model": "tiny", "contents": "Draw me a fox.", "config": config}
        answer = client.models.generate_content(**ask)
        (call,) = answer.function_calls
        assert (call.name, call.args) == ("generate_image", arguments)
        parts = answer.candidates[0].content.parts
        assert parts[-1].thought_signature == b"signed"
        chunks = [chunk.text for chunk in client.models.generate_content_stream(**ask)]
        assert "".join(text or "" for text in chunks) == "Then."
