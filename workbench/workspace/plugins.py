"""Providers from the entry-point group ``workbench.providers``: the built-in one is one of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points

from workbench.domain.parameters import Model, closest
from workbench.domain.records import Price
from workbench.errors import InvalidRequest
from workbench.ports import Provider, ProviderState

GROUP = "workbench.providers"


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """What people see of a provider: name, title, help, and whether it can be used here."""

    name: str
    title: str
    help: str
    state: ProviderState
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """An entry point that could not be loaded, with the traceback for the event log."""

    name: str
    message: str
    traceback: str


class ProviderRegistry:
    """The providers of one engine.

    Parameters
    ----------
    prices:
        Returns the prices that are set in the workspace, by model id.
    """

    def __init__(self, prices: Callable[[], Mapping[str, Price]]) -> None:
        self._prices = prices
        self.providers: dict[str, Provider] = {}
        self.broken: list[BrokenPlugin] = []

    def load(self) -> None:
        """Load every installed plugin; a broken one is remembered, not raised."""
        for entry in entry_points(group=GROUP):
            self._load(entry)

    def _load(self, entry: EntryPoint) -> None:
        # Border "plugin load": a plugin that fails must not take the workspace with it.
        try:
            self.add(entry.load()())
        except Exception as error:  # noqa: BLE001 - see above
            message = f"The provider plugin {entry.name!r} could not be loaded: {error}"
            self.broken.append(BrokenPlugin(entry.name, message, traceback.format_exc()))

    def add(self, provider: Provider) -> None:
        """Add one provider (plugins call this through their entry point; tests directly).

        Raises
        ------
        InvalidRequest
            If it lacks a part of the protocol or its name is taken.
        """
        if not isinstance(provider, Provider):
            raise InvalidRequest("provider", f"{provider!r} does not have the provider protocol.")
        if provider.name in self.providers:
            raise InvalidRequest("provider", f"there is a provider {provider.name!r} already.")
        self.providers[provider.name] = provider

    def infos(self) -> list[ProviderInfo]:
        """Return what people see of every provider, broken plugins included."""
        infos = [
            ProviderInfo(
                provider.name,
                provider.title,
                provider.help,
                provider.state(),
                tuple(model.id for model in provider.models()),
            )
            for provider in self.providers.values()
        ]
        infos += [
            ProviderInfo(
                plugin.name, plugin.name, "", ProviderState(False, "error", plugin.message), ()
            )
            for plugin in self.broken
        ]
        return infos

    def models(self) -> list[Model]:
        """Return every model with its price in force."""
        prices = self._prices()
        return [
            replace(model, price=prices.get(model.id, model.price))
            for provider in self.providers.values()
            for model in provider.models()
        ]

    def model(self, name: str) -> Model:
        """Return the model with this id ("builtin:sketch") or alias ("sketch").

        Raises
        ------
        InvalidRequest
            If there is none; the text has a near match.
        """
        if not isinstance(name, str):
            raise InvalidRequest("model", f"must be the name of a model, not {name!r}.")
        models = self.models()
        for model in models:
            if name == model.id or name in model.aliases:
                return model
        names = [alias for model in models for alias in (model.id, *model.aliases)]
        near = closest(name, names)
        hint = f" Did you mean {near!r}?" if near else f" There are: {', '.join(names)}."
        raise InvalidRequest("model", f"there is no model {name[:80]!r}.{hint}")

    def ready_model(self, name: str) -> tuple[Provider, Model]:
        """Return model and provider, or raise InvalidRequest with what is missing."""
        model = self.model(name)
        provider = self.providers[model.provider]
        state = provider.state()
        if not state.ready:
            raise InvalidRequest("model", f"{model.title} cannot be used here: {state.message}")
        return provider, model
