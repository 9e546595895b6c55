"""One job from its claim to its end: the paid-call protocol, events, and every kind of end.

::

    claim -> intent (durable) -> submit -> reference (durable) -> events -> door and file ->
    complete (durable) -> end

Free jobs may be started anew at any time and skip the two waits for the disk before sending. What
a paid job may do after a crash or an error that leaves its fate open is decided by
`workbench.runner.prepare.next_step`, for both in the same way: the attempt stays open, and the
next claim finds it.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from workbench.domain.border import awaited, ending_nothing, told
from workbench.domain.jobs import (
    AttemptState,
    Done,
    Idempotency,
    ImageReady,
    JobEvent,
    JobRecord,
    JobRef,
    JobRequest,
    Log,
    OpenAttempt,
    Partial,
    Queued,
    Running,
    Slot,
)
from workbench.errors import (
    DiskFull,
    ImageRejected,
    ProviderError,
    StoreError,
    WorkbenchError,
)
from workbench.ports import Outcome, Provider
from workbench.runner.context import Context, written
from workbench.runner.endings import Endings, as_provider_error
from workbench.runner.failpoints import failpoint
from workbench.runner.landing import admit, bill_of, keep_file, outcome_of
from workbench.runner.prepare import (
    NextStep,
    build_request,
    is_undecided,
    next_step,
    quiet_s,
    request_sha,
    unavailable,
)
from workbench.runner.progress import ProgressReporter
from workbench.runner.retry import Circuit
from workbench.runner.waiting import DeadlinePassed, Stalled, Stop, Stopped, Waiting

T = TypeVar("T")

_END = object()
_CLOSE_S = 5.0  # for a provider's clean-up after its stream was cut
_CANCEL_S = 30.0  # for telling a provider that nobody wants the picture any more
_MOST_REMARKS = 200  # of one claim in the event log


class JobRun:
    """A claimed job while it runs in this process. `run` is its task; it raises nothing.

    A stop from outside takes effect only where the job waits for its provider: what has begun to
    be stored is stored.
    """

    def __init__(
        self, job: JobRecord, provider: Provider, circuit: Circuit, context: Context
    ) -> None:
        self.job = job
        self.fence = job.fence
        self.provider = provider
        self._circuit = circuit
        self._context = context
        self._store = context.store
        self._paid = provider.idempotency.kind is not Idempotency.FREE
        self._slots = {slot.index: slot for slot in job.slots}
        self._open = {slot.generation_id: slot for slot in job.slots}
        self._landing: str | None = None
        self._unwanted = False  # somebody ended a generation of it
        self._landed: set[str] = set()
        self._broken: dict[str, tuple[str, ImageReady]] = {}
        self._done = Done()
        self._ref: JobRef | None = None
        self._sent = False  # a paid submission may have reached the provider
        self._following = False
        self._remarks = 0
        self._polled = False  # the provider's reference was followed
        self._asking = False  # a look-up is under way
        self._resending = False  # a submission that may have been accepted goes out again
        self._waiting = Waiting(provider.deadline_s)
        self._progress = ProgressReporter(
            job.fence,
            store=context.store,
            media=context.media,
            executor=context.executor,
            settings=context.settings,
            on_stale=lambda: self.stop(Stop.LOST),
            on_error=self._progress_failed,
        )
        self._endings = Endings(job, provider, circuit, context)

    # -- from outside -----------------------------------------------------------------------------

    @property
    def leaves_at_once(self) -> bool:
        """True while the work goes on without us and any process may ask for it again."""
        return self._following and self._ref is not None and self._ref.resumable

    def stop(self, reason: Stop) -> None:
        """Stop the job at its next wait for the provider (at once if it waits now)."""
        self._waiting.stop(reason)

    def observe(self, unfinished: tuple[str, ...] | None) -> None:
        """Hear from the store which generations have not ended (None: the claim is stale)."""
        if unfinished is None:
            self.stop(Stop.LOST)
            return
        for id in [id for id in self._open if id not in unfinished and id != self._landing]:
            self._give_up(id)

    def _give_up(self, id: str) -> None:
        """Somebody ended this generation (a cancel, or its deletion)."""
        if self._open.pop(id, None) is None:
            return
        self._unwanted = True
        self._progress.end(id)
        if self._open or self._landing is not None:
            return
        if not self._paid:
            self.stop(Stop.CANCELLED)
        elif self._ref is not None:
            # A paid call is followed to its end: what is made is paid for and comes home late.
            self._cancel_remote(self._ref)

    # -- the task ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run the job to its end, whatever that is."""
        try:
            await self._run()
        except StoreError as error:
            await self._endings.store_failed(error, self._waiting)
        finally:
            await self._clean_up()

    async def _run(self) -> None:
        try:
            with ending_nothing():
                await self._work()
        except Stopped as stopped:
            await self._after_stop(stopped.reason)
        except ProviderError as error:
            await self._after_failure(error)
        except DeadlinePassed as passed:
            await self._after_deadline(passed)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - border "runner task": into the event log, with its traceback
            await self._after_bug(error)

    async def _work(self) -> None:
        failpoint("after_claim")
        attempt = self.job.open_attempt
        self._sent = self._paid and attempt is not None
        if attempt is not None:
            self._endings.attempt_id = attempt.id
        problem = await self._context.executor.run(unavailable, self.provider, self.job.model)
        if attempt is not None:
            failpoint("before_resume")
            await self._find_open()
        if problem is not None:
            await self._endings.not_ready(self._open, problem, sent=self._sent)
            return
        step = self._next_step(attempt)
        if step is NextStep.LOOK_UP:
            ref = await self._look_up()
            if ref is not None:
                await self._take_up(ref)
                return
            if self._endings.ended:
                return
            step = NextStep.START
        if step is NextStep.GIVE_UP:
            await self._endings.give_up(
                f"the worker ended after sending, and {self.provider.title} cannot be asked"
            )
        elif step is NextStep.RESUME and attempt is not None:
            await self._take_up(attempt.ref)
        elif step is NextStep.RESEND:
            request = self._request()
            self._resending = True
            ref = await self._submit(request)
            # A long call is only now sent again, by `events`.
            self._resending = not ref.resumable
            await self._follow(request, ref)
        else:
            await self._start()

    def _next_step(self, attempt: OpenAttempt | None) -> NextStep:
        policy, now_ms = self.provider.idempotency, self._context.clock.now_ms()
        return next_step(policy, attempt, now_ms=now_ms, is_wanted=bool(self._open))

    async def _take_up(self, ref: JobRef) -> None:
        """Go on with what an earlier worker (or try) submitted."""
        self._ref = ref
        if not self._open:
            self._cancel_remote(ref)  # whoever was told of the cancel may not have passed it on
        await self._follow(self._request(), ref)

    async def _start(self) -> None:
        """Submit for the first time, or anew where that is known to be safe."""
        if not self._open:
            await self._end_unwanted()  # it was never sent, and nobody wants it any more
            return
        attempt = self.job.open_attempt
        if attempt is not None:
            # First the old attempt's end: a crash between the two then finds nothing that was sent.
            await written(self._store.end_attempt(attempt.id, AttemptState.ABANDONED))
            self._sent = False
            self._endings.attempt_id = None
        if self._paid and not await self._has_space():
            await self._endings.wait_for_disk()
            return
        key = f"{self.job.id}-{self.job.attempt}"
        request = self._request(key)
        single = next(iter(self._open)) if len(self._open) == 1 else None
        if self._paid:
            failpoint("before_intent")
        intent = self._store.write_intent(
            self.fence,
            key=key,
            request_sha=request_sha(request),
            generation_id=single,
            full=self._paid,
        )
        self._endings.intent = intent
        if self._paid:
            if await self._endings.attempt() is None:
                raise Stopped(Stop.LOST)
            failpoint("after_intent")
        else:
            # A free job does not wait for its audit row; the writer keeps the order of writes.
            asyncio.wrap_future(intent).add_done_callback(self._intended)
        await self._follow(request, await self._submit(request))

    async def _submit(self, request: JobRequest) -> JobRef:
        self._sent = self._paid
        ref = await self._waiting.wait_for(self.provider.submit(request))
        failpoint("after_send")
        if self._paid or ref.resumable:
            id = await self._endings.attempt()
            if id is None or not await written(self._store.write_submitted(self.fence, id, ref)):
                raise Stopped(Stop.LOST)
            failpoint("after_submitted")
        self._ref = ref
        if not self._open:
            self._cancel_remote(ref)  # cancelled while it was being sent
        return ref

    async def _look_up(self) -> JobRef | None:
        """Return what the provider knows about the open attempt; None: it was never sent.

        While that cannot be said yet, the job is held and has ended here.
        """
        attempt = self.job.open_attempt
        if attempt is None:
            return None
        self._asking = True
        ref = await self._waiting.wait_for(self.provider.lookup(self._request()))
        self._asking = False
        if ref is not None:
            if not await written(self._store.write_submitted(self.fence, attempt.id, ref)):
                raise Stopped(Stop.LOST)
            failpoint("after_submitted")
            return ref
        policy = self.provider.idempotency
        wait_s = quiet_s(policy, attempt, now_ms=self._context.clock.now_ms())
        if wait_s > 0:
            await self._endings.wait_for_provider(wait_s)
        return None

    async def _follow(self, request: JobRequest, ref: JobRef) -> None:
        """Take the provider's events to their end."""
        stream = self.provider.events(request, ref)
        self._following = self._polled = True
        event: object = None
        try:
            while True:
                # A place in a queue may stay the same for long; only the deadline ends that.
                quiet_s = None if isinstance(event, Queued) else self._stall_s()
                event = await self._waiting.wait_for(anext(stream, _END), quiet_s=quiet_s)
                if event is _END:
                    break
                if isinstance(event, Done):
                    self._done = event
                    break
                await self._take(event)  # type: ignore[arg-type] # not the sentinel
        finally:
            self._following = False
            await self._close(stream)
        await self._finish()

    def _stall_s(self) -> float | None:
        """Return how long the provider may be silent; None: until the deadline.

        What is free takes as long as its machine needs: only the provider itself can know.
        """
        usual = self._context.settings.stall_s if self._paid else None
        declared: float | None = getattr(self.provider, "stall_s", usual)
        return declared

    async def _finish(self) -> None:
        self._circuit.succeeded()
        self._progress.flush()
        await self._reject_broken()
        failpoint("before_finish")
        more = self._unwanted or len(self._landed) + len(self._broken) < len(self._slots)
        await self._endings.finish(self._done, landed=bool(self._landed), more=more)
        self._open.clear()

    async def _reject_broken(self) -> None:
        """Fail the generations whose pictures the image door refused."""
        for id, (reason, image) in self._broken.items():
            if self._paid or id in self._open:
                last = self._done if len(self._slots) == 1 else Done()
                charged, cost = bill_of(image, last, paid=self._paid)
                await self._endings.reject(id, reason, charged=charged, cost=cost)
                self._open.pop(id, None)

    # -- events -----------------------------------------------------------------------------------

    async def _take(self, event: JobEvent) -> None:
        if isinstance(event, ImageReady):
            await self._land(event)
        elif isinstance(event, Running):
            self._progress.running(self._meant(event.index), event.step, event.total)
        elif isinstance(event, Queued):
            self._progress.queued(list(self._open), event.position)
        elif isinstance(event, Partial):
            for id in self._meant(event.index):
                self._progress.preview(id, event.data)
        elif isinstance(event, Log):
            if event.key is not None:
                self._progress.detail(self._meant(event.index), event.key, event.args)
            self._remark("info", event.text)

    def _meant(self, index: int | None) -> list[str]:
        if index is None:
            return list(self._open)
        slot = self._slots.get(index)
        return [slot.generation_id] if slot and slot.generation_id in self._open else []

    async def _land(self, image: ImageReady) -> None:
        """Bring one picture home: door, file, transaction."""
        slot = self._slots.get(image.index)
        if slot is None or slot.generation_id in self._landed:
            self._remark("warning", f"{self.provider.title} sent a picture that was not asked for.")
            return
        id = slot.generation_id
        if id not in self._open and not self._paid:
            return
        failpoint("after_image")
        try:
            asset = await self._despite_full_disk(
                lambda: self._context.executor.run(admit, self._context.media, image.data, id)
            )
        except ImageRejected as error:
            self._broken[id] = (str(error), image)
            return
        failpoint("after_file")
        self._broken.pop(id, None)
        outcome = outcome_of(slot, asset, image)
        if id in self._open and await self._complete(id, outcome):
            failpoint("after_complete")
        else:
            await self._too_late(slot, outcome)
        await self._context.executor.run(keep_file, self._context.media, asset.id, image.data)

    async def _complete(self, id: str, outcome: Outcome) -> bool:
        self._landing = id  # its end is our doing: `observe` must not take it for a cancel
        self._progress.flush()
        self._progress.end(id)
        try:
            stored = await self._despite_full_disk(
                lambda: written(self._store.complete(self.fence, outcome))
            )
        finally:
            self._landing = None
        if stored:
            self._landed.add(id)
            self._open.pop(id, None)
            self._circuit.succeeded()
        return stored

    async def _too_late(self, slot: Slot, outcome: Outcome) -> None:
        """The generation has ended meanwhile; what was paid for is kept as a sibling."""
        unfinished = await self._context.reads.run(self._store.unfinished, self.fence)
        if unfinished is None:
            raise Stopped(Stop.LOST)
        if slot.generation_id in self._open:
            self._give_up(slot.generation_id)
        if self._paid and slot.generation_id not in unfinished:
            adopted = await written(self._store.adopt_late(self.fence, outcome))
            failpoint("after_late")
            if adopted is not None:
                self._landed.add(slot.generation_id)
                self._remark("info", "A paid picture came after its cancel and was kept.")

    async def _despite_full_disk(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work`; a paid picture that exists in memory only waits here for its disk."""
        while True:
            try:
                return await work()
            except (DiskFull, OSError) as error:
                again = self._ref is not None and self._ref.resumable
                if not self._paid or (again and isinstance(error, DiskFull)):
                    raise
                if again:
                    # Read-only, or not ours: as with a full one, it can be fetched again later.
                    reason = getattr(error, "strerror", None) or error
                    raise DiskFull(f"A paid picture cannot be stored: {reason}.") from error
                full = isinstance(error, DiskFull)
                self._progress.detail(
                    self._open, "waiting_for_disk" if full else "waiting_for_folder", {}
                )
                self._remark("warning", f"A paid picture waits in memory: {error}")
                pause = asyncio.sleep(self._context.settings.disk_wait_s)
                await self._waiting.wait_for(pause, timed=False)

    # -- ends -------------------------------------------------------------------------------------

    async def _after_stop(self, reason: Stop) -> None:
        if reason is Stop.LOST:
            return
        await self._progress.close()
        if reason is Stop.CANCELLED:
            if self._ref is not None and self._ref.remote_id is not None:
                self._cancel_remote(self._ref)
            await self._endings.finish(self._done, landed=bool(self._landed), more=True)
            return
        keep_open = self._paid or (self._ref is not None and self._ref.resumable)
        await self._endings.hand_over(keep_attempt=keep_open)

    async def _after_failure(self, error: ProviderError) -> None:
        await self._progress.close()
        polled = self._polled and self._ref is not None and self._ref.resumable
        open_end = is_undecided(
            error, polled=polled, asking=self._asking, resending=self._resending
        )
        if self._sent and open_end:
            step = self._next_step(self._endings.open_attempt(self._ref))
            if not self._open:
                await self._reject_broken()
            await self._endings.uncertain(error, may_ask_again=step is not NextStep.GIVE_UP)
        elif not self._open:
            await self._end_unwanted(error)
        else:
            if self._paid:
                # What came was made: sent anew, it would be charged twice.
                await self._reject_broken()
            if not self._open:
                await self._endings.finish(self._done, landed=bool(self._landed), more=True)
            elif await self._endings.failed(list(self._open), error):
                self._open.clear()

    async def _end_unwanted(self, error: ProviderError | None = None) -> None:
        """End a call that nobody waits for any more; `error` may be the answer to its cancel."""
        await self._reject_broken()
        if error is not None:
            ids = [slot.generation_id for slot in self.job.slots]
            await self._endings.charged_late(ids, error)
        await self._endings.finish(self._done, landed=bool(self._landed), more=True)

    async def _give_up_all(self, reason: str) -> None:
        """Leave what was sent to a person, whether or not somebody still waits for it."""
        if not self._open:
            await self._reject_broken()
        await self._endings.give_up(reason)

    async def _after_deadline(self, passed: DeadlinePassed) -> None:
        quiet_s = passed.quiet_s if isinstance(passed, Stalled) else None
        await self._progress.close()
        if self._ref is not None:
            self._cancel_remote(self._ref)
        if self._sent:
            late = f"it did not finish within {self.provider.deadline_s:.0f} s after it was sent"
            silent = f"nothing was heard of it for {quiet_s or 0:g} s"
            await self._give_up_all(late if quiet_s is None else silent)
        elif not self._open:
            await self._end_unwanted()
        else:
            await self._endings.too_slow(list(self._open), quiet_s=quiet_s)
            self._open.clear()

    async def _after_bug(self, error: Exception) -> None:
        known = as_provider_error(error)
        if known is not None:
            await self._after_failure(known)
            return
        await self._progress.close()
        self._context.note(
            "error",
            f"{self.provider.title} failed unexpectedly: {told(error)}",
            kind="provider",
            job=self.job,
            data={"traceback": "".join(traceback.format_exception(error))[-8_000:]},
        )
        if self._sent:
            # Whether it was charged nobody knows: saying "failed" would say "not charged".
            await self._give_up_all(f"an unexpected error ({type(error).__name__})")
        elif not self._open:
            await self._end_unwanted()
        else:
            await self._endings.broke(list(self._open), error)
            self._open.clear()

    async def _clean_up(self) -> None:
        await self._progress.close()
        again = self.job.attempt > 1  # an earlier worker may have left previews
        for slot in self.job.slots:
            id = slot.generation_id
            if id not in self._open and (again or id in self._progress.shown):
                try:
                    await self._context.executor.run(self._context.media.drop_preview, id)
                except (OSError, RuntimeError, WorkbenchError):
                    return  # closing, or a disk that will be swept: no reason to fail

    # -- small things -----------------------------------------------------------------------------

    async def _has_space(self) -> bool:
        free = await self._context.executor.run(self._context.media.free_bytes)
        return free >= self._context.settings.min_free_bytes

    async def _find_open(self) -> None:
        unfinished = await self._context.reads.run(self._store.unfinished, self.fence)
        self.observe(unfinished)
        if unfinished is None:
            raise Stopped(Stop.LOST)

    def _request(self, key: str | None = None) -> JobRequest:
        """The request: a resend asks for all that was asked for, a new one for what is missing."""
        attempt = self.job.open_attempt
        if key is None and attempt is not None:
            return build_request(
                self.job, key=attempt.key, slots=self.job.slots, media=self._context.media
            )
        slots = tuple(slot for slot in self.job.slots if slot.generation_id in self._open)
        return build_request(self.job, key=key or "", slots=slots, media=self._context.media)

    def _intended(self, intent: asyncio.Future[str | None]) -> None:
        if intent.cancelled():
            return
        error = intent.exception()
        if error is not None:
            self._context.note("warning", f"An attempt was not noted: {error}", job=self.job)
        elif intent.result() is None:
            self.stop(Stop.LOST)

    def _progress_failed(self, error: Exception) -> None:
        self._remark("warning", f"Progress or a preview was not stored: {error}")

    def _remark(self, level: str, text: str) -> None:
        self._remarks += 1
        if text and self._remarks <= _MOST_REMARKS:
            self._context.note(level, text, kind="provider", job=self.job)

    def _cancel_remote(self, ref: JobRef) -> None:
        failed = f"The cancel did not reach {self.provider.title}"
        work = self._best_effort(lambda: self.provider.cancel(ref), _CANCEL_S, failed)
        self._context.spawn(work)

    async def _close(self, stream: Any) -> None:
        close = getattr(stream, "aclose", None)
        if close is None:
            return
        await self._best_effort(close, _CLOSE_S, f"{self.provider.title} did not close cleanly")

    async def _best_effort(
        self, work: Callable[[], Awaitable[object]], within_s: float, failed: str
    ) -> None:
        """Ask the provider for what decides nothing any more; a failure is in the event log."""

        def remark(error: Exception) -> None:
            self._remark("warning", f"{failed}: {str(error) or type(error).__name__}")

        await awaited(work, remark, within_s=within_s)
