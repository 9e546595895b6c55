"""Whatever people, providers and file names write is text, wherever it is shown; it never runs."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import MakeLab
from tests.browser.lab_world import LabPage, OpenNotebook, drawn, eventually

pytestmark = pytest.mark.faults  # an attack

WIDE = {"width": 1800, "height": 1000}
# Each sets `window.owned` if it ever runs.
TEXTS = {
    "img": "<img src=x onerror=\"window.owned='img'\">",
    "script": "</script><script>window.owned='script'</script>",
    "svg": "<svg onload=\"window.owned='svg'\"><a href=\"javascript:window.owned='a'\">x</a></svg>",
    "style": "</style><style>body{display:none!important}</style>",
    "template": "{{7*7}} ${window.owned='template'} #{7*7} {count} {name}",
    "link": "javascript:window.owned='link'//",
    "markdown": "[click](javascript:window.owned='md') ![x](http://127.0.0.1:9/x.png)",
    "command": '<button data-commandlinker-command="notebook:delete-cell">x</button>',
    "override": "safe \u202egnp.exe\u202c \u2066isolated\u2069 \u200bzero\ufeffwidth",
    "zalgo": "f" + "\u0335\u0489\u0360" * 60 + "ox",
    "ansi": "\x1b[31mred\x1b[0m \x1b]8;;http://127.0.0.1/\x07link\x1b]8;;\x07",
    "long": "W" * 290,
    "entity": "&lt;b&gt; &#60;i&#62; &amp;amp; \"' `",
    "arabic": "ثعلب أحمر في الثلج " * 8,
}
WORLD = f"""
from dataclasses import replace
import workbench as wb
from workbench.domain.parameters import Parameter, ParameterKind
from workbench.errors import ErrorKind, ProviderError
from workbench.testing.providers import FakeProvider
TEXTS = {TEXTS!r}
LINES = "\\n" * 9_000 + "the end"
class Evil(FakeProvider):
    def __init__(self):
        super().__init__("evil", concurrency=16, script=lambda request: [
            ProviderError(ErrorKind.BAD_REQUEST, request.prompt[:300])])
        self.title = self.help = TEXTS["img"]
        model, = super().models()
        texts = dict(label=TEXTS["script"], help=TEXTS["svg"], group=TEXTS["style"])
        choices, unit = tuple(TEXTS.values()), TEXTS["img"]
        kinds = {{
            "one": Parameter(ParameterKind.CHOICE, TEXTS["img"], choices=choices, **texts),
            "two": Parameter(ParameterKind.TEXT, TEXTS["template"], **texts),
            "three": Parameter(ParameterKind.INTEGER, 3, minimum=1, maximum=9, unit=unit, **texts),
        }}
        self._model = replace(model, title=TEXTS["img"], help=TEXTS["script"],
                              parameters={{**model.parameters, **kinds}})
ws = wb.open()
ws.add_provider(Evil())
many = ws.create_topic("Many")
size = dict(width=64, height=64)
made = []
for name, text in TEXTS.items():
    ws.create_topic(text, project=ws.create_project(text))
    made.append(ws.generate(text, n=1, topic=many, params=dict(steps=1), **size))
    ws.generate(text, n=1, topic=many, model="evil:picture", **size)
for text in (LINES, "W" * 9_999):
    ws.generate(text, n=1, topic=many, params=dict(steps=1), **size)
ws.wait(60)
for text, batch in zip(TEXTS.values(), made):
    batch.generations[0].tags = ["".join(c for c in text if c >= " ")[:60]]
    batch.generations[0].note = text
bench = wb.Workbench(ws, height=800)
bench.topic = many
"""
REPRS = """
from IPython.display import display
for one in (*ws.topics(), *made, *(batch.generations[0] for batch in made)):
    display(one)
