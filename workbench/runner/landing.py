"""A finished picture on its way into the workspace.

`admit` and `keep_file` block: they are run in a thread.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from workbench.domain.jobs import Done, ImageReady, Slot
from workbench.domain.money import MICRO, check_unit
from workbench.domain.records import AssetRecord
from workbench.errors import InvalidRequest, ProviderError
from workbench.ports import Media, Outcome

_MOST = 10**9  # units for one picture


def admit(media: Media, data: bytes, generation_id: str) -> AssetRecord:
    """Store the picture of a generation and forget its preview.

    Raises
    ------
    ImageRejected, DiskFull
        As the image door does.
    """
    asset = media.admit(data, source="generation")
    # Before its row says that it is complete, so that a crash leaves no preview behind.
    media.drop_preview(generation_id)
    return asset


def keep_file(media: Media, asset_id: str, data: bytes) -> None:
    """Store the picture again if a purge of the same content removed it between file and row.

    Now that the row is there, no purge does.
    """
    if not media.exists(asset_id):
        media.admit(data, source="generation")


def outcome_of(slot: Slot, asset: AssetRecord, image: ImageReady) -> Outcome:
    """Return what the settling transaction needs to know; the seed sent counts if none is said."""
    cost_micro, unit = cost_of(image)
    return Outcome(
        generation_id=slot.generation_id,
        asset=asset,
        seed=slot.seed if image.seed is None else image.seed,
        prompt_sent=image.prompt_sent,
        detail_key=image.detail_key,
        detail_args=image.detail_args,
        cost_micro=cost_micro,
        unit=unit,
    )


def bill_of(
    image: ImageReady, last: Done, *, paid: bool
) -> tuple[bool, tuple[int | None, str | None]]:
    """Return whether a picture that cannot be used is charged, and what the provider says.

    Whoever makes pictures for money has made this one. Where it is not said what it cost, the
    price that was reserved is booked; only a cost of 0 says that it was not charged.

    Parameters
    ----------
    image:
        the picture.
    last:
        what was said at the end of its call, as far as that is about this picture alone.
    paid:
        the provider bills.
    """
    cost = cost_of(image)
    if cost[0] is None:
        cost = cost_of(last)
    return (paid if cost[0] is None else cost[0] > 0), cost


def cost_of(said: ImageReady | Done | ProviderError) -> tuple[int | None, str | None]:
    """Return what the provider says it charged, in micro-units; nothing where that is no amount.

    A picture that is there is not to be lost over what a plugin says about its price.
    """
    if said.cost is None or said.unit is None:
        return None, None
    try:
        unit = check_unit(said.unit)
        amount = Decimal(said.cost)
        if not amount.is_finite() or not 0 <= amount < _MOST:
            return None, None
        return int((amount * MICRO).to_integral_value(ROUND_HALF_UP)), unit
    except (InvalidRequest, ArithmeticError, TypeError, ValueError):
        return None, None
