"""``python -m benchmarks.figures [--write] [RESULTS …]``: the figures that the README quotes.

`results/reference.jsonl` holds one record for each figure, as a run wrote it. Records of the files
that are named take the place of those of the same figure; ``--write`` makes the README's table
anew. Without it, the table is compared with the records: it says what differs, and ends with 1.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import number

README = Path(__file__).parent / "README.md"
REFERENCE = Path(__file__).parent / "results" / "reference.jsonl"
_BEGIN = "<!-- figures: made by `python -m benchmarks.figures --write` -->"
_END = "<!-- end of the figures -->"
_HEAD = ("id", "figure", "goal", "median", "p99", "against, in turns", "", "of")

# Lines without a goal that are quoted as well: peers, and what a figure is about beside its goal.
_QUOTED: Mapping[str, str] = {
    "PF-1": r"(HTML|grid), (first screen|wire)$|^Workbench, first screen",
    "PF-2": r"(HTML|grid), (late frames|blank tile, p95)$|CPU time",
    "PF-4": r"acknowledged, idle$",
    "PF-5": r"^(bare SQLite|poll)",
    "PF-6": r"^(submit → body|one fsync|bare SQLite)",
    "PF-7": r"",
    "PF-8": r"as shipped",
    "PF-10": r"^loop delay, idle",
    "PF-11": r"^bare anywidget",
    "PF-12": r"^(root part as it is sent|feed, (minified|gzip)|wire, first)",
    "PF-13": r"^(kernel|renderer) after|^lightbox",
    "PF-14": r"^bare anywidget",
    "PF-15": r"paint, previews, PNG: elapsed",
    "PF-17": r"",
    "PF-18": r"",
    "PF-19": r"²$|p95$|^CPU",
}

_MOST_BUSY = 50.0  # percent of the processors that others may have while something is judged

Record = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures")
    parser.add_argument("results", nargs="*", type=Path, metavar="RESULTS")
    parser.add_argument("--write", action="store_true", help="make the README's table anew")
    arguments = parser.parse_args()
    for path in arguments.results:
        keep(read(path))
    if arguments.write:
        write()
    wrong = differences()
    print("\n".join(wrong) if wrong else "The README says what the records say.")
    return 1 if wrong else 0


def read(path: Path) -> list[Record]:
    """The records of a file of results."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def keep(records: Iterable[Record], path: Path = REFERENCE) -> None:
    """Let records take the place of those of the same figure in the reference."""
    kept = {_key(one): one for one in (read(path) if path.exists() else [])}
    kept |= {_key(one): one for one in records}
    lines = (json.dumps(one, ensure_ascii=False) for one in sorted(kept.values(), key=_key))
    path.write_text("\n".join(lines) + "\n", "utf-8")


def write(path: Path = README, reference: Path = REFERENCE) -> None:
    """Put the table of the reference into the README."""
    text = path.read_text("utf-8")
    before, _, after = _parts(text)
    path.write_text(f"{before}{_BEGIN}\n{block(read(reference))}{_END}{after}", "utf-8")


def differences(path: Path = README, reference: Path = REFERENCE) -> list[str]:
    """What the README says otherwise than the reference, and missed goals without a cause."""
    records = read(reference)
    text = path.read_text("utf-8")
    _, shown, after = _parts(text)
    rows, wanted = shown.strip().splitlines(), block(records).strip().splitlines()
    found = [f"in the README alone: {row}" for row in rows if row not in wanted]
    found += [f"not in the README: {row}" for row in wanted if row not in rows]
    if not found and rows != wanted:
        found = ["the rows of the README stand in another order"]
    for id in sorted({one["figure"] for one in records if _missed(one) and not _busy(one)}):
        if f"- **{id}" not in after:
            found.append(f"{id} was missed, and the README gives no cause ('- **{id}**')")
    return found


def block(records: Sequence[Record]) -> str:
    """What stands between the marks: the runs, and the table."""
    runs = sorted({(one["at"], _machine(one)) for one in records})
    letters = {run: chr(ord("a") + place) for place, run in enumerate(runs)}
    text = [f"- {letters[run]}: {_run(*run, records)}" for run in runs]
    text += ["", _row(_HEAD), _row(["---"] * len(_HEAD))]
    for record in sorted(records, key=_key):
        letter = letters[record["at"], _machine(record)]
        text += [_row((*_cells(record, line), letter)) for line in _quoted(record)]
    return "\n".join(text) + "\n\n"


