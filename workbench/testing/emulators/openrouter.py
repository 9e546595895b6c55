"""OpenRouter's image API as an emulator: pictures, events, lists of models, records of costs.

Requests are checked as its documents describe them; a picture is charged when it is made, and
nothing is charged where none comes (all or nothing, as it bills).
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen
from workbench.testing.pictures import png

PREFIX = "/api/v1"
COST = "0.04"  # of a picture, in USD
PREVIEWS = 2

_RATIOS = (
    *("1:1", "1:2", "1:4", "1:8", "2:1", "2:3", "3:2", "3:4", "4:1", "4:3", "4:5", "5:4", "8:1"),
    *("9:16", "16:9", "9:19.5", "19.5:9", "9:20", "20:9", "9:21", "21:9", "auto"),
)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "aspect_ratio": _RATIOS,
    "resolution": ("512", "1K", "2K", "4K"),
    "quality": ("auto", "low", "medium", "high", "xhigh", "max"),
    "background": ("auto", "transparent", "opaque"),
    "output_format": ("png", "jpeg", "webp", "svg"),
}
_TYPES: Mapping[str, type] = {
    **dict.fromkeys(("model", "prompt", "size", *_CHOICES), str),
    **dict.fromkeys(("n", "seed", "output_compression"), int),
    "stream": bool,
    "input_references": list,
    "provider": dict,
}
_ROUTING = {"only", "order", "ignore", "sort", "allow_fallbacks", "options"}
_SECRET_WORDS = {"flagged_input": "a very bad fox", "reasons": ["violence"]}
_MESSAGES = {
    400: "Invalid request parameters",
    401: "Missing Authentication header",
    402: "Insufficient credits. Add more using https://openrouter.ai/credits",
    403: "Only management keys can perform this operation",
    404: "Resource not found",
    413: "Request payload too large",
    429: "Rate limit exceeded",
    500: "Internal Server Error",
    502: "Provider returned error",
    524: "Request timed out. Please try again later.",
    529: "Provider returned error",
}
_TAKES: Mapping[str, Any] = {
    "aspect_ratio": {"type": "enum", "values": ["1:1", "16:9", "auto"]},
    "resolution": {"type": "enum", "values": ["1K", "2K", "4K"]},
    "n": {"type": "range", "min": 1, "max": 10},
    "input_references": {"type": "range", "min": 0, "max": 14},
    "seed": {"type": "boolean"},
}


def listed(
    id: str,
    *,
    takes: Mapping[str, Any] | None = None,
    streams: bool = False,
    prices: Iterable[Iterable[Mapping[str, Any]]] = (),
) -> dict[str, Any]:
    """Return a model for `OpenRouterEmulator`: its object in the list, and its endpoints.

    Parameters
    ----------
    id:
        "author/name".
    takes:
        Its supported parameters.
    streams:
        It sends partial images.
    prices:
        The pricing lines of each of its endpoints.
    """
    takes = _TAKES if takes is None else takes
    return {
        "id": id,
        "name": id.partition("/")[2],
        "description": "A model of this emulator.",
        "created": 1_748_372_400,
        "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["image"]},
        "supported_parameters": takes,
        "supports_streaming": streams,
        "endpoints": f"{PREFIX}/images/models/{id}/endpoints",
        "prices": [list(lines) for lines in prices],
    }


FLAT = {"billable": "output_image", "unit": "image", "cost_usd": 0.04}
MODELS = (
    listed("bytedance-seed/seedream-4.5", prices=[[FLAT]]),
    listed("openai/gpt-image-2.5-flare", streams=True),
)


class OpenRouterEmulator(Emulator):
    """A server that speaks OpenRouter's image API.

    Parameters
    ----------
    key:
        The key that it accepts.
    models:
        What `listed` makes; None: two of them, and any name can be asked for.
    legacy:
        True: a gateway from before the image API, which knows chat only.

    Attributes
    ----------
    cost:
        Of a picture, as it is written in JSON.
    records:
        What is known of each generation by its id.
    tells_id:
        False: answers have no ``X-Generation-Id``.
    record_after:
        How often the record of a generation is not there yet.

    Examples
    --------
    >>> with OpenRouterEmulator() as server:
    ...     server.base_url.endswith("/api/v1")
    True
    """

    def __init__(
        self,
        key: str = "sk-or-v1-0123456789abcdef",
        *,
        models: Iterable[Mapping[str, Any]] | None = None,
        legacy: bool = False,
    ) -> None:
        super().__init__()
        self.key = key
        self.cost = COST
        self.records: dict[str, dict[str, Any]] = {}
        self.tells_id = True
        self.record_after = 0
        self._any = models is None
        self._models = {one["id"]: one for one in (MODELS if models is None else models)}
        self._legacy = legacy

    @property
    def base_url(self) -> str:
        """What belongs into OPENROUTER_BASE_URL."""
        return f"{self.url}{PREFIX}"

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error as the API has them; "moderation" and other codes fill the metadata."""
        error: dict[str, Any] = {"code": status, "message": _MESSAGES.get(status, message)}
        if code == "moderation":
            error["message"] = "The input was flagged"
            error["metadata"] = {**_SECRET_WORDS, "provider_name": "OpenAI", "model_slug": "x/y"}
        elif code == "raw":
            error["metadata"] = {"provider_name": "OpenAI", "raw": message}
        elif code is not None:
            error["metadata"] = {"error_type": code}
        return _json({"error": error, "user_id": "user_1"}, status)

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Make a picture, list models, or tell what something cost."""
        path, _, query = seen.path.partition("?")
        path = path.removeprefix(PREFIX) if path.startswith(f"{PREFIX}/") else ""
        asked = (seen.method, path)
        if path.startswith("/images") and self._legacy:
            return Reply(404, "text/plain", [b"404 page not found"])
        if asked == ("GET", "/images/models"):  # open to everybody
            data = [_without_prices(one) for one in self._models.values()]
            return _json({"data": data})
        if path.startswith("/images/models/") and path.endswith("/endpoints"):
            return self._endpoints(path)
        if seen.headers.get("authorization") != f"Bearer {self.key}":
            return self.error(401, "")
        if asked == ("GET", "/key"):
            return _json({"data": {"label": "sk-or-v1-012...def", "limit_remaining": 12.5}})
        if asked == ("GET", "/generation"):
            return self._record(parse_qs(query).get("id", [""])[0])
        if asked == ("POST", "/images"):
            return self._image(seen, fault)
        if asked == ("POST", "/chat/completions"):
            return self._chat(seen, fault)
        return self.error(404, "")

    # -- pictures ---------------------------------------------------------------------------------

    def _image(self, seen: Seen, fault: Fault) -> Reply:
        try:
            asked = seen.json()
        except ValueError:
            return self.error(400, "")
        wrong = self._wrong(asked)
        if wrong:
            return _json({"error": {"code": 400, "message": wrong}}, 400)
        model = self._models.get(asked["model"])
        if model is None and not self._any:
            return _json({"error": {"code": 404, "message": "No endpoints found."}}, 404)
        id, usage = self._accepted(seen, fault)
        headers = {"X-Generation-Id": id} if self.tells_id else {}
        pictures = [
            _picture(asked, place, fault)
            for place in range(1 if fault.images is None else fault.images)
        ]
        if asked.get("stream") and model is not None and model["supports_streaming"]:
            pieces = _events(pictures, usage, fault)
            return Reply(200, "text/event-stream", pieces, headers, streamed=True)
        data = [{"b64_json": _text(one), "media_type": "image/png"} for one in pictures]
        whole = f'{{"created": {int(time.time())}, "data": {json.dumps(data)}, "usage": {usage}}}'
        return Reply(200, JSON, [whole.encode()], headers)

    def _accepted(self, seen: Seen, fault: Fault) -> tuple[str, str]:
        """Charge a picture if one is made; return the generation's id and usage as written."""
        id = f"gen-{len(self.records)}"
        made = fault.images != 0 and fault.in_stream is None and not fault.silent
        if made:
            self.charge(seen, 1)
        cost = self.cost if made else "0"
        self.records[id] = {
            "id": id,
            "total_cost": float(cost),
            "cancelled": not made,
            "api_type": "image",
        }
        usage = (
            '{"prompt_tokens": 16, "completion_tokens": 272, "total_tokens": 288, '
            f'"cost": {cost}}}'
        )
        return id, usage

    def _wrong(self, asked: Any) -> str:
        if not isinstance(asked, dict):
            return "The body must be an object."
        for name, value in asked.items():
            kind = _TYPES.get(name)
            if kind is None:
                return f"Unrecognized key: {name}"
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                return f"Invalid type: {name}"
            if name in _CHOICES and value not in _CHOICES[name]:
                return f"Invalid option: {name}"
        if not asked.get("model") or not asked.get("prompt"):
            return "model and prompt are required"
        if "x" in asked.get("size", "") and {"resolution", "aspect_ratio"} & set(asked):
            return "size cannot be combined with resolution or aspect_ratio"
        if asked.get("n", 1) != 1:
            return "This emulator makes single images only."
        references = asked.get("input_references", [])
        if len(references) > 16 or any(not _is_reference(one) for one in references):
            return "Invalid input_references"
        if not set(asked.get("provider", {})) <= _ROUTING:
            return "Unrecognized key in provider"
        return ""

    def _chat(self, seen: Seen, fault: Fault) -> Reply:
        asked = seen.json()
        if "image" not in asked.get("modalities", ()) or not asked.get("messages"):
            return self.error(400, "")
        id, usage = self._accepted(seen, fault)
        content = asked["messages"][0]["content"]
        prompt = content if isinstance(content, str) else content[0]["text"]
        message: dict[str, Any] = {"role": "assistant", "content": "Here you are."}
        if fault.images == 0:
            message = {"role": "assistant", "content": None, "refusal": "I cannot draw that."}
        else:
            address = f"data:image/png;base64,{_text(_picture({'prompt': prompt}, 0, fault))}"
            message["images"] = [{"type": "image_url", "image_url": {"url": address}}]
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": id, "object": "chat.completion", "choices": [choice]}
        whole = f'{json.dumps(answer)[:-1]}, "usage": {usage}}}'
        return Reply(200, JSON, [whole.encode()])

    # -- lists and records ------------------------------------------------------------------------

    def _endpoints(self, path: str) -> Reply:
        id = unquote(path.removeprefix("/images/models/").removesuffix("/endpoints"))
        model = self._models.get(id)
        if model is None:
            return self.error(404, "")
        endpoints = [
            {
                "provider_name": f"Provider {place}",
                "provider_slug": f"provider-{place}",
                "provider_tag": None,
                "supported_parameters": model["supported_parameters"],
                "allowed_passthrough_parameters": [],
                "supports_streaming": model["supports_streaming"],
                "pricing": lines,
            }
            for place, lines in enumerate(model["prices"])
        ]
        return _json({"id": id, "endpoints": endpoints})

    def _record(self, id: str) -> Reply:
        if self.record_after > 0:
            self.record_after -= 1
            return self.error(404, "")
        record = self.records.get(id)
        return self.error(404, "") if record is None else _json({"data": record})


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, JSON, [json.dumps(value).encode()])


