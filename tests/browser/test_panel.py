"""The configuration panel and the prompt box, from both sides."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.lab_world import eventually
from tests.browser.test_deleting import COMPLETED, SMALL, WIDE, WORKBENCH, live

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.conftest import MakeLab
    from tests.browser.lab_world import OpenNotebook


# Can all that an element says be seen, if only by scrolling?
IS_WHOLE = """element => element.scrollHeight <= element.clientHeight + 1
  || getComputedStyle(element).overflowY === 'auto'"""


FROM_THE_LEFT = """root => Object.entries(
    {topics: "[data-side=topics]", config: "[data-side=config]", main: ".wbx-main"})
  .map(([name, what]) => [root.querySelector(what).getBoundingClientRect().x, name])
  .sort((a, b) => a[0] - b[0]).map(([, name]) => name)"""


def tell(notebook: OpenNotebook, expression: str) -> str:
    return notebook.text(notebook.insert_and_run(f"print({expression})")).strip()


def height_of(element: Locator) -> float:
    return float(element.evaluate("element => element.getBoundingClientRect().height"))


@pytest.mark.req("CFG-1", "CFG-2", "CFG-3", "CFG-4", "CFG-5", "CFG-8", "LAY-1")
def test_the_panel_and_python_move_each_other(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE)
    notebook = lab.write_and_open(WORKBENCH)
    notebook.run_all()
    root = notebook.widget()
    live(root)
    expect(root.get_by_test_id("model-select")).to_be_visible()
    assert root.evaluate(FROM_THE_LEFT) == ["config", "main", "topics"]
    width, height = root.get_by_test_id("width"), root.get_by_test_id("height")
    root.get_by_test_id("ratio-16:9").click()
    expect(width).not_to_have_value(height.input_value())
    eventually(
        lambda: tell(notebook, "round(bench.config.width / bench.config.height, 1)"),
        lambda ratio: ratio == "1.8",
    )
    root.get_by_test_id("ratio-1:1").click()
    lock = root.get_by_test_id("ratio-lock")
    if lock.get_attribute("aria-pressed") != "true":
        lock.click()
    width.fill("256")
    width.press("Enter")
    expect(height).to_have_value("256")
    eventually(lambda: tell(notebook, "bench.config.height"), lambda told: told == "256")
    notebook.insert_and_run("bench.config.update(width=320, height=448, n=2)")
    expect(width).to_have_value("320")
    expect(height).to_have_value("448")
    expect(root.get_by_test_id("count")).to_have_value("2")
    root.get_by_test_id("count").fill("3")
    root.get_by_test_id("count").press("Enter")
    eventually(lambda: tell(notebook, "bench.config.n"), lambda n: n == "3")
    expect(root.get_by_test_id("seed")).to_have_value("")
    root.get_by_test_id("seed-dice").click()
    expect(root.get_by_test_id("seed")).to_have_value(re.compile(r"^\d+$"))
    seed = root.get_by_test_id("seed").input_value()
    eventually(lambda: tell(notebook, "bench.config.seed"), lambda told: told == seed)
    width.fill("99999")
    width.press("Enter")
    assert int(tell(notebook, "bench.config.width")) <= 2048


@pytest.mark.req("PRM-1", "PRM-2", "PRM-3", "PRM-5", "FEED-1")
def test_ten_quick_prompts_stay_in_order_and_a_long_one_is_kept_whole(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE)
    notebook = lab.write_and_open(WORKBENCH)
    notebook.run_all()
    root = notebook.widget()
    live(root)
    notebook.insert_and_run(SMALL + "\nbench.config.n = 1")
    expect(root.get_by_test_id("count")).to_have_value("1")
    prompt = root.get_by_test_id("prompt")
    for number in range(10):
        prompt.fill(f"quick prompt {number}")
        prompt.press("Control+Enter")
    done = "sum(b.status == 'completed' for b in bench.topic.batches(limit=50).items)"
    # Only what is near is in the DOM.
    eventually(lambda: tell(notebook, done), lambda count: count == "10", within_s=60)
    told = tell(notebook, "[b.record.prompt[-1] for b in bench.topic.batches(limit=50).items]")
    assert told == str([str(number) for number in reversed(range(10))])
    prompt.fill("double")
    root.get_by_test_id("generate").dblclick()
    eventually(lambda: tell(notebook, done), lambda count: count == "11", within_s=30)
    long = "a long prompt " * 700
    low = height_of(prompt)
    prompt.fill(long)
    assert height_of(prompt) > low, "it does not grow"
    prompt.press("Control+Enter")
    eventually(lambda: height_of(prompt), lambda height: height == low)
    eventually(lambda: tell(notebook, done), lambda count: count == "12", within_s=30)
    kept = "bench.topic.batches(limit=1).items[0].record.prompt.count('a long prompt')"
    assert tell(notebook, kept) == "700"
    assert tell(notebook, "len(bench.topic.batches(limit=50).items)") == "12"
    # In an empty box the arrow keys go through what was asked for.
    for key, words in (
        ("Up", long.strip()),
        ("Up", "double"),
        ("Down", long.strip()),
        ("Down", ""),
    ):
        prompt.press(f"Arrow{key}")
        eventually(lambda: prompt.input_value().strip(), lambda value, words=words: value == words)
    root.get_by_test_id("feed").evaluate("feed => { feed.scrollTop = 0; }")
    shown = root.locator(".wbx-batch").first.locator(".wbx-prompt")
    words, more = shown.locator("p"), shown.locator(".wbx-more")
    clamped = words.inner_text()
    assert len(clamped) < 1000
    more.click()
    expect(words).to_have_text(long)
    expect(more).to_have_text("less")
    assert words.evaluate(IS_WHOLE)
    more.click()
    assert words.inner_text() == clamped
    assert not words.evaluate(IS_WHOLE)


@pytest.mark.req("FEED-6", "FEED-1", "FEED-10a", "FEED-10b", "TOK-3", "TOP-1", "TOP-7")
def test_download_reuse_cancel_pause_and_tokens(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE, accept_downloads=True)
    notebook = lab.write_and_open(WORKBENCH)
    notebook.run_all()
    root = notebook.widget()
    live(root)
    notebook.insert_and_run(SMALL + "\nws.grant(100, 'test')\nws.set_price('sketch', 2)")
    expect(root.get_by_test_id("balance")).to_have_attribute("data-micro", "100000000")
    root.get_by_test_id("prompt").fill("a boat to keep")
    root.get_by_test_id("prompt").press("Control+Enter")
    expect(root.locator(COMPLETED)).to_have_count(4, timeout=60_000)
    expect(root.get_by_test_id("balance")).to_have_attribute("data-micro", "92000000")
    card = root.locator(COMPLETED).first
    card.hover()
    with lab.page.expect_download() as arriving:
        card.get_by_test_id("download").first.click()
    path = arriving.value.path()
    assert path.read_bytes().startswith(b"\x89PNG")
    assert b"a boat to keep" in path.read_bytes(), "the file says how it was made"
    card.hover()
    card.get_by_role("button").last.click()
    lab.page.get_by_test_id("reuse-seed").first.click()
    expect(root.get_by_test_id("seed")).to_have_value(re.compile(r"^\d+$"))
    lab.page.get_by_test_id("undo").first.click()
    expect(root.get_by_test_id("seed")).to_have_value("")

    root.get_by_test_id("pause").click()
    expect(root.get_by_test_id("paused")).to_be_visible()
    root.get_by_test_id("prompt").fill("waits")
    root.get_by_test_id("prompt").press("Control+Enter")
    expect(root.locator("[data-testid=generation][data-status=pending]")).to_have_count(4)
    root.locator("[data-testid=generation][data-status=pending]").first.hover()
    root.locator("[data-testid=generation][data-status=pending]").first.get_by_test_id(
        "cancel"
    ).click()
    expect(root.locator("[data-testid=generation][data-status=cancelled]")).to_have_count(1)
    expect(root.locator("[data-testid=generation][data-status=pending]")).to_have_count(3)
    root.get_by_test_id("resume").first.click()
    expect(root.locator(COMPLETED)).to_have_count(7, timeout=60_000)
    expect(root.get_by_test_id("balance")).to_have_attribute("data-micro", "86000000")
