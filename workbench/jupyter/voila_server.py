"""Voilà, closed: it serves one notebook at ``/``, and nothing else of the machine.

``python -m workbench.jupyter.voila_server NOTEBOOK …`` is what ``jupyter workbench app`` runs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_server import DEFAULT_STATIC_FILES_PATH
from jupyter_server.auth.logout import LogoutHandler
from nbclient.exceptions import CellExecutionError
from tornado import web
from tornado.ioloop import IOLoop
from traitlets import TraitError
from traitlets.config import Config
from traitlets.config.application import LevelFormatter
from voila.app import Voila
from voila.paths import collect_static_paths, collect_template_paths
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.static_file_handler import AllowListFileHandler, TemplateStaticFileHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from workbench.jupyter.page_kernels import Door, PageKernels
from workbench.jupyter.page_socket import PageSocket
from workbench.jupyter.supervise import when_input_ends

_TEMPLATE = Path(__file__).resolve().parent / "voila" / "templates" / "workbench"
# The notebook's saved outputs are not shown, trusted or not. And Jupyter Server counts its pings in
# thousandths of a second, Tornado in seconds.
_NOISE = ("is not trusted", "websocket_ping_timeout")
_CONNECTION = "workbench.jupyter.websocket.PromptWebsocketConnection"
_APPS = ("voila", "nbconvert")
_BASE_TEMPLATE = "lab"
_KERNEL_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOKEN = re.compile(r"(?<=[?&]token=)[^&\s\"']+")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# The name of a socket file may have about 100 characters, of which Voilà and Jupyter take 66.
_LONGEST_TEMPORARY = 34
_PAGE_WITHIN_S = 300.0

# What nothing may open again: no file of Voilà (none is read), no argument, no address.
_CLOSED: dict[str, dict[str, object]] = {
    "VoilaConfiguration": {
        "file_allowlist": [],
        "allow_template_override": "NO",
        "allow_theme_override": "NO",
        "template": _BASE_TEMPLATE,
        "show_tracebacks": False,
        "strip_sources": True,
        "progressive_rendering": False,  # excludes kernels that are ready before a visitor comes
        "multi_kernel_manager_class": f"{PageKernels.__module__}.PageKernels",
    },
    "MappingKernelManager": {"cull_connected": False},
}
# What an argument after -- may say otherwise.
_DEFAULTS: dict[str, dict[str, object]] = {
    "Voila": {
        "log_level": "WARN",
        "kernel_websocket_connection_class": _CONNECTION,
    },
    "VoilaConfiguration": {
        # Every other extension of JupyterLab that is installed would be loaded into the page. A
        # notebook with widgets of others needs theirs as well.
        "extension_allowlist": [
            "@jupyter-widgets/jupyterlab-manager",
            "@voila-dashboards/widgets-manager8",
            "anywidget",
        ],
    },
    "MappingKernelManager": {"cull_idle_timeout": 600, "cull_interval": 15},
    # A page whose kernel died says so and offers a reload: a new kernel under the old number would
    # have run none of the cells, and would stay as long as the page does.
    "KernelRestarter": {"restart_limit": 0},
    "TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": ["remove-cell"]},
}


def _transport() -> dict[str, dict[str, object]]:
    # No port: other users of the machine could listen to it, and two kernels could want the same.
    if os.name == "posix" and len(tempfile.gettempdir()) <= _LONGEST_TEMPORARY:
        return {"KernelManager": {"transport": "ipc"}}
    return {}


class Discreet(LevelFormatter):
    """Writes no token, and no kernel's number: whoever knows it may talk to that kernel, or end it.

    Examples
    --------
    >>> line = "404 GET /api/kernels/0d1b1b1b-0000-4000-8000-000000000000?token=abc (127.0.0.1)"
    >>> Discreet().format(logging.makeLogRecord({"msg": line, "levelno": 30}))
    '404 GET /api/kernels/…?token=… (127.0.0.1)'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line with an ellipsis in the place of each of them."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, CellExecutionError):
            # Voilà writes the whole cell and its traceback twice, in colours, and its own stack.
            text = f"A cell of the notebook failed:\n{_COLOURS.sub('', error.traceback)}"
            told = {"msg": text, "args": (), "exc_info": None, "exc_text": None}
            record = logging.makeLogRecord({**vars(record), **told})
        return _TOKEN.sub("…", _KERNEL_ID.sub("…", super().format(record)))


def _worth_saying(record: logging.LogRecord) -> bool:
    return not any(noise in str(record.msg) for noise in _NOISE)


