"""Google's Gemini API as an emulator: content, streams of it, background interactions, Imagen.

Pictures are small coloured tiles that follow from the prompt and the seed. The official client
(google-genai) speaks to it as our own adapter does, so that the two agree on the dialect.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen
from workbench.testing.pictures import png

RATIOS = frozenset(
    "1:1 2:3 3:2 3:4 4:3 4:5 5:4 9:16 16:9 21:9 1:4 4:1 1:8 8:1".split()  # noqa: SIM905 - read as a row
)
IMAGE_TOKENS = {"512": 747, "1K": 1120, "2K": 1680, "4K": 2520}
TEXT_TOKENS = 10
REFERENCE_TOKENS = 1120  # of each image that goes in
THOUGHT_TOKENS = 100

_ONE_SIZE = ("gemini-2.5-flash-image", "gemini-3.1-flash-lite-image")
_CALL = re.compile(r"(?:/publishers/google)?/models/([^/:]+):(\w+)")
_SNAKE = re.compile(r"_([a-z])")
_VERSION = re.compile(r"/v1(?:beta1?)?(?=/)")
_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# Only "invalid_request" was seen in a report; the others are believed.
_INTERACTION_WORDS = {
    400: "invalid_request",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    429: "rate_limit_exceeded",
}
_URL_SAFE = str.maketrans("-_", "+/")  # the official client writes base64 like this
_TYPE = "type.googleapis.com/google.rpc."

_BODY = frozenset({"contents", "generationConfig", "safetySettings", "systemInstruction", "tools"})
_CONFIG = frozenset({"responseModalities", "imageConfig", "seed", "thinkingConfig", "temperature"})
_INTERACTION = frozenset(
    {"model", "input", "response_format", "background", "store", "stream", "generation_config"}
)


class _Refused(Exception):
    """The request is not as the API wants it."""


@dataclass(slots=True)
class _Job:
    id: str
    model: str
    statuses: list[str]
    pictures: list[bytes]
    end: str = "completed"
    error: dict[str, str] | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    charged: bool = False
    cancelled: bool = False


class GeminiEmulator(Emulator):
    """A server that speaks Google's Gemini API.

    A fault's `code` says how an answer ends ("NO_IMAGE", "IMAGE_SAFETY", …), what is refused
    ("prompt:SAFETY"), how an interaction ends ("status:incomplete"), or, with a status, what the
    error says besides: "API_KEY_INVALID", "RetryInfo:12s", "PerDay" or "NoCredit".

    Parameters
    ----------
    key:
        The key that it accepts.
    streams:
        False: it answers a stream's request at once, as some gateways do.
    drafts:
        How many drafts come before a picture, where thoughts are wanted.
    statuses:
        What an interaction says when it is asked for, one after the other, before its end.
    background:
        False: models do not run in the background.
    uris:
        True: an interaction leaves its picture at an address.

    Attributes
    ----------
    draft:
        The bytes of each draft; None: small tiles.

    Examples
    --------
    >>> with GeminiEmulator() as server:
    ...     server.base_url.endswith("/v1beta")
    True
    """

    def __init__(
        self,
        key: str = "AIzaEmulatedKey0123456789abcdefghijkl",
        *,
        streams: bool = True,
        drafts: int = 1,
        statuses: Sequence[str] = ("queued", "in_progress"),
        background: bool = True,
        uris: bool = False,
    ) -> None:
        super().__init__()
        self.key = key
        self.statuses = list(statuses)
        self.jobs: dict[str, _Job] = {}
        self._numbers = itertools.count()  # requests come in threads
        self._streams = streams
        self._drafts = drafts
        self._background = background
        self.draft: bytes | None = None
        self._uris = uris
        self._files: dict[str, bytes] = {}

    @property
    def base_url(self) -> str:
        """What belongs into GEMINI_BASE_URL."""
        return f"{self.url}/v1beta"

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error as the API has them."""
        return Reply(status, JSON, [json.dumps(self._error(status, message, code)).encode()])

    def reply(self, seen: Seen, fault: Fault) -> Reply:
        """Return the answer; interactions have errors of another form than all the rest."""
        reply = super().reply(seen, fault)
        if reply.status < 400 or fault.body is not None or "/interactions" not in seen.path:
            return reply
        error = json.loads(b"".join(reply.pieces))["error"]
        code = _INTERACTION_WORDS.get(reply.status, "internal_error")
        told = json.dumps({"error": {"message": error["message"], "code": code}}).encode()
        return replace(reply, pieces=[told])

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Do what a request asks for."""
        path = seen.path.partition("?")[0]
        if path in self._files:
            return Reply(200, "image/png", [self._files[path]])
        given = seen.headers.get("x-goog-api-key")
        if given is None:
            return self.error(403, "Method doesn't allow unregistered callers.")
        if given != self.key:
            return self.error(400, f"It is {given}.", "API_KEY_INVALID")
        path = _VERSION.sub("", path, count=1)
        try:
            return self._routed(seen, path, fault)
        except (_Refused, ValueError, KeyError, TypeError, AttributeError) as error:
            return self.error(400, f"Invalid JSON payload received. {error}")

    def _routed(self, seen: Seen, path: str, fault: Fault) -> Reply:
        call = _CALL.fullmatch(path)
        if (seen.method, path) == ("GET", "/models"):
            models = [{"name": "models/gemini-3-pro-image"}, {"name": "models/gemini-3.8-flash"}]
            return _json({"models": models})
        if call and seen.method == "POST":
            model, way = call.groups()
            if not model.startswith(("gemini-", "imagen-")):
                return self.error(404, f"models/{model} is not found for API version v1beta.")
            if way == "predict":
                return self._predicted(seen, fault)
            if way in ("generateContent", "streamGenerateContent"):
                streamed = way.startswith("stream") and self._streams
                return self._content(seen, model, fault, streamed=streamed)
        if path.startswith("/interactions"):
            return self._interaction(seen, path.split("/")[2:], fault)
        return self.error(404, f"There is nothing at {path}.")

    # -- content ----------------------------------------------------------------------------------

    def _content(self, seen: Seen, model: str, fault: Fault, *, streamed: bool) -> Reply:
        asked = camel(seen.json())
        _known(asked, _BODY)
        config = asked.get("generationConfig", {})
        _known(config, _CONFIG)
        if "IMAGE" not in config["responseModalities"]:
            raise _Refused("This emulator makes pictures: responseModalities lacks IMAGE.")
        shape = config.get("imageConfig", {})
        _known(shape, frozenset({"aspectRatio", "imageSize"}))
        size = _checked(model, shape.get("aspectRatio"), shape.get("imageSize"))
        seed = _seed(config.get("seed"))
        prompt, references = _parts(asked["contents"])
        thinking = config.get("thinkingConfig", {})
        _known(thinking, frozenset({"includeThoughts", "thinkingLevel", "thinkingBudget"}))
        if thinking.get("thinkingLevel", "HIGH") not in ("MINIMAL", "LOW", "MEDIUM", "HIGH"):
            raise _Refused("Invalid value at 'generation_config.thinking_config'.")
        if fault.code and fault.code.startswith("prompt:"):
            feedback = {"blockReason": fault.code.partition(":")[2]}
            usage = {"promptTokenCount": TEXT_TOKENS, "totalTokenCount": TEXT_TOKENS}
            return self._chunks([{"promptFeedback": feedback, "usageMetadata": usage}], streamed)
        pictures = [] if fault.code else self._pictures(prompt, seed, 1, fault)
        if pictures:
            self.charge(seen, 1)
        drafts = self._drafts if thinking.get("includeThoughts") is True and pictures else 0
        usage = _content_usage(references, size, made=bool(pictures))
        about = {"modelVersion": model, "responseId": f"r{len(self.requests)}"}
        chunks: list[dict[str, Any]] = []
        for place in range(drafts):
            parts = [{"text": "Let me see.", "thought": True}]
            draft = self.draft or png(f"draft {place}", width=8, height=8)
            parts.append({**_inline(draft), "thought": True})
            chunks.append({**_candidate(parts), **about})
        parts = [{"text": "Here it is. "}, *[_inline(picture) for picture in pictures]]
        if not pictures:
            parts = [{"text": "I would rather write."}]
        chunks.append({**_candidate(parts), **about})
        if fault.in_stream is not None:
            chunks = [*chunks[:drafts], self._error(500, "This was asked for.", fault.in_stream)]
        elif not fault.silent:
            last = _candidate([], fault.code or "STOP")
            chunks.append({**last, "usageMetadata": usage, **about})
        return self._chunks(chunks, streamed)

    def _chunks(self, chunks: list[dict[str, Any]], streamed: bool) -> Reply:  # noqa: FBT001 - one flag
        if streamed:
            pieces = [f"data: {json.dumps(chunk)}\r\n\r\n".encode() for chunk in chunks]
            return Reply(200, "text/event-stream", pieces, streamed=True)
        whole: dict[str, Any] = {}
        parts: list[Any] = []
        for chunk in chunks:
            whole |= chunk
            for candidate in chunk.get("candidates", ()):
                parts += candidate["content"]["parts"]
        if "candidates" in whole:
            content = {"role": "model", "parts": parts}
            whole["candidates"] = [{**whole["candidates"][0], "content": content}]
        return _json(whole)

    def _pictures(self, prompt: str, seed: int | None, count: int, fault: Fault) -> list[bytes]:
        made = []
        for place in range(count if fault.images is None else fault.images):
            whole = png(f"{prompt}|{seed}|{place}") if fault.image is None else fault.image
            made.append(whole if fault.cut is None else whole[: int(len(whole) * fault.cut)])
        return made

    # -- interactions -----------------------------------------------------------------------------

    def _interaction(self, seen: Seen, path: list[str], fault: Fault) -> Reply:
        if not path:
            return self._begun(seen, fault)
        job = self.jobs.get(unquote(path[0]))
        if job is None:
            return self.error(404, "The interaction is not found.")
        if seen.method == "POST" and path[1:] == ["cancel"]:
            job.cancelled = not job.charged
        elif seen.method != "GET" or path[1:]:
            return self.error(404, "There is nothing there.")
        return _json(self._told(seen, job))

    def _begun(self, seen: Seen, fault: Fault) -> Reply:
        asked = seen.json()
        _known(asked, _INTERACTION)
        if asked.get("background") and not self._background:
            return self.error(400, "background=true is not supported for this model.")
        shape = asked["response_format"]
        if shape.get("type") != "image":
            raise _Refused("This emulator makes pictures: response_format is not one of an image.")
        _known(shape, frozenset({"type", "aspect_ratio", "image_size", "mime_type", "delivery"}))
        size = _checked(asked["model"], shape.get("aspect_ratio"), shape.get("image_size"))
        config = asked.get("generation_config", {})
        _known(config, frozenset({"seed", "thinking_level"}))
        given = _contents_of(asked["input"])
        prompt = " ".join(one["text"] for one in given if one["type"] == "text")
        references = [base64.b64decode(one["data"]) for one in given if one["type"] == "image"]
        if not prompt:
            raise _Refused("The input has no text.")
        seed = _seed(config.get("seed"))
        pictures = [] if fault.code else self._pictures(prompt, seed, 1, fault)
        job = _Job(
            f"v1_Chd{next(self._numbers)}",
            asked["model"],
            list(self.statuses) if asked.get("background") else [],
            pictures,
            usage=_interaction_usage(len(references), size, made=bool(pictures)),
        )
        if fault.code:
            way, _, what = fault.code.partition(":")
            job.end = what if way == "status" else "failed"
            job.error = {"code": f"https://errors.example/{fault.code}", "message": fault.code}
        self.jobs[job.id] = job
        if asked.get("background"):
            return _json({**_about(job), "status": "in_progress"})
        return _json(self._told(seen, job))

    def _told(self, seen: Seen, job: _Job) -> dict[str, Any]:
        if job.cancelled:
            return {**_about(job), "status": "cancelled"}
        if job.statuses:
            return {**_about(job), "status": job.statuses.pop(0)}
        told = {**_about(job), "status": job.end}
        if job.error is not None:
            return {**told, "errors": [job.error]}
        if job.pictures and not job.charged:
            job.charged = True
            self.charge(seen, 1)
        content: list[dict[str, Any]] = [
            {"type": "text", "text": "Here it is."},
            *[{"type": "image", "mime_type": "image/png", **self._placed(p)} for p in job.pictures],
        ]
        steps = [{"type": "thought", "signature": "AAAA"}]
        return {
            **told,
            "steps": [*steps, {"type": "model_output", "content": content}],
            "usage": job.usage,
        }

    def _placed(self, picture: bytes) -> dict[str, str]:
        if not self._uris:
            return {"data": base64.b64encode(picture).decode()}
        path = f"/files/{next(self._numbers)}.png"
        self._files[path] = picture
        return {"uri": f"{self.url}{path}?signature=very-secret"}

    # -- Imagen -----------------------------------------------------------------------------------

    def _predicted(self, seen: Seen, fault: Fault) -> Reply:
        asked = seen.json()
        _known(asked, frozenset({"instances", "parameters"}))
        (instance,) = asked["instances"]
        parameters = asked.get("parameters", {})
        count = parameters.get("sampleCount", 1)
        if not isinstance(count, int) or not 1 <= count <= 4:
            raise _Refused("sampleCount must be between 1 and 4.")
        ratio, size = parameters.get("aspectRatio"), parameters.get("sampleImageSize")
        if ratio not in (None, "1:1", "3:4", "4:3", "9:16", "16:9") or size not in (
            *(None, "1K", "2K"),
        ):
            raise _Refused("The aspect ratio or the size is not supported.")
        pictures = self._pictures(str(instance["prompt"]), None, count, fault)
        if pictures:
            self.charge(seen, min(len(pictures), count))
        made: list[dict[str, str]] = [
            {"mimeType": "image/png", "bytesBase64Encoded": base64.b64encode(one).decode()}
            for one in pictures
        ]
        if len(pictures) < count and parameters.get("includeRaiReason"):
            made.append({"raiFilteredReason": "The picture was held back. Code 58061214."})
        return _json({"predictions": made} if made else {})

    # -- errors -----------------------------------------------------------------------------------

    def _error(self, status: int, message: str, code: str | None) -> dict[str, Any]:
        details: list[dict[str, Any]] = []
        way, _, what = (code or "").partition(":")
        if way == "API_KEY_INVALID":
            details.append({"@type": f"{_TYPE}ErrorInfo", "reason": way})
            message = f"API key not valid. {message}"
        elif way == "RetryInfo":
            details.append({"@type": f"{_TYPE}Help", "links": []})
            details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": what})
            message = f"{message} Please retry in {what}."
        elif way == "PerDay":
            violation = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}
            details.append({"@type": f"{_TYPE}QuotaFailure", "violations": [violation]})
        elif way == "NoCredit":
            message = "Your prepayment credits are depleted."
        elif way:
            message = f"{message} {code}"
        error = {"code": status, "message": message, "status": _WORDS.get(status, "UNKNOWN")}
        return {"error": {**error, "details": details}}


def _json(value: Mapping[str, Any]) -> Reply:
    return Reply(200, JSON, [json.dumps(value).encode()])


def _known(given: Mapping[str, Any], names: frozenset[str]) -> None:
    for name in given:
        if name not in names:
            raise _Refused(f'Unknown name "{name}": Cannot find field.')


def _contents_of(given: Any) -> list[dict[str, Any]]:
    """Return an interaction's input as contents: text, contents and steps are all allowed."""
    if isinstance(given, str):
        return [{"type": "text", "text": given}]
    contents: list[dict[str, Any]] = []
    for one in given:
        contents += one["content"] if one["type"] == "user_input" else [one]
    return contents


