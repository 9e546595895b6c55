"""What a page changes of the desk, and in which order that counts."""

from __future__ import annotations

from typing import Any

import pytest

import workbench as wb
from tests.widgets.page_world import Page as WirePage
from tests.widgets.page_world import wired
from tests.widgets.pages import MISSING


@pytest.mark.req("CFG-7", "CFG-8")
def test_a_page_moves_the_desk_and_says_that_it_was_it(idle):
    heard = []
    unsubscribe = idle.desk.subscribe(lambda rev, client, n: heard.append((client, n)))
    topic = idle.workspace.create_topic("x")
    generation = idle.workspace.generate("y", topic=topic).generations[0].id
    heard.clear()
    answer = idle.ask(
        "desk.set",
        n=7,
        config={"n": 2, "seed": str(2**62), "params": {"steps": 5}},
        draft="half a prom",
        topic_id=topic.id,
        selection=[generation, MISSING],
        panels={"config_open": False},
    )
    unsubscribe()
    assert answer == {"rev": idle.desk.rev}
    assert ("page-one", 7) in heard
    desk = idle.desk.snapshot()
    assert (desk["config"]["n"], desk["config"]["seed"]) == (2, str(2**62))
    assert desk["config"]["params"]["steps"] == 5
    assert (desk["draft"], desk["topic_id"]) == ("half a prom", topic.id)
    assert desk["selection"] == [generation]
    idle.ask("desk.set", n=8, topic_id="")
    assert idle.desk.snapshot()["topic_id"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"config": {"n": 0}},
        {"config": {"n": 10**12}},
        {"config": {"owner": "bob"}},
        {"config": {"model": "nothing"}},
        {"config": {"seed": "-5"}},
        {"config": {"params": {"steps": 0}}},
        {"config": {"params": {"nothing": 1}}},
        {"config": {"delay_ms": 5}},
        {"config": {"width": 10**9}},
        {"topic_id": MISSING},
        {"topic_id": "../etc"},
        {"draft": "x" * 10_001},
        {"draft": "fine", "config": {"n": -1}},
    ],
)
def test_a_desk_refuses_what_makes_no_sense_and_stays_as_it_is(idle, wrong):
    before = idle.desk.snapshot()
    with pytest.raises((wb.InvalidRequest, wb.NotFound)):
        idle.ask("desk.set", n=1, **wrong)
    assert idle.desk.snapshot() == before


# -- what got lost on the way, and comes late -----------------------------------------------------


@pytest.mark.req("LIVE-5", "CFG-7")
def test_a_change_that_comes_after_a_later_one_takes_nothing_back(idle):
    topic = idle.workspace.create_topic("x")
    first, second = [one.id for one in idle.workspace.generate("y", n=2, topic=topic).generations]
    later = {"draft": "a red fox", "selection": [first, second], "panels": {"config_open": False}}
    idle.ask("desk.set", n=2, config={"n": 2, "params": {"steps": 30}}, **later)
    idle.ask(
        "desk.set",
        n=1,
        config={"n": 3, "seed": "7", "params": {"steps": 5, "palette": 0.2}},
        draft="a red",
        selection=[first],
    )
    desk = idle.desk.snapshot()
    assert desk["draft"] == "a red fox"
    assert desk["selection"] == [first, second]
    assert (desk["config"]["n"], desk["config"]["seed"]) == (2, "7")
    assert (desk["config"]["params"]["steps"], desk["config"]["params"]["palette"]) == (30, 0.2)


def test_what_was_set_for_the_model_before_is_not_set_for_the_next_one(idle):
    model = idle.desk.snapshot()["config"]["model"]
    idle.ask("desk.set", n=2, config={"model": model})
    before = idle.desk.snapshot()
    idle.ask("desk.set", n=1, config={"params": {"steps": 5}, "n": 3})
    assert idle.desk.snapshot() == before


def test_a_change_that_was_refused_does_not_keep_earlier_ones_out(idle):
    with pytest.raises(wb.InvalidRequest):
        idle.ask("desk.set", n=2, config={"n": 0})
    idle.ask("desk.set", n=1, config={"n": 3})
    assert idle.desk.snapshot()["config"]["n"] == 3


@pytest.mark.req("LIVE-5")
def test_each_page_has_an_order_of_its_own(idle_ws):
    with wired(idle_ws) as (_, wire):
        pages: list[WirePage] = [WirePage(wire), WirePage(wire)]
        for page in pages:
            page.hello()

        def draft() -> Any:
            return pages[0].hello()["desk"]["draft"]

        pages[0].call("desk.set", n=5, draft="of the first")
        pages[1].call("desk.set", n=1, draft="of the second")
        assert draft() == "of the second"
        pages[0].call("desk.set", n=4, draft="late")
        assert draft() == "of the second"
