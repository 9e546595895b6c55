"""A page that forges, floods and babbles, and widgets that end: in a real kernel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kernel.kernel_world import Comm, Kernel, opened, settled
from tests.waiting import until
from tests.widgets.page_world import Page
from workbench.widgets.protocol import RATES, Rate

pytestmark = [pytest.mark.timeout(240)]
MANY = 3_000  # messages of a flood


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with opened(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.fixture
def comm(kernel: Kernel) -> Iterator[Comm]:
    comm = kernel.widget()
    yield comm
    kernel.run("w.close()")


@pytest.fixture
def page(comm: Comm) -> Page:
    return settled(comm)


def outputs(kernel: Kernel) -> list[str]:
    """Whatever any message made the kernel print or raise."""
    return [text for cell in list(kernel.cells.values()) if (text := cell.error or cell.text)]


@pytest.mark.req("LIVE-3")
@pytest.mark.parametrize(
    "state",
    [
        {"height": 5, "simple": True, "accent": "red", "controls": []},
        {"_esm": "alert(1)", "_css": "x", "_widget": "Evil", "_hash": "0"},
        {"_view_name": "x", "_model_module": "x", "layout": "IPY_MODEL_x", "comm": None},
        {"balance": 10**9, "user": "root", "prompt": "mine", "selection": ["x"], "topic": "x"},
        {"height": "not a number"},
        {"_esm": "x" * 1_000_000},
        "no dict",
        None,
    ],
)
def test_forged_states_change_nothing_and_are_not_echoed(
    kernel: Kernel, comm: Comm, page: Page, state: Any
) -> None:
    before = kernel.value("{name: w.get_state()[name] for name in sorted(w.get_state())}")
    noise = outputs(kernel)
    comm.updates.clear()
    for method in ("update", "echo_update"):
        comm.message({"method": method, "state": state, "buffer_paths": []})
    assert page.call("trash") == {"items": []}
    assert comm.updates == []
    assert outputs(kernel) == noise
    assert kernel.value("{name: w.get_state()[name] for name in sorted(w.get_state())}") == before
    assert kernel.value("(w.prompt, ws.user, w.selection)") == ("", "ada", [])


def test_messages_that_are_none_are_survived(kernel: Kernel, comm: Comm, page: Page) -> None:
    noise = outputs(kernel)
    for data in (None, 5, [], "", {}, {"method": "custom"}, {"method": 5}, {"method": "nothing"}):
        comm.message(data)
    for content in (None, 5, [], "", {}, {"op": "x"}, {"op": "x", "rid": 1}, [[[]]], "x" * 10_000):
        comm.receive(content)
        comm.receive({"op": content, "rid": "again", "client": page.name, "args": {}})
        comm.receive({"op": "trash", "rid": "again", "client": page.name, "args": content})
    assert page.call("trash") == {"items": []}
    assert outputs(kernel) == noise


def cpu_s(kernel: Kernel) -> float:
    """The CPU time that the kernel has taken, once it has handled all that was sent to it."""
    return float(kernel.value("time.process_time()"))


@pytest.mark.req("LIVE-9")
def test_a_flood_leaves_the_kernel_and_other_widgets_usable(kernel: Kernel, comm: Comm) -> None:
    other = settled(kernel.widget("other"))
    attacker = Page(comm)
    begun = cpu_s(kernel)
    for _ in range(MANY):
        kernel.to_comm("0" * 32, None)  # no comm has this id: what so many cost in any case
    assert other.call("trash") == {"items": []}
    before = cpu_s(kernel)
    cost = before - begun
    start = time.monotonic()
    for n in range(MANY):
        if n % 2:
            comm.receive(
                {"op": "topic.create", "rid": f"again-{n}", "client": attacker.name, "args": {}}
            )
        else:
            comm.receive(None)
    assert other.call("trash") == {"items": []}
    flood_s = time.monotonic() - start
    # In CPU time: a machine that pauses, or has other work, takes no more of it.
    assert cpu_s(kernel) - before < 3 * cost + 2
    assert kernel.value("1 + 1") == 2
    # What is refused costs nothing: it is answered once a second, and no thread works on it.
    refused = sum(kernel.value("w._channel.gate.counts.refused").values())
    passed = kernel.value("w._channel.gate.counts.passed")
    assert refused + passed == MANY
    answers = [content for _, content in list(comm.sent) if "rid" in content]
    assert len(answers) <= passed + flood_s + 2
    topics = kernel.value("int(ws.sql('SELECT count(*) AS n FROM topic')['n'][0])")
    per_second, burst = RATES[Rate.ACT]
    assert 1 <= topics <= burst + per_second * flood_s + 1
    assert topics < MANY / 2, "none was refused"
    kernel.run("other.close()")


@pytest.mark.req("LIVE-3")
def test_a_widget_that_is_closed_says_so_and_ends(kernel: Kernel) -> None:
    comm = kernel.widget("short")
    page = settled(comm)
    kernel.run("short.close()")
    until(lambda: page.heard("closed"), "it says so")
    until(lambda: comm.closed, "the comm closes")
    count = len(comm.sent)
    page.send("trash")
    time.sleep(1.0)
    assert len(comm.sent) == count
    assert kernel.value("short.comm") is None


@pytest.mark.req("LIVE-3")
def test_a_workspace_that_is_closed_under_a_widget_is_told(kernel: Kernel) -> None:
    kernel.run("second = wb.open('another')")
    comm = kernel.widget("shown", "wb.Workbench(second)")
    page = settled(comm)
    before = kernel.value("threading.active_count()")
    kernel.run("second.close()")
    until(lambda: page.heard("closed"), "it says so")
    for _ in range(2):
        assert page.error("trash")["code"] == "closed"
    until(lambda: kernel.value("threading.active_count()") < before, "its threads end")
    kernel.run("shown.close()")
    until(lambda: comm.closed, "the comm closes")


def test_a_restarted_kernel_knows_nothing_of_old_pages(kernel: Kernel, comm: Comm) -> None:
    page = settled(comm)
    stranger = Page(comm)
    rid = stranger.send("since", {"cursor": page.cursor})
    delta = stranger.answer(rid)["data"]
    assert not delta["reset"]  # the cursor is the workspace's, not the page's
    stranger.cursor = "v1.old.1"
    assert stranger.since()["reset"]
