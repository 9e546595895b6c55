"""The notebooks run from top to bottom, unattended, and through a killed kernel."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbclient.util import run_sync

import workbench as wb
from workbench.jupyter.cli import build_parser
from workbench.workspace.settings import Settings, load_settings

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
PICTURE = "data:image/webp;base64,"
# A cell that waits for a restart: it runs in the next kernel.
RESTART_BEFORE = "after-restart"
RESTARTED = [path for path in NOTEBOOKS if f'"{RESTART_BEFORE}"' in path.read_text("utf-8")]
# A cell for the author of the app, which is not on its page.
NOT_ON_THE_PAGE = "remove-cell"
WIDGET = "application/vnd.jupyter.widget-view+json"

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Path:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def own_workspace(workspace_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Kernels and this test open the same workspace, which belongs to this test."""
    monkeypatch.setenv("WORKBENCH_HOME", str(workspace_home / "workspace"))
    monkeypatch.setenv("IPYTHONDIR", str(workspace_home / ".ipython"))
    return workspace_home


def pictures(cell: Any) -> int:
    """How many pictures the outputs of a cell hold."""
    return sum(
        "".join(output.get("data", {}).get("text/html", "")).count(PICTURE)
        for output in cell.get("outputs", ())
    )


def errors(nb: Any) -> list[str]:
    return [
        f"{cell['id']}: {output['ename']}: {output['evalue']}"
        for cell in nb.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "error"
    ]


def check_workspace(ws: wb.Workspace) -> None:
    """Whatever a notebook did: rows, files, feed and money agree."""
    report = ws.doctor()
    assert report.ok, report
    ledger = ws.ledger()
    assert ledger["amount"].sum() == ws.balance
    settled = ledger[ledger["kind"] == "settle"]["generation_id"]
    assert settled.is_unique
    completed = set()
    cursor = None
    while True:
        page = ws.generations(status="completed", limit=500, cursor=cursor)
        completed |= {item.id for item in page.items}
        cursor = page.next_cursor
        if cursor is None:
            break
    assert set(settled) == (completed if len(ledger) else set())  # a model may be free


@pytest.mark.faults  # long
@pytest.mark.req("RES-4", "APP-1")
def test_a_notebook_runs_unattended_under_papermill(notebook: Path, tmp_path: Path) -> None:
    done = papermill.execute_notebook(
        notebook,
        tmp_path / "done.ipynb",
        kernel_name="python3",
        progress_bar=False,
        execution_timeout=240,
        cwd=os.getcwd(),  # noqa: PTH109  (a string for papermill)
    )
    assert errors(done) == []
    # Pictures of the app are made by people.
    assert sum(pictures(cell) for cell in done.cells) >= (0 if notebook.stem == "app" else 4)
    assert (tmp_path / "done.ipynb").stat().st_size < 3_000_000
    with wb.open(run_jobs=False) as ws:
        check_workspace(ws)


@pytest.mark.faults  # a kill
@pytest.mark.req("RES-4", "LIVE-4")
@pytest.mark.parametrize("notebook", RESTARTED, ids=lambda path: path.stem)
def test_a_notebook_survives_the_kill_of_its_kernel_in_the_middle(notebook: Path) -> None:
    nb = nbformat.read(notebook, as_version=4)
    places = [
        place
        for place, cell in enumerate(nb.cells)
        if RESTART_BEFORE in cell.get("metadata", {}).get("tags", ())
    ]
    assert places
    # The kill must meet it at work, though this test may sleep for a while before that.
    for place in places:
        made = next(c for c in reversed(nb.cells[:place]) if c.cell_type == "code")
        assert "delay_ms=150" in made.source
        made.source = made.source.replace("delay_ms=150", "delay_ms=400")
    client = NotebookClient(
        nb,
        timeout=240,
        kernel_name="python3",
        resources={"metadata": {"path": os.getcwd()}},  # noqa: PTH109  (a string for nbclient)
    )
    client.create_kernel_manager()
    client.start_new_kernel()
    client.start_new_kernel_client()
    try:
        for place, cell in enumerate(nb.cells):
            if place in places:
                accepted = snapshot()
                client.kc.stop_channels()
                run_sync(client.km.restart_kernel)(now=True)  # SIGKILL, no goodbye
                client.start_new_kernel_client()
            client.execute_cell(cell, place)
    finally:
        client._cleanup_kernel()
    assert errors(nb) == []
    with wb.open(run_jobs=False) as ws:
        work = ws.batch(accepted["id"])
        after = work.all_generations()
        assert [item.id for item in after] == accepted["generations"]  # the same, none twice
        assert [item.index for item in after] == list(range(len(after)))
        assert {item.status for item in after} == {"completed"}
        assert any(item.attempt > 1 for item in after)  # the kill met work that ran
        assert len({item.asset.id for item in after if item.asset}) == len(after)
        check_workspace(ws)


