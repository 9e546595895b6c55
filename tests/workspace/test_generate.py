"""Asking for pictures: what is stored, what is refused, and that refusal leaves no trace."""

from __future__ import annotations

import io
from decimal import Decimal

import numpy as np
import pytest
from PIL import Image

import workbench as wb
from tests.workspace.workspace_world import SMALL, everything

pytestmark = pytest.mark.req("PRV-1")


@pytest.mark.req("CFG-5", "PRM-3")
def test_a_request_is_queued_at_once_and_its_pictures_are_stored(ws):
    batch = ws.generate("a red fox", model="sketch", n=3, seed=7, **SMALL)
    assert batch.status in ("queued", "processing", "completed")
    assert len(batch) == 3
    batch.wait(60)
    assert batch.status == "completed"
    assert batch.counts["completed"] == 3
    assert [g.seed for g in batch.generations] == [7, 8, 9]
    assert [g.index for g in batch.generations] == [0, 1, 2]
    for generation in batch.generations:
        assert generation.image.size == (64, 64)
        assert generation.asset.size_bytes == generation.path.stat().st_size
        assert generation.path.suffix == ""
        assert generation.progress == 1
        assert generation.duration is not None
        assert generation.duration >= 0
        with Image.open(generation.thumbnail()) as small:
            assert small.format == "WEBP"
        assert len(generation.attempts) == 1


@pytest.mark.req("CFG-5")
def test_without_a_seed_every_image_gets_its_own(idle_ws):
    seeds = [g.seed for g in idle_ws.generate("hills", n=8).generations]
    assert len(set(seeds)) == 8


@pytest.mark.req("PRM-3")
def test_the_same_client_key_twice_is_one_batch(idle_ws):
    first = idle_ws.generate("hills", n=2, client_key="click-1")
    again = idle_ws.generate("hills", n=2, client_key="click-1")
    assert first == again
    assert len(idle_ws.generations().items) == 2


@pytest.mark.req("PRM-2")
def test_a_prompt_of_ten_thousand_characters_is_kept_whole(idle_ws):
    prompt = ("ünïcode fox 🦊 " * 1000)[:10_000]
    assert idle_ws.generate(prompt).prompt == prompt


@pytest.mark.req("PRM-4", "TOP-3")
def test_without_a_topic_one_is_made_and_named_after_the_prompt(idle_ws):
    batch = idle_ws.generate("a small boat under a paper moon, calm sea")
    assert batch.topic.title == "a small boat under a paper moon, calm sea"
    named = idle_ws.create_topic("Mine")
    idle_ws.generate("x y z", topic=named)
    assert named.title == "Mine"
    untitled = idle_ws.create_topic()
    idle_ws.generate("first words", topic=untitled)
    idle_ws.generate("second words", topic=untitled)
    assert untitled.title == "first words"


BAD = [
    ({"prompt": ""}, "prompt"),
    ({"prompt": "   "}, "prompt"),
    ({"prompt": 5}, "prompt"),
    ({"prompt": "x" * 10_001}, "prompt"),
    ({"prompt": "a\0b"}, "prompt"),
    ({"prompt": "\ud800"}, "prompt"),
    ({"model": "dalle"}, "model"),
    ({"model": "skecth"}, "model"),
    ({"model": 7}, "model"),
    ({"n": 0}, "n"),
    ({"n": 10**6}, "n"),
    ({"n": -1}, "n"),
    ({"n": 1.5}, "n"),
    ({"n": "4"}, "n"),
    ({"n": True}, "n"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**63}, "seed"),
    ({"seed": "seven"}, "seed"),
    ({"seed": 2**63 - 1, "n": 2}, "seed"),
    ({"width": 100_000}, "width"),
    ({"width": 65}, "width"),
    ({"height": float("nan")}, "height"),
    ({"steps": "7; DROP TABLE generation"}, "steps"),
    ({"params": {"steps": 10**9}}, "steps"),
    ({"params": ["steps"]}, "params"),
    ({"params": {"steps": 3}, "steps": 4}, "steps"),
    ({"setps": 3}, "setps"),
    ({"params": {"path": "/etc/passwd"}}, "path"),
    ({"style": "cubist"}, "style"),
    ({"negative_prompt": 5}, "negative_prompt"),
    ({"topic": "no-such-topic"}, None),
    ({"topic": 5}, "topic"),
    ({"priority": 1000}, "priority"),
    ({"client_key": ""}, "client_key"),
    ({"client_key": "x" * 300}, "client_key"),
    ({"references": ["/no/such/file.png"]}, "references[0]"),
    ({"references": [b"not an image"]}, "references[0]"),
    ({"references": [{"path": "/etc/passwd"}]}, "references[0]"),
    ({"references": ["/etc/passwd"]}, "references[0]"),
    ({"references": ["/dev/zero"]}, "references[0]"),
    ({"references": ["http://127.0.0.1/x.png"]}, "references[0]"),
    ({"references": ["file:///etc/passwd"]}, "references[0]"),
    ({"references": 5}, "references"),
    ({"references": ["0" * 64]}, "references[0]"),
    ({"force": "yes"}, "force"),
]


