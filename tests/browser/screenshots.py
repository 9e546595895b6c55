"""Pictures of every state of the widgets, made in a real JupyterLab for people to look at.

    python tests/browser/screenshots.py [scene …] [--themes light,dark] [--widths 1280,420,320]

They land in tests/artifacts/screenshots as <scene>-<theme>-<width>.png. `make screenshots` runs it.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.browser.ensure_browser import find_browser
from tests.browser.lab_world import ConsoleLog, LabPage, OpenNotebook
from tests.browser.servers import JupyterServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

OUT = Path(__file__).parents[1] / "artifacts" / "screenshots"
HEIGHT = 900

# Two topics with finished pictures, a little money, and the widget.
HISTORY = """
import workbench as wb
ws = wb.open()
ws.set_price("sketch", 2)
ws.grant(1258, "for the pictures")
def paint(prompt, topic, n=4, **options):
    return ws.generate(prompt, n=n, topic=topic, **options).wait(120)
cities = ws.create_topic("Village sketches")
paint("a small village by a lake under a blue sky", cities, seed=3)
forest = ws.create_topic("Forest, four seasons")
paint("pine forest in the morning mist", forest, seed=11, params={"palette": 0.3})
harbour = ws.create_topic("Harbour studies")
paint("mountains behind a quiet bay, full moon", harbour, seed=21)
paint("sailing home at sunset, layered hills, warm light", harbour, seed=7, params={"fail": [3]})
"""
SHOW = "bench = wb.Workbench(ws, height=860)\nbench.topic = harbour\nbench"
DRAFT = "a small boat under a paper moon, calm sea, mountains behind"
ACTIVE = f"""
bench.prompt = {DRAFT!r}
running = ws.generate(bench.prompt, n=4, topic=harbour, seed=5, params={{"delay_ms": 900}})
"""


@dataclass
class Scene:
    """Cells to run, and what is done on the page before each picture."""

    cells: tuple[str, ...]
    act: Callable[[OpenNotebook, Locator], None] = lambda _notebook, _root: None
    whole_page: bool = False  # an overlay covers more than the widget
    undo: Callable[[OpenNotebook, Locator], None] = lambda notebook, _root: (
        notebook.page.keyboard.press("Escape")
    )


def _is_shown(root: Locator, testid: str) -> bool:
    return root.get_by_test_id(testid).first.is_visible()


def _lightbox(notebook: OpenNotebook, root: Locator) -> None:
    root.locator("[data-status=completed] [data-testid=thumb]").nth(1).click()
    notebook.page.get_by_test_id("lightbox").wait_for()
    notebook.page.wait_for_timeout(1200)


def _drawer(name: str) -> Callable[[OpenNotebook, Locator], None]:
    def act(notebook: OpenNotebook, root: Locator) -> None:
        if not _is_shown(root, "config" if name == "Settings" else "new-topic"):
            root.get_by_role("button", name=name).first.click()
            notebook.page.wait_for_timeout(500)

    return act


def _hover(notebook: OpenNotebook, root: Locator) -> None:
    root.locator("[data-testid=generation][data-status=completed]").nth(1).hover()
    notebook.page.wait_for_timeout(300)


def _menu(notebook: OpenNotebook, root: Locator) -> None:
    card = root.locator("[data-testid=generation][data-status=completed]").nth(1)
    card.hover()
    card.get_by_role("button").last.click()
    notebook.page.wait_for_timeout(300)


def _shortcuts(notebook: OpenNotebook, root: Locator) -> None:
    root.locator("[data-testid=generation]").first.focus()
    notebook.page.keyboard.press("?")
    notebook.page.wait_for_timeout(400)


def _offline(notebook: OpenNotebook, _root: Locator) -> None:
    pid = int(notebook.text(notebook.insert_and_run("import os; print(os.getpid())")))
    os.kill(pid, signal.SIGSTOP)  # the kernel says nothing any more
    notebook.page.wait_for_timeout(4000)
    _stopped_kernels.append(pid)


_stopped_kernels: list[int] = []


def _dead(notebook: OpenNotebook, _root: Locator) -> None:
    notebook.lab.server.kill_kernel(notebook.kernel_id)
    notebook.page.wait_for_timeout(3000)


def _once(act: Callable[[OpenNotebook, Locator], None]) -> Callable[[OpenNotebook, Locator], None]:
    done: list[bool] = []

    def first(notebook: OpenNotebook, root: Locator) -> None:
        if not done:
            act(notebook, root)
            done.append(True)

    return first


def _nothing(_notebook: OpenNotebook, _root: Locator) -> None:
    """Leave it as it is."""


SCENES: dict[str, Scene] = {
    "empty": Scene(("import workbench as wb", "wb.Workbench(height=860)"), undo=_nothing),
    "loading": Scene(
        (
            (
                "import workbench as wb\n"
                "from workbench.widgets.channel import Channel\n"
                "Channel.receive = lambda *message: None"
            ),
            "wb.Workbench(height=860)",
        ),
        undo=_nothing,
    ),
    "history": Scene((HISTORY, SHOW), _hover, undo=_nothing),
    "active": Scene((HISTORY, SHOW, ACTIVE), undo=_nothing),
    "paused": Scene(
        (HISTORY, SHOW, "ws.pause()\nws.generate('a lighthouse at night', n=2, topic=harbour)"),
        undo=_nothing,
    ),
    "menu": Scene((HISTORY, SHOW), _menu, whole_page=True),
    "lightbox": Scene((HISTORY, SHOW), _lightbox, whole_page=True),
    "topics": Scene((HISTORY, SHOW), _drawer("Topics")),
    "settings": Scene((HISTORY, SHOW), _drawer("Settings")),
    "shortcuts": Scene((HISTORY, SHOW), _shortcuts, whole_page=True),
    "disk-full": Scene(
        (
            HISTORY,
            SHOW,
            (
                "bench._channel.notify('disk_full', "
                "'The disk is full. Free some space; what waits goes on by itself.', 'error')"
            ),
        ),
        undo=_nothing,
    ),
    "simple": Scene(
        (
            HISTORY,
            "bench = wb.Workbench(ws, simple=True, height=860)\nbench.topic = harbour\nbench",
        ),
        undo=_nothing,
    ),
    "offline": Scene((HISTORY, SHOW), _once(_offline), undo=_nothing),
    "kernel-died": Scene((HISTORY, SHOW), _once(_dead), undo=_nothing),
}


def shoot(
    name: str, server: JupyterServer, browser: Browser, themes: list[str], widths: list[int]
) -> None:
    """Make the pictures of one scene."""
    scene = SCENES[name]
    context = browser.new_context(viewport={"width": 1800, "height": 1100})
    page = context.new_page()
    page.set_default_timeout(30_000)
    folder = server.folder / name
    folder.mkdir(exist_ok=True)
    lab = LabPage(page, server, folder, ConsoleLog(), server.port)
    notebook = lab.write_and_open(scene.cells)
    notebook.run_all()
    root = notebook.widget()
    root.wait_for()
    page.wait_for_timeout(2500)
    for theme in themes:
        page.set_viewport_size({"width": 1800, "height": 1100})
        lab.set_theme("dark" if theme == "dark" else "light")
        for width in widths:
            page.set_viewport_size({"width": 1800, "height": 1100})
            root.evaluate(
                "(root, width) => { root.closest('.jp-OutputArea-output').style.width ="
                " root.closest('.jp-OutputArea-output').style.maxWidth = `${width}px`; }",
                width,
            )
            if scene.whole_page:
                # As wide as the window that such a person would have.
                page.set_viewport_size({"width": max(width, 320), "height": HEIGHT})
            page.wait_for_timeout(700)
            scene.act(notebook, root)
            path = OUT / f"{name}-{theme}-{width}.png"
            if scene.whole_page:
                page.screenshot(path=path)
            else:
                root.screenshot(path=path)
            scene.undo(notebook, root)
            page.mouse.move(0, 0)
    context.close()
    while _stopped_kernels:
        os.kill(_stopped_kernels.pop(), signal.SIGCONT)
    server.end_kernels()


def main() -> None:
    """Read the options and make the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenes", nargs="*", default=list(SCENES), metavar="scene")
    parser.add_argument("--themes", default="light,dark")
    parser.add_argument("--widths", default="1280,420,320")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    widths = [int(width) for width in options.widths.split(",")]
    # Not in the system's folder for temporary files: the widget would say that it is one.
    place = tempfile.TemporaryDirectory(dir=OUT.parent, prefix="screenshots-")
    with place as folder, sync_playwright() as playwright:
        server = JupyterServer(Path(folder) / "root", Path(folder) / "home")
        server.start()
        browser = playwright.chromium.launch(**find_browser().launch_options)
        try:
            for name in options.scenes:
                shoot(name, server, browser, options.themes.split(","), widths)
                print(f"{name}: done", flush=True)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
