"""Operations that only read."""

from __future__ import annotations

import math
import statistics
from typing import Any

from workbench.domain.arguments import check_whole, is_word
from workbench.domain.money import to_micro
from workbench.domain.records import GenerationView
from workbench.errors import InvalidRequest, NotFound, WorkbenchError
from workbench.widgets.operations.context import Answer, Context
from workbench.widgets.operations.settings import chosen
from workbench.widgets.operations.snapshot import FIRST_PAGE, feed_page, topic_feed
from workbench.widgets.rows import Rows
from workbench.workspace.batch import as_python
from workbench.workspace.requests import check_request
from workbench.workspace.view import View

MOST_BATCHES = 60  # of a page
NEXT_TOPICS = 500  # of a page
MOST_WALKED = 200
MOST_PROMPTS = 100
MOST_PROMPT_CHARACTERS = 200_000  # of all prompts of an answer
MOST_TRASH = 40  # of a page, each with a thumbnail
MOST_SPENT = 100  # rows of an answer, the largest first; days the latest first
SHOWN_TITLE_CHARACTERS = 300
SPEND_BY = ("day", "provider", "model", "topic")  # not "user": a page sees its own user's only
THUMBNAIL_SIZES = (256, 768)
_SCALE = 8.0  # a time is scaled by the number of pixels at most so much


# -- the feed -----------------------------------------------------------------------------------
def topic_open(context: Context, args: dict[str, Any]) -> Answer:
    """Return the newest page of a topic, and what has not ended in it."""
    limit = _limit(args, FIRST_PAGE, MOST_BATCHES)
    rows = context.rows()
    feed = topic_feed(rows, args["topic_id"], limit=limit)
    # A page may not have it in its list: that begins with the latest ones only.
    return Answer({**feed, "topic": rows.topics([args["topic_id"]]).get(args["topic_id"])})


def topics(context: Context, args: dict[str, Any]) -> Answer:
    """Return topics behind a cursor, what lies beyond them, and how many there are in all."""
    limit = _limit(args, NEXT_TOPICS, NEXT_TOPICS)
    listed, beyond, total = context.rows().topic_page(limit, args["cursor"])
    return Answer({"topics": listed, "older_topics": beyond, "total": total})


def page(context: Context, args: dict[str, Any]) -> Answer:
    """Return a further page of a topic, in either direction."""
    rows = context.rows()
    feed = rows.view.page(
        args["topic_id"],
        cursor=args["cursor"],
        direction=args["direction"],
        limit=_limit(args, FIRST_PAGE, MOST_BATCHES),
    )
    return Answer(feed_page(rows, feed))


def batch(context: Context, args: dict[str, Any]) -> Answer:
    """Return a batch with its whole prompt."""
    rows = context.rows()
    record = rows.view.batches([args["id"]]).get(args["id"])
    if record is None:
        raise NotFound("batch", args["id"])
    return Answer({"batch": rows.batch(record), "prompt": record.prompt})


def generation(context: Context, args: dict[str, Any]) -> Answer:
    """Return everything that the lightbox shows about a generation."""
    rows = context.rows()
    view = found(rows, args["id"])
    record = view.record
    request = rows.view.batches([record.batch_id]).get(record.batch_id)
    if request is None:
        raise NotFound("generation", record.id)
    titles = {model.id: model.title for model in context.workspace.models()}
    return Answer(
        {
            "row": rows.generation(view),
            "batch": rows.batch(request),
            "prompt": record.prompt,
            "prompt_sent": record.prompt_sent,
            "negative_prompt": record.negative_prompt,
            "model_title": titles.get(record.model or "", record.model or ""),
            "params": rows.shown.params(record.model, record.params),
            "duration_s": record.duration_s,
            "provenance": dict(record.provenance),
            "note": view.judgement.note,
        }
    )


def walk(context: Context, args: dict[str, Any]) -> Answer:
    """Return the pictures before or behind one, or the outermost ones, in the feed's order."""
    rows = context.rows()
    views, end = rows.view.walk(
        args["id"], direction=args["direction"], limit=_limit(args, 24, MOST_WALKED)
    )
    return Answer({"rows": rows.generation_rows(views), "end": end})


