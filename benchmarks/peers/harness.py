"""Measures one engine for one round: submit rate, run rate, start latency, idle CPU, take-over."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.children import REPOSITORY, environment
from benchmarks.measure import now_ms, pauses
from benchmarks.peers.engines import ENGINES, Engine
from benchmarks.peers.job import HOLD, began

_PATIENCE_S = 90.0
_IDLE_S = 3.0
_SETTLE_S = 1.0


@dataclass(frozen=True)
class Sample:
    """One round of one engine. `takeover_s` is None if not asked, negative if not in time."""

    submits_per_s: float
    jobs_per_s: float
    starts_ms: list[float]
    idle_percent: float
    takeover_s: float | None


class Bench:
    """Rounds with `jobs` jobs each."""

    def __init__(self, jobs: int, folder: Path | None, *, takeover: float) -> None:
        self._jobs = jobs
        self._parent = folder
        self._takeover = takeover

    def measure(self, name: str) -> Sample:
        """One round in a fresh folder."""
        folder = Path(tempfile.mkdtemp(prefix="peer-", dir=self._parent))
        os.environ["BENCH_FOLDER"] = str(folder)
        engine = ENGINES[name]()
        try:
            engine.prepare()
            submits, jobs = self._rates(name, engine)
            starts, idle = self._starts(name, engine)
            takeover = self._kill(name, engine) if self._takeover else None
            return Sample(submits, jobs, starts, idle, takeover)
        finally:
            engine.close()
            shutil.rmtree(folder, ignore_errors=True)

    def _rates(self, name: str, engine: Engine) -> tuple[float, float]:
        """Submit everything, then start a worker and see it run everything."""
        names = [f"rate{i}" for i in range(self._jobs)]
        if engine.needs_worker:
            with _worker(name):
                begin = now_ms()
                for one in names:
                    engine.submit(one)
                submitted = now_ms()
                starts = _wait_for(names)
            return self._jobs / (submitted - begin) * 1000, _per_s(starts)
        begin = now_ms()
        for one in names:
            engine.submit(one)
        submitted = now_ms()
        with _worker(name):
            starts = _wait_for(names)
        return self._jobs / (submitted - begin) * 1000, _per_s(starts)

    def _starts(self, name: str, engine: Engine) -> tuple[list[float], float]:
        """Single submits to a waiting worker."""
        pause = pauses(30, 120)
        count = min(self._jobs, 30)
        if engine.needs_worker:
            engine.prepare()
        with _worker(name) as worker:
            engine.submit("warm")
            _wait_for(["warm"])
            time.sleep(_SETTLE_S)
            idle = _idle(worker)
            submitted: dict[str, float] = {}
            for number in range(count):
                one = f"start{number}"
                submitted[one] = now_ms()
                engine.submit(one)
                pause()
            starts = _wait_for(list(submitted))
        return [starts[one] - at for one, at in submitted.items()], idle

    def _kill(self, name: str, engine: Engine) -> float:
        """SIGKILL in the middle of a job, a new worker at once; seconds until it runs again."""
        hold = Path(os.environ["BENCH_FOLDER"]) / HOLD
        hold.touch()
        if engine.needs_worker:
            engine.prepare()
        with _worker(name) as first:
            engine.submit("victim")
            _wait_for(["victim"])
            time.sleep(_SETTLE_S)
            killed = now_ms()
            if engine.needs_worker:
                _kill_children(first)
                hold.unlink()
                return self._second_start("victim", killed)
            _kill_group(first)
        hold.unlink()
        with _worker(name):
            return self._second_start("victim", killed)

    def _second_start(self, name: str, killed: float) -> float:
        give_up = time.monotonic() + self._takeover
        while time.monotonic() < give_up:
            runs = [at for one, at in began() if one == name]
            if len(runs) > 1:
                return (runs[1] - killed) / 1000
            time.sleep(0.02)
        return -1.0


def _per_s(starts: dict[str, float]) -> float:
    return (len(starts) - 1) / max(max(starts.values()) - min(starts.values()), 0.001) * 1000


def _wait_for(names: list[str]) -> dict[str, float]:
    """First start of each job; every one must run."""
    give_up = time.monotonic() + _PATIENCE_S
    wanted = set(names)
    while True:
        found: dict[str, float] = {}
        for one, at in began():
            if one in wanted:
                found.setdefault(one, at)
        if len(found) == len(wanted):
            return found
        if time.monotonic() > give_up:
            raise TimeoutError(f"{len(found)} of {len(wanted)} jobs ran")
        time.sleep(0.01)


@contextmanager
def _worker(name: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.peers.worker", name],
        cwd=REPOSITORY,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """The worker and what it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _kill_children(process: subprocess.Popen[bytes]) -> None:
    """What the worker started to do the work."""
    import psutil

    for child in psutil.Process(process.pid).children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()


def _idle(worker: subprocess.Popen[bytes]) -> float:
    """CPU time of the worker's processes in percent of a core, over a few quiet seconds."""
    import psutil

    def spent() -> float:
        parent = psutil.Process(worker.pid)
        return sum(sum(one.cpu_times()[:2]) for one in [parent, *parent.children(recursive=True)])

    before, begin = spent(), time.monotonic()
    time.sleep(_IDLE_S)
    return (spent() - before) / (time.monotonic() - begin) * 100
