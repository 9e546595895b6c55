"""What a page changes: requests, the queue, the trash, topics, judgements, the desk."""

from __future__ import annotations

import threading

import pytest

import workbench as wb
from tests.widgets.pages import MISSING, SMALL, Page, Studio
from tests.workspace.workspace_world import everything
from workbench.domain.jobs import Idempotency, IdempotencyPolicy
from workbench.domain.records import Price
from workbench.errors import ErrorKind, ProviderError

# -- submitting ---------------------------------------------------------------------------------


@pytest.mark.req("PRM-3", "PRM-4")
def test_a_request_without_a_topic_makes_one_and_opens_it(idle):
    answer = idle.submit("a red fox", n=2)
    assert answer["batch"]["client_key"] == "key-1"
    assert answer["batch"]["source"] == "widget"
    assert [row["index"] for row in answer["generations"]] == [0, 1]
    assert {row["status"] for row in answer["generations"]} == {"queued"}
    assert answer["topic"]["title"] == "a red fox"
    assert idle.desk.snapshot()["topic_id"] == answer["topic"]["id"]


@pytest.mark.req("PRM-3")
def test_the_same_key_again_is_the_same_batch(idle):
    first = idle.submit()
    before = everything(idle.workspace)
    again = idle.submit()
    assert again["batch"]["id"] == first["batch"]["id"]
    assert everything(idle.workspace) == before
    other = idle.submit(key="key-2", topic_id=first["topic"]["id"])
    assert other["batch"]["id"] != first["batch"]["id"]


@pytest.mark.req("PRM-3")
def test_a_double_click_in_two_threads_submits_once(idle):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(idle.submit())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["batch"]["id"] for answer in answers}) == 1
    assert len(idle.workspace.generations()) == 4  # the desk's usual count, once


@pytest.mark.req("PRM-4", "PRM-5")
def test_quick_requests_before_the_page_knows_its_topic_share_it(idle):
    answers = [idle.submit(f"fox {n}", key=f"key-{n}") for n in range(10)]
    assert len({answer["topic"]["id"] for answer in answers}) == 1
    feed = idle.ask("topic.open", topic_id=answers[0]["topic"]["id"])
    assert [row["prompt"] for row in feed["batches"]] == [f"fox {n}" for n in reversed(range(10))]


@pytest.mark.req("PRM-4")
def test_a_request_for_another_topic_leaves_the_desk_where_it_is(idle):
    here, there = idle.workspace.create_topic("here"), idle.workspace.create_topic("there")
    idle.desk.change({"topic_id": here.id})
    answer = idle.submit(topic_id=there.id)
    assert answer["batch"]["topic_id"] == there.id
    assert idle.desk.snapshot()["topic_id"] == here.id


@pytest.mark.req("CFG-5", "CFG-8")
def test_what_is_given_counts_and_what_is_not_is_the_desks(idle):
    idle.desk.change(
        {"config": {"n": 3, "seed": 11, "width": 128, "height": 72, "params": {"steps": 9}}}
    )
    row = idle.ask("submit", client_key="a", prompt="x")["batch"]
    assert (row["n"], row["seed"], row["width"], row["height"]) == (3, "11", 128, 72)
    assert row["params"]["steps"] == 9
    row = idle.ask(
        "submit", client_key="b", prompt="x", n=1, seed=None, width=None, params={"steps": 2}
    )["batch"]
    assert (row["n"], row["seed"], row["width"], row["height"]) == (1, None, 512, 72)
    assert row["params"]["steps"] == 2
    row = idle.ask("submit", client_key="c", prompt="x", seed=str(2**62))["batch"]
    assert row["seed"] == str(2**62)


