"""The examples in docstrings run, all of them: none is skipped."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import workbench

ROOT = Path(workbench.__file__).parent
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(workbench.__path__, "workbench.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", ["workbench", *MODULES])
def test_the_examples_of_a_module_run(name, workspace_home):
    module = importlib.import_module(name)
    assert not doctest.testmod(module).failed


def test_no_example_is_skipped():
    skip = re.compile(r"doctest:\s*\+SKIP")
    skipping = [path.name for path in ROOT.rglob("*.py") if skip.search(path.read_text("utf-8"))]
    assert skipping == []
