"""What was deleted and can still be restored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.domain.records import TrashItem
from workbench.errors import InvalidRequest, NotFound
from workbench.workspace.batch import Batch
from workbench.workspace.generation import Generation
from workbench.workspace.topic import Project, Topic

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

_ENTITIES: dict[type, str] = {
    Project: "project",
    Topic: "topic",
    Batch: "batch",
    Generation: "generation",
}


class TrashedItem:
    """One deletion: a project, topic, batch or generation."""

    def __init__(self, workspace: Workspace, record: TrashItem) -> None:
        self._workspace = workspace
        self.record = record

    @property
    def entity(self) -> str:
        """project, topic, batch or generation."""
        return self.record.entity

    @property
    def id(self) -> str:
        """Id of the deleted row."""
        return self.record.id

    @property
    def title(self) -> str:
        """Title of the project or topic, or the prompt."""
        return self.record.title

    @property
    def images(self) -> int:
        """How many pictures went with it."""
        return self.record.images

    @property
    def deleted_at(self) -> datetime:
        """When it was deleted (aware, UTC)."""
        return datetime.fromtimestamp(self.record.deleted_at / 1000, UTC)

    def restore(self) -> None:
        """Bring it back with everything in it."""
        store = self._workspace._store
        store.restore(self._workspace.identity, self.entity, self.id).result()

    def __repr__(self) -> str:
        return f"<{self.entity} {self.title[:60]!r} with {self.images} images>"


class Trash(list[TrashedItem]):
    """A list of `TrashedItem`, the latest deletion first."""

    def __init__(self, items: Iterable[TrashedItem] = ()) -> None:
        super().__init__(items)


def restore_item(workspace: Workspace, item: Any) -> None:
    """Take something out of the trash: an item, a handle, or the id of something in there."""
    if isinstance(item, TrashedItem):
        workspace._store.restore(workspace.identity, item.entity, item.id).result()
        return
    entity = _ENTITIES.get(type(item))
    if entity is not None:
        workspace._store.restore(workspace.identity, entity, item.id).result()
        return
    if isinstance(item, str):
        for found in workspace.trash():
            if found.id == item:
                found.restore()
                return
        raise NotFound("deleted thing", item[:80].encode(errors="replace").decode())
    raise InvalidRequest(
        "item", f"must be an item of trash(), a handle or an id, not {type(item).__name__}."
    )
