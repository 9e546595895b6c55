"""Every error that image-workbench raises on purpose.

A class of errors is for people: its text is a sentence that says what happened and what to do
next. Everything else that escapes is a bug and keeps its traceback.

::

    WorkbenchError
    ├── InvalidRequest            a parameter is wrong; nothing was stored or charged (ValueError)
    ├── NotFound                  no such row, or not yours (LookupError)
    ├── NotAllowed                the row is yours to see but not to change, or its state forbids it
    ├── InsufficientBalance       the ledger cannot cover the request
    │   └── BudgetExceeded        a ``with ws.budget(...)`` block would be overrun
    ├── LimitReached              a visitor has made, or waits for, as many images as allowed here
    ├── ImageRejected             the image door refused these bytes
    ├── ConfigurationError        a setting, environment variable or plugin is wrong
    ├── WrongThread               a blocking wait on a thread that must not block (RuntimeError)
    ├── ProviderError             a provider failed; carries an ErrorKind
    └── StoreError                the workspace on disk
        ├── DiskFull              no space or no inodes left; nothing was lost
        ├── WorkspaceBusy         another process holds the workspace (network file systems)
        ├── SchemaTooNew          written by a newer image-workbench
        ├── WorkspaceDamaged      integrity check failed, or the store file was replaced
        └── EngineClosed          the workspace was closed, or this is a forked child
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum


class ErrorKind(StrEnum):
    """Class of a failure: decides about retries and about the words that people read."""

    AUTH = "auth"  # key missing, wrong or without the right
    QUOTA = "quota"  # the account has no credit left
    RATE_LIMIT = "rate_limit"  # too many requests now; retried
    BLOCKED = "blocked"  # refused by a content policy; never retried by itself
    BAD_REQUEST = "bad_request"  # the provider does not accept these parameters
    TRANSIENT = "transient"  # network, overload, 5xx; retried
    UNKNOWN_OUTCOME = "unknown_outcome"  # a paid call without a known end, given up by a person
    BAD_IMAGE = "bad_image"  # what came back is not an image that the door accepts
    DISK_FULL = "disk_full"  # no space to store the picture
    POISON = "poison"  # the job took its worker down three times
    UNAVAILABLE = "unavailable"  # provider or model is not installed or not configured here
    INTERNAL = "internal"  # a bug of ours or of a plugin; traceback in the log


class WorkbenchError(Exception):
    """Root of all errors that image-workbench raises on purpose."""


class InvalidRequest(WorkbenchError, ValueError):
    """A parameter is wrong. Raised before anything is stored or charged.

    Parameters
    ----------
    field:
        Name of the parameter, as the caller wrote it (``"width"``, ``"references[0]"``).
    message:
        A sentence that says what is wrong and what would be right.
    """

    def __init__(self, field: str, message: str) -> None:
        # Half a surrogate, in a name that somebody typed, could not be printed.
        field = str(field).encode(errors="replace").decode()
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message

    def __reduce__(self) -> tuple[type[InvalidRequest], tuple[str, str]]:
        return type(self), (self.field, self.message)


class NotFound(WorkbenchError, LookupError):
    """There is no such row, or it belongs to somebody else (both look the same on purpose)."""

    def __init__(self, entity: str, id: str) -> None:
        super().__init__(f"There is no {entity} {id!r} here (or it is not shared with you).")
        self.entity = entity
        self.id = id

    def __reduce__(self) -> tuple[type[NotFound], tuple[str, str]]:
        return type(self), (self.entity, self.id)


class NotAllowed(WorkbenchError):
    """The row's owner or state forbids this action; the text says what would be possible."""


class InsufficientBalance(WorkbenchError):
    """The ledger cannot cover the request; nothing was stored and nothing reserved."""


class BudgetExceeded(InsufficientBalance):
    """The request would overrun the budget of the surrounding ``with ws.budget(...)`` block."""


class LimitReached(WorkbenchError):
    """A visitor may not ask for that many images now; nothing was stored. The text says when."""


class ImageRejected(WorkbenchError):
    """The image door refused some bytes.

    Parameters
    ----------
    message:
        A sentence for people.
    reason:
        For programs: too_large, too_many_pixels, not_an_image, format_not_allowed, truncated or
        broken.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_image_rejected, (str(self), self.reason)


def _rebuild_image_rejected(message: str, reason: str) -> ImageRejected:
    return ImageRejected(message, reason=reason)


class ConfigurationError(WorkbenchError):
    """A setting, an environment variable or a plugin is wrong; the text names it."""


class WrongThread(WorkbenchError, RuntimeError):
    """A blocking wait on the engine or dispatcher thread, which would wait for itself."""


class ProviderError(WorkbenchError):
    """A provider could not make the image.

    Parameters
    ----------
    kind:
        What class of failure it is (decides whether to retry and what people read).
    message:
        A sentence for people; never contains a key.
    retry_after_s:
        Seconds that the provider asked to wait, if it did.
    maybe_sent:
        True when the request may have reached the provider although no answer came: for a paid
        call the outcome is then unknown and the call must not be repeated blindly.
    ended:
        True when the provider says that the job itself has ended: asking for it again, or sending
        it anew by itself, makes no sense.
    charged:
        True when the provider bills the job although there is no picture (a blacked-out one).
    cost, unit:
        What it bills then, where that is known; else what was reserved counts.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        retry_after_s: float | None = None,
        maybe_sent: bool = False,
        ended: bool = False,
        charged: bool = False,
        cost: Decimal | None = None,
        unit: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_s = retry_after_s
        self.maybe_sent = maybe_sent
        self.ended = ended or charged
        self.charged = charged
        self.cost = cost
        self.unit = unit


class StoreError(WorkbenchError):
    """The workspace on disk cannot be used as it is."""


class DiskFull(StoreError):
    """No space (or no inodes) left on the workspace's disk; what was stored before is intact."""


class WorkspaceBusy(StoreError):
    """Another process holds this workspace; the text names the holder and the remedy."""


class SchemaTooNew(StoreError):
    """The workspace was written by a newer image-workbench; upgrade to open it."""


class WorkspaceDamaged(StoreError):
    """An integrity check failed, or the store file was replaced under a running engine."""


class EngineClosed(StoreError):
    """The workspace was closed, or this process is a fork of the one that opened it."""
