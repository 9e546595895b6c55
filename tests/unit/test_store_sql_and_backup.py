"""What goes out of the store: read-only SQL, backups, checks, sentences for errors of SQLite."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.waiting import until
from workbench.errors import (
    InvalidRequest,
    StoreError,
    WorkspaceDamaged,
)
from workbench.store.sqlite import connect
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


# -- sql --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "parameters", "columns", "rows"),
    [
        ("SELECT key AS k FROM meta WHERE key = ?", ("feed_floor",), ["k"], [("feed_floor",)]),
        ("SELECT value FROM meta WHERE key = :k", {"k": "feed_floor"}, ["value"], [("0",)]),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i+1 FROM n LIMIT 2) SELECT * FROM n;",
         (), ["i"], [(1,), (2,)]),
        ("SELECT rowid FROM prompt_search WHERE prompt_search MATCH 'sea'", (), ["rowid"], []),
        ("SELECT name FROM pragma_table_info('meta') LIMIT 1", (), ["name"], [("key",)]),
        ("PRAGMA user_version", (), ["user_version"], [(4,)]),
        ("-- why\nSELECT 1 AS one -- because", (), ["one"], [(1,)]),
    ],
)  # fmt: skip
@pytest.mark.req("DAT-1")
def test_sql_answers_reading_statements(
    db: Database, statement: str, parameters: object, columns: list[str], rows: list[object]
) -> None:
    assert db.sql(statement, parameters) == (columns, rows)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM meta",
        "INSERT INTO meta VALUES ('x', 'y') RETURNING key",
        "UPDATE meta SET value = ''",
        "UPDATE sqlite_master SET sql = ''",
        "DELETE FROM sqlite_master",
        "DROP TABLE meta",
        "CREATE TEMP TABLE x (y)",
        "ATTACH ':memory:' AS other",
        "VACUUM",
        "VACUUM INTO '/tmp/never'",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT a",
        "PRAGMA user_version = 9",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "SELECT load_extension('x')",
        "SELECT 1; DELETE FROM meta",
        "",
        "   ",
        "-- nothing",
        "SELECT",
        "SELECT * FROM no_such_table",
        "no sql at all",
        "SELECT ?",
        None,
        7,
    ],
)
def test_sql_refuses_everything_else_with_a_sentence(db: Database, statement: str) -> None:
    before = keys(db)
    with pytest.raises(InvalidRequest) as caught:
        db.sql(statement)
    assert caught.value.field in {"query", "parameters"}
    assert str(caught.value).endswith(".")
    assert keys(db) == before
    assert db.sql("SELECT 1")[1] == [(1,)]
    assert db.write(lambda tx: tx.scalar("PRAGMA user_version")).result() == 4


def test_sql_stops_what_takes_too_long(db: Database) -> None:
    with pytest.raises(InvalidRequest, match="too long"):
        db.sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n",
            limit_s=0.05,
        )
    assert db.sql("SELECT 1")[1] == [(1,)]


# -- backup -----------------------------------------------------------------------------------


@pytest.mark.req("DAT-6")
def test_a_backup_is_one_private_file_that_opens_as_a_workspace(
    db: Database, tmp_path: Path
) -> None:
    for number in range(20):
        db.write(put(str(number)))
    db.write(lambda _tx: None).result()
    target = tmp_path / "restored" / connect.DATABASE
    target.parent.mkdir()
    db.backup(target)
    assert [path.name for path in target.parent.iterdir()] == [connect.DATABASE]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    restored = Database(target.parent)
    assert len(keys(restored)) == 20
    assert restored.workspace_id == db.workspace_id
    assert restored.feed_id != db.feed_id  # its clients start afresh
    renewed = restored.feed_id
    restored.close()
    restored = Database(target.parent)
    assert restored.feed_id == renewed
    restored.close()


def test_a_backup_replaces_the_older_one_whole(db: Database, tmp_path: Path) -> None:
    target = tmp_path / "nightly.sqlite3"
    target.write_bytes(b"older")
    db.backup(target)
    assert target.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize("name", [".", "no/such/folder/x", f"workspace/{connect.DATABASE}"])
def test_a_backup_refuses_places_that_are_wrong(db: Database, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="path"):
        db.backup(tmp_path / name)
    db.write(put("a")).result()


def test_a_backup_during_writes_is_of_one_moment(db: Database, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():

            def work(tx: Transaction, number: int = number) -> None:
                put(f"low{number}", "x" * 2000)(tx)
                put(f"high{number}", "x" * 2000)(tx)

            db.write(work).result()
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    until(lambda: len(keys(db)) > 50)
    for copy in range(3):
        target = tmp_path / f"{copy}.sqlite3"
        db.backup(target)
        check = sqlite3.connect(target)
        low, high = (
            check.execute("SELECT count(*) FROM meta WHERE key LIKE ?", (pattern,)).fetchone()[0]
            for pattern in ("low%", "high%")
        )
        assert low == high > 0
        assert check.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        check.close()
    stop.set()
    thread.join()


def test_checks_find_nothing_wrong_with_a_healthy_store(db: Database) -> None:
    assert db.quick_check() == []
    assert db.integrity_check() == []


def test_the_foreign_key_check_names_the_row(db: Database) -> None:
    def work(tx: Transaction) -> None:
        tx.execute("PRAGMA defer_foreign_keys = ON")

    db.write(work).result()
    foreign = sqlite3.connect(db.path)
    foreign.execute("INSERT INTO collection_item VALUES ('none', 0, NULL, 'none')")
    foreign.commit()
    foreign.close()
    assert any("collection_item" in problem for problem in db.integrity_check())


def test_errors_of_sqlite_become_sentences(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"

    def error(code: int) -> sqlite3.Error:
        found = sqlite3.OperationalError("trouble")
        found.sqlite_errorcode = code
        return found

    assert "failed" in str(connect.translate(error(sqlite3.SQLITE_IOERR_FSYNC), path))
    assert "read-only" in str(connect.translate(error(sqlite3.SQLITE_READONLY), path))
    assert isinstance(connect.translate(error(sqlite3.SQLITE_CORRUPT), path), WorkspaceDamaged)
    assert "locked" in str(connect.translate(error(sqlite3.SQLITE_BUSY), path))
    plain = error(sqlite3.SQLITE_ERROR)
    assert connect.translate(plain, path) is plain
    assert isinstance(connect.translate_os(OSError(28, "full"), tmp_path), StoreError)
