"""A page with JupyterLab (or Notebook 7) in it, driven through the application's own commands.

    notebook = lab.open(lab.write("fox.ipynb", ["import workbench as wb", "wb.Workbench()"]))
    notebook.run_all()
    notebook.output(1).get_by_test_id("prompt").fill("a red fox")

Both front ends run with `expose_app_in_browser`, so that a test does what a click on the toolbar
does, but without looking for the button.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote, unquote
from uuid import uuid4

import nbformat
from playwright.sync_api import Error

from tests.browser.servers import JupyterServer

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Locator, Page

ARTIFACTS = Path(__file__).parents[1] / "artifacts" / "browser"
Value = TypeVar("Value")
Host = Literal["lab", "notebook"]
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}

_PANEL = """
  const app = window.jupyterapp;
  const panel = app.shell.currentWidget;
"""
# As from a link, but in a page that is there: its address is then the one of F5.
_OPEN = """([path, address]) => {
  void window.jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'})
    .then(() => history.replaceState(null, '', address));
}"""
_LEAVE = """() => {
  const leave = async () => {
    const app = window.jupyterapp;
    if (!app || document.querySelector('.jp-Dialog')) return false;
    if (document.body.dataset.jpThemeLight !== 'true') return false;
    for (const panel of [...app.shell.widgets('main')]) {
      if (panel.sessionContext?.session) await panel.sessionContext.shutdown();
      if (panel.context) panel.context.model.dirty = false;
      panel.close();
    }
    localStorage.clear();
    sessionStorage.clear();
    return true;
  };
  window.hasBeenLeft = undefined;
  void leave().then(left => { window.hasBeenLeft = left; });
}"""
_LEFT = """() => window.hasBeenLeft === false
  || window.hasBeenLeft && !document.querySelector('.jp-Notebook, .jp-Dialog')"""
_LEAVE_WITHIN_MS = 10_000
# The hosts' own noise, on every page, with or without us.
HOST_NOISE = (
    r"favicon",
    r"/api/collaboration|/lsp/|/api/me",
    r"was preloaded using link preload",
    r"The web worker|ServiceWorker|service worker",
    # Notebook 7 beside JupyterLab: settings and commands of plugins that it does not have.
    r"reading 'schema'[^$]*/static/notebook/",
    r"'filebrowser:open-path' not registered",
    # A kernel that restarts while the debugger's panel still asks it.
    r"Could not restore the debugger state: Canceled future",
    # anywidget's, about a page that takes more than 2 s to start a widget; src/hearing.ts goes
    # around what follows from it (test_loader.py has that).
    r"^uncaught: .*\[anywidget\] Failed to initialize model",
)


@dataclass
class ConsoleLog:
    """What the page complained about. A test names what it expects to be complained about."""

    errors: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._heard)
        page.on("pageerror", self._uncaught)

    def unwatch(self, page: Page) -> None:
        page.remove_listener("console", self._heard)
        page.remove_listener("pageerror", self._uncaught)

    def allow(self, *patterns: str) -> None:
        """The test provokes errors whose text or address matches one of these."""
        self.expected += patterns

    def surprises(self) -> list[str]:
        known = [*HOST_NOISE, *self.expected]
        return [text for text in self.errors if not any(re.search(one, text) for one in known)]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _uncaught(self, error: Error) -> None:
        self.errors.append(f"uncaught: {error}\n{error.stack}")


@dataclass
class LabPage:
    """One browser page on a server, and the folder that belongs to the test."""

    page: Page
    server: JupyterServer
    folder: Path
    console: ConsoleLog
    port: int  # of the server, or of a proxy before it
    own: bool = True  # whether it was made for this test, and ends with it
    loaded: bool = False  # whether JupyterLab is there already, with nothing open in it

    def write(self, name: str, cells: Sequence[str]) -> Path:
        """Write a notebook with these code cells into the test's folder."""
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
        }
        path = self.folder / name
        nbformat.write(book, path)
        return path

    def open(self, path: Path, *, host: Host = "lab") -> OpenNotebook:
        """Open a notebook of the server's folder, and wait until its kernel is idle."""
        place = quote(path.relative_to(self.server.folder).as_posix())
        # A workspace of its own: else Lab would open what an earlier test left open.
        start = f"lab/workspaces/{uuid4().hex[:8]}/tree" if host == "lab" else "notebooks"
        address = self.server.url(f"{start}/{place}", port=self.port)
        if self.loaded and host == "lab":
            self.page.evaluate(_OPEN, [unquote(place), address])
        else:
            self.page.goto(address)
        self.loaded = host == "lab"
        notebook = OpenNotebook(self, path, host)
        notebook.wait_ready()
        return notebook

    def write_and_open(self, cells: Sequence[str], *, host: Host = "lab") -> OpenNotebook:
        return self.open(self.write(f"{uuid4().hex[:8]}.ipynb", cells), host=host)

    def set_theme(self, theme: Literal["light", "dark"]) -> None:
        """Switch the running application; the fixture puts the setting back."""
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
            THEMES[theme],
        )
        light = "true" if theme == "light" else "false"
        self.page.locator(f"body[data-jp-theme-light='{light}']").wait_for(
            state="attached", timeout=20_000
        )

    def leave(self) -> bool:
        """Close what is open in JupyterLab; False if the page cannot serve another test."""
        if self.own or not self.loaded or len(self.page.context.pages) > 1:
            return False
        self.page.evaluate(_LEAVE)
        try:
            self.page.wait_for_function(_LEFT, timeout=_LEAVE_WITHIN_MS)
        except Error as error:  # it is closed then, and the next test has a page of its own
            print(f"this page serves no other test: {error.message.splitlines()[0]}")
            return False
        return bool(self.page.evaluate("() => window.hasBeenLeft"))

    def shoot(self, name: str, of: Locator | None = None) -> Path:
        """Leave a picture in tests/artifacts/browser for people to look at."""
        path = ARTIFACTS / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if of is None:
            self.page.screenshot(path=path)
        else:
            of.screenshot(path=path)
        return path