# -- pictures -----------------------------------------------------------------------------------
def thumbs(context: Context, args: dict[str, Any]) -> Answer:
    """Return thumbnails of generations; each item of an error says so, the others come."""
    size = THUMBNAIL_SIZES[0] if args.get("size") is None else args["size"]
    if size not in THUMBNAIL_SIZES:
        raise InvalidRequest("size", "must be 256 or 768.")
    view = View(context.workspace)
    ids = _ids(args)
    assets = view.trashed_pictures(ids) if args.get("trash") else view.pictures(ids)
    items: list[dict[str, Any]] = []
    buffers: list[bytes] = []
    for id in ids:
        asset = assets.get(id)
        if asset is None:
            items.append({"id": id, "error": "There is no picture here (any more)."})
            continue
        try:
            buffers.append(view.thumbnail(asset, size))
        except (WorkbenchError, OSError) as error:
            items.append({"id": id, "asset_id": asset.id, "error": _sentence(error)})
        else:
            items.append({"id": id, "asset_id": asset.id, "mime": "image/webp"})
    return Answer({"items": items}, tuple(buffers))


def previews(context: Context, args: dict[str, Any]) -> Answer:
    """Return the last previews of generations that are being made."""
    view = View(context.workspace)
    ids = _ids(args)
    seen = view.generations(ids)
    items: list[dict[str, Any]] = []
    buffers: list[bytes] = []
    for id in ids:
        try:
            read = view.preview(id) if id in seen else None
        except (WorkbenchError, OSError) as error:
            items.append({"id": id, "error": _sentence(error)})
            continue
        if read is None:
            items.append({"id": id, "error": "There is no preview (any more)."})
            continue
        buffers.append(read[0])
        items.append({"id": id, "preview": seen[id].record.preview, "mime": read[1]})
    return Answer({"items": items}, tuple(buffers))


# -- numbers and texts ----------------------------------------------------------------------------
def estimate(context: Context, args: dict[str, Any]) -> Answer:
    """Return cost and likely time of a request before it is made, and what would refuse it now."""
    settings = chosen(context, args)
    model = settings.model
    options = settings.options()
    del options["model"]
    request = check_request(model, "x", extra={}, priority=0, client_key=None, **options)
    price = model.price_of(request.params, width=request.width, height=request.height)
    view = View(context.workspace)
    left = {balance.unit: balance.amount_micro for balance in view.balances()}
    limits = view.limits() or {}
    rounds = 1 if model.batchable else math.ceil(request.n / view.parallel(model))
    sides = (request.width, request.height)
    pixels = None if None in sides else math.prod(side or 0 for side in sides)
    one = _likely_s(view.durations(model.id), pixels)
    return Answer(
        {
            "cost_micro": price.amount_micro * request.n,
            "unit": price.unit,
            "by_provider": price.by_provider,
            "seconds": None if one is None else round(one * rounds, 1),
            # What a provider bills needs no balance here.
            "balance_micro": None if price.by_provider else left.get(price.unit),
            "images_left": limits.get("images_left"),
            "refusal": _refusal(context, settings.options()),
        }
    )


def _refusal(context: Context, options: dict[str, Any]) -> str:
    """Return why the request would be refused for what it costs; "": nothing of that stops it."""
    topic = context.desk.snapshot()["topic_id"]
    try:
        return context.workspace.estimate("x", topic=topic, **options).refusal
    except NotFound:  # the topic was deleted this moment; the desk is about to leave it
        return context.workspace.estimate("x", **options).refusal
    except (
        InvalidRequest
    ):  # all but the model was checked: what that lacks is told where it is chosen
        return ""


def _likely_s(durations: list[tuple[float, int | None]], pixels: int | None) -> float | None:
    """Return the median of earlier times, each scaled to the size that is asked for."""
    if not durations:
        return None
    return statistics.median(
        seconds * min(_SCALE, max(1 / _SCALE, pixels / earlier)) if pixels and earlier else seconds
        for seconds, earlier in durations
    )


def deletion(context: Context, args: dict[str, Any]) -> Answer:
    """Return how much a topic's deletion would take."""
    images, active = View(context.workspace).deletion(args["topic_id"])
    return Answer({"images": images, "active": active})


