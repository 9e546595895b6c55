"""What is in the sdist, and in the wheel that is made from it."""

from __future__ import annotations

import configparser
import tarfile
import zipfile
from pathlib import Path

import pytest

from workbench.widgets import bundle

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "workbench"

pytestmark = pytest.mark.timeout(600)  # two builds, and the front end's


def names_in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def names_in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def shipped(suffix: str) -> set[str]:
    """Files of the checkout below workbench/ with that suffix, the front end's sources left out."""
    return {
        path.relative_to(REPOSITORY).as_posix()
        for path in PACKAGE.rglob(f"*{suffix}")
        if not {"node_modules", "__pycache__", "frontend"} & set(path.parts)
    }


def test_every_module_sql_file_and_the_type_marker_are_in_the_wheel(wheel: Path) -> None:
    names = names_in_wheel(wheel)
    assert "workbench/py.typed" in names
    for suffix in (".py", ".sql", ".j2", ".html"):
        assert shipped(suffix) <= names, f"{suffix} files are missing"


def test_the_notebooks_are_where_the_lab_command_looks_for_them(wheel: Path, sdist: Path) -> None:
    notebooks = {path.name for path in (REPOSITORY / "notebooks").glob("*.ipynb")}
    in_wheel = {name for name in names_in_wheel(wheel) if name.endswith(".ipynb")}
    own = {name for name in shipped(".ipynb") if not name.startswith("workbench/jupyter/notebooks")}
    assert in_wheel - own == {f"workbench/jupyter/notebooks/{name}" for name in notebooks}
    assert {f"notebooks/{name}" for name in notebooks} <= names_in_sdist(sdist)


def test_entry_points_name_the_command_and_the_built_in_provider(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
        text = archive.read(name).decode()
    parsed = configparser.ConfigParser()
    parsed.read_string(text)
    assert parsed["console_scripts"]["jupyter-workbench"] == "workbench.jupyter.cli:main"
    providers = parsed["workbench.providers"]
    assert providers["builtin"] == "workbench.providers.sketch.provider:SketchProvider"


def test_only_the_package_is_in_the_wheel(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in names_in_wheel(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"workbench"}
    assert not any(name.endswith(".data") for name in tops), "nothing goes to others' servers"


def test_no_sources_of_the_front_end_tests_or_caches_are_shipped(wheel: Path, sdist: Path) -> None:
    for names in (names_in_wheel(wheel), names_in_sdist(sdist)):
        parts = {part for name in names for part in Path(name).parts[:-1]}
        assert not parts & {"tests", "node_modules", "__pycache__", ".venv", ".workbench", ".git"}
    assert not any(name.startswith("workbench/frontend/") for name in names_in_wheel(wheel))


def test_no_path_of_the_machine_that_built_them_is_in_them(wheel: Path, sdist: Path) -> None:
    places = [str(REPOSITORY).encode(), str(Path.home()).encode() + b"/"]
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            contents[member.name] = file.read() if file else b""
    found = {
        name for name, content in contents.items() if any(place in content for place in places)
    }
    assert not found
    assert not [name for name in contents if name.startswith("/") or ".." in Path(name).parts]


def test_the_built_front_end_is_in_both(wheel: Path, sdist: Path) -> None:
    built = {"workbench.js", "loader.js", "whole.js", "licenses.txt"}
    built |= {f"{part}.js.gz" for part in bundle.PARTS}
    static = {f"workbench/widgets/static/{name}" for name in built}
    for names in (names_in_wheel(wheel), names_in_sdist(sdist)):
        found = {name for name in names if name.startswith("workbench/widgets/static/")}
        assert found - {"workbench/widgets/static/built.json"} == static
    # MIT and ISC ask for it: parts of other packages are in the bundle.
    with zipfile.ZipFile(wheel) as archive:
        licenses = archive.read("workbench/widgets/static/licenses.txt").decode()
    assert {"preact", "@preact/signals-core", "lucide"} <= {
        line.split()[0] for line in licenses.splitlines() if line
    }
