"""The books: conditional reservations, the hash chain, and that nobody rewrites them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import InsufficientBalance
from workbench.store.sqlite import ledger
from workbench.store.sqlite.store import SqliteStore

ADA: dict[str, Any] = {"account": "ada", "unit": "token"}
ONE: dict[str, Any] = {**ADA, "generation_id": "g1", "attempt_key": "g1"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "w")
    store.database.write(lambda tx: ledger.grant(tx, **ADA, amount_micro=10, reason="s")).result()
    yield store
    store.close()


def reserve(tx: Any, amount: int, **changes: Any) -> None:
    ledger.reserve(
        tx, **{**ONE, "amount_micro": amount, "rate_version": 1, "reason": "r", **changes}
    )


def problems(store: SqliteStore) -> list[str]:
    with store.database.reading() as reader:
        return ledger.verify_chain(reader)


@pytest.mark.req("TOK-2")
def test_a_picture_costs_its_cost_and_a_failed_one_nothing(store: SqliteStore) -> None:
    def work(tx: Any) -> None:
        reserve(tx, 6)
        ledger.settle(tx, **ONE, reserved_micro=6, cost_micro=4)
        two = {**ONE, "generation_id": "g2", "attempt_key": "g2"}
        reserve(tx, 5, **two)
        ledger.release(tx, **two, amount_micro=5)
        ledger.refund(tx, **{**ONE, "attempt_key": "g1-refund"}, amount_micro=1)

    store.database.write(work).result()
    assert store.balances("ada") == {"token": 10 - 4 + 1}
    assert problems(store) == []


@pytest.mark.req("TOK-2")
def test_nothing_is_booked_for_what_costs_nothing(store: SqliteStore) -> None:
    def work(tx: Any) -> None:
        reserve(tx, 0)
        ledger.settle(tx, **ONE, reserved_micro=0, cost_micro=0)
        ledger.release(tx, **ONE, amount_micro=0)
        ledger.refund(tx, **ONE, amount_micro=0)
        ledger.overdraw(tx, **ONE, amount_micro=0, rate_version=1, reason="late")

    store.database.write(work).result()
    with store.database.reading() as reader:
        assert reader.scalar("SELECT count(*) FROM ledger") == 1
    store.database.write(lambda tx: reserve(tx, 3)).result()
    store.database.write(
        lambda tx: ledger.settle(tx, **ONE, reserved_micro=3, cost_micro=3)
    ).result()
    with store.database.reading() as reader:
        assert reader.scalar("SELECT amount_micro FROM ledger WHERE kind = 'settle'") == 0


@pytest.mark.req("TOK-2")
def test_a_reservation_beyond_the_balance_is_refused_with_both_figures(store: SqliteStore) -> None:
    with pytest.raises(InsufficientBalance, match=r"0\.000011 token.*0\.00001 token"):
        store.database.write(lambda tx: reserve(tx, 11)).result()
    with pytest.raises(InsufficientBalance, match="is 0 USD"):
        store.database.write(lambda tx: reserve(tx, 1, unit="USD")).result()
    assert store.balances("ada") == {"token": 10}


@pytest.mark.req("TOK-2", "TOK-5")
def test_the_same_reservation_is_never_booked_or_settled_twice(store: SqliteStore) -> None:
    store.database.write(lambda tx: reserve(tx, 2)).result()
    with pytest.raises(sqlite3.IntegrityError):
        store.database.write(lambda tx: reserve(tx, 2)).result()
    assert store.balances("ada") == {"token": 8}


@pytest.mark.req("TOK-5")
def test_money_that_is_spent_is_booked_even_below_zero(store: SqliteStore) -> None:
    def work(tx: Any) -> None:
        ledger.overdraw(tx, **ONE, amount_micro=25, rate_version=1, reason="late")
        ledger.settle(tx, **ONE, reserved_micro=25, cost_micro=25)

    store.database.write(work).result()
    assert store.balances("ada") == {"token": -15}
    assert problems(store) == []


@pytest.mark.req("TOK-1")
def test_bookings_cannot_be_changed_or_deleted(store: SqliteStore) -> None:
    for sql in ("UPDATE ledger SET amount_micro = 99", "DELETE FROM ledger"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store.database.write(lambda tx, sql=sql: tx.execute(sql)).result()  # type: ignore[misc]


@pytest.mark.req("TOK-1", "DAT-6")
@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE ledger SET amount_micro = 7 WHERE seq = 2",
        "UPDATE ledger SET reason = 'other' WHERE seq = 2",
        "DELETE FROM ledger WHERE seq = 2",
    ],
)
def test_a_rewritten_booking_shows_in_the_chain(store: SqliteStore, forgery: str) -> None:
    for _ in range(2):
        store.database.write(
            lambda tx: ledger.grant(tx, **ADA, amount_micro=1, reason="more")
        ).result()

    def forge(tx: Any) -> None:
        tx.execute("DROP TRIGGER ledger_no_update")
        tx.execute("DROP TRIGGER ledger_no_delete")
        tx.execute(forgery)

    store.database.write(forge).result()
    assert any("does not fit" in problem for problem in problems(store))


@pytest.mark.req("TOK-1", "DAT-6")
def test_a_balance_that_is_not_the_sum_shows(store: SqliteStore) -> None:
    store.database.write(lambda tx: tx.execute("UPDATE balance SET amount_micro = 11")).result()
    (problem,) = problems(store)
    assert "sum up to 0.00001 token" in problem
