"""Emulators of openrouter, and how soon its jobs are tried again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from workbench.testing.emulators.openrouter import OpenRouterEmulator


@pytest.fixture
def server() -> Iterator[OpenRouterEmulator]:
    with OpenRouterEmulator() as emulator:
        yield emulator
