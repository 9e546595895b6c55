"""``jupyter workbench doctor | backup | providers``: looking after a workspace."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.domain.records import Price
from workbench.errors import InvalidRequest
from workbench.workspace.location import resolve, resolve_user
from workbench.workspace.plugins import ProviderInfo, ProviderRegistry
from workbench.workspace.workspace import open_workspace

if TYPE_CHECKING:
    from workbench.domain.parameters import Model
    from workbench.workspace.doctor import Report
    from workbench.workspace.workspace import Workspace

_DATABASE = "workbench.sqlite3"
_WORKSPACE_HELP = "folder of the workspace (default: as in a notebook of the current folder)"


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the three commands to the parser of the command line."""
    doctor = _add(
        commands,
        "doctor",
        "check a workspace: rows, files, ledger, change feed",
        "examples:\n  jupyter workbench doctor\n  jupyter workbench doctor --json\n\n"
        "Ends with 1 if there is a problem.",
    )
    doctor.add_argument("--json", action="store_true", help="print the report as JSON")
    doctor.add_argument("--quick", action="store_true", help="do not read every image file again")
    doctor.set_defaults(run=run_doctor)

    backup = _add(
        commands,
        "backup",
        "copy a workspace while it is in use",
        "example:\n  jupyter workbench backup ~/backups/foxes\n\n"
        "The copy is a workspace like any other: open it with --workspace.",
    )
    backup.add_argument("path", metavar="PATH", type=Path, help="new folder for the copy")
    backup.set_defaults(run=run_backup)

    providers = _add(
        commands,
        "providers",
        "list providers and their models, and what is missing",
        "example:\n  jupyter workbench providers",
    )
    providers.add_argument("--json", action="store_true", help="print the list as JSON")
    providers.set_defaults(run=run_providers)


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    what: str,
    epilog: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=what,
        description=f"{what[:1].upper()}{what[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workspace", metavar="PATH", help=_WORKSPACE_HELP)
    return parser


def opened(folder: Path) -> Workspace:
    """Return a workspace for a command: it serves everybody, whoever pages say that they are."""
    return open_workspace(folder, user=resolve_user(None), run_jobs=False)


def run_doctor(arguments: argparse.Namespace) -> int:
    """Print the report; 1 if there is a problem."""
    with opened(existing(arguments.workspace)) as workspace:
        report = workspace.doctor(deep=not arguments.quick)
    if arguments.json:
        _say(json.dumps(report.to_dict(), indent=2, default=str))
    else:
        _say(report_text(report))
    return 0 if report.ok else 1


def report_text(report: Report) -> str:
    """Return a doctor's report as lines for people."""
    lines = ["ok" if report.ok else f"{len(report.problems)} problem(s)"]
    lines += [f"problem: {problem}" for problem in report.problems]
    lines += [f"warning: {warning}" for warning in report.warnings]
    lines += [f"{name}: {value}" for name, value in report.facts.items()]
    return "\n".join(lines)


def run_backup(arguments: argparse.Namespace) -> int:
    """Copy the workspace and say where to."""
    with opened(existing(arguments.workspace)) as workspace:
        copy = workspace.backup(arguments.path)
    _say(f"Copied to {copy}")
    return 0


def run_providers(arguments: argparse.Namespace) -> int:
    """List providers; without a workspace here, with the prices that they come with."""
    folder = resolve(arguments.workspace)
    if (folder / _DATABASE).exists():
        with opened(folder) as workspace:
            providers, models = workspace.providers(), workspace.models()
    else:
        registry = ProviderRegistry(dict)
        registry.load()
        providers, models = registry.infos(), registry.models()
    if arguments.json:
        _say(json.dumps([_provider_data(info, models) for info in providers], indent=2))
    else:
        _say("\n".join(_provider_text(info, models) for info in providers) or "No providers.")
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


def existing(location: str | None) -> Path:
    """Return the folder of a workspace that is there already.

    Raises
    ------
    InvalidRequest
        If there is none: looking after a workspace must not make one where a path was mistyped.
    """
    folder = resolve(location)
    if not (folder / _DATABASE).is_file():
        raise InvalidRequest(
            "--workspace", f"there is no workspace in {str(folder)!r}; name its folder."
        )
    return folder


def _say(text: str) -> None:
    print(text)  # noqa: T201  (a program that reports on its output)
