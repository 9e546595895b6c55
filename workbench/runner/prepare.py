"""From a claimed job to what a provider is asked for, and how to go on with an open attempt."""

from __future__ import annotations

import functools
import hashlib
import json
from enum import Enum, auto

from workbench.domain.jobs import (
    AttemptState,
    Idempotency,
    IdempotencyPolicy,
    JobInput,
    JobRecord,
    JobRequest,
    OpenAttempt,
    Slot,
)
from workbench.domain.status import RETRYABLE, ErrorKind
from workbench.errors import ProviderError, WorkbenchError
from workbench.ports import Failure, Media, Provider

# A key that was accepted before is answered with its pictures, so a refusal of the request itself
# says that it never was. A wrong account, an empty one or an overload say nothing about the key.
_SAID_OF_THE_KEY = frozenset({ErrorKind.BAD_REQUEST, ErrorKind.BLOCKED, ErrorKind.BAD_IMAGE})


class NextStep(Enum):
    """What is done with an attempt that an earlier worker (or try) left without an end."""

    START = auto()  # a new submission
    RESUME = auto()  # the provider gave a reference that anybody may poll
    RESEND = auto()  # the provider honours the key: the same submission again
    LOOK_UP = auto()  # ask the provider whether it has it
    GIVE_UP = auto()  # only a person can settle it


def next_step(
    policy: IdempotencyPolicy,
    attempt: OpenAttempt | None,
    *,
    now_ms: int,
    is_wanted: bool = True,
) -> NextStep:
    """Decide how to go on with `attempt` (None: there is none).

    The age of an attempt is measured with the wall clock, since it has to survive a reboot. What
    nobody wants any more is not sent again, although a key makes that safe: if the first call never
    arrived, the second one would be charged.
    """
    if attempt is None:
        return NextStep.START
    if attempt.state is AttemptState.SUBMITTED and attempt.ref.resumable:
        return NextStep.RESUME
    if policy.kind is Idempotency.FREE:
        return NextStep.START
    if policy.kind is Idempotency.KEYED:
        age_s = (now_ms - attempt.started_at) / 1000
        is_known = is_wanted and age_s < policy.retention_s
        return NextStep.RESEND if is_known else NextStep.GIVE_UP
    if policy.kind is Idempotency.LOOKUP:
        return NextStep.LOOK_UP
    return NextStep.GIVE_UP


def is_undecided(error: ProviderError, *, polled: bool, asking: bool, resending: bool) -> bool:
    """Tell whether a paid submission may still give a picture although `error` was raised.

    A reference that can be polled again is polled again after a passing failure, never sent
    again: no adapter has to be trusted to tell a failed poll from a failed job.

    Parameters
    ----------
    error:
        What the provider raised.
    polled:
        A reference that anybody may follow was followed.
    asking:
        A look-up was under way.
    resending:
        A submission that may have been accepted was sent again.
    """
    if error.ended:
        return False
    if error.maybe_sent or asking:
        return True
    if resending and error.kind not in _SAID_OF_THE_KEY:
        return True
    return polled and error.kind in RETRYABLE


def quiet_s(policy: IdempotencyPolicy, attempt: OpenAttempt, *, now_ms: int) -> float:
    """Seconds until "the provider does not have it" means "it was never sent" (0: it does)."""
    last_sent = max(attempt.started_at, attempt.sent_at or 0)
    return max(0.0, policy.quiet_s - (now_ms - last_sent) / 1000)


def build_request(job: JobRecord, *, key: str, slots: tuple[Slot, ...], media: Media) -> JobRequest:
    """Return the request of `job` for the given slots; input images are read when asked for."""
    return JobRequest(
        key=key,
        model=job.model.removeprefix(f"{job.provider}:"),
        operation=job.operation,
        prompt=job.prompt,
        negative_prompt=job.negative_prompt,
        width=job.width,
        height=job.height,
        params=job.params,
        slots=slots,
        inputs=tuple(
            JobInput(asset_id, role, position, mime, functools.partial(_read, media, asset_id))
            for asset_id, role, position, mime in job.inputs
        ),
    )


def _read(media: Media, asset_id: str) -> bytes:
    """Read an image that goes in; one that is gone is nobody's bug, and nothing was sent."""
    try:
        return media.read(asset_id)
    except (WorkbenchError, OSError) as error:
        raise ProviderError(
            ErrorKind.BAD_REQUEST, f"An image that goes in cannot be read: {error}"
        ) from error


def request_sha(request: JobRequest) -> str:
    """Return the SHA-256 (hex) of all that is asked for; the key is not part of it."""
    asked: dict[str, object] = {
        "model": request.model,
        "operation": request.operation.value,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "width": request.width,
        "height": request.height,
        "params": dict(request.params),
        "slots": [[slot.index, slot.seed] for slot in request.slots],
        "inputs": [[one.asset_id, one.role, one.position] for one in request.inputs],
    }
    text = json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def unavailable(provider: Provider, model: str) -> Failure | None:
    """Return why `provider` cannot be asked for `model` here, or None. It may block."""
    state = provider.state()
    if not state.ready:
        text = state.message or f"{provider.title} is not ready here."
        return Failure(ErrorKind.UNAVAILABLE, "provider", {"text": text})
    name = model.removeprefix(f"{provider.name}:")
    for offered in provider.models():
        if model == offered.id or name == offered.name or name in offered.aliases:
            return None
    return Failure(ErrorKind.UNAVAILABLE, "unavailable", {"model": model})
