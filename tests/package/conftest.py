"""What people install: an sdist of this checkout, and the wheel that is built from that sdist."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.package.clean_install import clean_install, run

REPOSITORY = Path(__file__).parents[2]
# As in tests/browser: what a page shows comes from a kernel, and that takes its time.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    build = (sys.executable, "-m", "build", "--no-isolation")
    run(*build, "--sdist", "--outdir", folder, REPOSITORY, cwd=folder)
    (path,) = folder.glob("image_workbench-*.tar.gz")
    return path


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built where there is no node: the sdist has the built front end."""
    folder = tmp_path_factory.mktemp("wheel")
    nothing = folder / "empty"
    nothing.mkdir()
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--no-build-isolation", "--wheel-dir", folder, sdist, cwd=folder, path=str(nothing))
    (path,) = folder.glob("image_workbench-*-py3-none-any.whl")
    return path


@pytest.fixture(scope="session")
def clean_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and what it needs; nothing is added to it."""
    return clean_install(wheel, tmp_path_factory.mktemp("clean") / "environment")
