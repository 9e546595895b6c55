"""A paid call whose end nobody knows: a person settles it in the page, and the money agrees."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.axe import look_with_axe
from tests.browser.bench_page import WIDE, Bench
from tests.browser.conftest import MakeLab

# Of three pictures, the line goes dead for the first one after the service charged for it, for
# the second one before the service heard of it; the third one is well, and so is any later try.
SERVICE = """
from collections import Counter
from workbench.domain.jobs import Idempotency
from workbench.domain.records import Price
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.testing.providers import EmulatedPaidProvider

class Studio(EmulatedPaidProvider):
    calls = Counter()

    async def submit(self, request):
        (slot,) = request.slots
        self.calls[slot.index] += 1
        if slot.index == 2 or self.calls[slot.index] > 1:
            return await super().submit(request)
        if slot.index == 0:
            await super().submit(request)
        raise ProviderError(ErrorKind.TRANSIENT, "The line went dead.", maybe_sent=True)

price = Price(amount_micro=5_000_000)
studio = Studio("charges", kind=Idempotency.NONE, name="studio", price=price)
ws.add_provider(studio)
ws.grant(100, "test")
wb.Workbench(ws).config.update(model="studio:picture", n=3)
"""
PATIENCE = 30_000  # ms
UNKNOWN = "[data-testid=generation][data-shown=unknown]"
BALANCE = "85000000"  # 100 - 3 × 5, whatever is decided: three pictures are charged for


@pytest.mark.req("TOK-5", "TOK-2", "FEED-2", "ACC-1")
def test_a_call_of_unknown_outcome_is_settled_either_way_and_the_ledger_agrees(
    make_lab: MakeLab,
) -> None:
    bench = Bench.start(make_lab(viewport=WIDE, reduced_motion="reduce"), SERVICE)
    bench.generate("a lighthouse that costs something")
    expect(bench.cards("completed")).to_have_count(1, timeout=PATIENCE)
    expect(bench.root.locator(UNKNOWN)).to_have_count(2, timeout=PATIENCE)
    paid, unheard, well = bench.ids()
    for id in (paid, unheard):
        expect(bench.card(id)).to_have_attribute("data-shown", "unknown")
        expect(bench.card(id)).to_contain_text("Outcome unknown")
        expect(bench.card(id)).to_contain_text("did not say whether it made and charged")
        expect(_charged(bench, id)).to_be_visible()
        expect(_not_charged(bench, id)).to_be_visible()
        assert _booked(bench, id) == [["reserve", -5]], "what it may have cost is held back"
    expect(bench.find("feed")).to_contain_text("2 to settle")
    expect(bench.find("balance")).to_have_attribute("data-micro", BALANCE)
    bench.notebook.lab.shoot("unknown-outcome", of=bench.root)
    look_with_axe(bench, "to be settled", shows="Not charged, retry")

    _charged(bench, paid).click()
    expect(bench.card(paid)).to_have_attribute("data-status", "failed")
    expect(bench.card(paid)).to_contain_text("It was charged.")
    expect(_charged(bench, paid)).to_have_count(0)
    assert _stored(bench, paid) == ["failed", True, 5, None]
    assert _booked(bench, paid) == [["reserve", -5], ["settle", 0]]
    # The other one is still for a person to settle.
    expect(bench.root.locator(UNKNOWN)).to_have_count(1)
    assert _booked(bench, unheard) == [["reserve", -5]]
    assert bench.value("sorted(studio.calls.items())") == [[0, 1], [1, 1], [2, 1]], (
        "a call was sent again by itself"
    )

    _not_charged(bench, unheard).click()
    expect(bench.cards("completed")).to_have_count(2, timeout=PATIENCE)
    again = bench.ids()[1]
    assert bench.ids() == [paid, again, well]
    assert _stored(bench, unheard)[:3] == ["failed", False, 0]
    assert _booked(bench, unheard) == [["reserve", -5], ["release", 5]]
    assert _stored(bench, again) == ["completed", None, 5, unheard]
    assert _booked(bench, again) == [["reserve", -5], ["settle", 0]]
    assert _stored(bench, paid) == ["failed", True, 5, None], "the first decision stands"

    expect(bench.root.locator(UNKNOWN)).to_have_count(0)
    expect(bench.find("balance")).to_have_attribute("data-micro", BALANCE)
    assert bench.value("int(ws.balance)") == 85
    charged = bench.value("[id for one in studio.book.charges() for id in one.generations]")
    assert sorted(charged) == sorted([paid, well, again]), "the service's own book"
    assert bench.value("sorted(studio.calls.items())") == [[0, 1], [1, 2], [2, 1]]


def _charged(bench: Bench, id: str) -> Locator:
    return bench.card(id).get_by_role("button", name="It was charged")


def _not_charged(bench: Bench, id: str) -> Locator:
    return bench.card(id).get_by_role("button", name="Not charged, retry")


def _booked(bench: Bench, id: str) -> Any:
    """What the ledger says of a picture, oldest first."""
    return bench.value(
        "[[row.kind, int(row.amount)] for row in ws.ledger().itertuples()"
        f" if row.generation_id == {id!r}]"
    )


def _stored(bench: Bench, id: str) -> Any:
    """Its status, whether it failed and was charged all the same, its cost, what it tries again."""
    return bench.value(
        f"[(one := ws.generation({id!r})).status, one.error and one.error.charged, int(one.cost),"
        " one.retry_of]"
    )
