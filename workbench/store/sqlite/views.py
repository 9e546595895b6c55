"""What pages of the interface show, each part in one look: rows by id, feed pages both ways.

Nothing here says NotFound for a row of a list: what is not there, in the trash or somebody else's
is missing from the answer, so that a page can let go of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from workbench.domain.records import (
    AssetRecord,
    BalanceView,
    BatchPage,
    BatchRecord,
    GenerationView,
    Identity,
    Judgement,
    ProjectRecord,
    TopicPage,
    TopicView,
)
from workbench.store.sqlite import (
    access,
    judgements,
    pages,
    projects_topics,
    queries,
    rows,
    validate,
)

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying

MAX_IDS = 500
MAX_PAGE_IMAGES = 1_000  # a page of batches ends before that, with one batch at least
MAX_ACTIVE = 200
MAX_TOPICS = 1_000  # of a page
DIRECTIONS = ("older", "newer")
_END = 2**62  # beyond every seq
_LOOKED_AT = 1_000
_MAX_DURATIONS = 100


def _viewer(identity: Identity, **more: Any) -> dict[str, Any]:
    viewer = {"user": identity.user, "team": identity.team, "all": int(identity.all_users)}
    return viewer | more


def _ids(entity: str, ids: Sequence[str]) -> str:
    return rows.to_json(validate.check_ids(entity, ids, limit=MAX_IDS))


# -- rows by id -------------------------------------------------------------------------------
def generations(
    source: Querying, identity: Identity, ids: Sequence[str]
) -> dict[str, GenerationView]:
    """Return those of at most 500 generations that are live and to be seen, by id."""
    sql = queries.sql("generations.select") + "\n" + queries.sql("views.generations")
    found = source.all(sql, _viewer(identity, ids=_ids("generation", ids)))
    return {view.record.id: view for view in _views(source, identity, found)}


def _views(
    source: Querying, identity: Identity, found: Iterable[sqlite3.Row]
) -> list[GenerationView]:
    records = [rows.generation_record(row) for row in found]
    images = assets(source, {record.asset_id for record in records if record.asset_id})
    thoughts = judgements.judgements(source, identity, [record.id for record in records])
    return [
        GenerationView(
            record,
            None if record.asset_id is None else images.get(record.asset_id),
            thoughts.get(record.id) or Judgement(),
        )
        for record in records
    ]


def assets(source: Querying, ids: Iterable[str]) -> dict[str, AssetRecord]:
    """Return the assets by id. Whether somebody may see them is not asked here."""
    wanted = rows.to_json(sorted(ids))
    return {
        row["id"]: rows.asset_record(row)
        for row in source.all(queries.sql("views.assets"), (wanted,))
    }


def pictures(source: Querying, identity: Identity, ids: Sequence[str]) -> dict[str, AssetRecord]:
    """Return the images of generations that are live, to be seen and completed, by generation."""
    found = source.all(
        queries.sql("views.pictures"), _viewer(identity, ids=_ids("generation", ids))
    )
    return {row["generation_id"]: rows.asset_record(row) for row in found}


def batches(source: Querying, identity: Identity, ids: Sequence[str]) -> dict[str, BatchRecord]:
    """Return those of at most 500 batches that are live and to be seen, by id."""
    found = source.all(queries.sql("views.batches"), _viewer(identity, ids=_ids("batch", ids)))
    return {row["id"]: rows.batch_record(row) for row in found}


def topics(source: Querying, identity: Identity, ids: Sequence[str]) -> list[TopicView]:
    """Return those of at most 500 topics that are live and to be seen, in their order."""
    return _topics(source, identity, _ids("topic", ids))


def _topics(source: Querying, identity: Identity, ids: str) -> list[TopicView]:
    found = source.all(queries.sql("views.topics"), _viewer(identity, ids=ids))
    return [TopicView(rows.topic_record(row), row["images"], row["cover_asset"]) for row in found]


def topic_page(
    source: Querying, identity: Identity, *, limit: int, cursor: str | None = None
) -> TopicPage:
    """Return live topics that are to be seen, the latest activity first.

    Raises
    ------
        InvalidRequest: limit or cursor is wrong.
    """
    validate.check_limit(limit, high=MAX_TOPICS)
    at = pages.parse_cursor(cursor, "t", "newest")
    before = None if at is None else (at[0], at[1])
    listed = projects_topics.topics(source, identity, limit=limit + 1, before=before)
    shown = listed[:limit]
    older = None
    if len(listed) > limit:
        older = pages.format_cursor("t", "newest", shown[-1].updated_at, shown[-1].seq)
    is_all = at is None and older is None
    total = len(shown) if is_all else projects_topics.topic_total(source, identity)
    found = _topics(source, identity, rows.to_json([record.id for record in shown]))
    return TopicPage(tuple(found), older, total)


def projects(
    source: Querying, identity: Identity, ids: Sequence[str] | None = None
) -> list[ProjectRecord]:
    """Return live projects that are to be seen: those of `ids`, or all, oldest first."""
    if ids is None:
        return projects_topics.projects(source, identity)
    found = source.all(queries.sql("views.projects"), _viewer(identity, ids=_ids("project", ids)))
    return [rows.project_record(row) for row in found]


# -- the feed of a topic ------------------------------------------------------------------------
def batch_page(
    source: Querying,
    identity: Identity,
    topic_id: str,
    *,
    limit: int,
    cursor: str | None = None,
    direction: str = "older",
) -> BatchPage:
    """Return a page of a topic's live batches, newest first; without a cursor the newest.

    A page also ends before its batches have more than 1,000 images together.

    Raises
    ------
        NotFound: the topic is not there or not to be seen.
        InvalidRequest: limit, direction or cursor is wrong.
    """
    validate.check_limit(limit)
    validate.check_choice("direction", direction, DIRECTIONS)
    older = direction == "older"
    at = pages.parse_cursor(cursor, "b", "newest" if older else "oldest")
    topic = access.visible_row(source, identity, "topic", topic_id)
    if topic["hidden_at"] is not None:
        return BatchPage((), None, None)
    start = at[0] if at is not None else _END if older else 0
    parameters = {"topic": topic_id, "seq": start, "limit": limit}
    found = _fitting(source.all(queries.sql(f"views.{direction}"), parameters))
    if not older:
        found.reverse()
    # Beyond an empty page lies what lies beyond its cursor.
    first, last = (found[0]["seq"], found[-1]["seq"]) if found else _around(start, older=older)
    return BatchPage(
        tuple(rows.batch_record(row) for row in found),
        older=_beyond(source, topic_id, "older", last),
        newer=_beyond(source, topic_id, "newer", first),
    )


def _fitting(found: list[sqlite3.Row]) -> list[sqlite3.Row]:
    images = 0
    for place, row in enumerate(found):
        images += row["n"]
        if images > MAX_PAGE_IMAGES:
            return found[: max(1, place)]
    return found


def _around(seq: int, *, older: bool) -> tuple[int, int]:
    """Between which two seqs an empty page lies: the cursor's own row is behind it."""
    return (seq - 1, seq) if older else (seq, seq + 1)


