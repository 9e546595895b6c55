"""``python -m benchmarks [PF-5 …] [--rows 1000,10000] [--rounds 5] [--quick] [--keep]``."""

from __future__ import annotations

import argparse
import importlib
import math
import shutil
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import figures as quoted
from benchmarks.measure import Fsync, Plan, environment, median, others
from benchmarks.report import Figure, summary

# PF-11 has two halves: one in a bare process, one in a page.
FIGURES = {
    "PF-1": ("browser.pf01_gallery",),
    "PF-2": ("browser.pf02_scroll",),
    "PF-3": ("browser.pf03_events",),
    "PF-4": ("browser.pf04_clicks",),
    "PF-5": ("pf05_notify",),
    "PF-6": ("pf06_start",),
    "PF-7": ("pf07_takeover",),
    "PF-8": ("pf08_store",),
    "PF-9": ("pf09_pages",),
    "PF-10": ("pf10_thumbnails",),
    "PF-11": ("pf11_import", "browser.pf11_usable"),
    "PF-12": ("browser.pf12_bytes",),
    "PF-13": ("browser.pf13_memory",),
    "PF-14": ("browser.pf14_voila",),
    "PF-15": ("pf15_sketch",),
    "PF-17": ("pf17_dialect",),
    "PF-18": ("pf18_many",),
    "PF-19": ("browser.pf19_partials",),
}
RESULTS = Path(__file__).parent / "results"
_NOISE = (
    "Machines are noisy: compare the ratios of one run, not the times of two runs. Every value is "
    "a median; what is compared was measured in turns."
)


def main() -> int:
    arguments = _parser().parse_args()
    ids = [_known(id) for id in arguments.ids] or list(FIGURES)
    quick: bool = arguments.quick
    rows = arguments.rows or ((10_000,) if quick else (1_000, 10_000, 100_000))
    rounds: int = arguments.rounds or (3 if quick else 5)
    scratch = Path(tempfile.mkdtemp(prefix="bench-", dir=arguments.folder))
    plan = Plan(rows, rounds, quick, scratch)
    began = datetime.now(UTC)
    about = environment()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print(_NOISE)
    figures: list[Figure] = []
    failed: list[str] = []
    try:
        about["fsync_ms"] = _fsync(scratch)
        for name in [name for id in ids for name in FIGURES[id]]:
            print(flush=True)
            if (datetime.now(UTC) - began).total_seconds() > arguments.minutes * 60:
                print(f"{name} is left out: the {arguments.minutes:g} minutes are over.")
                continue
            before = others()
            started = time.monotonic()
            try:
                figure: Figure = importlib.import_module(f"benchmarks.{name}").run(plan)
            except Exception:  # noqa: BLE001 - a quiet machine is rare: the others go on
                traceback.print_exc()
                failed.append(name)
                continue
            figure.seconds = time.monotonic() - started
            figures.append(figure)
            figure.load, figure.busy = zip(before, others(), strict=True)
            print(figure.as_table(), flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        # Also what was measured before an error, or before somebody's patience ended.
        path = _write(figures, began, plan, about)
        if path is not None and arguments.keep:
            quoted.keep(quoted.read(path))
            quoted.write()
    print(f"\n{summary(figures)}")
    if path is not None:
        print(f"\nRows of the README:\n\n{quoted.rows_of(quoted.read(path))}")
    if arguments.keep:
        print("\n".join(["", *quoted.differences()]))
    if failed:
        print(f"\nNot measured, see the errors above: {', '.join(failed)}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure; print medians and ratios; write a JSON line per figure.",
        epilog=f"Figures: {', '.join(FIGURES)}. 1 to 4, 11 to 14 and 19 need a Chromium.",
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="PF-8 or 8; all without")
    parser.add_argument(
        "--rows",
        type=_sizes,
        help="sizes of the workspace (default 1000,10000,100000; with --quick 10000)",
    )
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 3")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="begin no further figure after so many"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds and samples")
    parser.add_argument(
        "--folder", type=Path, help="where the scratch workspaces go; must lie on a real disk"
    )
    parser.add_argument(
        "--keep", action="store_true", help="quote these figures in benchmarks/README.md"
    )
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(part.replace("_", "")) for part in text.split(","))
    if not all(size >= 1000 and size % 4 == 0 for size in sizes):
        raise argparse.ArgumentTypeError("must be 1000 or more, in fours")
    return sizes


def _known(id: str) -> str:
    name = id.upper() if id.upper().startswith("PF-") else f"PF-{id}"
    if name not in FIGURES:
        sys.exit(f"There is no figure {id!r}; there are {', '.join(FIGURES)}.")
    return name


def _fsync(folder: Path) -> float:
    fsync = Fsync(folder, append=True)
    typical = median(fsync.once_ms() for _ in range(20))
    fsync.close()
    print(f"One fsync of 4 KiB at the end of a file takes {typical:.2f} ms here.")
    if typical < 0.03:
        print("That is no disk: PF-6 and PF-8 say nothing here. Give --folder on a real one.")
    return round(typical, 3)


def _write(
    figures: list[Figure], began: datetime, plan: Plan, about: dict[str, object]
) -> Path | None:
    if not figures:
        return None
    RESULTS.mkdir(exist_ok=True)
    at = began.strftime("%Y-%m-%dT%H:%M:%SZ")
    path = RESULTS / f"{began.strftime('%Y%m%d-%H%M%S')}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for figure in figures:
            file.write(
                figure.as_json(at=at, quick=plan.quick, rounds=plan.rounds, environment=about)
                + "\n"
            )
    print(f"\nWritten: benchmarks/results/{path.name}")
    return path


if __name__ == "__main__":
    sys.exit(main())
