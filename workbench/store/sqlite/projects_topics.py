"""Projects and topics: create, rename, move, share, list; titles and covers."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.domain.ids import new_id
from workbench.domain.records import Identity, Json, ProjectRecord, TopicRecord
from workbench.domain.status import Status, Visibility
from workbench.errors import InvalidRequest, NotFound
from workbench.store.sqlite import access, queries, rows, settings, validate

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

DEFAULT_PROJECT_TITLE = "Untitled project"
TITLE_SOURCES = ("none", "prompt", "model", "user")
_DEFAULT_PROJECT = "default_project"  # preference of each owner
_END = 2**62  # beyond every time and every seq
_ALL = -1  # for SQL's LIMIT
_WIDTH = {Visibility.PRIVATE: 0, Visibility.TEAM: 1, Visibility.WORKSPACE: 2}


# -- projects ---------------------------------------------------------------------------------
def create_project(tx: Transaction, identity: Identity, title: str) -> ProjectRecord:
    """Insert a project of `identity`."""
    return rows.project_record(_insert_project(tx, identity, validate.check_title("title", title)))


def _insert_project(tx: Transaction, identity: Identity, title: str) -> sqlite3.Row:
    validate.check_identity(identity)
    row = rows.insert_row(
        tx,
        "project",
        {
            "id": new_id(),
            "title": title,
            "owner": identity.user,
            "team": identity.team,
            "created_at": tx.now,
            "updated_at": tx.now,
        },
    )
    shown = ("title", "visibility", "created_at", "updated_at", "deleted_at")
    rows.record_change(tx, "project", row, "insert", rows.fields_of(row, shown))
    return row


def default_project(tx: Transaction, identity: Identity) -> str:
    """Return the id of the owner's project for topics without one, made once per owner."""
    known = settings.preference(tx, identity.user, _DEFAULT_PROJECT)
    if isinstance(known, str) and tx.scalar(
        "SELECT 1 FROM project WHERE id = ? AND owner = ? AND deleted_at IS NULL",
        (known, identity.user),
    ):
        return known
    id = str(_insert_project(tx, identity, DEFAULT_PROJECT_TITLE)["id"])
    settings.set_preference(tx, identity.user, _DEFAULT_PROJECT, id)
    return id


def update_project(
    tx: Transaction,
    identity: Identity,
    id: str,
    *,
    title: str | None = None,
    visibility: str | None = None,
) -> ProjectRecord:
    """Rename or share a project; None leaves as it is."""
    row = access.own_row(tx, identity, "project", id)
    fields: dict[str, Any] = {}
    if title is not None:
        fields["title"] = validate.check_title("title", title)
    if visibility is not None:
        fields["visibility"] = _check_visibility(row, visibility)
    changed = _update(tx, "project", row, fields)
    return rows.project_record(changed)


def project(source: Querying, identity: Identity, id: str) -> ProjectRecord:
    """Return a project, in the trash or not."""
    return rows.project_record(access.visible_row(source, identity, "project", id))


def projects(source: Querying, identity: Identity) -> list[ProjectRecord]:
    """Return the live projects that `identity` may see, oldest first."""
    found = source.all(queries.sql("topics.projects"), _viewer(identity))
    return [rows.project_record(row) for row in found]


def _viewer(identity: Identity) -> dict[str, Any]:
    return {"user": identity.user, "team": identity.team, "all": int(identity.all_users)}


def _check_visibility(row: sqlite3.Row, visibility: object) -> str:
    wanted = validate.check_choice("visibility", visibility, list(Visibility))
    if wanted == Visibility.TEAM and row["team"] is None:
        raise InvalidRequest("visibility", "cannot be 'team': its owner is in no team.")
    return wanted


