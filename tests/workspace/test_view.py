"""What pages read of a workspace, where it is more than one read of the store."""

from __future__ import annotations

import io
import zipfile

import pytest

import workbench as wb
from tests.workspace.odd_world import png
from tests.workspace.workspace_world import SMALL
from workbench.domain.parameters import Model
from workbench.testing.providers import FakeProvider
from workbench.workspace.view import MAX_IDS, View


@pytest.mark.req("FEED-5")
def test_any_number_of_rows_is_read_in_pieces(idle_ws):
    batches = [idle_ws.generate(f"fox {n}", n=60) for n in range(10)]
    view = View(idle_ws)
    ids = [g.id for batch in batches for g in batch.generations]
    assert len(ids) > MAX_IDS
    assert view.generations([*ids, *ids]).keys() == set(ids)
    assert [v.record.id for v in view.generations_of([b.id for b in batches[::-1]])] == [
        g.id for batch in batches[::-1] for g in batch.generations
    ]
    found = view.topics([batch.topic.id for batch in batches] * 60)
    assert len(found) == 10


@pytest.mark.req("FEED-3", "TOP-5")
def test_a_topic_opens_for_those_who_may_see_it(workspace_home):
    place = workspace_home / "ws"
    with (
        wb.open(place, user="ada", team="lab", run_jobs=False) as ada,
        wb.open(place, user="bob", team="lab", run_jobs=False) as bob,
    ):
        batch = ada.generate("a fox")
        topic = batch.topic
        with pytest.raises(wb.NotFound):
            View(bob).open_topic(topic.id, limit=5)
        topic.visibility = "team"
        feed = View(bob).open_topic(topic.id, limit=5)
        assert [record.id for record in feed.batches] == [batch.id]
        assert feed.active == (batch.id,)
        assert not View(bob).owns(feed.batches[0])
        topic.project.delete()
        with pytest.raises(wb.NotFound):
            View(ada).open_topic(topic.id, limit=5)


@pytest.mark.req("PRM-3")
def test_requests_of_a_widget_are_noted_as_such_and_others_are_not(idle_ws):
    id = View(idle_ws).submit("a fox", client_key="k")
    assert idle_ws.batch(id).record.source == "widget"
    assert idle_ws.generate("a fox").record.source == "api"
    with pytest.raises(wb.InvalidRequest):
        View(idle_ws).submit("")
    assert idle_ws.generate("a fox").record.source == "api"


@pytest.mark.req("TOK-4")
def test_how_many_jobs_run_at_once_is_the_smaller_of_two_limits(workspace_home):
    folder = workspace_home / "ws"
    folder.mkdir()
    (folder / "config.toml").write_text("[runner]\nmax_jobs = 3\n")
    with wb.open(folder, run_jobs=False) as ws:

        def parallel(name: str, concurrency: int) -> int:
            provider = FakeProvider(name, concurrency=concurrency)
            ws.add_provider(provider)
            model: Model = provider.models()[0]
            return View(ws).parallel(model)

        assert [parallel("slow", 1), parallel("quick", 9)] == [1, 3]


@pytest.mark.req("DAT-2")
def test_an_upload_is_looked_at_and_not_stored(idle_ws):
    view = View(idle_ws)
    info = view.inspect(png("teal"), "file")
    assert (info["mime"], info["width"], info["height"]) == ("image/png", 32, 32)
    assert not idle_ws._engine.media.exists(info["id"])
    with pytest.raises(wb.InvalidRequest) as caught:
        view.inspect(b"x" * 100, "file")
    assert caught.value.field == "file"
    assert view.max_upload_bytes() == idle_ws._engine.settings.media_max_bytes


@pytest.mark.req("FEED-7")
def test_an_archive_written_for_a_page_is_the_one_that_python_writes(ws, tmp_path):
    batch = ws.generate("a fox", n=2, **SMALL).wait(60)
    file = io.BytesIO()
    name = View(ws).write_archive(batch.id, file)
    saved = batch.to_zip(tmp_path / "x.zip")
    assert name == "a-fox.zip"
    with zipfile.ZipFile(file) as one, zipfile.ZipFile(saved) as other:
        assert one.namelist() == other.namelist()
        assert [one.read(n) for n in one.namelist()] == [other.read(n) for n in other.namelist()]


@pytest.mark.req("DAT-2")
def test_a_link_in_the_place_of_a_stored_image_is_not_followed(ws, tmp_path):
    generation = ws.import_images([png("red")]).generations[0]
    secret = tmp_path / "secret"
    secret.write_text("secret")
    asset = generation.asset.record
    generation.path.unlink()
    generation.path.symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        View(ws).open_image(asset)


@pytest.mark.req("LIVE-7")
def test_a_pause_is_heard_in_another_window(workspace_home):
    place = workspace_home / "ws"
    with (
        wb.open(place, user="ada", run_jobs=False) as one,
        wb.open(place, user="ada", run_jobs=False) as other,
    ):
        cursor = other.changes().cursor
        one.pause()
        (change,) = other.changes(cursor).items
        assert (change.entity, change.id, change.data["paused"]) == ("queue", "ada", True)
        assert other.doctor().ok
