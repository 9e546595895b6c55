"""What changed, as one page needs it: whole current rows, one for each thing, few messages.

The change feed says that something changed; the rows are read as they are now, so that a row that
is sent twice, or late, does no harm. A page gets the first delta at once and then at most ten per
second, each only when the one before was acknowledged; while it waits, changes gather.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.domain.records import ChangeRecord
from workbench.errors import EngineClosed, StoreError
from workbench.widgets.client import Client
from workbench.widgets.protocol import DELTA_EVERY_S
from workbench.widgets.rows import Row, Rows

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

ACK_LOST_S = 2.0
RETRY_S = 1.0  # after the workspace could not be read
_LOOK_EVERY_S = 0.01
COUNT_EVERY_S = 1.0  # the number of images of a large topic is told so often
LARGE_TOPIC = 500  # images
PAGE = 500  # changes read at once
MOST_PAGES = 20  # of them for one delta
MOST_ROWS = 500  # of one delta, about


@dataclass(slots=True)
class Delta:
    """Rows from one cursor to the next, as they are now."""

    cursor: str
    rows: list[Row] = field(default_factory=list)
    more: bool = False
    reset: bool = False
    counts: dict[str, int] = field(default_factory=dict)  # topic -> images that it tells
    held: set[str] = field(default_factory=set)  # topics whose number it does not tell yet
    moved: bool = False  # whether images of the user began to wait, or ended it

    @property
    def queue(self) -> Row | None:
        """The row of the user's queue, if it tells of that."""
        return next((row["d"] for row in self.rows if row["e"] == "queue"), None)

    @property
    def waits_for_disk(self) -> bool:
        """Whether it tells of a generation that waits for disk space."""
        return any(
            row["e"] == "generation"
            and row["k"] == "put"
            and row["d"]["detail_key"] == "waiting_for_disk"
            for row in self.rows
        )

    def message(self, prev: str) -> dict[str, Any]:
        """Return what the page gets."""
        return {
            "prev": prev,
            "cursor": self.cursor,
            "rows": self.rows,
            "more": self.more,
            "reset": self.reset,
        }


class Changes:
    """Gathers changes of the feed: which rows does a page need, each once.

    Parameters
    ----------
    scopes:
        What the page shows: of feed, topics, balance, queue, models.
    user:
        Whose balance and judgements count.
    """

    def __init__(self, scopes: frozenset[str], user: str) -> None:
        self._scopes = scopes
        self._user = user
        # id -> the last change of it
        self.generations: dict[str, ChangeRecord] = {}
        self.batches: dict[str, ChangeRecord] = {}
        self.judged: set[str] = set()  # generations
        self.restored: set[str] = set()  # batches
        self.topics: dict[str, int] = {}  # revisions
        self.projects: dict[str, int] = {}
        self.returned: set[str] = set()  # projects from the trash, and their topics with them
        self.counted: set[str] = set()  # topics with more or fewer images
        self.others: dict[tuple[str, str], Row] = {}
        self.queue = 0
        self.moved = False  # images of the user began to wait, or ended it

    def __len__(self) -> int:
        by_id = (self.generations, self.judged, self.batches, self.topics, self.projects)
        return sum(map(len, by_id)) + 30 * len(self.restored)

    def add(self, change: ChangeRecord) -> None:
        """Note what a change means for the page."""
        if change.entity == "generation":
            self._generation(change)
        elif change.entity == "batch":
            self._batch(change)
        elif change.entity == "judgement":
            if "feed" in self._scopes and change.owner == self._user:
                self.judged.add(str(change.data.get("generation_id")))
        elif change.entity == "topic" and "topics" in self._scopes:
            self.topics[change.id] = change.rev
        elif change.entity == "project" and "topics" in self._scopes:
            self.projects[change.id] = change.rev
            if change.kind == "update" and change.data.get("deleted_at", 0) is None:
                self.returned.add(change.id)
        elif change.entity == "ledger" and "balance" in self._scopes:
            self._booking(change)
        elif change.entity == "queue" and "queue" in self._scopes:
            self.queue = change.rev
        elif change.entity in ("price", "provider") and "models" in self._scopes:
            self.others["models", "models"] = put("models", "models", change.seq, {})

    def _generation(self, change: ChangeRecord) -> None:
        if "feed" in self._scopes:
            self.generations[change.id] = change
        if change.owner == self._user and "status" in change.data:
            self.moved = True
        counts = (
            change.kind == "delete"
            or "deleted_at" in change.data
            or change.data.get("status") == "completed"
        )
        if counts and change.topic_id is not None and "topics" in self._scopes:
            self.counted.add(change.topic_id)

    def _batch(self, change: ChangeRecord) -> None:
        came_or_went = change.kind == "update" and "deleted_at" in change.data
        if "feed" in self._scopes:
            self.batches[change.id] = change
            if came_or_went and change.data["deleted_at"] is None:
                self.restored.add(change.id)  # its generations come back without changes of theirs
        if came_or_went and change.topic_id is not None and "topics" in self._scopes:
            self.counted.add(change.topic_id)

    def _booking(self, change: ChangeRecord) -> None:
        data = change.data
        if data.get("account") != self._user:  # an operator reads everybody's
            return
        unit = str(data.get("unit"))
        before = self.others.get(("balance", unit))
        change_micro = int(data["amount_micro"])  # type: ignore[arg-type]  # a number in the feed
        if before is not None:
            change_micro += before["d"]["change_micro"]
        row = {
            "unit": unit,
            "amount_micro": data.get("balance_micro"),
            "change_micro": change_micro,
            "reason": data.get("reason"),
            "transaction_id": data.get("transaction_id"),
        }
        self.others["balance", unit] = put("balance", unit, change.seq, row)


