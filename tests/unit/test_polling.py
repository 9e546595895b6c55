"""How often a job is asked for: sooner at first, never all at once, and as the provider wishes."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers.polling import Pace

pytestmark = pytest.mark.req("PRV-4")

BOUNDS = [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
MANY = 2_000


class Drawn:
    """Draws as told, and notes between what."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.between: list[tuple[float, float]] = []

    def __call__(self, low: float, high: float) -> float:
        self.between.append((low, high))
        return low + self.share * (high - low)


def test_the_longest_wait_doubles_from_one_second_to_thirty() -> None:
    pace = Pace(uniform=lambda low, high: high)
    assert [pace.next_s() for _ in BOUNDS] == BOUNDS


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_each_wait_is_drawn_from_the_upper_half_of_its_bound(share: float) -> None:
    drawn = Drawn(share)
    pace = Pace(uniform=drawn)
    waits = [pace.next_s() for _ in BOUNDS]
    assert drawn.between == [(bound / 2, bound) for bound in BOUNDS]
    assert waits == [bound * (1 + share) / 2 for bound in BOUNDS]


def test_by_default_waits_are_random_and_spread_over_all_of_it() -> None:
    """Many jobs that began at the same moment must not ask at the same moments."""
    random.seed(20261121)
    for place, bound in enumerate(BOUNDS):
        waits = []
        for _ in range(MANY // len(BOUNDS)):
            pace = Pace()
            waits.append([pace.next_s() for _ in range(place + 1)][-1])
        assert bound / 2 <= min(waits) < 0.55 * bound
        assert 0.95 * bound < max(waits) <= bound
        assert len(set(waits)) > len(waits) / 2


def test_progress_makes_the_next_wait_short_again() -> None:
    pace = Pace(uniform=lambda low, high: high)
    assert [pace.next_s() for _ in range(6)][-1] == 30.0
    pace.moved()
    assert [pace.next_s(), pace.next_s(), pace.next_s()] == [1.0, 2.0, 4.0]
    pace.answered()  # an answer alone is no progress
    assert pace.next_s() == 8.0


def test_what_the_provider_asks_for_is_a_floor_of_ten_minutes_at_most() -> None:
    pace = Pace(uniform=lambda low, high: high)
    assert pace.next_s(7.0) == 7.0
    assert pace.next_s(0.5) == 2.0, "sooner than that is not asked"
    assert pace.next_s(599.0) == 599.0
    assert pace.next_s(601.0) == 600.0
    assert pace.next_s(float("inf")) == 600.0
    assert pace.next_s(-1.0) == 30.0
    assert pace.next_s() == 30.0, "the pauses counted as waits"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited, without waiting."""
    found: list[float] = []

    async def sleep(seconds: float, *_: Any) -> None:
        found.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return found


def busy(retry_after_s: float | None = None) -> ProviderError:
    return ProviderError(ErrorKind.TRANSIENT, "It is busy.", retry_after_s=retry_after_s)


async def test_waiting_takes_what_is_next(slept: list[float]) -> None:
    pace = Pace(uniform=lambda low, high: high)
    await pace.wait()
    await pace.wait(5.0)
    await pace.wait()
    assert slept == [1.0, 5.0, 4.0]


async def test_questions_that_fail_in_passing_are_asked_five_times_in_a_row_at_most(
    slept: list[float],
) -> None:
    pace = Pace(uniform=lambda low, high: high)
    for after in (None, 9.0, None, 1_000.0, None):
        await pace.stumbled(busy(after))
    assert slept == [1.0, 9.0, 4.0, 600.0, 16.0]
    last = busy()
    with pytest.raises(ProviderError) as caught:
        await pace.stumbled(last)
    assert caught.value is last
    pace.answered()
    await pace.stumbled(busy())
    assert len(slept) == 6


@pytest.mark.parametrize("kind", [ErrorKind.AUTH, ErrorKind.BAD_REQUEST, ErrorKind.BLOCKED])
async def test_a_refusal_is_not_asked_again(slept: list[float], kind: ErrorKind) -> None:
    with pytest.raises(ProviderError, match="Not so"):
        await Pace().stumbled(ProviderError(kind, "Not so."))
    assert slept == []
