"""``%%imagine`` and ``%workbench`` in a real IPython shell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

import workbench as wb
from workbench.jupyter import load_ipython_extension, unload_ipython_extension


@pytest.fixture
def shell(workspace_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """An IPython session with the extension; its workspace lies in the current folder."""
    monkeypatch.setenv("IPYTHONDIR", str(workspace_home / ".ipython"))
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "workbench")
    yield shell
    magics = shell.magics_manager.registry["WorkbenchMagics"]
    for workspace in magics._opened.values():
        workspace.close()
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()


def run(shell: InteractiveShell, cell: str) -> Any:
    return shell.run_cell(cell, store_history=False)


SMALL = "--width 64 --height 64 --steps 4"


@pytest.mark.req("RES-13")
def test_a_cell_is_a_prompt_and_its_result_is_the_batch(shell: InteractiveShell) -> None:
    done = run(shell, f"%%imagine --model sketch -n 2 --seed 7 {SMALL}\na red fox\nin the snow\n")
    assert done.success
    batch = done.result
    assert batch.prompt == "a red fox\nin the snow"
    assert batch.status == "completed"
    assert [generation.seed for generation in batch.generations] == [7, 8]
    assert batch.generations[0].record.params["steps"] == 4
    bundle = batch._repr_mimebundle_()
    assert bundle["text/html"].count("<img") == 2


@pytest.mark.req("RES-13")
def test_without_waiting_the_batch_comes_at_once(shell: InteractiveShell) -> None:
    done = run(shell, f"%%imagine --no-wait --topic Foxes {SMALL}\na red fox\n")
    batch = done.result
    assert batch.topic.title == "Foxes"
    batch.wait(30)
    again = run(shell, f"%%imagine --topic Foxes --style ink {SMALL}\na red fox\n")
    assert again.result.topic == batch.topic
    assert again.result.generations[0].record.params["style"] == "ink"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-n many", "invalid int"),
        ("--sede 7", "--sede"),
        ("--model nothing", "there is no model"),
        ("-n 0", "n:"),
        ("--width 1000000", "width"),
        ("--style 'half", "cannot be read"),
        ("stray", "stray"),
    ],
)
def test_a_wrong_line_is_answered_with_a_sentence(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    done = run(shell, f"%%imagine {line}\na red fox\n")
    assert not done.success
    written = "".join(capsys.readouterr())
    assert said in written
    assert "Traceback" not in written


def test_an_empty_cell_is_answered_with_a_sentence(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(shell, "%%imagine\n \n").success
    assert "the cell is empty" in "".join(capsys.readouterr())


@pytest.mark.req("RES-13")
def test_the_line_magic_tells_about_the_workspace(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], workspace_home: Path
) -> None:
    with wb.open() as ws:
        ws.grant("12.5", "test")
    for topic, said in (
        ("doctor", "ok"),
        ("status", str(workspace_home / ".workbench")),
        ("balance", "12.5 token"),
    ):
        assert run(shell, f"%workbench {topic}").success
        assert said in capsys.readouterr().out


@pytest.mark.parametrize("line", ["", "docter", "doctor now", "'"])
def test_an_unknown_topic_is_answered_with_the_known_ones(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    assert not run(shell, f"%workbench {line}").success
    written = "".join(capsys.readouterr())
    assert "Traceback" not in written
    assert "doctor, status, balance" in written or "cannot be read" in written


def test_the_extension_can_be_unloaded(shell: InteractiveShell) -> None:
    unload_ipython_extension(shell)
    assert shell.find_cell_magic("imagine") is None
    assert shell.find_line_magic("workbench") is None
    load_ipython_extension(shell)
    assert shell.find_cell_magic("imagine") is not None
