"""Providers from the entry-point group ``workbench.providers``: the built-in one is one of them."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from workbench.domain.arguments import shown
from workbench.domain.border import asked
from workbench.domain.parameters import Model, closest, unknown_name
from workbench.domain.records import Price
from workbench.errors import InvalidRequest
from workbench.ports import Provider, ProviderState
from workbench.providers import keys, own_settings

GROUP = "workbench.providers"
KEY_LEFT = keys.LEFT  # what is said where the keyring did not delete a key
WORKER_HAS = keys.OF_WORKER
_NAMED = 8  # models in an error
_FIRST = "builtin"  # what always works is listed, and chosen, before all others
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """What people see of a provider: name, title, help, and whether it can be used here.

    Attributes
    ----------
    name, title, help:
        Its name in model ids, and what people read.
    state:
        Ready, or what is missing.
    models:
        Ids of its models.
    concurrency:
        Jobs at once over all processes of a workspace.
    base_url:
        Where its server is; None: it has none.
    takes_key, key_place:
        Whether it wants a key, and where that is: the name of a variable, "keyring", "file",
        "code", or None.
    testable, refreshable:
        Whether ``ws.test_provider`` and ``ws.refresh_provider`` can ask it something.
    set_base_url:
        What ``ws.set_provider`` set; None: nothing.
    """

    name: str
    title: str
    help: str
    state: ProviderState
    models: tuple[str, ...]
    concurrency: int = 1
    base_url: str | None = None
    takes_key: bool = False
    key_place: str | None = None
    testable: bool = False
    refreshable: bool = False
    set_base_url: str | None = None


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """An entry point that could not be loaded, with the traceback for the event log."""

    name: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Silence:
    """A provider's server did not answer when it was asked.

    Attributes
    ----------
    message:
        What was said of it.
    base_url:
        Where it was asked.
    answers:
        How many answers its connection had until then; None: it does not count them.
    """

    message: str
    base_url: str | None
    answers: int | None

    def is_over(self, provider: Provider, base_url: str | None) -> bool:
        """Tell whether something was heard since, or it is elsewhere now."""
        return base_url != self.base_url or getattr(provider, "answers", None) != self.answers


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
        self._silent: dict[str, Silence] = {}

    def load(self, servers: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> None:
        """Load every installed plugin; a broken one is remembered, not raised.

        Parameters
        ----------
        servers:
            Servers of the settings file, by name: the plugin that speaks to each ("kind") and what
            its class is given.
        """
        entries = {entry.name: entry for entry in entry_points(group=GROUP)}
        for name, entry in sorted(entries.items(), key=lambda one: (one[0] != _FIRST, one[0])):
            self._load(name, entry, {})
        for name, given in servers.items():
            options = dict(given)
            kind = options.pop("kind", None)
            found = entries.get(kind) if isinstance(kind, str) else None
            if found is None:
                text = (
                    f"The server {name!r} of the settings has no kind that is installed: {kind!r}."
                )
                self.broken.append(BrokenPlugin(name, text, ""))
            else:
                self._load(name, found, {"name": name, **options})

    def _load(self, name: str, entry: EntryPoint, options: Mapping[str, Any]) -> None:
        # One that fails must not take the workspace with it.
        def failed(error: Exception) -> None:
            message = f"The provider plugin {name!r} could not be loaded: {error}"
            self.broken.append(BrokenPlugin(name, message, trace_of(error)))

        asked(lambda: self.add(entry.load()(**options)), failed)

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
        configure = getattr(provider, "configure", None)
        if configure is not None:
            own = own_settings.of(provider.name)
            configure(base_url=own.base_url, concurrency=own.concurrency)
        self.providers[provider.name] = provider

    def provider(self, name: object) -> Provider:
        """Return the provider with this name, or raise InvalidRequest with a near match."""
        found = self.providers.get(name) if isinstance(name, str) else None
        if found is None:
            raise unknown_name(name, self.providers, "there is no provider")
        return found

    def configure(self, name: str, settings: own_settings.OwnSettings) -> None:
        """Set address and jobs at once of a provider, here and for later.

        Raises
        ------
        InvalidRequest
            There is no such provider, or it has nothing to set.
        """
        configure = getattr(self.provider(name), "configure", None)
        if configure is None:
            raise InvalidRequest("provider", f"{name!r} has nothing that can be set.")
        own_settings.put(name, settings)  # first: where that fails, all stays as it was
        configure(base_url=settings.base_url, concurrency=settings.concurrency)

    def heard(self, provider: Provider, silence: str | None = None) -> bool:
        """Note what came of asking a provider: nothing, in a sentence, or (None) that it is there.

        Kept in memory: whether a server can be reached is a matter of now and of here. It changes
        what people see (`infos`), and no job: those find out for themselves, and try again.

        Returns
        -------
        bool
            Whether that is news.
        """
        before = self._silent.pop(provider.name, None)
        if silence is None:
            return before is not None
        where, answers = _info_of(provider, ()).base_url, getattr(provider, "answers", None)
        self._silent[provider.name] = Silence(silence, where, answers)
        return True

    def infos(self) -> list[ProviderInfo]:
        """Return what people see of every provider, broken plugins included."""
        infos = [
            self._with_silence(
                provider,
                _info_of(provider, tuple(model.id for model in self._models_of(provider))),
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

    def _with_silence(self, provider: Provider, info: ProviderInfo) -> ProviderInfo:
        """Add that its server did not answer, until it has, or another address is set."""
        silence = self._silent.get(provider.name)
        if silence is None or not info.state.ready:
            return info
        if silence.is_over(provider, info.base_url):
            self._silent.pop(provider.name, None)
            return info
        return replace(info, state=ProviderState(False, "unreachable", silence.message))

    def models(self) -> list[Model]:
        """Return every model with its price in force."""
        prices = self._prices()
        return [
            replace(model, price=prices.get(model.id, model.price))
            for provider in list(self.providers.values())
            for model in self._models_of(provider)
        ]

    def _models_of(self, provider: Provider) -> list[Model]:
        # One that cannot say what it offers must not hide the others.
        def failed(error: Exception) -> list[Model]:
            message = f"The provider {provider.name!r} cannot say which models it has: {error}"
            if all(plugin.message != message for plugin in self.broken):
                self.broken.append(BrokenPlugin(provider.name, message, trace_of(error)))
            return []

        def models() -> list[Model]:
            found = list(provider.models())
            strange = [model.id for model in found if model.id != f"{provider.name}:{model.name}"]
            if strange or any(model.provider != provider.name for model in found):
                raise ValueError(f"{strange or provider.name!r} is not '<provider>:<name>'")
            return found

        return asked(models, failed)

    def model(self, name: str) -> Model:
        """Return the model with this id ("builtin:sketch") or alias ("sketch").

        Raises
        ------
        InvalidRequest
            If there is none; the text has a near match.
        """
        if not isinstance(name, str):
            raise InvalidRequest("model", f"must be the name of a model, not {shown(name)}.")
        owner = self.providers.get(name.partition(":")[0])
        of_one = [] if owner is None else self._models_of(owner)
        for model in of_one:
            if name == model.id:  # the usual case, without looking at all the others
                return replace(model, price=self._prices().get(model.id, model.price))
        models = self.models()
        for model in models:
            if name == model.id or name in model.aliases:
                return model
        names = [alias for model in models for alias in (model.id, *model.aliases)]
        near = closest(name, names)
        hint = f" Did you mean {near!r}?" if near else f" There are: {self._some(models)}."
        raise InvalidRequest("model", f"there is no model {shown(name)}.{hint}")

    def _some(self, models: list[Model]) -> str:
        """Return names of models that can be used here, or of some of them."""
        ready = {info.name for info in self.infos() if info.state.ready}
        names = [name for m in models if m.provider in ready for name in (m.id, *m.aliases)]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return ", ".join(names[:_NAMED]) + more

    def ready_model(self, name: str) -> tuple[Provider, Model]:
        """Return model and provider, or raise InvalidRequest with what is missing."""
        model = self.model(name)
        provider = self.providers[model.provider]
        state = _state_of(provider)
        if not state.ready:
            raise InvalidRequest("model", f"{model.title} cannot be used here: {state.message}")
        return provider, model


def keep_key(provider: str, key: str) -> str:
    """Keep a provider's key for this user; see `workbench.providers.keys.keep`."""
    return keys.keep(provider, key)


