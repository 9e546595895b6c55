"""A topic seen as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.domain.ids import new_id
from workbench.domain.records import Identity, Json, MessageRecord
from workbench.store.sqlite import access, pages, queries, rows, validate

if TYPE_CHECKING:
    from workbench.store.sqlite.readers import Reader
    from workbench.store.sqlite.writer import Transaction

ROLES = ("user", "assistant", "system")
MAX_MESSAGE_CHARACTERS = 100_000
_END = 2**62
_FIELDS = ("topic_id", "role", "text", "batch_id", "generation_id", "meta", "created_at")


def say(
    tx: Transaction,
    identity: Identity,
    topic_id: str,
    text: str,
    *,
    role: str = "user",
    meta: Json | None = None,
) -> MessageRecord:
    """Add a line to a topic of one's own; the topic becomes the one with the newest activity."""
    validate.check_identity(identity)
    validate.check_choice("role", role, ROLES)
    validate.check_text("text", text, limit=MAX_MESSAGE_CHARACTERS)
    extra = validate.check_json("meta", meta or {})
    topic = access.own_row(tx, identity, "topic", topic_id)
    row = rows.insert_row(
        tx,
        "message",
        {
            "id": new_id(),
            "topic_id": topic_id,
            "role": role,
            "text": text,
            "meta": extra,
            # Everything in a topic is its owner's, so that they see all of it.
            "owner": topic["owner"],
            "team": topic["team"],
            "created_at": tx.now,
        },
    )
    rows.record_change(tx, "message", row, "insert", rows.fields_of(row, _FIELDS))
    rows.update_row(tx, "topic", topic_id, {"updated_at": tx.now})
    return rows.message_record(row)


def messages(
    reader: Reader, identity: Identity, topic_id: str, *, limit: int = 50, cursor: str | None = None
) -> tuple[list[MessageRecord], str | None]:
    """Return a page of a topic's messages, newest first, and the cursor of the older ones."""
    validate.check_limit(limit)
    at = pages.parse_cursor(cursor, "b", "newest")
    topic = access.visible_row(reader, identity, "topic", topic_id)
    if topic["hidden_at"] is not None:
        return [], None
    parameters = (topic_id, _END if at is None else at[0], limit + 1)
    found = reader.all(queries.sql("messages.page"), parameters)
    more, found = len(found) > limit, found[:limit]
    next_cursor = pages.format_cursor("b", "newest", found[-1]["seq"]) if more else None
    return [rows.message_record(row) for row in found], next_cursor
