"""Emulators of gemini, and how soon its jobs are tried again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from workbench.testing.emulators.gemini import GeminiEmulator


@pytest.fixture
def google() -> Iterator[GeminiEmulator]:
    with GeminiEmulator() as server:
        yield server


@pytest.fixture
def another() -> Iterator:
    opened = []

    def make(**how) -> GeminiEmulator:
        opened.append(GeminiEmulator(**how))
        return opened[-1].__enter__()

    yield make
    for server in opened:
        server.close()
