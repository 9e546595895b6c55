"""Handles in the wrong place: of another kind, user or workspace; and requests refused half-way."""

from __future__ import annotations

import decimal
import io
import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

import workbench as wb
from tests.workspace.odd_world import files_without_rows, odd_world, png
from tests.workspace.workspace_world import SMALL, everything
from workbench.workspace.references import Intake

# One workspace for all examples of a test: they write nothing, or nothing that matters.
shared = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def world(workspace_home):
    with odd_world(workspace_home) as opened:
        yield opened


@pytest.mark.req("TOP-5", "FEED-10")
def test_a_handle_of_another_kind_is_named_as_such(world):
    ws = world.ws
    for call in (
        lambda: ws.generate("x", topic=world.batch),
        lambda: ws.generate("x", topic=world.project),
        lambda: ws.import_images([png("red")], topic=world.generation),
        lambda: ws.frame(world.batch),
        lambda: ws.cancel_all(world.batch),
        lambda: ws.messages(world.batch),
        lambda: ws.topics(world.topic),
        lambda: ws.create_topic("x", project=world.topic),
        lambda: ws.generate("x", references=world.batch),
        lambda: ws.generate("x", references=[world.topic]),
    ):
        with pytest.raises(wb.InvalidRequest, match=r"must be a|is a Topic"):
            call()


@pytest.mark.req("TOP-5")
def test_a_handle_of_another_workspace_or_user_finds_nothing_here(world):
    ws, before = world.ws, everything(world.ws)
    for call in (
        lambda: ws.generate("x", topic=world.other_topic),
        lambda: ws.restore(world.other_topic),
        lambda: world.topic.set_cover(world.other_picture),
        lambda: setattr(world.topic, "project", world.other_topic.project),
        lambda: ws.generate("x", topic=world.bobs_batch.topic),
        lambda: ws.generate("x", references=[world.bobs_picture]),
        lambda: ws.generate("x", references=[world.bobs_picture.asset]),
        lambda: ws.import_images(world.bobs_picture.asset.id),
        lambda: world.topic.set_cover(world.bobs_picture),
    ):
        with pytest.raises((wb.NotFound, wb.InvalidRequest)):
            call()
    assert everything(ws) == before


@pytest.mark.req("TOP-5")
def test_a_batch_that_is_not_ones_own_tells_nothing(world):
    theirs = wb.Batch(world.bob, world.batch.id)
    for look in (
        lambda: theirs.counts,
        lambda: theirs.status,
        lambda: theirs.cost,
        lambda: len(theirs),
        lambda: theirs.wait(1),
        theirs.cancel,
        theirs.delete,
        theirs.retry_failed,
    ):
        with pytest.raises(wb.NotFound):
            look()
    generation = wb.Generation(world.bob, world.generation.id)
    for look in (
        lambda: generation.attempts,
        lambda: generation.inputs,
        lambda: generation.rating,
        lambda: generation.asset,
        generation.cancel,
        generation.run_next,
    ):
        with pytest.raises(wb.NotFound):
            look()


def test_an_item_of_one_trash_is_not_restored_through_another_workspace(world):
    with pytest.raises(wb.NotFound):
        world.bob.restore(world.ws.trash()[0])
    with pytest.raises(wb.NotFound):
        world.other.restore(world.ws.trash()[0])
    assert len(world.ws.trash()) == 1


@pytest.mark.req("PRV-8")
def test_a_picture_of_another_workspace_is_copied(world):
    for picture in (world.other_picture, world.other_picture.asset):
        batch = world.ws.generate("like it", references=[picture])
        (used,) = batch.generations[0].inputs
        assert used.asset_id == world.other_picture.asset.id
        copy = world.ws.path / "files" / used.asset_id[:2] / used.asset_id
        assert copy.read_bytes() == world.other_picture.path.read_bytes()
    assert world.ws.doctor().ok, world.ws.doctor().problems


