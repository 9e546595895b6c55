"""Black Forest Labs' API as an emulator: a job is taken, asked for, and its picture fetched.

What is checked are the facts of their OpenAPI document (fields, kinds, ranges), written down here
on their own, so that the adapter's data and this do not have one mistake in common.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from workbench.testing.emulators.server import JSON, NO_FAULT, Emulator, Fault, Reply, Seen
from workbench.testing.pictures import png

_Check = Callable[[Any], bool]

_LARGEST_PIXELS = 4 * 1024 * 1024
_MESSAGES = {401: "Not authenticated", 402: "Insufficient credits", 404: "Not Found"}


def _whole(low: int, high: int | None = None, *, multiple: int = 1) -> _Check:
    def check(value: Any) -> bool:
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and value >= low
            and (high is None or value <= high)
            and value % multiple == 0
        )

    return check


def _number(low: float, high: float) -> _Check:
    return lambda value: (
        isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
    )


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _words(value: Any) -> bool:
    return isinstance(value, str)


def _image(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(base64.b64decode(value, validate=True))
    except binascii.Error:
        return False


def _ratio(value: Any) -> bool:
    wide, _, high = str(value).partition(":")
    return wide.isdigit() and high.isdigit() and 9 / 21 <= int(wide) / int(high) <= 21 / 9


_USUAL: dict[str, _Check] = {
    "prompt": _words,
    "seed": _whole(0),
    "output_format": lambda value: value in ("jpeg", "png", "webp"),
}
_INPUTS = {f"input_image{end}": _image for end in ("", *(f"_{place}" for place in range(2, 9)))}
_SIZE = {"width": _whole(64, multiple=16), "height": _whole(64, multiple=16)}
_FLUX2 = {**_USUAL, **_SIZE, **_INPUTS, "safety_tolerance": _whole(0, 5)}
_KLEIN = {name: check for name, check in _FLUX2.items() if name[-1] not in "5678"}
_FLUX1 = {**_USUAL, "safety_tolerance": _whole(0, 6), "prompt_upsampling": _flag}
_KONTEXT = {
    **_FLUX1,
    **{name: check for name, check in _INPUTS.items() if name[-1] not in "5678"},
    "aspect_ratio": _ratio,
}
_SLOW = {**_FLUX1, "steps": _whole(15, 50), "guidance": _number(1.5, 100), "image": _image}

# Path -> fields with their checks, and the ones that must be there.
_ENDPOINTS: dict[str, tuple[Mapping[str, _Check], tuple[str, ...]]] = {
    "flux-2-pro": (_FLUX2, ("prompt",)),
    "flux-2-max": (_FLUX2, ("prompt",)),
    "flux-2-flex": (
        {
            **_FLUX2,
            "steps": _whole(1, 50),
            "guidance": _number(1.5, 10),
            "prompt_upsampling": _flag,
        },
        ("prompt",),
    ),
    "flux-2-klein-9b": (_KLEIN, ("prompt",)),
    "flux-2-klein-4b": (_KLEIN, ("prompt",)),
    "flux-kontext-pro": (_KONTEXT, ("prompt",)),
    "flux-kontext-max": (_KONTEXT, ("prompt",)),
    "flux-pro-1.1": (
        {
            **_FLUX1,
            "image_prompt": _image,
            "width": _whole(256, 1440, multiple=32),
            "height": _whole(256, 1440, multiple=32),
        },
        (),
    ),
    "flux-pro-1.1-ultra": (
        {
            **_FLUX1,
            "image_prompt": _image,
            "image_prompt_strength": _number(0, 1),
            "aspect_ratio": _ratio,
            "raw": _flag,
        },
        (),
    ),
    "flux-pro-1.0-fill": ({**_SLOW, "mask": _image}, ("image",)),
    "flux-pro-1.0-expand": (
        {**_SLOW, **{side: _whole(0, 2048) for side in ("top", "bottom", "left", "right")}},
        ("image",),
    ),
}


class _Job:
    def __init__(self, asked: Mapping[str, Any], fault: Fault, states: list[Mapping[str, Any]]):
        self.asked = asked
        self.fault = fault
        self.states = states


class BFLEmulator(Emulator):
    """A server that speaks the dialect of Black Forest Labs.

    Parameters
    ----------
    key:
        The key that it accepts.
    states:
        What a job is said to be, one answer each, before it ends: a status, or an object.
    ends:
        The status with which jobs end.
    costs:
        Credits that the answer to a submission names; None: it names none.

    Attributes
    ----------
    polling:
        Base address of the polling addresses that are given; None: this server's.
    expired:
        How many times the address of a picture does not work.

    Examples
    --------
    >>> with BFLEmulator() as server:
    ...     server.base_url.endswith("/v1")
    True
    """

    def __init__(
        self,
        key: str = "bfl-emulated-key-0123456789",
        *,
        states: Sequence[str | Mapping[str, Any]] = ("Pending",),
        ends: str = "Ready",
        costs: float | None = 3,
    ) -> None:
        super().__init__()
        self.key = key
        self.states = states
        self.ends = ends
        self.costs = costs
        self.polling: str | None = None
        self.expired = 0
        self._jobs: dict[str, _Job] = {}

    @property
    def base_url(self) -> str:
        """What belongs into BFL_BASE_URL."""
        return f"{self.url}/v1"

    def error(self, status: int, message: str, code: str | None = None) -> Reply:  # noqa: ARG002 - no codes there
        """Return an error as the API has them."""
        detail: dict[str, Any] = {"detail": _MESSAGES.get(status, message)}
        if status == 429:
            detail = {"error": "rate_limit_exceeded", "message": "Too many concurrent requests"}
        return Reply(status, JSON, [json.dumps(detail).encode()])

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Take a job, tell of one, or give its picture."""
        parts = urlsplit(seen.path)
        if parts.path.startswith("/files/"):
            return self._file(parts.path, fault)
        if seen.headers.get("x-key") != self.key:
            return self.error(401, "")
        name = parts.path.removeprefix("/v1/")
        if seen.method == "GET" and name == "credits":
            return self._said({"credits": 117.5})
        if seen.method == "GET" and name == "get_result":
            return self._state(parse_qs(parts.query).get("id", [""])[0])
        if seen.method != "POST" or name not in _ENDPOINTS:
            return self.error(404, "")
        return self._take(seen, name, fault)

    def _take(self, seen: Seen, name: str, fault: Fault) -> Reply:
        try:
            asked = seen.json()
        except ValueError:
            asked = None
        wrong = _wrong(name, asked)
        if wrong is not None:
            return self._said({"detail": [wrong]}, 422)
        states = [{"status": one} if isinstance(one, str) else one for one in self.states]
        id = f"job-{len(self._jobs)}"
        self._jobs[id] = _Job(asked, fault, states)
        if self.ends == "Ready" and fault.images != 0:
            self.charge(seen, 1)
        base = self.base_url if self.polling is None else self.polling
        told: dict[str, Any] = {"id": id, "polling_url": f"{base}/get_result?id={id}"}
        if self.costs is not None:
            told |= {"cost": self.costs, "input_mp": 0.0, "output_mp": 1.05}
        return self._said(told)

    def _state(self, id: str) -> Reply:
        job = self._jobs.get(id)
        if job is None:
            return self._said({"id": id, "status": "Task not found", "result": None})
        told: dict[str, Any] = {
            "id": id,
            "status": self.ends,
            "result": None,
            "progress": None,
            "details": None,
            "preview": None,
        }
        if job.states:
            return self._said({**told, **job.states.pop(0)})
        if self.ends == "Ready":
            seed = job.asked.get("seed", 1234)
            prompt = job.asked.get("prompt", "")
            told["result"] = {"seed": seed, "prompt": prompt}
            if job.fault.images != 0:
                told["result"]["sample"] = f"{self.url}/files/{id}.png?se=2026&sig=very-secret"
            if (job.fault.images or 0) > 1:
                told["result"]["samples"] = [told["result"]["sample"]] * (job.fault.images or 0)
        elif "Moderated" in self.ends:
            told["details"] = {"Moderation Reasons": ["Derivative Works Filter"]}
        else:
            told["details"] = {"error": "The worker fell over."}
        return self._said(told)

    def _file(self, path: str, fault: Fault) -> Reply:
        job = self._jobs.get(path.removeprefix("/files/").removesuffix(".png"))
        if self.expired or job is None:
            self.expired = max(0, self.expired - 1)
            text = b"<Error><Code>AuthenticationFailed</Code></Error>"
            return Reply(403, "application/xml", [text])
        given = fault if fault is not NO_FAULT else job.fault
        picture = png(str(job.asked.get("prompt", ""))) if given.image is None else given.image
        if given.cut is not None:
            picture = picture[: int(len(picture) * given.cut)]
        return Reply(200, "image/png", [picture])

    def _said(self, value: Mapping[str, Any], status: int = 200) -> Reply:
        return Reply(status, JSON, [json.dumps(value).encode()])


def _wrong(name: str, asked: Any) -> dict[str, Any] | None:
    """Return what is wrong with a request, as their server says it."""
    if not isinstance(asked, dict):
        return {"loc": ["body"], "msg": "Input should be an object", "type": "model_type"}
    checks, needed = _ENDPOINTS[name]
    for field in needed:
        if not asked.get(field):
            return {"loc": ["body", field], "msg": "Field required", "type": "missing"}
    for field, value in asked.items():
        check = checks.get(field)
        if check is None:
            return {"loc": ["body", field], "msg": "Extra inputs", "type": "extra_forbidden"}
        if not check(value):
            return {"loc": ["body", field], "msg": "Input should be valid", "type": "value_error"}
    if asked.get("width", 0) * asked.get("height", 0) > _LARGEST_PIXELS:
        return {"loc": ["body", "width"], "msg": "At most 4 megapixels", "type": "value_error"}
    return None
