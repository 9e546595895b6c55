"""The event log: what happened, in sentences, for the log pane. Not part of the change feed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from workbench.domain.records import Identity, Json, LogEntry
from workbench.store.sqlite import queries, rows, validate

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

LEVELS = ("info", "warning", "error")
KEEP_ROWS = 50_000
_MAX_TEXT = 8_000  # characters; a traceback fits


def write(
    tx: Transaction,
    level: str,
    kind: str,
    text: str,
    *,
    entity: str | None = None,
    entity_id: str | None = None,
    data: Json | None = None,
    owner: str | None = None,
) -> None:
    """Add a line; texts are made storable rather than refused, since a log must not fail.

    Parameters
    ----------
    tx:
        the transaction.
    level:
        info, warning or error.
    kind:
        runner, provider, callback, media, store, …
    text:
        what happened; cut at 8,000 characters.
    entity:
        what it is about, with `entity_id`.
    entity_id:
        its id.
    data:
        more, as JSON; what is no JSON is written as text.
    owner:
        whom it concerns (None: everybody).
    """
    validate.check_choice("level", level, LEVELS)
    try:
        extra = rows.to_json(dict(data or {}))
    except (TypeError, ValueError, RecursionError):
        extra = json.dumps({"text": _storable(repr(data))})
    seq = tx.execute(
        queries.sql("log.insert"),
        (
            tx.now,
            level,
            _storable(kind),
            None if entity is None else _storable(entity),
            None if entity_id is None else _storable(entity_id),
            _storable(text),
            extra,
            owner,
        ),
    ).lastrowid
    tx.execute("DELETE FROM log WHERE seq <= ?", ((seq or 0) - KEEP_ROWS,))


def _storable(text: object) -> str:
    return (
        str(text)[:_MAX_TEXT]
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
        .encode(errors="replace")
        .decode()
    )


def entries(
    source: Querying, identity: Identity, *, limit: int = 200, kind: str | None = None
) -> list[LogEntry]:
    """Return the newest lines that concern the user or everybody, newest first."""
    validate.check_limit(limit, high=KEEP_ROWS)
    if kind is not None:
        validate.check_text("kind", kind, limit=validate.MAX_NAME_CHARACTERS)
    parameters = {
        "user": identity.user,
        "all": int(identity.all_users),
        "kind": kind,
        "limit": limit,
    }
    return [
        LogEntry(
            seq=row["seq"],
            at=row["at"],
            level=row["level"],
            kind=row["kind"],
            entity=row["entity"],
            entity_id=row["entity_id"],
            text=row["text"],
            data=json.loads(row["data"]),
            owner=row["owner"],
        )
        for row in source.all(queries.sql("log.newest"), parameters)
    ]
