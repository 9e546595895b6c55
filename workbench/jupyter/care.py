"""``jupyter workbench doctor | backup``: looking after a workspace."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InvalidRequest
from workbench.workspace.location import resolve, resolve_user
from workbench.workspace.workspace import open_workspace

if TYPE_CHECKING:
    from workbench.workspace.doctor import Report
    from workbench.workspace.workspace import Workspace

DATABASE = "workbench.sqlite3"
_WORKSPACE_HELP = "folder of the workspace (default: as in a notebook of the current folder)"


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the two commands to the parser of the command line."""
    doctor = add_command(
        commands,
        "doctor",
        "check a workspace: rows, files, ledger, change feed",
        "examples:\n  jupyter workbench doctor\n  jupyter workbench doctor --json\n\n"
        "Ends with 1 if there is a problem.",
    )
    doctor.add_argument("--json", action="store_true", help="print the report as JSON")
    doctor.add_argument("--quick", action="store_true", help="do not read every image file again")
    doctor.set_defaults(run=run_doctor)

    backup = add_command(
        commands,
        "backup",
        "copy a workspace while it is in use",
        "example:\n  jupyter workbench backup ~/backups/foxes\n\n"
        "The copy is a workspace like any other: open it with --workspace.",
    )
    backup.add_argument("path", metavar="PATH", type=Path, help="new folder for the copy")
    backup.set_defaults(run=run_backup)


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    what: str,
    epilog: str,
) -> argparse.ArgumentParser:
    """Add a command that looks at a workspace, and return its parser."""
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
        say(json.dumps(report.to_dict(), indent=2, default=str))
    else:
        say(report_text(report))
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
    say(f"Copied to {copy}")
    return 0


def existing(location: str | None) -> Path:
    """Return the folder of a workspace that is there already.

    Raises
    ------
    InvalidRequest
        If there is none: looking after a workspace must not make one where a path was mistyped.
    """
    folder = resolve(location)
    if not (folder / DATABASE).is_file():
        raise InvalidRequest(
            "--workspace", f"there is no workspace in {str(folder)!r}; name its folder."
        )
    return folder


def say(text: str) -> None:
    """Write a line of a command's report."""
    print(text)  # noqa: T201  (a program that reports on its output)
