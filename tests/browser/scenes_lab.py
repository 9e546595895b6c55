"""Scenes in JupyterLab where all is well: what the feed and the panels show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from playwright.sync_api import expect

from tests.browser.fault_proxy import FaultProxy
from tests.browser.scenes import (
    BENCH_HEIGHT,
    KEY,
    OPEN,
    SHOW,
    House,
    Scene,
    Setting,
    Stage,
    lab_stage,
)

DRAFT = "a small boat under a paper moon, calm sea, mountains behind"
# All painters but one are busy elsewhere. So one image comes after the other, each over many
# seconds: time to look at it.
SLOW = f"""
from workbench.providers.sketch.provider import SketchProvider
fog = topics["Forest, four seasons"]
busy = [ws.generate("fog", n=1, topic=fog, delay_ms=60_000)
        for _ in range(SketchProvider.concurrency - 1)]
bench.prompt = {DRAFT!r}
slow = ws.generate(bench.prompt, n=4, topic=topics["Harbour studies"], seed=5, delay_ms=1200)
"""
NOT_SLOW = """
for batch in [slow, *busy]:
    batch.cancel()
    batch.wait(60)
    batch.delete()
bench.prompt = ""
"""
SIMPLE = f"""bench = wb.Workbench(
    ws, simple=True, controls=["model", "n", "width", "height", "style"], height={BENCH_HEIGHT})
bench.topic = topics["Harbour studies"]
bench"""
PROJECTS = """
topics["Harbour studies"].project.title = "Sketchbook"
figures = ws.create_project("Figures for the paper")
for title in ("Palette sweep", "Figure 3, night"):
    topics[title].project = figures
