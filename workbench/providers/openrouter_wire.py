"""Requests and answers of OpenRouter: its image API, and chat with pictures as it was before."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from workbench.domain.jobs import JobRequest, Slot
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import InvalidRequest
from workbench.providers.catalogue import Entry
from workbench.providers.openai_wire import NotReadable, Picture, picture_of
from workbench.providers.openrouter_models import amount_of

ROUTING = ("only", "order", "ignore", "sort", "allow_fallbacks", "options")

_SEED_BITS = 2**31 - 1  # what every provider behind it takes
_COMPRESSED = ("jpeg", "webp")
_ID = re.compile(r"[\w.-]{1,100}", re.ASCII)
_MOST_TOKENS = 10**12
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
# Words in `code`, `type` and `metadata.error_type` that say more than the status does.
_CODES = {
    "content_policy_violation": ErrorKind.BLOCKED,
    "content_filter": ErrorKind.BLOCKED,
    "moderation_blocked": ErrorKind.BLOCKED,
    "refusal": ErrorKind.BLOCKED,
    "payment_required": ErrorKind.QUOTA,
    "insufficient_quota": ErrorKind.QUOTA,
    "authentication": ErrorKind.AUTH,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT,
    "provider_overloaded": ErrorKind.TRANSIENT,
    "provider_unavailable": ErrorKind.TRANSIENT,
    "server": ErrorKind.TRANSIENT,
    "server_error": ErrorKind.TRANSIENT,
    "upstream_error": ErrorKind.TRANSIENT,
    "timeout": ErrorKind.TRANSIENT,
    "invalid_request": ErrorKind.BAD_REQUEST,
    "invalid_prompt": ErrorKind.BAD_REQUEST,
    "not_found": ErrorKind.BAD_REQUEST,
    "payload_too_large": ErrorKind.BAD_REQUEST,
    "unprocessable": ErrorKind.BAD_REQUEST,
}
_FLAGGED = ("reasons", "flagged_input", "patterns")


@dataclass(frozen=True, slots=True)
class Result:
    """What an answer holds: pictures, what they cost, and what was said instead of one.

    `lost` says that there are entries, and in none of them a picture that can be found.
    """

    pictures: tuple[Picture, ...] = ()
    cost: Decimal | None = None
    usage: Mapping[str, JsonValue] = field(default_factory=dict)
    refusal: Mapping[str, Any] | None = None
    words: str = ""
    lost: bool = False


def check_routing(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what goes into `provider` of a request.

    Raises
    ------
    InvalidRequest
        A name in it is none of OpenRouter's.
    """
    for name in given:
        if name not in ROUTING:
            known = ", ".join(ROUTING)
            raise InvalidRequest("routing", f"has no {name!r}. There are: {known}.")
    return dict(given)


def seed_sent(slot: Slot, entry: Entry) -> int | None:
    """Return the seed as it is sent, or None where the model takes none."""
    return slot.seed & _SEED_BITS if entry.model.seeds and slot.seed is not None else None


def fields_of(
    request: JobRequest, slot: Slot, entry: Entry, routing: Mapping[str, Any]
) -> dict[str, JsonValue]:
    """Return the body of a request for one picture, without the images that go in."""
    fields: dict[str, JsonValue] = {"model": request.model, "prompt": request.prompt}
    for name in entry.model.parameters:
        value = request.params.get(name)
        if name in ("width", "height", "stream") or value is None or value == "auto":
            continue  # "auto" is what the provider does by itself
        fields[name] = value
    if fields.get("output_format") not in _COMPRESSED:
        fields.pop("output_compression", None)
    if "width" in entry.model.parameters and request.width and request.height:
        fields["size"] = f"{request.width}x{request.height}"
    seed = seed_sent(slot, entry)
    if seed is not None:
        fields["seed"] = seed
    if request.params.get("stream") is True:
        fields["stream"] = True
    if routing:
        fields["provider"] = dict(routing)
    return fields


def references_of(addresses: Sequence[str]) -> list[JsonValue]:
    """Return images that go in, as parts of a request.

    Parameters
    ----------
    addresses:
        ``data:`` addresses.
    """
    return [{"type": "image_url", "image_url": {"url": address}} for address in addresses]


