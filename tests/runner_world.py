"""A real store, real image files and a real engine loop around a runner with fake providers."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.domain.ids import new_id
from workbench.domain.records import AttemptRecord, BatchRecord, GenerationRecord, Identity, Price
from workbench.domain.status import Operation, Status
from workbench.domain.submissions import NewBatch, NewInput
from workbench.media import Media
from workbench.ports import Provider, RunnerInfo, Selection
from workbench.runner.executor import LocalExecutor
from workbench.runner.hub import Hub
from workbench.runner.loop import EngineLoop
from workbench.runner.runner import Runner, RunnerSettings
from workbench.store.bell import Bell
from workbench.store.liveness import OwnerLock, is_alive
from workbench.store.sqlite.store import SqliteStore

ANN = Identity("ann")
OPERATOR = Identity("root", all_users=True)
PATIENCE_S = 45.0
QUICK = RunnerSettings(
    backoff_base_s=0.02, backoff_cap_s=0.1, disk_wait_s=0.05, sweep_s=0.05, ask_gap_s=0.05
)


class SystemClock:
    def __init__(self) -> None:
        self.ahead_ms = 0
        self.skipped_s = 0.0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def monotonic(self) -> float:
        return time.monotonic() + self.skipped_s


class Process:
    """What one process of a workspace has: store, loop, hub, lock, runner."""

    def __init__(
        self,
        folder: Path,
        providers: Sequence[Provider] = (),
        *,
        settings: RunnerSettings = QUICK,
        media: Media | None = None,
        store_wrapper: Callable[[SqliteStore], Any] = lambda store: store,
        uniform: Callable[[float, float], float] | None = None,
    ) -> None:
        self.folder = folder
        self.id = new_id()
        self.clock = SystemClock()
        self.store = SqliteStore(folder, clock=self.clock)
        self.lock = OwnerLock(folder, self.id)
        self.lock.acquire()
        self.media = media or Media(folder)
        self.providers: dict[str, Provider] = {one.name: one for one in providers}
        self.executor = LocalExecutor(threads=2)
        self.troubles: list[tuple[str, BaseException | None]] = []
        self.loop = EngineLoop(on_exception=lambda text, error: self.troubles.append((text, error)))
        self.loop.start()
        self.bell = Bell(self.store.database.runtime_dir, self.id)
        self.hub = Hub(self.loop, data_version=self.store.database.data_version, doorbell=self.bell)
        self.hub.start()
        self.store.on_commit(self.hub.notify)
        self._stopped = False
        more: dict[str, Any] = {} if uniform is None else {"uniform": uniform}
        self.runner = Runner(
            store=store_wrapper(self.store),
            media=self.media,
            providers=self.providers,
            hub=self.hub,
            loop=self.loop,
            liveness=self,
            executor=self.executor,
            clock=self.clock,
            info=RunnerInfo(self.id, 1, "here", "test", True),
            settings=settings,
            **more,
        )

    def is_alive(self, runner_id: str) -> bool:
        return is_alive(self.folder, runner_id)

    def start(self) -> Process:
        self.run(self.runner.start())
        return self

    def run(self, coroutine: Any) -> Any:
        return self.loop.submit(coroutine).result(PATIENCE_S)

    def stop(self, *, wait: bool = False, grace_s: float = 0.2) -> None:
        if not self._stopped:
            self._stopped = True
            self.loop.submit(self.runner.stop(wait=wait, grace_s=grace_s)).result(PATIENCE_S)

    def close(self, **how: Any) -> None:
        self.stop(**how)
        self.hub.stop()
        self.store.close()
        self.bell.close()
        self.loop.stop()
        self.executor.close()
        self.lock.release()

    # -- words of the tests -----------------------------------------------------------------------

    def submit(self, n: int = 1, *, provider: str = "fake", **changes: Any) -> BatchRecord:
        price = changes.pop("price", Price())
        request: dict[str, Any] = {
            "identity": ANN,
            "topic_id": None,
            "prompt": "a red fox in the snow",
            "negative_prompt": None,
            "provider": provider,
            "model": f"{provider}:picture",
            "n": n,
            "seed": 7,
            "seeds": tuple(range(7, 7 + n)),
            "width": 64,
            "height": 64,
            "params": {"steps": 2},
            "lane": provider,
            "price": price,
        }
        return self.store.submit_batch(NewBatch(**(request | changes))).result()

    def with_input(self, data: bytes) -> dict[str, Any]:
        asset = self.media.admit(data, source="upload")
        self.store.record_asset(asset).result()
        return {"inputs": (NewInput(asset),), "operation": Operation.EDIT}

    def generations(self, batch: BatchRecord) -> list[GenerationRecord]:
        return self.store.batch_generations(ANN, batch.id, history=True)

    def one(self, batch: BatchRecord) -> GenerationRecord:
        (generation,) = self.generations(batch)
        return generation

    def until(
        self, condition: Callable[[], Any], what: str = "it", patience_s: float = PATIENCE_S
    ) -> Any:
        """Wait until `condition` is true, looking whenever the feed moves (and now and then)."""
        deadline = time.monotonic() + patience_s
        while True:
            if value := condition():
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"waited in vain for {what}")
            time.sleep(0.005)

    def ended(self, batch: BatchRecord) -> list[GenerationRecord]:
        """Wait until all generations of the batch have ended."""
        self.until(
            lambda: all(g.status.is_terminal for g in self.generations(batch)),
            f"the end of {[(g.status.value, g.detail) for g in self.generations(batch)]}",
        )
        return self.generations(batch)

    def statuses(self, batch: BatchRecord) -> list[str]:
        return [generation.status.value for generation in self.generations(batch)]

    def detail(self, batch: BatchRecord) -> str | None:
        return self.generations(batch)[0].detail_key

    def wait_detail(self, batch: BatchRecord, key: str) -> GenerationRecord:
        self.until(lambda: self.detail(batch) == key, f"the detail {key}")
        return self.generations(batch)[0]

    def cancel(self, *ids: str) -> None:
        self.store.cancel(ANN, Selection(generation_ids=ids)).result()

    def attempts(self, batch: BatchRecord) -> list[AttemptRecord]:
        return self.store.attempts(self.generations(batch)[0].id)

    def idle(self) -> None:
        """Wait until no job runs here."""
        self.until(lambda: not self.runner.running, "the end of all jobs")

    def notes(self) -> str:
        entries = self.store.log_entries(OPERATOR)
        return "\n".join(entry.text for entry in entries)

    def problems(self) -> list[str]:
        return self.store.check(live_runners=self.is_alive)


@contextmanager
def processes(folder: Path) -> Iterator[Callable[..., Process]]:
    """Opens processes on one folder; at the end all are closed and the store must be sound."""
    opened: list[Process] = []

    def open_one(*providers: Provider, start: bool = True, **how: Any) -> Process:
        process = Process(folder, providers, **how)
        opened.append(process)
        return process.start() if start else process

    yield open_one
    for process in opened:
        if not process.store.database._closed:
            process.stop()
    for process in opened:
        if not process.store.database._closed:
            assert process.problems() == []
            process.close()
        troubles = [
            text + "".join(traceback.format_exception(error)) for text, error in process.troubles
        ]
        assert not troubles, "\n".join(troubles)


def completed(generations: list[GenerationRecord]) -> list[bool]:
    return [generation.status is Status.COMPLETED for generation in generations]