@pytest.mark.req("CFG-5")
@pytest.mark.parametrize(
    "seed", ["-1", "1.5", "1e3", "٣", " 7", "0x10", "9223372036854775808", "9" * 20, 7, True, [7]]
)
def test_a_seed_is_decimal_text_of_63_bits(idle, seed):
    before = everything(idle.workspace)
    with pytest.raises(wb.InvalidRequest) as caught:
        idle.submit(seed=seed)
    assert caught.value.field == "seed"
    assert everything(idle.workspace) == before


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"prompt": "  "}, "prompt"),
        ({"prompt": "a\0b"}, "prompt"),
        ({"prompt": "x" * 10_001}, "prompt"),
        ({"client_key": ""}, "client_key"),
        ({"client_key": "a\nb"}, "client_key"),
        ({"client_key": "x" * 201}, "client_key"),
        ({"n": 0}, "n"),
        ({"n": 65}, "n"),
        ({"n": 10**18}, "n"),
        ({"n": 1.5}, "n"),
        ({"width": 63}, "width"),
        ({"height": 10**18}, "height"),
        ({"model": "no-such"}, "model"),
        ({"model": "sketch\0"}, "model"),
        ({"params": {"stepps": 3}}, "stepps"),
        ({"params": {"steps": "many"}}, "steps"),
        ({"params": {"delay_ms": 5}}, "delay_ms"),
        ({"params": {"fail": 1.0}}, "fail"),
        ({"params": [1]}, "params"),
        ({"negative_prompt": "\ud83d"}, "negative_prompt"),
    ],
)
def test_a_request_that_makes_no_sense_stores_nothing(idle, wrong, field):
    before = everything(idle.workspace)
    args = {"client_key": "k", "prompt": "a fox", **SMALL, **wrong}
    with pytest.raises(wb.InvalidRequest) as caught:
        idle.ask("submit", **args)
    assert caught.value.field == field
    assert everything(idle.workspace) == before
    assert idle.desk.snapshot()["topic_id"] is None


@pytest.mark.req("TOP-5", "TOK-2")
def test_a_request_into_somebody_elses_topic_or_without_money_stores_nothing(idle, bob):
    theirs = bob.create_topic("theirs")
    with pytest.raises(wb.NotFound):
        idle.submit(topic_id=theirs.id)
    with pytest.raises(wb.NotFound):
        idle.submit(topic_id=MISSING)
    theirs.visibility = "workspace"
    with pytest.raises(wb.NotAllowed, match="belongs to 'bob'"):
        idle.submit(topic_id=theirs.id)
    idle.workspace.set_price("sketch", 2)
    idle.workspace.grant(7)
    idle.desk.change({"topic_id": ""})
    before = everything(idle.workspace)
    with pytest.raises(wb.InsufficientBalance):
        idle.submit(n=4)
    assert everything(idle.workspace) == before
    assert idle.submit(n=3)["generations"]


@pytest.mark.req("PRM-3")
def test_the_key_of_a_deleted_batch_makes_no_new_one(idle):
    batch = idle.submit()["batch"]
    idle.ask("delete", entity="batch", id=batch["id"])
    with pytest.raises(wb.NotFound):
        idle.submit()


# -- what belongs to Python ---------------------------------------------------------------------


@pytest.fixture
def studio(idle_ws):
    idle_ws.add_provider(Studio())
    page = Page(idle_ws)
    page.desk.change({"config": {"model": "studio:picture"}})
    return page


def params_of(page, key, **args):
    """The parameters of the request as it is stored (a simple page does not see all of them)."""
    row = page.ask("submit", client_key=key, prompt="x", **args)["batch"]
    return dict(page.workspace.batch(row["id"]).record.params)


@pytest.mark.req("LAY-11")
def test_a_hidden_parameter_is_pythons_alone(studio):
    for value in (True, False):
        with pytest.raises(wb.InvalidRequest):
            params_of(studio, "a", params={"debug": value})
    with pytest.raises(wb.InvalidRequest):
        studio.ask("desk.set", n=1, config={"params": {"debug": True}})
    with pytest.raises(wb.InvalidRequest):
        studio.ask("desk.set", n=1, config={"debug": True})  # by its bare name, as Python may
    studio.desk.config.debug = True
    assert params_of(studio, "b", params={})["debug"] is True
    assert params_of(studio, "c", params={"debug": False})["debug"] is True
    studio.ask("desk.set", n=2, config={"params": {"debug": False, "guidance": 4}})
    assert studio.desk.values()["params"] == {"guidance": 4, "sampler": "a", "debug": True}
    studio.ask("desk.set", n=3, config={"params": {"debug": None}})
    assert studio.desk.config.debug is True


