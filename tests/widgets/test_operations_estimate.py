"""What the page is told before it asks for pictures: why the request would be refused."""

from __future__ import annotations

import pytest

import workbench as wb
from tests.widgets.pages import MISSING, SMALL


@pytest.mark.req("TOK-4", "PRM-1")
def test_an_estimate_says_beforehand_why_the_request_would_be_refused(idle):
    ws = idle.workspace
    ws.set_price("sketch", 2)

    def told(**settings: object) -> str:
        """What the estimate says, which is what the submission says."""
        answer = idle.ask("estimate", **SMALL, **settings)
        assert answer["cost_micro"] > 0, "a price is told all the same"
        if answer["refusal"]:
            with pytest.raises(wb.WorkbenchError) as caught:
                idle.submit(key=f"key-{settings}", **settings)
            assert str(caught.value) == answer["refusal"]
        return answer["refusal"]

    assert "the balance is 0 tokens" in told(n=1)
    ws.grant(100)
    assert told(n=4) == ""
    foxes, cats = ws.create_topic("foxes"), ws.create_topic("cats")
    ws.set_cap(3, unit="token", per="total", topic=foxes)
    for topic, n, part in ((foxes, 2, "for this topic is left"), (foxes, 1, ""), (cats, 2, "")):
        idle.desk.change({"topic_id": topic.id})
        said = told(n=n)
        assert part in said
        assert bool(said) is bool(part)
    ws.set_cap(1, unit="token")
    assert "for you is left" in told(n=1)
    assert ws.spend().empty


def test_an_estimate_does_not_fail_with_a_topic_that_has_just_gone(idle, monkeypatch):
    gone = {**idle.desk.snapshot(), "topic_id": MISSING}
    monkeypatch.setattr(idle.desk, "snapshot", lambda: gone)
    assert idle.ask("estimate", **SMALL, n=1)["refusal"] == ""


def test_a_model_that_cannot_be_used_has_an_estimate_and_no_refusal(idle):
    model = next(one for one in idle.workspace.models() if one.provider != "builtin")
    assert idle.ask("estimate", model=model.id)["refusal"] == ""
