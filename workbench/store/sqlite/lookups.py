"""Single rows and small sets: a batch and its pictures, attempts, inputs, assets."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.domain.ids import is_asset_id
from workbench.domain.records import (
    AssetRecord,
    AttemptRecord,
    BatchRecord,
    GenerationRecord,
    Identity,
    InputRecord,
)
from workbench.domain.status import Status
from workbench.errors import NotFound
from workbench.store.sqlite import access, queries, rows, validate

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying

_CHUNK = 1_000
_MOST_ATTEMPTS = 50_000


def batch(source: Querying, identity: Identity, id: str) -> BatchRecord:
    """Return a batch, in the trash or not (`deleted_at` tells also of what it lies in)."""
    row = access.visible_row(source, identity, "batch", id)
    return dataclasses.replace(rows.batch_record(row), deleted_at=row["hidden_at"])


def generation(source: Querying, identity: Identity, id: str) -> GenerationRecord:
    """Return a generation, in the trash or not."""
    sql = queries.sql("generations.select") + " WHERE g.id = ?"
    row = source.one(sql, (validate.check_id("generation", id),))
    if row is None or not access.sees(identity, row):
        raise NotFound("generation", id)
    return rows.generation_record(row)


def batch_generations(
    source: Querying, identity: Identity, batch_id: str, *, history: bool = False
) -> list[GenerationRecord]:
    """Return a batch's generations by index: the latest of each, or with `history` all of them.

    Those that were put in the trash one by one are left out.
    """
    access.visible_row(source, identity, "batch", batch_id)
    sql = queries.sql("generations.select") + (
        " WHERE g.batch_id = ? AND g.deleted_at IS NULL ORDER BY g.idx, g.seq"
    )
    found = source.all(sql, (batch_id,))
    if history:
        return [rows.generation_record(row) for row in found]
    latest = {row["idx"]: row for row in found}  # the last of an index wins
    return [rows.generation_record(row) for row in latest.values()]


def batch_counts(source: Querying, batch_id: str) -> dict[Status, int]:
    """Return how many of a batch's latest generations have each status."""
    validate.check_id("batch", batch_id)
    found = source.all(queries.sql("lookups.batch_counts"), (batch_id,))
    return {Status(row["status"]): row["images"] for row in found}


def batch_open(source: Querying, batch_id: str) -> int:
    """Return how many latest generations are neither terminal nor of unknown outcome."""
    validate.check_id("batch", batch_id)
    return int(source.scalar(queries.sql("lookups.batch_open"), (batch_id,)))


def active_count(source: Querying, identity: Identity, topic_id: str | None = None) -> int:
    """How many live generations of this owner are active and not of unknown outcome.

    Those of one topic where it is named; what a cancel of it, or of everything, would end.

    Raises
    ------
        NotFound: the topic is not there or not to be seen.
    """
    if topic_id is not None:
        access.visible_row(source, identity, "topic", topic_id)
    parameters = {"user": identity.user, "topic": topic_id}
    return int(source.scalar(queries.sql("lookups.active_count"), parameters))


def inputs(source: Querying, generation_ids: Sequence[str]) -> list[InputRecord]:
    """Return what went into the generations, by generation, role and position."""
    ids = validate.check_ids("generation", generation_ids)
    found = source.all(queries.sql("lookups.inputs"), (rows.to_json(ids),))
    return [rows.input_record(row) for row in found]


def attempts(source: Querying, generation_id: str) -> list[AttemptRecord]:
    """Return the submissions made for a generation, those of its job included, oldest first."""
    validate.check_id("generation", generation_id)
    found = source.all(queries.sql("lookups.attempts"), {"id": generation_id})
    return [_attempt_record(row) for row in found]


def attempts_of(source: Querying, identity: Identity, *, limit: int = 200) -> list[AttemptRecord]:
    """Return the user's newest submissions (the operator's: everybody's), newest first."""
    validate.check_limit(limit, high=_MOST_ATTEMPTS)
    parameters = {"user": identity.user, "all": int(identity.all_users), "limit": limit}
    found = source.all(queries.sql("lookups.attempts_of"), parameters)
    return [_attempt_record(row) for row in found]


def _attempt_record(row: sqlite3.Row) -> AttemptRecord:
    return AttemptRecord(
        id=row["id"],
        job_id=row["job_id"],
        generation_id=row["generation_id"],
        number=row["number"],
        provider=row["provider"],
        model=row["model"],
        idempotency_key=row["idempotency_key"],
        state=row["state"],
        remote_id=row["remote_id"],
        remote=rows.from_json(row["remote"]),
        runner_id=row["runner_id"],
        started_at=row["started_at"],
        sent_at=row["sent_at"],
        finished_at=row["finished_at"],
        error_kind=row["error_kind"],
        error_message=row["error_message"],
    )


# -- assets -----------------------------------------------------------------------------------
def asset(source: Querying, id: str) -> AssetRecord:
    """Return an asset's row. Whether somebody may see it is `asset_visible`'s question."""
    row = source.one("SELECT * FROM asset WHERE id = ?", (validate.check_asset_id(id),))
    if row is None:
        raise NotFound("asset", id)
    return rows.asset_record(row)


def asset_visible(source: Querying, identity: Identity, asset_id: str) -> bool:
    """Tell whether `identity` may see a generation that the asset results from or went into."""
    validate.check_asset_id(asset_id)
    parameters = {"asset": asset_id, "user": identity.user, "team": identity.team}
    if identity.all_users:
        return source.scalar("SELECT 1 FROM asset WHERE id = ?", (asset_id,)) is not None
    return bool(source.scalar(queries.sql("lookups.asset_visible"), parameters))


def asset_generations(
    source: Querying, identity: Identity, asset_ids: Sequence[str]
) -> list[tuple[str, str, GenerationRecord]]:
    """Return (asset id, role, generation) for the live generations of the assets, newest first.

    The role is "result", or the role of the input (reference, source, mask).
    """
    ids = [validate.check_asset_id(id) for id in asset_ids]
    sql = queries.sql("lookups.asset_generations").replace(
        "{select}", queries.sql("generations.select").partition("FROM generation AS g")[0]
    )
    parameters = {
        "assets": json.dumps(ids),
        "user": identity.user,
        "team": identity.team,
        "all": int(identity.all_users),
    }
    return [
        (row["of_asset"], row["role"], rows.generation_record(row))
        for row in source.all(sql, parameters)
    ]


def known_assets(source: Querying, ids: Sequence[str]) -> set[str]:
    """Return those of `ids` that have a row; what cannot be an asset id has none."""
    found: set[str] = set()
    texts = [id for id in ids if is_asset_id(id)]
    for start in range(0, len(texts), _CHUNK):
        chunk = json.dumps(texts[start : start + _CHUNK])
        found.update(row[0] for row in source.all(queries.sql("lookups.known_assets"), (chunk,)))
    return found


def asset_page(source: Querying, after_seq: int) -> list[sqlite3.Row]:
    """Return the next rows of `asset` in the order of arrival."""
    return source.all("SELECT * FROM asset WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, _CHUNK))
