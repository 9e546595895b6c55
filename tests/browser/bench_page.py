"""A notebook with a `Workbench` in it, as its person sees it and as Python sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.browser.lab_world import LabPage, OpenNotebook, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

WIDE = {"width": 1700, "height": 1000}  # room for all three panels
IMPORT = "import json, time\nimport workbench as wb\nws = wb.open()"
SHOW = "bench = wb.Workbench(ws, height=660)\nbench"
SHOWN_AT = 1  # the cell of `SHOW`

# Runs code beside the cells: nothing is added to the notebook, and nothing scrolls.
_RUN = """async code => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  for (;;) {
    const said = [];
    const future = kernel.requestExecute({code, store_history: false, allow_stdin: false});
    future.onIOPub = message => {
      if (message.header.msg_type === "stream") said.push(message.content.text);
      if (message.header.msg_type === "error") said.push(message.content.traceback.join("\\n"));
    };
    const { status } = (await future.done).content;
    if (status === "ok") return said.join("");
    // A cell before it was interrupted: that takes with it what waits.
    if (status !== "aborted") throw new Error(said.join(""));
  }
}"""

# Keeps the life of every card: its statuses in order, and whether its node was ever another one.
_WATCH = """root => {
  const lives = {}, nodes = {}, together = [];
  const look = () => {
    const now = {};
    for (const card of root.querySelectorAll("[data-testid=generation]")) {
      const {id, status, progress} = card.dataset;
      now[id] = status;
      const life = lives[id] ??= {statuses: [], progress: [], nodes: 0};
      if (nodes[id] !== card) { nodes[id] = card; life.nodes += 1; }
      if (life.statuses.at(-1) !== status) life.statuses.push(status);
      if (life.progress.at(-1) !== Number(progress)) life.progress.push(Number(progress));
    }
    const text = JSON.stringify(now);
    if (together.at(-1) !== text) together.push(text);
  };
  look();
  new MutationObserver(look).observe(root, {subtree: true, childList: true, attributes: true});
  root.lives = () => ({lives, together: together.map(one => JSON.parse(one))});
}"""

_IDS = "cards => cards.map(card => card.dataset.id)"


@dataclass
class Bench:
    """The widget of one open notebook."""

    notebook: OpenNotebook
    widget: str = "Workbench"

    @classmethod
    def start(cls, lab: LabPage, *setup: str, show: str = SHOW, name: str = "") -> Bench:
        """Open a new notebook with the widget in it; `setup` is run before the widget is shown."""
        cells = ["\n".join([IMPORT, *setup]), show]
        notebook = lab.open(lab.write(name, cells)) if name else lab.write_and_open(cells)
        notebook.run_all()
        return cls(notebook).ready()

    @classmethod
    def in_notebook(cls, lab: LabPage, path: Path) -> Bench:
        """Open a notebook that is there, in another page; its kernel is the same."""
        return cls(lab.open(path)).ready()

    def ready(self) -> Bench:
        expect(self.root).to_be_visible(timeout=30_000)  # as all that waits for a page to load
        self.expect_live()
        return self

    @property
    def page(self) -> Page:
        return self.notebook.page

    @property
    def root(self) -> Locator:
        return self.notebook.widget(self.widget)

    def find(self, testid: str) -> Locator:
        return self.root.get_by_test_id(testid)

    def anywhere(self, testid: str) -> Locator:
        """Menus and dialogs lie over the page, and yet in the root."""
        return self.page.get_by_test_id(testid)

    def cards(self, status: str | None = None) -> Locator:
        which = "" if status is None else f"[data-status={status}]"
        return self.root.locator(f"[data-testid=generation]{which}")

    def card(self, id: str) -> Locator:
        return self.root.locator(f"[data-testid=generation][data-id='{id}']")

    def batch(self, id: str) -> Locator:
        return self.root.locator(f".wbx-batch[data-batch='{id}']")

    def in_batch(self, id: str, status: str) -> Locator:
        return self.batch(id).locator(f"[data-testid=generation][data-status={status}]")

    def topics(self) -> Locator:
        return self.find("topic")

    def topic(self, title: str) -> Locator:
        return self.topics().filter(has_text=title)

    def toast(self, text: str) -> Locator:
        return self.find("toast").filter(has_text=text)

    def ids(self) -> list[str]:
        """Of the cards, from top to bottom."""
        return list(self.cards().evaluate_all(_IDS))

    def statuses(self) -> list[str]:
        return list(self.cards().evaluate_all("cards => cards.map(card => card.dataset.status)"))

    # -- what a person does -----------------------------------------------------------------------

    def generate(self, prompt: str) -> None:
        self.find("prompt").fill(prompt)
        self.find("generate").click()

    def enter(self, testid: str, value: str) -> None:
        """Type into a field of the settings, and leave it."""
        field = self.find(testid)
        field.fill(value)
        field.press("Tab")

    def choose(self, opener: Locator, *testids: str) -> None:
        """Open a menu and go through it."""
        opener.scroll_into_view_if_needed()
        opener.hover()
        opener.click()
        for testid in testids:
            self.page.locator(f".wbx-drop [data-testid='{testid}']").click()

    def image_menu(self, id: str, *testids: str) -> None:
        self.card(id).hover()
        self.choose(self.card(id).get_by_test_id("image-menu"), *testids)

    def batch_menu(self, id: str, *testids: str) -> None:
        self.choose(self.batch(id).get_by_test_id("batch-menu"), *testids)

    def topic_menu(self, title: str, *testids: str) -> None:
        self.topic(title).hover()
        self.choose(self.topic(title).get_by_test_id("topic-menu"), *testids)

    # -- what is so -------------------------------------------------------------------------------

    def expect_live(self) -> None:
        expect(self.find("live")).to_have_attribute("data-state", "live", timeout=30_000)

    def expect_all_completed(self, count: int, *, within_s: float = 120) -> None:
        expect(self.cards("completed")).to_have_count(count, timeout=within_s * 1000)
        expect(self.cards()).to_have_count(count)

    def watch(self) -> None:
        """From now on, keep what becomes of every card; `lives` tells."""
        self.root.evaluate(_WATCH)

    def lives(self) -> dict[str, Any]:
        return dict(self.root.evaluate("root => root.lives()"))

    def mark(self, locator: Locator, name: str) -> None:
        """Write something on a node that no new node in its place would have."""
        locator.evaluate("(node, name) => { node.markOfTheTest = name; }", name)

    def expect_marked(self, locator: Locator, name: str) -> None:
        assert locator.evaluate("node => node.markOfTheTest") == name, "it is another node"

    # -- Python -----------------------------------------------------------------------------------

    def py(self, code: str) -> str:
        """Run code in the kernel, beside the notebook; returns what it printed."""
        return str(self.page.evaluate(_RUN, code))

    def value(self, expression: str) -> Any:
        """An expression of the kernel, by way of JSON."""
        return json.loads(self.py(f"print(json.dumps({expression}))"))

    def expect_value(self, expression: str, wanted: Any) -> None:
        eventually(lambda: self.value(expression), lambda value: bool(value == wanted))
