"""What every part of the Python face starts from: an engine and an identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbench.domain.arguments import check_flag, check_items, check_whole, shown
from workbench.domain.limits import VisitorLimits, is_visitor
from workbench.domain.records import GenerationRecord, Identity
from workbench.domain.status import parse_status
from workbench.errors import EngineClosed, InvalidRequest, WorkbenchError
from workbench.ports import GenerationQuery
from workbench.store.sqlite.store import SqliteStore
from workbench.workspace.engine import Engine
from workbench.workspace.identity import Owner

_THUMBNAIL = 256
_MOST_STATUSES = 100
MAX_PAGE = 500


class Handle:
    """An open engine, seen by one identity; closed when its user says so."""

    def __init__(self, engine: Engine, owner: Owner | Identity) -> None:
        self._engine = engine
        self._owner = owner if isinstance(owner, Owner) else Owner(owner)
        self._closed = False
        self._subscriptions: list[Callable[[], None]] = []

    @property
    def path(self) -> Path:
        """The folder of the workspace."""
        return self._engine.folder

    @property
    def identity(self) -> Identity:
        """Who asks. It changes when the visitor is recognised for whom the workspace was opened."""
        return self._owner.identity

    @property
    def _acting(self) -> Identity:
        return self._owner.acting

    @property
    def user(self) -> str:
        """Under which name rows are owned."""
        return self.identity.user

    @property
    def _limits(self) -> VisitorLimits | None:
        """How much the user may make; None: he is no visitor."""
        return self._engine.settings.visitors if is_visitor(self.user) else None

    @property
    def team(self) -> str | None:
        """The team whose shared topics are seen, or None."""
        return self.identity.team

    @property
    def _store(self) -> SqliteStore:
        self._check_open()
        return self._engine.store

    def _check_open(self) -> None:
        self._engine.check_open()
        if self._closed:  # the engine may live on for others; this handle does not
            raise EngineClosed("This workspace was closed; open it again with workbench.open().")

    def _small_picture(self, record: GenerationRecord) -> bytes | None:
        if record.asset_id is None:
            return self._engine.media.read_preview(record.id)
        try:
            return self._engine.media.thumbnail(record.asset_id, _THUMBNAIL).read_bytes()
        except (WorkbenchError, OSError):
            # A full disk, a lost file: what is shown must not fail; the doctor tells why.
            return None

    def _with_pictures(
        self, records: Sequence[GenerationRecord]
    ) -> list[tuple[GenerationRecord, bytes | None]]:
        return [(record, self._small_picture(record)) for record in records]

    def _topic_id(self, topic: Any) -> str | None:
        """Return the id of a topic given as handle or id, after a look whether it is there."""
        from workbench.workspace.topic import Topic

        if topic is None:
            return None
        id = topic.id if isinstance(topic, Topic) else topic
        if not isinstance(id, str):
            raise InvalidRequest("topic", f"must be a topic or its id, not {shown(topic)}.")
        return self._store.topic(self.identity, id).id

    def _needed_topic_id(self, topic: Any) -> str:
        """As `_topic_id`, where None is no answer."""
        id = self._topic_id(topic)
        if id is None:
            raise InvalidRequest("topic", "must be a topic or its id, not None.")
        return id

    def _query(
        self,
        *,
        status: str | Sequence[str] | None = None,
        model: str | None = None,
        topic: Any = None,
        include_failed: bool = True,
        **others: Any,
    ) -> GenerationQuery:
        words: list[Any] = []
        if isinstance(status, str):
            words = [status]
        elif status is not None:
            words = check_items("status", status, "statuses", limit=_MOST_STATUSES)
        model_id = None
        if model is not None:
            text("model", model)
            # A model that is gone can still have made pictures: then its id is taken as given.
            known = self._engine.registry.models()
            matching = [m.id for m in known if model == m.id or model in m.aliases]
            model_id = matching[0] if matching else model
        return GenerationQuery(
            statuses=tuple(parse_status(word) for word in words),
            model=model_id,
            topic_id=self._topic_id(topic),
            include_failed=check_flag("include_failed", include_failed),
            **others,
        )


def check_page_limit(limit: object) -> int:
    """Return the size of a page: 1 to 500."""
    return check_whole("limit", limit, low=1, high=MAX_PAGE)


def text(field: str, value: object) -> str:
    """Return `value` if it is text, else raise InvalidRequest."""
    if not isinstance(value, str):
        raise InvalidRequest(field, f"must be text, not {type(value).__name__}.")
    return value
