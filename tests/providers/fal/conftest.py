"""Emulators of fal, and how soon its jobs are tried again."""

from __future__ import annotations

import pytest

from tests.providers.world import several
from workbench.testing.emulators.fal import FalEmulator


@pytest.fixture(autouse=True)
def in_no_time(quick_retries: None) -> None:
    """Everything here is tried again soon."""


@pytest.fixture
def fal():
    with FalEmulator() as server:
        yield server


@pytest.fixture
def emulator():
    with several(FalEmulator) as make:
        yield make
