"""The runner of one process: claims jobs, takes over those of the dead, hears of cancels.

It sleeps until something wakes it: the hub (any commit of any process), a slot that gets free, or
the time at which a held job is due. Only while other processes run jobs does it look at their
locks, every 200 ms: the system frees a lock at any death, and sleep does not expire it.
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections import ChainMap
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from workbench.domain.border import told
from workbench.domain.jobs import Fence, Idempotency, JobRecord
from workbench.domain.status import ErrorKind
from workbench.errors import EngineClosed, StoreError
from workbench.ports import Clock, Executor, Failure, Media, Provider, RunnerInfo, Store
from workbench.runner.context import Context, written
from workbench.runner.doubts import ask_again
from workbench.runner.execute import JobRun
from workbench.runner.executor import LocalExecutor
from workbench.runner.failpoints import arm_from_environment, failpoint
from workbench.runner.hub import Hub
from workbench.runner.loop import EngineLoop
from workbench.runner.pulse import Pulse
from workbench.runner.retry import Circuit
from workbench.runner.settings import RunnerSettings
from workbench.runner.waiting import Stop

__all__ = ["Liveness", "Runner", "RunnerSettings"]

_LOOK_GAP_S = 0.01  # between two looks for cancels
_AFTERWARDS_S = 0.01
_PROMOTE_GAP_S = 1.0  # between two writes that queue what is due, but for its own timer
_CLOCKS_DIFFER_S = 1.0  # the store says by the wall clock what is due, the loop has its own
_LONGEST_TIMER_S = 30.0  # due times are wall-clock times, and the clock may be set
_IDLE_CLAIMS = 4  # empty claims in a row after which claims keep a distance
_CLAIM_GAP_S = 0.02
_STORE_PAUSE_S = 1.0  # after the store refused
_FORCE_S = 3.0  # for jobs that were told to stop
_BUG_PAUSE_S = 5.0


class Liveness(Protocol):
    """Tells which processes of the workspace live."""

    def is_alive(self, runner_id: str) -> bool:
        """True while that process holds its lock (stopped or asleep it still does)."""


class Runner:
    """Runs the workspace's jobs in this process. Lives on the engine loop.

    Parameters
    ----------
    store, media:
        The rooms that keep what comes out.
    providers:
        Providers by name. It may change while the runner runs: jobs of a provider that is not
        (or no longer) in it are left to other processes.
    hub, loop:
        The engine's hub (subscribed to) and loop (only to be woken from other threads).
    liveness:
        Who is alive.
    executor:
        Threads for image files and other blocking work; not closed by the runner.
    clock:
        Time.
    info:
        Who this process is; its id is part of every fence.
    settings:
        Limits and patience.
    uniform:
        Draws a number between two others; waits are spread with it.
    """

    def __init__(
        self,
        *,
        store: Store,
        media: Media,
        providers: Mapping[str, Provider],
        hub: Hub,
        loop: EngineLoop,
        liveness: Liveness,
        executor: Executor,
        clock: Clock,
        info: RunnerInfo,
        settings: RunnerSettings | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.info = info
        self.settings = settings or RunnerSettings()
        self._store = store
        self._added: dict[str, Provider] = {}
        # The given mapping stays the caller's and is looked at anew for each claim.
        self._providers: Mapping[str, Provider] = ChainMap(self._added, providers)  # type: ignore[arg-type]
        self._hub = hub
        self._engine = loop
        self._liveness = liveness
        self._clock = clock
        self._uniform = uniform
        self._reads = LocalExecutor(threads=1, name="workbench-reads")
        self._context = Context(
            store=store,
            media=media,
            executor=executor,
            reads=self._reads,
            clock=clock,
            settings=self.settings,
            uniform=uniform,
            spawn=self._spawn,
            due_in=self._due_in,
            retry_in=self._retry_in,
            ask_later=self._ask_later,
        )
        self._circuits: dict[str, Circuit] = {}
        # By fence: a job that was given back may be ours again before its last task has ended.
        self._runs: dict[Fence, tuple[JobRun, asyncio.Task[None]]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._retries: dict[str, float] = {}  # job id -> loop time at which it is due again
        self._claims = Pulse(self._claim)
        self._looks = Pulse(self._look)
        self._dues = Pulse(self._promote)
        self._empty_claims = 0
        self._asked: set[str] = set()  # providers that were asked for what was left in doubt
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._sweeping: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._unsubscribe: Callable[[], None] | None = None
        self._stopping = False

    # -- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Register this process, take over what the dead left, begin to claim."""
        arm_from_environment()
        await written(self._store.register_runner(self.info))
        self._unsubscribe = self._hub.subscribe(self._wake)
        await self._take_over()
        self._wake()

    async def stop(self, *, wait: bool, grace_s: float = 2.0) -> None:
        """Stop running jobs; leaves no task, timer or thread behind. Safe to call twice.

        Parameters
        ----------
        wait:
            True: first finish everything that is queued, running or waits for its next try.
            False: claim nothing more, give running jobs `grace_s` seconds, then hand them over;
            paid jobs that anybody can resume are handed over at once, with their open attempt.
        grace_s:
            Seconds.
        """
        if self._stopping or self._unsubscribe is None:
            return
        if wait:
            await self._drain()
        self._stopping = True
        self._unsubscribe()
        for pulse in (self._claims, self._looks, self._dues):
            await pulse.stop()
        for timer in self._timers.values():
            timer.cancel()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])
        await self._stop_runs(grace_s)
        if self._background:
            _, left = await asyncio.wait(self._background, timeout=grace_s)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=_FORCE_S)
        try:
            await written(self._store.unregister_runner(self.info.id))
        except StoreError as error:
            self._context.note("warning", f"The runner could not sign off: {error}")
        self._reads.close(wait=False)

    def add_provider(self, provider: Provider) -> None:
        """Run jobs of `provider`, too, from now on. Any thread may call it."""
        self._added[provider.name] = provider
        self._engine.loop.call_soon_threadsafe(self._wake)

    @property
    def running(self) -> tuple[str, ...]:
        """Ids of the jobs that run here now."""
        return tuple(fence.job_id for fence in self._runs)

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            held_back = any(circuit.wait_s() > 0 for circuit in self._circuits.values())
            overdue = loop.time() - _CLOCKS_DIFFER_S
            if any(at <= overdue for at in self._retries.values()):
                await self._promote_at_last()
            await self._claims.settle()
            self._changed.clear()
            # What was overdue and was not claimed was cancelled, is elsewhere, or is queued behind
            # what runs here.
            self._retries = {id: at for id, at in self._retries.items() if at > overdue}
            if not (self._runs or self._retries or held_back):
                return
            try:
                async with asyncio.timeout(1.0):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _stop_runs(self, grace_s: float) -> None:
        for run, _ in self._runs.values():
            if run.leaves_at_once:
                run.stop(Stop.HAND_OVER)
        for patience_s in (grace_s, _FORCE_S):
            tasks = [task for _, task in self._runs.values()]
            if tasks:
                await asyncio.wait(tasks, timeout=patience_s)
            for run, _ in list(self._runs.values()):
                run.stop(Stop.HAND_OVER)
        for run, task in list(self._runs.values()):
            # A provider that cannot be stopped. Its job goes on elsewhere; the fence keeps
            # whatever it still says from being written.
            task.cancel()
            await self._give_back(run.fence)
            self._context.note(
                "warning",
                f"{run.provider.title} did not stop; its job was handed over.",
                job=run.job,
            )

    # -- waking -----------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._claims.beat()
        if self._runs:
            self._looks.beat()
        self._afterwards()

    def _afterwards(self) -> None:
        """Do what is not urgent a little later: first of all a waiting job is started."""

        def work() -> None:
            del self._timers["afterwards"]
            self._looks.beat()
            self._dues.beat()

        if "afterwards" not in self._timers:
            self._at("afterwards", _AFTERWARDS_S, work)

    def _at(self, name: str, delay_s: float, work: Callable[[], None]) -> None:
        """Call `work` after `delay_s`, unless this timer already fires earlier."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(name)
        when = loop.time() + min(delay_s, _LONGEST_TIMER_S)
        if self._stopping or (timer is not None and loop.time() <= timer.when() <= when):
            return
        if timer is not None:
            timer.cancel()
        self._timers[name] = loop.call_at(when, work)

    def _retry_in(self, job_id: str, delay_s: float) -> None:
        self._retries[job_id] = asyncio.get_running_loop().time() + delay_s

    def _due_in(self, delay_s: float) -> None:
        # A hair later than the due time, which the store compares in whole milliseconds.
        self._at("due", delay_s + 0.002, lambda: self._dues.beat(urgent=True))

    async def _promote(self) -> float:
        """Queue what is due, and set the timer for what is due next."""
        self._timers.pop("due", None)
        try:
            await self._promote_due()
        except StoreError as error:
            return self._refused("queueing what is due", error, self._dues)
        return _PROMOTE_GAP_S

    async def _promote_due(self) -> None:
        due = await written(self._store.promote_due())
        if due is not None:
            self._due_in(max(0.0, (due - self._clock.now_ms()) / 1000))

    async def _promote_at_last(self) -> None:
        """Queue what is overdue before closing; what the store refuses stays for the next start."""
        try:
            await self._promote_due()
        except StoreError as error:
            self._context.note("warning", f"Closing leaves a retry behind: {error}", kind="store")

    # -- claiming ---------------------------------------------------------------------------------

    async def _claim(self) -> float:
        free = self.settings.max_jobs - len(self._runs)
        lanes = self._lanes()
        if free < 1 or not lanes or self._stopping:
            return 0.0
        try:
            jobs = await written(self._store.claim(self.info.id, lanes=lanes, limit=free))
        except StoreError as error:
            return self._refused("claiming", error, self._claims)
        for job in jobs:
            self._begin(job)
        if jobs:
            self._empty_claims = 0
            self._afterwards()  # somebody may have cancelled one between its claim and now
            return 0.0
        self._empty_claims += 1
        self._changed.set()
        return 0.0 if self._empty_claims < _IDLE_CLAIMS else _CLAIM_GAP_S

    def _lanes(self) -> dict[str, int]:
        lanes: dict[str, int] = {}
        for name, provider in self._providers.items():
            circuit = self._circuit(name)
            allowed = circuit.allowed(provider.concurrency)
            if allowed > 0:
                lanes[name] = allowed
                if name not in self._asked:
                    self._asked.add(name)
                    self._spawn(self._ask(provider))
            else:
                wait_s = circuit.wait_s()
                self._at(f"circuit {name}", wait_s, lambda: self._claims.beat(urgent=True))
        return lanes

    async def _ask(self, provider: Provider) -> None:
        if not await ask_again(self._context, provider):
            self._ask_later(provider)

    def _ask_later(self, provider: Provider) -> None:
        def ask() -> None:
            self._spawn(self._ask(provider))

        self._at(f"ask {provider.name}", self.settings.ask_gap_s, ask)

    def _circuit(self, name: str) -> Circuit:
        circuit = self._circuits.get(name)
        if circuit is None:
            circuit = Circuit(self._clock.monotonic, uniform=self._uniform)
            self._circuits[name] = circuit
        return circuit

    def _begin(self, job: JobRecord) -> None:
        self._retries.pop(job.id, None)
        if self._stopping:
            self._spawn(self._give_back(job.fence))
            return
        provider = self._providers.get(job.provider)
        if provider is None:  # it was removed while we claimed
            self._spawn(self._without_provider(job))
            return
        run = JobRun(job, provider, self._circuit(job.provider), self._context)
        task = asyncio.get_running_loop().create_task(run.run(), name=f"job {job.id}")
        self._runs[job.fence] = (run, task)
        task.add_done_callback(lambda task: self._ended(run, task))

    def _ended(self, run: JobRun, task: asyncio.Task[None]) -> None:
        del self._runs[run.fence]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._spawn(self._rescue(run, error))
        self._changed.set()
        self._claims.beat(urgent=True)

    async def _without_provider(self, job: JobRecord) -> None:
        if job.open_attempt is not None:
            await self._give_back(job.fence)  # to whoever can ask what became of it
            return
        failure = Failure(ErrorKind.UNAVAILABLE, "unavailable", {"model": job.model})
        ids = [slot.generation_id for slot in job.slots]
        await self._whatever(self._store.fail(job.fence, ids, failure))

    async def _rescue(self, run: JobRun, error: BaseException) -> None:
        """A bug of ours ended a job's task: the job must not stay ours for ever."""
        job = run.job
        text = told(error)
        self._context.note(
            "error",
            f"The runner failed unexpectedly: {text}",
            job=job,
            data={"traceback": "".join(traceback.format_exception(error))[-8_000:]},
        )
        if run.provider.idempotency.kind is not Idempotency.FREE:
            await self._whatever(self._store.mark_unknown(job.fence, reason=text[:160]))
        elif job.tries + 1 < self.settings.max_tries:
            await self._whatever(
                self._store.retry_later(
                    job.fence,
                    delay_ms=int(_BUG_PAUSE_S * 1000),
                    detail_key="retrying",
                    detail_args={"seconds": int(_BUG_PAUSE_S), "reason": text[:160]},
                )
            )
        else:
            failure = Failure(
                ErrorKind.INTERNAL,
                "internal",
                {"provider": run.provider.title, "error": text[:160]},
            )
            ids = [slot.generation_id for slot in job.slots]
            await self._whatever(self._store.fail(job.fence, ids, failure))

    # -- cancels and deaths -----------------------------------------------------------------------

    async def _look(self) -> float:
        """See which of our generations were ended by somebody, and whether others run jobs."""
        runs = [run for run, _ in self._runs.values()]
        try:
            foreign, unfinished = await self._reads.run(self._read, [run.fence for run in runs])
        except StoreError as error:
            return self._refused("looking for cancels", error, self._looks)
        for run, ids in zip(runs, unfinished, strict=True):
            if run.fence in self._runs:
                run.observe(ids)
        if foreign and self._sweeping is None and not self._stopping:
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep())
        return _LOOK_GAP_S

    def _read(self, fences: list[Fence]) -> tuple[list[str], list[tuple[str, ...] | None]]:
        foreign = [] if self._sweeping else self._store.foreign_runners(self.info.id)
        return foreign, [self._store.unfinished(fence) for fence in fences]

    async def _sweep(self) -> None:
        """While others run jobs, look whether they live."""
        try:
            while True:
                await asyncio.sleep(self.settings.sweep_s)
                if not await self._take_over():
                    return
        finally:
            self._sweeping = None

    def _free(self) -> frozenset[str]:
        """Names of providers whose calls cost nothing, however often they are made."""
        return frozenset(
            name
            for name, provider in self._providers.items()
            if provider.idempotency.kind is Idempotency.FREE
        )

    async def _take_over(self) -> bool:
        """Queue the jobs of dead processes; returns whether others that run jobs are alive."""
        try:
            foreign, dead = await self._reads.run(self._find_dead)
            for runner_id in dead:
                count = await written(
                    self._store.requeue_dead(
                        runner_id, max_deaths=self.settings.max_deaths, free=self._free()
                    )
                )
                if count:
                    failpoint("after_takeover")
                    self._context.note(
                        "warning",
                        f"A process ended without closing; {count} jobs of it go on here.",
                    )
                    self._claims.beat(urgent=True)
        except EngineClosed:
            return False
        except StoreError as error:
            self._context.note("error", f"Looking for dead processes failed: {error}", kind="store")
            return True
        return bool(foreign)

    def _find_dead(self) -> tuple[list[str], list[str]]:
        foreign = self._store.foreign_runners(self.info.id)
        return foreign, [id for id in foreign if not self._liveness.is_alive(id)]

    # -- small things -----------------------------------------------------------------------------

    def _refused(self, what: str, error: StoreError, pulse: Pulse) -> float:
        """The store refused our own work: say so, and try again a little later."""
        if isinstance(error, EngineClosed) or self._stopping:
            return 0.0
        self._context.note("error", f"The store refused {what}: {error}", kind="store")
        pulse.beat()
        return _STORE_PAUSE_S

    async def _give_back(self, fence: Fence) -> None:
        await self._whatever(self._store.hand_over(fence))

    async def _whatever(self, future: Any) -> None:
        try:
            await written(future)
        except StoreError as error:
            # The job stays ours until this process ends; then others find its lock free.
            self._context.note("error", f"A job could not be given back: {error}", kind="store")

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._looked_at)

    def _looked_at(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._context.note("error", f"The runner failed unexpectedly: {error!r}")