@pytest.mark.req("LAY-11")
def test_an_advanced_parameter_is_pythons_in_a_simple_widget(studio):
    assert params_of(studio, "a", params={"sampler": "b"})["sampler"] == "b"
    simple = Page(studio.workspace, simple=True)
    studio.desk.config.sampler = "b"
    studio.desk.config.height = 96
    assert params_of(simple, "c", params={"sampler": "a", "guidance": 5}) == {
        "sampler": "b",
        "guidance": 5,
    }
    row = simple.ask("submit", client_key="d", prompt="x", width=80, height=32)["batch"]
    assert (row["width"], row["height"]) == (80, 96)
    simple.ask("desk.set", n=1, config={"params": {"sampler": "a"}, "height": 32, "width": 48})
    values = studio.desk.values()
    assert (values["params"]["sampler"], values["width"], values["height"]) == ("b", 48, 96)
    with pytest.raises(wb.InvalidRequest):
        params_of(simple, "e", params={"debug": True})


def test_pythons_parameters_of_one_model_do_not_leak_into_another(studio):
    studio.desk.config.debug = True
    row = studio.ask("submit", client_key="a", prompt="x", **SMALL, model="sketch", n=1)["batch"]
    assert "debug" not in row["params"]
    with pytest.raises(wb.InvalidRequest):
        studio.ask("submit", client_key="b", prompt="x", model="sketch", params={"fail": 1})


# -- cancel, retry, queue -----------------------------------------------------------------------


@pytest.mark.req("FEED-10")
def test_a_cancel_takes_what_it_names_and_tells_what_had_ended(idle):
    answer = idle.submit(n=3)
    first, second, third = (row["id"] for row in answer["generations"])
    result = idle.ask("cancel", generation_ids=[second])
    assert result == {"cancelled": [second], "already_ended": [], "rows": []}
    result = idle.ask("cancel", generation_ids=[second, first])
    assert (result["cancelled"], result["already_ended"]) == ([first], [second])
    assert [(row["id"], row["status"]) for row in result["rows"]] == [(second, "cancelled")]
    assert idle.ask("cancel", batch_id=answer["batch"]["id"])["cancelled"] == [third]
    other = idle.submit(key="k2", n=1)
    assert idle.ask("cancel", topic_id=other["topic"]["id"])["cancelled"]
    idle.submit(key="k3", n=2)
    assert len(idle.ask("cancel", everything=True)["cancelled"]) == 2


@pytest.mark.req("FEED-10a")
def test_how_much_a_cancel_would_end_is_told_before_it_is_asked_for(idle, bob):
    topics = [idle.workspace.create_topic(name).id for name in ("Harbour", "Market", "Empty")]
    for topic, images in zip(topics[:2], (3, 2), strict=True):
        idle.submit(key=topic, n=images, topic_id=topic)
    ended = idle.submit(key="ended", n=1, topic_id=topics[0])
    idle.ask("cancel", batch_id=ended["batch"]["id"])
    bob.generate("theirs", n=2)
    assert [idle.ask("active", topic_id=topic) for topic in topics] == [
        {"active": 3},
        {"active": 2},
        {"active": 0},
    ]
    assert idle.ask("active") == {"active": 5}, "somebody else's are no part of it"
    assert len(idle.ask("cancel", topic_id=topics[0])["cancelled"]) == 3
    assert [idle.ask("active", topic_id=topic)["active"] for topic in topics] == [0, 2, 0]
    assert len(idle.ask("cancel", everything=True)["cancelled"]) == 2
    assert idle.ask("active") == {"active": 0}


