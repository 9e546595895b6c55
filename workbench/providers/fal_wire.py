"""Requests and answers of fal's queue: what is sent, and how replies are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from workbench.domain.jobs import JobEvent, JobRequest, Log, Queued, Running, Slot
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.providers.catalogue import Entry
from workbench.providers.failures import NOTHING_SAID, Said

MOST_UNITS = Decimal(100_000)  # of one picture; more is no count
_MOST_LOGS = 20  # lines of a runner's log that are passed on for one job
_MOST_FAULTS = 3  # wrong fields that one sentence names
_QUEUED, _RUNNING, _ENDED = "IN_QUEUE", "IN_PROGRESS", "COMPLETED"
# Not in fal's documents, but sent by gateways in front of it: the job is over, without a picture.
_FAILED = frozenset({"FAILED", "ERROR", "CANCELED", "CANCELLED"})
# A line of tqdm, which most runners write: " 50%|#####     | 14/28 [00:01<00:01, 9.9it/s]".
_STEPS = re.compile(r"\b\d{1,3}%\|[^|]*\|\s*(\d{1,6})/(\d{1,6})\b")

# Types of errors that say more than the status does (fal's pages "Model Errors" and "Request
# Error Types").
_TYPES = {
    "content_policy_violation": ErrorKind.BLOCKED,
    "no_media_generated": ErrorKind.BLOCKED,
    "internal_server_error": ErrorKind.TRANSIENT,
    "generation_timeout": ErrorKind.TRANSIENT,
    "downstream_service_error": ErrorKind.TRANSIENT,
    "downstream_service_unavailable": ErrorKind.TRANSIENT,
    "request_timeout": ErrorKind.TRANSIENT,
    "startup_timeout": ErrorKind.TRANSIENT,
    "bad_request": ErrorKind.BAD_REQUEST,
}
# An empty account is told with status 403 and these words.
_NO_CREDIT = re.compile(r"(?i)exhausted balance|insufficient (?:balance|credit|funds)|top[_ ]up")


@dataclass(frozen=True, slots=True)
class Status:
    """What a status object says.

    Attributes
    ----------
    name:
        As it came.
    ended:
        The job is over.
    position:
        How many are before it in the queue.
    step, total:
        Steps done, as the newest line of progress in its log says.
    lines:
        Time and text of the other lines of its log.
    error, error_type:
        Why there is no picture, where that is said.
    seconds:
        What the model took, as it came.
    """

    name: str
    ended: bool = False
    position: int | None = None
    step: int = 0
    total: int | None = None
    lines: tuple[tuple[str, str], ...] = ()
    error: str | None = None
    error_type: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture: where it is, and whether a checker blacked it out."""

    url: str
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished job made; `lost`: it does not say that, in words that are known here."""

    pictures: tuple[Picture, ...] = ()
    seed: int | None = None
    prompt: str | None = None
    lost: bool = False


def body_of(
    request: JobRequest, slot: Slot, entry: Entry, images: Sequence[str]
) -> dict[str, JsonValue]:
    """Return the input of a model for one picture.

    Parameters
    ----------
    request, slot:
        What is asked for.
    entry:
        The model's; in its "send" are "size" ("image_size": width and height in one object,
        "sides": as two fields), "names" (of our parameters at the model), "image" (name of the
        field for images that go in) and "image_list" (whether that takes several).
    images:
        Those images, as addresses.
    """
    send = entry.send
    body: dict[str, JsonValue] = {"prompt": request.prompt}
    if request.negative_prompt and entry.model.negative_prompt:
        body["negative_prompt"] = request.negative_prompt
    names = send.get("names", {})
    for name, value in request.params.items():
        if value is not None:
            body[names.get(name, name)] = value
    if request.width is not None and request.height is not None:
        sides: dict[str, JsonValue] = {"width": request.width, "height": request.height}
        body |= sides if send.get("size") == "sides" else {"image_size": sides}
    if slot.seed is not None and entry.model.seeds:
        body["seed"] = slot.seed
    if images:
        several = bool(send.get("image_list"))
        body[send["image"]] = list(images) if several else images[0]
    return body


def status_of(value: Mapping[str, Any]) -> Status:
    """Read a status object. One with an unknown name counts as running, unless it has an error."""
    name = str(value.get("status") or "")
    error = value.get("error")
    told = error if isinstance(error, str) and error else None
    if error and told is None:
        told = _words_in(error)
    if name in _FAILED and told is None:
        told = name.lower()
    ended = name == _ENDED or name in _FAILED or (told is not None and name != _QUEUED)
    step, total, lines = _log_of(value.get("logs"))
    position = value.get("queue_position")
    metrics = value.get("metrics")
    seconds = metrics.get("inference_time") if isinstance(metrics, dict) else None
    return Status(
        name,
        ended,
        position if name == _QUEUED and _is_count(position) else None,
        step,
        total,
        lines,
        told,
        str(value.get("error_type") or ""),
        float(seconds) if isinstance(seconds, (int, float)) and 0 <= seconds < 1e6 else None,
    )


def _log_of(logs: object) -> tuple[int, int | None, tuple[tuple[str, str], ...]]:
    step, total = 0, None
    lines: list[tuple[str, str]] = []
    for entry in logs if isinstance(logs, list) else ():
        text = entry.get("message") if isinstance(entry, dict) else None
        if not isinstance(text, str):
            continue
        found = steps_in(text)
        if found is not None:
            step, total = found
        elif text.strip():
            lines.append((str(entry.get("timestamp") or ""), text))
    return step, total or None, tuple(lines)


def steps_in(text: str) -> tuple[int, int] | None:
    """Return the steps done and their number by the last line of progress in a log, if it has one.

    >>> steps_in(" 50%|#####     | 14/28 [00:01<00:01, 9.9it/s]")
    (14, 28)
    """
    found = _STEPS.findall(text)
    return (int(found[-1][0]), int(found[-1][1])) if found else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9


class Progress:
    """Turns statuses into events: what is new in each.

    Statuses may repeat themselves and bring the whole log each time.

    Parameters
    ----------
    index:
        The picture's place in its batch.

    Examples
    --------
    >>> progress = Progress(0)
    >>> list(progress.events(Status("IN_QUEUE", position=2)))
    [Queued(position=3)]
    >>> list(progress.events(Status("IN_QUEUE", position=2)))
    []
    """

    def __init__(self, index: int) -> None:
        self._index = index
        self._last: JobEvent | None = None
        self._known: set[tuple[str, str]] = set()

    def events(self, status: Status) -> Iterator[JobEvent]:
        """Yield what a status says that was not known."""
        event: JobEvent = Running(status.step, status.total, self._index)
        if status.name == _QUEUED:
            # fal counts those before it, the workbench counts places.
            event = Queued(None if status.position is None else status.position + 1)
        if event != self._last and not status.ended:
            self._last = event
            yield event
        for line in status.lines:
            if line not in self._known and len(self._known) < _MOST_LOGS:
                self._known.add(line)
                yield Log(line[1], self._index)


def result_of(value: object) -> Result:
    """Read what a finished job made; pictures in ``images`` or ``image``, in their order."""
    if not isinstance(value, dict):
        return Result(lost=True)
    made = value.get("images")
    given = "images" in value or "image" in value
    if made is None:
        made = [] if value.get("image") is None else [value["image"]]
    flags = value.get("has_nsfw_concepts")
    pictures = []
    for place, entry in enumerate(made if isinstance(made, list) else ()):
        url = entry.get("url") if isinstance(entry, dict) else entry
        if isinstance(url, str) and url:
            flagged = isinstance(flags, list) and place < len(flags) and flags[place] is True
            pictures.append(Picture(url, flagged))
    seed = value.get("seed")
    prompt = value.get("prompt")
    return Result(
        tuple(pictures),
        seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
        prompt if isinstance(prompt, str) and prompt else None,
        lost=not pictures and not (given and made == []),
    )


def said_by(value: object) -> Said:
    """Read the JSON of an error, of fal's three shapes.

    A model's is ``{"detail": [{"loc": …, "msg": …, "type": …}]}``, the platform's has a text in
    "detail" and perhaps "error_type", and that of fal's other API is ``{"error": {…}}``.

    >>> said_by({"detail": [{"loc": ["body", "seed"], "msg": "must be a number.", "type": "x"}]})
    Said(words='seed: must be a number.', kind=None, retry_after_s=None)
    """
    if not isinstance(value, dict):
        return NOTHING_SAID
    detail = value.get("detail")
    if isinstance(detail, list):
        faults = [one for one in detail if isinstance(one, dict)]
        kinds = [_TYPES.get(str(one.get("type") or "")) for one in faults]
        words = "; ".join(_fault(one) for one in faults[:_MOST_FAULTS])
        return Said(words, ErrorKind.BLOCKED if ErrorKind.BLOCKED in kinds else (*kinds, None)[0])
    words = _words_in(detail or value.get("error"))
    if _NO_CREDIT.search(words):
        return Said(words, ErrorKind.QUOTA)
    return Said(words, _TYPES.get(str(value.get("error_type") or "")))


def kind_of(error_type: str) -> ErrorKind:
    """Return the kind of a job's failure by its type; one that is not known counts as passing."""
    return _TYPES.get(error_type, ErrorKind.TRANSIENT)


