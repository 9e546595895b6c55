"""The one job protocol between the runner and every provider.

::

    submit(request) -> JobRef              stored before anything is waited for
    events(request, ref) -> async iterator Queued | Running | Partial | Log | ImageReady | Done
    cancel(ref)                            best effort
    lookup(request) -> JobRef | None       only where idempotency is LOOKUP

A failure is a raised `workbench.errors.ProviderError`. ``events`` of a resumable reference may be
called again by another process after a crash; a provider without remote ids does the work in
``events`` and returns a reference without an id from ``submit``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from workbench.domain.records import Json, JsonValue
from workbench.domain.status import Operation


class Idempotency(StrEnum):
    """What may be done with a call whose end is not known (the process died, no reply came)."""

    FREE = "free"  # costs nothing outside and may be run again from the start
    KEYED = "keyed"  # the provider honours our key: sending it again is safe within `retention_s`
    LOOKUP = "lookup"  # the provider can be asked whether it has the job
    NONE = "none"  # neither: only a person can settle it


@dataclass(frozen=True, slots=True)
class IdempotencyPolicy:
    """A provider's idempotency.

    `retention_s`: how long the provider remembers keys (KEYED). `quiet_s`: how long after sending
    an absent job may still turn up (LOOKUP); after that, absent means not sent.
    """

    kind: Idempotency
    retention_s: float = 0.0
    quiet_s: float = 60.0


FREE = IdempotencyPolicy(Idempotency.FREE)


@dataclass(frozen=True, slots=True)
class Slot:
    """One image to be made: its generation, its place in the batch, the seed to be sent."""

    generation_id: str
    index: int
    seed: int | None
    is_retry: bool = False  # a person asked for another try of a failed or cancelled one


@dataclass(frozen=True, slots=True)
class JobInput:
    """An image that goes in. `read` returns the stored bytes; it may block for milliseconds."""

    asset_id: str
    role: str  # reference | source | mask
    position: int
    mime: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a provider is asked for. `key` is the same for every resend of the same attempt."""

    key: str
    model: str  # the model's name within the provider
    operation: Operation
    prompt: str
    negative_prompt: str | None
    width: int | None
    height: int | None
    params: Mapping[str, JsonValue]
    slots: tuple[Slot, ...]
    inputs: tuple[JobInput, ...] = ()


@dataclass(frozen=True, slots=True)
class JobRef:
    """What a provider gave for a submitted job; `data` holds poll and cancel addresses and more."""

    remote_id: str | None = None
    resumable: bool = False
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queued:
    """In the provider's queue (position 1 = next), if it says so."""

    position: int | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """Being made: `step` of `total` done for the slot at `index` (None: for all)."""

    step: int = 0
    total: int | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Partial:
    """A preview of the slot at `index`: encoded image bytes, small (≤ 256 kB)."""

    data: bytes
    index: int


@dataclass(frozen=True, slots=True)
class Log:
    """A remark: for the event log, or (with `key`) shown as the generation's detail."""

    text: str
    index: int | None = None
    key: str | None = None
    args: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageReady:
    """The finished image of the slot at `index`, as the provider gave it.

    `cost`: what this image alone was charged, in `unit`, if the provider says so by now.
    """

    data: bytes
    index: int
    seed: int | None = None
    prompt_sent: str | None = None
    detail_key: str | None = None
    detail_args: Json = field(default_factory=dict)
    cost: Decimal | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The job ended. `cost` is what the provider charged for all images, in `unit`, if it says."""

    cost: Decimal | None = None
    unit: str | None = None
    usage: Json = field(default_factory=dict)


JobEvent = Queued | Running | Partial | Log | ImageReady | Done


class AttemptState(StrEnum):
    """State of one submission."""

    INTENT = "intent"  # written before sending: from here on it may have been sent
    SUBMITTED = "submitted"  # the reference is stored
    DONE = "done"  # ended with its images
    FAILED = "failed"  # the provider (or we) ended it without
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # nobody knows
    ABANDONED = "abandoned"  # its worker died and the work was started anew


class JobState(StrEnum):
    """State of a job (a unit of work for a provider with one or more generations)."""

    HELD = "held"  # not claimable: paused, waiting for a time, or for an upload
    QUEUED = "queued"
    RUNNING = "running"
    UNKNOWN = "unknown"  # a paid call without a known end; waits for a person
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A claimed job with all that a runner needs to run it.

    `slots` are the images still to be made; with an open attempt, all that were asked for in it
    (a resend repeats the request), whether they have come home or not.
    """

    id: str
    seq: int
    batch_id: str
    topic_id: str
    provider: str
    model: str
    operation: Operation
    lane: str
    owner: str
    attempt: int
    deaths: int
    tries: int
    runner_id: str
    prompt: str
    negative_prompt: str | None
    width: int | None
    height: int | None
    params: Json
    slots: tuple[Slot, ...]
    inputs: tuple[tuple[str, str, int, str], ...]  # asset_id, role, position, mime
    open_attempt: OpenAttempt | None

    @property
    def fence(self) -> Fence:
        """What every later write must present."""
        return Fence(self.id, self.runner_id, self.attempt)


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt that an earlier worker left without an end (it died or was closed)."""

    id: str
    key: str
    state: AttemptState
    ref: JobRef
    sent_at: int | None
    started_at: int


@dataclass(frozen=True, slots=True)
class Fence:
    """Owner and attempt of a claim. A write with a stale fence changes nothing."""

    job_id: str
    runner_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Progress:
    """A coalesced step of progress of one generation."""

    generation_id: str
    fraction: float  # 0..1
    step: int | None = None
    total: int | None = None
    detail_key: str | None = None
    detail_args: Json = field(default_factory=dict)
    preview: int | None = None  # number of the newest stored preview
    queued: bool = False  # True: in the provider's queue