def _update(tx: Transaction, table: str, row: sqlite3.Row, fields: dict[str, Any]) -> sqlite3.Row:
    """Write what differs; a narrower visibility is told to those who saw the row before."""
    fields = {name: value for name, value in fields.items() if row[name] != value}
    if not fields:
        return row
    wider = None
    if "visibility" in fields:
        old, new = Visibility(row["visibility"]), Visibility(fields["visibility"])
        wider = max(old, new, key=_WIDTH.__getitem__).value
    changed = rows.update_row(
        tx, table, row["id"], {**fields, "updated_at": tx.now}, visibility=wider
    )
    if changed is None:
        raise NotFound(table, row["id"])
    return changed


# -- topics -----------------------------------------------------------------------------------
def create_topic(
    tx: Transaction,
    identity: Identity,
    title: str = "",
    *,
    project_id: str | None = None,
    title_source: str = "user",
) -> TopicRecord:
    """Insert a topic of `identity`; without a project it goes into their default one.

    An empty title leaves the topic untitled, until its first batch gives it one.
    """
    validate.check_identity(identity)
    text = validate.check_title("title", title, empty=True)
    if project_id is None:
        project_id = default_project(tx, identity)
    else:
        access.own_row(tx, identity, "project", project_id)
    row = rows.insert_row(
        tx,
        "topic",
        {
            "id": new_id(),
            "project_id": project_id,
            "title": text,
            "title_source": title_source if text else "none",
            "owner": identity.user,
            "team": identity.team,
            "created_at": tx.now,
            "updated_at": tx.now,
        },
    )
    shown = (
        "project_id",
        "title",
        "title_source",
        "visibility",
        "meta",
        "cover_generation_id",
        "created_at",
        "updated_at",
        "deleted_at",
    )
    rows.record_change(tx, "topic", row, "insert", rows.fields_of(row, shown))
    return rows.topic_record(row)


def update_topic(
    tx: Transaction,
    identity: Identity,
    id: str,
    *,
    title: str | None = None,
    title_source: str = "user",
    project_id: str | None = None,
    visibility: str | None = None,
    cover_generation_id: str | None = None,
    meta: Json | None = None,
) -> TopicRecord:
    """Rename, move, share a topic, set its cover or its meta; None leaves as it is.

    Parameters
    ----------
    tx:
        the transaction.
    identity:
        who asks; must own the topic.
    id:
        the topic.
    title:
        the new title. One that a user gave is only replaced by a user's: another
        `title_source` then changes nothing.
    title_source:
        prompt, model or user.
    project_id:
        a live project of the same person to move it to.
    visibility:
        private, team or workspace.
    cover_generation_id:
        a completed picture of this topic, which stays the cover until it
        goes; "" gives the choice back to the topic (its first success).
    meta:
        replaces the meta as a whole.
    """
    row = access.own_row(tx, identity, "topic", id)
    fields: dict[str, Any] = {}
    if title is not None:
        validate.check_choice("title_source", title_source, TITLE_SOURCES[1:])
        text = validate.check_title("title", title)
        if title_source == "user" or row["title_source"] != "user":
            fields |= {"title": text, "title_source": title_source}
    if project_id is not None:
        project_row = access.own_row(tx, identity, "project", project_id)
        if project_row["owner"] != row["owner"]:
            raise InvalidRequest("project_id", "must be a project of the topic's owner.")
        fields["project_id"] = project_id
    if visibility is not None:
        fields["visibility"] = _check_visibility(row, visibility)
    if meta is not None:
        fields["meta"] = validate.check_json("meta", meta)
    if cover_generation_id:
        _check_cover(tx, id, cover_generation_id)
        fields |= {"cover_generation_id": cover_generation_id, "cover_chosen": 1}
    elif cover_generation_id is not None:
        fields["cover_chosen"] = 0
    _update(tx, "topic", row, fields)
    if cover_generation_id == "":
        choose_cover(tx, id)
    return topic(tx, identity, id)


