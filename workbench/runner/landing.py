"""A finished picture on its way into the media room (blocking: to be run in a thread)."""

from __future__ import annotations

from workbench.domain.records import AssetRecord
from workbench.ports import Media


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


def keep(media: Media, asset_id: str, data: bytes) -> None:
    """Store the picture again if a purge of the same content removed it between file and row.

    Now that the row is there, no purge does.
    """
    if not media.exists(asset_id):
        media.admit(data, source="generation")
