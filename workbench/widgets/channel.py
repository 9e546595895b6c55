"""One widget's line to its pages: messages come in on any thread, all sends leave from one.

A callback of the kernel may run on the main thread or on any subshell, whose loop may end with it.
So `receive` only looks at a message (see `gate`) and hands it to the engine's loop, where all the
state of a channel lives. What an operation needs to do is done in threads (see `workers`).

Nothing is published while no page lives: a server keeps whatever a sleeping page does not fetch.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import CancelledError
from time import monotonic
from typing import TYPE_CHECKING, Any

from workbench.domain.border import told
from workbench.errors import EngineClosed, InvalidRequest, NotAllowed, StoreError
from workbench.widgets import bundle, turns
from workbench.widgets.client import MOST_ALIVE, Client, Clients
from workbench.widgets.desk_news import DeskNews
from workbench.widgets.failures import DISK_WAIT, FOR_EVERYBODY, failure, internal, refusal
from workbench.widgets.follower import Delta, Follower, Reader
from workbench.widgets.gate import Gate, Refusal, Request
from workbench.widgets.operations.context import Answer, Context
from workbench.widgets.operations.handles import PageFiles
from workbench.widgets.operations.snapshot import snapshot
from workbench.widgets.operations.table import HANDLERS
from workbench.widgets.protocol import PING_EVERY_S, VERSION, Rate
from workbench.widgets.route import Pin
from workbench.widgets.rows import Row
from workbench.widgets.serving import Serving
from workbench.widgets.simple import Shown
from workbench.widgets.visitor import CLOSED, Door
from workbench.widgets.workers import Workers

if TYPE_CHECKING:
    from workbench.widgets.desk import Desk
    from workbench.workspace.workspace import Workspace

SAME_NOTICE_S = 10.0
_PINGS_PER_LOOK = 6  # at the disk: every 4 s
_OVER = {"push": "notice", "message": "", "level": "info"}  # what was told is true no more
UNSEEN_S = 60.0  # what Python said before there was a page is kept so long for it
_END_S = 2.0
_UNTOLD = 3  # pongs of a page that is told nothing; one that asks has its answer sooner

_CLOSED = "This widget or its workspace was closed. Run its cell again."
_OTHER_VERSION = "This page belongs to another version of image-workbench. Load the page again."
_MANY_PAGES = "Too many pages show this widget; close some of them."

_log = logging.getLogger(__name__)

Send = Callable[[dict[str, Any], list[bytes]], object]


class Channel:
    """The messages of one widget. Every method may be called on any thread.

    Parameters
    ----------
    send:
        Sends a custom message to all pages: (content, buffers). Called on the engine's thread.
    workspace:
        Whose rows are shown.
    desk:
        The desk that is shown.
    widget:
        Class name of the widget.
    scopes:
        What its pages need: of models, topics, feed, balance, queue.
    simple:
        Whether it offers the few controls only.
    comm:
        The widget's comm, for its reply route (None: there is none to pin).
    on_full_esm:
        Puts the whole bundle into the widget's model, for a page that could not load it otherwise.
    """

    def __init__(
        self,
        *,
        send: Send,
        workspace: Workspace,
        desk: Desk,
        widget: str,
        scopes: Iterable[str],
        simple: bool = False,
        comm: Any = None,
        on_full_esm: Callable[[], None] | None = None,
    ) -> None:
        self.gate = Gate()
        self.simple = simple
        self._send_out = send
        self._workspace = workspace
        self._desk = desk
        self._widget = widget
        self._scopes = frozenset(scopes)
        self._on_full_esm = on_full_esm
        # The composition root of these rooms is the engine; the widgets share its loop.
        self._engine = workspace._engine
        self._loop = self._engine.loop.loop
        self._workers = Workers.of(self._engine)
        self._door = Door(workspace)
        self._clients = Clients(self._close_files)
        self._reader = Reader(workspace, self._scopes, lambda: desk.topic_id, lambda: self.simple)
        self._serving = Serving(
            HANDLERS, self._workers, self._reply, self._log, self._operation_failed
        )
        self._followers: dict[Client, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._beating: asyncio.Task[None] | None = None
        self._stop_listening: list[Callable[[], None]] = []
        self._desk_news = DeskNews(
            desk, lambda read: self._workers.run("feed", read), self._push, self._shown_desk
        )
        self._unseen: deque[tuple[float, dict[str, Any]]] = deque(maxlen=5)
        self._noticed: dict[str, float] = {}
        self._pings = 0
        self._probes = 0
        self._doubted = False
        self._closing = threading.Lock()
        self._closed = False
        self.pin = Pin(comm, self._on_doubt, self._route_failed)
        # So it is closed before its engine is, while somebody can still send.
        workspace._subscriptions.append(self.close)

    # -- from any thread --------------------------------------------------------------------------

    def receive(self, content: object, buffers: object = ()) -> None:
        """Take a message of a page; returns at once and never raises."""
        # In a callback of the kernel an error would be printed into some cell.
        self._guarded(
            lambda: self._take(content, buffers), "A message of a page could not be taken"
        )

    def _take(self, content: object, buffers: object) -> None:
        if self.pin.arrived():
            self._hand_over(self._route_is_back, None)
        checked = self.gate.check(content, buffers)
        if isinstance(checked, Refusal):
            if checked.tell:
                self._hand_over(self._refuse, checked)
        else:
            self._hand_over(self._accept, checked)

    def notify(self, code: str, message: str, level: str = "error") -> None:
        """Show a sentence on every page (or on the first that comes)."""
        notice = {"push": "notice", "code": code, "message": message, "level": level}
        self._hand_over(self._push_or_keep, notice)

    def open_lightbox(self, generation_id: str) -> None:
        """Ask the pages to show a picture large."""
        self._hand_over(self._push_or_keep, {"push": "open", "generation_id": generation_id})

    def tell_feed(self, action: str) -> None:
        """Ask the pages to read their feed again ("refresh") or further back ("more")."""
        self._hand_over(self._push_if_live, {"push": "feed", "action": action})

    def close(self) -> None:
        """Tell the pages, and stop everything. Safe to call twice."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        # Fails when it is being called from there, or was closed with the list.
        with contextlib.suppress(ValueError):
            self._workspace._subscriptions.remove(self.close)
        if self._engine.loop.is_current():
            self._end()
        else:
            with contextlib.suppress(EngineClosed, CancelledError, TimeoutError):
                self._engine.loop.submit(self._end_there()).result(_END_S)
        self._workers.release()

    @property
    def pages(self) -> int:
        """How many pages live."""
        return len(self._clients.alive())

    def _hand_over(self, work: Callable[[Any], object], argument: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(work, argument)
        except RuntimeError:
            # The engine has ended, and with it the thread that sends. Whoever asks gets to know.
            if isinstance(argument, Request):
                self._say_closed(argument)

    # -- messages, on the loop --------------------------------------------------------------------

    def _accept(self, request: Request) -> None:
        client = self._sender(request)
        if client is None:
            return
        match request.op:
            case "hello":
                self._serving.start(request, self._hello(client, request))
            case "since":
                self._serving.start(request, self._since(client, str(request.args["cursor"])))
            case "ack":
                client.ack(str(request.args["cursor"]))
            case "pong" | "probe":
                self._recall(client)  # but for that, being heard is all
            case "bye":
                self._leave(self._clients.forget(client.name))
            case "abort":
                self._serving.abort(client.name, str(request.args["request"]))
            case "bundle":
                self._serving.start(request, self._bundle(request))
            case "full_esm":
                self._serving.start(request, self._give_esm())
            case _:
                if request.op in ("topic.open", "page"):
                    client.look_at(str(request.args["topic_id"]))
                self._serving.serve(request, lambda: self._context(client, request.buffers))

    def _sender(self, request: Request) -> Client | None:
        """Return the page that asks; None if it may not, which it is told."""
        if self._closed:
            self._say_closed(request)
            return None
        if not self._door.lets_in(request.op):
            self.gate.note("not_allowed")
            self._reply(request.client, request.rid, refusal("not_allowed", CLOSED))
            return None
        client = self._clients.touch(request.client, self._loop.time())
        if client is None:
            self._reply(request.client, request.rid, refusal("busy", _MANY_PAGES))
        return client

    def _recall(self, client: Client) -> None:
        """Let a page that answers pings, but is told nothing, ask what it missed.

        It was given up while it lived, or somebody spoke in its name; as long as there are other
        pages it hears their pings, and would look live. (One that asks already ignores this.)
        """
        if client.following:
            return
        client.untold += 1
        if client.untold >= _UNTOLD and (client.alive or len(self._clients.alive()) < MOST_ALIVE):
            client.untold = 0
            gap = Delta(cursor="?", rows=[], more=False)
            self._push({"push": "delta", **gap.message("?")}, client.name)

    def _context(self, client: Client, buffers: tuple[bytes, ...] = ()) -> Context:
        return Context(
            workspace=self._workspace,
            desk=self._desk,
            widget=self._widget,
            simple=self.simple,
            client=client.name,
            buffers=buffers,
            files=client.files,
            desk_order=client.desk_order,
        )

    async def _hello(self, client: Client, request: Request) -> Answer:
        if request.args["version"] != VERSION:
            raise InvalidRequest("version", _OTHER_VERSION)
        if self._door.asks:
            await self._admit(request.args.get("token"))
        client.hold()
        epoch = client.epoch
        self._wake(client)
        data = await self._workers.run("read", snapshot, self._context(client), self._scopes)
        if "queue" in self._scopes:
            client.place.told = data["queue"]["ahead"]
        # Follows when the answer has left, which is as soon as this coroutine has returned.
        self._loop.call_soon(self._follow, client, epoch, data["cursor"], data["desk_rev"])
        return Answer(data)

    async def _admit(self, token: object) -> None:
        try:
            await self._workers.run("read", self._door.admit, token)
        except NotAllowed:
            self.gate.note("not_allowed")
            raise

    async def _since(self, client: Client, cursor: str) -> Answer:
        """Tell a page what it missed, all at once if that is not too much."""
        client.hold()
        epoch = client.epoch
        came_back = not client.alive
        self._wake(client)
        late = set(client.late)
        try:
            delta = await self._read(client, cursor, late, set())
        except StoreError:
            if client.epoch == epoch and client.acked:
                self._follow(client, epoch, client.acked)
            raise
        if not delta.reset:  # else it says hello
            client.late -= late
            self._loop.call_soon(self._follow, client, epoch, delta.cursor)
        if came_back:
            self._tell_desk(None, None)  # it may have missed that, too
        return Answer(delta.message(cursor))

    def _wake(self, client: Client) -> None:
        if not self._clients.wake(client):
            raise NotAllowed(_MANY_PAGES)
        self._go_live()

    def _follow(self, client: Client, epoch: int, cursor: str, desk_rev: int | None = None) -> None:
        if client.epoch != epoch or not client.alive or self._closed:
            return
        client.start(cursor)
        if desk_rev not in (None, self._desk.rev):
            self._tell_desk(None, None)  # it changed while the greeting was written
        if client not in self._followers:
            follower = Follower(
                client,
                lambda since, due, held: self._read(client, since, due, held),
                lambda message: self._push({"push": "delta", **message}, client.name),
                self._feed_unreadable,
                self._read_queue if "queue" in self._scopes else None,
            )
            self._followers[client] = self._spawn(follower.run())
        while self._unseen:
            said_at, push = self._unseen.popleft()
            if monotonic() - said_at < UNSEEN_S:
                self._push(push)

    async def _read(self, client: Client, since: str, due: set[str], held: set[str]) -> Delta:
        delta = await self._workers.run(
            "feed", self._reader.read, since, lambda: client.topics, due, held
        )
        if delta.waits_for_disk:
            self._tell_everybody(refusal("disk_full", DISK_WAIT), None)
        return delta

    async def _read_queue(self) -> Row:
        return await self._workers.run("feed", self._reader.queue)

    async def _bundle(self, request: Request) -> Answer:
        name = request.args.get("part")
        if name is None:
            source = await self._workers.run("read", bundle.esm)
            return Answer({"hash": bundle.hash()}, (source.encode(),))
        packed = await self._workers.run("read", bundle.part, name, request.args["hash"])
        return Answer({"hash": bundle.hash(), "part": name}, (packed,))

    async def _give_esm(self) -> Answer:
        if self._on_full_esm is None:
            raise NotAllowed("This widget carries its whole front end already.")
        self._on_full_esm()
        return Answer()

    # -- life, on the loop ------------------------------------------------------------------------

    def _go_live(self) -> None:
        if self._beating is None or self._beating.done():
            self._stop_listening = [
                self._engine.subscribe(self._feed_moved),
                self._desk.subscribe(self._desk_changed),
                turns.shorten(),
            ]
            self._beating = self._spawn(self._beat())

    async def _beat(self) -> None:
        """Ping the pages until none answers any more."""
        try:
            while True:
                for client in self._clients.sleep_silent(self._loop.time()):
                    self._leave(client)
                if not self._clients.alive():
                    return
                self._pings += 1
                now = self._engine.clock.now_ms()
                self._push({"push": "ping", "n": self._pings, "at": now})
                if self._pings % _PINGS_PER_LOOK == 1:
                    self._spawn(self._tell_disk())
                await asyncio.sleep(PING_EVERY_S)
        finally:
            self._listen_no_more()

    async def _tell_disk(self) -> None:
        """Say that the disk is full for as long as it is.

        Rows cannot say it: nothing can be written then.
        """
        try:
            full = await self._workers.run("read", self._engine.disk_is_full)
        except OSError:
            return  # the folder is away, which whatever needs it tells
        if full:
            self._tell_everybody(refusal("disk_full", DISK_WAIT), None)
        elif "disk_full" in self._noticed:
            del self._noticed["disk_full"]
            for client in self._clients.alive():
                self._push({**_OVER, "code": "disk_full"}, client.name)

    def _leave(self, client: Client | None) -> None:
        if client is not None and (follower := self._followers.pop(client, None)) is not None:
            follower.cancel()

    def _listen_no_more(self) -> None:
        while self._stop_listening:
            self._stop_listening.pop()()

    async def _end_there(self) -> None:
        self._end()

    def _end(self) -> None:
        if self._clients.alive():
            self._push({"push": "closed"})
        self._clients.clear()
        self._listen_no_more()
        self._followers.clear()
        self._serving.close()
        for task in self._tasks:
            task.cancel()
        self.pin.undo()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            trace = "".join(traceback.format_exception(error))
            self._log(f"A widget's channel failed: {told(error)}", trace)

    def _close_files(self, files: PageFiles) -> None:
        self._workers.start("pictures", files.close)

    # -- what happens elsewhere -------------------------------------------------------------------

    def _feed_moved(self) -> None:
        for client in self._clients.alive():
            client.woken.set()

    def _feed_unreadable(self, error: StoreError) -> None:
        self._tell_everybody(failure(error), None)

    def _operation_failed(self, error: dict[str, Any], client: str) -> None:
        if error["code"] in FOR_EVERYBODY:
            self._tell_everybody(error, client)

    def _tell_everybody(self, error: dict[str, Any], but: str | None) -> None:
        """Show an error on all pages but the one that gets it as its answer; not too often."""
        code, now = error["code"], self._loop.time()
        if now - self._noticed.get(code, float("-inf")) < SAME_NOTICE_S:
            return
        self._noticed[code] = now
        notice = {"push": "notice", "code": code, "message": error["message"], "level": "error"}
        for client in self._clients.alive():
            if client.name != but:
                self._push(notice, client.name)

    def _desk_changed(self, _rev: int, from_client: str | None, from_n: int | None) -> None:
        with contextlib.suppress(RuntimeError):  # the engine has ended
            self._loop.call_soon_threadsafe(self._tell_desk, from_client, from_n)

    def _tell_desk(self, from_client: str | None, from_n: int | None) -> None:
        self._desk_news.add(from_client, from_n)
        if not self._desk_news.running and self._clients.alive() and not self._closed:
            self._spawn(self._push_desk())

    def _shown_desk(self, desk: dict[str, Any]) -> dict[str, Any]:
        return Shown(self._workspace, simple=self.simple).desk(desk)

    async def _push_desk(self) -> None:
        try:
            await self._desk_news.run()
        except StoreError as error:
            self._feed_unreadable(error)

    # -- the reply route --------------------------------------------------------------------------

    def _on_doubt(self) -> None:
        if not self._doubted:
            self._doubted = True
            self._hand_over(self._begin_proof, None)

    def _begin_proof(self, _: None) -> None:
        self._spawn(self._prove_route())

    async def _prove_route(self) -> None:
        if not await self.pin.prove(self._probe):
            self._probe()  # publishing tells the kernel where to send what comes next
            self._log(
                "Messages of pages did not arrive on a thread of their own; while a cell runs, "
                "widgets may now have to wait for it.",
                "",
                "warning",
            )

    def _route_is_back(self, _: None) -> None:
        self._log(
            "Messages of pages do arrive on a thread of their own: they were late.", "", "info"
        )

    def _probe(self) -> None:
        self._probes += 1
        self._push({"push": "probe", "n": self._probes})

    # -- sending, on the loop ---------------------------------------------------------------------

    def _push_if_live(self, push: dict[str, Any]) -> bool:
        live = any(client.following for client in self._clients.alive())
        if live:
            self._push(push)
        return live

    def _push_or_keep(self, push: dict[str, Any]) -> None:
        if not self._push_if_live(push):
            self._unseen.append((monotonic(), push))

    def _push(self, push: dict[str, Any], to: str | None = None) -> None:
        self._send({**push, "to": to}, ())

    def _reply(self, to: str, rid: str, answer: Answer | dict[str, Any]) -> None:
        if isinstance(answer, Answer):
            content = {"rid": rid, "to": to, "ok": True, "data": answer.data}
            if self._send(content, answer.buffers):
                return
            answer = internal()
        self._send({"rid": rid, "to": to, "ok": False, "error": answer}, ())

    def _refuse(self, refused: Refusal) -> None:
        if refused.rid is not None and refused.client is not None:
            self._reply(refused.client, refused.rid, refused.error)

    def _say_closed(self, request: Request) -> None:
        if request.rate is not Rate.BEAT:
            self._reply(request.client, request.rid, refusal("closed", _CLOSED))

    def _send(self, content: dict[str, Any], buffers: Sequence[bytes]) -> bool:
        # Whatever the host's transport raises, the channel goes on.
        return self._guarded(
            lambda: self._send_out(content, list(buffers)), "A message to a page could not be sent"
        )

    def _guarded(self, work: Callable[[], object], failed: str) -> bool:
        """Do something; False if it failed, which is in the event log then."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - border "comm handler": into the event log
            self._log(f"{failed}: {error!r}", "".join(traceback.format_exception(error)))
            return False
        return True

    def _route_failed(self, error: Exception) -> None:
        self._log(
            "Messages of pages go the way of the host again; while a cell runs, widgets may have "
            f"to wait for it: {error!r}",
            "".join(traceback.format_exception(error)),
            "warning",
        )

    def _log(self, text: str, trace: str, level: str = "error") -> None:
        try:
            self._engine.store.log(
                level, "callback", text, data={"traceback": trace}, owner=self._door.owner
            )
        except StoreError:
            _log.warning("%s\n%s", text, trace)  # closing: there is no other place left
