"""The parts of the workbench as widgets of their own, side by side on one workspace."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.bench_page import IMPORT, WIDE, Bench
from tests.browser.conftest import MakeLab
from tests.browser.lab_world import LabPage, eventually

WORLD = f"""{IMPORT}
import gc, ipywidgets
from IPython.display import display
ws.set_price("sketch", 2)
ws.grant(100, "for the pictures")
foxes, owls = ws.create_topic("Foxes"), ws.create_topic("Owls")
ws.generate("a red fox", n=2, topic=foxes, width=64, height=64).wait(60)
ws.generate("an owl", n=1, topic=owls, width=64, height=64).wait(60)
"""
NAMES = ("ConfigPanel", "PromptBox", "GenerationFeed", "TopicsSidebar", "TokenBalance", "Lightbox")
MAKE = f"""
parts = {{name: getattr(wb, name)(ws) for name in {NAMES}}}
config, box, feed, topics, balance, lightbox = parts.values()
feed.topic = foxes
config.config.update(width=64, height=64, n=1)
"""
BOXES = f"""{MAKE}
rows = ipywidgets.HBox([balance, box]), ipywidgets.HBox([config, feed, topics])
ipywidgets.VBox([*rows, lightbox])
"""
# What a widget could leave in the kernel.
COUNT = """
from workbench.widgets.channel import Channel
def held():
    gc.collect()
    engine = ws._engine
    return {
        "models": len(ipywidgets.widgets.widget._instances),
        "comms": len(get_ipython().kernel.comm_manager.comms),
        "of the engine": len(engine.hub._subscribers),
        "of the desk": len(stays._desk._callbacks),
        "of the workspace": len(ws._subscriptions),
        "of the cells": len(get_ipython().events.callbacks["post_run_cell"]),
        "channels": sum(isinstance(one, Channel) and not one._closed for one in gc.get_objects()),
        "tasks": len(__import__("asyncio").all_tasks(engine.loop.loop)),
    }
"""
OPEN_COMMS = """ids => {
  const {kernel} = window.jupyterapp.shell.currentWidget.sessionContext.session;
  return ids.filter(id => kernel.hasComm(id)).length;
}"""

FACTS = """facts => Object.fromEntries([...facts.querySelectorAll("dt")]
  .map(name => [name.textContent, name.nextElementSibling.textContent]))"""
# The notebook stays the one that is in front.
CREATE_VIEW = """async () => {
  const {commands, shell} = window.jupyterapp;
  const panel = shell.currentWidget;
  panel.content.activeCellIndex = 1;
  await commands.execute("notebook:create-output-view");
  shell.activateById(panel.id);
}"""
CLOSE_VIEW = """() => [...window.jupyterapp.shell.widgets("main")]
  .find(one => one.content.hasClass("jp-LinkedOutputView")).close()"""


def opened(lab: LabPage, *cells: str, widget: str = "GenerationFeed") -> Bench:
    notebook = lab.write_and_open([WORLD, *cells])
    notebook.run_all()
    return Bench(notebook, widget)


@pytest.mark.req("LAY-3", "LAY-9", "TOK-3", "LIVE-2", "CFG-8", "LBX-1", "LBX-2")
def test_the_parts_on_one_workspace_are_in_step(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE)
    feed = opened(lab, BOXES)
    config, box, topics, tokens = (
        Bench(feed.notebook, name)
        for name in ("ConfigPanel", "PromptBox", "TopicsSidebar", "TokenBalance")
    )
    left, estimate = tokens.find("balance"), box.find("estimate")
    feed.expect_all_completed(2)
    expect(left).to_have_attribute("data-micro", "94000000")
    first, *others = feed.value("[len(part._esm) for part in parts.values()]")
    assert first > 50_000, "the first one carries the bundle"
    assert max(others) < 3_000, "the others find it in the page"
    lab.shoot("separate-widgets")
    # None of the row is pushed out of it, or to nothing, when all that they show has come.
    expect(config.find("model-select")).to_be_visible()
    expect(topics.topic("Owls")).to_be_visible()
    for part, least in ((config, 200), (feed, 400), (topics, 200)):
        assert part.root.evaluate("root => root.clientWidth") > least, part.widget

    # The panel sets what the box asks for; the feed shows it, and the tokens go down.
    expect(estimate).to_contain_text("2 tokens")
    config.enter("count", "2")
    expect(estimate).to_contain_text("4 tokens")
    feed.py("ws.grant(6, 'more')")
    expect(left).to_have_attribute("data-micro", "100000000")
    box.generate("two more foxes")
    feed.expect_all_completed(4)
    expect(left).to_have_attribute("data-micro", "96000000")

    # The list of topics switches the feed, for Python, too.
    topics.topic("Owls").get_by_role("button").first.click()
    feed.expect_all_completed(1)
    feed.expect_value("[part.topic.title for part in parts.values()]", ["Owls"] * 6)

    # A picture opens in one lightbox, whoever asks.
    large = feed.anywhere("lightbox")
    feed.find("thumb").click()
    expect(large).to_have_attribute("data-id", feed.ids()[0])
    expect(large).to_have_count(1)
    feed.page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    fox = feed.value("ws.generations(topic=foxes).items[0].id")
    feed.py(f"lightbox.open({fox!r})")
    expect(large).to_have_attribute("data-id", fox)
    facts = large.locator(".wbx-facts").evaluate(FACTS)
    seed = feed.value(f"str(ws.generation({fox!r}).seed)")
    assert [facts[name] for name in ("Size", "Seed", "Cost")] == ["64 × 64", seed, "2 tokens"]
    large.get_by_test_id("open-topic").click()
    expect(large).to_have_count(0)
    feed.expect_all_completed(4)
    feed.expect_value("[part.topic.title for part in parts.values()]", ["Foxes"] * 6)

    open_a_picture_in_a_view_of_the_output(feed)

    # What is set on one of them in Python is shown by another.
    feed.py("topics.prompt = 'from Python'; feed.config.seed = 77")
    expect(box.find("prompt")).to_have_value("from Python")
    expect(config.find("seed")).to_have_value("77")


def open_a_picture_in_a_view_of_the_output(feed: Bench) -> None:
    """JupyterLab's own "Create New View for Cell Output": the same widgets a second time."""
    page, first = feed.page, feed.notebook.output(1)
    second = feed.ids()[1]
    page.evaluate(CREATE_VIEW)
    view = page.locator(".jp-LinkedOutputView .wbx[data-widget=GenerationFeed]")
    view.get_by_test_id("thumb").first.click()
    large = page.locator("dialog[data-testid=lightbox][open]")
    expect(large).to_have_count(1)
    page.keyboard.press("ArrowRight")
    expect(large).to_have_attribute("data-id", second)
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    expect(view.locator(f"[data-testid=generation][data-id='{second}']")).to_be_focused()
    page.keyboard.press("f")
    favourite = first.locator(f"[data-id='{second}']").get_by_test_id("favourite")
    expect(favourite).to_have_attribute("aria-pressed", "true")
    page.evaluate(CLOSE_VIEW)
    expect(feed.root).to_have_count(1)


