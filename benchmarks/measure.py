"""Timing: rounds, medians, one fsync, and what machine it was (without its name)."""

from __future__ import annotations

import os
import platform
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import Goal, Line

_BLOCK = b"x" * 4096
_BLOCKS = 64
_LOOK_S = 2.0


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    rows: tuple[int, ...]  # sizes of the workspace
    rounds: int
    quick: bool
    folder: Path  # scratch

    def some(self, quick: int, full: int) -> int:
        """How often, depending on the hurry."""
        return quick if self.quick else full


def now_ms() -> float:
    """Milliseconds that all processes of this machine share."""
    return time.monotonic_ns() / 1e6


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` (0..1) of the sorted values lie, nearest rank.

    >>> percentile([4, 1, 3, 2], 0.5)
    2
    """
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -int(-part * len(ordered) // 1) - 1))]


def interleaved(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[Any]]:
    """Run each contender once per round, in another order each time; results by contender."""
    names = list(contenders)
    order = random.Random(0)
    results: dict[str, list[Any]] = {name: [] for name in names}
    for _ in range(rounds):
        order.shuffle(names)
        for name in names:
            results[name].append(contenders[name]())
    return results


def pauses(low_ms: float, high_ms: float) -> Callable[[], None]:
    """Sleeps of random length, so that nothing falls into step with a timer."""
    draw = random.Random(1)

    def pause() -> None:
        time.sleep(draw.uniform(low_ms, high_ms) / 1000)

    return pause


def timed_line(
    label: str,
    rounds: Sequence[Sequence[float]],
    unit: str,
    *,
    rows: int | None = None,
    against: str = "",
    reference: Sequence[Sequence[float]] | None = None,
    goals: tuple[Goal, ...] = (),
) -> Line:
    """A line from single events, timed in rounds: median and p99 over all of them."""
    every = [value for one in rounds for value in one]
    middle = [median(one) for one in rounds]
    base = None if reference is None else median(v for one in reference for v in one)
    return Line(
        label,
        median(every),
        unit,
        rows=rows,
        low=min(middle),
        high=max(middle),
        p99=percentile(every, 0.99),
        samples=len(every),
        against=against,
        against_value=base,
        ratio=None if not base else median(every) / base,
        goals=goals,
    )


def rate_line(
    label: str,
    values: Sequence[float],
    unit: str,
    *,
    rows: int | None = None,
    against: str = "",
    reference: Sequence[float] | None = None,
    goals: tuple[Goal, ...] = (),
) -> Line:
    """A line from one number per round; the ratio is the median of the rounds' ratios."""
    ratio = None
    if reference is not None:
        ratio = median(a / b for a, b in zip(values, reference, strict=True))
    return Line(
        label,
        median(values),
        unit,
        rows=rows,
        low=min(values),
        high=max(values),
        samples=len(values),
        against=against,
        against_value=None if reference is None else median(reference),
        ratio=ratio,
        goals=goals,
    )


class Fsync:
    """One fsync of 4 KiB on the disk of the scratch folder.

    `append` makes the file longer each time, as the log of a young database does (the file system
    then writes its journal, too); else a place in a file is overwritten.
    """

    def __init__(self, folder: Path, *, append: bool = False) -> None:
        self._path = folder / f"fsync-{append}.bin"
        self._file = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        self._append = append
        os.pwrite(self._file, _BLOCK * _BLOCKS, 0)
        os.fsync(self._file)
        self._turn = _BLOCKS

    def once_ms(self) -> float:
        """How long it takes now."""
        place = self._turn if self._append else self._turn % _BLOCKS
        self._turn += 1
        begin = now_ms()
        os.pwrite(self._file, _BLOCK, place * len(_BLOCK))
        os.fsync(self._file)
        return now_ms() - begin

    def close(self) -> None:
        os.close(self._file)
        self._path.unlink()


def cpu_seconds() -> float:
    """CPU time of this process so far, all threads."""
    return time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)


def others() -> tuple[float, float]:
    """The load, and percent of all cores that others have: nothing of ours may run meanwhile."""
    import psutil

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return round(load, 1), psutil.cpu_percent(interval=_LOOK_S)


def environment() -> dict[str, Any]:
    """Versions and cores; no host name, no path."""
    from importlib.metadata import version

    import workbench

    found: dict[str, Any] = {
        "workbench": workbench.__version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
    }
    for package in ("pillow", "numpy"):
        found[package] = version(package)
    return found
