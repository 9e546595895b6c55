"""What is kept, where, and as what type: rows, files, audit, records, progress, downloads."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

import pandas as pd
import pytest
from PIL import Image

import workbench as wb
from tests.waiting import until
from tests.workspace.odd_world import png
from tests.workspace.workspace_world import SMALL
from workbench.domain.jobs import Partial, Running
from workbench.domain.parameters import Parameter
from workbench.testing.providers import FakeProvider, Gate, Picture
from workbench.workspace.files_out import write_atomically
from workbench.workspace.frames import COLUMNS

API_COLUMNS = [
    *("batch_id", "topic_id", "topic", "project", "index"),
    *("operation", "status", "detail", "prompt", "prompt_sent"),
    *("negative_prompt", "provider", "model", "width", "height"),
    *("seed", "cost", "unit", "created_at", "started_at"),
    *("finished_at", "duration_s", "rating", "favourite", "tags"),
    *("note", "cached", "retry_of", "error_kind", "error"),
    *("asset_id", "path", "mime", "size_bytes"),
]


@pytest.mark.req("DAT-2", "FEED-4a")
def test_a_picture_is_one_file_named_by_its_content_and_no_row_holds_its_bytes(ws):
    made = ws.generate("a fox", seed=1, **SMALL).wait(60).generations[0]
    twin = ws.generate("a fox", seed=1, **SMALL).wait(60).generations[0]
    assert made.asset.id == twin.asset.id
    assert made.path == twin.path
    assert len(list(ws._engine.media.files.iter_files())) == 1
    assert made.path.read_bytes() == made.asset.read()
    with Image.open(made.thumbnail()) as small, Image.open(made.thumbnail(768)) as large:
        assert max(small.size) <= 256
        assert (small.format, large.format) == ("WEBP", "WEBP")
    for table in ("batch", "generation", "asset", "attempt", "message", "change", "preference"):
        columns = ws.sql(f"select type from pragma_table_info('{table}')")
        assert set(columns["type"]) <= {"TEXT", "INTEGER", "REAL"}, table


@pytest.mark.req("DAT-3")
def test_records_are_typed_frozen_and_their_ids_sort_by_time(ws):
    first = ws.generate("a fox", n=3, **SMALL).wait(60)
    second = ws.generate("an owl", fail=[0], **SMALL).wait(60)
    ids = [g.id for g in (*first.generations, *second.generations)]
    assert ids == sorted(ids)
    assert first.id < second.id
    generation = first.generations[0]
    for record in (first.record, generation.record, first.topic.record, generation.asset.record):
        with pytest.raises(dataclasses.FrozenInstanceError):
            record.id = "other"
    assert isinstance(generation.status, StrEnum)
    assert generation.status == "completed"
    assert generation.operation == "generate"
    assert isinstance(generation.cost, Decimal)
    assert generation.created_at.tzinfo is UTC
    assert abs((datetime.now(UTC) - generation.created_at).total_seconds()) < 600
    assert isinstance(generation.duration, float)
    assert (generation.error, generation.retry_of) == (None, None)
    assert isinstance(generation.tags, frozenset)
    assert generation.provenance["workbench"] == wb.__version__
    failed = second.generations[0]
    assert (failed.asset, failed.path, failed.thumbnail.__name__) == (None, None, "thumbnail")
    assert failed.error.kind == "bad_request"
    assert isinstance(failed.error.message, str)
    assert failed.error.charged is False
    asset = generation.asset
    assert len(asset.id) == 64
    assert (asset.mime, asset.width, asset.height, asset.source) == (
        *("image/png", 64, 64),
        "generation",
    )
    assert ws.import_images(png("red")).generations[0].asset.source == "upload"
    with pytest.raises(wb.NotAllowed, match="no picture"):
        failed.thumbnail()
    with pytest.raises(wb.NotAllowed, match="no picture"):
        failed.image  # noqa: B018


@pytest.mark.req("PRV-1")
def test_a_model_says_all_that_a_panel_needs(idle_ws):
    model = idle_ws.model("sketch")
    assert (model.id, model.provider) == ("builtin:sketch", "builtin")
    assert model == idle_ws.model("builtin:sketch")
    assert isinstance(model.parameters, MappingProxyType)
    assert list(model.parameters)[:2] == ["width", "height"]
    steps, style = model.parameters["steps"], model.parameters["style"]
    assert isinstance(steps, Parameter)
    assert (steps.kind, steps.default, steps.minimum, steps.maximum, steps.step) == (
        *("integer", 20, 1, 60),
        1,
    )
    assert style.kind == "choice"
    assert len(style.choices) >= 4
    assert style.default in style.choices
    for parameter in model.parameters.values():
        assert parameter.label
        assert isinstance(parameter.help, str)
        assert isinstance(parameter.unit, str)
        assert isinstance(parameter.group, str)
    assert [name for name, p in model.parameters.items() if p.hidden] == ["fail", "delay_ms"]
    assert "not a neural model" in model.help
    assert model.price == 0
    assert [one for one in idle_ws.models() if one.provider == "builtin"] == [model]


@pytest.mark.req("RES-1")
def test_the_frame_has_the_columns_of_the_api_with_fitting_types(ws):
    assert list(COLUMNS) == API_COLUMNS
    empty = ws.frame()
    ws.generate("a fox", n=2, fail=[1], **SMALL).wait(60)
    ws.import_images(png("red"))
    for frame in (empty, ws.frame()):
        assert list(frame.columns[: len(API_COLUMNS)]) == API_COLUMNS
        assert frame.index.name == "generation_id"
        for name in ("created_at", "started_at", "finished_at"):
            assert isinstance(frame[name].dtype, pd.DatetimeTZDtype)
        for name in ("index", "width", "height", "seed", "size_bytes", "rating"):
            assert frame[name].dtype == "Int64"
        for name in ("favourite", "cached"):
            assert frame[name].dtype == bool
        assert frame["duration_s"].dtype == "float64"
    assert ws.frame().shape[0] == 3
    assert ws.frame()["param.steps"].dtype == "Int64"  # whole, although the import has none
    assert ws.frame()["param.palette"].dtype == "float64"
    topic = ws.topics()[-1]
    assert len(ws.frame(topic)) == len(ws.frame(topic=topic.id)) == 2
    imported = ws.frame(status="completed").iloc[0]
    assert imported["operation"] == "import"
    assert imported["provider"] is None
    assert pd.isna(imported["seed"])


@pytest.mark.req("RES-1")
def test_a_frame_with_missing_cells_leaves_those_judgements_alone(idle_ws):
    first, second = idle_ws.generate("a fox", n=2).generations
    for generation in (first, second):
        generation.rating = 2
        generation.tags = {"old"}
    frame = idle_ws.frame()
    frame["rating"] = pd.array([pd.NA, 5], dtype="Int64")
    frame["tags"] = [None, ("new", "new")]
    frame["favourite"] = pd.array([pd.NA, True], dtype="boolean")
    frame["note"] = [float("nan"), "seen"]
    assert idle_ws.apply_frame(frame) == 1
    judged = {g.id: (g.rating, set(g.tags), g.favourite, g.note) for g in (first, second)}
    last = frame.index[1]
    assert judged.pop(last) == (5, {"new"}, True, "seen")
    assert list(judged.values()) == [(2, {"old"}, False, "")]
    by_column = frame[["rating"]].reset_index()
    by_column["rating"] = [1.0, 3.0]
    assert idle_ws.apply_frame(by_column) == 2
    twice = pd.concat([frame[["rating"]], frame[["rating"]]], axis=1)
    with pytest.raises(wb.InvalidRequest, match="twice"):
        idle_ws.apply_frame(twice)


@pytest.mark.req("DAT-5")
def test_each_submission_leaves_an_audit_row_even_when_it_is_cancelled(ws):
    gate = Gate()
    provider = FakeProvider("slow", script=lambda request: [Running(1, 2), gate, Picture()])
    ws.add_provider(provider)
    stopped = ws.generate("a fox", model="slow:picture").generations[0]
    gate.wait_reached()
    assert stopped.cancel()
    gate.open()
    made = ws.generate("a fox", model="slow:picture").wait(60).generations[0]
    failed = ws.generate("a fox", n=1, fail=[0], **SMALL).wait(60).generations[0]
    again = failed.retry().wait(60)
    ws.close(wait=True)
    with wb.open(ws.path, user="ada", run_jobs=False) as later:
        states = {
            id: [attempt.state for attempt in later.generation(id).attempts]
            for id in (stopped.id, made.id, failed.id, again.id)
        }
        assert states == {
            stopped.id: ["cancelled"],
            made.id: ["done"],
            failed.id: ["failed"],
            again.id: ["done"],
        }
        keys = later.sql("select idempotency_key from attempt")["idempotency_key"]
        assert keys.is_unique
        assert len(keys) == 4


@pytest.mark.req("FEED-9", "PRV-1")
def test_progress_and_preview_of_a_running_picture_are_the_same_from_everywhere(ws):
    gate, tile = Gate(), png("teal")
    moves = [Running(1, 4), Partial(tile, 0), Running(3, 4), gate, Picture()]
    ws.add_provider(FakeProvider("slow", script=lambda request: moves))
    generation = ws.generate("a fox", model="slow:picture").generations[0]
    gate.wait_reached()
    with wb.open(ws.path, user="ada", run_jobs=False) as other:
        seen = other.generation(generation.id)
        # Step and preview are written behind the stream, each when it is ready.
        until(lambda: seen.progress >= 0.75 and seen.record.preview is not None)
        assert (seen.status, seen.progress) == ("processing", 0.75)
        assert seen.record == generation.record
        assert (seen.record.step, seen.record.total_steps, seen.attempt) == (3, 4, 1)
        assert seen.record.preview == 1
        assert "data:image/" in seen._repr_mimebundle_()["text/html"]
        gate.open()
        assert seen.wait(60).progress == 1
    assert generation.status == "completed"


@pytest.mark.req("FEED-7")
def test_the_archive_of_a_running_batch_has_what_is_finished(ws, tmp_path):
    gate = Gate()
    script = lambda request: (  # noqa: E731
        [Picture()] if request.slots[0].index == 0 else [gate, Picture()]
    )
    ws.add_provider(FakeProvider("slow", script=script))
    batch = ws.generate("a fox", model="slow:picture", n=3, seed=5)
    batch.generations[0].wait(60)
    folder = tmp_path / "zips"
    folder.mkdir()
    path = batch.to_zip(folder)
    assert path.parent == folder
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        (image,) = manifest["images"]
        assert archive.read(image["file"])
    assert (image["seed"], image["prompt"], image["status"]) == (5, "a fox", "completed")
    assert [missing["index"] for missing in manifest["missing"]] == [1, 2]
    gate.open()
    batch.wait(60)
    with zipfile.ZipFile(batch.to_zip(path)) as archive:
        assert len(archive.namelist()) == 4
    assert [p.name for p in folder.iterdir()] == [path.name]


@pytest.mark.req("FEED-6")
def test_a_lost_file_hides_neither_its_row_nor_its_neighbours(ws):
    batch = ws.import_images([png("red"), png("teal")])
    lost = batch.generations[0]
    lost.path.unlink()
    for shown in (lost, batch, batch.topic, ws.generations()):
        assert "completed" in shown._repr_mimebundle_()["text/plain"]
    for use in (lambda: lost.image, lambda: lost.save(ws.path.parent), lost.thumbnail):
        with pytest.raises(wb.NotFound):
            use()


@pytest.mark.req("FEED-6")
def test_a_picture_is_saved_with_the_rights_that_the_umask_gives(ws, tmp_path):
    made = ws.generate("a fox", **SMALL).wait(60).generations[0]
    folder = tmp_path / "saved"
    folder.mkdir()
    plain = folder / "plain"
    plain.touch()
    saved = made.save(folder / "fox.png")
    assert saved.stat().st_mode == plain.stat().st_mode
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.save(saved) == saved  # again: replaced
    assert sorted(path.name for path in folder.iterdir()) == ["fox.png", "plain"]


@pytest.mark.req("DAT-6")
def test_a_file_that_cannot_take_its_place_leaves_nothing_beside_it(tmp_path):
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(wb.InvalidRequest, match="cannot be written"):
        write_atomically(tmp_path / "taken.png", b"a picture")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]


def test_the_report_of_the_doctor_is_plain_data(ws):
    report = ws.doctor(deep=False)
    assert report.ok
    plain = report.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert set(plain) == {"ok", "problems", "warnings", "facts"}


@pytest.mark.req("DAT-1")
def test_foreign_keys_are_kept_and_the_schema_has_its_tables(idle_ws):
    names = set(idle_ws.sql("select name from sqlite_master where type = 'table'")["name"])
    assert names >= {
        *("project", "topic", "batch", "generation", "job", "attempt", "asset", "input"),
        *("judgement", "message", "collection", "ledger", "balance", "change", "preference"),
    }
    idle_ws.generate("a fox", references=[png("red")])
    assert idle_ws._engine.store.database.integrity_check() == []
