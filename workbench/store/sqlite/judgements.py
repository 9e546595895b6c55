"""What a user thinks of a generation: rating, favourite, tags, note. One row per both."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.domain import arguments
from workbench.domain.records import Identity, Judgement
from workbench.errors import InvalidRequest, NotFound
from workbench.store.sqlite import access, feed, queries, rows, validate

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

MAX_TAGS = 64
MAX_TAG_CHARACTERS = 64
_CHUNK = 500


def check_rating(value: object) -> int:
    """Return a rating if it is a whole number from 0 to 5 (4.0 of a table column is one)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return arguments.check_whole("rating", value, low=0, high=5)


def check_tags(value: object) -> str:
    """Return tags as a sorted JSON list without repeats; at most 64 of 64 characters."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise InvalidRequest("tags", "must be a set or list of texts.")
    tags: set[str] = set()
    for tag in value:
        text = validate.check_text("tags", tag).strip()
        if not text:
            raise InvalidRequest("tags", "must not contain an empty tag.")
        if len(text) > MAX_TAG_CHARACTERS:
            raise InvalidRequest("tags", f"may have up to {MAX_TAG_CHARACTERS} characters each.")
        tags.add(text)
    if len(tags) > MAX_TAGS:
        raise InvalidRequest("tags", f"are {len(tags)}; at most {MAX_TAGS}.")
    return rows.to_json(sorted(tags))


def _check_note(value: object) -> str:
    return validate.check_text("note", value, limit=10_000)


def _check_favourite(value: object) -> int:
    return int(validate.check_flag("favourite", value))


_CHECKS = {
    "rating": check_rating,
    "favourite": _check_favourite,
    "tags": check_tags,
    "note": _check_note,
}


def judge(tx: Transaction, identity: Identity, values: Mapping[str, Mapping[str, Any]]) -> int:
    """Set what `values` names (rating, favourite, tags, note) per generation id, all or nothing.

    Everybody judges what they can see; a judgement is only its user's.

    Returns
    -------
        How many judgements changed.

    Raises
    ------
        InvalidRequest: a value or a name is wrong; nothing was written.
        NotFound: a generation is not there or not to be seen; nothing was written.
    """
    checked = _checked(identity, values)
    _check_visible(tx, identity, list(checked))
    changed = 0
    for id, fields in checked.items():
        old = tx.one(
            "SELECT * FROM judgement WHERE generation_id = ? AND owner = ?", (id, identity.user)
        )
        if old is not None and all(old[name] == value for name, value in fields.items()):
            continue
        parameters = {
            "owner": identity.user,
            "generation_id": id,
            **{name: fields.get(name) for name in _CHECKS},
            "now": tx.now,
        }
        row = tx.one(queries.sql("judgements.upsert"), parameters)
        assert row is not None  # RETURNING gives the row that was written
        _record(tx, row)
        changed += 1
    return changed


def _checked(
    identity: Identity, values: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    validate.check_identity(identity)
    if not isinstance(values, Mapping):
        raise InvalidRequest("values", "must map generation ids to what is set.")
    checked: dict[str, dict[str, Any]] = {}
    for id, given in values.items():
        validate.check_id("generation", id)
        if not isinstance(given, Mapping):
            raise InvalidRequest("values", f"of {id!r} must be a mapping.")
        for name in given:
            validate.check_choice("values", name, _CHECKS)
        checked[id] = {name: _CHECKS[name](value) for name, value in given.items()}
    return {id: fields for id, fields in checked.items() if fields}


def _check_visible(tx: Transaction, identity: Identity, ids: Sequence[str]) -> None:
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        found = tx.all(queries.sql("judgements.visible"), (rows.to_json(chunk),))
        seen = {row["id"] for row in found if access.sees(identity, row)}
        for id in chunk:
            if id not in seen:
                raise NotFound("generation", id)


def _record(tx: Transaction, row: sqlite3.Row) -> None:
    feed.record(
        tx,
        "judgement",
        f"{row['generation_id']}:{row['owner']}",
        "insert" if row["rev"] == 1 else "update",
        row["rev"],
        {
            "generation_id": row["generation_id"],
            "rating": row["rating"],
            "favourite": bool(row["favourite"]),
            "tags": json.loads(row["tags"]),
            "note": row["note"],
            "judged_by": row["owner"],
        },
        owner=row["owner"],
    )


def judgements(
    source: Querying, identity: Identity, generation_ids: Sequence[str]
) -> dict[str, Judgement]:
    """Return the user's own judgements by generation id (only those that exist)."""
    ids = validate.check_ids("generation", generation_ids)
    found: dict[str, Judgement] = {}
    for start in range(0, len(ids), _CHUNK):
        chunk = rows.to_json(ids[start : start + _CHUNK])
        for row in source.all(queries.sql("judgements.of_user"), (identity.user, chunk)):
            found[row["generation_id"]] = judgement_record(row)
    return found


def judgement_record(row: sqlite3.Row) -> Judgement:
    """Return the record of a row of `judgement`."""
    return Judgement(
        rating=row["rating"],
        favourite=bool(row["favourite"]),
        tags=frozenset(json.loads(row["tags"])),
        note=row["note"],
    )
