"""Whatever breaks between page and kernel, the light tells it and nothing is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.test_deleting import COMPLETED, WORKBENCH, ids, live

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.conftest import MakeLab
    from tests.browser.fault_proxy import FaultProxy
    from tests.browser.lab_world import OpenNotebook
    from tests.browser.servers import JupyterServer

pytestmark = pytest.mark.faults

# Made by a thread of the kernel, while the page cannot hear it.
LATER = """
import threading, time
topic = ws.create_topic("Over the wire")
bench.topic = topic
ws.generate("before", n=2, width=256, height=256, topic=topic).wait()
def later():
    time.sleep(3)
    ws.generate("meanwhile", n=3, width=256, height=256, topic=topic).wait()
threading.Thread(target=later).start()
"""


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
    lab.console.allow(r"WebSocket", r"ERR_", r"Failed to (fetch|load)", r"NetworkError", r"api/")
    root = begin(lab.write_and_open(WORKBENCH))
    with proxy.down():
        state(root, "offline")
        lab.page.wait_for_timeout(6000)
    state(root, "live")
    expect(root.locator(COMPLETED)).to_have_count(5, timeout=30_000)
    assert len(set(ids(root))) == 5


@pytest.mark.req("LIVE-5", "LIVE-6")
def test_swallowed_messages_show_as_offline_and_are_made_up_for(
    make_lab: MakeLab, proxy: FaultProxy
) -> None:
    lab = make_lab(port=proxy.port)
    lab.console.allow(r"WebSocket", r"ERR_", r"Failed to (fetch|load)", r"NetworkError", r"api/")
    root = begin(lab.write_and_open(WORKBENCH))
    proxy.swallow_down = True
    state(root, "offline")
    lab.page.wait_for_timeout(6000)
    assert proxy.swallowed_bytes > 0
    proxy.heal()
    state(root, "live")
    expect(root.locator(COMPLETED)).to_have_count(5, timeout=30_000)
    assert len(set(ids(root))) == 5


@pytest.mark.req("LIVE-5", "FEED-9")
@pytest.mark.timeout(240)
def test_a_restarted_server_loses_no_pictures(
    make_lab: MakeLab, own_jupyter: JupyterServer
) -> None:
    lab = make_lab(server=own_jupyter)
    lab.console.allow(r".")  # the server is gone: whatever the host has to say about that
    notebook = lab.write_and_open(WORKBENCH)
    notebook.run_all()
    root = notebook.widget()
    live(root)
    notebook.insert_and_run(
        "ws.generate('kept', n=2, width=256, height=256, topic=ws.create_topic('Kept')).wait()\n"
        "bench.topic = ws.topics()[0]"
    )
    expect(root.locator(COMPLETED)).to_have_count(2)
    made = ids(root)
    notebook.save()
    own_jupyter.stop()
    expect(root.get_by_test_id("live")).not_to_have_attribute("data-state", "live", timeout=30_000)
    own_jupyter.start()
    lab.page.reload()
    notebook.wait_ready()
    notebook.run(0)
    notebook.run(1)
    live(root)
    expect(root.locator(COMPLETED)).to_have_count(2)
    assert ids(root) == made