def camel(value: Any) -> Any:
    """Return JSON with the names that the reference has.

    JSON of protocol buffers may be spelt in two ways, and the official client mixes them.

    >>> camel({"inline_data": [{"mime_type": "image/png"}]})
    {'inlineData': [{'mimeType': 'image/png'}]}
    """
    if isinstance(value, list):
        return [camel(one) for one in value]
    if isinstance(value, dict):
        return {_SNAKE.sub(lambda m: m[1].upper(), k): camel(one) for k, one in value.items()}
    return value


def _checked(model: str, ratio: Any, size: Any) -> str:
    if ratio is not None and ratio not in RATIOS:
        raise _Refused(f"aspect_ratio must not be {ratio!r}.")
    if size is not None and (size not in IMAGE_TOKENS or model in _ONE_SIZE):
        raise _Refused(f"image_size must not be {size!r}.")
    return size or "1K"


def _seed(value: Any) -> int | None:
    if value is not None and (not isinstance(value, int) or not -(2**31) <= value < 2**31):
        raise _Refused("Invalid value at 'generation_config.seed' (TYPE_INT32).")
    return value


def _parts(contents: Any) -> tuple[str, int]:
    (content,) = contents
    if content.get("role", "user") != "user":
        raise _Refused("Please use a valid role: user, model.")
    words, references = [], 0
    for part in content["parts"]:
        if "text" in part:
            words.append(part["text"])
        else:
            inline = part["inlineData"]
            base64.b64decode(inline["data"].translate(_URL_SAFE), validate=True)
            if inline["mimeType"] not in ("image/png", "image/jpeg", "image/webp"):
                raise _Refused(f"Unsupported MIME type: {inline['mimeType']}.")
            references += 1
    if not any(words):
        raise _Refused("contents has no text.")
    return " ".join(words), references


