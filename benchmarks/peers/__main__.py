"""``python -m benchmarks.peers workbench huey … [--jobs 200] [--rounds 3]``.

Each queue runs as its users run it: a submitting process, a worker process, a job that only notes
when it began. Rounds are interleaved. A queue that is not installed, or has no server, says so.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from benchmarks.measure import environment, interleaved, median, percentile
from benchmarks.peers.engines import ENGINES, missing
from benchmarks.peers.harness import Bench, Sample
from benchmarks.report import number


def main() -> int:
    arguments = _parser().parse_args()
    names: list[str] = arguments.names or list(ENGINES)
    for name in names:
        if name not in ENGINES:
            sys.exit(f"There is no engine {name!r}; there are {', '.join(ENGINES)}.")
    ready = [name for name in names if not _absent(name)]
    if not ready:
        return 1
    print(", ".join(f"{key} {value}" for key, value in environment().items()))
    bench = Bench(arguments.jobs, arguments.folder, takeover=arguments.takeover)
    rounds = interleaved({name: partial(_try, bench, name) for name in ready}, arguments.rounds)
    found = {name: [one for one in samples if one] for name, samples in rounds.items()}
    print(_table({name: samples for name, samples in found.items() if samples}))
    print("Medians of interleaved rounds; rates per second. Compare within this table only.")
    return 0


def _try(bench: Bench, name: str) -> Sample | None:
    try:
        return bench.measure(name)
    except TimeoutError as error:
        print(f"{name}: a round was given up: {error}")
        return None


def _absent(name: str) -> bool:
    sentence = missing(name)
    if sentence:
        print(f"{name}: {sentence}")
    return bool(sentence)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--jobs", type=int, default=100, help="per round (default 100)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="scratch, on a real disk")
    parser.add_argument(
        "--takeover",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="also kill -9 a worker and wait that long for its job to run again",
    )
    return parser


def _table(found: dict[str, list[Sample]]) -> str:
    head = ("engine", "submits", "jobs run", "start p50", "start p99", "idle CPU", "after kill -9")
    rows = [head]
    for name, samples in found.items():
        starts = [start for sample in samples for start in sample.starts_ms]
        rows.append(
            (
                name,
                f"{number(median(s.submits_per_s for s in samples))}/s",
                f"{number(median(s.jobs_per_s for s in samples))}/s",
                f"{number(median(starts))} ms",
                f"{number(percentile(starts, 0.99))} ms",
                f"{number(median(s.idle_percent for s in samples))} %",
                ", ".join(_takeover(s) for s in samples),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _takeover(sample: Sample) -> str:
    if sample.takeover_s is None:
        return "–"
    return f"{number(sample.takeover_s)} s" if sample.takeover_s >= 0 else "not in time"


if __name__ == "__main__":
    sys.exit(main())
