"""Scenes of the separate widgets, and of what a topic or a picture shows now and then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from playwright.sync_api import expect

from tests.browser.lab_world import eventually
from tests.browser.scenes import (
    BENCH_HEIGHT,
    OPEN,
    SHOW,
    House,
    Scene,
    Setting,
    Stage,
    lab_stage,
    over_window,
)

PARTS = {
    "ConfigPanel": "The settings as a widget of their own.",
    "PromptBox": "The prompt box as a widget of its own.",
    "GenerationFeed": "The feed as a widget of its own.",
    "TopicsSidebar": "The topics as a widget of their own.",
    "TokenBalance": "The balance as a widget of its own.",
}
# One cell each; what one of them is set to, all of them are.
PART_CELLS = tuple(
    f"bench = wb.{name}(ws"
    + (f", height={BENCH_HEIGHT})" if name == "GenerationFeed" else ")")
    + '\nbench.topic = topics["Harbour studies"]\nbench'
    for name in PARTS
)
LIGHTBOX = "large = wb.Lightbox(ws)\nlarge"
ANOTHER_TOPIC = 'large.open(ws.generations(topic=topics["Figure 3, night"]).items[0].id)'

LONG = """
roll = ws.create_topic("Contact prints")
small = {"topic": roll, "width": 256, "height": 256, "params": {"steps": 8}}
for number, prompt in enumerate(("dunes at noon", "a river in fog", "three red boats", "a pier")):
    ws.generate(prompt, n=6, seed=10 * number, **small).wait(120)
topics["Contact prints"] = roll
"""
# Two more than fit into what is painted at once, in two topics.
BUSY = """
running = [ws.generate("a regatta far out", n=6, topic=topics[title], delay_ms=60_000)
           for title in ("Harbour studies", "Palette sweep")]
"""
NOT_BUSY = """
for batch in running:
    batch.cancel()
    batch.wait(60)
    batch.delete()
"""
# The kernel hears of no topic that is to be opened until it is let go.
HOLD_TOPICS = """() => {
  const send = WebSocket.prototype.send;
  const seen = new TextDecoder("latin1");
  WebSocket.prototype.send = function (data) {
    const text = typeof data === "string" ? data : seen.decode(data);
    if (!/"op":\\s*"topic.open"/.test(text)) send.call(this, data);
  };
  globalThis.openTopics = () => { WebSocket.prototype.send = send; };
}"""
# An image, a batch, a topic and a project of the demonstration, each with what is in it.
DELETE = """
kept = topics["Figure 3, night"]
image = ws.generations(topic=topics["Harbour studies"], status="completed").items[0]
batch = topics["Palette sweep"].batches().items[0]
animals = ws.create_project("Animals")
animals.create_topic("Foxes")
for gone in (image, batch, kept, animals):
    gone.delete()
"""
EMPTY_TRASH = """
for item in ws.trash():
    item.restore()
animals.delete()
ws.empty_trash()
"""
# Paints like the built-in provider, and says no price: neither before nor after.
STUDIO = """
import dataclasses
from workbench.domain.records import BY_PROVIDER, Price
from workbench.providers.sketch.provider import SketchProvider
class Studio(SketchProvider):
    name, title = "studio", "Studio"
    def models(self):
        return [dataclasses.replace(
            model, id="studio:canvas", provider="studio", name="canvas", title="Canvas",
            aliases=(), price=Price(unit="USD", version=BY_PROVIDER)) for model in super().models()]
ws.add_provider(Studio())
ws.generate("a reef", model="studio:canvas", n=3, width=256, height=256,
            topic=topics["Palette sweep"]).wait(60)
