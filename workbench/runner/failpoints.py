"""Named points at which tests let the process die. Nothing else in the product knows of tests.

``WORKBENCH_FAILPOINT="name[:n][=kill|raise|stop]"`` arms one point (several: comma-separated):
at its n-th hit (default: the first) the process kills itself with SIGKILL, raises
`FailpointReached`, or stops itself with SIGSTOP. Unarmed, a point costs one dictionary look-up.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from workbench.errors import ConfigurationError

ENVIRONMENT_VARIABLE = "WORKBENCH_FAILPOINT"

# In the order in which a paid job passes them; then those off the straight path.
FAILPOINTS: tuple[tuple[str, str], ...] = (
    ("after_claim", "the job is ours, nothing else has happened"),
    ("before_intent", "about to write the attempt row"),
    ("after_intent", "the attempt row is durable, nothing was sent"),
    ("after_send", "the provider has answered, its reference is in memory only"),
    ("after_submitted", "the reference is durable, nothing was polled"),
    ("after_image", "a picture is in memory only"),
    ("after_file", "its file is stored, its row is not"),
    ("after_complete", "its row, settlement and change are durable"),
    ("before_finish", "the provider is done, the job is not ended"),
    ("after_finish", "the job is ended, its attempt row is not"),
    ("before_retry", "a failure that may be retried, the job is still running"),
    ("after_retry", "the job is held for its retry"),
    ("before_fail", "a final failure, nothing written"),
    ("after_fail", "the failure is durable, the job is not ended"),
    ("after_unknown", "the outcome is marked as unknown"),
    ("before_resume", "an open attempt of an earlier worker was found"),
    ("after_late", "a late picture was adopted"),
    ("after_takeover", "jobs of a dead worker are queued again"),
)
_NAMES = frozenset(name for name, _ in FAILPOINTS)
_ACTIONS = ("kill", "raise", "stop")


class FailpointReached(RuntimeError):
    """Raised by a failpoint armed with ``=raise``."""


@dataclass(slots=True)
class _Armed:
    hits_left: int
    action: str


_armed: dict[str, _Armed] = {}


def failpoint(name: str) -> None:
    """Do what the armed point `name` says, or nothing."""
    if name in _armed:
        _reach(name)


def arm(specification: str) -> None:
    """Arm the points of `specification` instead of those that were armed ("": none).

    Raises
    ------
    ConfigurationError
        it names no failpoint or no action.

    >>> arm("after_file:2=raise"); arm("")
    """
    points: dict[str, _Armed] = {}
    for part in filter(None, (text.strip() for text in specification.split(","))):
        where, _, action = part.partition("=")
        name, _, hits = where.partition(":")
        action = action or "kill"
        if name not in _NAMES or action not in _ACTIONS or not (hits or "1").isdecimal():
            known = ", ".join(known for known, _ in FAILPOINTS)
            raise ConfigurationError(
                f"{ENVIRONMENT_VARIABLE}={part!r} is not name[:n][=kill|raise|stop] "
                f"with one of these names: {known}."
            )
        points[name] = _Armed(max(1, int(hits or "1")), action)
    _armed.clear()
    _armed.update(points)


def arm_from_environment() -> None:
    """Arm what the environment says, if it says something."""
    if specification := os.environ.get(ENVIRONMENT_VARIABLE):
        arm(specification)


def _reach(name: str) -> None:
    armed = _armed[name]
    armed.hits_left -= 1
    if armed.hits_left > 0:
        return
    del _armed[name]
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    elif armed.action == "stop" and hasattr(signal, "SIGSTOP"):
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        raise FailpointReached(name)
