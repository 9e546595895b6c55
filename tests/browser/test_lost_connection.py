"""Whatever breaks between page and kernel, the light tells it and nothing is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

import workbench as wb
from tests.browser.bench_page import WIDE, Bench
from tests.browser.lab_world import eventually
from tests.browser.test_deleting import COMPLETED, WORKBENCH, ids, live

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.conftest import MakeLab
    from tests.browser.fault_proxy import FaultProxy
    from tests.browser.lab_world import OpenNotebook
    from tests.browser.servers import JupyterServer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

# Made by a thread of the kernel when the page cannot hear it any more: there is a file then.
LATER = """
import pathlib, threading, time
topic = ws.create_topic("Over the wire")
bench.topic = topic
ws.generate("before", n=2, width=256, height=256, topic=topic).wait()
def later():
    while not pathlib.Path("cut").exists():
        time.sleep(0.05)
    ws.generate("meanwhile", n=3, width=256, height=256, topic=topic).wait()
threading.Thread(target=later).start()
"""

MANY = """
topic = ws.create_topic("Over the wire")
for name in range(8):
    ws.generate(f"picture {name}", n=3, width=64, height=64, topic=topic).wait()
bench.config.update(n=2, width=64, height=64)
bench.topic = topic
"""
KEPT = """
bench.topic = ws.create_topic("Kept")
ws.generate("kept", n=2, width=64, height=64, topic=bench.topic).wait()
"""
# What JupyterLab and the browser have to say about a server that is out of reach.
BROKEN = (r"WebSocket", r"ERR_", r"Failed to (fetch|load)", r"NetworkError", r"api/")


def begin(notebook: OpenNotebook) -> Locator:
    notebook.run_all()
    root = notebook.widget()
    live(root)
    notebook.insert_and_run(LATER)
    expect(root.locator(COMPLETED)).to_have_count(2)
    return root


def state(root: Locator, wanted: str) -> None:
    expect(root.get_by_test_id("live")).to_have_attribute("data-state", wanted, timeout=45_000)


@pytest.mark.req("LIVE-5", "LIVE-6")
def test_a_cut_connection_shows_and_heals_with_what_was_missed(
    make_lab: MakeLab, proxy: FaultProxy
) -> None:
    lab = make_lab(port=proxy.port)
    lab.console.allow(*BROKEN)
    root = begin(lab.write_and_open(WORKBENCH))
    with proxy.down():
        state(root, "offline")
        (lab.folder / "cut").touch()
        lab.page.wait_for_timeout(6000)
    state(root, "live")
    expect(root.locator(COMPLETED)).to_have_count(5, timeout=60_000)
    assert len(set(ids(root))) == 5


@pytest.mark.req("LIVE-5", "LIVE-6")
def test_swallowed_messages_show_as_offline_and_are_made_up_for(
    make_lab: MakeLab, proxy: FaultProxy
) -> None:
    lab = make_lab(port=proxy.port)
    lab.console.allow(*BROKEN)
    root = begin(lab.write_and_open(WORKBENCH))
    proxy.swallow_down = True
    state(root, "offline")
    (lab.folder / "cut").touch()
    lab.page.wait_for_timeout(6000)
    assert proxy.swallowed_bytes > 0
    proxy.heal()
    state(root, "live")
    expect(root.locator(COMPLETED)).to_have_count(5, timeout=60_000)
    assert len(set(ids(root))) == 5


@pytest.mark.req("LIVE-5", "LIVE-6", "PRM-3", "FEED-4")
def test_a_prompt_that_gets_lost_either_way_is_done_once_and_nothing_moves(
    make_lab: MakeLab, proxy: FaultProxy
) -> None:
    lab = make_lab(port=proxy.port, viewport=WIDE)
    lab.console.allow(*BROKEN)
    bench = Bench.start(lab)
    bench.py(MANY)
    expect(bench.cards("completed").nth(12)).to_be_attached()

    chosen = [bench.card(id) for id in bench.ids()[3:5]]
    chosen[0].scroll_into_view_if_needed()
    for card in chosen:
        card.click(modifiers=["Control"])
        expect(card).to_have_attribute("data-selected", "")
    names = [card.get_attribute("data-id") for card in chosen]
    bench.expect_value("[one.id for one in bench.selection]", names)

    # What the page says goes nowhere; what the kernel says would still come.
    proxy.swallow_up = True
    state(bench.root, "offline")
    expect(bench.find("link-note")).to_contain_text("The connection to the kernel is interrupted.")
    bench.generate("lost on its way there")
    expect(bench.cards("pending")).to_have_count(2)
    chosen[0].scroll_into_view_if_needed()
    before = [_place(bench, card) for card in chosen]
    proxy.heal()
    state(bench.root, "live")
    _expect_batches(bench, ["lost on its way there", "picture 7"])
    eventually(lambda: [_place(bench, card) for card in chosen], lambda now: now == before)
    for card in chosen:
        expect(card).to_have_attribute("data-selected", "")
    bench.expect_value("[one.id for one in bench.selection]", names)

    # The kernel takes it on, and its answer goes nowhere.
    proxy.swallow_down = True
    bench.generate("lost on its way back")
    with wb.open(lab.folder / ".workbench", run_jobs=False) as beside:
        eventually(
            lambda: [one.prompt for one in beside.topics()[0].batches(1).items],
            lambda latest: latest == ["lost on its way back"],
        )
    state(bench.root, "offline")
    proxy.heal()
    state(bench.root, "live")
    _expect_batches(bench, ["lost on its way back", "lost on its way there"])


def _place(bench: Bench, card: Locator) -> tuple[float, float]:
    """Where it stands within the feed, of which the note above takes some height."""
    box, feed = card.bounding_box(), bench.find("feed").bounding_box()
    assert box
    assert feed
    return box["x"] - feed["x"], box["y"] - feed["y"]


def _expect_batches(bench: Bench, prompts: list[str]) -> None:
    """These are the latest ones of the topic, and all of their pictures get ready."""
    bench.expect_value("[one.prompt for one in topic.batches(2).items]", prompts)
    bench.expect_value("topic.batches(1).items[0].wait().status", "completed")


@pytest.mark.req("LIVE-5", "FEED-9")
def test_a_restarted_server_loses_no_pictures(
    own_jupyter: JupyterServer,
    make_lab: MakeLab,  # so that its page goes first
) -> None:
    lab = make_lab(server=own_jupyter, viewport=WIDE)
    lab.console.allow(*BROKEN)
    bench = Bench.start(lab)
    bench.py(KEPT)
    bench.expect_all_completed(2)
    made = bench.ids()
    own_jupyter.stop()
    state(bench.root, "offline")
    own_jupyter.start()
    # The kernel has ended with its server, and the page knows that without a reload.
    expect(bench.find("live")).to_have_attribute("data-link", "dead", timeout=90_000)
    expect(bench.find("link-note")).to_have_text(
        "The kernel has stopped. Nothing is lost: start a kernel and run this cell again to go on."
    )
    lab.shoot("server-restarted")
    bench.notebook.start_kernel()
    bench.notebook.run_all()
    bench.ready()
    bench.expect_all_completed(2)
    assert bench.ids() == made
