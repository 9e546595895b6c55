"""Emulators of sdwebui, and how soon its jobs are tried again."""

from __future__ import annotations

import pytest

from workbench.testing.emulators.sdwebui import SDWebUIEmulator


@pytest.fixture
def server():
    with SDWebUIEmulator() as emulator:
        yield emulator
