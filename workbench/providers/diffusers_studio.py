"""The thread that pipelines run in: orders go in, events come out, and it never holds up a loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from workbench.domain.border import told
from workbench.domain.handover import Handover
from workbench.domain.jobs import JobEvent

THREAD_NAME = "workbench-diffusers"


class Interrupted(BaseException):
    """Nobody wants the result any more. No library's ``except Exception`` may keep it."""


class End:
    """The last thing that an order tells."""


News = JobEvent | End | Exception


class Order:
    """One piece of work for the thread, and the way back to the loop that asked for it.

    Made on the loop; `tell` and `check` are for the thread, `news` and `stop` for the loop.

    Parameters
    ----------
    work:
        Is called with the order in the thread. What it raises goes to who reads the news.
    """

    def __init__(self, work: Callable[[Order], None]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[News] = asyncio.Queue()
        self._stopped = threading.Event()

    async def news(self) -> News:
        """Wait for what comes next."""
        return await self._news.get()

    def stop(self) -> None:
        """Have the work end at its next `check`."""
        self._stopped.set()

    def check(self) -> None:
        """Raise Interrupted if nobody wants the result any more. Cheap: it is called often."""
        if self._stopped.is_set():
            raise Interrupted

    def tell(self, news: News) -> None:
        """Send something to the loop."""
        try:
            self._loop.call_soon_threadsafe(self._news.put_nowait, news)
        except RuntimeError:  # the loop is gone, and with it everybody who would hear
            self._stopped.set()

    def run(self) -> None:
        """Do the work, in the thread."""
        ended: Future[None] = Future()
        Handover(self._checked).settle(ended)
        error = ended.exception()
        if error is None or isinstance(error, Interrupted):
            self.tell(End())
        else:  # an interrupt would end the loop
            self.tell(error if isinstance(error, Exception) else RuntimeError(told(error)))

    def _checked(self) -> None:
        self.check()
        self._work(self)


class Worker(Protocol):
    """What the thread works with."""

    def free(self) -> None:
        """Give all memory back; called in the thread when it ends."""


class Studio:
    """One daemon thread that works on one order at a time and starts with the first.

    A daemon, since a step may take minutes and a program must be able to end. The interpreter is
    not to end while libraries run native code in it, if that can be helped (pytorch issues 38228
    and 117762: it may crash then); so `close` stops the work and waits a while.

    Parameters
    ----------
    worker:
        Is told to give its memory back at the end.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._lock = threading.Lock()
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._current: Order | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def is_busy(self) -> bool:
        """Whether an order is being worked on (perhaps one that was stopped and has not ended)."""
        return self._current is not None

    def take(self, order: Order) -> None:
        """Have the thread work on an order after those that it has."""
        with self._lock:
            if self._closed:
                order.tell(End())
                return
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
                self._thread.start()
            self._orders.put(order)

    async def close(self, patience_s: float) -> bool:
        """Stop the work at its next step; tell whether the thread ended in time."""
        with self._lock:
            self._closed = True
            thread, current = self._thread, self._current
        if thread is None:
            return True
        if current is not None:
            current.stop()
        self._orders.put(None)
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        # Asked for again and again: only a thread that is gone altogether is safe to leave.
        while thread.is_alive() and loop.time() < until:  # noqa: ASYNC110 - no event says that
            await asyncio.sleep(0.01)
        return not thread.is_alive()

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            with self._lock:
                self._current = order
                if self._closed:
                    order.stop()
            order.run()
            with self._lock:
                self._current = None
            del order  # it holds pictures, and the thread may wait for days
        self._worker.free()
