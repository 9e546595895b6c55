"""What a visitor's page is told of limits, and everybody's of their place in the queue."""

from __future__ import annotations

import io
import itertools
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.waiting import until
from tests.widgets.page_world import ALL, wired
from tests.widgets.page_world import Page as LivePage
from tests.widgets.pages import Page
from workbench.errors import LimitReached
from workbench.widgets import client, protocol
from workbench.widgets.failures import failure
from workbench.widgets.gate import Gate, Request
from workbench.widgets.operations import files
from workbench.widgets.operations.snapshot import snapshot
from workbench.workspace import everything
from workbench.workspace.workspace import Workspace

ANN = "visitor-" + "a" * 32
BEN = "visitor-" + "b" * 32
TINY: dict[str, Any] = {"width": 64, "height": 64, "steps": 2}


@pytest.fixture
def folder(workspace_home: Path) -> Path:
    folder = workspace_home / "ws"
    folder.mkdir()
    (folder / "config.toml").write_text(
        "[visitors]\nimages_per_day = 5\nunfinished = 3\nqueue = false\n", "utf-8"
    )
    return folder


@pytest.fixture
def ann(folder: Path) -> Iterator[Workspace]:
    """A visitor's workspace that runs no jobs, as in a page kernel."""
    with wb.open(folder, user=ANN, run_jobs=False) as workspace:
        yield workspace


# -- limits -------------------------------------------------------------------------------------


@pytest.mark.req("TOK-4")
def test_hello_tells_a_visitor_the_limits_and_nobody_else(ann: Workspace) -> None:
    page = Page(ann)
    told = snapshot(page.context(), ALL)["limits"]
    assert told == {"images_per_day": 5, "images_left": 5, "unfinished": 3, "queue": None}
    page.submit(n=2)
    assert snapshot(page.context(), ALL)["limits"]["images_left"] == 3
    page.ask("cancel", everything=True)
    assert snapshot(page.context(), ALL)["limits"]["images_left"] == 5
    page.files.close()
    with wb.open(ann.path, user="ada", run_jobs=False) as ada:
        assert snapshot(Page(ada).context(), ALL)["limits"] is None


@pytest.mark.req("TOK-4")
def test_a_request_beyond_a_limit_is_a_sentence_and_nothing_else(ann: Workspace) -> None:
    page = Page(ann)
    page.submit(n=3)
    with pytest.raises(LimitReached) as caught:
        page.submit(key="key-2", n=1)
    assert failure(caught.value) == {
        "code": "limit_reached",
        "message": "3 of your images are still on their way; wait for one of them to finish.",
        "field": None,
    }
    assert "limit_reached" in protocol.ERROR_CODES
    assert len(ann.topics()) == 1
    with pytest.raises(wb.LimitReached):
        ann.generate("a fox", **TINY)
    page.files.close()


@pytest.mark.req("TOK-4")
def test_no_click_gets_past_a_limit(ann: Workspace) -> None:
    page = Page(ann)
    failing = page.submit(n=3, params={"steps": 2})
    ids = [row["id"] for row in failing["generations"]]
    page.ask("cancel", batch_id=failing["batch"]["id"])
    page.submit(key="key-2", n=2)
    page.ask("retry", generation_id=ids[0])
    for op, args in (
        ("retry", {"generation_id": ids[1]}),
        ("submit", {"prompt": "x", "client_key": "k"}),
    ):
        with pytest.raises(LimitReached):
            page.ask(op, **args)
    page.files.close()


def test_unlimited_and_nothing_at_all(folder: Path) -> None:
    (folder / "config.toml").write_text(
        "[visitors]\nimages_per_day = -1\nunfinished = 0\n", "utf-8"
    )
    with wb.open(folder, user=ANN, run_jobs=False) as ann:
        limits = snapshot(Page(ann).context(), ALL)["limits"]
        assert limits == {
            "images_per_day": None,
            "images_left": None,
            "unfinished": 0,
            "queue": 200,
        }
        with pytest.raises(LimitReached, match="Visitors cannot make images here"):
            ann.generate("a fox", **TINY)


