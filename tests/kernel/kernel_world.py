"""A real kernel with a real widget in it; the test plays the page, with real comm messages."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from tests.waiting import until
from tests.widgets.page_world import Page, Wire

if TYPE_CHECKING:
    from jupyter_client.blocking import BlockingKernelClient

# Before anything of ours is imported in the kernel; the front end need not be built.
START = """
import threading, time, asyncio
import workbench as wb
from workbench.widgets import bundle, channel, route
bundle._read = lambda name: b"// image-workbench 0123456789abcdef:\\nexport default {}"
# On a machine that pauses a thread starts late, and the end is told late.
route.ECHO_WITHIN, channel._END_S = 75, 45.0
threads = []
_receive = channel.Channel.receive
def receive(self, content, buffers=()):
    threads.append(threading.current_thread().name)
    _receive(self, content, buffers)
channel.Channel.receive = receive
ws = wb.open("workspace", user="ada")
"""

# An ipykernel without subshells, as 6.x is and as other kernels are.
NO_SUBSHELLS = """
from ipykernel.kernelapp import IPKernelApp
class App(IPKernelApp):
    def init_control(self, context):
        super().init_control(context)
        self.shell_channel_thread = None
App.launch_instance()
"""


@dataclass
class Cell:
    """What a cell printed, and whether it has ended."""

    text: str = ""
    error: str | None = None
    html: str = ""
    ended: bool = False
    ended_at: float = 0.0


@dataclass
class Comm(Wire):
    """The comm of one widget, seen from the page's side."""

    kernel: Kernel = field(default_factory=lambda: None)  # type: ignore[assignment, return-value]
    id: str = ""
    subshell: str | None = None  # what JupyterLab writes into its headers

    def __post_init__(self) -> None:
        super().__init__()
        self.channel = self  # type: ignore[assignment] - a page sends through it
        self.closed = False
        self.updates: list[dict[str, Any]] = []

    def receive(self, content: object, buffers: object = ()) -> None:
        """Send a custom message of the page."""
        self.message({"method": "custom", "content": content})

    def message(self, data: object) -> None:
        self.kernel.to_comm(self.id, data, self.subshell)


