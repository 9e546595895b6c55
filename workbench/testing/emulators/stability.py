"""Stability AI's API (v2beta) as an emulator: multipart forms in, bytes of a picture out.

Fields, kinds and ranges are those of their OpenAPI document where it was seen; they are written
down here on their own, so that the adapter's data and this do not have one mistake in common.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from workbench.testing.emulators.server import JSON, Emulator, Fault, Part, Reply, Seen
from workbench.testing.pictures import png

_PREFIX = "/v2beta/stable-image/"
_RESULTS = "/v2beta/results/"
_LARGEST = 10 * 1024 * 1024
_LATER = "upscale/creative"

_USUAL = {"prompt", "negative_prompt", "seed", "output_format"}
_STYLED = {*_USUAL, "style_preset"}
# Path -> text fields that it takes, text fields that it needs, files that it takes, that it needs.
_ENDPOINTS: dict[str, tuple[set[str], set[str], set[str], set[str]]] = {
    "generate/core": ({*_STYLED, "aspect_ratio"}, {"prompt"}, set(), set()),
    "generate/ultra": ({*_STYLED, "aspect_ratio", "strength"}, {"prompt"}, {"image"}, set()),
    "generate/sd3": (
        {*_STYLED, "aspect_ratio", "strength", "mode", "model", "cfg_scale"},
        {"prompt"},
        {"image"},
        set(),
    ),
    "edit/inpaint": ({*_STYLED, "grow_mask"}, {"prompt"}, {"image", "mask"}, {"image"}),
    "edit/erase": ({"seed", "output_format", "grow_mask"}, set(), {"image", "mask"}, {"image"}),
    "edit/search-and-replace": (
        {*_STYLED, "search_prompt", "grow_mask"},
        {"prompt", "search_prompt"},
        {"image"},
        {"image"},
    ),
    "edit/search-and-recolor": (
        {*_STYLED, "select_prompt", "grow_mask"},
        {"prompt", "select_prompt"},
        {"image"},
        {"image"},
    ),
    "edit/remove-background": ({"output_format"}, set(), {"image"}, {"image"}),
    "edit/outpaint": (
        {"prompt", "seed", "output_format", "left", "right", "up", "down", "creativity"},
        set(),
        {"image"},
        {"image"},
    ),
    "control/sketch": ({*_STYLED, "control_strength"}, {"prompt"}, {"image"}, {"image"}),
    "control/structure": ({*_STYLED, "control_strength"}, {"prompt"}, {"image"}, {"image"}),
    "control/style": ({*_STYLED, "aspect_ratio", "fidelity"}, {"prompt"}, {"image"}, {"image"}),
    "upscale/fast": ({"output_format"}, set(), {"image"}, {"image"}),
    "upscale/conservative": ({*_USUAL, "creativity"}, {"prompt"}, {"image"}, {"image"}),
    "upscale/creative": ({*_STYLED, "creativity"}, {"prompt"}, {"image"}, {"image"}),
}
_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 4_294_967_294),
    "strength": (0, 1),
    "cfg_scale": (1, 10),
    "grow_mask": (0, 20),
    "control_strength": (0, 1),
    "fidelity": (0, 1),
    "creativity": (0, 1),
    **dict.fromkeys(("left", "right", "up", "down"), (0, 2000)),
}
_NARROWER = {
    ("upscale/conservative", "creativity"): (0.2, 0.5),
    ("upscale/creative", "creativity"): (0.1, 0.5),
}
_CHOICES = {
    "output_format": {"png", "jpeg", "webp"},
    "aspect_ratio": {"21:9", "16:9", "3:2", "5:4", "1:1", "4:5", "2:3", "9:16", "9:21"},
    "mode": {"text-to-image", "image-to-image"},
    "model": {"sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium", "sd3.5-flash"},
}
_LESS = {("edit/remove-background", "output_format"): {"jpeg"}}  # it has no transparency
_NAMES = {
    400: "bad_request",
    401: "unauthorized",
    402: "payment_required",
    403: "content_moderation",
    404: "not_found",
    413: "payload_too_large",
    422: "invalid_language",
    429: "rate_limit_exceeded",
}


class StabilityEmulator(Emulator):
    """A server that speaks Stability AI's dialect.

    Parameters
    ----------
    key:
        The key that it accepts.
    waits:
        How many times a job with an id is said to be in progress.
    reason:
        How calls end: SUCCESS or CONTENT_FILTERED.
    json_answers:
        True: pictures come as base64 in JSON, whatever was asked for; False: where they were asked
        for as JSON.

    Examples
    --------
    >>> with StabilityEmulator() as server:
    ...     server.base_url == server.url
    True
    """

    def __init__(
        self,
        key: str = "sk-stability-emulated-0123456789",
        *,
        waits: int = 2,
        reason: str = "SUCCESS",
        json_answers: bool = False,
    ) -> None:
        super().__init__()
        self.key = key
        self.waits = waits
        self.reason = reason
        self.json_answers = json_answers
        self._jobs: dict[str, tuple[Mapping[str, str], Fault]] = {}
        self._left: dict[str, int] = {}

    @property
    def base_url(self) -> str:
        """What belongs into STABILITY_BASE_URL."""
        return self.url

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error as the API has them."""
        name = code or _NAMES.get(status, "internal_error")
        body = {"id": "a1b2c3d4e5f6", "name": name, "errors": [message]}
        return Reply(status, JSON, [json.dumps(body).encode()])

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Make a picture, begin a job, or tell of one."""
        path = seen.path.partition("?")[0]
        if seen.headers.get("authorization") != f"Bearer {self.key}":
            return self.error(401, "authorization: missing or invalid api key")
        if seen.method == "GET" and path == "/v1/user/balance":
            return Reply(200, JSON, [b'{"credits": 12.3456}'])
        if seen.method == "GET" and path.startswith(_RESULTS):
            return self._result(path.removeprefix(_RESULTS), seen)
        place = path.removeprefix(_PREFIX)
        if seen.method != "POST" or place not in _ENDPOINTS:
            return self.error(404, "no Route matched with those values")
        if not seen.headers.get("content-type", "").startswith("multipart/form-data; boundary="):
            return self.error(400, "content-type: must be multipart/form-data")
        if len(seen.body) > _LARGEST:
            return self.error(413, "body: payloads cannot be larger than 10MiB in size")
        parts = seen.parts()
        wrong = _wrong(place, parts)
        if wrong:
            return self.error(400, wrong)
        fields = {part.name: part.content.decode() for part in parts if part.filename is None}
        if self.reason == "SUCCESS" and fault.images != 0:
            self.charge(seen, 1)
        if place != _LATER:
            return self._picture(fields, fault, self._as_json("image", seen))
        id = f"{len(self._jobs):064x}"
        self._jobs[id], self._left[id] = (fields, fault), self.waits
        return Reply(200, JSON, [json.dumps({"id": id}).encode()])

    def _result(self, id: str, seen: Seen) -> Reply:
        if id not in self._jobs:
            return self.error(404, "id: no generation was found with this id")
        if self._left[id] > 0:
            self._left[id] -= 1
            body = json.dumps({"id": id, "status": "in-progress"}).encode()
            return Reply(202, JSON, [body])
        return self._picture(*self._jobs[id], self._as_json("result", seen))

    def _as_json(self, name: str, seen: Seen) -> str | None:
        """Return the name of the field that has the picture; None: the answer is its bytes."""
        wanted = seen.headers.get("accept", "").partition(";")[0].strip() == JSON
        return name if wanted or self.json_answers else None

    def _picture(self, fields: Mapping[str, str], fault: Fault, as_json: str | None) -> Reply:
        picture = png(fields.get("prompt", "")) if fault.image is None else fault.image
        if fault.images == 0:
            picture = b""
        if fault.cut is not None:
            picture = picture[: int(len(picture) * fault.cut)]
        seed = int(fields.get("seed", "0")) or 343_940_597
        if as_json is not None:
            told = {
                as_json: base64.b64encode(picture).decode(),
                "finish_reason": self.reason,
                "seed": seed,
            }
            return Reply(200, f"{JSON}; type=image/png", [json.dumps(told).encode()])
        headers = {"finish-reason": self.reason, "seed": str(seed), "x-request-id": "req-1"}
        return Reply(200, "image/png", [picture], headers)


def _wrong(place: str, parts: list[Part]) -> str:
    """Return what is wrong with a form."""
    takes, needs, takes_files, needs_files = _ENDPOINTS[place]
    fields = {part.name: part.content.decode() for part in parts if part.filename is None}
    files = {part.name: part for part in parts if part.filename is not None}
    files.pop("none", None)  # their examples send it so that a form is multipart
    for name in sorted(needs - fields.keys()) + sorted(needs_files - files.keys()):
        return f"{name}: is required"
    for name in sorted(fields.keys() - takes) + sorted(files.keys() - takes_files):
        return f"{name}: is not allowed"
    for name, part in files.items():
        if part.content_type not in ("image/png", "image/jpeg", "image/webp"):
            return f"{name}: must be a png, jpeg or webp"
    for name, text in fields.items():
        wrong = _wrong_field(place, name, text)
        if wrong:
            return wrong
    if place == "generate/sd3":
        begun = fields.get("mode") == "image-to-image"
        if begun is not ("image" in files) or begun is not ("strength" in fields):
            return "strength: is required for image-to-image, and for nothing else"
        if begun and "aspect_ratio" in fields:
            return "aspect_ratio: is for text-to-image only"
    if place == "generate/ultra" and ("image" in files) is not ("strength" in fields):
        return "strength: is required with an image"
    return ""


def _wrong_field(place: str, name: str, text: str) -> str:
    if name in _RANGES:
        low, high = _NARROWER.get((place, name), _RANGES[name])
        try:
            number = float(text)
        except ValueError:
            return f"{name}: must be a number"
        if not low <= number <= high:
            return f"{name}: must be between {low:g} and {high:g}"
    if name in _CHOICES and text not in _CHOICES[name] - _LESS.get((place, name), set()):
        return f"{name}: is not one of those that there are"
    if name.endswith("prompt") and not 1 <= len(text) <= 10_000:
        return f"{name}: must have 1 to 10000 characters"
    return ""
