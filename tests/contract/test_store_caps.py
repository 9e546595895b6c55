"""Caps: what may be spent is looked at in the transaction that reserves it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from tests.contract.store_world import (
    ADA,
    BOB,
    CENT,
    DAY_MS,
    LANES,
    MISSING,
    OPERATOR,
    VISITOR,
    TurnableClock,
    asset,
    changes_since,
    finish,
    pictures,
    submit,
)
from workbench.domain.limits import VisitorLimits, day_start
from workbench.domain.records import BY_PROVIDER, BatchRecord, Cap, Identity, Price
from workbench.domain.status import ErrorKind
from workbench.errors import (
    BudgetExceeded,
    InsufficientBalance,
    InvalidRequest,
    LimitReached,
    NotAllowed,
    NotFound,
)
from workbench.ports import Failure, Outcome, Selection, Store
from workbench.store.sqlite.store import SqliteStore

BILLED = Price(unit="USD", amount_micro=4 * CENT, version=BY_PROVIDER)
UNKNOWN = Price(unit="USD", version=BY_PROVIDER)
TOKENS = Price(unit="token", amount_micro=1_000_000, version=1)


def cap(cents: int, scope: str = "user", subject: str = "ada", *, per: str = "day") -> Cap:
    return Cap(scope, subject, "USD", per, cents * CENT)


def ask(store: Store, who: Identity = ADA, *, n: int = 1, **more: object) -> BatchRecord:
    return submit(store, who, n=n, **{"price": BILLED, **more})


def land(store: Store, cents: int) -> None:
    """Complete what is queued, each picture at what the provider says that it charged."""
    for job in store.claim("r1", lanes=LANES, limit=1_000).result():
        for slot in job.slots:
            outcome = Outcome(
                slot.generation_id,
                asset(slot.generation_id),
                slot.seed,
                cost_micro=cents * CENT,
                unit="USD",
            )
            assert store.complete(job.fence, outcome).result()


def spent(store: Store, who: Identity = ADA) -> list[Decimal]:
    return [one.spent for one in store.caps(who)]


# -- what a provider bills ------------------------------------------------------------------------


@pytest.mark.req("TOK-1", "TOK-2")
def test_what_the_provider_bills_needs_no_balance_and_is_booked_all_the_same(store: Store) -> None:
    batch = ask(store, n=3)
    assert store.balances("ada") == {"USD": -12 * CENT}
    land(store, 5)
    assert store.balances("ada") == {"USD": -15 * CENT}
    assert [g.cost_micro for g in pictures(store, batch)] == [5 * CENT] * 3
    ask(store, n=2)
    store.cancel(ADA, Selection(everything=True)).result()
    assert store.balances("ada") == {"USD": -15 * CENT}
    ask(store, n=1)
    (failed,) = finish(store, fail=True)
    assert store.balances("ada") == {"USD": -15 * CENT}
    store.retry(ADA, failed, BILLED).result()
    assert store.balances("ada") == {"USD": -19 * CENT}


@pytest.mark.req("TOK-2")
def test_a_price_that_the_workspace_sets_still_needs_its_balance(store: Store) -> None:
    with pytest.raises(InsufficientBalance):
        ask(store, price=TOKENS)
    with pytest.raises(InsufficientBalance):
        ask(store, price=Price(unit="USD", amount_micro=CENT, version=1))


@pytest.mark.req("TOK-5")
def test_after_an_unknown_outcome_the_provider_bills_the_next_try_too(store: Store) -> None:
    batch = ask(store)
    (job,) = store.claim("r1", lanes=LANES, limit=1).result()
    key = f"{job.id}-{job.attempt}"
    store.write_intent(job.fence, key=key, request_sha="0" * 64, generation_id=None).result()
    assert store.mark_unknown(job.fence, reason="the line broke").result()
    (lost,) = pictures(store, batch)
    store.resolve_unknown(ADA, lost.id, "retry").result()
    assert store.balances("ada") == {"USD": -4 * CENT}


# -- caps -----------------------------------------------------------------------------------------


@pytest.mark.req("TOK-4")
def test_a_cap_a_day_holds_until_midnight(store: Store, clock: TurnableClock) -> None:
    store.set_cap(ADA, cap(10)).result()
    ask(store, n=2)
    with pytest.raises(BudgetExceeded) as caught:
        ask(store)
    assert str(caught.value) == (
        "This would cost about 0.04 USD, but only 0.02 of the cap of 0.1 USD a day for you is "
        "left. It starts anew at midnight (UTC). Ask for fewer images, or change the cap with "
        "ws.set_cap()."
    )
    ask(store, BOB, n=5)
    assert spent(store) == [Decimal("0.08")]
    land(store, 3)
    assert spent(store) == [Decimal("0.06")]
    ask(store)
    clock.ms = day_start(clock.ms) + DAY_MS
    assert spent(store) == [0]
    land(store, 9)  # what was asked for yesterday belongs to yesterday
    assert spent(store) == [0]
    ask(store, n=2)
    with pytest.raises(BudgetExceeded):
        ask(store)


@pytest.mark.req("TOK-4")
def test_failed_and_cancelled_pictures_give_their_part_back(store: Store) -> None:
    store.set_cap(ADA, cap(8)).result()
    ask(store, n=2)
    store.cancel(ADA, Selection(everything=True)).result()
    ask(store, n=2)
    finish(store, fail=True)
    ask(store, n=2)
    assert spent(store) == [Decimal("0.08")]


@pytest.mark.req("TOK-4")
def test_a_topic_and_everybody_can_have_caps_too(store: Store, clock: TurnableClock) -> None:
    topic = store.create_topic(ADA, "foxes").result()
    other = store.create_topic(ADA, "wolves").result()
    store.set_cap(ADA, cap(8, "topic", topic.id, per="total")).result()
    store.set_cap(OPERATOR, cap(21, "everybody", "", per="total")).result()
    ask(store, n=2, topic_id=topic.id)
    clock.ms += 40 * DAY_MS
    with pytest.raises(BudgetExceeded, match="for this topic"):
        ask(store, topic_id=topic.id)
    ask(store, n=2, topic_id=other.id)
    with pytest.raises(BudgetExceeded, match="for everybody"):
        ask(store, BOB, n=2)
    ask(store, BOB)
    assert {(one.scope, one.spent) for one in store.caps(ADA)} == {
        ("everybody", Decimal("0.2")),
        ("topic", Decimal("0.08")),
    }
    assert [one.scope for one in store.caps(BOB)] == ["everybody"]


@pytest.mark.req("TOK-4")
def test_a_retry_and_a_price_that_is_not_known_before_keep_to_caps(store: Store) -> None:
    store.set_cap(ADA, cap(8)).result()
    ask(store, price=UNKNOWN)
    land(store, 8)
    with pytest.raises(BudgetExceeded, match="an amount not known before"):
        ask(store, price=UNKNOWN)
    store.set_cap(ADA, cap(10)).result()
    ask(store, price=UNKNOWN)
    (failed,) = finish(store, fail=True)
    with pytest.raises(BudgetExceeded):
        store.retry(ADA, failed, BILLED).result()
    ask(store, price=Price())  # what is free stays free
    store.set_cap(ADA, cap(0), remove=True).result()
    assert store.caps(ADA) == []
    store.retry(ADA, failed, BILLED).result()


@pytest.mark.req("TOK-4")
def test_a_refused_request_leaves_nothing_behind(store: Store) -> None:
    store.set_cap(ADA, cap(0)).result()
    start = store.cursor()
    with pytest.raises(BudgetExceeded):
        ask(store)
    assert store.topics(ADA) == []
    assert changes_since(store, ADA, start) == []
    assert store.balances("ada") == {}


@pytest.mark.parametrize(
    ("who", "one", "error"),
    [
        (ADA, cap(1, "user", "bob"), NotAllowed),
        (ADA, cap(1, "everybody", ""), NotAllowed),
        (ADA, cap(1, "topic", MISSING), NotFound),
        (ADA, cap(1, "galaxy"), InvalidRequest),
        (ADA, cap(1, per="week"), InvalidRequest),
        (ADA, cap(-1), InvalidRequest),
        (ADA, cap(10**18), InvalidRequest),
        (ADA, Cap("user", "ada", "gold bars", "day", 1), InvalidRequest),
    ],
)
def test_a_cap_that_makes_no_sense_or_is_somebody_elses_is_refused(
    store: Store, who: Identity, one: Cap, error: type[Exception]
) -> None:
    with pytest.raises(error):
        store.set_cap(who, one).result()
    assert store.caps(OPERATOR) == []


@pytest.mark.req("TOK-2", "TOK-4")
def test_many_at_once_cannot_pass_a_cap_together(store: SqliteStore) -> None:
    store.set_cap(ADA, cap(40, per="total")).result()
    stores = [SqliteStore(store.location) for _ in range(4)]
    start = threading.Barrier(len(stores))

    def spend(one: Store) -> int:
        start.wait()
        made = 0
        for _ in range(10):
            try:
                ask(one)
            except BudgetExceeded:
                continue
            made += 1
        return made

    with ThreadPoolExecutor(len(stores)) as pool:
        assert sum(pool.map(spend, stores)) == 10
    for one in stores:
        one.close()
    assert spent(store) == [Decimal("0.4")]


# -- prices that nobody knows ----------------------------------------------------------------------


def not_known(store: Store, who: Identity = ADA) -> tuple[int, int]:
    """How many images were billed, and of how many nobody knows the amount."""
    (row,) = store.spend(who, "provider")
    assert row.spent_micro == 0
    return row.images, row.not_known


@pytest.mark.req("TOK-2", "TOK-6")
def test_whatever_is_billed_without_an_amount_is_booked_as_such(store: Store) -> None:
    ask(store, n=2, price=UNKNOWN)
    finish(store)
    assert not_known(store) == (2, 2)
    # Not charged: nothing to book.
    ask(store, price=UNKNOWN)
    finish(store, fail=True)
    assert not_known(store) == (2, 2)
    # Charged without a picture.
    ask(store, price=UNKNOWN)
    (job,) = store.claim("r1", lanes=LANES, limit=1).result()
    billed = Failure(ErrorKind.BLOCKED, "provider", {"text": "Not that."}, True)
    store.fail(job.fence, [job.slots[0].generation_id], billed).result()
    assert not_known(store) == (3, 3)
    # Cancelled, and it comes all the same; a repeat books nothing more.
    ask(store, price=UNKNOWN)
    (job,) = store.claim("r1", lanes=LANES, limit=1).result()
    store.cancel(ADA, Selection(everything=True)).result()
    late = Outcome(job.slots[0].generation_id, asset("late"), 7)
    for _ in range(2):
        assert store.adopt_late(job.fence, late).result() is not None
    assert not_known(store) == (4, 4)
    assert [entry.amount_micro for entry in store.ledger(ADA)] == [0] * 4
    # What the provider says is an amount, also where it is nothing.
    ask(store, price=UNKNOWN)
    land(store, 0)
    assert not_known(store) == (4, 4)


@pytest.mark.req("TOK-4")
def test_a_visitor_who_may_spend_something_gets_nothing_that_cannot_be_counted(
    store: Store,
) -> None:
    some = VisitorLimits(None, None, None, Decimal("0.5"))
    with pytest.raises(LimitReached, match="Nobody knows before what this model costs"):
        ask(store, VISITOR, price=UNKNOWN, limits=some)
    ask(store, VISITOR, price=UNKNOWN, limits=VisitorLimits(None, None, None, None))
    ask(store, ADA, price=UNKNOWN, limits=some)


# -- visitors -------------------------------------------------------------------------------------


@pytest.mark.req("TOK-4")
def test_visitors_spend_nothing_unless_the_operator_says_how_much(store: Store) -> None:
    nothing = VisitorLimits(None, None, None)
    with pytest.raises(LimitReached, match="real money"):
        ask(store, VISITOR, limits=nothing)
    ask(store, VISITOR, limits=nothing, price=Price())
    some = VisitorLimits(None, None, None, Decimal("0.1"))
    ask(store, VISITOR, n=2, limits=some)
    with pytest.raises(LimitReached, match=r"have cost 0\.08 USD, and 0\.1 USD a day"):
        ask(store, VISITOR, limits=some)
    (failed, _) = finish(store, fail=True)[-2:]
    store.retry(VISITOR, failed, BILLED, limits=some).result()
    with pytest.raises(LimitReached):
        ask(store, VISITOR, n=2, limits=some)
    ask(store, VISITOR, n=2, limits=VisitorLimits(None, None, None, None))
    ask(store, ADA, n=2, limits=some)
