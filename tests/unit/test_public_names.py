"""The public names are one sorted list that agrees with reality."""

from __future__ import annotations

import builtins
import subprocess
import sys

import pytest

import workbench as wb


def test_the_list_of_public_names_is_sorted_and_true():
    assert wb.__all__ == sorted(wb.__all__)
    for name in wb.__all__:
        assert getattr(wb, name) is not None
    lazy = set(wb._LAZY)
    assert lazy <= set(wb.__all__)
    assert set(wb.__all__) <= set(dir(wb))


def test_a_star_import_keeps_the_builtin_open():
    space: dict[str, object] = {}
    exec("from workbench import *", space)
    assert space.get("open", builtins.open) is builtins.open
    assert callable(wb.open)
    assert wb.open is not builtins.open


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        wb.opne  # noqa: B018


def test_every_error_of_ours_has_one_root():
    errors = [getattr(wb, name) for name in wb.__all__ if isinstance(getattr(wb, name), type)]
    ours = [kind for kind in errors if issubclass(kind, Exception)]
    assert len(ours) >= 15
    assert all(issubclass(kind, wb.WorkbenchError) for kind in ours)


def test_the_package_can_be_run_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "doctor" in done.stdout
