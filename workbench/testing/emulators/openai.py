"""OpenAI's images API as an emulator: generations and edits, at once and as events.

Pictures are small coloured tiles that follow from the prompt. The official client speaks to it as
our own adapter does, so that the two agree on the dialect. Other servers are told apart by what
they take (`TAKES`) and by the knobs of the emulator.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from workbench.testing.emulators import openai_sdcpp as sdcpp
from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen, sse
from workbench.testing.pictures import png

GENERATIONS = "/images/generations"
EDITS = "/images/edits"
MODELS = "/models"

_TEXT, _WHOLE, _NUMBER, _FLAG, _LIST = (str,), (int,), (int, float), (bool,), (list,)
# Fields of a generation with their types, as far as the documents of each server name them.
_COMMON: Mapping[str, tuple[type, ...]] = {"prompt": _TEXT, "model": _TEXT, "n": _WHOLE}
TAKES: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "openai": {
        **_COMMON,
        **dict.fromkeys(
            ("size", "quality", "background", "moderation", "output_format", "user"), _TEXT
        ),
        "output_compression": _WHOLE,
        "partial_images": _WHOLE,
        "stream": _FLAG,
    },
    sdcpp.NAME: {
        **_COMMON,
        "size": _TEXT,
        "output_format": _TEXT,
        "output_compression": _WHOLE,
    },
    "localai": {
        **_COMMON,
        **dict.fromkeys(("size", "response_format", "negative_prompt", "quality"), _TEXT),
        "seed": _WHOLE,
        "step": _WHOLE,
        "ref_images": _LIST,
    },
    "vllm-omni": {
        **_COMMON,
        **dict.fromkeys(("size", "response_format", "negative_prompt", "user"), _TEXT),
        "seed": _WHOLE,
        "num_inference_steps": _WHOLE,
        "guidance_scale": _NUMBER,
        "true_cfg_scale": _NUMBER,
    },
    "together": {
        **_COMMON,
        **dict.fromkeys(
            ("response_format", "negative_prompt", "image_url", "output_format"), _TEXT
        ),
        **dict.fromkeys(("seed", "steps", "width", "height"), _WHOLE),
        "guidance_scale": _NUMBER,
        "reference_images": _LIST,
        "image_loras": _LIST,
        "disable_safety_checker": _FLAG,
    },
}
_NO_EDITS = ("localai", "together")
# An edit's own, where they are others: what a form has, and what JSON has in its place.
FORMS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "openai": {
        **{name: kind for name, kind in TAKES["openai"].items() if name != "moderation"},
        "input_fidelity": _TEXT,
    }
}
JSON_EDIT: Mapping[str, tuple[type, ...]] = {
    **TAKES["openai"],
    "input_fidelity": _TEXT,
    "images": _LIST,
    "mask": (dict,),
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "quality": ("auto", "low", "medium", "high", "xhigh", "max"),
    "background": ("auto", "opaque", "transparent"),
    "moderation": ("auto", "low"),
    "output_format": ("png", "jpeg", "webp", "gif", "svg"),
    "input_fidelity": ("high", "low"),
}

_TEXT_TOKENS = 10
_IMAGE_TOKENS = 300  # of each reference
_OUT_TOKENS = 1_000
_PARTIAL_TOKENS = 100
_MOST = 10
_SIZE = re.compile(r"\d{2,4}x\d{2,4}")

_MESSAGES = {
    "moderation_blocked": "Your request was rejected by the safety system.",
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing.",
    "invalid_api_key": "Incorrect API key provided: {key}.",
}


class OpenAIEmulator(Emulator):
    """A server that speaks OpenAI's images dialect.

    Parameters
    ----------
    key:
        The key that it accepts; None: it wants none.
    streams:
        False: it ignores ``stream`` and answers at once, as most compatible servers do.
    string_errors:
        True: errors are ``{"error": "text"}``, as stable-diffusion.cpp has them always.
    urls:
        True: pictures are left at an address instead of being sent.
    speaks:
        Whose fields it takes: a name of `TAKES`.
    models:
        Its models, for ``/models``; what else is asked for does not exist. None: any model does.

    Attributes
    ----------
    expired:
        True: addresses of pictures do not work any more.

    Examples
    --------
    >>> with OpenAIEmulator(key=None) as server:
    ...     server.base_url.endswith("/v1")
    True
    """

    def __init__(
        self,
        key: str | None = "sk-emulated-key-0123456789",
        *,
        streams: bool = True,
        string_errors: bool = False,
        urls: bool = False,
        speaks: str = "openai",
        models: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.key = key
        self.expired = False
        self._speaks = speaks
        self._models = models
        self._streams = streams and speaks != sdcpp.NAME
        self._string_errors = string_errors or speaks == sdcpp.NAME
        self._urls = urls
        self._files: dict[str, bytes] = {}

    @property
    def base_url(self) -> str:
        """What belongs into OPENAI_BASE_URL."""
        return f"{self.url}/v1"

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error as the API has them."""
        message = _MESSAGES.get(code or "", message).format(key=self.key)
        if self._string_errors:
            return Reply(status, JSON, [json.dumps({"error": message}).encode()])
        kind = {
            "moderation_blocked": "image_generation_user_error",
            "insufficient_quota": "insufficient_quota",
        }.get(code or "", "server_error" if status >= 500 else "invalid_request_error")
        error = {"message": message, "type": kind, "param": None, "code": code}
        return Reply(status, JSON, [json.dumps({"error": error}).encode()])

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Make pictures, or list models."""
        path, _, query = seen.path.partition("?")
        if path in self._files:
            if self.expired:
                return Reply(403, "application/xml", [b"<Error>Request has expired</Error>"])
            return Reply(200, "image/png", [self._files[path]])
        what = self._what(path, query)
        if what is None or (what == EDITS and self._speaks in _NO_EDITS):
            return self.error(404, f"Invalid URL ({seen.method} {path})")
        if not self._knows(seen):
            return self.error(401, "", "invalid_api_key")
        if what == MODELS:
            return self._listing()
        edit = what == EDITS
        if self._speaks == sdcpp.NAME:
            try:
                sdcpp.check(seen, edit=edit)
            except sdcpp.Refused as refused:
                return self.error(refused.status, refused.words)
        takes = self._takes(seen, edit=edit)
        try:
            asked, references = _asked(seen, takes, edit=edit)
        except (ValueError, KeyError) as error:
            return self.error(400, f"The body cannot be read: {error!r}")
        wrong = _wrong(asked, takes, edit=edit, references=references)
        if not wrong and self._speaks == "openai":
            wrong = _not_offered(asked)
        if wrong:
            return self.error(400, wrong, "invalid_value")
        if self._models is not None and asked.get("model") not in self._models:
            return self.error(404, "The model does not exist.", "model_not_found")
        return self._made(seen, asked, references, fault, edit=edit)

    def _what(self, path: str, query: str) -> str | None:  # noqa: ARG002 - Azure's has a version
        """Return which of the three paths was asked for."""
        rest = path.removeprefix("/v1")
        return rest if rest != path and rest in (GENERATIONS, EDITS, MODELS) else None

    def _takes(self, seen: Seen, *, edit: bool) -> Mapping[str, tuple[type, ...]]:
        if edit and self._speaks in FORMS:
            return JSON_EDIT if _is_json(seen) else FORMS[self._speaks]
        return TAKES[self._speaks]

    def _knows(self, seen: Seen) -> bool:
        return self.key is None or seen.headers.get("authorization") == f"Bearer {self.key}"

    def _listing(self) -> Reply:
        if self._speaks == sdcpp.NAME:  # whatever it has loaded
            return Reply(200, JSON, [json.dumps({"data": [sdcpp.MODEL]}).encode()])
        names = self._models or ("gpt-image-2",)
        if self._speaks == "together":  # a bare list, which says what a model is for
            bare = [{"id": name, "object": "model", "type": "image"} for name in names]
            chat = {"id": "meta-llama/Llama-4", "object": "model", "type": "chat"}
            return Reply(200, JSON, [json.dumps([chat, *bare]).encode()])
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "me"} for name in names]
        return Reply(200, JSON, [json.dumps({"object": "list", "data": data}).encode()])

    def _made(
        self, seen: Seen, asked: Mapping[str, Any], references: int, fault: Fault, *, edit: bool
    ) -> Reply:
        n = int(asked.get("n") or 1)
        if fault.images is not None:
            n = min(n, fault.images)  # what is not made is not charged
        if n:
            self.charge(seen, n)
        partial = int(asked.get("partial_images") or 0)
        streamed = bool(asked.get("stream")) and self._streams
        usage = _usage(n, references, partial if streamed else 0)
        about: dict[str, Any] = {
            "background": "opaque",
            "output_format": asked.get("output_format") or "png",
            "quality": asked.get("quality") or "high",
            "size": asked.get("size") or "1024x1024",
        }
        id = {"x-request-id": f"req_{len(self.requests)}"}
        pictures = [
            self._picture(asked, place, fault) for place in range(max(n, fault.images or 0))
        ]
        if streamed:
            kind = "image_edit" if edit else "image_generation"
            about["created_at"] = _now()
            events = _sketches(kind, partial, about) + _ends(kind, pictures, about, usage, fault)
            return Reply(200, "text/event-stream", sse(events), id, streamed=True)
        data = [self._entry(picture, place) for place, picture in enumerate(pictures)]
        answer: dict[str, Any] = {"created": _now(), "data": data}
        if self._speaks == "together":
            name = asked.get("model", "")
            answer = {"id": id["x-request-id"], "model": name, "object": "list", "data": data}
        elif self._speaks == "openai":
            answer |= {**about, "usage": usage}
        elif self._speaks == sdcpp.NAME:
            answer["output_format"] = about["output_format"]
        return Reply(200, JSON, [json.dumps(answer).encode()], id)

    def _picture(self, asked: Mapping[str, Any], place: int, fault: Fault) -> bytes:
        seed = f"|{asked['seed']}" if "seed" in asked else ""
        text = f"{asked['prompt']}|{place}{seed}"
        whole = png(text) if fault.image is None else fault.image
        return whole if fault.cut is None else whole[: int(len(whole) * fault.cut)]

    def _entry(self, picture: bytes, place: int) -> dict[str, Any]:
        if self._urls:
            path = f"/files/{len(self._files)}.png"
            self._files[path] = picture
            kind, value = "url", f"{self.url}{path}?signature=very-secret"
        else:
            kind, value = "b64_json", base64.b64encode(picture).decode()
        more = {"index": place, "type": kind} if self._speaks == "together" else {}
        return {kind: value, **more}


def _is_json(seen: Seen) -> bool:
    return seen.headers.get("content-type", "").startswith(JSON)


def _asked(
    seen: Seen, takes: Mapping[str, tuple[type, ...]], *, edit: bool
) -> tuple[Mapping[str, Any], int]:
    """Return the fields of a request and how many references came with it."""
    if not edit or _is_json(seen):
        asked = seen.json()
        if not isinstance(asked, dict):
            raise ValueError("no object")
        return asked, len(asked.get("images") or ())
    fields: dict[str, Any] = {}
    references = 0
    for part in seen.parts():
        if part.name in ("image", "image[]"):
            references += 1
        elif part.filename is None:
            fields[part.name] = _meant(part.content.decode(), takes.get(part.name, _TEXT))
        elif part.name != "mask":
            fields[part.name] = part.filename
    return fields, references


def _meant(text: str, kinds: tuple[type, ...]) -> Any:
    """Return the value of a form's field. What is none of its kind stays a text."""
    if kinds == _FLAG:
        return {"true": True, "false": False}.get(text, text)
    if kinds in (_WHOLE, _NUMBER):
        with suppress(ValueError):
            return int(text) if kinds == _WHOLE else float(text)
    return text


