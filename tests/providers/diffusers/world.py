"""What the tests of diffusers start from."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import textwrap
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from workbench.domain.jobs import (
    ImageReady,
    JobInput,
    JobRef,
    JobRequest,
    Slot,
)
from workbench.domain.status import Operation
from workbench.providers.local_diffusers import Diffusers

HAS_TORCH = all(find_spec(name) is not None for name in ("torch", "diffusers", "transformers"))


NO_TORCH = "Needs torch (about 2 GB): `make test-diffusers` installs it and runs these tests."
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason=NO_TORCH)


REPOSITORY = Path(__file__).parents[3]


def asked(
    model="tiny", *, seed=1, n=1, size=None, negative=None, inputs=(), **params
) -> JobRequest:
    width, height = size or (None, None)
    slots = tuple(Slot(f"g{index}", index, seed + index) for index in range(n))
    operation = Operation.EDIT if inputs else Operation.GENERATE
    return JobRequest(
        "key", model, operation, "a red fox", negative, width, height, params, slots, inputs
    )


def source_of(data: bytes, role: str = "source") -> JobInput:
    return JobInput("a", role, 0, "image/png", lambda: data)


def run(program: str, folder: Path, *arguments: object, timeout_s: float = 150) -> str:
    """Run a program in a process of its own and return what it printed last."""
    path = folder / "program.py"
    path.write_text(textwrap.dedent(program))
    # One thread each: two that spin for one core, as on a busy machine, are slower by far.
    environment = {
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "WORKBENCH_HOME": str(folder / "ws"),
    }
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", path, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment,
        cwd=folder,
        check=False,
    )
    assert ended.returncode == 0, (ended.returncode, ended.stdout, ended.stderr[-3000:])
    return ended.stdout.strip().splitlines()[-1] if ended.stdout.strip() else ""


async def events_of(provider: Diffusers, request: JobRequest) -> list:
    return [event async for event in provider.events(request, JobRef())]


async def picture_of(provider: Diffusers, request: JobRequest) -> bytes:
    (image,) = [one for one in await events_of(provider, request) if isinstance(one, ImageReady)]
    return image.data


def opened(data: bytes):
    from PIL import Image

    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def free_within(provider: Diffusers, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while provider._studio.is_busy and time.monotonic() < until:
        time.sleep(0.002)
    return not provider._studio.is_busy


def gone(folder: Path) -> None:
    shutil.rmtree(folder)
