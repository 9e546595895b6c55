"""Tags that a page gives a picture: whose they are, what is refused, who hears of them."""

from __future__ import annotations

import json

import pytest

import workbench as wb
from tests.waiting import until
from tests.widgets.page_world import Page as WiredPage
from tests.widgets.page_world import wired
from tests.widgets.pages import MISSING, Page
from workbench.workspace.workspace import Workspace


def stored(ws: Workspace) -> list[list[object]]:
    """All judgements that there are, of everybody."""
    frame = ws.sql("SELECT owner, generation_id, tags FROM judgement ORDER BY owner, generation_id")
    return frame.to_numpy().tolist()


@pytest.mark.req("FEED-6")
def test_tags_are_trimmed_sorted_and_kept_once(idle):
    generation = idle.submit(n=1)["generations"][0]["id"]
    row = idle.ask("judge", generation_id=generation, tags=[" night ", "fig 3", "night"])["row"]
    assert row["tags"] == ["fig 3", "night"]
    assert idle.workspace.generation(generation).tags == {"fig 3", "night"}
    longest, most = "ü" * 64, [str(n) for n in range(64)]
    for kept in ([longest], most):
        row = idle.ask("judge", generation_id=generation, tags=kept)["row"]
        assert row["tags"] == sorted(kept)
    assert idle.ask("judge", generation_id=generation, tags=[])["row"]["tags"] == []


@pytest.mark.req("FEED-6")
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["x" * 65], "may have up to 64 characters each."),
        (["keep", "ü" * 200], "may have up to 64 characters each."),
        ([""], "must not contain an empty tag."),
        (["keep", " \t\n "], "must not contain an empty tag."),
        (["ke\0ep"], "must not contain a NUL character."),
        ([str(n) for n in range(65)], "must be a list of at most 64 short texts."),
        ("keep", "must be a list of at most 64 short texts."),
        ({"keep": True}, "must be a list of at most 64 short texts."),
        (7, "must be a list of at most 64 short texts."),
        (["x" * 201], "must be a list of short texts."),
        ([1], "must be a list of short texts."),
        ([["keep"]], "must be a list of short texts."),
        ([None], "must be a list of short texts."),
        (["\ud83d"], "A text holds a broken character."),
    ],
)
def test_what_is_no_tag_is_refused_with_a_sentence_and_changes_nothing(idle_ws, wrong, sentence):
    generation = idle_ws.generate("a fox").generations[0]
    generation.tags = {"keep"}
    before = stored(idle_ws)
    with wired(idle_ws) as (_, wire):
        page = WiredPage(wire)
        page.hello()
        error = page.error("judge", generation_id=generation.id, favourite=True, tags=wrong)
    assert error["message"] == sentence
    assert (error["code"], error["field"]) == (
        ("invalid_request", "tags") if sentence.startswith("m") else ("bad_message", None)
    )
    assert stored(idle_ws) == before
    assert not generation.favourite, "with one wrong value nothing is set"


@pytest.mark.req("FEED-6", "TOP-5")
def test_tags_are_their_users_and_nobody_tags_what_he_cannot_see(idle, bob):
    theirs = bob.generate("theirs").generations[0]
    theirs.tags = {"bob's"}
    before = stored(bob)
    for id in (theirs.id, MISSING):
        with pytest.raises(wb.NotFound):
            idle.ask("judge", generation_id=id, tags=["mine now"])
    assert stored(bob) == before
    theirs.batch.topic.visibility = "workspace"
    row = idle.ask("judge", generation_id=theirs.id, tags=["seen"])["row"]
    assert (row["tags"], row["mine"]) == (["seen"], False)
    assert theirs.tags == {"bob's"}, "what somebody else thinks of it is not his"
    theirs.batch.topic.visibility = "private"
    with pytest.raises(wb.NotFound):
        idle.ask("judge", generation_id=theirs.id, tags=["again"])
    assert theirs.tags == {"bob's"}


@pytest.mark.req("FEED-6")
def test_what_lies_in_the_trash_is_not_tagged_and_has_its_tags_when_it_comes_back(idle):
    generation = idle.submit(n=2)["generations"][0]["id"]
    idle.ask("judge", generation_id=generation, tags=["keep"])
    idle.ask("delete", entity="generation", id=generation)
    with pytest.raises(wb.NotFound):
        idle.ask("judge", generation_id=generation, tags=["lost"])
    idle.ask("restore", entity="generation", id=generation)
    assert idle.ask("generation", id=generation)["row"]["tags"] == ["keep"]


@pytest.mark.req("FEED-6", "LIVE-4")
def test_another_window_gets_the_tags_with_the_next_delta(idle_ws):
    topic = idle_ws.create_topic("foxes")
    generation = idle_ws.generate("a fox", topic=topic).generations[0]
    hostile = "<script>alert(1)</script> \u202e{tags}"
    with wired(idle_ws) as (_, wire), wired(idle_ws) as (_, other_wire):
        page, other = WiredPage(wire), WiredPage(other_wire)
        for one in (page, other):
            one.hello()
            one.open(topic.id)

        def seen(tags: list[str]) -> bool:
            return other.rows["generation", generation.id]["tags"] == tags

        page.call("judge", generation_id=generation.id, tags=["keep", hostile])
        until(lambda: seen(sorted(["keep", hostile])), "the tags in the other window")
        other.call("judge", generation_id=generation.id, tags=["keep"])
        until(lambda: page.rows["generation", generation.id]["tags"] == ["keep"], "and back")
    assert json.loads(stored(idle_ws)[0][2]) == ["keep"]


@pytest.mark.req("FEED-6", "LAY-11")
def test_a_simple_page_tags_too(idle_ws):
    page = Page(idle_ws, simple=True)
    generation = page.submit(n=1)["generations"][0]["id"]
    assert page.ask("judge", generation_id=generation, tags=["keep"])["row"]["tags"] == ["keep"]
    page.files.close()
