"""The trash: what went there can come back, with everything in it, until it is purged.

Only the row that was deleted is marked; what lies in it is hidden through joins and comes back with
it. A batch whose last picture goes is marked with that picture, by the same time stamp; either of
both brings back both. The failed attempts that a picture took the place of go and come with it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.domain.records import AssetRecord, Identity, TrashItem
from workbench.errors import NotAllowed, NotFound
from workbench.store.sqlite import access, control, projects_topics, purge, queries, rows, validate

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

MAX_IDS = 500


def trash(tx: Transaction, identity: Identity, entity: str, id: str) -> int:
    """Move a project, topic, batch or generation to the trash; cancels what still runs in it.

    Returns
    -------
        How many pictures went (completed, the latest of each index). 0 for what was there already.

    Raises
    ------
        NotFound, NotAllowed: it is not there, or somebody else's.
    """
    validate.check_choice("entity", entity, access.ENTITIES)
    row = access.own_row(tx, identity, entity, id, live=False)
    if row["deleted_at"] is not None:
        return 0
    images = int(tx.scalar(queries.sql(f"trash.images_of_{entity}"), (id,)))
    open_ones = tx.all(queries.sql(f"trash.open_of_{entity}"), (id,))
    control.cancel_generations(tx, [open_one["id"] for open_one in open_ones])
    _mark(tx, identity, entity, id)
    if entity == "generation":
        for earlier in tx.all(queries.sql("trash.live_before"), (id,)):
            _mark(tx, identity, "generation", earlier["id"])
        left = tx.scalar(queries.sql("trash.live_of_batch"), (row["batch_id"],))
        if not left:
            _mark(tx, identity, "batch", row["batch_id"])
    if entity in ("generation", "batch"):
        projects_topics.choose_cover(tx, row["topic_id"])
    return images


def _mark(tx: Transaction, identity: Identity, entity: str, id: str) -> None:
    fields = {"deleted_at": tx.now, "deleted_by": identity.user}
    rows.update_row(tx, entity, id, fields, only_if="deleted_at IS NULL")


def restore(tx: Transaction, identity: Identity, entity: str, id: str) -> None:
    """Bring back what was moved to the trash; what is not there stays as it is.

    Raises
    ------
        NotFound: it is not there (purged, or just being purged), or not to be seen.
        NotAllowed: it is somebody else's, or what it lies in is in the trash itself.
    """
    validate.check_choice("entity", entity, access.ENTITIES)
    row = access.own_row(tx, identity, entity, id, live=False)
    stamp = row["deleted_at"]
    if stamp is None:
        _refuse_below_trash(tx, identity, entity, row)
        return
    if entity == "generation":
        batch = access.visible_row(tx, identity, "batch", row["batch_id"])
        # It went because its last picture went (same stamp), not because somebody deleted it.
        if tx.all(queries.sql("trash.went_with_batch"), (batch["id"], batch["deleted_at"])):
            _unmark(tx, "batch", batch["id"])
        for earlier in tx.all(queries.sql("trash.went_before"), (id,)):
            _unmark(tx, "generation", earlier["id"])
    _unmark(tx, entity, id)
    if entity == "batch" and not tx.scalar(queries.sql("trash.has_generations"), (id,)):
        raise NotFound(entity, id)  # a purge is under way and took its pictures already
    if entity in ("topic", "project"):
        purge.drop_batches(tx, tx.all(queries.sql(f"trash.empty_batches_of_{entity}"), (id,)))
    if entity == "batch":
        for picture in tx.all(queries.sql("trash.went_with_batch"), (id, stamp)):
            _unmark(tx, "generation", picture["id"])
    _refuse_below_trash(tx, identity, entity, row)  # raising undoes all of it
    if entity != "project":
        projects_topics.choose_cover(tx, id if entity == "topic" else row["topic_id"])


def _unmark(tx: Transaction, entity: str, id: str) -> None:
    rows.update_row(tx, entity, id, {"deleted_at": None, "deleted_by": None})


def _refuse_below_trash(tx: Transaction, identity: Identity, entity: str, row: sqlite3.Row) -> None:
    above = {"generation": ("batch", "topic"), "batch": ("topic",), "topic": ("project",)}
    if access.visible_row(tx, identity, entity, row["id"])["hidden_at"] is None:
        return
    for outer in above.get(entity, ()):
        found = access.visible_row(tx, identity, outer, row[f"{outer}_id"])
        if found["deleted_at"] is not None:
            raise NotAllowed(f"Its {outer} is in the trash. Restore the {outer} first.")
    raise NotAllowed("Its project is in the trash. Restore the project first.")


def trash_items(source: Querying, identity: Identity) -> list[TrashItem]:
    """Return what the user can restore, newest first.

    What lies in something that is in the trash itself is not listed; it comes back with that.
    """
    parameters = {"user": identity.user, "all": int(identity.all_users)}
    return [
        TrashItem(
            entity=row["entity"],
            id=row["id"],
            title=row["title"],
            images=row["images"],
            deleted_at=row["deleted_at"],
            deleted_by=row["deleted_by"] or "",
            topic_title=row["topic_title"],
            picture_id=row["picture_id"],
        )
        for row in source.all(queries.sql("trash.items"), parameters)
    ]


def pictures(source: Querying, identity: Identity, ids: Sequence[str]) -> dict[str, AssetRecord]:
    """Return the images of one's own generations that lie in the trash, by generation."""
    wanted = rows.to_json(validate.check_ids("generation", ids, limit=MAX_IDS))
    parameters = {"user": identity.user, "all": int(identity.all_users), "ids": wanted}
    found = source.all(queries.sql("trash.pictures"), parameters)
    return {row["generation_id"]: rows.asset_record(row) for row in found}
