"""What the README of the benchmarks quotes is what a run has measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import figures
from benchmarks.report import Figure, Goal, Line

ABOUT = {
    "python": "3.11.7",
    "sqlite": "3.40.1",
    "pillow": "13.0.0",
    "numpy": "2.4.6",
    "machine": "x86_64",
    "cores": 2,
    "fsync_ms": 0.2,
}
EMPTY = f"Before.\n\n{figures._BEGIN}\n{figures._END}\n\nAfter.\n"


def record(value: float, *, title: str = "a page of 50", at: str = "2026-11-21T10:00:00Z") -> dict:
    figure = Figure("PF-9", title, load=(0.5, 1.5), busy=(1.0, 3.0))
    figure.add(Line("first page", value, "ms", rows=1_000, goals=(Goal(1.0),)))
    return json.loads(figure.as_json(at=at, quick=True, rounds=3, environment=ABOUT))


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Path]:
    """A README and its reference, which agree."""
    readme, reference = tmp_path / "README.md", tmp_path / "reference.jsonl"
    readme.write_text(EMPTY, "utf-8")
    figures.keep([record(0.75)], reference)
    figures.write(readme, reference)
    return readme, reference


def test_the_readme_of_the_benchmarks_quotes_its_records_and_gives_each_missed_goal_a_cause():
    assert figures.differences() == []


def test_a_figure_is_quoted_with_its_goal_its_verdict_and_the_machine_of_its_run(written):
    text = written[0].read_text("utf-8")
    assert text.startswith("Before.\n")
    assert text.endswith("\n\nAfter.\n")
    assert "| PF-9 | first page, 1,000 rows | ≤ 1.00 ms | 0.75 ms | | | reached | a |" in text
    assert "a: 2026-11-21 10:00 UTC, quick, 3 rounds, 2 cores" in text
    assert "others had 1.00 to 3.00 % of the processors" in text
    assert figures.differences(*written) == []


def test_a_number_that_no_run_has_measured_is_noticed(written):
    readme, reference = written
    readme.write_text(readme.read_text("utf-8").replace("0.75 ms", "0.45 ms"), "utf-8")
    invented, left_out = figures.differences(readme, reference)
    assert "in the README alone" in invented
    assert "0.45 ms" in invented
    assert "0.75 ms" in left_out


def test_a_newer_run_of_a_figure_takes_the_place_of_the_older_one(written):
    readme, reference = written
    newer = record(0.5, at="2026-11-22T10:00:00Z")
    figures.keep([newer, record(7, title="another half of it")], reference)
    assert [one["lines"][0]["value"] for one in figures.read(reference)] == [0.5, 7]
    assert figures.differences(readme, reference)


def test_a_missed_goal_needs_a_cause(written):
    readme, reference = written
    figures.keep([record(1.5)], reference)
    figures.write(readme, reference)
    assert "**missed**" in readme.read_text("utf-8")
    (found,) = figures.differences(readme, reference)
    assert found.startswith("PF-9 was missed")
    with readme.open("a", encoding="utf-8") as file:
        file.write("\n- **PF-9.** The disk.\n")
    assert figures.differences(readme, reference) == []
