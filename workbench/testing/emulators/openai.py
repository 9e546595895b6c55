"""OpenAI's images API as an emulator: generations and edits, at once and as events.

Pictures are small coloured tiles that follow from the prompt. The official client speaks to it as
our own adapter does, so that the two agree on the dialect.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen, sse
from workbench.testing.pictures import png

GENERATIONS = "/v1/images/generations"
EDITS = "/v1/images/edits"

_TEXT_TOKENS = 10
_IMAGE_TOKENS = 300  # of each reference
_OUT_TOKENS = 1_000
_PARTIAL_TOKENS = 100
_MOST = 10

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
        True: errors are ``{"error": "text"}``, as stable-diffusion.cpp has them.
    urls:
        True: pictures are left at an address instead of being sent.

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
    ) -> None:
        super().__init__()
        self.key = key
        self._streams = streams
        self._string_errors = string_errors
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
        """Make pictures."""
        path = seen.path.partition("?")[0]
        if path in self._files:
            return Reply(200, "image/png", [self._files[path]])
        if path not in (GENERATIONS, EDITS):
            return self.error(404, f"Invalid URL ({seen.method} {path})")
        if self.key is not None and seen.headers.get("authorization") != f"Bearer {self.key}":
            return self.error(401, "", "invalid_api_key")
        try:
            asked, references = _asked(seen, edit=path == EDITS)
        except (ValueError, KeyError) as error:
            return self.error(400, f"The body cannot be read: {error!r}")
        wrong = _wrong(asked, edit=path == EDITS, references=references)
        if wrong:
            return self.error(400, wrong, "invalid_value")
        return self._made(seen, asked, references, fault, edit=path == EDITS)

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
        data = [self._entry(picture) for picture in pictures]
        answer = {"created": _now(), "data": data, **about, "usage": usage}
        return Reply(200, JSON, [json.dumps(answer).encode()], id)

    def _picture(self, asked: Mapping[str, Any], place: int, fault: Fault) -> bytes:
        whole = png(f"{asked['prompt']}|{place}") if fault.image is None else fault.image
        return whole if fault.cut is None else whole[: int(len(whole) * fault.cut)]

    def _entry(self, picture: bytes) -> dict[str, str]:
        if not self._urls:
            return {"b64_json": base64.b64encode(picture).decode()}
        path = f"/files/{len(self._files)}.png"
        self._files[path] = picture
        return {"url": f"{self.url}{path}?signature=very-secret"}


def _asked(seen: Seen, *, edit: bool) -> tuple[Mapping[str, Any], int]:
    """Return the fields of a request and how many references came with it."""
    if not edit or seen.headers.get("content-type", "").startswith(JSON):
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
            text = part.content.decode()
            fields[part.name] = {"true": True, "false": False}.get(text, text)
    return fields, references


def _wrong(asked: Mapping[str, Any], *, edit: bool, references: int) -> str:
    if not asked.get("prompt"):
        return "Missing required parameter: 'prompt'."
    n = asked.get("n")
    if n is not None and not 1 <= int(n) <= _MOST:
        return f"Invalid 'n': it must be between 1 and {_MOST}."
    if not 0 <= int(asked.get("partial_images") or 0) <= 3:
        return "Invalid 'partial_images': it must be between 0 and 3."
    if edit and not references:
        return "Missing required parameter: 'image'."
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
    for picture in pictures:
        text = base64.b64encode(picture).decode()
        events.append((name, {"type": name, "b64_json": text, **about, "usage": dict(usage)}))
    return events


def _now() -> int:
    return int(time.time())
