"""A further generation beside another one: same batch, same index, `retry_of` says which."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.domain.ids import new_id
from workbench.domain.records import GenerationRecord
from workbench.store.sqlite.queries import sql
from workbench.store.sqlite.rows import (
    FEED_FIELDS,
    fields_of,
    generation_record,
    insert_row,
    record_change,
)

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

# What a further generation takes over from the one that it stands beside.
_SHARED = (
    "batch_id",
    "topic_id",
    "idx",
    "operation",
    "source",
    "prompt_sent",
    "provider",
    "model",
    "width",
    "height",
    "seed",
    "params",
    "owner",
    "team",
)


def insert(tx: Transaction, row: sqlite3.Row, fields: Mapping[str, Any]) -> str:
    """Insert a generation beside `row`, with its inputs, and return the new id.

    Parameters
    ----------
    tx:
        the transaction.
    row:
        the generation (all columns) that it repeats or replaces.
    fields:
        columns of the new one that differ; `status` and what goes with it at least.
    """
    id = new_id()
    values = {name: row[name] for name in _SHARED}
    values |= {"id": id, "retry_of": row["id"], "created_at": tx.now, **fields}
    inserted = insert_row(tx, "generation", values)
    tx.execute(sql("jobs.copy_inputs"), {"new_id": id, "id": row["id"]})
    record_change(tx, "generation", inserted, "insert", fields_of(inserted, FEED_FIELDS))
    return id


def record(source: Querying, generation_id: str) -> GenerationRecord:
    """Return the record of a generation that is known to be there."""
    found = source.one(sql("generations.select") + " WHERE g.id = ?", (generation_id,))
    return generation_record(found)
