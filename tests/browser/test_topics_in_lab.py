"""Topics and projects: making, naming, switching, moving and deleting them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.bench_page import WIDE, Bench
from tests.browser.conftest import MakeLab
from tests.browser.lab_world import drawn, eventually

SMALL = "wb.Workbench(ws).config.update(n=2, width=64, height=64)"
LONG_AND_SHORT = """
bridges, birds, boats = (ws.create_topic(title) for title in ("Bridges", "Birds", "Boats"))
for number in range(9):
    batch = ws.generate(f"boat {number}", n=2, width=64, height=64, topic=boats)
batch.wait(60)
ws.generate("birds", n=2, width=64, height=64, topic=birds).wait(60)
"""
# What the cover shows, told by its bytes, and what it should show.
SHOWN = """cover => fetch(cover.src).then(got => got.arrayBuffer())
  .then(bytes => crypto.subtle.digest("SHA-256", bytes))
  .then(hash => [...new Uint8Array(hash)].map(one => one.toString(16).padStart(2, "0")).join(""))"""
THUMBNAIL = """
import hashlib
def thumbnail(id):
    path = ws._engine.media.thumbnail(ws.generation(id).asset.id)
    return hashlib.sha256(path.read_bytes()).hexdigest()
"""
# Whether the pictures in view are there in full, and there are some.
WHOLE = """root => {
  const feed = root.querySelector("[data-testid=feed]");
  const view = feed.getBoundingClientRect();
  const cards = [...feed.querySelectorAll("[data-testid=generation]")].filter(card => {
    const box = card.getBoundingClientRect();
    return box.bottom > view.top && box.top < view.bottom;
  });
  const thumbs = cards.map(card => card.querySelector("[data-testid=thumb]"));
  return cards.length > 0 && thumbs.every(
    thumb => thumb?.complete && Number(getComputedStyle(thumb).opacity) > 0.99);
}"""
# Looks at every frame: the title, and whether the pictures are there.
EACH_FRAME = """root => {
  root.frames = [];
  const isWhole = WHOLE;
  const look = () => {
    if (root.frames === null) return;
    const title = root.querySelector("[data-testid=topic-title]").textContent;
    root.frames.push(title + (isWhole(root) ? "" : " bare"));
    requestAnimationFrame(look);
  };
  look();
}""".replace("WHOLE", WHOLE)
SEEN = """root => {
  const seen = [...new Set(root.frames)];
  root.frames = null;
  return seen;
}"""
# The first card in view, and where it is.
PLACE = """scroller => {
  const top = scroller.getBoundingClientRect().top;
  const cards = [...scroller.querySelectorAll("[data-testid=generation]")];
  const boxes = cards.map(card => [card.dataset.id, card.getBoundingClientRect()]);
  const [id, box] = boxes.find(([, one]) => one.bottom > top) ?? [];
  return id === undefined ? null : [id, Math.round(box.top - top)];
}"""


@pytest.mark.faults  # long
@pytest.mark.timeout(400)
@pytest.mark.req("TOP-1", "TOP-3", "TOP-4", "TOP-7")
def test_topics_are_made_named_covered_and_put_into_projects(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE)
    bench = Bench.start(lab, SMALL, THUMBNAIL)
    # The first prompt makes one, and gives it its title.
    bench.generate("a paper boat on a pond")
    bench.expect_all_completed(2)
    expect(bench.topics()).to_have_count(1)
    expect(bench.topics()).to_contain_text("paper boat")
    boats = bench.ids()

    # The cover is the first success, or what was chosen, and another one when that goes.
    first = bench.value("bench.topic.record.cover_generation_id")
    assert first in boats
    chosen = next(id for id in boats if id != first)
    cover = bench.topics().locator(".wbx-cover img")

    def expect_cover(id: str) -> None:
        wanted = bench.value(f"thumbnail({id!r})")
        eventually(lambda: cover.evaluate(SHOWN), lambda shown: bool(shown == wanted))

    expect_cover(first)
    bench.image_menu(chosen, "set-cover")
    expect_cover(chosen)
    bench.image_menu(chosen, "delete")
    expect_cover(first)
    bench.expect_value("bench.topic.record.cover_generation_id", first)

    # A new one is open at once, and a title that somebody typed stays.
    bench.find("new-topic").click()
    expect(bench.find("empty")).to_be_visible()
    expect(bench.find("prompt")).to_be_focused()
    bench.topic_menu("Untitled", "rename-topic")
    bench.find("rename").fill("Night <b>&amp;</b>")
    bench.find("rename").press("Enter")
    expect(bench.topic("Night <b>&amp;</b>")).to_have_count(1)
    bench.page.keyboard.press("F2")
    bench.find("rename").fill("never mind")
    bench.find("rename").press("Escape")
    bench.generate("an owl in the dark")
    bench.expect_all_completed(2)
    expect(bench.find("topic-title")).to_have_text("Night <b>&amp;</b>")
    bench.expect_value("bench.topic.title", "Night <b>&amp;</b>")

    # Projects hold topics; a new topic belongs to the project of the open one.
    bench.choose(bench.topic("Night").get_by_test_id("topic-menu"))
    bench.page.get_by_role("menuitem", name="Move to project").click()
    bench.page.get_by_role("menuitem", name="New project…").click()
    bench.find("rename").fill("Field trip")
    bench.find("rename").press("Enter")
    project = bench.root.get_by_role("region", name="Field trip")
    expect(project.get_by_test_id("topic")).to_have_count(1)
    bench.find("new-topic").click()
    expect(project.get_by_test_id("topic")).to_have_count(2)
    lab.shoot("projects")
    bench.choose(bench.root.get_by_role("button", name="Actions for project Field trip"))
    bench.page.get_by_role("menuitem", name="Rename project").click()
    bench.find("rename").fill("Trips")
    bench.find("rename").press("Enter")
    project = bench.root.get_by_role("region", name="Trips")
    expect(project.get_by_test_id("topic")).to_have_count(2)
    bench.expect_value("sorted(len(one.topics()) for one in ws.projects())", [1, 2])
    bench.choose(bench.root.get_by_role("button", name="Actions for project Trips"))
    bench.page.get_by_role("menuitem", name="Delete project").click()
    expect(bench.anywhere("confirm")).to_contain_text("2 topics go")
    bench.anywhere("confirm-action").click()
    expect(bench.topics()).to_have_count(1)
    expect(bench.topics()).to_contain_text("paper boat")
    bench.toast("Trips").get_by_test_id("undo").click()
    expect(project).to_contain_text("Night")
    expect(bench.topics()).to_have_count(3)


@pytest.mark.req("TOP-1", "TOP-2", "TOP-6")
def test_topics_are_switched_without_flash_and_deleted_after_asking_once(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(viewport=WIDE)
    bench = Bench.start(lab, LONG_AND_SHORT, "wb.Workbench(ws).topic = boats")
    feed, title = bench.find("feed"), bench.find("topic-title")
    expect(bench.find("thumb").nth(8)).to_be_visible()
    feed.evaluate("scroller => scroller.scrollTop = 700")
    expect(bench.find("to-top")).to_be_visible()

    def place_at_rest() -> Any:
        now = feed.evaluate(PLACE)
        drawn(lab.page)
        return now if now == feed.evaluate(PLACE) else None

    place = eventually(place_at_rest, bool)
    bench.mark(feed, "the scroller")
    bench.mark(bench.topic("Boats"), "its row")
    browser = lab.page.context.new_cdp_session(lab.page)

    def see_them_whole() -> None:
        eventually(lambda: bench.root.evaluate(WHOLE), bool)

    def go_and_come_back() -> None:
        bench.topic("Birds").click()
        expect(bench.cards()).to_have_count(2)
        see_them_whole()
        browser.send("HeapProfiler.collectGarbage")  # as it comes by itself sooner or later
        bench.topic("Boats").click()
        expect(title).to_have_text("Boats")
        eventually(lambda: feed.evaluate(PLACE), lambda now: bool(now == place))
        see_them_whole()

    go_and_come_back()  # once for the pictures of both to come
    bench.root.evaluate(EACH_FRAME)
    for _ in range(3):
        go_and_come_back()
    bench.expect_marked(feed, "the scroller")
    bench.expect_marked(bench.topic("Boats"), "its row")
    assert set(bench.root.evaluate(SEEN)) == {"Boats", "Birds"}

    # Deleting says what goes, and that once; Escape leaves everything as it is.
    bench.topic("Birds").click()
    expect(bench.cards()).to_have_count(2)
    ids = bench.ids()
    bench.py(
        "running = ws.generate('slow', n=2, topic=birds, width=64, height=64,"
        " params={'delay_ms': 5000})"
    )
    expect(bench.cards("processing").first).to_be_visible()
    bench.topic_menu("Birds", "delete-topic")
    dialog = bench.anywhere("confirm")
    expect(dialog).to_contain_text("Birds")
    expect(dialog).to_contain_text("2 images go")
    expect(dialog).to_contain_text("2 images that are still being made are cancelled")
    bench.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(bench.topics()).to_have_count(3)
    bench.topic_menu("Birds", "delete-topic")
    bench.anywhere("confirm-action").click()
    expect(bench.topic("Birds")).to_have_count(0)
    expect(dialog).to_have_count(0)
    bench.toast("Birds").hover()  # it stays while somebody is there

    # A neighbour is open and shows its own; undo brings back all but what was being made.
    expect(title).to_have_text("Boats")
    expect(bench.topic("Boats")).to_have_attribute("data-active", "")
    expect(bench.card(ids[0])).to_have_count(0)
    bench.expect_value("bench.topic.title", "Boats")
    bench.expect_value("[one.status for one in running.all_generations()]", ["cancelled"] * 2)
    bench.toast("Birds").get_by_test_id("undo").click()
    expect(bench.topic("Birds")).to_have_attribute("data-active", "")
    for id in ids:
        expect(bench.card(id)).to_have_attribute("data-status", "completed")

    # Without any topic there is nothing open, and the next prompt makes one.
    bench.py("bridges.delete(); birds.delete()")
    expect(bench.topics()).to_have_count(1)
    bench.topic_menu("Boats", "delete-topic")
    bench.anywhere("confirm-action").click()
    expect(bench.topics()).to_have_count(0)
    expect(bench.find("empty")).to_be_visible()
    bench.expect_value("bench.topic is None", True)
    bench.generate("and on it goes")
    expect(bench.topics()).to_have_count(1)
