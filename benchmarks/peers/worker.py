"""The worker process of an engine: ``python -m benchmarks.peers.worker NAME``."""

from __future__ import annotations

import sys

from benchmarks.peers.engines import ENGINES

if __name__ == "__main__":
    ENGINES[sys.argv[1]]().work()
