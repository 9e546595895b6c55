"""The story of the workbench: from a prompt to four pictures, and nothing that happens to the page
or to the kernel loses any of it."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Locator, expect

from tests.browser.bench_page import SHOWN_AT, WIDE, Bench
from tests.browser.conftest import MakeLab
from tests.browser.held_kernel import held
from tests.browser.lab_world import LabPage, eventually
from tests.browser.servers import TOKEN

PROMPT = "a red fox in the snow, birch trees, evening"
# So that every machine has the time to show each state, and no more than two end at a time.
UNHURRIED = """
wb.Workbench(ws).config.update(delay_ms=150)
ws._engine.registry.provider("builtin").concurrency = 2
"""
DRAFT = "half a sentence about"
STORED_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")


@pytest.mark.req(
    "PRM-4", "PRM-3", "FEED-2", "LBX-1", "LBX-3", "CFG-7", "FEED-9", "LAY-7", "LAY-10", "LAY-1"
)
def test_four_pictures_arrive_and_survive_reload_restart_and_the_end_of_the_kernel(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(viewport=WIDE)
    bench = Bench.start(lab, UNHURRIED, name="story.ipynb")
    expect(bench.find("empty")).to_be_visible()
    assert bench.root.evaluate("root => root.offsetHeight") == 660, "as high as was asked for"
    lab.shoot("story-1-empty")

    # They arrive live, each by itself, in the place that was theirs from the start.
    bench.watch()
    _see_the_rows_before_anybody_knows_of_them(bench)
    expect(bench.cards("processing").first).to_be_visible()
    lab.shoot("story-2-arriving")
    bench.expect_all_completed(4)
    seen = bench.lives()
    ids = bench.ids()
    assert len(set(ids)) == 4
    for id in ids:
        life = seen["lives"][id]
        assert life["nodes"] == 1, life
        assert life["statuses"][-2:] == ["processing", "completed"], life
        assert life["progress"] == sorted(life["progress"]), life
        assert len(life["progress"]) > 2, life
    assert any(
        "completed" in now.values() and "processing" in now.values() for now in seen["together"]
    ), "they all came at once"
    for id in ids:
        thumb = bench.card(id).get_by_test_id("thumb")
        expect(thumb).to_be_visible()
        assert thumb.evaluate("image => image.decode().then(() => image.naturalWidth)") >= 200
    expect(bench.topics()).to_have_count(1)
    expect(bench.topics()).to_contain_text("fox")
    lab.shoot("story-3-arrived")

    _walk_through_the_lightbox(lab, bench, ids)

    # A half-written prompt and other settings.
    bench.find("prompt").fill(DRAFT)
    bench.find("ratio-lock").click()
    bench.enter("width", "640")
    bench.enter("count", "3")
    bench.enter("seed", "77")
    height = bench.find("height").input_value()
    bench.expect_value("[bench.prompt, bench.config.seed]", [DRAFT, 77])
    topic, title = bench.topics().get_attribute("data-id"), bench.find("topic-title").inner_text()

    # The settings as wide as they may be, and no topics.
    settings = bench.root.locator(".wbx-panel[data-side=config]")
    usual = width_of(settings)
    bench.root.locator("[role=separator][data-side=start]").press("End")
    wide = eventually(lambda: width_of(settings), lambda width: width > usual)
    bench.find("collapse-topics").click()
    bench.expect_value("bench._desk._state.panels.get('topics_open')", False)

    def expect_nothing_lost(bench: Bench) -> None:
        bench.expect_all_completed(4)
        assert bench.ids() == ids
        assert bench.find("prompt").input_value() == DRAFT
        for field, value in {"width": "640", "height": height, "count": "3", "seed": "77"}.items():
            expect(bench.find(field)).to_have_value(value)
        expect(bench.find("ratio-lock")).to_have_attribute("aria-pressed", "true")
        assert width_of(settings) == wide
        expect(bench.find("expand-topics")).to_be_visible()
        expect(bench.topics()).to_have_count(0)
        expect(bench.find("topic-title")).to_have_text(title)
        bench.expect_value("bench.topic.id", topic)
        expect(bench.card(ids[3]).get_by_test_id("thumb")).to_be_visible()

    bench.notebook.reload()
    expect_nothing_lost(bench.ready())

    bench.notebook.restart()
    expect(bench.find("link-note")).to_contain_text("Nothing is lost")
    expect(bench.find("live")).to_have_attribute("data-state", "offline")
    lab.shoot("story-4-restarted")
    bench.notebook.run_all()
    expect_nothing_lost(bench.ready())
    assert bench.value("[len(ws.generations(limit=99).items), bench.config.width]") == [4, 640]
    bench.find("expand-topics").click()
    expect(bench.topics()).to_have_attribute("data-id", str(topic))
    expect(bench.topics()).to_have_attribute("data-active", "")

    # The sheet has its pictures some seconds after the live view.
    saved = eventually(
        bench.notebook.saved, lambda book: sheet_of(book).count("<img") == 4, every_s=0.5
    )
    _see_the_saved_notebook(lab, saved)


def sheet_of(saved: nbformat.NotebookNode) -> str:
    """What stays of the widget where no kernel runs."""
    texts = (
        "".join(one.get("data", {}).get("text/html", "")) for one in saved.cells[SHOWN_AT].outputs
    )
    return "\n".join(text for text in texts if "wbx-sheet" in text)


def width_of(element: Locator) -> int:
    return int(element.evaluate("element => element.offsetWidth"))


def _see_the_rows_before_anybody_knows_of_them(bench: Bench) -> None:
    """While the kernel stands still, a click shows all the same; its rows become the real ones."""
    database = Path(bench.value("str(ws.path)"), "workbench.sqlite3")
    with held(bench):
        bench.generate(PROMPT)
        expect(bench.cards("pending")).to_have_count(4)
        expect(bench.find("prompt")).to_have_value("")
        assert not [id for id in bench.ids() if STORED_ID.fullmatch(id)]
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            assert connection.execute("SELECT count(*) FROM batch").fetchone() == (0,)
        for card in bench.cards().all():
            bench.mark(card, "shown at once")
    expect(bench.cards().last).to_have_attribute("data-id", STORED_ID)
    assert all(STORED_ID.fullmatch(id) for id in bench.ids())
    for card in bench.cards().all():
        bench.expect_marked(card, "shown at once")


def _walk_through_the_lightbox(lab: LabPage, bench: Bench, ids: list[str]) -> None:
    page = bench.page
    bench.card(ids[1]).get_by_test_id("thumb").click()
    box = bench.anywhere("lightbox")
    expect(box).to_have_attribute("data-id", ids[1])
    image = box.get_by_test_id("lightbox-image")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 256
    expect(box).to_contain_text(PROMPT)
    lab.shoot("story-lightbox")
    window = page.viewport_size
    shown = box.bounding_box()
    assert window
    assert shown
    assert (shown["width"], shown["height"]) == (window["width"], window["height"])
    walk = ("ArrowRight", 2), ("ArrowRight", 3), ("Home", 0), ("End", 3), ("ArrowLeft", 2)
    for key, at in walk:
        page.keyboard.press(key)
        expect(box).to_have_attribute("data-id", ids[at])
        expect(image).to_be_visible()
    page.keyboard.press("Tab")
    assert box.evaluate("box => box.contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    expect(bench.card(ids[2])).to_be_focused()
    assert bench.notebook.cells() == 2  # no key of it has reached the notebook


def _see_the_saved_notebook(lab: LabPage, saved: nbformat.NotebookNode) -> None:
    """In a page that has no kernel, and no script of ours."""
    text = nbformat.writes(saved)
    assert TOKEN not in text
    assert len(text) < 300_000
    html = Path(lab.folder, "saved.html")
    html.write_text(HTMLExporter().from_notebook_node(saved)[0], encoding="utf-8")
    page = lab.page.context.browser.new_page(java_script_enabled=False)  # type: ignore[union-attr]
    page.goto(html.as_uri())
    sheet = page.locator(".wbx-sheet")
    expect(sheet).to_have_count(1)
    expect(sheet).to_contain_text(PROMPT)
    pictures = sheet.locator("img")
    expect(pictures).to_have_count(4)
    sheet.scroll_into_view_if_needed()
    page.screenshot(path=lab.shoot("story-5-saved"))
    page.close()
