"""What a page of the interface needs of a workspace, in few reads, and words the API lacks.

Everything is as the workspace's user may see it: what is somebody else's, deleted or unknown is
missing from lists, and NotFound where it is asked for by itself.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from workbench.domain.limits import DAY_MS, day_start
from workbench.domain.parameters import Model
from workbench.domain.records import (
    AssetRecord,
    BalanceView,
    BatchRecord,
    CancelResult,
    GenerationView,
    Identity,
    ProjectRecord,
    TopicPage,
    TopicView,
)
from workbench.errors import ImageRejected, InvalidRequest, NotFound
from workbench.ports import Selection
from workbench.workspace import everything, files_out
from workbench.workspace.location import FOLDER_NAME, switch
from workbench.workspace.requests import request_source

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

MAX_IDS = 500  # of one call


@dataclass(frozen=True, slots=True)
class FeedView:
    """Batches of a topic, newest first, the latest generation of each of their indices, cursors.

    `active` has the ids of batches with something that has not ended (only for the first page).
    """

    batches: tuple[BatchRecord, ...]
    generations: list[GenerationView]
    older: str | None
    newer: str | None
    active: tuple[str, ...] = ()


class View:
    """The reads and writes of pages, for the user of `workspace`. Keeps no state."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def _identity(self) -> Identity:
        return self._workspace.identity  # asked each time: a visitor is recognised later

    # -- rows -------------------------------------------------------------------------------------

    def cursor(self) -> str:
        """Return the place in the change feed up to which later reads are at least."""
        return self._workspace._store.cursor()

    def now(self) -> int:
        """Return the time of the workspace, UTC milliseconds."""
        return self._workspace._engine.clock.now_ms()

    def generations(self, ids: Sequence[str]) -> dict[str, GenerationView]:
        """Return live generations by id; any number, 500 to a read."""
        store = self._workspace._store
        found: dict[str, GenerationView] = {}
        for some in _chunks(ids):
            found |= store.generation_views(self._identity, some)
        return found

    def batches(self, ids: Sequence[str]) -> dict[str, BatchRecord]:
        """Return live batches by id."""
        store = self._workspace._store
        found: dict[str, BatchRecord] = {}
        for some in _chunks(ids):
            found |= store.batch_views(self._identity, some)
        return found

    def topics(self, ids: Sequence[str]) -> list[TopicView]:
        """Return those of `ids` that are live topics."""
        store = self._workspace._store
        return [view for some in _chunks(ids) for view in store.topic_views(self._identity, some)]

    def topic_page(self, *, limit: int, cursor: str | None = None) -> TopicPage:
        """Return live topics, the latest activity first: the first ones, or those of a cursor."""
        return self._workspace._store.topic_page(self._identity, limit=limit, cursor=cursor)

    def topics_of(self, project_id: str) -> list[str]:
        """Return the ids of a project's live topics; none if it is not there any more."""
        try:
            store = self._workspace._store
            found = store.topics(self._identity, project_id=project_id, limit=None)
        except NotFound:
            return []
        return [record.id for record in found]

    def projects(self, ids: Sequence[str] | None = None) -> list[ProjectRecord]:
        """Return live projects: those of `ids`, or all, oldest first."""
        store = self._workspace._store
        if ids is None:
            return store.project_views(self._identity)
        return [one for some in _chunks(ids) for one in store.project_views(self._identity, some)]

    def balances(self) -> list[BalanceView]:
        """Return what is left in each unit, with the last booking."""
        return self._workspace._store.balance_views(self._identity)

    def owns(self, row: Any) -> bool:
        """Tell whether a record with an owner is the user's own."""
        return bool(row.owner == self._identity.user)

    # -- the feed ---------------------------------------------------------------------------------

    def open_topic(self, topic_id: str, *, limit: int) -> FeedView:
        """Return the newest page of a topic, and whatever in it has not ended.

        Batches that have not ended are among its batches also when they are older than the page.

        Raises
        ------
        NotFound
            The topic is not there, not to be seen, or in the trash.
        """
        store = self._workspace._store
        if not self.topics([topic_id]):
            raise NotFound("topic", topic_id)
        active = store.active_batches(self._identity, topic_id)
        page = store.batch_page(self._identity, topic_id, limit=limit)
        shown = {batch.id for batch in page.batches}
        others = self.batches([id for id in active if id not in shown]).values()
        batches = (*page.batches, *sorted(others, key=lambda batch: -batch.seq))
        return FeedView(
            batches,
            self.generations_of([batch.id for batch in batches]),
            page.older,
            page.newer,
            tuple(active),
        )

    def page(self, topic_id: str, *, cursor: str, direction: str, limit: int) -> FeedView:
        """Return the page of a topic beyond a cursor ("older" or "newer")."""
        page = self._workspace._store.batch_page(
            self._identity, topic_id, limit=limit, cursor=cursor, direction=direction
        )
        generations = self.generations_of([batch.id for batch in page.batches])
        return FeedView(page.batches, generations, page.older, page.newer)

    def generations_of(self, batch_ids: Sequence[str]) -> list[GenerationView]:
        """Return the latest generation of each index of the batches, newest batch first."""
        store = self._workspace._store
        return [
            view
            for some in _chunks(batch_ids)
            for view in store.batches_generations(self._identity, some)
        ]

    def walk(
        self, generation_id: str, *, direction: str, limit: int
    ) -> tuple[list[GenerationView], bool]:
        """Return pictures "next" or "previous" to one, in feed order, and whether that is all.

        "first" and "last": the outermost ones of its topic.
        """
        return self._workspace._store.walk(
            self._identity, generation_id, direction=direction, limit=limit
        )

    # -- numbers ----------------------------------------------------------------------------------

    def deletion(self, topic_id: str) -> tuple[int, int]:
        """Return how many pictures and how many unfinished ones go with a topic."""
        return self._workspace._store.deletion(self._identity, topic_id)

    def active(self, topic_id: str | None = None) -> int:
        """Return how many of the user's own images a cancel of a topic, or of all, would end."""
        return self._workspace._store.active_count(self._identity, topic_id)

    def prompts(self, *, limit: int) -> list[str]:
        """Return the user's last different prompts, newest first."""
        return self._workspace._store.prompts(self._identity, limit=limit)

    def durations(self, model_id: str) -> list[tuple[float, int | None]]:
        """Return (seconds, pixels) of the user's newest pictures of a model."""
        return self._workspace._store.durations(self._identity, model_id)

    def parallel(self, model: Model) -> int:
        """Return how many jobs of a model run at once at most in this process."""
        engine = self._workspace._engine
        of_provider = engine.registry.providers[model.provider].concurrency
        return max(1, min(of_provider, engine.settings.runner_max_jobs))

    def info(self) -> dict[str, Any]:
        """Return id and title of the workspace, the days of its trash, whether its disk passes."""
        folder = self._workspace.path
        title = folder.parent.name if folder.name == FOLDER_NAME else folder.name
        return {
            "id": self._workspace._store.workspace_id,
            "title": title or "Workspace",
            "temporary": _is_temporary(folder),
            "trash_days": self._workspace._engine.settings.trash_keep_days,
        }

    def identity_mode(self) -> str:
        """Return how it is known who the user is: local, jupyterhub, header or anonymous."""
        return self._workspace._owner.mode

    def limits(self) -> dict[str, int | None] | None:
        """Return how much the user may make, and how many images today still; None: no visitor."""
        limits = self._workspace._limits
        if limits is None:
            return None
        left = most = limits.images_per_day
        if most is not None:
            since = day_start(self._workspace._engine.clock.now_ms())
            made = self._workspace._store.images_made(self._workspace.user, since)
            left = max(0, most - made)
        return {
            "images_per_day": most,
            "images_left": left,
            "unfinished": limits.unfinished,
            "queue": limits.queue,
        }

    def ahead(self) -> int | None:
        """Return how many images stand before the user's first in the queue; None: none waits."""
        return self._workspace._store.ahead(self._workspace.user)

    # -- actions ----------------------------------------------------------------------------------

    def submit(self, prompt: str, **options: Any) -> str:
        """Generate as `Workspace.generate` does, noted as asked for by a widget; the batch's id."""
        token = request_source.set("widget")
        try:
            return self._workspace.generate(prompt, **options).id
        finally:
            request_source.reset(token)

    def cancel(
        self,
        generation_ids: Sequence[str] = (),
        *,
        batch_id: str | None = None,
        topic_id: str | None = None,
        everything: bool = False,
    ) -> CancelResult:
        """Cancel what is named and has not ended; what had ended is told."""
        chosen = Selection(tuple(generation_ids), batch_id, topic_id, everything)
        return self._workspace._store.cancel(self._identity, chosen).result()

    def delete(self, entity: str, id: str) -> int:
        """Move a project, topic, batch or generation to the trash; returns how many pictures."""
        return self._workspace._store.trash(self._identity, entity, id).result()

    def restore(self, entity: str, id: str) -> None:
        """Take it out of the trash."""
        self._workspace._store.restore(self._identity, entity, id).result()

    def kept_until(self, deleted_at: int) -> int:
        """Return when what was deleted then is gone for good at the earliest (UTC milliseconds)."""
        return deleted_at + self._workspace._engine.settings.trash_keep_days * DAY_MS

    def judge(self, generation_id: str, values: dict[str, Any]) -> None:
        """Set rating, favourite, tags, note of the user, together."""
        self._workspace._store.judge(self._workspace._acting, {generation_id: values}).result()

    def update_topic(self, topic_id: str, changes: dict[str, Any]) -> None:
        """Change title, project_id, cover_generation_id of a topic, together."""
        self._workspace._store.update_topic(self._identity, topic_id, **changes).result()

    # -- pictures and files -----------------------------------------------------------------------

    def pictures(self, generation_ids: Sequence[str]) -> dict[str, AssetRecord]:
        """Return the images of generations that the user may see, by generation."""
        return self._workspace._store.pictures(self._identity, list(generation_ids)[:MAX_IDS])

    def trashed_pictures(self, generation_ids: Sequence[str]) -> dict[str, AssetRecord]:
        """Return the images of the user's own generations that lie in the trash, by generation."""
        ids = list(generation_ids)[:MAX_IDS]
        return self._workspace._store.trashed_pictures(self._identity, ids)

    def thumbnail(self, asset: AssetRecord, size: int) -> bytes:
        """Return a WebP thumbnail with this longer side (256 or 768 pixels)."""
        return self._workspace._engine.media.thumbnail(asset.id, size).read_bytes()

    def preview(self, generation_id: str) -> tuple[bytes, str] | None:
        """Return the last preview of a generation with its MIME type; None if there is none."""
        from workbench.media.metadata import mime_of

        data = self._workspace._engine.media.read_preview(generation_id)
        return None if data is None else (data, mime_of(data))

    def open_image(self, asset: AssetRecord) -> IO[bytes]:
        """Open the stored bytes of an image for reading."""
        return files_out.open_stored(self._workspace, asset.id)

    def exported(self, view: GenerationView) -> tuple[str, bytes]:
        """Return file name and bytes of a picture as it leaves, its settings inside."""
        if view.asset is None:
            raise NotFound("picture", view.record.id)
        return files_out.exported(self._workspace, view.record, view.asset.mime)

    def write_archive(
        self, batch_id: str, file: IO[bytes], shown: files_out.Shown | None = None
    ) -> str:
        """Write the ZIP of a batch into an open file, as `shown`; returns its name."""
        record = self._workspace._store.batch(self._identity, batch_id)
        return files_out.write_archive(self._workspace, record, file, shown)

    def write_everything(self, file: IO[bytes], shown: files_out.Shown) -> str:
        """Write the ZIP of all of the user's pictures into an open file; returns its name."""
        return everything.write_archive(self._workspace, file, shown)

    def temporary_folder(self) -> Path:
        """Return the folder for temporary files, on the workspace's own disk."""
        return self._workspace.path / "tmp"

    def max_upload_bytes(self) -> int:
        """Return how large an uploaded image may be."""
        return self._workspace._engine.settings.media_max_bytes

    def inspect(self, data: bytes, field: str) -> dict[str, Any]:
        """Look at an uploaded image as the image door does; nothing is stored.

        Raises
        ------
        InvalidRequest
            The door refuses it, and why.
        """
        try:
            info = self._workspace._engine.media.inspect(data)
        except ImageRejected as error:
            raise InvalidRequest(field, str(error)) from error
        return {
            "id": info.sha256,
            "mime": info.mime,
            "width": info.display_width,
            "height": info.display_height,
            "size_bytes": info.size_bytes,
        }


def _chunks(ids: Sequence[str]) -> list[list[str]]:
    unique = list(dict.fromkeys(ids))
    return [unique[start : start + MAX_IDS] for start in range(0, len(unique), MAX_IDS)]


def _is_temporary(folder: Path) -> bool:
    if os.environ.get("WORKBENCH_TEMPORARY"):
        return switch("WORKBENCH_TEMPORARY", default=False)
    # Binder's pods set this; what lies in the system's temporary folder may go at any time.
    if "BINDER_SERVICE_HOST" in os.environ or "BINDER_LAUNCH_HOST" in os.environ:
        return True
    return folder.is_relative_to(Path(tempfile.gettempdir()).resolve())
