"""Replicate's predictions as an emulator: official models and versions, states, files, cancels.

Each question for a prediction moves it one state further, so that tests decide how long it takes.
Pictures are small coloured tiles that follow from the prompt. The official client speaks to it as
our own adapter does, so that the two agree on the dialect.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.testing.emulators.replicate_models import MODELS, VERSIONS, wrong_in
from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen
from workbench.testing.pictures import png

PROBLEM = "application/problem+json"
NOW = "2026-11-21T10:00:00.000000Z"
_LARGEST_UPLOAD = 100_000_000

State = Mapping[str, Any]

#: What a prediction goes through; its end comes after the last one.
USUAL_STATES: tuple[State, ...] = (
    {"status": "starting"},
    {"status": "processing", "logs": "Using seed: 7\n"},
    {
        "status": "processing",
        "logs": "Using seed: 7\n 50%|#####     | 2/4 [00:00<00:00, 9.9it/s]\r",
    },
)

#: How a prediction ends that was begun with a fault of this code.
ENDS: Mapping[str, State] = {
    "nsfw": {
        "status": "failed",
        "error": "NSFW content detected. Try running it again, or try a different prompt.",
    },
    "sensitive": {
        "status": "failed",
        "error": "The input or output was flagged as sensitive. Please try again with different "
        "inputs. (E005) (Zx81)",
    },
    "model_error": {"status": "failed", "error": "Cannot identify the image file."},
    "interrupted": {"status": "failed", "error": "Prediction interrupted; please retry (code: PA)"},
    "canceled": {"status": "canceled"},
    "aborted": {"status": "aborted"},
    "exploded": {"status": "exploded", "error": "A state that nobody knows yet."},
    "removed": {"status": "succeeded", "data_removed": True},
}
_MESSAGES = {
    "throttled": ("Too many requests", "Request was throttled. Your rate limit resets in ~1s."),
    "insufficient_credit": (
        "Insufficient credit",
        "You have insufficient credit to run this model. Purchase credit in your account.",
    ),
    "invalid_token": ("Unauthenticated", "You did not pass a valid token, but {key}."),
    "not_found": ("Not found", "The requested resource could not be found."),
}
_CREATE = re.compile(r"/v1/models/([\w.-]+/[\w.-]+)/predictions")
_MODEL = re.compile(r"/v1/models/([\w.-]+/[\w.-]+)(?:/versions/(\w+))?")
_PREDICTION = re.compile(r"/v1/predictions/(\w+)(/cancel)?")
_DEADLINE = re.compile(r"(?=.)(?:\d+h)?(?:\d+m)?(?:\d+s?)?")
_WAIT = re.compile(r"wait(?:=(?:[1-9]|[1-5]\d|60))?")


@dataclass
class Prediction:
    """A prediction as the server keeps it."""

    id: str
    model: str
    version: str
    input: Mapping[str, Any]
    fault: Fault
    seen: Seen
    states: list[State]
    told: dict[str, Any] = field(default_factory=dict)
    ended: bool = False


class ReplicateEmulator(Emulator):
    """A server that speaks Replicate's dialect.

    Parameters
    ----------
    key:
        The token that it accepts.
    states:
        What each prediction goes through before its end.
    output:
        Shape of an output: list, url, data (in the answer itself) or object.
    poll_at:
        Another server that predictions say they are asked for at; None: this one.

    Attributes
    ----------
    cancelled:
        ids of the predictions that were cancelled before they had ended.
    predictions:
        by id, in order.
    uploads:
        contents of the files that were uploaded, by id.

    Examples
    --------
    >>> with ReplicateEmulator() as server:
    ...     server.base_url.endswith("/v1")
    True
    """

    def __init__(
        self,
        key: str = "r8_emulated0123456789abcdefghijklmnop",
        *,
        states: Sequence[State] = USUAL_STATES,
        output: str = "list",
        poll_at: str | None = None,
    ) -> None:
        super().__init__()
        self.key = key
        self.states = tuple(states)
        self.output = output
        self.poll_at = poll_at
        self.cancelled: list[str] = []
        self.predictions: dict[str, Prediction] = {}
        self.uploads: dict[str, bytes] = {}
        self._files: dict[str, bytes] = {}
        self._state_lock = threading.RLock()

    @property
    def base_url(self) -> str:
        """What belongs into REPLICATE_BASE_URL."""
        return f"{self.url}/v1"

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error as the API has them (RFC 7807)."""
        title, detail = _MESSAGES.get(code or "", ("Problem", message))
        problem = {"title": title, "detail": detail.format(key=self.key), "status": status}
        return Reply(status, PROBLEM, [json.dumps(problem).encode()])

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Answer whatever the API has."""
        path = seen.path.partition("?")[0]
        if path.startswith("/delivery/"):
            content = self._files.get(path)
            return (
                self.error(404, "Gone.") if content is None else Reply(200, "image/png", [content])
            )
        if seen.headers.get("authorization") != f"Bearer {self.key}":
            return self.error(401, "", "invalid_token")
        with self._state_lock:
            if seen.method == "POST":
                return self._post(path, seen, fault)
            return self._get(path)

    # -- questions --------------------------------------------------------------------------------

    def _get(self, path: str) -> Reply:
        if path == "/v1/account":
            return _json({"type": "user", "username": "emulated", "name": "E. Mulated"})
        if path == "/v1/predictions":
            results = [one.told for one in reversed(self.predictions.values())]
            return _json({"next": None, "previous": None, "results": results})
        if path == "/v1/collections/text-to-image":
            models = [offered.about(name) for name, offered in MODELS.items()]
            about = {"name": "Text to image", "slug": "text-to-image", "description": "Pictures."}
            return _json({**about, "models": models})
        found = _PREDICTION.fullmatch(path)
        if found and found[1] in self.predictions and not found[2]:
            prediction = self.predictions[found[1]]
            self._move(prediction)
            return _json(prediction.told)
        found = _MODEL.fullmatch(path)
        if found and found[1] in MODELS and found[2] in (None, *VERSIONS):
            about = MODELS[found[1]].about(found[1])
            return _json(about["latest_version"] if found[2] else about)
        return self.error(404, "", "not_found")

    # -- commands ---------------------------------------------------------------------------------

    def _post(self, path: str, seen: Seen, fault: Fault) -> Reply:
        if path == "/v1/files":
            return self._upload(seen)
        found = _PREDICTION.fullmatch(path)
        if found and found[2]:
            return self._cancel(found[1])
        try:
            asked = seen.json()
        except ValueError:
            return self.error(400, "The body is no JSON.")
        if not isinstance(asked, dict) or not isinstance(asked.get("input"), dict):
            return self.error(422, "- input is required")
        strange = set(asked) - {"input", "version", "webhook", "webhook_events_filter", "stream"}
        if strange:
            return self.error(422, f"Additional property {min(strange)} is not allowed")
        if not _DEADLINE.fullmatch(seen.headers.get("cancel-after", "1m")):
            return self.error(422, "Cancel-After is no duration.")
        if not _WAIT.fullmatch(seen.headers.get("prefer", "wait")):
            return self.error(422, "Prefer is not understood.")
        model, version = self._meant(path, asked)
        if model not in MODELS:
            return self.error(404, "", "not_found")
        wrong = wrong_in(model, asked["input"])
        if wrong:
            return self.error(422, f"- input.{wrong}")
        return self._begin(model, version, asked["input"], seen, fault)

    def _meant(self, path: str, asked: Mapping[str, Any]) -> tuple[str, str]:
        found = _CREATE.fullmatch(path)
        if found:
            official = found[1] in MODELS and MODELS[found[1]].official
            return (found[1], "hidden") if official and "version" not in asked else ("", "")
        if path != "/v1/predictions":
            return "", ""
        model, _, version = str(asked.get("version") or "").rpartition(":")
        if version in VERSIONS and model in ("", VERSIONS[version]):
            return VERSIONS[version], version
        official = not model and version in MODELS and MODELS[version].official
        return (version, "hidden") if official else ("", "")

    def _begin(
        self, model: str, version: str, asked: Mapping[str, Any], seen: Seen, fault: Fault
    ) -> Reply:
        id = hashlib.sha256(str(len(self.predictions)).encode()).hexdigest()[:26]
        at = (self.poll_at or self.url) + f"/v1/predictions/{id}"
        states = list(self.states)
        prediction = Prediction(id, model, version, asked, fault, seen, states)
        prediction.told = {
            "id": id,
            "model": model,
            "version": version,
            "input": asked,
            "logs": "",
            "output": None,
            "data_removed": False,
            "error": None,
            "status": "starting",
            "created_at": NOW,
            "urls": {"get": at, "cancel": f"{at}/cancel", "web": f"https://replicate.com/p/{id}"},
        }
        self.predictions[id] = prediction
        if "prefer" in seen.headers:
            prediction.states.clear()
            self._move(prediction)
            return _json(prediction.told, 201)
        return _json(prediction.told, 202)

    def _cancel(self, id: str) -> Reply:
        prediction = self.predictions.get(id)
        if prediction is None:
            return self.error(404, "", "not_found")
        if not prediction.ended:
            self.cancelled.append(id)
            self._end(prediction, {"status": "canceled"})
        return _json(prediction.told)

    def _upload(self, seen: Seen) -> Reply:
        parts = [part for part in seen.parts() if part.name == "content"]
        if len(parts) != 1 or parts[0].filename is None:
            return self.error(400, "Missing content")
        content = parts[0].content
        if len(content) > _LARGEST_UPLOAD:
            return self.error(413, "Files must be less than 100MB in size")
        id = f"file{len(self.uploads)}"
        self.uploads[id] = content
        checksums = {"sha256": hashlib.sha256(content).hexdigest()}
        return _json(
            {
                "id": id,
                "name": parts[0].filename,
                "content_type": parts[0].content_type,
                "size": len(content),
                "etag": id,
                "checksums": checksums,
                "metadata": {},
                "created_at": NOW,
                "expires_at": NOW,
                "urls": {"get": f"{self.base_url}/files/{id}"},
            },
            201,
        )

    # -- the life of a prediction -----------------------------------------------------------------

    def _move(self, prediction: Prediction) -> None:
        if prediction.ended:
            return
        if prediction.states:
            prediction.told |= prediction.states.pop(0)
            return
        code = prediction.fault.code or ""
        if code in ENDS:
            self._end(prediction, ENDS[code])
            return
        n = 1 if prediction.fault.images is None else prediction.fault.images
        output = self._output(prediction, n)
        if n:
            self.charge(prediction.seen, 1)
        self._end(prediction, {"status": "succeeded", "output": output})
        if code == "unheard_of":  # it worked, and is called something new
            prediction.told["status"] = "perfected"

    def _end(self, prediction: Prediction, told: State) -> None:
        prediction.ended = True
        if told.get("data_removed"):
            self.charge(prediction.seen, 1)
            prediction.told |= {"input": {}, "logs": ""}
        metrics = {"predict_time": 0.25, "total_time": 0.5, "image_count": 1}
        prediction.told |= {**told, "completed_at": NOW, "metrics": metrics}

    def _output(self, prediction: Prediction, n: int) -> Any:
        pictures = [self._picture(prediction, place) for place in range(n)]
        if self.output == "data":
            text = [base64.b64encode(one).decode() for one in pictures]
            addresses = [f"data:image/png;base64,{one}" for one in text]
        else:
            addresses = [self._deliver(prediction, one) for one in pictures]
        if self.output == "object":
            return {"images": [{"url": one, "caption": "a tile"} for one in addresses], "n": n}
        return addresses if self.output == "list" or n != 1 else addresses[0]

    def _picture(self, prediction: Prediction, place: int) -> bytes:
        fault = prediction.fault
        whole = png(f"{prediction.input.get('prompt')}|{place}")
        whole = whole if fault.image is None else fault.image
        return whole if fault.cut is None else whole[: int(len(whole) * fault.cut)]

    def _deliver(self, prediction: Prediction, content: bytes) -> str:
        path = f"/delivery/{prediction.id}/out-{len(self._files)}.png"
        if prediction.fault.code != "expired":
            self._files[path] = content
        return f"{self.url}{path}?signature=very-secret"


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, JSON, [json.dumps(value).encode()])
