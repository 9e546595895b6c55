"""One real server and one real browser for the tests of this folder.

`lab` is what a test asks for: a page on a folder of its own. Its kernels are ended when the test
ends, and it fails if the page complained about anything in its console.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from tests.browser.ensure_browser import browser_or_skip
from tests.browser.fault_proxy import FaultProxy
from tests.browser.lab_world import ARTIFACTS, ConsoleLog, LabPage
from tests.browser.servers import JupyterServer
from tests.browser.voila_world import AppServer, VoilaPage

HERE = Path(__file__).parent
WAIT_MS = 20_000  # for what a kernel answers; what is claimed about speed says its own time
LOAD_MS = 90_000  # for JupyterLab, which comes in hundreds of files
LIMIT_S = 300  # a page takes seconds to load, a kernel to start, and the cores are shared
DESKTOP = {"width": 1280, "height": 900}
expect.set_options(timeout=WAIT_MS)
_passed = pytest.StashKey[bool]()

MakeLab = Callable[..., LabPage]
MakeApp = Callable[..., AppServer]
MakeVisitor = Callable[..., VoilaPage]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_passed] = report.passed
    return report


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """A server for all tests: it serves JupyterLab, and Notebook 7 below /notebooks."""
    base = tmp_path_factory.mktemp("jupyter")
    server = JupyterServer(base / "root", base / "home")
    server.start()
    yield server
    server.stop()


class Playing:
    """The browser of this process, and a page with JupyterLab in it that no test uses just now.

    To load JupyterLab costs as much as most tests do, so a page is handed on. Playwright keeps an
    event loop running in this thread, in which an async test could not start its own: everything
    ends before the first test that is not of this folder.
    """

    def __init__(self) -> None:
        self.browser: Browser | None = None
        self.spare: Page | None = None
        self._ending = ExitStack()

    def begin(self) -> Browser:
        if self.browser is None:
            found = browser_or_skip()
            playwright = self._ending.enter_context(sync_playwright())
            options = found.launch_options
            # Drawing as a GPU would, without one, takes a tenth of all that these tests compute.
            options["args"] = [*options["args"], "--disable-gpu"]
            self.browser = playwright.chromium.launch(**options)
            self._ending.callback(self.browser.close)
        return self.browser

    def end(self) -> None:
        self.browser = self.spare = None
        self._ending.close()


_playing = Playing()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    if nextitem is None or HERE not in nextitem.path.parents:
        _playing.end()


@pytest.fixture(scope="module")
def browser() -> Browser:
    return _playing.begin()


@pytest.fixture
def make_lab(
    request: pytest.FixtureRequest, browser: Browser, jupyter: JupyterServer
) -> Iterator[MakeLab]:
    """Makes pages: `make_lab(viewport=…, port=proxy.port, server=…)`, all on the test's folder.

    Where nothing but the viewport and the wish for less motion is asked for, the page may have
    served another test; `fresh` gives one that has not.
    """
    name = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name)[:80].strip("-")
    made: list[LabPage] = []

    def make(
        *,
        server: JupyterServer = jupyter,
        port: int | None = None,
        viewport: dict[str, int] | None = None,
        reduced_motion: Literal["reduce", "no-preference"] = "no-preference",
        fresh: bool = False,
        **context_options: Any,
    ) -> LabPage:
        own = fresh or port is not None or server is not jupyter or bool(context_options)
        page, _playing.spare = (None, _playing.spare) if own else (_playing.spare, None)
        loaded = page is not None
        if page is None:
            page = browser.new_context(**context_options).new_page()
            page.set_default_timeout(30_000)
            page.set_default_navigation_timeout(LOAD_MS)
        page.set_viewport_size(viewport or DESKTOP)
        page.emulate_media(
            reduced_motion=reduced_motion, forced_colors="none", contrast="no-preference"
        )
        folder = server.folder / name
        folder.mkdir(exist_ok=True)
        lab = LabPage(
            page, server, folder, ConsoleLog(), port or server.port, own=own, loaded=loaded
        )
        lab.console.watch(page)
        made.append(lab)
        return lab

    yield make
    surprises = []
    passed = request.node.stash.get(_passed, False)
    for number, lab in enumerate(made):
        if not passed:
            _keep_picture(lab, f"failed-{name}-{number}")
        surprises += lab.console.surprises()
        lab.console.unwatch(lab.page)
        if passed and not surprises and _playing.spare is None and lab.leave():
            _playing.spare = lab.page
        else:
            lab.page.context.close()
    for server in {id(lab.server): lab.server for lab in made}.values():
        if server.is_running:
            server.end_kernels()
            server.reset_settings()
    assert not surprises, "the page complained:\n" + "\n".join(surprises)


def _keep_picture(lab: LabPage | VoilaPage, name: str) -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    try:
        lab.page.screenshot(path=ARTIFACTS / f"{name}.png", timeout=10_000)
    except Error as error:  # the test's own failure is what matters
        print(f"no picture of the page: {error.message.splitlines()[0]}")


@pytest.fixture
def lab(make_lab: MakeLab) -> LabPage:
    """A fresh page of 1280 × 900 on the shared server."""
    return make_lab(fresh=True)


@pytest.fixture
def proxy(jupyter: JupyterServer) -> Iterator[FaultProxy]:
    """A proxy before the shared server: `make_lab(port=proxy.port)`."""
    with FaultProxy(jupyter.port) as proxy:
        yield proxy


@pytest.fixture
def own_jupyter(tmp_path: Path) -> Iterator[JupyterServer]:
    """A server for one test that stops or restarts it."""
    server = JupyterServer(tmp_path / "root", tmp_path / "home")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """`jupyter workbench app` for all tests; each visitor has pictures of his own."""
    server = AppServer(tmp_path_factory.mktemp("app")).start()
    yield server
    server.stop()


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[MakeApp]:
    """Starts apps for one test: `make_app(options=["--preheat", "2"], environment={…})`."""
    made: list[AppServer] = []

    def make(**options: Any) -> AppServer:
        server = AppServer(tmp_path / f"app{len(made)}", **options)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def make_visitor(request: pytest.FixtureRequest, browser: Browser) -> Iterator[MakeVisitor]:
    """Makes visitors, each with a browser profile of his own: `make_visitor(app=…, viewport=…)`.

    Without `app` they come to the shared one. Their pages are left at the end, so that no kernel
    stays, and the test fails if one of them complained about anything in its console.
    """
    name = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name)[:80].strip("-")
    made: list[VoilaPage] = []

    def make(
        *,
        app: AppServer | None = None,
        viewport: dict[str, int] | None = None,
        **context_options: Any,
    ) -> VoilaPage:
        server: AppServer = app or request.getfixturevalue("app")
        context = browser.new_context(viewport=viewport or DESKTOP, **context_options)
        page = context.new_page()
        page.set_default_timeout(30_000)
        visitor = VoilaPage(page, server)
        made.append(visitor)
        return visitor

    yield make
    surprises = []
    for number, visitor in enumerate(made):
        if not request.node.stash.get(_passed, False):
            _keep_picture(visitor, f"failed-{name}-{number}")
        surprises += visitor.console.surprises()
        for page in visitor.context.pages:
            page.goto("about:blank")
        visitor.context.close()
    assert not surprises, "the page complained:\n" + "\n".join(surprises)


@pytest.fixture
def voila(make_visitor: MakeVisitor) -> VoilaPage:
    """A visitor's page of 1280 × 900 on the shared app; not opened yet."""
    return make_visitor()
