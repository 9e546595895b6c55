"""What a provider says that a picture cost, on its way into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.runner_world import OPERATOR, Process, processes
from workbench.domain.jobs import Done, Idempotency, IdempotencyPolicy, ImageReady, JobRef
from workbench.domain.records import Price
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.testing.pictures import png
from workbench.testing.providers import FakeProvider, Picture

BILLED = IdempotencyPolicy(Idempotency.NONE)
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


# -- pictures that came and cannot be used ---------------------------------------------------------


def unusable(opening: Open, *moves: Any, free: bool = False, n: int = 1) -> tuple[Process, Any]:
    """What became of a batch at 2 tokens a picture, of a call that makes all of them."""
    more: dict[str, Any] = {} if free else {"idempotency": BILLED}
    here = opening(FakeProvider(script=lambda request: moves, batchable=True, **more))
    here.store.grant(OPERATOR, "ann", "token", 10_000_000, "test").result()
    batch = here.submit(n, price=Price(amount_micro=2_000_000), batchable=True)
    here.ended(batch)
    here.idle()
    return here, here.generations(batch)


@pytest.mark.req("TOK-2")
@pytest.mark.parametrize(
    ("image", "done", "left"),
    [
        ({}, {}, 8_000_000),
        ({"cost": Decimal("0.5"), "unit": "token"}, {}, 9_500_000),
        ({}, {"cost": Decimal("0.5"), "unit": "token"}, 9_500_000),
        ({"cost": Decimal(-1), "unit": "token"}, {}, 8_000_000),
    ],
    ids=["not said", "said of it", "said of the call", "said nonsense"],
)
def test_a_paid_picture_that_cannot_be_used_was_made_and_is_booked(opening, image, done, left):
    broken = ImageReady(b"no picture", 0, **image)
    here, (made,) = unusable(opening, broken, Done(**done))
    assert made.error is not None
    assert (made.error.kind, made.error.charged) == (ErrorKind.BAD_IMAGE, True)
    assert here.store.balances("ann") == {"token": left}
    assert made.cost_micro == 10_000_000 - left


@pytest.mark.req("TOK-2")
@pytest.mark.parametrize("free", [True, False], ids=["free", "said to cost nothing"])
def test_a_picture_that_cannot_be_used_is_not_charged_where_it_costs_nothing(opening, free):
    nothing = {} if free else {"cost": Decimal(0), "unit": "token"}
    here, (made,) = unusable(opening, ImageReady(b"no picture", 0, **nothing), free=free)
    assert made.error is not None
    assert (made.error.kind, made.error.charged) == (ErrorKind.BAD_IMAGE, False)
    assert here.store.balances("ann") == {"token": 10_000_000}


@pytest.mark.req("TOK-2", "TOK-5")
def test_what_came_before_a_failure_was_made_and_is_not_made_again(opening):
    refused = ProviderError(ErrorKind.TRANSIENT, "Not now.")
    sent = []

    def script(request):
        sent.append(len(request.slots))
        if len(sent) == 1:
            return [Picture(0, b"no picture"), refused]
        return [Picture()]

    here = opening(FakeProvider(script=script, batchable=True, idempotency=BILLED))
    here.store.grant(OPERATOR, "ann", "token", 10_000_000, "test").result()
    # Without a reference that can be asked again: what failed is sent anew.
    here.providers["fake"].on_submit = lambda request: JobRef()
    batch = here.submit(2, price=Price(amount_micro=2_000_000), batchable=True)
    broken, made = here.ended(batch)
    assert broken.error is not None
    assert (broken.error.kind, broken.error.charged) == (ErrorKind.BAD_IMAGE, True)
    assert made.status.value == "completed"
    assert sent == [2, 1]
    here.idle()
    assert here.store.balances("ann") == {"token": 6_000_000}
