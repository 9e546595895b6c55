"""A workspace with more topics than one page of anything."""

from __future__ import annotations

import pytest

from workbench.workspace.workspace import Workspace

MANY = 1_005


@pytest.mark.req("TOP-1")
def test_all_topics_are_listed_however_many_there_are(idle_ws: Workspace) -> None:
    made = [idle_ws.create_topic(f"Topic {number}").id for number in range(MANY)]
    assert sorted(topic.id for topic in idle_ws.topics()) == sorted(made)
    (project,) = idle_ws.projects()
    assert len(project.topics()) == MANY