def active(context: Context, args: dict[str, Any]) -> Answer:
    """Return how many of one's own images have not ended, of a topic or of all of them."""
    return Answer({"active": View(context.workspace).active(args.get("topic_id"))})


def python(context: Context, args: dict[str, Any]) -> Answer:
    """Return Python code that makes a batch again, as far as the page knows its settings."""
    rows = context.rows()
    if args["batch_id"] not in rows.view.batches([args["batch_id"]]):
        raise NotFound("batch", args["batch_id"])
    arguments = context.workspace.batch(args["batch_id"]).settings()
    if "params" in arguments:
        arguments["params"] = rows.shown.params(arguments.get("model"), arguments["params"])
    return Answer({"text": as_python(arguments)})


def prompts(context: Context, args: dict[str, Any]) -> Answer:
    """Return the user's last different prompts, newest first."""
    said: list[str] = []
    characters = 0
    for prompt in View(context.workspace).prompts(limit=_limit(args, 30, MOST_PROMPTS)):
        characters += len(prompt)
        if characters > MOST_PROMPT_CHARACTERS:
            break
        said.append(prompt)
    return Answer({"prompts": said})


def trash(context: Context, args: dict[str, Any]) -> Answer:
    """Return a page of what can be restored, the latest deletion first, and how many are older."""
    view = View(context.workspace)
    before = args.get("before")
    found = [
        item.record
        for item in context.workspace.trash()
        if before is None or item.record.deleted_at < before
    ]
    page = found[:MOST_TRASH]
    # What went at one moment stays together: the next page goes on before it.
    page += [one for one in found[MOST_TRASH:] if one.deleted_at == page[-1].deleted_at]
    answer: dict[str, Any] = {
        "items": [
            {
                "entity": one.entity,
                "id": one.id,
                "title": one.title[:SHOWN_TITLE_CHARACTERS],
                "topic_title": one.topic_title,
                "images": one.images,
                "picture_id": one.picture_id,
                "deleted_at": one.deleted_at,
                "kept_until": view.kept_until(one.deleted_at),
            }
            for one in page
        ]
    }
    if len(found) > len(page):
        answer["older"] = len(found) - len(page)
    return Answer(answer)


def spend(context: Context, args: dict[str, Any]) -> Answer:
    """Return what the user spent, by day or by what; with the caps that bind him, and balances."""
    by = args["by"]
    if not is_word(by, SPEND_BY):
        raise InvalidRequest("by", f"must be one of {', '.join(SPEND_BY)}.")
    workspace = context.workspace
    frame = workspace.spend(by, days=args.get("days"))
    spent = [
        {
            "what": str(what)[:SHOWN_TITLE_CHARACTERS],
            "unit": unit,
            "spent_micro": to_micro(amount),
            "images": int(images),
            "not_known": int(not_known),
        }
        for what, unit, amount, images, not_known in frame.itertuples(name=None)
    ]
    spent.sort(key=lambda row: row["what"] if by == "day" else row["spent_micro"], reverse=True)
    caps = workspace.caps()
    rows = context.rows()
    topics = rows.topics([cap.subject for cap in caps if cap.scope == "topic"])
    return Answer(
        {
            "rows": spent[:MOST_SPENT],
            "more": max(0, len(spent) - MOST_SPENT),
            "caps": [
                {
                    "scope": cap.scope,
                    "title": topics[cap.subject]["title"] if cap.subject in topics else "",
                    "unit": cap.unit,
                    "per": cap.per,
                    "limit_micro": cap.limit_micro,
                    "spent_micro": cap.spent_micro,
                }
                for cap in caps
            ],
            "balances": rows.balances(),
        }
    )


def found(rows: Rows, generation_id: str) -> GenerationView:
    """Return a live generation that the user may see, or raise NotFound."""
    view = rows.view.generations([generation_id]).get(generation_id)
    if view is None:
        raise NotFound("generation", generation_id)
    return view


def _limit(args: dict[str, Any], usual: int, most: int) -> int:
    limit = args.get("limit")
    return usual if limit is None else check_whole("limit", limit, low=1, high=most)


def _ids(args: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(args["ids"]))


def _sentence(error: Exception) -> str:
    if isinstance(error, WorkbenchError):
        return str(error)
    reason = getattr(error, "strerror", None) or type(error).__name__
    return f"The picture cannot be read ({reason})."
