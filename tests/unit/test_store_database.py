"""The store kernel: transactions in one thread, readers beside them, a clean end."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.waiting import until
from workbench.errors import (
    EngineClosed,
    WorkspaceBusy,
    WorkspaceDamaged,
)
from workbench.store.sqlite import connect, writer
from workbench.store.sqlite.database import Database
from workbench.store.sqlite.writer import Transaction

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


@pytest.fixture
def db(folder: Path) -> Iterator[Database]:
    database = Database(folder)
    yield database
    database.close()


def put(key: str, value: str = "") -> Callable[[Transaction], None]:
    def work(tx: Transaction) -> None:
        tx.execute("INSERT INTO meta VALUES (?, ?)", (key, value))

    return work


def keys(db: Database) -> set[str]:
    with db.reading() as reader:
        return {row["key"] for row in reader.all("SELECT key FROM meta")} - {
            "workspace_id",
            "feed_id",
            "created_at",
            "feed_floor",
        }


class Turned:
    """A clock that stands still."""

    def now_ms(self) -> int:
        return 1_700_000_000_000

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.mark.req("DAT-1")
def test_a_new_workspace_has_ids_a_schema_and_an_empty_feed(db: Database, folder: Path) -> None:
    assert db.is_new
    assert db.folder == folder
    with db.reading() as reader:
        meta = dict(map(tuple, reader.all("SELECT key, value FROM meta")))
        assert meta["workspace_id"] == db.workspace_id
        assert meta["feed_id"] == db.feed_id != db.workspace_id
        assert meta["feed_floor"] == "0"
        assert reader.scalar("SELECT count(*) FROM change") == 0
        assert reader.scalar("PRAGMA journal_mode") == "wal"


def test_opening_again_finds_the_same_workspace(folder: Path) -> None:
    first = Database(folder)
    first.write(put("a")).result()
    first.close()
    second = Database(folder)
    assert not second.is_new
    assert (second.workspace_id, second.feed_id) == (first.workspace_id, first.feed_id)
    assert keys(second) == {"a"}
    second.close()


def test_a_clean_end_leaves_one_file_and_no_log(folder: Path) -> None:
    db = Database(folder)
    db.write(put("a")).result()
    db.close()
    assert sorted(path.name for path in folder.iterdir()) == ["workbench.sqlite3", "write.lock"]


def test_a_write_returns_what_its_work_returns_and_has_one_time(folder: Path) -> None:
    db = Database(folder, clock=Turned())
    assert db.write(lambda tx: (tx.now, tx.scalar("SELECT 1"))).result() == (1_700_000_000_000, 1)
    db.close()


def test_an_exception_rolls_the_write_back_and_reaches_the_caller(db: Database) -> None:
    def work(tx: Transaction) -> None:
        put("a")(tx)
        raise LookupError("no such prompt")

    with pytest.raises(LookupError, match="no such prompt"):
        db.write(work).result()
    with pytest.raises(sqlite3.IntegrityError):
        db.write(put("feed_id")).result()
    error = OSError("the caller's own")
    assert db.write(lambda _tx: fail_with(error)).exception() is error
    db.write(put("b")).result()
    assert keys(db) == {"b"}


def fail_with(error: Exception) -> None:
    raise error


def test_a_work_cannot_end_its_transaction_and_go_on(db: Database) -> None:
    def work(tx: Transaction) -> None:
        put("a")(tx)
        tx.db.execute("ROLLBACK")
        put("b")(tx)

    with pytest.raises(sqlite3.OperationalError, match="rolled back"):
        db.write(work).result()
    assert keys(db) == set()


def test_writes_happen_in_the_order_in_which_they_were_given(db: Database) -> None:
    futures = [db.write(put(f"{number:03}")) for number in range(200)]
    for future in futures:
        future.result()
    with db.reading() as reader:
        rows = reader.all("SELECT key FROM meta WHERE key GLOB '[0-9]*' ORDER BY key")
    assert [row["key"] for row in rows] == [f"{number:03}" for number in range(200)]


def test_all_writes_run_in_one_thread_of_the_store(db: Database) -> None:
    names = {db.write(lambda _tx: threading.current_thread().name).result() for _ in range(3)}
    assert names == {"workbench-store"}


@pytest.mark.parametrize(("full", "level"), [(True, 2), (False, 1)])
def test_durability_is_chosen_for_each_write(db: Database, full: bool, level: int) -> None:
    for _ in range(2):
        assert db.write(lambda tx: tx.scalar("PRAGMA synchronous"), full=full).result() == level
        db.write(lambda _tx: None, full=not full).result()


def test_foreign_keys_are_kept(db: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        db.write(
            lambda tx: tx.execute("INSERT INTO collection_item VALUES ('none', 0, NULL, 'none')")
        ).result()


def test_a_write_cannot_be_cancelled_by_whoever_stops_waiting(db: Database) -> None:
    held = threading.Event()
    db.write(lambda _tx: held.wait())

    async def wait_a_moment() -> None:
        future = db.write(put("a"))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(future), 0.01)
        held.set()
        future.result()

    asyncio.run(wait_a_moment())
    assert keys(db) == {"a"}


@pytest.mark.req("LIVE-1")
def test_listeners_hear_of_commits_with_changes_only(db: Database) -> None:
    heard: list[str] = []
    end = db.on_commit(lambda: heard.append(threading.current_thread().name))

    def change(tx: Transaction) -> None:
        tx.changed = True

    def change_and_fail(tx: Transaction) -> None:
        tx.changed = True
        raise LookupError

    db.write(lambda _tx: None).result()
    assert db.write(change_and_fail).exception() is not None
    assert heard == []
    db.write(change).result()  # listeners are called before the caller goes on
    assert heard == ["workbench-store"]
    end()
    db.write(change).result()
    assert len(heard) == 1


def test_a_listener_that_fails_harms_nobody_and_the_event_log_tells_of_it_once(
    db: Database,
) -> None:
    heard: list[int] = []

    def broken() -> None:
        raise ValueError("bell broken")

    db.on_commit(broken)
    db.on_commit(lambda: heard.append(1))

    def change(tx: Transaction) -> None:
        tx.changed = True

    db.write(change).result()
    db.write(change).result()
    db.write(put("a")).result()  # after the line of the log
    assert heard == [1, 1]
    with db.reading() as reader:
        lines = reader.all("SELECT level, kind, text, data FROM log")
    assert [tuple(line)[:3] for line in lines] == [
        ("error", "store", "A listener of commits failed: ValueError: bell broken")
    ]
    assert 'raise ValueError(\\"bell broken\\")' in lines[0]["data"]


def test_readers_cannot_write(db: Database) -> None:
    with db.reading() as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM meta")
    with db.reading() as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("PRAGMA user_version = 7")


def test_a_reader_sees_one_moment_and_does_not_hold_up_writers(db: Database) -> None:
    with db.reading() as reader:
        before = reader.scalar("SELECT count(*) FROM meta")
        db.write(put("a")).result()
        assert reader.scalar("SELECT count(*) FROM meta") == before
    assert keys(db) == {"a"}


def test_many_threads_read_while_one_writes(db: Database) -> None:
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with db.reading() as reader:
                low = reader.scalar("SELECT count(*) FROM meta WHERE key LIKE 'low%'")
                high = reader.scalar("SELECT count(*) FROM meta WHERE key LIKE 'high%'")
                if low != high:
                    wrong.append(f"{low} {high}")

    readers = [threading.Thread(target=read) for _ in range(6)]
    for thread in readers:
        thread.start()
    for number in range(300):

        def work(tx: Transaction, number: int = number) -> None:
            put(f"low{number}")(tx)
            put(f"high{number}")(tx)

        db.write(work)
    db.write(lambda _tx: None).result()
    done.set()
    for thread in readers:
        thread.join()
    assert not wrong
    assert len(db._readers._idle) <= 4


def test_iterate_gives_every_row(db: Database) -> None:
    for number in range(3):
        db.write(
            lambda tx, number=number: tx.executemany(
                "INSERT INTO meta VALUES (?, '')", [(f"{number}-{n}",) for n in range(250)]
            )
        )
    db.write(lambda _tx: None).result()
    with db.reading() as reader:
        rows = list(reader.iterate("SELECT key FROM meta WHERE key LIKE '%-%' ORDER BY key"))
    assert len(rows) == 750


def test_the_data_version_moves_with_each_commit_and_only_then(db: Database, folder: Path) -> None:
    first = db.data_version()
    assert db.data_version() == first
    db.write(put("a")).result()
    second = db.data_version()
    assert second != first
    other = Database(folder)
    other.write(put("b")).result()
    other.close()
    assert db.data_version() != second


def test_two_databases_of_one_process_share_a_folder(db: Database, folder: Path) -> None:
    other = Database(folder)
    futures = [
        (db if number % 2 else other).write(put(str(number)), full=number % 10 == 0)
        for number in range(100)
    ]
    for future in futures:
        future.result()
    other.close()
    assert keys(db) == {str(number) for number in range(100)}
    db.write(put("after")).result()
    assert db.integrity_check() == []


def test_close_finishes_what_is_queued_and_refuses_the_rest(folder: Path) -> None:
    db = Database(folder)
    futures = [db.write(put(str(number)), full=True) for number in range(50)]
    db.close()
    assert all(future.exception() is None for future in futures)
    with pytest.raises(EngineClosed, match="closed"):
        db.write(put("late")).result()
    with pytest.raises(EngineClosed, match="closed"), db.reading():
        pass
    with pytest.raises(EngineClosed):
        db.sql("SELECT 1")
    db.close()
    again = Database(folder)
    assert len(keys(again)) == 50
    again.close()


def test_closing_while_threads_write_and_read_loses_no_promise(folder: Path) -> None:
    db = Database(folder)
    kept: list[str] = []
    odd: list[BaseException] = []

    def write(name: str) -> None:
        number = 0
        while True:
            try:
                db.write(put(f"{name}{number}")).result()
                with db.reading() as reader:
                    reader.scalar("SELECT count(*) FROM meta")
            except EngineClosed:
                return
            except BaseException as error:  # noqa: BLE001 - any other one fails the test
                odd.append(error)
                return
            kept.append(f"{name}{number}")
            number += 1

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    until(lambda: len(kept) > 40)
    db.close()
    for thread in threads:
        thread.join()
    assert odd == []
    again = Database(folder)
    assert set(kept) <= keys(again)
    again.close()


def test_a_keyboard_interrupt_ends_the_waiting_but_not_the_write(db: Database) -> None:
    begun = threading.Event()
    go_on = threading.Event()

    def work(tx: Transaction) -> None:
        put("a")(tx)
        begun.set()
        go_on.wait(timeout=45)
        put("b")(tx)

    interrupted = threading.Event()

    def on_signal(*_: object) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    waits = threading.Event()

    def interrupt() -> None:
        begun.wait(timeout=45)
        waits.wait(timeout=45)  # the main thread may still be on its way out of `write`
        # A signal just before the main thread begins to wait would only be seen after it.
        while not interrupted.wait(timeout=0.02):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    before = signal.signal(signal.SIGINT, on_signal)
    interrupter = threading.Thread(target=interrupt)
    try:
        interrupter.start()
        future = db.write(work, full=True)
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - from where it may come
            waits.set()
            future.result()
    finally:
        interrupted.set()
        interrupter.join()
        go_on.set()
        signal.signal(signal.SIGINT, before)
    future.result()
    assert keys(db) == {"a", "b"}


HOLD_MUTEX = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""

LOCK_DATABASE = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
db.execute("ROLLBACK")
"""


