"""What `make screenshots` makes pictures of: states of the page, each brought about for real.

Scenes that can share a notebook stand in one `Setting`, each leaving it as it was. A picture of the
widget is cut out of a wide window, with the output as wide as asked for; what lies over the whole
window (a dialog, the lightbox) is taken in a window of that width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.bench_page import Bench
from tests.browser.fault_proxy import FaultProxy
from tests.browser.lab_world import ConsoleLog, LabPage
from tests.browser.servers import JupyterServer
from workbench.testing.emulators.openai import OpenAIEmulator

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

THEMES = ("light", "dark")
WIDTHS = (1280, 420, 320)
NARROW = 600  # below it the panels are drawers
WIDE_WINDOW = {"width": 1800, "height": 1100}
HEIGHTS = {1280: 800, 420: 900, 320: 700}  # of windows, by their width
BENCH_HEIGHT = 800
KEY = "sk-emulated-key-0123456789"
NOTEBOOK = "harbour.ipynb"

# The pictures of most scenes: they are made once, in a notebook, and every setting has a copy.
PICTURES = """
import workbench as wb
ws = wb.open()
ws.set_price("sketch", 2)
ws.grant(1330, "for the pictures")
def paint(prompt, topic, n=4, **options):
    return ws.generate(prompt, n=n, topic=topic, **options).wait(300)
def begin(title, prompt, **options):
    topic = ws.create_topic(title)
    paint(prompt, topic, **options)
    return topic
begin("Village sketches", "a small village by a lake under a blue sky", seed=3)
begin("Figure 3, night", "a lighthouse on a cliff at night, stars", n=2, seed=2, style="ink")
begin("Palette sweep", "a bowl of oranges on a wooden table", n=2, seed=5, style="pastel")
begin("Forest, four seasons", "pine forest in the morning mist", seed=11, palette=0.3)
harbour = begin("Harbour studies", "mountains behind a quiet bay, full moon", seed=21)
warm = paint("sailing home at sunset, layered hills, warm light", harbour, seed=7)
warm.generations[1].rating = 4
warm.generations[2].favourite = True
"""
OPEN = """
import workbench as wb
ws = wb.open()
topics = {topic.title: topic for topic in ws.topics()}
"""
SHOW = f"""bench = wb.Workbench(ws, height={BENCH_HEIGHT})
bench.topic = topics["Harbour studies"]
bench"""

# Until nothing moves that will come to rest, and every finished picture in sight is drawn.
SETTLED = """async root => {
  const soon = performance.now() + 8000;
  const inSight = card => {
    const box = card.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight && box.width > 0;
  };
  const waits = () => [...root.querySelectorAll(".wbx-card[data-shown=completed]")].some(card =>
    inSight(card) && !card.querySelector("img[data-shown], [data-testid=error]"));
  const moves = () => document.getAnimations().filter(one =>
    one.playState === "running" && one.effect?.getComputedTiming().endTime !== Infinity);
  await new Promise(requestAnimationFrame);
  while ((waits() || moves().length) && performance.now() < soon) {
    await new Promise(done => setTimeout(done, 50));
  }
  await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
}"""

# The widget, and a menu of it that goes beyond.
BOX = """root => {
  const boxes = [root, ...root.querySelectorAll(".wbx-drop")]
    .filter(one => one.checkVisibility()).map(one => one.getBoundingClientRect());
  const x = Math.max(0, Math.min(...boxes.map(box => box.left)));
  const y = Math.max(0, Math.min(...boxes.map(box => box.top)));
  const right = Math.min(innerWidth, Math.max(...boxes.map(box => box.right)));
  const bottom = Math.min(innerHeight, Math.max(...boxes.map(box => box.bottom)));
  return {x, y, width: right - x, height: bottom - y};
}"""


class LeftOut(Exception):
    """This machine cannot show the state; the text says why."""


@dataclass
class House:
    """What all settings share: a server, a browser, an emulated provider, and the pictures."""

    server: JupyterServer
    browser: Browser
    openai: OpenAIEmulator
    base: Path  # for everything that scenes leave
    has_pictures: bool = False

    @property
    def pictures(self) -> Path:
        return self.server.folder / "pictures"

    def paint(self) -> None:
        """Make the pictures that settings begin with."""
        if self.has_pictures:
            return
        with lab_stage(self, "pictures", (PICTURES,), copied=False):
            self.has_pictures = True


@dataclass
class Stage:
    """A notebook with a widget in it, in a page of JupyterLab."""

    house: House
    lab: LabPage
    bench: Bench
    proxy: FaultProxy | None = None  # between page and server, where a scene wants one
    disk: Path | None = None  # a small one, where a scene wants to fill it

    @property
    def page(self) -> Page:
        return self.lab.page

    @property
    def root(self) -> Locator:
        return self.bench.root.last

    @property
    def is_narrow(self) -> bool:
        return self.root.locator("[data-layout=narrow]").count() > 0

    def resize(self, width: int, *, window: bool) -> None:
        """Give the widget, or its whole window, another width."""
        size = {"width": width, "height": HEIGHTS.get(width, 900)} if window else WIDE_WINDOW
        if window:
            # A menu of 1280 px would not fit beside the rest of JupyterLab.
            self.set_output(None)
        self.page.set_viewport_size(size)  # type: ignore[arg-type]
        if not window:
            self.set_output(width)
        # Until its layout is that of the width: what a scene presses depends on it.
        self.root.evaluate(
            "async () => { for (let frame = 0; frame < 3; frame++)"
            " await new Promise(requestAnimationFrame); }"
        )

    def set_output(self, width: int | None) -> None:
        self.root.evaluate(
            "(root, width) => { const output = root.closest('.jp-OutputArea-output');"
            " if (output) output.style.width = output.style.maxWidth = width ? `${width}px` : '';"
            " }",
            width,
        )

    def panel(self, side: str) -> Locator:
        """The settings ("config") or the topics, taken out where they are a drawer."""
        if self.is_narrow:
            self.bench.find(f"open-{side}").last.click()
            expect(self.root.locator(f".wbx-drawer[data-side={side}][data-out]")).to_be_visible()
        return self.root.locator(f"[data-side={side}]").last

    def close_drawer(self) -> None:
        """Put back what `panel` took out."""
        if self.is_narrow:
            self.escape()
            expect(self.root.locator(".wbx-drawer[data-out]")).to_have_count(0)

    def look_at(self, side: str) -> None:
        """Show a panel, with the pointer elsewhere."""
        self.panel(side)
        self.point_away()

    def close_lightbox(self) -> None:
        self.escape()
        expect(self.page.get_by_test_id("lightbox")).to_have_count(0)

    def show(self, title: str) -> None:
        """Open a topic."""
        self.bench.py(f"bench.topic = topics[{title!r}]")
        expect(self.root.get_by_test_id("topic-title")).to_contain_text(title)

    def escape(self) -> None:
        self.page.keyboard.press("Escape")

    def point_away(self) -> None:
        self.page.mouse.move(2, 2)

    def cards(self, status: str = "completed") -> Locator:
        return self.root.locator(f"[data-testid=generation][data-status={status}]")


Act = Callable[[Stage], None]


def as_it_is(_stage: Stage) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A state: what is done to see it, and to leave it.

    Parameters
    ----------
    says
        what is to be seen, for whoever looks at all pictures
    act, undo
        on the stage, for each theme; with `each`, for each width; with `once`, only one time
    window
        it lies over the whole window
    only
        of these widths
    """

    says: str
    act: Act = as_it_is
    undo: Act = as_it_is
    each: bool = False
    once: bool = False
    window: bool = False
    only: tuple[int, ...] = WIDTHS


