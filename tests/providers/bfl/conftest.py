"""Emulators of bfl, and how soon its jobs are tried again."""

from __future__ import annotations

import pytest

from workbench.testing.emulators.bfl import BFLEmulator


@pytest.fixture(autouse=True)
def in_no_time(quick_retries: None) -> None:
    """Everything here is tried again soon."""


@pytest.fixture
def server():
    with BFLEmulator() as one:
        yield one
