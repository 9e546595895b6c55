"""Kills of a process that paints by itself: what was under way is made again, and nothing is lost.

The worlds are those of the dialects (tests/faults/test_dialect_kills.py). Here nobody is asked, so
that nothing could be refused or charged; workers are forked from a process that has torch.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.dialect_world import Nursery, World, world
from tests.providers.dialects import Dialect
from tests.providers.diffusers.world import HAS_TORCH, NO_TORCH
from workbench.domain.status import Status

if not HAS_TORCH:
    pytest.skip(NO_TORCH, allow_module_level=True)

PROVIDER = "workbench.providers.local_diffusers:Diffusers"
# What it imports when a pipeline is loaded; that takes longer than all else that a worker does.
IMPORTED = (
    "diffusers.pipelines.auto_pipeline",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
)
PATIENCE_S = 120.0
# Those that a job comes by which is free, and which nobody refuses.
KILLS = (
    ("after_claim", 1),
    ("after_send", 1),
    ("after_image", 1),
    ("after_file", 2),
    ("after_complete", 1),
    ("before_finish", 2),
    ("after_finish", 1),
)
PROMPTS = ("the fox", "the owl")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    one = Nursery(PROVIDER.partition(":")[0], *IMPORTED, imports_s=200.0)
    yield one
    one.close()


@pytest.fixture
def here(tmp_path: Path, tiny: Path, nursery: Nursery) -> Iterator[World]:
    dialect = Dialect(
        name="diffusers",
        provider=PROVIDER,
        emulator="workbench.testing.emulators.server:Emulator",  # nobody asks it
        model="tiny",
        resumable=False,
        options=lambda server: {"models": {"tiny": str(tiny)}, "device": "cpu"},
        request={"steps": 3},
    )
    with world(tmp_path, dialect, nursery) as here:
        here.patience_s = PATIENCE_S
        yield here
        assert here.server.requests == []


@pytest.mark.req("TOK-5", "DAT-1", "PRV-5")
@pytest.mark.parametrize(("point", "workers"), KILLS)
def test_a_kill_loses_no_picture(here: World, point: str, workers: int) -> None:
    for prompt in PROMPTS:
        here.submit(prompt)
    first = here.begin(point)
    if workers == 2:
        here.begin()
    here.until(lambda: first.was_killed or here.settled(), f"the kill at {point}")
    if workers == 1:
        assert first.was_killed
        here.begin()
    here.run_to_the_end()
    here.verify()


@pytest.mark.req("TOK-5", "DAT-1", "PRV-5", "LIVE-4")
def test_a_picture_that_was_half_made_waits_and_is_made_again(here: World) -> None:
    here.dialect.request["steps"] = 100
    long = here.submit("the fox")
    here.dialect.request["steps"] = 3
    first = here.begin()
    here.until(lambda: any((one.step or 0) >= 2 for one in here.here.generations(long)), "a step")
    os.kill(first.pid, signal.SIGKILL)
    here.until(lambda: first.was_killed, "its end")
    left = [one for one in here.here.generations(long) if not one.status.is_terminal]
    assert left
    assert not any(one.error for one in left)
    here.submit("the owl")
    here.begin()
    here.run_to_the_end()
    made = {one.id: one for one in here.here.generations(long)}
    assert [made[one.id].status for one in left] == [Status.COMPLETED] * len(left)
    assert [made[one.id].attempt for one in left] == [2] * len(left)
    here.verify()


@pytest.mark.req("TOK-5", "PRV-5")
def test_the_one_that_takes_over_may_die_too(here: World) -> None:
    for prompt in PROMPTS:
        here.submit(prompt)
    for point in ("after_send", "after_takeover", "after_file"):
        worker = here.begin(point)
        here.until(lambda worker=worker: worker.was_killed or here.settled(), point)
        assert worker.was_killed
    here.begin()
    here.run_to_the_end()
    here.verify()