def _candidate(parts: list[dict[str, Any]], reason: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    return {"candidates": [candidate]}


def _inline(picture: bytes) -> dict[str, Any]:
    data = base64.b64encode(picture).decode()
    return {"inlineData": {"mimeType": "image/png", "data": data}}


def _content_usage(references: int, size: str, *, made: bool) -> dict[str, Any]:
    given = TEXT_TOKENS + REFERENCE_TOKENS * references
    out = IMAGE_TOKENS[size] if made else 0
    usage: dict[str, Any] = {
        "promptTokenCount": given,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": TEXT_TOKENS},
            {"modality": "IMAGE", "tokenCount": REFERENCE_TOKENS * references},
        ],
        "thoughtsTokenCount": THOUGHT_TOKENS,
        "totalTokenCount": given + out + THOUGHT_TOKENS,
    }
    if made:
        usage["candidatesTokenCount"] = out
        usage["candidatesTokensDetails"] = [{"modality": "IMAGE", "tokenCount": out}]
    return usage


def _interaction_usage(references: int, size: str, *, made: bool) -> dict[str, Any]:
    given = TEXT_TOKENS + REFERENCE_TOKENS * references
    out = IMAGE_TOKENS[size] if made else 0
    return {
        "total_input_tokens": given,
        "input_tokens_by_modality": [
            {"modality": "text", "tokens": TEXT_TOKENS},
            {"modality": "image", "tokens": REFERENCE_TOKENS * references},
        ],
        "total_output_tokens": out,
        "output_tokens_by_modality": [{"modality": "image", "tokens": out}],
        "total_thought_tokens": THOUGHT_TOKENS,
        "total_tokens": given + out + THOUGHT_TOKENS,
    }


def _about(job: _Job) -> dict[str, Any]:
    at = "2026-11-21T12:00:00Z"
    return {
        "id": job.id,
        "object": "interaction",
        "model": job.model,
        "role": "model",
        "created": at,
        "updated": at,
    }
