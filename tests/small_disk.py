"""Small disks for tests that fill them: tmpfs, for root on Linux."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Mount = Callable[..., Path]


@contextlib.contextmanager
def mounting(base: Path) -> Iterator[Mount]:
    """Mounts small disks (`mount("size=8m")`), or a folder onto itself (`bind=folder`).

    They lie below `base`. Skips the test where mounting is not allowed.
    """
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small disk needs root on Linux")
    mounted: list[Path] = []

    def mount(options: str = "", *, bind: Path | None = None) -> Path:
        folder = bind or base / f"disk{len(mounted)}"
        folder.mkdir(exist_ok=True)
        command = ["mount", "--bind", str(folder), str(folder)]
        if bind is None:
            command = ["mount", "-t", "tmpfs", "-o", f"{options},mode=700", "none", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this machine does not let us mount: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    try:
        yield mount
    finally:
        for folder in reversed(mounted):
            subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)
