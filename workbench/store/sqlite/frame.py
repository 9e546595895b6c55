"""Rows for a table of every image: raw values, page by page."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from workbench.domain.records import Identity
from workbench.domain.texts import detail_text, error_text
from workbench.ports import GenerationQuery
from workbench.store.sqlite import pages, queries, rows

if TYPE_CHECKING:
    from workbench.store.sqlite.readers import Reader

PAGE_ROWS = 1_000


def frame_rows(
    reading: Callable[[], AbstractContextManager[Reader]],
    identity: Identity,
    query: GenerationQuery,
) -> Iterator[dict[str, Any]]:
    """Yield a mapping for every matching generation, in the query's order.

    No reading transaction is open while the consumer works: pages of 1,000 rows are read whole, so
    a slow consumer sees rows that ended meanwhile as ended.

    Parameters
    ----------
    reading:
        gives a reading connection for a with block.
    identity:
        who asks; the judgement columns are theirs.
    query:
        filters and order; its `limit` is not asked, its `cursor` is where it begins.
    """
    cursor = query.cursor
    while True:
        with reading() as reader:
            seqs, cursor = pages.page_seqs(reader, identity, query, cursor, PAGE_ROWS)
            found = _page(reader, identity, seqs)
        yield from found
        if cursor is None:
            return


def _page(reader: Reader, identity: Identity, seqs: list[int]) -> list[dict[str, Any]]:
    if not seqs:
        return []
    parameters = {
        "seqs": rows.to_json(seqs),
        "user": identity.user,
        "team": identity.team,
        "all": int(identity.all_users),
    }
    found = {row["seq"]: row for row in reader.all(queries.sql("frame.rows"), parameters)}
    return [_mapping(found[seq]) for seq in seqs if seq in found]


def _mapping(row: sqlite3.Row) -> dict[str, Any]:
    started, finished = row["started_at"], row["finished_at"]
    duration = None if started is None or finished is None else max(0, finished - started) / 1000
    error = None
    if row["error_kind"] is not None:
        error = error_text(row["error_key"] or "provider", rows.from_json(row["error_args"]))
    return {
        "generation_id": row["id"],
        "batch_id": row["batch_id"],
        "topic_id": row["topic_id"],
        "topic": row["topic"],
        "project": row["project"],
        "index": row["idx"],
        "operation": row["operation"],
        "status": row["status"],
        "detail": detail_text(row["detail_key"], rows.from_json(row["detail_args"])),
        "prompt": row["prompt"],
        "prompt_sent": row["prompt_sent"],
        "negative_prompt": row["negative_prompt"],
        "provider": row["provider"],
        "model": row["model"],
        "width": row["width"],
        "height": row["height"],
        "seed": row["seed"],
        "cost_micro": row["cost_micro"],
        "unit": row["unit"],
        "created_at": row["created_at"],
        "started_at": started,
        "finished_at": finished,
        "duration_s": duration,
        "rating": row["rating"] or 0,
        "favourite": bool(row["favourite"]),
        "tags": [] if row["tags"] is None else json.loads(row["tags"]),
        "note": row["note"] or "",
        "cached": row["cached_from"] is not None,
        "retry_of": row["retry_of"],
        "error_kind": row["error_kind"],
        "error": error,
        "asset_id": row["asset_id"],
        "mime": row["mime"],
        "size_bytes": row["size_bytes"],
        "params": rows.from_json(row["params"]),
    }