@pytest.mark.parametrize(
    "args",
    [{}, {"everything": False}, {"generation_ids": []}, {"batch_id": MISSING, "everything": True}],
)
def test_a_cancel_names_one_thing(idle, args):
    idle.submit()
    with pytest.raises(wb.InvalidRequest):
        idle.ask("cancel", **args)
    assert {g.status for g in idle.workspace.generations()} == {"queued"}


@pytest.mark.req("TOP-5")
def test_nothing_of_somebody_else_is_touched(idle, bob):
    batch = bob.generate("theirs")
    generation = batch.generations[0]
    hidden = [
        ("cancel", {"generation_ids": [generation.id]}),
        ("cancel", {"batch_id": batch.id}),
        ("cancel", {"topic_id": batch.topic.id}),
        ("retry", {"generation_id": generation.id}),
        ("retry_failed", {"batch_id": batch.id}),
        ("resolve", {"generation_id": generation.id, "outcome": "charged"}),
        ("run_next", {"generation_id": generation.id}),
        ("delete", {"entity": "generation", "id": generation.id}),
        ("delete", {"entity": "batch", "id": batch.id}),
        ("delete", {"entity": "topic", "id": batch.topic.id}),
        ("delete", {"entity": "project", "id": batch.topic.project.id}),
        ("restore", {"entity": "batch", "id": batch.id}),
        ("judge", {"generation_id": generation.id, "rating": 5}),
        ("topic.update", {"id": batch.topic.id, "title": "mine now"}),
        ("topic.create", {"title": "x", "project_id": batch.topic.project.id}),
        ("project.update", {"id": batch.topic.project.id, "title": "mine now"}),
        ("desk.set", {"n": 1, "topic_id": batch.topic.id}),
    ]
    before = everything(bob)
    for op, args in hidden:
        for some in (args, {k: MISSING if v == args.get("id") else v for k, v in args.items()}):
            with pytest.raises((wb.NotFound, wb.InvalidRequest)):
                idle.ask(op, **some)
    batch.topic.visibility = "workspace"
    before = everything(bob)
    for op, args in hidden:
        if op in ("judge", "desk.set", "topic.create", "project.update") or "topic_id" in args:
            continue  # whoever sees it may judge it and look at it
        if args.get("entity") == "project" or op == "retry_failed":
            continue  # not shared with it; nothing failed
        with pytest.raises((wb.NotAllowed, wb.NotFound)):
            idle.ask(op, **args)
    assert idle.ask("cancel", topic_id=batch.topic.id)["cancelled"] == []
    assert idle.ask("cancel", everything=True)["cancelled"] == []
    assert everything(bob) == before


@pytest.mark.req("STA-5", "FEED-2")
def test_failed_images_are_tried_again_one_by_one_or_together(page):
    page.desk.config.fail = [0, 1]  # the first try of each of them
    answer = page.submit(n=3)
    page.workspace.batch(answer["batch"]["id"]).wait(60)
    first, second, done = (row["id"] for row in answer["generations"])
    row = page.ask("retry", generation_id=first)["row"]
    assert (row["retry_of"], row["index"], row["mine"]) == (first, 0, True)
    assert page.ask("retry", generation_id=first)["row"]["index"] == 0
    (row,) = page.ask("retry_failed", batch_id=answer["batch"]["id"])["rows"]
    assert row["retry_of"] == second
    page.workspace.batch(answer["batch"]["id"]).wait(60)
    assert page.ask("retry_failed", batch_id=answer["batch"]["id"]) == {"rows": []}
    with pytest.raises(wb.NotAllowed, match="complete"):
        page.ask("retry", generation_id=done)


