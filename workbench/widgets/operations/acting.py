"""Operations that change something."""

from __future__ import annotations

from typing import Any

from workbench.domain.arguments import is_word
from workbench.errors import InvalidRequest, NotFound
from workbench.widgets.operations.context import Answer, Context
from workbench.widgets.operations.files import references_of
from workbench.widgets.operations.looking import found
from workbench.widgets.operations.settings import chosen, page_config
from workbench.widgets.protocol import CONFIG
from workbench.widgets.rows import Row, Rows

ENTITIES = ("project", "topic", "batch", "generation")
MOST_ROWS = 500  # of an answer; further ones come with the deltas


# -- requests -----------------------------------------------------------------------------------
def submit(context: Context, args: dict[str, Any]) -> Answer:
    """Ask for pictures. The same `client_key` again answers with the same batch."""
    rows = context.rows()
    settings = chosen(context, args)
    # A page that has just sent the first request of a new topic does not know that topic yet.
    topic_id = args.get("topic_id") or context.desk.snapshot()["topic_id"]
    batch_id = rows.view.submit(
        args["prompt"],
        topic=topic_id,
        client_key=args["client_key"],
        references=references_of(context, args.get("references") or []),
        **settings.options(),
    )
    batch = rows.view.batches([batch_id]).get(batch_id)
    if batch is None:  # its client_key is that of a batch which was deleted since
        raise NotFound("batch", batch_id)
    if topic_id is None:
        context.desk.change({"topic_id": batch.topic_id})
    return Answer(
        {
            "batch": rows.batch(batch),
            "generations": rows.generation_rows(rows.view.generations_of([batch_id])),
            "topic": _topic(rows, batch.topic_id),
        }
    )


def cancel(context: Context, args: dict[str, Any]) -> Answer:
    """Cancel images, a batch, a topic's or all of one's own; what had ended comes as it is."""
    ids = args.get("generation_ids") or []
    named = [ids, args.get("batch_id"), args.get("topic_id"), args.get("everything")]
    if sum(bool(one) for one in named) != 1:
        raise InvalidRequest(
            "generation_ids", "say one of generation_ids, batch_id, topic_id and everything."
        )
    rows = context.rows()
    result = rows.view.cancel(
        ids,
        batch_id=args.get("batch_id"),
        topic_id=args.get("topic_id"),
        everything=bool(args.get("everything")),
    )
    ended = rows.generations(result.already_ended[:MOST_ROWS])
    return Answer(
        {
            "cancelled": list(result.cancelled),
            "already_ended": list(result.already_ended),
            "rows": list(ended.values()),
        }
    )


def retry(context: Context, args: dict[str, Any]) -> Answer:
    """Try an ended image again; the new generation is answered."""
    again = context.workspace.generation(args["generation_id"]).retry()
    return _generation(context, again.id)


def retry_failed(context: Context, args: dict[str, Any]) -> Answer:
    """Try every failed image of a batch again, all or none."""
    rows = context.rows()
    again = context.workspace.batch(args["batch_id"]).retry_failed()
    return Answer({"rows": list(rows.generations([one.id for one in again]).values())})


def resolve(context: Context, args: dict[str, Any]) -> Answer:
    """Settle a paid call without a known end as a person says."""
    settled = context.workspace.generation(args["generation_id"]).resolve(args["outcome"])
    return _generation(context, settled.id)


def run_next(context: Context, args: dict[str, Any]) -> Answer:
    """Put a waiting image before all others of its owner."""
    return Answer({"moved": context.workspace.generation(args["generation_id"]).run_next()})


def pause(context: Context, _args: dict[str, Any]) -> Answer:
    """Hold one's queue."""
    jobs = context.workspace.pause()
    return Answer({"paused": context.workspace.paused, "jobs": jobs})


def resume(context: Context, _args: dict[str, Any]) -> Answer:
    """Let one's queue run on."""
    jobs = context.workspace.resume()
    return Answer({"paused": context.workspace.paused, "jobs": jobs})


