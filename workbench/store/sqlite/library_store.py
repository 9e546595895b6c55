"""The part of the SQLite store about projects, topics, batches and what belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from workbench.domain.records import (
    AssetRecord,
    AttemptRecord,
    BatchRecord,
    GenerationRecord,
    Identity,
    InputRecord,
    Json,
    ProjectRecord,
    TopicRecord,
)
from workbench.domain.status import Status
from workbench.domain.submissions import NewBatch, NewImport
from workbench.ports import GenerationQuery
from workbench.store.sqlite import lookups, pages, projects_topics, submit

if TYPE_CHECKING:
    from workbench.store.sqlite.database import Database


class LibraryOperations:
    """Mixin of the SQLite store; the methods are those of `workbench.ports.Store`."""

    database: Database

    def create_project(self, identity: Identity, title: str) -> Future[ProjectRecord]:
        """See `projects_topics.create_project`."""
        return self.database.write(
            lambda tx: projects_topics.create_project(tx, identity, title), full=True
        )

    def update_project(
        self,
        identity: Identity,
        id: str,
        *,
        title: str | None = None,
        visibility: str | None = None,
    ) -> Future[ProjectRecord]:
        """See `projects_topics.update_project`."""
        return self.database.write(
            lambda tx: projects_topics.update_project(
                tx, identity, id, title=title, visibility=visibility
            ),
            full=True,
        )

    def project(self, identity: Identity, id: str) -> ProjectRecord:
        """See `projects_topics.project`."""
        with self.database.reading() as reader:
            return projects_topics.project(reader, identity, id)

    def projects(self, identity: Identity) -> list[ProjectRecord]:
        """See `projects_topics.projects`."""
        with self.database.reading() as reader:
            return projects_topics.projects(reader, identity)

    def create_topic(
        self, identity: Identity, title: str = "", *, project_id: str | None = None
    ) -> Future[TopicRecord]:
        """See `projects_topics.create_topic`."""
        return self.database.write(
            lambda tx: projects_topics.create_topic(tx, identity, title, project_id=project_id),
            full=True,
        )

    def update_topic(
        self,
        identity: Identity,
        id: str,
        *,
        title: str | None = None,
        title_source: str = "user",
        project_id: str | None = None,
        visibility: str | None = None,
        cover_generation_id: str | None = None,
        meta: Json | None = None,
    ) -> Future[TopicRecord]:
        """See `projects_topics.update_topic`."""
        return self.database.write(
            lambda tx: projects_topics.update_topic(
                tx,
                identity,
                id,
                title=title,
                title_source=title_source,
                project_id=project_id,
                visibility=visibility,
                cover_generation_id=cover_generation_id,
                meta=meta,
            ),
            full=True,
        )

    def topic(self, identity: Identity, id: str) -> TopicRecord:
        """See `projects_topics.topic`."""
        with self.database.reading() as reader:
            return projects_topics.topic(reader, identity, id)

    def topics(
        self, identity: Identity, *, project_id: str | None = None, limit: int | None = 1000
    ) -> list[TopicRecord]:
        """See `projects_topics.topics`."""
        with self.database.reading() as reader:
            return projects_topics.topics(reader, identity, project_id=project_id, limit=limit)

    def topic_counts(self, identity: Identity, topic_ids: Sequence[str]) -> dict[str, int]:
        """See `projects_topics.topic_counts`."""
        with self.database.reading() as reader:
            return projects_topics.topic_counts(reader, identity, topic_ids)

    def topic_covers(self, identity: Identity, topic_ids: Sequence[str]) -> dict[str, str]:
        """See `projects_topics.topic_covers`."""
        with self.database.reading() as reader:
            return projects_topics.topic_covers(reader, identity, topic_ids)

    # -- batches and generations --------------------------------------------------------------
    def submit_batch(self, new: NewBatch) -> Future[BatchRecord]:
        """See `submit.submit_batch`."""
        return self.database.write(lambda tx: submit.submit_batch(tx, new), full=True)

    def import_images(self, new: NewImport) -> Future[BatchRecord]:
        """See `submit.import_images`."""
        return self.database.write(lambda tx: submit.import_images(tx, new), full=True)

    def record_asset(self, asset: AssetRecord) -> Future[None]:
        """See `submit.record_asset`."""
        return self.database.write(lambda tx: submit.record_asset(tx, asset), full=True)

    def batch(self, identity: Identity, id: str) -> BatchRecord:
        """See `lookups.batch`."""
        with self.database.reading() as reader:
            return lookups.batch(reader, identity, id)

    def batches(
        self, identity: Identity, topic_id: str, *, limit: int = 20, cursor: str | None = None
    ) -> tuple[list[BatchRecord], str | None]:
        """See `pages.batches`."""
        with self.database.reading() as reader:
            return pages.batches(reader, identity, topic_id, limit=limit, cursor=cursor)

    def generation(self, identity: Identity, id: str) -> GenerationRecord:
        """See `lookups.generation`."""
        with self.database.reading() as reader:
            return lookups.generation(reader, identity, id)

    def generations(
        self, identity: Identity, query: GenerationQuery
    ) -> tuple[list[GenerationRecord], str | None]:
        """See `pages.generations`."""
        with self.database.reading() as reader:
            return pages.generations(reader, identity, query)

    def batch_generations(
        self, identity: Identity, batch_id: str, *, history: bool = False
    ) -> list[GenerationRecord]:
        """See `lookups.batch_generations`."""
        with self.database.reading() as reader:
            return lookups.batch_generations(reader, identity, batch_id, history=history)

    def batch_counts(self, batch_id: str) -> dict[Status, int]:
        """See `lookups.batch_counts`."""
        with self.database.reading() as reader:
            return lookups.batch_counts(reader, batch_id)

    def batch_open(self, batch_id: str) -> int:
        """See `lookups.batch_open`."""
        with self.database.reading() as reader:
            return lookups.batch_open(reader, batch_id)

    def inputs(self, generation_ids: Sequence[str]) -> list[InputRecord]:
        """See `lookups.inputs`."""
        with self.database.reading() as reader:
            return lookups.inputs(reader, generation_ids)

    def attempts(self, generation_id: str) -> list[AttemptRecord]:
        """See `lookups.attempts`."""
        with self.database.reading() as reader:
            return lookups.attempts(reader, generation_id)

    def attempts_of(self, identity: Identity, *, limit: int = 200) -> list[AttemptRecord]:
        """See `lookups.attempts_of`."""
        with self.database.reading() as reader:
            return lookups.attempts_of(reader, identity, limit=limit)

    def asset(self, id: str) -> AssetRecord:
        """See `lookups.asset`."""
        with self.database.reading() as reader:
            return lookups.asset(reader, id)

    def asset_visible(self, identity: Identity, asset_id: str) -> bool:
        """See `lookups.asset_visible`."""
        with self.database.reading() as reader:
            return lookups.asset_visible(reader, identity, asset_id)

    def asset_generations(
        self, identity: Identity, asset_ids: Sequence[str]
    ) -> list[tuple[str, str, GenerationRecord]]:
        """See `lookups.asset_generations`."""
        with self.database.reading() as reader:
            return lookups.asset_generations(reader, identity, asset_ids)

    # -- judgements, trash ----------------------------------------------------------------------
