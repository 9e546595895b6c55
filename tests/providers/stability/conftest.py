"""Emulators of stability, and how soon its jobs are tried again."""

from __future__ import annotations

import pytest

from workbench.testing.emulators.stability import StabilityEmulator


@pytest.fixture(autouse=True)
def in_no_time(quick_retries: None) -> None:
    """Everything here is tried again soon."""


@pytest.fixture
def server():
    with StabilityEmulator() as one:
        yield one