class ClosedVoila(Voila):  # type: ignore[misc]  # voila ships no types
    """Voilà with a configuration that is all here, and without the doors that a page needs not."""

    _log_formatter_cls = Discreet

    def initialize(self, argv: list[str] | None = None) -> None:
        """Read the arguments, and let every library log as Voilà does."""
        super().initialize(argv)
        others = logging.StreamHandler()
        others.setFormatter(Discreet("%(message)s"))
        others.addFilter(_worth_saying)
        logging.getLogger().addHandler(others)
        self.log.addFilter(_worth_saying)

    def load_config_file(self, *_arguments: Any, **_options: Any) -> None:
        """Read no file, neither of the current folder nor of whoever runs this."""
        for section, values in _CLOSED.items():
            for name in values:
                if name in self.cli_config.get(section, {}):
                    raise ValueError(f"--{section}.{name} cannot be changed in this server")
        config = Config({**_DEFAULTS, **_transport()})
        config.merge(self.cli_config)
        config.merge(Config(_CLOSED))
        self.update_config(config)

    def setup_template_dirs(self) -> None:
        """Put our page before that of JupyterLab's template, whose files it uses."""
        self.template_paths = [
            str(_TEMPLATE),
            *collect_template_paths(_APPS, _BASE_TEMPLATE, prune=True),
        ]
        self.static_paths = [
            *collect_static_paths(_APPS, _BASE_TEMPLATE),
            DEFAULT_STATIC_FILES_PATH,
        ]

    def init_handlers(self) -> list[Any]:
        """Return Voilà's handlers: ours for pages and for leaving, none for files beside them."""
        ours = {
            TornadoVoilaHandler: Page,
            VoilaShutdownKernelHandler: Leave,
            TemplateStaticFileHandler: TemplateFile,
            VoilaKernelWebsocketHandler: PageSocket,
        }
        found: set[type] = set()
        handlers = []
        for pattern, handler, *options in super().init_handlers():
            if handler in ours:
                found.add(handler)
            if handler not in (AllowListFileHandler, LogoutHandler):  # nothing links to the latter
                handlers.append((pattern, ours.get(handler, handler), *options))
        if found != set(ours):
            raise RuntimeError("This version of Voilà is not known: its page may not be closed.")
        return handlers

    def init_settings(self) -> dict[str, Any]:
        """Return Voilà's settings, and the door through which its pages go."""
        settings = super().init_settings()
        # The pages that say what went wrong, also for what Jupyter Server answers.
        words = settings["jinja2_env"]
        words.loader.searchpath.insert(0, str(_TEMPLATE))
        words.globals["theme"] = self.voila_configuration.theme
        return {**settings, "workbench_door": Door(max(2, os.cpu_count() or 2))}

    def start(self) -> None:
        """Serve until a signal comes or the supervisor is gone."""
        loop = IOLoop.current()
        loop.add_callback(self._say_where)  # runs when it listens
        when_input_ends(lambda: loop.add_callback(loop.stop))
        super().start()

    def _say_where(self) -> None:
        sys.stdout.write(f"The page is at {self.display_url} (Ctrl-C stops it)\n")
        sys.stdout.flush()


class Page(TornadoVoilaHandler):  # type: ignore[misc]  # voila ships no types
    """The notebook as a page; there is no other one."""

    @web.authenticated
    async def get(self, path: str | None = None) -> None:
        """Start a kernel and send what its cells show."""
        if path:
            raise web.HTTPError(404)
        async with self.settings["workbench_door"].passed():
            if self.request.connection.stream.closed():
                return  # whoever asked did not want to wait
            if self.kernel_manager.is_full:
                raise web.HTTPError(503)
            try:
                await asyncio.wait_for(super().get(), _PAGE_WITHIN_S)
            except TimeoutError:
                # Of a kernel that cannot start Voilà says nothing, and waits for ever.
                self.log.warning("A page was not made within %d s.", _PAGE_WITHIN_S)


class TemplateFile(TemplateStaticFileHandler):  # type: ignore[misc]  # voila ships no types
    """A style or script of the template."""

    async def get(self, path: str, include_body: bool = True) -> None:  # noqa: FBT001, FBT002
        """Send it. An address that is none of a template's is no mistake of ours."""
        try:
            await super().get(path, include_body)
        except (AssertionError, ValueError):
            raise web.HTTPError(404) from None


class Leave(VoilaShutdownKernelHandler):  # type: ignore[misc]  # voila ships no types
    """Ends the kernel of a page that is left or reloaded."""

    def check_xsrf_cookie(self) -> None:
        """Ask that the request comes from a page of this server.

        Voilà asks for a token that its own page has no way to send, so every kernel stayed. A page
        of another site cannot forge where it is from, and nobody can guess a kernel's number.
        """
        host = self.request.headers.get("Host")
        source = self.get_origin() or self.request.headers.get("Referer") or ""
        if not host or urlsplit(source).netloc.lower() != host.lower():
            raise web.HTTPError(403)

    @web.authenticated
    async def post(self, kernel_id: str) -> None:
        """End it. A page may say so twice, and its kernel may have ended by itself."""
        if kernel_id in self.kernel_manager:
            await super().post(kernel_id)
        else:
            self.set_status(204)


def main(argv: Sequence[str]) -> int:
    """Serve the notebook that `argv` begins with."""
    server = ClosedVoila.instance()
    try:
        server.initialize(list(argv))
    except (ValueError, TraitError) as error:
        sys.stderr.write(f"{str(error).rstrip('.')}.\n")
        return 2
    server.start()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
