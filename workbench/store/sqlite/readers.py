"""Reading: short, read-only, from any thread, on a small pool of connections."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.domain.arguments import shown
from workbench.errors import InvalidRequest
from workbench.store import forking
from workbench.store.sqlite import connect

MAX_IDLE = 4
LONGEST_READ_S = 5.0  # how long a repair waits for blocks that read
_ROWS_AT_ONCE = 256


class Reader:
    """One consistent look at the store: everything read in a block is of the same moment.

    Never hold it across an ``await`` or a slow step: it keeps the log from being recycled.
    """

    __slots__ = ("_alive", "db")

    def __init__(self, db: sqlite3.Connection, alive: Callable[[], None]) -> None:
        self.db = db
        self._alive = alive

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Run one reading statement."""
        self._alive()
        return self.db.execute(sql, parameters)

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

    def iterate(self, sql: str, parameters: Any = ()) -> Iterator[sqlite3.Row]:
        """Rows one after the other, for results too large for a list."""
        cursor = self.execute(sql, parameters)
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            yield from rows
            self._alive()


class Readers:
    """Read-only connections: the last one used is the first one used again, at most four idle.

    Parameters
    ----------
    path:
        The store file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Condition()
        self._idle: list[tuple[connect.Identity, sqlite3.Connection]] = []
        self._all: set[sqlite3.Connection] = set()
        self._closed = False
        self._paused = False
        self._forked = False
        self._watch: tuple[connect.Identity, sqlite3.Connection] | None = None
        self._offset = 0
        self._last = 0

    @contextlib.contextmanager
    def reading(self, identity: connect.Identity) -> Iterator[Reader]:
        """Lend a reader for the length of the block.

        Parameters
        ----------
        identity:
            The files that the writer has open; connections on other ones are not used.
        """
        db = self._take(identity)
        with contextlib.ExitStack() as lent:
            lent.push(functools.partial(self._read, identity, db))
            db.execute("BEGIN")
            yield Reader(db, self._alive)

    def data_version(self, identity: connect.Identity) -> int:
        """A number that differs whenever another connection has committed since the last call."""
        with self._lock:
            self._wait_until_allowed()
            if self._watch is None or self._watch[0] != identity:
                if self._watch is not None:
                    self._discard(self._watch[1])
                self._watch = None
                self._watch = identity, self._open()
                self._offset += self._last + 1
            self._last = self._watch[1].execute("PRAGMA data_version").fetchone()[0]
            return self._offset + self._last

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Close every connection, and open none inside the block.

        Waits for blocks that are still reading, but not for ever.
        """
        until = time.monotonic() + LONGEST_READ_S
        try:
            with self._lock:
                self._paused = True
                self._close_idle()
                while self._all and (left := until - time.monotonic()) > 0:
                    self._lock.wait(left)
                    self._close_idle()
            yield
        finally:
            with self._lock:
                self._paused = False
                self._lock.notify_all()

    def close(self) -> None:
        """Close what is idle now, and the rest when it comes back."""
        self._closed = True
        if not self._forked:
            with self._lock:
                self._close_idle()
                self._lock.notify_all()

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone for ever."""
        self._forked = True
        self._lock = threading.Condition()
        for db in tuple(self._all):
            forking.keep_forever(db)

    def fresh(self) -> sqlite3.Connection:
        """Open a connection outside the pool; the caller closes it with `discard`."""
        with self._lock:
            self._wait_until_allowed()
            return self._open()

    def discard(self, db: sqlite3.Connection) -> None:
        """Close a connection of `fresh`."""
        if not self._forked:
            with self._lock:
                self._discard(db)

    def _read(
        self,
        identity: connect.Identity,
        db: sqlite3.Connection,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _frames: object,
    ) -> None:
        """Take a reader back at the end of a block, which may be an error."""
        readable = error
        if isinstance(error, sqlite3.Error):
            readable = connect.translate(error, self._path)
        if not self._forked:
            # What is not translated is a wrong statement, or an error of the block's own; after an
            # interrupt nobody knows what state the connection is in.
            sound = kind is None or (issubclass(kind, Exception) and readable is error)
            self._give_back(identity, db, healthy=sound)
        if readable is not None and readable is not error:
            raise readable from error

    def _alive(self) -> None:
        if self._closed or self._forked:
            raise connect.closed(forked=self._forked)

    def _wait_until_allowed(self) -> None:
        self._alive()
        while self._paused:
            self._lock.wait()
            self._alive()

    def _take(self, identity: connect.Identity) -> sqlite3.Connection:
        self._alive()
        with self._lock:
            self._wait_until_allowed()
            while self._idle:
                opened_on, db = self._idle.pop()
                if opened_on == identity:
                    return db
                self._discard(db)
            return self._open()

    def _give_back(
        self, identity: connect.Identity, db: sqlite3.Connection, *, healthy: bool
    ) -> None:
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except sqlite3.Error:
            healthy = False
        with self._lock:
            if healthy and not self._closed and not self._paused and len(self._idle) < MAX_IDLE:
                self._idle.append((identity, db))
            else:
                self._discard(db)
            self._lock.notify_all()

    def _open(self) -> sqlite3.Connection:
        try:
            db = connect.connect_reader(self._path)
        except sqlite3.Error as error:
            raise connect.translate(error, self._path) from error
        self._all.add(db)
        return db

    def _discard(self, db: sqlite3.Connection) -> None:
        self._all.discard(db)
        with contextlib.suppress(sqlite3.Error):
            db.close()
        self._lock.notify_all()

    def _close_idle(self) -> None:
        while self._idle:
            self._discard(self._idle.pop()[1])
        if self._watch is not None:
            self._discard(self._watch[1])
            self._watch = None


# -- ws.sql ---------------------------------------------------------------------------------------
_READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
# Pragmas that only tell; data_version is what FTS5 itself asks.
_TELLING = {
    "data_version",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "page_count",
    "page_size",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
}
_SETTABLE_BY_ARGUMENT = {"page_size", "user_version"}
_STEPS_BETWEEN_CHECKS = 10_000


def query(
    db: sqlite3.Connection, statement: str, parameters: Sequence[Any] | Any, *, limit_s: float
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one reading statement of a person and return column names and rows.

    Parameters
    ----------
    db:
        A connection that nobody else uses meanwhile.
    statement, parameters:
        One statement and the values of its placeholders.
    limit_s:
        Seconds after which it is stopped.

    Raises
    ------
        InvalidRequest: it writes, is no single statement, is wrong, or took too long.
    """
    given: object = statement  # it comes from people: the annotation binds nobody
    if not isinstance(given, str) or not given.strip():
        raise InvalidRequest("query", "give one SELECT statement as text.")
    if not isinstance(parameters, (tuple, list, dict)):
        raise InvalidRequest("parameters", f"must be a list or a dict, not {shown(parameters)}.")
    refused: list[str] = []

    def authorize(action: int, first: str | None, second: str | None, *_rest: str | None) -> int:
        if action in _READING and (second or "").lower() != "load_extension":
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_UPDATE and first == "sqlite_master":
            # Asked while a virtual table (full text, pragma_…) is opened. A real change of the
            # schema is refused by the connection, which can only read.
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_PRAGMA:
            name = (first or "").lower()
            if name in _TELLING and not (second is not None and name in _SETTABLE_BY_ARGUMENT):
                return sqlite3.SQLITE_OK
        refused.append(first or "")
        return sqlite3.SQLITE_DENY

    until = time.monotonic() + limit_s
    try:
        db.set_authorizer(authorize)
        db.set_progress_handler(lambda: time.monotonic() > until, _STEPS_BETWEEN_CHECKS)
        cursor = db.execute(statement, parameters)
        if cursor.description is None:
            raise InvalidRequest("query", "give one statement that returns rows (SELECT …).")
        columns = [column[0] for column in cursor.description]
        return columns, [tuple(row) for row in cursor]
    except UnicodeEncodeError:
        raise InvalidRequest("query", "has half a surrogate, which is not text.") from None
    except OverflowError:
        raise InvalidRequest("parameters", "has a number of more than 64 bits.") from None
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _refusal(error, refused=bool(refused), late=time.monotonic() > until) from error
    finally:
        db.set_progress_handler(None, 0)
        db.set_authorizer(None)


def _refusal(error: Exception, *, refused: bool, late: bool) -> Exception:
    code = getattr(error, "sqlite_errorcode", None)
    if refused or code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH}:
        return InvalidRequest(
            "query", "only statements that read are allowed here; change things by the workspace."
        )
    if late and code == sqlite3.SQLITE_INTERRUPT:
        return InvalidRequest("query", "it took too long and was stopped; narrow it or add LIMIT.")
    if "one statement" in str(error):
        return InvalidRequest("query", "give one statement, without another one after it.")
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return InvalidRequest("parameters", f"{error}.")
    if isinstance(error, sqlite3.OperationalError) and (code or 0) & 0xFF == sqlite3.SQLITE_ERROR:
        return InvalidRequest("query", f"SQLite says: {str(error)[:500]}.")
    return error
