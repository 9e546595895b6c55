"""Tags: given in the lightbox by keyboard, seen on the card, in step with Python, kept."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.bench_page import WIDE, Bench
from tests.browser.conftest import MakeLab

MADE = """
topic = ws.create_topic("Boats")
boats = ws.generate("a boat", n=2, topic=topic, width=128, height=128).wait(60).generations
wb.Workbench(ws).topic = topic
"""
HOSTILE = "<img src=x onerror=owned=1>"


@pytest.mark.req("FEED-6", "LAY-9")
def test_a_picture_is_tagged_in_the_lightbox_and_keeps_its_tags(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE)
    one = Bench.start(lab, MADE)
    one.expect_all_completed(2)
    first, second = one.ids()
    expect(one.card(first).get_by_test_id("tag-mark")).to_have_count(0)

    # T on a card opens its tags; from there all of it goes by keyboard.
    one.card(first).focus()
    keyboard, box = one.page.keyboard, one.anywhere("lightbox")
    keyboard.press("t")
    field, tags = box.get_by_test_id("tag-input"), box.get_by_test_id("tag")
    expect(field).to_be_focused()
    keyboard.type("keep,fig 3")
    keyboard.press("Enter")
    expect(tags).to_have_text(["fig 3", "keep"])
    keyboard.type(HOSTILE)
    keyboard.press("Enter")
    expect(tags).to_have_text([HOSTILE, "fig 3", "keep"])
    lab.shoot("tags-lightbox")
    one.expect_value(f"sorted(ws.generation({first!r}).tags)", [HOSTILE, "fig 3", "keep"])

    # What cannot be is answered by Python's sentence, and stays to be mended.
    keyboard.type("x" * 65)
    keyboard.press("Enter")
    expect(box.get_by_test_id("tags-problem")).to_have_text(
        "Tags may have up to 64 characters each."
    )
    expect(field).to_have_value("x" * 65)
    keyboard.press("Escape")
    expect(box).to_be_visible()
    expect(field).to_have_value("")

    # Out of the field the keys are the lightbox's again, and the next picture has its own tags.
    keyboard.press("ArrowRight")
    expect(box).to_have_attribute("data-id", second)
    expect(tags).to_have_count(0)
    keyboard.press("ArrowLeft")
    expect(tags).to_have_count(3)
    keyboard.press("t")
    expect(field).to_be_focused()
    keyboard.press("Backspace")
    expect(box.locator("[data-testid=tag-remove][data-tag='keep']")).to_be_focused()
    keyboard.press("Delete")
    expect(tags).to_have_text([HOSTILE, "fig 3"])
    expect(box).to_have_attribute("data-id", first)
    keyboard.press("Escape")
    expect(box).to_have_count(0)
    mark = one.card(first).get_by_test_id("tag-mark")
    expect(mark).to_have_attribute("aria-label", f"Tags: {HOSTILE}, fig 3")
    assert one.page.evaluate("() => window.owned ?? null") is None
    lab.shoot("tags-card")

    # What Python changes shows at once; after a reload all of it is there, and can be changed.
    one.py(f"ws.generation({first!r}).tags = {{'fig 3', 'night'}}")
    expect(mark).to_have_attribute("aria-label", "Tags: fig 3, night")
    one.notebook.reload()
    one.ready()
    expect(mark).to_have_text("2")
    one.image_menu(first, "edit-tags")
    expect(field).to_be_focused()
    box.locator("[data-testid=tag-remove][data-tag='night']").click()
    expect(mark).to_have_attribute("aria-label", "Tag: fig 3")
    one.expect_value(f"sorted(ws.generation({first!r}).tags)", ["fig 3"])
