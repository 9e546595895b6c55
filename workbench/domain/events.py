"""Public events and how they follow from rows of the change feed.

===========================  =====================================================================
event                        payload
===========================  =====================================================================
generation_progress          generation_id, batch_id, status, progress (0..1), step, total_steps,
                             attempt, detail
generation_completed         generation_id, batch_id, asset_id, seed, cost_micro, unit
generation_failed            generation_id, batch_id, error_kind, message, charged
generation_cancelled         generation_id, batch_id
token_balance_updated        balance, change (Decimal), unit, reason, transaction_id, account
message_insert, _update      message_id and the changed fields
image_insert                 generation_id, batch_id, asset_id: a picture appeared (or was restored)
image_update                 generation_id and the changed fields (rating, favourite, tags, ...)
image_delete                 generation_id, batch_id: moved to the trash (itself, or with its batch)
                             or purged
topic_insert, _update,       topic_id and the changed fields; a deleted topic takes its batches and
topic_delete                 generations with it, without one event for each
collection_insert, _update,  collection_id and the changed fields
collection_delete
===========================  =====================================================================

Every payload also has ``topic_id`` (or None), ``owner`` and ``at`` (UTC milliseconds).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workbench.domain.money import from_micro
from workbench.domain.records import ChangeRecord
from workbench.domain.texts import detail_text, error_text

EVENTS: frozenset[str] = frozenset(
    {
        "generation_progress",
        "generation_completed",
        "generation_failed",
        "generation_cancelled",
        "token_balance_updated",
        "message_insert",
        "message_update",
        "image_insert",
        "image_update",
        "image_delete",
        "topic_insert",
        "topic_update",
        "topic_delete",
        "collection_insert",
        "collection_update",
        "collection_delete",
    }
)

Event = tuple[str, dict[str, Any]]


def events_of(change: ChangeRecord) -> Iterator[Event]:
    """Yield the public events that a change stands for: (name, payload), mostly one or none.

    Parameters
    ----------
    change:
        A row of the change feed.
    """
    data = dict(change.data)
    common = {"topic_id": change.topic_id, "owner": change.owner, "at": change.at}
    if change.entity == "generation":
        yield from _generation_events(change, data, common)
    elif change.entity == "judgement":
        generation_id = change.id.split(":", 1)[0]
        yield "image_update", {**data, "generation_id": generation_id, **common}
    elif change.entity == "ledger":
        yield "token_balance_updated", _balance_payload(data, common)
    elif change.entity in ("topic", "message", "collection"):
        kind = change.kind
        if kind == "update" and "deleted_at" in data:
            kind = "delete" if data["deleted_at"] is not None else "insert"
        name = f"{change.entity}_{kind}"
        if name in EVENTS:
            yield name, {**data, f"{change.entity}_id": change.id, **common}


def _generation_events(
    change: ChangeRecord, data: dict[str, Any], common: dict[str, Any]
) -> Iterator[Event]:
    ids = {"generation_id": change.id, "batch_id": data.get("batch_id"), **common}
    status = data.get("status")
    if change.kind == "delete":
        yield "image_delete", ids
    elif data.get("deleted_at") is not None:
        yield "image_delete", {**data, **ids}
    elif "deleted_at" in data and status is None:
        yield "image_insert", {**data, **ids}  # restored
    elif status == "completed":
        picture = {"asset_id": data.get("asset_id"), "seed": data.get("seed")}
        cost = {"cost_micro": data.get("cost_micro", 0), "unit": data.get("unit")}
        if data.get("operation") != "import":
            yield "generation_completed", {**ids, **picture, **cost}
        yield "image_insert", {**ids, "asset_id": data.get("asset_id")}
    elif status == "failed":
        message = error_text(data.get("error_key") or "provider", data.get("error_args") or {})
        yield (
            "generation_failed",
            {
                **ids,
                "error_kind": data.get("error_kind"),
                "message": message,
                "charged": bool(data.get("charged")),
            },
        )
    elif status == "cancelled":
        yield "generation_cancelled", ids
    elif status is not None or "progress" in data:
        fields = ("status", "progress", "step", "total_steps", "attempt")
        detail = detail_text(data.get("detail_key"), data.get("detail_args") or {})
        yield (
            "generation_progress",
            {**ids, **{name: data.get(name) for name in fields}, "detail": detail},
        )
    elif change.kind == "update":
        yield "image_update", {**data, **ids}


def _balance_payload(data: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
    return {
        "balance": from_micro(int(data.get("balance_micro", 0))),
        "change": from_micro(int(data.get("amount_micro", 0))),
        "unit": data.get("unit"),
        "reason": data.get("reason", ""),
        "transaction_id": data.get("transaction_id"),
        "account": data.get("account"),
        "kind": data.get("kind"),
        "generation_id": data.get("generation_id"),
        **common,
    }
