"""``doctor``: every invariant that must hold after any fault, checked and explained.

I1 every accepted prompt has its jobs · I2 ledger = balance, one charge per success · I3 rows ↔
files · I4 nothing runs without a live worker · I5 the change feed tells the rows' truth · I6 the
database is sound · I8 no old temporary files · I9 no secret in any row. (I7, screen = database,
belongs to the widgets' tests.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Any

from workbench.domain.parameters import closest

if TYPE_CHECKING:
    from workbench.workspace.engine import Engine

_OLD_S = 3600.0
_LOW_SPACE_BYTES = 200_000_000
_SECRET_ENDINGS = ("_API_KEY", "_API_TOKEN", "_TOKEN", "_KEY", "_SECRET")
_SHORTEST_SECRET = 12  # shorter values would be found by chance
_VARIABLES = (
    "WORKBENCH_HOME",
    "WORKBENCH_USER",
    "WORKBENCH_CONFIG",
    "WORKBENCH_IDENTITY",
    "WORKBENCH_PROXY_SECRET",
    "WORKBENCH_RUN_JOBS",
    "WORKBENCH_TEMPORARY",
    "WORKBENCH_PROVIDERS",
    "WORKBENCH_WORKER_HAS",
    "WORKBENCH_DIFFUSERS",
    "WORKBENCH_DIFFUSERS_DEVICE",
    "WORKBENCH_DIFFUSERS_DTYPE",
)
# Where text of people, providers or errors ends up.
_TEXT_COLUMNS = (
    ("batch", "params"),
    ("batch", "provenance"),
    ("generation", "error_args"),
    ("generation", "detail_args"),
    ("attempt", "error_message"),
    ("attempt", "remote"),
    ("attempt", "usage"),
    ("change", "data"),
    ("log", "text"),
    ("log", "data"),
    ("preference", "value"),
    ("message", "meta"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor found: problems must be acted on, warnings should be read."""

    problems: list[str]
    warnings: list[str]
    facts: dict[str, Any]

    @property
    def ok(self) -> bool:
        """True when there is no problem."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "ok": self.ok,
            "problems": list(self.problems),
            "warnings": list(self.warnings),
            "facts": dict(self.facts),
        }

    def __repr__(self) -> str:
        lines = ["The workspace is sound." if self.ok else "The workspace has problems:"]
        lines += [f"  ✗ {problem}" for problem in self.problems]
        lines += [f"  ! {warning}" for warning in self.warnings]
        lines += [f"  {name}: {value}" for name, value in self.facts.items()]
        return "\n".join(lines)


def examine(engine: Engine, *, deep: bool) -> Report:
    """Check a workspace.

    Parameters
    ----------
    engine:
        The open engine.
    deep:
        Also re-read every image file and run SQLite's full integrity check.
    """
    problems = list(engine.store.check(live_runners=engine.is_alive, deep=deep))
    problems += _file_problems(engine, deep=deep)
    problems += _secrets(engine)
    return Report(problems, list(_warnings(engine)), _facts(engine))


def _file_problems(engine: Engine, *, deep: bool) -> Iterator[str]:
    files = engine.media.files
    known: set[str] = set()
    for asset in engine.store.iter_assets():
        known.add(asset.id)
        if not files.exists(asset.id):
            yield (
                f"I3: the file of picture {asset.id[:12]}… is missing. Restore it from a backup, "
                "or delete its generations."
            )
        elif deep and not files.verify(asset.id):
            yield (
                f"I3: the file of picture {asset.id[:12]}… was changed on disk. Restore it from a "
                "backup."
            )
    orphans = list(files.orphans(known, older_than_s=_OLD_S))
    if orphans:
        yield (
            f"I3: {len(orphans)} image file(s) belong to no row (a process died while storing "
            "them). They do no harm and go at the next opening."
        )
    old = files.old_temp(_OLD_S)
    if old:
        yield f"I8: {old} temporary file(s) are older than an hour. They go at the next opening."


def _secrets(engine: Engine) -> Iterator[str]:
    secrets = {
        name: value
        for name, value in os.environ.items()
        if name.upper().endswith(_SECRET_ENDINGS) and len(value) >= _SHORTEST_SECRET
    }
    for name, value in secrets.items():
        for table, column in _TEXT_COLUMNS:
            query = f"SELECT count(*) FROM {table} WHERE instr({column}, ?)"  # noqa: S608 (own names)
            _, rows = engine.store.sql(query, (value,))
            if rows[0][0]:
                yield (
                    f"I9: the value of {name} stands in {rows[0][0]} row(s) of {table}.{column}. "
                    "Replace that key at its provider."
                )


def _warnings(engine: Engine) -> Iterator[str]:
    version = engine.store.version_warning()
    if version:
        yield version
    free = engine.media.free_bytes()
    if free < _LOW_SPACE_BYTES:
        yield f"Only {free / 1e6:.0f} MB of disk space are left for pictures."
    try:
        foreign = distribution("workbench")
    except PackageNotFoundError:
        foreign = None
    if foreign is not None:
        yield (
            "The unrelated package 'workbench' is installed under the same import name; "
            "uninstall it ('pip uninstall workbench'), then reinstall image-workbench."
        )
    for plugin in engine.registry.broken:
        yield plugin.message
    for name in os.environ:
        if name.startswith("WORKBENCH_") and name not in (*_VARIABLES, "WORKBENCH_FAILPOINT"):
            near = closest(name, _VARIABLES)
            hint = f"; {near} is" if near else ""
            yield f"{name} is set but not known{hint}."


def _facts(engine: Engine) -> dict[str, Any]:
    _, rows = engine.store.sql(
        "SELECT (SELECT count(*) FROM generation), (SELECT count(*) FROM asset),"
        " (SELECT count(*) FROM job WHERE state IN ('held', 'queued', 'running')), sqlite_version()"
    )
    generations, assets, open_jobs, sqlite_version = rows[0]
    return {
        "folder": str(engine.folder),
        "generations": generations,
        "pictures": assets,
        "open jobs": open_jobs,
        "SQLite": sqlite_version,
    }
