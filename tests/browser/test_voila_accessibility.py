"""What axe finds in the app: nothing, light and dark, at full width and on a telephone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import expect

from tests.browser.test_accessibility import AXE, Checks

if TYPE_CHECKING:
    from tests.browser.conftest import MakeApp, MakeVisitor

PHONE = {"width": 420, "height": 860}


@pytest.mark.req("ACC-1", "LAY-1")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_app(
    make_app: MakeApp, make_visitor: MakeVisitor, theme: Literal["light", "dark"]
) -> None:
    app = make_app(options=["--theme", theme], environment={"WORKBENCH_TEMPORARY": "0"})
    visitor = make_visitor(app=app, reduced_motion="reduce").open()
    page, root = visitor.page, visitor.widget()
    page.evaluate(AXE.read_text())
    checks = Checks(visitor, theme)
    checks.look("empty", root, shows="Nothing here yet")
    root.get_by_test_id("prompt").fill("a red fox in the snow")
    root.get_by_test_id("generate").click()
    card = root.locator("[data-testid=generation][data-status=completed]")
    expect(card).to_have_count(4, timeout=60_000)
    checks.look("pictures", root, shows="a red fox in the snow")
    card.first.press("Enter")
    expect(root.get_by_test_id("lightbox")).to_be_visible()
    checks.look("lightbox", root, shows="a red fox in the snow")
    page.keyboard.press("Escape")
    page.set_viewport_size({**PHONE})  # type: ignore[typeddict-item]
    root.get_by_test_id("open-topics").click()
    checks.look("on a telephone", root, shows="a red fox in the snow")
    page.keyboard.press("Escape")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    app.end_kernels()
    expect(page.get_by_test_id("reload")).to_be_visible(timeout=30_000)
    checks.look("the end of the session", root, shows="This session has ended")
    checks.end(states=5)
