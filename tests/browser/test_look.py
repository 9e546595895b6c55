"""How it looks follows the page around it: theme, accent, width, and the wish for less motion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.lab_world import eventually

if TYPE_CHECKING:
    from tests.browser.conftest import MakeLab

WORLD = """
import workbench as wb
ws = wb.open()
topic = ws.create_topic("Foxes")
for place in ("snow", "wood", "rain"):
    ws.generate(f"a red fox in the {place}", n=4, topic=topic, width=128, height=128).wait(60)
lost = {"fail": [0, 1]}
ws.generate("a fox in the fog", n=2, topic=topic, width=128, height=128, params=lost).wait(60)
bench = wb.Workbench(ws, height=600)
bench.topic = topic
bench"""
WHOLE = 0.98  # of it is in view; half a pixel may be missing
WORKING = "ws.generate('an owl', topic=topic, width=128, height=128, params={'delay_ms': 2000})"
# What is seen: the colours of the root, of a text and of the main button.
COLOURS = """root => {
  const of = element => getComputedStyle(element);
  return {
    ground: of(root.querySelector(".wbx-frame")).backgroundColor,
    text: of(root.querySelector("[data-testid=prompt]")).color,
    button: of(root.querySelector("[data-testid=generate]")).backgroundColor,
  };
}"""
SLOWEST = """root => Math.max(...[...root.querySelectorAll("*")].flatMap(element => {
  const { transitionDuration } = getComputedStyle(element);
  return transitionDuration.split(",").map(parseFloat);
}))"""
# And drawn there: batches far below have left the page.
SCROLLED_UP = """async feed => {
  feed.scrollTop = 0;
  for (let frame = 0; frame < 5; frame++) await new Promise(requestAnimationFrame);
}"""
# Notes which batches have shown themselves: that lasts 2 s, in which nobody may have looked.
NOTE_PULSES = """root => {
  root.pulsed = [];
  const look = () => {
    for (const batch of root.querySelectorAll(".wbx-batch[data-pulse]"))
      if (!root.pulsed.includes(batch.dataset.batch)) root.pulsed.push(batch.dataset.batch);
  };
  const watched = {subtree: true, childList: true, attributeFilter: ["data-pulse"]};
  new MutationObserver(look).observe(root, watched);
}"""
MOVING = """root => document.getAnimations()
  .filter(one => one.playState === "running" && root.contains(one.effect?.target))
  .map(one => one.animationName ?? one.transitionProperty)"""
BOXED = """root => [...root.querySelectorAll(".wbx-batch")].map(element => {
  const style = getComputedStyle(element);
  return [style.borderLeftWidth, style.boxShadow, style.backgroundColor, style.borderRadius];
})"""
OVERFLOW = """root => [...root.querySelectorAll("*")].filter(element =>
    element.scrollWidth > element.clientWidth + 1
    && ["auto", "scroll"].includes(getComputedStyle(element).overflowX))
  .map(element => element.className)"""

# Words of cards without a picture that the sign of their status lies on.
UNDER_BADGES = """root => [...root.querySelectorAll(".wbx-card")].flatMap(card => {
  const badge = card.querySelector(".wbx-badge svg");
  const words = document.createRange();
  if (!badge?.checkVisibility({opacityProperty: true})) return [];
  const sign = badge.getBoundingClientRect();
  return [...card.querySelectorAll(".wbx-card-message p")].filter(text => {
    words.selectNodeContents(text);
    return [...words.getClientRects()].some(line => line.left < sign.right
      && line.right > sign.left && line.top < sign.bottom && line.bottom > sign.top);
  }).map(text => text.textContent);
})"""


def set_width(root: Locator, width: int | None) -> None:
    root.evaluate(
        "(root, width) => { const output = root.closest('.jp-OutputArea-output');"
        " output.style.width = output.style.maxWidth = width ? `${width}px` : ''; }",
        width,
    )


def share(root: Locator) -> float:
    """The middle's part of the width."""
    return float(
        root.evaluate(
            "root => root.querySelector('.wbx-main').offsetWidth"
            " / root.querySelector('.wbx-frame').offsetWidth"
        )
    )


