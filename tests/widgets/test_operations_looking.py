"""What a page reads: the opening snapshot, the feed, walks, pictures, numbers, texts."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

import workbench as wb
from tests.widgets.pages import MISSING, SMALL, Page, Studio
from tests.workspace.odd_world import png
from workbench.widgets import protocol
from workbench.widgets.operations import looking
from workbench.widgets.operations.snapshot import EXAMPLES, snapshot

ALL = {"models", "topics", "feed", "balance", "queue"}


def made(page: Page, prompt: str = "a red fox", **options):
    return page.workspace.generate(prompt, width=64, height=64, steps=2, **options).wait(60)


# -- the snapshot -------------------------------------------------------------------------------


@pytest.mark.req("LIVE-5", "LAY-3")
def test_the_snapshot_has_the_parts_that_a_widget_asks_for(page):
    batch = made(page, n=2)
    page.desk.change({"topic_id": batch.topic.id})
    data = snapshot(page.context(), ALL)
    assert set(data) == set(protocol.HELLO)
    assert set(data["desk"]) >= set(protocol.DESK)
    assert data["feed"]["topic_id"] == batch.topic.id
    assert [row["id"] for row in data["feed"]["batches"]] == [batch.id]
    assert data["workspace"].keys() == {"id", "title", "temporary", "trash_days"}
    assert (data["user"], data["examples"]) == ("ada", list(EXAMPLES))
    assert json.loads(json.dumps(data)) == data
    few = snapshot(page.context(), {"balance"})
    assert set(few) & {"models", "providers", "topics", "projects", "feed", "queue"} == set()
    assert few["balances"] == []


@pytest.mark.req("LIVE-5")
def test_nothing_is_lost_between_the_snapshot_and_its_cursor(idle):
    data = snapshot(idle.context(), ALL)
    assert data["cursor"] == idle.workspace._store.cursor()
    idle.submit()
    assert idle.workspace.changes(data["cursor"]).items


@pytest.mark.req("CFG-7", "TOP-6")
def test_a_desk_without_a_topic_has_no_feed(idle):
    idle.desk.change({"topic_id": ""})
    assert snapshot(idle.context(), ALL)["feed"] is None
    topic = idle.workspace.create_topic("x")
    idle.desk.change({"topic_id": topic.id})
    assert snapshot(idle.context(), ALL)["feed"]["batches"] == []
    topic.delete()
    assert snapshot(idle.context(), ALL)["feed"] is None


@pytest.mark.req("LAY-11")
def test_a_simple_page_is_not_told_of_developer_parameters(idle_ws):
    idle_ws.add_provider(Studio())
    text = json.dumps(snapshot(Page(idle_ws, simple=True).context(), ALL)["models"])
    for name in ("delay_ms", "debug", "sampler"):
        assert name not in text


@pytest.mark.req("APP-7")
def test_a_workspace_on_a_passing_disk_says_so(idle, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    assert snapshot(idle.context(), ())["workspace"]["temporary"] is False
    monkeypatch.setenv("BINDER_SERVICE_HOST", "binder.example")
    assert snapshot(idle.context(), ())["workspace"]["temporary"] is True
    monkeypatch.delenv("BINDER_SERVICE_HOST")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert snapshot(idle.context(), ())["workspace"]["temporary"] is True


# -- the feed -----------------------------------------------------------------------------------


@pytest.mark.req("FEED-3", "FEED-5")
def test_a_topic_opens_with_its_newest_page_and_what_has_not_ended(idle):
    topic = idle.workspace.create_topic("foxes")
    old = idle.workspace.generate("old and waiting", topic=topic)
    ended = [idle.workspace.generate(f"fox {n}", topic=topic) for n in range(4)]
    for batch in ended:
        batch.cancel()
    feed = idle.ask("topic.open", topic_id=topic.id, limit=2)
    assert feed["active"] == [old.id]
    assert [row["id"] for row in feed["batches"]] == [ended[3].id, ended[2].id, old.id]
    assert {row["batch_id"] for row in feed["generations"]} == {
        row["id"] for row in feed["batches"]
    }
    assert feed["newer"] is None
    below = idle.ask("page", topic_id=topic.id, cursor=feed["older"], direction="older", limit=2)
    assert [row["id"] for row in below["batches"]] == [ended[1].id, ended[0].id]
    last = idle.ask("page", topic_id=topic.id, cursor=below["older"], direction="older")
    assert ([row["id"] for row in last["batches"]], last["older"]) == ([old.id], None)
    idle.workspace.generate("new", topic=topic)
    above = idle.ask("page", topic_id=topic.id, cursor=below["newer"], direction="newer")
    assert [row["prompt"] for row in above["batches"]] == ["new", "fox 3", "fox 2"]


@pytest.mark.req("TOP-5")
def test_feeds_of_others_and_of_the_trash_are_not_there(idle, bob):
    batch = bob.generate("secret")
    for op, args in {
        "topic.open": {"topic_id": batch.topic.id},
        "page": {"topic_id": batch.topic.id, "cursor": "b1.n.9", "direction": "older"},
        "batch": {"id": batch.id},
        "generation": {"id": batch.generations[0].id},
        "walk": {"id": batch.generations[0].id, "direction": "next"},
        "deletion": {"topic_id": batch.topic.id},
        "active": {"topic_id": batch.topic.id},
        "python": {"batch_id": batch.id},
    }.items():
        with pytest.raises(wb.NotFound):
            idle.ask(op, **args)
        with pytest.raises(wb.NotFound):
            idle.ask(op, **{name: MISSING if len(v) == 26 else v for name, v in args.items()})
    mine = idle.workspace.generate("mine")
    mine.topic.delete()
    with pytest.raises(wb.NotFound):
        idle.ask("topic.open", topic_id=mine.record.topic_id)
    with pytest.raises(wb.NotFound):
        idle.ask("generation", id=mine.generations[0].id)
    with pytest.raises(wb.NotFound):
        idle.ask("python", batch_id=mine.id)


@pytest.mark.parametrize(
    ("op", "wrong"),
    [
        ("topic.open", {"limit": 0}),
        ("topic.open", {"limit": 10**12}),
        ("topic.open", {"limit": -1}),
        ("page", {"direction": "sideways"}),
        ("page", {"cursor": "b1.o.5"}),
        ("page", {"cursor": "\x00"}),
        ("page", {"limit": 61}),
        ("walk", {"direction": ""}),
        ("walk", {"limit": 10**9}),
    ],
)
def test_reads_that_make_no_sense_are_refused(idle, op, wrong):
    batch = idle.workspace.generate("x")
    right = {
        "topic.open": {"topic_id": batch.topic.id},
        "page": {"topic_id": batch.topic.id, "cursor": "b1.n.5", "direction": "older"},
        "walk": {"id": batch.generations[0].id, "direction": "next"},
    }[op]
    with pytest.raises(wb.InvalidRequest):
        idle.ask(op, **(right | wrong))


@pytest.mark.req("PRM-2")
def test_a_batch_gives_its_prompt_whole(idle):
    prompt = "ä" * 10_000
    batch = idle.workspace.generate(prompt)
    answer = idle.ask("batch", id=batch.id)
    assert answer["prompt"] == prompt
    assert len(answer["batch"]["prompt"]) == protocol.SHOWN_PROMPT_CHARACTERS


@pytest.mark.req("LBX-2")
def test_a_generation_gives_everything_that_is_known_of_it(page):
    batch = made(page, seed=7, negative_prompt="text")
    generation = batch.generations[0]
    generation.note = "for figure 1"
    answer = page.ask("generation", id=generation.id)
    assert set(answer) == {
        "row",
        "batch",
        "prompt",
        "prompt_sent",
        "negative_prompt",
        "model_title",
        "params",
        "duration_s",
        "provenance",
        "note",
    }
    assert (answer["row"]["seed"], answer["negative_prompt"]) == ("7", "text")
    assert (answer["model_title"], answer["note"]) == ("Sketch", "for figure 1")
    assert answer["params"]["steps"] == 2
    assert answer["duration_s"] == generation.duration
    assert answer["provenance"]["workbench"] == wb.__version__
    json.dumps(answer)


@pytest.mark.req("LAY-11")
def test_a_simple_page_sees_no_hidden_parameters_of_a_request(ws):
    ws.add_provider(Studio())
    batch = ws.generate("x", model="studio:picture", debug=True, sampler="b").wait(60)
    id = batch.generations[0].id
    assert Page(ws, simple=True).ask("generation", id=id)["params"] == {"guidance": 3}
    assert Page(ws).ask("generation", id=id)["params"]["debug"] is True


@pytest.mark.req("LBX-1")
def test_the_lightbox_walks_the_finished_pictures(page):
    first = made(page, n=3)
    second = made(page, n=2, topic=first.topic)
    order = [g.id for g in (*second.generations, *first.generations)]
    answer = page.ask("walk", id=order[1], direction="next", limit=2)
    assert ([row["id"] for row in answer["rows"]], answer["end"]) == (order[2:4], False)
    answer = page.ask("walk", id=order[3], direction="previous")
    assert ([row["id"] for row in answer["rows"]], answer["end"]) == (order[:3], True)
    answer = page.ask("walk", id=order[-1], direction="next")
    assert answer == {"rows": [], "end": True}
    for middle in order:  # the ends of the topic, wherever one stands
        answer = page.ask("walk", id=middle, direction="first", limit=2)
        assert ([row["id"] for row in answer["rows"]], answer["end"]) == (order[:2], False)
        answer = page.ask("walk", id=middle, direction="last", limit=2)
        assert ([row["id"] for row in answer["rows"]], answer["end"]) == (order[-2:], False)
        answer = page.ask("walk", id=middle, direction="last")
        assert ([row["id"] for row in answer["rows"]], answer["end"]) == (order, True)


# -- pictures -----------------------------------------------------------------------------------


@pytest.mark.req("DAT-2", "LIVE-8")
def test_thumbnails_come_as_buffers_in_the_order_of_their_items(page):
    batch = made(page, n=2)
    one, two = (g.id for g in batch.generations)
    answer = page.answer("thumbs", ids=[two, MISSING, one, two])
    assert [item["id"] for item in answer.data["items"]] == [two, MISSING, one]
    good = [item for item in answer.data["items"] if "error" not in item]
    assert [item["mime"] for item in good] == ["image/webp"] * 2
    assert len(answer.buffers) == 2
    for item, data in zip(good, answer.buffers, strict=True):
        assert item["asset_id"] == page.workspace.generation(item["id"]).asset.id
        assert Image.open(io.BytesIO(data)).size == (64, 64)
    large = page.answer("thumbs", ids=[one], size=768)
    assert len(large.buffers) == 1
    for size in (0, 1, 255, 10**9, -256):
        with pytest.raises(wb.InvalidRequest):
            page.ask("thumbs", ids=[one], size=size)


@pytest.mark.req("LAY-6")
def test_one_picture_that_cannot_be_read_fails_by_itself(page):
    batch = page.workspace.import_images([png(name) for name in ("red", "green", "blue")])
    lost, broken, good = batch.generations
    page.workspace._engine.media.path(lost.asset.id).unlink()
    page.workspace._engine.media.path(broken.asset.id).write_bytes(b"not an image")
    answer = page.answer("thumbs", ids=[g.id for g in batch.generations])
    told = {item["id"]: item.get("error", "") for item in answer.data["items"]}
    assert told[lost.id]
    assert told[broken.id]
    assert told[good.id] == ""
    assert len(answer.buffers) == 1


@pytest.mark.req("TOP-5")
def test_pictures_of_others_and_of_the_trash_are_not_given(page, bob):
    mine = made(page)
    theirs = Page(bob)
    id = mine.generations[0].id
    for op in ("thumbs", "previews"):
        answer = theirs.answer(op, ids=[id])
        assert ("error" in answer.data["items"][0], answer.buffers) == (True, ())
    mine.delete()
    answer = page.answer("thumbs", ids=[id])
    assert ("error" in answer.data["items"][0], answer.buffers) == (True, ())


@pytest.mark.req("FEED-2")
def test_previews_come_with_their_number_and_format(idle):
    generation = idle.workspace.generate("a fox").generations[0]
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(file, "JPEG")
    idle.workspace._engine.media.put_preview(generation.id, file.getvalue())
    answer = idle.answer("previews", ids=[generation.id, MISSING])
    assert answer.data["items"][0] == {"id": generation.id, "preview": 0, "mime": "image/jpeg"}
    assert "error" in answer.data["items"][1]
    assert answer.buffers == (file.getvalue(),)


# -- numbers and texts ----------------------------------------------------------------------------


@pytest.mark.req("TOK-4", "PRM-1")
def test_an_estimate_tells_cost_balance_and_time(page):
    ws = page.workspace
    ws.set_price("sketch", 2)
    ws.grant(10)
    first = page.ask("estimate", **SMALL, n=4)
    assert first == {
        "by_provider": False,
        "cost_micro": 8_000_000,
        "unit": "token",
        "seconds": None,
        "balance_micro": 10_000_000,
        "images_left": None,
        "refusal": "",
    }
    batch = made(page)
    took = batch.generations[0].duration
    same = page.ask("estimate", **SMALL, n=1)["seconds"]
    assert same == pytest.approx(took, abs=0.06)
    rounds = -(-8 // page.workspace._engine.registry.providers["builtin"].concurrency)
    assert page.ask("estimate", **SMALL, n=8)["seconds"] == pytest.approx(took * rounds, abs=0.5)
    assert page.ask("estimate", **SMALL)["cost_micro"] == page.desk.values()["n"] * 2_000_000


def test_a_time_is_scaled_by_the_size():
    assert looking._likely_s([], 100) is None
    assert looking._likely_s([(2.0, 100), (3.0, 100), (10.0, 100)], 100) == 3.0
    assert looking._likely_s([(2.0, 100)], 400) == 8.0
    assert looking._likely_s([(2.0, 100)], 10**9) == 16.0, "not beyond all measure"
    assert looking._likely_s([(2.0, None)], 400) == 2.0
    assert looking._likely_s([(2.0, 100)], None) == 2.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"n": 10**15},
        {"n": -1},
        {"width": 10**15},
        {"model": "nothing"},
        {"seed": "x"},
        {"seed": "-1"},
        {"seed": "9" * 19},
        {"params": {"steps": 10**9}},
        {"params": {"nothing": 1}},
        {"params": {"fail": 1.0}},
        {"negative_prompt": "x" * 10_001},
    ],
)
def test_an_estimate_of_what_cannot_be_asked_for_says_why(idle, wrong):
    with pytest.raises(wb.InvalidRequest):
        idle.ask("estimate", **(SMALL | wrong))


@pytest.mark.req("TOP-2")
def test_a_deletion_is_counted_before_it_is_asked_for(page):
    batch = made(page, n=2)
    page.workspace.pause()
    page.workspace.generate("waiting", n=3, topic=batch.topic)
    assert page.ask("deletion", topic_id=batch.topic.id) == {"images": 2, "active": 3}
    assert page.ask("deletion", topic_id=page.workspace.create_topic("x").id)["images"] == 0


@pytest.mark.req("FEED-1")
def test_a_batch_can_be_copied_as_python(idle):
    batch = idle.workspace.generate('it\'s "a" fox', n=2, seed=2**62)
    text = idle.ask("python", batch_id=batch.id)["text"]
    assert text == batch.to_python()
    assert f"seed={2**62}" in text


@pytest.mark.req("PRM-1")
def test_earlier_prompts_are_there_and_not_without_end(idle, bob):
    for n in range(3):
        idle.workspace.generate(f"fox {n}")
    bob.generate("of somebody else")
    assert idle.ask("prompts") == {"prompts": ["fox 2", "fox 1", "fox 0"]}
    assert idle.ask("prompts", limit=1) == {"prompts": ["fox 2"]}
    for n in range(25):
        idle.workspace.generate(f"{n} " + "x" * 9_990)
    answer = idle.ask("prompts", limit=100)
    assert sum(map(len, answer["prompts"])) <= looking.MOST_PROMPT_CHARACTERS
    with pytest.raises(wb.InvalidRequest):
        idle.ask("prompts", limit=101)


# -- spending -----------------------------------------------------------------------------------


@pytest.mark.req("TOK-4", "TOK-6")
def test_spending_by_day_provider_model_and_topic_with_caps_and_balances(page):
    ws = page.workspace
    empty = page.ask("spend", by="day")
    assert empty == {"rows": [], "more": 0, "caps": [], "balances": []}
    ws.grant(100, "for tests")
    ws.set_price("sketch", 2)
    batch = made(page, n=3)
    ws.set_cap(50, unit="token")
    ws.set_cap(5, topic=batch.topic, per="total")
    answer = page.ask("spend", by="topic", days=30)
    row = {
        "what": "a red fox",
        "unit": "token",
        "spent_micro": 6_000_000,
        "images": 3,
        "not_known": 0,
    }
    assert answer["rows"] == [row]
    caps = {cap["scope"]: cap for cap in answer["caps"]}
    assert caps["user"] == {
        "scope": "user",
        "title": "",
        "unit": "token",
        "per": "day",
        "limit_micro": 50_000_000,
        "spent_micro": 6_000_000,
    }
    assert (caps["topic"]["title"], caps["topic"]["per"]) == ("a red fox", "total")
    assert [(b["unit"], b["amount_micro"]) for b in answer["balances"]] == [("token", 94_000_000)]
    for by, what in {"provider": "builtin", "model": "builtin:sketch"}.items():
        assert page.ask("spend", by=by, days=1)["rows"] == [row | {"what": what}]
    (day,) = page.ask("spend", by="day")["rows"]
    assert len(day["what"]) == len("2026-11-21")
    json.dumps(answer)


@pytest.mark.req("TOK-4")
def test_spending_of_others_is_not_told(idle, bob):
    bob.grant(10)
    bob.set_price("sketch", 1)
    bob.generate("secret plans", n=2, width=64, height=64)
    assert idle.ask("spend", by="topic")["rows"] == []
    assert "secret" not in json.dumps(idle.ask("spend", by="topic"))


@pytest.mark.parametrize(
    "wrong", [{"by": "user"}, {"by": ""}, {"by": "day; DROP"}, {"days": 0}, {"days": 10**9}]
)
def test_spending_that_makes_no_sense_is_refused(idle, wrong):
    with pytest.raises(wb.InvalidRequest):
        idle.ask("spend", **({"by": "day"} | wrong))


@pytest.mark.req("TOK-4")
def test_of_much_spending_the_largest_is_told(idle, monkeypatch):
    monkeypatch.setattr(looking, "MOST_SPENT", 2)
    idle.workspace.grant(100)
    idle.workspace.set_price("sketch", 1)
    for n in (1, 3, 2):
        idle.workspace.generate(f"topic {n}", n=n, width=64, height=64)
    answer = idle.ask("spend", by="topic")
    assert [row["what"] for row in answer["rows"]] == ["topic 3", "topic 2"]
    assert answer["more"] == 1
