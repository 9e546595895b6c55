"""Scenes in JupyterLab with something over the feed: menus, drawers, dialogs, the lightbox."""

from __future__ import annotations

from functools import partial

from playwright.sync_api import expect

from tests.browser.scenes import Scene, Setting, Stage, lab_stage, over_window

NARROW_ONLY = (420, 320)


def _escape(stage: Stage) -> None:
    stage.escape()
    expect(stage.page.locator(".wbx-drop")).to_have_count(0)
    stage.point_away()


def _image_menu(stage: Stage) -> None:
    card = stage.cards().nth(1)
    card.scroll_into_view_if_needed()
    card.hover()
    card.get_by_test_id("image-menu").click()
    expect(stage.page.locator(".wbx-drop")).to_be_visible()


def _reuse_menu(stage: Stage) -> None:
    """Of a picture made with other settings than those of the panel."""
    stage.show("Palette sweep")
    expect(stage.cards()).to_have_count(2)
    _image_menu(stage)
    stage.page.locator(".wbx-drop").get_by_test_id("reuse-settings").hover()


def _leave_reuse_menu(stage: Stage) -> None:
    _escape(stage)
    stage.show("Harbour studies")


def _batch_menu(stage: Stage) -> None:
    button = stage.root.get_by_test_id("batch-menu").first
    button.scroll_into_view_if_needed()
    button.click()
    expect(stage.page.locator(".wbx-drop")).to_be_visible()


def _undo_toast(stage: Stage) -> None:
    card = stage.cards().last
    card.scroll_into_view_if_needed()
    card.focus()
    stage.page.keyboard.press("Delete")
    undo = stage.page.get_by_test_id("undo")
    expect(undo).to_be_visible()
    undo.hover()  # so it stays


def _press_undo(stage: Stage) -> None:
    stage.page.get_by_test_id("undo").click()
    expect(stage.page.get_by_test_id("undo")).to_have_count(0)
    stage.point_away()


def _references(stage: Stage) -> None:
    card = stage.cards().first
    card.scroll_into_view_if_needed()
    card.hover()
    card.get_by_test_id("image-menu").click()
    stage.page.get_by_test_id("use-as-reference").click()
    panel = stage.panel("config")
    shown = panel.get_by_test_id("reference").first
    shown.scroll_into_view_if_needed()
    expect(shown).to_be_visible()
    stage.point_away()


def _drop_reference(stage: Stage) -> None:
    stage.root.get_by_test_id("reference").first.click()
    expect(stage.root.get_by_test_id("reference")).to_have_count(0)
    stage.close_drawer()


def _confirm(stage: Stage) -> None:
    topic = stage.panel("topics").get_by_test_id("topic").filter(has_text="Forest")
    topic.get_by_role("button").first.focus()
    stage.page.keyboard.press("Delete")
    expect(stage.page.get_by_test_id("confirm")).to_be_visible()


def _close_confirm(stage: Stage) -> None:
    stage.page.get_by_test_id("confirm").get_by_role("button", name="Cancel").click()
    expect(stage.page.get_by_test_id("confirm")).to_have_count(0)
    stage.close_drawer()


def _providers(stage: Stage) -> None:
    panel = stage.panel("config")
    panel.get_by_test_id("providers").click()
    dialog = stage.page.get_by_test_id("providers-dialog")
    row = dialog.locator("[data-name=openai]")
    row.locator("summary").click()
    row.get_by_test_id("provider-key").scroll_into_view_if_needed()
    expect(row.get_by_test_id("provider-key")).to_be_visible()


def _close_providers(stage: Stage) -> None:
    stage.escape()
    expect(stage.page.get_by_test_id("providers-dialog")).to_have_count(0)
    stage.close_drawer()


def _spending(stage: Stage) -> None:
    stage.bench.py("ws.set_cap(200, unit='token', per='day')")
    stage.root.get_by_test_id("balance").click()
    dialog = stage.page.get_by_test_id("spend-dialog")
    dialog.get_by_test_id("spend-topic").click()
    expect(dialog.get_by_test_id("spend-row").first).to_be_visible()


def _lightbox(stage: Stage) -> None:
    stage.cards().nth(1).get_by_test_id("thumb").click()
    box = stage.page.get_by_test_id("lightbox")
    expect(box.get_by_test_id("lightbox-image")).to_be_visible()
    expect(box).to_contain_text("Seed")
    stage.point_away()


def _shortcuts(stage: Stage) -> None:
    stage.root.locator("[data-testid=generation]").first.focus()
    stage.page.keyboard.press("?")
    expect(stage.page.get_by_test_id("shortcuts-dialog")).to_be_visible()


def _close_shortcuts(stage: Stage) -> None:
    stage.escape()
    expect(stage.page.get_by_test_id("shortcuts-dialog")).to_have_count(0)


SETTINGS = (
    Setting(
        partial(lab_stage, name="overlays"),
        {
            "image-menu": Scene(
                says="The menu of a picture.", act=_image_menu, undo=_escape, each=True
            ),
            "reuse-menu": Scene(
                says="What would change if the settings of this picture were taken.",
                act=_reuse_menu,
                undo=_leave_reuse_menu,
                each=True,
            ),
            "batch-menu": Scene(
                says="The menu of a batch.", act=_batch_menu, undo=_escape, each=True
            ),
            "undo": Scene(
                says="A picture was deleted, which can be undone for a while.",
                act=_undo_toast,
                undo=_press_undo,
                each=True,
            ),
            "references": Scene(
                says="A picture goes in with the next request.",
                act=_references,
                undo=_drop_reference,
                each=True,
            ),
            "topics-drawer": Scene(
                says="The topics of a narrow widget.",
                act=partial(Stage.look_at, side="topics"),
                undo=Stage.close_drawer,
                each=True,
                only=NARROW_ONLY,
            ),
            "settings-drawer": Scene(
                says="The settings of a narrow widget.",
                act=partial(Stage.look_at, side="config"),
                undo=Stage.close_drawer,
                each=True,
                only=NARROW_ONLY,
            ),
            "confirm": over_window(
                says="The question before a topic is deleted.",
                act=_confirm,
                undo=_close_confirm,
            ),
            "providers": over_window(
                says="Providers, one of which wants a key.",
                act=_providers,
                undo=_close_providers,
            ),
            "spending": over_window(
                says="What was spent, by topic, under a limit for the day.",
                act=_spending,
                undo=_escape,
            ),
            "shortcuts": over_window(
                says="The keyboard shortcuts.",
                act=_shortcuts,
                undo=_close_shortcuts,
            ),
            "lightbox": over_window(
                says="One picture, large, with how it was made.",
                act=_lightbox,
                undo=Stage.close_lightbox,
            ),
        },
    ),
)
