"""The part of the SQLite store that pages of the interface read: one method, one look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.domain.records import (
    AssetRecord,
    BalanceView,
    BatchPage,
    BatchRecord,
    GenerationView,
    Identity,
    ProjectRecord,
    TopicPage,
    TopicView,
)
from workbench.store.sqlite import views

if TYPE_CHECKING:
    from workbench.store.sqlite.database import Database


class ViewOperations:
    """Mixin of the SQLite store; the methods are those of `workbench.ports.Store`."""

    database: Database

    def generation_views(self, identity: Identity, ids: Sequence[str]) -> dict[str, GenerationView]:
        """See `views.generations`."""
        with self.database.reading() as reader:
            return views.generations(reader, identity, ids)

    def batch_views(self, identity: Identity, ids: Sequence[str]) -> dict[str, BatchRecord]:
        """See `views.batches`."""
        with self.database.reading() as reader:
            return views.batches(reader, identity, ids)

    def topic_views(self, identity: Identity, ids: Sequence[str]) -> list[TopicView]:
        """See `views.topics`."""
        with self.database.reading() as reader:
            return views.topics(reader, identity, ids)

    def topic_page(
        self, identity: Identity, *, limit: int = 1_000, cursor: str | None = None
    ) -> TopicPage:
        """See `views.topic_page`."""
        with self.database.reading() as reader:
            return views.topic_page(reader, identity, limit=limit, cursor=cursor)

    def project_views(
        self, identity: Identity, ids: Sequence[str] | None = None
    ) -> list[ProjectRecord]:
        """See `views.projects`."""
        with self.database.reading() as reader:
            return views.projects(reader, identity, ids)

    def balance_views(self, identity: Identity) -> list[BalanceView]:
        """See `views.balances`."""
        with self.database.reading() as reader:
            return views.balances(reader, identity)

    def pictures(self, identity: Identity, ids: Sequence[str]) -> dict[str, AssetRecord]:
        """See `views.pictures`."""
        with self.database.reading() as reader:
            return views.pictures(reader, identity, ids)

    def batch_page(
        self,
        identity: Identity,
        topic_id: str,
        *,
        limit: int = 20,
        cursor: str | None = None,
        direction: str = "older",
    ) -> BatchPage:
        """See `views.batch_page`."""
        with self.database.reading() as reader:
            return views.batch_page(
                reader, identity, topic_id, limit=limit, cursor=cursor, direction=direction
            )

    def batches_generations(
        self, identity: Identity, batch_ids: Sequence[str]
    ) -> list[GenerationView]:
        """See `views.batches_generations`."""
        with self.database.reading() as reader:
            return views.batches_generations(reader, identity, batch_ids)

    def active_batches(self, identity: Identity, topic_id: str) -> list[str]:
        """See `views.active_batches`."""
        with self.database.reading() as reader:
            return views.active_batches(reader, identity, topic_id)

    def walk(
        self, identity: Identity, generation_id: str, *, direction: str, limit: int
    ) -> tuple[list[GenerationView], bool]:
        """See `views.walk`."""
        with self.database.reading() as reader:
            return views.walk(reader, identity, generation_id, direction=direction, limit=limit)

    def own_pictures(
        self, identity: Identity, *, after: int = 0, limit: int = 200
    ) -> list[GenerationView]:
        """See `views.own_pictures`."""
        with self.database.reading() as reader:
            return views.own_pictures(reader, identity, after=after, limit=limit)

    def own_size(self, identity: Identity) -> tuple[int, int]:
        """See `views.own_size`."""
        with self.database.reading() as reader:
            return views.own_size(reader, identity)

    def deletion(self, identity: Identity, topic_id: str) -> tuple[int, int]:
        """See `views.deletion`."""
        with self.database.reading() as reader:
            return views.deletion(reader, identity, topic_id)

    def prompts(self, identity: Identity, *, limit: int = 50) -> list[str]:
        """See `views.prompts`."""
        with self.database.reading() as reader:
            return views.prompts(reader, identity, limit=limit)

    def durations(
        self, identity: Identity, model: str, *, limit: int = 20
    ) -> list[tuple[float, int | None]]:
        """See `views.durations`."""
        with self.database.reading() as reader:
            return views.durations(reader, identity, model, limit=limit)
