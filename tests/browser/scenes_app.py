"""Scenes of the app: what its visitors see, on a desk and on a telephone.

An app has one theme, so each theme has apps of its own, which start when a scene asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from playwright.sync_api import Error, expect

from tests.browser.scenes import HEIGHTS, SETTLED, THEMES, WIDTHS, Camera
from tests.browser.voila_world import AppServer, VoilaPage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, StorageState

A_DAY = 12
MADE = 8  # by the visitor whose pictures most scenes show
BEFORE = 6
LIMITS = f"[visitors]\nimages_per_day = {A_DAY}\n"
FIRST = "a red fox in deep snow under tall pines"
SECOND = "a harbour town at night, lanterns, full moon"
THIRD = "a lighthouse on a cliff at sunset"
FATAL = "import os\nos._exit(3)"
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


@dataclass
class Apps:
    """The apps of one theme, and a visitor who has made pictures with them."""

    browser: Browser
    base: Path
    theme: str
    started: list[AppServer] = field(default_factory=list)

    def start(self, name: str, *options: str | Path, **environment: str) -> AppServer:
        limits = self.base / f"{name}.toml"
        limits.parent.mkdir(parents=True, exist_ok=True)
        limits.write_text(LIMITS)
        options = ("--theme", self.theme, "--config", limits, *options)
        app = AppServer(self.base / name, options=options, environment=environment)
        self.started.append(app)
        return app.start()

    def stop(self) -> None:
        for app in self.started:
            app.stop()

    @cached_property
    def usual(self) -> AppServer:
        return self.start("usual")

    @cached_property
    def temporary(self) -> AppServer:
        return self.start("temporary", WORKBENCH_TEMPORARY="1")

    @cached_property
    def fatal(self) -> AppServer:
        path = self.base / "fatal.ipynb"
        cells = [nbformat.v4.new_code_cell(code) for code in (FATAL, "import workbench")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return self.start("fatal", "--notebook", path)

    @cached_property
    def painter(self) -> StorageState:
        """Who has made two batches; whoever has this is the same visitor."""
        with self.visitor(self.usual) as visitor:
            visitor.open()
            for count, prompt in ((4, FIRST), (MADE, SECOND)):
                visitor.bench.generate(prompt)
                visitor.bench.expect_all_completed(count, within_s=240)
            visitor.page.wait_for_timeout(1000)  # what the page keeps is written when it is idle
            state = visitor.context.storage_state()
            visitor.leave()
        return state

    @contextmanager
    def visitor(self, app: AppServer, **options: Any) -> Iterator[VoilaPage]:
        usual = {"viewport": {"width": WIDTHS[0], "height": HEIGHTS[WIDTHS[0]]}}
        context = self.browser.new_context(**(usual | options))
        page = context.new_page()
        page.set_default_timeout(60_000)
        visitor = VoilaPage(page, app)
        try:
            yield visitor
        finally:
            if not page.is_closed():
                visitor.leave()
            context.close()


# -- what visitors see ----------------------------------------------------------------------------


@contextmanager
def _starting(apps: Apps) -> Iterator[Page]:
    with apps.visitor(apps.usual) as visitor:
        visitor.page.route("**/voila.js", lambda route: None)  # it is on its way
        visitor.page.goto(apps.usual.url(), wait_until="commit", timeout=90_000)
        expect(visitor.page.get_by_text("Starting…")).to_be_visible()
        yield visitor.page


@contextmanager
def _first_look(apps: Apps) -> Iterator[Page]:
    with apps.visitor(apps.usual) as visitor:
        visitor.open()
        expect(visitor.bench.find("empty")).to_be_visible()
        yield visitor.page


@contextmanager
def _back(apps: Apps, **options: Any) -> Iterator[VoilaPage]:
    with apps.visitor(apps.usual, storage_state=apps.painter, **options) as visitor:
        visitor.open()
        expect(visitor.bench.cards("completed").first).to_be_visible()
        yield visitor


@contextmanager
def _page(apps: Apps) -> Iterator[Page]:
    with _back(apps) as visitor:
        yield visitor.page


@contextmanager
def _limit(apps: Apps) -> Iterator[Page]:
    with _back(apps) as visitor:
        visitor.bench.generate(THIRD)
        visitor.bench.expect_all_completed(A_DAY, within_s=240)
        visitor.bench.generate("one more, in the rain")
        expect(visitor.bench.find("refused")).to_be_visible()
        yield visitor.page


@contextmanager
def _place(apps: Apps) -> Iterator[Page]:
    """Others asked before, for pictures that take minutes."""
    with ExitStack() as others:
        before = []
        for number in range(BEFORE):  # everybody has a turn: so each is somebody else
            ws = others.enter_context(apps.usual.open(f"guest-{number}"))
            before.append(ws.generate("fog over the sea", n=1, delay_ms=4000))
        visitor = others.enter_context(apps.visitor(apps.usual))
        visitor.open()
        visitor.bench.generate(FIRST)
        expect(visitor.widget()).to_contain_text("before yours", timeout=60_000)
        yield visitor.page
        batch = visitor.widget().locator(".wbx-batch[data-batch]").first
        visitor.bench.batch_menu(str(batch.get_attribute("data-batch")), "cancel-batch")
        for fog in before:
            fog.cancel()


@contextmanager
def _temporary(apps: Apps) -> Iterator[Page]:
    with apps.visitor(apps.temporary) as visitor:
        visitor.open()
        visitor.bench.generate(FIRST)
        visitor.bench.expect_all_completed(4, within_s=240)
        expect(visitor.bench.find("temporary")).to_be_visible()
        yield visitor.page


@contextmanager
def _ended(apps: Apps) -> Iterator[Page]:
    with _back(apps) as visitor:
        apps.usual.end_kernels()
        expect(visitor.bench.anywhere("ended")).to_be_visible(timeout=60_000)
        yield visitor.page


@contextmanager
def _failed(apps: Apps) -> Iterator[Page]:
    with apps.visitor(apps.fatal) as visitor:
        visitor.open(ready=False)
        alert = visitor.page.get_by_role("alert").filter(visible=True)
        expect(alert).to_contain_text("cannot be shown", timeout=90_000)
        yield visitor.page


@contextmanager
def _nowhere(apps: Apps) -> Iterator[Page]:
    with apps.visitor(apps.usual) as visitor:
        visitor.open("some/old/address", ready=False)
        expect(visitor.page.get_by_text("There is no page at this address.")).to_be_visible()
        yield visitor.page


@contextmanager
def _phone(apps: Apps) -> Iterator[Page]:
    with _back(apps, **PHONE) as visitor:
        yield visitor.page


@contextmanager
def _phone_lightbox(apps: Apps) -> Iterator[Page]:
    with _phone(apps) as page:
        page.locator("[data-status=completed] [data-testid=thumb]").first.tap()
        expect(page.get_by_test_id("lightbox-image")).to_be_visible()
        yield page


@dataclass(frozen=True)
class AppScene:
    """A state of a page of the app; `only` for scenes that have a width of their own."""

    says: str
    open: Callable[[Apps], AbstractContextManager[Page]]
    only: int | None = None


PHONE_WIDTH = int(PHONE["viewport"]["width"])
# In this order: the limit makes the visitor's last pictures, and the end ends all kernels.
SCENES: dict[str, AppScene] = {
    "app-starting": AppScene("The page is on its way.", _starting),
    "app-empty": AppScene("A visitor's first look.", _first_look),
    "app-page": AppScene("A visitor's pictures.", _page),
    "app-place": AppScene("Others were before this visitor.", _place),
    "app-temporary": AppScene("Storage goes with the session, as on Binder.", _temporary),
    "app-phone": AppScene("The page on a telephone.", _phone, PHONE_WIDTH),
    "app-phone-lightbox": AppScene("A picture on a telephone.", _phone_lightbox, PHONE_WIDTH),
    "app-limit": AppScene("A visitor has made all pictures of the day.", _limit),
    "app-404": AppScene("An address where there is nothing.", _nowhere),
    "app-failed": AppScene("The notebook of the app cannot run.", _failed),
    "app-ended": AppScene("The kernel of the page has gone.", _ended),
}


def shoot(camera: Camera, browser: Browser, base: Path, names: list[str]) -> list[str]:
    """Make the pictures of these scenes; returns what went wrong, a line each."""
    wrong = []
    for theme in [one for one in THEMES if one in camera.themes]:
        apps = Apps(browser, base / theme, theme)
        try:
            for name in [one for one in SCENES if one in names]:
                try:
                    _shoot_one(camera, apps, name)
                    print(f"{name} ({theme}): done", flush=True)
                except (
                    Error,
                    AssertionError,
                ) as error:  # the other scenes are worth looking at all the same
                    wrong.append(f"{name} ({theme}): {error}")
                    print(wrong[-1], flush=True)
        finally:
            apps.stop()
    return wrong


def _shoot_one(camera: Camera, apps: Apps, name: str) -> None:
    scene = SCENES[name]
    widths = camera.widths if scene.only is None else (scene.only,)
    with scene.open(apps) as page:
        page.mouse.move(2, 2)
        for width in widths:
            if scene.only is None:
                page.set_viewport_size({"width": width, "height": HEIGHTS.get(width, 900)})
            page.locator("body").evaluate(SETTLED)
            page.screenshot(path=camera.path(name, apps.theme, width))
