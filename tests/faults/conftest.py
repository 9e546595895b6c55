"""What tests of faults have in common."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.faults.engine_world import Crew


@pytest.fixture
def crew() -> Iterator[Crew]:
    """Programs beside the test, which it stops, interrupts and kills; none outlives it."""
    if sys.platform == "win32":
        pytest.skip("Not on Windows: the test stops and interrupts other programs with signals.")
    with Crew() as crew:
        yield crew
