"""The engines by name. Each module says what to install; nothing of it is imported before use."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from typing import Protocol


class Engine(Protocol):
    """A job queue in the hands of the harness."""

    needs_worker: bool  # True: the queue lives in the worker's process and dies with it

    def prepare(self) -> None:
        """Make a fresh queue; called before every worker where the queue dies with it."""

    def submit(self, name: str) -> None:
        """Queue job `name` (benchmarks.peers.job.job) as durably as the engine does by default."""

    def work(self) -> None:
        """Run jobs until killed; in the worker process."""

    def close(self) -> None:
        """Close what `submit` opened."""


_MODULES = {
    "workbench": "own_workbench",
    "huey": "huey_sqlite",
    "litequeue": "litequeue_sqlite",
    "persist-queue": "persist_queue_sqlite",
    "dask": "dask_local",
    "celery": "celery_redis",
    "procrastinate": "procrastinate_postgres",
    "pgqueuer": "pgqueuer_postgres",
}


def _maker(module: str) -> Callable[[], Engine]:
    def make() -> Engine:
        engine: Engine = importlib.import_module(f"benchmarks.peers.{module}").make()
        return engine

    return make


ENGINES: dict[str, Callable[[], Engine]] = {
    name: _maker(module) for name, module in _MODULES.items()
}


def missing(name: str) -> str:
    """A sentence about what is missing for this engine; empty if nothing is."""
    module = importlib.import_module(f"benchmarks.peers.{_MODULES[name]}")
    absent = [package for package in module.IMPORTS if importlib.util.find_spec(package) is None]
    if absent:
        return f"{', '.join(absent)} cannot be imported; pip install {' '.join(module.PIP)}"
    unset = [variable for variable in module.VARIABLES if not os.environ.get(variable)]
    if unset:
        return f"the variable {', '.join(unset)} is not set ({module.SERVER})"
    return ""
