"""Projects, topics, covers, pages, judgements, and the trash that gives everything back."""

from __future__ import annotations

import pytest

import workbench as wb
from tests.workspace.workspace_world import SMALL
from workbench.testing.providers import FakeProvider, Gate, Picture


@pytest.mark.req("TOP-1", "TOP-7")
def test_projects_group_topics_and_topics_move_between_them(idle_ws):
    animals = idle_ws.create_project("Animals")
    places = idle_ws.create_project("Places")
    foxes = animals.create_topic("Foxes")
    assert [t.title for t in animals.topics()] == ["Foxes"]
    foxes.project = places
    assert animals.topics() == []
    assert foxes.project == places
    animals.title = "Beasts"
    assert {p.title for p in idle_ws.projects()} >= {"Beasts", "Places"}
    for bad in (5, "no-id"):
        with pytest.raises((wb.InvalidRequest, wb.NotFound)):
            foxes.project = bad


@pytest.mark.req("TOP-1")
@pytest.mark.parametrize("title", ["x" * 100_000, 5, None, "", " "])
def test_titles_that_cannot_be_shown_are_refused(idle_ws, title):
    topic = idle_ws.create_topic("ok")
    with pytest.raises(wb.InvalidRequest, match="title"):
        topic.title = title
    assert topic.title == "ok"


@pytest.mark.req("TOP-1")
@pytest.mark.parametrize("title", ["../..", "/abs", "a/b", "🦊", "<img src=x onerror=alert(1)>"])
def test_strange_titles_are_just_text(idle_ws, title):
    assert idle_ws.create_topic(title).title == title


@pytest.mark.req("TOP-4")
def test_the_cover_is_the_first_success_and_is_replaced_when_it_goes(ws):
    batch = ws.generate("a fox", n=3, **SMALL).wait(60)
    topic = batch.topic
    first = topic.cover
    assert first in batch.generations
    first.delete()
    second = topic.cover
    assert second in batch.generations
    assert second != first
    chosen = next(g for g in batch.generations if g not in (first, second))
    topic.set_cover(chosen)
    assert topic.cover == chosen
    ws.generate("another", topic=topic, **SMALL).wait(60)
    assert topic.cover == chosen
    with pytest.raises(wb.InvalidRequest):
        topic.set_cover("x")


@pytest.mark.req("TOP-6")
def test_the_neighbour_of_a_deleted_topic_takes_its_place(idle_ws):
    assert idle_ws.create_topic("only").neighbour() is None
    for title in ("oldest", "middle", "newest"):
        idle_ws.create_topic(title)
    listed = idle_ws.topics()
    before = [topic.neighbour().id for topic in listed]
    assert before == [*[topic.id for topic in listed[1:]], listed[-2].id]
    middle = listed[1]
    middle.delete()
    assert middle.neighbour() == listed[2]


@pytest.mark.req("FEED-8", "TOP-2")
def test_everything_deleted_comes_back_whole(ws):
    batch = ws.generate("a fox", n=2, **SMALL).wait(60)
    topic = batch.topic
    one, two = batch.generations
    one.delete()
    assert len(batch) == 1
    two.delete()
    assert ws.generations().items == []
    kinds = {item.entity for item in ws.trash()}
    assert kinds <= {"generation", "batch"}
    one.restore()
    assert one.status == "completed"
    assert one.image.size == (64, 64)
    two.restore()
    assert len(batch) == 2
    assert topic.delete() == 2
    assert ws.topics() == []
    assert ws.generations().items == []
    item = ws.trash()[0]
    assert (item.entity, item.images) == ("topic", 2)
    ws.restore(item)
    assert len(ws.generations().items) == 2
    batch.delete()
    ws.restore(batch.id)
    project = topic.project
    assert project.delete() == 2
    ws.restore(project)
    assert topic.title
    with pytest.raises(wb.NotFound):
        ws.restore("nothing")
    with pytest.raises(wb.InvalidRequest):
        ws.restore(5)


