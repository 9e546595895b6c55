"""What axe finds in the app: nothing, light and dark, at full width and on a telephone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.test_accessibility import AXE, Checks, Theme

if TYPE_CHECKING:
    from tests.browser.conftest import MakeApp, MakeVisitor

PHONE = {"width": 420, "height": 860}
# All that differs between the pages of the two themes (tests/package/test_app_starts.py sees it in
# the dark one).
SWITCH = """async theme => {
  const link = document.querySelector("link[href*='/static/theme-']");
  const loaded = new Promise(done => link.addEventListener("load", done, {once: true}));
  link.href = link.href.replace(/theme-(light|dark)/, `theme-${theme}`);
  await loaded;
  const {classList, dataset} = document.body;
  classList.remove("theme-light", "theme-dark");
  classList.add(`theme-${theme}`);
  dataset.jpThemeLight = String(theme === "light");
  dataset.jpThemeName = theme === "light" ? "JupyterLab Light" : "JupyterLab Dark";
}"""


@pytest.mark.req("ACC-1", "LAY-1", "TOP-2")
def test_axe_finds_nothing_in_the_app(make_app: MakeApp, make_visitor: MakeVisitor) -> None:
    app = make_app(environment={"WORKBENCH_TEMPORARY": "0"})
    visitor = make_visitor(app=app, reduced_motion="reduce").open()
    page, root = visitor.page, visitor.widget()
    page.evaluate(AXE.read_text())

    def set_theme(theme: Theme) -> None:
        page.evaluate(SWITCH, theme)

    checks = Checks(visitor, "light", set_theme)
    checks.look("empty", root, shows="Nothing here yet")
    root.get_by_test_id("count").fill("2")
    root.get_by_test_id("count").press("Enter")
    root.get_by_test_id("prompt").fill("a red fox in the snow")
    root.get_by_test_id("generate").click()
    card = root.locator("[data-testid=generation][data-status=completed]")
    expect(card).to_have_count(2, timeout=60_000)
    checks.look("pictures", root, shows="a red fox in the snow")
    card.first.press("Enter")
    expect(root.get_by_test_id("lightbox")).to_be_visible()
    checks.look("lightbox", root, shows="a red fox in the snow")
    page.keyboard.press("Escape")
    card.first.press("Delete")
    expect(card).to_have_count(1)
    page.set_viewport_size({**PHONE})  # type: ignore[typeddict-item]
    root.get_by_test_id("open-topics").click()
    checks.look("on a telephone", root, shows="a red fox in the snow")
    root.get_by_test_id("topics-more").click()
    page.get_by_test_id("open-trash").click()
    expect(page.get_by_test_id("trash-dialog").locator("img")).to_be_visible()
    checks.look("the trash", root, shows="kept until")
    page.get_by_test_id("trash-restore").click()
    expect(page.get_by_test_id("trash-restored")).to_be_visible()
    checks.look("what was restored", root, shows="is back")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(card).to_have_count(2)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    visitor.console.allow("404", "WebSocket", "ERR_", "Kernel", "kernel")  # the host asks for it
    app.end_kernels()
    expect(page.get_by_test_id("reload")).to_be_visible(timeout=30_000)
    checks.look("the end of the session", root, shows="This session has ended")
    checks.end(states=14)