class Kernel:
    """A kernel, its cells, and the comms that the test follows."""

    def __init__(
        self,
        folder: Path,
        program: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.manager = KernelManager(kernel_name="python3")
        if program is not None:
            script = folder / "kernel.py"
            script.write_text(program)
            argv = [sys.executable, str(script), "-f", "{connection_file}"]
            self.manager._kernel_spec = KernelSpec(argv=argv, language="python")
        env = {**os.environ, **(environment or {})}
        self.manager.start_kernel(cwd=str(folder), env=env)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.cells: dict[str, Cell] = defaultdict(Cell)
        self.comms: dict[str, Comm] = {}
        self.failures: list[Exception] = []
        self._sending = threading.RLock()  # a page answers pings in the listening thread
        self._over = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="iopub", daemon=True)
        self._listener.start()

    def close(self) -> None:
        self._over.set()
        self._listener.join(45)
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.manager.context.destroy()
        if self.failures:
            raise ExceptionGroup("in the page", self.failures)

    # -- cells ------------------------------------------------------------------------------------

    def start(self, code: str) -> Cell:
        with self._sending:
            return self.cells[self.client.execute(code)]

    def run(self, code: str) -> str:
        """Run a cell to its end and return what it printed."""
        cell = self.start(code)
        until(lambda: cell.ended, f"the end of {code!r}; so far: {cell}", 40)
        assert cell.error is None, cell.error
        return cell.text.strip()

    def value(self, expression: str) -> Any:
        return eval(self.run(f"print(repr({expression}))"))

    @contextmanager
    def busy(self, code: str) -> Iterator[Cell]:
        """Run `code`, which says "busy" and takes long, meanwhile; it is interrupted at the end."""
        cell = self.start(f"print('busy', flush=True)\n{code}")
        try:
            until(lambda: "busy" in cell.text, "the cell begins")
            time.sleep(1.5)  # so that a ping was published while it runs
            assert not cell.ended
            yield cell
        finally:  # also when a test fails: the next one may use the same kernel
            self._interrupt(cell)

    def _interrupt(self, cell: Cell) -> None:
        """Interrupt the kernel until `cell` has ended."""
        for _ in range(30):  # one alone may hit a callback instead of the cell
            if cell.ended:
                return
            self.manager.interrupt_kernel()
            deadline = time.monotonic() + 2.0
            while time.monotonic() < deadline and not cell.ended:
                time.sleep(0.02)
        raise AssertionError(f"the cell does not end: {cell}")

    # -- comms ------------------------------------------------------------------------------------

    def widget(self, name: str = "w", code: str = "wb.Workbench(ws)") -> Comm:
        """Make a widget in the kernel and return its comm."""
        self.run(f"{name} = {code}")
        comm = Comm(self, self.value(f"{name}.model_id"))
        self.comms[comm.id] = comm
        return comm

    def open_comm(self, target: str, data: object, version: str = "2.1.0") -> Comm:
        """Open a comm as a page may, whether or not a page should."""
        comm = Comm(self, uuid.uuid4().hex)
        self.comms[comm.id] = comm
        content = {"comm_id": comm.id, "target_name": target, "data": data}
        message = self.client.session.msg("comm_open", content, metadata={"version": version})
        with self._sending:
            self.client.shell_channel.send(message)
        return comm

    def to_comm(self, comm_id: str, data: object, subshell: str | None = None) -> None:
        session = self.client.session
        message = session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        with self._sending:
            self.client.shell_channel.send(message)

    def control(self, kind: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request on the control channel and return the reply."""
        message = self.client.session.msg(kind, content or {})
        self.client.control_channel.send(message)
        while True:
            reply = self.client.get_control_msg(timeout=45)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return dict(reply["content"])

    def subshells(self) -> list[str]:
        return list(self.control("list_subshell_request")["subshell_id"])

    def _listen(self) -> None:
        socket = zmq.Socket.shadow(self.client.iopub_channel.socket)
        while not self._over.is_set():
            # Not get_iopub_msg: in a thread that leaves an event loop behind.
            if socket.poll(200):
                _, message = self.client.session.recv(socket, mode=0)
                try:
                    self._take(message)
                except Exception as error:  # noqa: BLE001 - told by `close`
                    self.failures.append(error)

    def _take(self, message: dict[str, Any]) -> None:
        content = message["content"]
        cell = self.cells[message["parent_header"].get("msg_id", "")]
        match message["msg_type"]:
            case "stream":
                cell.text += content["text"]
            case "error":
                cell.error = f"{content['ename']}: {content['evalue']}"
            case "display_data":
                cell.html += content["data"].get("text/html", "")
            case "status" if content["execution_state"] == "idle":
                cell.ended_at = time.monotonic()
                cell.ended = True
            case "comm_msg" if content["comm_id"] in self.comms:
                comm, data = self.comms[content["comm_id"]], content["data"]
                if data.get("method") == "custom":
                    comm.send(data["content"], list(message["buffers"]))
                else:
                    comm.updates.append(data)
            case "comm_close" if content["comm_id"] in self.comms:
                self.comms[content["comm_id"]].closed = True


@contextmanager
def opened(
    folder: Path,
    *,
    program: str | None = None,
    before: str = "",
    start: str = START,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Kernel]:
    """Start a kernel with an open workspace `ws`; `before` runs before anything of ours."""
    kernel = Kernel(folder, program, environment)
    try:
        kernel.run(before + start)
        yield kernel
    finally:
        kernel.close()


def settled(comm: Comm, **more: Any) -> Page:
    """Attach a page, let it say hello, and wait until it is followed."""
    page = Page(comm)
    page.hello(**more)
    until(lambda: page.heard("ping"), "a ping")
    return page