# -- what is there ------------------------------------------------------------------------------
def delete(context: Context, args: dict[str, Any]) -> Answer:
    """Move something to the trash; an active topic that goes gives way to its neighbour."""
    images = context.rows().view.delete(_entity(args), args["id"])
    if args["entity"] not in ("topic", "project"):
        return Answer({"images": images})
    # The desk leaves a topic that is gone for its neighbour by itself.
    return Answer({"images": images, "next_topic_id": context.desk.snapshot()["topic_id"]})


def restore(context: Context, args: dict[str, Any]) -> Answer:
    """Take something out of the trash."""
    context.rows().view.restore(_entity(args), args["id"])
    return Answer()


def judge(context: Context, args: dict[str, Any]) -> Answer:
    """Set rating, favourite, tags or note of the user."""
    names = ("rating", "favourite", "tags", "note")
    values = {name: args[name] for name in names if args.get(name) is not None}
    if not values:
        raise InvalidRequest("rating", "say what to set: rating, favourite, tags or note.")
    id = args["generation_id"]
    found(context.rows(), id)  # what lies in the trash is not judged
    context.rows().view.judge(id, values)
    return _generation(context, id)


# -- topics and projects --------------------------------------------------------------------------
def topic_create(context: Context, args: dict[str, Any]) -> Answer:
    """Create a topic; without a title it gets one from its first prompt."""
    topic = context.workspace.create_topic(
        args.get("title") or "", project=args.get("project_id") or None
    )
    return Answer({"topic": _topic(context.rows(), topic.id)})


def topic_update(context: Context, args: dict[str, Any]) -> Answer:
    """Rename a topic, move it to a project, choose its cover."""
    names = ("title", "project_id", "cover_generation_id")
    changes = {name: args[name] for name in names if args.get(name) is not None}
    if not changes:
        raise InvalidRequest("title", "say what to change: title, project_id or the cover.")
    rows = context.rows()
    rows.view.update_topic(args["id"], changes)
    return Answer({"topic": _topic(rows, args["id"])})


def project_create(context: Context, args: dict[str, Any]) -> Answer:
    """Create a project."""
    project = context.workspace.create_project(args["title"])
    return Answer({"project": context.rows().project(project.record)})


def project_update(context: Context, args: dict[str, Any]) -> Answer:
    """Rename a project."""
    project = context.workspace.project(args["id"])
    project.title = args["title"]
    return Answer({"project": context.rows().project(project.record)})


# -- the desk -----------------------------------------------------------------------------------
def desk_set(context: Context, args: dict[str, Any]) -> Answer:
    """Change configuration, draft, active topic, selection or panels of the notebook's desk."""
    names = ("config", "draft", "topic_id", "selection", "panels")
    given = {name: args[name] for name in names if args.get(name) is not None}
    changes = context.desk_order.open(given, args["n"])
    rows = context.rows()
    if "config" in changes:
        unknown = changes["config"].keys() - set(CONFIG)
        if unknown:
            # Parameters by their bare name are for Python: hidden ones are among them.
            raise InvalidRequest("config", "has something else than the settings of a panel.")
        changes["config"] = page_config(context, changes["config"])
    if changes.get("topic_id") and not rows.topics([changes["topic_id"]]):
        raise NotFound("topic", changes["topic_id"])
    if "selection" in changes:
        seen = rows.view.generations(changes["selection"])
        changes["selection"] = [id for id in changes["selection"] if id in seen]
    context.desk.change(changes, from_client=context.client, from_n=args["n"])
    context.desk_order.note(changes, args["n"])
    return Answer({"rev": context.desk.rev})


def _entity(args: dict[str, Any]) -> str:
    if not is_word(args["entity"], ENTITIES):
        raise InvalidRequest("entity", f"must be one of {', '.join(ENTITIES)}.")
    return str(args["entity"])


def _generation(context: Context, id: str) -> Answer:
    rows = context.rows()
    return Answer({"row": rows.generation(found(rows, id))})


def _topic(rows: Rows, id: str) -> Row:
    topic = rows.topics([id]).get(id)
    if topic is None:
        raise NotFound("topic", id)
    return topic
