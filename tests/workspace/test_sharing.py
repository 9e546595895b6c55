"""Projects, owners, teams, and a trash that keeps for thirty days."""

from __future__ import annotations

import os
import time

import pytest

import workbench as wb
from tests.waiting import until
from tests.workspace.odd_world import png
from tests.workspace.workspace_world import SMALL
from workbench.domain.records import Identity
from workbench.store.sqlite import purge
from workbench.workspace.engine import Engine
from workbench.workspace.workspace import Workspace

DAY_MS = 86_400_000


class TurnedClock:
    """The wall clock of these tests; what waits does so in real time."""

    def __init__(self, now_ms: int) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.mark.req("TOP-7")
def test_a_project_is_made_renamed_filled_deleted_and_restored(idle_ws):
    project = idle_ws.create_project("Animals")
    assert project in idle_ws.projects()
    assert idle_ws.project(project.id).title == "Animals"
    project.title = "Beasts"
    assert idle_ws.project(project.id).title == "Beasts"
    kept = idle_ws.create_project("Kept")
    foxes, owls = project.create_topic("Foxes"), idle_ws.create_topic("Owls", project=project)
    assert {topic.title for topic in project.topics()} == {"Foxes", "Owls"}
    assert {topic.title for topic in idle_ws.topics(project)} == {"Foxes", "Owls"}
    owls.project = kept.id
    idle_ws.generate("a fox", n=2, topic=foxes)
    assert project.delete() == 0  # two that were queued; none was a picture yet
    assert project not in idle_ws.projects()
    assert [topic.title for topic in idle_ws.topics()] == ["Owls"]
    with pytest.raises(wb.NotAllowed, match=r"trash.*Restore"):
        project.title = "x"
    with pytest.raises(wb.NotAllowed, match="trash"):
        project.create_topic("x")
    project.restore()
    assert project in idle_ws.projects()
    assert [topic.title for topic in project.topics()] == ["Foxes"]
    assert {g.status for g in idle_ws.generations(topic=foxes)} == {"cancelled"}


@pytest.mark.req("TOP-5")
def test_a_team_sees_what_was_shared_with_it_and_nobody_else_does(workspace_home):
    place = workspace_home / "ws"
    with (
        wb.open(place, user="ada", team="lab", run_jobs=False) as ada,
        wb.open(place, user="bob", team="lab", run_jobs=False) as bob,
        wb.open(place, user="eve", team="other", run_jobs=False) as eve,
        wb.open(place, user="joe", run_jobs=False) as joe,
    ):
        batch = ada.generate("a fox")
        topic = batch.topic
        assert topic.record.owner == "ada"
        assert topic.record.team == "lab"
        for reader in (bob, eve, joe):
            assert reader.topics() == []
        topic.visibility = "team"
        assert [t.id for t in bob.topics()] == [topic.id]
        assert len(bob.frame()) == len(bob.generations().items) == 1
        assert bob.batch(batch.id).counts["queued"] == 1
        for reader in (eve, joe):
            assert reader.topics() == []
            assert reader.frame().empty
            with pytest.raises(wb.NotFound):
                reader.batch(batch.id)
        for change in (
            bob.batch(batch.id).cancel,
            bob.batch(batch.id).delete,
            bob.topic(topic.id).delete,
            lambda: bob.generate("mine", topic=topic.id),
            lambda: bob.say(topic.id, "hello"),
            bob.generation(batch.generations[0].id).run_next,
            lambda: bob.generation(batch.generations[0].id).edit(seed=1),
        ):
            with pytest.raises(wb.NotAllowed, match="belongs to 'ada'"):
                change()
        assert bob.cancel_all() == 0
        assert bob.trash() == []
        topic.visibility = "workspace"
        assert [t.id for t in joe.topics()] == [topic.id]
        topic.visibility = "private"
        seen = wb.Batch(bob, batch.id)
        with pytest.raises(wb.NotFound):
            seen.counts  # noqa: B018
    with wb.open(place, user="joe", run_jobs=False) as joe:
        mine = joe.create_topic("mine")
        with pytest.raises(wb.InvalidRequest, match="no team"):
            mine.visibility = "team"


@pytest.mark.req("TOP-2", "FEED-8")
def test_the_trash_keeps_for_thirty_days_and_then_goes_by_itself(workspace_home):
    clock = TurnedClock(1_800_000_000_000)

    def opened(*, run_jobs: bool = False) -> Workspace:
        engine = Engine.acquire(workspace_home / "ws", run_jobs=run_jobs, clock=clock)
        return Workspace(engine, Identity("ada"))

    with wb.open(workspace_home / "ws", user="ada") as first:
        made = first.generate("a fox", **SMALL).wait(60)
        path = made.generations[0].path
    with opened() as workspace:
        workspace.topics()[0].delete()
        assert len(workspace.trash()) == 1
    clock.now += 29 * DAY_MS
    with opened(run_jobs=True) as workspace:
        workspace._engine._run(workspace._engine.tidy_up())
        assert len(workspace.trash()) == 1
        assert path.exists()
    clock.now += 2 * DAY_MS
    with opened(run_jobs=True) as workspace:
        # Nobody asks for it: the engine keeps house when it starts.
        until(lambda: not path.exists())
        assert workspace.trash() == []


