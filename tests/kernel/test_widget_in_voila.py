"""Widgets in a real kernel that has the environment which Voilà gives to a page's kernel."""

from __future__ import annotations

import html
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.kernel_world import NO_SUBSHELLS, START, Comm, Kernel, opened, settled
from tests.waiting import until
from tests.widgets.page_world import Page
from workbench.workspace.identity import user_of_token

pytestmark = [pytest.mark.timeout(240)]

ADA = "a" * 31 + "1"
BOB = "b" * 31 + "2"
VOILA = {
    "VOILA_PREHEAT": "False",
    "VOILA_KERNEL_ID": "not-to-be-shown",
    "VOILA_BASE_URL": "/",
    "VOILA_SERVER_URL": "/",
    "VOILA_APP_PORT": "8866",
    "VOILA_REQUEST_URL": "http://localhost:8866/?user=root",
    "SERVER_SOFTWARE": "voila/0.5.13",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "8866",
    "SCRIPT_NAME": "/",
    "PATH_INFO": "",
    "QUERY_STRING": "user=root&WORKBENCH_USER=root",
    "WORKBENCH_IDENTITY": "anonymous",
    "WORKBENCH_RUN_JOBS": "0",
    "WORKBENCH_TEMPORARY": "1",
}
PAGE_START = START.replace('wb.open("workspace", user="ada")', 'wb.open("workspace")')
STOCK = {
    "state": {
        "_model_module": "@jupyter-widgets/controls",
        "_model_module_version": "2.0.0",
        "_model_name": "FloatSliderModel",
        "_view_module": "@jupyter-widgets/controls",
        "_view_module_version": "2.0.0",
        "_view_name": "FloatSliderView",
    },
    "buffer_paths": [],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("voila")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[Kernel]:
    with opened(folder, start=PAGE_START, environment=VOILA) as kernel:
        yield kernel


@pytest.fixture(scope="module")
def comm(kernel: Kernel) -> Comm:
    return kernel.widget()


@pytest.fixture
def page(comm: Comm) -> Iterator[Page]:
    page = settled(comm, token=ADA)
    yield page
    page.send("bye")
    comm.pages.remove(page)


@pytest.mark.req("TOP-5", "LAY-11")
def test_the_first_hello_says_whose_the_kernel_is(kernel: Kernel, comm: Comm) -> None:
    assert kernel.value("w.simple") is True
    assert kernel.value("ws._engine.runner") is None
    assert kernel.value("int(ws.sql('SELECT count(*) AS n FROM preference')['n'][0])") == 0
    page = Page(comm)
    assert page.error("trash")["code"] == "not_allowed"
    assert page.error("hello", version=1)["code"] == "not_allowed"
    assert kernel.value("ws.user") != user_of_token(ADA)
    data = page.hello(token=ADA)
    assert data["user"] == kernel.value("ws.user") == user_of_token(ADA)
    assert (data["identity"], data["voila"]) == ("anonymous", True)
    assert data["workspace"]["temporary"] is True
    topic = page.call("topic.create", title="Foxes")["topic"]["id"]
    assert kernel.value("[t.id for t in ws.topics()]") == [topic]
    stranger = Page(comm)
    assert stranger.error("hello", version=1, token=BOB)["code"] == "not_allowed"
    assert kernel.value("ws.user") == user_of_token(ADA)
    page.send("bye")
    comm.pages.clear()


@pytest.mark.req("TOP-5")
def test_a_reload_finds_ones_own_and_another_visitor_nothing(
    kernel: Kernel, folder: Path, page: Page
) -> None:
    topic = page.call("topic.create", title="Mine")["topic"]["id"]
    for token, sees in ((ADA, True), (BOB, False)):
        with opened(folder, start=PAGE_START, environment=VOILA) as other:
            data = settled(other.widget(), token=token).hello(token=token)
            assert (topic in {row["id"] for row in data["topics"]}) is sees
            assert data["user"] == user_of_token(token)
    assert kernel.value("ws.user") == user_of_token(ADA)


@pytest.mark.req("LIVE-9")
def test_the_route_is_pinned_although_the_page_knows_no_subshells(
    kernel: Kernel, comm: Comm, page: Page
) -> None:
    assert comm.subshell is None
    kernel.run("threads.clear()")
    page.call("topic.create", title="Foxes")
    names = set(kernel.value("threads"))
    assert len(names) == 1
    assert names.pop().startswith("subshell-")
    assert kernel.value("w._channel.pin.state") == "proven"
    with kernel.busy("time.sleep(600)") as cell:
        reloaded = settled(comm, token=ADA)
        assert reloaded.call("topic.create", title="Meanwhile")["topic"]["title"] == "Meanwhile"
        assert not cell.ended
    reloaded.send("bye")
    comm.pages.remove(reloaded)


def test_a_kernel_without_subshells_serves_a_visitor(folder: Path) -> None:
    with opened(folder, start=PAGE_START, environment=VOILA, program=NO_SUBSHELLS) as plain:
        page = settled(plain.widget(), token=BOB)
        assert page.call("topic.create", title="Boats")["topic"]["mine"] is True
        assert plain.value("w._channel.pin.state") == "none"
        assert plain.value("set(threads)") == {"MainThread"}


def test_a_page_makes_no_stock_widgets(kernel: Kernel, comm: Comm, page: Page) -> None:
    kernel.run("import ipywidgets; from ipywidgets.widgets import widget as _widget")
    kernel.run("from comm import get_comm_manager; comms = get_comm_manager().comms")
    before = kernel.value("(len(_widget._instances), len(comms))")
    forged = [kernel.open_comm("jupyter.widget", STOCK) for _ in range(300)]
    forged += [
        kernel.open_comm("jupyter.widget", data, version)
        for data, version in ((None, "2.1.0"), ({}, "2.1.0"), (STOCK, "1.0.0"), ("x", ""))
    ]
    forged.append(kernel.open_comm("no.such.target", {}))
    until(lambda: all(one.closed for one in forged), "all are closed")
    assert kernel.value("(len(_widget._instances), len(comms))") == before
    assert page.call("trash") == {"items": []}
    # What is made in Python works, and hears its page.
    kernel.run("slider = ipywidgets.IntSlider(3)")
    kernel.to_comm(kernel.value("slider.model_id"), {"method": "update", "state": {"value": 7}})
    assert kernel.value("slider.value") == 7
    kernel.run("slider.close()")


@pytest.mark.parametrize("mode", ["anonymous", "local"])
def test_a_widget_that_cannot_be_made_says_why_in_the_page(folder: Path, mode: str) -> None:
    (folder / "<b>file").write_text("no folder")
    environment = {**VOILA, "WORKBENCH_IDENTITY": mode, "WORKBENCH_HOME": str(folder / "<b>file")}
    source = b"// image-workbench 0123456789abcdef:\nexport default {}"
    start = f"from workbench.widgets import bundle\nbundle._read = lambda name: {source!r}"
    with opened(folder, start=start, environment=environment) as broken:
        cell = broken.start("import workbench as wb\nwb.Workbench()")
        until(lambda: cell.ended, "the cell ends")
        assert cell.error is not None
        assert cell.error.startswith("InvalidRequest: WORKBENCH_HOME")
        assert 'role="alert"' in cell.html
        assert "<b>" not in cell.html
        assert str(folder) not in cell.html
        shown = html.unescape(cell.html)
        if mode == "local":
            assert "a workspace is a folder" in shown
        else:
            assert "This page cannot be shown just now" in shown


def test_a_flood_of_wrong_hellos_keeps_nobody_from_the_page(
    kernel: Kernel, comm: Comm, page: Page
) -> None:
    for n in range(1_000):
        comm.receive(hello(f"stranger-{n:04}", f"{n:032x}"))
    asked: list[str] = []

    def answered() -> bool:  # what is too much at once is asked again, as pages do
        time.sleep(0.2)
        asked.append(page.send("trash"))
        return any(page.answered(rid) and page.answer(rid)["ok"] for rid in asked)

    until(answered, "an answer")
    assert page.heard("closed") == []
    assert kernel.value("w._channel.gate.counts.refused['not_allowed']") > 50
    assert kernel.value("ws.user") == user_of_token(ADA)


def hello(client: str, token: str) -> dict[str, Any]:
    args = {"version": 1, "token": token}
    return {"op": "hello", "rid": "again-1", "client": client, "args": args}
