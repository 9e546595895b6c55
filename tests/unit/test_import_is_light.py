"""`import workbench` opens nothing, starts nothing and loads nothing heavy (style.md 9)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

HEAVY = (
    "IPython",
    "PIL",
    "anywidget",
    "asyncio",
    "httpx",
    "ipykernel",
    "ipywidgets",
    "jupyter_",
    "jupyterlab",
    "multiprocessing",
    "numpy",
    "pandas",
    "psycopg",
    "sqlite3",
    "tornado",
    "traitlets",
    "voila",
)

# Runs in a fresh interpreter. The import system itself opens sources and compiled modules for
# reading; every other file, and any writing, is a side effect of the import.
PROBE = """
import json, os, sys

seen = []
ACTS = ("socket.", "subprocess.", "sqlite3.", "os.system", "os.exec", "os.fork", "os.posix_spawn",
        "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate",
        "os.chmod", "os.putenv", "shutil.", "tempfile.", "urllib.", "webbrowser.",
        "signal.")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

def hook(event, args):
    if event == "open":
        path, mode, flags = args
        writes = any(letter in str(mode or "") for letter in "wax+") or (flags or 0) & WRITING
        of_import = str(path).endswith((".py", ".pyc", ".so", ".pyd"))
        if writes or not of_import:
            seen.append(f"open {path} {mode}")
    elif event.startswith(ACTS):
        seen.append(event)

def noting(start):
    def start_and_note(*args, **kwargs):
        seen.append("thread start")
        return start(*args, **kwargs)
    return start_and_note

import _thread  # starting a thread has no audit event in Python 3.11
starters = ("start_new_thread", "start_new", "start_joinable_thread")
for module, prefix in ((_thread, ""), (sys.modules.get("threading"), "_")):
    for starter in starters:
        if hasattr(module, prefix + starter):
            setattr(module, prefix + starter, noting(getattr(module, prefix + starter)))

sys.addaudithook(hook)
before = set(sys.modules)
name = sys.argv[1]
__import__(name)
import threading
threads = [thread.name for thread in threading.enumerate()]
print(json.dumps({"seen": seen, "modules": sorted(set(sys.modules) - before),
                  "threads": threads, "file": getattr(sys.modules[name], "__file__", None)}))
"""


def effects_of_importing(name: str, folder: Path) -> dict[str, list[str]]:
    """What `import name` did in a fresh interpreter that finds modules in `folder`."""
    done = subprocess.run(
        # -S would hide the site-packages; -B keeps the interpreter from writing .pyc files.
        [
            sys.executable,
            "-B",
            "-c",
            f"import sys; sys.path.insert(0, {str(folder)!r})\n{PROBE}",
            name,
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
        cwd=folder,
    )
    report: dict[str, list[str]] = json.loads(done.stdout)
    report["heavy"] = [module for module in report["modules"] if is_heavy(module)]
    return report


def is_heavy(module: str) -> bool:
    return any(
        module.startswith(name) if name.endswith("_") else module.partition(".")[0] == name
        for name in HEAVY
    )


def test_importing_the_package_has_no_effect() -> None:
    report = effects_of_importing("workbench", REPOSITORY)
    assert report["seen"] == []
    assert report["threads"] == ["MainThread"]
    assert report["heavy"] == []


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("open('left.txt', 'w').close()", "seen"),
        ("import os\nos.close(os.open('left.txt', os.O_CREAT | os.O_RDWR))", "seen"),
        ("open('settings.json').close()", "seen"),
        ("import pathlib\npathlib.Path('folder').mkdir()", "seen"),
        ("import socket\nsocket.socket()", "seen"),
        ("import threading\nthreading.Thread(target=lambda: None).start()", "seen"),
        ("import subprocess\nsubprocess.run(['true'])", "seen"),
        ("import sqlite3", "heavy"),
        ("import asyncio", "heavy"),
        ("import traitlets", "heavy"),
        ("import PIL.Image", "heavy"),
    ],
)
def test_an_effect_is_seen(tmp_path: Path, source: str, where: str) -> None:
    (tmp_path / "settings.json").write_text("{}", encoding="utf-8")
    (tmp_path / "heavy_package.py").write_text(source, encoding="utf-8")
    assert effects_of_importing("heavy_package", tmp_path)[where]


def test_a_quiet_module_has_no_effect(tmp_path: Path) -> None:
    (tmp_path / "quiet.py").write_text("import dataclasses\n", encoding="utf-8")
    report = effects_of_importing("quiet", tmp_path)
    assert report["seen"] == []
    assert report["heavy"] == []
