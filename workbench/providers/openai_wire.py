"""Requests and answers of the OpenAI images dialect: what is sent, and how replies are read."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.domain.jobs import JobRequest, Slot
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import InvalidRequest
from workbench.providers.failures import NOTHING_SAID, Said
from workbench.providers.http import File, Form
from workbench.providers.openai_models import Offer, Profile, seed_sent

_MAX_REFERENCE_BYTES = 50_000_000
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}

# Codes of errors that say more than the status does.
_CODES = {
    "moderation_blocked": ErrorKind.BLOCKED,
    "content_policy_violation": ErrorKind.BLOCKED,
    "content_filter": ErrorKind.BLOCKED,
    "contentfilter": ErrorKind.BLOCKED,
    "safety_violation": ErrorKind.BLOCKED,
    "insufficient_quota": ErrorKind.QUOTA,
    "billing_hard_limit_reached": ErrorKind.QUOTA,
    "billing_not_active": ErrorKind.QUOTA,
    "invalid_api_key": ErrorKind.AUTH,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT,
    "server_error": ErrorKind.TRANSIENT,
    "invalid_request_error": ErrorKind.BAD_REQUEST,
}


class NotReadable(Exception):
    """An answer does not have the shape that it should have; the text says which it has."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture of an answer: its bytes, or where they are."""

    data: bytes = b""
    url: str | None = None
    revised_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What an answer holds."""

    pictures: tuple[Picture, ...] = ()
    usage: Mapping[str, JsonValue] = field(default_factory=dict)
    said: Said = NOTHING_SAID  # what was said instead of a picture


def fields_of(request: JobRequest, slot: Slot, offer: Offer, has: Profile) -> dict[str, JsonValue]:
    """Return the fields of a request for one picture, without the images that go in.

    Raises
    ------
    InvalidRequest
        The size cannot be asked for.
    """
    fields: dict[str, JsonValue] = {"model": request.model, "prompt": request.prompt, "n": 1}
    size = offer.size_of(request)
    if size is not None and has.size == "width_height":
        fields |= {"width": size[0], "height": size[1]}
    elif size is not None:
        fields["size"] = f"{size[0]}x{size[1]}"
    if has.response_format:
        fields["response_format"] = has.response_format
    if has.hosted:
        fields |= _hosted_fields(request.params)
    extras: dict[str, Any] = {}
    into = extras if has.in_prompt else fields
    seed = seed_sent(slot.seed)
    if has.seed and seed is not None:
        _put(into, has.seed, seed)
    steps = request.params.get("steps")
    if has.steps and steps is not None:
        _put(into, has.steps, steps)
    if has.negative_prompt and request.negative_prompt:
        _put(into, "negative_prompt", request.negative_prompt)
    if has.in_prompt and extras:
        tag = has.in_prompt
        fields["prompt"] = f"{request.prompt} <{tag}>{json.dumps(extras)}</{tag}>"
    return fields


def _hosted_fields(params: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = {}
    for name in ("size", "quality", "background", "moderation"):
        value = params.get(name)
        if value is not None and value != "auto":  # "auto" is what the server does by itself
            fields[name] = value
    kind = params.get("output_format") or "png"
    fields["output_format"] = kind
    if kind != "png" and params.get("output_compression") is not None:
        fields["output_compression"] = params["output_compression"]
    partial = params.get("partial_images")
    if isinstance(partial, int) and partial > 0:
        fields |= {"stream": True, "partial_images": partial}
    return fields


def _put(into: dict[str, Any], name: str, value: JsonValue) -> None:
    *path, last = name.split(".")
    for step in path:
        into = into.setdefault(step, {})
    into[last] = value


def read_inputs(request: JobRequest) -> tuple[list[tuple[str, bytes]], bytes | None]:
    """Read the images that go in. It blocks."""
    references: list[tuple[str, bytes]] = []
    mask = None
    order = {"source": 0, "reference": 1}
    for given in sorted(request.inputs, key=lambda one: (order.get(one.role, 1), one.position)):
        content = given.read()
        if len(content) > _MAX_REFERENCE_BYTES:
            raise InvalidRequest("references", "a reference image has more than 50 MB.")
        if given.role == "mask":
            mask = content
        else:
            references.append((given.mime, content))
    return references, mask


def form_of(
    fields: Mapping[str, JsonValue],
    references: Sequence[tuple[str, bytes]],
    mask: bytes | None,
    has: Profile,
) -> Form:
    """Return the multipart body of an edit.

    Parameters
    ----------
    fields:
        As `fields_of` made them.
    references:
        MIME type and content of each, the one to be edited first.
    mask:
        A PNG whose transparent parts are to be made anew, or None.
    has:
        What the server takes.
    """
    files: list[tuple[str, File]] = []
    for place, (mime, content) in enumerate(references):
        name = f"image{place}.{_ENDINGS.get(mime, 'png')}"
        files.append((has.image_field, (name, content, mime)))
    if mask is not None:
        files.append(("mask", ("mask.png", mask, "image/png")))
    return Form({name: _text(value) for name, value in fields.items()}, tuple(files))


def _text(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def object_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`.

    Raises
    ------
    NotReadable
        There is none.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise NotReadable("something that is not whole JSON") from None
    if not isinstance(value, dict):
        raise NotReadable("JSON of another shape")
    return value


def result_of(body: bytes) -> Result:
    """Read an answer that came at once. It may take long for large pictures: use a thread.

    Raises
    ------
    NotReadable
        It is not such an answer.
    """
    answer = object_of(body)
    entries = answer.get("data")
    if entries is None:
        entries = []
    if not isinstance(entries, list):
        raise NotReadable("JSON of another shape")
    pictures = [picture_of(entry) for entry in entries if isinstance(entry, dict)]
    usage = answer.get("usage")
    return Result(
        tuple(picture for picture in pictures if picture is not None),
        usage if isinstance(usage, dict) else {},
        said_by(answer) if "error" in answer else Said(),
    )


def picture_of(entry: Mapping[str, Any]) -> Picture | None:
    """Return the picture of an entry or event; None if it has none.

    Base64 that is broken gives the bytes that it has: the image door says what is wrong with them,
    and the picture counts as made.
    """
    revised = entry.get("revised_prompt")
    prompt = revised if isinstance(revised, str) and revised else None
    text = entry.get("b64_json")
    if isinstance(text, str) and text:
        return Picture(_decoded(text), revised_prompt=prompt)
    url = entry.get("url")
    if isinstance(url, str) and url:
        if url.startswith("data:"):
            return Picture(_decoded(url.partition(",")[2]), revised_prompt=prompt)
        return Picture(url=url, revised_prompt=prompt)
    return None


def _decoded(text: str) -> bytes:
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        whole = "".join(text.split())
        try:
            return base64.b64decode(whole[: len(whole) // 4 * 4])
        except (binascii.Error, ValueError):
            return b"?"


def said_in(body: bytes) -> Said:
    """Read what an error's body says: ``{"error": {…}}``, ``{"error": "text"}`` or ``{"detail"}``.

    The words are as they came; whoever shows them cleans them first.
    """
    try:
        answer = object_of(body)
    except NotReadable:
        return Said()
    return said_by(answer)


def said_by(answer: Mapping[str, Any]) -> Said:
    """Read what an error object says (see `said_in`)."""
    error = answer.get("error", answer.get("detail", answer))
    if isinstance(error, str):
        return Said(error)
    if not isinstance(error, dict):
        return Said()
    message = error.get("message")
    words = message if isinstance(message, str) else ""
    for name in ("code", "type"):
        code = error.get(name)
        kind = _CODES.get(code.casefold()) if isinstance(code, str) else None
        if kind is not None and (name == "code" or kind is not ErrorKind.BAD_REQUEST):
            return Said(words, kind)
    return Said(words)