@pytest.mark.req("DAT-2", "TOK-2")
def test_a_request_that_is_refused_late_leaves_neither_row_nor_file(idle_ws):
    good, bad = png("orange"), b"no picture"
    idle_ws.set_price("sketch", 2)
    before = everything(idle_ws)
    with pytest.raises(wb.InvalidRequest, match=r"references\[1\]|at most 1"):
        idle_ws.generate("x", references=[good, bad])
    with pytest.raises(wb.InsufficientBalance):
        idle_ws.generate("x", references=[good])
    with pytest.raises(wb.InvalidRequest, match=r"paths\[2\]"):
        idle_ws.import_images([good, png("pink"), bad])
    assert everything(idle_ws) == before
    assert files_without_rows(idle_ws) == set()
    assert list(idle_ws._engine.media.files.iter_files()) == []


@pytest.mark.req("LIVE-1")
def test_the_owner_hears_of_the_reference_that_came_with_a_request(idle_ws):
    cursor = idle_ws.changes().cursor
    batch = idle_ws.generate("x", references=[png("orange")])
    (used,) = batch.generations[0].inputs
    changes = [(c.entity, c.id, c.kind) for c in idle_ws.changes(cursor).items]
    assert ("asset", used.asset_id, "insert") in changes


def test_pil_images_of_any_mode_are_stored_or_refused_with_a_reason(idle_ws):
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "RGBX", "I;16"):
        batch = idle_ws.import_images(Image.new(mode, (8, 8)))
        assert batch.generations[0].asset.mime == "image/png"
    closed = Image.open(io.BytesIO(png("red")))
    closed.close()
    cut = Image.open(io.BytesIO(png("red")[:60]))
    for unusable in (Image.new("F", (8, 8)), Image.new("RGB", (0, 5)), closed, cut):
        with pytest.raises(wb.InvalidRequest, match=r"paths\[0\]"):
            idle_ws.import_images(unusable)


def test_what_is_no_regular_file_is_refused_and_leaves_no_descriptor_open(idle_ws, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir())) if descriptors.is_dir() else 0
    for item in (tmp_path, str(tmp_path), tmp_path / "pipe", tmp_path / "link", "~nobody_/x"):
        with pytest.raises(wb.InvalidRequest, match=r"paths\[0\]"):
            idle_ws.import_images([item])
    if descriptors.is_dir():
        assert len(list(descriptors.iterdir())) == before


@pytest.mark.req("TOK-4")
def test_a_budget_counts_its_own_workspace_and_what_was_deleted_or_retried(ws, workspace_home):
    ws.set_price("sketch", 2)
    ws.grant(100)
    with pytest.raises(wb.InvalidRequest):
        ws.budget(-1)
    with wb.open(workspace_home / "second", user="ada", run_jobs=False) as second:
        second.set_price("sketch", 50)
        second.grant(100)
        with ws.budget(6) as budget:
            second.generate("elsewhere")
            assert budget.spent == 0
            batch = ws.generate("a fox", n=2, fail=[0], seed=1, **SMALL).wait(60)
            assert budget.spent == 2
            batch.generations[1].delete()
            ws.empty_trash()
            assert budget.spent == 2
            (again,) = batch.retry_failed()
            again.wait(60)
            assert budget.spent == 4
            other = ws.generate("a fox", fail=[0], **SMALL).wait(60)
            ws.generate("a cat", **SMALL).wait(60)
            assert budget.remaining == 0
            with pytest.raises(wb.BudgetExceeded):
                other.generations[0].retry()
            with pytest.raises(wb.BudgetExceeded):
                other.retry_failed()
        assert repr(budget) == "<Budget 6 of 6 token>"


@pytest.mark.req("TOK-2")
def test_retrying_what_failed_is_all_or_nothing(ws):
    batch = ws.generate("a fox", n=3, fail=[0, 1, 2], **SMALL).wait(60)
    ws.set_price("sketch", 2)
    ws.grant(5)
    with pytest.raises(wb.InsufficientBalance):
        batch.retry_failed()
    assert len(batch.all_generations()) == 3
    assert ws.balance == 5
    with pytest.raises(wb.NotAllowed, match="imported"):
        ws.import_images([png("red")]).generations[0].retry()


@pytest.mark.req("TOK-1")
def test_the_precision_that_somebody_set_for_a_paper_does_not_round_money(idle_ws):
    with decimal.localcontext() as context:
        context.prec = 2
        idle_ws.grant("123456.789012")
        assert idle_ws.balance == Decimal("123456.789012")
        idle_ws.set_price("sketch", Decimal("1.234567"))
        assert idle_ws.model("sketch").price == Decimal("1.234567")
        with idle_ws.budget("1000.000001") as budget:
            assert budget.remaining == Decimal("1000.000001")


