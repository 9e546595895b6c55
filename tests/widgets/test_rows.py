"""Rows have exactly the fields of the protocol, in forms that a page can take."""

from __future__ import annotations

import json

import pytest

from tests.widgets.pages import Page, Studio
from workbench.ports import ProviderState
from workbench.widgets import protocol
from workbench.widgets.operations.table import HANDLERS
from workbench.widgets.rows import Rows


def small(ws, prompt="a red fox", **options):
    return ws.generate(prompt, width=64, height=64, steps=2, **options)


@pytest.mark.req("LIVE-5", "LIVE-7")
def test_every_row_has_the_fields_of_the_protocol(ws):
    ws.grant(5)
    batch = small(ws, n=2, seed=2**62).wait(60)
    failed = small(ws, fail=1.0, topic=batch.topic).wait(60)
    rows = Rows(ws)
    generations = rows.generations([g.id for g in (*batch.generations, *failed.generations)])
    for row in generations.values():
        assert tuple(row) == protocol.ROWS["generation"]
    done, broken = generations[batch.generations[0].id], generations[failed.generations[0].id]
    assert tuple(done["asset"]) == protocol.ASSET_FIELDS
    assert done["error"] is None
    assert (broken["asset"], tuple(broken["error"])) == (None, protocol.ERROR_FIELDS)
    assert broken["error"]["charged"] is False
    (row,) = rows.batches([batch.id]).values()
    assert tuple(row) == protocol.ROWS["batch"]
    (topic,) = rows.topics([batch.topic.id]).values()
    assert tuple(topic) == protocol.ROWS["topic"]
    (project,) = rows.projects([batch.topic.project.id]).values()
    assert tuple(project) == protocol.ROWS["project"]
    (balance,) = rows.balances()
    assert tuple(balance) == protocol.ROWS["balance"]
    assert tuple(rows.queue()) == protocol.ROWS["queue"]
    assert json.loads(json.dumps([generations, row, topic, project, balance])) is not None


@pytest.mark.req("CFG-5")
def test_seeds_travel_as_text_and_times_and_money_as_whole_numbers(ws):
    batch = small(ws, n=2, seed=2**63 - 2).wait(60)
    rows = Rows(ws)
    found = rows.generations([g.id for g in batch.generations])
    assert [row["seed"] for row in found.values()] == [str(2**63 - 2), str(2**63 - 1)]
    assert rows.batches([batch.id])[batch.id]["seed"] == str(2**63 - 2)
    row = found[batch.generations[0].id]
    assert all(isinstance(row[name], int) for name in ("created_at", "finished_at", "cost_micro"))
    assert (row["progress"], row["status"], row["source"], row["mine"]) == (
        1,
        "completed",
        "api",
        True,
    )
    free = small(ws)
    assert rows.batches([free.id])[free.id]["seed"] is None


@pytest.mark.req("PRM-2")
def test_a_long_prompt_is_cut_and_its_length_told(idle_ws):
    prompt = "füchse " * 1400
    batch = idle_ws.generate(prompt)
    row = Rows(idle_ws).batches([batch.id])[batch.id]
    assert row["prompt"] == prompt[: protocol.SHOWN_PROMPT_CHARACTERS]
    assert row["prompt_length"] == len(prompt)


@pytest.mark.req("TOP-5", "LIVE-7")
def test_what_is_gone_or_not_to_be_seen_is_missing(idle_ws, bob):
    batch = idle_ws.generate("a fox", n=2)
    topic = batch.topic
    one, two = batch.generations
    rows, theirs = Rows(idle_ws), Rows(bob)
    for read, id in (
        (theirs.generations, one.id),
        (theirs.batches, batch.id),
        (theirs.topics, topic.id),
        (theirs.projects, topic.project.id),
    ):
        assert read([id, "0" * 26]) == {}
    one.delete()
    assert list(rows.generations([one.id, two.id])) == [two.id]
    topic.delete()
    assert rows.generations([two.id]) == rows.batches([batch.id]) == rows.topics([topic.id]) == {}
    topic.restore()
    topic.visibility = "workspace"
    (row,) = theirs.generations([two.id]).values()
    assert row["mine"] is False
    assert theirs.topics([topic.id])[topic.id]["mine"] is False
    assert theirs.balances() == []


