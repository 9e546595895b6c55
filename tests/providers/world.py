"""What tests of every dialect start from."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import workbench as wb
from workbench.providers.polling import Pace

FAST = functools.partial(Pace, first_s=0.01, longest_s=0.05)


def fast() -> Pace:
    """Questions without waiting in between."""
    return FAST()


def ended(batch: wb.Batch) -> wb.Batch:
    return batch.wait(30)


def error_of(batch: wb.Batch):  # type: ignore[no-untyped-def]
    """The error of the only picture of a batch."""
    (generation,) = ended(batch).generations
    assert generation.error is not None, (generation.status, generation.detail)
    return generation.error


def until(true: Callable[[], object], within_s: float = 10.0) -> None:
    limit = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.01)
