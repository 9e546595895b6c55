"""Workspaces of earlier releases become the newest schema, with everything that is in them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from workbench.store.sqlite import connect, migrate
from workbench.store.sqlite.database import Database

FIRST_RELEASE = """
CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)
STRICT;
INSERT INTO migration VALUES (1, 'initial', 1);
PRAGMA user_version = 1;
INSERT INTO meta VALUES ('workspace_id', 'w'), ('feed_id', 'f'), ('feed_floor', '0');
INSERT INTO project (id, title, owner, created_at, updated_at) VALUES ('p', 'P', 'ana', 1, 1);
INSERT INTO topic (id, project_id, title, owner, created_at, updated_at)
VALUES ('foxes', 'p', 'Foxes', 'ana', 1, 1), ('empty', 'p', 'Empty', 'ana', 1, 1);
INSERT INTO batch (id, topic_id, operation, source, prompt, n, owner, created_at, deleted_at)
VALUES ('b', 'foxes', 'generate', 'api', 'a fox', 3, 'ana', 1, NULL),
       ('gone', 'foxes', 'generate', 'api', 'a hare', 1, 'ana', 1, 5);
INSERT INTO asset (id, mime, width, height, size_bytes, source, created_at)
VALUES ('a', 'image/png', 1, 1, 1, 'generation', 1);
INSERT INTO generation (id, batch_id, topic_id, idx, operation, source, status, progress, asset_id,
    owner, created_at, finished_at, deleted_at)
VALUES ('one', 'b', 'foxes', 0, 'generate', 'api', 'completed', 1, 'a', 'ana', 1, 2, NULL),
       ('early', 'b', 'foxes', 1, 'generate', 'api', 'completed', 1, 'a', 'ana', 1, 2, NULL),
       ('late', 'b', 'foxes', 1, 'generate', 'api', 'completed', 1, 'a', 'ana', 1, 2, NULL),
       ('binned', 'b', 'foxes', 2, 'generate', 'api', 'completed', 1, 'a', 'ana', 1, 2, 3),
       ('in it', 'gone', 'foxes', 0, 'generate', 'api', 'completed', 1, 'a', 'ana', 1, 2, NULL);
"""


@pytest.mark.req("DAT-1", "TOP-1")
def test_the_first_schema_with_pictures_becomes_the_newest(tmp_path: Path) -> None:
    """A workspace of the first release: the pictures of its topics are counted once."""
    folder = tmp_path / "w"
    folder.mkdir()
    (first, *_) = migrate.find([migrate.shipped()])
    old = sqlite3.connect(folder / connect.DATABASE, isolation_level=None)
    for statement in migrate.statements(first.script):
        old.execute(statement)
    old.executescript(FIRST_RELEASE)
    old.close()
    db = Database(folder)
    assert db.sql("SELECT id, images FROM topic ORDER BY id")[1] == [("empty", 0), ("foxes", 2)]
    assert db.sql("PRAGMA user_version")[1] == [(4,)]
    assert db.integrity_check() == []
    db.write(
        lambda tx: tx.execute("UPDATE generation SET deleted_at = 1 WHERE id = 'late'")
    ).result()
    assert db.sql("SELECT images FROM topic WHERE id = 'foxes'")[1] == [(2,)]
    db.close()
