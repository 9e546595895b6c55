"""Emulators of fal, and how soon its jobs are tried again."""

from __future__ import annotations

import pytest

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
    opened = []

    def make(**how) -> FalEmulator:
        opened.append(FalEmulator(**how))
        return opened[-1].__enter__()

    yield make
    for server in opened:
        server.close()