ws.create_topic("Figure 4", project=figures)
"""
# Time enough for what the page says meanwhile to get lost.
LATER = f"""import time
time.sleep(4)
wb.Workbench(ws, height={BENCH_HEIGHT})"""


# -- what is done ---------------------------------------------------------------------------------


def _hover_second(stage: Stage) -> None:
    stage.cards().nth(1).hover()


def _draft(stage: Stage) -> None:
    stage.bench.py(f"bench.prompt = {DRAFT!r}")
    expect(stage.root.get_by_test_id("prompt")).to_have_value(DRAFT)


def _no_draft(stage: Stage) -> None:
    stage.bench.py("bench.prompt = ''")


def _empty_topic(stage: Stage) -> None:
    stage.bench.py("ideas = ws.create_topic('Ideas')\nbench.topic = ideas")
    expect(stage.root.get_by_test_id("empty")).to_be_visible()


def _leave_empty_topic(stage: Stage) -> None:
    stage.show("Harbour studies")
    stage.bench.py("ideas.delete()")


@contextmanager
def _without_key(house: House) -> Iterator[Stage]:
    """A model was chosen while there was a key, which has gone since."""
    with lab_stage(house, "no-key", (OPEN, SHOW)) as stage:
        stage.bench.py(
            f"import os\nos.environ['OPENAI_API_KEY'] = {KEY!r}\n"
            "bench.config.model = 'openai:gpt-image-2'\ndel os.environ['OPENAI_API_KEY']"
        )
        stage.bench.notebook.reload()
        expect(stage.root.get_by_test_id("model-missing")).to_be_attached()
        yield stage


def _slow(stage: Stage) -> None:
    stage.bench.py(SLOW)
    stage.root.get_by_test_id("feed").evaluate("feed => { feed.scrollTop = 0; }")
    expect(stage.cards("queued").first).to_be_visible()
    # The second one: beside it one that is finished, and two that wait.
    stage.page.wait_for_function(
        """() => [...document.querySelectorAll("[data-status=processing]")]
          .some(card => Number(card.dataset.progress) >= 20
            && card.parentElement.querySelector("[data-status=completed]"))""",
        timeout=180_000,
    )


def _stop_slow(stage: Stage) -> None:
    stage.bench.py(NOT_SLOW)


def _pause(stage: Stage) -> None:
    stage.bench.py(
        "ws.pause()\nwaiting = ws.generate('a lighthouse at night', n=2, "
        "topic=topics['Harbour studies'])"
    )
    stage.root.get_by_test_id("feed").evaluate("feed => { feed.scrollTop = 0; }")
    expect(stage.cards("pending")).to_have_count(2)


def _resume(stage: Stage) -> None:
    stage.bench.py("waiting.cancel()\nws.resume()\nwaiting.delete()")


# -- a page that hears nothing --------------------------------------------------------------------


@contextmanager
def _deaf(house: House) -> Iterator[Stage]:
    """A page of which the kernel hears nothing more, once a widget is on its way to it."""
    with (
        FaultProxy(house.server.port) as proxy,
        lab_stage(house, "loading", (OPEN, SHOW), port=proxy.port) as stage,
    ):
        stage.proxy = proxy
        yield stage


def _load(stage: Stage) -> None:
    proxy = _proxy(stage)
    before = stage.bench.root.count()
    stage.bench.notebook.insert_and_run(LATER, wait=False)
    stage.page.wait_for_timeout(1500)  # the cell is under way
    proxy.swallow_up = True
    expect(stage.bench.root).to_have_count(before + 1, timeout=60_000)
    expect(stage.root.get_by_test_id("link-note")).to_be_visible()


def _proxy(stage: Stage) -> FaultProxy:
    assert stage.proxy is not None
    return stage.proxy


def _loaded(stage: Stage) -> None:
    proxy = _proxy(stage)
    proxy.heal()
    proxy.cut()
    expect(stage.root.get_by_test_id("live")).to_have_attribute(
        "data-state", "live", timeout=60_000
    )


SETTINGS = (
    Setting(
        partial(lab_stage, name="feed", cells=(OPEN, SHOW)),
        {
            "pictures": Scene(
                says="A topic with finished pictures; the pointer is over the second.",
                act=_hover_second,
                undo=Stage.point_away,
                each=True,
            ),
            "draft": Scene(
                says="A prompt is being written.", act=_draft, undo=_no_draft, once=True
            ),
            "empty-topic": Scene(
                says="A topic without pictures.",
                act=_empty_topic,
                undo=_leave_empty_topic,
                once=True,
            ),
        },
    ),
    Setting(
        partial(lab_stage, name="active", cells=(OPEN, SHOW)),
        {
            "active": Scene(
                says="One is finished, one under way with its preview, two are in the queue.",
                act=_slow,
                undo=_stop_slow,
            ),
            "paused": Scene(
                says="The queue is paused; two images wait to start.",
                act=_pause,
                undo=_resume,
                once=True,
            ),
        },
    ),
    Setting(
        partial(lab_stage, name="projects", cells=(OPEN + PROJECTS, SHOW)),
        {
            "projects": Scene(
                says="Topics in two projects.",
                act=partial(Stage.look_at, side="topics"),
                undo=Stage.close_drawer,
                each=True,
            )
        },
    ),
    Setting(
        _without_key,
        {
            "no-key": Scene(
                says="The chosen model cannot be used without a key.",
                act=partial(Stage.look_at, side="config"),
                undo=Stage.close_drawer,
                each=True,
            )
        },
    ),
    Setting(
        partial(lab_stage, name="simple", cells=(OPEN, SIMPLE)),
        {"simple": Scene(says="For people who do not code: the controls that an author chose.")},
    ),
    Setting(
        partial(
            lab_stage,
            name="empty",
            cells=("import workbench as wb", f"bench = wb.Workbench(height={BENCH_HEIGHT})\nbench"),
            copied=False,
        ),
        {"empty": Scene(says="A new workspace: nothing here yet.")},
    ),
    Setting(
        _deaf,
        {"loading": Scene(says="The kernel has not answered yet.", act=_load, undo=_loaded)},
    ),
)
