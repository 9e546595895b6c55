"""``jupyter workbench providers``: what can be used, what is missing, and setting it up."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import sys
from typing import TYPE_CHECKING

from workbench.domain.records import Price
from workbench.errors import WorkbenchError
from workbench.jupyter.care import DATABASE, add_command, opened, say
from workbench.workspace.location import resolve
from workbench.workspace.plugins import (
    KEY_LEFT,
    ProviderInfo,
    ProviderRegistry,
    forget_key,
    keep_key,
)
from workbench.workspace.providers import ask_once
from workbench.workspace.settings import load_settings

if TYPE_CHECKING:
    from workbench.domain.parameters import Model

_ACTIONS = ("list", "key", "forget", "test", "refresh")
_EPILOG = """\
examples:
  jupyter workbench providers                     what there is, and what is missing
  jupyter workbench providers key replicate       asks for the key and keeps it for you
  jupyter workbench providers forget replicate    removes it again
  jupyter workbench providers test replicate      asks its server something that costs nothing
  jupyter workbench providers refresh             reads models and prices anew, where it can

A key is kept in the system's keyring, or else in a file that only you can read. It is read from
the terminal or from standard input, never from the command line, which others can see.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of the command line."""
    parser = add_command(
        commands, "providers", "list providers and their models, set keys, test them", _EPILOG
    )
    parser.add_argument("action", nargs="?", choices=_ACTIONS, default="list", help="what to do")
    parser.add_argument("name", nargs="?", metavar="NAME", help="name of a provider")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked; 1 if a provider did not do it."""
    action, name = arguments.action, arguments.name
    if action == "list":
        return run_providers(arguments)
    registry = ProviderRegistry(dict)
    registry.load(load_settings(resolve(arguments.workspace)).servers)
    if action in ("key", "forget") and name is None:
        say(f"Say whose key: jupyter workbench providers {action} NAME")
        return 2
    if action == "key":
        provider = registry.provider(name)
        place = keep_key(provider.name, _typed(f"Key of {provider.title}: "))
        where = "the keyring" if place == "keyring" else "a file that only you can read"
        say(f"Kept in {where}.")
        return 0
    if action == "forget":
        found = forget_key(registry.provider(name).name)
        say({"removed": "Removed.", "keyring": KEY_LEFT}.get(found or "", "There was none."))
        return 1 if found == "keyring" else 0
    chosen = [registry.provider(name)] if name else list(registry.providers.values())
    infos = {info.name: info for info in reversed(registry.infos())}  # broken plugins come last
    failed = 0
    for provider in chosen:
        if name is None and not _takes_part(infos[provider.name], action):
            continue
        try:
            say(asyncio.run(ask_once(provider, action)))
            state = infos[provider.name].state
            if action == "test" and state.code == "error":  # its server is well, its settings not
                failed += 1
                say(f"{provider.name}: {state.message}")
        except WorkbenchError as error:
            failed += 1
            say(f"{provider.name}: {error}")
    return 1 if failed else 0


def _takes_part(info: ProviderInfo, action: str) -> bool:
    """Tell whether a provider is asked where all are; one that is set up wrong says so itself."""
    able = info.refreshable if action == "refresh" else info.testable
    return able and (info.state.ready or info.state.code == "error")


def _typed(question: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(question)
    return sys.stdin.readline()


def run_providers(arguments: argparse.Namespace) -> int:
    """List providers; without a workspace here, with the prices that they come with."""
    folder = resolve(arguments.workspace)
    if (folder / DATABASE).exists():
        with opened(folder) as workspace:
            providers, models = workspace.providers(), workspace.models()
    else:
        registry = ProviderRegistry(dict)
        registry.load(load_settings(folder).servers)
        providers, models = registry.infos(), registry.models()
    if arguments.json:
        say(json.dumps([_provider_data(info, models) for info in providers], indent=2))
    else:
        say("\n".join(_provider_text(info, models) for info in providers) or "No providers.")
    return 0


def _provider_text(info: ProviderInfo, models: list[Model]) -> str:
    state = "ready" if info.state.ready else f"not ready: {info.state.message}"
    lines = [f"{info.name} ({info.title}): {state}"]
    for model in models:
        if model.provider == info.name:
            names = ", ".join((model.id, *model.aliases))
            lines.append(f"  {names}: {_price_text(model.price)}")
    return "\n".join(lines)


def _price_text(price: Price) -> str:
    if price.is_free:
        return "free"
    amount = f"{price:f} {price.unit}"
    if not price.by_provider:
        return amount
    return f"about {amount}, billed by the provider" if price else "billed by the provider"


def _provider_data(info: ProviderInfo, models: list[Model]) -> dict[str, object]:
    return {
        "name": info.name,
        "title": info.title,
        "ready": info.state.ready,
        "code": info.state.code,
        "message": info.state.message,
        "models": [
            {
                "id": model.id,
                "aliases": list(model.aliases),
                "price": str(model.price),
                "unit": model.price.unit,
                "billed_by_provider": model.price.by_provider,
            }
            for model in models
            if model.provider == info.name
        ],
    }