def put(entity: str, id: str, rev: int, data: Row) -> Row:
    """Return the row of a delta for something as it is now."""
    return {"e": entity, "id": id, "k": "put", "rev": rev, "d": data}


def gone(entity: str, id: str, rev: int) -> Row:
    """Return the row of a delta for something that is not to be seen any more."""
    return {"e": entity, "id": id, "k": "gone", "rev": rev}


class Reader:
    """Reads deltas; blocking, in a thread. Shared by the pages of a widget.

    Parameters
    ----------
    workspace:
        Whose feed.
    scopes:
        What the widget shows.
    desk_topic:
        Returns the id of the topic that is open, or None.
    simple:
        Returns whether the widget is simple now.
    """

    def __init__(
        self,
        workspace: Workspace,
        scopes: Iterable[str],
        desk_topic: Callable[[], str | None],
        simple: Callable[[], bool] = lambda: False,
    ) -> None:
        self._workspace = workspace
        self._scopes = frozenset(scopes)
        self._desk_topic = desk_topic
        self._simple = simple

    @property
    def _rows(self) -> Rows:
        return Rows(self._workspace, simple=self._simple())

    def queue(self) -> Row:
        """Return the row of the user's queue as it is now."""
        return self._rows.queue()

    def read(
        self, since: str, topics: Callable[[], Iterable[str]], due: set[str], held: set[str]
    ) -> Delta:
        """Return what a page needs that has read up to `since`.

        Parameters
        ----------
        since:
            Its cursor.
        topics:
            Returns the topics that it shows, the desk's aside; asked after the feed was read, so
            that nothing is missed of a topic that it opens meanwhile.
        due:
            Topics whose number of images is to be told in any case.
        held:
            Topics whose number is not to be told again so soon.
        """
        changes = Changes(self._scopes, self._workspace.user)
        cursor, more = since, True
        for _ in range(MOST_PAGES):
            page = self._workspace.changes(cursor, PAGE)
            if page.reset:
                return Delta(page.cursor, reset=True)
            for change in page.items:
                changes.add(change)
            cursor, more = page.cursor, page.has_more
            if not more or len(changes) >= MOST_ROWS:
                break
        held = (changes.counted & held) - changes.topics.keys()
        delta = Delta(cursor, more=more, held=held, moved=changes.moved)
        changes.counted = (changes.counted - held) | due
        shown = set(topics())
        if "feed" in self._scopes and (desk_topic := self._desk_topic()):
            shown.add(desk_topic)
        delta.rows.extend(self._topic_rows(changes, delta.counts))
        delta.rows.extend(self._batch_rows(changes, shown))
        delta.rows.extend(self._generation_rows(changes, shown))
        delta.rows.extend(changes.others.values())
        if changes.queue:
            delta.rows.append(put("queue", "queue", changes.queue, self._rows.queue()))
        return delta

    def _topic_rows(self, changes: Changes, counts: dict[str, int]) -> list[Row]:
        found: list[Row] = []
        if changes.projects:
            projects = self._rows.projects(list(changes.projects))
            found += _put_or_gone("project", changes.projects, projects)
        wanted = {**dict.fromkeys(changes.counted, 0), **changes.topics}
        if changes.returned:  # nothing changed in the topics themselves
            back = [id for one in changes.returned for id in self._rows.view.topics_of(one)]
            wanted = {**dict.fromkeys(back, 0), **wanted}
        if wanted:
            topics = self._rows.topics(list(wanted))
            counts.update({id: row["images"] for id, row in topics.items()})
            found += _put_or_gone("topic", wanted, topics)
        return found

    def _batch_rows(self, changes: Changes, shown: set[str]) -> list[Row]:
        wanted = {
            id: change.rev for id, change in changes.batches.items() if change.topic_id in shown
        }
        changes.restored &= wanted.keys()
        return _put_or_gone("batch", wanted, self._rows.batches(list(wanted))) if wanted else []

    def _generation_rows(self, changes: Changes, shown: set[str]) -> list[Row]:
        wanted = {
            id: change.rev for id, change in changes.generations.items() if change.topic_id in shown
        }
        ids = {**wanted, **dict.fromkeys(changes.judged)}
        rows = self._rows.generations(list(ids)) if ids else {}
        if changes.restored:
            views = self._rows.view.generations_of(sorted(changes.restored))
            rows |= {row["id"]: row for row in self._rows.generation_rows(views)}
        # What was judged, or came back with its batch: there, or not spoken of.
        others = {id: 0 for id, row in rows.items() if row["topic_id"] in shown}
        return _put_or_gone("generation", others | wanted, rows)