@pytest.mark.req("FEED-8")
def test_emptying_the_trash_removes_files_that_nobody_needs(ws):
    kept = ws.generate("a fox", seed=1, **SMALL).wait(60).generations[0]
    twin = ws.generate("a fox", seed=1, **SMALL).wait(60).generations[0]
    gone = ws.generate("a boat", seed=2, **SMALL).wait(60).generations[0]
    used = ws.generate("a tree", seed=3, **SMALL).wait(60).generations[0]
    ws.generate("from a tree", references=[used], **SMALL).wait(60)
    assert kept.asset == twin.asset
    paths = {g: g.path for g in (kept, gone, used)}
    thumbnail = gone.thumbnail()
    for generation in (twin, gone, used):
        generation.delete()
    assert ws.empty_trash() == 1
    assert paths[kept].exists()
    assert paths[used].exists()
    assert not paths[gone].exists()
    assert not thumbnail.exists()
    assert ws.trash() == []
    with pytest.raises(wb.NotFound):
        gone.restore()
    assert ws.doctor().ok, ws.doctor().problems


@pytest.mark.req("TOP-2", "FEED-10")
def test_deleting_a_topic_cancels_what_still_runs_in_it(ws):
    gate = Gate()
    ws.add_provider(FakeProvider("slow", script=lambda request: [gate, Picture()]))
    ws.set_price("slow:picture", 2)
    ws.grant(20)
    batch = ws.generate("a fox", model="slow:picture", n=4)
    assert ws.balance == 12
    gate.wait_reached()
    batch.topic.delete()
    assert ws._store.batch_open(batch.id) == 0
    assert ws.balance == 20
    ws.restore(batch.topic)
    assert {g.status for g in batch.generations} == {"cancelled"}
    gate.open()


@pytest.mark.req("FEED-5")
def test_pages_neither_repeat_nor_skip_while_rows_arrive(idle_ws):
    for i in range(12):
        idle_ws.generate(f"old {i}")
    seen, cursor = [], None
    while True:
        page = idle_ws.generations(limit=5, cursor=cursor)
        seen += [g.prompt for g in page]
        idle_ws.generate("arrives meanwhile")
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [f"old {i}" for i in reversed(range(12))]


@pytest.mark.req("FEED-5", "FEED-12")
def test_pages_are_filtered_by_status_model_topic_and_words(ws):
    fox = ws.generate("a red fox in snow", n=2, fail=[0], **SMALL).wait(60)
    boat = ws.generate("a blue boat", **SMALL).wait(60)

    def prompts(**filters):
        return [g.prompt for g in ws.generations(**filters)]

    assert prompts(status="failed") == ["a red fox in snow"]
    assert len(prompts(status=["failed", "success"])) == 3
    assert prompts(include_failed=False) == ["a blue boat", "a red fox in snow"]
    assert prompts(search="bo") == ["a blue boat"]
    assert prompts(search="snow fox") == ["a red fox in snow"] * 2
    assert prompts(search='"; DROP TABLE') == []
    assert prompts(topic=boat.topic) == ["a blue boat"]
    assert len(prompts(model="sketch")) == 3
    assert prompts(model="gone:model") == []
    assert prompts(provider="builtin", order="oldest")[0] == "a red fox in snow"
    assert [b.id for b in fox.topic.batches()] == [fox.id]
    for bad in (
        {"limit": 0},
        {"limit": 501},
        {"limit": "x"},
        {"cursor": "x"},
        {"status": "odd"},
        {"order": "random"},
        {"search": 5},
        {"topic": 5},
        {"model": 5},
    ):
        with pytest.raises(wb.InvalidRequest):
            ws.generations(**bad)


