"""What comes for a picture after its cancel: kept if it can be used, booked if it was charged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.runner_world import ANN, OPERATOR, QUICK, Process, processes
from workbench.domain.jobs import (
    Done,
    Idempotency,
    IdempotencyPolicy,
    JobRef,
    JobRequest,
    Queued,
    Running,
)
from workbench.domain.records import BatchRecord, GenerationRecord, Price
from workbench.domain.status import OUTCOME_UNKNOWN, ErrorKind
from workbench.errors import ProviderError
from workbench.ports import ProviderState
from workbench.testing.providers import FakeProvider, Gate, Picture

Open = Callable[..., Process]
KEYED = IdempotencyPolicy(Idempotency.KEYED, retention_s=3600)
GRANTED = 10_000_000
PRICE = Price(amount_micro=2_000_000)


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[Open]:
    with processes(tmp_path / "ws") as opening:
        yield opening


class Cancelled:
    """A paid call that is cancelled while its provider waits at a gate, and what came then."""

    def __init__(
        self,
        opening: Open,
        *then: object,
        n: int = 1,
        stall_s: float = 60.0,
        **provides: Any,
    ) -> None:
        gate = Gate()
        provider = FakeProvider(
            idempotency=KEYED,
            script=lambda request: [Queued(1), gate, *then],  # in a queue, silence is no end
            batchable=n > 1,
            **provides,
        )
        self.provider = provider
        self.here = opening(provider, settings=replace(QUICK, stall_s=stall_s))
        self.here.store.grant(OPERATOR, "ann", "token", GRANTED, "test").result()
        self.batch: BatchRecord = self.here.submit(n, price=PRICE, batchable=n > 1)
        gate.wait_reached()
        self.here.cancel(*[one.id for one in self.here.generations(self.batch)])
        self.here.until(lambda: provider.cancelled)
        assert self.balance == GRANTED
        gate.open()
        self.here.idle()

    @property
    def balance(self) -> int:
        return self.here.store.balances("ann")["token"]

    @property
    def late(self) -> list[GenerationRecord]:
        """What stands beside the cancelled ones, which stay as they were."""
        found = self.here.generations(self.batch)
        first = [one for one in found if one.retry_of is None]
        assert {one.status.value for one in first} == {"cancelled"}
        late = [one for one in found if one.retry_of is not None]
        assert {one.retry_of for one in late} <= {one.id for one in first}
        assert self.here.problems() == []
        return late


@pytest.mark.req("TOK-2", "PRV-6", "FEED-2")
def test_a_broken_picture_after_its_cancel_is_booked_at_its_price(opening: Open) -> None:
    world = Cancelled(opening, Picture(data=b"no picture"))
    (late,) = world.late
    assert late.error is not None
    assert (late.error.kind, late.error.charged) == (ErrorKind.BAD_IMAGE, True)
    assert late.cost_micro == PRICE.amount_micro
    assert world.balance == GRANTED - PRICE.amount_micro


@pytest.mark.req("TOK-2")
@pytest.mark.parametrize(("cost", "shown"), [("0", 0), ("0.5", 1)], ids=["free", "named"])
def test_what_the_provider_says_of_a_broken_picture_counts(
    opening: Open, cost: str, shown: int
) -> None:
    done = Done(cost=Decimal(cost), unit="token")
    world = Cancelled(opening, Picture(data=b"no picture"), done)
    assert len(world.late) == shown
    assert world.balance == GRANTED - 1_000_000 * Decimal(cost)


@pytest.mark.req("TOK-2")
def test_of_several_pictures_the_broken_one_is_booked_and_the_good_one_kept(opening: Open) -> None:
    world = Cancelled(opening, Picture(0), Picture(1, b"no picture"), n=2)
    assert sorted((one.index, one.status.value) for one in world.late) == [
        (0, "completed"),
        (1, "failed"),
    ]
    assert world.balance == GRANTED - 2 * PRICE.amount_micro


@pytest.mark.req("TOK-2")
def test_a_broken_picture_is_booked_although_its_call_fails_after_it(opening: Open) -> None:
    lost = ProviderError(ErrorKind.TRANSIENT, "The connection was lost.", maybe_sent=True)
    world = Cancelled(opening, Picture(data=b"no picture"), lost)
    assert [one.status.value for one in world.late] == ["failed"]
    assert world.balance == GRANTED - PRICE.amount_micro


def refusal(**cost: Any) -> ProviderError:
    return ProviderError(ErrorKind.BLOCKED, "It was held back.", charged=True, **cost)


@pytest.mark.req("TOK-2", "PRV-6")
def test_what_a_refusal_after_its_cancel_costs_is_booked(opening: Open) -> None:
    world = Cancelled(opening, refusal(cost=Decimal("0.25"), unit="token"))
    (late,) = world.late
    assert late.error is not None
    assert (late.error.kind, late.cost_micro) == (ErrorKind.BLOCKED, 250_000)
    assert world.balance == GRANTED - 250_000


@pytest.mark.req("TOK-2")
def test_a_cancelled_call_without_an_amount_is_not_booked_as_a_whole_picture(opening: Open) -> None:
    """Who bills the time that a call took bills less of a cancelled one: the log says so."""
    world = Cancelled(opening, refusal())
    assert (world.late, world.balance) == ([], GRANTED)
    assert "Fake charged what was cancelled: It was held back." in world.here.notes()


@pytest.mark.req("TOK-2")
def test_a_free_broken_picture_after_its_cancel_is_nothing(opening: Open) -> None:
    gate = Gate()
    here = opening(FakeProvider(script=lambda request: [gate, Picture(data=b"no picture")]))
    batch = here.submit()
    gate.wait_reached()
    here.cancel(here.one(batch).id)
    gate.open()
    here.idle()
    assert here.statuses(batch) == ["cancelled"]


LOST = ProviderError(ErrorKind.TRANSIENT, "The connection was lost.", maybe_sent=True)


def without_id(request: JobRequest) -> JobRef:
    return JobRef()


@pytest.mark.req("TOK-5", "PRV-6", "FEED-2")
@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (LOST, "The connection was lost."),
        (RuntimeError("a bug"), "an unexpected error (RuntimeError)"),
        (60.0, "nothing was heard of it for 0.5 s"),
    ],
    ids=["lost", "bug", "silence"],
)
def test_what_a_cancelled_call_may_have_cost_is_asked_of_a_person(
    opening: Open, last: object, reason: str
) -> None:
    world = Cancelled(opening, Running(1, 2), last, stall_s=0.5, on_submit=without_id)
    (late,) = world.late
    assert (late.status.value, late.detail_key) == ("processing", OUTCOME_UNKNOWN)
    assert late.detail_args == {"reason": reason}
    assert world.balance == GRANTED - PRICE.amount_micro, "it may have been charged"
    store = world.here.store
    assert store.resolve_unknown(ANN, late.id, "charged").result().charged
    assert world.balance == GRANTED - PRICE.amount_micro
    assert world.here.problems() == []


@pytest.mark.req("TOK-2", "TOK-5")
def test_of_several_pictures_those_that_came_are_not_in_doubt(opening: Open) -> None:
    world = Cancelled(
        opening, Picture(0), Picture(1, b"no picture"), LOST, n=3, on_submit=without_id
    )
    assert sorted((one.index, one.status.value, one.detail_key) for one in world.late) == [
        (0, "completed", None),
        (1, "failed", None),
        (2, "processing", OUTCOME_UNKNOWN),
    ]
    assert world.balance == GRANTED - 3 * PRICE.amount_micro
    doubtful = world.late[-1]
    world.here.store.resolve_unknown(ANN, doubtful.id, "not_charged").result()
    assert world.balance == GRANTED - 2 * PRICE.amount_micro


@pytest.mark.req("TOK-5", "PRV-6")
def test_a_cancelled_call_without_an_answer_is_not_sent_again_though_it_has_a_key(
    opening: Open,
) -> None:
    """If the first one never arrived, the second one would be charged for nobody."""
    world = Cancelled(opening, LOST, on_submit=without_id)
    assert [one.detail_key for one in world.late] == [OUTCOME_UNKNOWN]
    assert len(world.provider.requests) == 1


def cancelled_and_closed(opening: Open) -> BatchRecord:
    """Cancel a picture in the middle of its call, and close what made it."""
    gate = Gate()
    first = opening(FakeProvider(idempotency=KEYED, script=lambda request: [gate, Picture()]))
    first.store.grant(OPERATOR, "ann", "token", GRANTED, "test").result()
    batch = first.submit(price=PRICE)
    gate.wait_reached()
    first.cancel(first.one(batch).id)
    first.close()
    return batch


@pytest.mark.req("TOK-5", "PRV-4", "PRV-6")
def test_a_cancelled_picture_whose_worker_was_closed_comes_home_at_the_next_start(
    opening: Open,
) -> None:
    batch = cancelled_and_closed(opening)
    again = FakeProvider(idempotency=KEYED, script=lambda request: [Picture()])
    here = opening(again)
    here.until(lambda: len(here.generations(batch)) == 2)
    one, late = here.generations(batch)
    assert (one.status.value, late.status.value, late.retry_of) == (
        "cancelled",
        "completed",
        one.id,
    )
    here.idle()
    assert again.followed, "by its reference"
    assert again.cancelled, "whoever makes it is told"
    assert not again.requests
    assert here.store.balances("ann") == {"token": GRANTED - PRICE.amount_micro}
    assert here.problems() == []


def silent() -> FakeProvider:
    return FakeProvider(idempotency=KEYED, script=lambda request: [60.0])


@pytest.mark.req("TOK-5", "PRV-5")
def test_what_was_not_ready_in_time_is_asked_for_once_more_at_the_next_start(opening: Open) -> None:
    patience = replace(QUICK, stall_s=0.1)
    first = opening(silent(), settings=patience)
    first.store.grant(OPERATOR, "ann", "token", GRANTED, "test").result()
    batch = first.submit(price=PRICE)
    first.wait_detail(batch, OUTCOME_UNKNOWN)
    first.close()
    second = opening(silent(), settings=patience)
    second.until(lambda: second.notes().count("is not known") == 2)
    assert second.one(batch).detail_key == OUTCOME_UNKNOWN, "it is not ready yet"
    assert second.store.balances("ann") == {"token": GRANTED - PRICE.amount_micro}
    second.close()
    ready = FakeProvider(idempotency=KEYED, script=lambda request: [Picture()])
    third = opening(ready)
    third.ended(batch)
    assert third.statuses(batch) == ["completed"]
    assert not ready.requests, "it is not sent again"
    assert third.store.balances("ann") == {"token": GRANTED - PRICE.amount_micro}
    assert third.problems() == []


@pytest.mark.req("TOK-5", "PRV-6")
def test_a_cancelled_call_is_shown_as_unknown_where_its_provider_cannot_be_asked(
    opening: Open,
) -> None:
    batch = cancelled_and_closed(opening)
    without_key = FakeProvider(idempotency=KEYED)
    without_key.available = ProviderState(ready=False, message="There is no key.")
    here = opening(without_key)
    here.until(lambda: len(here.generations(batch)) == 2)
    assert here.generations(batch)[1].detail_key == OUTCOME_UNKNOWN
    assert here.store.balances("ann") == {"token": GRANTED - PRICE.amount_micro}
    assert not without_key.followed
    # Its key comes later, in the same process: nobody has to start anew.
    without_key.available = ProviderState(ready=True)
    here.until(lambda: without_key.followed)


@pytest.mark.req("TOK-5")
def test_a_reference_that_cannot_be_polled_for_long_does_not_say_not_charged(
    opening: Open,
) -> None:
    down = ProviderError(ErrorKind.TRANSIENT, "The network is down.")
    provider = FakeProvider(idempotency=KEYED, script=lambda request: [down])
    here = opening(provider, settings=replace(QUICK, max_tries=2))
    here.store.grant(OPERATOR, "ann", "token", GRANTED, "test").result()
    batch = here.submit(price=PRICE)
    held = here.wait_detail(batch, OUTCOME_UNKNOWN)
    assert not held.status.is_terminal
    assert len(provider.followed) == 2
    assert here.store.balances("ann") == {"token": GRANTED - PRICE.amount_micro}
