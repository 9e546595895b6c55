"""One file per dialect: what the suites that all of them pass (contract, kills) need to know."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from workbench.testing.contract_description import GROUP
from workbench.testing.emulators.server import Emulator


@dataclass(frozen=True)
class Dialect:
    """A provider with the emulator that it is tested against.

    Attributes
    ----------
    name:
        Name of the provider in the workspace.
    provider, emulator:
        Where their classes are: "workbench.providers.replicate:Replicate".
    model:
        Name of a model within the provider.
    options:
        Keywords for the provider's class, plain JSON, from a running emulator.
    request:
        Keywords for ``ws.generate`` besides prompt, model and n.
    emulator_options:
        Keywords for the emulator's class.
    resumable:
        Whether its jobs can be followed by another process.
    """

    name: str
    provider: str
    emulator: str
    model: str
    options: Callable[[Any], dict[str, Any]]
    request: Mapping[str, Any] = field(default_factory=dict)
    emulator_options: Mapping[str, Any] = field(default_factory=dict)
    resumable: bool = True

    @property
    def entry_point(self) -> str | None:
        """Name of the installed plugin of its class; None for a class of these tests."""
        if self.provider.startswith("tests."):
            return None
        (name,) = (
            one.name for one in entry_points(group=GROUP) if one.value == self.provider
        )  # one each, or the package is not installed as it should be
        return name

    def make_emulator(self) -> Emulator:
        made: Emulator = _found(self.emulator)(**self.emulator_options)
        return made


def _found(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def all_dialects() -> list[Dialect]:
    """Return every dialect of this folder."""
    names = sorted(one.name for one in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}").DIALECT for name in names]
