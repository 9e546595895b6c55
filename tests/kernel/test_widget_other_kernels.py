"""The reply route where there is none to pin, and where the pin would make a comm deaf."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.kernel.kernel_world import NO_SUBSHELLS, opened, settled
from tests.waiting import until
from tests.widgets.page_world import Page
from workbench.widgets.protocol import VERSION

pytestmark = [pytest.mark.timeout(120), pytest.mark.req("LIVE-9")]

# ipykernel 7.0 to 7.3: what the page writes into the header decides.
HEADER_DECIDES = """
from ipykernel.comm.comm import BaseComm
del BaseComm._reply_subshell_for
"""

TOLD = "[e.text for e in ws.debug.entries(kind='callback') if 'have to wait for it' in e.text]"

# An ipykernel to come that wants something else from the method: what we answer is no subshell.
OTHER_ANSWER = """
from ipykernel.subshell_manager import SubshellManager
_find = SubshellManager.get_shell_channel_to_subshell_socket
def find(self, subshell_id):
    if isinstance(subshell_id, str):
        raise TypeError("a tuple is wanted")
    return _find(self, subshell_id)
SubshellManager.get_shell_channel_to_subshell_socket = find
"""

# One that has no way to make a subshell from the shell channel's thread.
NO_CREATION = """
from ipykernel.subshell_manager import SubshellManager
def create(self):
    raise RuntimeError("not here")
SubshellManager._create_subshell = create
"""


def test_a_kernel_without_subshells_is_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path, program=NO_SUBSHELLS) as kernel:
        page = settled(kernel.widget())
        assert page.call("topic.create", title="Foxes")["topic"]["title"] == "Foxes"
        assert kernel.value("w._channel.pin.state") == "none"
        assert set(kernel.value("threads")) == {"MainThread"}
        assert kernel.value("'_reply_subshell_for' in vars(w.comm)") is False
        with kernel.busy("time.sleep(8)") as cell:  # then a click waits, and is not lost
            rid = page.send("trash")
            assert page.answer(rid)["ok"]
            assert cell.ended


def test_an_older_kernel_follows_the_header_of_the_page(tmp_path: Path) -> None:
    with opened(tmp_path, before=HEADER_DECIDES) as kernel:
        comm = kernel.widget()
        comm.subshell = kernel.control("create_subshell_request")["subshell_id"]
        page = settled(comm)
        assert kernel.value("w._channel.pin.state") == "none"
        with kernel.busy("time.sleep(30)") as cell:
            assert page.call("trash") == {"items": []}
            assert not cell.ended


@pytest.mark.parametrize("host", [OTHER_ANSWER, NO_CREATION], ids=["other answer", "no creation"])
def test_a_pin_that_makes_the_comm_deaf_is_undone(tmp_path: Path, host: str) -> None:
    with opened(tmp_path, before=host) as kernel:
        comm = kernel.widget()
        page = Page(comm)
        start = time.monotonic()
        rid = ""
        while time.monotonic() - start < 15:  # as a page does until it is heard
            rid = page.send("hello", {"version": VERSION}, rid=rid or None)
            try:
                until(lambda rid=rid: page.answered(rid), "hello", 0.7)
                break
            except AssertionError:
                continue
        assert page.answer(rid)["ok"]
        assert kernel.value("w._channel.pin.state") == "undone"
        assert kernel.value("'_reply_subshell_for' in vars(w.comm)") is False
        assert page.call("trash") == {"items": []}
        until(lambda: kernel.value(TOLD), "the event log says so")
        if host == OTHER_ANSWER:
            other = kernel.widget("other")
            assert kernel.value("other._channel.pin.state") == "none"
            settled(other)  # at once


def test_a_widget_without_a_kernel_has_nothing_to_pin() -> None:
    from workbench.widgets.route import Pin

    class Plain:
        """A comm of another host."""

    for comm in (None, Plain(), object()):
        pin = Pin(comm, lambda: None, lambda error: None)
        pin.arrived()
        pin.undo()
        assert (pin.state, pin.in_doubt()) == ("none", False)
