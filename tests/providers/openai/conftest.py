"""Emulators of openai, and how soon its jobs are tried again."""

from __future__ import annotations

import pytest

from workbench.testing.emulators.openai import OpenAIEmulator


@pytest.fixture
def workbench_emulator():
    opened = []

    def make(**how) -> OpenAIEmulator:
        opened.append(OpenAIEmulator(**how))
        return opened[-1].__enter__()

    yield make
    for server in opened:
        server.close()