def over_window(*, says: str, act: Act, undo: Act) -> Scene:
    """A state of what lies over the whole window, which may look different at each width."""
    return Scene(says=says, act=act, undo=undo, each=True, window=True)


@dataclass(frozen=True)
class Setting:
    """Where scenes are: `open(house)` gives the stage."""

    open: Callable[[House], AbstractContextManager[Stage]]
    scenes: Mapping[str, Scene]


@dataclass
class Camera:
    """Takes the pictures of scenes and keeps their names."""

    out: Path
    themes: tuple[str, ...]
    widths: tuple[int, ...]

    def path(self, name: str, theme: str, width: int) -> Path:
        return self.out / f"{name}-{theme}-{width}.png"

    def shoot(self, stage: Stage, name: str, scene: Scene) -> None:
        """Make the pictures of one scene, in all themes and widths that are wanted."""
        widths = [width for width in self.widths if width in scene.only]
        if not widths:
            return
        for number, theme in enumerate(self.themes):
            stage.resize(WIDTHS[0], window=False)
            stage.lab.set_theme("dark" if theme == "dark" else "light")
            if not scene.each and not (scene.once and number):
                if scene.window:
                    stage.resize(widths[0], window=True)
                scene.act(stage)
            for width in widths:
                stage.resize(width, window=scene.window)
                if scene.each:
                    scene.act(stage)
                self.take(stage, self.path(name, theme, width), window=scene.window)
                if scene.each:
                    scene.undo(stage)
            if not scene.each and not (scene.once and number + 1 < len(self.themes)):
                scene.undo(stage)

    def take(self, stage: Stage, path: Path, *, window: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not window:
            stage.root.scroll_into_view_if_needed()
        stage.root.evaluate(SETTLED)
        if window:
            stage.page.screenshot(path=path)
        else:
            stage.page.screenshot(path=path, clip=stage.root.evaluate(BOX))


@contextmanager
def lab_stage(
    house: House,
    name: str,
    cells: tuple[str, ...] = (OPEN, SHOW),
    *,
    copied: bool = True,
    port: int | None = None,
) -> Iterator[Stage]:
    """Open JupyterLab on a notebook with these cells, in a folder of its own, and run them.

    `copied`: beside a copy of the pictures.
    """
    folder = house.server.folder / name
    folder.mkdir(exist_ok=True)
    if copied:
        house.paint()
        copytree(house.pictures / ".workbench", folder / ".workbench", dirs_exist_ok=True)
    context = house.browser.new_context(viewport=WIDE_WINDOW)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(60_000)
    lab = LabPage(page, house.server, folder, ConsoleLog(), port or house.server.port)
    notebook = lab.open(lab.write(NOTEBOOK, cells))
    # The side bars of JupyterLab would be half of a narrow window.
    page.evaluate(
        """async () => {
          const {shell, commands} = window.jupyterapp;
          shell.collapseLeft();
          shell.collapseRight();
          for (const side of ["left", "right"])
            await commands.execute("application:toggle-side-tabbar", {side});
        }"""
    )
    try:
        notebook.run_all()
        yield Stage(house, lab, Bench(notebook))
    finally:
        context.close()
        house.server.end_kernels()
        house.server.reset_settings()
