"""A real `jupyter workbench app`, and pages of visitors on it.

    visitor = make_visitor()            # a browser profile of its own: somebody new
    visitor.open()
    visitor.bench.generate("a red fox")
    visitor.reload()

`app.kernels()` are the processes behind the pages, `app.worker()` the one that makes pictures.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from playwright.sync_api import expect

import workbench as wb
from tests.browser.bench_page import Bench
from tests.browser.lab_world import ARTIFACTS, ConsoleLog, eventually
from tests.browser.servers import UP_WITHIN_S, free_port

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

FIRST_LOOK_S = 90  # a kernel starts, and the page loads for the first time
# Voilà's own noise, on every page, with or without us.
VOILA_NOISE = (r"favicon",)


class AppServer:
    """`jupyter-workbench app` on a free port, with a workspace and an empty home of its own.

    Parameters
    ----------
    base
        a folder for all of it; made if it is not there
    options
        more arguments of the command, such as ``["--preheat", "2"]``
    environment
        variables to set in addition
    workspace
        the folder of the workspace, if it is another one's
    """

    def __init__(
        self,
        base: Path,
        *,
        options: Sequence[str | Path] = (),
        environment: Mapping[str, str] | None = None,
        workspace: Path | None = None,
    ) -> None:
        self.base = base
        self.home = base / "home"
        self.folder = base / "here"  # where the command is called
        self.workspace = workspace or base / "workspace"
        self.port = free_port()
        self.log = base / "app.log"
        command = Path(sys.executable).with_name("jupyter-workbench")
        self._command = [
            str(command), "app", "--no-browser", "--port", str(self.port),
            "--workspace", str(self.workspace), *map(str, options),
        ]  # fmt: skip
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "WORKBENCH_", "XDG_", "IPYTHON", "PYTEST_", "COV_"))
        } | {"HOME": str(self.home), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.home.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(exist_ok=True)

    def start(self) -> AppServer:
        """Start it and wait until the page can be asked for."""
        with self.log.open("ab") as out:
            before = len(self.said())
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        deadline = time.monotonic() + UP_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if "The page is at" in self.said()[before:]:
                return self
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"the app did not start:\n{self.said()[-3000:]}")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The supervisor."""
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End everything; `start` starts it anew on the same port."""
        if not self.is_running:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)

    def said(self) -> str:
        """What it wrote, server, worker and kernels included."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    # -- processes --------------------------------------------------------------------------------

    def server(self) -> psutil.Process:
        """Voilà."""
        return self._child("workbench.jupyter.voila_server")

    def worker(self) -> psutil.Process:
        """What makes the pictures; a new process after a restart."""
        return eventually(lambda: self._children("worker"), bool, within_s=20)[0]

    def kernels(self) -> list[psutil.Process]:
        """The kernels of pages, and those that wait for one; the oldest first."""
        found = [one for one in self.server().children() if "ipykernel_launcher" in _arguments(one)]
        return sorted(found, key=lambda one: one.create_time())

    def expect_kernels(self, count: int, *, within_s: float = 45) -> None:
        eventually(lambda: len(self.kernels()), lambda now: now == count, within_s=within_s)

    def end_kernels(self) -> None:
        """Kill the kernels of all pages, as no page would."""
        for one in self.kernels():
            one.kill()

    def open(self, user: str = "operator") -> wb.Workspace:
        """The workspace, as its operator sees it; close it."""
        return wb.open(self.workspace, user=user, run_jobs=False)

    def _child(self, argument: str) -> psutil.Process:
        return eventually(lambda: self._children(argument), bool)[0]

    def _children(self, argument: str) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children()
        return [one for one in children if argument in _arguments(one)]


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


@dataclass
class VoilaPage:
    """One page of one visitor. Another page of the same visitor: `another()`."""

    page: Page
    app: AppServer
    console: ConsoleLog = field(default_factory=ConsoleLog)

    def __post_init__(self) -> None:
        self.console.allow(*VOILA_NOISE)
        self.console.watch(self.page)

    @property
    def context(self) -> BrowserContext:
        return self.page.context

    @property
    def bench(self) -> Bench:
        """The `Workbench` of the page."""
        return Bench(self)  # type: ignore[arg-type]  # all that it needs of a notebook

    def widget(self, name: str = "Workbench") -> Locator:
        return self.page.locator(f".wbx[data-widget={name}]")

    def open(self, query: str = "", *, ready: bool = True) -> VoilaPage:
        """Go to the page, and wait until it is live."""
        self.page.goto(self.app.url() + query, timeout=FIRST_LOOK_S * 1000)
        return self.ready() if ready else self

    def reload(self) -> VoilaPage:
        """F5."""
        self.page.reload(timeout=FIRST_LOOK_S * 1000)
        return self.ready()

    def ready(self) -> VoilaPage:
        expect(self.widget()).to_be_visible(timeout=FIRST_LOOK_S * 1000)
        self.bench.expect_live()
        return self

    def leave(self) -> None:
        """Go somewhere else, as a person does who closes the page."""
        self.page.goto("about:blank")

    def another(self) -> VoilaPage:
        """A second page of the same visitor; it is not opened yet."""
        page = self.context.new_page()
        page.set_default_timeout(30_000)
        return VoilaPage(page, self.app)

    def kernel_id(self) -> str:
        """The number of its kernel, as it stands in the page."""
        text = self.page.locator("#jupyter-config-data").text_content() or ""
        found = re.search(r'"kernelId": "([0-9a-f-]{36})"', text)
        assert found, "the page has no kernel"
        return found[1]

    def shoot(self, name: str) -> Path:
        """Leave a picture in tests/artifacts/browser for people to look at."""
        path = ARTIFACTS / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path)
        return path