TEXTS = st.text(st.characters(), max_size=300) | st.text(
    st.characters(categories=["Cs", "Cc", "Cf", "So"]), max_size=20
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@shared
@given(TEXTS)
@example("\ud83e")
@example("\0")
def test_any_text_is_kept_whole_or_refused(idle_ws, text):
    topic = idle_ws.create_topic("x")
    try:
        assert idle_ws.generate(text, topic=topic).prompt == text
    except wb.InvalidRequest as error:
        assert error.field == "prompt"  # noqa: PT017
    idle_ws.generations(search=text[:100].replace("\0", "").encode(errors="replace").decode())
    generation = idle_ws.generate("x", topic=topic).generations[0]
    try:
        generation.note = text
    except wb.InvalidRequest:
        text = ""
    assert generation.note == text


@shared
@given(JSON)
def test_any_parameter_value_is_taken_or_refused(idle_ws, value):
    for name in ("steps", "style", "palette", "fail", "delay_ms", "width"):
        try:
            batch = idle_ws.generate("x", params={name: value})
        except wb.InvalidRequest as error:
            assert error.field == name  # noqa: PT017
        else:
            taken = batch.generations[0].record
            stored = taken.width if name == "width" else taken.params.get(name)
            default = idle_ws.model("sketch").parameters[name].default
            assert stored == (default if value is None else value)


@shared
@given(st.from_regex(r"[gsb]?1?\.?[no]?\.?[0-9]{0,20}(\.[0-9]{0,20})?", fullmatch=True) | TEXTS)
def test_any_cursor_is_read_or_refused(idle_ws, cursor):
    for read in (
        lambda: idle_ws.generations(cursor=cursor),
        lambda: idle_ws.generations(cursor=cursor, search="x", order="oldest"),
    ):
        try:
            read()
        except wb.InvalidRequest as error:
            assert error.field == "cursor"  # noqa: PT017
    assert idle_ws.changes(cursor).reset


@shared
@given(st.decimals() | st.floats() | st.integers() | st.fractions() | TEXTS)
def test_any_amount_is_booked_exactly_or_refused(idle_ws, amount):
    before = idle_ws.balance
    try:
        entry = idle_ws.grant(amount)
    except wb.InvalidRequest:
        assert idle_ws.balance == before
    else:
        assert entry.amount_micro == Decimal(str(amount)) * 10**6
        assert idle_ws.balance * 10**6 == before * 10**6 + entry.amount_micro


@pytest.mark.req("DAT-2", "FEED-8")
def test_a_picture_that_is_purged_while_it_is_asked_for_is_refused(idle_ws, monkeypatch):
    real = Intake.admit

    def purged_meanwhile(self, item, field):
        record = real(self, item, field)
        for topic in idle_ws.topics():
            topic.delete()
        idle_ws.empty_trash()
        return record

    for use in (
        lambda asset: idle_ws.generate("x", references=[asset]),
        lambda asset: idle_ws.import_images(asset),  # noqa: PLW0108 - both alike
    ):
        asset = idle_ws.import_images(png("orange")).generations[0].asset
        with monkeypatch.context() as patch:
            patch.setattr(Intake, "admit", purged_meanwhile)
            with pytest.raises(wb.NotFound, match="asset"):
                use(asset)
    assert idle_ws.doctor().ok
    assert len(idle_ws.generations()) == 0


@pytest.mark.req("DAT-2")
def test_an_upload_whose_twin_is_purged_meanwhile_keeps_its_file(idle_ws, monkeypatch):
    twin = idle_ws.import_images(png("orange")).generations[0]
    real = Intake.admit

    def purged_meanwhile(self, item, field):
        record = real(self, item, field)
        twin.batch.delete()
        assert idle_ws.empty_trash() == 1
        return record

    with monkeypatch.context() as patch:
        patch.setattr(Intake, "admit", purged_meanwhile)
        batch = idle_ws.generate("x", references=[png("orange")])
    (used,) = batch.generations[0].inputs
    assert idle_ws._engine.media.exists(used.asset_id)
    assert idle_ws.doctor().ok
