"""Errors as a page gets them: a code for the program, a sentence for people, perhaps a field."""

from __future__ import annotations

from typing import Any

from workbench.errors import (
    BudgetExceeded,
    ConfigurationError,
    DiskFull,
    EngineClosed,
    ImageRejected,
    InsufficientBalance,
    InvalidRequest,
    NotAllowed,
    NotFound,
    ProviderError,
    WorkbenchError,
    WorkspaceBusy,
)

# The first class that fits decides.
_CODES: tuple[tuple[type[WorkbenchError], str], ...] = (
    (InvalidRequest, "invalid_request"),
    (NotFound, "not_found"),
    (NotAllowed, "not_allowed"),
    (BudgetExceeded, "budget_exceeded"),
    (InsufficientBalance, "insufficient_balance"),
    (ImageRejected, "invalid_request"),
    (ConfigurationError, "invalid_request"),
    (ProviderError, "provider"),
    (DiskFull, "disk_full"),
    (WorkspaceBusy, "busy"),
    (EngineClosed, "closed"),
)
# What a person should read even if it was not their own click that failed.
FOR_EVERYBODY = frozenset(("disk_full", "busy"))

INTERNAL = (
    "That did not work because of an error inside image-workbench. "
    "The event log (print(ws.debug)) has the details."
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
    return refusal(code, str(error))


def refusal(code: str, message: str, field: str | None = None) -> dict[str, Any]:
    """Return the error of an answer."""
    return {"code": code, "message": message, "field": field}