@pytest.mark.parametrize(
    ("script", "file"), [(HOLD_MUTEX, connect.MUTEX), (LOCK_DATABASE, connect.DATABASE)]
)
def test_a_write_waits_for_another_process_and_says_so(
    db: Database, folder: Path, script: str, file: str
) -> None:
    with holder(script, folder / file) as process:
        future = db.write(put("a"))
        until(lambda: db.waiting_since is not None)
        assert db.waiting_since is not None
        assert db.waiting_since <= time.monotonic()
        assert not future.done()
        assert keys(db) == set()  # reading goes on
        process.communicate("go on\n")
        future.result()
    assert db.waiting_since is None
    assert keys(db) == {"a"}


@pytest.mark.parametrize(
    ("script", "file"), [(HOLD_MUTEX, connect.MUTEX), (LOCK_DATABASE, connect.DATABASE)]
)
def test_closing_gives_up_on_a_process_that_never_lets_go(
    folder: Path, script: str, file: str
) -> None:
    db = Database(folder)
    with holder(script, folder / file) as process:
        futures = [db.write(put(name)) for name in "ab"]
        until(lambda: db.waiting_since is not None)
        db.close(timeout_s=0.05)
        for future in futures:
            with pytest.raises((EngineClosed, WorkspaceBusy)):
                future.result(timeout=45)
        process.communicate("go on\n")
    again = Database(folder)
    assert keys(again) == set()
    again.close()