@dataclass
class OpenNotebook:
    """The notebook in front of the page."""

    lab: LabPage
    path: Path
    host: Host

    @property
    def page(self) -> Page:
        return self.lab.page

    def wait_ready(self, *, within_s: float = 90) -> None:
        """Until the notebook is drawn and its kernel is idle."""
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=within_s * 1000)
        self.page.wait_for_function(
            f"() => {{ {_PANEL} return panel?.sessionContext?.isReady; }}",
            timeout=within_s * 1000,
        )
        self.wait_status("idle", within_s=within_s)

    def wait_status(self, *statuses: str, within_s: float = 60) -> None:
        """Until the kernel is idle, busy, restarting, dead …"""
        self.page.wait_for_function(
            f"""wanted => {{ {_PANEL}
              const kernel = panel?.sessionContext?.session?.kernel;
              return kernel?.connectionStatus === "connected" && wanted.includes(kernel.status);
            }}""",
            arg=list(statuses),
            timeout=within_s * 1000,
        )

    def status(self) -> str:
        return str(self._in_panel("return panel.sessionContext.session?.kernel?.status ?? 'none'"))

    def connection(self) -> str:
        """What the page thinks of its websocket: connected, connecting, disconnected."""
        return str(self._in_panel("return panel.sessionContext.session.kernel.connectionStatus"))

    @property
    def kernel_id(self) -> str:
        return str(self._in_panel("return panel.sessionContext.session.kernel.id"))

    def run(self, index: int, *, wait: bool = True) -> None:
        """Run one cell; without `wait` it still runs when this returns."""
        self._in_panel(
            f"panel.content.activeCellIndex = {index};"
            "const ran = app.commands.execute('notebook:run-cell');"
            + ("await ran;" if wait else "await new Promise(done => setTimeout(done, 50));")
        )
        if wait:
            self._check_output(index)

    def run_all(self) -> None:
        """Run all cells, one after the other, and wait for their end."""
        for index in range(int(self._in_panel("return panel.content.widgets.length"))):
            self.run(index)

    def insert_and_run(self, code: str, *, wait: bool = True) -> int:
        """Add a cell at the end and run it; returns its index."""
        index = self._in_panel(
            "panel.content.activeCellIndex = panel.content.widgets.length - 1;"
            "await app.commands.execute('notebook:insert-cell-below');"
            f"panel.content.activeCell.model.sharedModel.setSource({code!r});"
            "return panel.content.activeCellIndex"
        )
        self.run(int(index), wait=wait)
        return int(index)

    def interrupt(self) -> None:
        self._in_panel("await panel.sessionContext.session.kernel.interrupt()")

    def restart(self, *, within_s: float = 60) -> None:
        """Restart the kernel, as the button does once it was confirmed."""
        self._in_panel("await panel.sessionContext.session.kernel.restart()")
        self.wait_status("idle", within_s=within_s)

    def start_kernel(self, *, within_s: float = 90) -> None:
        """A kernel in the place of one that has gone, as if it was chosen for the notebook."""
        # Until Lab has noticed that the session went with its server, it would ask for that one.
        self.page.wait_for_function(
            f"() => {{ {_PANEL} return !panel.sessionContext.session; }}",
            timeout=within_s * 1000,
        )
        self._in_panel("await panel.sessionContext.changeKernel({name: 'python3'})")
        self.wait_status("idle", within_s=within_s)

    def reload(self) -> None:
        """F5."""
        self.save()
        self.page.reload()
        self.wait_ready()

    def save(self) -> None:
        self._in_panel("await panel.context.save()")

    def saved(self) -> Any:
        """The notebook as it is in its file."""
        self.save()
        return nbformat.read(self.path, as_version=4)

    def cells(self) -> int:
        return int(self._in_panel("return panel.content.widgets.length"))

    def cell_types(self) -> list[str]:
        return list(self._in_panel("return panel.content.widgets.map(cell => cell.model.type)"))

    def cell(self, index: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        return self.cell(index).locator(".jp-OutputArea-output")

    def widget(self, name: str = "Workbench") -> Locator:
        """The root of a widget of ours."""
        return self.page.locator(f".wbx[data-widget='{name}']")

    def text(self, index: int) -> str:
        """What a cell printed."""
        return str(
            self._in_panel(
                f"return panel.content.widgets[{index}].model.outputs.toJSON()"
                ".map(one => one.text ?? one.data?.['text/plain'] ?? '').flat().join('')"
            )
        )

    def _check_output(self, index: int) -> None:
        found = self._in_panel(
            f"return panel.content.widgets[{index}].model.outputs?.toJSON()"
            ".filter(one => one.output_type === 'error')"
            ".map(one => one.traceback.join('\\n')) ?? []"
        )
        assert not found, "\n".join(re.sub(r"\x1b\[[0-9;]*m", "", str(one)) for one in found)

    def _in_panel(self, code: str) -> Any:
        return self.page.evaluate(f"async () => {{ {_PANEL} {code} }}")


def eventually(
    read: Callable[[], Value],
    wanted: Callable[[Value], bool],
    *,
    within_s: float = 30,
    every_s: float = 0.05,
) -> Value:
    """Read until the value is as wanted; an error with the last value if it never is."""
    deadline = time.monotonic() + within_s
    while True:
        value = read()
        if wanted(value):
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still {value!r} after {within_s:g} s")
        time.sleep(every_s)


def drawn(page: Page) -> None:
    """Wait for two frames: what was changed is on the screen then, unless it moves there."""
    page.evaluate(
        """async () => {
          for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
        }"""
    )
