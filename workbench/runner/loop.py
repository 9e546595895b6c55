"""The engine's thread: one daemon thread with its own asyncio loop."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from workbench.errors import EngineClosed

T = TypeVar("T")
THREAD_NAME = "workbench-engine"

_log = logging.getLogger(__name__)


class EngineLoop:
    """A daemon thread with an asyncio loop that owns the jobs of this process.

    Daemon, because a script that forgets to close its workspace must still end: what is durable
    does not depend on a clean end.

    Parameters
    ----------
    on_exception:
        called on the loop with a text and the exception when something on the loop
        failed and nobody waits for it; by default it goes to `logging`.
    """

    def __init__(
        self, *, on_exception: Callable[[str, BaseException | None], None] | None = None
    ) -> None:
        self._on_exception = on_exception or _log_exception
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop.

        Raises
        ------
        EngineClosed
            it was not started, was stopped, or this is a forked child.
        """
        if self._loop is None or self._pid != os.getpid():
            raise EngineClosed("The workspace is closed; open it again with workbench.open().")
        return self._loop

    def start(self) -> None:
        """Start the thread; returns when the loop runs. Safe to call twice."""
        if self._thread is not None:
            return
        self._pid = os.getpid()
        running = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._handle)
        self._loop.call_soon(running.set)
        self._thread = threading.Thread(
            target=self._run, args=(self._loop,), name=THREAD_NAME, daemon=True
        )
        self._thread.start()
        running.wait()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run `coroutine` on the loop; any thread may call this and wait for the result.

        Raises
        ------
        EngineClosed
            the loop does not run.
        """
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except (EngineClosed, RuntimeError) as error:
            coroutine.close()
            if isinstance(error, EngineClosed):
                raise
            raise EngineClosed("The workspace was closed meanwhile.") from error

    def is_current(self) -> bool:
        """Tell whether the caller runs on the engine thread (and so must not wait for it)."""
        return self._thread is threading.current_thread()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End what still runs on the loop, stop it and join the thread. Safe to call twice.

        Raises
        ------
        RuntimeError
            called on the engine thread itself.
        """
        if self.is_current():
            raise RuntimeError("EngineLoop.stop() must not be called on the engine thread.")
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is None or thread is None or self._pid != os.getpid():
            return
        loop.call_soon_threadsafe(lambda: loop.create_task(_wind_up(loop, timeout_s)))
        thread.join(timeout_s + 1.0)
        if thread.is_alive():
            # Something blocks the loop. It is a daemon thread: leaving it is all that can be done.
            _log.error("the engine thread did not end within %.0f s", timeout_s)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            while not self._has_run(loop):
                pass
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    def _has_run(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Run the loop until it is stopped; False if a task called exit(), which ends nothing."""
        try:
            loop.run_forever()
        except SystemExit as error:  # the loop lets it through, and can go on
            self._on_exception("a task wanted to end the program", error)
            return False
        return True

    def _handle(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._on_exception(str(context.get("message", "")), context.get("exception"))


async def _wind_up(loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
    own = asyncio.current_task()
    try:
        tasks = [task for task in asyncio.all_tasks(loop) if task is not own]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        await loop.shutdown_asyncgens()
        # Providers may have used asyncio.to_thread.
        await loop.shutdown_default_executor()
    finally:
        loop.stop()


def _log_exception(text: str, exception: BaseException | None) -> None:
    _log.error("on the engine loop: %s", text, exc_info=exception)
