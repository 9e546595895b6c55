"""What a provider says that a picture cost, on its way into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.runner_world import OPERATOR, Process, processes
from workbench.domain.jobs import ImageReady
from workbench.domain.records import Price
from workbench.testing.pictures import png
from workbench.testing.providers import FakeProvider

Open = Callable[..., Process]


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[Open]:
    with processes(tmp_path / "ws") as open_one:
        yield open_one


def costing(cost: Any, unit: Any) -> FakeProvider:
    image = ImageReady(png("a fox"), 0, cost=cost, unit=unit)
    return FakeProvider(script=lambda request: [image])


@pytest.mark.req("TOK-2", "TOK-4")
@pytest.mark.parametrize(
    ("cost", "unit", "micro"),
    [
        (Decimal("0.0331"), "USD", 33_100),
        (Decimal("0.00000050001"), "USD", 1),
        (Decimal(0), "USD", 0),
        (Decimal(-1), "USD", 0),
        (Decimal("nan"), "USD", 0),
        (Decimal("1e30"), "USD", 0),
        (Decimal(1), "no unit", 0),
        (Decimal(1), None, 0),
        ("nonsense", "USD", 0),
        (None, "USD", 0),
    ],
)
def test_a_picture_costs_what_its_provider_says_if_that_is_an_amount(opening, cost, unit, micro):
    here = opening(costing(cost, unit))
    batch = here.submit()
    here.ended(batch)
    made = here.one(batch)
    assert (made.status, made.cost_micro) == ("completed", micro)
    assert here.store.balances("ann").get("USD", 0) == -micro


@pytest.mark.req("TOK-2")
@pytest.mark.parametrize(("unit", "left"), [("token", 9_500_000), ("USD", 8_000_000)])
def test_a_reservation_is_settled_by_a_cost_in_its_own_unit_only(opening, unit, left):
    here = opening(costing(Decimal("0.5"), unit))
    here.store.grant(OPERATOR, "ann", "token", 10_000_000, "test").result()
    batch = here.submit(price=Price(amount_micro=2_000_000))
    here.ended(batch)
    here.idle()
    assert here.store.balances("ann") == {"token": left}