def _check_cover(tx: Transaction, topic_id: str, generation_id: object) -> None:
    validate.check_id("generation", generation_id)
    row = tx.one(queries.sql("topics.cover_candidate"), (generation_id,))
    if row is None or row["topic_id"] != topic_id or row["hidden_at"] is not None:
        raise InvalidRequest("cover_generation_id", "must be a picture of this topic.")
    if row["status"] != Status.COMPLETED:
        raise InvalidRequest("cover_generation_id", "must be a completed picture.")


def choose_cover(tx: Transaction, topic_id: str) -> str | None:
    """Keep the topic's cover if it is still there; else take the topic's first success, or none.

    To be called after a success and after pictures went or came back.

    Returns
    -------
        The id of the generation that is the cover now, or None.
    """
    row = tx.one("SELECT cover_generation_id FROM topic WHERE id = ?", (topic_id,))
    if row is None:
        return None
    current: str | None = row["cover_generation_id"]
    if current is not None:
        held = tx.one(queries.sql("topics.cover_candidate"), (current,))
        # The trash of the whole topic or project hides the topic with its cover.
        if held is not None and held["topic_id"] == topic_id and held["gone_at"] is None:
            return current
    first: str | None = tx.scalar(queries.sql("topics.first_success"), (topic_id,))
    if first != current:
        rows.update_row(
            tx, "topic", topic_id, {"cover_generation_id": first, "cover_chosen": False}
        )
    return first


def topic(source: Querying, identity: Identity, id: str) -> TopicRecord:
    """Return a topic, in the trash or not (`deleted_at` tells also of its project's deletion)."""
    return _shown_topic(access.visible_row(source, identity, "topic", id))


def _shown_topic(row: sqlite3.Row) -> TopicRecord:
    record = rows.topic_record(row)
    if row["hidden_at"] == record.deleted_at:
        return record
    return dataclasses.replace(record, deleted_at=row["hidden_at"])


def topics(
    source: Querying,
    identity: Identity,
    *,
    project_id: str | None = None,
    limit: int | None = 1000,
    before: tuple[int, int] | None = None,
) -> list[TopicRecord]:
    """Return live topics that `identity` may see, the one with the newest activity first.

    At most `limit`, or all of them (None); with `before` (updated_at, seq) those behind it only.
    """
    most = _ALL if limit is None else validate.check_limit(limit, high=100_000)
    if project_id is not None:
        access.visible_row(source, identity, "project", project_id)
        name = "topics.of_project"
    else:
        name = "topics.all" if identity.all_users else "topics.visible"
    updated_at, seq = before or (_END, _END)
    place = {"updated_at": updated_at, "seq": seq}
    parameters = {**_viewer(identity), "project": project_id, "limit": most, **place}
    return [rows.topic_record(row) for row in source.all(queries.sql(name), parameters)]


def topic_total(source: Querying, identity: Identity) -> int:
    """Return how many live topics `identity` may see."""
    listed = queries.sql("topics.all" if identity.all_users else "topics.visible")
    parameters = {**_viewer(identity), "limit": _ALL, "updated_at": _END, "seq": _END}
    counted = f"SELECT count(*) FROM ({listed})"  # noqa: S608 - a text of ours
    return int(source.scalar(counted, parameters))


def topic_counts(source: Querying, identity: Identity, topic_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of live pictures in each topic (0 for those that are not to be seen)."""
    ids = validate.check_ids("topic", topic_ids)
    parameters = {**_viewer(identity), "ids": rows.to_json(ids)}
    counted = dict.fromkeys(ids, 0)
    for row in source.all(queries.sql("topics.counts"), parameters):
        counted[row["topic_id"]] = row["images"]
    return counted


def topic_covers(source: Querying, identity: Identity, topic_ids: Sequence[str]) -> dict[str, str]:
    """Return the asset id of the cover of each topic that has one and is to be seen."""
    ids = validate.check_ids("topic", topic_ids)
    parameters = {**_viewer(identity), "ids": rows.to_json(ids)}
    found = source.all(queries.sql("topics.covers"), parameters)
    return {row["id"]: row["asset_id"] for row in found}
