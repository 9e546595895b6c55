"""What every widget keeps to: options, sharing, messages that forge, and an end without a trace."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets
import pytest
import traitlets
from ipywidgets.widgets.widget import _instances

import workbench as wb
from tests.waiting import until, until_collected
from workbench.widgets import base, bundle
from workbench.widgets.base import WorkspaceWidget
from workbench.workspace.workspace import Workspace

WIDGETS: list[Callable[..., WorkspaceWidget]] = [
    wb.Workbench,
    wb.ConfigPanel,
    wb.PromptBox,
    wb.GenerationFeed,
    wb.Lightbox,
    wb.TopicsSidebar,
    wb.TokenBalance,
]
TRAITS = {"_widget", "_hash", "_esm", "height", "hide_below", "simple", "controls", "accent"}
OF_THE_HOST = set(ipywidgets.DOMWidget.class_trait_names(sync=True)) | {"_anywidget_id"}


@pytest.fixture(autouse=True)
def no_widget_left() -> Iterator[None]:
    before = set(_instances)
    yield
    for id in set(_instances) - before:
        widget = _instances.get(id)
        if widget is not None:
            widget.close()


@pytest.fixture(params=WIDGETS, ids=lambda widget: widget.__name__)
def kind(request: pytest.FixtureRequest) -> Callable[..., WorkspaceWidget]:
    return request.param  # type: ignore[no-any-return]


def sent_by(widget: WorkspaceWidget) -> list[dict[str, Any]]:
    """From now on, the data of what the widget sends to its pages."""
    sent: list[dict[str, Any]] = []
    widget.comm.publish_msg = lambda kind, data=None, **_: sent.append({"kind": kind, **data})
    return sent


def arrive(widget: WorkspaceWidget, data: Any, buffers: Any = ()) -> None:
    """Let a message of the page arrive, as the kernel would."""
    widget.comm.handle_msg({"content": {"data": data}, "buffers": list(buffers)})


# -- options ----------------------------------------------------------------------------------


@pytest.mark.req("LAY-3")
def test_each_widget_stands_alone_without_a_kernel(
    kind: Callable[..., WorkspaceWidget], idle_ws: Workspace
) -> None:
    widget = kind(idle_ws)
    assert widget.workspace is idle_ws
    assert set(widget.keys) == TRAITS | OF_THE_HOST
    assert widget._widget == kind.__name__
    state = widget.get_state()
    del state["layout"]
    json.dumps(state)
    assert str(idle_ws.path) not in json.dumps(state)
    assert repr(widget) == f"<{kind.__name__} of 'ws'>"
    ipywidgets.HBox([widget]).close()


def test_an_option_that_is_not_there_is_a_type_error_with_a_hint(
    kind: Callable[..., WorkspaceWidget], idle_ws: Workspace
) -> None:
    with pytest.raises(TypeError, match=r"has no option 'acent'\. Did you mean 'accent'"):
        kind(idle_ws, acent="red")


@pytest.mark.parametrize(
    "options",
    [
        {"height": "tall"},
        {"height": -1},
        {"height": 10**9},
        {"height": True},
        {"hide_below": 1.5},
        {"simple": "yes"},
        {"accent": "red; background: url(x)"},
        {"accent": "x" * 100},
        {"accent": 7},
        {"controls": "model"},
        {"controls": ["stepps"]},
        {"controls": [7]},
        {"controls": ["fail"]},  # hidden: for developers
    ],
    ids=str,
)
def test_a_wrong_option_is_a_sentence(idle_ws: Workspace, options: dict[str, Any]) -> None:
    with pytest.raises(wb.InvalidRequest) as caught:
        wb.Workbench(idle_ws, **options)
    assert caught.value.field in options
    bench = wb.Workbench(idle_ws)
    (name, value), *_ = options.items()
    with pytest.raises(wb.InvalidRequest):
        setattr(bench, name, value)


def test_options_reach_the_page(idle_ws: Workspace) -> None:
    bench = wb.Workbench(
        idle_ws,
        height=500,
        hide_below=320,
        simple=True,
        controls=("n", "steps", "n"),
        accent="oklch(0.8 0.1 90)",
        layout={"width": "50%"},
    )
    state = bench.get_state()
    assert (state["height"], state["hide_below"], state["simple"]) == (500, 320, True)
    assert state["controls"] == ["n", "steps"]
    assert bench.layout.width == "50%"
    sent = sent_by(bench)
    bench.height = 600
    bench.controls = None
    assert [message["state"] for message in sent] == [{"height": 600}, {"controls": None}]
    assert bench._channel is not None
    assert bench._channel.simple is True
    bench.simple = False
    assert bench._channel.simple is False


@pytest.mark.req("LAY-11")
def test_in_voila_it_is_simple(idle_ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wb.Workbench(idle_ws).simple is False
    monkeypatch.setenv("VOILA_KERNEL_ID", "k")
    assert wb.Workbench(idle_ws).simple is True
    assert wb.Workbench(idle_ws, simple=False).simple is False


def test_the_bundle_travels_once_per_process(
    idle_ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "_bundle_given", False)
    first, second, third = (wb.TokenBalance(idle_ws) for _ in range(3))
    assert first._esm == bundle.esm()
    assert second._esm == third._esm == bundle.loader()
    assert {first._hash, second._hash} == {bundle.hash()}
    assert second._channel is not None
    sent = sent_by(second)
    second._give_full_esm()
    assert sent[0]["state"] == {"_esm": bundle.whole()}


# -- whose workspace --------------------------------------------------------------------------


def test_a_widget_that_opened_its_workspace_closes_it(workspace_home: Path) -> None:
    bench = wb.Workbench(workspace_home / "ws")
    engine = bench.workspace._engine
    box = wb.PromptBox(bench)
    assert box.workspace is bench.workspace
    bench.close()
    assert not engine.closed  # the box still shows it
    box.close()
    assert engine.closed
    with pytest.raises(wb.EngineClosed, match="closed"):
        bench.workspace  # noqa: B018
    with pytest.raises(wb.EngineClosed, match="closed"):
        wb.PromptBox(bench)


def test_a_workspace_that_was_given_stays_open(idle_ws: Workspace) -> None:
    with wb.open(idle_ws.path, user=idle_ws.user, run_jobs=False) as again:
        bench = wb.Workbench(again)
        bench.close()
        bench.close()
        assert again.topics() == []
    with pytest.raises(wb.EngineClosed):
        wb.Workbench(again)


def test_without_an_argument_it_is_the_default_workspace(workspace_home: Path) -> None:
    bench = wb.Workbench()
    assert bench.workspace.path == workspace_home / ".workbench"
    bench.close()


def test_what_cannot_be_opened_leaves_nothing_behind(
    workspace_home: Path, idle_ws: Workspace
) -> None:
    before = set(_instances)
    handles = idle_ws._engine._handles
    for wrong in (7, object(), workspace_home / "ws" / "workbench.sqlite3"):
        with pytest.raises(wb.InvalidRequest):
            wb.Workbench(wrong)  # type: ignore[arg-type]
    for options in ({"height": -1}, {"layout": 5}, {"accent": "//"}):
        with pytest.raises((wb.InvalidRequest, traitlets.TraitError)):
            wb.Workbench(idle_ws.path, **options)  # type: ignore[arg-type]
    gc.collect()
    assert set(_instances) == before
    assert idle_ws._engine._handles == handles


def test_two_benches_on_one_workspace_are_in_step(idle_ws: Workspace) -> None:
    one, other = wb.Workbench(idle_ws), wb.Workbench(idle_ws)
    one.prompt = "a red fox"
    one.config.steps = 9
    assert (other.prompt, other.config.steps) == ("a red fox", 9)


# -- what it shows ----------------------------------------------------------------------------


def test_topic_and_selection_take_handles_and_ids(idle_ws: Workspace) -> None:
    bench = wb.Workbench(idle_ws)
    images = idle_ws.generate("a fox", n=2).generations
    topic = images[0].batch.topic
    bench.topic = topic.id
    assert bench.topic == topic
    bench.selection = images
    assert bench.selection == images
    images[0].delete()
    assert bench.selection == [images[1]]
    bench.selection = [images[1].id]
    bench.topic = None
    assert (bench.topic, bench.selection) == (None, [])
    for wrong in (5, "x" * 26, object()):
        with pytest.raises(wb.WorkbenchError):
            bench.topic = wrong
        with pytest.raises(wb.WorkbenchError):
            bench.selection = [wrong]
    with pytest.raises(wb.InvalidRequest, match="list of generations"):
        bench.selection = images[1]


def test_assigning_a_dict_to_config_sets_its_fields(idle_ws: Workspace) -> None:
    bench = wb.Workbench(idle_ws)
    bench.config = {"n": 2, "steps": 7}
    assert (bench.config.n, bench.config.steps) == (2, 7)
    with pytest.raises(wb.InvalidRequest):
        bench.config = 5


@pytest.mark.req("CFG-8")
def test_python_observers_are_called_before_the_assignment_returns(idle_ws: Workspace) -> None:
    bench, box = wb.Workbench(idle_ws), wb.PromptBox(idle_ws)
    seen: list[Any] = []
    box.observe(
        lambda change: seen.append((change["owner"], change["old"], change["new"])), "prompt"
    )
    everything: list[str] = []
    box.observe(lambda change: everything.append(change["name"]))
    bench.prompt = "a fox"
    assert seen == [(box, "", "a fox")]
    bench.config.update(n=1, steps=2)
    assert everything == ["prompt", "config"]
    box.unobserve_all()
    bench.prompt = "another"
    assert len(seen) == 1


def test_a_text_field_can_be_linked(idle_ws: Workspace) -> None:
    bench, text = wb.Workbench(idle_ws), ipywidgets.Text()
    link = traitlets.link((bench, "prompt"), (text, "value"))
    text.value = "typed there"
    assert bench.prompt == "typed there"
    bench.prompt = "typed here"
    assert text.value == "typed here"
    link.unlink()
    text.close()


@pytest.mark.req("CFG-8")
def test_what_a_page_changes_calls_observers_off_its_time(idle_ws: Workspace) -> None:
    bench = wb.Workbench(idle_ws)
    seen: list[Any] = []
    go_on = threading.Event()

    def slow(change: Any) -> None:
        go_on.wait(30)
        seen.append(change["new"])

    bench.observe(slow, "prompt")
    for end in range(1, 6):
        bench._desk.change({"draft": "x" * end}, "page", end)
    assert seen == [], "the page's changes waited for the observer"
    go_on.set()
    until(lambda: seen and seen[-1] == "xxxxx", "the last change")
    assert len(seen) <= 5


def test_an_observer_that_fails_is_found_in_the_log(idle_ws: Workspace) -> None:
    bench = wb.Workbench(idle_ws)

    def fails(_change: Any) -> None:
        raise ValueError("broken observer")

    bench.observe(fails, "prompt")
    with pytest.raises(ValueError, match="broken observer"):
        bench.prompt = "from Python"
    bench._desk.change({"draft": "from a page"}, "page", 1)
    found = until(lambda: idle_ws.debug.entries(kind="callback"), "an entry")
    assert "broken observer" in found[0].text


# -- messages that forge ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [
        {"height": 5, "simple": True, "controls": []},
        {"_esm": "alert(1)", "_widget": "Evil", "_hash": "x", "accent": "x"},
        {"accent": "x" * 9_000_000},
        {"layout": "IPY_MODEL_x", "_view_name": "Evil", "_dom_classes": ["x"]},
        {"prompt": "forged", "topic": None, "config": {}, "selection": []},
        [],
        None,
        "x",
    ],
    ids=lambda state: str(state)[:40],
)
def test_a_page_sets_no_trait_and_gets_no_echo(idle_ws: Workspace, state: Any) -> None:
    bench = wb.Workbench(idle_ws)
    before = bench.get_state(), bench.prompt, bench.layout
    sent = sent_by(bench)
    arrive(bench, {"method": "update", "state": state, "buffer_paths": []})
    arrive(bench, {"method": "update", "state": state, "buffer_paths": [["a", 7]]}, [b"x"])
    bench.set_state(state)
    assert (bench.get_state(), bench.prompt, bench.layout) == before
    assert sent == []


@pytest.mark.parametrize(
    "data",
    [
        None,
        5,
        [],
        "",
        {},
        {"method": "custom"},
        {"method": "custom", "content": None},
        {"method": "custom", "content": {"op": []}},
        {"method": ["custom"], "content": {}},
        {"method": "backbone", "sync_data": {"height": 1}},
    ],
    ids=str,
)
def test_a_message_of_any_form_is_taken_quietly(
    idle_ws: Workspace, data: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    bench = wb.Workbench(idle_ws)
    arrive(bench, data)
    for whole in ({}, {"content": None}, {"content": {"data": data}}):
        bench._handle_msg(whole)
    assert capfd.readouterr().err == ""


def test_the_state_is_answered_but_not_as_often_as_somebody_asks(
    idle_ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = wb.Workbench(idle_ws)
    sent = sent_by(bench)
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(base, "time", SimpleNamespace(monotonic=lambda: clock.now))
    for second in range(3):
        clock.now = 100.0 + second
        for _ in range(500):
            arrive(bench, {"method": "request_state"})
        assert len(sent) == 5 * (second + 1)
    assert sent[0]["state"]["height"] == 720


def test_browsers_cannot_make_our_widgets() -> None:
    from ipywidgets.widgets.widget import _registry

    registered = [kind for *_, kind in _registry.items()]
    assert not [kind for kind in registered if issubclass(kind, WorkspaceWidget)]


# -- the end ----------------------------------------------------------------------------------


@pytest.mark.req("LIVE-3")
def test_a_closed_widget_leaves_nothing_behind(
    kind: Callable[..., WorkspaceWidget], idle_ws: Workspace
) -> None:
    import comm

    engine = idle_ws._engine
    subscribers = len(engine.hub._subscribers)
    instances, subscriptions = set(_instances), list(idle_ws._subscriptions)
    comms = set(comm.get_comm_manager().comms)
    widget = kind(idle_ws)
    widget.observe(lambda _: None, "prompt")
    widget.prompt = "a fox"
    widget._repr_mimebundle_()
    widget.close()
    assert repr(widget) == f"<{kind.__name__} closed>"
    assert set(_instances) == instances
    assert set(comm.get_comm_manager().comms) == comms
    assert idle_ws._subscriptions == subscriptions
    assert len(engine.hub._subscribers) == subscribers
    gone = weakref.ref(widget)
    del widget
    until_collected(gone, "the widget")


def test_a_layout_that_was_given_outlives_the_widget(idle_ws: Workspace) -> None:
    layout = ipywidgets.Layout(width="50%")
    wb.TokenBalance(idle_ws, layout=layout).close()
    assert layout.comm is not None
    layout.close()


def test_a_page_that_closes_the_comm_ends_the_widget(idle_ws: Workspace) -> None:
    widget = wb.TokenBalance(idle_ws)
    comm = widget.comm
    comm._closed = True  # as the manager of comms does
    comm.handle_close({"content": {}})
    until(lambda: widget._lease is None, "the widget ends")
    with pytest.raises(wb.EngineClosed):
        widget.workspace  # noqa: B018


def test_closing_the_workspace_first_is_fine(workspace_home: Path) -> None:
    ws = wb.open(workspace_home / "ws")
    bench = wb.Workbench(ws)
    bench.prompt = "kept"
    ws.close()
    bench.close()
    with wb.open(workspace_home / "ws", run_jobs=False) as ws:
        assert wb.Workbench(ws).prompt == "kept"


def test_all_widgets_can_be_closed_at_once(idle_ws: Workspace) -> None:
    widgets = [kind(idle_ws) for kind in WIDGETS]
    ipywidgets.Widget.close_all()
    assert {repr(widget) for widget in widgets} == {f"<{kind.__name__} closed>" for kind in WIDGETS}
