"""Deleting for good what is in the trash, in transactions of bounded size.

From the inside out: pictures first, then what is empty. A picture whose call is under way, or has
no known end, is kept, with what it lies in, until that is settled: its costs must not get lost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.store.sqlite import feed, projects_topics, queries, rows

if TYPE_CHECKING:
    from workbench.store.sqlite.writer import Transaction

# One picture takes about ten rows with it (inputs, judgements, attempts, job, changes):
# a transaction stays near 5,000 rows.
CHUNK = 400


def step(tx: Transaction, *, owner: str | None, before: int) -> list[str] | None:
    """Delete the next chunk of the trash; to be called in transaction after transaction.

    Parameters
    ----------
    tx:
        the transaction.
    owner:
        whose trash (None: everybody's).
    before:
        only what went there before this time (ms).

    Returns
    -------
        The ids of the assets whose rows went with it, or None: nothing was left to do.
    """
    parameters = {"owner": owner, "before": before, "limit": CHUNK}
    for name, delete in _STEPS:
        if found := tx.all(queries.sql(f"purge.{name}"), parameters):
            return delete(tx, found)
    return None


def _ids(found: list[sqlite3.Row]) -> str:
    return json.dumps([row["id"] for row in found])


def _delete_generations(tx: Transaction, victims: list[sqlite3.Row]) -> list[str]:
    ids = _ids(victims)
    assets = [row[0] for row in tx.all(queries.sql("purge.assets_of_generations"), {"ids": ids})]
    for line in tx.all(queries.sql("purge.messages_about"), (ids,)):
        rows.update_row(tx, "message", line["id"], {"generation_id": None})
    _delete_rows(tx, "generation", victims)
    jobs = json.dumps(sorted({row["job_id"] for row in victims if row["job_id"]}))
    tx.execute(queries.sql("purge.attempts_of_empty_jobs"), (jobs,))
    tx.execute(queries.sql("purge.empty_jobs"), (jobs,))
    for topic_id in dict.fromkeys(row["topic_id"] for row in victims):
        # The others go with their topic, or get a cover when they come back.
        if tx.scalar("SELECT deleted_at IS NULL FROM topic WHERE id = ?", (topic_id,)):
            projects_topics.choose_cover(tx, topic_id)
    return _delete_unneeded(tx, assets)


def _delete_messages(tx: Transaction, lines: list[sqlite3.Row]) -> list[str]:
    assets = [row["asset_id"] for row in lines if row["asset_id"]]
    _delete_rows(tx, "message", lines)
    return _delete_unneeded(tx, assets)


def drop_batches(tx: Transaction, found: list[sqlite3.Row]) -> None:
    """Delete batches whose pictures a purge took before what they lie in was restored."""
    if found:
        _delete_batches(tx, found)


def _delete_batches(tx: Transaction, found: list[sqlite3.Row]) -> list[str]:
    for line in tx.all(queries.sql("purge.messages_about_batches"), (_ids(found),)):
        rows.update_row(tx, "message", line["id"], {"batch_id": None})
    _delete_rows(tx, "batch", found)
    return []


def _delete_topics(tx: Transaction, found: list[sqlite3.Row]) -> list[str]:
    assets = [row[0] for row in tx.all(queries.sql("purge.assets_of_folders"), (_ids(found),))]
    _delete_rows(tx, "topic", found)
    return _delete_unneeded(tx, assets)


def _delete_projects(tx: Transaction, found: list[sqlite3.Row]) -> list[str]:
    _delete_rows(tx, "project", found)
    return []


def _delete_rows(tx: Transaction, table: str, found: list[sqlite3.Row]) -> None:
    for row in found:
        rows.record_change(tx, table, row, "delete", {}, rev=row["rev"] + 1)
    sql = f"DELETE FROM {table} WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own names
    tx.execute(sql, (_ids(found),))


def _delete_unneeded(tx: Transaction, assets: list[str]) -> list[str]:
    """Delete the rows of those assets that nothing needs any more; returns their ids."""
    if not assets:
        return []
    gone = tx.all(queries.sql("purge.unneeded_assets"), (json.dumps(sorted(set(assets))),))
    for row in gone:
        # No owner: the id says nothing, and every view that shows the file must hear of it.
        feed.record(tx, "asset", row["id"], "delete", row["rev"] + 1, {}, visibility="workspace")
    tx.execute("DELETE FROM asset WHERE id IN (SELECT value FROM json_each(?))", (_ids(gone),))
    return [row["id"] for row in gone]


# From the inside out; each is done before the next begins.
_STEPS: tuple[tuple[str, Callable[[Transaction, list[sqlite3.Row]], list[str]]], ...] = (
    ("generations", _delete_generations),
    ("messages", _delete_messages),
    ("batches", _delete_batches),
    ("topics", _delete_topics),
    ("projects", _delete_projects),
)