@pytest.mark.req("FEED-6")
def test_ratings_favourites_tags_and_notes_are_kept_and_checked(idle_ws):
    generation = idle_ws.generate("x").generations[0]
    generation.rating = 4
    generation.favourite = True
    generation.tags = {"keep", "fig 3"}
    generation.note = "the best one"
    again = idle_ws.generation(generation.id)
    assert (again.rating, again.favourite, again.note) == (4, True, "the best one")
    assert again.tags == frozenset({"keep", "fig 3"})
    for name, value in (
        ("rating", 6),
        ("rating", "5"),
        ("rating", True),
        ("favourite", "yes"),
        ("tags", "keep"),
        ("tags", {5}),
        ("tags", {"x" * 1000}),
        ("note", 5),
        ("note", "x" * 20_000),
    ):
        with pytest.raises(wb.InvalidRequest):
            setattr(generation, name, value)
    assert again.tags == frozenset({"keep", "fig 3"})


@pytest.mark.req("FEED-10")
def test_cancel_keeps_finished_siblings_and_never_hits_a_neighbour(ws):
    gate = Gate()

    def script(request):
        return [Picture()] if request.slots[0].index == 0 else [gate, Picture()]

    ws.add_provider(FakeProvider("slow", script=script))
    batch = ws.generate("a fox", model="slow:picture", n=4)
    neighbour = ws.generate("a boat", n=1, **SMALL)
    batch.generations[0].wait(60)
    assert batch.generations[3].cancel()
    gate.open()
    batch.wait(60)
    assert batch.generations[0].status == "completed"
    assert batch.generations[3].status == "cancelled"
    assert {g.status for g in batch.generations[1:3]} == {"completed"}
    assert neighbour.wait(60).status == "completed"
    assert batch.generations[0].cancel() is False
    assert batch.cancel() == 0
    assert ws.cancel_all() == 0


@pytest.mark.req("FEED-10")
def test_a_paused_queue_waits_and_goes_on(ws):
    ws.pause()
    assert ws.paused
    batch = ws.generate("a fox", n=2, **SMALL)
    assert batch.status == "pending"
    assert batch.generations[0].detail == "paused"
    with pytest.raises(TimeoutError):
        batch.wait(0.3)
    assert ws.resume() == 2
    assert batch.wait(60).status == "completed"


@pytest.mark.req("FEED-10")
def test_what_waits_can_be_put_first_and_edited(idle_ws):
    first = idle_ws.generate("first")
    second = idle_ws.generate("second")
    generation = second.generations[0]
    assert generation.run_next()
    generation.edit(seed=99, steps=3, prompt="second, better")
    record = generation.record
    assert (record.seed, record.params["steps"]) == (99, 3)
    assert (record.prompt, record.prompt_sent) == ("second", "second, better")
    for bad in ({}, {"steps": 0}, {"seed": "x"}, {"colour": 1}, {"prompt": ""}):
        with pytest.raises(wb.InvalidRequest):
            generation.edit(**bad)
    generation.cancel()
    with pytest.raises(wb.NotAllowed):
        generation.edit(seed=1)
    assert not generation.run_next()
    with wb.open(idle_ws.path, user="ada") as runner:
        assert runner.batch(first.id).wait(60).status == "completed"


@pytest.mark.req("FEED-9", "STA-3")
def test_cards_of_images_know_their_generations_with_one_query(ws):
    picture = ws.generate("a fox", **SMALL).wait(60).generations[0]
    other = ws.generate("a cat", **SMALL).wait(60).generations[0]
    asset = picture.asset.id
    assert wb.media_card_status(ws, asset)["status"] == "completed"
    ws.pause()
    edit = ws.generate("from it", references=[picture], **SMALL).generations[0]
    cards = wb.media_card_status_batch(ws, [asset, other.asset.id, "0" * 64])
    assert (cards[asset]["status"], cards[asset]["active"]) == ("pending", 1)
    assert cards[asset]["generation_id"] == edit.id
    assert cards["0" * 64]["status"] is None
    items = ws.generations().items
    assert wb.map_asset_to_generation(asset, items) == picture
    assert wb.map_asset_to_generation("0" * 64, items) is None
    assert wb.assets_with_active_generations(items) == {asset}
    assert wb.assets_with_failed_generations(items) == frozenset()
    with pytest.raises(wb.InvalidRequest):
        wb.media_card_status_batch(ws, asset)
