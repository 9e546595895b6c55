from __future__ import annotations

from tests.providers.dialects import Dialect

# What `Cog.discover` says of the emulator: test_cog compares.
ENTRY = {
    "name": "model",
    "title": "model",
    "help": "The model that this server has.",
    "operations": ["generate"],
    "max_references": 0,
    "seeds": True,
    "negative_prompt": False,
    "parameters": {"steps": {"kind": "integer", "default": 4, "minimum": 1, "maximum": 400}},
    "send": {"discovered": True},
    "free": True,
}

DIALECT = Dialect(
    name="cog",
    provider="workbench.providers.cog:Cog",
    emulator="workbench.testing.emulators.cog:CogEmulator",
    model="model",
    resumable=False,
    options=lambda server: {"base_url": server.url, "models": [ENTRY]},
    request={"steps": 2},
)
