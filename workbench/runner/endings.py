"""How a job ends, or waits for another try: each way one or two durable writes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Iterable
from concurrent.futures import Future

from workbench.domain.border import told
from workbench.domain.jobs import (
    AttemptState,
    Done,
    JobRecord,
    JobRef,
    OpenAttempt,
)
from workbench.domain.records import JsonValue
from workbench.domain.status import RETRYABLE, ErrorKind
from workbench.errors import (
    DiskFull,
    EngineClosed,
    ImageRejected,
    InvalidRequest,
    NotAllowed,
    ProviderError,
    StoreError,
)
from workbench.ports import Failure, Provider
from workbench.runner.context import Context, written
from workbench.runner.failpoints import failpoint
from workbench.runner.landing import cost_of
from workbench.runner.retry import Circuit, backoff_s
from workbench.runner.waiting import Stopped, Waiting

_LONGEST_REASON = 160  # characters of a reason shown beside a status
_PROVIDER_WAIT_S = 60.0  # until an open paid attempt looks again whether its provider is ready
_STORE_WAITS_S = (1.0, 30.0)  # first and longest wait after the store refused a write


class Endings:
    """The ends of one claimed job.

    Where two writes are needed, the one that is safe alone comes first: an attempt that is known
    to have failed is closed before its job is held or failed, or a crash between the two would
    make it look as if it might have been sent.

    Attributes
    ----------
    intent:
        the write of the attempt row, once there is one.
    attempt_id:
        id of the attempt row, if it is known without waiting.
    ended:
        True once the job left this claim.
    """

    def __init__(
        self, job: JobRecord, provider: Provider, circuit: Circuit, context: Context
    ) -> None:
        self._job = job
        self._fence = job.fence
        self._provider = provider
        self._circuit = circuit
        self._context = context
        self._store = context.store
        self.intent: Future[str | None] | None = None
        self.attempt_id: str | None = None
        self.ended = False

    async def attempt(self) -> str | None:
        """Return the id of the attempt row; None if the claim is stale."""
        if self.attempt_id is None and self.intent is not None:
            self.attempt_id = await written(self.intent)
        return self.attempt_id

    def open_attempt(self, ref: JobRef | None) -> OpenAttempt:
        """Return this claim's attempt as another worker would find it now."""
        earlier = self._job.open_attempt
        now = self._context.clock.now_ms()
        return OpenAttempt(
            id=self.attempt_id or "",
            key="" if earlier is None else earlier.key,
            state=AttemptState.INTENT if ref is None else AttemptState.SUBMITTED,
            ref=ref or JobRef(),
            sent_at=None,
            started_at=now if earlier is None else earlier.started_at,
        )

    # -- the end ----------------------------------------------------------------------------------

    async def finish(self, done: Done, *, landed: bool, more: bool) -> None:
        """End the job after its last event.

        Parameters
        ----------
        done:
            what the provider said at the end.
        landed:
            at least one picture came home.
        more:
            something may still be open (it fails as no_image, if nobody cancelled it).
        """
        self.ended = True
        if more:
            await written(self._store.finish_job(self._fence))
        failpoint("after_finish")
        usage: dict[str, JsonValue] = dict(done.usage)
        if done.cost is not None:
            usage |= {"cost": str(done.cost), "unit": done.unit}
        id = await self.attempt() if usage else None
        if id is not None:
            state = AttemptState.DONE if landed else AttemptState.FAILED
            await written(self._store.end_attempt(id, state, usage=usage))

    async def fail(
        self, ids: Iterable[str], failure: Failure, *, message: str | None = None
    ) -> None:
        """Fail the generations for good."""
        self.ended = True
        failpoint("before_fail")
        id = await self.attempt()
        if id is not None:
            # Not waited for: the writer keeps the order, and the next write tells if it broke.
            closed = self._store.end_attempt(
                id, AttemptState.FAILED, error_kind=failure.kind.value, error_message=message
            )
            closed.add_done_callback(_looked_at)
        wanted = list(ids)
        if await written(self._store.fail(self._fence, wanted, failure)) < len(wanted):
            await self._book_named(wanted, failure)  # somebody cancelled one of them just now
        failpoint("after_fail")

    async def reject(
        self,
        id: str,
        reason: str,
        *,
        charged: bool,
        cost: tuple[int | None, str | None] = (None, None),
    ) -> None:
        """Fail one generation whose picture the image door refused; the others go on.

        Where somebody cancelled it meanwhile, what it cost is booked beside it.
        """
        failure = Failure(
            ErrorKind.BAD_IMAGE,
            "bad_image",
            {"provider": self._provider.title, "reason": reason},
            charged,
            *cost,
        )
        self._context.note(
            "warning", f"A picture was refused: {reason}", kind="provider", job=self._job
        )
        if not await written(self._store.fail(self._fence, [id], failure)):
            await self._book_late(id, failure)

    async def charged_late(self, ids: Iterable[str], error: ProviderError) -> None:
        """Book what a call cost that failed when nobody waited for its pictures any more."""
        failure = _failure_of(error)
        if failure.charged:
            self._context.note(
                "warning",
                f"{self._provider.title} charged what was cancelled: {error.message}",
                kind="provider",
                job=self._job,
            )
            await self._book_named(ids, failure)

    async def _book_named(self, ids: Iterable[str], failure: Failure) -> None:
        """Book a charge that is named: a cancelled call may cost less than was reserved for it."""
        for id in ids if failure.charged and failure.cost_micro else ():
            await self._book_late(id, failure)

    async def _book_late(self, id: str, failure: Failure) -> None:
        """Show a charge without a picture beside a generation that had ended meanwhile."""
        late = await written(self._store.fail_late(self._fence, id, failure))
        if late is not None:
            failpoint("after_late")

    async def failed(self, ids: list[str], error: ProviderError) -> bool:
        """The provider failed and charged nothing: try again later, or fail. True: failed."""
        self._feel(error)
        transient = error.kind in RETRYABLE and not error.ended
        if transient and self._job.tries + 1 < self._context.settings.max_tries:
            id = await self.attempt()
            if id is not None:
                closed = self._store.end_attempt(
                    id,
                    AttemptState.FAILED,
                    error_kind=error.kind.value,
                    error_message=error.message,
                )
                closed.add_done_callback(_looked_at)
            await self._retry(error)
            return False
        await self.fail(ids, _failure_of(error), message=error.message)
        return True

    async def uncertain(self, error: ProviderError, *, may_ask_again: bool) -> None:
        """A paid submission may be under way: ask again later, or leave it to a person.

        Parameters
        ----------
        error:
            what happened.
        may_ask_again:
            the same submission can be looked up, polled or sent again safely.
        """
        self._feel(error)
        if may_ask_again and self._job.tries + 1 < self._context.settings.max_tries:
            await self._retry(error)
        else:
            await self.give_up(error.message)

    async def give_up(self, reason: str) -> None:
        """Nobody knows whether the paid call was made: it waits for a person."""
        self.ended = True
        await written(self._store.mark_unknown(self._fence, reason=reason[:_LONGEST_REASON]))
        failpoint("after_unknown")
        self._context.note(
            "warning",
            f"Whether {self._provider.title} made and charged a picture is not known: {reason}",
            job=self._job,
        )

    async def not_ready(self, ids: Collection[str], problem: Failure, *, sent: bool) -> None:
        """The provider cannot be asked here now; `ids` are open, and `sent` may have been paid."""
        if not sent:
            await self.fail(ids, problem)
        elif ids:
            await self.wait_for_provider(_PROVIDER_WAIT_S)
        else:
            # Nobody sees that it waits. It is asked for later, where there is a reference.
            await self.give_up(f"{self._provider.title} cannot be asked here now")
            self._context.ask_later(self._provider)

    async def too_slow(self, ids: list[str], *, quiet_s: float | None = None) -> None:
        """A free job did not end in time, or nothing was heard of it for `quiet_s` seconds."""
        key, seconds = "deadline", f"{self._provider.deadline_s:g}"
        message = f"not finished within {seconds} s"
        if quiet_s is not None:
            key, seconds = "stalled", f"{quiet_s:g}"
            message = f"nothing heard for {seconds} s"
        failure = Failure(
            ErrorKind.TRANSIENT, key, {"provider": self._provider.title, "seconds": seconds}
        )
        await self.fail(ids, failure, message=message)

    async def broke(self, ids: list[str], error: Exception) -> None:
        """A bug of the provider or of ours ended the job before anything was sent."""
        text = told(error)[:_LONGEST_REASON]
        failure = Failure(
            ErrorKind.INTERNAL, "internal", {"provider": self._provider.title, "error": text}
        )
        await self.fail(ids, failure, message=text)

    async def store_failed(self, error: StoreError, waiting: Waiting) -> None:
        """Our own store refused a write: give the job back as soon as it takes one again.

        Parameters
        ----------
        error:
            what it said.
        waiting:
            the job's waits, which a stop from outside ends.
        """
        wait_s, longest_s = _STORE_WAITS_S
        while not isinstance(error, EngineClosed):
            self._context.note(
                "error", f"A job's write failed: {error}", kind="store", job=self._job
            )
            try:
                if isinstance(error, DiskFull):
                    await self.wait_for_disk()
                    return
            except StoreError as again:
                error = again
            stopped = False
            try:
                await waiting.wait_for(asyncio.sleep(wait_s), timed=False)
            except Stopped:
                stopped = True
            try:
                if not isinstance(error, DiskFull) or stopped:
                    await written(self._store.hand_over(self._fence))
                    return
            except StoreError as again:
                error = again
            if stopped:
                return  # whoever finds our lock free will take it over
            wait_s = min(longest_s, 2 * wait_s)

    # -- waiting for another try ------------------------------------------------------------------

    async def wait_for_provider(self, wait_s: float) -> None:
        """Hold the job; its open attempt stays open."""
        detail: dict[str, JsonValue] = {"provider": self._provider.title}
        await self._hold(wait_s, "waiting_for_provider", detail, count_try=False)

    async def wait_for_disk(self) -> None:
        """Hold the job until there may be space again."""
        await self._hold(
            self._context.settings.disk_wait_s, "waiting_for_disk", {}, count_try=False
        )

    async def hand_over(self, *, keep_attempt: bool) -> None:
        """Queue the job for another process (or for our next start)."""
        self.ended = True
        id = None if keep_attempt else await self.attempt()
        if id is not None:
            closed = self._store.end_attempt(id, AttemptState.ABANDONED)
            closed.add_done_callback(_looked_at)
        await written(self._store.hand_over(self._fence))

    async def _retry(self, error: ProviderError) -> None:
        failpoint("before_retry")
        settings = self._context.settings
        delay_s = backoff_s(
            self._job.tries,
            base_s=settings.backoff_base_s,
            cap_s=settings.backoff_cap_s,
            retry_after_s=error.retry_after_s,
            uniform=self._context.uniform,
        )
        closed_s = self._circuit.wait_s()
        if closed_s > delay_s:
            spread_s = self._context.uniform(0.0, settings.backoff_base_s)
            provider: dict[str, JsonValue] = {"provider": self._provider.title}
            await self._hold(closed_s + spread_s, "waiting_for_provider", provider, count_try=True)
        else:
            detail: dict[str, JsonValue] = {
                "seconds": math.ceil(delay_s),
                "reason": error.message[:_LONGEST_REASON],
            }
            await self._hold(delay_s, "retrying", detail, count_try=True)
        failpoint("after_retry")

    async def _hold(
        self, delay_s: float, key: str, arguments: dict[str, JsonValue], *, count_try: bool
    ) -> None:
        self.ended = True
        held = await written(
            self._store.retry_later(
                self._fence,
                delay_ms=math.ceil(delay_s * 1000),
                detail_key=key,
                detail_args=arguments,
                count_try=count_try,
            )
        )
        if held:
            self._context.due_in(delay_s)
            if count_try:
                self._context.retry_in(self._job.id, delay_s)

    def _feel(self, error: ProviderError) -> None:
        """Tell the circuit what the error says about the provider's health."""
        if error.kind not in RETRYABLE or error.ended:
            self._circuit.succeeded()
        elif self._circuit.failed():
            self._context.note(
                "warning",
                f"{self._provider.title} fails again and again ({error.message}); "
                f"nothing is sent to it for {self._circuit.wait_s():.0f} s.",
                kind="provider",
            )


def _failure_of(error: ProviderError) -> Failure:
    return Failure(error.kind, "provider", {"text": error.message}, error.charged, *cost_of(error))


def as_provider_error(error: Exception) -> ProviderError | None:
    """Read an error of ours that a provider let through; None for what is a bug."""
    if isinstance(error, InvalidRequest):
        return ProviderError(ErrorKind.BAD_REQUEST, str(error))
    if isinstance(error, ImageRejected):
        return ProviderError(ErrorKind.BAD_IMAGE, str(error))
    if isinstance(error, NotAllowed):
        # The store knows this reference already: what became of this submission cannot be told.
        return ProviderError(ErrorKind.BAD_REQUEST, str(error), maybe_sent=True)
    return None


def _looked_at(future: Future[None]) -> None:
    if not future.cancelled():
        future.exception()
