"""``jupyter workbench app``: a notebook as a page for people who do not code."""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.errors import ConfigurationError, InvalidRequest
from workbench.jupyter.lab import find_notebook, port, shipped_notebooks
from workbench.jupyter.supervise import Part, supervise
from workbench.jupyter.worker import stop_on_signals
from workbench.workspace.identity import MODES, SECRET_VARIABLE
from workbench.workspace.location import default_folder, resolve
from workbench.workspace.plugins import WORKER_HAS, ready_providers
from workbench.workspace.settings import load_settings

DEFAULT_NOTEBOOK = "app.ipynb"
DEFAULT_PORT = 8866
# Names of variables whose values are secrets. Page kernels run no jobs and get none of them.
_SECRET = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS)$", re.IGNORECASE)
# Without the current folder on the path: a voila.py there, which Voilà would read as its
# configuration, would be run in the place of Voilà.
_MODULE = (sys.executable, "-P", "-m")
_EPILOG = """\
examples:
  jupyter workbench app
  jupyter workbench app --notebook experiments/foxes.ipynb --workspace ~/foxes --theme dark
  jupyter workbench app --port 8080 --no-browser --preheat 2 -- --Voila.ip=0.0.0.0

Voilà serves the notebook at /, and one worker beside it makes the pictures; it is started again
when it dies. Each visitor gets a kernel that runs no jobs and has no keys: variables whose names
end in KEY, TOKEN, SECRET or PASSWORD stay with the worker. No file is served and no configuration
file of Voilà is read; what stands after -- goes to Voilà as it is. Ctrl-C stops everything.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of the command line."""
    parser = commands.add_parser(
        "app",
        help="serve a notebook as a page for people who do not code",
        description="Serve a notebook as a page for people who do not code (Voilà and a worker).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port", type=port, help=f"port to listen on (default: {DEFAULT_PORT} or the next)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--notebook",
        type=Path,
        metavar="PATH",
        help="notebook to serve (default: one that shows the Workbench in its simple form)",
    )
    parser.add_argument(
        "--workspace",
        metavar="PATH",
        help="folder of the workspace (default: WORKBENCH_HOME, else the nearest .workbench/ "
        "upwards from the notebook, or from this folder without --notebook)",
    )
    parser.add_argument(
        "--identity",
        choices=MODES,
        default="anonymous",
        help="how visitors are told apart: by a token that each browser keeps (anonymous, the "
        "default), by a header of a trusted proxy, by the hub's user, or not at all (local)",
    )
    parser.add_argument(
        "--theme", choices=("light", "dark"), default="light", help="look (default: light)"
    )
    parser.add_argument(
        "--preheat",
        type=_count,
        default=0,
        metavar="N",
        help="kernels that are ready before a visitor comes (default: 0)",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings, with the visitors' limits (default: config.toml in the workspace)",
    )
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 100:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 100")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM, or until Voilà ends."""
    notebook = notebook_to_serve(arguments.notebook)
    folder = workspace_folder(arguments.workspace, arguments.notebook)
    if arguments.config is not None:
        os.environ["WORKBENCH_CONFIG"] = str(_existing(arguments.config))
    elif os.environ.get("WORKBENCH_CONFIG"):
        # Kernels do not run in this folder.
        os.environ["WORKBENCH_CONFIG"] = str(Path(os.environ["WORKBENCH_CONFIG"]).absolute())
    headers = headers_of(arguments.identity, folder, preheat=arguments.preheat)
    extra = arguments.server_arguments
    if extra and not extra[0].startswith("-"):
        raise InvalidRequest(
            "--", f"{extra[0]!r} is no option of Voilà; the notebook is --notebook."
        )
    if arguments.port is not None:
        _check_free(arguments.port)
    server = Part(
        "server",
        voila_command(
            notebook,
            port=arguments.port,
            browser=not arguments.no_browser,
            theme=arguments.theme,
            preheat=arguments.preheat,
            headers=headers,
            extra=extra,
        ),
        page_environment(
            os.environ, folder, arguments.identity, ready_providers(load_settings(folder).servers)
        ),
    )
    worker = Part(
        "worker",
        [*_MODULE, "workbench", "worker", "--workspace", str(folder), "--attached"],
        worker_environment(os.environ),
        quiet=True,
    )
    with stop_on_signals() as stop:
        return supervise(server, worker, stop)