@pytest.mark.req("TOK-5")
def test_an_unknown_outcome_is_settled_by_the_person(ws):
    def lost(request):
        raise ProviderError(ErrorKind.TRANSIENT, "The line went dead.", maybe_sent=True)

    policy = IdempotencyPolicy(Idempotency.NONE)
    ws.add_provider(Studio(idempotency=policy, on_submit=lost, price=Price(amount_micro=5)))
    ws.grant(1)
    page = Page(ws)
    answer = page.ask("submit", client_key="a", prompt="x", model="studio:picture", n=1)
    (row,) = answer["generations"]
    ws.generation(row["id"]).wait(60)
    (row,) = page.ask("topic.open", topic_id=answer["topic"]["id"])["generations"]
    assert row["detail_key"] == "outcome_unknown"
    with pytest.raises(wb.InvalidRequest):
        page.ask("resolve", generation_id=row["id"], outcome="perhaps")
    row = page.ask("resolve", generation_id=row["id"], outcome="charged")["row"]
    assert (row["status"], row["error"]["charged"]) == ("failed", True)
    with pytest.raises(wb.NotAllowed):
        page.ask("resolve", generation_id=row["id"], outcome="charged")


@pytest.mark.req("FEED-10")
def test_the_queue_is_held_let_go_and_reordered(idle):
    assert idle.ask("pause") == {"paused": True, "jobs": 0}
    held = idle.submit(n=2)
    assert {row["status"] for row in held["generations"]} == {"pending"}
    assert idle.ask("resume") == {"paused": False, "jobs": 2}
    last = idle.submit("last", key="k2", n=1)["generations"][0]["id"]
    assert idle.ask("run_next", generation_id=last) == {"moved": True}
    idle.ask("cancel", everything=True)
    assert idle.ask("run_next", generation_id=last) == {"moved": False}


# -- trash --------------------------------------------------------------------------------------


@pytest.mark.req("TOP-2", "TOP-6", "FEED-8")
def test_the_active_topic_that_goes_gives_way_to_its_neighbour(idle):
    topics = [idle.workspace.create_topic(name) for name in ("one", "two", "three")]
    order = [topic.id for topic in idle.workspace.topics()]
    idle.desk.change({"topic_id": order[1]})
    answer = idle.ask("delete", entity="topic", id=order[1])
    assert answer == {"images": 0, "next_topic_id": order[2]}
    assert idle.desk.snapshot()["topic_id"] == order[2]
    answer = idle.ask("delete", entity="topic", id=order[0])
    assert answer["next_topic_id"] == order[2], "another topic went: the active one stays"
    answer = idle.ask("delete", entity="topic", id=order[2])
    assert answer["next_topic_id"] is None
    assert idle.desk.snapshot()["topic_id"] is None
    assert idle.ask("restore", entity="topic", id=order[1]) == {}
    assert [topic.id for topic in idle.workspace.topics()] == [order[1]]
    assert len(topics) == 3


@pytest.mark.req("TOP-7", "TOP-6")
def test_a_project_that_goes_takes_the_active_topic_with_it(idle):
    kept = idle.workspace.create_topic("kept")
    project = idle.ask("project.create", title="Animals")["project"]
    topic = idle.ask("topic.create", title="Foxes", project_id=project["id"])["topic"]
    idle.desk.change({"topic_id": topic["id"]})
    answer = idle.ask("delete", entity="project", id=project["id"])
    assert answer["next_topic_id"] == kept.id


@pytest.mark.req("FEED-8")
def test_images_and_batches_go_and_come_back(page):
    answer = page.submit(n=2)
    page.workspace.batch(answer["batch"]["id"]).wait(60)
    first, second = (row["id"] for row in answer["generations"])
    assert page.ask("delete", entity="generation", id=first) == {"images": 1}
    assert page.ask("delete", entity="generation", id=first) == {"images": 0}
    page.ask("restore", entity="generation", id=first)
    assert page.ask("delete", entity="batch", id=answer["batch"]["id"]) == {"images": 2}
    with pytest.raises(wb.NotAllowed, match="trash"):
        page.ask("restore", entity="generation", id=second)
    page.ask("restore", entity="batch", id=answer["batch"]["id"])
    assert len(page.ask("topic.open", topic_id=answer["topic"]["id"])["generations"]) == 2


