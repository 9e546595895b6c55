"""What axe finds in our roots: nothing, whatever they show, light and dark (WCAG 2.2 AA).

One page, and in it one state after the other, each in both themes: what was found is told at the
end.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.lab_world import drawn

if TYPE_CHECKING:
    from tests.browser.conftest import MakeLab
    from tests.browser.lab_world import LabPage, OpenNotebook
    from tests.browser.voila_world import VoilaPage

Theme = Literal["light", "dark"]
AXE = Path(__file__).parents[2] / "workbench/frontend/node_modules/axe-core/axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
WIDE = {"width": 1800, "height": 1000}
CARD = "[data-testid=generation]"
# Every status of an image, two topics in two projects, money, and a prompt that waits.
WORLD = """
import workbench as wb
ws = wb.open()
ws.set_price("sketch", 2)
ws.grant(500, "for the pictures")
def paint(prompt, topic, n=2, **options):
    return ws.generate(prompt, n=n, topic=topic, width=128, height=128, **options)
empty = ws.create_topic("Nothing yet")
foxes = ws.create_topic("Foxes in the snow")
ws.create_topic("Elsewhere", project=ws.create_project("Another project"))
paint("a red fox in the snow", foxes, n=3).wait(60)
done = paint("two of these fail", foxes, n=4, params={"fail": [1, 3]}).wait(60)
done.generations[0].rating = 4
done.generations[0].favourite = True
paint("cancelled before it began", foxes, params={"delay_ms": 60000}).cancel()
bench = wb.Workbench(ws, height=760)
bench.topic = empty
"""
ACTIVE = """
import time
bench.topic = foxes
bench.prompt = "an owl"
running = paint("an owl, still being painted", foxes, n=2, params={"delay_ms": 60000})
while running.generations[0].status != "processing":
    time.sleep(0.01)
