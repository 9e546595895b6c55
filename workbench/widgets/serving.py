"""Requests of pages while they are worked on: clicks one after the other, looks side by side.

Everything here belongs to the engine's loop; the work itself is done in threads (see `workers`).
"""

from __future__ import annotations

import asyncio
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from workbench.domain.border import told
from workbench.errors import WorkbenchError
from workbench.widgets.failures import failure, internal, refusal
from workbench.widgets.gate import Request
from workbench.widgets.operations.context import Answer, Context
from workbench.widgets.protocol import Rate
from workbench.widgets.workers import Workers

MOST_RUNNING = 100  # looks of one widget, waiting ones included
MOST_QUEUED = 200  # clicks that wait their turn
REMEMBERED = 256  # answers to clicks, for a page that asks again

# They take long, or come in crowds: elsewhere than what a person waits for.
PICTURES = ("thumbs", "previews", "file.", "upload.")

Handler = Callable[[Context, dict[str, Any]], Answer]
# To whom (client), request id, the answer or the error.
Reply = Callable[[str, str, Answer | dict[str, Any]], None]
Key = tuple[str, str]


class Serving:
    """Runs the requests of one widget's pages and answers each of them once.

    Parameters
    ----------
    handlers:
        Operation -> function.
    workers:
        Threads to run them in.
    reply:
        Sends an answer (on the loop).
    log:
        Writes what should not have happened to the event log: (text, traceback).
    on_failure:
        Told of each error that was raised on purpose: (error, client).
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        workers: Workers,
        reply: Reply,
        log: Callable[[str, str], None],
        on_failure: Callable[[dict[str, Any], str], None],
    ) -> None:
        self._handlers = handlers
        self._workers = workers
        self._reply = reply
        self._log = log
        self._on_failure = on_failure
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._queue: deque[tuple[Request, Callable[[], Context]]] = deque()
        self._in_turn: asyncio.Task[None] | None = None
        self._answers: OrderedDict[Key, Answer | dict[str, Any] | None] = OrderedDict()

    def serve(self, request: Request, context: Callable[[], Context]) -> None:
        """Begin to work on a request, or queue it.

        Parameters
        ----------
        request:
            From the gate.
        context:
            Makes the context when its turn has come.
        """
        if request.rate is Rate.ACT and not self._is_new(request):
            return
        if request.rate is Rate.ACT and not request.op.startswith(PICTURES):
            self._enqueue(request, context)
        else:
            pool = "pictures" if request.op.startswith(PICTURES) else "read"
            self.start(request, self._work(pool, request, context))

    def start(self, request: Request, work: Coroutine[Any, Any, Answer]) -> None:
        """Run `work` side by side with the others and answer with what it returns."""
        key = (request.client, request.rid)
        if key in self._running or len(self._running) >= MOST_RUNNING:
            work.close()
            if key not in self._running:
                self._answer(request, refusal("busy", "Too much at once; try again in a moment."))
            return
        task = asyncio.get_running_loop().create_task(self._answered(request, work))
        self._running[key] = task
        task.add_done_callback(lambda _: self._ended(key, work))

    def _ended(self, key: Key, work: Coroutine[Any, Any, Answer]) -> None:
        self._running.pop(key, None)
        work.close()  # of a task that was cancelled before its first step nobody else does

    def abort(self, client: str, rid: str) -> None:
        """Answer a look no more, and do not begin it if it waits. Clicks are not taken back."""
        if (task := self._running.get((client, rid))) and (client, rid) not in self._answers:
            task.cancel()

    def close(self) -> list[asyncio.Task[None]]:
        """Stop; what a thread is doing right now is finished there. Returns the tasks that end."""
        tasks = [*self._running.values(), *([self._in_turn] if self._in_turn else [])]
        for task in tasks:
            task.cancel()
        self._queue.clear()
        self._answers.clear()
        return tasks

    # -- clicks -----------------------------------------------------------------------------------

    def _is_new(self, request: Request) -> bool:
        """Tell whether a click is no repetition; a repeated one gets the answer of the first."""
        key = (request.client, request.rid)
        if key in self._answers:
            if (answer := self._answers[key]) is not None:
                self._reply(request.client, request.rid, answer)
            return False
        self._answers[key] = None  # under way
        while len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        return True

    def _enqueue(self, request: Request, context: Callable[[], Context]) -> None:
        if len(self._queue) >= MOST_QUEUED:
            self._answer(request, refusal("busy", "Too much at once; try again in a moment."))
            return
        self._queue.append((request, context))
        if self._in_turn is None or self._in_turn.done():
            self._in_turn = asyncio.get_running_loop().create_task(self._work_off())

    async def _work_off(self) -> None:
        while self._queue:
            request, context = self._queue.popleft()
            await self._answered(request, self._work("act", request, context))

    # -- both -------------------------------------------------------------------------------------

    async def _work(self, pool: str, request: Request, context: Callable[[], Context]) -> Answer:
        handler = self._handlers[request.op]
        return await self._workers.run(pool, handler, context(), dict(request.args))

    async def _answered(self, request: Request, work: Coroutine[Any, Any, Answer]) -> None:
        answer: Answer | dict[str, Any]
        try:
            answer = await work
        except asyncio.CancelledError:
            raise
        except WorkbenchError as error:
            answer = failure(error)
            if answer["code"] == "internal":
                self._note(request, error)
            self._on_failure(answer, request.client)
        except Exception as error:  # noqa: BLE001 - border "comm handler": an answer, and into the event log
            self._note(request, error)
            answer = internal()
        self._answer(request, answer)

    def _answer(self, request: Request, answer: Answer | dict[str, Any]) -> None:
        key = (request.client, request.rid)
        if key in self._answers:
            self._answers[key] = answer
        self._reply(request.client, request.rid, answer)

    def _note(self, request: Request, error: BaseException) -> None:
        text = f"{request.op} of a page failed: {told(error)}"
        self._log(text, "".join(traceback.format_exception(error)))
