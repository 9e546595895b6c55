from __future__ import annotations

from tests.providers.dialects import Dialect

DIALECT = Dialect(
    name="hf",
    provider="workbench.providers.huggingface:HuggingFace",
    emulator="workbench.testing.emulators.huggingface:HuggingFaceEmulator",
    model="black-forest-labs/FLUX.1-schnell:hf-inference",
    resumable=False,
    options=lambda server: {"base_url": server.base_url, "key": server.key},
)