"""


# -- separate widgets -----------------------------------------------------------------------------


@contextmanager
def _parts(house: House) -> Iterator[Stage]:
    with lab_stage(house, "parts", (OPEN, *PART_CELLS, LIGHTBOX)) as stage:
        stage.bench.widget = next(iter(PARTS))
        yield stage


def _part(stage: Stage, name: str) -> None:
    stage.bench.widget = name
    expect(stage.root).to_be_visible()


def _lightbox_elsewhere(stage: Stage) -> None:
    """Opened by Python while the widgets show another topic."""
    stage.bench.py(ANOTHER_TOPIC)
    box = stage.page.get_by_test_id("lightbox")
    expect(box.get_by_test_id("open-topic")).to_be_visible()
    expect(box.get_by_test_id("lightbox-image")).to_be_visible()
    stage.point_away()


# -- topics ---------------------------------------------------------------------------------------


@contextmanager
def _busy(house: House) -> Iterator[Stage]:
    with lab_stage(house, "busy") as stage:
        stage.bench.py(BUSY)
        yield stage
        stage.bench.py(NOT_BUSY)


def _topic_menu(stage: Stage) -> None:
    topic = stage.panel("topics").get_by_test_id("topic").filter(has_text="Harbour")
    topic.hover()
    topic.get_by_test_id("topic-menu").click()
    entry = stage.page.get_by_test_id("cancel-topic")
    expect(entry).to_contain_text("6")
    entry.hover()


def _leave_topic_menu(stage: Stage) -> None:
    stage.escape()
    expect(stage.page.locator(".wbx-drop")).to_have_count(0)
    stage.close_drawer()
    stage.point_away()


def _cancel_everything(stage: Stage) -> None:
    stage.panel("topics").get_by_test_id("topics-more").click()
    stage.page.get_by_test_id("cancel-everything").click()
    expect(stage.page.get_by_test_id("confirm")).to_contain_text("12")


def _leave_running(stage: Stage) -> None:
    stage.escape()
    expect(stage.page.get_by_test_id("confirm")).to_have_count(0)
    stage.close_drawer()


def _on_its_way(stage: Stage) -> None:
    stage.page.evaluate(HOLD_TOPICS)
    stage.bench.py("fresh = ws.create_topic('Paper kites')\nbench.topic = fresh")
    expect(stage.root.get_by_test_id("topic-title")).to_have_text("Paper kites")
    expect(stage.root.get_by_test_id("feed")).to_have_css("opacity", "0.35")


def _leave_on_its_way(stage: Stage) -> None:
    stage.page.evaluate("() => openTopics()")
    stage.show("Harbour studies")
    expect(stage.root.get_by_test_id("feed")).to_have_css("opacity", "1")
    stage.bench.py("fresh.delete()")


# -- a long topic, tags, a lost file, an unknown amount -------------------------------------------


def _newer(stage: Stage) -> None:
    feed = stage.root.get_by_test_id("feed")
    # Not before there is so much to scroll.
    eventually(
        lambda: feed.evaluate("feed => { feed.scrollTop = 500; return feed.scrollTop; }"),
        lambda place: bool(place >= 499),
    )
    stage.bench.py("newer = ws.generate('an island', n=3, **small).wait(60)")
    expect(stage.root.get_by_test_id("new-pill")).to_be_visible()


def _no_newer(stage: Stage) -> None:
    stage.bench.py("newer.delete()")
    stage.root.get_by_test_id("feed").evaluate("feed => { feed.scrollTop = 0; }")
    expect(stage.root.get_by_test_id("new-pill")).to_have_count(0)


def _tags(stage: Stage) -> None:
    card = stage.cards().nth(1)
    id = card.get_attribute("data-id")
    stage.bench.py(f"ws.generation({id!r}).tags = {{'figure 3', 'keep'}}")
    expect(card.get_by_test_id("tag-mark")).to_be_visible()
    card.focus()
    stage.page.keyboard.press("t")
    box = stage.page.get_by_test_id("lightbox")
    expect(box.get_by_test_id("tag")).to_have_count(2)
    expect(box.get_by_test_id("lightbox-image")).to_be_visible()


def _leave_tags(stage: Stage) -> None:
    stage.escape()
    stage.close_lightbox()


def _trash(stage: Stage) -> None:
    stage.bench.py(DELETE)
    stage.panel("topics").get_by_test_id("topics-more").click()
    stage.page.get_by_test_id("open-trash").click()
    dialog = stage.page.get_by_test_id("trash-dialog")
    expect(dialog.get_by_test_id("trash-item")).to_have_count(4)
    expect(dialog.locator("img")).to_have_count(3)
    stage.point_away()


def _leave_trash(stage: Stage) -> None:
    stage.escape()
    expect(stage.page.get_by_test_id("trash-dialog")).to_have_count(0)
    stage.close_drawer()
    stage.bench.py(EMPTY_TRASH)


def _spent_at_unknown_price(stage: Stage) -> None:
    stage.root.get_by_test_id("balance").click()
    dialog = stage.page.get_by_test_id("spend-dialog")
    dialog.get_by_test_id("spend-model").click()
    expect(dialog).to_contain_text("amount not known")


def _escape(stage: Stage) -> None:
    stage.escape()
    expect(stage.page.get_by_test_id("spend-dialog")).to_have_count(0)


def _lose_file(stage: Stage) -> None:
    """The file of a picture was moved away by somebody, and nothing has it any more."""
    id = stage.cards().nth(1).get_attribute("data-id")
    stage.bench.py(f"path = ws.generation({id!r}).path\npath.rename('moved-away')")
    stage.bench.notebook.save()
    stage.bench.notebook.reload()
    expect(stage.root.get_by_test_id("live")).to_have_attribute("data-state", "live")
    stage.cards().nth(1).get_by_test_id("thumb").click()
    expect(stage.page.get_by_test_id("lightbox").get_by_test_id("error")).to_be_visible()
    stage.point_away()


def _find_file(stage: Stage) -> None:
    stage.close_lightbox()
    stage.bench.py("from pathlib import Path\nPath('moved-away').rename(path)")


SETTINGS = (
    Setting(
        _parts,
        {
            **{
                f"part-{name}": Scene(says=says, act=partial(_part, name=name))
                for name, says in PARTS.items()
            },
            "lightbox-elsewhere": over_window(
                says="The lightbox as a widget of its own, with a picture of another topic.",
                act=_lightbox_elsewhere,
                undo=Stage.close_lightbox,
            ),
        },
    ),
    Setting(
        _busy,
        {
            "topic-menu": Scene(
                says="The menu of a topic, in which six images wait or are being made.",
                act=_topic_menu,
                undo=_leave_topic_menu,
                each=True,
            ),
            "cancel-everything": over_window(
                says="The question before everything is cancelled.",
                act=_cancel_everything,
                undo=_leave_running,
            ),
        },
    ),
    Setting(
        partial(
            lab_stage,
            name="long",
            cells=(OPEN + LONG, SHOW.replace("Harbour studies", "Contact prints")),
        ),
        {
            "new-pill": Scene(
                says="Pictures came while somebody looks further down.",
                act=_newer,
                undo=_no_newer,
                each=True,
            ),
        },
    ),
    Setting(
        partial(lab_stage, name="details", cells=(OPEN + STUDIO, SHOW)),
        {
            "on-its-way": Scene(
                says="The chosen topic is on its way: nobody acts upon the one before.",
                act=_on_its_way,
                undo=_leave_on_its_way,
                each=True,
            ),
            "tags": over_window(
                says="The tags of a picture.",
                act=_tags,
                undo=_leave_tags,
            ),
            "trash": over_window(
                says="What was deleted, and can be restored.",
                act=_trash,
                undo=_leave_trash,
            ),
            "spending-not-known": over_window(
                says="What was spent by model; of one nobody knows what it costs.",
                act=_spent_at_unknown_price,
                undo=_escape,
            ),
            "lost-file": Scene(
                says="The file of a picture is not where it was.",
                act=_lose_file,
                undo=_find_file,
                once=True,
                window=True,
            ),
        },
    ),
)