def _wrong(
    asked: Mapping[str, Any],
    takes: Mapping[str, tuple[type, ...]],
    *,
    edit: bool,
    references: int,
) -> str:
    if not asked.get("prompt"):
        return "Missing required parameter: 'prompt'."
    for name, value in asked.items():
        if name not in takes:
            return f"Unknown parameter: '{name}'."
        if not isinstance(value, takes[name]) or (isinstance(value, bool) and takes[name] != _FLAG):
            return f"Invalid type for '{name}'."
    n = asked.get("n")
    if n is not None and not 1 <= int(n) <= _MOST:
        return f"Invalid 'n': it must be between 1 and {_MOST}."
    if not 0 <= int(asked.get("partial_images") or 0) <= 3:
        return "Invalid 'partial_images': it must be between 0 and 3."
    size = asked.get("size")
    if size and size != "auto" and _SIZE.fullmatch(str(size)) is None:
        return "Invalid 'size'."
    if edit and not references:
        return "Missing required parameter: 'image'."
    return ""


def _not_offered(asked: Mapping[str, Any]) -> str:
    for name, choices in _CHOICES.items():
        if asked.get(name, choices[0]) not in choices:
            return f"Invalid value for '{name}'. Supported values are: {', '.join(choices)}."
    return ""


def _usage(n: int, references: int, partial: int) -> dict[str, Any]:
    text, images = _TEXT_TOKENS, _IMAGE_TOKENS * references
    out = n * (_OUT_TOKENS + _PARTIAL_TOKENS * partial)
    return {
        "input_tokens": text + images,
        "input_tokens_details": {"text_tokens": text, "image_tokens": images},
        "output_tokens": out,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": out},
        "total_tokens": text + images + out,
    }


