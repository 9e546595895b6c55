"""Clicks arrive whatever the kernel is doing: a page and a widget in a real kernel."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.kernel.kernel_world import Comm, Kernel, opened, settled
from tests.waiting import until
from tests.widgets.page_world import Page

pytestmark = [pytest.mark.timeout(240), pytest.mark.req("LIVE-9")]

# Each until it is interrupted, however slow the machine is.
BUSY = {
    "sleeping": "time.sleep(600)",
    "computing": "while True: sum(range(1000))",
    # in pieces: ipykernel hears an interrupt when its loop turns
    "awaiting": "while True: await asyncio.sleep(0.1)",
    "waiting for a lock": "threading.Event().wait(600)",
}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with opened(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.fixture(scope="module")
def comm(kernel: Kernel) -> Comm:
    return kernel.widget()


@pytest.fixture
def page(comm: Comm) -> Iterator[Page]:
    comm.subshell = None
    page = settled(comm)
    yield page
    page.send("bye")
    comm.pages.remove(page)


def own_subshells(kernel: Kernel) -> list[str]:
    names: list[str] = kernel.value(
        "[t.name for t in threading.enumerate() if t.name.startswith('subshell-')]"
    )
    return names


def test_an_idle_kernel_serves_clicks_on_a_thread_of_their_own(kernel: Kernel, page: Page) -> None:
    kernel.run("threads.clear()")
    page.call("topic.create", title="Foxes")
    names = set(kernel.value("threads"))
    assert names == set(own_subshells(kernel))
    assert len(names) == 1
    assert kernel.value("w._channel.pin.state") == "proven"


@pytest.mark.parametrize("doing", BUSY)
def test_a_busy_kernel_serves_clicks_and_new_pages(
    kernel: Kernel, comm: Comm, page: Page, doing: str
) -> None:
    with kernel.busy(BUSY[doing]) as cell:
        for n in range(3):
            assert page.call("topic.create", title=f"{doing} {n}")["topic"]["title"]
            time.sleep(0.8)  # a ping each time
        reloaded = settled(comm)
        assert reloaded.call("trash") == {"items": []}
        assert not cell.ended
    reloaded.send("bye")
    comm.pages.remove(reloaded)


def test_pictures_are_made_and_told_while_a_cell_sleeps(kernel: Kernel, page: Page) -> None:
    topic = page.call("topic.create", title="Busy")["topic"]
    page.call("desk.set", n=1, topic_id=topic["id"])
    page.open(topic["id"])
    small = {"width": 64, "height": 64, "params": {"steps": 2}}
    with kernel.busy(BUSY["sleeping"]) as cell:
        data = page.call("submit", client_key="k1", prompt="a fox", n=2, **small)
        until(lambda: page.statuses() == ["completed"] * 2, "both pictures")
        ids = [row["id"] for row in data["generations"]]
        rid = page.send("thumbs", {"ids": ids})
        assert page.answer(rid)["ok"]
        assert [bytes(part[:4]) for part in page._answers[rid][1]] == [b"RIFF"] * 2
        page.send("pause", {})
        assert not cell.ended


def test_the_first_click_of_a_widget_arrives_while_the_next_cell_runs(kernel: Kernel) -> None:
    comm = kernel.widget("fresh")
    with kernel.busy(BUSY["sleeping"]) as cell:
        page = settled(comm)
        assert page.call("trash") == {"items": []}
        assert not cell.ended
    kernel.run("fresh.close()")


@pytest.mark.req("LIVE-9")
def test_a_subshell_that_jupyterlab_deleted_does_not_take_the_clicks_with_it(
    kernel: Kernel, comm: Comm, page: Page
) -> None:
    theirs = kernel.control("create_subshell_request")["subshell_id"]
    comm.subshell = theirs
    assert page.call("trash") == {"items": []}
    kernel.control("delete_subshell_request", {"subshell_id": theirs})
    assert page.call("trash") == {"items": []}  # with the header of the one that is gone
    comm.subshell = None
    with kernel.busy(BUSY["sleeping"]) as cell:
        assert page.call("trash") == {"items": []}
        assert not cell.ended


def test_our_own_subshell_is_replaced_if_somebody_deletes_it(kernel: Kernel, page: Page) -> None:
    (ours,) = [id for id in kernel.subshells() if f"subshell-{id}" in own_subshells(kernel)]
    kernel.control("delete_subshell_request", {"subshell_id": ours})
    with kernel.busy(BUSY["sleeping"]) as cell:
        assert page.call("trash") == {"items": []}
        assert not cell.ended
    assert ours not in kernel.subshells()
    assert len(own_subshells(kernel)) == 1


@pytest.mark.req("LIVE-3")
def test_reloads_and_more_widgets_add_no_thread(kernel: Kernel, comm: Comm) -> None:
    for _ in range(3):
        page = settled(comm)
        comm.pages.remove(page)  # a reload says nothing
    others = [kernel.widget(f"more{n}") for n in range(3)]
    for other in others:
        settled(other)
    assert len(own_subshells(kernel)) == 1
    for n in range(3):
        kernel.run(f"more{n}.close()")
    until(lambda: all(other.closed for other in others), "the comms close")
    assert len(own_subshells(kernel)) == 1