def forget_key(provider: str) -> str | None:
    """Remove a key that was kept; see `workbench.providers.keys.forget`."""
    return keys.forget(provider)


def ready_providers(servers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return which providers can be used here: page kernels, without keys, could not tell."""
    registry = ProviderRegistry(dict)
    registry.load(servers)
    return [info.name for info in registry.infos() if info.state.ready]


def _info_of(provider: Provider, models: tuple[str, ...]) -> ProviderInfo:
    state = _state_of(provider)
    info = ProviderInfo(
        provider.name,
        provider.title,
        provider.help,
        state,
        models,
        concurrency=provider.concurrency,
        takes_key=True,
        testable=getattr(provider, "can_test", hasattr(provider, "test")),
        refreshable=getattr(provider, "can_refresh", hasattr(provider, "refresh")),
    )

    def with_place() -> ProviderInfo:  # what only some providers have
        place = getattr(provider, "key_place", None)
        return replace(
            info,
            base_url=getattr(provider, "base_url", None),
            takes_key=bool(getattr(provider, "key_variables", ()) or place),
            key_place=place,
            set_base_url=own_settings.of(provider.name).base_url,
        )

    def failed(error: Exception) -> ProviderInfo:
        if str(error) in state.message:  # the file of keys, say, is told of there already
            return info
        said = f"It cannot say where it is, or where its key is: {error}"
        return replace(info, state=replace(state, message=f"{state.message} {said}".strip()))

    return asked(with_place, failed)


def _state_of(provider: Provider) -> ProviderState:
    if keys.worker_has(provider.name):
        return ProviderState(True)  # it runs the jobs, and has the key

    def failed(error: Exception) -> ProviderState:
        return ProviderState(False, "error", f"It cannot say whether it can be used: {error}")

    return asked(provider.state, failed)


def trace_of(error: BaseException) -> str:
    """Return the traceback of an error, for the log pane."""
    return "".join(traceback.format_exception(error))
