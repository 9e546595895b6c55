"""One person's way through the widget in JupyterLab: nothing is lost, whatever is restarted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.lab_world import LabPage, eventually

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


@pytest.mark.req(
    "LAY-1", "PRM-1a", "PRM-3", "PRM-4", "FEED-2", "FEED-9", "LBX-1", "CFG-7", "LIVE-5", "LAY-10"
)
def test_four_pictures_survive_reload_and_restart(lab: LabPage) -> None:
    notebook = lab.write_and_open(WORKBENCH)
    notebook.run_all()
    root = notebook.widget()
    live(root)
    notebook.insert_and_run(SMALL)
    generate(root, "a red fox in the snow")
    expect(root.locator("[data-testid=generation]")).to_have_count(4)
    expect(root.locator(COMPLETED)).to_have_count(4, timeout=60_000)
    expect(root.locator(UNFINISHED)).to_have_count(0)
    made = ids(root)
    expect(root.get_by_test_id("topic")).to_have_count(1)

    root.locator("[data-testid=thumb]").first.click()
    box = lab.page.get_by_test_id("lightbox")
    expect(box).to_be_visible()
    covered = box.evaluate(
        "box => { const r = box.getBoundingClientRect();"
        " return r.width >= innerWidth - 1 && r.height >= innerHeight - 1; }"
    )
    assert covered, "the lightbox is clipped to the notebook"
    lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.press("4")
    lab.page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    rated = eventually(
        lambda: notebook.text(
            notebook.insert_and_run("print([g.rating for g in ws.generations().items])")
        ),
        lambda text: "4" in text,
    )
    assert rated.count("4") == 1

    root.get_by_test_id("prompt").fill("not sent yet")
    root.get_by_test_id("ratio-lock").click()
    eventually(
        lambda: notebook.text(notebook.insert_and_run("print(bench.prompt)")),
        lambda text: "not sent yet" in text,
    )
    notebook.reload()
    live(root)
    assert ids(root) == made
    expect(root.get_by_test_id("prompt")).to_have_value("not sent yet")
    expect(root.get_by_test_id("width")).to_have_value("256")

    notebook.restart()
    notebook.run(0)
    notebook.run(1)
    live(root)
    expect(root.locator(COMPLETED)).to_have_count(4)
    assert ids(root) == made
    expect(root.get_by_test_id("prompt")).to_have_value("not sent yet")
    expect(root.get_by_test_id("width")).to_have_value("256")
    expect(root.get_by_test_id("ratio-lock")).to_have_attribute("aria-pressed", re.compile("true"))
    html = str(notebook.saved())
    assert "a red fox in the snow" in html
    assert "data:image/webp;base64," in html, "a saved notebook shows its pictures"


@pytest.mark.req("LIVE-9", "PRM-3")
@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("import time; time.sleep(12)", "sleeping"),
        ("import time\nend = time.monotonic() + 12\nwhile time.monotonic() < end: pass", "busy"),
        ("import asyncio; await asyncio.sleep(12)", "awaiting"),
    ],
)
def test_a_click_is_answered_while_a_cell_runs(lab: LabPage, cell: str, kind: str) -> None:
    notebook = lab.write_and_open(WORKBENCH)
    notebook.run_all()
    root = notebook.widget()
    live(root)
    # What a subshell does is told as the kernel's state too: the cell says itself when it ended.
    running = notebook.insert_and_run(f"{cell}\nprint('ended')", wait=False)
    lab.page.wait_for_timeout(1500)  # well into the cell, pings have been published
    root.get_by_test_id("prompt").fill(f"a lighthouse while it is {kind}")
    took = root.evaluate(
        """async root => {
          const acknowledged = () => root.querySelector(
            '[data-testid=generation][data-id]:not([data-id^="new"])');
          const start = performance.now();
          root.querySelector('[data-testid=generate]').click();
          while (!/^[0-9a-hjkmnp-tv-z]{26}$/.test(acknowledged()?.dataset.id ?? '')) {
            if (performance.now() - start > 8000) return -1;
            await new Promise(done => requestAnimationFrame(done));
          }
          return performance.now() - start;
        }"""
    )
    assert notebook.text(running) == "", "the cell ended before the answer"
    assert 0 <= took <= 1000
    expect(root.locator(COMPLETED)).not_to_have_count(0, timeout=30_000)


@pytest.mark.req("LIVE-7", "LIVE-8", "TOP-1")
def test_two_notebooks_on_one_workspace_see_each_other(make_lab: MakeLab) -> None:
    lab, other_lab = make_lab(viewport=WIDE), make_lab(viewport=WIDE)
    home = str(lab.folder / "shared")
    cells = [f"import workbench as wb\nws = wb.open({home!r})", "bench = wb.Workbench(ws)\nbench"]
    first = lab.write_and_open(cells)
    first.run_all()
    live(first.widget())
    first.insert_and_run(
        "ws.generate('a boat', n=2, width=256, height=256, topic=ws.create_topic('Shared')).wait()"
    )
    second = other_lab.write_and_open(cells)
    second.run_all()
    theirs = second.widget()
    live(theirs)
    theirs.get_by_test_id("topic").first.click()
    expect(theirs.locator(COMPLETED)).to_have_count(2)
    theirs.locator("[data-testid=generation]").first.evaluate("node => { node.marked = true; }")
    kept = str(theirs.locator("[data-testid=generation]").first.get_attribute("data-id"))
    mine = first.widget()
    mine.get_by_test_id("topic").first.click()
    first.insert_and_run(SMALL)
    generate(mine, "a second boat")
    expect(theirs.locator("[data-testid=generation]")).to_have_count(6)
    expect(theirs.locator(COMPLETED)).to_have_count(6, timeout=60_000)
    still = theirs.locator(f"[data-id='{kept}']").evaluate("node => node.marked === true")
    assert still, "an untouched card was drawn anew"
    first.insert_and_run("ws.topics()[0].title = 'Renamed elsewhere'")
    expect(theirs.get_by_test_id("topic").first).to_contain_text("Renamed elsewhere")


@pytest.mark.req("FEED-9", "FEED-10a", "LIVE-4")
def test_a_reload_in_mid_generation_shows_the_same_job(lab: LabPage) -> None:
    notebook = lab.write_and_open(WORKBENCH)
    notebook.run_all()
    root = notebook.widget()
    live(root)
    notebook.insert_and_run(
        "batch = ws.generate('slow', n=2, width=256, height=256, params={'delay_ms': 400})\n"
        "bench.topic = ws.topics()[0]"
    )
    running = root.locator("[data-testid=generation][data-status=processing]")
    expect(running).not_to_have_count(0, timeout=30_000)
    made = ids(root)
    notebook.reload()
    live(root)
    assert ids(root) == made
    expect(root.locator(COMPLETED)).to_have_count(2, timeout=60_000)
    counted = notebook.text(notebook.insert_and_run("print(len(batch.all_generations()))"))
    assert counted.strip() == "2"


@pytest.mark.req("FEED-6", "FEED-8", "FEED-2", "TOP-2", "TOP-6")
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
