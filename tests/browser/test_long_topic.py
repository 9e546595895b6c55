"""A topic with hundreds of images: windowed, complete, and calm while new ones arrive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.bench_page import Bench
from tests.browser.lab_world import eventually
from tests.browser.test_deleting import WORKBENCH, live

if TYPE_CHECKING:
    from tests.browser.lab_world import LabPage

MANY = """
from io import BytesIO
from PIL import Image
def picture(number):
    out = BytesIO()
    Image.new("RGB", (64, 64), (number % 256, number * 7 % 256, number * 13 % 256)).save(out, "PNG")
    return out.getvalue()
bench.topic = ws.create_topic("Short")  # else it would see the long one grow, and need no page
topic = ws.create_topic("Long")
for start in range(0, 320, 4):
    ws.import_images([picture(start + i) for i in range(4)], topic=topic)
bench.topic = topic
"""
SCROLL = """
async root => {
  const feed = root.querySelector('[data-testid=feed]');
  const box = [feed, ...feed.querySelectorAll('*')].find(
    one => one.scrollHeight > one.clientHeight + 200
      && /auto|scroll/.test(getComputedStyle(one).overflowY))
    ?? (function up(one) {
      while (one && !/auto|scroll/.test(getComputedStyle(one).overflowY)) one = one.parentElement;
      return one; })(feed);
  const seen = new Set();
  const frames = [];
  // However long a kernel takes for what comes next: what never comes is found missing below.
  for (const end = performance.now() + 120_000; performance.now() < end;) {
    const ids = [...root.querySelectorAll('[data-testid=generation]')].map(card => card.dataset.id);
    if (String(frames.at(-1)) !== String(ids)) frames.push(ids);
    for (const id of ids) seen.add(id);
    if (root.querySelector('[data-testid=feed-end]') && seen.size >= 320) break;
    box.scrollTop += 250;
    await new Promise(done => setTimeout(done, 60));
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  }
  return {frames, end: !!root.querySelector('[data-testid=feed-end]')};
}
"""

# Of the whole feed, with what is not in the page because it is far from the view.
LENGTH = "root => root.querySelector('[data-testid=feed]').scrollHeight"

# The newest batch first, its images by their place in it.
STORED = """
import json
print(json.dumps([g.id for b in topic.batches(limit=100).items for g in b.generations]))
"""

# Within the widget: a new cell moves the whole notebook.
PLACE = """
(root, id) => root.querySelector(`[data-id='${id}']`).getBoundingClientRect().y
  - root.getBoundingClientRect().y
"""


@pytest.mark.faults  # long
@pytest.mark.timeout(400)
@pytest.mark.req("FEED-5", "FEED-3", "LIVE-8", "LIVE-5", "LBX-1")
def test_hundreds_of_images_scroll_to_the_end_without_repeat_or_skip(lab: LabPage) -> None:
    notebook = lab.write_and_open(WORKBENCH)
    notebook.run_all()
    root = notebook.widget()
    live(root)
    notebook.insert_and_run(MANY)
    expect(root.locator("[data-testid=generation]")).not_to_have_count(0)
    # Nobody has scrolled: 20 of 80 batches are known here, and 40 more when Python asks for them.
    known = root.evaluate(LENGTH)
    bench = Bench(notebook)
    bench.py("bench.load_more()")
    eventually(lambda: root.evaluate(LENGTH), lambda length: length > 2.5 * known)
    bench.choose(bench.find("header-more"))
    lab.page.locator(".wbx-drop").get_by_text("Refresh").click()
    expect(root.get_by_test_id("toast")).to_contain_text("Up to date")
    stored = notebook.text(notebook.insert_and_run(STORED))
    _go_to_the_ends(bench, json.loads(stored))
    found = root.evaluate(SCROLL)
    assert found["end"], "no end mark"
    _expect_pieces_of_the_store(found["frames"], stored)

    first = str(root.locator("[data-testid=generation]").first.get_attribute("data-id"))
    before = root.evaluate(PLACE, first)
    cell = notebook.insert_and_run(
        "print(ws.import_images([picture(999)], topic=topic).generations[0].id)"
    )
    expect(root.get_by_test_id("new-pill")).to_be_visible()
    assert abs(root.evaluate(PLACE, first) - before) <= 1, "what is being looked at moved"
    root.get_by_test_id("new-pill").click()
    expect(root.locator(f"[data-id='{notebook.text(cell).strip()}']")).to_be_visible()
    expect(root.get_by_test_id("image-count")).to_contain_text("321")


def _go_to_the_ends(bench: Bench, ids: list[str]) -> None:
    """In the lightbox, to the oldest and the newest of the topic; not all of it is loaded yet."""
    bench.root.get_by_test_id("thumb").first.click()
    box = bench.anywhere("lightbox")
    strip = box.locator(".wbx-strip [aria-current=true]")
    for key, place in ("End", 320), ("ArrowLeft", 319), ("Home", 1), ("ArrowRight", 2):
        bench.page.keyboard.press(key)
        expect(box).to_have_attribute("data-id", ids[place - 1])
        expect(strip).to_have_attribute("aria-label", f"Image {place}")
    bench.page.keyboard.press("Escape")
    expect(bench.card(ids[1])).to_be_focused()
    bench.find("prompt").focus()  # a card with the focus stays in the page however far one scrolls


def _expect_pieces_of_the_store(frames: list[list[str]], told: str) -> None:
    """What was in the page at any time is one piece of the store's list, in its order."""
    stored = json.loads(told)
    assert len(stored) == 320
    for frame in frames:
        start = stored.index(frame[0])
        assert frame == stored[start : start + len(frame)], "a repeat, a gap or another order"
        assert len(frame) < 200, "the page holds more than what is near"
    assert frames[0][0] == stored[0]
    assert list(dict.fromkeys(id for frame in frames for id in frame)) == stored, "one was skipped"
