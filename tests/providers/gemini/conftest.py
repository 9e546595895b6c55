"""Emulators of gemini, and how soon its jobs are tried again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.providers.world import several
from workbench.testing.emulators.gemini import GeminiEmulator


@pytest.fixture
def google() -> Iterator[GeminiEmulator]:
    with GeminiEmulator() as server:
        yield server


@pytest.fixture
def another() -> Iterator:
    with several(GeminiEmulator) as make:
        yield make