@pytest.mark.req("RES-4")
@pytest.mark.parametrize(("arguments", "field"), BAD)
def test_bad_input_is_named_and_leaves_no_trace(idle_ws, arguments, field):
    idle_ws.grant(100)
    idle_ws.set_price("sketch", 2)
    before = everything(idle_ws)
    with pytest.raises((wb.InvalidRequest, wb.NotFound)) as caught:
        idle_ws.generate(**{"prompt": "a fox", **arguments})
    if field is not None:
        assert caught.value.field == field
    assert str(caught.value).rstrip().endswith((".", ")", "?"))
    assert everything(idle_ws) == before
    assert idle_ws.balance == 100


def test_a_near_match_is_offered_for_a_misspelt_name(idle_ws):
    with pytest.raises(wb.InvalidRequest, match="Did you mean 'sketch'"):
        idle_ws.generate("x", model="sketc")
    with pytest.raises(wb.InvalidRequest, match="Did you mean 'negative_prompt'"):
        idle_ws.generate("x", negativ_prompt="y")


@pytest.mark.req("TOK-2")
def test_a_request_that_the_balance_does_not_cover_is_refused_whole(idle_ws):
    idle_ws.set_price("sketch", 2)
    idle_ws.grant(5)
    before = everything(idle_ws)
    with pytest.raises(wb.InsufficientBalance, match="6"):
        idle_ws.generate("a fox", n=3)
    assert everything(idle_ws) == before
    idle_ws.generate("a fox", n=2)
    assert idle_ws.balance == 1


@pytest.mark.req("PRV-8", "CFG-6")
def test_references_of_every_kind_become_inputs(ws, tmp_path):
    picture = Image.fromarray(np.full((32, 32, 3), 200, np.uint8))
    file = tmp_path / "reference.png"
    picture.save(file)
    first = ws.generate("a fox", **SMALL).wait(60).generations[0]
    for reference in (file, str(file), file.read_bytes(), picture, first, first.asset):
        batch = ws.generate("a fox", references=[reference], **SMALL).wait(60)
        generation = batch.generations[0]
        assert generation.status == "completed", generation.error
        assert [(item.role, item.position) for item in generation.inputs] == [("reference", 0)]
        assert batch.settings()["references"] == [generation.inputs[0].asset_id]


@pytest.mark.req("FEED-10")
def test_numpy_numbers_are_numbers(idle_ws):
    batch = idle_ws.generate("x", n=np.int64(2), seed=np.uint32(5), width=np.int32(128))
    assert [g.seed for g in batch.generations] == [5, 6]


@pytest.mark.req("FEED-1")
def test_settings_and_python_code_make_the_same_pictures_again(ws):
    batch = ws.generate("two boats", n=2, seed=11, style="ink", negative_prompt="moon", **SMALL)
    batch.wait(60)
    again = ws.generate(**batch.settings()).wait(60)
    assert [g.asset.id for g in again.generations] == [g.asset.id for g in batch.generations]
    space: dict[str, object] = {}
    code = batch.to_python().replace("ws = wb.open()", "ws = given")
    exec(code, {"given": ws}, space)
    assert space["batch"].settings() == batch.settings()


def test_failures_on_demand_fail_and_a_retry_works(ws):
    batch = ws.generate("a fox", n=3, fail=[1], seed=1, **SMALL).wait(60)
    assert [g.status for g in batch.generations] == ["completed", "failed", "completed"]
    failed = batch.generations[1]
    assert failed.error.kind == "bad_request"
    assert not failed.error.charged
    (again,) = batch.retry_failed()
    assert again.retry_of == failed.id
    assert again.seed == failed.seed
    again.wait(60)
    assert batch.status == "completed"
    assert batch.generations[1] == again
    assert len(batch.all_generations()) == 4
    assert failed.error.kind == "bad_request"
    always = ws.generate("a fox", n=2, fail=1.0, **SMALL).wait(60)
    assert [g.status for g in always.generations] == ["failed", "failed"]


@pytest.mark.req("PRV-1")
@pytest.mark.parametrize("fail", [2, -0.5, "often", [1.5], {"a": 1}])
def test_a_senseless_failure_on_demand_is_refused(idle_ws, fail):
    with pytest.raises(wb.InvalidRequest, match="fail"):
        idle_ws.generate("x", fail=fail)


@pytest.mark.req("PRM-5")
def test_ten_quick_submissions_are_all_there_in_order(ws):
    batches = [ws.generate(f"fox number {i}", **SMALL) for i in range(10)]
    shown = [g.prompt for g in ws.generations().items]
    assert shown == [f"fox number {i}" for i in reversed(range(10))]
    for batch in batches:
        batch.wait(60)
    assert {g.status for g in ws.generations().items} == {"completed"}


@pytest.mark.req("PRV-8")
def test_imported_images_are_completed_generations(idle_ws, tmp_path):
    file = tmp_path / "cat.png"
    Image.new("RGB", (40, 30), "teal").save(file)
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(buffer, "JPEG")
    batch = idle_ws.import_images([file, buffer.getvalue()])
    first, second = batch.generations
    assert (first.operation, first.status, first.cost) == ("import", "completed", Decimal(0))
    assert first.path.read_bytes() == file.read_bytes()
    assert first.prompt == "cat.png"
    assert second.asset.mime == "image/jpeg"
    before = everything(idle_ws)
    for bad in ([], [file, b"no image"], ["/dev/null"], [None]):
        with pytest.raises(wb.InvalidRequest):
            idle_ws.import_images(bad)
    assert everything(idle_ws)["generation"] == before["generation"]
