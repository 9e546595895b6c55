"""Parts of `Store`: what pages show, money, and what a runner does with jobs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol

from workbench.domain.jobs import (
    Fence,
    JobRecord,
    JobRef,
    Progress,
)
from workbench.domain.records import (
    AssetRecord,
    BalanceView,
    BatchPage,
    BatchRecord,
    Cap,
    GenerationRecord,
    GenerationView,
    Identity,
    Json,
    LedgerEntry,
    Price,
    ProjectRecord,
    Spent,
    TopicPage,
    TopicView,
)
from workbench.ports.values import (
    Failure,
    Outcome,
    RunnerInfo,
)


class PageStore(Protocol):
    """What pages of the interface show: live rows that one may see; others are missing."""

    def generation_views(
        self, identity: Identity, ids: Sequence[str]
    ) -> dict[str, GenerationView]: ...
    def batch_views(self, identity: Identity, ids: Sequence[str]) -> dict[str, BatchRecord]: ...
    def topic_views(self, identity: Identity, ids: Sequence[str]) -> list[TopicView]: ...
    def topic_page(
        self, identity: Identity, *, limit: int = 1_000, cursor: str | None = None
    ) -> TopicPage:
        """Live topics, the latest activity first; a cursor goes on behind a page."""

    def project_views(
        self, identity: Identity, ids: Sequence[str] | None = None
    ) -> list[ProjectRecord]: ...
    def balance_views(self, identity: Identity) -> list[BalanceView]: ...
    def pictures(self, identity: Identity, ids: Sequence[str]) -> dict[str, AssetRecord]: ...
    def batch_page(
        self,
        identity: Identity,
        topic_id: str,
        *,
        limit: int = 20,
        cursor: str | None = None,
        direction: str = "older",
    ) -> BatchPage: ...
    def batches_generations(
        self, identity: Identity, batch_ids: Sequence[str]
    ) -> list[GenerationView]:
        """The latest generation of each index, by batch (newest first) and index."""

    def active_batches(self, identity: Identity, topic_id: str) -> list[str]: ...
    def walk(
        self, identity: Identity, generation_id: str, *, direction: str, limit: int
    ) -> tuple[list[GenerationView], bool]:
        """Pictures "next" or "previous" to one, in feed order, and whether that was the end.

        "first" and "last": the outermost ones of its topic.
        """

    def own_pictures(
        self, identity: Identity, *, after: int = 0, limit: int = 200
    ) -> list[GenerationView]:
        """The next pictures of one's own, oldest first: the latest of each index of a batch."""

    def own_size(self, identity: Identity) -> tuple[int, int]:
        """How many pictures that are, and how many bytes."""

    def deletion(self, identity: Identity, topic_id: str) -> tuple[int, int]: ...
    def prompts(self, identity: Identity, *, limit: int = 50) -> list[str]: ...
    def durations(
        self, identity: Identity, model: str, *, limit: int = 20
    ) -> list[tuple[float, int | None]]: ...


class MoneyStore(Protocol):
    """Bookings, balances, prices, caps."""

    def grant(
        self, identity: Identity, account: str, unit: str, amount_micro: int, reason: str
    ) -> Future[LedgerEntry]: ...
    def balances(self, account: str) -> dict[str, int]: ...
    def ledger(
        self, identity: Identity, *, account: str | None = None
    ) -> Iterator[LedgerEntry]: ...
    def set_price(
        self, identity: Identity, model: str, unit: str, amount_micro: int
    ) -> Future[Price]: ...
    def prices(self) -> dict[str, Price]: ...
    def tell_providers(self, name: str) -> Future[None]:
        """Tell every follower that a provider was added or set up: its models may have changed."""

    def set_cap(self, identity: Identity, cap: Cap, *, remove: bool = False) -> Future[None]:
        """Limit what may be spent, in place of an earlier cap of that kind; `remove`: no more."""

    def caps(self, identity: Identity) -> list[Cap]: ...
    def spend(self, identity: Identity, by: str, *, since_ms: int = 0) -> list[Spent]:
        """What was spent by "day", "provider", "model", "topic" or "user"."""