def notebook_to_serve(given: Path | None) -> Path:
    """Return the notebook to serve; without `given` the one that comes with the package.

    It is served from where it lies: nothing is copied, and a newer version shows a newer page.
    """
    if given is not None:
        return find_notebook(given, Path.cwd())
    return shipped_notebooks() / DEFAULT_NOTEBOOK


def workspace_folder(given: str | None, notebook: Path | None) -> Path:
    """Return the folder of the workspace, as `notebook` would find it in JupyterLab.

    Raises
    ------
    InvalidRequest
        If `given` names no folder.
    """
    if given is not None or os.environ.get("WORKBENCH_HOME") is not None or notebook is None:
        return resolve(given)
    return default_folder(notebook.expanduser().absolute().parent)


def headers_of(identity: str, folder: Path, *, preheat: int) -> list[str]:
    """Return the HTTP headers that page kernels need, after a look at what the operator set.

    Raises
    ------
    ConfigurationError
        If nobody could be recognised this way, or the settings file is unusable.
    """
    settings = load_settings(folder)
    if identity == "jupyterhub" and not os.environ.get("JUPYTERHUB_USER"):
        raise ConfigurationError(
            "--identity jupyterhub needs JUPYTERHUB_USER, which a hub sets in its users' servers."
        )
    if identity != "header":
        return []
    if not os.environ.get(SECRET_VARIABLE):
        raise ConfigurationError(
            f"--identity header needs a secret that the proxy sends with every request: set "
            f"{SECRET_VARIABLE} to it."
        )
    if preheat:
        raise ConfigurationError(
            "--preheat cannot be used with --identity header: a kernel that is ready before its "
            "visitor comes does not know who that is."
        )
    return [settings.identity_header, settings.identity_secret_header]


def voila_command(
    notebook: Path,
    *,
    port: int | None,
    browser: bool,
    theme: str,
    preheat: int,
    headers: Sequence[str],
    extra: Sequence[str],
) -> list[str]:
    """Return the command that serves `notebook`."""
    command = [*_MODULE, "workbench.jupyter.voila_server", str(notebook)]
    # A port that was asked for is this one or an error, not the next free one.
    command += [f"--Voila.port={DEFAULT_PORT if port is None else port}"]
    if port is not None:
        command.append("--Voila.port_retries=0")
    if not browser:
        command.append("--no-browser")
    command.append(f"--VoilaConfiguration.theme={theme}")
    if preheat:
        command += [
            "--VoilaConfiguration.preheat_kernel=True",
            f"--VoilaConfiguration.default_pool_size={preheat}",
        ]
    command += [f"--VoilaConfiguration.http_header_envs={name}" for name in headers]
    return [*command, *extra]


def page_environment(
    environment: Mapping[str, str], folder: Path, identity: str, ready: Sequence[str] = ()
) -> dict[str, str]:
    """Return what Voilà, and so every page kernel, may know: no secret but the proxy's.

    Examples
    --------
    >>> page_environment({"HOME": "/h", "SOME_API_KEY": "k"}, Path("/w"), "anonymous")["HOME"]
    '/h'
    """
    ours = {
        "WORKBENCH_HOME": str(folder),
        "WORKBENCH_IDENTITY": identity,
        "WORKBENCH_RUN_JOBS": "0",
        WORKER_HAS: ",".join(ready),
    }
    kept = {
        name: value
        for name, value in environment.items()
        if not _SECRET.search(name) or (name == SECRET_VARIABLE and identity == "header")
    }
    return kept | ours


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the worker may know: the keys, but nothing of how pages tell people apart."""
    of_pages = (SECRET_VARIABLE, "WORKBENCH_IDENTITY", "WORKBENCH_RUN_JOBS")
    return {name: value for name, value in environment.items() if name not in of_pages}


def _existing(path: Path) -> Path:
    path = path.expanduser().absolute()
    if not path.is_file():
        raise InvalidRequest("--config", f"there is no file {str(path)!r}.")
    return path


def _check_free(number: int) -> None:
    # Voilà would say so too, but not which port, and after a second.
    with socket.socket() as probe:
        if os.name == "posix":  # elsewhere it would let two servers have one port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            raise InvalidRequest(
                "--port", f"{number} cannot be used ({error.strerror}); take another one."
            ) from None
