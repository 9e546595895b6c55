"""Pictures: the image door, files by content, thumbnails, metadata, archives, contact sheets.

`Media` is what the engine holds. All of it is synchronous and safe for threads; the engine calls
it in its thread pool. The pieces are plain functions in their own modules:

============  ==============================================================================
door          `inspect`: the only way for bytes from outside to become an asset
files         `FileStore`: originals named by their hash, thumbnails, previews
thumbnails    `thumbnail`: small upright sRGB WebP
metadata      `embed`, `read`: settings in files that leave and come back
archive       `write_zip`, `safe_name`
contact       `contact_sheet`: one small picture of many, for saved notebooks
urls          `fetch_image`: bytes from a URL that a person gave, guarded
============  ==============================================================================

Importing this module loads neither PIL nor httpx.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.domain.records import AssetRecord
from workbench.media.door import DEFAULT_LIMITS, ImageInfo, Limits, inspect
from workbench.media.files import FileStore

if TYPE_CHECKING:
    from PIL.Image import Image

    from workbench.media.urls import FetchLimits

__all__ = ["FileStore", "ImageInfo", "Limits", "Media", "inspect"]

# Previews are for one card and go with the job.
_PREVIEW_LIMITS = Limits(max_bytes=4_000_000, max_pixels=5_000_000)


class Media:
    """The pictures of one workspace.

    Parameters
    ----------
    root:
        The folder of image files; made at the first write.
    limits:
        Caps of the image door.

    Examples
    --------
    >>> import io, tempfile
    >>> from PIL import Image
    >>> media = Media(tempfile.mkdtemp())
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (640, 480), "teal").save(file, "PNG")
    >>> asset = media.admit(file.getvalue(), source="upload")
    >>> media.thumbnail(asset.id).read_bytes()[8:12]
    b'WEBP'
    """

    def __init__(self, root: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> None:
        self.files = FileStore(root)
        self.limits = limits

    def inspect(self, data: bytes | bytearray | memoryview) -> ImageInfo:
        """Look at bytes as `admit` does, and store nothing."""
        return inspect(data, limits=self.limits)

    def admit(self, data: bytes | bytearray | memoryview, *, source: str) -> AssetRecord:
        """Check bytes from outside and store them durably under their hash.

        Parameters
        ----------
        data:
            The whole file.
        source:
            Where it came from: ``"generation"``, ``"upload"`` or ``"folder"``.

        Returns
        -------
        AssetRecord
            Width and height are those that a viewer shows (EXIF orientation applied).

        Raises
        ------
        ImageRejected
            The door refused them; nothing was stored.
        DiskFull
            Nothing was stored.
        """
        # Inspected before it is copied: a view may be larger than the cap.
        info = inspect(data, limits=self.limits)
        self.files.put(data if isinstance(data, bytes) else bytes(data), info.sha256)
        return AssetRecord(
            id=info.sha256,
            kind="image",
            mime=info.mime,
            width=info.display_width,
            height=info.display_height,
            size_bytes=info.size_bytes,
            frames=info.frames,
            duration_ms=None,
            source=source,
            created_at=time.time_ns() // 1_000_000,
        )

    def thumbnail(self, asset_id: str, size: int = 256) -> Path:
        """The path of a WebP thumbnail, made if it is missing.

        Parameters
        ----------
        asset_id:
            The asset's SHA-256 in hex.
        size:
            Longest edge in pixels: 256 or 768.

        Raises
        ------
        InvalidRequest
            Another size (each would be a file of its own), or no asset id.
        NotFound
            The original is missing.
        """
        from workbench.errors import InvalidRequest
        from workbench.media.thumbnails import SIZES, thumbnail

        if size not in SIZES:
            raise InvalidRequest("size", "Thumbnails have 256 or 768 pixels.")
        path = self.files.variant_path(asset_id, size)
        if path.exists():
            return path
        data = self.files.read(asset_id)
        small = thumbnail(data, size, limits=self._lenient())
        return self.files.put_variant(asset_id, size, small)

    def shrink(self, data: bytes, size: int) -> bytes:
        """Make an encoded picture smaller: WebP, at most `size` pixels wide and high.

        Raises
        ------
        ImageRejected
            It is no picture.
        """
        from workbench.media.thumbnails import thumbnail

        return thumbnail(data, size, limits=self.limits)

    def path(self, asset_id: str) -> Path:
        """Where the original is, or would be."""
        return self.files.path(asset_id)

    def read(self, asset_id: str) -> bytes:
        """Exactly the bytes that were admitted.

        Raises
        ------
        NotFound
            The original is missing.
        """
        return self.files.read(asset_id)

    def open(self, asset_id: str) -> Image:
        """A new PIL image of the original, first frame, as a viewer shows it (EXIF applied).

        Raises
        ------
        NotFound
            The original is missing.
        """
        from workbench.media.thumbnails import upright

        return upright(self.files.read(asset_id), limits=self._lenient())

    def exists(self, asset_id: str) -> bool:
        """True when the original is there."""
        return self.files.exists(asset_id)

    def put_preview(self, generation_id: str, data: bytes) -> None:
        """Store the preview of a running generation, after the same checks as any picture.

        Raises
        ------
        ImageRejected
            Not a small picture (≤ 4 MB, ≤ 5 Mpx); the last preview stays.
        """
        inspect(data, limits=_PREVIEW_LIMITS)
        self.files.put_preview(generation_id, data)

    def read_preview(self, generation_id: str) -> bytes | None:
        """The latest preview, or None."""
        return self.files.read_preview(generation_id)

    def drop_preview(self, generation_id: str) -> None:
        """Forget the preview; a missing one is no error."""
        self.files.drop_preview(generation_id)

    def export_bytes(
        self,
        asset_id: str,
        info: Mapping[str, Any] | None = None,
        *,
        metadata: bool = True,
        strip: bool = True,
    ) -> bytes:
        """The file as it leaves: same pixels, our metadata in, foreign metadata out.

        Parameters
        ----------
        asset_id:
            The asset's SHA-256 in hex.
        info:
            What is known about the picture (prompt, model, seed, …; see `metadata.FIELDS`).
        metadata:
            False: nothing of ours is written.
        strip:
            False: foreign metadata (GPS, camera, C2PA) stays. With ``metadata=False`` these are
            then the stored bytes themselves, but for anything glued behind the picture.

        Raises
        ------
        NotFound
            The original is missing.
        """
        from workbench.media.metadata import embed, mime_of

        data = self.files.read(asset_id)
        ours = {**(info or {}), "asset_id": asset_id} if metadata else None
        return embed(data, mime_of(data), ours, strip=strip)

    def recognise(self, data: bytes) -> str | None:
        """The id of the asset that this file is an exported copy of, or None.

        A file may claim any id; it counts only when its pixels are those of the stored original.
        """
        from workbench.media.metadata import read, same_picture

        found = read(data)
        asset_id = found.get("asset_id") if found else None
        if not isinstance(asset_id, str) or not self.files.exists(asset_id):
            return None
        return asset_id if same_picture(data, self.files.read(asset_id)) else None

    async def fetch(self, url: str, *, field: str = "url") -> bytes:
        """Fetch what a person's URL points to; the result still has to be admitted.

        Raises
        ------
        InvalidRequest
            For `field`, with a sentence that says why not.
        """
        from workbench.media.urls import FetchLimits, fetch_image

        limits: FetchLimits = FetchLimits(max_bytes=min(25_000_000, self.limits.max_bytes))
        return await fetch_image(url, limits=limits, field=field)

    def remove(self, asset_id: str) -> None:
        """Remove an original and its thumbnails for good."""
        self.files.remove(asset_id)

    def sweep_temp(self, older_than_s: float = 3600) -> int:
        """Delete temporary files that a dead process left; returns how many."""
        return self.files.sweep_temp(older_than_s)

    def free_bytes(self) -> int:
        """Bytes that may still be written to this disk."""
        return self.files.free_bytes()

    def _lenient(self) -> Limits:
        """Caps for what is stored: it may have been let in under other settings."""
        return Limits(
            max(self.limits.max_bytes, DEFAULT_LIMITS.max_bytes),
            max(self.limits.max_pixels, DEFAULT_LIMITS.max_pixels),
        )
