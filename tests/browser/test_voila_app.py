"""The story of a visitor: a page of `jupyter workbench app` in a real browser.

Nothing that happens to the page, to its kernel or to the worker loses a picture, makes one twice,
or leaves a kernel behind.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import psutil
import pytest
from playwright.sync_api import Route, expect

from tests.browser.bench_page import WIDE
from tests.browser.conftest import DESKTOP, MakeApp, MakeVisitor
from tests.browser.lab_world import eventually
from tests.browser.voila_world import FIRST_LOOK_S, AppServer, VoilaPage

PROMPT = "a red fox in the snow, birch trees, evening"
ORDER = ("pending", "queued", "processing", "completed")
PHONE = {"width": 390, "height": 844}
# One picture takes seconds (20 steps), so that something can happen before it is ready.
SLOW = """bench = wb.Workbench(simple=True, height=0)
bench.config.update(n=2, width=64, height=64, params={"delay_ms": %d})
bench"""
# Sends to its page for ever, whether there is one or not.
NOISY = """import threading, time
from comm import create_comm
comm = create_comm("nobody-listens")
def send():
    while True:
        comm.send({"now": time.time()})
        time.sleep(0.05)
threading.Thread(target=send, daemon=True).start()"""


def _write(path: Path, *cells: str) -> Path:
    first = "import workbench as wb"
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in (first, *cells)]
    )
    nbformat.write(book, path)
    return path


@pytest.fixture
def slow_app(make_app: MakeApp, tmp_path: Path, request: pytest.FixtureRequest) -> AppServer:
    """Each of the 20 steps of a picture takes 500 ms, or as many as the test asks for."""
    book = _write(tmp_path / "slow.ipynb", SLOW % getattr(request, "param", 500))
    return make_app(options=["--notebook", book])


def _made(app: AppServer) -> list[tuple[str, int]]:
    """Of every picture in the workspace: its status, and how often it was tried."""
    with app.open() as ws:
        table = ws.sql(
            "SELECT g.status, count(a.id) AS tries FROM generation g"
            " LEFT JOIN attempt a ON a.generation_id = g.id GROUP BY g.id"
        )
    return list(zip(table["status"], table["tries"], strict=True))


def _kept(app: AppServer) -> str:
    """What people have before them: settings, drafts, open topics."""
    with app.open() as ws:
        return "\n".join(map(str, ws.sql("SELECT value FROM preference")["value"]))


def _wait_processing(visitor: VoilaPage) -> None:
    expect(visitor.bench.cards("processing").first).to_be_visible(timeout=30_000)


@pytest.mark.req("LAY-1", "LAY-11", "APP-2", "LIVE-7")
def test_a_visitor_makes_four_pictures_and_finds_them_again(
    app: AppServer, make_visitor: MakeVisitor
) -> None:
    visitor = make_visitor(viewport=WIDE)
    hosts: set[str] = set()
    visitor.page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    visitor.open()
    bench = visitor.bench
    expect(visitor.page).to_have_title("Image workbench")
    expect(bench.find("empty")).to_be_visible()
    for part in ("config", "feed", "new-topic"):
        expect(bench.find(part).first).to_be_visible()
    expect(bench.find("seed")).to_have_count(0)  # not among the controls that the author chose
    box = bench.root.bounding_box()
    assert box == {"x": 0, "y": 0, **WIDE}, "it does not fill the window"
    assert _scrolls(visitor) == (False, False)
    visitor.shoot("voila-1-empty")

    bench.watch()
    bench.generate(PROMPT)
    # Only the page itself surely sees them being made: that takes them no longer than a machine
    # may pause.
    expect(bench.cards("processing").or_(bench.cards("completed")).first).to_be_visible()
    visitor.shoot("voila-2-arriving")
    bench.expect_all_completed(4)
    ids = bench.ids()
    seen = bench.lives()["lives"]
    assert any("processing" in seen[id]["statuses"] for id in ids), seen
    for life in (seen[id] for id in ids):
        assert life["statuses"] == [one for one in ORDER if one in life["statuses"]], life
        assert life["statuses"][-1] == "completed", life
        assert life["progress"] == sorted(life["progress"]), life
    expect(bench.topics()).to_have_count(1)
    visitor.shoot("voila-3-arrived")
    bench.card(ids[0]).get_by_test_id("thumb").click()
    expect(bench.anywhere("lightbox-image")).to_be_visible()
    visitor.shoot("voila-lightbox")
    visitor.page.keyboard.press("Escape")
    bench.find("prompt").fill("half a sentence")
    eventually(lambda: _kept(app), lambda kept: "half a sentence" in kept)

    # F5, and the next day: another kernel, the same person.
    before = visitor.kernel_id()
    visitor.reload()
    assert visitor.kernel_id() != before
    bench.expect_all_completed(4)
    assert bench.ids() == ids
    expect(bench.find("prompt")).to_have_value("half a sentence")
    visitor.leave()
    app.expect_kernels(0)
    tomorrow = visitor.another()
    tomorrow.open()
    tomorrow.bench.expect_all_completed(4)
    assert tomorrow.bench.ids() == ids

    # Somebody else sees nothing of it.
    other = make_visitor().open()
    expect(other.bench.find("empty")).to_be_visible()
    expect(other.bench.topics()).to_have_count(0)
    assert hosts <= {f"127.0.0.1:{app.port}", ""}, "something came from elsewhere"


def _scrolls(visitor: VoilaPage) -> tuple[bool, bool]:
    """Whether the page itself scrolls, sideways and down."""
    return tuple(
        visitor.page.evaluate(
            "() => { const {scrollWidth, clientWidth, scrollHeight, clientHeight} ="
            " document.scrollingElement;"
            " return [scrollWidth > clientWidth, scrollHeight > clientHeight]; }"
        )
    )


@pytest.mark.req("LIVE-4", "LIVE-7")
@pytest.mark.parametrize("slow_app", [1500], indirect=True)  # a page takes seconds to come back
def test_a_reload_in_the_middle_leaves_no_kernel_and_makes_nothing_twice(
    slow_app: AppServer, make_visitor: MakeVisitor
) -> None:
    visitor = make_visitor(app=slow_app).open()
    bench = visitor.bench
    (old,) = slow_app.kernels()
    bench.generate(PROMPT)
    _wait_processing(visitor)
    ids = bench.ids()
    visitor.reload()
    expect(bench.cards()).to_have_count(2)
    assert bench.ids() == ids
    assert bench.cards("completed").count() < 2, "it did not come back in time"
    eventually(old.is_running, lambda running: not running)
    slow_app.expect_kernels(1)
    bench.expect_all_completed(2, within_s=120)
    assert bench.ids() == ids
    assert _made(slow_app) == [("completed", 1)] * 2


@pytest.mark.req("LIVE-7")
def test_pictures_are_finished_when_nobody_looks(
    slow_app: AppServer, make_visitor: MakeVisitor
) -> None:
    visitor = make_visitor(app=slow_app).open()
    visitor.bench.generate(PROMPT)
    _wait_processing(visitor)
    visitor.leave()
    slow_app.expect_kernels(0)
    eventually(lambda: _made(slow_app), lambda made: made == [("completed", 1)] * 2, within_s=60)
    back = visitor.another()
    back.open()
    back.bench.expect_all_completed(2)


def test_leaving_frees_the_kernel_however_a_page_is_left(
    make_app: MakeApp, make_visitor: MakeVisitor
) -> None:
    app = make_app()
    visitor = make_visitor(app=app)
    visitor.open()
    app.expect_kernels(1)
    visitor.page.goto("about:blank")
    app.expect_kernels(0)

    second = visitor.another().open()
    app.expect_kernels(1)
    second.page.close(run_before_unload=True)
    app.expect_kernels(0)

    # Before Voilà's scripts are there, which would say good-bye.
    hasty = visitor.another()
    hasty.page.route("**/voila.js", lambda route: None)
    hasty.page.goto(app.url(), wait_until="commit", timeout=FIRST_LOOK_S * 1000)
    hasty.page.locator("#jupyter-config-data").wait_for(
        state="attached", timeout=FIRST_LOOK_S * 1000
    )
    app.expect_kernels(1)
    hasty.page.goto("about:blank")
    app.expect_kernels(0)
    assert "Uncaught exception" not in app.said()


@pytest.mark.faults
def test_a_kernel_that_keeps_sending_to_a_page_that_is_gone_ends(
    make_app: MakeApp, make_visitor: MakeVisitor, tmp_path: Path
) -> None:
    notebook = _write(tmp_path / "noisy.ipynb", NOISY, "wb.Workbench(simple=True, height=0)")
    soon = ["--MappingKernelManager.cull_idle_timeout=2", "--MappingKernelManager.cull_interval=1"]
    app = make_app(options=["--notebook", notebook, "--", *soon])
    visitor = make_visitor(app=app).open()
    visitor.page.wait_for_timeout(5_000)
    app.expect_kernels(1)  # somebody looks
    expect(visitor.bench.find("live")).to_have_attribute("data-state", "live")
    visitor.page.evaluate("navigator.sendBeacon = () => false")  # as if it had crashed
    visitor.page.route("**/api/shutdown/**", lambda route: route.abort())
    visitor.leave()
    app.expect_kernels(0)


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.req("LIVE-7")
def test_a_visitor_whose_kernel_dies_is_told_and_finds_everything_after_a_reload(
    slow_app: AppServer, make_visitor: MakeVisitor
) -> None:
    visitor = make_visitor(app=slow_app).open()
    bench = visitor.bench
    visitor.console.allow("WebSocket|ERR_|404|Kernel")
    bench.generate(PROMPT)
    _wait_processing(visitor)
    slow_app.end_kernels()
    ended = bench.anywhere("ended")
    expect(ended).to_be_visible(timeout=30_000)
    visitor.shoot("voila-ended")
    assert slow_app.kernels() == [], "another one came in its place"
    ended.get_by_test_id("reload").click()
    expect(ended).to_have_count(0)
    visitor.ready()
    bench.expect_all_completed(2)
    assert _made(slow_app) == [("completed", 1)] * 2


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.req("LIVE-7")
def test_a_worker_that_is_killed_in_the_middle_is_replaced_and_the_pictures_arrive(
    slow_app: AppServer, make_visitor: MakeVisitor
) -> None:
    visitor = make_visitor(app=slow_app).open()
    bench = visitor.bench
    first = slow_app.worker()
    bench.generate(PROMPT)
    _wait_processing(visitor)
    ids = bench.ids()
    first.kill()
    second = eventually(slow_app.worker, lambda now: now.pid != first.pid, within_s=60)
    bench.expect_all_completed(2, within_s=120)
    assert bench.ids() == ids
    assert [status for status, _ in _made(slow_app)] == ["completed"] * 2
    assert "The worker ended (signal 9); a new one starts in 0.5 s." in slow_app.said()
    assert slow_app.interrupt() == 0
    assert not psutil.pid_exists(second.pid)


@pytest.mark.faults  # long: servers with kernels of their own
@pytest.mark.timeout(400)
def test_kernels_that_wait_for_visitors_serve_each_one_his_own(
    make_app: MakeApp, make_visitor: MakeVisitor
) -> None:
    app = make_app(options=["--preheat", "2"])
    app.expect_kernels(2, within_s=90)
    waiting = {one.pid for one in app.kernels()}
    one = make_visitor(app=app).open()
    two = make_visitor(app=app).open()
    assert one.kernel_id() != two.kernel_id()
    for visitor, prompt in ((one, "a red fox"), (two, "a blue whale")):
        visitor.bench.generate(prompt)
    for visitor in (one, two):
        visitor.bench.expect_all_completed(4)
        expect(visitor.bench.topics()).to_have_count(1)
    expect(one.bench.topics()).to_contain_text("fox")
    expect(two.bench.topics()).to_contain_text("whale")
    app.expect_kernels(4, within_s=90)  # theirs, and two that wait again
    assert waiting < {one.pid for one in app.kernels()}
    one.reload()
    one.bench.expect_all_completed(4)
    for visitor in (one, two):
        visitor.leave()
    app.expect_kernels(2, within_s=90)


@pytest.mark.faults  # long
@pytest.mark.timeout(400)
@pytest.mark.req("ACC-1")
def test_the_dark_page_and_the_page_of_a_telephone(
    make_app: MakeApp, make_visitor: MakeVisitor
) -> None:
    app = make_app(options=["--theme", "dark"])
    for name, viewport in (("desktop", WIDE), ("phone", PHONE)):
        visitor = make_visitor(app=app, viewport=viewport)
        visitor.page.route("**/voila.js", lambda route: None)
        visitor.page.goto(app.url() + "?theme=light", wait_until="commit")
        expect(visitor.page.get_by_text("Starting…")).to_be_visible()
        assert _shade(visitor) < 60, "it is not dark while it starts"
        visitor.shoot(f"voila-dark-{name}-starting")
        visitor.page.unroute_all()
        visitor.reload()
        expect(visitor.page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
        assert _scrolls(visitor) == (False, False)
        visitor.bench.generate("a lighthouse at night")
        visitor.bench.expect_all_completed(4)
        visitor.shoot(f"voila-dark-{name}")
        visitor.leave()


def _shade(visitor: VoilaPage) -> float:
    """How bright the page is: 0 to 255."""
    colour = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    parts = [float(part) for part in colour.strip("rgba()").split(",")[:3]]
    return sum(parts) / 3


def test_words_beside_the_widget_have_a_readable_measure(
    make_app: MakeApp, make_visitor: MakeVisitor, tmp_path: Path
) -> None:
    book = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Foxes of the north\n\n" + "Draw some foxes. " * 40),
            nbformat.v4.new_code_cell("import workbench as wb"),
            nbformat.v4.new_code_cell("wb.Workbench(height=500)"),
        ]
    )
    nbformat.write(book, tmp_path / "words.ipynb")
    visitor = make_visitor(
        app=make_app(options=["--notebook", tmp_path / "words.ipynb"]), viewport=WIDE
    ).open()
    expect(visitor.page.get_by_role("heading", name="Foxes of the north")).to_be_visible()
    box = visitor.page.locator(".jp-MarkdownOutput").first.bounding_box()
    assert box
    assert 400 < box["width"] < 1100
    assert box["x"] > 20
    visitor.shoot("voila-words")


@pytest.mark.faults
def test_a_page_whose_kernel_died_too_early_says_so_once(
    make_app: MakeApp, make_visitor: MakeVisitor, tmp_path: Path
) -> None:
    notebook = _write(tmp_path / "fatal.ipynb", "import os; os._exit(3)", "wb.Workbench()")
    visitor = make_visitor(app=make_app(options=["--notebook", notebook]))
    visitor.console.allow("404|WebSocket|ERR_|Kernel|kernel|Not Found")
    visitor.open(ready=False)
    alert = visitor.page.get_by_role("alert").filter(visible=True)
    expect(alert).to_have_count(1, timeout=60_000)
    expect(alert).to_contain_text("This page cannot be shown just now.")
    visitor.shoot("voila-failed")


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.req("LIVE-7")
def test_a_page_that_comes_after_its_kernel_ended_offers_to_load_it_again(
    make_app: MakeApp, make_visitor: MakeVisitor
) -> None:
    soon = ["--PageKernels.never_seen_s=2", "--PageKernels.cull_interval=1"]
    app = make_app(options=["--", *soon])
    visitor = make_visitor(app=app)
    visitor.console.allow(
        r"^Failed to load resource: .* 404 \(Not Found\) \(http://[^/]*/api/kernels/[-0-9a-f]{36}\b",
        r"^Plugin '.*' failed to activate\. "
        r"Error: The model for kernel id [-0-9a-f]{36} does not exist\n",
    )

    def late(route: Route) -> None:
        app.expect_kernels(0)
        route.continue_()

    visitor.page.route("**/voila.js", late)
    visitor.page.goto(app.url(), timeout=FIRST_LOOK_S * 1000)
    ended = visitor.page.get_by_role("alert")
    expect(ended).to_be_visible()
    expect(ended).to_contain_text("This page waited too long to be shown.")
    assert ended.bounding_box() == {"x": 0, "y": 0, **DESKTOP}, "the page below has no words for it"
    visitor.shoot("voila-ended")
    with visitor.page.expect_navigation(timeout=FIRST_LOOK_S * 1000):
        ended.get_by_role("link", name="Load it again").click()
