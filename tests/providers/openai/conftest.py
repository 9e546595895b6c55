"""Emulators of openai, and how soon its jobs are tried again."""

from __future__ import annotations

import pytest

from tests.providers.world import several
from workbench.testing.emulators.openai import OpenAIEmulator


@pytest.fixture
def workbench_emulator():
    with several(OpenAIEmulator) as make:
        yield make
