"""Rows in and out: values checked on the way in, records on the way out, revisions in between.

`update_row` and `update_generation` are the only way to change a row that people see: they raise
`rev` and write the change row in the same transaction, so that for each row the highest revision
in the feed is the revision of the table.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from workbench.domain.records import (
    AssetRecord,
    BatchRecord,
    GenerationRecord,
    InputRecord,
    MessageRecord,
    ProjectRecord,
    TopicRecord,
)
from workbench.domain.status import ErrorKind, Operation, Status, Visibility
from workbench.store.sqlite import feed

if TYPE_CHECKING:
    from workbench.store.sqlite.writer import Transaction

# Columns that hold JSON text. In `fields` they are given as Python values (or as JSON text).
JSON_COLUMNS = frozenset({"params", "detail_args", "error_args", "meta", "provenance", "remote"})

# What a change of state carries, so that applying one change alone shows the right picture.
PROGRESS_FIELDS = (
    "status",
    "progress",
    "step",
    "total_steps",
    "attempt",
    "detail_key",
    "detail_args",
    "preview",
)
# What an insert or the end of a generation carries besides: all that a row of the feed shows.
FEED_FIELDS = (
    "batch_id",
    "idx",
    "operation",
    "source",
    *PROGRESS_FIELDS,
    "provider",
    "model",
    "width",
    "height",
    "seed",
    "asset_id",
    "error_kind",
    "error_key",
    "error_args",
    "charged",
    "cost_micro",
    "unit",
    "retry_of",
    "cached_from",
    "created_at",
    "started_at",
    "finished_at",
    "deleted_at",
)
# One encoder for all: json.dumps would make one per call.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_BOOLEANS = frozenset({"charged", "cover_chosen"})
_ENDS = frozenset({"completed", "failed", "cancelled"})
# Tables whose rows have their visibility themselves, or through their topic.
_OWN_VISIBILITY = frozenset({"project", "topic", "collection"})
_TABLES = _OWN_VISIBILITY | {"batch", "generation", "message", "folder", "asset"}


class Querying(Protocol):
    """What reading functions need; a Transaction and a Reader both have it.

    `one` gives the first row or None, `all` every row, `scalar` the first column of the first row.
    """

    def one(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ..., /) -> Any: ...  # noqa: D102
    def all(  # noqa: D102
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ..., /
    ) -> list[Any]: ...
    def scalar(  # noqa: D102
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ..., /
    ) -> Any: ...


def to_json(value: object) -> str:
    """Return `value` as compact JSON text.

    Raises
    ------
        ValueError: it is not finite or not Unicode text.
        TypeError: it is not made of JSON's types.

    >>> to_json({"a": [1, 2]})
    '{"a":[1,2]}'
    """
    if isinstance(value, Mapping):
        value = dict(value)
    text = _encode(value)
    text.encode()  # a lone surrogate would only fail inside sqlite3, without a name
    return text


def from_json(text: str | None) -> Any:
    """Return what the JSON `text` of a column says ({} for NULL)."""
    return {} if text is None or text == "{}" else json.loads(text)


def stored(column: str, value: object) -> Any:
    """Return `value` in the form in which SQLite stores it in `column`."""
    if column in JSON_COLUMNS:
        if value is None or isinstance(value, str):
            return value
        return to_json(value) if value else "{}"
    if isinstance(value, Enum):
        return value.value
    return int(value) if isinstance(value, bool) else value


def shown(column: str, value: object) -> Any:
    """Return `value` of `column` in the form in which a change row carries it."""
    if column in JSON_COLUMNS:
        if isinstance(value, str):
            return json.loads(value)
        return dict(value) if isinstance(value, Mapping) else value
    if isinstance(value, Enum):
        return value.value
    return bool(value) if column in _BOOLEANS else value


def fields_of(row: sqlite3.Row, names: Iterable[str]) -> dict[str, Any]:
    """Return the named columns of `row` as a change row carries them."""
    return {name: shown(name, row[name]) for name in names}


def topic_visibility(tx: Querying, topic_id: str) -> str:
    """Return who may see what is in the topic ("private" if it is gone)."""
    found = tx.scalar("SELECT visibility FROM topic WHERE id = ?", (topic_id,))
    return "private" if found is None else str(found)


def record_change(
    tx: Transaction,
    table: str,
    row: sqlite3.Row,
    kind: str,
    data: Mapping[str, Any],
    *,
    visibility: str | None = None,
    rev: int | None = None,
) -> None:
    """Write the change row for `row` of `table`, seen by whoever may see the row.

    Parameters
    ----------
    tx:
        the transaction that changes the row.
    table:
        its table, which is also the entity of the feed.
    row:
        all columns as they are now (for a delete: as they were).
    kind:
        insert, update or delete.
    data:
        the changed fields, by column name.
    visibility:
        who else may read the change, if not who may see the row now.
    rev:
        the revision, if not the row's (a delete has the next one).
    """
    names = row.keys()
    topic_id = row["id"] if table == "topic" else row["topic_id"] if "topic_id" in names else None
    if visibility is not None:
        pass
    elif table in _OWN_VISIBILITY:
        visibility = row["visibility"]
    else:
        visibility = "private" if topic_id is None else topic_visibility(tx, topic_id)
    feed.record(
        tx,
        table,
        row["id"],
        kind,
        row["rev"] if rev is None else rev,
        data,
        topic_id=topic_id,
        owner=row["owner"] if "owner" in names else None,
        team=row["team"] if "team" in names else None,
        visibility=str(visibility),
    )


def update_row(
    tx: Transaction,
    table: str,
    id: str,
    fields: Mapping[str, Any],
    *,
    only_if: str = "",
    parameters: Sequence[Any] = (),
    visibility: str | None = None,
) -> sqlite3.Row | None:
    """Change a row: `rev` + 1 and the change row with the changed fields.

    Parameters
    ----------
    tx:
        the transaction.
    table:
        project, topic, batch, message, collection, folder, asset or generation.
    id:
        its id.
    fields:
        new values by column; JSON columns as Python values.
    only_if:
        a further SQL condition on the row ("status = ?"), with `parameters`.
    parameters:
        values for `only_if`.
    visibility:
        who else may read the change, if not who may see the row now.

    Returns
    -------
        The row as it is now, or None if no row matched (then nothing was written).
    """
    if table == "generation":
        return update_generation(tx, id, fields, only_if=only_if, parameters=parameters)
    row = _update(tx, table, id, fields, only_if, parameters)
    if row is not None:
        data = {name: shown(name, value) for name, value in fields.items()}
        record_change(tx, table, row, "update", data, visibility=visibility)
    return row


def update_generation(
    tx: Transaction,
    generation_id: str,
    fields: Mapping[str, Any],
    *,
    only_if: str = "",
    parameters: Sequence[Any] = (),
) -> sqlite3.Row | None:
    """Change a generation: `rev` + 1 and the change row.

    The change carries `batch_id`, `idx` and the changed fields; where state or progress change,
    all of PROGRESS_FIELDS; where the generation ends, all of FEED_FIELDS.

    Returns
    -------
        The row as it is now, or None if no row matched (then nothing was written).
    """
    row = _update(tx, "generation", generation_id, fields, only_if, parameters)
    if row is None:
        return None
    if "status" in fields and row["status"] in _ENDS:
        data = fields_of(row, FEED_FIELDS)
    else:
        data = {"batch_id": row["batch_id"], "idx": row["idx"]}
        if not fields.keys().isdisjoint(PROGRESS_FIELDS):
            data.update(fields_of(row, PROGRESS_FIELDS))
    data.update((name, shown(name, value)) for name, value in fields.items())
    data.pop("reserved_micro", None)  # the ledger tells that, and only to its account
    record_change(tx, "generation", row, "update", data)
    return row


def _update(  # noqa: PLR0917 - private
    tx: Transaction,
    table: str,
    id: str,
    fields: Mapping[str, Any],
    only_if: str,
    parameters: Sequence[Any],
) -> sqlite3.Row | None:
    if table not in _TABLES:
        raise ValueError(f"{table!r} has no revisions")
    assignments = "".join(f"{name} = ?, " for name in fields)
    condition = f" AND ({only_if})" if only_if else ""
    row: sqlite3.Row | None = tx.one(
        # Names come from our own code, values are bound.
        f"UPDATE {table} SET {assignments}rev = rev + 1 WHERE id = ?{condition} RETURNING *",  # noqa: S608
        (*(stored(name, value) for name, value in fields.items()), id, *parameters),
    )
    return row


def insert_row(tx: Transaction, table: str, fields: Mapping[str, Any]) -> sqlite3.Row:
    """Insert a row and return it whole. The change row is the caller's (`record_change`)."""
    if table not in _TABLES:
        raise ValueError(f"{table!r} has no revisions")
    names = ", ".join(fields)
    marks = ", ".join("?" * len(fields))
    row = tx.one(
        f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING *",  # noqa: S608 - our own names
        tuple(stored(name, value) for name, value in fields.items()),
    )
    assert row is not None  # RETURNING gives the row that was inserted
    return row


