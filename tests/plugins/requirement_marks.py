"""The `req` marks of the collected tests: unknown ids stop the run, the table is made on demand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.traceability import read_list, render, unknown_ids


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("image-workbench").addoption(
        "--requirements-table",
        metavar="PATH",
        type=Path,
        help="write the table requirement -> tests of the collected tests to PATH",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marks: dict[str, set[str]] = {}
    for item in items:
        for mark in item.iter_markers("req"):
            for name in mark.args:
                marks.setdefault(name, set()).add(_test_name(item))
    requirements = read_list()
    if unknown := unknown_ids(marks, requirements):
        where = "; ".join(f"{name} in {min(marks[name])}" for name in unknown)
        raise pytest.UsageError(
            f"marks name requirements that tests/requirements_list.md does not have: {where}"
        )
    target: Path | None = config.getoption("--requirements-table")
    if target is not None:
        target.write_text(render(marks, requirements), encoding="utf-8")


def _test_name(item: pytest.Item) -> str:
    """The test without its parameters, below tests/: `unit/test_x.py::test_y`."""
    path, _, name = item.nodeid.partition("::")
    return f"{path.removeprefix('tests/')}::{name.split('[', 1)[0]}"
