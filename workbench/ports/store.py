"""The durable truth of one workspace, as the other rooms see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol, TypeVar

from workbench.domain.parameters import Model
from workbench.domain.records import (
    AssetRecord,
    AttemptRecord,
    BatchRecord,
    CancelResult,
    ChangePage,
    GenerationRecord,
    Identity,
    InputRecord,
    Json,
    Judgement,
    LogEntry,
    MessageRecord,
    Price,
    ProjectRecord,
    TopicRecord,
    TrashItem,
)
from workbench.domain.status import Status
from workbench.domain.submissions import NewBatch, NewImport
from workbench.ports.store_parts import JobStore, MoneyStore, PageStore
from workbench.ports.values import (
    GenerationQuery,
    Limits,
    Selection,
)

T = TypeVar("T")


class Store(PageStore, MoneyStore, JobStore, Protocol):
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
        self, identity: Identity, *, project_id: str | None = None, limit: int | None = 1000
    ) -> list[TopicRecord]:
        """Live topics, the latest activity first; at most `limit`, or all of them (None)."""

    def topic_counts(self, identity: Identity, topic_ids: Sequence[str]) -> dict[str, int]:
        """Number of live images (latest per index, completed) in each topic."""

    # -- batches and generations --------------------------------------------------------------
    def submit_batch(self, new: NewBatch) -> Future[BatchRecord]:
        """Store a request whole: topic if needed, batch, generations, jobs, inputs, reservation.

        A `client_key` seen before returns the batch that it made. FULL durability. What
        `check_means` raises is raised before anything is stored.
        """

    def check_means(
        self,
        identity: Identity,
        topic_id: str | None,
        price: Price,
        n: int,
        *,
        limits: Limits = None,
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

    def active_count(self, identity: Identity, topic_id: str | None = None) -> int:
        """How many of one's own are active (of one topic or all); unknown outcomes do not count."""

    def inputs(self, generation_ids: Sequence[str]) -> list[InputRecord]: ...
    def attempts(self, generation_id: str) -> list[AttemptRecord]: ...
    def asset(self, id: str) -> AssetRecord: ...
    def asset_visible(self, identity: Identity, asset_id: str) -> bool: ...
    def asset_generations(
        self, identity: Identity, asset_ids: Sequence[str]
    ) -> list[tuple[str, str, GenerationRecord]]:
        """(asset id, role, generation) for results and sources of the assets, in one query."""

    # -- what people do with generations ------------------------------------------------------
    def retry(
        self, identity: Identity, generation_id: str, price: Price, *, limits: Limits = None
    ) -> Future[GenerationRecord]:
        """A new generation in the same batch and index with retry_of, queued; ended ones only."""

    def cancel(self, identity: Identity, selection: Selection) -> Future[CancelResult]:
        """Cancel what has not ended, and release what is reserved, in one transaction.

        What had ended is reported, not touched.
        """

    def pause(self, identity: Identity) -> Future[int]:
        """Hold the user's queued jobs (all users' with all_users); returns how many."""

    def resume(self, identity: Identity) -> Future[int]: ...
    def paused(self, identity: Identity) -> bool: ...
    def run_next(self, identity: Identity, selection: Selection) -> Future[int]:
        """Put queued jobs before all others of their owner."""

    def edit_queued(
        self,
        identity: Identity,
        generation_id: str,
        changes: Mapping[str, Any],
        *,
        model: Model | None = None,
        limits: Limits = None,
    ) -> Future[GenerationRecord]:
        """Change what a waiting one will be; with `model` priced anew, as `check_means` allows."""

    def resolve_unknown(
        self, identity: Identity, generation_id: str, outcome: str, *, limits: Limits = None
    ) -> Future[GenerationRecord]:
        """Settle an unknown outcome: "charged", "not_charged" (failed, released) or "retry".

        With "retry" it is not charged, and there is a new generation with retry_of.
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
    def trashed_pictures(self, identity: Identity, ids: Sequence[str]) -> dict[str, AssetRecord]:
        """Images of one's own generations that lie in the trash, by generation."""

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
