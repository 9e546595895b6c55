"""Projects and topics, as Python sees them: live handles."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.domain.arguments import is_word, shown
from workbench.domain.records import ProjectRecord, TopicRecord
from workbench.domain.status import Visibility
from workbench.errors import InvalidRequest, WorkbenchError
from workbench.ports import GenerationQuery
from workbench.workspace import display
from workbench.workspace.batch import Batch
from workbench.workspace.generation import Generation
from workbench.workspace.handle import check_page_limit, text
from workbench.workspace.page import Page

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

_SHOWN = 24


class Project:
    """A group of topics."""

    def __init__(self, workspace: Workspace, id: str) -> None:
        self._workspace = workspace
        self.id = id

    @property
    def record(self) -> ProjectRecord:
        """A frozen snapshot of the row as it is now."""
        return self._workspace._store.project(self._workspace.identity, self.id)

    @property
    def title(self) -> str:
        """Its name; assign to rename."""
        return self.record.title

    @title.setter
    def title(self, title: str) -> None:
        store = self._workspace._store
        store.update_project(self._workspace.identity, self.id, title=text("title", title)).result()

    def topics(self) -> list[Topic]:
        """Its topics, the latest activity first."""
        return self._workspace.topics(project=self)

    def create_topic(self, title: str = "") -> Topic:
        """Create a topic in this project."""
        return self._workspace.create_topic(title, project=self)

    def delete(self) -> int:
        """Move it and its topics to the trash (30 days); returns how many images go."""
        return self._workspace._store.trash(self._workspace.identity, "project", self.id).result()

    def restore(self) -> None:
        """Take it out of the trash."""
        self._workspace._store.restore(self._workspace.identity, "project", self.id).result()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Project) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        try:
            return f"<Project {self.id} {self.title!r}>"
        except WorkbenchError:  # closed, purged, not shared any more
            return f"<Project {self.id}>"


class Topic:
    """A session of work."""

    def __init__(self, workspace: Workspace, id: str) -> None:
        self._workspace = workspace
        self.id = id

    @property
    def record(self) -> TopicRecord:
        """A frozen snapshot of the row as it is now."""
        return self._workspace._store.topic(self._workspace.identity, self.id)

    @property
    def title(self) -> str:
        """Its name; assign to rename (a title that you typed is never overwritten)."""
        return self.record.title

    @title.setter
    def title(self, title: str) -> None:
        self._update(title=text("title", title))

    @property
    def project(self) -> Project:
        """The project that it is in; assign another to move it."""
        return Project(self._workspace, self.record.project_id)

    @project.setter
    def project(self, project: Project | str) -> None:
        if not isinstance(project, (Project, str)):
            raise InvalidRequest("project", f"must be a project or its id, not {shown(project)}.")
        id = project.id if isinstance(project, Project) else project
        self._update(project_id=id)

    @property
    def visibility(self) -> Visibility:
        """private, team or workspace; assign to share or unshare it."""
        return self.record.visibility

    @visibility.setter
    def visibility(self, visibility: str) -> None:
        words = [known.value for known in Visibility]
        if not is_word(visibility, words):
            raise InvalidRequest("visibility", f"must be one of {', '.join(words)}.")
        self._update(visibility=str(visibility))

    @property
    def created_at(self) -> datetime:
        """When it was created (aware, UTC)."""
        return datetime.fromtimestamp(self.record.created_at / 1000, UTC)

    @property
    def cover(self) -> Generation | None:
        """The generation whose picture stands for it, or None."""
        id = self.record.cover_generation_id
        return None if id is None else Generation(self._workspace, id)

    def set_cover(self, generation: Generation) -> None:
        """Let this picture stand for the topic; it stays until that picture goes."""
        if not isinstance(generation, Generation):
            raise InvalidRequest("generation", f"must be a generation, not {shown(generation)}.")
        self._update(cover_generation_id=generation.id)

    def _update(self, **fields: Any) -> None:
        self._workspace._store.update_topic(self._workspace.identity, self.id, **fields).result()

    def generate(self, prompt: str, **options: Any) -> Batch:
        """Generate in this topic; see `Workspace.generate`."""
        return self._workspace.generate(prompt, topic=self, **options)

    def batches(self, limit: int = 20, cursor: str | None = None) -> Page[Batch]:
        """Return a page of its batches, newest first."""
        records, following = self._workspace._store.batches(
            self._workspace.identity, self.id, limit=check_page_limit(limit), cursor=cursor
        )
        return Page([Batch(self._workspace, record.id) for record in records], following)

    def generations(self, **filters: Any) -> Page[Generation]:
        """Return a page of its generations; see `Workspace.generations`."""
        return self._workspace.generations(topic=self, **filters)

    def neighbour(self) -> Topic | None:
        """Return the topic that takes this one's place in view when it is deleted.

        That is the one below it in `Workspace.topics`, else the one above it, else None. It can be
        asked for before the deletion and after it.
        """
        store, identity = self._workspace._store, self._workspace.identity
        own = self.record
        others = [r for r in store.topics(identity, limit=None) if r.id != own.id]
        place = (own.updated_at, own.id)
        below = [record for record in others if (record.updated_at, record.id) < place]
        chosen = below[:1] or others[-1:]
        return Topic(self._workspace, chosen[0].id) if chosen else None

    def delete(self) -> int:
        """Move it to the trash (30 days); what still runs is cancelled. Returns how many images."""
        return self._workspace._store.trash(self._workspace.identity, "topic", self.id).result()

    def restore(self) -> None:
        """Take it out of the trash."""
        self._workspace._store.restore(self._workspace.identity, "topic", self.id).result()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topic) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        try:
            return f"<Topic {self.id} {self.title!r}>"
        except WorkbenchError:  # closed, purged, not shared any more
            return f"<Topic {self.id}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        query = GenerationQuery(limit=_SHOWN, topic_id=self.id)
        records, _ = self._workspace._store.generations(self._workspace.identity, query)
        counts = self._workspace._store.topic_counts(self._workspace.identity, [self.id])
        return display.topic_bundle(
            self.record,
            self._workspace._with_pictures(records),
            images=counts.get(self.id, 0),
            shrink=self._workspace._engine.media.shrink,
        )
