"""A reload or a restart in the middle of the work: the same job goes on, and is done once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.axe import look_with_axe
from tests.browser.bench_page import WIDE, Bench
from tests.browser.conftest import MakeLab
from tests.browser.lab_world import eventually

# One picture takes seconds, so that the page is back before it is ready.
SLOW = "batch = ws.generate('{prompt}', n=3, width=128, height=128, params={{'delay_ms': {delay}}})"
PID = "import os; print(os.getpid())"
OPEN_TOPIC = "bench.topic = batch.topic"


def _progress(bench: Bench) -> dict[str, int]:
    shown = bench.cards().evaluate_all(
        "cards => cards.map(one => [one.dataset.id, Number(one.dataset.progress)])"
    )
    return {str(id): int(progress) for id, progress in shown}


def _expect_processing(bench: Bench, beyond: int = 15) -> None:
    expect(bench.cards("processing").first).to_be_visible()
    eventually(lambda: max(_progress(bench).values()), lambda most: beyond < most, within_s=60)


@pytest.mark.faults  # long
@pytest.mark.timeout(400)
@pytest.mark.req("FEED-9", "LIVE-4", "LIVE-5", "FEED-2")
def test_after_a_reload_the_same_job_shows_at_its_true_progress(make_lab: MakeLab) -> None:
    bench = Bench.start(make_lab(viewport=WIDE, fresh=True))
    bench.py(SLOW.format(prompt="slow", delay=800) + "\n" + OPEN_TOPIC)
    expect(bench.cards()).to_have_count(3)
    _expect_processing(bench)
    ids, before = bench.ids(), _progress(bench)
    bench.notebook.reload()
    bench.ready()
    assert bench.ids() == ids
    shown, told = _progress(bench), bench.value("{g.id: g.progress for g in batch.generations}")
    for id in ids:
        assert shown[id] >= before[id], "it went backwards"
        assert shown[id] <= told[id] * 100 + 1, "it is ahead of what is so"
    bench.watch()
    bench.expect_all_completed(3, within_s=120)
    for life in bench.lives()["lives"].values():
        assert life["progress"] == sorted(life["progress"])
    made = bench.value("[[g.status, len(g.attempts)] for g in batch.all_generations()]")
    assert made == [["completed", 1]] * 3


def _restart(bench: Bench) -> None:
    bench.notebook.restart()


def _kill(bench: Bench) -> None:
    """Nothing of the kernel gets to say goodbye; Jupyter starts another in its place."""
    pid = int(bench.py(PID))
    os.kill(pid, signal.SIGKILL)
    told = bench.page.locator(".jp-Dialog")
    expect(told).to_contain_text("appears to have died", timeout=60_000)
    told.locator(".jp-mod-accept").click()
    bench.notebook.wait_status("idle")
    assert int(bench.py(PID)) != pid


@pytest.mark.faults  # a kernel that ends
@pytest.mark.timeout(400)
@pytest.mark.req("FEED-9", "LIVE-5", "RES-4", "ACC-1")
@pytest.mark.parametrize("end", [_restart, _kill], ids=["restarted", "killed"])
def test_a_kernel_that_ends_in_the_middle_finishes_the_job_once_in_the_next(
    make_lab: MakeLab, end: Callable[[Bench], None]
) -> None:
    lab = make_lab(viewport=WIDE, fresh=True, reduced_motion="reduce")
    bench = Bench.start(lab)
    bench.py(SLOW.format(prompt="interrupted", delay=300) + "\n" + OPEN_TOPIC)
    expect(bench.cards()).to_have_count(3)
    _expect_processing(bench)
    ids = bench.ids()
    end(bench)
    expect(bench.find("link-note")).to_contain_text(
        "The kernel was restarted. Nothing is lost: run this cell again to go on."
    )
    expect(bench.find("live")).to_have_attribute("data-state", "offline")
    look_with_axe(bench, "the kernel has ended", shows="Nothing is lost")
    bench.notebook.run_all()
    bench.ready()
    assert sorted(bench.ids()) == sorted(ids)
    bench.watch()
    bench.expect_all_completed(3, within_s=120)
    assert sorted(bench.ids()) == sorted(ids)
    (batch,) = bench.value(
        "[[one.status for one in batch.all_generations()]"
        " for batch in ws.topics()[0].batches().items]"
    )
    assert batch == ["completed"] * 3
    for life in bench.lives()["lives"].values():
        assert life["nodes"] == 1
    lab.shoot(f"{end.__name__.strip('_')}-in-the-middle")
