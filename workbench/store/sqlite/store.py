"""The SQLite store: `workbench.ports.Store`, each method one transaction or one short look.

What a method does is said where it is done, in the module that it names.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from workbench.domain.records import (
    AssetRecord,
    AttemptRecord,
    BatchRecord,
    Cap,
    ChangePage,
    GenerationRecord,
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
    TrashItem,
)
from workbench.domain.status import Status
from workbench.domain.submissions import NewBatch, NewImport
from workbench.errors import NotAllowed
from workbench.ports import Clock, GenerationQuery, RunnerInfo
from workbench.store.sqlite import (
    caps,
    connect,
    feed,
    frame,
    judgements,
    ledger,
    log,
    lookups,
    messages,
    pages,
    prices,
    projects_topics,
    purge,
    rows,
    settings,
    submit,
    trash,
    validate,
)
from workbench.store.sqlite.database import Database
from workbench.store.sqlite.job_store import JobOperations
from workbench.store.sqlite.view_store import ViewOperations
from workbench.store.sqlite.writer import Transaction

T = TypeVar("T")

_FOREVER = 2**62  # ms


class SqliteStore(JobOperations, ViewOperations):
    """One workspace in one SQLite file.

    Parameters
    ----------
    folder:
        the workspace folder; made if it is not there.
    clock:
        where the time of rows comes from (tests turn it).

    >>> import tempfile, pathlib
    >>> store = SqliteStore(pathlib.Path(tempfile.mkdtemp()))
    >>> me = Identity("ada")
    >>> store.create_topic(me, "Foxes").result().title
    'Foxes'
    >>> store.close()
    """

    workspace_id: str
    location: Path

    def __init__(self, folder: Path, *, clock: Clock | None = None) -> None:
        self.database = Database(folder, clock=clock)
        self.workspace_id = self.database.workspace_id
        self.location = self.database.folder

    # -- who and where ------------------------------------------------------------------------
    def close(self) -> None:
        """Finish queued writes, checkpoint, release every lock. Safe to call twice."""
        self.database.close()

    def submit_write(self, work: Callable[[Transaction], T]) -> Future[T]:
        """Run ``work(transaction)`` in a transaction of the writer thread."""
        return self.database.write(work)

    def on_commit(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after each commit with changes; returns what ends that."""
        return self.database.on_commit(callback)

    def _full(self, work: Callable[[Transaction], T]) -> Future[T]:
        return self.database.write(work, full=True)

    # -- projects and topics ------------------------------------------------------------------
    def create_project(self, identity: Identity, title: str) -> Future[ProjectRecord]:
        """See `projects_topics.create_project`."""
        return self._full(lambda tx: projects_topics.create_project(tx, identity, title))

    def update_project(
        self,
        identity: Identity,
        id: str,
        *,
        title: str | None = None,
        visibility: str | None = None,
    ) -> Future[ProjectRecord]:
        """See `projects_topics.update_project`."""
        return self._full(
            lambda tx: projects_topics.update_project(
                tx, identity, id, title=title, visibility=visibility
            )
        )

    def project(self, identity: Identity, id: str) -> ProjectRecord:
        """See `projects_topics.project`."""
        with self.database.reading() as reader:
            return projects_topics.project(reader, identity, id)

    def projects(self, identity: Identity) -> list[ProjectRecord]:
        """See `projects_topics.projects`."""
        with self.database.reading() as reader:
            return projects_topics.projects(reader, identity)

    def create_topic(
        self, identity: Identity, title: str = "", *, project_id: str | None = None
    ) -> Future[TopicRecord]:
        """See `projects_topics.create_topic`."""
        return self._full(
            lambda tx: projects_topics.create_topic(tx, identity, title, project_id=project_id)
        )

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
    ) -> Future[TopicRecord]:
        """See `projects_topics.update_topic`."""
        return self._full(
            lambda tx: projects_topics.update_topic(
                tx,
                identity,
                id,
                title=title,
                title_source=title_source,
                project_id=project_id,
                visibility=visibility,
                cover_generation_id=cover_generation_id,
                meta=meta,
            )
        )

    def topic(self, identity: Identity, id: str) -> TopicRecord:
        """See `projects_topics.topic`."""
        with self.database.reading() as reader:
            return projects_topics.topic(reader, identity, id)

    def topics(
        self, identity: Identity, *, project_id: str | None = None, limit: int = 1000
    ) -> list[TopicRecord]:
        """See `projects_topics.topics`."""
        with self.database.reading() as reader:
            return projects_topics.topics(reader, identity, project_id=project_id, limit=limit)

    def topic_counts(self, identity: Identity, topic_ids: Sequence[str]) -> dict[str, int]:
        """See `projects_topics.topic_counts`."""
        with self.database.reading() as reader:
            return projects_topics.topic_counts(reader, identity, topic_ids)

    def topic_covers(self, identity: Identity, topic_ids: Sequence[str]) -> dict[str, str]:
        """See `projects_topics.topic_covers`."""
        with self.database.reading() as reader:
            return projects_topics.topic_covers(reader, identity, topic_ids)

    # -- batches and generations --------------------------------------------------------------
    def submit_batch(self, new: NewBatch) -> Future[BatchRecord]:
        """See `submit.submit_batch`."""
        return self._full(lambda tx: submit.submit_batch(tx, new))

    def import_images(self, new: NewImport) -> Future[BatchRecord]:
        """See `submit.import_images`."""
        return self._full(lambda tx: submit.import_images(tx, new))

    def record_asset(self, asset: AssetRecord) -> Future[None]:
        """See `submit.record_asset`."""
        return self._full(lambda tx: submit.record_asset(tx, asset))

    def batch(self, identity: Identity, id: str) -> BatchRecord:
        """See `lookups.batch`."""
        with self.database.reading() as reader:
            return lookups.batch(reader, identity, id)

    def batches(
        self, identity: Identity, topic_id: str, *, limit: int = 20, cursor: str | None = None
    ) -> tuple[list[BatchRecord], str | None]:
        """See `pages.batches`."""
        with self.database.reading() as reader:
            return pages.batches(reader, identity, topic_id, limit=limit, cursor=cursor)

    def generation(self, identity: Identity, id: str) -> GenerationRecord:
        """See `lookups.generation`."""
        with self.database.reading() as reader:
            return lookups.generation(reader, identity, id)

    def generations(
        self, identity: Identity, query: GenerationQuery
    ) -> tuple[list[GenerationRecord], str | None]:
        """See `pages.generations`."""
        with self.database.reading() as reader:
            return pages.generations(reader, identity, query)

    def batch_generations(
        self, identity: Identity, batch_id: str, *, history: bool = False
    ) -> list[GenerationRecord]:
        """See `lookups.batch_generations`."""
        with self.database.reading() as reader:
            return lookups.batch_generations(reader, identity, batch_id, history=history)

    def batch_counts(self, batch_id: str) -> dict[Status, int]:
        """See `lookups.batch_counts`."""
        with self.database.reading() as reader:
            return lookups.batch_counts(reader, batch_id)

    def batch_open(self, batch_id: str) -> int:
        """See `lookups.batch_open`."""
        with self.database.reading() as reader:
            return lookups.batch_open(reader, batch_id)

    def inputs(self, generation_ids: Sequence[str]) -> list[InputRecord]:
        """See `lookups.inputs`."""
        with self.database.reading() as reader:
            return lookups.inputs(reader, generation_ids)

    def attempts(self, generation_id: str) -> list[AttemptRecord]:
        """See `lookups.attempts`."""
        with self.database.reading() as reader:
            return lookups.attempts(reader, generation_id)

    def attempts_of(self, identity: Identity, *, limit: int = 200) -> list[AttemptRecord]:
        """See `lookups.attempts_of`."""
        with self.database.reading() as reader:
            return lookups.attempts_of(reader, identity, limit=limit)

    def asset(self, id: str) -> AssetRecord:
        """See `lookups.asset`."""
        with self.database.reading() as reader:
            return lookups.asset(reader, id)

    def asset_visible(self, identity: Identity, asset_id: str) -> bool:
        """See `lookups.asset_visible`."""
        with self.database.reading() as reader:
            return lookups.asset_visible(reader, identity, asset_id)

    def asset_generations(
        self, identity: Identity, asset_ids: Sequence[str]
    ) -> list[tuple[str, str, GenerationRecord]]:
        """See `lookups.asset_generations`."""
        with self.database.reading() as reader:
            return lookups.asset_generations(reader, identity, asset_ids)

    # -- judgements, trash ----------------------------------------------------------------------
    def judge(self, identity: Identity, values: Mapping[str, Mapping[str, Any]]) -> Future[int]:
        """See `judgements.judge`."""
        return self._full(lambda tx: judgements.judge(tx, identity, values))

    def judgements(self, identity: Identity, generation_ids: Sequence[str]) -> dict[str, Judgement]:
        """See `judgements.judgements`."""
        with self.database.reading() as reader:
            return judgements.judgements(reader, identity, generation_ids)

    def trash(self, identity: Identity, entity: str, id: str) -> Future[int]:
        """See `trash.trash`."""
        return self._full(lambda tx: trash.trash(tx, identity, entity, id))

    def restore(self, identity: Identity, entity: str, id: str) -> Future[None]:
        """See `trash.restore`."""
        return self._full(lambda tx: trash.restore(tx, identity, entity, id))

    def trash_items(self, identity: Identity) -> list[TrashItem]:
        """See `trash.trash_items`."""
        with self.database.reading() as reader:
            return trash.trash_items(reader, identity)

    def purge(
        self, identity: Identity | None, *, deleted_before_ms: int | None = None
    ) -> Future[list[str]]:
        """Delete trashed rows for good, chunk by chunk; returns ids of assets not needed any more.

        Their rows are gone; before a file is removed, ask `known_assets` whether the same image
        arrived again meanwhile. If a chunk fails, what earlier chunks deleted stays deleted, and
        their files are orphans.
        """
        whole = identity is None or identity.all_users
        owner = None if whole or identity is None else identity.user
        before = validate.check_optional_whole("deleted_before_ms", deleted_before_ms)
        limit = _FOREVER if before is None else before
        assets: list[str] = []

        def more(found: list[str] | None) -> bool:
            assets.extend(found or ())
            return found is not None

        return self._repeat(
            lambda tx: purge.step(tx, owner=owner, before=limit), more, lambda: assets, full=True
        )

    def _repeat(
        self,
        step: Callable[[Transaction], Any],
        more: Callable[[Any], bool],
        result: Callable[[], T],
        *,
        full: bool,
    ) -> Future[T]:
        """Run `step` in transaction after transaction, as long as `more` says so of its result."""
        promise: Future[T] = Future()
        promise.set_running_or_notify_cancel()

        def after(done: Future[Any]) -> None:
            error = done.exception()
            if error is not None:
                promise.set_exception(error)
            elif more(done.result()):
                begin()
            else:
                promise.set_result(result())

        def begin() -> None:
            self.database.write(step, full=full).add_done_callback(after)

        begin()
        return promise

    def remove_unknown(self, ids: Sequence[str], remove: Callable[[str], None]) -> Future[int]:
        """Call `remove` for the ids that no asset row has, while nobody can write such a row.

        A picture that comes in with the same content meanwhile is either seen here, or its writer
        sees after its commit that the file is gone and stores it again.
        """

        def work(tx: Transaction) -> int:
            unknown = set(ids) - lookups.known_assets(tx, ids)
            for id in sorted(unknown):
                remove(id)
            return len(unknown)

        return self.database.write(work)

    def known_assets(self, ids: Sequence[str]) -> set[str]:
        """See `lookups.known_assets`."""
        with self.database.reading() as reader:
            return lookups.known_assets(reader, ids)

    # -- change feed and log --------------------------------------------------------------------
    def cursor(self) -> str:
        """Return the cursor after the newest change."""
        with self.database.reading() as reader:
            return feed.cursor(reader)

    def last_seq(self) -> int:
        """Return the seq of the newest change (0: none yet)."""
        with self.database.reading() as reader:
            return feed.last_seq(reader)

    def changes(self, identity: Identity, since: str | None, *, limit: int = 500) -> ChangePage:
        """See `feed.read`."""
        with self.database.reading() as reader:
            return feed.read(reader, identity, since, limit=limit)

    def prune_changes(self, *, keep_rows: int, keep_ms: int) -> Future[int]:
        """Delete old changes, chunk by chunk (see `feed.prune_once`); returns how many went."""
        feed.check_retention(keep_rows, keep_ms)
        gone: list[int] = []

        def more(count: int) -> bool:
            gone.append(count)
            return count == feed.PRUNE_ROWS

        return self._repeat(
            lambda tx: feed.prune_once(tx, keep_rows=keep_rows, keep_ms=keep_ms),
            more,
            lambda: sum(gone),
            full=False,
        )

    def renew_feed_id(self) -> Future[str]:
        """Begin a new history of changes, after a restore (see `feed.renew_feed_id`)."""
        return self._full(feed.renew_feed_id)

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
    ) -> Future[None]:
        """See `log.write`."""
        return self.database.write(
            lambda tx: log.write(
                tx,
                level,
                kind,
                text,
                entity=entity,
                entity_id=entity_id,
                data=data,
                owner=owner,
            )
        )

    def log_entries(
        self, identity: Identity, *, limit: int = 200, kind: str | None = None
    ) -> list[LogEntry]:
        """See `log.entries`."""
        with self.database.reading() as reader:
            return log.entries(reader, identity, limit=limit, kind=kind)

    # -- money ------------------------------------------------------------------------------------
    def grant(
        self, identity: Identity, account: str, unit: str, amount_micro: int, reason: str
    ) -> Future[LedgerEntry]:
        """See `prices.grant`."""
        return self._full(
            lambda tx: prices.grant(tx, identity, account, unit, amount_micro, reason)
        )

    def balances(self, account: str) -> dict[str, int]:
        """Return the balances of an account in micro-units, by unit."""
        with self.database.reading() as reader:
            return prices.balances(reader, account)

    def ledger(self, identity: Identity, *, account: str | None = None) -> Iterator[LedgerEntry]:
        """Iterate over the bookings of an account (default: one's own; the operator's: all).

        Raises
        ------
            NotAllowed: somebody else's account.
        """
        if account is None and not identity.all_users:
            account = identity.user
        if account is None:
            return self._bookings(None, None)
        validate.check_text("account", account, limit=validate.MAX_NAME_CHARACTERS)
        if account != identity.user and not identity.all_users:
            raise NotAllowed(f"The account {account!r} belongs to somebody else.")
        # Bookings are indexed by account and unit; an account has one or two.
        units = [self._bookings(account, unit) for unit in self.balances(account)]
        return heapq.merge(*units, key=attrgetter("seq"))

    def _bookings(self, account: str | None, unit: str | None) -> Iterator[LedgerEntry]:
        after = 0
        while True:
            with self.database.reading() as reader:
                found = ledger.page(reader, account, unit, after)
            if not found:
                return
            yield from found
            after = found[-1].seq

    def set_price(
        self, identity: Identity, model: str, unit: str, amount_micro: int
    ) -> Future[Price]:
        """See `prices.set_price`."""
        return self._full(lambda tx: prices.set_price(tx, identity, model, unit, amount_micro))

    def tell_providers(self, name: str) -> Future[None]:
        """See `prices.tell_providers`."""
        return self.database.write(lambda tx: prices.tell_providers(tx, name))

    def set_cap(self, identity: Identity, cap: Cap, *, remove: bool = False) -> Future[None]:
        """See `caps.set_cap`."""
        return self._full(lambda tx: caps.set_cap(tx, identity, cap, remove=remove))

    def caps(self, identity: Identity) -> list[Cap]:
        """See `caps.caps`."""
        with self.database.reading() as reader:
            return caps.caps(reader, identity, self.database.now_ms())

    def spend(self, identity: Identity, by: str, *, since_ms: int = 0) -> list[Spent]:
        """See `caps.spend`."""
        with self.database.reading() as reader:
            return caps.spend(reader, identity, by, since_ms)

    def prices(self) -> dict[str, Price]:
        """See `prices.prices`."""
        with self.database.reading() as reader:
            return prices.prices(reader)

    # -- messages, settings, runners --------------------------------------------------------------
    def say(
        self,
        identity: Identity,
        topic_id: str,
        text: str,
        *,
        role: str = "user",
        meta: Json | None = None,
    ) -> Future[MessageRecord]:
        """See `messages.say`."""
        return self._full(
            lambda tx: messages.say(tx, identity, topic_id, text, role=role, meta=meta)
        )

    def messages(
        self, identity: Identity, topic_id: str, *, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[MessageRecord], str | None]:
        """See `messages.messages`."""
        with self.database.reading() as reader:
            return messages.messages(reader, identity, topic_id, limit=limit, cursor=cursor)

    def set_preference(self, owner: str, key: str, value: object) -> Future[None]:
        """See `settings.set_preference`."""
        return self.database.write(lambda tx: settings.set_preference(tx, owner, key, value))

    def preference(self, owner: str, key: str) -> object:
        """See `settings.preference`."""
        with self.database.reading() as reader:
            return settings.preference(reader, owner, key)

    def register_runner(self, info: RunnerInfo) -> Future[None]:
        """See `settings.register_runner`."""
        return self.database.write(lambda tx: settings.register_runner(tx, info))

    def unregister_runner(self, runner_id: str) -> Future[None]:
        """See `settings.unregister_runner`."""
        return self.database.write(lambda tx: settings.unregister_runner(tx, runner_id))

    def foreign_runners(self, runner_id: str) -> list[str]:
        """See `settings.foreign_runners`."""
        with self.database.reading() as reader:
            return settings.foreign_runners(reader, runner_id)

    # -- data out -----------------------------------------------------------------------------
    def sql(
        self, query: str, parameters: Sequence[Any] = ()
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return column names and rows of one reading statement (see `Database.sql`)."""
        return self.database.sql(query, parameters)

    def frame_rows(
        self, identity: Identity, query: GenerationQuery | None = None
    ) -> Iterator[dict[str, Any]]:
        """See `frame.frame_rows`."""
        return frame.frame_rows(self.database.reading, identity, query or GenerationQuery())

    def iter_assets(self) -> Iterator[AssetRecord]:
        """Iterate over all assets in the order of arrival, page by page."""
        after = 0
        while True:
            with self.database.reading() as reader:
                found = lookups.asset_page(reader, after)
            if not found:
                return
            yield from map(rows.asset_record, found)
            after = found[-1]["seq"]

    def active_count(self, identity: Identity) -> int:
        """See `lookups.active_count`."""
        with self.database.reading() as reader:
            return lookups.active_count(reader, identity)

    def version_warning(self) -> str | None:
        """Return a sentence when this SQLite has a bug that matters here (see `connect`)."""
        return connect.version_warning()

    def backup(self, path: Path) -> None:
        """Write a consistent copy of the database (see `Database.backup`)."""
        self.database.backup(path)