class JobStore(Protocol):
    """What a runner does with jobs, each step fenced by its claim."""

    def register_runner(self, info: RunnerInfo) -> Future[None]: ...
    def unregister_runner(self, runner_id: str) -> Future[None]: ...
    def foreign_runners(self, runner_id: str) -> list[str]:
        """Ids of other runners that hold running jobs."""

    def claim(
        self, runner_id: str, *, lanes: Mapping[str, int], limit: int
    ) -> Future[list[JobRecord]]:
        """Claim up to `limit` queued jobs, fairly.

        `lanes`: of which lanes, and how many may run at once there over all processes. First comes
        the owner with the fewest running jobs, then priority, then age. Their generations become
        processing, attempt + 1, progress 0.
        """

    def requeue_dead(
        self, runner_id: str, *, max_deaths: int = 3, free: Collection[str] = frozenset()
    ) -> Future[int]:
        """Put a dead runner's running jobs back (deaths + 1).

        At `max_deaths` they fail as poison; what was sent to a provider that is not in `free`, is
        of unknown outcome instead.
        """

    def in_doubt(self, provider: str) -> int:
        """How many jobs `ask_again` would queue if no queue is paused."""

    def ask_again(self, provider: str) -> Future[int]:
        """Queue jobs of unknown outcome whose provider can be asked once more by its reference."""

    def hand_over(self, fence: Fence) -> Future[bool]:
        """Put an unfinished job back into the queue without counting a death."""

    def promote_due(self) -> Future[int | None]:
        """Queue held jobs whose time has come; returns the next due time (ms) or None."""

    def write_intent(
        self,
        fence: Fence,
        *,
        key: str,
        request_sha: str,
        generation_id: str | None,
        full: bool = True,
    ) -> Future[str | None]:
        """Write the row of an attempt, before anything is sent.

        Returns its id, or None if the fence is stale. FULL, but for `full=False` (free jobs: an
        audit row that a power loss may take).
        """

    def write_submitted(self, fence: Fence, attempt_id: str, ref: JobRef) -> Future[bool]:
        """Write the provider's reference, before the first poll (FULL)."""

    def end_attempt(
        self,
        attempt_id: str,
        state: str,
        *,
        error_kind: str | None = None,
        error_message: str | None = None,
        usage: Json | None = None,
    ) -> Future[None]: ...
    def report_progress(self, fence: Fence, steps: Sequence[Progress]) -> Future[bool]:
        """Write how far generations are (NORMAL).

        Never backwards within an attempt; ended generations are left alone.
        """

    def complete(self, fence: Fence, outcome: Outcome) -> Future[bool]:
        """Store a finished picture: asset, generation, settlement, cover, changes, all or nothing.

        False if the fence is stale or the generation has ended (then nothing is written).
        """

    def adopt_late(self, fence: Fence, outcome: Outcome) -> Future[GenerationRecord | None]:
        """A paid result for a cancelled generation: settled as a completed sibling (retry_of)."""

    def fail_late(self, fence: Fence, id: str, failure: Failure) -> Future[GenerationRecord | None]:
        """A charge without a picture for a cancelled generation: booked as a failed sibling."""

    def fail(self, fence: Fence, generation_ids: Sequence[str], failure: Failure) -> Future[int]:
        """End generations of a claimed job as failed; reservations are released."""

    def retry_later(
        self,
        fence: Fence,
        *,
        delay_ms: int,
        detail_key: str,
        detail_args: Json,
        count_try: bool = True,
    ) -> Future[bool]:
        """Hold the job for so long (tries + 1).

        Its unfinished generations become pending. `count_try=False` leaves tries as they are
        (waiting for disk or for a look-up). An open attempt stays open: the next claim finds it.
        """

    def mark_unknown(self, fence: Fence, *, reason: str) -> Future[bool]:
        """The paid call's end is not known: detail outcome_unknown, job leaves its lane."""

    def finish_job(self, fence: Fence) -> Future[bool]:
        """The job's work is over; generations that are still open fail as no_image."""

    def unfinished(self, fence: Fence) -> tuple[str, ...] | None:
        """Ids of the job's generations that have not ended; None when the fence is stale."""