@pytest.mark.req("LAY-3")
def test_a_closed_widget_leaves_nothing_behind(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE)
    tokens = opened(lab, f"stays = wb.TokenBalance(ws)\n{COUNT}\nstays", widget="TokenBalance")
    expect(tokens.find("balance")).to_have_attribute("data-micro", "94000000")
    for name in NAMES:
        with pytest.raises(Exception, match=r"Did you mean 'accent'"):
            tokens.py(f"wb.{name}(ws, acent='red')")
    before = tokens.value("held()")

    # Two views of one feed show the same.
    tokens.notebook.insert_and_run(f"{MAKE}\ndisplay(*parts.values(), feed)")
    feeds = Bench(tokens.notebook, "GenerationFeed")
    expect(feeds.root).to_have_count(2)
    expect(feeds.cards("completed")).to_have_count(4)
    tokens.py("ws.generate('one more', n=1, topic=foxes, width=64, height=64).wait(60)")
    expect(feeds.cards("completed")).to_have_count(6)
    during = tokens.value("held()")
    assert during["channels"] == before["channels"] + len(NAMES)
    assert all(during[what] > before[what] for what in ("models", "comms", "tasks")), during
    ids = tokens.value("[part.model_id for part in parts.values()]")
    assert tokens.page.evaluate(OPEN_COMMS, ids) == len(NAMES)

    tokens.py("for part in parts.values(): part.close()")
    expect(tokens.page.locator(".wbx")).to_have_count(1)  # the one that stays
    eventually(lambda: tokens.page.evaluate(OPEN_COMMS, ids), lambda count: count == 0)
    tokens.py("parts.clear(); del part, config, box, feed, topics, balance, lightbox")
    # Fewer where something had still been on its way before.
    eventually(
        lambda: {what: held - before[what] for what, held in tokens.value("held()").items()},
        lambda more: max(more.values()) <= 0,
    )
    tokens.py("ws.grant(6, 'more')")
    expect(tokens.find("balance")).to_have_attribute("data-micro", "98000000")


# One picture's file is spoilt, and one row is nothing that the page can draw.
SPOILT = """
batch = ws.generate("some are spoilt", n=3, topic=foxes, width=64, height=64).wait(60)
good, bad, odd = ids = [one.id for one in batch.generations]
original = ws._engine.media.path(ws.generation(bad).asset.id)
original.chmod(0o600)
original.write_bytes(b"this is no picture")

from workbench.widgets import rows
as_it_is = rows.Rows.generation
def spoilt(self, view):
    row = as_it_is(self, view)
    return row | {"status": "no such status"} if view.record.id == odd else row
rows.Rows.generation = spoilt

feed = wb.GenerationFeed(ws)
feed.topic = foxes
feed
"""


@pytest.mark.req("LAY-6")
def test_a_fault_in_one_item_is_told_there_and_the_rest_goes_on(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE)
    lab.console.allow("an item could not be shown")
    feed = opened(lab, SPOILT)
    good, bad, odd = feed.value("ids")
    batch = feed.batch(feed.value("batch.id"))
    expect(feed.card(good).get_by_test_id("thumb")).to_be_visible()
    expect(feed.card(bad).get_by_test_id("error")).to_be_visible(timeout=45_000)  # it was retried
    expect(feed.card(odd)).to_have_count(0)
    expect(batch.get_by_role("listitem")).to_have_count(3)
    expect(batch.get_by_role("listitem").nth(2)).to_have_attribute("data-testid", "error")
    lab.shoot("fault-in-one-item", feed.root)

    # The large view says it, too, and goes on to the neighbours.
    feed.card(good).get_by_test_id("thumb").click()
    large = feed.anywhere("lightbox")
    expect(large.get_by_test_id("lightbox-image")).to_be_visible()
    feed.page.keyboard.press("ArrowRight")
    expect(large).to_have_attribute("data-id", bad)
    expect(large.get_by_test_id("error")).to_be_visible()
    feed.page.keyboard.press("ArrowLeft")
    expect(large).to_have_attribute("data-id", good)
    expect(large.get_by_test_id("error")).to_have_count(0)
    feed.page.keyboard.press("Escape")
    feed.py("ws.generate('after it', n=1, topic=foxes, width=64, height=64).wait(60)")
    feed.expect_all_completed(5)
