"""The SQLite store: `workbench.ports.Store`, each method one transaction or one short look.

What a method does is said where it is done, in the module that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from workbench.domain.records import (
    AssetRecord,
    ChangePage,
    Identity,
    Json,
    Judgement,
    LogEntry,
    MessageRecord,
    TrashItem,
)
from workbench.ports import Clock, GenerationQuery, RunnerInfo
from workbench.store.sqlite import (
    connect,
    feed,
    frame,
    judgements,
    log,
    lookups,
    messages,
    purge,
    rows,
    settings,
    trash,
    validate,
)
from workbench.store.sqlite.database import Database
from workbench.store.sqlite.job_store import JobOperations
from workbench.store.sqlite.library_store import LibraryOperations
from workbench.store.sqlite.money_store import MoneyOperations
from workbench.store.sqlite.view_store import ViewOperations
from workbench.store.sqlite.writer import Transaction

T = TypeVar("T")

_FOREVER = 2**62  # ms


class SqliteStore(LibraryOperations, JobOperations, ViewOperations, MoneyOperations):
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

    def trashed_pictures(self, identity: Identity, ids: Sequence[str]) -> dict[str, AssetRecord]:
        """See `trash.pictures`."""
        with self.database.reading() as reader:
            return trash.pictures(reader, identity, ids)

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

    def active_count(self, identity: Identity, topic_id: str | None = None) -> int:
        """See `lookups.active_count`."""
        with self.database.reading() as reader:
            return lookups.active_count(reader, identity, topic_id)

    def version_warning(self) -> str | None:
        """Return a sentence when this SQLite has a bug that matters here (see `connect`)."""
        return connect.version_warning()

    def backup(self, path: Path) -> None:
        """Write a consistent copy of the database (see `Database.backup`)."""
        self.database.backup(path)
