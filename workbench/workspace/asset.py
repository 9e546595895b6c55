"""A stored image, as Python sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.domain.records import AssetRecord

if TYPE_CHECKING:
    from PIL.Image import Image

    from workbench.workspace.engine import Engine


class Asset:
    """An image exactly as it arrived, named by the SHA-256 of its bytes.

    Get one from a generation (``generation.asset``); access always goes through generations.
    """

    def __init__(self, engine: Engine, record: AssetRecord) -> None:
        self._engine = engine
        self.record = record

    @property
    def id(self) -> str:
        """SHA-256 of the bytes, 64 hex digits."""
        return self.record.id

    @property
    def path(self) -> Path:
        """The stored file (no extension on purpose). Read it; never write to it."""
        return self._engine.media.path(self.record.id)

    @property
    def mime(self) -> str:
        """image/png, image/jpeg, image/webp or image/gif."""
        return self.record.mime

    @property
    def width(self) -> int:
        """Pixels."""
        return self.record.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.record.height

    @property
    def size_bytes(self) -> int:
        """Bytes of the file."""
        return self.record.size_bytes

    @property
    def source(self) -> str:
        """How it came here: generation, upload or folder."""
        return self.record.source

    @property
    def created_at(self) -> datetime:
        """When it was first stored (UTC)."""
        return datetime.fromtimestamp(self.record.created_at / 1000, UTC)

    @property
    def image(self) -> Image:
        """A new PIL image each time (yours to change)."""
        return self._engine.media.open(self.record.id)

    def read(self) -> bytes:
        """Return the stored bytes."""
        return self._engine.media.read(self.record.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asset) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.record.id)

    def __repr__(self) -> str:
        record = self.record
        return f"<Asset {record.id[:12]}… {record.mime} {record.width}×{record.height}>"