@pytest.mark.req("DAT-2", "DAT-6")
def test_files_without_a_row_go_after_an_hour_and_younger_ones_stay(ws):
    kept = ws.generate("a fox", **SMALL).wait(60).generations[0].path
    # The engine keeps house when it starts to run jobs, and may come to the old one first.
    ws.close()
    with wb.open(ws.path, user="ada", run_jobs=False) as again:
        media = again._engine.media
        old = media.path(media.admit(png("red"), source="generation").id)
        young = media.path(media.admit(png("blue"), source="generation").id)
        for path in (kept, old):
            os.utime(path, (0, 0))
        assert "belong to no row" in " ".join(again.doctor().problems)
        again._engine._run(again._engine.tidy_up())
        assert [path.exists() for path in (kept, old, young)] == [True, False, True]
        assert again.doctor().ok


@pytest.mark.req("FEED-10")
def test_a_cancel_of_a_topic_leaves_the_others_and_a_cancel_of_all_leaves_other_users(
    workspace_home,
):
    place = workspace_home / "ws"
    with (
        wb.open(place, user="ada", run_jobs=False) as ada,
        wb.open(place, user="bob", run_jobs=False) as bob,
    ):
        foxes, owls = ada.create_topic("foxes"), ada.create_topic("owls")
        fox, owl = ada.generate("fox", n=2, topic=foxes), ada.generate("owl", topic=owls)
        theirs = bob.generate("bear")
        assert ada.cancel_all(foxes) == 2
        assert (fox.status, owl.status, theirs.status) == ("cancelled", "queued", "queued")
        assert fox.cancel() == 0  # what has ended is no error
        assert fox.generations[0].cancel() is False
        assert ada.cancel_all() == 1
        assert (owl.status, theirs.status) == ("cancelled", "queued")
        assert ada.cancel_all(all_users=True) == 1
        assert theirs.status == "cancelled"


@pytest.mark.req("FEED-10")
def test_one_users_pause_holds_nobody_else_and_an_operators_holds_all(workspace_home):
    place = workspace_home / "ws"
    with (
        wb.open(place, user="ada", run_jobs=False) as ada,
        wb.open(place, user="bob", run_jobs=False) as bob,
    ):
        mine, theirs = ada.generate("fox"), bob.generate("bear")
        assert ada.pause() == 1
        assert (ada.paused, bob.paused) == (True, False)
        assert (mine.status, theirs.status) == ("pending", "queued")
        assert ada.resume() == 1
        assert ada.pause(all_users=True) == 2
        assert (ada.paused, bob.paused) == (True, True)
        assert bob.resume() == 0  # not theirs to end
        assert ada.resume(all_users=True) == 2
        assert (mine.status, theirs.status) == ("queued", "queued")


@pytest.mark.req("FEED-8")
def test_the_last_image_takes_its_batch_and_a_topic_all_of_it(idle_ws):
    batch = idle_ws.generate("a fox", n=2)
    topic = batch.topic
    other = idle_ws.generate("an owl", topic=topic)
    first, second = batch.generations
    first.delete()
    assert [b.id for b in topic.batches()] == [other.id, batch.id]
    second.delete()
    assert [b.id for b in topic.batches()] == [other.id]
    topic.delete()
    assert len(idle_ws.generations()) == 0
    assert len(topic.batches()) == 0
    idle_ws.empty_trash()
    for gone in (lambda: topic.title, lambda: batch.prompt, lambda: first.status):
        with pytest.raises(wb.NotFound):
            gone()
    assert everything_is_empty(idle_ws)


def everything_is_empty(workspace: Workspace) -> bool:
    tables = ("topic", "batch", "generation", "job", "attempt", "input", "judgement", "asset")
    counts = [workspace.sql(f"select count(*) as n from {table}")["n"][0] for table in tables]
    return counts == [0] * len(tables)


@pytest.mark.req("TOP-2", "FEED-8")
def test_what_is_restored_in_the_middle_of_a_purge_leaves_no_empty_request(idle_ws):
    def purge_the_pictures_only() -> None:
        step = idle_ws._store.submit_write(lambda tx: purge.step(tx, owner="ada", before=2**62))
        assert step.result() is not None

    batch = idle_ws.generate("a fox", n=2)
    batch.delete()
    purge_the_pictures_only()
    with pytest.raises(wb.NotFound):
        batch.restore()
    idle_ws.empty_trash()
    for thing in ("topic", "project"):
        topic = idle_ws.generate("a fox", n=2).topic
        above = topic if thing == "topic" else topic.project
        above.delete()
        purge_the_pictures_only()
        above.restore()
        assert len(topic.batches()) == 0
        assert idle_ws.doctor().ok, idle_ws.doctor().problems
