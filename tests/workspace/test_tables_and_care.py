"""Frames, money, saving, the doctor and the backup."""

from __future__ import annotations

import json
import os
import sqlite3
import zipfile
from decimal import Decimal

import pandas as pd
import pytest
from PIL import Image

import workbench as wb
from tests.workspace.workspace_world import SMALL, everything
from workbench.workspace.frames import COLUMNS


@pytest.mark.req("RES-1", "PRV-8")
def test_the_frame_has_every_image_and_every_parameter(ws):
    ws.set_price("sketch", "0.5")
    ws.grant(10)
    batch = ws.generate("a fox", n=2, seed=3, fail=[1], **SMALL).wait(60)
    batch.generations[0].rating = 5
    frame = ws.frame()
    assert frame.index.name == "generation_id"
    assert list(frame.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert {"param.steps", "param.style", "param.palette"} <= set(frame.columns)
    row = frame.loc[batch.generations[0].id]
    assert (row["prompt"], row["seed"], row["status"], row["rating"]) == (
        "a fox",
        3,
        "completed",
        5,
    )
    assert (row["cost"], row["unit"]) == (Decimal("0.5"), "token")
    assert row["width"] == 64
    assert str(row["created_at"].tz) == "UTC"
    with Image.open(row["path"]) as picture:
        assert picture.size == (64, 64)
    failed = frame.loc[batch.generations[1].id]
    assert (failed["status"], failed["error_kind"]) == ("failed", "bad_request")
    assert failed["cost"] == 0
    assert len(ws.frame(status="failed")) == 1
    assert ws.frame(search="nothing").empty
    assert list(ws.frame(search="nothing").columns) == list(COLUMNS)


@pytest.mark.req("RES-1")
def test_a_frame_gives_ratings_tags_and_notes_back(idle_ws):
    idle_ws.generate("a fox", n=3)
    frame = idle_ws.frame()
    frame["rating"] = [5, 0, 3]
    frame["tags"] = [[], ["keep"], []]
    frame.loc[frame.index[2], "favourite"] = True
    assert idle_ws.apply_frame(frame) == 3
    assert idle_ws.apply_frame(frame) == 0
    again = idle_ws.frame()
    assert again["rating"].tolist() == [5, 0, 3]
    assert again["tags"].tolist()[1] == ["keep"]
    assert again["favourite"].tolist() == [False, False, True]


@pytest.mark.req("RES-1")
def test_a_frame_with_a_bad_row_changes_nothing(idle_ws):
    idle_ws.generate("a fox", n=2)
    good = idle_ws.frame()
    before = idle_ws.frame()
    bad_rating = good.assign(rating=[5, 9])
    unknown = pd.concat([good.assign(rating=5), good.head(1).set_axis(["nobody"])])
    fraction = good.assign(rating=[1.5, 2.0])
    text_tags = good.assign(tags="keep")
    for frame in (bad_rating, unknown, fraction, text_tags, pd.DataFrame({"x": [1]}), "no frame"):
        with pytest.raises((wb.InvalidRequest, wb.NotFound)):
            idle_ws.apply_frame(frame)
    pd.testing.assert_frame_equal(idle_ws.frame(), before)


@pytest.mark.req("TOK-1", "TOK-2")
def test_money_is_reserved_settled_on_success_and_released_on_failure(ws):
    ws.set_price("builtin:sketch", 2)
    ws.grant(1000, "start")
    ws.pause()  # else the one that fails may be over before the balance is looked at
    batch = ws.generate("a fox", n=4, fail=[1], **SMALL)
    assert ws.balance == 992
    ws.resume()
    batch.wait(60)
    assert ws.balance == 994
    assert batch.cost == 6
    assert [g.cost for g in batch.generations] == [2, 0, 2, 2]
    ledger = ws.ledger()
    assert ledger["amount"].sum() == ws.balance
    assert ledger.index.is_unique
    assert ledger["kind"].tolist().count("settle") == 3
    assert ws.balances() == {"token": Decimal(994)}
    assert ws.model("sketch").price == 2
    ws.set_price("sketch", 3)
    assert batch.cost == 6


@pytest.mark.req("TOK-1")
def test_money_that_makes_no_sense_is_refused(idle_ws):
    idle_ws.grant(5)
    before = everything(idle_ws)
    for call in (
        lambda: idle_ws.grant("much"),
        lambda: idle_ws.grant(0),
        lambda: idle_ws.grant(float("nan")),
        lambda: idle_ws.grant(1, unit="t t"),
        lambda: idle_ws.grant(1, reason=5),
        lambda: idle_ws.set_price("sketch", -1),
        lambda: idle_ws.set_price("nothing", 1),
        lambda: idle_ws.budget(-1).__enter__(),
        lambda: idle_ws.budget("x").__enter__(),
    ):
        with pytest.raises(wb.InvalidRequest):
            call()
    with pytest.raises((wb.InsufficientBalance, wb.InvalidRequest)):
        idle_ws.grant(-6)
    assert everything(idle_ws) == before


@pytest.mark.req("TOK-4")
def test_a_budget_refuses_what_would_overrun_it_and_counts_failures_back(ws):
    ws.set_price("sketch", 2)
    ws.grant(100)
    with ws.budget(limit=6) as budget:
        ws.generate("a fox", n=2, fail=[0], **SMALL).wait(60)
        assert (budget.spent, budget.remaining) == (2, 4)
        with pytest.raises(wb.BudgetExceeded, match="fewer images"):
            ws.generate("a fox", n=3, **SMALL)
        ws.generate("a fox", n=2, **SMALL).wait(60)
        assert budget.remaining == 0
    ws.generate("a fox", n=3, **SMALL).wait(60)


def _text_of(path):
    with Image.open(path) as picture:
        return picture.text


@pytest.mark.req("FEED-6", "RES-6", "FEED-7")
def test_saved_files_and_zips_say_how_they_were_made(ws, tmp_path):
    batch = ws.generate('fox "quoted", <b>', n=2, fail=[1], seed=5, **SMALL).wait(60)
    generation = batch.generations[0]
    path = generation.save(tmp_path)
    assert path.parent == tmp_path
    text = _text_of(path)
    assert 'fox "quoted", <b>' in text["parameters"]
    assert "Seed: 5" in text["parameters"]
    assert json.loads(text["workbench"])["seed"] == 5
    bare = generation.save(tmp_path / "bare", metadata=False)
    assert bare.name == "bare.png"
    assert _text_of(bare) == {}
    with Image.open(bare) as picture:
        assert picture.tobytes() == generation.image.tobytes()
    archive = batch.to_zip(tmp_path / "all.zip")
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        assert len([name for name in names if name.endswith(".png")]) == 1
        manifest = json.loads(opened.read(next(n for n in names if n.endswith(".json"))))
    assert manifest["prompt"] == 'fox "quoted", <b>'
    assert manifest["missing"] == [{"index": 1, "status": "failed"}]
    assert str(ws.path) not in json.dumps(manifest)
    for bad in (tmp_path / "x.jpg", tmp_path / "no" / "x.png", 5, "a\0b.png"):
        with pytest.raises(wb.InvalidRequest):
            generation.save(bad)
    with pytest.raises(wb.NotAllowed, match="failed"):
        batch.generations[1].save(tmp_path)
    with pytest.raises(wb.InvalidRequest):
        generation.thumbnail(300)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


@pytest.mark.req("DAT-1")
def test_sql_reads_and_refuses_to_write(idle_ws):
    idle_ws.generate("a fox", n=2)
    assert idle_ws.sql("select count(*) as n from generation")["n"][0] == 2
    assert idle_ws.sql("select ? as x", [5])["x"][0] == 5
    for query in (
        "delete from generation",
        "insert into meta values ('a','b')",
        "select 1; select 2",
        "attach 'x.db' as y",
        "pragma journal_mode=delete",
        "no sql",
        "",
        "vacuum",
    ):
        with pytest.raises(wb.InvalidRequest):
            idle_ws.sql(query)
    assert len(idle_ws.generations().items) == 2


@pytest.mark.req("DAT-6")
def test_the_doctor_finds_a_sound_workspace_sound(ws):
    ws.set_price("sketch", 2)
    ws.grant(50)
    ws.generate("a fox", n=3, fail=[1], **SMALL).wait(60)
    report = ws.doctor()
    assert report.ok, report.problems
    assert report.to_dict()["facts"]["generations"] == 3
    assert "sound" in repr(report)


@pytest.mark.req("DAT-6")
def test_the_doctor_explains_missing_changed_and_foreign_files(ws):
    generations = ws.generate("a fox", n=3, **SMALL).wait(60).generations
    three = generations[2].asset.id
    changed, missing = (generation.path for generation in generations[:2])
    # The engine keeps house when it starts to run jobs, and may come to the orphan first.
    ws.close()
    changed.chmod(0o600)
    changed.write_bytes(b"changed")
    missing.unlink()
    orphan = ws.path / "files" / "aa" / ("aa" + "0" * 62)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"x")
    os.utime(orphan, (0, 0))
    with wb.open(ws.path, user="ada", run_jobs=False) as again:
        problems = "\n".join(again.doctor().problems)
    assert "was changed on disk" in problems
    assert "is missing" in problems
    assert "belong to no row" in problems
    assert three[:12] not in problems


