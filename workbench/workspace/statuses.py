"""Helpers that tell for images (assets) what the generations around them do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from workbench.domain.arguments import check_items, shown
from workbench.domain.records import GenerationRecord
from workbench.domain.status import ACTIVE, Status
from workbench.errors import InvalidRequest
from workbench.workspace.asset import Asset
from workbench.workspace.generation import Generation
from workbench.workspace.workspace import Workspace

_MOST_ASSETS = 10_000
_MOST_GENERATIONS = 100_000
_CHUNK = 1_000


def map_asset_to_generation(asset_id: str, generations: Iterable[Generation]) -> Generation | None:
    """Return the latest of `generations` that resulted in this asset, or None.

    Parameters
    ----------
    asset_id:
        SHA-256 of the image, as in ``asset.id``.
    generations:
        Where to look, for example ``ws.generations().items``.
    """
    wanted = _asset_id("asset_id", asset_id)
    best: tuple[int, Generation | None] = (-1, None)
    for generation in _checked(generations):
        record = generation.record
        if record.asset_id == wanted and record.seq > best[0]:
            best = (record.seq, generation)
    return best[1]


def assets_with_active_generations(generations: Iterable[Generation]) -> frozenset[str]:
    """Return ids of the assets that an active one of `generations` works from or is making anew."""
    return _related(generations, lambda status: status in ACTIVE)


def assets_with_failed_generations(generations: Iterable[Generation]) -> frozenset[str]:
    """Return ids of the assets that a failed one of `generations` worked from."""
    return _related(generations, lambda status: status is Status.FAILED)


def _related(generations: Iterable[Generation], wanted: Any) -> frozenset[str]:
    found: set[str] = set()
    chosen: dict[Workspace, list[GenerationRecord]] = {}
    for generation in _checked(generations):
        record = generation.record
        if wanted(record.status):
            chosen.setdefault(generation._workspace, []).append(record)
    for workspace, records in chosen.items():
        found.update(record.asset_id for record in records if record.asset_id is not None)
        ids = [record.id for record in records]
        for start in range(0, len(ids), _CHUNK):
            inputs = workspace._store.inputs(ids[start : start + _CHUNK])
            found.update(item.asset_id for item in inputs)
    return frozenset(found)


def _checked(generations: object) -> list[Generation]:
    members = check_items("generations", generations, "generations", limit=_MOST_GENERATIONS)
    for place, member in enumerate(members):
        if not isinstance(member, Generation):
            raise InvalidRequest(
                f"generations[{place}]", f"must be a generation, not {shown(member)}."
            )
    return members


def _asset_id(field: str, asset: object) -> str:
    id = asset.id if isinstance(asset, Asset) else asset
    if not isinstance(id, str):
        raise InvalidRequest(field, f"must be the id of an image, not {shown(asset)}.")
    return id


def media_card_status(workspace: Workspace, asset_id: str) -> dict[str, Any]:
    """Return what a card of this asset shows; see `media_card_status_batch`."""
    return media_card_status_batch(workspace, [asset_id])[_asset_id("asset_id", asset_id)]


def media_card_status_batch(
    workspace: Workspace, asset_ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return for each asset what a card of it shows, with one query for all.

    Parameters
    ----------
    workspace:
        Where to look; rows that its user may not see do not count.
    asset_ids:
        Up to 10,000 ids.

    Returns
    -------
    dict
        asset id -> ``{"asset_id", "status", "generation_id", "error", "progress", "active",
        "failed"}``. `status` is that of an active generation that works from the asset, if there is
        one, else of the latest generation that resulted in it or used it; None if there is none.
    """
    if not isinstance(workspace, Workspace):
        raise InvalidRequest("workspace", f"must be a workspace, not {shown(workspace)}.")
    given = check_items("asset_ids", asset_ids, "image ids", limit=_MOST_ASSETS)
    ids = list(dict.fromkeys(_asset_id("asset_ids", id) for id in given))
    cards: dict[str, dict[str, Any]] = {
        asset_id: {
            "asset_id": asset_id,
            "status": None,
            "generation_id": None,
            "error": None,
            "progress": 0.0,
            "active": 0,
            "failed": 0,
        }
        for asset_id in ids
    }
    best: dict[str, tuple[bool, int]] = {}
    for asset_id, _role, record in workspace._store.asset_generations(workspace.identity, ids):
        card = cards[asset_id]
        is_active = record.status in ACTIVE
        card["active"] += is_active
        card["failed"] += record.status is Status.FAILED
        rank = (is_active, record.seq)
        if asset_id not in best or rank > best[asset_id]:
            best[asset_id] = rank
            error = record.error
            card.update(
                status=record.status,
                generation_id=record.id,
                error=None if error is None else error.message,
                progress=record.progress,
            )
    return cards
