"""What is done with a picture from its large view, and that its prompt can be taken along."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.bench_page import WIDE, Bench
from tests.browser.conftest import MakeLab

PROMPT = ("a lighthouse " * 150).strip()  # longer than what a row carries
MADE = f"""
topic = ws.create_topic("Lighthouses")
made = ws.generate(
    {PROMPT!r}, n=2, seed=5, width=128, height=192, steps=5, topic=topic
).wait(60)
wb.Workbench(ws).topic = topic
"""
DESK = "[bench.config.width, bench.config.height, bench.config.n, bench.config.steps, bench.prompt]"


@pytest.mark.faults  # long
@pytest.mark.timeout(400)
@pytest.mark.req("LBX-2", "FEED-6")
def test_settings_seed_file_and_marks_are_taken_from_the_large_view(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE, permissions=["clipboard-read", "clipboard-write"])
    bench = Bench.start(lab, MADE)
    bench.expect_all_completed(2)
    second = bench.ids()[1]
    bench.image_menu(second, "copy-prompt")
    expect(bench.toast("Copied")).to_be_visible()
    assert lab.page.evaluate("navigator.clipboard.readText()") == PROMPT

    before = bench.value(DESK)
    bench.card(second).get_by_test_id("thumb").click()
    box = bench.anywhere("lightbox")
    expect(box).to_have_attribute("data-id", second)
    box.get_by_test_id("reuse-settings").click()
    bench.expect_value(DESK, [128, 192, 2, 5, PROMPT])
    # In front of the picture, although a message was there before it opened.
    box.get_by_test_id("undo").click()
    bench.expect_value(DESK, before)
    box.get_by_test_id("reuse-seed").click()
    bench.expect_value("bench.config.seed", 6)

    with lab.page.expect_download() as arriving:
        lab.page.keyboard.press("d")
    saved = Path(bench.value(f"str(ws.generation({second!r}).save({str(lab.folder)!r}))"))
    assert arriving.value.path().read_bytes() == saved.read_bytes()
    lab.page.keyboard.press("f")
    heart = box.get_by_test_id("favourite")
    expect(heart).to_have_attribute("aria-pressed", "true")
    bench.expect_value(f"ws.generation({second!r}).favourite", True)
    box.get_by_test_id("set-cover").click()
    bench.expect_value("topic.record.cover_generation_id", second)
    lab.page.keyboard.press("Delete")
    expect(box).to_have_attribute("data-id", re.compile(f"^(?!{second})"))
    bench.expect_value("len(made.generations)", 1)
    box.get_by_test_id("undo").last.click()
    bench.expect_value("len(made.generations)", 2)
