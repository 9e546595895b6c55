"""Emulators of huggingface, and how soon its jobs are tried again."""

from __future__ import annotations

import pytest

from tests.providers.world import several
from workbench.testing.emulators.huggingface import HuggingFaceEmulator


@pytest.fixture(autouse=True)
def in_no_time(quick_retries: None) -> None:
    """Everything here is tried again soon."""


@pytest.fixture
def emulator():
    with several(HuggingFaceEmulator) as make:
        yield make


@pytest.fixture
def hf(emulator):
    return emulator()
