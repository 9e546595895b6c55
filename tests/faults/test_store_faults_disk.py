"""A full disk at every stage of the store: a sentence, nothing lost, and it works again after."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small_disk import Mount, mounting_or_skip
from workbench.errors import DiskFull, StoreError
from workbench.store.bell import Bell
from workbench.store.liveness import OwnerLock, is_alive
from workbench.store.sqlite import connect, migrate, writer
from workbench.store.sqlite.database import Database
from workbench.store.sqlite.writer import Transaction

MEGABYTE = 1024 * 1024
NEWEST = len(migrate.find([migrate.shipped()]))  # version of the schema


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    with mounting_or_skip(tmp_path) as mount:
        yield mount


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Take the free space but `leave` bytes."""
    ballast = disk / "ballast"
    with ballast.open("ab") as file:
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        file.write(b"\0" * max(free - leave, 0))
    return ballast


def put(key: str, size: int = 0) -> object:
    def work(tx: Transaction) -> None:
        tx.execute("INSERT INTO meta VALUES (?, ?)", (key, "x" * size))

    return work


def found(db: Database) -> set[str]:
    with db.reading() as reader:
        return {row[0] for row in reader.all("SELECT key FROM meta")}


def test_a_full_disk_at_creation_is_said_and_heals(mount) -> None:  # type: ignore[no-untyped-def]
    said: list[str] = []
    for kilobytes in (4, 16, 64, 200, 400, 700):
        disk = mount("size=4m")
        ballast = fill(disk, leave=kilobytes * 1024)
        try:
            Database(disk / "w").close()
        except DiskFull as error:
            said.append(str(error))
        ballast.unlink()
        db = Database(disk / "w")
        db.write(put("a")).result()
        assert db.integrity_check() == []
        db.close()
    assert len(said) >= 3
    assert all("free some space" in text for text in said)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("leave", [0, 4096, 20_000, 100_000])
def test_a_write_that_does_not_fit_is_rolled_back_and_the_rest_goes_on(  # type: ignore[no-untyped-def]
    mount, full: bool, leave: int
) -> None:
    disk = mount("size=6m")
    db = Database(disk / "w")
    db.write(put("before"), full=True).result()
    ballast = fill(disk, leave=leave)
    with pytest.raises(DiskFull, match="Nothing of what was stored before is lost"):
        db.write(put("large", 8 * MEGABYTE), full=full).result()
    assert "before" in found(db)
    assert "large" not in found(db)
    assert db.quick_check() == []
    ballast.unlink()
    db.write(put("after"), full=full).result()
    assert {"before", "after"} <= found(db)
    assert db.integrity_check() == []
    db.close()
    again = Database(disk / "w")
    assert {"before", "after"} <= found(again)
    again.close()


def test_writing_until_the_disk_is_full_keeps_every_acknowledged_row(mount) -> None:  # type: ignore[no-untyped-def]
    disk = mount("size=3m")
    dice = random.Random(7)
    db = Database(disk / "w")
    kept: set[str] = set()
    refused = 0
    for number in range(4000):
        try:
            db.write(put(f"k{number}", dice.randint(0, 3000)), full=number % 3 == 0).result()
            kept.add(f"k{number}")
        except DiskFull:
            refused += 1
            if refused > 30:
                break
    assert refused > 30
    assert kept <= found(db)
    db.close()  # a checkpoint that may not fit
    again = Database(disk / "w")
    assert kept <= found(again)
    assert again.integrity_check() == []
    again.close()


def test_a_work_that_swallows_the_full_disk_does_not_commit_its_rest(mount) -> None:  # type: ignore[no-untyped-def]
    disk = mount("size=4m")
    db = Database(disk / "w")
    fill(disk, leave=200_000)

    def work(tx: Transaction) -> None:
        import contextlib
        import sqlite3

        tx.execute("INSERT INTO meta VALUES ('first', '')")
        with contextlib.suppress(sqlite3.Error):
            for number in range(3000):
                tx.execute("INSERT INTO meta VALUES (?, ?)", (f"n{number}", "x" * 4000))
        tx.execute("INSERT INTO meta VALUES ('last', '')")

    error = db.write(work).exception()
    assert error is not None
    assert not {"first", "last"} & found(db)
    db.close()


