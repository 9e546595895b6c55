"""``jupyter workbench worker``: a process that runs jobs and nothing else."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from workbench.jupyter.supervise import when_input_ends
from workbench.workspace.location import resolve_user
from workbench.workspace.workspace import open_workspace

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

_LOOK_S = 0.5
_EPILOG = """\
examples:
  jupyter workbench worker
  jupyter workbench worker --workspace ~/foxes --once

Several workers and notebooks may work on one workspace. Ctrl-C or SIGTERM stops it; what it was
working on goes back into the queue.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of the command line."""
    parser = commands.add_parser(
        "worker",
        help="run the jobs of a workspace until Ctrl-C",
        description="Run the jobs of a workspace until Ctrl-C.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--workspace", metavar="PATH", help="folder of the workspace (default: as in a notebook)"
    )
    parser.add_argument("--once", action="store_true", help="end when the queue is empty")
    parser.add_argument(
        "--attached",
        action="store_true",
        help="also end when standard input ends: with the program that started it",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Work until the queue is empty (``--once``) or a signal comes."""
    with stop_on_signals() as stop:
        if arguments.attached:
            when_input_ends(stop.set)
        # It serves everybody, whoever pages say that they are (WORKBENCH_IDENTITY).
        user = resolve_user(None)
        workspace = open_workspace(arguments.workspace, user=user, run_jobs=True)
        try:
            _say(f"Working in {workspace.path}" + ("" if arguments.once else " (Ctrl-C stops)"))
            work(workspace, stop, once=arguments.once)
        finally:
            if stop.is_set():
                _say("Stopping; unfinished jobs go back into the queue")
            workspace.close()
            _say("Stopped")
    return 0


def work(workspace: Workspace, stop: threading.Event, *, once: bool) -> None:
    """Print a line for each new state of the queue until `stop`, or until it is empty."""
    said = ""
    while not stop.is_set():
        queue = job_counts(workspace)
        line = describe(queue)
        if line != said:
            _say(line)
            said = line
        if once and not (queue.get("queued") or queue.get("running") or queue.get("retry")):
            return
        stop.wait(_LOOK_S)


def job_counts(workspace: Workspace) -> dict[str, int]:
    """Return how many jobs of all users are queued, running, paused, or waiting."""
    # A worker serves everybody, whoever it runs as: it counts rows, not what its user may see.
    table = workspace.sql(
        "SELECT CASE state WHEN 'held' THEN coalesce(hold, 'held') ELSE state END AS state,"
        " count(*) AS jobs FROM job WHERE state <> 'ended' GROUP BY 1"
    )
    return {
        str(state): int(jobs) for state, jobs in zip(table["state"], table["jobs"], strict=True)
    }


def describe(queue: dict[str, int]) -> str:
    """Return one line about the queue.

    >>> describe({"running": 2, "queued": 3})
    '2 running, 3 queued'
    """
    words = {
        "running": "running",
        "queued": "queued",
        "retry": "waiting for a retry",
        "paused": "paused",
        "upload": "waiting for an upload",
        "unknown": "with an unknown outcome",
    }
    parts = [f"{queue[key]} {word}" for key, word in words.items() if queue.get(key)]
    return ", ".join(parts) or "The queue is empty"


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that SIGINT and SIGTERM set; the handlers are put back afterwards."""
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}
    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGINT, signal.SIGTERM):
            before[name] = signal.signal(name, ask_to_stop)
    try:
        yield stop
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  (a program that reports on its output)
