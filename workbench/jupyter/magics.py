"""``%%imagine`` and ``%workbench``: thin words over the public Python API."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.display import display

from workbench.errors import WorkbenchError
from workbench.jupyter.care import report_text
from workbench.workspace.identity import Owner, resolve_owner
from workbench.workspace.location import resolve
from workbench.workspace.workspace import open_workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from workbench.workspace.batch import Batch
    from workbench.workspace.workspace import Workspace

_TOPICS = ("doctor", "status", "balance")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # IPython shows a UsageError as one line without a traceback.
        raise UsageError(f"{self.prog}: {message.rstrip('.')}. See {self.prog}? for the options.")


def imagine_parser() -> argparse.ArgumentParser:
    """Return the parser of the line of ``%%imagine``."""
    parser = _Parser(prog="%%imagine", add_help=False, allow_abbrev=False)
    parser.add_argument("--model", "-m")
    parser.add_argument("-n", type=int, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--height", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--style")
    parser.add_argument("--negative")
    parser.add_argument("--topic")
    parser.add_argument("--wait", action=argparse.BooleanOptionalAction, default=True)
    return parser


@magics_class
class WorkbenchMagics(Magics):
    """The magics of one IPython session; both work on the default workspace."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._opened: dict[tuple[Path, Owner], Workspace] = {}

    @cell_magic
    def imagine(self, line: str, cell: str) -> Batch:
        """Make pictures from the text of the cell and show them.

        %%imagine [--model NAME] [-n COUNT] [--seed SEED] [--width PX] [--height PX]
                  [--steps STEPS] [--style STYLE] [--negative TEXT] [--topic TITLE] [--no-wait]

        --topic names one of your topics by its title or id; a new one is made if there is none.
        --no-wait shows the batch as it is, just accepted. The batch is the cell's result.

        Example::

            %%imagine --model sketch -n 2 --seed 7
            a red fox in deep snow
        """
        options = imagine_parser().parse_args(_words(line))
        prompt = cell.strip()
        if not prompt:
            raise UsageError("%%imagine: the cell is empty; write the prompt below the first line.")
        params = {
            name: value
            for name, value in (("steps", options.steps), ("style", options.style))
            if value is not None
        }
        try:
            workspace = self._open()
            batch = workspace.generate(
                prompt,
                model=options.model,
                n=options.n,
                seed=options.seed,
                width=options.width,
                height=options.height,
                negative_prompt=options.negative,
                topic=_topic(workspace, options.topic),
                params=params,
            )
        except WorkbenchError as error:
            raise UsageError(f"%%imagine: {error}") from None
        if options.wait:
            batch.wait()
        return batch

    @line_magic
    def workbench(self, line: str) -> None:
        """Tell about the default workspace.

        %workbench doctor     check every invariant
        %workbench status     where it is, what is active, what the queue does
        %workbench balance    what is left in each unit
        """
        words = _words(line)
        if len(words) != 1 or words[0] not in _TOPICS:
            raise UsageError(f"%workbench: say one of {', '.join(_TOPICS)}.")
        try:
            workspace = self._open()
            if words[0] == "doctor":
                text = report_text(workspace.doctor())
            elif words[0] == "status":
                text = _status(workspace)
            else:
                text = _balances(workspace)
        except WorkbenchError as error:
            raise UsageError(f"%workbench: {error}") from None
        display({"text/plain": text}, raw=True)  # type: ignore[no-untyped-call]  # IPython's

    def _open(self) -> Workspace:
        # Kept open: closing it would stop the painting, and end the handles of earlier cells.
        folder = resolve(None)
        key = (folder, resolve_owner(None, None, folder))
        if key not in self._opened:
            self._opened[key] = open_workspace()
        return self._opened[key]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"The line cannot be read: {error}.") from None


def _topic(workspace: Workspace, name: str | None) -> str | None:
    if name is None:
        return None
    for topic in workspace.topics():
        if name in (topic.title, topic.id):
            return topic.id
    return workspace.create_topic(name).id


def _status(workspace: Workspace) -> str:
    lines = [f"workspace: {workspace.path}", f"user: {workspace.user}"]
    page = workspace.generations(status=("processing", "queued", "pending"), limit=500)
    lines.append(f"active images: {len(page)}{'+' if page.next_cursor else ''}")
    lines.append(f"queue: {'paused' if workspace.paused else 'running'}")
    lines += [
        f"provider {info.name}: {'ready' if info.state.ready else info.state.message}"
        for info in workspace.providers()
    ]
    return "\n".join(lines)


def _balances(workspace: Workspace) -> str:
    left = workspace.balances()
    return "\n".join(f"{amount:f} {unit}" for unit, amount in left.items()) or "0 token"
