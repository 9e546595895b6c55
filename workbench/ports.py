"""What the rooms expect of one another: protocols of Store, Media, Provider, Executor and Clock.

Rule for `Store`: every method that writes returns a `concurrent.futures.Future` at once; the write
itself happens in the store's one writer thread, whole or not at all. Plain callers use
``.result()``, coroutines ``await asyncio.wrap_future(...)``. Every method that reads is
synchronous, short, and may be called from any thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from workbench.domain.jobs import (
    Fence,
    IdempotencyPolicy,
    JobEvent,
    JobRecord,
    JobRef,
    JobRequest,
    Progress,
)
from workbench.domain.limits import VisitorLimits
from workbench.domain.parameters import Model
from workbench.domain.records import (
    AssetRecord,
    AttemptRecord,
    BalanceView,
    BatchPage,
    BatchRecord,
    CancelResult,
    Cap,
    ChangePage,
    GenerationRecord,
    GenerationView,
    Identity,
    InputRecord,
    Json,
    Judgement,
    LedgerEntry,
    LogEntry,
    MessageRecord,
    Price,
    ProjectRecord,
    Spent,
    TopicRecord,
    TopicView,
    TrashItem,
)
from workbench.domain.status import ErrorKind, Status
from workbench.domain.submissions import NewBatch, NewImport

T = TypeVar("T")


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


class Store(Protocol):
    """The durable truth of one workspace."""

    # -- who and where ------------------------------------------------------------------------
    workspace_id: str
    location: Path

    def close(self) -> None:
        """Finish queued writes, checkpoint, release every lock. Safe to call twice."""

    def submit_write(self, work: Callable[[Any], T]) -> Future[T]:
        """Run `work(transaction)` in one transaction of the writer thread (for tests and hooks)."""

    def on_commit(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` (from the writer thread, after COMMIT) when changes were written."""

    # -- projects and topics ------------------------------------------------------------------
    def create_project(self, identity: Identity, title: str) -> Future[ProjectRecord]: ...
    def update_project(
        self,
        identity: Identity,
        id: str,
        *,
        title: str | None = None,
        visibility: str | None = None,
    ) -> Future[ProjectRecord]: ...
    def project(self, identity: Identity, id: str) -> ProjectRecord: ...
    def projects(self, identity: Identity) -> list[ProjectRecord]: ...
    def create_topic(
        self, identity: Identity, title: str = "", *, project_id: str | None = None
    ) -> Future[TopicRecord]: ...
    def update_topic(
        self,
        identity: Identity,
        id: str,
        *,
        title: str | None = None,
        title_source: str = "user",
        project_id: str | None = None,
        visibility: str | None = None,
        cover_generation_id: str | None = None,
        meta: Json | None = None,
    ) -> Future[TopicRecord]: ...
    def topic(self, identity: Identity, id: str) -> TopicRecord: ...
    def topics(
        self, identity: Identity, *, project_id: str | None = None, limit: int = 1000
    ) -> list[TopicRecord]: ...
    def topic_counts(self, identity: Identity, topic_ids: Sequence[str]) -> dict[str, int]:
        """Number of live images (latest per index, completed) in each topic."""

    # -- batches and generations --------------------------------------------------------------
    def submit_batch(self, new: NewBatch) -> Future[BatchRecord]:
        """Store a request whole.

        Topic if needed, batch, generations, jobs, inputs, reservation.  A `client_key` seen before
        returns the batch that it made. FULL durability. Raises InsufficientBalance before anything
        is stored.
        """

    def check_means(
        self,
        identity: Identity,
        topic_id: str | None,
        price: Price,
        n: int,
        *,
        limits: VisitorLimits | None = None,
    ) -> None:
        """Raise what would stop such a request now: its topic, a limit, a cap, the balance.

        NotFound or NotAllowed, LimitReached, BudgetExceeded, InsufficientBalance.
        """

    def import_images(self, new: NewImport) -> Future[BatchRecord]: ...
    def record_asset(self, asset: AssetRecord) -> Future[None]: ...
    def batch(self, identity: Identity, id: str) -> BatchRecord: ...
    def batches(
        self, identity: Identity, topic_id: str, *, limit: int = 20, cursor: str | None = None
    ) -> tuple[list[BatchRecord], str | None]: ...
    def generation(self, identity: Identity, id: str) -> GenerationRecord: ...
    def generations(
        self, identity: Identity, query: GenerationQuery
    ) -> tuple[list[GenerationRecord], str | None]: ...
    def batch_generations(
        self, identity: Identity, batch_id: str, *, history: bool = False
    ) -> list[GenerationRecord]:
        """Generations of a batch by index: the latest of each, or with `history` all of them."""

    def batch_counts(self, batch_id: str) -> dict[Status, int]:
        """How many of a batch's latest generations have each status (no identity check)."""

    def batch_open(self, batch_id: str) -> int:
        """How many latest generations are neither terminal nor of unknown outcome."""

    def active_count(self, identity: Identity) -> int:
        """How many of one's own generations are active (unknown outcomes do not count)."""

    def inputs(self, generation_ids: Sequence[str]) -> list[InputRecord]: ...
    def attempts(self, generation_id: str) -> list[AttemptRecord]: ...
    def asset(self, id: str) -> AssetRecord: ...
    def asset_visible(self, identity: Identity, asset_id: str) -> bool: ...
    def asset_generations(
        self, identity: Identity, asset_ids: Sequence[str]
    ) -> list[tuple[str, str, GenerationRecord]]:
        """(asset id, role, generation) for results and sources of the assets, in one query."""

    # -- what pages of the interface show: live rows that one may see; others are missing ---------
    def generation_views(
        self, identity: Identity, ids: Sequence[str]
    ) -> dict[str, GenerationView]: ...
    def batch_views(self, identity: Identity, ids: Sequence[str]) -> dict[str, BatchRecord]: ...
    def topic_views(
        self, identity: Identity, ids: Sequence[str] | None = None
    ) -> list[TopicView]: ...
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
        """Pictures "next" or "previous" to one, in feed order, and whether that was the end."""

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

    # -- what people do with generations ------------------------------------------------------
    def retry(
        self,
        identity: Identity,
        generation_id: str,
        price: Price,
        *,
        limits: VisitorLimits | None = None,
    ) -> Future[GenerationRecord]:
        """A new generation in the same batch and index with retry_of, queued; ended ones only.

        LimitReached where the owner is a visitor who has too many (also of `submit_batch`).
        """

    def cancel(self, identity: Identity, selection: Selection) -> Future[CancelResult]:
        """Cancel by compare-and-set.

        Pending, queued and processing become cancelled, reservations are released in the same
        transaction; what had ended is reported, not touched.
        """

    def pause(self, identity: Identity) -> Future[int]:
        """Hold the user's queued jobs (all users' with all_users); returns how many."""

    def resume(self, identity: Identity) -> Future[int]: ...
    def paused(self, identity: Identity) -> bool: ...
    def run_next(self, identity: Identity, selection: Selection) -> Future[int]:
        """Put queued jobs before all others of their owner."""

    def edit_queued(
        self, identity: Identity, generation_id: str, changes: Mapping[str, Any]
    ) -> Future[GenerationRecord]:
        """Change seed, width, height, params or prompt_sent while it is pending or queued."""

    def resolve_unknown(
        self,
        identity: Identity,
        generation_id: str,
        outcome: str,
        *,
        limits: VisitorLimits | None = None,
    ) -> Future[GenerationRecord]:
        """Settle an unknown outcome.

        "charged" (failed, charged), "not_charged" (failed, released) or "retry" (failed, released,
        and a new generation with retry_of).
        """

    def images_made(self, user: str, since_ms: int) -> int:
        """How many images of a visitor count from a time on: none that failed or was cancelled."""

    def ahead(self, user: str) -> int | None:
        """How many images will be begun before the user's first waiting one; None: none waits."""

    def judge(self, identity: Identity, values: Mapping[str, Mapping[str, Any]]) -> Future[int]:
        """Set rating, favourite, tags, note per generation id, in one transaction."""

    def judgements(
        self, identity: Identity, generation_ids: Sequence[str]
    ) -> dict[str, Judgement]: ...

    # -- trash ----------------------------------------------------------------------------------
    def trash(self, identity: Identity, entity: str, id: str) -> Future[int]:
        """Move a project, topic, batch or generation to the trash.

        Cancels what still runs.  Returns how many images went. The last image gone takes its batch
        with it; a cover that goes is replaced by the next success (or none).
        """

    def restore(self, identity: Identity, entity: str, id: str) -> Future[None]: ...
    def trash_items(self, identity: Identity) -> list[TrashItem]: ...
    def purge(
        self, identity: Identity | None, *, deleted_before_ms: int | None = None
    ) -> Future[list[str]]:
        """Delete trashed rows for good (own ones.

        None: everybody's). Returns the ids of assets that nothing needs any more (no generation,
        input, message, cover, folder entry, frozen collection), whose rows are gone too: their
        files may be removed.
        """

    def known_assets(self, ids: Sequence[str]) -> set[str]: ...
    def remove_unknown(self, ids: Sequence[str], remove: Callable[[str], None]) -> Future[int]:
        """Call `remove` for the ids that no asset row has, while nobody can write such a row."""

    # -- change feed and log --------------------------------------------------------------------
    def cursor(self) -> str: ...
    def changes(self, identity: Identity, since: str | None, *, limit: int = 500) -> ChangePage: ...
    def prune_changes(self, *, keep_rows: int, keep_ms: int) -> Future[int]: ...
    def log(
        self,
        level: str,
        kind: str,
        text: str,
        *,
        entity: str | None = None,
        entity_id: str | None = None,
        data: Json | None = None,
        owner: str | None = None,
    ) -> Future[None]: ...
    def log_entries(
        self, identity: Identity, *, limit: int = 200, kind: str | None = None
    ) -> list[LogEntry]: ...

    # -- money ------------------------------------------------------------------------------------
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

    # -- messages and settings ----------------------------------------------------------------
    def say(
        self,
        identity: Identity,
        topic_id: str,
        text: str,
        *,
        role: str = "user",
        meta: Json | None = None,
    ) -> Future[MessageRecord]: ...
    def messages(
        self, identity: Identity, topic_id: str, *, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[MessageRecord], str | None]: ...
    def set_preference(self, owner: str, key: str, value: object) -> Future[None]: ...
    def preference(self, owner: str, key: str) -> object: ...

    # -- runner -----------------------------------------------------------------------------------
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

    def requeue_dead(self, runner_id: str, *, max_deaths: int = 3) -> Future[int]:
        """Put a dead runner's running jobs back (deaths + 1; at `max_deaths` failed/poison)."""

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
        """Before sending.

        The attempt row. Returns its id, or None if the fence is stale.  FULL, but for `full=False`
        (free jobs: an audit row that a power loss may take).
        """

    def write_submitted(self, fence: Fence, attempt_id: str, ref: JobRef) -> Future[bool]:
        """FULL, before the first poll: the provider's reference."""

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
        """NORMAL. Never backwards within an attempt; ended generations are left alone."""

    def complete(self, fence: Fence, outcome: Outcome) -> Future[bool]:
        """One transaction.

        Asset, generation completed, settlement, cover, changes. False if the fence is stale or the
        generation has ended (then nothing is written).
        """

    def adopt_late(self, fence: Fence, outcome: Outcome) -> Future[GenerationRecord | None]:
        """A paid result for a generation that was cancelled meanwhile.

        Stored and settled as a new completed sibling with retry_of.
        """

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
        """Hold the job until then (tries + 1).

        Its unfinished generations become pending.  `count_try=False` leaves tries as they are
        (waiting for disk or for a look-up). An open attempt stays open: the next claim finds it.
        """

    def mark_unknown(self, fence: Fence, *, reason: str) -> Future[bool]:
        """The paid call's end is not known: detail outcome_unknown, job leaves its lane."""

    def finish_job(self, fence: Fence) -> Future[bool]:
        """The job's work is over; generations that are still open fail as no_image."""

    def unfinished(self, fence: Fence) -> tuple[str, ...] | None:
        """Ids of the job's generations that have not ended; None when the fence is stale."""

    # -- data out -----------------------------------------------------------------------------
    def sql(
        self, query: str, parameters: Sequence[Any] = ()
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and rows of one reading statement; anything that writes is refused."""

    def frame_rows(
        self, identity: Identity, query: GenerationQuery | None = None
    ) -> Iterator[dict[str, Any]]:
        """Every matching generation with batch, topic, project and judgement columns."""

    def check(self, *, live_runners: Callable[[str], bool], deep: bool = True) -> list[str]:
        """Problems with the invariants I1, I2, I4, I5, I6 of the store, as sentences."""

    def iter_assets(self) -> Iterator[AssetRecord]: ...
    def backup(self, path: Path) -> None:
        """Write a consistent copy of the database by SQLite's backup API."""


@runtime_checkable
class Media(Protocol):
    """The image files of one workspace. Every method blocks; the engine calls them in threads."""

    def admit(self, data: bytes, *, source: str) -> AssetRecord:
        """Check bytes at the image door, store them, return the asset (ImageRejected, DiskFull)."""

    def read(self, asset_id: str) -> bytes: ...
    def exists(self, asset_id: str) -> bool: ...
    def path(self, asset_id: str) -> Path: ...
    def thumbnail(self, asset_id: str, size: int) -> Path:
        """Path of the WebP thumbnail with this longer side (256 or 768), made if needed."""

    def put_preview(self, generation_id: str, data: bytes) -> None: ...
    def read_preview(self, generation_id: str) -> bytes | None: ...
    def drop_preview(self, generation_id: str) -> None: ...
    def remove(self, asset_id: str) -> None: ...
    def free_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ProviderState:
    """Whether a provider can be used here, and if not, what is missing (a sentence)."""

    ready: bool
    code: str = "ready"  # ready | key_missing | package_missing | unreachable | error
    message: str = ""


@runtime_checkable
class Provider(Protocol):
    """A service or engine that makes images. One instance serves many jobs at once.

    ``events`` runs on the engine's loop and must not block it: CPU work goes through `executor`.

    One that knows how long it may be silent while it makes a picture has that as `stall_s`, in
    seconds (None: until its deadline). Without it, what the runner takes for usual counts.
    """

    name: str
    title: str
    help: str
    idempotency: IdempotencyPolicy
    concurrency: int  # jobs at once over all processes of a workspace
    deadline_s: float  # longest time for one job

    def state(self) -> ProviderState: ...
    def models(self) -> Sequence[Model]: ...
    async def submit(self, request: JobRequest) -> JobRef: ...
    def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]: ...
    async def cancel(self, ref: JobRef) -> None: ...
    async def lookup(self, request: JobRequest) -> JobRef | None: ...
    async def close(self) -> None: ...


class Executor(Protocol):
    """Where blocking work runs. Later also a cluster."""

    async def run(self, work: Callable[..., T], *arguments: Any) -> T: ...
    def close(self) -> None: ...
