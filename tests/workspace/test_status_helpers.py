"""Which generations stand around an image, and how a status is shown."""

from __future__ import annotations

import pytest

import workbench as wb
from tests.workspace.odd_world import png
from tests.workspace.workspace_world import SMALL
from workbench.store.sqlite.store import SqliteStore

pytestmark = pytest.mark.req("STA-3")

SHOWN = {
    "pending": ("clock", "Waiting to start"),
    "queued": ("layers", "In queue"),
    "processing": ("loader", "Generation in progress"),
    "completed": ("check", "Generation complete"),
    "failed": ("alert-circle", "Generation failed"),
    "cancelled": ("x", "Generation cancelled"),
}


@pytest.mark.parametrize("status", SHOWN)
def test_a_status_is_shown_with_label_icon_colour_and_description(status):
    shown = wb.generation_status_display(status)
    assert set(shown) == {"label", "icon", "color", "description"}
    assert (shown["icon"], shown["description"]) == SHOWN[status]
    assert shown["label"] == status.capitalize()
    assert shown["color"].startswith("#")
    assert wb.generation_status_display(wb.Status(status)) == shown
    assert wb.is_terminal(status) is (status in ("completed", "failed", "cancelled"))


def test_words_of_other_tools_are_read_as_ours():
    assert wb.generation_status_display("success") == wb.generation_status_display("completed")
    assert wb.generation_status_display("error") == wb.generation_status_display("failed")
    assert wb.is_terminal("Success")
    for odd in ("odd", "", None, 5):
        with pytest.raises(wb.InvalidRequest, match="is not a status"):
            wb.is_terminal(odd)


def test_the_latest_of_several_generations_of_one_image_wins(ws):
    first = ws.generate("a fox", seed=1, **SMALL).wait(60).generations[0]
    twin = ws.generate("a fox", seed=1, **SMALL).wait(60).generations[0]
    other = ws.generate("an owl", seed=1, **SMALL).wait(60).generations[0]
    asset = first.asset.id
    assert twin.asset.id == asset
    assert wb.map_asset_to_generation(asset, [twin, first, other]) == twin
    assert wb.map_asset_to_generation(asset, [first, other]) == first
    assert wb.map_asset_to_generation(first.asset, ws.generations()) == twin
    assert wb.map_asset_to_generation(asset, []) is None
    assert wb.map_asset_to_generation(asset, (g for g in [other])) is None


def test_images_are_told_by_the_active_and_failed_generations_that_use_them(ws):
    source, spare = ws.import_images([png("red"), png("teal")]).generations
    failed = ws.generate("x", references=[source], fail=[0], **SMALL).wait(60).generations[0]
    ws.pause()
    active = ws.generate("y", references=[spare], **SMALL).generations[0]
    everything = [source, spare, failed, active]
    assert wb.assets_with_active_generations(everything) == {spare.asset.id}
    assert wb.assets_with_failed_generations(everything) == {source.asset.id}
    assert wb.assets_with_active_generations(g for g in everything) == {spare.asset.id}
    assert wb.assets_with_failed_generations([]) == frozenset()
    card = wb.media_card_status(ws, source.asset.id)
    assert (card["status"], card["failed"], card["active"]) == ("failed", 1, 0)
    assert card["error"] == failed.error.message
    assert wb.media_card_status(ws, spare.asset)["generation_id"] == active.id


def test_a_thousand_images_are_answered_with_one_query(ws, monkeypatch):
    made = ws.generate("a fox", **SMALL).wait(60).generations[0]
    asked: list[int] = []
    real = SqliteStore.asset_generations

    def counted(self, identity, asset_ids):
        asked.append(len(asset_ids))
        return real(self, identity, asset_ids)

    monkeypatch.setattr(SqliteStore, "asset_generations", counted)
    ids = [made.asset.id, *(f"{number:064x}" for number in range(999))]
    cards = wb.media_card_status_batch(ws, ids)
    assert asked == [1000]
    assert list(cards) == ids
    assert cards[made.asset.id]["status"] == "completed"
    empty = {"status": None, "generation_id": None, "error": None, "progress": 0.0}
    assert cards[ids[1]] == {"asset_id": ids[1], "active": 0, "failed": 0, **empty}
    with wb.open(ws.path, user="bob", run_jobs=False) as bob:
        assert wb.media_card_status(bob, made.asset.id)["status"] is None
