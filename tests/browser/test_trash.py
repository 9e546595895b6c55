"""What was deleted comes back from the trash, after its message has gone; a list of a thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.bench_page import WIDE, Bench
from tests.browser.lab_world import eventually

if TYPE_CHECKING:
    from tests.browser.conftest import MakeLab

TWO = """
for title in ("Foxes", "Boats"):
    topic = ws.create_topic(title)
    ws.generate(title.lower(), n=3, width=64, height=64, topic=topic).wait(60)
oldest = ws.topics()[-1]
wb.Workbench(ws).topic = topic
"""
DRAWN = "all => all.every(one => one.naturalWidth > 0)"
MANY = "for number in range(1_001): ws.create_topic(f'Topic {number}')"


@pytest.mark.req("TOP-2", "FEED-6", "FEED-8", "ACC-1")
def test_a_picture_and_a_topic_come_back_from_the_trash_at_once_and_for_good(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(viewport=WIDE)
    bench = Bench.start(lab, TWO)
    bench.expect_all_completed(3)
    before = bench.ids()
    bench.card(before[1]).focus()
    bench.page.keyboard.press("Delete")
    expect(bench.card(before[1])).to_have_count(0)
    bench.topic_menu("Foxes", "delete-topic")
    bench.anywhere("confirm-action").click()
    expect(bench.topics()).to_have_count(1)
    bench.notebook.save()
    bench.notebook.reload()
    bench.ready()
    expect(bench.anywhere("undo")).to_have_count(0)

    # By keyboard: the focus goes from row to row, and back to the menu's button.
    bench.find("topics-more").focus()
    bench.page.keyboard.press("Enter")
    bench.page.keyboard.press("End")
    bench.page.keyboard.press("Enter")
    dialog = bench.anywhere("trash-dialog")
    items = dialog.get_by_test_id("trash-item")
    expect(items).to_have_count(2)
    expect(items.first).to_contain_text("Topic · 3 images")
    expect(items.last).to_contain_text("Image from “Boats”")
    expect(dialog.locator("img")).to_have_count(2)
    eventually(lambda: dialog.locator("img").evaluate_all(DRAWN), bool)
    dialog.get_by_role("button", name="Restore “boats”").focus()
    bench.page.keyboard.press("Enter")
    expect(items).to_have_count(1)
    expect(dialog.get_by_role("button", name="Restore “Foxes”")).to_be_focused()
    expect(bench.cards("completed")).to_have_count(3)
    assert bench.ids() == before
    bench.page.keyboard.press("Enter")
    expect(dialog.get_by_test_id("trash-none")).to_be_visible()
    expect(dialog.get_by_role("status")).to_have_text("“Foxes” is back.")
    expect(bench.topics()).to_have_count(2)
    bench.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(bench.find("topics-more")).to_be_focused()
    bench.notebook.reload()
    bench.ready()
    expect(bench.topics()).to_have_count(2)
    expect(bench.cards("completed")).to_have_count(3)
    assert bench.ids() == before


@pytest.mark.faults  # long
@pytest.mark.timeout(400)
@pytest.mark.req("TOP-1")
def test_of_a_thousand_topics_the_others_are_told_shown_and_opened(make_lab: MakeLab) -> None:
    bench = Bench.start(make_lab(viewport=WIDE), TWO, MANY)
    bench.expect_all_completed(3)
    expect(bench.find("older-topics")).to_contain_text("the latest 1,001 of 1,003 topics")
    dialog = bench.anywhere("trash-dialog")
    bench.choose(bench.find("topics-more"), "open-trash")
    expect(dialog.get_by_test_id("trash-none")).to_be_visible(timeout=60_000)
    bench.page.keyboard.press("Escape")
    bench.py("bench.topic = oldest")
    expect(bench.find("topic-title")).to_have_text("Foxes", timeout=60_000)
    bench.expect_all_completed(3)
    bench.find("show-older-topics").click()
    expect(bench.topics()).to_have_count(1_003, timeout=60_000)
    expect(bench.find("older-topics")).to_have_count(0)
