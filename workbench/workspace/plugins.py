"""Providers from the entry-point group ``workbench.providers``: the built-in one is one of them."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points

from workbench.domain.arguments import shown
from workbench.domain.parameters import Model, closest
from workbench.domain.records import Price
from workbench.errors import InvalidRequest
from workbench.ports import Provider, ProviderState

GROUP = "workbench.providers"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


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
        if isinstance(provider, type) or not isinstance(provider, Provider):
            raise InvalidRequest(
                "provider", f"{shown(provider)} does not have the provider protocol."
            )
        name: object = provider.name
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise InvalidRequest(
                "provider", f"its name {shown(name)} must be 1 to 40 of a-z, 0-9, '-' and '_'."
            )
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
                _state_of(provider),
                tuple(model.id for model in self._models_of(provider)),
            )
            for provider in list(self.providers.values())
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
            for provider in list(self.providers.values())
            for model in self._models_of(provider)
        ]

    def _models_of(self, provider: Provider) -> list[Model]:
        # Border "plugin load": one that cannot say what it offers must not hide the others.
        try:
            models = list(provider.models())
            strange = [model.id for model in models if model.id != f"{provider.name}:{model.name}"]
            if strange or any(model.provider != provider.name for model in models):
                raise ValueError(f"{strange or provider.name!r} is not '<provider>:<name>'")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - see above
            message = f"The provider {provider.name!r} cannot say which models it has: {error}"
            if all(plugin.message != message for plugin in self.broken):
                self.broken.append(BrokenPlugin(provider.name, message, traceback.format_exc()))
            return []
        return models

    def model(self, name: str) -> Model:
        """Return the model with this id ("builtin:sketch") or alias ("sketch").

        Raises
        ------
        InvalidRequest
            If there is none; the text has a near match.
        """
        if not isinstance(name, str):
            raise InvalidRequest("model", f"must be the name of a model, not {shown(name)}.")
        models = self.models()
        for model in models:
            if name == model.id or name in model.aliases:
                return model
        names = [alias for model in models for alias in (model.id, *model.aliases)]
        near = closest(name, names)
        hint = f" Did you mean {near!r}?" if near else f" There are: {', '.join(names)}."
        raise InvalidRequest("model", f"there is no model {shown(name)}.{hint}")

    def ready_model(self, name: str) -> tuple[Provider, Model]:
        """Return model and provider, or raise InvalidRequest with what is missing."""
        model = self.model(name)
        provider = self.providers[model.provider]
        state = _state_of(provider)
        if not state.ready:
            raise InvalidRequest("model", f"{model.title} cannot be used here: {state.message}")
        return provider, model


def _state_of(provider: Provider) -> ProviderState:
    # Border "plugin load", as above.
    try:
        return provider.state()
    except Exception as error:  # noqa: BLE001 - see above
        return ProviderState(False, "error", f"It cannot say whether it can be used: {error}")
