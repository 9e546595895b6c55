"""Hugging Face's router to fal's queue: its jobs have ids."""

from __future__ import annotations

from tests.providers.dialects import Dialect
from workbench.testing.pictures import png

DIALECT = Dialect(
    name="hf_fal",
    provider="workbench.providers.huggingface:HuggingFace",
    emulator="workbench.testing.emulators.huggingface:HuggingFaceEmulator",
    model="black-forest-labs/FLUX.2-dev",
    options=lambda server: {"base_url": server.base_url, "key": server.key},
    request={"references": [png("me")]},  # what the router has in that queue changes images
)
