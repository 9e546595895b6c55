"""What the methods of the ports take and give beside records: choices, queries, ends of jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from workbench.domain.limits import VisitorLimits
from workbench.domain.records import (
    AssetRecord,
    Json,
)
from workbench.domain.status import ErrorKind, Status


class Clock(Protocol):
    """Time, so that tests can turn it."""

    def now_ms(self) -> int:
        """UTC milliseconds since 1970 (for rows)."""

    def monotonic(self) -> float:
        """Seconds that never go back (for waiting)."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which generations an action is meant for: by ids, batch, topic, or everything (own rows)."""

    generation_ids: tuple[str, ...] = ()
    batch_id: str | None = None
    topic_id: str | None = None
    everything: bool = False


@dataclass(frozen=True, slots=True)
class GenerationQuery:
    """Filters of a page of generations. `cursor` is what the page before returned."""

    limit: int = 50
    cursor: str | None = None
    statuses: tuple[Status, ...] = ()
    provider: str | None = None
    model: str | None = None
    search: str | None = None
    topic_id: str | None = None
    batch_id: str | None = None
    include_failed: bool = True
    order: str = "newest"  # newest | oldest


@dataclass(frozen=True, slots=True)
class RunnerInfo:
    """A process that opened the workspace."""

    id: str
    pid: int
    host: str
    title: str
    runs_jobs: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished image of a claimed job, ready for the transaction that settles it."""

    generation_id: str
    asset: AssetRecord
    seed: int | None
    prompt_sent: str | None = None
    detail_key: str | None = None
    detail_args: Json = field(default_factory=dict)
    cost_micro: int | None = None  # None: the price that was reserved
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a generation (or a whole job) ended without an image."""

    kind: ErrorKind
    key: str = "provider"
    args: Json = field(default_factory=dict)
    charged: bool = False
    cost_micro: int | None = None  # where charged: None: what was reserved
    unit: str | None = None


Limits = VisitorLimits | None  # of visitors, who get LimitReached; None: there are none
