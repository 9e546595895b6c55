"""An environment that holds a wheel and what it depends on, and nothing else.

The dependencies are those that are installed here, at the versions of the lock file: their files
are linked into a new environment, which takes seconds and no network. What only developers have
(pytest, ruff, hatchling, a node) is not in it.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def run(
    *command: str | Path,
    cwd: Path,
    path: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> str:
    """Run a program without our environment's settings; returns what it printed."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))
    }
    if path is not None:
        environment["PATH"] = path
    environment |= settings or {}
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        capture_output=True,
        text=True,
        timeout=560,
        cwd=cwd,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def clean_install(wheel: Path, home: Path) -> Path:
    """Make the environment `home` with this wheel; returns its Python."""
    venv.create(home, with_pip=False)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
    (info,) = home.glob("lib/python*/site-packages/image_workbench-*.dist-info")
    for found in closure(Distribution.at(info)):
        link(found, home)
    return python


def closure(root: Distribution) -> list[Distribution]:
    """What `root` needs on this machine, directly and indirectly, without its extras."""
    found: dict[str, Distribution] = {}
    waiting = [(root, frozenset[str]())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        holder, extras = waiting.pop()
        for text in holder.requires or ():
            wanted = Requirement(text)
            marker = wanted.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
                continue
            name = canonicalize_name(wanted.name)
            if (name, frozenset(wanted.extras)) in seen:
                continue
            seen.add((name, frozenset(wanted.extras)))
            try:
                found[name] = distribution(name)
            except PackageNotFoundError as error:
                raise AssertionError(f"{holder.name} needs {text}, and it is not here") from error
            waiting.append((found[name], frozenset(wanted.extras)))
    return list(found.values())


def copied(python: Path, home: Path) -> Path:
    """Make the environment `home` with all that the one of `python` has; returns its Python."""
    there = python.parents[1]
    shutil.copytree(there, home, symlinks=True, copy_function=link_file)
    return home / python.relative_to(there)


def link(found: Distribution, home: Path) -> None:
    """Put the files of a distribution that is installed here into the environment `home`."""
    here = Path(sys.prefix).resolve()
    base = Path(str(found.locate_file(""))).resolve()
    folders: dict[str, list[str]] = {}
    for path, *_ in csv.reader((found.read_text("RECORD") or "").splitlines()):
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
    for folder, names in folders.items():
        source = Path(os.path.normpath(base / folder))
        if source.name in {"bin", "Scripts"} or not source.is_relative_to(here):
            continue  # programs start the Python of their own environment
        target = home / source.relative_to(here)
        target.mkdir(parents=True, exist_ok=True)
        for name in names:  # tens of thousands: no paths are made of them
            link_file(f"{source}/{name}", f"{target}/{name}")


def link_file(source: str, target: str) -> None:
    """Make `target` the file that `source` is, if that is one and nothing is there."""
    try:
        os.link(source, target)
    except (FileNotFoundError, FileExistsError):  # the latter belongs to another one, too
        return
    except OSError:  # another file system
        shutil.copy2(source, target)
