"""The keyboard in JupyterLab: the widget's keys are its own, the notebook's stay the notebook's.

JupyterLab takes single letters as commands wherever the focus is: `b` adds a cell, `d d` deletes
one, `m` turns the cell with the widget into text. None of that may happen from within.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.lab_world import LabPage, OpenNotebook, drawn, eventually

if TYPE_CHECKING:
    from playwright.sync_api import Locator

WIDE = {"width": 1800, "height": 1000}  # room for all three panels beside Lab's own
WORLD = """
import workbench as wb
ws = wb.open()
foxes = ws.create_topic("Foxes")
ws.create_topic("Owls")
for prompt in ("a red fox", "a fox in the snow"):
    ws.generate(prompt, n=3, topic=foxes, width=64, height=64).wait()
bench = wb.Workbench(ws, height=600)
bench.topic = foxes
bench.config.update(width=64, height=64)
"""
CELLS = [WORLD, "bench", "print('the cell below')"]
CARD = "[data-testid=generation]"
COMPLETED = f"{CARD}[data-status=completed]"
# What commands of the notebook would change.
NOTEBOOK = """
  const {content} = panel;
  return [content.activeCellIndex, content.widgets.filter(cell => content.isSelected(cell)).length,
          ...content.widgets.map(cell => [cell.model.type, cell.model.sharedModel.source,
                                          cell.model.executionCount ?? null])];
