"""fal's queue as an emulator: jobs with states, logs, results, cancels, and a stream of states.

Each question for a job's state moves it one state further, so that tests decide how long it takes.
A job is billed as fal does it: for the pictures that it makes, whether anybody asks for them or
not; not for time in the queue, where a cancel ends it free of charge, and not for what fails.
Pictures are small coloured tiles that follow from the prompt. The official client speaks to it as
our own adapter does, so that the two agree on the dialect.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen
from workbench.testing.pictures import png

_KEY = "0123abcd-emulated:4567cdef89ab"
_UNITS = "1"  # billable, of each picture
_SECONDS = 0.25
_LARGEST_SIDE = 14_142

State = Mapping[str, Any]

# What a job goes through; its end comes after the last one.
USUAL_STATES: tuple[State, ...] = (
    {"status": "IN_QUEUE", "queue_position": 1},
    {"status": "IN_QUEUE", "queue_position": 0},
    {
        "status": "IN_PROGRESS",
        "logs": [
            {
                "message": " 50%|#####     | 2/4 [00:00<00:00, 9.9it/s]",
                "level": "INFO",
                "source": "USER",
                "timestamp": "2026-11-21T10:00:00.000Z",
            }
        ],
    },
)

_MESSAGES = {
    "content_policy_violation": "The content could not be processed because it was flagged by a "
    "content checker.",
    "no_credit": "User is locked. Reason: Exhausted balance. Top up your balance at "
    "fal.ai/dashboard/billing.",
    "not_authorized": "Cannot access application. Authentication is required, not {key}.",
}
_SIZES = frozenset(
    ("square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9")
)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "prompt": (str,),
    "negative_prompt": (str,),
    "num_inference_steps": (int,),
    "guidance_scale": (int, float),
    "seed": (int,),
    "num_images": (int,),
    "enable_safety_checker": (bool,),
    "output_format": (str,),
    "sync_mode": (bool,),
    "image_url": (str,),
    "image_urls": (list,),
    "image_size": (str, dict),
    "aspect_ratio": (str,),
    "resolution": (str,),
    "safety_tolerance": (str,),
    "raw": (bool,),
    "rendering_speed": (str,),
    "expand_prompt": (bool,),
    "style": (str,),
}
_JOB = re.compile(r"/([\w-]+/[\w.-]+)/requests/([\w-]+)(/status/stream|/status|/cancel)?")
_MODEL = re.compile(r"/((?:fal-ai|openai|google|bria)/[\w./-]+)")


@dataclass
class Job:
    """A job of the queue."""

    id: str
    app: str  # owner and alias: what the addresses of a job have of its model's path
    asked: Mapping[str, Any]
    fault: Fault
    seen: Seen
    states: list[State] = field(default_factory=list)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False
    cancelled: bool = False
    result: Mapping[str, Any] | None = None

    @property
    def wanted(self) -> int:
        """How many pictures were asked for."""
        return int(self.asked.get("num_images") or 1)

    @property
    def made(self) -> int:
        """How many there will be."""
        return self.wanted if self.fault.images is None else self.fault.images


class FalEmulator(Emulator):
    """A server that speaks fal's queue.

    Parameters
    ----------
    key:
        The key that it accepts.
    streams:
        False: it has no stream of states.
    states:
        What each job goes through before its end.
    tells_errors:
        False: states do not say that a job ended without a result; only its result does.

    Attributes
    ----------
    cancelled:
        ids of the jobs that were cancelled.

    Examples
    --------
    >>> with FalEmulator() as server:
    ...     server.base_url == server.url
    True
    """

    def __init__(
        self,
        key: str = _KEY,
        *,
        streams: bool = True,
        states: Sequence[State] = USUAL_STATES,
        tells_errors: bool = True,
    ) -> None:
        super().__init__()
        self.key = key
        self.states = tuple(states)
        self.cancelled: list[str] = []
        self.jobs: dict[str, Job] = {}
        self._streams = streams
        self._tells_errors = tells_errors
        self._files: dict[str, bytes] = {}
        self._jobs_lock = threading.RLock()

    @property
    def base_url(self) -> str:
        """What belongs into FAL_BASE_URL."""
        return self.url

    @property
    def platform_url(self) -> str:
        """Address of the other API."""
        return f"{self.url}/v1"

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error as the API has them."""
        message = _MESSAGES.get(code or "", message).format(key=self.key)
        detail: Any = message
        if status == 422:
            detail = [{"loc": ["body", "prompt"], "msg": message, "type": code or "value_error"}]
        headers = {"x-fal-request-id": f"req-{len(self.requests)}"}
        return Reply(status, JSON, [json.dumps({"detail": detail}).encode()], headers)

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Answer a question for a file, a price, a job, or take a new job."""
        parts = urlsplit(seen.path)
        if parts.path in self._files:
            return Reply(200, "image/png", [self._files[parts.path]])
        if seen.headers.get("authorization") != self.authorization:
            return self.error(401, "", "not_authorized")
        if parts.path == "/v1/models/pricing":
            return self._prices(parse_qs(parts.query))
        return self.work(seen, parts.path, fault)

    @property
    def authorization(self) -> str:
        """The header that it wants."""
        return f"Key {self.key}"

    # -- the queue --------------------------------------------------------------------------------

    def work(self, seen: Seen, path: str, fault: Fault) -> Reply:
        """Answer what concerns jobs; `path` is the address's part after the queue's own."""
        with self._jobs_lock:
            found = _JOB.fullmatch(path)
            if found is not None:
                job = self.jobs.get(found[2])
                if job is None or job.app != found[1]:
                    return self.error(404, "Request not found")
                return self._of_job(seen, job, found[3] or "", fault)
            model = _MODEL.fullmatch(path)
            if model is None or seen.method != "POST":
                return self.error(404, f"Application {path[1:]!r} not found")
            return self._taken(seen, model[1], fault)

    def _taken(self, seen: Seen, model: str, fault: Fault) -> Reply:
        job = self.job_of(seen, model, fault)
        if isinstance(job, Reply):
            return job
        self.accept(job)
        job.states = list(self.states)
        first = {"status": "IN_QUEUE", "queue_position": len(job.states)}
        return self._json(200, first | self._addresses(job))

    def accept(self, job: Job) -> None:
        """Take a job into the queue. It is worked on from now on, and what is made is billed."""
        self.jobs[job.id] = job
        if not self._failure(job) and (count := min(job.wanted, job.made)):
            self.charge(job.seen, count)

    def job_of(self, seen: Seen, model: str, fault: Fault) -> Job | Reply:
        """Return the job of a submission, or the answer to one that is none."""
        try:
            asked = seen.json()
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return self.error(422, "Input should be a valid dictionary", "model_attributes_type")
        owner, alias, *_ = model.split("/")
        job = Job(f"job-{len(self.jobs)}", f"{owner}/{alias}", asked, fault, seen)
        job.wrong = faults_in(asked, model)
        if fault.code is not None and fault.code != "nsfw":
            message = _MESSAGES.get(fault.code, "This was asked for by a test.")
            job.wrong = [{"loc": ["body", "prompt"], "msg": message, "type": fault.code}]
        return job

    def _of_job(self, seen: Seen, job: Job, what: str, fault: Fault) -> Reply:
        if what == "/cancel":
            return self._cancel(job) if seen.method == "PUT" else self.error(405, "Not allowed")
        if seen.method != "GET":
            return self.error(405, "Method Not Allowed")
        if what == "/status":
            state = self._next(job)
            return self._json(200 if job.ended else 202, state)
        if what == "/status/stream":
            if not self._streams:
                return self.error(404, "Not Found")
            return Reply(200, "text/event-stream", self._stream(job, fault), {}, streamed=True)
        if not job.ended:
            return self.error(400, "Request is still in progress")
        return self.result_of(job)

    def _cancel(self, job: Job) -> Reply:
        if job.ended:
            return self._json(400, {"status": "ALREADY_COMPLETED"})
        self.cancelled.append(job.id)
        running = bool(job.states) and job.states[0].get("status") == "IN_PROGRESS"
        if not running and job.states:
            job.cancelled = True
            job.states = []
            self.give_back(job.seen)
        return self._json(202, {"status": "CANCELLATION_REQUESTED"})

    def _next(self, job: Job) -> dict[str, Any]:
        """Move a job one state further and return it."""
        if job.states:
            state: dict[str, Any] = {"logs": None, **job.states.pop(0)}
            return state | self._addresses(job)
        self._end(job)
        state = {"status": "COMPLETED", "logs": [], "metrics": {"inference_time": _SECONDS}}
        failed = self._failure(job)
        if failed and self._tells_errors:
            state |= {"error": failed[1], "error_type": failed[2], "metrics": {}}
        return state | self._addresses(job)

    def _end(self, job: Job) -> None:
        if job.ended:
            return
        job.ended = True
        if not self._failure(job):
            job.result = self.make(job)

    def _failure(self, job: Job) -> tuple[int, str, str] | None:
        if job.cancelled:
            return 499, "Request was cancelled", "client_cancelled"
        if job.fault.in_stream is not None:
            return 503, "The runner did not get through this.", job.fault.in_stream
        return (422, "Unprocessable Entity", "") if job.wrong else None

    def make(self, job: Job) -> dict[str, Any]:
        """Make the pictures of a job and return its result."""
        count = job.made
        flagged = job.fault.code == "nsfw"
        images = []
        for place in range(count):
            path = f"/files/{job.id}-{len(self._files)}.png"
            self._files[path] = self._picture(job, place, flagged=flagged)
            url = f"{self.url}{path}?signature=very-secret"
            images.append({"url": url, "width": 24, "height": 16, "content_type": "image/png"})
        return {
            "images": images,
            "seed": job.asked.get("seed", 4_242),
            "has_nsfw_concepts": [flagged] * count,
            "prompt": job.asked["prompt"],
            "timings": {"inference": _SECONDS},
        }

    def result_of(self, job: Job) -> Reply:
        """Return the result of a job that has ended, or why it has none."""
        failed = self._failure(job)
        if failed:
            status, message, kind = failed
            body: Mapping[str, Any] = {"detail": job.wrong}
            if not job.wrong:
                body = {"detail": message, "error_type": kind}
            reply = self._json(status, body)
            more = {"x-fal-error-type": kind} if kind else {}
            return Reply(status, JSON, reply.pieces, {**reply.headers, **more})
        count = len((job.result or {}).get("images", ()))
        headers = {"x-fal-billable-units": str(int(_UNITS) * count), "x-fal-request-id": job.id}
        return Reply(200, JSON, [json.dumps(job.result).encode()], headers)

    def _picture(self, job: Job, place: int, *, flagged: bool) -> bytes:
        whole = job.fault.image
        if whole is None:
            whole = png("blacked out" if flagged else f"{job.asked['prompt']}|{place}")
        return whole if job.fault.cut is None else whole[: int(len(whole) * job.fault.cut)]

    def _stream(self, job: Job, fault: Fault) -> Iterator[bytes]:
        yield b": ping\n\n"
        while True:
            with self._jobs_lock:
                if fault.silent and not job.states:
                    return
                state = self._next(job)
            yield f"data: {json.dumps(state)}\n\n".encode()
            if job.ended:
                return

    def _addresses(self, job: Job) -> dict[str, str]:
        base = f"{self.job_home}/{job.app}/requests/{job.id}"
        return {
            "request_id": job.id,
            "response_url": base,
            "status_url": f"{base}/status",
            "cancel_url": f"{base}/cancel",
        }

    @property
    def job_home(self) -> str:
        """Where the addresses of jobs begin."""
        return self.url

    def _prices(self, query: Mapping[str, list[str]]) -> Reply:
        names = query.get("endpoint_id")
        if not names:
            error = {"type": "validation_error", "message": "endpoint_id is required"}
            return self._json(400, {"error": error})
        prices = [
            {"endpoint_id": name, "unit_price": 0.003, "unit": "megapixels", "currency": "USD"}
            for name in names[0].split(",")
        ]
        return self._json(200, {"prices": prices, "next_cursor": None, "has_more": False})

    def _json(self, status: int, value: Mapping[str, Any]) -> Reply:
        headers = {"x-fal-request-id": f"req-{len(self.requests)}"}
        return Reply(status, JSON, [json.dumps(value).encode()], headers)


def faults_in(asked: Mapping[str, Any], model: str) -> list[dict[str, Any]]:
    """Return what is wrong with the input of a model, as its errors have it.

    Fields that no model has are wrong here, though fal ignores them: they are slips of ours.
    """
    if "prompt" not in asked:
        return [_fault("Field required", "missing", "prompt")]
    return list(_wrong_types(asked)) or [
        *_wrong_size(asked.get("image_size")),
        *_wrong_counts(asked, model),
        *_wrong_images(asked, model),
    ]


def _fault(message: str, kind: str, *place: str | int) -> dict[str, Any]:
    return {"loc": ["body", *place], "msg": message, "type": kind}


def _wrong_types(asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, value in asked.items():
        kinds = _TYPES.get(name)
        if kinds is None:
            yield _fault("Extra inputs are not permitted", "extra_forbidden", name)
        elif not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            kind = kinds[0].__name__
            yield _fault(f"Input should be a valid {kind}", f"{kind}_type", name)


def _wrong_size(size: object) -> Iterator[dict[str, Any]]:
    if isinstance(size, str) and size not in _SIZES:
        yield _fault("Input should be 'square_hd', 'square', …", "enum", "image_size")
    if not isinstance(size, dict):
        return
    for side in ("width", "height"):
        value = size.get(side)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LARGEST_SIDE:
            words = f"Input should be less than or equal to {_LARGEST_SIDE}"
            yield _fault(words, "less_than_equal", "image_size", side)


def _wrong_counts(asked: Mapping[str, Any], model: str) -> Iterator[dict[str, Any]]:
    most = {"num_inference_steps": 12 if model.endswith("/schnell") else 250, "num_images": 4}
    for name, limit in most.items():
        if not 1 <= asked.get(name, 1) <= limit:
            yield _fault(f"Input should be between 1 and {limit}", "less_than_equal", name)


def _wrong_images(asked: Mapping[str, Any], model: str) -> Iterator[dict[str, Any]]:
    urls = asked.get("image_urls", [asked["image_url"]] if "image_url" in asked else [])
    if ("edit" in model or "kontext" in model) and not urls:
        yield _fault("Field required", "missing", "image_urls")
    for place, url in enumerate(urls):
        if not isinstance(url, str) or not url.startswith(("data:image/", "https://", "http://")):
            yield _fault("Input should be a valid URL", "url_parsing", "image_urls", place)
