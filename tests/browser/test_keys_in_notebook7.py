"""The keyboard in Notebook 7, which takes keys before the page's own elements hear of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.lab_world import eventually
from tests.browser.test_keyboard import (
    CARD,
    CELLS,
    COMPLETED,
    WIDE,
    check_keys,
    close_overlays,
)

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.conftest import MakeLab


@pytest.mark.faults  # long
@pytest.mark.timeout(400)
@pytest.mark.req("LAY-9", "ACC-1")
def test_no_key_pressed_in_the_widget_is_a_command_of_notebook_7(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE)
    notebook = lab.write_and_open(CELLS, host="notebook")
    notebook.run_all()
    root = notebook.widget()
    expect(root.get_by_test_id("live")).to_have_attribute("data-state", "live")
    expect(root.locator(COMPLETED)).to_have_count(6)
    # The cell of the widget is the selected one, as after a click into it.
    notebook._in_panel("panel.content.activeCellIndex = 1; panel.content.mode = 'command'")
    lab.page.on("download", lambda download: download.cancel())

    def on(place: Locator) -> Callable[[], None]:
        def focus() -> None:
            close_overlays(notebook)
            place.focus()

        return focus

    card = root.locator(COMPLETED).first
    check_keys(notebook, "the prompt", on(root.get_by_test_id("prompt")))
    check_keys(notebook, "Generate", on(root.get_by_test_id("generate")))
    check_keys(notebook, "a card", on(root.locator(CARD).first))
    check_keys(notebook, "a button of a card", on(card.get_by_test_id("download")))

    def in_lightbox() -> None:
        box = lab.page.get_by_test_id("lightbox")
        if not box.is_visible():
            close_overlays(notebook)
            root.locator(COMPLETED).first.focus()
            lab.page.keyboard.press("Enter")
            box.wait_for()
        box.get_by_test_id("favourite").focus()

    check_keys(notebook, "the lightbox", in_lightbox)
    close_overlays(notebook)

    # What they do here they do all the same, and what is the notebook's stays so.
    picture = str(card.get_attribute("data-id"))
    card.focus()
    lab.page.keyboard.press("4")
    stars = root.locator(f"[data-id='{picture}'] .wbx-mark-stars")
    expect(stars).to_have_text("4")
    notebook.save()
    notebook._in_panel("panel.context.model.sharedModel.setMetadata('touched', true)")
    is_dirty = "return panel.context.model.dirty"
    eventually(lambda: notebook._in_panel(is_dirty), bool)
    card.focus()
    lab.page.keyboard.press("Control+s")
    eventually(lambda: notebook._in_panel(is_dirty), lambda dirty: not dirty)