@pytest.mark.req("FEED-6")
def test_a_row_shows_what_its_reader_thinks(idle_ws, bob):
    batch = idle_ws.generate("a fox")
    batch.topic.visibility = "workspace"
    generation = batch.generations[0]
    generation.rating, generation.tags = 4, {"b", "a"}
    row = Rows(idle_ws).generations([generation.id])[generation.id]
    assert (row["rating"], row["favourite"], row["tags"]) == (4, False, ["a", "b"])
    row = Rows(bob).generations([generation.id])[generation.id]
    assert (row["rating"], row["tags"]) == (0, [])


@pytest.mark.req("TOP-4")
def test_a_topic_shows_its_first_success_or_the_cover_that_was_chosen(ws):
    batch = small(ws, n=3).wait(60)
    first, second, third = batch.generations
    rows = Rows(ws)
    topic = batch.topic

    def cover():
        row = rows.topics([topic.id])[topic.id]
        return row["images"], row["cover_id"], row["cover_asset"]

    covers = [g.id for g in batch.generations]
    chosen = cover()[1]
    assert chosen in covers
    topic.set_cover(third)
    assert cover() == (3, third.id, third.asset.id)
    third.delete()
    assert cover()[0] == 2
    assert cover()[1] in (first.id, second.id)
    first.delete()
    assert cover() == (1, second.id, second.asset.id)
    waiting = ws.create_topic("new")
    row = rows.topics([waiting.id])[waiting.id]
    assert (row["images"], row["cover_id"], row["cover_asset"]) == (0, None, None)


@pytest.mark.req("TOK-3")
def test_a_balance_tells_its_last_booking(idle_ws):
    idle_ws.grant(10, "welcome")
    (row,) = Rows(idle_ws).balances()
    assert row["amount_micro"] == row["change_micro"] == 10_000_000
    assert (row["unit"], row["reason"]) == ("token", "welcome")
    idle_ws.set_price("sketch", 2)
    idle_ws.generate("a fox")
    (row,) = Rows(idle_ws).balances()
    assert (row["amount_micro"], row["change_micro"]) == (8_000_000, -2_000_000)


@pytest.mark.req("CFG-1", "CFG-2", "LAY-11")
def test_models_come_without_what_a_page_may_not_set(idle_ws):
    idle_ws.add_provider(Studio())
    idle_ws.set_price("studio:picture", "0.5", "usd")

    def names(*, simple):
        (row,) = [m for m in Rows(idle_ws, simple=simple).models() if m["id"] == "studio:picture"]
        return row, [parameter["name"] for parameter in row["parameters"]]

    row, shown = names(simple=False)
    assert shown == ["width", "height", "guidance", "sampler"]
    assert (row["price_micro"], row["unit"], row["max_images"]) == (500_000, "usd", 8)
    assert json.loads(json.dumps(row)) == row
    assert names(simple=True)[1] == ["width", "guidance"]
    text = json.dumps(Rows(idle_ws).models())
    assert "delay_ms" not in text
    assert "debug" not in text


@pytest.mark.req("CFG-1")
def test_providers_say_what_is_missing(idle_ws):
    studio = Studio()
    studio.available = ProviderState(False, "key_missing", "Set STUDIO_KEY.")
    idle_ws.add_provider(studio)
    rows = {row["name"]: row for row in Rows(idle_ws).providers()}
    assert rows["builtin"]["ready"] is True
    assert rows["studio"] == {
        "name": "studio",
        "title": "Studio",
        "ready": False,
        "code": "key_missing",
        "message": "Set STUDIO_KEY.",
    }


@pytest.mark.req("FEED-10")
def test_the_queue_tells_whether_it_is_held(idle_ws):
    rows = Rows(idle_ws)
    assert rows.queue() == {"paused": False, "ahead": None}
    idle_ws.pause()
    assert rows.queue() == {"paused": True, "ahead": None}


def test_every_operation_but_those_of_the_channel_is_served(page: Page):
    channel = {"hello", "since", "pong", "ack", "probe", "abort", "bye", "bundle", "full_esm"}
    assert HANDLERS.keys() == protocol.OPS.keys() - channel
    assert page.ask("trash") == {"items": []}
