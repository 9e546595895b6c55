"""Text models as an emulator: OpenAI's chat completions and Google's generateContent.

What it says is set before; both official clients understand it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.testing.emulators.gemini import camel
from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen

IN_TOKENS = 12
OUT_TOKENS = 34

_CHAT = "/v1/chat/completions"
_CONTENT = re.compile(r"/v1(?:beta)?/models/([^/:]+):(generateContent|streamGenerateContent)")
_MESSAGES = {
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing.",
    "invalid_api_key": "Incorrect API key provided: {key}.",
}
_CHAT_FIELDS = frozenset({"model", "messages", "tools", "tool_choice", "stream", "stream_options"})
_CONTENT_FIELDS = frozenset({"contents", "systemInstruction", "tools", "generationConfig"})
_PIECE = 5  # characters of a streamed answer's pieces


class _Refused(Exception):
    """The request is not as the API wants it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says next: text, and what it asks for.

    Attributes
    ----------
    text:
        its words.
    calls:
        names of tools with their arguments; arguments that are text are sent as they are.
    reason:
        why it ended; "" for the dialect's own.
    """

    text: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any] | str]] = field(default_factory=tuple)
    reason: str = ""


class TextEmulator(Emulator):
    """A server whose models answer what they are told to.

    Parameters
    ----------
    key:
        The key that it accepts; None: it wants none.
    streams:
        False: it ignores that a stream is wanted.
    signatures:
        True: calls come with a signature, and are refused where they come back without it.

    Attributes
    ----------
    answers:
        what is said next, one each; nothing left: "Hello.".

    Examples
    --------
    >>> with TextEmulator() as server:
    ...     server.chat_url.endswith("/v1"), server.gemini_url.endswith("/v1beta")
    (True, True)
    """

    def __init__(
        self,
        key: str | None = "sk-emulated-key-0123456789",
        *,
        streams: bool = True,
        signatures: bool = False,
    ) -> None:
        super().__init__()
        self.key = key
        self.answers: list[Answer] = []
        self._streams = streams
        self._signatures = signatures

    @property
    def chat_url(self) -> str:
        """What belongs into OPENAI_BASE_URL."""
        return f"{self.url}/v1"

    @property
    def gemini_url(self) -> str:
        """What belongs into GEMINI_BASE_URL."""
        return f"{self.url}/v1beta"

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error that has the fields of both dialects."""
        message = _MESSAGES.get(code or "", message).format(key=self.key)
        error = {"message": message, "type": "error", "param": None, "code": code}
        return Reply(status, JSON, [json.dumps({"error": error}).encode()])

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Say what was set, in the dialect that was asked in."""
        path = seen.path.partition("?")[0]
        content = _CONTENT.fullmatch(path)
        given = seen.headers.get("authorization", "").removeprefix("Bearer ")
        given = seen.headers.get("x-goog-api-key", given)
        if self.key is not None and given != self.key:
            return self.error(401, "", "invalid_api_key")
        if path in ("/v1/models", "/v1beta/models"):
            many = [{"id": "tiny", "name": "models/tiny"}] * 3
            return _json({"object": "list", "data": many, "models": many})
        try:
            if path == _CHAT and seen.method == "POST":
                return self._chat(seen.json(), fault)
            if content and seen.method == "POST":
                return self._content(camel(seen.json()), content[2].startswith("stream"), fault)
        except (_Refused, ValueError, KeyError, TypeError, AttributeError) as error:
            return self.error(400, f"The body cannot be read: {error!r}")
        return self.error(404, f"There is nothing at {path}.")

    def _next(self) -> Answer:
        return self.answers.pop(0) if self.answers else Answer("Hello.")

    # -- OpenAI -----------------------------------------------------------------------------------

    def _chat(self, asked: Mapping[str, Any], fault: Fault) -> Reply:
        _check_chat(asked)
        now = self._next()
        calls: list[dict[str, Any]] = [
            {
                "id": f"call_{place}",
                "type": "function",
                "function": {"name": name, "arguments": _text(arguments)},
            }
            for place, (name, arguments) in enumerate(now.calls)
        ]
        reason = now.reason or ("tool_calls" if calls else "stop")
        about = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
        usage = {
            "prompt_tokens": IN_TOKENS,
            "completion_tokens": OUT_TOKENS,
            "total_tokens": IN_TOKENS + OUT_TOKENS,
        }
        if not asked.get("stream") or not self._streams:
            message: dict[str, Any] = {"role": "assistant", "content": now.text or None}
            if calls:
                message["tool_calls"] = calls
            choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
            whole = {"object": "chat.completion", "choices": [choice], "usage": usage, **about}
            return _json(whole)
        about["object"] = "chat.completion.chunk"
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in _pieces(now.text)]
        for place, call in enumerate(calls):
            arguments = call["function"]["arguments"]
            begun = {**call, "function": {**call["function"], "arguments": ""}}
            deltas.append({"tool_calls": [{"index": place, **begun}]})
            for piece in _pieces(arguments):
                deltas.append({"tool_calls": [{"index": place, "function": {"arguments": piece}}]})
        events = [_chunk(about, delta) for delta in deltas]
        if fault.in_stream is not None:
            events.append({"error": {"message": "It broke.", "code": fault.in_stream}})
        elif not fault.silent:
            events.append(_chunk(about, {}, reason))
            if (asked.get("stream_options") or {}).get("include_usage"):
                events.append({**about, "choices": [], "usage": usage})
        return _stream(events, end=[] if fault.silent else [b"data: [DONE]\n\n"])

    # -- Google -----------------------------------------------------------------------------------

    def _content(self, asked: Mapping[str, Any], stream: bool, fault: Fault) -> Reply:  # noqa: FBT001 - one flag
        _check_content(asked, signed=self._signatures)
        now = self._next()
        if now.reason.startswith("prompt:"):
            return _json({"promptFeedback": {"blockReason": now.reason.partition(":")[2]}})
        parts: list[dict[str, Any]] = [{"text": "Let me think.", "thought": True}]
        parts += [{"text": piece} for piece in _pieces(now.text)]
        for name, arguments in now.calls:
            part: dict[str, Any] = {"functionCall": {"name": name, "args": arguments}}
            if self._signatures:
                part["thoughtSignature"] = "c2lnbmVk"
            parts.append(part)
        usage = {
            "promptTokenCount": IN_TOKENS,
            "candidatesTokenCount": OUT_TOKENS - 4,
            "thoughtsTokenCount": 4,
            "totalTokenCount": IN_TOKENS + OUT_TOKENS,
        }
        end = {"finishReason": now.reason or "STOP", "index": 0}
        if not stream or not self._streams:
            candidate = {"content": {"role": "model", "parts": parts}, **end}
            return _json({"candidates": [candidate], "usageMetadata": usage})
        events: list[dict[str, Any]] = [
            {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]}
            for part in parts
        ]
        if fault.in_stream is not None:
            error = {"code": 503, "message": "It broke.", "status": fault.in_stream}
            events.append({"error": error})
        elif not fault.silent:
            events.append({"candidates": [end], "usageMetadata": usage})
        return _stream(events)


def _check_chat(asked: Mapping[str, Any]) -> None:
    _known(asked, _CHAT_FIELDS)
    known: set[str] = set()
    for message in asked["messages"]:
        if message["role"] == "tool" and message["tool_call_id"] not in known:
            raise _Refused("a result without its call")
        if message["role"] not in ("system", "user", "assistant", "tool"):
            raise _Refused(f"role {message['role']!r}")
        for call in message.get("tool_calls", ()):
            json.loads(call["function"]["arguments"])
            known.add(call["id"])
    for tool in asked.get("tools", ()):
        _ = tool["function"]["parameters"]["properties"]


def _check_content(asked: Mapping[str, Any], *, signed: bool) -> None:
    _known(asked, _CONTENT_FIELDS)
    for content in asked["contents"]:
        if content["role"] not in ("user", "model"):
            raise _Refused(f"role {content['role']!r}")
        for part in content["parts"]:
            marked = part.get("thoughtSignature") == "c2lnbmVk"
            if "functionCall" in part and signed and not marked:
                raise _Refused("Function call is missing a thought_signature.")
    for tool in asked.get("tools", ()):
        for one in tool["functionDeclarations"]:
            _ = one["parameters"]["properties"]


def _json(value: Mapping[str, Any]) -> Reply:
    return Reply(200, JSON, [json.dumps(value).encode()])


def _stream(events: Sequence[Mapping[str, Any]], end: Sequence[bytes] = ()) -> Reply:
    pieces = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    return Reply(200, "text/event-stream", [*pieces, *end], streamed=True)


def _chunk(about: Mapping[str, Any], delta: Any, reason: str | None = None) -> dict[str, Any]:
    return {**about, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def _pieces(text: str) -> list[str]:
    return [text[place : place + _PIECE] for place in range(0, len(text), _PIECE)]


def _text(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _known(given: Mapping[str, Any], names: frozenset[str]) -> None:
    for name in given:
        if name not in names:
            raise _Refused(f"Unknown name {name!r}.")
