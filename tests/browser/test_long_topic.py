"""A topic with hundreds of images: windowed, complete, and calm while new ones arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

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
  let most = 0;
  for (let quiet = 0; quiet < 40;) {
    const cards = root.querySelectorAll('[data-testid=generation]');
    most = Math.max(most, cards.length);
    const before = seen.size;
    for (const card of cards) seen.add(card.dataset.id);
    quiet = seen.size > before ? 0 : quiet + 1;
    if (root.querySelector('[data-testid=feed-end]') && seen.size >= 320) break;
    box.scrollTop += 250;
    await new Promise(done => setTimeout(done, 60));
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  }
  return {seen: [...seen], most, end: !!root.querySelector('[data-testid=feed-end]'),
          top: box.scrollTop};
}
"""

# Within the widget: a new cell moves the whole notebook.
PLACE = """
(root, id) => root.querySelector(`[data-id='${id}']`).getBoundingClientRect().y
  - root.getBoundingClientRect().y
"""


@pytest.mark.faults  # long
@pytest.mark.req("FEED-5", "FEED-3", "LIVE-8", "LIVE-5")
def test_hundreds_of_images_scroll_to_the_end_without_repeat_or_skip(lab: LabPage) -> None:
    notebook = lab.write_and_open(WORKBENCH)
    notebook.run_all()
    root = notebook.widget()
    live(root)
    notebook.insert_and_run(MANY)
    expect(root.locator("[data-testid=generation]")).not_to_have_count(0)
    found = root.evaluate(SCROLL)
    assert found["end"], "no end mark"
    assert len(found["seen"]) == 320
    stored = notebook.text(
        notebook.insert_and_run(
            "print(sum(len(b.generations) for b in topic.batches(limit=100).items))"
        )
    )
    assert stored.strip() == "320"
    assert found["most"] < 200, "the DOM holds more than what is near"

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
