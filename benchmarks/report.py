"""What a figure says: lines with a value, what it is measured against, and the goal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Goal:
    """What to reach: the line's value, or its ratio, on this side of `bound`."""

    bound: float
    of: str = "value"  # value | ratio | p99
    at_least: bool = False
    text: str = ""

    def __str__(self) -> str:
        if self.text:
            return self.text
        sign = "≥" if self.at_least else "≤"
        unit = "×" if self.of == "ratio" else ""
        prefix = "p99 " if self.of == "p99" else ""
        return f"{prefix}{sign} {number(self.bound)}{unit}"


@dataclass(frozen=True)
class Line:
    """One measured thing.

    `value` is the median over the rounds (or over all samples of all rounds, where single events
    are timed); `low` and `high` are the smallest and largest round; `against` is measured in the
    same run, interleaved with it.
    """

    label: str
    value: float
    unit: str
    rows: int | None = None
    low: float | None = None
    high: float | None = None
    p99: float | None = None
    samples: int = 0
    against: str = ""
    against_value: float | None = None
    ratio: float | None = None
    goals: tuple[Goal, ...] = ()

    def reached(self, goal: Goal) -> bool | None:
        measured = {"value": self.value, "ratio": self.ratio, "p99": self.p99}[goal.of]
        if measured is None:
            return None
        return measured >= goal.bound if goal.at_least else measured <= goal.bound


@dataclass
class Figure:
    """A figure of one run."""

    id: str
    title: str
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    # Before and after, with nothing of ours running.
    load: tuple[float, ...] = ()
    busy: tuple[float, ...] = ()  # percent of all cores that others had

    def add(self, line: Line) -> None:
        self.lines.append(line)

    def as_json(self, **more: Any) -> str:
        """The figure as one line of JSON."""
        lines = []
        for line in self.lines:
            record = {k: v for k, v in asdict(line).items() if v not in (None, "", ())}
            if line.goals:
                record["goals"] = [
                    {"goal": str(goal), "reached": line.reached(goal)} for goal in line.goals
                ]
            lines.append(record)
        about = {"seconds": round(self.seconds), "load": self.load, "busy": self.busy}
        head = {"figure": self.id, "title": self.title, **more, **about}
        return json.dumps(head | {"notes": self.notes, "lines": lines}, ensure_ascii=False)

    def as_table(self) -> str:
        """The figure for people."""
        head = ("", "rows", "median", "rounds", "p99", "against", "ratio", "goal")
        body: list[tuple[str, ...]] = [head, *map(_cells, self.lines)]
        widths = [max(len(row[i]) for row in body) for i in range(len(head))]
        text = [f"{self.id}  {self.title}  ({self.seconds:.0f} s)"]
        for row in body:
            cells = [
                cell.ljust(width) if i in (0, 5, 7) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            text.append("  " + "  ".join(cells).rstrip())
        text += [f"  {note}" for note in self.notes]
        if self.busy:
            shown = " and ".join(f"{number(one)} %" for one in self.busy)
            text.append(f"  Others had {shown} of the processors before and after it.")
        return "\n".join(text)


def _cells(line: Line) -> tuple[str, ...]:
    spread = ""
    if line.low is not None and line.high is not None:
        spread = f"{number(line.low)}–{number(line.high)}"
    against = line.against
    if line.against_value is not None:
        against += f" {number(line.against_value)} {line.unit}"
    goals = []
    for goal in line.goals:
        verdict = {True: "reached", False: "MISSED", None: "?"}[line.reached(goal)]
        goals.append(f"{goal} {verdict}")
    return (
        line.label,
        f"{line.rows:,}" if line.rows is not None else "",
        f"{number(line.value)} {line.unit}",
        spread,
        "" if line.p99 is None else number(line.p99),
        against,
        "" if line.ratio is None else f"{number(line.ratio)}×",
        "; ".join(goals),
    )


def number(value: float) -> str:
    """Three digits that count.

    >>> [number(x) for x in (0.01234, 3.14159, 61.23, 12345.6)]
    ['0.0123', '3.14', '61.2', '12,346']
    """
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:.3g}"


def summary(figures: Sequence[Figure]) -> str:
    """Which goals this run reached and which not."""
    missed = []
    reached = 0
    for figure in figures:
        for line in figure.lines:
            for goal in line.goals:
                if line.reached(goal):
                    reached += 1
                else:
                    rows = "" if line.rows is None else f" at {line.rows:,} rows"
                    missed.append(f"  {figure.id} {line.label}{rows}: {goal}")
    text = f"{reached} goals reached, {len(missed)} missed in this run."
    return "\n".join([text, *missed])