@pytest.mark.parametrize("entity", ["asset", "ledger", "", "generation; DROP TABLE topic", "owner"])
def test_only_what_has_a_trash_can_be_deleted(idle, entity):
    topic = idle.workspace.create_topic("x")
    for op in ("delete", "restore"):
        with pytest.raises(wb.InvalidRequest):
            idle.ask(op, entity=entity, id=topic.id)


# -- judgements, topics, projects ---------------------------------------------------------------


@pytest.mark.req("FEED-6")
def test_a_judgement_is_set_together_and_answered_as_a_row(idle):
    generation = idle.submit(n=1)["generations"][0]["id"]
    row = idle.ask("judge", generation_id=generation, rating=4, favourite=True, tags=["b", "a"])
    assert (row["row"]["rating"], row["row"]["favourite"], row["row"]["tags"]) == (
        4,
        True,
        ["a", "b"],
    )
    row = idle.ask("judge", generation_id=generation, favourite=False, rating=0)["row"]
    assert (row["rating"], row["favourite"], row["tags"]) == (0, False, ["a", "b"])
    idle.ask("judge", generation_id=generation, note="good")
    assert idle.ask("generation", id=generation)["note"] == "good"
    for wrong in (
        {},
        {"rating": 6},
        {"rating": -1},
        {"rating": 10**18},
        {"tags": [""]},
        {"tags": ["x" * 65]},
        {"tags": [str(n) for n in range(65)]},
        {"note": "x" * 10_001},
        {"rating": 5, "note": "\0"},
    ):
        with pytest.raises(wb.InvalidRequest):
            idle.ask("judge", generation_id=generation, **wrong)
    assert idle.workspace.generation(generation).rating == 0
    idle.ask("delete", entity="generation", id=generation)
    with pytest.raises(wb.NotFound):
        idle.ask("judge", generation_id=generation, rating=1)


@pytest.mark.req("TOP-1", "TOP-4", "TOP-7")
def test_topics_are_made_renamed_moved_and_get_a_cover(page):
    topic = page.ask("topic.create")["topic"]
    assert (topic["title"], topic["title_source"], topic["mine"]) == ("", "none", True)
    project = page.ask("project.create", title=" Animals ")["project"]
    assert project["title"] == "Animals"
    answer = page.submit(n=2, topic_id=topic["id"])
    page.workspace.batch(answer["batch"]["id"]).wait(60)
    covers = [row["id"] for row in answer["generations"]]
    row = page.ask(
        "topic.update",
        id=topic["id"],
        title="<b>Foxes</b>",
        project_id=project["id"],
        cover_generation_id=covers[1],
    )["topic"]
    assert (row["title"], row["title_source"]) == ("<b>Foxes</b>", "user")
    assert (row["project_id"], row["cover_id"], row["images"]) == (project["id"], covers[1], 2)
    row = page.ask("project.update", id=project["id"], title="Beasts")["project"]
    assert row["title"] == "Beasts"


def test_topics_and_projects_refuse_what_makes_no_sense(idle):
    topic = idle.workspace.create_topic("x")
    other = idle.submit("other", key="o")["generations"][0]["id"]
    for wrong in (
        {},
        {"title": ""},
        {"title": "  \n"},
        {"title": "x" * 301},
        {"cover_generation_id": other},  # of another topic, and not completed
        {"title": "fine", "cover_generation_id": MISSING},
    ):
        with pytest.raises((wb.InvalidRequest, wb.NotFound)):
            idle.ask("topic.update", id=topic.id, **wrong)
    assert topic.title == "x"
    for title in ("", " ", "x" * 301):
        with pytest.raises(wb.InvalidRequest):
            idle.ask("project.create", title=title)
    topic.delete()
    with pytest.raises(wb.NotAllowed, match="trash"):
        idle.ask("topic.update", id=topic.id, title="y")
