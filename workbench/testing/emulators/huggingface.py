"""Hugging Face's router as an emulator: its own machines, fal, Replicate and Together behind it.

Also what its official client asks the Hub for, so that this client speaks to it unchanged.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from workbench.testing.emulators.fal import USUAL_STATES, FalEmulator, State
from workbench.testing.emulators.server import JSON, Fault, Reply, Seen
from workbench.testing.pictures import png

_TOKEN = "hf_emulatedtoken0123456789"  # noqa: S105 - of nobody
_FAL_HOME = "https://queue.fal.run"

# The partner's name of a model and its task, by the model and the partner.
MAPPING: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "black-forest-labs/FLUX.1-schnell": {
        "hf-inference": ("black-forest-labs/FLUX.1-schnell", "text-to-image"),
        "fal-ai": ("fal-ai/flux/schnell", "text-to-image"),
        "replicate": ("black-forest-labs/flux-schnell", "text-to-image"),
        "together": ("black-forest-labs/FLUX.1-schnell", "text-to-image"),
    },
    "black-forest-labs/FLUX.2-dev": {"fal-ai": ("fal-ai/flux-2/edit", "image-to-image")},
}

_OWN = re.compile(r"/hf-inference/models/([\w.-]+/[\w.-]+)")
_FAL = re.compile(r"/fal-ai(/.+)")
_PREDICT = re.compile(r"/replicate/v1/models/([\w.-]+/[\w.-]+)/predictions")
_PREDICTION = re.compile(r"/replicate/v1/predictions/([\w-]+)")
_TOGETHER = "/together/v1/images/generations"
_HUB_MODEL = re.compile(r"/api/models/([\w.-]+/[\w.-]+)")

_NUMBERS = {"width": int, "height": int, "num_inference_steps": int, "steps": int, "seed": int}
_OTHERS = frozenset(("negative_prompt", "guidance_scale", "scheduler")) | frozenset(
    ("aspect_ratio", "output_format", "reference_images")
)
_MESSAGES = {
    "nsfw_words": "NSFW content detected. Try running it again, or try a different prompt.",
    "no_credit": "You have exceeded your monthly included credits for Inference Providers.",
    "not_authorized": "Invalid username or password: {key}.",
}


class HuggingFaceEmulator(FalEmulator):
    """A server that speaks as Hugging Face's router does.

    Parameters
    ----------
    key:
        The token that it accepts.
    states:
        What each job of fal's queue goes through before its end.
    predictions:
        How often a prediction is asked for until it is done; 0: it is done at once.
    tells_predictions:
        False: the router does not pass questions for predictions on.

    Examples
    --------
    >>> with HuggingFaceEmulator() as server:
    ...     server.key.startswith("hf_")
    True
    """

    def __init__(
        self,
        key: str = _TOKEN,
        *,
        states: Sequence[State] = USUAL_STATES,
        predictions: int = 0,
        tells_predictions: bool = True,
    ) -> None:
        super().__init__(key, states=states, streams=False)
        self.predictions = predictions
        self._tells_predictions = tells_predictions
        self._predicted: dict[str, tuple[Seen, Fault, int]] = {}

    @property
    def authorization(self) -> str:
        """The header that it wants."""
        return f"Bearer {self.key}"

    @property
    def job_home(self) -> str:
        """Where the addresses of jobs begin: at fal, though that takes no token of the Hub."""
        return _FAL_HOME

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error as the router has them."""
        message = _MESSAGES.get(code or "", message).format(key=self.key)
        return Reply(status, JSON, [json.dumps({"error": message}).encode()])

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Pass a request on."""
        parts = urlsplit(seen.path)
        if parts.path in self._files:
            return Reply(200, "image/png", [self._files[parts.path]])
        if found := _HUB_MODEL.fullmatch(parts.path):
            return self._about(found[1])  # to anybody
        if seen.headers.get("authorization") != self.authorization:
            return self.error(401, "", "not_authorized")
        if seen.method == "GET":
            return self._told(seen, parts.path, parts.query, fault)
        if found := _FAL.fullmatch(parts.path):
            return self._fal(seen, found[1], parts.query, fault)
        try:
            asked = seen.json()
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return self.error(400, "The body is no JSON object.")
        if found := _OWN.fullmatch(parts.path):
            return self._own(seen, asked, fault)
        if found := _PREDICT.fullmatch(parts.path):
            return self._predict(seen, asked, fault)
        if parts.path == _TOGETHER:
            return self._together(seen, asked, fault)
        return self.error(404, "Not Found")

    def _told(self, seen: Seen, path: str, query: str, fault: Fault) -> Reply:
        if path == "/api/whoami-v2":
            return self._json(200, {"type": "user", "name": "ada"})
        if found := _PREDICTION.fullmatch(path):
            if self._tells_predictions and found[1] in self._predicted:
                return self._prediction(found[1])
        elif found := _FAL.fullmatch(path):
            return self._fal(seen, found[1], query, fault)
        return self.error(404, "Not Found")

    def _about(self, model: str) -> Reply:
        mapping = {
            partner: {"status": "live", "providerId": id, "task": task}
            for partner, (id, task) in MAPPING.get(model, {}).items()
        }
        about: dict[str, Any] = {"id": model, "pipeline_tag": "text-to-image", "tags": []}
        return self._json(200, {**about, "inferenceProviderMapping": mapping})

    # -- partners ---------------------------------------------------------------------------------

    def _own(self, seen: Seen, asked: Mapping[str, Any], fault: Fault) -> Reply:
        parameters = asked.get("parameters", {})
        wrong = _wrong(parameters, asked.get("inputs"), "inputs")
        if set(asked) - {"inputs", "parameters"} or not isinstance(parameters, dict):
            wrong = "The body has fields besides inputs and parameters."
        if wrong:
            return self.error(400, wrong)
        self.charge(seen, 1)
        return Reply(200, "image/png", [_picture(asked["inputs"], fault)])

    def _fal(self, seen: Seen, path: str, query: str, fault: Fault) -> Reply:
        if query.partition("&")[0] == "_subdomain=queue":
            return self.work(seen, path, fault)
        if seen.method != "POST":
            return self.error(404, "Not Found")
        job = self.job_of(seen, path[1:], fault)
        if isinstance(job, Reply):
            return job
        with self._jobs_lock:
            self.accept(job)
            self._end(job)
        return self.result_of(job)

    def _together(self, seen: Seen, asked: Mapping[str, Any], fault: Fault) -> Reply:
        rest = {k: v for k, v in asked.items() if k not in ("prompt", "model", "response_format")}
        wrong = _wrong(rest, asked.get("prompt"), "prompt")
        if not isinstance(asked.get("model"), str) or asked.get("response_format") != "base64":
            wrong = "model and response_format are needed."
        if wrong:
            return self._json(400, {"error": {"message": wrong, "type": "invalid_request_error"}})
        count = 1 if fault.images is None else fault.images
        if count:
            self.charge(seen, 1)
        text = base64.b64encode(_picture(asked["prompt"], fault)).decode()
        data = [{"index": place, "type": "b64_json", "b64_json": text} for place in range(count)]
        return self._json(200, {"id": "o1", "object": "list", "data": data})

    def _predict(self, seen: Seen, asked: Mapping[str, Any], fault: Fault) -> Reply:
        given = asked.get("input")
        if not isinstance(given, dict):
            return self._json(422, {"title": "Invalid", "detail": "- input is required"})
        rest = {name: value for name, value in given.items() if name != "prompt"}
        wrong = _wrong(rest, given.get("prompt"), "prompt")
        if wrong:
            return self._json(422, {"title": "Input validation failed", "detail": f"- {wrong}"})
        id = f"prediction{len(self._predicted)}"
        self._predicted[id] = (seen, fault, self.predictions)
        return self._prediction(id, status=201)

    def _prediction(self, id: str, *, status: int = 200) -> Reply:
        seen, fault, left = self._predicted[id]
        answer: dict[str, Any] = {
            "id": id,
            "status": "processing",
            "output": None,
            "error": None,
            "logs": " 50%|#####     | 2/4 [00:00<00:00, 9.9it/s]",
            "urls": {"get": f"https://api.replicate.com/v1/predictions/{id}"},
        }
        if left > 0:
            self._predicted[id] = (seen, fault, left - 1)
        elif fault.code is not None:
            answer |= {"status": "failed", "error": _MESSAGES.get(fault.code, fault.code)}
        else:
            path = f"/files/{id}.png"
            if path not in self._files:
                self.charge(seen, 1)
                self._files[path] = _picture(seen.json()["input"]["prompt"], fault)
            count = 1 if fault.images is None else fault.images
            answer |= {"status": "succeeded", "output": [f"{self.url}{path}"] * count}
        return self._json(status, answer)


def _wrong(fields: Mapping[str, Any], prompt: object, name: str) -> str:
    if not isinstance(prompt, str) or not prompt:
        return f"{name} is needed."
    for field, value in fields.items():
        kind = _NUMBERS.get(field)
        if kind is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            return f"{field} must be a number."
        if kind is None and field not in _OTHERS:
            return f"{field} is not known."
    return ""


def _picture(prompt: str, fault: Fault) -> bytes:
    whole = png(f"{prompt}|0") if fault.image is None else fault.image
    return whole if fault.cut is None else whole[: int(len(whole) * fault.cut)]
