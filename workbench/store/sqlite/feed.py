"""The change feed: one row for every insert, update and delete, in the transaction of the change.

A cursor is the text ``v1.<feed_id>.<seq>``. `seq` only grows and is never used again; it may skip.
The feed gets a new id when the workspace is restored from a copy, so that cursors of the other
history answer `reset` instead of quietly missing rows.

Who reads what: a change belongs to its owner; others see it if it was written while shared with
them and its topic still is. Changes of the topic row itself are the exception to the second
part, so that others learn that a topic is no longer shared.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.domain.ids import new_id
from workbench.domain.records import ChangePage, ChangeRecord, Identity
from workbench.errors import InvalidRequest
from workbench.store.sqlite import queries

if TYPE_CHECKING:
    from workbench.store.sqlite.readers import Reader
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

MAX_FIELD_BYTES = 1024  # longer fields are named in `omitted` and read from their row
MAX_PAGE = 5_000
# One page looks at no more rows than this: a reader who may see few of many changes gets a short
# page with `has_more` instead of a long read.
SCAN_ROWS = 20_000
PRUNE_ROWS = 5_000  # per transaction

# One encoder for all: json.dumps would make one per call.
_dump = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

_CURSOR = re.compile(r"v1\.([0-9a-z]{1,40})\.([0-9]{1,18})")


def record(  # noqa: PLR0917 - the six that every change has
    tx: Transaction,
    entity: str,
    entity_id: str,
    kind: str,
    rev: int,
    data: Mapping[str, Any],
    *,
    topic_id: str | None = None,
    owner: str | None = None,
    team: str | None = None,
    visibility: str = "private",
) -> None:
    """Write one change; the doorbell rings after COMMIT.

    Parameters
    ----------
    tx:
        the transaction of the change itself.
    entity:
        topic, batch, generation, asset, message, ledger, judgement, …
    entity_id:
        the row's id.
    kind:
        insert, update or delete.
    rev:
        the row's revision after the change.
    data:
        changed fields as JSON values; those longer than 1 KiB go by name into `omitted`.
    topic_id:
        the topic that the row lies in, if any.
    owner:
        whose row it is (None: nobody's; only the operator sees it, unless `visibility`).
    team:
        the owner's team.
    visibility:
        private, team or workspace, as it is now.
    """
    text = _dump(dict(data))
    omitted: list[str] = []
    # Mostly all of it together is short, and no field needs a look.
    if len(text) > MAX_FIELD_BYTES or len(text.encode()) > MAX_FIELD_BYTES:
        fields = {name: _dump(value) for name, value in data.items()}
        omitted = [name for name, field in fields.items() if len(field.encode()) > MAX_FIELD_BYTES]
        kept = (f"{_dump(name)}:{field}" for name, field in fields.items() if name not in omitted)
        text = "{" + ",".join(kept) + "}"
    tx.execute(
        queries.sql("feed.insert"),
        (
            entity,
            entity_id,
            kind,
            rev,
            text,
            _dump(omitted) if omitted else None,
            topic_id,
            owner,
            team,
            visibility,
            tx.now,
        ),
    )
    tx.changed = True


def feed_id(source: Querying) -> str:
    """Return the id of this history of changes."""
    return str(source.scalar(queries.sql("feed.feed_id")))


def renew_feed_id(tx: Transaction) -> str:
    """Begin a new history (after a restore): every cursor given out before answers `reset`."""
    fresh = new_id()
    tx.execute(queries.sql("feed.set_meta"), ("feed_id", fresh))
    return fresh


def last_seq(source: Querying) -> int:
    """Return the seq of the newest change, pruned ones included (0: none yet)."""
    return int(source.scalar(queries.sql("feed.last_seq")) or 0)


def cursor(source: Querying) -> str:
    """Return the cursor after the newest change."""
    state = _state(source)
    return _cursor(str(state["feed_id"]), int(state["newest"]))


def _state(source: Querying) -> sqlite3.Row:
    state: sqlite3.Row = source.one(queries.sql("feed.state"))
    return state


def _cursor(feed: str, seq: int) -> str:
    return f"v1.{feed}.{seq}"


def read(reader: Reader, identity: Identity, since: str | None, *, limit: int = 500) -> ChangePage:
    """Return the changes after the cursor `since` that `identity` may see, oldest first.

    Parameters
    ----------
    reader:
        a reading connection.
    identity:
        who asks.
    since:
        a cursor; None gives no items and the current cursor.
    limit:
        most items on the page, 1–5,000.

    Returns
    -------
        The page. `reset` is True where the cursor is no cursor, of another history, from the
        future or older than what is kept: read everything anew and go on from the page's cursor.
        A page may be empty and still say `has_more`.

    Raises
    ------
        InvalidRequest: `limit` is out of range or `since` is not text.
    """
    _check_whole("limit", limit, 1, MAX_PAGE)
    if since is not None and not isinstance(since, str):
        raise InvalidRequest("since", "must be a cursor (text) or None.")
    state = _state(reader)
    feed, newest, floor = str(state["feed_id"]), int(state["newest"]), int(state["floor"])
    now = _cursor(feed, newest)
    if since is None:
        return ChangePage((), now, has_more=False, reset=False)
    match = _CURSOR.fullmatch(since)
    start = int(match[2]) if match else -1
    if match is None or match[1] != feed or not floor <= start <= newest:
        return ChangePage((), now, has_more=False, reset=True)
    # Numbers hardly skip, so a range of them bounds the rows looked at.
    end = min(newest, start + SCAN_ROWS)
    rows = reader.all(
        queries.sql("feed.page"),
        {
            "since": start,
            "end": end,
            "limit": limit,
            "user": identity.user,
            "team": identity.team,
            "all": int(identity.all_users),
        },
    )
    if len(rows) == limit:
        end = int(rows[-1]["seq"])  # else everything up to the end is passed, seen or not
    items = tuple(_change(row) for row in rows)
    return ChangePage(items, _cursor(feed, end), has_more=end < newest, reset=False)


def _change(row: sqlite3.Row) -> ChangeRecord:
    return ChangeRecord(
        seq=row["seq"],
        entity=row["entity"],
        id=row["entity_id"],
        kind=row["kind"],
        rev=row["rev"],
        data=json.loads(row["data"]),
        omitted=() if row["omitted"] is None else tuple(json.loads(row["omitted"])),
        topic_id=row["topic_id"],
        owner=row["owner"],
        at=row["at"],
    )


def prune_once(tx: Transaction, *, keep_rows: int, keep_ms: int) -> int:
    """Delete up to PRUNE_ROWS of the oldest changes that are too old or too many.

    A row goes when it is older than `keep_ms` milliseconds, or when `keep_rows` newer ones are
    there. Only whole beginnings go, never a hole in the middle; the floor moves with them, so
    that older cursors answer `reset`.

    Returns
    -------
        How many went; fewer than PRUNE_ROWS means that the work is done.
    """
    newest = last_seq(tx)
    limits = {"first_kept": newest - keep_rows, "since": tx.now - keep_ms, "rows": PRUNE_ROWS}
    end = tx.scalar(queries.sql("feed.prune_end"), limits)
    if end is None:
        return 0
    gone = tx.execute("DELETE FROM change WHERE seq <= ?", (end,)).rowcount
    tx.execute(queries.sql("feed.set_meta"), ("feed_floor", str(end)))
    return gone


def check_retention(keep_rows: int, keep_ms: int) -> None:
    """Raise InvalidRequest unless both limits are whole numbers that are not negative."""
    _check_whole("keep_rows", keep_rows, 0, 2**62)
    _check_whole("keep_ms", keep_ms, 0, 2**62)


def _check_whole(field: str, value: object, low: int, high: int) -> None:
    # validate.py has more of these, but it needs rows.py, which needs this module.
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidRequest(field, f"must be a whole number from {low} to {high}.")
