"""The workspace, as Python sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workbench.domain.arguments import check_flag, shown
from workbench.domain.parameters import MAX_PROMPT_CHARACTERS
from workbench.domain.records import (
    Identity,
    MessageRecord,
)
from workbench.errors import InvalidRequest
from workbench.ports import Selection
from workbench.workspace import display, everything
from workbench.workspace.accounts import Accounts
from workbench.workspace.backup import write_backup
from workbench.workspace.batch import Batch
from workbench.workspace.doctor import Report, examine
from workbench.workspace.engine import Engine
from workbench.workspace.following import Following
from workbench.workspace.generating import Generating
from workbench.workspace.generation import Generation
from workbench.workspace.handle import check_page_limit, text
from workbench.workspace.identity import resolve_owner
from workbench.workspace.location import resolve, switch
from workbench.workspace.page import Page
from workbench.workspace.providers import Providers
from workbench.workspace.tables import Tables
from workbench.workspace.topic import Project, Topic
from workbench.workspace.trash import Trash, TrashedItem, restore_item
from workbench.workspace.waiting import wait_async, wait_blocking


class Workspace(Accounts, Following, Generating, Providers, Tables):
    """One durable place for pictures: a database and a folder of image files.

    Open one with `workbench.open`; several in one process on the same folder share one engine.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> with wb.open(tempfile.mkdtemp()) as ws:
    ...     batch = ws.generate("a red fox", n=2, seed=7, width=64, height=64).wait(60)
    ...     [generation.seed for generation in batch.generations]
    [7, 8]
    """

    # -- life -------------------------------------------------------------------------------------

    def close(self, wait: bool = False) -> None:
        """Close it; the last one of this process ends the engine. Safe to call twice.

        Parameters
        ----------
        wait:
            False: queued jobs are handed over to whoever opens the workspace next. True: they are
            finished first.
        """
        check_flag("wait", wait)
        if self._closed or self._engine.dead:
            return
        self._engine.check_may_block()
        self._closed = True
        self._unsubscribe_all()
        self._engine.release(wait=wait)

    async def aclose(self, wait: bool = False) -> None:
        """Close it without blocking the running event loop."""
        await asyncio.to_thread(self.close, wait)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        state = "closed" if self._closed or self._engine.closed else "open"
        return f"<Workspace {str(self.path)!r} user={self.user!r} {state}>"

    # -- projects and topics ----------------------------------------------------------------------

    def projects(self) -> list[Project]:
        """Return all projects that you may see."""
        return [Project(self, record.id) for record in self._store.projects(self.identity)]

    def project(self, id: str) -> Project:
        """Return the project with this id (NotFound if there is none for you)."""
        return Project(self, self._store.project(self.identity, text("id", id)).id)

    def create_project(self, title: str) -> Project:
        """Create a project."""
        return Project(self, self._store.create_project(self._acting, title).result().id)

    def topics(self, project: Project | str | None = None) -> list[Topic]:
        """Return all topics that you may see, or those of one project; latest activity first."""
        found = self._store.topics(self.identity, project_id=_project_id(project), limit=None)
        return [Topic(self, record.id) for record in found]

    def topic(self, id: str) -> Topic:
        """Return the topic with this id (NotFound if there is none for you)."""
        return Topic(self, self._store.topic(self.identity, text("id", id)).id)

    def create_topic(self, title: str = "", *, project: Project | str | None = None) -> Topic:
        """Create a topic; an empty title is filled from the first prompt."""
        record = self._store.create_topic(
            self._acting, title, project_id=_project_id(project)
        ).result()
        return Topic(self, record.id)

    # -- batches and generations ------------------------------------------------------------------

    def batch(self, id: str) -> Batch:
        """Return the batch with this id (NotFound if there is none for you)."""
        return Batch(self, self._store.batch(self.identity, text("id", id)).id)

    def generation(self, id: str) -> Generation:
        """Return the generation with this id (NotFound if there is none for you)."""
        return Generation(self, self._store.generation(self.identity, text("id", id)).id)

    def generations(
        self,
        limit: int = 50,
        cursor: str | None = None,
        *,
        status: str | Sequence[str] | None = None,
        provider: str | None = None,
        model: str | None = None,
        search: str | None = None,
        topic: Topic | str | None = None,
        include_failed: bool = True,
        order: str = "newest",
    ) -> Page[Generation]:
        """Return a page of generations.

        Parameters
        ----------
        limit:
            1 to 500.
        cursor:
            ``next_cursor`` of the page before; None starts at the first. New rows never make a
            page repeat or skip one.
        status:
            One status or several.
        provider, model:
            Only of these.
        search:
            Words of the prompt; beginnings are enough.
        topic:
            Only of this topic.
        include_failed:
            False leaves out failed and cancelled ones.
        order:
            "newest" or "oldest".
        """
        query = self._query(
            limit=check_page_limit(limit),
            cursor=cursor,
            status=status,
            provider=provider,
            model=model,
            search=search,
            topic=topic,
            include_failed=include_failed,
            order=order,
        )
        records, following = self._store.generations(self.identity, query)
        return Page(
            [Generation(self, record.id) for record in records],
            following,
            lambda items: display.page_bundle(
                self._with_pictures([item.record for item in items]),
                more=following is not None,
                shrink=self._engine.media.shrink,
            ),
        )

    def cancel_all(self, topic: Topic | str | None = None, *, all_users: bool = False) -> int:
        """Cancel everything of yours that has not ended (or of one topic); returns how many."""
        topic_id = self._topic_id(topic)
        selection = Selection(topic_id=topic_id, everything=topic_id is None)
        result = self._store.cancel(self._who(all_users), selection).result()
        return len(result.cancelled)

    def pause(self, *, all_users: bool = False) -> int:
        """Hold your queue: what runs ends, nothing new starts. Returns how many jobs wait."""
        return int(self._store.pause(self._who(all_users)).result())

    def resume(self, *, all_users: bool = False) -> int:
        """Let your queue run on; returns how many jobs were let go."""
        return int(self._store.resume(self._who(all_users)).result())

    @property
    def paused(self) -> bool:
        """Whether your queue is held."""
        return bool(self._store.paused(self.identity))

    def wait(self, timeout: float | None = None) -> None:
        """Block until nothing of yours is active any more; see `Batch.wait`."""
        wait_blocking(self._engine, self._is_idle, timeout, "The queue")

    async def idle(self) -> None:
        """Wait, without blocking, until nothing of yours is active any more."""
        await wait_async(self._engine, self._is_idle)

    def _is_idle(self) -> bool:
        return self._store.active_count(self.identity) == 0

    def _who(self, all_users: bool) -> Identity:
        if not check_flag("all_users", all_users):
            return self._acting
        return Identity(self.identity.user, self.identity.team, all_users=True)

    # -- trash ------------------------------------------------------------------------------------

    def trash(self) -> Trash:
        """Return what was deleted and can still be restored, the latest first."""
        return Trash(TrashedItem(self, item) for item in self._store.trash_items(self.identity))

    def restore(self, item: Any) -> None:
        """Take something out of the trash: an item of `trash`, a handle, or an id."""
        restore_item(self, item)

    def empty_trash(self) -> int:
        """Delete what is in your trash for good, files included; returns how many files went."""
        return self._engine.remove_files(self._store.purge(self.identity).result())

    # -- messages ---------------------------------------------------------------------------------

    def messages(
        self, topic: Topic | str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[MessageRecord]:
        """Return a page of a topic's messages, newest first."""
        records, following = self._store.messages(
            self.identity,
            self._needed_topic_id(topic),
            limit=check_page_limit(limit),
            cursor=cursor,
        )
        return Page(records, following)

    def say(self, topic: Topic | str, text: str) -> MessageRecord:
        """Add a message of yours to a topic."""
        said: object = text
        if not isinstance(said, str) or not said.strip() or len(said) > MAX_PROMPT_CHARACTERS:
            raise InvalidRequest("text", "must be text of 1 to 10,000 characters.")
        topic_id = self._needed_topic_id(topic)
        message: MessageRecord = self._store.say(self._acting, topic_id, said).result()
        return message

    # -- care -------------------------------------------------------------------------------------

    def doctor(self, *, deep: bool = True) -> Report:
        """Check every invariant of the workspace; `deep` also re-reads every image file."""
        self._check_open()
        return examine(self._engine, deep=check_flag("deep", deep))

    def backup(self, path: str | PathLike[str]) -> Path:
        """Write a complete copy of the workspace into a new folder; returns it.

        The copy opens like any workspace (``workbench.open(path)``).
        """
        self._check_open()
        return write_backup(self._engine, path)

    def to_zip(self, path: str | PathLike[str]) -> Path:
        """Write all of your finished originals and their parameters as JSON into one ZIP file.

        They lie in folders by topic. More than 1 GiB is refused (NotAllowed): write topics or
        batches one by one.

        Returns
        -------
        Path
            The file written.
        """
        return everything.to_zip(self, path)


def open_workspace(
    location: str | PathLike[str] | None = None,
    *,
    user: str | None = None,
    team: str | None = None,
    run_jobs: bool | None = None,
) -> Workspace:
    """Open (or create) a workspace; see `workbench.open`."""
    if run_jobs is None:
        run_jobs = switch("WORKBENCH_RUN_JOBS", default=True)
    check_flag("run_jobs", run_jobs)
    folder = resolve(location)
    owner = resolve_owner(user, team, folder)
    return Workspace(Engine.acquire(folder, run_jobs=run_jobs), owner)


def _project_id(project: object) -> str | None:
    id = project.id if isinstance(project, Project) else project
    if id is not None and not isinstance(id, str):
        raise InvalidRequest("project", f"must be a project or its id, not {shown(project)}.")
    return id