class holder:  # noqa: N801 - used like a function
    """A process that holds a lock until it reads a line, or until the block ends."""

    def __init__(self, script: str, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> subprocess.Popen[str]:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


# -- checkpoints ------------------------------------------------------------------------------


def test_the_log_is_checkpointed_after_about_a_thousand_pages(db: Database) -> None:
    for number in range(120):
        db.write(
            lambda tx, number=number: tx.executemany(
                "INSERT INTO meta VALUES (?, ?)", [(f"{number}-{n}", "x" * 900) for n in range(50)]
            )
        )
    db.write(lambda _tx: None).result()
    assert db._writer.checkpoints >= 1
    log = Path(f"{db.path}-wal").stat().st_size
    assert log < 16 * 1024 * 1024


def test_the_log_is_checkpointed_when_nothing_happens(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "IDLE_S", 0.02)
    db = Database(folder)
    before = db._writer.checkpoints  # after the write, it might count its checkpoint already
    db.write(put("a")).result()
    until(lambda: db._writer._units == 0)
    assert db._writer.checkpoints > before
    settled = db._writer.checkpoints
    time.sleep(0.1)
    assert db._writer.checkpoints == settled  # and then it sleeps
    db.close()


# -- the guard --------------------------------------------------------------------------------


def test_a_deleted_log_costs_no_commit(db: Database, folder: Path) -> None:
    db.write(put("before")).result()
    Path(f"{db.path}-wal").unlink()
    Path(f"{db.path}-shm").unlink()
    db.write(put("after")).result()
    assert db._writer.reopened == 1
    assert keys(db) == {"before", "after"}
    other = Database(folder)
    assert keys(other) == {"before", "after"}
    other.close()
    assert db.integrity_check() == []


def test_a_deleted_index_costs_no_commit(db: Database) -> None:
    db.write(put("before")).result()
    keys(db)
    Path(f"{db.path}-shm").unlink()
    db.write(put("after")).result()
    assert keys(db) == {"before", "after"}
    assert db.integrity_check() == []


def test_reading_notices_a_deleted_log_too(db: Database) -> None:
    db.write(put("before")).result()
    assert keys(db) == {"before"}
    Path(f"{db.path}-wal").unlink()
    Path(f"{db.path}-shm").unlink()
    assert keys(db) == {"before"}
    assert db._writer.reopened == 1
    assert db.data_version() != db.data_version() - 1


def test_another_connection_on_the_deleted_log_is_named(db: Database) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("Linux only: the test needs /proc, which tells who has a file open.")
    db.write(put("before")).result()
    forgotten = sqlite3.connect(db.path)
    forgotten.execute("SELECT count(*) FROM meta").fetchall()
    Path(f"{db.path}-wal").unlink()
    Path(f"{db.path}-shm").unlink()
    with pytest.raises(WorkspaceDamaged, match="Close that connection"):
        db.write(put("during")).result()
    forgotten.close()
    db.write(put("after")).result()
    assert keys(db) == {"before", "after"}


@pytest.mark.parametrize("replace", [True, False])
def test_a_replaced_or_deleted_store_file_stops_writing(
    folder: Path, tmp_path: Path, replace: bool
) -> None:
    db = Database(folder)
    db.write(put("a")).result()
    copy = tmp_path / "copy.sqlite3"
    db.backup(copy)
    if replace:
        copy.replace(db.path)
    else:
        db.path.unlink()
    with pytest.raises(WorkspaceDamaged, match="replaced" if replace else "deleted"):
        db.write(put("b")).result()
    with pytest.raises(WorkspaceDamaged), db.reading():
        pass
    db.close()


def test_a_deleted_mutex_file_is_made_anew(db: Database, folder: Path) -> None:
    (folder / connect.MUTEX).unlink()
    db.write(put("a")).result()
    with holder(HOLD_MUTEX, folder / connect.MUTEX) as process:
        future = db.write(put("b"))
        until(lambda: db.waiting_since is not None)
        process.communicate("go on\n")
        future.result()
