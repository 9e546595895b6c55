"""One engine per process and workspace: the only place where the rooms are put together.

An engine owns the store (with its writer thread), the media folder, the loop thread, the hub that
follows the change feed, and, if anybody wants jobs run here, the runner. Workspaces that are opened
with the same location share it; it is closed with the last of them.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any, TypeVar

from workbench.domain.border import asked, told
from workbench.domain.handover import Handover
from workbench.domain.ids import new_id
from workbench.domain.records import Json
from workbench.errors import EngineClosed, WorkbenchError, WrongThread
from workbench.media import Limits, Media
from workbench.ports import Clock, Provider, RunnerInfo
from workbench.runner.executor import LocalExecutor
from workbench.runner.hub import Hub
from workbench.runner.loop import EngineLoop
from workbench.runner.runner import Runner
from workbench.runner.settings import RunnerSettings
from workbench.store.bell import Bell
from workbench.store.liveness import OwnerLock, is_alive
from workbench.store.sqlite.connect import translate_os
from workbench.store.sqlite.store import SqliteStore
from workbench.workspace.clock import SystemClock
from workbench.workspace.dispatch import Dispatcher
from workbench.workspace.location import host_name
from workbench.workspace.plugins import ProviderRegistry, trace_of
from workbench.workspace.settings import load_settings

T = TypeVar("T")

_HOUSEKEEPING_S = 6 * 3600.0
_DAY_MS = 86_400_000
_OLD_TEMP_S = 3600.0
_PLUGIN_CLOSE_S = 5.0
_LAST_CLOSE_S = 10.0  # at the end of the program, for a closing that was under way
_REMOVED_AT_ONCE = 20  # files under one hold of the write lock
_MOST_BUGS = 100  # different ones in the event log, for each engine

_log = logging.getLogger(__name__)

_engines: dict[Path, Engine] = {}
_engines_lock = threading.RLock()
_closing: list[Engine] = []
_forked: list[object] = []  # engines of a parent process: kept, so that nothing finalises them


class _Liveness:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_alive(self, runner_id: str) -> bool:
        return is_alive(self._folder, runner_id)


class Engine:
    """Everything that one process needs for one workspace. Use `acquire`, not the constructor."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.clock = clock
        self.closed = False
        self.dead = False  # this is a forked child's copy
        self.id = new_id()
        self._handles = 0
        self._shut_down: Future[None] = Future()
        self._bugs: set[str] = set()  # that were told of
        self._runner: Runner | None = None
        self.settings = load_settings(folder)
        with contextlib.ExitStack() as undo:  # an error or Ctrl-C half-way leaves nothing open
            self.store = SqliteStore(folder, clock=clock)
            undo.callback(self.store.close)
            self._owner_lock = OwnerLock(folder, self.id)
            undo.callback(self._owner_lock.release)
            try:
                self._owner_lock.acquire()
                _keep_out_of_git(folder)
            except OSError as error:
                raise translate_os(error, folder) from error
            self.media = Media(
                folder,
                Limits(
                    max_bytes=self.settings.media_max_bytes,
                    max_pixels=self.settings.media_max_pixels,
                ),
            )
            self.registry = ProviderRegistry(self.store.prices)
            self.registry.load(self.settings.servers)
            self.executor = LocalExecutor(threads=self.settings.runner_work_threads)
            self.loop = EngineLoop(on_exception=self._note_bug)
            self.loop.start()
            undo.callback(self.loop.stop)
            self._bell = Bell(
                self.store.database.runtime_dir, self.id, is_alive=lambda id: is_alive(folder, id)
            )
            undo.callback(self._bell.close)
            self.hub = Hub(
                self.loop, data_version=self.store.database.data_version, doorbell=self._bell
            )
            self.hub.start()
            undo.callback(self.hub.stop)
            self._unsubscribe = self.store.on_commit(self.hub.notify)
            self.dispatcher = Dispatcher(self)
            for plugin in self.registry.broken:
                data: Json = {"traceback": plugin.traceback}
                # Waited for: whoever looks next finds it.
                self.store.log("error", "plugin", plugin.message, data=data).result()
            undo.pop_all()

    # -- life -------------------------------------------------------------------------------------

    @classmethod
    def acquire(cls, folder: Path, *, run_jobs: bool, clock: Clock | None = None) -> Engine:
        """Return this process's engine for `folder`, opening it if needed; counts one more user."""
        with _engines_lock:
            engine = _engines.get(folder)
            if engine is None or engine.closed:
                engine = cls(folder, clock or SystemClock())
                _engines[folder] = engine
            engine._handles += 1
            with contextlib.ExitStack() as undo:
                undo.callback(engine.release, wait=False)
                if run_jobs:
                    engine._start_runner()
                undo.pop_all()
            return engine

    def release(self, *, wait: bool) -> None:
        """Count one user less; with the last one the engine closes."""
        with _engines_lock:
            self._handles -= 1
            if self._handles > 0 or self.closed:
                return
        self.close(wait=wait)

    def close(self, *, wait: bool) -> None:
        """Stop everything in order. `wait`: finish queued and running jobs first."""
        if self.dead:
            return
        with _engines_lock:
            if self.closed:
                return
            # From now on whoever opens the folder gets an engine of its own.
            self.closed = True
            if _engines.get(self.folder) is self:
                del _engines[self.folder]
            _closing.append(self)
        # In a thread: Ctrl-C ends the waiting for it, and not the closing. A daemon: a program
        # whose user lost patience with it must still end (see `_close_all`).
        name = "workbench-closing"
        threading.Thread(target=self._shut, args=(wait,), name=name, daemon=True).start()
        self._shut_down.result()  # an interrupted join() would take the thread for ended

    def _shut(self, wait: bool) -> None:
        Handover(lambda: self._stop_all(wait)).settle(self._shut_down)
        _closing.remove(self)

    def _stop_all(self, wait: bool) -> None:
        if self._runner is not None:
            self._run(self._runner.stop(wait=wait))
            self._runner = None
        self.dispatcher.stop()
        self._unsubscribe()
        for provider in self.registry.providers.values():
            self._close_provider(provider)
        self.hub.stop()
        self.store.close()
        self._bell.close()
        self.loop.stop()
        self.executor.close()
        self._owner_lock.release()

    def _close_provider(self, provider: Provider) -> None:
        # One that cannot close must not keep the workspace open.
        def failed(error: Exception) -> None:
            text = f"The provider {provider.name!r} could not be closed: {error!r}"
            self.store.log("error", "plugin", text, data={"traceback": trace_of(error)})

        asked(lambda: self._run(provider.close(), _PLUGIN_CLOSE_S), failed)

    def _note_bug(self, text: str, error: BaseException | None) -> None:
        """Write into the event log what failed on the loop, where nobody waits for it.

        Once: what fails with each turn of the loop would fill the log.
        """
        said = text if error is None else f"{text}: {told(error)}"
        if said in self._bugs or len(self._bugs) >= _MOST_BUGS:
            _log.error("again, on the engine loop: %s", said)
            return
        self._bugs.add(said)
        trace = "" if error is None else trace_of(error)
        line = f"On the engine's loop failed what nobody waits for. {said}"

        def noted(done: Future[None]) -> None:
            if done.exception() is not None:  # the store was closed first
                _log.error("on the engine loop: %s\n%s", said, trace)

        self.store.log("error", "runner", line, data={"traceback": trace}).add_done_callback(noted)

    def run_behind(self, title: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` on the loop, where nobody waits for it; a bug in it is in the event log.

        Parameters
        ----------
        title:
            What is done, at the beginning of a sentence.
        work:
            Deals itself with what may go wrong.

        Raises
        ------
        EngineClosed
            The loop does not run.
        """

        def look(done: Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            if error is not None and not isinstance(error, EngineClosed):
                self._note_bug(f"{title} failed", error)

        self.loop.submit(work).add_done_callback(look)

    def disk_is_full(self) -> bool:
        """Whether there is too little space for one more picture: then they wait."""
        return self.media.free_bytes() < RunnerSettings().min_free_bytes

    def _start_runner(self) -> None:
        if self._runner is not None:
            return
        info = RunnerInfo(self.id, os.getpid(), host_name(), "workbench", True)
        self._runner = Runner(
            store=self.store,
            media=self.media,
            providers=self.registry.providers,
            hub=self.hub,
            loop=self.loop,
            liveness=_Liveness(self.folder),
            executor=self.executor,
            clock=self.clock,
            info=info,
            settings=RunnerSettings(max_jobs=self.settings.runner_max_jobs),
        )
        self._run(self._runner.start())
        self.run_behind("Housekeeping", self._keep_house())

    async def _keep_house(self) -> None:
        """Tidy up now and every 6 h."""
        while not self.closed:
            try:
                await self.tidy_up()
            except EngineClosed:
                return
            except (WorkbenchError, OSError) as error:
                # Housekeeping must not end the engine; the log pane shows that it did not work.
                self.store.log("warning", "housekeeping", f"Housekeeping failed: {error}")
            await asyncio.sleep(_HOUSEKEEPING_S)

    async def tidy_up(self) -> None:
        """Retention: prune the feed, purge old trash, remove files that nothing needs."""
        await self.finished(
            self.store.prune_changes(
                keep_rows=self.settings.feed_keep_rows,
                keep_ms=self.settings.feed_keep_days * _DAY_MS,
            )
        )
        before = self.clock.now_ms() - self.settings.trash_keep_days * _DAY_MS
        gone = await self.finished(self.store.purge(None, deleted_before_ms=before))
        await self.executor.run(self.remove_files, gone)
        await self.executor.run(self.media.sweep_temp, _OLD_TEMP_S)
        await self.executor.run(self._remove_orphans)

    # -- use --------------------------------------------------------------------------------------

    @property
    def runner(self) -> Runner | None:
        """The runner, if jobs run in this process."""
        return self._runner

    def check_open(self) -> None:
        """Raise EngineClosed if the workspace was closed or this process is a fork."""
        if self.dead:
            raise EngineClosed(
                "This process is a fork of the one that opened the workspace; "
                "open it again here with workbench.open()."
            )
        if self.closed:
            raise EngineClosed("This workspace was closed; open it again with workbench.open().")

    def check_may_block(self) -> None:
        """Raise WrongThread on the engine or dispatcher thread, which must not wait for jobs."""
        if self.loop.is_current() or self.dispatcher.is_current():
            raise WrongThread(
                "wait() would stop the engine that it waits for; use 'await' here, or wait in "
                "another thread."
            )

    def is_alive(self, runner_id: str) -> bool:
        """Tell whether the process with this runner id lives (this one included)."""
        return runner_id == self.id or is_alive(self.folder, runner_id)

    def remove_files(self, asset_ids: Sequence[str]) -> int:
        """Remove the files of purged assets, unless a picture with that content came in again."""
        removed = 0
        for start in range(0, len(asset_ids), _REMOVED_AT_ONCE):
            some = asset_ids[start : start + _REMOVED_AT_ONCE]
            removed += self.store.remove_unknown(some, self.media.remove).result()
        return removed

    def _remove_orphans(self) -> int:
        """Remove files of images that were stored and then not wanted (cancelled, crashed)."""
        old = list(self.media.files.orphans((), older_than_s=_OLD_TEMP_S))
        known = self.store.known_assets(old)
        return self.remove_files([id for id in old if id not in known])

    async def finished(self, future: Future[T]) -> T:
        """Await a write of the store."""
        return await asyncio.wrap_future(future)

    def _run(self, work: Any, timeout_s: float | None = None) -> Any:
        return self.loop.submit(work).result(timeout_s)

    def subscribe(
        self, callback: Callable[[], None], *, at_end: bool = False
    ) -> Callable[[], None]:
        """Call `callback` on the engine loop whenever the change feed moved (and `at_end`)."""
        return self.hub.subscribe(callback, at_end=at_end)


def _keep_out_of_git(folder: Path) -> None:
    # Only in a folder that holds nothing but the new workspace: elsewhere "*" would hide a project.
    ours = ("workbench.sqlite3", "write.lock", "owners", "config.toml")
    if all(entry.name.startswith(ours) for entry in folder.iterdir()):
        file = folder / ".gitignore"
        try:
            file.write_text("*\n", "utf-8")
        except OSError:
            file.unlink(missing_ok=True)  # an empty one would keep nothing out
            raise


def _close_all() -> None:
    for engine in tuple(_closing):  # somebody lost patience with close(wait=True)
        # The runner may end, and its loop with it, while it is told to: the closing goes on then.
        with contextlib.suppress(EngineClosed, CancelledError, TimeoutError):
            if (runner := engine._runner) is not None:
                engine._run(runner.stop(wait=False), _LAST_CLOSE_S)
        with contextlib.suppress(EngineClosed, CancelledError, TimeoutError):
            engine._shut_down.result(_LAST_CLOSE_S)
    for engine in list(_engines.values()):
        engine.close(wait=False)


def _forget_in_child() -> None:
    global _engines_lock
    _engines_lock = threading.RLock()  # the parent may have held it
    for engine in (*_engines.values(), *_closing):
        engine.dead = True
        _forked.append(engine)
    _engines.clear()
    _closing.clear()


# concurrent.futures takes no work once the interpreter begins to end, which is before atexit: a
# picture that is being painted would fail instead of being handed over. This hook comes first.
getattr(threading, "_register_atexit", atexit.register)(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
