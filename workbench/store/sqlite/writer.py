"""The one thread that writes: a queue of small transactions, each whole or not at all.

Why a thread of its own: a KeyboardInterrupt only ever hits the main thread, so it can end a
caller's waiting but never a transaction; and no loop waits for an fsync.

For each run of queued writes it takes the side mutex once, looks whether the files are still the
ones it opened, and runs every write as a transaction of its own. Checkpoints are made here too,
after about a thousand pages or two idle seconds, because they need the same mutex.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Generic, TypeVar

from workbench.domain.handover import Handover
from workbench.errors import StoreError, WorkspaceDamaged
from workbench.ports import Clock
from workbench.store import forking
from workbench.store.sqlite import connect
from workbench.store.sqlite.mutex import Mutex

T = TypeVar("T")

CHECKPOINT_PAGES = 1_000
IDLE_S = 2.0
# Others wait for the mutex meanwhile, and the bell rings only after it.
LONGEST_HOLD_S = 0.010
_PAGES_PER_UNIT = 3.0  # first guess; measured at each checkpoint


class Transaction:
    """An open write transaction. Only ever used inside the writer thread, by a write's `work`.

    Attributes
    ----------
    db:
        The connection, for what the short methods do not cover.
    now:
        UTC milliseconds, one value for the whole transaction.
    changed:
        Set it when change rows were written: after COMMIT the listeners are called.
    """

    __slots__ = ("changed", "db", "now")

    def __init__(self, db: sqlite3.Connection, now: int) -> None:
        self.db = db
        self.now = now
        self.changed = False

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Run one statement."""
        if not self.db.in_transaction:
            # SQLite rolls back by itself when the disk is full. A `work` that swallowed that
            # error must not go on: its next statements would commit one by one.
            raise sqlite3.OperationalError("the transaction was already rolled back")
        return self.db.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> sqlite3.Cursor:
        """Run one statement for each set of parameters."""
        if not self.db.in_transaction:
            raise sqlite3.OperationalError("the transaction was already rolled back")
        return self.db.executemany(sql, parameters)

    def one(self, sql: str, parameters: Any = ()) -> sqlite3.Row | None:
        """First row, or None."""
        row: sqlite3.Row | None = self.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, parameters: Any = ()) -> list[sqlite3.Row]:
        """Every row."""
        return self.execute(sql, parameters).fetchall()

    def scalar(self, sql: str, parameters: Any = ()) -> Any:
        """First column of the first row, or None."""
        row = self.execute(sql, parameters).fetchone()
        return None if row is None else row[0]


class _Write(Generic[T]):
    """A queued write and the promise made for it."""

    __slots__ = ("changed", "full", "future", "work")

    def __init__(self, work: Callable[[Transaction], T], *, full: bool) -> None:
        self.work = work
        self.full = full
        self.changed = False  # once it is done: listeners should know
        self.future: Future[T] = Future()
        # An accepted write is done: whoever stops waiting for it does not undo it.
        self.future.set_running_or_notify_cancel()


