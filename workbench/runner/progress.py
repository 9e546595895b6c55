"""Progress and previews of one job, coalesced: the last value wins, the stream never waits."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace

from workbench.domain.jobs import Fence, Progress
from workbench.domain.records import Json
from workbench.errors import ImageRejected, StoreError
from workbench.ports import Executor, Media, Store
from workbench.runner.settings import RunnerSettings

# A browser keeps previews by number. Numbers of a later attempt must not repeat those of an
# earlier one, whose last number nobody knows any more.
_PREVIEWS_PER_ATTEMPT = 10_000
MAX_PREVIEW_BYTES = 2_000_000


class ProgressReporter:
    """Writes what a job's generations have reached, at most `progress_hz` times a second.

    Lives on the engine loop; nothing here waits for the store or the disk.

    Parameters
    ----------
    on_stale:
        called when the store says that the job belongs to somebody else now.
    on_error:
        called with what went wrong; progress is no reason to end a job.
    """

    def __init__(
        self,
        fence: Fence,
        *,
        store: Store,
        media: Media,
        executor: Executor,
        settings: RunnerSettings,
        on_stale: Callable[[], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._fence = fence
        self._store = store
        self._media = media
        self._executor = executor
        self._progress_gap_s = 1 / settings.progress_hz
        self._preview_gap_s = 1 / settings.preview_hz
        self._on_stale = on_stale
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._state: dict[str, Progress] = {}
        self._changed: dict[str, None] = {}  # an ordered set
        self._writing = 0
        self._next_write_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._previews: dict[str, bytes] = {}
        self._next_preview_at: dict[str, float] = {}
        self._previewing: asyncio.Task[None] | None = None
        self._ended: set[str] = set()
        self._closed = False
        self.shown: set[str] = set()  # generations with a stored preview of this run

    def queued(self, ids: Iterable[str], position: int | None) -> None:
        """The generations wait in the provider's queue (position 1 = next, None: not known)."""
        key = None if position is None else "provider_queue"
        arguments: Json = {} if position is None else {"position": position}
        for id in ids:
            self._set(replace(self._of(id), queued=True, detail_key=key, detail_args=arguments))

    def running(self, ids: Iterable[str], step: int, total: int | None) -> None:
        """`step` of `total` steps are done."""
        for id in ids:
            now = self._of(id)
            fraction = now.fraction
            if total and math.isfinite(step / total):
                fraction = max(fraction, min(1.0, step / total))
            if now.detail_key == "provider_queue":
                now = replace(now, detail_key=None, detail_args={})
            self._set(replace(now, fraction=fraction, step=step, total=total, queued=False))

    def detail(self, ids: Iterable[str], key: str, arguments: Json) -> None:
        """Something to be read beside the status."""
        for id in ids:
            self._set(replace(self._of(id), detail_key=key, detail_args=dict(arguments)))

    def preview(self, id: str, data: bytes) -> None:
        """A newer picture of what is being made; older ones that still wait are dropped."""
        if self._closed or id in self._ended or len(data) > MAX_PREVIEW_BYTES:
            return
        self._previews[id] = data
        if self._previewing is None:
            self._previewing = self._loop.create_task(self._store_previews())

    def flush(self) -> None:
        """Hand the last values to the store's writer now; later writes come after them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._changed:
            self._write()

    def end(self, id: str) -> None:
        """The generation has ended: nothing about it is written any more."""
        self._ended.add(id)
        self._changed.pop(id, None)
        self._previews.pop(id, None)

    async def close(self) -> None:
        """Write nothing more; returns when no preview is being written."""
        self._closed = True
        self._changed.clear()
        self._previews.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._previewing is not None:
            # A wait for the next preview may be cut; a file being written is waited for.
            self._previewing.cancel()
            await asyncio.wait([self._previewing])

    def _of(self, id: str) -> Progress:
        return self._state.get(id) or Progress(id, 0.0)

    def _set(self, progress: Progress) -> None:
        if self._closed or progress.generation_id in self._ended:
            return
        if self._state.get(progress.generation_id) == progress:
            return
        self._state[progress.generation_id] = progress
        self._changed[progress.generation_id] = None
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None or self._writing or self._closed:
            return  # the timer, or the end of the write in progress, will see it
        wait_s = self._next_write_at - self._loop.time()
        if wait_s > 0:
            self._timer = self._loop.call_later(wait_s, self._due)
        else:
            self._write()

    def _due(self) -> None:
        self._timer = None
        if self._changed:
            self._write()

    def _write(self) -> None:
        steps = [self._state[id] for id in self._changed]
        self._changed.clear()
        self._next_write_at = self._loop.time() + self._progress_gap_s
        try:
            future: Future[bool] = self._store.report_progress(self._fence, steps)
        except StoreError as error:
            self._on_error(error)
            return
        self._writing += 1
        asyncio.wrap_future(future).add_done_callback(self._written)

    def _written(self, future: asyncio.Future[bool]) -> None:
        self._writing -= 1
        if future.cancelled():
            return
        error = future.exception()
        if isinstance(error, Exception):
            self._on_error(error)
        elif not future.result() and not self._closed:
            self._on_stale()
        if self._changed:
            self._schedule()

    async def _store_previews(self) -> None:
        try:
            while self._previews:
                now = self._loop.time()
                id = min(self._previews, key=lambda id: self._next_preview_at.get(id, 0.0))
                if (wait_s := self._next_preview_at.get(id, 0.0) - now) > 0:
                    await asyncio.sleep(wait_s)
                    continue  # a newer one may have come, or the generation ended
                await self._store_preview(id, self._previews.pop(id))
        finally:
            self._previewing = None

    async def _store_preview(self, id: str, data: bytes) -> None:
        self._next_preview_at[id] = self._loop.time() + self._preview_gap_s
        self.shown.add(id)
        writing = asyncio.ensure_future(self._executor.run(self._media.put_preview, id, data))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])  # or it would come to lie there after its removal
            if not writing.cancelled():
                writing.exception()
            raise
        except (ImageRejected, StoreError, OSError) as error:
            self._on_error(error)  # no picture, or a full disk: the picture itself will tell
            return
        if id not in self._ended:
            base = max(0, self._fence.attempt - 1) * _PREVIEWS_PER_ATTEMPT
            now = self._of(id)
            self._set(replace(now, preview=max(base, now.preview or 0) + 1))