def project_record(row: sqlite3.Row) -> ProjectRecord:
    """Return the record of a row of `project`."""
    return ProjectRecord(
        id=row["id"],
        title=row["title"],
        owner=row["owner"],
        team=row["team"],
        visibility=Visibility(row["visibility"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        deleted_at=row["deleted_at"],
        rev=row["rev"],
    )


def topic_record(row: sqlite3.Row) -> TopicRecord:
    """Return the record of a row of `topic`."""
    return TopicRecord(
        id=row["id"],
        project_id=row["project_id"],
        title=row["title"],
        title_source=row["title_source"],
        cover_generation_id=row["cover_generation_id"],
        owner=row["owner"],
        team=row["team"],
        visibility=Visibility(row["visibility"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        deleted_at=row["deleted_at"],
        rev=row["rev"],
        meta=from_json(row["meta"]),
        seq=row["seq"],
    )


def batch_record(row: sqlite3.Row) -> BatchRecord:
    """Return the record of a row of `batch`."""
    return BatchRecord(
        id=row["id"],
        topic_id=row["topic_id"],
        operation=Operation(row["operation"]),
        source=row["source"],
        prompt=row["prompt"],
        negative_prompt=row["negative_prompt"],
        provider=row["provider"],
        model=row["model"],
        width=row["width"],
        height=row["height"],
        n=row["n"],
        seed=row["seed"],
        params=from_json(row["params"]),
        priority=row["priority"],
        client_key=row["client_key"],
        provenance=from_json(row["provenance"]),
        owner=row["owner"],
        team=row["team"],
        created_at=row["created_at"],
        deleted_at=row["deleted_at"],
        rev=row["rev"],
        seq=row["seq"],
    )


_STATUS = {status.value: status for status in Status}
_OPERATION = {operation.value: operation for operation in Operation}
_VISIBILITY = {visibility.value: visibility for visibility in Visibility}
_ERROR = {kind.value: kind for kind in ErrorKind}


def generation_record(row: sqlite3.Row) -> GenerationRecord:
    """Return the record of a row of the joined select `generations.select`."""
    # By position: looking 44 columns up by name takes longer than reading the row does.
    (
        seq,
        id,
        batch_id,
        topic_id,
        job_id,
        idx,
        operation,
        source,
        status,
        detail_key,
        detail_args,
        progress,
        step,
        total_steps,
        attempt,
        preview,
        prompt,
        prompt_sent,
        negative_prompt,
        provider,
        model,
        width,
        height,
        seed,
        params,
        asset_id,
        error_key,
        error_kind,
        error_args,
        charged,
        cost_micro,
        unit,
        rate_version,
        retry_of,
        cached_from,
        provenance,
        owner,
        team,
        visibility,
        created_at,
        started_at,
        finished_at,
        deleted_at,
        rev,
        *_more,
    ) = row
    return GenerationRecord(
        id=id,
        batch_id=batch_id,
        topic_id=topic_id,
        job_id=job_id,
        index=idx,
        operation=_OPERATION[operation],
        source=source,
        status=_STATUS[status],
        detail_key=detail_key,
        detail_args=from_json(detail_args),
        progress=progress,
        step=step,
        total_steps=total_steps,
        attempt=attempt,
        preview=preview,
        prompt=prompt,
        prompt_sent=prompt_sent,
        negative_prompt=negative_prompt,
        provider=provider,
        model=model,
        width=width,
        height=height,
        seed=seed,
        params=from_json(params),
        asset_id=asset_id,
        error_key=error_key,
        # A kind of a newer version is a failure all the same.
        error_kind=None if error_kind is None else _ERROR.get(error_kind, ErrorKind.INTERNAL),
        error_args=from_json(error_args),
        charged=bool(charged),
        cost_micro=cost_micro,
        unit=unit,
        rate_version=rate_version,
        retry_of=retry_of,
        cached_from=cached_from,
        provenance=from_json(provenance),
        owner=owner,
        team=team,
        visibility=_VISIBILITY[visibility],
        created_at=created_at,
        started_at=started_at,
        finished_at=finished_at,
        deleted_at=deleted_at,
        rev=rev,
        seq=seq,
    )


def asset_record(row: sqlite3.Row) -> AssetRecord:
    """Return the record of a row of `asset`."""
    return AssetRecord(
        id=row["id"],
        kind=row["kind"],
        mime=row["mime"],
        width=row["width"],
        height=row["height"],
        size_bytes=row["size_bytes"],
        frames=row["frames"],
        duration_ms=row["duration_ms"],
        source=row["source"],
        created_at=row["created_at"],
    )


def asset_fields(asset: AssetRecord) -> dict[str, Any]:
    """Return the columns of an asset's row, but for `seq` and `rev`."""
    return {
        "id": asset.id,
        "kind": asset.kind,
        "mime": asset.mime,
        "width": asset.width,
        "height": asset.height,
        "size_bytes": asset.size_bytes,
        "frames": asset.frames,
        "duration_ms": asset.duration_ms,
        "source": asset.source,
        "created_at": asset.created_at,
    }


def input_record(row: sqlite3.Row) -> InputRecord:
    """Return the record of a row of `input`."""
    return InputRecord(row["generation_id"], row["asset_id"], row["role"], row["position"])


def message_record(row: sqlite3.Row) -> MessageRecord:
    """Return the record of a row of `message`."""
    return MessageRecord(
        id=row["id"],
        topic_id=row["topic_id"],
        role=row["role"],
        text=row["text"],
        batch_id=row["batch_id"],
        generation_id=row["generation_id"],
        meta=from_json(row["meta"]),
        owner=row["owner"],
        created_at=row["created_at"],
        deleted_at=row["deleted_at"],
        rev=row["rev"],
    )