@pytest.mark.req("LAY-2", "LAY-4", "LAY-5", "LAY-8", "FEED-4")
def test_it_follows_theme_accent_width_and_the_wish_for_less_motion(make_lab: MakeLab) -> None:
    lab = make_lab(viewport={"width": 1800, "height": 1000})
    notebook = lab.write_and_open([WORLD])
    notebook.run_all()
    root, page = notebook.widget(), lab.page
    card = root.locator("[data-testid=generation][data-status=completed]")
    expect(card.first).to_be_visible()
    # Then all parts are there, not only the one of the pictures.
    expect(root.get_by_test_id("live")).to_have_attribute("data-state", "live")

    light: dict[str, Any] = root.evaluate(COLOURS)
    root.evaluate("root => { root.mark = 'the same element'; }")
    lab.set_theme("dark")
    expect(root).to_have_attribute("data-theme", "dark")
    dark = root.evaluate(COLOURS)
    assert dark["ground"] != light["ground"]
    assert dark["text"] != light["text"]
    assert root.evaluate("root => root.mark") == "the same element"
    notebook.insert_and_run("bench.accent = 'rebeccapurple'")
    expect(root.get_by_test_id("generate")).not_to_have_css("background-color", dark["button"])
    lab.set_theme("light")

    # Sections, not boxes.
    boxes = root.evaluate(BOXED)
    assert boxes
    assert {tuple(one[:3]) for one in boxes} == {("0px", "none", "rgba(0, 0, 0, 0)")}

    sizes = (
        (1280, "wide"),
        (1000, "wide"),
        (900, "wide"),
        (899, "middle"),
        (599, "narrow"),
        (420, "narrow"),
        (320, "narrow"),
    )
    for width, layout in sizes:
        set_width(root, width)
        expect(root.locator(".wbx-workbench")).to_have_attribute("data-layout", layout)
        assert root.evaluate(OVERFLOW) == [], width
        assert root.evaluate("root => root.scrollWidth <= root.clientWidth + 1"), width
        failed = root.locator("[data-testid=generation][data-status=failed]")
        failed.first.scroll_into_view_if_needed()
        assert root.evaluate(UNDER_BADGES) == [], width
        if width >= 900:
            assert share(root) >= 0.6
    set_width(root, None)
    expect(root.locator(".wbx-workbench")).to_have_attribute("data-layout", "wide")

    # The small picture at the edge leads to its batch, which shows itself.
    root.get_by_test_id("feed").evaluate(SCROLLED_UP)
    id = root.locator(".wbx-batch").last.get_attribute("data-batch")
    batch = root.locator(f".wbx-batch[data-batch='{id}']")
    expect(batch).not_to_be_in_viewport(ratio=WHOLE)
    root.evaluate(NOTE_PULSES)
    batch.locator(".wbx-rail").click()
    eventually(lambda: root.evaluate("root => root.pulsed"), lambda pulsed: bool(pulsed == [id]))
    expect(batch).to_be_in_viewport(ratio=WHOLE)
    expect(batch).not_to_have_attribute("data-pulse", "")  # 2 s later

    assert 0 < root.evaluate(SLOWEST) <= 0.4
    notebook.insert_and_run(WORKING)
    root.get_by_test_id("feed").evaluate("feed => { feed.scrollTop = 0; }")
    expect(root.locator("[data-testid=generation][data-status=processing]")).to_be_visible()
    assert root.evaluate(MOVING) != []
    page.emulate_media(reduced_motion="reduce")
    expect(root.locator("[data-testid=generation][data-status=processing]")).to_be_visible()
    assert root.evaluate(MOVING) == []
