"""Both dialects of text models: OpenAI's chat completions, and Google's ``generateContent``.

`chat_body` and `content_body` write what is said; `Hearing` reads what comes back, whole or piece
by piece.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.providers.asking import objects_in
from workbench.providers.gemini_wire import BLOCKS
from workbench.providers.text_talk import (
    NOTHING_USED,
    TextMessage,
    TextReply,
    TextUsage,
    Tool,
    ToolCall,
)

LONGEST_TEXT = 200_000  # characters of one answer; a server that never ends is cut there
_MOST_CALLS = 16
_OURS = "call-"  # begins an id of ours, where the dialect has none


# -- OpenAI's chat completions --------------------------------------------------------------------


def chat_body(
    model: str, messages: Sequence[TextMessage], tools: Sequence[Tool], *, stream: bool
) -> dict[str, JsonValue]:
    """Return the body of ``/chat/completions``."""
    body: dict[str, JsonValue] = {
        "model": model,
        "messages": [_chat_message(message) for message in messages],
    }
    if tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                },
            }
            for tool in tools
        ]
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _chat_message(message: TextMessage) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {"role": message.role, "content": message.text}
    if message.answers is not None:
        told["tool_call_id"] = message.answers.id
    if message.calls:
        told["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments or {})},
            }
            for call in message.calls
        ]
    return told


_CODES = {
    "content_filter": ErrorKind.BLOCKED,
    "content_policy_violation": ErrorKind.BLOCKED,
    "insufficient_quota": ErrorKind.QUOTA,
    "billing_hard_limit_reached": ErrorKind.QUOTA,
    "billing_not_active": ErrorKind.QUOTA,
    "invalid_api_key": ErrorKind.AUTH,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT,
    "context_length_exceeded": ErrorKind.BAD_REQUEST,
}


def chat_error_kind(value: Any) -> ErrorKind | None:
    """Return the kind that the code of an error names, or None where the status says it all."""
    error = value.get("error") if isinstance(value, dict) else None
    codes = [error.get("code"), error.get("type")] if isinstance(error, dict) else []
    return next((_CODES[code] for code in codes if isinstance(code, str) and code in _CODES), None)


# -- Google's generateContent ---------------------------------------------------------------------


def content_body(messages: Sequence[TextMessage], tools: Sequence[Tool]) -> dict[str, JsonValue]:
    """Return the body of ``generateContent``."""
    contents: list[JsonValue] = []
    rules: list[JsonValue] = []
    for message in messages:
        if message.role == "system":
            rules.append({"text": message.text})
            continue
        role = "model" if message.role == "assistant" else "user"
        contents.append({"role": role, "parts": _parts_of(message)})
    body: dict[str, JsonValue] = {"contents": contents}
    if rules:
        body["systemInstruction"] = {"parts": rules}
    if tools:
        declared: list[JsonValue] = [
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
            }
            for tool in tools
        ]
        body["tools"] = [{"functionDeclarations": declared}]
    return body


def _parts_of(message: TextMessage) -> list[JsonValue]:
    if message.answers is not None:
        response: dict[str, JsonValue] = {
            "name": message.answers.name,
            "response": {"result": message.text},
        }
        if not message.answers.id.startswith(_OURS):
            response["id"] = message.answers.id
        return [{"functionResponse": response}]
    parts: list[JsonValue] = [{"text": message.text}] if message.text else []
    for call in message.calls:
        asked: dict[str, JsonValue] = {"name": call.name, "args": dict(call.arguments or {})}
        if not call.id.startswith(_OURS):
            asked["id"] = call.id
        part: dict[str, JsonValue] = {"functionCall": asked}
        if call.mark is not None:
            # Models that think refuse a call that comes back without it.
            part["thoughtSignature"] = call.mark
        parts.append(part)
    return parts or [{"text": ""}]


# -- what comes back ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""
    mark: str | None = None


@dataclass(slots=True)
class Hearing:
    """An answer as it is heard, piece by piece or at once, in either dialect.

    Attributes
    ----------
    text:
        what was said so far.
    reason:
        why it ended ("" while it has not).
    refused:
        the prompt or the answer was held back.
    """

    text: str = ""
    reason: str = ""
    refused: bool = False
    _calls: dict[int, _Call] = field(default_factory=dict)
    _usage: TextUsage = NOTHING_USED

    def reply(self) -> TextReply:
        """Return what was heard."""
        calls = [_finished(place, call) for place, call in sorted(self._calls.items())]
        return TextReply(self.text, tuple(call for call in calls if call.name), self._usage)

    def hear_chat(self, told: Mapping[str, Any]) -> str:
        """Take a completion, or a chunk of one, and return the text that is new."""
        usage = told.get("usage")
        if isinstance(usage, dict):
            self._count(usage, "prompt_tokens", "completion_tokens")
        new = ""
        for choice in objects_in(told.get("choices"))[:1]:
            message = choice.get("delta", choice.get("message"))
            if isinstance(message, dict):
                new += _said(message.get("content")) or _said(message.get("refusal"))
                for place, call in enumerate(objects_in(message.get("tool_calls"))):
                    self._hear_chat_call(call.get("index", place), call)
            if isinstance(choice.get("finish_reason"), str):
                self.reason = choice["finish_reason"]
                self.refused = self.reason == "content_filter"
        return self._add(new)

    def _hear_chat_call(self, place: Any, told: Mapping[str, Any]) -> None:
        if not isinstance(place, int):
            place = len(self._calls)
        if place not in self._calls and len(self._calls) >= _MOST_CALLS:
            return
        call = self._calls.setdefault(place, _Call())
        function = told.get("function")
        if isinstance(told.get("id"), str):
            call.id = call.id or told["id"]
        if not isinstance(function, dict):
            return
        if isinstance(function.get("name"), str):
            call.name = call.name or function["name"]
        arguments = function.get("arguments")
        if isinstance(arguments, dict):  # some servers do not put it into text
            call.arguments = json.dumps(arguments)
        elif isinstance(arguments, str) and len(call.arguments) < LONGEST_TEXT:
            call.arguments += arguments

    def hear_content(self, told: Mapping[str, Any]) -> str:
        """Take a chunk of ``generateContent`` and return the text that is new."""
        usage = told.get("usageMetadata")
        if isinstance(usage, dict):
            self._count(usage, "promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
        feedback = told.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason"):
            self.reason, self.refused = str(feedback["blockReason"]), True
        new = ""
        for candidate in objects_in(told.get("candidates"))[:1]:
            content = candidate.get("content")
            for part in objects_in(content.get("parts") if isinstance(content, dict) else None):
                asked = part.get("functionCall")
                if isinstance(asked, dict):
                    self._hear_content_call(asked, part.get("thoughtSignature"))
                elif part.get("thought") is not True:
                    new += _said(part.get("text"))
            if isinstance(candidate.get("finishReason"), str):
                self.reason = candidate["finishReason"]
                self.refused = self.reason in BLOCKS
        return self._add(new)

    def _hear_content_call(self, asked: Mapping[str, Any], mark: Any) -> None:
        if len(self._calls) >= _MOST_CALLS:
            return
        self._calls[len(self._calls)] = _Call(
            id=_said(asked.get("id")),
            name=_said(asked.get("name")),
            arguments=json.dumps(asked.get("args", {})),
            mark=mark if isinstance(mark, str) else None,
        )

    def _add(self, new: str) -> str:
        new = new[: max(0, LONGEST_TEXT - len(self.text))]
        self.text += new
        return new

    def _count(self, usage: Mapping[str, Any], given: str, *made: str) -> None:
        counts = [_number(usage.get(name)) for name in made]
        known = [count for count in counts if count is not None]
        self._usage = TextUsage(_number(usage.get(given)), sum(known) if known else None)


def _finished(place: int, call: _Call) -> ToolCall:
    try:
        given = json.loads(call.arguments.strip() or "{}")
    except (ValueError, RecursionError):
        given = None
    arguments = given if isinstance(given, dict) else None
    return ToolCall(call.id or f"{_OURS}{place}", call.name, arguments, call.mark)


def _said(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "".join(_said(one.get("text")) for one in objects_in(value))


def _number(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 10**9 else None