@pytest.mark.req("DAT-6", "PRV-7")
def test_the_doctor_finds_a_key_that_leaked_into_a_row(idle_ws, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-1234567890")
    idle_ws._engine.store.log("error", "provider", "refused sk-canary-1234567890").result()
    problems = "\n".join(idle_ws.doctor().problems)
    assert "OPENAI_API_KEY" in problems
    assert "sk-canary" not in problems


@pytest.mark.req("DAT-6")
def test_a_backup_opens_as_a_workspace_of_its_own(ws, tmp_path):
    ws.grant(7)
    batch = ws.generate("a fox", n=2, **SMALL).wait(60)
    old_cursor = ws.changes().cursor
    copy = ws.backup(tmp_path / "copy")
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    for bad in (copy, ws.path / "inside", tmp_path / "no" / "where", 5):
        with pytest.raises(wb.InvalidRequest):
            ws.backup(bad)
    ws.generate("later", **SMALL).wait(60)
    with wb.open(copy, user="ada") as restored:
        assert restored.doctor().ok, restored.doctor().problems
        assert len(restored.generations().items) == 2
        assert restored.balance == 7
        again = restored.generation(batch.generations[0].id)
        assert again.path.read_bytes() == batch.generations[0].path.read_bytes()
        assert restored.changes(old_cursor).reset
    connection = sqlite3.connect(copy / "workbench.sqlite3")
    assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    connection.close()


def test_messages_belong_to_a_topic(idle_ws):
    topic = idle_ws.create_topic("chat")
    idle_ws.say(topic, "hello")
    idle_ws.say(topic, "again")
    assert [message.text for message in idle_ws.messages(topic)] == ["again", "hello"]
    for bad in ("", " ", "x" * 20_000):
        with pytest.raises(wb.InvalidRequest):
            idle_ws.say(topic, bad)
