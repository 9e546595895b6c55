"""Emulators of comfyui, and how soon its jobs are tried again."""

from __future__ import annotations

import pytest

from workbench.testing.emulators.comfyui import ComfyUIEmulator


@pytest.fixture
def server():
    with ComfyUIEmulator() as emulator:
        yield emulator