def snapshot() -> dict[str, Any]:
    """The newest batch and its generations, as another process sees them."""
    with wb.open(run_jobs=False) as ws:
        newest = ws.generations(limit=1).items[0].batch
        deadline = time.monotonic() + 60
        # Before its first stroke a picture is not started anew, but simply started.
        while not any(0 < item.progress < 1 for item in newest.generations):
            assert time.monotonic() < deadline, newest
            time.sleep(0.01)
        return {"id": newest.id, "generations": [item.id for item in newest.all_generations()]}


@pytest.mark.req("LAY-10", "CFG-8")
def test_the_quick_start_shows_the_pictures_of_later_cells_in_its_first_output() -> None:
    path = next(path for path in NOTEBOOKS if path.stem == "00_quickstart")
    nb = nbformat.read(path, as_version=4)
    NotebookClient(nb, timeout=240, kernel_name="python3").execute()
    assert errors(nb) == []
    bench = next(cell for cell in nb.cells if cell["id"] == "bench")
    assert pictures(bench) == 4
    with wb.open(run_jobs=False) as ws:
        (image, *_) = ws.generations(search="red fox", order="oldest").items
        assert image.rating == 5


@pytest.mark.req("LAY-1", "LAY-11")
def test_the_page_of_the_app_is_one_widget_and_what_people_make_there_is_theirs() -> None:
    nb = nbformat.read(NOTEBOOKS[0].with_name("app.ipynb"), as_version=4)
    shown = [cell for cell in nb.cells if NOT_ON_THE_PAGE not in cell.metadata.get("tags", ())]
    assert [cell.cell_type for cell in shown] == ["code", "code"]
    # What a click does, with the settings that people find in the panel.
    click = nbformat.v4.new_code_cell("batch = _.generate('a red fox in the snow')\nawait batch")
    nb.cells.append(click)
    NotebookClient(nb, timeout=240, kernel_name="python3").execute()
    assert errors(nb) == []
    assert shown[0].outputs == []
    assert WIDGET in shown[1].outputs[0].data
    assert pictures(shown[1]) == 4  # a sheet for whoever opens the saved file, below the widget
    with wb.open(run_jobs=False) as ws:
        check_workspace(ws)
        images = ws.generations(search="red fox").items
        assert len(images) == pictures(click) == 4
        assert {image.status for image in images} == {"completed"}


def test_each_notebook_says_how_to_go_on(notebook: Path) -> None:
    nb = nbformat.read(notebook, as_version=4)
    text = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    linked = {name for name in re.findall(r"\]\(([^)]+)\)", text) if "://" not in name}
    assert linked
    assert linked <= {path.name for path in NOTEBOOKS} - {notebook.name}


def test_what_the_notebooks_say_to_type_elsewhere_is_right(notebook: Path, tmp_path: Path) -> None:
    nb = nbformat.read(notebook, as_version=4)
    text = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    for line in re.findall(r"^jupyter workbench [^#\n]*", text, re.MULTILINE):
        assert build_parser().parse_args(line.split()[2:]).run
    for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        (tmp_path / "config.toml").write_text(block)
        assert load_settings(tmp_path) == Settings()  # it shows the defaults


def test_committed_notebooks_have_no_outputs(notebook: Path) -> None:
    nb = nbformat.read(notebook, as_version=4)
    nbformat.validate(nb)
    for cell in nb.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert "widgets" not in nb.metadata