def _put_or_gone(entity: str, wanted: dict[str, int], rows: dict[str, Row]) -> list[Row]:
    return [
        put(entity, id, rows[id]["rev"], rows[id]) if id in rows else gone(entity, id, rev)
        for id, rev in wanted.items()
    ]


class Follower:
    """Sends one page its deltas, as long as `run` runs (on the engine's loop).

    Parameters
    ----------
    client:
        The page.
    read:
        Reads the next delta for it, in a thread: (cursor, due, held) -> delta.
    send:
        Sends a delta to it.
    on_trouble:
        Told when the workspace could not be read; it is tried again.
    queue:
        Reads the row of the user's queue, in a thread; None: the page does not show it.
    """

    def __init__(
        self,
        client: Client,
        read: Callable[[str, set[str], set[str]], Awaitable[Delta]],
        send: Callable[[dict[str, Any]], None],
        on_trouble: Callable[[StoreError], None],
        queue: Callable[[], Awaitable[Row]] | None = None,
    ) -> None:
        self._client = client
        self._read = read
        self._send = send
        self._on_trouble = on_trouble
        self._queue = queue
        self._last = float("-inf")  # when the last delta was sent
        self._looked = float("-inf")
        self._told: dict[str, tuple[float, int]] = {}  # topic -> when, how many images

    async def run(self) -> None:
        """Send deltas until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._next_turn()
            if not self._client.following:
                continue
            self._looked = loop.time()
            try:
                await self._turn(self._looked)
            except EngineClosed:
                return
            except StoreError as error:
                self._on_trouble(error)
                await asyncio.sleep(RETRY_S)
                self._client.woken.set()

    async def _next_turn(self) -> None:
        client, loop = self._client, asyncio.get_running_loop()
        due: list[float] = []
        if client.following:
            due += [self._told_at(id) + COUNT_EVERY_S for id in client.late]
            if self._queue is not None and client.place.stale:
                due.append(client.place.due_at)
        try:
            async with asyncio.timeout_at(min(due, default=None)):
                await client.woken.wait()
        except TimeoutError:
            pass  # a number is due, or the place in the queue
        # A look that found nothing for this page costs the next change only a moment.
        at = max(self._last + DELTA_EVERY_S, self._looked + _LOOK_EVERY_S)
        await asyncio.sleep(max(0.0, at - loop.time()))
        client.woken.clear()  # what came meanwhile is read now, too

    async def _turn(self, now: float) -> None:
        client = self._client
        epoch = client.epoch
        due = {id for id in client.late if now - self._told_at(id) >= COUNT_EVERY_S}
        held = {
            id
            for id, (told_at, images) in self._told.items()
            if images >= LARGE_TOPIC and now - told_at < COUNT_EVERY_S
        }
        delta = await self._read(client.read, due, held)
        await self._look_at_place(delta, now)
        if client.epoch != epoch:  # it began anew meanwhile
            client.place.stale = True
            client.woken.set()
            return
        client.late = (client.late - due) | delta.held
        self._told |= {id: (now, images) for id, images in delta.counts.items()}
        client.read = delta.cursor
        if delta.more:
            client.woken.set()
        if delta.rows or delta.reset:
            await self._deliver(delta)

    async def _look_at_place(self, delta: Delta, now: float) -> None:
        """Add the user's place in the queue, if it is another one now.

        It moves with everybody's images, of which the page is told nothing: so it is looked up
        whenever something happened, but only while something of the user waits.
        """
        place = self._client.place
        place.stale = place.stale or delta.moved or place.moving
        if self._queue is None or not place.stale or now < place.due_at:
            return
        place.looked_at, place.stale = now, False
        row = delta.queue or await self._queue()
        if row["ahead"] != place.told and delta.queue is None:
            delta.rows.append(put("queue", "queue", 0, row))

    async def _deliver(self, delta: Delta) -> None:
        client = self._client
        prev, client.sent = client.sent, delta.cursor
        client.in_flight = set(delta.counts)
        if delta.queue is not None:
            client.place.told = delta.queue["ahead"]
        client.waiting = True
        client.answered.clear()
        self._last = asyncio.get_running_loop().time()
        self._send(delta.message(prev))
        try:
            async with asyncio.timeout(ACK_LOST_S):
                await client.answered.wait()
        except TimeoutError:
            if client.waiting:
                client.lost()

    def _told_at(self, topic_id: str) -> float:
        return self._told.get(topic_id, (0.0, 0))[0]
