"""The job that every engine runs: it notes when it began, and waits while told to.

Kept free of imports that engines would have to load.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

LOG = "began.log"
HOLD = "hold"


def folder() -> Path:
    """The scratch folder of this round; engines get it through the environment."""
    return Path(os.environ["BENCH_FOLDER"])


def job(name: str) -> None:
    """Note the start of job `name` in one write; then wait while the file `hold` is there."""
    at = time.monotonic_ns() / 1e6
    log = os.open(folder() / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, f"{name} {at}\n".encode())
    os.close(log)
    while (folder() / HOLD).exists():
        time.sleep(0.02)


def began() -> list[tuple[str, float]]:
    """(name, milliseconds) of every start so far."""
    path = folder() / LOG
    if not path.exists():
        return []
    lines = [line.split() for line in path.read_text("utf-8").splitlines()]
    return [(name, float(at)) for name, at in lines]
