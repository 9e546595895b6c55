"""Only deleting a topic asks; whatever was deleted comes back with one click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.conftest import MakeLab

WIDE = {"width": 1700, "height": 1000}  # room for all three panels
WORKBENCH = ["import workbench as wb\nws = wb.open()", "bench = wb.Workbench(ws)\nbench"]
COMPLETED = "[data-testid=generation][data-status=completed]"
UNFINISHED = "[data-testid=generation]:not([data-status=completed])"
SMALL = "bench.config.update(width=256, height=256)"


def live(root: Locator) -> None:
    expect(root.get_by_test_id("live")).to_have_attribute("data-state", "live", timeout=30_000)


def generate(root: Locator, prompt: str) -> None:
    root.get_by_test_id("prompt").fill(prompt)
    root.get_by_test_id("generate").click()


def ids(root: Locator) -> list[str]:
    return [
        str(one.get_attribute("data-id")) for one in root.locator("[data-testid=generation]").all()
    ]


@pytest.mark.req("FEED-1", "FEED-6", "FEED-8", "FEED-2", "TOP-2", "TOP-6")
def test_deleting_asks_only_for_topics_and_can_be_undone(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE)
    notebook = lab.write_and_open(WORKBENCH)
    notebook.run_all()
    root = notebook.widget()
    live(root)
    notebook.insert_and_run(
        "for title in ('First', 'Second'):\n"
        "    t = ws.create_topic(title)\n"
        "    ws.generate(title, n=2, width=256, height=256, topic=t, params={'fail': [1]}).wait()\n"
        "bench.topic = t"
    )
    expect(root.get_by_test_id("topic-title")).to_have_text("Second")
    expect(root.locator(COMPLETED)).to_have_count(1)
    failed = root.locator("[data-testid=generation][data-status=failed]")
    expect(failed.get_by_test_id("error")).to_contain_text("Not charged")
    failed.get_by_test_id("retry").click()
    expect(root.locator(COMPLETED)).to_have_count(2, timeout=30_000)
    root.locator(COMPLETED).first.focus()
    lab.page.keyboard.press("Delete")
    expect(root.locator(COMPLETED)).to_have_count(1)
    lab.page.get_by_test_id("undo").first.click()
    expect(root.locator(COMPLETED)).to_have_count(2)
    delete_and_bring_back_a_batch(root)
    topic = root.get_by_test_id("topic").filter(has_text="Second")
    topic.hover()
    topic.get_by_test_id("topic-menu").click()
    lab.page.get_by_test_id("delete-topic").click()
    dialog = lab.page.get_by_test_id("confirm")
    expect(dialog).to_contain_text("2")
    lab.page.get_by_test_id("confirm-action").click()
    expect(root.get_by_test_id("topic")).to_have_count(1)
    expect(root.get_by_test_id("topic-title")).to_contain_text("First")
    lab.page.get_by_test_id("undo").first.click()
    expect(root.get_by_test_id("topic")).to_have_count(2)
    root.get_by_test_id("topic").filter(has_text="First").get_by_role("button").first.click()
    expect(failed).to_have_count(1)
    delete_a_batch_image_by_image(root)


def delete_and_bring_back_a_batch(root: Locator) -> None:
    before = ids(root)
    root.get_by_test_id("batch-menu").click()
    root.page.locator(".wbx-drop [data-testid=delete]").click()
    expect(root.locator(".wbx-batch")).to_have_count(0)
    expect(root.page.get_by_test_id("confirm")).to_have_count(0)
    root.page.get_by_test_id("undo").click()
    expect(root.get_by_test_id("generation")).to_have_count(2)
    assert ids(root) == before


def delete_a_batch_image_by_image(root: Locator) -> None:
    """Its section goes with the last one, and comes back."""
    batch, cards, before = root.locator(".wbx-batch"), root.get_by_test_id("generation"), ids(root)
    expect(batch).to_have_count(1)
    for left in (1, 0):
        cards.first.focus()
        root.page.keyboard.press("Delete")
        expect(cards).to_have_count(left)
        root.page.get_by_test_id("undo").last.hover()  # it stays while somebody is there
    expect(batch).to_have_count(0)
    for _ in before:
        root.page.get_by_test_id("undo").first.click()
    expect(cards).to_have_count(2)
    assert ids(root) == before
