"""What is particular to each widget, and what pages are told when Python asks for something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ipywidgets.widgets.widget import _instances

import workbench as wb
from tests.waiting import until
from workbench.widgets.base import WorkspaceWidget
from workbench.workspace.workspace import Workspace

SMALL = {"width": 64, "height": 64, "steps": 2}


@pytest.fixture(autouse=True)
def no_widget_left() -> Iterator[None]:
    before = set(_instances)
    yield
    for id in set(_instances) - before:
        if (widget := _instances.get(id)) is not None:
            widget.close()


class OnePage:
    """A page attached to the comm of a real widget."""

    def __init__(self, widget: WorkspaceWidget) -> None:
        self.got: list[dict[str, Any]] = []
        self._comm = widget.comm
        self._comm.publish_msg = self._take
        self.say("hello", version=1)
        self.until_answered()

    def until_answered(self) -> None:
        until(self.answers, "an answer to hello")

    def _take(self, _kind: str, data: Any = None, **_: Any) -> None:
        content = (data or {}).get("content")
        if content is not None:
            self.got.append(content)

    def say(self, op: str, **args: Any) -> None:
        rid = str(len(self.got) + 1)
        content = {"op": op, "rid": rid, "client": "page-number-one", "args": args}
        message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
        self._comm.handle_msg(message)

    def answers(self) -> list[dict[str, Any]]:
        return [content for content in self.got if "rid" in content]

    def pushes(self, name: str) -> list[dict[str, Any]]:
        return [content for content in self.got if content.get("push") == name]


@pytest.mark.req("LAY-3")
@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        (
            wb.Workbench,
            {
                "models",
                "providers",
                "may_set_providers",
                "projects",
                "topics",
                "older_topics",
                "feed",
                "balances",
                "queue",
                "examples",
            },
        ),
        (wb.ConfigPanel, {"models", "providers", "may_set_providers"}),
        (wb.PromptBox, {"models", "providers", "may_set_providers", "balances"}),
        (
            wb.GenerationFeed,
            {"models", "providers", "may_set_providers", "feed", "queue", "examples"},
        ),
        (wb.Lightbox, {"models", "providers", "may_set_providers"}),
        (wb.TopicsSidebar, {"projects", "topics", "older_topics"}),
        (wb.TokenBalance, {"balances"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_page_is_told_what_its_widget_shows_and_no_more(
    idle_ws: Workspace, kind: Any, parts: set[str]
) -> None:
    page = OnePage(kind(idle_ws))
    (answer,) = page.answers()
    assert answer["ok"] is True
    common = {"version", "widget", "workspace", "user", "identity", "voila", "cursor", "now"}
    common |= {"desk", "desk_rev", "limits"}
    assert set(answer["data"]) == common | parts
    assert answer["data"]["widget"] == kind.__name__


@pytest.mark.req("CFG-8")
def test_what_python_sets_is_pushed_and_what_a_page_sets_is_read(idle_ws: Workspace) -> None:
    bench = wb.Workbench(idle_ws)
    page = OnePage(bench)
    bench.config.steps = 33
    until(lambda: page.pushes("desk"), "a push of the desk")
    assert page.pushes("desk")[0]["desk"]["config"]["params"]["steps"] == 33
    page.say("desk.set", n=1, config={"n": 3, "seed": "12"}, draft="typed")
    until(lambda: bench.prompt == "typed", "the page's edit")
    assert (bench.config.n, bench.config.seed) == (3, 12)


@pytest.mark.req("FEED-3", "FEED-5")
def test_refresh_and_load_more_ask_the_pages(idle_ws: Workspace) -> None:
    for kind in (wb.Workbench, wb.GenerationFeed):
        widget = kind(idle_ws)
        page = OnePage(widget)
        widget.refresh()
        widget.load_more()
        until(lambda page=page: len(page.pushes("feed")) == 2, "both")
        assert [push["action"] for push in page.pushes("feed")] == ["refresh", "more"]
        widget.close()
        with pytest.raises(wb.EngineClosed):
            widget.refresh()


@pytest.mark.req("LBX-1")
def test_a_lightbox_opens_what_has_a_picture(ws: Workspace) -> None:
    batch = ws.generate("a red fox", n=2, fail=[1], **SMALL).wait(30)
    done, failed = batch.generations
    lightbox = wb.Lightbox(ws)
    lightbox.open(done)  # before there is a page: for the first that comes
    page = OnePage(lightbox)
    until(lambda: page.pushes("open"), "the push")
    lightbox.open(done.id)
    until(lambda: len(page.pushes("open")) == 2, "the second push")
    assert {push["generation_id"] for push in page.pushes("open")} == {done.id}
    for wrong in (None, 5, failed, ws):
        with pytest.raises(wb.InvalidRequest):
            lightbox.open(wrong)
    with pytest.raises(wb.NotFound):
        lightbox.open("0" * 26)


def test_generate_does_what_the_button_does(ws: Workspace) -> None:
    bench = wb.Workbench(ws)
    bench.config.update(n=2, seed=7, width=64, height=64, steps=2)
    bench.prompt = "a red fox"
    batch = bench.generate().wait(30)
    assert [generation.seed for generation in batch.generations] == [7, 8]
    assert batch.record.prompt == "a red fox"
    assert bench.topic == batch.topic
    again = bench.generate("a blue one", n=1, seed=1, steps=3)
    assert again.topic == batch.topic
    assert again.record.params["steps"] == 3
    assert bench.config.steps == 2
    with pytest.raises(wb.InvalidRequest, match="Did you mean 'steps'"):
        bench.generate("a fox", stepps=3)
    again.wait(30)


@pytest.mark.req("TOP-6")
def test_all_widgets_follow_to_another_topic(idle_ws: Workspace) -> None:
    sidebar, feed = wb.TopicsSidebar(idle_ws), wb.GenerationFeed(idle_ws)
    one, two = idle_ws.create_topic("one"), idle_ws.create_topic("two")
    seen: list[Any] = []
    feed.observe(lambda change: seen.append(change["new"]), "topic")
    sidebar.topic = one
    assert feed.topic == one
    one.delete()
    until(lambda: feed.topic == two, "the neighbour")
    until(lambda: seen and seen[-1] == two, "the observer")


def test_a_page_that_is_quicker_than_the_constructor_is_heard(
    idle_ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[OnePage] = []

    class Quick(OnePage):
        def until_answered(self) -> None:
            """Not now: the channel is not there yet."""

    def open_and_speak(widget: Any) -> None:
        opened(widget)
        pages.append(Quick(widget))

    opened = WorkspaceWidget.open
    monkeypatch.setattr(WorkspaceWidget, "open", open_and_speak)
    wb.TokenBalance(idle_ws)
    until(pages[0].answers, "the answer to an early hello")


def test_a_closed_widget_says_goodbye_to_its_pages(idle_ws: Workspace) -> None:
    chip = wb.TokenBalance(idle_ws)
    page = OnePage(chip)
    chip.close()
    assert page.pushes("closed")
