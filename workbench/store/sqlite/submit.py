"""Requests and imports, each stored whole in one transaction: all of it or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.domain.ids import new_id
from workbench.domain.money import check_unit
from workbench.domain.parameters import MAX_PROMPT_CHARACTERS
from workbench.domain.records import AssetRecord, BatchRecord, Identity, Price
from workbench.domain.status import Operation, Status
from workbench.domain.submissions import NewBatch, NewImport
from workbench.errors import InvalidRequest, NotAllowed, NotFound
from workbench.store.sqlite import (
    access,
    caps,
    control,
    feed,
    ledger,
    lookups,
    projects_topics,
    queries,
    rows,
    validate,
    visitors,
)

if TYPE_CHECKING:
    from workbench.domain.limits import VisitorLimits
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

MAX_IMAGES = 10_000  # of one batch
MAX_SIDE = 65_535  # pixels
_NAME = validate.MAX_NAME_CHARACTERS
_MAX_INPUTS = 64
_MAX_AMOUNT = 10**18  # micro-units for a whole batch
_ROLES = ("reference", "source", "mask")
_BATCH_FIELDS = (
    "topic_id",
    "operation",
    "source",
    "prompt",
    "negative_prompt",
    "provider",
    "model",
    "width",
    "height",
    "n",
    "seed",
    "params",
    "priority",
    "client_key",
    "created_at",
    "deleted_at",
)


def check_batch(new: NewBatch) -> None:
    """Raise InvalidRequest if the request cannot be stored as it is."""
    validate.check_identity(new.identity)
    validate.check_text("prompt", new.prompt, limit=MAX_PROMPT_CHARACTERS)
    validate.check_optional_text(
        "negative_prompt", new.negative_prompt, limit=MAX_PROMPT_CHARACTERS
    )
    for field in ("provider", "model", "source"):
        validate.check_text(field, getattr(new, field), limit=_NAME, empty=False)
    validate.check_text("lane", new.lane, limit=validate.MAX_NAME_CHARACTERS)
    if new.client_key is not None:
        validate.check_text("client_key", new.client_key, limit=_NAME, empty=False)
    validate.check_choice("operation", new.operation, list(Operation))
    validate.check_whole("n", new.n, low=1, high=MAX_IMAGES)
    if len(new.seeds) != new.n:
        raise InvalidRequest("seeds", f"are {len(new.seeds)} for {new.n} images.")
    for field, value in (("seed", new.seed), *(("seeds", seed) for seed in new.seeds)):
        validate.check_optional_whole(field, value)
    for field in ("width", "height"):
        validate.check_optional_whole(field, getattr(new, field), low=1, high=MAX_SIDE)
    # Room above for "run next", which goes before the highest.
    validate.check_whole("priority", new.priority, low=-(10**9), high=10**9)
    check_unit(new.price.unit)
    validate.check_whole("price", new.price.amount_micro, low=0, high=_MAX_AMOUNT // new.n)
    _check_inputs(new)


def _check_inputs(new: NewBatch) -> None:
    if len(new.inputs) > _MAX_INPUTS:
        raise InvalidRequest("references", f"are {len(new.inputs)}; at most {_MAX_INPUTS}.")
    places: set[tuple[str, int]] = set()
    for given in new.inputs:
        validate.check_choice("role", given.role, _ROLES)
        validate.check_whole("position", given.position, low=0, high=_MAX_INPUTS * 100)
        validate.check_asset_id(given.asset.id)
        if (given.role, given.position) in places:
            raise InvalidRequest(
                "references", f"two inputs are the {given.role} at position {given.position}."
            )
        places.add((given.role, given.position))


def submit_batch(tx: Transaction, new: NewBatch) -> BatchRecord:
    """Store a request: topic if needed, batch, generations, jobs, inputs, reservations.

    Returns
    -------
        The batch; the one stored before, where the owner's `client_key` was seen before.

    Raises
    ------
        InvalidRequest: something in it cannot be stored.
        NotFound, NotAllowed: the topic is not there, somebody else's or in the trash.
        InsufficientBalance: the ledger does not cover all of it.
        LimitReached: its owner is a visitor who may not make that many now.
    """
    check_batch(new)
    params = validate.check_json("params", new.params)
    provenance = validate.check_json("provenance", new.provenance)
    known = _known(tx, new.identity, new.client_key)
    if known is not None:
        return known
    _check_still_there(tx, new.needed_assets)
    user = new.identity.user
    check_means(tx, user, new.topic_id, new.price, new.n, limits=new.limits, now=tx.now)
    title = new.topic_title or new.prompt
    topic = _topic(tx, new.identity, new.topic_id, title, project_id=new.project_id)
    batch = _insert_batch(
        tx,
        {
            "id": new_id(),
            "topic_id": topic["id"],
            "operation": new.operation,
            "source": new.source,
            "prompt": new.prompt,
            "negative_prompt": new.negative_prompt,
            "provider": new.provider,
            "model": new.model,
            "width": new.width,
            "height": new.height,
            "n": new.n,
            "seed": new.seed,
            "params": params,
            "priority": new.priority,
            "client_key": new.client_key,
            "provenance": provenance,
            "owner": new.identity.user,
            "team": new.identity.team,
            "created_at": tx.now,
        },
    )
    for given in new.inputs:
        insert_asset(tx, given.asset, of=batch, visibility=topic["visibility"])
    _insert_generations(tx, new, batch, topic["visibility"])
    return rows.batch_record(batch)


def check_means(
    source: Querying,
    user: str,
    topic_id: str | None,
    price: Price,
    n: int,
    *,
    limits: VisitorLimits | None,
    now: int,
) -> None:
    """Check that `n` images at `price` keep to the limits and caps, and that a balance covers them.

    Parameters
    ----------
    source:
        the transaction that will make them, or a look at what it would find.
    user, topic_id:
        who pays, and where they will be (None: in a topic that is made for them).
    price, n:
        what one costs, and how many there are.
    limits:
        of visitors; None: there are none.
    now:
        UTC milliseconds.

    Raises
    ------
        LimitReached, BudgetExceeded, InsufficientBalance: what stops them.
    """
    visitors.check(source, limits, user, n, price, now=now)
    caps.check(source, user, topic_id, price, n, now=now)
    if not price.by_provider:
        need = price.amount_micro * n
        have = ledger.balance(source, user, price.unit) if need else 0
        if have < need:
            raise ledger.insufficient(have, need, price.unit)


def _check_still_there(tx: Transaction, asset_ids: Sequence[str]) -> None:
    """Refuse images that a purge took since they were looked up: their files are gone, too."""
    for id in set(asset_ids) - lookups.known_assets(tx, asset_ids):
        raise NotFound("asset", id)


def _known(tx: Transaction, identity: Identity, client_key: str | None) -> BatchRecord | None:
    if client_key is None:
        return None
    row = tx.one(
        "SELECT * FROM batch WHERE owner = ? AND client_key = ?", (identity.user, client_key)
    )
    return None if row is None else rows.batch_record(row)


def _topic(
    tx: Transaction,
    identity: Identity,
    topic_id: str | None,
    title: str,
    *,
    project_id: str | None = None,
) -> sqlite3.Row:
    """Return the row of the topic that a batch goes into: a new one, or the given one, touched."""
    title = validate.shorten_title(title)
    if topic_id is None:
        created = projects_topics.create_topic(
            tx, identity, title, project_id=project_id, title_source="prompt"
        )
        return access.visible_row(tx, identity, "topic", created.id)
    row = own_topic(tx, identity, topic_id)
    fields: dict[str, Any] = {"updated_at": tx.now}
    if row["title_source"] == "none" and title:
        fields |= {"title": title, "title_source": "prompt"}
    rows.update_row(tx, "topic", topic_id, fields)
    return row


def own_topic(source: Querying, identity: Identity, topic_id: str) -> sqlite3.Row:
    """Return the row of a topic that new pictures of `identity` may go into.

    Raises
    ------
        NotFound, NotAllowed: it is not there, somebody else's or in the trash.
    """
    row = access.own_row(source, identity, "topic", topic_id)
    if row["owner"] != identity.user:
        # Also the operator: everything in a topic has one owner, who sees all of it.
        raise NotAllowed(
            f"This topic belongs to {row['owner']!r}. Create one of your own for new pictures."
        )
    return row


def _insert_batch(tx: Transaction, fields: dict[str, Any]) -> sqlite3.Row:
    batch = rows.insert_row(tx, "batch", fields)
    rows.record_change(tx, "batch", batch, "insert", rows.fields_of(batch, _BATCH_FIELDS))
    return batch


def _insert_generations(
    tx: Transaction, new: NewBatch, batch: sqlite3.Row, visibility: str
) -> None:
    paused = control.is_paused(tx, new.identity.user)
    price = new.price
    job_id = ""
    for index, seed in enumerate(new.seeds):
        if index == 0 or not new.batchable:
            job_id = new_id()
            tx.execute(
                queries.sql("jobs.insert_job"),
                {
                    "id": job_id,
                    "batch_id": batch["id"],
                    "provider": new.provider,
                    "model": new.model,
                    "lane": new.lane or new.provider,
                    "owner": new.identity.user,
                    "priority": new.priority,
                    "state": "held" if paused else "queued",
                    "hold": control.PAUSED if paused else None,
                    "now": tx.now,
                },
            )
        id = insert_generation(
            tx,
            batch,
            visibility,
            {
                "job_id": job_id,
                "idx": index,
                "status": Status.PENDING if paused else Status.QUEUED,
                "detail_key": control.PAUSED if paused else None,
                "seed": seed,
                "reserved_micro": price.amount_micro,
                "unit": price.unit,
                "rate_version": price.version,
            },
        )
        tx.executemany(
            queries.sql("submit.insert_input"),
            [(id, given.asset.id, given.role, given.position) for given in new.inputs],
        )
        ledger.reserve(
            tx,
            account=new.identity.user,
            unit=price.unit,
            amount_micro=price.amount_micro,
            generation_id=id,
            attempt_key=id,
            rate_version=price.version,
            reason="generation",
            afterwards=price.by_provider,
        )


_DEFAULTS: dict[str, Any] = {
    "detail_key": None,
    "detail_args": {},
    "progress": 0.0,
    "step": None,
    "total_steps": None,
    "attempt": 0,
    "preview": 0,
    "seed": None,
    "asset_id": None,
    "error_kind": None,
    "error_key": None,
    "error_args": {},
    "charged": False,
    "cost_micro": 0,
    "unit": None,
    "retry_of": None,
    "cached_from": None,
    "started_at": None,
    "finished_at": None,
    "deleted_at": None,
}


def insert_generation(
    tx: Transaction, batch: sqlite3.Row, visibility: str, fields: dict[str, Any]
) -> str:
    """Insert a generation of `batch`, write its change, return its id.

    Parameters
    ----------
    tx:
        the transaction.
    batch:
        its batch's row; operation, source, model, size and owner are taken from it.
    visibility:
        its topic's.
    fields:
        idx, status and whatever is not by default.
    """
    values: dict[str, Any] = {
        **{name: batch[name] for name in _FROM_BATCH},
        **_DEFAULTS,
        "id": new_id(),
        "batch_id": batch["id"],
        "created_at": tx.now,
        **fields,
    }
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    tx.execute(
        f"INSERT INTO generation ({names}) VALUES ({marks})",  # noqa: S608 - our own names
        [rows.stored(name, value) for name, value in values.items()],
    )
    # Written from the values and not from the row: reading 64 rows back costs as much again.
    feed.record(
        tx,
        "generation",
        values["id"],
        "insert",
        1,
        {name: rows.shown(name, values[name]) for name in rows.FEED_FIELDS},
        topic_id=batch["topic_id"],
        owner=batch["owner"],
        team=batch["team"],
        visibility=visibility,
    )
    return str(values["id"])


_FROM_BATCH = (
    "topic_id",
    "operation",
    "source",
    "provider",
    "model",
    "width",
    "height",
    "owner",
    "team",
)


def insert_asset(
    tx: Transaction,
    asset: AssetRecord,
    *,
    of: sqlite3.Row | None = None,
    visibility: str = "private",
) -> bool:
    """Insert an asset's row and its change, unless it is there; returns whether it was new.

    Parameters
    ----------
    tx:
        the transaction.
    asset:
        the stored image.
    of:
        row of the batch or generation that brings it (columns topic_id, owner, team); assets
        themselves have no owner, but somebody must hear of them.
    visibility:
        the topic's.
    """
    row = tx.one(queries.sql("submit.insert_asset"), rows.asset_fields(asset))
    if row is None:
        return False
    feed.record(
        tx,
        "asset",
        asset.id,
        "insert",
        1,
        rows.asset_fields(asset),
        topic_id=None if of is None else of["topic_id"],
        owner=None if of is None else of["owner"],
        team=None if of is None else of["team"],
        visibility=visibility,
    )
    return True


def record_asset(tx: Transaction, asset: AssetRecord) -> None:
    """Store the row of an image that nothing uses yet (an upload)."""
    validate.check_asset_id(asset.id)
    insert_asset(tx, asset)


def import_images(tx: Transaction, new: NewImport) -> BatchRecord:
    """Store images that are already there as completed generations of one batch.

    The texts shown as prompts are kept per image; the batch's prompt, which the search looks at,
    has each different one of them once.
    """
    validate.check_identity(new.identity)
    validate.check_text("source", new.source, limit=40, empty=False)
    if new.client_key is not None:
        validate.check_text("client_key", new.client_key, limit=validate.MAX_NAME_CHARACTERS)
    if not 1 <= len(new.items) <= MAX_IMAGES:
        raise InvalidRequest("items", f"must be 1 to {MAX_IMAGES} images.")
    for asset, text in new.items:
        validate.check_asset_id(asset.id)
        validate.check_text("prompt", text, limit=MAX_PROMPT_CHARACTERS)
    known = _known(tx, new.identity, new.client_key)
    if known is not None:
        return known
    _check_still_there(tx, new.needed_assets)
    texts = list(dict.fromkeys(text for _, text in new.items if text))
    prompt = "\n".join(texts)[:MAX_PROMPT_CHARACTERS]
    first = texts[0] if texts else ""
    topic = _topic(tx, new.identity, new.topic_id, new.topic_title or first)
    batch = _insert_batch(
        tx,
        {
            "id": new_id(),
            "topic_id": topic["id"],
            "operation": Operation.IMPORT,
            "source": new.source,
            "prompt": prompt,
            "n": len(new.items),
            "client_key": new.client_key,
            "owner": new.identity.user,
            "team": new.identity.team,
            "created_at": tx.now,
        },
    )
    for index, (asset, text) in enumerate(new.items):
        insert_asset(tx, asset, of=batch, visibility=topic["visibility"])
        insert_generation(
            tx,
            batch,
            topic["visibility"],
            {
                "idx": index,
                "status": Status.COMPLETED,
                "progress": 1.0,
                "prompt_sent": None if text == prompt else text,
                "asset_id": asset.id,
                "width": asset.width,
                "height": asset.height,
                "started_at": tx.now,
                "finished_at": tx.now,
            },
        )
    projects_topics.choose_cover(tx, topic["id"])
    return rows.batch_record(batch)