"""
ONLY_COMMANDS = (
    "b", "m", "ArrowDown", "ArrowUp", "d", "d", "a", "x", "c", "v", "z", "y", "r", "0", "0", "1",
    "Shift+Enter", "Shift+M", "Enter", "Escape", "Control+z", "Control+Shift+Z", "Control+y",
    "Control+a", "Alt+Enter",
)  # fmt: skip


def opened(lab: LabPage, width: int | None = None) -> tuple[OpenNotebook, Locator]:
    notebook = lab.write_and_open(CELLS)
    notebook.run_all()
    root = notebook.widget()
    expect(root.get_by_test_id("live")).to_have_attribute("data-state", "live")
    expect(root.locator(COMPLETED)).to_have_count(6)
    if width is not None:
        set_width(root, width)
    # The cell of the widget is the selected one, as after a click into it.
    notebook._in_panel("panel.content.activeCellIndex = 1; panel.content.mode = 'command'")
    return notebook, root


def set_width(root: Locator, width: int) -> None:
    root.evaluate(
        "(root, width) => { const output = root.closest('.jp-OutputArea-output');"
        " output.style.width = output.style.maxWidth = `${width}px`; }",
        width,
    )


def state_of(notebook: OpenNotebook) -> Any:
    return notebook._in_panel(NOTEBOOK)


def focused(page: Any) -> dict[str, str | None]:
    """What has the focus: its hooks and its name."""
    return dict(
        page.evaluate(
            "() => { const e = document.activeElement; return {"
            "testid: e.dataset.testid ?? null, id: e.dataset.id ?? null, tag: e.tagName,"
            "name: e.getAttribute('aria-label') ?? e.textContent.slice(0, 40),"
            "inside: e.closest('.wbx') === null ? null : 'yes'}; }"
        )
    )


def focus_in_view(element: Locator) -> None:
    """Scrolled to before: a menu closes when the page moves under it."""
    element.scroll_into_view_if_needed()
    element.focus()
    element.page.wait_for_timeout(150)
    drawn(element.page)  # however late it heard of that


def check_keys(notebook: OpenNotebook, place: str, focus: Callable[[], None]) -> None:
    before = state_of(notebook)
    for key in ONLY_COMMANDS:
        focus()
        assert focused(notebook.page)["inside"], f"{place}: the focus is not in the widget"
        notebook.page.keyboard.press(key)
        assert state_of(notebook) == before, f"{key} with the focus on {place}"


@pytest.mark.faults  # long
@pytest.mark.timeout(400)
@pytest.mark.req("LAY-9", "ACC-1")
def test_no_key_pressed_in_the_widget_is_a_command_of_the_notebook(make_lab: Any) -> None:
    lab = make_lab(viewport=WIDE)
    notebook, root = opened(lab)
    places = {
        "the prompt": root.get_by_test_id("prompt"),
        "Generate": root.get_by_test_id("generate"),
        "a card": root.locator(CARD).first,
        "a button of a card": root.locator(CARD).first.get_by_test_id("download"),
        "a topic": root.get_by_test_id("topic").first.get_by_role("button").first,
        "the seed": root.get_by_test_id("seed"),
        "the model": root.get_by_test_id("model-select"),
        "a splitter": root.get_by_role("separator").first,
        "refresh": root.get_by_test_id("refresh"),
    }
    lab.page.on("download", lambda download: download.cancel())
    for name, place in places.items():

        def focus(place: Locator = place) -> None:
            close_overlays(notebook)
            if place.count() == 0:  # Enter on a splitter folds its panel
                root.get_by_test_id("expand-config").click()
            place.focus()

        check_keys(notebook, name, focus)
    close_overlays(notebook)

    def in_menu() -> None:
        drawn(lab.page)  # what was chosen closes it
        if not lab.page.locator(".wbx-drop").is_visible():
            close_overlays(notebook)
            focus_in_view(root.get_by_test_id("batch-menu").first)
            lab.page.keyboard.press("Enter")
        # Nothing of it is wanted here: what Enter would choose is harmless.
        lab.page.locator(".wbx-drop [data-testid=copy-prompt]").focus()

    check_keys(notebook, "a menu", in_menu)

    def in_lightbox() -> None:
        if not lab.page.get_by_test_id("lightbox").is_visible():
            close_overlays(notebook)
            root.locator(COMPLETED).first.focus()
            lab.page.keyboard.press("Enter")
            lab.page.get_by_test_id("lightbox").wait_for()
        else:
            lab.page.get_by_test_id("lightbox").get_by_test_id("favourite").focus()

    check_keys(notebook, "the lightbox", in_lightbox)
    close_overlays(notebook)
    expect(root).to_be_visible()


def close_overlays(notebook: OpenNotebook) -> None:
    for _ in range(30):  # a page that is slow may show for a moment what is closed
        if not notebook.page.evaluate(
            "() => document.querySelector('.wbx dialog[open], .wbx-drop:popover-open') !== null"
        ):
            return
        notebook.page.keyboard.press("Escape")
        notebook.page.wait_for_timeout(60)
    raise AssertionError("Escape does not close it")


@pytest.mark.req("LAY-9", "LAY-2")
def test_keys_in_a_drawer_stay_there_and_escape_closes_it(make_lab: Any) -> None:
    lab = make_lab(viewport=WIDE)
    notebook, root = opened(lab, width=420)
    button = root.get_by_test_id("open-topics")
    button.focus()
    lab.page.keyboard.press("Enter")
    drawer = root.locator(".wbx-drawer[data-out]")
    expect(drawer).to_be_visible()

    def in_drawer() -> None:
        drawn(lab.page)  # the key before may have closed it just now
        if drawer.count() == 0:
            button.focus()
            lab.page.keyboard.press("Enter")
        drawer.get_by_test_id("collapse-topics").focus()

    check_keys(notebook, "a drawer", in_drawer)
    in_drawer()
    lab.page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    eventually(lambda: focused(lab.page)["testid"], lambda testid: testid == "open-topics")

    # Somebody takes the focus away right after it came out, without giving it to anything.
    lab.page.keyboard.press("Enter")
    expect(drawer).to_be_visible()
    lab.page.evaluate("document.activeElement.blur()")
    lab.page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)


@pytest.mark.req("LAY-9")
def test_what_is_typed_is_typed_and_undone_in_its_field(make_lab: Any) -> None:
    """JupyterLab's undo would take back the last thing done to the notebook's cells."""
    lab = make_lab(viewport=WIDE)
    notebook, root = opened(lab)
    notebook._in_panel("await app.commands.execute('notebook:insert-cell-below')")
    notebook._in_panel("panel.content.activeCellIndex = 1")
    before = state_of(notebook)
    prompt = root.get_by_test_id("prompt")
    prompt.focus()
    lab.page.keyboard.type("ddaxbm 1?0")
    expect(prompt).to_have_value("ddaxbm 1?0")
    assert state_of(notebook) == before
    for _ in range(10):
        lab.page.keyboard.press("Control+z")
    expect(prompt).to_have_value("")
    lab.page.keyboard.press("Control+Shift+Z")
    expect(prompt).not_to_have_value("")
    assert state_of(notebook) == before


@pytest.mark.req("LAY-9")
@pytest.mark.parametrize("place", ["prompt", "card"])
def test_the_notebook_is_saved_by_its_key_from_inside(make_lab: Any, place: str) -> None:
    lab = make_lab(viewport=WIDE)
    notebook, root = opened(lab)
    notebook.save()
    notebook._in_panel("panel.context.model.sharedModel.setMetadata('touched', true)")
    is_dirty = "return panel.context.model.dirty"
    eventually(lambda: notebook._in_panel(is_dirty), bool)
    (root.get_by_test_id("prompt") if place == "prompt" else root.locator(CARD).first).focus()
    lab.page.keyboard.press("Control+s")
    eventually(lambda: notebook._in_panel(is_dirty), lambda dirty: not dirty)


def press_until(page: Any, key: str, reached: Callable[[dict[str, str | None]], bool]) -> None:
    for _ in range(60):
        if reached(focused(page)):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead there: {focused(page)}")


@pytest.mark.req("ACC-1", "PRM-1", "LBX-1", "LBX-2", "FEED-6")
def test_the_whole_job_is_done_by_keyboard(make_lab: Any) -> None:
    lab = make_lab(viewport=WIDE)
    notebook, root = opened(lab)
    keyboard = lab.page.keyboard
    root.get_by_test_id("prompt").focus()
    keyboard.type("an owl at night")
    keyboard.press("Control+Enter")
    expect(root.locator(COMPLETED)).to_have_count(10, timeout=60_000)
    assert focused(lab.page)["testid"] == "prompt", "arrivals take the focus away"

    press_until(lab.page, "Tab", lambda now: now["testid"] == "generation")
    first = focused(lab.page)["id"]
    newest = root.locator(COMPLETED).first
    expect(newest).to_have_attribute("data-id", str(first))
    keyboard.press("ArrowRight")
    second = str(focused(lab.page)["id"])
    assert second != first
    keyboard.press("Enter")
    box = lab.page.get_by_test_id("lightbox")
    expect(box).to_have_attribute("data-id", second)
    keyboard.press("4")
    chosen = box.locator("[data-testid=rating] [aria-pressed=true]")
    expect(chosen).to_have_attribute("aria-label", "4 stars")
    keyboard.press("ArrowRight")
    expect(box).not_to_have_attribute("data-id", second)
    keyboard.press("ArrowLeft")
    expect(box).to_have_attribute("data-id", second)
    # The focus cannot leave it.
    for _ in range(25):
        keyboard.press("Tab")
        assert lab.page.evaluate(
            "() => document.activeElement === document.body"
            " || document.activeElement.closest('[data-testid=lightbox]') !== null"
        )
    keyboard.press("Escape")
    expect(box).to_have_count(0)
    eventually(lambda: focused(lab.page)["id"], lambda id: id == second)

    keyboard.press("Delete")
    expect(root.locator(f"[data-id='{second}']")).to_have_count(0)
    # The focus is not lost with the picture.
    eventually(lambda: focused(lab.page)["testid"], lambda testid: testid == "generation")
    expect(root.get_by_test_id("undo")).to_be_visible()
    keyboard.press("Control+z")
    expect(root.locator(f"[data-id='{second}']")).to_have_count(1)
    expect(root.get_by_test_id("undo")).to_have_count(0, timeout=5_000)  # it would go by itself
    rated = notebook.insert_and_run(f"print(ws.generation({second!r}).rating)")
    assert notebook.text(rated).strip() == "4"


@pytest.mark.req("LAY-9", "LBX-1")
def test_the_lightbox_and_the_menus_open_over_the_whole_page(lab: LabPage) -> None:
    _notebook, root = opened(lab)
    root.evaluate("root => root.closest('.jp-OutputArea-output').scrollIntoView({block: 'end'})")
    root.locator(COMPLETED).first.click(position={"x": 40, "y": 60})
    box = lab.page.get_by_test_id("lightbox")
    expect(box).to_be_visible()
    uncovered = lab.page.evaluate(
        """() => {
          const places = [];
          for (const x of [2, innerWidth / 2, innerWidth - 2])
            for (const y of [2, innerHeight / 2, innerHeight - 2])
              if (!document.elementFromPoint(x, y)?.closest("[data-testid=lightbox]"))
                places.push([x, y]);
          return places;
        }"""
    )
    assert uncovered == []
    lab.shoot("keyboard-lightbox")
    lab.page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    # The last card that is in view: its menu is longer than what is left of the output.
    lab.page.set_viewport_size({"width": 1100, "height": 620})
    lab.page.wait_for_timeout(300)
    drawn(lab.page)  # it has its new size then, however slow the page is
    for testid in ("image-menu", "batch-menu", "header-more", "topic-menu"):
        if testid == "header-more":
            set_width(root, 420)
            expect(root.locator(".wbx-workbench")).to_have_attribute("data-layout", "narrow")
        button = root.get_by_test_id(testid).last
        if not button.is_visible():
            continue
        focus_in_view(button)
        lab.page.keyboard.press("ArrowDown")
        menu = lab.page.locator(".wbx-drop")
        expect(menu).to_be_visible()
        covered = menu.evaluate(
            """menu => {
              const box = menu.getBoundingClientRect();
              const corners = [[box.left + 4, box.top + 4], [box.right - 4, box.top + 4],
                               [box.left + 4, box.bottom - 4], [box.right - 4, box.bottom - 4]];
              return corners.filter(at => !menu.contains(document.elementFromPoint(...at)));
            }"""
        )
        assert covered == [], testid
        lab.page.keyboard.press("Escape")
        expect(menu).to_have_count(0)
        assert focused(lab.page)["testid"] == testid, "the focus does not come back"


@pytest.mark.req("ACC-1")
def test_the_shortcuts_are_told_on_a_question_mark(lab: LabPage) -> None:
    _, root = opened(lab)
    card = root.locator(CARD).first
    card.focus()
    lab.page.keyboard.press("?")
    help_ = lab.page.get_by_test_id("shortcuts-dialog")
    expect(help_).to_be_visible()
    expect(help_).to_contain_text("Favourite")
    lab.page.keyboard.press("Escape")
    expect(help_).to_have_count(0)
    expect(card).to_be_focused()
    root.get_by_test_id("prompt").focus()
    lab.page.keyboard.type("who?")
    expect(root.get_by_test_id("prompt")).to_have_value("who?")
    expect(help_).to_have_count(0)
