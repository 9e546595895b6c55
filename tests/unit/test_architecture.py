"""The import rules of the house, checked on the source.

A rule is a row of a table below; `violations(root)` reads a tree and returns one sentence
per breach, so that the tests can also show it trees that break each rule.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGE = "workbench"
MAX_LINES = 600

# room -> rooms that it may import; every room may import itself and the version.
ROOMS = {
    "errors": set(),
    "domain": {"errors"},
    "ports": {"domain", "errors"},
    "store": {"domain", "errors", "ports"},
    "media": {"domain", "errors", "ports"},
    "providers": {"domain", "errors", "ports"},
    "folders": {"domain", "errors", "ports"},
    "runner": {"domain", "errors", "ports"},
    "workspace": {
        "domain",
        "errors",
        "folders",
        "media",
        "ports",
        "providers",
        "runner",
        "store",
    },
    "widgets": {"domain", "errors", "workspace"},
    "jupyter": {"domain", "errors", "widgets", "workspace"},
    "testing": {"domain", "errors", "ports"},
    "frontend": set(),  # only the build hook, if any
    "_version": set(),
    "__main__": {"jupyter"},
}
# (room, room): allowed inside functions only.
LAZY_ROOMS = {("testing", "workspace")}
# The package itself hands out public names lazily (PEP 562).
LAZY_PACKAGE = "__init__"
STDLIB_ONLY = {"errors", "domain", "ports", "_version", "__init__", "__main__"}


@dataclass(frozen=True)
class Limited:
    """Where a library may be imported."""

    paths: tuple[str, ...]  # prefixes below workbench/
    lazily: bool = False  # only inside functions, or for type checkers
    for_types_anywhere: bool = False


JUPYTER = Limited(("widgets/", "jupyter/"))
LIMITED = {
    **dict.fromkeys(
        (
            "IPython",
            "anywidget",
            "comm",
            "ipykernel",
            "ipywidgets",
            "jupyter_client",
            "jupyter_core",
            "jupyter_server",
            "jupyterlab",
            "nbclient",
            "nbconvert",
            "nbformat",
            "notebook",
            "tornado",
            "traitlets",
            "voila",
        ),
        JUPYTER,
    ),
    **dict.fromkeys(
        ("httpx", "httpcore", "certifi"),  # the latter two come with httpx
        Limited(("providers/", "media/urls.py")),
    ),
    "websockets": Limited(("providers/",)),
    "sqlite3": Limited(("store/",)),
    "psycopg": Limited(("store/",)),
    "psycopg_pool": Limited(("store/",)),
    "PIL": Limited(("media/", "providers/"), for_types_anywhere=True),
    "numpy": Limited(("media/", "providers/")),
    "platformdirs": Limited(("providers/",)),
    "pandas": Limited(("workspace/", "jupyter/"), lazily=True),
    "dask": Limited(("runner/",)),
    "distributed": Limited(("runner/",)),
    **dict.fromkeys(
        ("torch", "diffusers", "transformers"),
        Limited(("providers/", "testing/tiny_pipeline.py")),
    ),
    "accelerate": Limited(("providers/",)),
    "hatchling": Limited(("frontend/",)),
    "playwright": Limited(("frontend/dev/",)),  # takes screenshots of the development page
}
# Other libraries that product code may use, if they are there.
OPTIONAL = {
    "filelock",  # declared for Windows only
    "keyring",  # no dependency: absent or broken it means "no keyring"
}

# A literal that is one of these, or begins with one and a colon or dot (a model id, a module),
# makes code outside providers/ know a provider.
PROVIDER_NAMES = {
    "a1111",
    "automatic1111",
    "bfl",
    "black_forest_labs",
    "comfyui",
    "diffusers",
    "fal",
    "forge",
    "gemini",
    "google",
    "huggingface",
    "imagen",
    "openai",
    "openrouter",
    "pixverse",
    "replicate",
    "sdwebui",
    "stability",
}
# These are also the names of metadata formats that media reads out of files (RES-6).
METADATA_FORMATS = {"a1111", "automatic1111", "comfyui"}


@dataclass(frozen=True)
class Import:
    """One imported module, as the source says it."""

    module: str
    line: int
    in_function: bool
    for_types: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    def room(self) -> str | None:
        """The room of `workbench` that it names; None for the package itself or a library."""
        parts = self.module.split(".")
        return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


class Imports(ast.NodeVisitor):
    """Collects imports with where they stand: at the top, in a function, for type checkers."""

    def __init__(self, package: list[str], rooms: set[str]) -> None:
        self.found: list[Import] = []
        self._package = package
        self._rooms = rooms
        self._functions = 0
        self._type_checking = 0

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outside in (*node.decorator_list, node.args):
            self.visit(outside)
        self._functions += 1
        for inside in node.body:
            self.visit(inside)
        self._functions -= 1

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the name is ast's

    def visit_If(self, node: ast.If) -> None:
        is_type_checking = ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
        self._type_checking += is_type_checking
        for inside in node.body:
            self.visit(inside)
        self._type_checking -= is_type_checking
        for inside in node.orelse:
            self.visit(inside)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            anchor = self._package[: len(self._package) - node.level + 1]
            base = ".".join([*anchor, base] if base else anchor)
        if base != PACKAGE:
            self._add(base, node.lineno)
            return
        for alias in node.names:  # from workbench import store
            self._add(
                f"{PACKAGE}.{alias.name}" if alias.name in self._rooms else PACKAGE, node.lineno
            )

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in {"import_module", "__import__"} and node.args:
            argument = node.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                text = argument.value
                if text.startswith("."):
                    text = ".".join(self._package) + text
                self._add(text, node.lineno)
        self.generic_visit(node)

    def _add(self, module: str, line: int) -> None:
        self.found.append(Import(module, line, self._functions > 0, self._type_checking > 0))


def violations(root: Path) -> list[str]:
    """One sentence for each breach of a rule in the tree `root/workbench`."""
    package = root / PACKAGE
    return [
        f"{PACKAGE}/{path.relative_to(package).as_posix()}:{line} {text}"
        for path in sorted(package.rglob("*.py"))
        if "node_modules" not in path.parts
        for line, text in _violations_of(path, package)
    ]


def _violations_of(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    source = path.read_text(encoding="utf-8")
    below = path.relative_to(package).as_posix()
    room = below.partition("/")[0].removesuffix(".py")
    lines = source.count("\n")
    if lines > MAX_LINES:
        yield lines, f"has {lines} lines; split it along an idea (at most {MAX_LINES})"
    if room not in ROOMS and room != LAZY_PACKAGE:
        yield 1, f"lies in a room that the house does not have: {room}"
        return
    tree = ast.parse(source, filename=str(path))
    imports = Imports([PACKAGE, *path.relative_to(package).parent.parts], set(ROOMS))
    imports.visit(tree)
    for found in imports.found:
        if found.top == PACKAGE:
            yield from _inner(room, found)
        else:
            yield from _outer(room, below, found)
    if room != "providers":
        yield from _provider_names(room, tree)


def _inner(room: str, found: Import) -> Iterator[tuple[int, str]]:
    target = found.room()
    if room == LAZY_PACKAGE:
        if target not in {None, "_version"} and not (found.in_function or found.for_types):
            yield found.line, f"imports {found.module} at import time; public names are lazy"
        return
    if target is None:
        yield found.line, "imports the package itself; name the room"
    elif target in ROOMS[room] | {room, "_version"}:
        return
    elif (room, target) in LAZY_ROOMS:
        if not (found.in_function or found.for_types):
            yield found.line, f"{room} may import {target} inside functions only"
    else:
        yield found.line, f"{room} may not import {target}"


def _outer(room: str, below: str, found: Import) -> Iterator[tuple[int, str]]:
    top = found.top
    stdlib = top in sys.stdlib_module_names
    if room in STDLIB_ONLY and not stdlib:
        if not (found.for_types and top == "PIL" and room == "ports"):
            yield found.line, f"{room} knows the standard library only, not {top}"
        return
    limit = LIMITED.get(top)
    if limit is None:
        if not stdlib and top not in OPTIONAL:
            yield found.line, f"{top} has no place in the table of libraries (LIMITED)"
        return
    if found.for_types and limit.for_types_anywhere:
        return
    if not below.startswith(limit.paths):
        yield found.line, f"{top} belongs in {', '.join(limit.paths)}"
    elif limit.lazily and not (found.in_function or found.for_types):
        yield found.line, f"{top} is imported inside functions only"


def _provider_names(room: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        name = node.value.casefold().replace(":", ".").partition(".")[0]
        if id(node) in docstrings or name not in PROVIDER_NAMES:
            continue
        if room == "media" and name in METADATA_FORMATS:
            continue
        if room == "testing":  # emulators stand in for them
            continue
        yield node.lineno, f"names the provider {name}; only providers/ knows providers"


def test_the_house_keeps_its_import_rules() -> None:
    found = violations(REPOSITORY)
    assert not found, "\n" + "\n".join(found)


ALLOWED = {
    "errors.py": "import enum\n",
    "domain/records.py": "from workbench.errors import WorkbenchError\nfrom .status import S\n",
    "ports.py": "from workbench.domain.records import Topic\n",
    "store/sqlite/connection.py": "import sqlite3\nfrom workbench.ports import Store\n",
    "media/door.py": "import numpy as np\nfrom PIL import Image\nimport os\n",
    "media/urls.py": "import httpx\n",
    "media/metadata.py": "FORMATS = ('comfyui', 'a1111')\n",
    "providers/http.py": "import httpx\nNAME = 'openai'\n",
    "providers/sketch/paint.py": "import numpy\nimport PIL.Image\n",
    "runner/loop.py": "import asyncio\nfrom workbench import ports\n",
    "runner/dask.py": "def start():\n    import distributed\n",
    "workspace/engine.py": "from workbench.store import sqlite\nimport workbench.runner.loop\n",
    "workspace/frames.py": "def frame():\n    import pandas\n    return pandas\n",
    "workspace/handles.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from PIL import Image\n"
        "    import pandas as pd\n"
    ),
    "widgets/feed.py": "import anywidget\nfrom workbench.workspace import Workspace\n",
    "jupyter/cli.py": "import jupyter_server\nfrom workbench.widgets import feed\n",
    "testing/fakes.py": "def open_one():\n    from workbench.workspace import Workspace\n",
    "__init__.py": (
        "from typing import TYPE_CHECKING\nfrom workbench._version import __version__\n"
        "if TYPE_CHECKING:\n    from workbench.workspace import Workspace\n"
        "def __getattr__(name):\n    import importlib\n"
        "    return importlib.import_module('workbench.workspace')\n"
    ),
}


def write_tree(root: Path, files: dict[str, str]) -> Path:
    for name, source in files.items():
        path = root / PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return root


def test_a_tree_that_keeps_the_rules_passes(tmp_path: Path) -> None:
    assert violations(write_tree(tmp_path, ALLOWED)) == []


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("domain/a.py", "import httpx\n", "standard library only"),
        ("domain/a.py", "from workbench.ports import Store\n", "domain may not import ports"),
        ("domain/a.py", "from ..store import sqlite\n", "domain may not import store"),
        ("domain/a.py", "import importlib\nimportlib.import_module('numpy')\n", "numpy"),
        ("errors.py", "from workbench.domain import records\n", "errors may not import domain"),
        ("ports.py", "import PIL.Image\n", "standard library only"),
        ("ports.py", "from workbench.runner import loop\n", "ports may not import runner"),
        ("store/a.py", "from workbench.media import door\n", "store may not import media"),
        ("store/a.py", "def f():\n    import workbench.runner.loop\n", "may not import runner"),
        ("media/a.py", "import httpx\n", "httpx belongs in"),
        ("media/a.py", "from workbench import providers\n", "media may not import providers"),
        ("store/a.py", "from PIL import Image\n", "PIL belongs in"),
        ("providers/a.py", "import sqlite3\n", "sqlite3 belongs in"),
        ("folders/a.py", "from workbench.store import sqlite\n", "folders may not import store"),
        ("runner/a.py", "from workbench.workspace import x\n", "runner may not import workspace"),
        ("runner/a.py", "import psycopg\n", "psycopg belongs in"),
        ("workspace/a.py", "import pandas as pd\n", "pandas is imported inside functions only"),
        ("workspace/a.py", "def f():\n    import ipywidgets\n", "ipywidgets belongs in"),
        ("workspace/a.py", "from workbench.widgets import feed\n", "may not import widgets"),
        ("workspace/a.py", "from workbench.jupyter import cli\n", "may not import jupyter"),
        ("workspace/a.py", "if x == 'openai':\n    pass\n", "names the provider openai"),
        ("workspace/a.py", "m = 'workbench'\nd = 'replicate:flux'\n", "names the provider"),
        ("workspace/a.py", "import openai\n", "no place in the table"),
        ("workspace/a.py", "import requests\n", "no place in the table"),
        ("widgets/a.py", "from workbench.runner import loop\n", "widgets may not import runner"),
        ("widgets/a.py", "from workbench.jupyter import cli\n", "widgets may not import jupyter"),
        ("widgets/a.py", "def f():\n    import pandas\n", "pandas belongs in"),
        ("testing/a.py", "from workbench.workspace import w\n", "inside functions only"),
        ("testing/a.py", "def f():\n    import workbench.store\n", "testing may not import store"),
        ("runner/a.py", "import workbench as wb\n", "imports the package itself"),
        ("__init__.py", "from workbench.workspace import Workspace\n", "public names are lazy"),
        ("__init__.py", "import traitlets\n", "standard library only"),
        ("utils/a.py", "", "a room that the house does not have"),
        ("domain/a.py", "x = 1\n" * (MAX_LINES + 1), "split it along an idea"),
    ],
)
def test_a_breach_of_a_rule_is_found(tmp_path: Path, name: str, source: str, said: str) -> None:
    found = violations(write_tree(tmp_path, {**ALLOWED, name: source}))
    assert len(found) == 1
    assert said in found[0]
    assert found[0].startswith(f"{PACKAGE}/{name}:")


def test_a_name_in_a_docstring_is_no_breach(tmp_path: Path) -> None:
    tree = write_tree(tmp_path, {"workspace/a.py": '"""openai"""\n'})
    assert violations(tree) == []
