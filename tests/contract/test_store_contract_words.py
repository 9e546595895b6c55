"""Judgements, messages, settings, money: what people say and set."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.store_world import (
    ADA,
    EVE,
    MISSING,
    OPERATOR,
    changes_since,
    make,
    pictures,
    submit,
)
from workbench.domain.records import Judgement, Price
from workbench.errors import InvalidRequest, NotAllowed, NotFound
from workbench.ports import RunnerInfo, Store


@pytest.mark.req("RES-1", "FEED-6")
def test_a_judgement_belongs_to_user_and_generation(store: Store) -> None:
    batch = make(store, n=2)
    store.update_topic(ADA, batch.topic_id, visibility="workspace").result()
    one, two = (g.id for g in pictures(store, batch))
    values: dict[str, Any] = {
        one: {"rating": 4, "favourite": True},
        two: {"tags": ["b", "a", "b"], "note": "ok"},
    }
    assert store.judge(ADA, values).result() == 2
    assert store.judge(EVE, {one: {"rating": 1}}).result() == 1
    assert store.judgements(ADA, [one, two]) == {
        one: Judgement(rating=4, favourite=True),
        two: Judgement(tags=frozenset({"a", "b"}), note="ok"),
    }
    assert store.judgements(EVE, [one, two]) == {one: Judgement(rating=1)}
    rev = store.generation(ADA, one).rev
    cursor = store.cursor()
    assert store.judge(ADA, {one: {"note": "more"}}).result() == 1
    assert store.judgements(ADA, [one])[one] == Judgement(rating=4, favourite=True, note="more")
    assert store.generation(ADA, one).rev == rev, "the picture did not change"
    (told,) = changes_since(store, ADA, cursor)
    assert (told.entity, told.kind, told.rev) == ("judgement", "update", 2)
    assert store.judge(ADA, {one: {"note": "more"}}).result() == 0
    assert store.judge(ADA, {one: {}}).result() == 0
    assert len(changes_since(store, ADA, cursor)) == 1


BAD_JUDGEMENTS: list[dict[str, Any]] = [
    {"rating": 6},
    {"rating": -1},
    {"rating": 2.5},
    {"rating": True},
    {"rating": "4"},
    {"rating": None},
    {"favourite": 2},
    {"favourite": "yes"},
    {"tags": "one"},
    {"tags": [""]},
    {"tags": ["x" * 65]},
    {"tags": [str(i) for i in range(65)]},
    {"tags": ["\ud83d"]},
    {"tags": [1]},
    {"tags": 5},
    {"note": "x" * 10_001},
    {"note": "\0"},
    {"note": None},
    {"stars": 3},
]


@pytest.mark.req("RES-1")
@pytest.mark.parametrize("bad", BAD_JUDGEMENTS, ids=str)
def test_one_bad_judgement_and_none_is_written(store: Store, bad: dict[str, Any]) -> None:
    one, two = (g.id for g in pictures(store, make(store, n=2)))
    cursor = store.cursor()
    with pytest.raises(InvalidRequest):
        store.judge(ADA, {one: {"rating": 5}, two: bad}).result()
    assert store.judgements(ADA, [one, two]) == {}
    assert store.cursor() == cursor


@pytest.mark.req("RES-1", "TOP-5")
@pytest.mark.parametrize("id", [MISSING, "x", "\ud83d"])
def test_one_unknown_picture_and_no_judgement_is_written(store: Store, id: str) -> None:
    (one,) = (g.id for g in pictures(store, make(store)))
    with pytest.raises(NotFound):
        store.judge(ADA, {one: {"rating": 5}, id: {"rating": 1}}).result()
    with pytest.raises(NotFound):
        store.judge(EVE, {one: {"rating": 5}}).result()
    assert store.judgements(ADA, [one]) == {}
    oddities: list[Any] = [{5: {}}, [one], {one: 5}]
    for odd in oddities:
        with pytest.raises(InvalidRequest):
            store.judge(ADA, odd).result()


@pytest.mark.req("CHT-5")
def test_messages_page_upwards_while_new_ones_arrive(store: Store) -> None:
    topic = store.create_topic(ADA, "t").result()
    for i in range(5):
        store.say(ADA, topic.id, f"line {i}", meta={"i": i}).result()
    page, cursor = store.messages(ADA, topic.id, limit=2)
    store.say(ADA, topic.id, "later", role="assistant").result()
    texts = [m.text for m in page]
    while cursor:
        page, cursor = store.messages(ADA, topic.id, limit=2, cursor=cursor)
        texts += [m.text for m in page]
    assert texts == [f"line {i}" for i in range(4, -1, -1)]
    newest = store.messages(ADA, topic.id)[0][0]
    assert (newest.text, newest.role, newest.meta) == ("later", "assistant", {})
    with pytest.raises(NotFound):
        store.messages(EVE, topic.id)
    with pytest.raises(NotFound):
        store.say(EVE, topic.id, "x").result()
    for text, role, meta in (("\0", "user", None), ("x", "boss", None), ("x", "user", {"a": {1}})):
        with pytest.raises(InvalidRequest):
            store.say(ADA, topic.id, text, role=role, meta=meta).result()  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest):
        store.messages(ADA, topic.id, limit=0)
    with pytest.raises(InvalidRequest):
        store.messages(ADA, topic.id, cursor="x")


@pytest.mark.req("CFG-7")
def test_preferences_are_json_values_of_a_user(store: Store) -> None:
    for value in (1, "x", [1, {"a": None}], False, {"b": 1.5}, 0):
        store.set_preference("ada", "k", value).result()
        assert store.preference("ada", "k") == value
    assert store.preference("eve", "k") is None
    store.set_preference("ada", "k", None).result()
    assert store.preference("ada", "k") is None
    for bad in (float("inf"), {1, 2}, "\ud83d", "x" * 300_000):
        with pytest.raises(InvalidRequest):
            store.set_preference("ada", "k", bad).result()
    with pytest.raises(InvalidRequest):
        store.set_preference("ada", "", 1).result()
    with pytest.raises(InvalidRequest):
        store.preference("\0", "k")


@pytest.mark.req("TOK-1", "TOK-6")
def test_the_balance_is_the_sum_of_the_bookings(store: Store) -> None:
    entry = store.grant(ADA, "ada", "token", 5_000_000, "start").result()
    store.grant(OPERATOR, "ada", "USD", 1_250_000, "gift").result()
    store.grant(ADA, "ada", "token", 1, "a bit").result()
    assert store.balances("ada") == {"USD": 1_250_000, "token": 5_000_001}
    assert store.balances("eve") == {}
    booked = list(store.ledger(ADA))
    assert [e.seq for e in booked] == sorted(e.seq for e in booked)
    assert [(e.unit, e.amount_micro) for e in booked] == [
        ("token", 5_000_000),
        ("USD", 1_250_000),
        ("token", 1),
    ]
    assert booked[0] == entry
    assert list(store.ledger(EVE)) == []
    assert list(store.ledger(OPERATOR)) == booked
    assert list(store.ledger(OPERATOR, account="ada")) == booked
    with pytest.raises(NotAllowed):
        store.ledger(EVE, account="ada")
    with pytest.raises(NotAllowed):
        store.grant(EVE, "ada", "token", 1, "").result()


@pytest.mark.req("TOK-1", "LIVE-2")
def test_a_booking_tells_balance_change_reason_and_transaction(store: Store) -> None:
    cursor = store.cursor()
    entry = store.grant(ADA, "ada", "token", 7, "start").result()
    (told,) = changes_since(store, ADA, cursor)
    assert (told.entity, told.id, told.kind) == ("ledger", entry.id, "insert")
    assert told.data == {
        "account": "ada",
        "unit": "token",
        "kind": "grant",
        "amount_micro": 7,
        "balance_micro": 7,
        "reason": "start",
        "transaction_id": entry.id,
        "generation_id": None,
    }


@pytest.mark.parametrize(
    ("account", "unit", "amount", "reason"),
    [
        ("ada", "token", 0, ""),
        ("ada", "token", -1, ""),
        ("ada", "token", 10**19, ""),
        ("ada", "token", 1.0, ""),
        ("ada", "token", True, ""),
        ("ada", "to ken", 1, ""),
        ("ada", 5, 1, ""),
        ("", "token", 1, ""),
        ("ada", "token", 1, "\ud83d"),
        ("ada", "token", 1, None),
    ],
)
def test_a_grant_that_makes_no_sense_books_nothing(
    store: Store, account: Any, unit: Any, amount: Any, reason: Any
) -> None:
    with pytest.raises(InvalidRequest):
        store.grant(ADA, account, unit, amount, reason).result()
    assert list(store.ledger(OPERATOR)) == []


@pytest.mark.req("TOK-1")
def test_grants_never_overflow_the_balance(store: Store) -> None:
    for _ in range(4):
        store.grant(ADA, "ada", "token", 10**18, "much").result()
    with pytest.raises(InvalidRequest, match="too large"):
        store.grant(ADA, "ada", "token", 10**18, "too much").result()
    assert store.balances("ada") == {"token": 4 * 10**18}


@pytest.mark.req("TOK-6")
def test_the_highest_version_of_a_price_is_in_force(store: Store) -> None:
    assert store.prices() == {}
    first = store.set_price(ADA, "painter:oil", "token", 2_000_000).result()
    assert (first.unit, first.amount_micro, first.version) == ("token", 2_000_000, 1)
    store.set_price(ADA, "painter:ink", "USD", 5).result()
    second = store.set_price(ADA, "painter:oil", "USD", 10).result()
    prices = store.prices()
    assert prices.keys() == {"painter:oil", "painter:ink"}
    assert prices["painter:oil"] == second
    assert (prices["painter:oil"].unit, prices["painter:oil"].version) == ("USD", 2)
    assert prices["painter:ink"] == Price(unit="USD", amount_micro=5, version=1)
    for model, unit, amount in (("", "token", 1), ("m", "x1", 1), ("m", "token", -1)):
        with pytest.raises(InvalidRequest):
            store.set_price(ADA, model, unit, amount).result()


@pytest.mark.req("LIVE-7")
def test_processes_are_registered_and_forgotten(store: Store) -> None:
    store.register_runner(RunnerInfo("r1", 1, "host", "worker", runs_jobs=True)).result()
    assert store.foreign_runners("r1") == []
    submit(store)
    (job,) = store.claim("r2", lanes={"painter": 5}, limit=5).result()
    assert store.foreign_runners("r1") == ["r2"]
    assert store.foreign_runners("r2") == []
    store.hand_over(job.fence).result()
    store.unregister_runner("r1").result()
    with pytest.raises(InvalidRequest):
        store.register_runner(RunnerInfo("../x", 1, "h", "t", runs_jobs=True)).result()


@pytest.mark.req("DAT-3")
def test_listeners_hear_of_commits_with_changes_until_they_end_it(store: Store) -> None:
    heard: list[int] = []
    end = store.on_commit(lambda: heard.append(1))
    store.create_topic(ADA, "t").result()
    store.set_preference("ada", "k", 1).result()
    store.submit_write(lambda _tx: None).result()  # behind it, every listener was called
    assert heard == [1]
    end()
    store.create_topic(ADA, "u").result()
    store.submit_write(lambda _tx: None).result()
    assert heard == [1]
