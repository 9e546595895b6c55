"""What a saved notebook shows of a widget: pictures, inside a budget, in an output of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

import workbench as wb
from tests.waiting import until
from workbench.widgets import contact_sheet
from workbench.widgets.contact_sheet import MAX_BYTES, fallback
from workbench.widgets.desk import Desk

VIEW = "application/vnd.jupyter.widget-view+json"
PICTURE = "data:image/webp;base64,"
REPOSITORY = Path(__file__).parents[2]

pytestmark = [pytest.mark.timeout(240), pytest.mark.req("LAY-10")]

START = """
import workbench as wb
bench = wb.Workbench()
bench
"""
MAKE = "batch = bench.generate('a red fox', n=3, seed=7, width=256, height=256, steps=3)\n"


@pytest.fixture(autouse=True)
def own_workspace(workspace_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(workspace_home / "workspace"))
    monkeypatch.setenv("IPYTHONDIR", str(workspace_home / ".ipython"))
    monkeypatch.setenv("A_KEY_API_KEY", "sk-canary-0123456789")
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    return workspace_home


def executed(*cells: str) -> Any:
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=180, kernel_name="python3").execute()
    return notebook


def sheets(cell: Any) -> list[str]:
    found = [output.get("data", {}).get("text/html", "") for output in cell["outputs"]]
    return [html for html in found if "data-wbx-sheet" in html]


def test_a_cell_that_shows_a_widget_gets_the_sheet_below_it() -> None:
    first, second = executed(START, MAKE + "_ = await batch").cells
    view, sheet = first["outputs"]
    model = view["data"][VIEW]["model_id"]
    assert view["output_type"] == "execute_result"
    assert view["data"]["text/html"] == "<div></div>"
    assert view["data"]["text/plain"] == "<Workbench of 'workspace'>"
    assert sheet["output_type"] == "display_data"
    # The pictures came with the second cell; the sheet of the first one has them.
    (html,) = sheets(first)
    assert html.startswith(f'<div class="wbx-sheet" data-wbx-sheet="{model}">')
    assert html.count(PICTURE) == 3
    assert "a red fox" in html
    assert "run the cell to bring it back" in html
    assert len(html.encode()) <= MAX_BYTES + 800
    assert not sheets(second)


def test_a_notebook_of_many_pictures_keeps_the_budget() -> None:
    code = """
import io, random
from PIL import Image
batches = []
for seed in range(40):
    random.seed(seed)
    noise = Image.frombytes("RGB", (256, 256), random.randbytes(3 * 256 * 256))
    batches.append(noise)
bench.topic = bench.workspace.import_images(batches).topic
"""
    first, _ = executed(START, code).cells
    (html,) = sheets(first)
    assert 3 <= html.count(PICTURE) <= 24
    assert len(html.encode()) <= MAX_BYTES + 800
    assert re.search(r"and \d+ more", html)


def test_nothing_secret_and_no_path_is_in_the_outputs(own_workspace: Path) -> None:
    notebook = executed(START, MAKE + "_ = await batch", "bench.config")
    text = nbformat.writes(notebook)
    assert "sk-canary" not in text
    outputs = "".join(str(cell["outputs"]) for cell in notebook.cells)
    assert str(own_workspace) not in outputs


def test_a_widget_in_a_box_or_shown_twice_is_no_error() -> None:
    cells = executed(
        START,
        MAKE + "_ = await batch",
        "import ipywidgets\nipywidgets.HBox([wb.PromptBox(bench), wb.TokenBalance(bench)])",
        "bench",
        "display(bench)",
        "bench.close()\nbench",
    ).cells
    assert [len(sheets(cell)) for cell in cells] == [1, 0, 0, 1, 1, 0]  # of a box: none
    assert sheets(cells[0]) == sheets(cells[3]) == sheets(cells[4])
    assert cells[5]["outputs"][0]["data"] == {"text/plain": "<Workbench closed>"}


def test_a_small_widget_leaves_a_note_and_no_pictures() -> None:
    first, *_ = executed("import workbench as wb\nchip = wb.TokenBalance()\nchip", "1").cells
    (html,) = sheets(first)
    assert "TokenBalance is a live view" in html
    assert PICTURE not in html


def test_a_closed_widget_leaves_its_sheet_as_it_is() -> None:
    first, *_ = executed(
        START, MAKE + "_ = await batch", "ws = wb.open()\nbench.close()", "1"
    ).cells
    (html,) = sheets(first)
    assert html.count(PICTURE) == 3


def test_hostile_titles_and_prompts_stay_text() -> None:
    code = """
evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
bench.topic = bench.workspace.create_topic(evil)
_ = await bench.generate(evil, n=1, width=64, height=64, steps=2)
"""
    first, _ = executed(START, code).cells
    (html,) = sheets(first)
    assert "<script" not in html
    assert "onerror=alert(1)>" not in html.replace("&lt;img src=x onerror=alert(1)&gt;", "")
    assert "<b>" not in fallback("<b>")


def test_a_word_longer_than_a_card_is_broken() -> None:
    code = '_ = await bench.generate("x" * 80, n=1, width=64, height=64, steps=2)'
    first, _ = executed(START, code).cells
    (html,) = sheets(first)
    (style,) = re.findall(r'style="([^"]*)">x{80}<', html)
    assert "overflow-wrap:anywhere" in style


def test_export_to_html_shows_pictures_and_no_broken_widget(
    own_workspace: Path, tmp_path: Path
) -> None:
    path = tmp_path / "n.ipynb"
    cells = [new_code_cell(START), new_code_cell(MAKE + "_ = await batch")]
    nbformat.write(new_notebook(cells=cells), path)
    convert = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", str(path)]
    done = subprocess.run(convert, capture_output=True, text=True, check=False, timeout=220)
    assert done.returncode == 0, done.stderr[-2000:]
    html = path.with_suffix(".html").read_text(encoding="utf-8")
    assert html.count(PICTURE) == 3
    assert "Error displaying widget" not in html
    assert path.with_suffix(".html").stat().st_size < 3_000_000


def test_in_scripts_there_is_no_sheet(workspace_home: Path) -> None:
    code = """
import workbench as wb
bench = wb.Workbench()
bundle = bench._repr_mimebundle_()
print(sorted(bundle))
print(bundle["text/html"])
bench.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, html = done.stdout.strip().splitlines()
    assert names == str([VIEW, "text/html", "text/plain"])
    assert "run the cell to bring it back" in html


class Shell:
    """As much of a kernel's shell as the sheet touches; it keeps what is displayed."""

    def __init__(self) -> None:
        self.events, self.display_pub = self, self
        self.parent_header = {"msg_id": "cell-1"}
        self.displayed: list[tuple[str, bool]] = []
        self.ended: Any = None

    def register(self, _event: str, callback: Any) -> None:
        self.ended = callback

    def unregister(self, _event: str, _callback: Any) -> None:
        self.ended = None

    def publish(self, *, data: dict[str, str], transient: dict[str, str], update: bool) -> None:
        assert transient["display_id"].startswith("wbx-")
        self.displayed.append((data["text/html"], update))


def test_where_a_page_shows_the_live_view_the_sheet_lets_its_pictures_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell()
    monkeypatch.setattr(contact_sheet, "_kernel_shell", lambda: shell)
    monkeypatch.setattr(contact_sheet, "SOON_S", 0.2)
    with wb.open(tmp_path / "ws") as ws:
        desk = Desk.of(ws, "notebook")
        batch = ws.generate("a red fox", n=2, width=64, height=64).wait(60)
        desk.change({"topic_id": batch.topic.id})
        sheet = contact_sheet.ContactSheet(
            "Workbench", "m1", ws, desk, pictures=True, has_pages=lambda: True
        )
        assert sheet.show()
        shell.ended()
        note, update = shell.displayed[0]  # what comes soon after may be there already
        assert PICTURE not in note
        assert "run the cell to bring it back" in note
        assert not update
        until(lambda: len(shell.displayed) >= 2, "the pictures")
        html, update = shell.displayed[1]
        assert html.count(PICTURE) == 2
        assert update
        sheet.close()
