"""Emulators of replicate, and how soon its jobs are tried again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.providers.replicate.world import (
    made,
)
from tests.providers.world import several
from workbench.providers.replicate import Replicate
from workbench.testing.emulators.replicate import ReplicateEmulator


@pytest.fixture(autouse=True)
def in_no_time(quick_retries: None) -> None:
    """Everything here is tried again soon."""


@pytest.fixture
def server() -> Iterator[ReplicateEmulator]:
    with ReplicateEmulator() as emulator:
        yield emulator


@pytest.fixture
def emulator():
    with several(ReplicateEmulator) as make:
        yield make


@pytest.fixture
async def opened():
    """Makes providers for tests on this loop, and closes them."""
    providers = []

    def make(server: ReplicateEmulator, **changes) -> Replicate:
        providers.append(made(server, **changes))
        return providers[-1]

    yield make
    for provider in providers:
        await provider.close()
