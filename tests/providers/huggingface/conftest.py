"""Emulators of huggingface, and how soon its jobs are tried again."""

from __future__ import annotations

import pytest

from workbench.testing.emulators.huggingface import HuggingFaceEmulator


@pytest.fixture(autouse=True)
def in_no_time(quick_retries: None) -> None:
    """Everything here is tried again soon."""


@pytest.fixture
def emulator():
    opened = []

    def make(**how) -> HuggingFaceEmulator:
        opened.append(HuggingFaceEmulator(**how))
        return opened[-1].__enter__()

    yield make
    for server in opened:
        server.close()


@pytest.fixture
def hf(emulator):
    return emulator()
