"""What a call gave, cost or may have cost after its cancel: kept or booked once, beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.job_world import (
    ANN,
    BROKEN,
    CHARGED,
    PRICE,
    TOKENS,
    World,
    picture,
)
from workbench.domain.jobs import JobRecord
from workbench.domain.records import BatchRecord, GenerationRecord
from workbench.domain.status import OUTCOME_UNKNOWN, Status
from workbench.ports import Selection


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "w")
    yield world
    assert world.problems() == []
    world.close()


@pytest.fixture
def cancelled(world: World) -> tuple[JobRecord, BatchRecord, GenerationRecord]:
    """A claimed picture that somebody cancelled; its price was given back."""
    world.grant(micro=10 * TOKENS)
    batch = world.submit(price=PRICE)
    job = world.one()
    (one,) = world.generations(batch)
    world.store.cancel(ANN, Selection(generation_ids=(one.id,))).result()
    assert world.balance() == 10 * TOKENS
    return job, batch, one


@pytest.mark.req("TOK-2", "FEED-2")
def test_a_charge_without_a_picture_after_its_cancel_is_shown_and_booked_once(
    world: World, cancelled: tuple[JobRecord, BatchRecord, GenerationRecord]
) -> None:
    job, batch, one = cancelled
    late = world.store.fail_late(job.fence, one.id, CHARGED).result()
    assert late is not None
    assert (late.status, late.retry_of, late.index) == (Status.FAILED, one.id, one.index)
    assert late.error is not None
    assert (late.error.kind, late.error.charged) == (CHARGED.kind, True)
    assert (late.cost_micro, late.unit) == (TOKENS, "token")
    assert world.kinds(late.id) == ["reserve", "settle"]
    again = world.store.fail_late(job.fence, one.id, CHARGED).result()
    assert again is not None
    assert again.id == late.id, "a worker that took over says the same again"
    assert world.balance() == 9 * TOKENS
    assert [one.status for one in world.generations(batch)] == [Status.CANCELLED, Status.FAILED]
    assert world.store.finish_job(job.fence).result()


@pytest.mark.req("TOK-2")
def test_what_the_provider_names_is_booked_instead_of_the_price(
    world: World, cancelled: tuple[JobRecord, BatchRecord, GenerationRecord]
) -> None:
    job, _, one = cancelled
    named = replace(CHARGED, cost_micro=3 * TOKENS, unit="token")
    late = world.store.fail_late(job.fence, one.id, named).result()
    assert late is not None
    assert (late.cost_micro, world.balance()) == (3 * TOKENS, 7 * TOKENS)
    world.store.finish_job(job.fence).result()


@pytest.mark.req("TOK-2", "TOK-5")
def test_a_good_picture_after_a_charged_one_costs_nothing_more(
    world: World, cancelled: tuple[JobRecord, BatchRecord, GenerationRecord]
) -> None:
    """Another worker may fetch again what came in pieces, and get it whole."""
    job, _, one = cancelled
    assert world.store.fail_late(job.fence, one.id, CHARGED).result() is not None
    late = world.store.adopt_late(job.fence, picture(one.id, cost_micro=TOKENS)).result()
    assert late is not None
    assert (late.status, late.cost_micro, late.charged) == (Status.COMPLETED, 0, False)
    broken = world.store.fail_late(job.fence, one.id, CHARGED).result()
    assert broken is not None
    assert broken.id == late.id, "there is the picture: nothing is owed any more"
    assert world.balance() == 9 * TOKENS
    world.store.finish_job(job.fence).result()


def test_nothing_is_shown_where_nothing_is_owed(
    world: World, cancelled: tuple[JobRecord, BatchRecord, GenerationRecord]
) -> None:
    job, batch, one = cancelled
    assert world.store.fail_late(job.fence, one.id, BROKEN).result() is None, "not charged"
    stale = replace(job.fence, attempt=job.fence.attempt + 1)
    assert world.store.fail_late(stale, one.id, CHARGED).result() is None, "another's job"
    assert world.generations(batch) == [world.generation(one.id)]
    world.store.finish_job(job.fence).result()
    world.submit(n=2, batchable=True, price=PRICE)
    other = world.one()
    first, second = (slot.generation_id for slot in other.slots)
    assert world.store.fail_late(other.fence, first, CHARGED).result() is None, "it is open"
    world.store.fail(other.fence, [first], CHARGED).result()
    assert world.store.fail_late(other.fence, first, CHARGED).result() is None, "booked already"
    assert world.complete(other, slot=1)
    assert world.store.fail_late(other.fence, second, CHARGED).result() is None, "it is complete"
    assert world.balance() == 8 * TOKENS


@pytest.fixture
def sent(world: World) -> tuple[JobRecord, BatchRecord, GenerationRecord]:
    """A claimed picture that somebody cancelled when its call was under way."""
    world.grant(micro=10 * TOKENS)
    batch = world.submit(price=PRICE)
    job = world.one()
    world.submitted(job)
    (one,) = world.generations(batch)
    world.store.cancel(ANN, Selection(generation_ids=(one.id,))).result()
    return job, batch, one


@pytest.mark.req("PRV-5", "PRV-6", "TOK-5")
@pytest.mark.parametrize("how", ["dies", "closes", "waits"])
def test_a_cancelled_call_goes_on_with_whoever_takes_it_over(
    world: World, sent: tuple[JobRecord, BatchRecord, GenerationRecord], how: str
) -> None:
    job, batch, one = sent
    if how == "dies":
        assert world.store.requeue_dead("r1").result() == 1
    elif how == "closes":
        assert world.store.hand_over(job.fence).result()
    else:
        assert world.store.retry_later(
            job.fence, delay_ms=10, detail_key="retrying", detail_args={}
        ).result()
        world.clock.ms += 20
        world.store.promote_due().result()
    assert world.problems() == []
    other = world.one("r2")
    assert other.open_attempt is not None
    assert [slot.generation_id for slot in other.slots] == [one.id]
    assert world.store.unfinished(other.fence) == ()
    late = world.store.adopt_late(other.fence, picture(one.id)).result()
    assert late is not None
    assert (late.status, late.cost_micro) == (Status.COMPLETED, TOKENS)
    assert world.job(job.id)["state"] == "ended", "nothing else was asked for"
    assert [one.status for one in world.generations(batch)] == [
        Status.CANCELLED,
        Status.COMPLETED,
    ]


@pytest.mark.req("TOK-5", "PRV-6")
def test_a_waiting_call_that_was_sent_is_still_followed_when_it_is_cancelled(world: World) -> None:
    world.grant(micro=10 * TOKENS)
    batch = world.submit(price=PRICE)
    job = world.one()
    world.submitted(job)
    world.store.requeue_dead("r1").result()
    world.store.cancel(ANN, Selection(batch_id=batch.id)).result()
    assert world.problems() == []
    other = world.one("r2")
    assert world.store.finish_job(other.fence).result(), "it was not made"
    assert world.claim("r3") == []
    assert world.balance() == 10 * TOKENS


@pytest.mark.req("TOK-2", "TOK-5", "FEED-2")
@pytest.mark.parametrize("then", ["picture", "charge", "person", "nothing"])
def test_what_a_cancelled_call_may_have_cost_is_reserved_until_it_is_known(
    world: World, sent: tuple[JobRecord, BatchRecord, GenerationRecord], then: str
) -> None:
    job, batch, one = sent
    assert world.store.mark_unknown(job.fence, reason="no answer").result()
    first, doubt = world.generations(batch)
    assert (first.status, doubt.status) == (Status.CANCELLED, Status.PROCESSING)
    assert (doubt.detail_key, doubt.retry_of) == (OUTCOME_UNKNOWN, one.id)
    assert (world.balance(), world.kinds(doubt.id)) == (9 * TOKENS, ["reserve"])
    assert world.problems() == []
    if then == "person":
        world.store.resolve_unknown(ANN, doubt.id, "not_charged").result()
        assert world.store.ask_again(job.provider).result() == 0, "it is settled"
    else:
        assert world.store.ask_again("another").result() == 0
        assert world.store.ask_again(job.provider).result() == 1
        again = world.one("r2")
        assert [slot.generation_id for slot in again.slots] == [one.id]
        assert again.open_attempt is not None
        assert again.open_attempt.ref.resumable
        if then == "picture":
            world.store.adopt_late(again.fence, picture(one.id)).result()
        elif then == "charge":
            world.store.fail_late(again.fence, one.id, CHARGED).result()
        else:
            world.store.finish_job(again.fence).result()
    assert len(world.generations(batch)) == 2, "one place for what came of it"
    status = Status.COMPLETED if then == "picture" else Status.FAILED
    assert world.generation(doubt.id).status is status
    paid = then in ("picture", "charge")
    assert world.balance() == (9 if paid else 10) * TOKENS
    assert world.job(job.id)["state"] == "ended"


@pytest.mark.req("TOK-5")
def test_an_unknown_outcome_is_not_asked_for_without_a_reference_or_in_a_paused_queue(
    world: World,
) -> None:
    world.submit(n=2)
    for resumable in (False, True):
        job = world.one()
        world.submitted(job, resumable=resumable)
        world.store.mark_unknown(job.fence, reason="no answer").result()
    world.store.pause(ANN).result()
    assert world.store.ask_again(job.provider).result() == 0
    world.store.resume(ANN).result()
    assert world.store.ask_again(job.provider).result() == 1
    again = world.one("r2")
    assert again.id == job.id
    assert world.store.ask_again(job.provider).result() == 0, "it is asked already"