class Writer:
    """Owns the write connection, its thread and the checkpoints.

    Parameters
    ----------
    path:
        The store file.
    mutex:
        The side mutex; belongs to the writer from now on.
    clock:
        Gives `Transaction.now`.
    exclusive:
        Network file system: one process, no shared index.
    open_store:
        Called once in the thread, under the mutex: prepares, opens and migrates the file. What
        it raises is what `start` raises.
    readers_away:
        Used when files were replaced: a context without reading connections in this process.
    committed:
        Called after the mutex was released, if one of the commits had changes.
    ended:
        Called when the thread has closed everything.
    """

    def __init__(
        self,
        path: Path,
        mutex: Mutex,
        *,
        clock: Clock,
        exclusive: bool,
        open_store: Callable[[], sqlite3.Connection],
        readers_away: Callable[[], AbstractContextManager[None]],
        committed: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self.db: sqlite3.Connection | None = None
        self.db_lock = threading.RLock()  # in exclusive mode readers borrow the connection
        self.reopened = 0  # how often the guard had to reopen
        self.checkpoints = 0
        self.waiting_since: float | None = None
        self._path = path
        self._text = str(path)
        self._log = f"{path}-wal"
        self._mutex = mutex
        self._clock = clock
        self._exclusive = exclusive
        self._open_store = open_store
        self._readers_away = readers_away
        self._committed = committed
        self._ended = ended
        self.identity = connect.Identity(None, None, None)  # of the files that are open
        self._full = False
        self._units = 0.0  # 1 per commit and changed row since the last checkpoint
        self._pages_per_unit = _PAGES_PER_UNIT
        self._next_checkpoint = float(CHECKPOINT_PAGES)
        self._queue: queue.SimpleQueue[_Write[Any] | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._give_up = threading.Event()
        self._gate = threading.Lock()
        self._at_mutex: _Write[Any] | None = None  # taken from the queue, not yet begun
        self._forked = False
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="workbench-store", daemon=True)

    # -- for other threads --------------------------------------------------------------------
    def start(self) -> None:
        """Start the thread, open the store in it, and wait for that."""
        self._thread.start()
        self._ready.result()

    def submit(self, work: Callable[[Transaction], T], *, full: bool) -> Future[T]:
        """Queue a write. The future fails with EngineClosed after close or in a forked child."""
        write = _Write(work, full=full)
        if self._forked or self._closing.is_set():
            write.future.set_exception(connect.closed(forked=self._forked))
            return write.future
        with self._gate:  # nothing is queued behind the end mark
            if self._closing.is_set():
                write.future.set_exception(connect.closed(forked=False))
            else:
                self._queue.put(write)
        return write.future

    def in_writer_thread(self) -> bool:
        """Tell whether the caller runs inside a write or a commit listener."""
        return threading.current_thread() is self._thread

    def close(self, timeout_s: float) -> bool:
        """Finish what is queued, checkpoint, close. False if that took longer than `timeout_s`.

        Then (another process holds the mutex, or a program locks the file) the writes that are
        still queued fail with EngineClosed.
        """
        if self._forked:
            return True
        with self._gate:
            if not self._closing.is_set():
                self._closing.set()
                self._queue.put(None)
        if self.in_writer_thread() or not self._thread.ident:
            return True
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            with self._gate:
                self._give_up.set()
                if self._at_mutex is not None:
                    self._at_mutex.future.set_exception(connect.closed(forked=False))
                    self._at_mutex = None
                self._fail_queued()
                self._queue.put(None)
            # A wait for a foreign program's lock ends within a round; one for the mutex does not.
            self._thread.join(2 * connect.BUSY_MS / 1000)
        return not self._thread.is_alive()

    def after_fork_in_child(self) -> None:
        """Never touch the connection again; fail what is asked."""
        self._forked = True
        self._gate = threading.Lock()
        self.db_lock = threading.RLock()
        if self.db is not None:
            forking.keep_forever(self.db)

    # -- the thread ---------------------------------------------------------------------------
    def _run(self) -> None:
        try:
            opened = Handover(self._open_first, readable=self._readable)
            if opened.failed:
                self._closing.set()
            opened.settle(self._ready)
            if not opened.failed:
                self._serve()
        finally:
            self._shut()

    def _open_first(self) -> None:
        self._mutex.acquire()
        try:
            with forking.in_sqlite:
                self.db = self._open_store()
            self.identity = connect.Identity.of(self._text)
            # Whatever lies in the log now was written by others: look at it when idle.
            self._units = 1.0
        finally:
            self._mutex.release()

    def _serve(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=IDLE_S if self._units else None)
            except queue.Empty:
                # Whoever writes now checkpoints, too; what a reader holds up can wait for the
                # next write.
                if self._checkpoint_now(wait=False):
                    self._units = 0.0
                continue
            if first is None:
                return
            if not self._serve_run(first):
                return

    def _serve_run(self, first: _Write[Any]) -> bool:
        """Do the queued writes under one hold of the mutex. False: the end mark was reached."""
        go_on = True
        changed = False
        write: _Write[Any] | None = first
        settled: list[tuple[Handover[Any], Future[Any]]] = []
        with self._gate:
            self._at_mutex = first
        try:
            self._mutex.acquire()
        except OSError as error:
            if self._begun():
                first.future.set_exception(connect.translate_os(error, self._path.parent))
            return True
        if not self._begun():
            self._mutex.release()
            return False
        try:
            until = time.monotonic() + LONGEST_HOLD_S
            while write is not None:
                ending = self._transact(write)
                settled.append((ending, write.future))
                changed |= write.changed and not ending.failed
                write = None
                if time.monotonic() < until:
                    try:
                        write = self._queue.get_nowait()
                        go_on = write is not None
                    except queue.Empty:
                        pass
        finally:
            self._mutex.release()
        if changed:
            self._committed()
        # After that, so that the threads which wait for results do not delay the bell.
        for ending, future in settled:
            ending.settle(future)
        # And nobody waits for a checkpoint.
        if self._units * self._pages_per_unit >= self._next_checkpoint:
            self._checkpoint_now(wait=True)
        return go_on

    def _begun(self) -> bool:
        """Mark the write at the mutex as begun; False if `close` has given it up meanwhile."""
        with self._gate:
            write, self._at_mutex = self._at_mutex, None
            return write is not None

    def _transact(self, write: _Write[T]) -> Handover[T]:
        """Run one write, whatever becomes of it."""

        def work() -> T:
            with self._inside():
                return self._transaction(write)

        return Handover(work, readable=self._of_sqlite)

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        with forking.in_sqlite, self.db_lock if self._exclusive else contextlib.nullcontext():
            yield

    def _transaction(self, write: _Write[T]) -> T:
        try:
            db = self._guarded()
        except OSError as error:  # not one of the caller's own work
            raise connect.translate_os(error, self._path.parent) from error
        if write.full is not self._full:
            db.execute("PRAGMA synchronous = FULL" if write.full else "PRAGMA synchronous = NORMAL")
            self._full = write.full
        self._begin(db)
        before = db.total_changes
        try:
            tx = Transaction(db, self._clock.now_ms())
            result = write.work(tx)
            tx.execute("COMMIT")
        finally:
            # Not after the commit; and a full disk has rolled back already.
            if db.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
        self._units += 1 + db.total_changes - before
        if self.identity.wal != connect.file_identity(self._log):
            raise StoreError(
                f"{self._path.name} or its log was deleted or replaced by another program during "
                "this write, so it may be lost. Look whether it is there, then try again."
            )
        write.changed = tx.changed
        return result

    def _begin(self, db: sqlite3.Connection) -> None:
        """BEGIN IMMEDIATE, waiting for as long as a foreign program locks the file."""
        try:
            while True:
                try:
                    db.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    code = error.sqlite_errorcode & 0xFF
                    if code != sqlite3.SQLITE_BUSY or self._give_up.is_set():
                        raise
                    if self.waiting_since is None:
                        self.waiting_since = self._clock.monotonic() - connect.BUSY_MS / 1000
        finally:
            self.waiting_since = None

    # -- the inode guard ----------------------------------------------------------------------
    def _guarded(self) -> sqlite3.Connection:
        """Return the connection, on the files that lie in the folder now. Under the mutex."""
        now = connect.Identity.of(self._text)
        if now == self.identity and self.db is not None:
            return self.db
        if now.database != self.identity.database:
            raise WorkspaceDamaged(
                f"{self._path} was {'deleted' if now.database is None else 'replaced'} while the "
                "workspace was open, so nothing more is written. Put the file back (or restore a "
                "backup) and open the workspace again."
            )
        with self._readers_away():
            self._leave_old_files(now)
            if connect.stale_index_open(self._path):
                raise WorkspaceDamaged(
                    f"The log of {self._path.name} was deleted by another program, and another "
                    "SQLite connection in this program still uses it. Close that connection (or "
                    "restart the kernel); nothing that was stored is lost."
                )
            self.db = connect.connect_writer(self._path, exclusive=self._exclusive)
            self._full = False
            self.reopened += 1
            self._units += 1
            self.identity = connect.Identity.of(self._text)
            return self.db

    def _leave_old_files(self, now: connect.Identity) -> None:
        db, self.db = self.db, None
        if db is None:
            return
        if now.wal == self.identity.wal:
            db.close()  # only the index is gone; the log is ours and complete
            return
        if now.wal is None:
            # Only deleted: commits that were still in the log can be saved into the file.
            with contextlib.suppress(sqlite3.Error):
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            connect.abandon(db)
            return
        # Replaced: the new log may hold commits of a process that has died since.
        spare = Path(f"{self._log}-spare")
        with contextlib.suppress(OSError):
            spare.unlink(missing_ok=True)
            spare.hardlink_to(self._log)
        connect.abandon(db)
        with contextlib.suppress(OSError):
            if Path(self._log).exists():
                spare.unlink(missing_ok=True)
            else:
                spare.rename(self._log)

    # -- checkpoints --------------------------------------------------------------------------
    def _checkpoint_now(self, *, wait: bool) -> bool:
        """Checkpoint under the mutex; without `wait` only if nobody has it."""
        try:
            if wait:
                self._mutex.acquire()
            elif not self._mutex.try_acquire():
                return False
        except OSError:
            return False
        try:
            if self.identity == connect.Identity.of(self._text):
                self._checkpoint()
            return True
        finally:
            self._mutex.release()

    def _checkpoint(self) -> None:
        """Copy the log into the database without waiting for readers. Under the mutex."""
        if self.db is None:
            return
        try:
            with self._inside():
                _, pages, moved = self.db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error:
            # A full disk, most likely. The log keeps everything; try again some writes later.
            self._next_checkpoint += CHECKPOINT_PAGES
            return
        self.checkpoints += 1
        self._next_checkpoint = float(CHECKPOINT_PAGES)
        if pages > 0 and self._units >= 16:
            self._pages_per_unit = min(max(pages / self._units, 0.2), 20.0)
        self._units = 0.0 if moved == pages else self._units * (1 - moved / max(pages, 1))

    # -- the end ------------------------------------------------------------------------------
    def _shut(self) -> None:
        with self._gate:
            self._closing.set()
            self._fail_queued()
        with self.db_lock:
            db, self.db = self.db, None
        if db is not None:
            with contextlib.suppress(OSError), forking.in_sqlite:
                self._close_connection(db)
        self._mutex.close()
        self._ended()

    def _close_connection(self, db: sqlite3.Connection) -> None:
        # Without the mutex (given up waiting for it) a close must not checkpoint.
        mine = self._mutex.try_acquire() if self._give_up.is_set() else self._take_mutex()
        if not mine:
            forking.keep_forever(db)
            return
        if self.identity != connect.Identity.of(self._text):
            connect.abandon(db)
            return
        with contextlib.suppress(sqlite3.Error):
            db.execute("PRAGMA busy_timeout = 100").fetchall()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        db.close()

    def _take_mutex(self) -> bool:
        self._mutex.acquire()
        return True

    def _fail_queued(self) -> None:
        while True:
            try:
                write = self._queue.get_nowait()
            except queue.Empty:
                return
            if write is not None:
                write.future.set_exception(connect.closed(forked=False))

    def _of_sqlite(self, error: BaseException) -> BaseException:
        if isinstance(error, sqlite3.Error):
            return connect.translate(error, self._path)
        return error  # of the caller's own work

    def _readable(self, error: BaseException) -> BaseException:
        if isinstance(error, OSError):
            return connect.translate_os(error, self._path.parent)
        return self._of_sqlite(error)
