"""The pages that show a widget: who lives, what each looks at, and how far it has read the feed.

All of this belongs to the engine's loop.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from workbench.widgets.operations.desk_order import DeskOrder
from workbench.widgets.operations.handles import PageFiles
from workbench.widgets.protocol import CLIENT_GONE_S

PLACE_EVERY_S = 1.0  # a page is told its user's place in the queue at most so often
MOST_PAGES = 24  # of one widget; somebody who makes up names gets no further
MOST_ALIVE = 12
_TOPICS = 4  # that a page opened last


_UNTOLD = -1


@dataclass(slots=True)
class Place:
    """What one page knows of its user's place in the queue (None: nothing of the user waits).

    Attributes
    ----------
    told:
        The last place that it was told.
    looked_at:
        When it was looked up last (seconds of the loop).
    stale:
        Whether it may be another one now.
    """

    told: int | None = _UNTOLD
    looked_at: float = float("-inf")
    stale: bool = True

    @property
    def moving(self) -> bool:
        """Whether whatever happens to anybody's images may change it."""
        return self.told is not None

    @property
    def due_at(self) -> float:
        """When it may be looked up again."""
        return self.looked_at + PLACE_EVERY_S

    def forget(self) -> None:
        """Tell it again: what was on its way may not have arrived."""
        self.told = _UNTOLD
        self.stale = True


@dataclass(slots=True, eq=False)
class Client:
    """One page. It lives while it answers pings; asleep it can come back and ask what it missed.

    Attributes
    ----------
    name:
        Its random name.
    seen:
        When it said something last (seconds of the loop).
    alive:
        Whether it is sent anything unasked.
    following:
        Whether it is sent deltas: from the answer to `hello` or `since` on.
    acked:
        Cursor that the page is known to have.
    sent:
        Cursor that the page has once it applied what is on its way; ``sent != acked`` or a set
        `waiting` mean that a delta is.
    read:
        Up to where the feed was read; beyond `sent` there was nothing for the page.
    epoch:
        Grows when the page starts anew from another cursor; what was being read before is void.
    untold:
        Pings that it answered while it is sent no deltas.
    late:
        Topics whose number of images changed and was not told yet.
    in_flight:
        Topics whose number is told by the delta that is on its way.
    topics:
        The ones it opened last.
    files:
        Its downloads and uploads.
    desk_order:
        The order of its changes of the desk.
    woken:
        Set when there may be something new for it.
    answered:
        Set when the delta on its way needs no more waiting for.
    place:
        What it knows of its user's place in the queue.
    """

    name: str
    seen: float
    alive: bool = False
    following: bool = False
    acked: str = ""
    sent: str = ""
    read: str = ""
    epoch: int = 0
    waiting: bool = False
    untold: int = 0
    late: set[str] = field(default_factory=set)
    in_flight: set[str] = field(default_factory=set)
    topics: tuple[str, ...] = ()  # replaced whole: threads read it
    files: PageFiles = field(default_factory=PageFiles)
    desk_order: DeskOrder = field(default_factory=DeskOrder)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    place: Place = field(default_factory=Place)

    def look_at(self, topic_id: str) -> None:
        """Note that the page shows a topic (also one that is not the desk's)."""
        others = (id for id in self.topics if id != topic_id)
        self.topics = (topic_id, *others)[:_TOPICS]

    def hold(self) -> None:
        """Send no delta until `start`: the page reads everything, or asks what it missed."""
        self.epoch += 1
        self.following = False
        if self.waiting:
            self.place.forget()
        self.waiting = False
        self.answered.set()

    def start(self, cursor: str) -> None:
        """Follow the feed from here: the page has everything up to `cursor`."""
        self.epoch += 1
        self.acked = self.sent = self.read = cursor
        self.waiting = False
        self.untold = 0
        self.in_flight.clear()
        self.following = True
        self.answered.set()
        self.woken.set()

    def ack(self, cursor: str) -> None:
        """Note that the page has applied the delta that ends at `cursor`."""
        if self.waiting and cursor == self.sent:
            self.acked = cursor
            self.waiting = False
            self.in_flight.clear()
            self.answered.set()

    def lost(self) -> None:
        """Go back to what the page is known to have: the delta or its acknowledgement got lost."""
        self.sent = self.read = self.acked
        self.late |= self.in_flight
        self.in_flight.clear()
        self.place.forget()
        self.waiting = False
        self.woken.set()


class Clients:
    """All pages of one widget, the ones that sleep included.

    Parameters
    ----------
    close_files:
        Closes what a page had open (not on the loop: that may wait for a disk).
    """

    def __init__(self, close_files: Callable[[PageFiles], None]) -> None:
        self._close_files = close_files
        self._known: OrderedDict[str, Client] = OrderedDict()  # least recently seen first

    def get(self, name: str) -> Client | None:
        """Return a page that has said something before."""
        return self._known.get(name)

    def touch(self, name: str, now: float) -> Client | None:
        """Note that a page said something; None if there are too many already."""
        client = self._known.get(name)
        if client is None:
            if not self._make_room():
                return None
            client = self._known[name] = Client(name, now)
        client.seen = now
        self._known.move_to_end(name)
        return client

    def wake(self, client: Client) -> bool:
        """Let a page live; False if too many do, or if it was forgotten meanwhile."""
        if self._known.get(client.name) is not client:
            return False
        if not client.alive and len(self.alive()) >= MOST_ALIVE:
            return False
        client.alive = True
        return True

    def alive(self) -> list[Client]:
        """Return the pages that live. Any thread may ask."""
        return [client for client in list(self._known.values()) if client.alive]

    def sleep_silent(self, now: float) -> list[Client]:
        """Let those sleep that said nothing for too long; what they had open is closed."""
        silent = [client for client in self._known.values() if now - client.seen >= CLIENT_GONE_S]
        gone = [client for client in silent if client.alive]
        for client in silent:
            self._put_to_sleep(client)
        return gone

    def forget(self, name: str) -> Client | None:
        """Forget a page that said goodbye."""
        client = self._known.pop(name, None)
        if client is not None:
            self._put_to_sleep(client)
        return client

    def clear(self) -> list[Client]:
        """Forget all; returns them."""
        left = list(self._known.values())
        self._known.clear()
        for client in left:
            self._put_to_sleep(client)
        return left

    def _make_room(self) -> bool:
        if len(self._known) < MOST_PAGES:
            return True
        asleep = next((client for client in self._known.values() if not client.alive), None)
        if asleep is None:
            return False
        self.forget(asleep.name)
        return True

    def _put_to_sleep(self, client: Client) -> None:
        client.alive = False
        client.hold()
        if len(client.files):
            self._close_files(client.files)
            client.files = PageFiles()  # it may come back
