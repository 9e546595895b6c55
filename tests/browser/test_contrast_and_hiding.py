"""What people see who set other colours, and that what nobody sees takes no room and no work."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.bench_page import Bench
from tests.browser.conftest import MakeLab
from tests.browser.lab_world import LabPage, drawn, eventually
from tests.browser.test_accessibility import (
    CARD,
    WIDE,
    Checks,
    opened,
    set_width,
    show_foxes,
)
from tests.browser.test_look import MOVING

HIGH_CONTRAST = "JupyterLab Dark High Contrast"
# Fields whose edge cannot be told from what they stand on: WCAG 1.4.11 asks for 3:1. (The number
# beside a slider has none: the slider is its field.)
EDGES = """root => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = colour => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(value => value / 255)
      .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ratio = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const ground = element => {
    if (element === null) return rgba(getComputedStyle(document.body).backgroundColor);
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] > 250 ? own : ground(element.parentElement);
  };
  return [...root.querySelectorAll("textarea, input:not([type=range], .wbx-number-bare), select")]
    .filter(one => one.checkVisibility({visibilityProperty: true, opacityProperty: true}))
    .filter(one => !one.closest("[inert], .wbx-hidden") && !one.disabled && one.offsetWidth > 24)
    .map(one => {
      // The border is that of the field, or of the frame that is drawn around it.
      const most = one.offsetHeight + 130;
      for (let box = one; box !== root && box.offsetHeight < most; box = box.parentElement) {
        const style = getComputedStyle(box);
        if (parseFloat(style.borderTopWidth) + parseFloat(style.borderBottomWidth) === 0) continue;
        return [one.className, ratio(rgba(style.borderBottomColor), ground(box.parentElement))];
      }
      return [one.className, 0];
    })
    .filter(([, found]) => found < 3);
}"""
# What a choice may change, in colours of the system, too.
LOOK = """element => {
  const style = getComputedStyle(element);
  const names = ["outlineStyle", "outlineWidth", "outlineColor", "borderColor", "backgroundColor"];
  return [...names.map(name => style[name]), element.querySelector(".wbx-card-picked") !== null];
}"""
# Frames that the front end asks for: its modules come from blobs, those of the host do not.
COUNT_FRAMES = """(() => {
  const real = globalThis.requestAnimationFrame.bind(globalThis);
  globalThis.framesAsked = 0;
  globalThis.hostFrame = real;
  globalThis.requestAnimationFrame = callback => {
    if (new Error().stack.includes("blob:")) globalThis.framesAsked += 1;
    return real(callback);
  };
})()"""
ASKED_IN_60_FRAMES = """async () => {
  const before = framesAsked;
  for (let frame = 0; frame < 60; frame++) await new Promise(hostFrame);
  return framesAsked - before;
}"""


@pytest.mark.faults  # long
@pytest.mark.timeout(400)
@pytest.mark.req("ACC-1", "LAY-4")
def test_it_can_be_read_in_high_contrast_and_in_colours_of_the_system(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE, reduced_motion="reduce")
    checks = Checks(lab, "contrast")
    notebook, root = opened(lab)
    show_foxes(root)
    notebook.run(2)
    expect(root.locator(f"{CARD}[data-status=processing]").first).to_be_visible()
    expect(root.get_by_test_id("paused")).to_be_visible()

    lab.page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
        HIGH_CONTRAST,
    )
    expect(root).to_have_attribute("data-contrast", "more")
    expect(root).to_have_attribute("data-theme", "dark")
    look_around(checks, root, "high contrast")

    lab.set_theme("light")
    lab.page.emulate_media(forced_colors="active")
    assert lab.page.evaluate("() => matchMedia('(forced-colors: active)').matches")
    Bench(notebook).py("bench.selection = []")
    look_around(checks, root, "forced colours")
    checks.end(states=6)


def look_around(checks: Checks, root: Locator, name: str) -> None:
    page = checks.lab.page
    root.evaluate("root => root.scrollIntoView()")
    root.get_by_test_id("feed").evaluate("feed => { feed.scrollTop = 0; }")
    checks.look(f"{name}: feed", root, shows="an owl, still being painted")
    checks.found += [f"{name}: edge {edge}" for edge in root.evaluate(EDGES)]
    checks.lab.shoot(name.replace(" ", "-"))
    button = root.get_by_test_id("batch-menu").first
    button.hover()
    drawn(page)
    button.click()
    expect(page.locator(".wbx-drop")).to_be_visible()
    checks.look(f"{name}: menu", root, shows="Copy prompt")
    page.keyboard.press("Escape")
    # What is chosen can be told from the rest.
    topics = root.locator(".wbx-topic")
    open_topic = topics.and_(root.locator("[data-active]"))
    assert open_topic.evaluate(LOOK) != topics.last.evaluate(LOOK), f"{name}: the open topic"
    done = root.locator(f"{CARD}[data-status=completed]")
    # Far below the view they are not in the page.
    root.get_by_test_id("feed").evaluate("feed => { feed.scrollTop = 400; }")
    done.first.scroll_into_view_if_needed()
    done.first.click(modifiers=["Control"])
    expect(done.first).to_have_attribute("data-selected", "")
    assert done.first.evaluate(LOOK) != done.nth(1).evaluate(LOOK), f"{name}: a selected image"
    done.nth(1).get_by_test_id("thumb").click()
    expect(page.get_by_test_id("lightbox").locator("img").first).to_be_visible()
    checks.look(f"{name}: lightbox", root, shows="Seed")
    checks.lab.shoot(name.replace(" ", "-") + "-lightbox")
    page.keyboard.press("Escape")


@pytest.mark.req("LAY-2", "LAY-8")
def test_what_is_hidden_takes_no_room_and_does_not_move(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE, fresh=True)
    lab.page.add_init_script(COUNT_FRAMES)
    bench = Bench.start(lab)
    bench.notebook.insert_and_run("box = wb.PromptBox(bench, hide_below=500)\nbox")
    part = bench.notebook.widget("PromptBox")
    prompt = part.get_by_test_id("prompt")
    prompt.fill("half a sentence")
    edges = part.evaluate(
        "root => root.closest('.jp-OutputArea-output').clientWidth - root.clientWidth"
    )
    for width, seen in ((500, 1), (499, 0), (320, 0), (500, 1)):
        set_width(part, width + edges)
        expect(prompt).to_have_count(seen)
        assert part.evaluate("root => root.clientWidth") == width
        assert (part.evaluate("root => root.offsetHeight") > 1) == bool(seen)
    expect(prompt).to_have_value("half a sentence")
    bench.notebook.insert_and_run("box.hide_below = 600")
    expect(prompt).to_have_count(0)

    bench.root.scroll_into_view_if_needed()
    bench.py("ws.generate('an owl', n=2, width=128, height=128, params={'delay_ms': 60000})")
    expect(bench.cards("processing").first).to_be_visible()
    assert bench.root.evaluate(MOVING) != []
    panel = lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.id")
    for hide, show in HIDING.values():
        lab.page.evaluate(hide)
        expect(bench.root).not_to_be_visible()
        expect_rest(lab)
        lab.page.evaluate(show, panel)
        expect(bench.root).to_be_visible()
        eventually(lambda: bench.root.evaluate(MOVING), bool)


HIDING = {
    "another tab": (
        "() => window.jupyterapp.commands.execute('launcher:create')",
        "id => window.jupyterapp.shell.activateById(id)",
    ),
    "outputs folded": (
        "() => window.jupyterapp.commands.execute('notebook:hide-all-cell-outputs')",
        "() => window.jupyterapp.commands.execute('notebook:show-all-cell-outputs')",
    ),
}


def expect_rest(lab: LabPage) -> None:
    still = "() => [...document.querySelectorAll('.wbx')].flatMap(root => (" + MOVING + ")(root))"
    eventually(lambda: lab.page.evaluate(still), lambda moving: moving == [])
    # What the kernel tells just then (the second picture has begun, too) asks for one frame, once;
    # what moves asks for one in each of the 60.
    eventually(lambda: lab.page.evaluate(ASKED_IN_60_FRAMES), lambda asked: asked == 0)