def chat_of(fields: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return the body of a chat that asks for the same picture.

    Gateways from before the image API know size by `image_config` only; what else was asked for
    has no field there and is left out.
    """
    references = list(fields.get("input_references", ()))
    content: JsonValue = fields["prompt"]
    if references:
        content = [{"type": "text", "text": fields["prompt"]}, *references]
    body: dict[str, JsonValue] = {
        "model": fields["model"],
        "messages": [{"role": "user", "content": content}],
        "modalities": ["image", "text"],
        "usage": {"include": True},
    }
    config = {
        theirs: fields[ours]
        for ours, theirs in (("aspect_ratio", "aspect_ratio"), ("resolution", "image_size"))
        if ours in fields
    }
    if config:
        body["image_config"] = config
    for name in ("seed", "provider"):
        if name in fields:
            body[name] = fields[name]
    return body


def object_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`, amounts exactly as they are written.

    Raises
    ------
    NotReadable
        There is none.
    """
    try:
        value = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise NotReadable("something that is not whole JSON") from None
    if not isinstance(value, dict):
        raise NotReadable("JSON of another shape")
    return value


def result_of(body: bytes) -> Result:
    """Read an answer of the image API, or of a chat.

    Raises
    ------
    NotReadable
        It is neither.
    """
    answer = object_of(body)
    if "error" in answer and not answer.get("data") and not answer.get("choices"):
        return Result(refusal=answer)
    if "choices" in answer:
        return _of_chat(answer)
    entries = answer.get("data")
    if not isinstance(entries, list):
        raise NotReadable("JSON of another shape")
    read = [picture_of(entry) for entry in entries if isinstance(entry, dict)]
    pictures = tuple(one for one in read if one is not None)
    cost, usage = booked(answer.get("usage"))
    return Result(pictures, cost, usage, lost=bool(entries) and not pictures)


def _of_chat(answer: Mapping[str, Any]) -> Result:
    choices = answer["choices"]
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        raise NotReadable("JSON of another shape")
    cost, usage = booked(answer.get("usage"))
    generation = id_of(answer.get("id"))
    if generation is not None:
        usage["generation_id"] = generation
    images = message.get("images")
    pictures = []
    for one in images if isinstance(images, list) else ():
        given = one.get("image_url") if isinstance(one, dict) else None
        picture = picture_of(given) if isinstance(given, dict) else None
        if picture is not None:
            pictures.append(picture)
    said = message.get("refusal") or message.get("content")
    refusal = {"error": first["error"]} if isinstance(first.get("error"), dict) else None
    lost = bool(images) and not pictures and refusal is None and not message.get("refusal")
    words = said if isinstance(said, str) else ""
    return Result(tuple(pictures), cost, usage, refusal, words, lost)


def booked(given: Any) -> tuple[Decimal | None, dict[str, JsonValue]]:
    """Return what usage says was charged in USD, and what of it is worth keeping.

    >>> booked({"cost": Decimal("0.04"), "total_tokens": 7})
    (Decimal('0.04'), {'total_tokens': 7})
    """
    if not isinstance(given, dict):
        return None, {}
    usage: dict[str, JsonValue] = {
        name: given[name]
        for name in _COUNTS
        if type(given.get(name)) is int and 0 <= given[name] < _MOST_TOKENS
    }
    details = given.get("cost_details")
    upstream = details.get("upstream_inference_cost") if isinstance(details, dict) else None
    amount = amount_of(upstream)
    if given.get("is_byok") is True and amount is not None:
        usage["billed_by_provider_usd"] = f"{amount:f}"  # with a key of one's own, besides
    return amount_of(given.get("cost")), usage


def id_of(value: object) -> str | None:
    """Return the id of a generation if it is one that can be asked for."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def error_in(value: Any) -> Mapping[str, Any]:
    """Return the error object of an answer, or an empty one."""
    error = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, dict) else {}


def kind_of(value: Any) -> ErrorKind | None:
    """Return what an error's JSON says beyond the status; None: no more.

    >>> kind_of({"error": {"code": 403, "message": "no", "metadata": {"reasons": ["violence"]}}})
    <ErrorKind.BLOCKED: 'blocked'>
    """
    error = error_in(value)
    metadata = error.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if any(metadata.get(name) for name in _FLAGGED):
        return ErrorKind.BLOCKED
    for word in (metadata.get("error_type"), error.get("code"), error.get("type")):
        kind = _CODES.get(word.casefold()) if isinstance(word, str) else None
        if kind is not None:
            return kind
    return None


def words_of(value: Any, usual: str) -> str:
    """Return the words of an error: the provider's own behind OpenRouter's, where they are told."""
    metadata = error_in(value).get("metadata")
    if not isinstance(metadata, dict):
        return usual
    who, raw = metadata.get("provider_name"), metadata.get("raw")
    if not isinstance(raw, str) or not raw:
        return usual
    return f"{usual} ({who}: {raw})" if isinstance(who, str) else f"{usual} ({raw})"


def code_of(value: Any) -> int | None:
    """Return the status that an error names in its body."""
    code = error_in(value).get("code")
    return code if isinstance(code, int) and not isinstance(code, bool) and code >= 400 else None
