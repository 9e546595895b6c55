"""The schema, step by step: numbered files, each applied whole or not at all.

``NNNN_name.sql`` in the folder `migrations`. Body and record (a row of the table `migration` and
``PRAGMA user_version``) commit in one transaction, so a kill leaves the old or the new schema and
nothing between. Before anything is changed in a store with rows, a copy goes to backups/.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from workbench.errors import SchemaTooNew, WorkspaceDamaged

KEPT_BACKUPS = 5
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_BACKUP = re.compile(r"before-\d{4}-.*\.sqlite3")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    script: str


def shipped() -> Traversable:
    """The folder of migrations inside the package (also of a zipped one)."""
    return files("workbench.store.sqlite").joinpath("migrations")


def find(folders: Sequence[Traversable]) -> list[Migration]:
    """Read all migrations of the folders, in order.

    Raises
    ------
        ValueError: numbers are missing or stand twice (a mistake of whoever made the files).
    """
    found: dict[int, Migration] = {}
    for folder in folders:
        for file in folder.iterdir():
            if match := _NAME.fullmatch(file.name):
                number = int(match[1])
                if number in found:
                    raise ValueError(f"two migrations have the number {number}")
                found[number] = Migration(number, match[2], file.read_text(encoding="utf-8"))
    if sorted(found) != list(range(1, len(found) + 1)):
        raise ValueError(f"migration numbers are not 1, 2, 3, …: {sorted(found)}")
    return [found[number] for number in sorted(found)]


def statements(script: str) -> Iterator[str]:
    r"""Split a script into statements; triggers with their inner semicolons stay whole.

    >>> list(statements("CREATE TABLE a (x); -- one; two\nINSERT INTO a VALUES (';');"))
    ['CREATE TABLE a (x);', "-- one; two\nINSERT INTO a VALUES (';');"]
    """
    statement = ""
    for piece in re.split(r"(?<=;)", script):
        statement += piece
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
    if _without_comments(statement).strip():
        raise ValueError(f"the last statement has no end: {statement.strip()[:80]!r}")


def _without_comments(text: str) -> str:
    return re.sub(r"--[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def migrate(
    db: sqlite3.Connection,
    path: Path,
    migrations: Sequence[Migration],
    *,
    now_ms: int,
    backup: Callable[[Path], None],
) -> int:
    """Bring the store to the newest schema. Called under the mutex, with no reader open.

    Parameters
    ----------
    db:
        The write connection (autocommit mode).
    path:
        The store file, for messages and the place of backups.
    migrations:
        All migrations from number 1.
    now_ms:
        UTC milliseconds, recorded with each migration.
    backup:
        Writes a consistent copy of the store to a path.

    Returns
    -------
        How many migrations were applied.

    Raises
    ------
        SchemaTooNew: a newer image-workbench wrote this store.
        WorkspaceDamaged: it is another program's database.
    """
    missing = migrations[check(db, path, newest=len(migrations)) :]
    if missing and _has_rows(db):
        _back_up(path.parent / "backups", missing[0].number, backup)
    for migration in missing:
        _apply(db, migration, now_ms=now_ms)
    return len(missing)


def check(db: sqlite3.Connection, path: Path, *, newest: int) -> int:
    """Return the number of the last applied migration (0: an empty file). Changes nothing.

    Raises
    ------
        SchemaTooNew: a newer image-workbench wrote this store.
        WorkspaceDamaged: it is another program's database.
    """
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not tables and version == 0:
        return 0
    if not {"migration", "meta"} <= tables:
        raise WorkspaceDamaged(
            f"{path} is an SQLite database, but not one of image-workbench. Move it away, or "
            "choose another folder for the workspace; it was left unchanged."
        )
    if version > newest:
        raise SchemaTooNew(
            f"The workspace {path.parent} was written by a newer image-workbench (schema "
            f"{version}; "
            f"this one knows {newest}). Upgrade image-workbench to open it; it was left unchanged."
        )
    return version


def _has_rows(db: sqlite3.Connection) -> bool:
    # table_list tells the inner tables of a full-text index, which are never empty, apart.
    names = db.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
        " AND name NOT LIKE 'sqlite%' AND name NOT IN ('meta', 'migration')"
    ).fetchall()
    quoted = ('"' + name.replace('"', '""') + '"' for (name,) in names)
    return any(
        db.execute(f"SELECT EXISTS (SELECT 1 FROM {name})").fetchone()[0]  # noqa: S608
        for name in quoted
    )


def _back_up(folder: Path, number: int, backup: Callable[[Path], None]) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    backup(folder / f"before-{number:04}-{stamp}.sqlite3")
    copies = [file for file in folder.iterdir() if _BACKUP.fullmatch(file.name)]
    copies.sort(key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for old in copies[KEPT_BACKUPS:]:
        with suppress(OSError):
            old.unlink()


def _apply(db: sqlite3.Connection, migration: Migration, *, now_ms: int) -> None:
    # Rebuilding a table drops it for a moment; references are checked before the commit instead.
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("PRAGMA synchronous = FULL")
    with ExitStack() as after:
        after.callback(db.execute, "PRAGMA synchronous = NORMAL")
        after.callback(db.execute, "PRAGMA foreign_keys = ON")
        db.execute("BEGIN IMMEDIATE")
        after.callback(_roll_back, db)  # before the others, which a transaction would ignore
        db.execute(
            "CREATE TABLE IF NOT EXISTS migration"
            " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT"
        )
        for statement in statements(migration.script):
            db.execute(statement).close()
            _require(db.in_transaction, f"migration {migration.number} ends its own transaction")
        broken = [row[0] for row in db.execute("PRAGMA foreign_key_check")]
        _require(not broken, f"migration {migration.number} breaks references of {broken[:1]}")
        db.execute(
            "INSERT INTO migration VALUES (?, ?, ?)", (migration.number, migration.name, now_ms)
        )
        db.execute(f"PRAGMA user_version = {migration.number}")
        db.execute("COMMIT")


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:  # the commit did not come about
        db.execute("ROLLBACK")


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not holds:
        raise ValueError(otherwise)