def _without_prices(model: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in model.items() if name != "prices"}


def _is_reference(one: Any) -> bool:
    address = one.get("image_url", {}).get("url") if isinstance(one, dict) else None
    return (
        isinstance(address, str)
        and one.get("type") == "image_url"
        and address.startswith(("data:image/", "https://"))
    )


def _picture(asked: Mapping[str, Any], place: int, fault: Fault) -> bytes:
    seed = f"|{asked['seed']}" if "seed" in asked else ""
    whole = png(f"{asked['prompt']}|{place}{seed}") if fault.image is None else fault.image
    return whole if fault.cut is None else whole[: int(len(whole) * fault.cut)]


def _text(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def _events(pictures: list[bytes], usage: str, fault: Fault) -> list[bytes]:
    pieces = [b": OPENROUTER PROCESSING\n\n"]
    for place in range(PREVIEWS):
        sketch = {
            "type": "image_generation.partial_image",
            "partial_image_index": place,
            "b64_json": _text(png(f"sketch {place}", width=8, height=8)),
        }
        pieces.append(f"data: {json.dumps(sketch)}\n\n".encode())
    if fault.in_stream is not None:
        code: Any = int(fault.in_stream) if fault.in_stream.isdigit() else fault.in_stream
        error = {"type": "error", "error": {"message": "Generation failed", "code": code}}
        return [*pieces, f"data: {json.dumps(error)}\n\n".encode(), b"data: [DONE]\n\n"]
    if fault.silent:
        return pieces
    for picture in pictures:
        about = {
            "type": "image_generation.completed",
            "b64_json": _text(picture),
            "media_type": "image/png",
            "created": int(time.time()),
        }
        pieces.append(f'data: {json.dumps(about)[:-1]}, "usage": {usage}}}\n\n'.encode())
    return [*pieces, b"data: [DONE]\n\n"]
