"""Real Jupyter servers for tests: a folder, an empty home, a port of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TOKEN = "a-token-of-these-tests"
UP_WITHIN_S = 90
# Lab would ask what is new in the world, and say so over the page.
_QUIET = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": False}
_QUIET_PLUGIN = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
_EXPOSED = (
    "--LabApp.expose_app_in_browser=True",
    "--JupyterNotebookApp.expose_app_in_browser=True",
)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class JupyterServer:
    """`jupyter-workbench lab` in a folder; it also serves Notebook 7 below /notebooks.

    Parameters
    ----------
    folder
        the root of its file browser; made if it is not there
    home
        HOME of the server and of its kernels; made if it is not there
    command
        starts the server, but for the port; by default our own command of this environment
    environment
        variables to set in addition
    base_url
        what comes before all its addresses, as behind a hub; the command has to say it as well
    """

    def __init__(
        self,
        folder: Path,
        home: Path,
        *,
        command: Sequence[str | Path] | None = None,
        extra: Sequence[str] = _EXPOSED,
        environment: Mapping[str, str] | None = None,
        base_url: str = "/",
    ) -> None:
        ours = (Path(sys.executable).with_name("jupyter-workbench"), "lab", "--no-browser")
        self.folder = folder
        self.home = home
        self.port = free_port()
        self.log = home.with_suffix(".log")
        self.base_url = base_url
        self._command = [*map(str, command or ours), "--port", str(self.port)]
        self._extra = ["--", *extra] if extra else []
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "WORKBENCH_", "XDG_", "IPYTHON", "PYTEST_", "COV_"))
        } | {"HOME": str(home), "JUPYTER_TOKEN": TOKEN, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.reset_settings()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [*self._command, *self._extra],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        deadline = time.monotonic() + UP_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.get("api/status")
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        self.stop()
        raise AssertionError(f"the server did not start:\n{self.said()[-3000:]}")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it and its kernels, and what they run; `start` starts it anew on the same port."""
        if not self.is_running:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def url(self, path: str, *, port: int | None = None, query: str = "") -> str:
        """The address of a page, with the token; `port` is that of a proxy before the server."""
        return f"http://127.0.0.1:{port or self.port}{self.base_url}{path}?token={TOKEN}{query}"

    def get(self, path: str) -> Any:
        return self._ask("GET", path)

    def kernels(self) -> list[dict[str, Any]]:
        return list(self.get("api/kernels"))

    def end_kernels(self) -> None:
        """Shut down the kernels of all notebooks."""
        for session in self.get("api/sessions"):
            self._end(f"api/sessions/{session['id']}")
        for kernel in self.kernels():
            self._end(f"api/kernels/{kernel['id']}")

    def _end(self, path: str) -> None:
        try:
            self._ask("DELETE", path)
        except urllib.error.HTTPError as error:
            # A page that was closed while it ended its own kernel was a moment quicker.
            if error.code not in (404, 410):
                raise

    def kill_kernel(self, kernel_id: str) -> None:
        """End a kernel behind the back of its page, as an administrator would."""
        self._ask("DELETE", f"api/kernels/{kernel_id}")

    def reset_settings(self) -> None:
        """Back to JupyterLab's own settings, but for its news."""
        folder = self.home / ".jupyter" / "lab" / "user-settings"
        for path in folder.rglob("*.jupyterlab-settings"):
            path.unlink()
        quiet = folder / _QUIET_PLUGIN
        quiet.parent.mkdir(parents=True, exist_ok=True)
        quiet.write_text(json.dumps(_QUIET))

    def _ask(self, method: str, path: str) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{self.base_url}{path}",
            method=method,
            headers={"Authorization": f"token {TOKEN}"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            text = reply.read()
        return json.loads(text) if text else None
