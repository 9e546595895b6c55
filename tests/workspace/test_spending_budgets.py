"""Budgets of a block: whoever asks inside, by whatever way, cannot spend more than the limit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from decimal import Decimal

import pytest

import workbench as wb
from workbench.domain.parameters import Parameter, ParameterKind
from workbench.domain.rates import Rate
from workbench.domain.records import BY_PROVIDER, Price
from workbench.domain.status import ErrorKind
from workbench.errors import BudgetExceeded
from workbench.ports import Failure
from workbench.testing.providers import FakeProvider
from workbench.workspace.batch import Batch
from workbench.workspace.generation import Generation
from workbench.workspace.workspace import Workspace

LOW, HIGH = Decimal("0.01"), Decimal("0.2")


def painter() -> FakeProvider:
    """A provider that bills by quality and says no cost."""
    quality = Parameter(ParameterKind.CHOICE, default="low", choices=("low", "high"))
    provider = FakeProvider("painter")
    (model,) = provider.models()
    rate = Rate(by={"quality": {"low": LOW, "high": HIGH}})
    provider._model = replace(model, parameters={"quality": quality}, rate=rate)
    return provider


@pytest.fixture
def paid_ws(idle_ws: Workspace) -> Workspace:
    idle_ws.add_provider(painter())
    return idle_ws


def booked(ws: Workspace) -> Decimal:
    return -ws.balances().get("USD", Decimal(0))


def lose(ws: Workspace, batch: Batch) -> Generation:
    """Let the answer to the call that makes `batch` be lost; nobody knows whether it was made."""
    store = ws._store
    (job,) = store.claim("r1", lanes={"painter": 1}, limit=1).result()
    key = f"{job.id}-{job.attempt}"
    store.write_intent(job.fence, key=key, request_sha="0" * 64, generation_id=None).result()
    assert store.mark_unknown(job.fence, reason="the line broke").result()
    (lost,) = batch.generations
    return lost


def outcomes(calls: list[Callable[[], object]]) -> list[bool]:
    """Make the calls at the same moment in threads of this block; True: it was let through."""
    start = threading.Barrier(len(calls))

    def one(call: Callable[[], object]) -> bool:
        start.wait()
        try:
            call()
        except BudgetExceeded:
            return False
        return True

    # As asyncio.to_thread does it: a copy of the context for each.
    blocks = [copy_context() for _ in calls]
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda block, call: block.run(one, call), blocks, calls))


@pytest.mark.req("TOK-4")
def test_threads_of_one_block_cannot_pass_its_budget_together(paid_ws: Workspace) -> None:
    with paid_ws.budget(1, unit="USD"), paid_ws.budget("0.05", unit="USD") as inner:
        calls = [lambda: paid_ws.generate("a fox", model="painter:picture")] * 8
        assert sum(outcomes(calls)) == 5
        assert inner.spent == booked(paid_ws) == Decimal("0.05")


@pytest.mark.req("TOK-4")
def test_retries_and_edits_of_one_block_cannot_pass_its_budget_together(
    paid_ws: Workspace,
) -> None:
    ended = [paid_ws.generate("a fox", model="painter:picture").generations[0] for _ in range(4)]
    for one in ended:
        one.cancel()
    waiting = [paid_ws.generate("a hen", model="painter:picture").generations[0] for _ in range(4)]
    with paid_ws.budget("0.02", unit="USD") as budget:
        assert sum(outcomes([one.retry for one in ended])) == 2
        assert budget.spent == Decimal("0.02")
    with paid_ws.budget("0.4", unit="USD") as budget:
        edits = [lambda one=one: one.edit(quality="high") for one in waiting]
        assert sum(outcomes(edits)) == 2
        # What was reserved for them before is not of this block.
        assert budget.spent == 2 * (HIGH - LOW)
    assert booked(paid_ws) == 2 * LOW + 2 * HIGH + 2 * LOW


@pytest.mark.req("TOK-4")
def test_a_callback_and_a_task_that_ask_inside_the_block_do_not_wait_for_ever(
    paid_ws: Workspace,
) -> None:
    heard: list[str] = []
    done = threading.Event()

    def answer(_payload: object) -> None:
        if not heard:  # its own booking is told as well
            heard.append(paid_ws.generate("an answer", model="painter:picture").id)
            done.set()

    async def ask() -> None:
        with paid_ws.budget("0.02", unit="USD") as budget:
            stop = paid_ws.on("token_balance_updated", answer)
            paid_ws.generate("a fox", model="painter:picture")
            await asyncio.to_thread(done.wait, 30)
            stop()
            # A callback has a context of its own: what it asks for is not of the block.
            assert budget.spent == LOW

    asyncio.run(ask())
    assert heard


@pytest.mark.req("TOK-4", "TOK-5")
def test_making_a_lost_picture_again_keeps_to_the_budget(paid_ws: Workspace) -> None:
    lost = lose(paid_ws, paid_ws.generate("a fox", model="painter:picture"))
    with paid_ws.budget(0, unit="USD") as budget:
        with pytest.raises(BudgetExceeded, match=r"cost 0\.01 USD, but only 0 of the budget"):
            lost.resolve("retry")
        assert lost.record.detail_key == "outcome_unknown"
        lost.resolve("not_charged")
        assert budget.spent == 0
    with paid_ws.budget("0.01", unit="USD") as budget:
        # It was asked for inside: its reservation comes back for the next one.
        inside = lose(paid_ws, paid_ws.generate("a fox", model="painter:picture"))
        again = inside.resolve("retry")
        assert again.id != inside.id
        assert budget.spent == LOW
        with pytest.raises(BudgetExceeded):
            paid_ws.generate("a fox", model="painter:picture")


@pytest.mark.req("TOK-2", "TOK-4", "FEED-10")
def test_a_picture_that_is_edited_while_it_waits_is_priced_anew(paid_ws: Workspace) -> None:
    one = paid_ws.generate("a fox", model="painter:picture", n=2).generations[0]
    paid_ws.set_cap("0.1")
    with pytest.raises(BudgetExceeded, match="of the cap"):
        one.edit(quality="high", seed=4)
    paid_ws.set_cap(None)
    with paid_ws.budget("0.1", unit="USD") as budget:
        with pytest.raises(BudgetExceeded, match=r"This would cost 0\.19 USD, but only 0\.1 of"):
            one.edit(quality="high", seed=4)
        one.edit(seed=5)
        assert budget.spent == 0
    assert (one.seed, dict(one.record.params)) == (5, {"quality": "low"})
    assert booked(paid_ws) == 2 * LOW
    with paid_ws.budget("0.19", unit="USD") as budget:
        one.edit(quality="high")
        assert budget.remaining == 0
        one.edit(quality="low")
        assert budget.spent == 0
        one.edit(quality="high")
        one.cancel()
        assert budget.spent == 0
    assert booked(paid_ws) == LOW


@pytest.mark.req("TOK-2", "TOK-4")
def test_a_batch_that_is_tried_again_reserves_for_each_picture_what_it_costs(
    paid_ws: Workspace,
) -> None:
    batch = paid_ws.generate("a fox", model="painter:picture", n=3)
    batch.generations[1].edit(quality="high")
    store, failure = paid_ws._store, Failure(ErrorKind.TRANSIENT, "provider", {"text": "No."})
    for job in store.claim("r1", lanes={"painter": 3}, limit=3).result():
        store.fail(job.fence, [slot.generation_id for slot in job.slots], failure).result()
    with paid_ws.budget("0.21", unit="USD"), pytest.raises(BudgetExceeded, match=r"cost 0\.22 USD"):
        batch.retry_failed()
    assert booked(paid_ws) == 0
    with paid_ws.budget("0.22", unit="USD") as budget:
        batch.retry_failed()
        assert budget.remaining == 0
    assert booked(paid_ws) == LOW + HIGH + LOW


@pytest.mark.req("TOK-4")
def test_a_cheaper_edit_is_never_refused(paid_ws: Workspace) -> None:
    one = paid_ws.generate("a fox", model="painter:picture", quality="high").generations[0]
    paid_ws.set_cap(0)
    with paid_ws.budget(0, unit="USD"):
        one.edit(quality="low")
    assert booked(paid_ws) == LOW


@pytest.mark.req("TOK-4")
def test_a_price_that_is_not_known_before_stops_at_a_budget_that_is_used_up(
    idle_ws: Workspace,
) -> None:
    billed = Price(unit="USD", version=BY_PROVIDER)
    idle_ws.add_provider(FakeProvider("painter", price=billed))
    with idle_ws.budget(0, unit="USD"):
        refusal = idle_ws.estimate("a fox", model="painter:picture").refusal
        assert refusal.startswith("This would cost an amount not known before, but only 0 of")
        with pytest.raises(BudgetExceeded):
            idle_ws.generate("a fox", model="painter:picture")
        idle_ws.generate("a sketch", model="sketch", width=64, height=64)  # what is free is free
    with idle_ws.budget("0.01", unit="USD"):
        idle_ws.generate("a fox", model="painter:picture")
    with idle_ws.budget(0):  # of tokens
        idle_ws.generate("a fox", model="painter:picture")
    with pytest.raises(wb.InvalidRequest):
        idle_ws.budget(-1)
