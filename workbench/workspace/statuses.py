"""Helpers that tell for images (assets) what the generations around them do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from workbench.domain.status import ACTIVE, Status
from workbench.errors import InvalidRequest

if TYPE_CHECKING:
    from workbench.workspace.generation import Generation
    from workbench.workspace.workspace import Workspace

_MOST_ASSETS = 10_000


def map_asset_to_generation(asset_id: str, generations: Iterable[Generation]) -> Generation | None:
    """Return the latest of `generations` that resulted in this asset, or None.

    Parameters
    ----------
    asset_id:
        SHA-256 of the image, as in ``asset.id``.
    generations:
        Where to look, for example ``ws.generations().items``.
    """
    matching = [generation for generation in generations if generation.record.asset_id == asset_id]
    return max(matching, key=lambda generation: generation.record.seq, default=None)


def assets_with_active_generations(generations: Iterable[Generation]) -> frozenset[str]:
    """Return ids of the assets that an active one of `generations` works from or is making anew."""
    return _related(generations, lambda status: status in ACTIVE)


def assets_with_failed_generations(generations: Iterable[Generation]) -> frozenset[str]:
    """Return ids of the assets that a failed one of `generations` worked from."""
    return _related(generations, lambda status: status is Status.FAILED)


def _related(generations: Iterable[Generation], wanted: Any) -> frozenset[str]:
    found: set[str] = set()
    for generation in generations:
        record = generation.record
        if wanted(record.status):
            found.update(item.asset_id for item in generation.inputs)
            if record.asset_id is not None:
                found.add(record.asset_id)
    return frozenset(found)


def media_card_status(workspace: Workspace, asset_id: str) -> dict[str, Any]:
    """Return what a card of this asset shows; see `media_card_status_batch`."""
    return media_card_status_batch(workspace, [asset_id])[asset_id]


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
    if isinstance(asset_ids, str) or len(asset_ids) > _MOST_ASSETS:
        raise InvalidRequest("asset_ids", f"must be a list of at most {_MOST_ASSETS:,} ids.")
    ids = list(dict.fromkeys(asset_ids))
    shown: dict[str, dict[str, Any]] = {
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
        card = shown[asset_id]
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
    return shown
