"""One JupyterLab and one Chromium for a figure; a fresh page and kernel for every sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import psutil
from playwright.sync_api import Browser, CDPSession, ViewportSize, sync_playwright

from benchmarks.children import REPOSITORY
from benchmarks.measure import Plan
from tests.browser.ensure_browser import find_browser
from tests.browser.lab_world import ConsoleLog, LabPage, OpenNotebook
from tests.browser.servers import JupyterServer

_SCRIPT = (Path(__file__).parent / "page.js").read_text("utf-8")
_VIEWPORT: ViewportSize = {"width": 1440, "height": 1080}  # cell and gallery are in view together
_PATIENCE_MS = 120_000
MEGA = 1e6


class Opened:
    """A notebook in a page of its own, and what `page.js` measures in it."""

    def __init__(self, notebook: OpenNotebook, devtools: CDPSession) -> None:
        self.notebook = notebook
        self.page = notebook.page
        self._devtools = devtools
        devtools.send("Performance.enable")

    def bench(self, call: str, *given: Any) -> Any:
        """Call a function of `window.bench`."""
        arguments = ", ".join(json.dumps(one) for one in given)
        return self.page.evaluate(f"() => window.bench.{call}({arguments})")

    def timed(self, index: int, condition: str, kind: str, *, must: bool = True) -> dict[str, Any]:
        """Run a cell; when the condition came about, with bytes and the page's long tasks."""
        found = cast("dict[str, Any]", self.bench("run", index, condition, kind, _PATIENCE_MS))
        if must and not found["done"]:
            raise RuntimeError(f"{kind}: '{condition}' did not come about in two minutes")
        return found

    def settle(self, seconds: float = 1.0) -> None:
        """Let the page come to rest."""
        self.page.wait_for_timeout(seconds * 1000)

    def heap_mb(self) -> float:
        """Megabytes of JavaScript objects after a collection."""
        self._devtools.send("HeapProfiler.collectGarbage")
        metrics = self._devtools.send("Performance.getMetrics")["metrics"]
        return float(next(m["value"] for m in metrics if m["name"] == "JSHeapUsedSize")) / MEGA

    def renderer_mb(self) -> float:
        """Resident memory of the page's process."""
        return float(self._renderer().memory_info().rss / MEGA)

    def renderer_cpu_s(self) -> float:
        """CPU time of the page's process so far."""
        times = self._renderer().cpu_times()
        return float(times.user + times.system)

    def _renderer(self) -> psutil.Process:
        """The page's process: the largest renderer of the browser."""
        found: dict[float, psutil.Process] = {}
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if "--type=renderer" in child.cmdline():
                    found[child.memory_info().rss] = child
        return found[max(found)]

    def kernel_mb(self, pid: int) -> float:
        """Resident memory of the kernel."""
        return float(psutil.Process(pid).memory_info().rss / MEGA)

    def kernel_pid(self) -> int:
        """The kernel's process id."""
        index = self.notebook.insert_and_run("import os; print(os.getpid())")
        return int(self.notebook.text(index))

    def ask(self, expression: str) -> Any:
        """The value of a Python expression in the kernel."""
        index = self.notebook.insert_and_run(f"import json; print(json.dumps({expression}))")
        return json.loads(self.notebook.text(index))


class Lab:
    """A server and a browser; `notebook` gives fresh pages."""

    def __init__(self, server: JupyterServer, browser: Browser) -> None:
        self.root = server.folder
        self._server = server
        self._browser = browser
        self._count = 0

    @contextmanager
    def notebook(self, cells: Sequence[str], *, run: int = 0) -> Iterator[Opened]:
        """A notebook with a kernel of its own, whose first `run` cells have run."""
        context = self._browser.new_context(viewport=_VIEWPORT)
        try:
            context.add_init_script(_SCRIPT)
            page = context.new_page()
            page.set_default_timeout(_PATIENCE_MS + 30_000)
            console = ConsoleLog()
            console.watch(page)
            lab = LabPage(page, self._server, self.root, console, self._server.port)
            self._count += 1
            notebook = lab.open(lab.write(f"bench-{self._count}.ipynb", cells))
            for index in range(run):
                notebook.run(index)
            opened = Opened(notebook, context.new_cdp_session(page))
            opened.settle()
            yield opened
        finally:
            context.close()
            self._server.end_kernels()


@contextmanager
def lab_of(plan: Plan) -> Iterator[Lab]:
    """Start both; whatever happens, they end."""
    folder = plan.folder / "lab"
    server = JupyterServer(
        folder / "root", folder / "home", environment={"PYTHONPATH": str(REPOSITORY)}
    )
    found = find_browser()
    server.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(**found.launch_options)
            try:
                yield Lab(server, browser)
            finally:
                browser.close()
    finally:
        server.stop()


def rounds_of(plan: Plan) -> int:
    """A sample takes ten seconds here: fewer of them when it hurries."""
    return min(plan.rounds, 2) if plan.quick else plan.rounds


def say(text: str) -> None:
    """What was seen, while it goes on."""
    print(f"  … {text}", flush=True)


def told(name: str, work: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """The same work, which says what came out."""

    def telling() -> dict[str, Any]:
        found = work()
        shown = {k: round(v, 2) for k, v in found.items() if isinstance(v, float)}
        say(f"{name}: {shown}")
        return found

    return telling
