"""One open store file: its writer, its readers, and everything checked at opening."""

from __future__ import annotations

import atexit
import contextlib
import os
import sqlite3
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from workbench.domain.ids import new_id
from workbench.domain.listeners import Listeners
from workbench.errors import InvalidRequest, WorkspaceDamaged
from workbench.ports import Clock
from workbench.store import bell, forking, liveness, network
from workbench.store.sqlite import connect, log, migrate
from workbench.store.sqlite.mutex import Mutex
from workbench.store.sqlite.readers import Reader, Readers, query
from workbench.store.sqlite.writer import Transaction, Writer

T = TypeVar("T")

QUERY_LIMIT_S = 30.0
_CLOSE_S = 30.0
_EXIT_S = 2.0
_INTERRUPTED_S = 0.1
_BACKUP_PAGES = 4_096
_COPY_MARK = "copied_at"


class _SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


class Database:
    """The store file of one workspace, open in this process.

    Any thread may use it. Several may be open on one folder, in one process or in many.

    Parameters
    ----------
    folder:
        The workspace folder; made (0700) if it is not there.
    clock:
        Time of transactions; the system's by default.
    more_migrations:
        Further folders of numbered migrations (tests).
    detect_network:
        Names the network file system of a path, or None (tests inject one).

    Raises
    ------
        StoreError: the folder or file cannot be used as it is; the text says what to do.
        SchemaTooNew, WorkspaceDamaged, WorkspaceBusy, DiskFull: see there.

    Examples
    --------
        >>> import tempfile, pathlib
        >>> db = Database(pathlib.Path(tempfile.mkdtemp()))
        >>> db.write(lambda tx: tx.execute("INSERT INTO meta VALUES ('a', 'b')").rowcount).result()
        1
        >>> with db.reading() as reader:
        ...     reader.scalar("SELECT value FROM meta WHERE key = 'a'")
        'b'
        >>> db.close()
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        more_migrations: Sequence[Traversable] = (),
        detect_network: Callable[[Path], str | None] = network.file_system,
    ) -> None:
        self.workspace_id = ""
        self.feed_id = ""
        self.is_new = False  # made by this opening
        self._clock: Clock = clock or _SystemClock()
        self._more_migrations = more_migrations
        self._listeners = Listeners(failed=self._listener_failed)
        self._own_commits = 0
        self._forked = False
        self._closed = False
        self.folder = connect.make_folder(folder)
        self.network = detect_network(self.folder)
        connect.check_folder(self.folder, modes_matter=self.network is None)
        self.path = self.folder / connect.DATABASE
        self._text = str(self.path)
        self._exclusive = self.network is not None
        self._lease = self._take_lease() if self._exclusive else None
        self._mutex = Mutex(self.folder / connect.MUTEX, monotonic=self._clock.monotonic)
        self._readers = Readers(self.path)
        self._writer = Writer(
            self.path,
            self._mutex,
            clock=self._clock,
            exclusive=self._exclusive,
            open_store=self._open_store,
            readers_away=self._readers.away,
            committed=self._tell_listeners,
            ended=self._ended,
        )
        forking.register(self)
        with contextlib.ExitStack() as undo:
            # Also after an interrupt while another process keeps us waiting.
            undo.callback(self.close, _INTERRUPTED_S)
            self._writer.start()
            undo.pop_all()
        _open.append(self)
        self.runtime_dir = bell.runtime_dir(self.workspace_id)

    # -- writing ------------------------------------------------------------------------------
    def write(self, work: Callable[[Transaction], T], *, full: bool = False) -> Future[T]:
        """Run ``work(transaction)`` in a transaction of its own in the writer thread.

        Parameters
        ----------
        work:
            Short and without I/O of its own: other processes wait meanwhile. Its result is the
            future's; an exception rolls everything back and is the future's, too. It must not
            wait for another write.
        full:
            Wait until the disk has it (fsync): for money and acceptance. Without it a power cut,
            but no kill, may take the last moments back.

        Returns
        -------
            A future that cannot be cancelled. It may fail with DiskFull, WorkspaceDamaged or
            EngineClosed.
        """
        return self._writer.submit(work, full=full)

    def on_commit(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` in the writer thread after commits that set `Transaction.changed`.

        Several commits may make one call. What it raises is written into the event log. Returns a
        function that ends it.
        """
        return self._listeners.add(callback)

    def now_ms(self) -> int:
        """Return the time by the clock that rows are dated with (UTC milliseconds)."""
        return self._clock.now_ms()

    @property
    def waiting_since(self) -> float | None:
        """Since when (monotonic seconds) a write waits for another process; None: it does not."""
        return self._mutex.waiting_since or self._writer.waiting_since

    # -- reading ------------------------------------------------------------------------------
    @contextlib.contextmanager
    def reading(self) -> Iterator[Reader]:
        """Lend a read-only look at one moment of the store, for a short block.

        Never across an ``await``, and never while waiting for a write.
        """
        with forking.in_sqlite:
            if self._exclusive:
                with self._shared_connection() as db:
                    yield Reader(db, self._alive)
                return
            with self._readers.reading(self._open_files()) as reader:
                yield reader

    def data_version(self) -> int:
        """A number that changes when any connection has committed; cheap enough to poll."""
        self._alive()
        if self._exclusive:
            return self._own_commits
        with forking.in_sqlite:
            return self._readers.data_version(self._open_files())

    def sql(
        self, statement: str, parameters: Sequence[Any] = (), *, limit_s: float = QUERY_LIMIT_S
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run one reading statement; returns column names and rows.

        Parameters
        ----------
        statement, parameters:
            One statement, and values for its placeholders.
        limit_s:
            Seconds after which it is stopped.

        Raises
        ------
            InvalidRequest: it is not a single reading statement, is wrong, or takes too long.
        """
        self._alive()
        with forking.in_sqlite:
            if self._exclusive:
                with self._shared_connection() as db:
                    return query(db, statement, parameters, limit_s=limit_s)
            self._open_files()
            db = self._readers.fresh()
            try:
                return query(db, statement, parameters, limit_s=limit_s)
            finally:
                self._readers.discard(db)

    # -- care ---------------------------------------------------------------------------------
    def quick_check(self) -> list[str]:
        """What SQLite's quick check finds wrong (reads the whole file); empty: nothing."""
        with self.reading() as reader:
            return _problems(reader.db, "quick_check")

    def integrity_check(self) -> list[str]:
        """What the full check of pages, indices and references finds wrong; empty: nothing."""
        with self.reading() as reader:
            found = _problems(reader.db, "integrity_check")
            for row in reader.db.execute("PRAGMA foreign_key_check"):
                found.append(f"a row of {row[0]} refers to a row of {row[2]} that does not exist")
        return found

    def backup(self, path: Path) -> None:
        """Write a consistent copy to `path` (one file, 0600), replacing what is there at the end.

        Writers go on meanwhile. A copy that is opened as a workspace gets a feed of its own, so
        that clients of the original start afresh.

        Raises
        ------
            InvalidRequest: `path` is a folder, lies in a folder that does not exist, or is the
                store itself.
            DiskFull: there is no space for it; nothing is left behind.
        """
        target = Path(path).expanduser()
        if target.is_dir() or not target.parent.is_dir():
            raise InvalidRequest("path", f"{target} must be a file name in an existing folder.")
        if target.resolve().parent == self.folder and target.name.startswith(connect.DATABASE):
            raise InvalidRequest("path", "this is the workspace's own database; choose another.")
        with self.reading() as reader:
            reader.one("SELECT 1 FROM meta")  # from here on it is one moment of the store
            self._copy(reader.db, target)

    def close(self, timeout_s: float = _CLOSE_S) -> None:
        """Finish queued writes, checkpoint, and release every lock. Safe to call twice.

        Parameters
        ----------
        timeout_s:
            Seconds to wait for other processes; after that, writes that are still queued fail
            with EngineClosed.
        """
        if self._forked:
            return
        self._closed = True
        with contextlib.suppress(ValueError):
            _open.remove(self)
        self._readers.close()
        self._writer.close(timeout_s)

    def after_fork_in_child(self) -> None:
        """Mark this copy dead; see `workbench.store.forking`."""
        self._forked = True
        with contextlib.suppress(ValueError):
            _open.remove(self)
        self._readers.after_fork_in_child()
        self._writer.after_fork_in_child()

    # -- opening (in the writer thread, under the mutex) --------------------------------------
    def _open_store(self) -> sqlite3.Connection:
        connect.prepare_file(self.path, modes_matter=self.network is None)
        migrations = migrate.find([migrate.shipped(), *self._more_migrations])
        db = connect.connect_writer(
            self.path,
            exclusive=self._exclusive,
            inspect=lambda db: migrate.check(db, self.path, newest=len(migrations)),
        )
        with contextlib.ExitStack() as undo:
            undo.callback(db.close)
            self._bring_up_to_date(db, migrations)
            undo.pop_all()
        return db

    def _bring_up_to_date(
        self, db: sqlite3.Connection, migrations: Sequence[migrate.Migration]
    ) -> None:
        dead = liveness.dead_owners(self.folder)
        if dead and (problems := _problems(db, "quick_check")):
            raise WorkspaceDamaged(
                f"The last program that used {self.path} died, and the database is damaged: "
                f"{problems[0]}. Restore a backup (see {self.folder / connect.BACKUPS}), or run "
                "`jupyter workbench doctor`."
            )
        migrate.migrate(
            db,
            self.path,
            migrations,
            now_ms=self._clock.now_ms(),
            backup=lambda target: self._copy(db, target),
        )
        self._read_meta(db)
        for owner in dead:
            liveness.remove_dead(self.folder, owner)

    def _read_meta(self, db: sqlite3.Connection) -> None:
        meta = dict(db.execute("SELECT key, value FROM meta").fetchall())
        new: dict[str, str] = {}
        if "workspace_id" not in meta:
            self.is_new = True
            new = {"workspace_id": new_id(), "created_at": str(self._clock.now_ms())}
            new["feed_floor"] = "0"
        if "feed_id" not in meta or _COPY_MARK in meta:
            # In a restored copy the same positions of the feed mean other changes.
            new["feed_id"] = new_id()
        if new:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", new.items())
            db.execute("DELETE FROM meta WHERE key = ?", (_COPY_MARK,))
            db.execute("COMMIT")
        meta |= new
        self.workspace_id = meta["workspace_id"]
        self.feed_id = meta["feed_id"]

    # -- inner --------------------------------------------------------------------------------
    def _take_lease(self) -> network.Lease:
        lease = network.Lease(self.folder / connect.LEASE)
        try:
            lease.acquire()
        except OSError as error:
            raise connect.translate_os(error, self.folder) from error
        return lease

    def _alive(self) -> None:
        if self._forked or self._closed:
            raise connect.closed(forked=self._forked)

    @contextlib.contextmanager
    def _shared_connection(self) -> Iterator[sqlite3.Connection]:
        """Exclusive mode: nobody but the write connection can read, so it is lent out."""
        self._alive()
        with self._writer.db_lock:
            db = self._writer.db
            if db is None:
                raise connect.closed(forked=self._forked)
            if db.in_transaction:  # a reader inside a reader, or inside a write's work
                yield db
                return
            db.execute("PRAGMA query_only = ON")
            try:
                db.execute("BEGIN")
                yield db
            finally:
                if not self._forked:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    db.execute("PRAGMA query_only = OFF")

    def _open_files(self) -> connect.Identity:
        """Which files are open; deleted or replaced ones are left for the new ones before.

        SQLite shares one index of the log among the connections of a process, so a reader on new
        files beside a writer on old ones would read nonsense.
        """
        self._alive()
        if (
            self._writer.identity != connect.Identity.of(self._text)
            and not self._writer.in_writer_thread()
        ):
            self.write(lambda _tx: None).result()
        return self._writer.identity

    def _ended(self) -> None:
        forking.forget(self)
        if self._lease is not None:
            self._lease.release()

    def _tell_listeners(self) -> None:
        self._own_commits += 1
        self._listeners.tell()

    def _listener_failed(self, error: Exception) -> None:
        text = f"A listener of commits failed: {type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
        # Not waited for: this is the thread that writes. A store that closes takes no more lines.
        self.write(lambda tx: log.write(tx, "error", "store", text, data={"traceback": trace}))

    def _copy(self, source: sqlite3.Connection, target: Path) -> None:
        part = target.with_name(f".{target.name}.{new_id()}.part")
        try:
            self._copy_to(source, part)
            _sync(part)
            part.replace(target)
            _sync(target.parent)
        except sqlite3.Error as error:
            raise connect.translate(error, target) from error
        except OSError as error:
            raise connect.translate_os(error, target.parent) from error
        finally:
            for ending in ("", "-journal", "-wal", "-shm"):
                Path(f"{part}{ending}").unlink(missing_ok=True)

    def _copy_to(self, source: sqlite3.Connection, part: Path) -> None:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        copy = sqlite3.connect(part, isolation_level=None)
        try:
            source.backup(copy, pages=_BACKUP_PAGES)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()  # one file, readable anywhere
            copy.execute(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", (_COPY_MARK, str(self._clock.now_ms()))
            )
        finally:
            copy.close()


_open: list[Database] = []


@atexit.register
def _close_open_databases() -> None:
    """Best effort for programs that forgot; nothing depends on it."""
    for database in tuple(_open):
        database.close(_EXIT_S)


def _problems(db: sqlite3.Connection, check: str) -> list[str]:
    try:
        rows = [str(row[0]) for row in db.execute(f"PRAGMA {check}(20)")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [row for row in rows if row != "ok"]


def _sync(path: Path) -> None:
    """Have the disk keep a finished copy or the name of it."""
    if os.name == "nt" and path.is_dir():
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
