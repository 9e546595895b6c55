"""A disk that is full in the middle of work: the page says so, and only for as long as it is so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.axe import look_with_axe
from tests.browser.bench_page import WIDE, Bench
from tests.browser.conftest import MakeLab
from tests.small_disk import Mount, mounting_or_skip

ROOM = 80_000_000  # pictures wait where fewer than 50 MB are free
SMALL = "wb.Workbench(ws).config.update(n=2, width=128, height=128)"


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    with mounting_or_skip(tmp_path) as mount:
        yield mount


@pytest.mark.faults
@pytest.mark.req("ACC-1")
def test_a_full_disk_is_told_until_there_is_space_and_the_pictures_come(
    make_lab: MakeLab, mount: Mount
) -> None:
    disk = mount(f"size={ROOM}")
    lab = make_lab(viewport=WIDE, reduced_motion="reduce")
    bench = Bench.start(lab, f"ws = wb.open({str(disk / 'ws')!r})", SMALL)
    notice = bench.find("notice-disk_full")
    expect(notice).to_have_count(0)
    ballast = disk / "ballast"
    fill(disk, ballast)
    bench.find("prompt").fill("a lighthouse")
    bench.find("generate").click()
    expect(notice).to_be_visible(timeout=60_000)
    expect(notice).to_contain_text("no disk space")
    lab.shoot("disk-full")
    look_with_axe(bench, "a full disk", shows="no disk space")
    ballast.unlink()
    expect(notice).to_have_count(0, timeout=60_000)  # what waits looks every 10 s
    expect(bench.cards("completed")).to_have_count(2, timeout=60_000)


def fill(disk: Path, ballast: Path) -> None:
    """Leave a megabyte: a prompt fits, a picture waits."""
    with ballast.open("wb", buffering=0) as file:
        while os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize > 1_000_000:
            file.write(bytes(250_000))