def _beyond(source: Querying, topic_id: str, direction: str, seq: int) -> str | None:
    parameters = {"topic": topic_id, "seq": seq, "limit": 1}
    if source.one(queries.sql(f"views.{direction}"), parameters) is None:
        return None
    return pages.format_cursor("b", "newest" if direction == "older" else "oldest", seq)


def batches_generations(
    source: Querying, identity: Identity, batch_ids: Sequence[str]
) -> list[GenerationView]:
    """Return the latest live generation of each index, by batch (newest first) and index."""
    seen = batches(source, identity, batch_ids)
    sql = queries.sql("generations.select") + "\n" + queries.sql("views.of_batches")
    found = source.all(sql, {"ids": rows.to_json(list(seen))})
    latest = {(row["batch_id"], row["idx"]): row for row in found}  # the last of an index wins
    return _views(source, identity, latest.values())


def own_pictures(
    source: Querying, identity: Identity, *, after: int = 0, limit: int = 200
) -> list[GenerationView]:
    """Return the next live pictures of one's own behind the generation with this seq, oldest first.

    Of each index of a batch it is the latest generation, if that one is completed.
    """
    parameters = {
        "user": identity.user,
        "after": validate.check_whole("after", after, low=0, high=_END),
        "limit": validate.check_limit(limit, high=MAX_IDS),
    }
    sql = queries.sql("generations.select") + "\n" + queries.sql("views.own_pictures")
    return _views(source, identity, source.all(sql, parameters))


