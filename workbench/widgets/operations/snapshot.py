"""What a page needs at once when it opens."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from workbench.errors import NotFound
from workbench.widgets import protocol
from workbench.widgets.operations.context import Context
from workbench.widgets.rows import Row, Rows
from workbench.widgets.voila import in_voila
from workbench.workspace.view import FeedView

FIRST_PAGE = 20  # batches
FIRST_TOPICS = 1_000  # the latest

# One click puts one of these into the prompt box of an empty workspace.
EXAMPLES = (
    "a lighthouse on a cliff at sunset, gulls, gentle waves",
    "a red fox in deep snow under tall pines",
    "a bowl of oranges on a wooden table by a window",
    "a harbour town at night, lanterns, full moon",
)


def snapshot(context: Context, scopes: Collection[str]) -> dict[str, Any]:
    """Return the data of `hello`: of the scopes "models", "topics", "feed", "balance", "queue".

    The cursor is taken first: whatever changes meanwhile comes again with the first delta.
    """
    workspace = context.workspace
    rows = context.rows()
    cursor = rows.view.cursor()
    desk_rev, desk = context.desk.rev, context.desk.snapshot()
    data: dict[str, Any] = {
        "version": protocol.VERSION,
        "widget": context.widget,
        "workspace": rows.view.info(),
        "user": workspace.user,
        "identity": rows.view.identity_mode(),
        "voila": in_voila(),
        "limits": rows.view.limits(),
        "cursor": cursor,
        "now": rows.view.now(),
        "desk": rows.shown.desk(desk),
        "desk_rev": desk_rev,
    }
    if "models" in scopes:
        data["models"] = rows.models()
        data["providers"] = rows.providers()
        data["may_set_providers"] = rows.may_set_providers()
    if "topics" in scopes:
        data["projects"] = list(rows.projects().values())
        data |= _topics(rows, desk["topic_id"])
    if "feed" in scopes:
        data["feed"] = _feed(rows, desk["topic_id"])
        data["examples"] = list(EXAMPLES)
    if "balance" in scopes:
        data["balances"] = rows.balances()
    if "queue" in scopes:
        data["queue"] = rows.queue()
    return data


def _topics(rows: Rows, topic_id: str | None) -> Row:
    listed, beyond, _total = rows.topic_page(FIRST_TOPICS)
    if topic_id and beyond and topic_id not in {row["id"] for row in listed}:
        listed += rows.topics([topic_id]).values()  # the open one is shown in any case
    return {"topics": listed, "older_topics": beyond}


def _feed(rows: Rows, topic_id: str | None) -> Row | None:
    if not topic_id:
        return None
    try:
        return topic_feed(rows, topic_id, limit=FIRST_PAGE)
    except NotFound:  # deleted, or not shared any more: the desk learns of it by itself
        return None


def topic_feed(rows: Rows, topic_id: str, *, limit: int) -> Row:
    """Return the newest page of a topic with what has not ended, as `topic.open` answers."""
    feed = rows.view.open_topic(topic_id, limit=limit)
    return {"topic_id": topic_id, "active": list(feed.active), **feed_page(rows, feed)}


def feed_page(rows: Rows, feed: FeedView) -> Row:
    """Return a page of batches with the latest generation of each of their indices."""
    return {
        "batches": [rows.batch(batch) for batch in feed.batches],
        "generations": rows.generation_rows(feed.generations),
        "older": feed.older,
        "newer": feed.newer,
    }