def _fault(one: Mapping[str, Any]) -> str:
    place = one.get("loc")
    steps = [str(step) for step in place] if isinstance(place, list) else []
    name = ".".join(steps[1:] if steps[:1] == ["body"] else steps)
    words = _words_in(one.get("msg"))
    return f"{name}: {words}" if name else words


def _words_in(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("message") or value.get("msg") or value.get("detail")
    return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Bill:
    """What a finished job counted: billable units, and their price where that is known."""

    units: Decimal | None = None
    usd: Decimal | None = None
    usage: dict[str, JsonValue] = field(default_factory=dict)


def bill_of(headers: Mapping[str, str], entry: Entry) -> Bill:
    """Read the bill of an answer's headers (names in lower case)."""
    units: Decimal | None
    try:
        units = Decimal(headers.get("x-fal-billable-units", ""))
    except InvalidOperation:
        units = None
    if units is None or not units.is_finite() or not 0 <= units < MOST_UNITS:
        return Bill()
    # The header counts in whatever unit the model is priced in.
    price = entry.send.get("usd_per_unit")
    usd = None if price is None else units * Decimal(str(price))
    return Bill(units, usd, {"billable_units": str(units)})


def with_part(url: str, part: str = "", query: str = "") -> str:
    """Return an address with a piece added to its path, and to its query.

    >>> with_part("https://queue.fal.run/a/status?x=1", "/stream", "logs=1")
    'https://queue.fal.run/a/status/stream?x=1&logs=1'
    """
    parts = urlsplit(url)
    queries = "&".join(one for one in (parts.query, query) if one)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path}{part}", queries, ""))
