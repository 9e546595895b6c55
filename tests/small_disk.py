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


class NoSmallDiskError(Exception):
    """Small disks cannot be mounted here; the text says what it takes."""


@contextlib.contextmanager
def mounting(base: Path) -> Iterator[Mount]:
    """Mounts small disks (`mount("size=8m")`), or a folder onto itself (`bind=folder`).

    They lie below `base`. NoSmallDiskError where mounting is not allowed.
    """
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        raise NoSmallDiskError("Linux as root only: a small disk is mounted and filled.")
    mounted: list[Path] = []

    def mount(options: str = "", *, bind: Path | None = None) -> Path:
        folder = bind or base / f"disk{len(mounted)}"
        folder.mkdir(exist_ok=True)
        command = ["mount", "--bind", str(folder), str(folder)]
        if bind is None:
            command = ["mount", "-t", "tmpfs", "-o", f"{options},mode=700", "none", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoSmallDiskError(
                "Needs a machine (or container) that lets root mount a small disk; here: "
                + done.stderr.strip()
            )
        mounted.append(folder)
        return folder

    try:
        yield mount
    finally:
        for folder in reversed(mounted):
            subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


@contextlib.contextmanager
def mounting_or_skip(base: Path) -> Iterator[Mount]:
    """`mounting` for tests: they are skipped where it is not allowed, with what it takes."""
    try:
        with mounting(base) as mount:

            def mount_or_skip(*given: str, **more: Path | None) -> Path:
                try:
                    return mount(*given, **more)
                except NoSmallDiskError as error:
                    pytest.skip(str(error))

            yield mount_or_skip
    except NoSmallDiskError as error:
        pytest.skip(str(error))
