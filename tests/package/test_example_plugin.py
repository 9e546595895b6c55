"""A provider of somebody else: its package beside the wheel, and its own tests in that place."""

from __future__ import annotations

import json
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.package.clean_install import closure, copied, link, run

EXAMPLE = Path(__file__).parents[1] / "example_plugin"
PROBE = """
import json, sys
import workbench as wb
with wb.open(sys.argv[1], user="ann", run_jobs=False) as ws:
    (info,) = [info for info in ws.providers() if info.name == "harmonograph"]
    print(json.dumps({"ready": info.state.ready, "models": info.models}))
"""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin's sources alone, as its author has them."""
    copy = tmp_path_factory.mktemp("plugin") / "workbench-harmonograph"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def python(clean_python: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the workbench's wheel and the plugin's."""
    place = tmp_path_factory.mktemp("beside")
    build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index")
    run(*build, "--no-build-isolation", "--wheel-dir", place, folder, cwd=place)
    (plugin,) = place.glob("workbench_harmonograph-1.0.0-*.whl")
    python = copied(clean_python, place / "environment")
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", plugin, cwd=place)
    return python


@pytest.mark.req("PRV-3")
def test_a_workspace_finds_the_installed_plugin(python: Path, tmp_path: Path) -> None:
    told = json.loads(run(python, "-W", "error", "-c", PROBE, tmp_path / "ws", cwd=tmp_path))
    assert told == {"ready": True, "models": ["harmonograph:pendulum"]}


@pytest.mark.req("PRV-3")
def test_the_contract_can_be_imported_and_run_without_pytest(python: Path, tmp_path: Path) -> None:
    program = """
import importlib.util
from workbench.testing.provider_contract import ProviderContract, check
from workbench_harmonograph import Harmonograph

class TestIt(ProviderContract):
    def make_provider(self):
        return Harmonograph()

    def params(self, model):
        return {"width": 64, "height": 64, "swings": 5}

assert importlib.util.find_spec("pytest") is None
print(check(TestIt))
"""
    said = run(python, "-W", "error", "-c", program, cwd=tmp_path)
    assert "0 broken" in said
    assert "ok    a job gives one picture for each slot" in said


@pytest.mark.req("PRV-3")
def test_its_own_suite_passes_beside_the_wheel(python: Path, folder: Path) -> None:
    home = python.parents[1]
    for found in (distribution("pytest"), *closure(distribution("pytest"))):
        link(found, home)
    said = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    assert "passed" in said
    assert "failed" not in said
