"""Requests and answers of the OpenAI images dialect: what is sent, and how replies are read."""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.domain.jobs import JobRequest, Slot
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import InvalidRequest
from workbench.providers.catalogue import Entry
from workbench.providers.http import File, Form
from workbench.providers.openai_models import Profile, seed_sent, size_of
from workbench.providers.pictures import opened

NAME = re.compile(r"[A-Za-z0-9][\w./:@+-]{0,199}", re.ASCII)  # as a catalogue takes it

_MAX_REFERENCE_BYTES = 50_000_000
# What only a generation has: the API refuses a form with a field that it does not know.
NOT_IN_FORMS = frozenset({"moderation"})
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}

# Codes of errors that say more than the status does.
_CODES = {
    "moderation_blocked": ErrorKind.BLOCKED,
    "content_policy_violation": ErrorKind.BLOCKED,
    "content_filter": ErrorKind.BLOCKED,
    "contentfilter": ErrorKind.BLOCKED,
    "responsibleaipolicyviolation": ErrorKind.BLOCKED,
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
    """What an answer holds.

    `refusal` is the answer itself, if it is an error's; `lost` says that it has entries, and in
    none of them a picture that can be found: no list is so empty that nothing was made.
    """

    pictures: tuple[Picture, ...] = ()
    usage: Mapping[str, JsonValue] = field(default_factory=dict)
    refusal: Mapping[str, Any] | None = None
    lost: bool = False


def fields_of(request: JobRequest, slot: Slot, entry: Entry, has: Profile) -> dict[str, JsonValue]:
    """Return the fields of a request for one picture, without the images that go in.

    Raises
    ------
    InvalidRequest
        The size cannot be asked for, or a text is too long for this server.
    """
    prompt = prompt_of(request, has)
    _check_length("prompt", prompt, has)
    fields: dict[str, JsonValue] = {"model": request.model, "prompt": prompt, "n": 1}
    size = size_of(entry, request)
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
    for name, path in has.fields.items():
        value = request.params.get(name)
        if value is not None:
            _put(into, path, value)
    if has.negative_prompt and request.negative_prompt:
        _put(into, has.negative_prompt, request.negative_prompt)
    if has.in_prompt and extras:
        fields["prompt"] = f"{prompt} {_block(extras, has)}"
    return fields


def _block(extras: Mapping[str, Any], has: Profile) -> str:
    # What looks like the end of the block would end it: JSON has another way to write "<".
    inside = json.dumps(extras, ensure_ascii=False).replace("<", "\\u003c")
    _check_length("negative_prompt", inside, has)  # the only text in it
    return f"<{has.in_prompt}>{inside}</{has.in_prompt}>"


def _check_length(field: str, text: str, has: Profile) -> None:
    # stable-diffusion.cpp reads texts with regular expressions, whose recursion ends the server at
    # 26,000 to 32,000 bytes, by how it was compiled (Linux, a stack of 8 MB).
    size = len(text.encode())
    if has.most_bytes is not None and size > has.most_bytes:
        raise InvalidRequest(
            field,
            f"has {size:,} bytes; for {has.title} the limit is {has.most_bytes:,}. Shorten it.",
        )


def prompt_of(request: JobRequest, has: Profile) -> str:
    """Return the prompt as it is sent, before parameters are put into it.

    A server that cuts prompts in two gets the negative one behind the cut, and no other cut; a
    block of parameters in somebody's prompt is no block any more.
    """
    prompt = request.prompt
    if has.in_prompt:
        prompt = re.sub(rf"<(?=/?\s*{has.in_prompt}\b)", "< ", prompt)
    if has.prompt_ends_at:
        prompt = prompt.replace(has.prompt_ends_at, ",")
        if request.negative_prompt:
            negative = request.negative_prompt.replace(has.prompt_ends_at, ",")
            prompt = f"{prompt}{has.prompt_ends_at}{negative}"
    return prompt


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


def read_inputs(request: JobRequest, has: Profile) -> tuple[list[tuple[str, bytes]], bytes | None]:
    """Read the images that go in: references with their MIME types, and the mask. It blocks."""
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
            references.append(
                in_rgb(given.mime, content) if has.rgb_only else (given.mime, content)
            )
    return references, mask


def in_rgb(mime: str, content: bytes) -> tuple[str, bytes]:
    """Return a picture as PNG in RGB; a PNG in colour stays as it is, other kinds are turned up."""
    from PIL import ImageOps

    with opened(content) as stored:
        if mime == "image/png" and stored.mode in ("RGB", "RGBA"):
            return mime, content
        out = io.BytesIO()
        ImageOps.exif_transpose(stored).convert("RGB").save(out, "PNG")
    return "image/png", out.getvalue()


def references_of(
    references: Sequence[tuple[str, bytes]], name: str, has: Profile
) -> dict[str, JsonValue]:
    """Return the field of a generation that takes references as text.

    Parameters
    ----------
    references:
        MIME type and content of each.
    name:
        The field. One that ends in "_url" takes a single one, others a list.
    has:
        What the server takes.
    """
    texts: list[JsonValue] = []
    for mime, content in references:
        text = base64.b64encode(content).decode("ascii")
        texts.append(text if has.references_as == "base64" else f"data:{mime};base64,{text}")
    return {name: texts[0] if name.endswith("_url") else texts}


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
        As `fields_of` made them; those of `NOT_IN_FORMS` are left out.
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
    texts = {name: _text(value) for name, value in fields.items() if name not in NOT_IN_FORMS}
    return Form(texts, tuple(files))


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
    if entries is None and ("data" in answer or answer.get("error")):
        entries = []  # some servers write an empty list as null
    if not isinstance(entries, list):
        # No list is not an empty one: nobody has said that nothing was made.
        raise NotReadable("JSON of another shape")
    read = [picture_of(entry) for entry in entries if isinstance(entry, dict)]
    pictures = tuple(picture for picture in read if picture is not None)
    usage = answer.get("usage")
    return Result(
        pictures,
        usage if isinstance(usage, dict) else {},
        answer if "error" in answer else None,
        lost=bool(entries) and not pictures and not answer.get("error"),
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
    # A picture without bytes came: the image door says so. Not given (null) is none.
    return Picture(revised_prompt=prompt) if text == "" else None


def _decoded(text: str) -> bytes:
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return binascii.a2b_base64(text)  # what base64.b64decode does, less a copy of the text
    except (binascii.Error, ValueError):
        whole = "".join(text.split())
        try:
            return base64.b64decode(whole[: len(whole) // 4 * 4])
        except (binascii.Error, ValueError):
            return b"?"


def kind_of(value: Any) -> ErrorKind | None:
    """Return what the code in an error's JSON says beyond the status; None: no more.

    >>> kind_of({"error": {"message": "no", "code": "moderation_blocked"}})
    <ErrorKind.BLOCKED: 'blocked'>
    """
    error = value.get("error", value) if isinstance(value, dict) else None
    if not isinstance(error, dict):
        return None
    inner = error.get("inner_error", error.get("innererror"))  # Azure's second, closer word
    deep = inner.get("code") if isinstance(inner, dict) else None
    for name, code in (("code", deep), ("code", error.get("code")), ("type", error.get("type"))):
        kind = _CODES.get(code.casefold()) if isinstance(code, str) else None
        if kind is not None and (name == "code" or kind is not ErrorKind.BAD_REQUEST):
            return kind
    return None


def names_of(value: Any) -> list[str]:
    """Return the names of models in a listing: those of pictures, where it says of what they are.

    >>> names_of([{"id": "a", "type": "chat"}, {"id": "b", "type": "image"}])
    ['b']
    """
    entries = value.get("data") if isinstance(value, dict) else value
    found = [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    typed = any(one.get("type") == "image" for one in found)
    names = [one.get("id") for one in found if not typed or one.get("type") == "image"]
    return [name for name in names if isinstance(name, str) and NAME.fullmatch(name)]
