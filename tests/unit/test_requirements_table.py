"""The table of tested requirements is true, and marks name requirements that exist."""

from __future__ import annotations

import subprocess
import sys
from difflib import unified_diff
from pathlib import Path

import pytest

from tests.traceability import LIST, TABLE, read_list, render, unknown_ids

REPOSITORY = Path(__file__).parents[2]


def collect(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--assert=plain", *arguments],  # it runs no test
        check=False,
        capture_output=True,
        text=True,
        timeout=290,
        cwd=REPOSITORY,
    )


@pytest.mark.timeout(300)
def test_the_committed_table_is_up_to_date(tmp_path: Path) -> None:
    fresh = tmp_path / "requirements.md"
    done = collect("--requirements-table", str(fresh), "tests")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    committed, made = (path.read_text(encoding="utf-8").splitlines() for path in (TABLE, fresh))
    difference = [line[:100] for line in unified_diff(committed, made, lineterm="", n=0)]
    if difference:
        pytest.fail(
            "run `make requirements`; the marks have changed:\n" + "\n".join(difference[:12])
        )


@pytest.mark.timeout(300)
def test_a_mark_with_an_unknown_id_stops_the_run(tmp_path: Path) -> None:
    stray = tmp_path / "test_stray.py"
    stray.write_text(
        "import pytest\n\n@pytest.mark.req('FEED-10a', 'NOPE-1')\ndef test_it(): pass\n",
        encoding="utf-8",
    )
    done = collect("-c", "pyproject.toml", "-p", "tests.plugins.requirement_marks", str(stray))
    assert done.returncode != 0
    assert "NOPE-1" in done.stdout + done.stderr
    assert "FEED-10a in" not in done.stdout + done.stderr


def test_the_list_has_each_id_once() -> None:
    requirements = read_list()
    lines = [line for line in LIST.read_text(encoding="utf-8").splitlines() if line[:2] == "- "]
    assert len(requirements) == len(lines) > 0


def test_parts_of_a_line_are_known_and_strangers_are_not() -> None:
    requirements = read_list()
    marks = ["FEED-10", "FEED-10a", "FEED-999", "FEED-10A", "feed-1", ""]
    assert unknown_ids(marks, requirements) == ["", "FEED-10A", "FEED-999", "feed-1"]


def test_the_table_lists_tests_with_their_parts_and_gaps() -> None:
    requirements = read_list()
    table = render({"LAY-1": ["a::b"], "LAY-2b": ["c::d"], "LAY-2a": ["c::d"]}, requirements)
    rows = {line.split(" | ")[0]: line for line in table.splitlines() if line.startswith("| LAY")}
    assert rows["| LAY-1"].endswith("| `a::b` |")
    assert rows["| LAY-2"].endswith("| `c::d` (a, b) |")
    assert rows["| LAY-3"].endswith("| not covered |")
    assert f"2 of {len(requirements)} lines have a test." in table