def test_a_checkpoint_without_space_is_tried_again(  # type: ignore[no-untyped-def]
    mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 20)
    disk = mount("size=4m")
    db = Database(disk / "w")
    monkeypatch.setattr(db._writer, "_next_checkpoint", 1e9)
    for number in range(100):
        db.write(put(f"k{number}", 3000)).result()
    ballast = fill(disk)
    monkeypatch.setattr(db._writer, "_next_checkpoint", 0.0)
    for number in range(100):
        db.write(put(f"full{number}", 3000)).exception()
    assert {f"k{number}" for number in range(100)} <= found(db)
    ballast.unlink()
    before = db._writer.checkpoints
    for number in range(60):
        db.write(put(f"after{number}", 3000)).result()
    assert db._writer.checkpoints > before
    assert db.integrity_check() == []
    db.close()


def test_a_backup_without_space_leaves_nothing_behind(mount, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    db = Database(tmp_path / "w")
    for number in range(100):
        db.write(put(f"k{number}", 9000)).result()
    disk = mount("size=600k")
    with pytest.raises(DiskFull):
        db.backup(disk / "copy.sqlite3")
    assert list(disk.iterdir()) == []
    db.write(put("after")).result()
    db.close()


def test_a_migration_without_space_leaves_the_old_schema(mount, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    more = tmp_path / "more"
    more.mkdir()
    large = more / f"{NEWEST + 1:04}_large.sql"
    large.write_text(
        "CREATE TABLE large (x); INSERT INTO large SELECT zeroblob(2000000) FROM meta;"
    )
    disk = mount("size=5m")
    db = Database(disk / "w")
    db.write(
        lambda tx: tx.execute(
            "INSERT INTO project (id, title, owner, created_at, updated_at)"
            " VALUES ('p', 'Sea', 'ana', 1, 1)"
        )
    ).result()
    db.close()
    for leave in (0, 100_000, 600_000, 1_500_000):
        ballast = fill(disk, leave=leave)
        with pytest.raises(DiskFull):
            Database(disk / "w", more_migrations=[more])
        ballast.unlink()
        db = Database(disk / "w")
        assert db.sql("PRAGMA user_version")[1] == [(NEWEST,)]
        assert db.sql("SELECT title FROM project")[1] == [("Sea",)]
        db.close()
        assert not list((disk / "w" / connect.BACKUPS).glob(".*"))


def test_without_inodes_the_sentence_is_the_same(mount) -> None:  # type: ignore[no-untyped-def]
    disk = mount("size=8m,nr_inodes=40")
    db = Database(disk / "w")
    db.write(put("before")).result()
    db.close()
    left: list[Path] = []
    try:
        while True:
            path = disk / f"i{len(left)}"
            path.touch()
            left.append(path)
    except OSError:
        pass
    with pytest.raises(DiskFull):
        Database(disk / "w")
    for path in left:
        path.unlink()
    db = Database(disk / "w")
    assert "before" in found(db)
    db.close()


def test_locks_and_bells_live_without_space(mount) -> None:  # type: ignore[no-untyped-def]
    disk = mount("size=1m")
    fill(disk)
    lock = OwnerLock(disk, "a")
    try:
        lock.acquire()
    except OSError:
        pass
    else:
        assert is_alive(disk, "a")
    lock.release()
    bell = Bell(disk / "none", "a" * 26)
    assert bell.ring_others() == 0
    bell.close()


def test_a_disk_that_turns_read_only_is_said(mount) -> None:  # type: ignore[no-untyped-def]
    disk = mount("size=4m")
    db = Database(disk / "w")
    db.write(put("before")).result()
    db.close()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(StoreError, match=r"read-only|Read-only|cannot be used"):
        Database(disk / "w")
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    db = Database(disk / "w")
    assert "before" in found(db)
    db.close()