"""
CELLS = [WORLD, "bench", REPRS]
CARD = "[data-testid=generation]"
FOREIGN = """
root => {
  const known = new Set(["http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"]);
  const bad = [];
  for (const element of root.querySelectorAll("*")) {
    if (element.matches("script, iframe, object, embed, style, link, [onerror], [onload]"))
      bad.push(element.outerHTML.slice(0, 120));
    for (const {name, value} of element.attributes) {
      if (name.startsWith("on") || name.startsWith("data-commandlinker")) bad.push(name);
      if (["href", "src", "action"].includes(name) && !/^(blob:|data:image\\/|#)/.test(value))
        bad.push(`${name}=${value.slice(0, 80)}`);
    }
  }
  return bad;
}
"""


def check_inert(notebook: OpenNotebook, root: Locator, place: str) -> None:
    page = notebook.page
    assert page.evaluate("() => window.owned ?? null") is None, place
    assert root.evaluate(FOREIGN) == [], place
    wide = root.evaluate(
        """root => [root, ...root.querySelectorAll("*")]
          .filter(one => one.checkVisibility())
          .filter(one => ["auto", "scroll"].includes(getComputedStyle(one).overflowX))
          .filter(one => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0)
          .map(one => `${one.className || one.tagName} ${one.scrollWidth} > ${one.clientWidth}`)"""
    )
    assert wide == [], f"{place}: scrolls sideways"
    beyond = root.evaluate(
        """root => {
          const frame = root.querySelector(".wbx-frame").getBoundingClientRect();
          return [...root.querySelectorAll(".wbx-card, .wbx-batch-head, .wbx-topic, .wbx-title,"
              + ".wbx-header-tools, .wbx-ask")]
            .filter(one => one.checkVisibility() && !one.closest("[inert]"))
            .map(one => [one.className, one.getBoundingClientRect()])
            .filter(([, box]) => box.width > 0
              && (box.right > frame.right + 1 || box.left < frame.left - 1))
            .map(([name, box]) => `${name} ${box.left} ${box.right}`);
        }"""
    )
    assert beyond == [], f"{place}: stands out"


def opened(lab: LabPage) -> tuple[OpenNotebook, Locator]:
    lab.page.add_init_script("window.alert = () => { window.owned = 'alert'; }")
    notebook = lab.write_and_open(CELLS)
    notebook.run(0)
    notebook.run(1)
    root = notebook.widget()
    expect(root.get_by_test_id("live")).to_have_attribute("data-state", "live")
    expect(root.locator(CARD).first).to_be_visible()
    return notebook, root


def scroll_through(root: Locator) -> dict[str, str]:
    """Scroll the feed to its end; the prompts that were seen, by batch."""
    seen: dict[str, str] = {}
    feed = root.get_by_test_id("feed")
    end = root.get_by_text("That is everything")

    def at_end() -> bool:
        seen.update(
            root.evaluate(
                "root => Object.fromEntries([...root.querySelectorAll('.wbx-batch')].map(one => "
                "[one.dataset.batch, one.querySelector('.wbx-prompt p')?.textContent ?? '']))"
            )
        )
        moved = feed.evaluate(
            "feed => { const before = feed.scrollTop; feed.scrollTop += feed.clientHeight * 0.6;"
            " return feed.scrollTop !== before; }"
        )
        drawn(root.page)
        return not moved and end.is_visible()

    eventually(at_end, bool, within_s=120)
    return seen


@pytest.mark.req("PRM-2", "TOP-1", "LAY-10")
@pytest.mark.timeout(600)
def test_it_is_text_wherever_it_is_shown(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE, reduced_motion="reduce", fresh=True)
    asked: list[str] = []
    lab.page.on("request", lambda request: asked.append(request.url))
    notebook, root = opened(lab)
    check_that_it_can_find(notebook, root)
    check_inert(notebook, root, "at first")
    prompts = [comparable(prompt) for prompt in scroll_through(root).values()]
    check_inert(notebook, root, "the feed")
    for name, text in TEXTS.items():
        assert any(comparable(text) in prompt for prompt in prompts), f"{name} is not shown as text"
    look_at_topics(notebook, root)
    look_at_errors_and_settings(notebook, root)
    look_at_lightbox(notebook, root)
    for width in (420, 320):
        set_width(root, width)
        assert root.evaluate("root => root.offsetWidth") <= width
        expect(root.locator(".wbx-workbench")).to_have_attribute("data-layout", "narrow")
        drawn(lab.page)
        check_inert(notebook, root, f"{width} px wide")
    look_at_outputs(notebook)
    assert not [url for url in asked if ":9/" in url], "a text was loaded as an address"


def check_that_it_can_find(notebook: OpenNotebook, root: Locator) -> None:
    """The checks see what they are made for."""
    root.evaluate(
        "root => root.insertAdjacentHTML('beforeend', '<p id=bad onclick=x data-commandlinker-a=b>"
        '<a href="javascript:1">x</a></p>\')'
    )
    assert len(root.evaluate(FOREIGN)) == 3
    root.evaluate("root => root.querySelector('#bad').remove()")


def look_at_topics(notebook: OpenNotebook, root: Locator) -> None:
    """The titles of topics and projects: sidebar, header, menus, names, question, toast."""
    page = notebook.page
    shown = comparable(root.locator(".wbx-topics").text_content() or "")
    for name, text in TEXTS.items():
        assert comparable(text)[:80] in shown, f"{name} in the sidebar"
    for name in ("img", "script", "override", "zalgo", "long"):
        topic = root.get_by_test_id("topic").filter(has_text=TEXTS[name][:40]).first
        topic.scroll_into_view_if_needed()
        topic.get_by_role("button").first.click()
        expect(root.get_by_test_id("topic-title")).to_have_text(TEXTS[name])
        topic.hover()
        drawn(page)  # a menu closes when the page moves under it
        topic.get_by_test_id("topic-menu").click()
        menu = page.locator(".wbx-drop")
        assert TEXTS[name] in (menu.get_attribute("aria-label") or "")
        menu.get_by_text("Move to project").click()  # where all project titles stand
        expect(menu).to_contain_text(TEXTS["command"])
        check_inert(notebook, root, f"the menus of {name}")
        page.keyboard.press("Escape")
        topic.get_by_role("button").first.focus()
        page.keyboard.press("Delete")
        expect(page.get_by_test_id("confirm")).to_contain_text(TEXTS[name])
        check_inert(notebook, root, f"the question about {name}")
        page.keyboard.press("Escape")
    page.keyboard.press("Delete")
    page.get_by_test_id("confirm-action").click()
    expect(page.get_by_test_id("toast")).to_be_visible()
    title = root.get_by_test_id("topic-title")
    expect(title).not_to_have_text(TEXTS["long"])
    check_inert(notebook, root, "a toast")
    page.get_by_test_id("undo").click()
    expect(title).to_have_text(TEXTS["long"])


def look_at_errors_and_settings(notebook: OpenNotebook, root: Locator) -> None:
    """Errors of a provider with their tooltips, and what its model and parameters are called."""
    notebook.insert_and_run("bench.config.model = 'evil:picture'")
    many = root.get_by_test_id("topic").filter(has_text="Many")
    many.get_by_role("button").first.click()
    expect(root.get_by_test_id("topic-title")).to_have_text("Many")
    expect(root.locator(CARD).first).to_be_visible()
    root.get_by_test_id("feed").evaluate("feed => { feed.scrollTop = 0; }")
    error = root.locator(".wbx-card-error").first
    error.scroll_into_view_if_needed()
    drawn(notebook.page)  # scrolling hides a tooltip
    notebook.page.mouse.move(0, 0)
    error.hover()
    expect(notebook.page.locator(".wbx-tip:popover-open")).to_be_visible()
    check_inert(notebook, root, "an error and its tooltip")
    config = root.get_by_test_id("config")
    for text in (TEXTS["img"], TEXTS["script"]):
        expect(config).to_contain_text(text)
    check_inert(notebook, root, "the settings")


def look_at_lightbox(notebook: OpenNotebook, root: Locator) -> None:
    """Prompts, notes and tags beside the pictures."""
    page = notebook.page
    root.locator(f"{CARD}[data-status=completed] [data-testid=thumb]").first.click()
    box = page.get_by_test_id("lightbox")
    expect(box).to_be_visible()
    for step in range(len(TEXTS)):
        shown = str(box.get_attribute("data-id"))
        page.keyboard.press("ArrowRight")
        expect(box).not_to_have_attribute("data-id", shown)
        expect(box.locator(".wbx-side")).to_contain_text("Seed")
        check_inert(notebook, root, f"the lightbox, picture {step}")
        side = box.locator(".wbx-side")
        assert side.evaluate("side => side.scrollWidth - side.clientWidth") <= 1
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)


def look_at_outputs(notebook: OpenNotebook) -> None:
    """What the objects show of themselves, and what a saved notebook keeps of the widget."""
    page = notebook.page
    notebook.run(2)
    outputs = notebook.cell(2).locator(".jp-OutputArea")
    outputs.scroll_into_view_if_needed()
    expect(outputs).to_contain_text(TEXTS["command"])
    drawn(page)
    assert page.evaluate("() => window.owned ?? null") is None

    def html() -> str:
        return "\n".join(
            "".join(output.data["text/html"])
            for cell in notebook.saved().cells
            for output in cell.get("outputs", [])
            if "text/html" in output.get("data", {})
        )

    # The sheet has its pictures some seconds after the live view.
    sheet = eventually(html, lambda html: "<img" in html and "wbx-sheet" in html, within_s=90)
    bad, text = page.evaluate(
        """html => {
          const page = new DOMParser().parseFromString(html, "text/html");
          const bad = [];
          for (const one of page.querySelectorAll("*")) {
            if (one.matches("script, iframe, svg, button, a[href]"))
              bad.push(one.outerHTML.slice(0, 200));
            for (const {name, value} of one.attributes)
              if (name.startsWith("on") || /commandlinker/.test(name)
                  || (["src", "href"].includes(name) && !value.startsWith("data:image/")))
                bad.push(`${name}=${value}`);
          }
          return [bad, page.body.textContent];
        }""",
        sheet,
    )
    assert bad == []
    for name in ("arabic", "img", "script", "command"):
        assert comparable(TEXTS[name])[:40] in comparable(text), f"{name} is not in the outputs"
    assert "\x1b" not in sheet
    # Seen by JupyterLab without its kernel: still nothing runs.
    notebook.lab.server.end_kernels()
    page.reload()
    expect(page.locator(".jp-OutputArea-output img").first).to_be_attached(timeout=60_000)
    drawn(page)
    assert page.evaluate("() => window.owned ?? null") is None


def comparable(text: str) -> str:
    """Without what browsers fold and titles leave out: spaces and controls."""
    return "".join(letter for letter in text if letter > " ")


def set_width(root: Locator, width: int) -> Any:
    return root.evaluate(
        "(root, width) => { const output = root.closest('.jp-OutputArea-output');"
        " output.style.width = output.style.maxWidth = `${width}px`; }",
        width,
    )