# -- place in the queue ---------------------------------------------------------------------------


def places(page: LivePage) -> list[int | None]:
    """All places that deltas told, in order."""
    return [
        row["d"]["ahead"] for delta in page.deltas for row in delta["rows"] if row["e"] == "queue"
    ]


@pytest.mark.req("FEED-10")
def test_a_page_follows_its_place_while_something_waits(
    ann: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PLACE_EVERY_S", 0.05)
    with wb.open(ann.path, user=BEN, run_jobs=False) as ben, wired(ann) as (_, wire):
        page = LivePage(wire)
        assert page.hello()["queue"] == {"paused": False, "ahead": None}
        ben.generate("hers", n=2, **TINY)
        time.sleep(0.3)
        assert places(page) == [], "nobody waits here"
        ann.generate("mine", **TINY)
        until(lambda: places(page) == [1], "the place")
        store = ann._store
        (job,) = store.claim("r1", lanes={"builtin": 9}, limit=1).result()
        assert job.owner == BEN
        until(lambda: places(page) == [1, 0], "the place after a claim")
        for _ in range(2):
            store.claim("r1", lanes={"builtin": 9}, limit=1).result()
        until(lambda: places(page) == [1, 0, None], "nothing waits any more")
        ben.generate("more", **TINY)
        time.sleep(0.3)
        assert places(page) == [1, 0, None]
        assert page.gaps == 0


@pytest.mark.req("FEED-10", "LIVE-5")
def test_a_page_is_told_its_place_at_most_once_a_second(ann: Workspace) -> None:
    assert client.PLACE_EVERY_S == 1.0
    with wired(ann) as (channel, wire):
        page = LivePage(wire)
        page.hello()
        looked_at: list[float] = []  # for each place that it is told

        def send(content: dict[str, Any], buffers: list[bytes]) -> None:
            if content.get("push") == "delta" and any(r["e"] == "queue" for r in content["rows"]):
                told = channel._clients.get(page.name)
                assert told is not None
                looked_at.append(told.place.looked_at)
            wire.send(content, buffers)

        channel._send_out = send
        others = [wb.open(ann.path, user=f"other-{n}", run_jobs=False) for n in range(6)]
        for other in others:
            other.generate("theirs", **TINY)
        ann.generate("mine", **TINY)
        until(lambda: places(page), "the first place")
        for _ in others:
            ann._store.claim("r1", lanes={"builtin": 9}, limit=1).result()
            time.sleep(0.15)
        until(lambda: places(page)[-1] == 0, "the last place")
        assert len(looked_at) == len(places(page)) >= 2
        # What is read may come to the page later, on a machine that pauses.
        assert all(later - earlier >= 0.999 for earlier, later in itertools.pairwise(looked_at))
        for other in others:
            other.close()


@pytest.mark.req("FEED-10", "LIVE-4")
def test_a_place_that_got_lost_is_told_again(
    ann: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PLACE_EVERY_S", 0.05)
    monkeypatch.setattr("workbench.widgets.follower.ACK_LOST_S", 0.2)
    with wb.open(ann.path, user=BEN, run_jobs=False) as ben, wired(ann) as (_, wire):
        ben.generate("hers", **TINY)
        page = LivePage(wire)
        page.hello()
        page.acks = False
        ann.generate("mine", **TINY)
        until(lambda: len(places(page)) >= 2, "the place, again and again")
        assert set(places(page)) == {1}
        page.acks = True
        page.since()
        ann._store.claim("r1", lanes={"builtin": 9}, limit=1).result()
        until(lambda: places(page)[-1] == 0, "the next place")


@pytest.mark.req("FEED-10")
def test_a_new_hello_tells_the_place_at_once(ann: Workspace) -> None:
    with wb.open(ann.path, user=BEN, run_jobs=False) as ben, wired(ann) as (_, wire):
        ben.generate("hers", **TINY)
        ann.generate("mine", **TINY)
        page = LivePage(wire)
        assert page.hello()["queue"] == {"paused": False, "ahead": 1}
        time.sleep(0.4)
        assert places(page) == [], "once is enough"


def test_a_widget_without_a_queue_is_told_no_place(ann: Workspace) -> None:
    ann.create_topic("Foxes")
    with wired(ann, scopes=frozenset({"feed"})) as (_, wire):
        page = LivePage(wire)
        assert "queue" not in page.hello()
        ann.generate("mine", topic=ann.topic(page.wire.channel._desk.topic_id or ""), **TINY)
        until(lambda: page.deltas, "the new image")
        time.sleep(0.3)
        assert places(page) == []


# -- everything in one file -----------------------------------------------------------------------


@pytest.mark.req("FEED-7", "APP-7")
def test_everything_leaves_as_one_zip(page: Page) -> None:
    ws = page.workspace
    for title in ("Foxes", "Hares"):
        ws.generate("a fox", topic=ws.create_topic(title), **TINY)
    ws.wait(60)
    opened = page.ask("file.open", kind="everything")
    assert opened["mime"] == "application/zip"
    assert opened["name"].startswith("pictures-")
    data = b""
    while len(data) < opened["size"]:
        data += page.answer("file.read", handle=opened["handle"], offset=len(data)).buffers[0]
    page.ask("file.close", handle=opened["handle"])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        folders = {name.split("/")[0] for name in archive.namelist()}
        assert folders == {"Foxes", "Hares", "manifest.json"}
        assert len(json.loads(archive.read("manifest.json"))["images"]) == 2


@pytest.mark.req("FEED-7", "TOP-5")
def test_everything_is_ones_own_only(page: Page, bob: Workspace) -> None:
    page.workspace.generate("mine", **TINY).wait(60)
    other = Page(bob)
    with pytest.raises(wb.NotAllowed, match="nothing to put in"):
        other.ask("file.open", kind="everything")
    other.files.close()


def test_everything_has_no_id_and_the_others_have_one(page: Page) -> None:
    batch = page.workspace.generate("a fox", **TINY).wait(60)
    with pytest.raises(wb.InvalidRequest, match="no meaning"):
        page.ask("file.open", kind="everything", id=batch.id)
    for kind in ("original", "image", "zip"):
        for args in ({}, {"id": None}):
            with pytest.raises(wb.InvalidRequest, match="id: is missing"):
                page.ask("file.open", kind=kind, **args)
    for kind in ("", "Everything", "../etc/passwd"):
        with pytest.raises(wb.InvalidRequest, match="kind: must be one of"):
            page.ask("file.open", kind=kind)
    assert page.ask("file.open", kind="everything", id=None)["size"] > 0


def test_the_gate_lets_file_open_through_without_an_id() -> None:
    gate = Gate()

    def ask(**args: Any) -> Any:
        content = {"op": "file.open", "rid": "r1", "client": "page-0001", "args": args}
        return gate.check(content, ())

    assert isinstance(ask(kind="everything"), Request)
    assert isinstance(ask(kind="everything", id=None), Request)
    for bad in ({"kind": "everything", "id": 5}, {"kind": "zip", "id": "x"}, {"id": "0" * 26}):
        assert not isinstance(ask(**bad), Request)


def test_everything_is_packed_once_at_a_time_and_leaves_nothing(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.workspace.generate("a fox", **TINY).wait(60)
    with files._packing, pytest.raises(wb.NotAllowed, match="being packed already"):
        page.ask("file.open", kind="everything")
    monkeypatch.setattr(everything, "MOST_BYTES", 1)
    with pytest.raises(wb.NotAllowed, match="batch by batch"):
        page.ask("file.open", kind="everything")
    monkeypatch.undo()
    handle = page.ask("file.open", kind="everything")["handle"]
    page.ask("file.close", handle=handle)
    assert list((page.workspace.path / "tmp").iterdir()) == []
