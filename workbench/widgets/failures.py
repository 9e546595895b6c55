"""Errors as a page gets them: a code for the program, a sentence for people, perhaps a field."""

from __future__ import annotations

import os
from typing import Any

from workbench.errors import (
    BudgetExceeded,
    ConfigurationError,
    DiskFull,
    EngineClosed,
    ImageRejected,
    InsufficientBalance,
    InvalidRequest,
    LimitReached,
    NotAllowed,
    NotFound,
    ProviderError,
    StoreError,
    WorkbenchError,
    WorkspaceBusy,
)
from workbench.workspace.identity import MODE_VARIABLE

# The first class that fits decides.
_CODES: tuple[tuple[type[WorkbenchError], str], ...] = (
    (InvalidRequest, "invalid_request"),
    (NotFound, "not_found"),
    (NotAllowed, "not_allowed"),
    (BudgetExceeded, "budget_exceeded"),
    (InsufficientBalance, "insufficient_balance"),
    (LimitReached, "limit_reached"),
    (ImageRejected, "invalid_request"),
    (ConfigurationError, "invalid_request"),
    (ProviderError, "provider"),
    (DiskFull, "disk_full"),
    (WorkspaceBusy, "busy"),
    (EngineClosed, "closed"),
)
# What a person should read even if it was not their own click that failed.
FOR_EVERYBODY = frozenset(("disk_full", "busy"))

_FAULT = "That did not work because of an error inside image-workbench. "
_LOG = "The event log (print(ws.debug)) has the details."
_OPERATOR = "Whoever runs it finds why in the log."

# For people who only visit: these errors name folders and settings. The log has them.
_PUBLIC: tuple[tuple[type[WorkbenchError], str], ...] = (
    (EngineClosed, "What this page shows was closed. Load the page again."),
    (WorkspaceBusy, "Another program has the workspace just now. Try again in a minute."),
    (DiskFull, "There is no disk space left here. Try again later."),
    (StoreError, "The workspace cannot be used just now. Whoever runs it finds why in the log."),
    (ConfigurationError, "This is not set up correctly. Whoever runs it finds why in the log."),
)

DISK_WAIT = "There is no disk space left. Pictures wait until some is free."


def failure(error: WorkbenchError) -> dict[str, Any]:
    """Return what a page is told about an error that was raised on purpose.

    >>> failure(InvalidRequest("width", "must be a multiple of 8."))
    {'code': 'invalid_request', 'message': 'must be a multiple of 8.', 'field': 'width'}
    """
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "internal")
    if isinstance(error, InvalidRequest):
        return refusal(code, error.message, error.field)
    return refusal(code, words(error))


def words(error: WorkbenchError, for_visitors: str | None = None) -> str:
    """Return the sentence about an error: its own, or one for mere visitors that gives less away.

    What has none of those has `for_visitors`, if that is given.
    """
    if not _public():
        return str(error)
    fitting = (sentence for kind, sentence in _PUBLIC if isinstance(error, kind))
    return next(fitting, for_visitors or str(error))


def internal() -> dict[str, Any]:
    """Return the error of an answer that a fault of ours kept away."""
    return refusal("internal", _FAULT + (_OPERATOR if _public() else _LOG))


def _public() -> bool:
    return os.environ.get(MODE_VARIABLE) in ("header", "anonymous")


def refusal(code: str, message: str, field: str | None = None) -> dict[str, Any]:
    """Return the error of an answer."""
    return {"code": code, "message": message, "field": field}
