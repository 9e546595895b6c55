"""The part of the SQLite store that runners and the queue's users call: one method, one write."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from workbench.domain.jobs import Fence, JobRecord, JobRef, Progress
from workbench.domain.limits import VisitorLimits
from workbench.domain.parameters import Model
from workbench.domain.records import CancelResult, GenerationRecord, Identity, Json, Price
from workbench.ports import Failure, Outcome, Selection
from workbench.store.sqlite import (
    attempts,
    checks,
    claim,
    control,
    late,
    outcomes,
    place,
    retry,
    submit,
    visitors,
)
from workbench.store.sqlite.claim import MAX_DEATHS

if TYPE_CHECKING:
    from workbench.store.sqlite.database import Database


class JobOperations:
    """Mixin of the SQLite store; the methods are those of `workbench.ports.Store`.

    Money and acceptance are committed FULL (they survive a power cut), claims and progress NORMAL.
    """

    database: Database

    # -- people ---------------------------------------------------------------------------------
    def retry(
        self,
        identity: Identity,
        generation_id: str,
        price: Price,
        *,
        limits: VisitorLimits | None = None,
    ) -> Future[GenerationRecord]:
        """Queue an ended generation again (see `retry.retry`)."""
        return self.database.write(
            lambda tx: retry.retry(tx, identity, generation_id, price, limits), full=True
        )

    def retry_all(
        self,
        identity: Identity,
        generation_ids: Sequence[str],
        prices: Sequence[Price],
        *,
        limits: VisitorLimits | None = None,
    ) -> Future[list[GenerationRecord]]:
        """Queue ended generations again, all or none, each at its price (see `retry.retry`)."""
        again = list(zip(generation_ids, prices, strict=True))
        return self.database.write(
            lambda tx: [retry.retry(tx, identity, id, price, limits) for id, price in again],
            full=True,
        )

    def cancel(self, identity: Identity, selection: Selection) -> Future[CancelResult]:
        """Cancel what is selected and has not ended (see `control.cancel`)."""
        return self.database.write(lambda tx: control.cancel(tx, identity, selection), full=True)

    def pause(self, identity: Identity) -> Future[int]:
        """Hold the user's queue (see `control.pause`)."""
        return self.database.write(lambda tx: control.pause(tx, identity))

    def resume(self, identity: Identity) -> Future[int]:
        """Let the user's queue go on (see `control.resume`)."""
        return self.database.write(lambda tx: control.resume(tx, identity))

    def paused(self, identity: Identity) -> bool:
        """Tell whether the user's queue is paused, by them or for everybody."""
        with self.database.reading() as reader:
            return control.is_paused(reader, identity.user)

    def run_next(self, identity: Identity, selection: Selection) -> Future[int]:
        """Put waiting jobs before all others of their owner (see `control.run_next`)."""
        return self.database.write(lambda tx: control.run_next(tx, identity, selection))

    def edit_queued(
        self,
        identity: Identity,
        generation_id: str,
        changes: Mapping[str, Any],
        *,
        model: Model | None = None,
        limits: VisitorLimits | None = None,
    ) -> Future[GenerationRecord]:
        """Change the settings of a waiting generation (see `control.edit_queued`)."""
        return self.database.write(
            lambda tx: control.edit_queued(
                tx, identity, generation_id, changes, model=model, limits=limits
            ),
            full=True,
        )

    def resolve_unknown(
        self,
        identity: Identity,
        generation_id: str,
        outcome: str,
        *,
        limits: VisitorLimits | None = None,
    ) -> Future[GenerationRecord]:
        """Settle an unknown outcome as a person says (see `retry.resolve_unknown`)."""
        return self.database.write(
            lambda tx: retry.resolve_unknown(tx, identity, generation_id, outcome, limits),
            full=True,
        )

    def check_means(
        self,
        identity: Identity,
        topic_id: str | None,
        price: Price,
        n: int,
        *,
        limits: VisitorLimits | None = None,
    ) -> None:
        """See `submit.check_means` and `submit.own_topic`; nothing is stored."""
        with self.database.reading() as reader:
            if topic_id is not None:
                submit.own_topic(reader, identity, topic_id)
            now = self.database.now_ms()
            submit.check_means(reader, identity.user, topic_id, price, n, limits=limits, now=now)

    def images_made(self, user: str, since_ms: int) -> int:
        """Return how many images of a visitor count from a time on (see `visitors.images_made`)."""
        with self.database.reading() as reader:
            return visitors.images_made(reader, user, since_ms)

    def ahead(self, user: str) -> int | None:
        """Return how many images stand before the user's first (see `place.ahead`)."""
        with self.database.reading() as reader:
            return place.ahead(reader, user)

    # -- runners --------------------------------------------------------------------------------
    def claim(
        self, runner_id: str, *, lanes: Mapping[str, int], limit: int
    ) -> Future[list[JobRecord]]:
        """Claim queued jobs fairly (see `claim.claim`)."""
        return self.database.write(lambda tx: claim.claim(tx, runner_id, lanes=lanes, limit=limit))

    def requeue_dead(
        self,
        runner_id: str,
        *,
        max_deaths: int = MAX_DEATHS,
        free: Collection[str] = frozenset(),
    ) -> Future[int]:
        """Put the jobs of a dead runner back (see `claim.requeue_dead`)."""
        return self.database.write(
            lambda tx: claim.requeue_dead(tx, runner_id, max_deaths=max_deaths, free=free),
            full=True,
        )

    def in_doubt(self, provider: str) -> int:
        """Return how many jobs may be asked for once more (see `claim.in_doubt`)."""
        with self.database.reading() as reader:
            return len(claim.in_doubt(reader, provider))

    def ask_again(self, provider: str) -> Future[int]:
        """Queue paid jobs whose end may be asked for once more (see `claim.ask_again`)."""
        return self.database.write(lambda tx: claim.ask_again(tx, provider), full=True)

    def hand_over(self, fence: Fence) -> Future[bool]:
        """Put an unfinished job back without counting a death."""
        return self.database.write(lambda tx: claim.hand_over(tx, fence))

    def promote_due(self) -> Future[int | None]:
        """Queue held jobs whose time has come (see `claim.promote_due`)."""
        return self.database.write(claim.promote_due)

    def write_intent(
        self,
        fence: Fence,
        *,
        key: str,
        request_sha: str,
        generation_id: str | None,
        full: bool = True,
    ) -> Future[str | None]:
        """Write the attempt before sending (see `attempts.write_intent`)."""
        return self.database.write(
            lambda tx: attempts.write_intent(
                tx, fence, key=key, request_sha=request_sha, generation_id=generation_id
            ),
            full=full,
        )

    def write_submitted(self, fence: Fence, attempt_id: str, ref: JobRef) -> Future[bool]:
        """Write the provider's reference before the first poll."""
        return self.database.write(
            lambda tx: attempts.write_submitted(tx, fence, attempt_id, ref), full=True
        )

    def end_attempt(
        self,
        attempt_id: str,
        state: str,
        *,
        error_kind: str | None = None,
        error_message: str | None = None,
        usage: Json | None = None,
    ) -> Future[None]:
        """Write how a submission ended (see `attempts.end_attempt`)."""
        return self.database.write(
            lambda tx: attempts.end_attempt(
                tx,
                attempt_id,
                state,
                error_kind=error_kind,
                error_message=error_message,
                usage=usage,
            )
        )

    def report_progress(self, fence: Fence, steps: Sequence[Progress]) -> Future[bool]:
        """Store the newest progress (see `outcomes.report_progress`)."""
        return self.database.write(lambda tx: outcomes.report_progress(tx, fence, steps))

    def complete(self, fence: Fence, outcome: Outcome) -> Future[bool]:
        """Store a finished picture (see `outcomes.complete`)."""
        return self.database.write(lambda tx: outcomes.complete(tx, fence, outcome), full=True)

    def adopt_late(self, fence: Fence, outcome: Outcome) -> Future[GenerationRecord | None]:
        """Store a paid picture that nobody waits for any more (see `late.adopt_late`)."""
        return self.database.write(lambda tx: late.adopt_late(tx, fence, outcome), full=True)

    def fail_late(self, fence: Fence, id: str, failure: Failure) -> Future[GenerationRecord | None]:
        """Book a charge without a picture that nobody waits for (see `late.fail_late`)."""
        return self.database.write(lambda tx: late.fail_late(tx, fence, id, failure), full=True)

    def fail(self, fence: Fence, generation_ids: Sequence[str], failure: Failure) -> Future[int]:
        """End generations as failed (see `outcomes.fail`)."""
        return self.database.write(
            lambda tx: outcomes.fail(tx, fence, generation_ids, failure), full=True
        )

    def retry_later(
        self,
        fence: Fence,
        *,
        delay_ms: int,
        detail_key: str,
        detail_args: Json,
        count_try: bool = True,
    ) -> Future[bool]:
        """Hold the job for a while (see `outcomes.retry_later`)."""
        return self.database.write(
            lambda tx: outcomes.retry_later(
                tx,
                fence,
                delay_ms=delay_ms,
                detail_key=detail_key,
                detail_args=detail_args,
                count_try=count_try,
            )
        )

    def mark_unknown(self, fence: Fence, *, reason: str) -> Future[bool]:
        """Note that a paid call has no known end (see `late.mark_unknown`)."""
        return self.database.write(
            lambda tx: late.mark_unknown(tx, fence, reason=reason), full=True
        )

    def finish_job(self, fence: Fence) -> Future[bool]:
        """End the job (see `outcomes.finish_job`)."""
        return self.database.write(lambda tx: outcomes.finish_job(tx, fence), full=True)

    def unfinished(self, fence: Fence) -> tuple[str, ...] | None:
        """Return the ids of the job's open generations (see `outcomes.unfinished`)."""
        with self.database.reading() as reader:
            return outcomes.unfinished(reader, fence)

    # -- doctor ---------------------------------------------------------------------------------
    def check(self, *, live_runners: Callable[[str], bool], deep: bool = True) -> list[str]:
        """Return problems with the store's invariants, as sentences (see `checks.check`)."""
        with self.database.reading() as reader:
            return checks.check(reader, live_runners=live_runners, deep=deep)
