"""Which connection is lent again after an error, and how the error reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import StoreError
from workbench.store.sqlite.database import Database


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    one = Database(tmp_path / "ws")
    yield one
    one.close()


def disk_error() -> sqlite3.Error:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


@pytest.mark.parametrize(
    ("raised", "read", "used_again"),
    [
        (ValueError("of the block"), ValueError, True),
        (sqlite3.OperationalError("no such table"), sqlite3.OperationalError, True),
        (disk_error(), StoreError, False),
        (KeyboardInterrupt(), KeyboardInterrupt, False),
    ],
    ids=["of the block", "wrong statement", "disk", "interrupt"],
)
def test_after_an_error_a_reader_is_used_again_only_if_it_is_sound(
    db: Database, raised: BaseException, read: type[BaseException], used_again: bool
) -> None:
    with db.reading() as reader:
        before = reader.db
    with pytest.raises(read) as caught, db.reading():
        raise raised
    assert caught.value is raised or caught.value.__cause__ is raised
    with db.reading() as reader:
        assert (reader.db is before) is used_again
        assert reader.scalar("SELECT 1") == 1
