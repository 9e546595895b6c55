"""More topics than a page lists at once: the latest first, the others when they are asked for."""

from __future__ import annotations

import pytest

import workbench as wb
from tests.widgets.pages import Page
from workbench.widgets.operations import looking
from workbench.widgets.operations import snapshot as opening

TOPICS = {"topics", "feed"}


@pytest.fixture
def made(idle: Page, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Eight topics, latest first, of which a page lists three at first and then two at a time."""
    monkeypatch.setattr(opening, "FIRST_TOPICS", 3)
    monkeypatch.setattr(looking, "NEXT_TOPICS", 2)
    return [idle.workspace.create_topic(f"Topic {n}").id for n in range(8)][::-1]


@pytest.mark.req("TOP-1")
def test_a_page_begins_with_the_latest_topics_and_says_how_many_there_are(idle, made, bob):
    bob.create_topic("of somebody else")
    data = opening.snapshot(idle.context(), TOPICS)
    assert [row["id"] for row in data["topics"]] == made[:3]
    assert data["older_topics"]["total"] == 8
    listed = [row["id"] for row in data["topics"]]
    beyond = data["older_topics"]
    # An older one gets busy, another goes: no topic comes twice, none is left out.
    idle.workspace.topic(made[4]).title = "Busy"
    idle.workspace.topic(made[7]).delete()
    while beyond:
        answer = idle.ask("topics", cursor=beyond["cursor"])
        assert len(answer["topics"]) <= 2
        listed += [row["id"] for row in answer["topics"]]
        beyond = answer["older_topics"]
        assert beyond is None or beyond["total"] == 7
    assert listed == [*made[:4], *made[5:7]], "the busy one is told by its delta"
    for bad in ("", "b1.n.5", "t1.n.5", "t1.o.5.5"):
        with pytest.raises(wb.InvalidRequest, match="cursor"):
            idle.ask("topics", cursor=bad)


@pytest.mark.req("TOP-1", "CFG-7")
def test_an_open_topic_is_there_however_old_it_is(idle, made):
    idle.desk.change({"topic_id": made[6]})
    data = opening.snapshot(idle.context(), TOPICS)
    assert [row["id"] for row in data["topics"]] == [*made[:3], made[6]]
    assert data["feed"]["topic_id"] == made[6]
    # Python opens another one later: the page learns what it is with its feed.
    answer = idle.ask("topic.open", topic_id=made[5])
    assert (answer["topic"]["id"], answer["topic"]["title"]) == (made[5], "Topic 2")


@pytest.mark.req("TOP-1")
def test_whoever_has_few_topics_is_told_of_no_others(idle, bob):
    idle.workspace.create_topic("one")
    data = opening.snapshot(idle.context(), TOPICS)
    assert len(data["topics"]) == 1
    assert data["older_topics"] is None
    assert opening.snapshot(Page(bob).context(), TOPICS)["topics"] == []