ws.pause()
waiting = paint("and one that waits", foxes, n=2, params={"delay_ms": 60000})
"""
# What stands below the workbench, and a text of it: the parts alone, the simple mode, and one that
# hears nothing.
PARTS = {
    "wb.ConfigPanel(ws)": "Palette",
    "wb.PromptBox(ws)": "Generate",
    "wb.TopicsSidebar(ws)": "Elsewhere",
    "wb.TokenBalance(ws)": "tokens",
    "wb.Workbench(ws, simple=True, height=500)": "and one that waits",
    "deaf = wb.Workbench(ws, height=500)\n"
    "deaf._channel.receive = lambda *message: None\n"
    "deaf": "Connecting",
}

AXE_FINDS = """
async ([root, runOnly]) => {
  // Of what passes one element is enough to see that it has looked. (For colours it may find none.)
  const options = {runOnly, preload: false, resultTypes: ["violations"]};
  const result = await axe.run(root, options);
  const looked = !Array.isArray(runOnly) || result.passes.some(one => one.nodes.length > 0);
  if (!looked) return ["axe has not looked"];
  return result.violations.flatMap(one => one.nodes.map(node =>
    `${one.id} (${one.impact}): ${node.target.join(" ")} ${node.html.slice(0, 160)} ` +
    node.any.concat(node.all, node.none).map(check => check.message).join("; ")));
}
"""

# axe takes most of what scrolls within an output, and all in the top layer, for cut off by the
# notebook and says nothing about its colours. So the contrast of every text is worked out here.
CONTRASTS = r"""
root => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const known = new Map();
  const rgba = colour => {
    if (!known.has(colour)) known.set(colour, painted(colour));
    return known.get(colour);
  };
  const painted = colour => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map(n => top[n] * top[3] + below[n] * (1 - top[3]));
  const luminance = colour => {
    const [r, g, b] = colour.map(value => value / 255)
      .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  // The grounds that a text may stand on: more than one where a gradient is.
  const behind = element => {
    if (element === null) return [rgba(getComputedStyle(document.body).backgroundColor)];
    const style = getComputedStyle(element);
    const own = rgba(style.backgroundColor);
    const grounds = own[3] > 0.99
      ? [own] : behind(element.parentElement).map(ground => over(own, ground));
    const stops = style.backgroundImage.match(/(rgba?|color|oklab|oklch)\([^()]*\)/g) ?? [];
    if (stops.length === 0) return grounds;
    return stops.flatMap(stop => grounds.map(ground => over(rgba(stop), ground)));
  };
  const contrast = (colour, ground) => {
    const [light, dark] = [luminance(over(colour, ground)), luminance(ground)]
      .sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const found = [];
  const texts = new Set();
  for (const element of root.querySelectorAll("*")) {
    const words = [...element.childNodes].filter(one => one.nodeType === 3).map(one => one.data);
    const text = words.join("").trim();
    if (!text || !element.checkVisibility({visibilityProperty: true, opacityProperty: true}))
      continue;
    // Not read, for a moment or by anybody; or on a picture, which may have any colour.
    if (element.closest(":disabled, [aria-disabled=true], [inert], .wbx-hidden")) continue;
    if (element.closest(".wbx-card-bar, .wbx-progress[data-over]")) continue;
    texts.add(text);
    const style = getComputedStyle(element);
    const colour = rgba(style.color);
    const ratio = Math.min(...behind(element).map(ground => contrast(colour, ground)));
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5))
      found.push(`contrast ${ratio.toFixed(2)}: ${element.className} "${text}"`);
  }
  return [[...texts], found];
}
"""


class Checks:
    """Looks at one state after the other and tells all that was found at once.

    With `set_theme`, which switches the page, it looks at each state light and dark.
    """

    def __init__(
        self,
        lab: LabPage | VoilaPage,
        theme: str,
        set_theme: Callable[[Theme], None] | None = None,
    ) -> None:
        self.lab = lab
        self.theme = theme
        self.set_theme = set_theme
        self.found: list[str] = []
        self.states: list[str] = []

    def violations(self, root: Locator, rules: Any = TAGS) -> list[str]:
        """What axe finds within a root of ours, one line each."""
        found = self.lab.page.evaluate(AXE_FINDS, [root.element_handle(), rules])
        return [str(one) for one in found]

    def pale(self, root: Locator) -> tuple[list[str], list[str]]:
        """The texts that are shown, and what is too pale to be read."""
        texts, found = root.evaluate(CONTRASTS)
        return list(texts), list(found)

    def look(self, name: str, root: Locator, *, shows: str) -> None:
        """`shows` is a text of this state: that it was looked at."""
        self._look(f"{name}, {self.theme}", root, shows)
        if self.set_theme is not None:
            # A theme is nothing but colours. The next state is looked at in this one first.
            theme: Theme = "dark" if self.theme == "light" else "light"
            self.set_theme(theme)
            self.theme = theme
            expect(root).to_have_attribute("data-theme", theme)
            self._look(f"{name}, {theme}", root, shows, COLOURS)

    def _look(self, name: str, root: Locator, shows: str, rules: Any = TAGS) -> None:
        self.states.append(name)
        drawn(self.lab.page)
        texts, found = self.pale(root)
        assert any(shows in text for text in texts), f"{name}: {texts}"
        found += self.violations(root, rules)
        if found:
            self.lab.shoot(f"axe-{len(self.states)}-{self.theme}")
        self.found += [f"{name}: {one}" for one in found]

    def end(self, *, states: int) -> None:
        assert len(self.states) >= states, self.states
        assert not self.found, f"{len(self.found)} violations\n" + "\n".join(self.found)


def opened(lab: LabPage) -> tuple[OpenNotebook, Locator]:
    cells = [WORLD, "bench", ACTIVE, *PARTS]
    notebook = lab.write_and_open(cells)
    lab.page.evaluate(AXE.read_text())
    notebook.run(0)
    notebook.run(1)
    root = notebook.cell(1).locator(".wbx")
    expect(root.get_by_test_id("live")).to_have_attribute("data-state", "live")
    # It was made in another cell than it is shown in, and is there once all the same.
    sheet = notebook.cell(1).locator(".wbx-sheet")
    expect(sheet).to_have_count(1)
    expect(sheet).not_to_be_visible()
    return notebook, root


def set_width(root: Locator, width: int | None) -> None:
    root.evaluate(
        "(root, width) => { const output = root.closest('.jp-OutputArea-output');"
        " output.style.width = output.style.maxWidth = width ? `${width}px` : ''; }",
        width,
    )


def show_foxes(root: Locator) -> Locator:
    topic = root.get_by_test_id("topic").filter(has_text="Foxes")
    topic.get_by_role("button").first.click()
    expect(root.locator(CARD)).to_have_count(9)
    return topic


@pytest.mark.timeout(400)  # axe looks 32 times
@pytest.mark.req("ACC-1")
def test_axe_finds_nothing_in_any_state(make_lab: MakeLab) -> None:
    # Without transitions: what counts is what stays.
    lab = make_lab(viewport=WIDE, reduced_motion="reduce")
    checks = Checks(lab, "light", lab.set_theme)
    notebook, root = opened(lab)
    expect(root.get_by_text("No images in this topic yet")).to_be_visible()
    check_that_it_can_find(checks, root)
    checks.look("empty", root, shows="No images in this topic yet")

    topic = show_foxes(root)
    expect(root.locator(f"{CARD} img[data-testid=thumb]")).to_have_count(5)
    root.locator(CARD).nth(3).hover()
    checks.look("pictures, failed and cancelled ones", root, shows="two of these fail")
    look_at_overlays(checks, root, topic)

    root.get_by_test_id("feed").evaluate("feed => { feed.scrollTop = 0; }")
    notebook.run(2)
    expect(root.locator(f"{CARD}[data-status=processing]").first).to_be_visible()
    expect(root.locator(f"{CARD}[data-status=pending]").first).to_be_visible()
    expect(root.get_by_test_id("paused")).to_be_visible()
    checks.look("active and paused", root, shows="and one that waits")
    root.get_by_test_id("resume").first.click()
    expect(root.get_by_test_id("paused")).to_have_count(0)

    set_width(root, 420)
    button = root.get_by_test_id("open-topics")
    expect(button).to_be_visible()
    checks.look("narrow", root, shows="an owl, still being painted")
    button.click()
    expect(root.locator(".wbx-drawer[data-out]")).to_be_visible()
    checks.look("the topics' drawer", root, shows="Elsewhere")
    lab.page.keyboard.press("Escape")
    root.get_by_test_id("open-config").click()
    expect(root.locator(".wbx-drawer[data-out]")).to_be_visible()
    checks.look("the settings' drawer", root, shows="Steps")
    lab.page.keyboard.press("Escape")
    set_width(root, None)

    look_at_parts(checks, notebook)
    look_while_offline(checks, notebook, root)
    checks.end(states=32)


def check_that_it_can_find(checks: Checks, root: Locator) -> None:
    """What is wrong on purpose is found, in the root and in what lies over the page."""
    root.evaluate(
        """root => root.insertAdjacentHTML("beforeend", `<dialog id=wrong open
          style="background: #777; color: #7a7a7a">pale<button></button></dialog>`)"""
    )
    assert "button-name" in "\n".join(checks.violations(root))
    assert any("pale" in one for one in checks.pale(root)[1])
    root.evaluate("root => root.querySelector('#wrong').remove()")
    words = root.get_by_text("No images in this topic yet")
    words.evaluate("words => { words.style = 'background: linear-gradient(#000, #fff)'; }")
    assert any("No images" in one for one in checks.pale(root)[1])
    words.evaluate("words => { words.removeAttribute('style'); }")
    assert not checks.violations(root)


def look_at_overlays(checks: Checks, root: Locator, topic: Locator) -> None:
    page = checks.lab.page
    button = root.get_by_test_id("batch-menu").first
    button.scroll_into_view_if_needed()
    button.click()
    expect(page.locator(".wbx-drop")).to_be_visible()
    checks.look("a menu", root, shows="Copy prompt")
    page.keyboard.press("Escape")

    root.locator(f"{CARD}[data-status=completed] [data-testid=thumb]").first.click()
    expect(page.get_by_test_id("lightbox").locator("img").first).to_be_visible()
    checks.look("lightbox", root, shows="Seed")
    page.keyboard.press("Escape")

    root.locator(CARD).first.focus()
    page.keyboard.press("?")
    expect(page.get_by_test_id("shortcuts-dialog")).to_be_visible()
    checks.look("shortcuts", root, shows="Favourite")
    page.keyboard.press("Escape")

    topic.get_by_role("button").first.focus()
    page.keyboard.press("Delete")
    expect(page.get_by_test_id("confirm")).to_be_visible()
    checks.look("the question before a topic is deleted", root, shows="Delete")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("confirm")).to_have_count(0)

    root.locator(f"{CARD}[data-status=failed]").first.focus()
    page.keyboard.press("Delete")
    expect(page.get_by_test_id("undo")).to_be_visible()
    page.get_by_test_id("undo").hover()  # so it stays
    checks.look("an undo", root, shows="Undo")
    page.get_by_test_id("undo").click()
    expect(root.locator(CARD)).to_have_count(9)


def look_at_parts(checks: Checks, notebook: OpenNotebook) -> None:
    for index, (code, shows) in enumerate(PARTS.items(), start=3):
        notebook.run(index)
        part = notebook.cell(index).locator(".wbx")
        part.scroll_into_view_if_needed()
        expect(part).to_contain_text(shows)
        checks.look(code, part, shows=shows)


def look_while_offline(checks: Checks, notebook: OpenNotebook, root: Locator) -> None:
    """The kernel says nothing any more."""
    pid = int(notebook.text(notebook.insert_and_run("import os; print(os.getpid())")))
    os.kill(pid, signal.SIGSTOP)
    try:
        root.scroll_into_view_if_needed()
        light = root.get_by_test_id("live")
        expect(light).to_have_attribute("data-state", "offline")
        checks.look("offline", root, shows="connection")
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.req("ACC-1")
def test_names_and_states_are_told_in_words(make_lab: MakeLab) -> None:
    """What a screen reader says, and what is not told by colour alone."""
    notebook, root = opened(make_lab(viewport=WIDE, reduced_motion="reduce"))
    show_foxes(root)
    for status, words in {
        "completed": "Generation complete",
        "failed": "Generation failed",
        "cancelled": "Generation cancelled",
    }.items():
        card = root.locator(f"{CARD}[data-status={status}]").first
        label = card.get_attribute("aria-label") or ""
        assert words in label, label
        badge = card.locator(".wbx-badge")
        expect(badge.locator("svg")).to_have_count(1)
        assert words in (badge.text_content() or "")
    expect(root.get_by_role("feed")).to_have_count(1)
    expect(root.get_by_role("article").first).to_have_attribute("aria-posinset", "1")
    assert root.locator(f"{CARD}[tabindex='0']").count() == 1, "one stop of the Tab key"
    notebook.run(2)
    bar = root.get_by_role("progressbar").first
    expect(bar).to_have_attribute("aria-label", "Progress of image 1")
    assert (bar.get_attribute("aria-valuetext") or "").endswith("percent") or "step" in (
        bar.get_attribute("aria-valuetext") or ""
    )
    # The targets are large enough to be hit (WCAG 2.5.8), also on a small screen.
    set_width(root, 420)
    expect(root.get_by_test_id("open-topics")).to_be_visible()
    drawn(notebook.page)
    small = root.evaluate(
        """root => [...root.querySelectorAll("button, input, select, [role=slider]")]
          .filter(one => one.checkVisibility({visibilityProperty: true}))
          .filter(one => !one.closest("[inert]"))
          .map(one => [one, one.getBoundingClientRect()])
          .filter(([, box]) => box.width > 0 && (box.width < 24 || box.height < 24))
          .map(([one, box]) =>
            `${one.className} ${one.ariaLabel} ${box.width.toFixed(1)}x${box.height.toFixed(1)}`)"""
    )
    assert small == []
