"""The trash as a page sees it: what lies there, its pictures, further pages; nobody else's."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

import workbench as wb
from tests.widgets.pages import SMALL, Page
from workbench.widgets.operations import looking
from workbench.widgets.operations.snapshot import snapshot

DAY_MS = 86_400_000


@pytest.mark.req("TOP-2", "FEED-8")
def test_each_deletion_says_what_went_when_from_where_and_until_when_it_is_kept(page):
    ws = page.workspace
    foxes = ws.create_topic("Foxes")
    image, *_ = ws.generate("a red fox", topic=foxes, n=3, **SMALL).wait(60).generations
    batch = ws.generate("a fox " * 100, topic=foxes, n=2, **SMALL).wait(60)
    cats = ws.generate("a cat", topic=ws.create_topic("Cats"), **SMALL).wait(60)
    animals = ws.create_project("Animals")
    pictures = [image.id, batch.generations[0].id, cats.generations[0].id, None]
    for gone in (image, batch, cats.topic, animals):
        gone.delete()
    items = page.ask("trash")["items"][::-1]
    assert [(i["entity"], i["images"], i["topic_title"]) for i in items] == [
        ("generation", 1, "Foxes"),
        ("batch", 2, "Foxes"),
        ("topic", 1, ""),
        ("project", 0, ""),
    ]
    assert [item["picture_id"] for item in items] == pictures
    assert [item["title"][:9] for item in items] == ["a red fox", "a fox a f", "Cats", "Animals"]
    assert len(items[1]["title"]) == looking.SHOWN_TITLE_CHARACTERS
    assert all(item["kept_until"] == item["deleted_at"] + 30 * DAY_MS for item in items)
    answer = page.answer("thumbs", ids=[id for id in pictures if id], trash=True)
    assert ["error" in item for item in answer.data["items"]] == [False] * 3
    assert [Image.open(io.BytesIO(one)).format for one in answer.buffers] == ["WEBP"] * 3
    for item in items:
        page.ask("restore", entity=item["entity"], id=item["id"])
    assert page.ask("trash") == {"items": []}
    assert len(page.ask("topic.open", topic_id=foxes.id)["generations"]) == 5
    there = page.answer("thumbs", ids=pictures[:3], trash=True)
    assert there.buffers == (), "what is there again is asked for as everything else"


@pytest.mark.req("TOP-2", "TOP-5")
def test_nobody_lists_sees_or_restores_what_somebody_else_deleted(page, bob):
    batch = page.workspace.generate("a secret", **SMALL).wait(60)
    shared = page.workspace.generate("shared", **SMALL).wait(60)
    shared.topic.visibility = "workspace"
    pictures = [batch.generations[0].id, shared.generations[0].id]
    batch.topic.delete()
    shared.delete()
    other = Page(bob, client="page-two")
    assert other.ask("trash") == {"items": []}
    assert other.answer("thumbs", ids=pictures, trash=True).buffers == ()
    with pytest.raises(wb.NotFound):
        other.ask("restore", entity="topic", id=batch.topic.id)
    with pytest.raises(wb.NotAllowed, match="ada"):
        other.ask("restore", entity="batch", id=shared.id)
    assert len(page.ask("trash")["items"]) == 2


@pytest.mark.req("TOP-2")
def test_a_long_trash_comes_in_pages_without_repeat_or_gap(idle, monkeypatch):
    monkeypatch.setattr(looking, "MOST_TRASH", 3)
    batch = idle.workspace.generate("a fox", n=8)
    made = [one.id for one in batch.generations[:7]]
    for one in batch.generations[:7]:
        one.delete()
    found: list[str] = []
    before, older = None, 1
    while older:
        page = idle.ask("trash", before=before)
        found += [item["id"] for item in page["items"]]
        older, before = page.get("older", 0), page["items"][-1]["deleted_at"]
        assert len(found) + older == 7
        # Another window brings the oldest of those back that are listed already.
        idle.ask("restore", entity="generation", id=found[-1])
    assert found == made[::-1]


@pytest.mark.req("TOP-2")
def test_how_long_the_trash_keeps_things_is_what_the_settings_say(workspace_home: Path) -> None:
    folder = workspace_home / "ws"
    folder.mkdir()
    (folder / "config.toml").write_text("[trash]\nkeep_days = 7\n", "utf-8")
    with wb.open(folder) as ws:
        page = Page(ws)
        assert snapshot(page.context(), ())["workspace"]["trash_days"] == 7
        ws.create_topic("Foxes").delete()
        (item,) = page.ask("trash")["items"]
        assert item["kept_until"] == item["deleted_at"] + 7 * DAY_MS
