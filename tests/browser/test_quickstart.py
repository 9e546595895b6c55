"""The quick start as `jupyter workbench lab` opens it: what its first sentences promise is so."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Locator, expect

from tests.browser.bench_page import Bench
from tests.browser.conftest import MakeLab
from tests.browser.lab_world import OpenNotebook, eventually
from tests.browser.servers import JupyterServer

SHIPPED = Path(__file__).parents[2] / "notebooks" / "00_quickstart.ipynb"
PROMPT = "a lighthouse on a cliff, evening light"
WIDGET_CELL = 1  # the first cell of code
# "run the next cell (Shift + Enter)": as a person does it, and not by a command.
RUN = "Shift+Enter"


def run_widget_cell(notebook: OpenNotebook) -> None:
    notebook.cell(WIDGET_CELL).locator(".cm-content").click()
    notebook.page.keyboard.press(RUN)


def reload_unsaved(notebook: OpenNotebook) -> None:
    """F5, and yes to JupyterLab's question whether to leave: the output was never in the file."""
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    notebook.page.once("dialog", answer)
    notebook.page.reload(timeout=90_000)
    assert asked == ["beforeunload"]
    notebook.wait_ready()


def expect_painted(thumb: Locator) -> None:
    # One whose address changes meanwhile, from a preview to the picture, cannot be decoded.
    painted = "image => image.decode().then(() => image.naturalWidth >= 200, () => false)"
    eventually(lambda: thumb.evaluate(painted), bool)


@pytest.mark.faults  # long
@pytest.mark.timeout(400)  # a server of its own, and two kernels
@pytest.mark.req("PRM-4", "FEED-2", "LBX-1", "FEED-9", "LAY-10", "APP-1")
def test_the_quick_start_keeps_what_it_promises(
    own_jupyter: JupyterServer,
    make_lab: MakeLab,  # so that its page goes first
) -> None:
    lab = make_lab(server=own_jupyter)
    path = own_jupyter.folder / SHIPPED.name
    assert path.read_bytes() == SHIPPED.read_bytes(), "the file that everybody gets"
    assert f"/lab/tree/{SHIPPED.name}" in own_jupyter.said()
    lab.page.goto(own_jupyter.url(f"lab/tree/{SHIPPED.name}"))
    notebook = OpenNotebook(lab, path, "lab")
    notebook.wait_ready()

    # "Run the next cell, type what you want to see, and press Generate."
    run_widget_cell(notebook)
    bench = Bench(notebook).ready()
    bench.generate(PROMPT)
    expect(bench.cards()).to_have_count(4)
    bench.expect_all_completed(4)
    made = bench.ids()
    for id in made:
        thumb = bench.card(id).get_by_test_id("thumb")
        thumb.scroll_into_view_if_needed()
        expect_painted(thumb)
    lab.shoot("quickstart")
    bench.card(made[0]).get_by_test_id("thumb").click()
    box = bench.anywhere("lightbox")
    expect(box).to_contain_text(PROMPT)
    image = box.get_by_test_id("lightbox-image")
    expect(image).to_be_visible()
    expect_painted(image)
    lab.page.keyboard.press("Escape")
    expect(box).to_have_count(0)

    # "Reload the page, restart the kernel, nothing is lost (save the notebook before, or run the
    # cell again)."
    reload_unsaved(notebook)
    expect(bench.root).to_have_count(0)
    run_widget_cell(notebook)
    bench.ready()
    bench.expect_all_completed(4)
    assert bench.ids() == made
    notebook.reload()
    bench.ready()
    bench.expect_all_completed(4)
    assert bench.ids() == made
    notebook.restart()
    expect(bench.find("link-note")).to_contain_text("Nothing is lost: run this cell again")
    run_widget_cell(notebook)
    bench.ready()
    bench.expect_all_completed(4)
    assert bench.ids() == made
    expect_painted(bench.card(made[0]).get_by_test_id("thumb"))

    # "What Python does shows above": the other cells, in the same topic.
    notebook.run_all()
    expect(bench.cards("completed")).to_have_count(8)
    rated = bench.py("print(fox.id)").strip()
    assert rated not in made
    expect(bench.card(rated).get_by_test_id("favourite")).to_have_attribute("aria-pressed", "true")
    assert eventually(bench.ids, lambda now: len(now) == 8)[-4:] == made
    assert (own_jupyter.folder / ".workbench").is_dir()