Events = list[tuple[str, dict[str, Any]]]


def _sketches(kind: str, partial: int, about: Mapping[str, Any]) -> Events:
    events: Events = []
    for place in range(partial):
        name = f"{kind}.partial_image"
        sketch = base64.b64encode(png(f"sketch {place}", width=8, height=8)).decode()
        event = {"type": name, "b64_json": sketch, "partial_image_index": place, **about}
        events.append((name, event))
    return events


def _ends(
    kind: str,
    pictures: list[bytes],
    about: Mapping[str, Any],
    usage: Mapping[str, Any],
    fault: Fault,
) -> Events:
    if fault.in_stream is not None:
        message = _MESSAGES.get(fault.in_stream, "This was asked for by a test.")
        error = {"type": "image_generation_user_error", "code": fault.in_stream, "message": message}
        return [("error", {"type": "error", "error": error})]
    if fault.silent:
        return []
    events: Events = []
    name = f"{kind}.completed"
    # Only an answer that comes at once says of which kind the tokens of its pictures are.
    counted = {of: count for of, count in usage.items() if of != "output_tokens_details"}
    for picture in pictures:
        text = base64.b64encode(picture).decode()
        events.append((name, {"type": name, "b64_json": text, **about, "usage": counted}))
    return events


def _now() -> int:
    return int(time.time())
