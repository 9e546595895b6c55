"""A picture that is changed while it waits is priced anew, and its reservation follows."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.contract.store_world import (
    ADA,
    CENT,
    DAY_MS,
    LANES,
    VISITOR,
    TurnableClock,
    asset,
    changes_since,
    finish,
    pictures,
    submit,
)
from workbench.domain.limits import VisitorLimits, day_start
from workbench.domain.parameters import Model
from workbench.domain.rates import Rate
from workbench.domain.records import BY_PROVIDER, Cap, GenerationRecord, Identity, Price
from workbench.errors import BudgetExceeded, InsufficientBalance, LimitReached
from workbench.ports import Outcome, Selection, Store

BY_QUALITY = Rate(by={"quality": {"low": Decimal("0.01"), "high": Decimal("0.2")}})
LOW, HIGH = {"params": {"quality": "low"}}, {"params": {"quality": "high"}}


def painter(**priced: Any) -> Model:
    return Model("painter:oil", "painter", "oil", "Oil", "", {}, **priced)


PAINTER = painter(rate=BY_QUALITY)


def billed(cents: int) -> Price:
    return Price(unit="USD", amount_micro=cents * CENT, version=BY_PROVIDER)


def waiting(store: Store, who: Identity = ADA, **more: object) -> GenerationRecord:
    """A picture of low quality that waits."""
    (one,) = pictures(store, submit(store, who, **{"price": billed(1), **LOW, **more}))
    return one


def edit(store: Store, one: GenerationRecord, changes: dict[str, object], **more: object) -> None:
    who = Identity(one.owner)
    store.edit_queued(who, one.id, changes, **{"model": PAINTER, **more}).result()


def in_order(store: Store) -> None:
    assert store.check(live_runners=lambda _: True) == []


@pytest.mark.req("TOK-2", "FEED-10")
def test_the_reservation_follows_what_a_waiting_picture_becomes(store: Store) -> None:
    one = waiting(store)
    for changes, cents in ((HIGH, 20), (HIGH, 20), (LOW, 1), (HIGH, 20)):
        edit(store, one, changes)
        assert store.balances("ada") == {"USD": -cents * CENT}
        in_order(store)
    # Its price does not depend on these.
    edit(store, one, {"seed": 3, "prompt_sent": "a blue fox"})
    kinds = [(entry.kind, entry.amount_micro // CENT) for entry in store.ledger(ADA)]
    assert kinds == [("reserve", -1), ("reserve", -19), ("release", 19), ("reserve", -19)]
    finish(store)
    assert store.generation(ADA, one.id).cost_micro == 20 * CENT
    assert store.balances("ada") == {"USD": -20 * CENT}
    in_order(store)


@pytest.mark.req("TOK-2", "FEED-10")
def test_a_change_of_the_size_alone_is_priced_with_the_parameters_of_the_batch(
    store: Store,
) -> None:
    one = waiting(store)
    by_area = replace(BY_QUALITY, per_megapixel=Decimal("0.04"))
    edit(store, one, {"width": 1000, "height": 1000}, model=painter(rate=by_area))
    assert store.balances("ada") == {"USD": -5 * CENT}
    assert (store.generation(ADA, one.id).width, store.generation(ADA, one.id).params) == (
        1000,
        LOW["params"],
    )
    in_order(store)


@pytest.mark.req("TOK-2")
def test_all_of_it_comes_back_when_a_changed_picture_is_cancelled(store: Store) -> None:
    one = waiting(store)
    edit(store, one, HIGH)
    store.cancel(ADA, Selection(generation_ids=(one.id,))).result()
    assert store.balances("ada") == {"USD": 0}
    in_order(store)


@pytest.mark.req("TOK-5")
def test_a_picture_that_comes_after_its_cancel_costs_what_it_was_changed_to(store: Store) -> None:
    one = waiting(store)
    edit(store, one, HIGH)
    edit(store, one, LOW)
    edit(store, one, HIGH)
    (job,) = store.claim("r1", lanes=LANES, limit=1).result()
    store.cancel(ADA, Selection(generation_ids=(one.id,))).result()
    late = store.adopt_late(job.fence, Outcome(one.id, asset("late"), 1)).result()
    assert late is not None
    assert late.cost_micro == 20 * CENT
    assert store.balances("ada") == {"USD": -20 * CENT}
    in_order(store)


@pytest.mark.req("TOK-2", "TOK-4")
def test_a_change_that_is_not_covered_changes_nothing(store: Store) -> None:
    store.set_cap(ADA, Cap("user", "ada", "USD", "day", 5 * CENT)).result()
    one = waiting(store)
    before, start = store.generation(ADA, one.id), store.cursor()
    with pytest.raises(BudgetExceeded, match=r"cost about 0\.19 USD, but only 0\.04 of the cap"):
        edit(store, one, {**HIGH, "seed": 99})
    assert store.generation(ADA, one.id) == before
    assert changes_since(store, ADA, start) == []
    assert store.balances("ada") == {"USD": -CENT}
    store.set_cap(ADA, Cap("user", "ada", "USD", "day", 20 * CENT)).result()
    edit(store, one, HIGH)
    # What becomes cheaper is let through where a cap was lowered since.
    store.set_cap(ADA, Cap("user", "ada", "USD", "day", 0)).result()
    edit(store, one, LOW)
    assert store.balances("ada") == {"USD": -CENT}


@pytest.mark.req("TOK-2")
def test_a_price_that_was_set_needs_its_balance_for_the_difference(store: Store) -> None:
    store.grant(ADA, "ada", "token", 5_000_000, "").result()
    one = waiting(store, price=Price(amount_micro=2_000_000, version=1))
    dearer = painter(price=Price(amount_micro=6_000_000, version=2))
    with pytest.raises(InsufficientBalance):
        edit(store, one, HIGH, model=dearer)
    assert store.balances("ada") == {"token": 3_000_000}
    fair = painter(price=Price(amount_micro=5_000_000, version=3))
    edit(store, one, HIGH, model=fair)
    assert store.balances("ada") == {"token": 0}
    # Another unit: all of the one comes back, all of the other is reserved.
    edit(store, one, HIGH)
    assert store.balances("ada") == {"token": 5_000_000, "USD": -20 * CENT}
    in_order(store)


@pytest.mark.req("TOK-4")
def test_a_visitor_cannot_pass_the_limit_by_a_change(store: Store) -> None:
    limits = VisitorLimits(None, None, None, Decimal("0.1"))
    one = waiting(store, VISITOR, limits=limits)
    with pytest.raises(LimitReached, match="a day is the limit here"):
        edit(store, one, HIGH, limits=limits)
    assert store.balances(VISITOR.user) == {"USD": -CENT}
    edit(store, one, HIGH, limits=VisitorLimits(None, None, None, Decimal(1)))


@pytest.mark.req("TOK-4")
def test_what_is_made_dearer_today_counts_today(store: Store, clock: TurnableClock) -> None:
    store.set_cap(ADA, Cap("user", "ada", "USD", "day", 30 * CENT)).result()
    one, other = waiting(store), waiting(store)
    clock.ms = day_start(clock.ms) + DAY_MS
    edit(store, one, HIGH)
    assert [cap.spent for cap in store.caps(ADA)] == [Decimal("0.19")]
    with pytest.raises(BudgetExceeded):
        edit(store, other, HIGH)
