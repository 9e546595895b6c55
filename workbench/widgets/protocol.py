"""The messages between page and kernel, defined once; `frontend/src/protocol.ts` mirrors them.

Everything travels as custom messages of the widget's own comm.

Page to kernel, a request: ``{"op", "rid", "client", "args"}`` and binary buffers. ``rid`` is a
short text, unique within ``client``; ``client`` names one page and model (random, 8 to 40 letters,
digits, ``-`` or ``_``). (``id`` is not used: ipykernel 7.4 keeps every one that it sees.)

Kernel to page, an answer: ``{"rid", "to", "ok": true, "data"}`` with buffers, or
``{"rid", "to", "ok": false, "error": {"code", "message", "field"}}``.

Kernel to page, unasked: ``{"push", "to", ...}``; ``to`` null means every page. See `PUSHES`.
A page ignores what is addressed to another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

VERSION = 1

MAX_MESSAGE_BYTES = 256 * 1024  # JSON of one request
MAX_DEPTH = 8
MAX_BUFFER_BYTES = 1024 * 1024  # only uploads carry buffers
FILE_CHUNK_BYTES = 1024 * 1024  # of a download
PING_EVERY_S = 0.7
LOST_AFTER_S = 2.0  # the page: no ping for so long is "offline"
CLIENT_GONE_S = 10.0  # the kernel: a page that answers no ping for so long is forgotten
DELTA_EVERY_S = 0.1  # first at once, then at most so often
SHOWN_PROMPT_CHARACTERS = 600  # in rows; `batch` gives the whole


class Rate(StrEnum):
    """Classes of requests, each with its own token bucket per widget."""

    BEAT = "beat"  # answers to pings and deltas
    READ = "read"
    ACT = "act"
    UPLOAD = "upload"  # paced by acknowledgements, one chunk at a time


RATES: Mapping[Rate, tuple[float, int]] = MappingProxyType(
    # per second, burst
    {
        Rate.BEAT: (60.0, 120),
        Rate.READ: (100.0, 200),
        Rate.ACT: (20.0, 40),
        Rate.UPLOAD: (100.0, 50),
    }
)


@dataclass(frozen=True, slots=True)
class Op:
    """One thing that a page may ask for.

    `required` and `optional` map an argument to its type: "text" (with `limits` characters, 200
    unless told), "id" (ULID), "asset" (SHA-256), "whole", "number", "flag", "object", "texts",
    "ids", "scalar" (text, number, flag); an optional one may be null.
    """

    rate: Rate
    required: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)  # characters, or entries of a list


_SETTINGS = {
    "model": "text",
    "n": "whole",
    "seed": "text",  # decimal: JavaScript's numbers end at 2**53
    "width": "whole",
    "height": "whole",
    "negative_prompt": "text",
    "params": "object",
}

OPS: Mapping[str, Op] = MappingProxyType(
    {
        # -- the channel itself ---------------------------------------------------------------
        # token: of an anonymous visitor, 32 hexadecimal digits; ignored where none are
        "hello": Op(Rate.READ, {"version": "whole"}, {"token": "text"}),
        "since": Op(Rate.READ, {"cursor": "text"}),
        "pong": Op(Rate.BEAT, {"n": "whole"}),
        "ack": Op(Rate.BEAT, {"cursor": "text"}),
        "probe": Op(Rate.BEAT, {"n": "whole"}),
        "abort": Op(Rate.READ, {"request": "text"}),  # the page does not want that answer any more
        "bye": Op(Rate.BEAT),
        # the root part, or another one by its name
        "bundle": Op(Rate.READ, {"hash": "text"}, {"part": "text"}),
        "full_esm": Op(Rate.READ),
        # -- looking --------------------------------------------------------------------------
        "topic.open": Op(Rate.READ, {"topic_id": "id"}, {"limit": "whole"}),
        "topics": Op(Rate.READ, {"cursor": "text"}, {"limit": "whole"}),  # beyond those of `hello`
        "page": Op(
            Rate.READ,
            {"topic_id": "id", "cursor": "text", "direction": "text"},  # older | newer
            {"limit": "whole"},
        ),
        "batch": Op(Rate.READ, {"id": "id"}),
        "generation": Op(Rate.READ, {"id": "id"}),
        # direction: next or previous to it; first or last of its topic
        "walk": Op(Rate.READ, {"id": "id", "direction": "text"}, {"limit": "whole"}),
        # trash: of one's own images that were deleted, instead of those that are there
        "thumbs": Op(Rate.READ, {"ids": "ids"}, {"size": "whole", "trash": "flag"}, {"ids": 48}),
        "previews": Op(Rate.READ, {"ids": "ids"}, limits={"ids": 16}),
        "estimate": Op(Rate.READ, {}, _SETTINGS, {"negative_prompt": 10_000, "seed": 20}),
        "deletion": Op(Rate.READ, {"topic_id": "id"}),
        "active": Op(Rate.READ, {}, {"topic_id": "id"}),
        "python": Op(Rate.READ, {"batch_id": "id"}),
        "prompts": Op(Rate.READ, {}, {"limit": "whole"}),
        # before: only what was deleted before this moment (UTC ms), for the next page
        "trash": Op(Rate.READ, {}, {"before": "whole"}),
        # by day (of UTC), provider, model or topic; of the last so many days, or ever
        "spend": Op(Rate.READ, {"by": "text"}, {"days": "whole"}),
        # original | image | zip, each of an id; or everything, without one
        "file.open": Op(Rate.READ, {"kind": "text"}, {"id": "id"}),
        "file.read": Op(Rate.READ, {"handle": "text", "offset": "whole"}),
        "file.close": Op(Rate.READ, {"handle": "text"}),
        # -- acting ---------------------------------------------------------------------------
        "submit": Op(
            Rate.ACT,
            {"client_key": "text", "prompt": "text"},
            {"topic_id": "id", **_SETTINGS, "references": "texts"},
            {"prompt": 10_000, "negative_prompt": 10_000, "references": 16, "seed": 20},
        ),
        "cancel": Op(
            Rate.ACT,
            {},
            {"generation_ids": "ids", "batch_id": "id", "topic_id": "id", "everything": "flag"},
            {"generation_ids": 500},
        ),
        "retry": Op(Rate.ACT, {"generation_id": "id"}),
        "retry_failed": Op(Rate.ACT, {"batch_id": "id"}),
        "resolve": Op(Rate.ACT, {"generation_id": "id", "outcome": "text"}),
        "run_next": Op(Rate.ACT, {"generation_id": "id"}),
        "pause": Op(Rate.ACT),
        "resume": Op(Rate.ACT),
        "delete": Op(Rate.ACT, {"entity": "text", "id": "id"}),
        "restore": Op(Rate.ACT, {"entity": "text", "id": "id"}),
        "judge": Op(
            Rate.ACT,
            {"generation_id": "id"},
            {"rating": "whole", "favourite": "flag", "tags": "texts", "note": "text"},
            {"tags": 64, "note": 10_000},
        ),
        "topic.create": Op(Rate.ACT, {}, {"title": "text", "project_id": "id"}),
        "topic.update": Op(
            Rate.ACT,
            {"id": "id"},
            {"title": "text", "project_id": "id", "cover_generation_id": "id"},
        ),
        "project.create": Op(Rate.ACT, {"title": "text"}),
        "project.update": Op(Rate.ACT, {"id": "id", "title": "text"}),
        "desk.set": Op(
            Rate.ACT,
            {"n": "whole"},  # the page's own counter: it comes back with the push
            {
                "config": "object",
                "draft": "text",
                "topic_id": "text",  # "" = none
                "selection": "ids",
                "panels": "object",
            },
            {"draft": 10_000, "selection": 500},
        ),
        # -- providers ------------------------------------------------------------------------
        "providers": Op(Rate.READ),
        "provider.test": Op(Rate.ACT, {"name": "text"}),
        "provider.refresh": Op(Rate.ACT, {"name": "text"}),
        "provider.set": Op(
            Rate.ACT,
            {"name": "text"},
            {"base_url": "text", "concurrency": "whole"},
            {"base_url": 2_000},
        ),
        "provider.key": Op(Rate.ACT, {"name": "text", "key": "text"}, {}, {"key": 4_000}),
        "provider.forget": Op(Rate.ACT, {"name": "text"}),
        # -- uploads --------------------------------------------------------------------------
        "upload.begin": Op(Rate.ACT, {"name": "text", "size": "whole"}, {}, {"name": 5_000}),
        "upload.chunk": Op(Rate.UPLOAD, {"handle": "text", "offset": "whole"}),
        "upload.end": Op(Rate.ACT, {"handle": "text"}),
        "upload.abort": Op(Rate.ACT, {"handle": "text"}),
    }
)

# push -> its fields
PUSHES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ping": ("n", "at"),
        "probe": ("n",),
        "delta": ("prev", "cursor", "rows", "more", "reset"),
        "desk": ("rev", "desk", "from_client", "from_n"),
        "notice": ("code", "message", "level"),  # a sentence for the person: disk full, failed …
        "feed": ("action",),  # Python asks: "refresh", or "more" for the next older page
        "open": ("generation_id",),  # Python asks the page to open the lightbox
        "closed": (),  # the widget was closed in Python
    }
)

# entity of a delta row -> fields of its data. A row is {e, id, k, rev, d}: k is "put" (d is the
# whole row as it is now) or "gone" (deleted, or not to be seen any more).
ROWS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "generation": (
            "id", "batch_id", "topic_id", "index", "seq", "operation", "source", "status",
            "detail", "detail_key", "progress", "step", "total_steps", "attempt", "preview",
            "seed", "width", "height", "model", "asset", "error", "cost_micro", "unit",
            "retry_of", "created_at", "started_at", "finished_at", "rating", "favourite", "tags",
            "mine", "rev",
        ),
        "batch": (
            "id", "topic_id", "seq", "operation", "source", "prompt", "prompt_length",
            "negative_prompt", "provider", "model", "width", "height", "n", "seed", "params",
            "client_key", "created_at", "mine", "rev",
        ),
        "topic": (
            "id", "project_id", "title", "title_source", "cover_id", "cover_asset", "images",
            "visibility", "mine", "created_at", "updated_at", "rev",
        ),
        "project": ("id", "title", "mine", "rev"),
        "balance": ("unit", "amount_micro", "change_micro", "reason", "transaction_id"),
        "queue": ("paused", "ahead"),  # ahead: images before one's first; null: none waits
        "models": (),  # prices or providers changed: ask `hello` again for them
    }
)  # fmt: skip
ASSET_FIELDS = ("id", "mime", "width", "height", "size_bytes")
ERROR_FIELDS = ("kind", "message", "charged")

# hello -> its data (parts that a widget class does not use are missing)
HELLO = (
    "version",
    "widget",  # class name
    "workspace",  # {id, title, temporary}
    "user",
    "identity",  # how it is known who that is: local | jupyterhub | header | anonymous
    "voila",  # whether the page is one of Voilà
    "limits",  # of a visitor: {images_per_day, images_left, unfinished, queue}, null: no limit
    "cursor",
    "now",  # kernel's time, UTC ms
    "desk",
    "desk_rev",
    "models",
    "providers",
    "may_set_providers",  # visitors and pages of the app may not
    "projects",
    "topics",  # the latest, and the desk's
    "older_topics",  # {cursor, total}: there are more, and how many in all; null: that is all
    "feed",  # of the desk's topic, as `topic.open` answers; null without a topic
    "balances",
    "queue",
    "examples",
)
DESK = (
    "config",
    "draft",
    "topic_id",
    "selection",
    "panels",
    "dropped",  # names of settings that the last change of model did not keep
    "remark",  # a sentence about that, or ""
)
CONFIG = (
    "model",
    "n",
    "seed",
    "width",
    "height",
    "ratio_lock",
    "negative_prompt",
    "params",
)

ERROR_CODES = (
    "bad_message",
    "too_large",
    "rate_limited",
    "invalid_request",
    "not_found",
    "not_allowed",
    "insufficient_balance",
    "budget_exceeded",
    "limit_reached",
    "disk_full",
    "busy",
    "provider",
    "aborted",
    "closed",
    "internal",
)
