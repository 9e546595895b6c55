"""The shortest way through: a widget is drawn, and what happens in Python is seen in it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.lab_world import Host, LabPage

FEED = ["import workbench as wb\nws = wb.open()\nfeed = wb.GenerationFeed(ws)\nfeed"]
GENERATE = "ws.generate('a red fox in the snow', n=2, width=128, height=128).wait()"
COMPLETED = "[data-testid=generation][data-status=completed]"


@pytest.mark.parametrize("host", ["lab"])
def test_pictures_made_in_python_arrive_in_the_feed(lab: LabPage, host: Host) -> None:
    notebook = lab.write_and_open(FEED, host=host)
    notebook.run_all()
    feed = notebook.widget("GenerationFeed")
    expect(feed).to_be_visible()
    notebook.insert_and_run(GENERATE)
    expect(feed.locator(COMPLETED)).to_have_count(2)
    thumb = feed.get_by_test_id("thumb").first
    expect(thumb).to_be_visible()
    assert thumb.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    lab.shoot(f"smoke-feed-{host}")


@pytest.mark.parametrize("host", ["notebook"])  # in JupyterLab it is part of the story
def test_a_prompt_becomes_pictures_in_the_workbench(lab: LabPage, host: Host) -> None:
    notebook = lab.write_and_open(["import workbench as wb", "wb.Workbench()"], host=host)
    notebook.run_all()
    root = notebook.widget()
    expect(root.get_by_test_id("live")).to_have_attribute("data-state", "live")
    root.get_by_test_id("prompt").fill("a red fox in the snow")
    root.get_by_test_id("generate").click()
    expect(root.locator(COMPLETED)).not_to_have_count(0, timeout=60_000)
    expect(root.locator("[data-testid=generation]:not([data-status=completed])")).to_have_count(
        0, timeout=60_000
    )
    lab.shoot(f"smoke-workbench-{host}")

    # Notebook 7 hears keys before the widget does: its commands are not meant.
    notebook._in_panel("panel.content.activeCellIndex = 1; panel.content.mode = 'command'")
    before = notebook.cells(), notebook.cell_types()
    for place in (root.get_by_test_id("generate"), root.get_by_test_id("prompt")):
        for key in ("b", "m", "a", "d", "d", "x", "Control+z", "ArrowDown"):
            place.focus()
            lab.page.keyboard.press(key)
            assert (notebook.cells(), notebook.cell_types()) == before, key
    assert notebook._in_panel("return panel.content.activeCellIndex") == 1
    marks = root.evaluate("root => root.querySelectorAll('[data-lm-suppress-shortcuts]').length")
    assert marks == 0