def own_size(source: Querying, identity: Identity) -> tuple[int, int]:
    """Return how many pictures `own_pictures` gives in all, and how many bytes they have."""
    row = source.one(queries.sql("views.own_size"), {"user": identity.user})
    return (0, 0) if row is None else (row["images"], row["bytes"])


def active_batches(source: Querying, identity: Identity, topic_id: str) -> list[str]:
    """Return the ids of the topic's batches with something that has not ended, newest first.

    At most 200.
    """
    topic = access.visible_row(source, identity, "topic", topic_id)
    if topic["hidden_at"] is not None:
        return []
    parameters = {"topic": topic_id, "limit": MAX_ACTIVE}
    return [row["id"] for row in source.all(queries.sql("views.active_batches"), parameters)]


def walk(
    source: Querying, identity: Identity, generation_id: str, *, direction: str, limit: int
) -> tuple[list[GenerationView], bool]:
    """Return the completed pictures next to a generation in its topic, in the order of the feed.

    That is: batches newest first, within one by index. "next" gives those behind it, "previous"
    those before it (the last one is its neighbour); "first" and "last" give the outermost ones of
    its topic.

    Returns
    -------
        At most `limit` of them, and whether there are no more in this direction (of the outermost
        ones: whether these are all).

    Raises
    ------
        NotFound: the generation is not there or not to be seen.
    """
    validate.check_limit(limit)
    validate.check_choice("direction", direction, ("next", "previous", "first", "last"))
    start = access.visible_row(source, identity, "generation", generation_id)
    topic = access.visible_row(source, identity, "topic", start["topic_id"])
    if topic["hidden_at"] is not None:
        return [], True
    upwards = direction in ("previous", "last")
    if direction == "first":
        batch = _END
    elif direction == "last":
        batch = -1  # below every seq
    else:
        batch = source.scalar("SELECT seq FROM batch WHERE id = ?", (start["batch_id"],))
    found = source.all(
        queries.sql("views.walk_previous" if upwards else "views.walk_next"),
        {"topic": topic["id"], "batch": batch, "idx": start["idx"], "limit": limit + 1},
    )
    ids = [row["id"] for row in found[:limit]]
    if upwards:
        ids.reverse()
    views = generations(source, identity, ids)
    return [views[id] for id in ids if id in views], len(found) <= limit


# -- numbers and lists --------------------------------------------------------------------------
def deletion(source: Querying, identity: Identity, topic_id: str) -> tuple[int, int]:
    """Return how many pictures and how many running or waiting ones go with a topic.

    Raises
    ------
        NotFound, NotAllowed: it is not there, somebody else's, or in the trash.
    """
    topic = access.own_row(source, identity, "topic", topic_id)
    return topic["images"], source.scalar(queries.sql("views.active_of_topic"), (topic_id,))


def prompts(source: Querying, identity: Identity, *, limit: int) -> list[str]:
    """Return the user's last different prompts, newest first."""
    validate.check_limit(limit)
    parameters = {"user": identity.user, "looked_at": _LOOKED_AT, "limit": limit}
    return [row["prompt"] for row in source.all(queries.sql("views.prompts"), parameters)]


def durations(
    source: Querying, identity: Identity, model: str, *, limit: int = 20
) -> list[tuple[float, int | None]]:
    """Return (seconds, pixels) of the user's newest pictures of a model, newest first."""
    validate.check_limit(limit, high=_MAX_DURATIONS)
    validate.check_text("model", model, limit=validate.MAX_NAME_CHARACTERS)
    parameters = {"user": identity.user, "model": model, "looked_at": _LOOKED_AT, "limit": limit}
    return [
        (
            row["duration_ms"] / 1000,
            None if row["width"] is None or row["height"] is None else row["width"] * row["height"],
        )
        for row in source.all(queries.sql("views.durations"), parameters)
    ]


def balances(source: Querying, identity: Identity) -> list[BalanceView]:
    """Return the user's own balances with the last booking of each unit."""
    found = source.all(queries.sql("views.balances"), (identity.user,))
    return [
        BalanceView(
            unit=row["unit"],
            amount_micro=row["amount_micro"],
            change_micro=row["change_micro"] or 0,
            reason=row["reason"],
            transaction_id=row["transaction_id"],
        )
        for row in found
    ]
