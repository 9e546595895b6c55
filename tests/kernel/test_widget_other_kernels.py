"""The reply route where there is none to pin, and where the pin would make a comm deaf."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.kernel.kernel_world import NO_SUBSHELLS, opened, settled
from tests.waiting import until
from tests.widgets.page_world import Page
from workbench.widgets.protocol import VERSION

pytestmark = [pytest.mark.timeout(240), pytest.mark.req("LIVE-9")]

# ipykernel 7.0 to 7.3: what the page writes into the header decides.
HEADER_DECIDES = """
from ipykernel.comm.comm import BaseComm
del BaseComm._reply_subshell_for
"""

TOLD = "[e.text for e in ws.debug.entries(kind='callback') if 'have to wait for it' in e.text]"

UNTIL_LET_GO = """
import pathlib
while not pathlib.Path("go-on").exists(): time.sleep(0.05)
"""

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
        with kernel.busy(UNTIL_LET_GO) as cell:  # then a click waits, and is not lost
            rid = page.send("trash")
            time.sleep(1.0)  # in which another thread would have answered it
            assert not page.answered(rid)
            assert not cell.ended
            (tmp_path / "go-on").touch()
            assert page.answer(rid)["ok"]
            until(lambda: cell.ended, "the cell ends by itself")


def test_an_older_kernel_follows_the_header_of_the_page(tmp_path: Path) -> None:
    with opened(tmp_path, before=HEADER_DECIDES) as kernel:
        comm = kernel.widget()
        comm.subshell = kernel.control("create_subshell_request")["subshell_id"]
        page = settled(comm)
        assert kernel.value("w._channel.pin.state") == "none"
        with kernel.busy("time.sleep(600)") as cell:
            assert page.call("trash") == {"items": []}
            assert not cell.ended


@pytest.mark.parametrize("host", [OTHER_ANSWER, NO_CREATION], ids=["other answer", "no creation"])
def test_a_pin_that_makes_the_comm_deaf_is_undone(tmp_path: Path, host: str) -> None:
    with opened(tmp_path, before=host) as kernel:
        kernel.run("route.ECHO_WITHIN = 8")
        comm = kernel.widget()
        page = Page(comm)
        rid = "again-1"  # of a slow kernel each of them may get an answer

        def heard() -> bool:
            page.send("hello", {"version": VERSION}, rid=rid)
            time.sleep(0.7)
            return page.answered(rid)

        until(heard, "hello, asked again as a page does until it is heard")
        assert page.answer(rid)["ok"]
        assert kernel.value("w._channel.pin.state") == "undone"
        assert kernel.value("'_reply_subshell_for' in vars(w.comm)") is False
        assert page.call("trash") == {"items": []}
        until(lambda: kernel.value(TOLD), "the event log says so")
        if host == OTHER_ANSWER:
            other = kernel.widget("other")
            assert kernel.value("other._channel.pin.state") == "none"
            settled(other)  # at once


# A kernel whose own subshell is so slow that nothing of it is heard for as long as the test wants.
LATE = """
from workbench.widgets import channel, route
route.ECHO_AFTER_S, route.ECHO_WITHIN = 0.05, 3
in_time = threading.Event()
on_time = channel.Channel.receive
def late(self, content, buffers=()):
    if route.is_own_thread():
        in_time.wait()
    on_time(self, content, buffers)
channel.Channel.receive = late
"""


def test_a_pin_that_was_given_up_too_early_is_made_again(tmp_path: Path) -> None:
    with opened(tmp_path) as kernel:
        kernel.run(LATE)
        page = Page(kernel.widget())
        rid = page.send("hello", {"version": VERSION})
        until(lambda: kernel.value("w._channel.pin.state") == "undone", "the pin is given up")
        assert kernel.value("'_reply_subshell_for' in vars(w.comm)") is False
        other = kernel.widget("other")
        assert kernel.value("other._channel.pin.state") == "none"
        kernel.run("in_time.set()")
        assert page.answer(rid)["ok"]
        until(lambda: kernel.value("w._channel.pin.state") == "proven", "it is made again")
        assert kernel.value("other._channel.pin.state") == "proven"
        another = settled(other)
        with kernel.busy("time.sleep(600)") as cell:
            assert page.call("trash") == another.call("trash") == {"items": []}
            assert not cell.ended
        told = "[e.level for e in ws.debug.entries() if 'were late' in e.text]"
        until(lambda: kernel.value(told) == ["info"], "the event log says so")
        kernel.run("w.close()")
        assert kernel.value("w._channel.pin.state") == "undone"


def test_a_widget_without_a_kernel_has_nothing_to_pin() -> None:
    from workbench.widgets.route import Pin

    class Plain:
        """A comm of another host."""

    for comm in (None, Plain(), object()):
        pin = Pin(comm, lambda: None, lambda error: None)
        pin.arrived()
        pin.undo()
        assert (pin.state, pin.in_doubt()) == ("none", False)
