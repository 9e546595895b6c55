"""Paid calls: never twice, never lost, and the truth where nobody can know."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runner_world import ANN, OPERATOR, QUICK, Process, processes
from workbench.domain.jobs import (
    AttemptState,
    Done,
    Idempotency,
    IdempotencyPolicy,
    JobRef,
    JobRequest,
    OpenAttempt,
    Queued,
    Running,
)
from workbench.domain.records import Price
from workbench.domain.status import ErrorKind
from workbench.errors import DiskFull, ProviderError
from workbench.media import Media
from workbench.ports import ProviderState
from workbench.runner.prepare import NextStep, next_step, quiet_s
from workbench.runner.runner import RunnerSettings
from workbench.testing.providers import EmulatedPaidProvider, FakeProvider, Gate, Picture

Open = Callable[..., Process]

KEYED = IdempotencyPolicy(Idempotency.KEYED, retention_s=3600)
LOOKUP = IdempotencyPolicy(Idempotency.LOOKUP, quiet_s=0.4)
LONG_QUIET_S = 300.0
NONE = IdempotencyPolicy(Idempotency.NONE)
LOST = ProviderError(ErrorKind.TRANSIENT, "The answer was lost.", maybe_sent=True)
BUSY = ProviderError(ErrorKind.TRANSIENT, "Too busy.")


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[Open]:
    with processes(tmp_path / "ws") as open_one:
        yield open_one


def in_turn(*answers: object) -> Callable[[JobRequest], object]:
    """What a provider does when asked: it gives these, or raises them, one after the other."""
    left = list(answers)

    def answer(request: JobRequest) -> object:
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    return answer


def attempt(state: AttemptState, *, resumable: bool = False, at: int = 0) -> OpenAttempt:
    return OpenAttempt("a", "key", state, JobRef("r", resumable=resumable), None, at)


@pytest.mark.req("TOK-5")
def test_how_an_open_attempt_goes_on() -> None:
    intent, sent = attempt(AttemptState.INTENT), attempt(AttemptState.SUBMITTED)
    followed = attempt(AttemptState.SUBMITTED, resumable=True)
    free = IdempotencyPolicy(Idempotency.FREE)
    for policy in (free, KEYED, LOOKUP, NONE):
        assert next_step(policy, None, now_ms=0) is NextStep.START
        assert next_step(policy, followed, now_ms=10**9) is NextStep.RESUME
    for open_one in (intent, sent):
        assert next_step(free, open_one, now_ms=0) is NextStep.START
        assert next_step(KEYED, open_one, now_ms=3_599_999) is NextStep.RESEND
        assert next_step(KEYED, open_one, now_ms=3_600_000) is NextStep.GIVE_UP
        assert next_step(LOOKUP, open_one, now_ms=0) is NextStep.LOOK_UP
        assert next_step(NONE, open_one, now_ms=0) is NextStep.GIVE_UP
    assert quiet_s(LOOKUP, intent, now_ms=100) == pytest.approx(0.3)
    assert quiet_s(LOOKUP, intent, now_ms=500) == 0


@pytest.mark.req("TOK-2", "TOK-5")
def test_a_paid_picture_goes_through_intent_and_reference_and_is_settled(opening: Open) -> None:
    gate = Gate()
    provider = FakeProvider(
        idempotency=KEYED, script=lambda request: [gate, Picture(), Done(usage={"gpu_s": 3})]
    )
    here = opening(provider)
    here.store.grant(OPERATOR, "ann", "token", 10_000_000, "test").result()
    batch = here.submit(price=Price(amount_micro=2_000_000))
    gate.wait_reached()
    (open_one,) = here.attempts(batch)
    (request,) = provider.requests
    assert (open_one.state, open_one.remote_id) == ("submitted", f"remote-{request.key}")
    assert open_one.idempotency_key == request.key
    gate.open()
    here.ended(batch)
    here.idle()
    assert here.store.balances("ann") == {"token": 8_000_000}
    assert here.attempts(batch)[0].state == "done"


@pytest.mark.req("TOK-5")
def test_a_lost_answer_is_sent_again_under_the_same_key(opening: Open) -> None:
    submit = in_turn(LOST, JobRef("remote", resumable=True))
    provider = FakeProvider(idempotency=KEYED, on_submit=submit)
    here = opening(provider)
    batch = here.submit()
    here.ended(batch)
    assert here.statuses(batch) == ["completed"]
    assert len({request.key for request in provider.requests}) == 1
    assert [one.state for one in here.attempts(batch)] == ["done"]


@pytest.mark.req("TOK-5")
def test_a_refused_resend_does_not_say_that_the_first_was_not_charged(opening: Open) -> None:
    wrong = ProviderError(ErrorKind.AUTH, "The key is wrong.")
    submit = in_turn(LOST, wrong, wrong, wrong, wrong)
    here = opening(FakeProvider(idempotency=KEYED, on_submit=submit))
    batch = here.submit()
    generation = here.wait_detail(batch, "outcome_unknown")
    assert generation.status.value == "processing"


@pytest.mark.req("TOK-5")
def test_an_unknown_outcome_frees_its_lane_and_waits_for_a_person(opening: Open) -> None:
    def submit(request):
        if request.slots[0].index == 0:
            raise LOST
        return JobRef("remote", resumable=True)

    provider = FakeProvider(idempotency=NONE, on_submit=submit, concurrency=1)
    here = opening(provider)
    here.store.grant(OPERATOR, "ann", "token", 10_000_000, "test").result()
    batch = here.submit(2, price=Price(amount_micro=1_000_000))
    here.wait_detail(batch, "outcome_unknown")
    here.until(lambda: here.statuses(batch) == ["processing", "completed"])
    first = here.generations(batch)[0]
    assert here.attempts(batch)[0].state == "unknown"
    assert here.store.balances("ann") == {"token": 8_000_000}  # still reserved
    assert len(provider.requests) == 2
    here.store.resolve_unknown(ANN, first.id, "not_charged").result()
    assert here.store.balances("ann") == {"token": 9_000_000}


@pytest.mark.req("TOK-5")
def test_a_look_up_finds_what_was_sent(opening: Open) -> None:
    def submit(request):
        raise LOST

    provider = FakeProvider(
        idempotency=LOOKUP,
        on_submit=submit,
        on_lookup=lambda request: JobRef("found", resumable=True),
    )
    here = opening(provider)
    batch = here.submit()
    here.ended(batch)
    assert here.statuses(batch) == ["completed"]
    assert len(provider.requests) == 1
    assert provider.followed == [JobRef("found", resumable=True)]


@pytest.mark.req("TOK-5")
def test_absent_means_not_sent_only_after_the_quiet_time(opening: Open) -> None:
    def provider_with(name: str, quiet_s: float) -> FakeProvider:
        policy = IdempotencyPolicy(Idempotency.LOOKUP, quiet_s=quiet_s)
        submit = in_turn(LOST, JobRef("second", resumable=True))
        return FakeProvider(name, idempotency=policy, on_submit=submit)

    # By a clock that the test turns: a quiet time of this machine's could be over unseen.
    provider, sooner = provider_with("fake", LONG_QUIET_S), provider_with("sooner", 100.0)
    here = opening(provider, sooner)
    batch, other = here.submit(), here.submit(provider="sooner")
    here.wait_detail(batch, "waiting_for_provider")
    here.wait_detail(other, "waiting_for_provider")
    here.clock.ahead_ms = 200_000
    here.submit(provider="nobody")  # any change of the feed has the runner look at the time
    here.ended(other)  # it has looked
    time.sleep(0.3)  # time to send this one, too, if it takes its quiet time for over
    assert here.detail(batch) == "waiting_for_provider"
    assert len(provider.requests) == 1
    here.clock.ahead_ms = 400_000
    here.submit(provider="nobody")
    here.ended(batch)
    first, second = here.attempts(batch)
    assert (first.state, second.state) == ("abandoned", "done")
    assert second.started_at - first.started_at >= LONG_QUIET_S * 1000
    assert len(provider.looked_up) >= 2


def test_a_look_up_that_fails_is_asked_again_and_nothing_is_sent(opening: Open) -> None:
    look_up = in_turn(BUSY, JobRef("found", resumable=True))
    provider = FakeProvider(idempotency=LOOKUP, on_submit=in_turn(LOST), on_lookup=look_up)
    here = opening(provider)
    batch = here.submit()
    here.ended(batch)
    assert here.statuses(batch) == ["completed"]
    assert len(provider.requests) == 1


@pytest.mark.req("PRV-5")
def test_a_lost_contact_while_polling_polls_again_and_sends_nothing(opening: Open) -> None:
    scripts = [[Running(1, 2), BUSY], [Running(2, 2), Picture()]]
    provider = FakeProvider(idempotency=NONE, script=lambda request: scripts.pop(0))
    here = opening(provider)
    batch = here.submit()
    here.ended(batch)
    assert here.statuses(batch) == ["completed"]
    assert len(provider.requests) == 1
    assert len(provider.followed) == 2
    assert len(here.attempts(batch)) == 1


def test_a_clear_refusal_before_sending_is_tried_as_a_new_attempt(opening: Open) -> None:
    submit = in_turn(BUSY, JobRef("remote", resumable=True))
    provider = FakeProvider(idempotency=NONE, on_submit=submit)
    here = opening(provider)
    batch = here.submit()
    here.ended(batch)
    assert [one.state for one in here.attempts(batch)] == ["failed", "done"]
    assert len({request.key for request in provider.requests}) == 2


@pytest.mark.req("TOK-5")
def test_a_bug_after_sending_does_not_say_not_charged(opening: Open) -> None:
    here = opening(FakeProvider(idempotency=KEYED, script=lambda request: [KeyError("oops")]))
    batch = here.submit()
    here.wait_detail(batch, "outcome_unknown")
    here.until(lambda: "KeyError" in here.notes())


@pytest.mark.req("TOK-5")
def test_a_paid_call_that_takes_too_long_is_unknown_and_cancelled(opening: Open) -> None:
    provider = FakeProvider(idempotency=KEYED, script=lambda request: [60.0], deadline_s=0.1)
    here = opening(provider)
    batch = here.submit()
    here.wait_detail(batch, "outcome_unknown")
    here.until(lambda: provider.cancelled)


@pytest.mark.req("PRV-4", "TOK-5")
def test_a_paid_picture_of_which_nothing_is_heard_is_unknown_and_cancelled(opening: Open) -> None:
    provider = FakeProvider(idempotency=KEYED, script=lambda request: [Running(1, 2), 60.0])
    here = opening(provider, settings=replace(QUICK, stall_s=0.1))
    here.store.grant(OPERATOR, "ann", "token", 10_000_000, "test").result()
    batch = here.submit(price=Price(amount_micro=2_000_000))
    held = here.wait_detail(batch, "outcome_unknown")
    here.until(lambda: provider.cancelled)
    here.until(lambda: "nothing was heard of it for 0.1 s" in here.notes())
    assert not held.status.is_terminal
    assert here.store.balances("ann") == {"token": 8_000_000}
    assert len(provider.requests) == 1, "it is not sent again"


@pytest.mark.req("PRV-4")
def test_each_picture_of_a_call_has_its_own_time_to_be_silent(opening: Open) -> None:
    skipped_s = 0.0

    def in_five_minutes(event: object):  # type: ignore[no-untyped-def]
        nonlocal skipped_s
        skipped_s += 300
        yield from (0.01, event)

    def script(request: JobRequest):  # type: ignore[no-untyped-def]
        for index in range(4):
            yield from in_five_minutes(Running(1, 2, index))
            yield from in_five_minutes(Picture(index))

    provider = FakeProvider(idempotency=KEYED, script=script, batchable=True, deadline_s=10**6)
    here = opening(provider, settings=replace(QUICK, stall_s=900))
    # The loop's time goes on as the script says: seconds of this machine do not count.
    loop = here.loop.loop
    real = loop.time
    loop.time = lambda: real() + skipped_s  # type: ignore[method-assign]
    batch = here.submit(4, batchable=True)
    here.ended(batch)
    assert here.statuses(batch) == ["completed"] * 4


@pytest.mark.req("PRV-4")
def test_a_place_in_the_providers_queue_is_no_silence(opening: Open) -> None:
    provider = FakeProvider(idempotency=KEYED, script=lambda request: [Queued(3), 0.3, Picture()])
    here = opening(provider, settings=replace(QUICK, stall_s=0.1))
    batch = here.submit()
    here.ended(batch)
    assert here.statuses(batch) == ["completed"]


@pytest.mark.req("PRV-4", "PRV-6", "FEED-10")
def test_a_picture_that_comes_after_its_cancel_is_kept_as_a_sibling(opening: Open) -> None:
    gate = Gate()
    provider = FakeProvider(idempotency=KEYED, script=lambda request: [gate, Picture()])
    here = opening(provider)
    here.store.grant(OPERATOR, "ann", "token", 10_000_000, "test").result()
    batch = here.submit(price=Price(amount_micro=2_000_000))
    gate.wait_reached()
    here.cancel(here.one(batch).id)
    here.until(lambda: provider.cancelled)
    assert here.store.balances("ann") == {"token": 10_000_000}
    gate.open()
    here.until(lambda: len(here.generations(batch)) == 2)
    first, late = here.generations(batch)
    assert (first.status.value, late.status.value) == ("cancelled", "completed")
    assert late.retry_of == first.id
    here.idle()
    assert here.store.balances("ann") == {"token": 8_000_000}


def test_what_is_cancelled_before_it_was_sent_is_not_sent(opening: Open) -> None:
    provider = FakeProvider(idempotency=KEYED)
    here = opening(provider, start=False)
    batch = here.submit()
    here.cancel(here.one(batch).id)
    here.start()
    other = here.submit()
    here.ended(other)
    assert len(provider.requests) == 1


def test_a_cancel_while_sending_reaches_the_provider(opening: Open) -> None:
    gate = Gate()

    class Slow(FakeProvider):
        async def submit(self, request):
            await gate.passed()
            return await super().submit(request)

    told = Gate()
    answer = [told, ProviderError(ErrorKind.BAD_REQUEST, "Cancelled.")]
    provider = Slow(idempotency=KEYED, script=lambda request: answer)
    here = opening(provider)
    batch = here.submit()
    gate.wait_reached()
    here.cancel(here.one(batch).id)
    gate.open()
    here.until(lambda: provider.cancelled)
    told.open()
    here.idle()
    assert here.statuses(batch) == ["cancelled"]


def test_no_paid_job_is_started_without_space_for_its_picture(
    opening: Open, tmp_path: Path
) -> None:
    class Nearly(Media):
        free = 1_000

        def free_bytes(self):
            return self.free

    media = Nearly(tmp_path / "ws")
    provider = FakeProvider(idempotency=KEYED)
    here = opening(provider, media=media)
    batch = here.submit()
    here.wait_detail(batch, "waiting_for_disk")
    assert provider.requests == []
    assert here.attempts(batch) == []
    media.free = 10**12
    here.ended(batch)
    assert here.statuses(batch) == ["completed"]


@pytest.mark.parametrize("resumable", [True, False])
@pytest.mark.parametrize(
    "refusal", [DiskFull("The disk is full."), OSError(errno.EROFS, "Read-only file system")]
)
def test_a_paid_picture_survives_a_disk_that_takes_nothing(
    opening: Open, tmp_path: Path, refusal: Exception, *, resumable: bool
) -> None:
    class FullOnce(Media):
        refusals = 2

        def admit(self, data, *, source):
            if self.refusals:
                self.refusals -= 1
                raise refusal
            return super().admit(data, source=source)

    provider = FakeProvider(
        idempotency=NONE, on_submit=lambda request: JobRef("remote", resumable=resumable)
    )
    here = opening(provider, media=FullOnce(tmp_path / "ws"))
    batch = here.submit()
    here.ended(batch)
    assert here.statuses(batch) == ["completed"]
    assert len(provider.requests) == 1
    assert len(provider.followed) == (3 if resumable else 1)


def test_an_open_paid_attempt_waits_for_its_provider_to_be_ready(opening: Open) -> None:
    lost = ProviderError(ErrorKind.TRANSIENT, "Lost.", maybe_sent=True, retry_after_s=300)
    provider = FakeProvider(idempotency=KEYED, on_submit=lambda request: _raise(lost))
    here = opening(provider)
    batch = here.submit()
    here.wait_detail(batch, "retrying")
    provider.available = ProviderState(False, "key_missing", "FAKE_KEY is not set; set it.")
    here.clock.ahead_ms = 400_000  # not before: it is asked again when the test has seen it wait
    here.submit(provider="nobody")  # any change of the feed has the runner look at the time
    generation = here.wait_detail(batch, "waiting_for_provider")
    assert generation.status.value == "pending"


def _raise(error: Exception) -> JobRef:
    raise error


@pytest.mark.req("FEED-2")
def test_a_broken_paid_picture_is_charged_only_if_the_provider_says_so(opening: Open) -> None:
    from decimal import Decimal

    broken = Picture(data=b"no picture")
    provider = FakeProvider(
        idempotency=KEYED,
        script=lambda request: [broken, Done(cost=Decimal(request.prompt), unit="USD")],
    )
    here = opening(provider)
    here.store.grant(OPERATOR, "ann", "token", 10_000_000, "test").result()
    price = Price(amount_micro=1_000_000)
    free, charged = here.submit(price=price, prompt="0"), here.submit(price=price, prompt="0.04")
    here.ended(free)
    here.ended(charged)
    assert [here.one(batch).error.charged for batch in (free, charged)] == [False, True]
    here.idle()
    assert here.store.balances("ann") == {"token": 9_000_000}


@pytest.mark.req("PRV-5")
def test_a_closed_engine_hands_a_paid_job_over_and_the_next_one_resumes_it(opening: Open) -> None:
    gate = Gate()
    one = FakeProvider(idempotency=NONE, script=lambda request: [Running(1, 2), gate, Picture()])
    here = opening(one)
    batch = here.submit()
    gate.wait_reached()
    here.stop()
    assert here.statuses(batch) == ["queued"]
    other = FakeProvider(idempotency=NONE)
    there = opening(other)
    there.ended(batch)
    assert other.requests == []
    assert other.followed == one.followed
    assert there.statuses(batch) == ["completed"]
    gate.open()


def test_a_resend_asks_for_all_that_was_asked_for_before(opening: Open) -> None:
    """A long call of four pictures breaks off after two: the same key means the same request."""
    scripts = [[Picture(0), Picture(1), LOST], [Picture()]]
    provider = FakeProvider(
        idempotency=KEYED,
        on_submit=lambda request: JobRef(),
        script=lambda request: scripts.pop(0),
        batchable=True,
    )
    here = opening(provider)
    batch = here.submit(4, batchable=True)
    here.ended(batch)
    assert here.statuses(batch) == ["completed"] * 4
    first, second = provider.requests
    assert first.key == second.key
    assert first.slots == second.slots


@pytest.mark.req("TOK-5")
@pytest.mark.parametrize("kind", [Idempotency.KEYED, Idempotency.LOOKUP, Idempotency.NONE])
@pytest.mark.parametrize("resumable", [True, False])
def test_the_emulated_service_charges_once_per_picture(
    opening: Open, tmp_path: Path, kind: Idempotency, *, resumable: bool
) -> None:
    provider = EmulatedPaidProvider(tmp_path / "book", kind=kind, name="fake", resumable=resumable)
    here = opening(provider)
    batch = here.submit(3)
    here.ended(batch)
    assert here.statuses(batch) == ["completed"] * 3
    charged = [id for charge in provider.book.charges() for id in charge.generations]
    assert sorted(charged) == sorted(g.id for g in here.generations(batch))


def test_a_circuit_opens_after_five_failures_in_a_row_and_says_so(opening: Open) -> None:
    provider = FakeProvider(script=lambda request: [BUSY], concurrency=8)
    here = opening(provider, settings=RunnerSettings(backoff_base_s=0.01, backoff_cap_s=0.02))
    batch = here.submit(5)
    here.until(lambda: any(g.detail_key == "waiting_for_provider" for g in here.generations(batch)))
    here.until(lambda: "nothing is sent to it" in here.notes())
    # Those that were claimed before it opened are still sent.
    here.until(lambda: "processing" not in here.statuses(batch))
    sent = len(provider.requests)
    more = here.submit()
    assert here.statuses(more) == ["queued"]
    assert len(provider.requests) == sent
