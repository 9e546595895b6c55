"""The fixtures of this folder do what they say, with plain cells."""

from __future__ import annotations

import pytest

from tests.browser.conftest import MakeLab
from tests.browser.fault_proxy import FaultProxy
from tests.browser.lab_world import Host, LabPage, eventually


@pytest.mark.parametrize("host", ["lab", "notebook"])
def test_cells_run_and_a_kernel_restarts_in_both_front_ends(lab: LabPage, host: Host) -> None:
    notebook = lab.write_and_open(["a = 6", "print(a * 7)"], host=host)
    notebook.run_all()
    assert notebook.text(1) == "42\n"
    notebook.restart()
    index = notebook.insert_and_run("print('a' in globals())")
    assert notebook.text(index) == "False\n"
    notebook.reload()
    assert notebook.text(index) == "False\n"


def test_a_cell_that_runs_can_be_seen_running(lab: LabPage) -> None:
    notebook = lab.write_and_open(["import time\ntime.sleep(30)"])
    notebook.run(0, wait=False)
    notebook.wait_status("busy")
    notebook.interrupt()
    notebook.wait_status("idle")


def test_the_theme_can_be_switched(lab: LabPage) -> None:
    lab.write_and_open(["1"])
    lab.set_theme("dark")
    lab.set_theme("light")


def test_a_cut_connection_comes_back(make_lab: MakeLab, proxy: FaultProxy) -> None:
    lab = make_lab(port=proxy.port)
    lab.console.allow("WebSocket|ERR_|Failed to fetch")
    notebook = lab.write_and_open(["print('here')"])
    with proxy.down():
        eventually(notebook.connection, lambda status: status != "connected")

    def ask_again() -> str:
        # By itself JupyterLab tries again after a time that it draws, and that may be minutes;
        # and a try of its own that failed may end, half a minute later, what was asked for here.
        status = notebook.status()
        if status != "idle":
            notebook._in_panel("panel.sessionContext.session.kernel.reconnect().catch(() => {})")
        return status

    eventually(ask_again, lambda status: status == "idle", within_s=90, every_s=5)
    notebook.run(0)
    assert notebook.text(0) == "here\n"


def test_swallowed_bytes_leave_the_connection_open(make_lab: MakeLab, proxy: FaultProxy) -> None:
    lab = make_lab(port=proxy.port)
    lab.console.allow("WebSocket|ERR_|Failed to fetch")
    notebook = lab.write_and_open(["print('here')"])
    proxy.swallow_down = True
    notebook.run(0, wait=False)
    eventually(lambda: proxy.swallowed_bytes, lambda count: count > 0)
    assert notebook.connection() == "connected"
    assert notebook.text(0) == ""
    proxy.heal()

    def run_again() -> str:
        notebook.run(0, wait=False)  # its page may still believe that the kernel is busy
        return notebook.text(0)

    eventually(run_again, lambda text: text == "here\n", within_s=30)
