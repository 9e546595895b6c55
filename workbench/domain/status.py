"""Statuses, operations and kinds of error, one line of meaning each, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from workbench.domain.arguments import shown
from workbench.errors import ErrorKind as ErrorKind  # noqa: PLC0414 - re-exported: a word of here
from workbench.errors import InvalidRequest


class Status(StrEnum):
    """Status of a generation; of a batch it is derived (see `batch_status`)."""

    PENDING = "pending"  # accepted, not yet claimable: upload, pause, retry delay
    QUEUED = "queued"  # claimable, or in the provider's queue
    PROCESSING = "processing"  # being made (or: outcome of a paid call unknown)
    COMPLETED = "completed"  # the image is stored
    FAILED = "failed"  # ended without an image; the error says why
    CANCELLED = "cancelled"  # ended because a person said so

    @property
    def is_terminal(self) -> bool:
        """True for completed, failed and cancelled: such a status never changes again."""
        return self in TERMINAL


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
ACTIVE = frozenset({Status.PENDING, Status.QUEUED, Status.PROCESSING})

# Words of other tools that are read as ours.
_SYNONYMS = {
    "success": "completed",
    "succeeded": "completed",
    "error": "failed",
    "canceled": "cancelled",
}

# Detail of a processing generation whose paid call has no known end.
OUTCOME_UNKNOWN = "outcome_unknown"


class Operation(StrEnum):
    """How a generation came to be."""

    GENERATE = "generate"
    EDIT = "edit"
    INPAINT = "inpaint"
    VARIATION = "variation"
    UPSCALE = "upscale"
    IMPORT = "import"  # an upload or a file of a folder: a completed generation without provider


class Visibility(StrEnum):
    """Who may see a topic and what is in it."""

    PRIVATE = "private"  # the owner
    TEAM = "team"  # everybody with the same team
    WORKSPACE = "workspace"  # everybody who can open the workspace


RETRYABLE = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.TRANSIENT})


@dataclass(frozen=True, slots=True)
class StatusDisplay:
    """How a status is shown: text, icon name (lucide), CSS colour and a longer description."""

    label: str
    icon: str
    color: str
    description: str


_DISPLAY: Mapping[Status, StatusDisplay] = {
    Status.PENDING: StatusDisplay("Pending", "clock", "#d99a1c", "Waiting to start"),
    Status.QUEUED: StatusDisplay("Queued", "layers", "#3b82f6", "In queue"),
    Status.PROCESSING: StatusDisplay("Processing", "loader", "#3b82f6", "Generation in progress"),
    Status.COMPLETED: StatusDisplay("Completed", "check", "#22a35a", "Generation complete"),
    Status.FAILED: StatusDisplay("Failed", "alert-circle", "#e5484d", "Generation failed"),
    Status.CANCELLED: StatusDisplay("Cancelled", "x", "#8b8d98", "Generation cancelled"),
}


def parse_status(word: str) -> Status:
    """Return the status for `word`; ``success`` and ``error`` are read as completed and failed.

    Raises
    ------
    InvalidRequest
        (a ValueError) if the word names no status.

    >>> parse_status("success").value
    'completed'
    """
    given: object = word  # callers are people: the annotation binds nobody
    text = given.strip().lower() if isinstance(given, str) else ""
    try:
        return Status(_SYNONYMS.get(text, text))
    except ValueError:
        known = ", ".join(status.value for status in Status)
        raise InvalidRequest(
            "status", f"{shown(word)} is not a status; it must be one of {known}."
        ) from None


def is_terminal(status: str) -> bool:
    """Tell whether `status` is one that never changes again.

    >>> is_terminal("completed"), is_terminal("processing")
    (True, False)
    """
    return parse_status(status).is_terminal


def generation_status_display(status: str) -> dict[str, str]:
    """Return label, icon, color and description of `status` for a badge.

    >>> generation_status_display("queued")["description"]
    'In queue'
    """
    display = _DISPLAY[parse_status(status)]
    return {
        "label": display.label,
        "icon": display.icon,
        "color": display.color,
        "description": display.description,
    }


def batch_status(statuses: Iterable[Status]) -> Status:
    """Derive the status of a batch from the latest generation of each index.

    Any active one wins in the order processing, queued, pending; else completed if any, else
    failed if any, else cancelled.

    >>> batch_status([Status.COMPLETED, Status.FAILED]).value
    'completed'
    """
    present = set(statuses)
    for status in (
        Status.PROCESSING,
        Status.QUEUED,
        Status.PENDING,
        Status.COMPLETED,
        Status.FAILED,
    ):
        if status in present:
            return status
    return Status.CANCELLED
