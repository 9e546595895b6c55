"""PixVerse's platform API as an emulator, as far as it makes pictures.

What is checked are the facts of its reference and its error codes. Where those pages say nothing
(what an id of a trace that was used before does), the worst that is told of it happens.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.testing.emulators.server import JSON, NO_FAULT, Emulator, Fault, Reply, Seen
from workbench.testing.pictures import png

_PREFIX = "/openapi/v2/"
_LARGEST = 20_000_000
_TYPES = ("image/png", "image/jpeg", "image/jpg", "image/webp")
_MESSAGES = {
    400012: "Invalid account",
    400013: "Invalid binding request: incorrect parameter type or value",
    400017: "Invalid parameter",
    400032: "Invalid image ID",
    500008: "Requested data not found",
    500020: "User does not have permission for this operation",
    500030: "Image size cannot exceed 20M 4000px*4000px",
    500032: "Invalid image format",
    500044: "Reached the limit for concurrent generations.",
    500054: "Content moderation failure",
    500069: "System is currently experiencing high load. Please try again later",
    500070: "Current template is not activated",
    500090: "Insufficient balance. Please top up your credits.",
    99999: "Unknown error",
}
_OF_STATUS = {400: 400017, 401: 400012, 402: 500090, 403: 500020, 404: 500008, 429: 500044}

TEMPLATE = 384268229671680


class _Job:
    def __init__(self, fault: Fault, states: list[int]) -> None:
        self.fault = fault
        self.states = states


class PixVerseEmulator(Emulator):
    """A server that speaks PixVerse's dialect.

    Parameters
    ----------
    key:
        The key that it accepts.
    states:
        Numbers that a job is said to be in, one answer each, before it ends.
    ends:
        The number with which jobs end.
    templates:
        The templates that there are, with how many images each takes at most.

    Attributes
    ----------
    traces:
        The ids of traces, in the order in which they came.
    expired:
        How many times the address of a picture does not work.

    Examples
    --------
    >>> with PixVerseEmulator() as server:
    ...     server.base_url.endswith("/openapi/v2")
    True
    """

    def __init__(
        self,
        key: str = "pix-emulated-key-0123456789",
        *,
        states: Sequence[int] = (5,),
        ends: int = 1,
        templates: Mapping[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.key = key
        self.states = states
        self.ends = ends
        self.templates = dict(templates or {TEMPLATE: 4})
        self.traces: list[str] = []
        self.expired = 0
        self._images: dict[int, bytes] = {}
        self._jobs: dict[int, _Job] = {}

    @property
    def base_url(self) -> str:
        """What belongs into PIXVERSE_BASE_URL."""
        return f"{self.url}{_PREFIX}".rstrip("/")

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error as the API has them."""
        number = int(code) if code else _OF_STATUS.get(status, 99999)
        body = {"ErrCode": number, "ErrMsg": _MESSAGES.get(number, message), "Resp": None}
        return Reply(status, JSON, [json.dumps(body).encode()])

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Take an image or a job, tell of one, or give its picture."""
        path = seen.path.partition("?")[0]
        if path.startswith("/media/"):
            return self._media(path, fault)
        if seen.headers.get("api-key") != self.key:
            return self._wrong(400012)
        trace = seen.headers.get("ai-trace-id", "")
        try:
            uuid.UUID(trace)
        except ValueError:
            return self._wrong(400013)
        known = trace in self.traces
        self.traces.append(trace)
        place = path.removeprefix(_PREFIX)
        if seen.method == "GET" and place == "account/balance":
            told = {"account_id": 1, "credit_monthly": 90, "credit_package": 27}
            return self._said(told)
        if seen.method == "GET" and place.startswith("image/result/"):
            return self._result(place.removeprefix("image/result/"))
        if seen.method == "POST" and place == "image/upload":
            return self._upload(seen)
        if seen.method == "POST" and place == "image/template/generate":
            return self._begin(seen, fault, hangs=known)
        return self.error(404, "404 page not found")

    def _upload(self, seen: Seen) -> Reply:
        if not seen.headers.get("content-type", "").startswith("multipart/form-data"):
            return self._wrong(400013)
        files = [part for part in seen.parts() if part.name == "image" and part.filename]
        if len(files) != 1:
            return self._wrong(400017)
        if len(files[0].content) > _LARGEST:
            return self._wrong(500030)
        if files[0].content_type not in _TYPES:
            return self._wrong(500032)
        id = 1_000 + len(self._images)
        self._images[id] = files[0].content
        return self._said({"img_id": id, "img_url": f"https://media.pixverse.ai/{id}.png"})

    def _begin(self, seen: Seen, fault: Fault, *, hangs: bool) -> Reply:
        try:
            asked = seen.json()
        except ValueError:
            return self._wrong(400013)
        code = self._wrong_job(asked)
        if code:
            return self._wrong(code)
        id = 9_007_199_254_740_993 + len(self._jobs)  # more than a float can hold
        states = [5] * 1_000_000 if hangs else list(self.states)
        self._jobs[id] = _Job(fault, states)
        if self.ends == 1 and fault.images != 0:
            self.charge(seen, 1)
        return self._said({"image_id": id, "credits": 10})

    def _wrong_job(self, asked: Any) -> int:
        """Return the code of what is wrong with a submission; 0 if nothing is."""
        if not isinstance(asked, dict) or set(asked) != {"img_ids", "template_id"}:
            return 400017
        images, template = asked["img_ids"], asked["template_id"]
        if not isinstance(template, int) or not isinstance(images, list):
            return 400013
        if any(image not in self._images for image in images):
            return 400032
        if template not in self.templates:
            return 500070
        return 0 if 1 <= len(images) <= self.templates[template] else 400017

    def _result(self, text: str) -> Reply:
        id = int(text) if text.isdigit() else 0
        job = self._jobs.get(id)
        if job is None:
            return self._wrong(500008)
        status = job.states.pop(0) if job.states else self.ends
        url = f"{self.url}/media/{id}.png" if status == 1 and job.fault.images != 0 else ""
        told = {
            "image_id": id,
            "status": status,
            "url": url,
            "seed": 77,
            "prompt": "",
            "template_id": TEMPLATE,
            "credits": 10,
        }
        if (job.fault.images or 0) > 1:
            told["urls"] = [url] * (job.fault.images or 0)
        return self._said(told)

    def _media(self, path: str, fault: Fault) -> Reply:
        text = path.removeprefix("/media/").removesuffix(".png")
        job = self._jobs.get(int(text) if text.isdigit() else 0)
        if self.expired or job is None:
            self.expired = max(0, self.expired - 1)
            return Reply(403, "application/xml", [b"<Error><Code>AccessDenied</Code></Error>"])
        given = fault if fault is not NO_FAULT else job.fault
        picture = png("from a template") if given.image is None else given.image
        if given.cut is not None:
            picture = picture[: int(len(picture) * given.cut)]
        return Reply(200, "image/png", [picture])

    def _wrong(self, code: int) -> Reply:
        return self.error(200, "", str(code))

    def _said(self, response: Mapping[str, Any]) -> Reply:
        body = {"ErrCode": 0, "ErrMsg": "success", "Resp": response}
        return Reply(200, JSON, [json.dumps(body).encode()])