def rows_of(records: Sequence[Record]) -> str:
    """The README's rows of some records."""
    return "\n".join(
        _row((*_cells(one, line), "")) for one in sorted(records, key=_key) for line in _quoted(one)
    )


def _key(record: Record) -> tuple[int, str]:
    return int(record["figure"].partition("-")[2]), record["title"]


def _missed(record: Record) -> bool:
    return any(
        goal["reached"] is False for line in record["lines"] for goal in line.get("goals", ())
    )


def _busy(record: Record) -> bool:
    """Whether others had the machine: nothing follows from times that are too long then."""
    return min(record.get("busy", (0.0,))) > _MOST_BUSY


def _quoted(record: Record) -> list[Record]:
    pattern = _QUOTED.get(record["figure"])
    return [
        line
        for line in record["lines"]
        if line.get("goals") or (pattern is not None and re.search(pattern, line["label"]))
    ]


def _machine(record: Record) -> str:
    about = record["environment"]
    names = {"python": "Python", "sqlite": "SQLite", "pillow": "Pillow", "numpy": "NumPy"}
    versions = ", ".join(f"{title} {about[name]}" for name, title in names.items())
    return f"{about['cores']} cores ({about['machine']}), {versions}"


def _run(at: str, machine: str, records: Sequence[Record]) -> str:
    mine = [one for one in records if one["at"] == at]
    busy = [value for one in mine for value in one.get("busy", ())]
    load = [value for one in mine for value in one.get("load", ())]
    rounds = "quick, " if mine[0]["quick"] else ""
    others = (
        f"; between its figures others had {_span(busy)} % of the processors (load "
        f"{_span(load)}, our own work included)"
        if busy
        else f"; load {number(mine[0]['environment']['load'])} when it began"
    )
    fsync = number(mine[0]["environment"]["fsync_ms"])
    return (
        f"{at[:10]} {at[11:16]} UTC, {rounds}{mine[0]['rounds']} rounds, {machine}, an fsync of "
        f"4 KiB takes {fsync} ms{others}"
    )


def _span(values: Sequence[float]) -> str:
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"


def _row(cells: Iterable[str]) -> str:
    return re.sub(r"\|\s+(?=\|)", "| ", f"| {' | '.join(cells)} |")


def _cells(record: Record, line: Record) -> tuple[str, ...]:
    rows = f", {line['rows']:,} rows" if line.get("rows") else ""
    unit = line["unit"]
    against = line.get("against", "")
    if "against_value" in line:
        against += f" {_amount(line['against_value'], unit)}"
    if "ratio" in line:
        against += f", {number(line['ratio'])}×"
    goals = line.get("goals", ())
    missed = "**missed** (busy)" if _busy(record) else "**missed**"
    words = {True: "reached", False: missed, None: "not measured"}
    verdicts = [words[goal["reached"]] for goal in goals]
    if len(set(verdicts)) == 1:
        verdicts = verdicts[:1]
    return (
        record["figure"],
        f"{line['label']}{rows}",
        "; ".join(_goal(goal["goal"], unit) for goal in goals),
        _amount(line["value"], unit),
        _amount(line["p99"], unit) if "p99" in line else "",
        against,
        "; ".join(verdicts),
    )


def _amount(value: float, unit: str) -> str:
    return f"{number(value)}{'' if unit == '×' else ' '}{unit}".rstrip()


def _goal(text: str, unit: str) -> str:
    return f"{text} {unit}" if re.search(r"\d$", text) and unit != "×" else text


def _parts(text: str) -> tuple[str, str, str]:
    before, begin, rest = text.partition(_BEGIN)
    shown, end, after = rest.partition(_END)
    if not (begin and end):
        raise SystemExit(f"{README.name} has no place for the figures: {_BEGIN}")
    return before, shown, after


if __name__ == "__main__":
    sys.exit(main())
