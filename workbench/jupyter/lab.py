"""``jupyter workbench lab``: JupyterLab on a notebook that makes pictures at once."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from workbench.errors import InvalidRequest
from workbench.workspace.location import resolve

DEFAULT_NOTEBOOK = "00_quickstart.ipynb"
_CONNECTION = "workbench.jupyter.websocket.PromptWebsocketConnection"
# Defaults of JupyterLab's own settings: no question about news over the first picture. Whatever
# people set themselves comes first.
_DEFAULTS = Path(__file__).resolve().parent / "config"
_EPILOG = """\
examples:
  jupyter workbench lab
  jupyter workbench lab --notebook experiments/foxes.ipynb --workspace ~/foxes
  jupyter workbench lab --no-browser --port 8890 -- --log-level=DEBUG

What stands after -- goes to JupyterLab as it is. Your own Jupyter configuration stays in force.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of the command line."""
    parser = commands.add_parser(
        "lab",
        help="open JupyterLab on a notebook that makes pictures at once",
        description="Open JupyterLab on a notebook that makes pictures at once. "
        "The root of its file browser is the current folder.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=port, help="port to listen on (default: 8888 or the next)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--notebook",
        type=Path,
        metavar="PATH",
        help="notebook to open (default: the quick start, copied with the other notebooks into "
        "this folder if it is not there yet)",
    )
    parser.add_argument(
        "--workspace",
        metavar="PATH",
        help="folder of the workspace that notebooks open by default (default: the nearest "
        ".workbench/ upwards from the notebook)",
    )
    parser.set_defaults(run=run)


def port(text: str) -> int:
    """Read a port number (1 to 65535) from the command line."""
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; use a number from 1 to 65535")


def run(arguments: argparse.Namespace) -> int:
    """Start JupyterLab; on POSIX it takes the place of this process, so that Ctrl-C is its own."""
    notebook = find_notebook(arguments.notebook, Path.cwd())
    command = lab_command(
        notebook,
        port=arguments.port,
        browser=not arguments.no_browser,
        extra=arguments.server_arguments,
    )
    if arguments.workspace is not None:
        os.environ["WORKBENCH_HOME"] = str(resolve(arguments.workspace))
    os.environ["JUPYTER_CONFIG_PATH"] = config_path(os.environ.get("JUPYTER_CONFIG_PATH"))
    if hasattr(os, "execv") and os.name == "posix":
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(command[0], command)  # noqa: S606  (no shell is the point)
    return subprocess.run(command, check=False).returncode  # noqa: S603  (our own command)


def find_notebook(given: Path | None, here: Path) -> Path:
    """Return the notebook to open; without `given` the quick start, copied to `here` if absent.

    The other notebooks come with it. A copy that is there already is never overwritten: it may
    hold somebody's work. In a checkout of this project it is opened where it lies.

    Raises
    ------
    InvalidRequest
        If `given` is no notebook file.
    """
    if given is not None:
        path = given.expanduser().absolute()
        if path.suffix != ".ipynb":
            raise InvalidRequest("--notebook", f"{path.name!r} is no .ipynb file.")
        if not path.is_file():
            raise InvalidRequest("--notebook", f"there is no file {str(given)!r}.")
        return path
    shipped = shipped_notebooks() / DEFAULT_NOTEBOOK
    if shipped.parent.parent == here.resolve():
        return shipped
    first_time = not (here / DEFAULT_NOTEBOOK).exists()
    for notebook in shipped.parent.glob("*.ipynb") if first_time else ():
        if not (here / notebook.name).exists():
            shutil.copyfile(notebook, here / notebook.name)
    return here / DEFAULT_NOTEBOOK


def shipped_notebooks() -> Path:
    """Return the folder of the notebooks: in the wheel beside this file, else in the checkout."""
    beside = Path(__file__).resolve().parent / "notebooks"
    return beside if beside.is_dir() else Path(__file__).resolve().parents[2] / "notebooks"


def lab_command(
    notebook: Path, *, port: int | None, browser: bool, extra: Sequence[str]
) -> list[str]:
    """Return the command that starts JupyterLab on `notebook`.

    Settings are given by argument: a configuration file named on the command line would switch
    the user's own one off.
    """
    here = Path.cwd()
    root = here if notebook.is_relative_to(here) else notebook.parent
    page = quote(notebook.relative_to(root).as_posix())
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{page}",
    ]
    if port is not None:
        # A port that was asked for is this one or an error, not the next free one.
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        command.append("--no-browser")
    if not _uses_gateway(extra):
        command.append(f"--ServerApp.kernel_websocket_connection_class={_CONNECTION}")
    if not sys.stdin.isatty():
        # Nobody can answer "Shut down this server (y/[n])?" after a Ctrl-C.
        command.append("--ServerApp.answer_yes=True")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        sys.stderr.write("Running as root: whatever notebooks do, they do as root.\n")
        command.append("--allow-root")
    return [*command, *extra]


def config_path(given: str | None) -> str:
    """Return Jupyter's search path for configuration with our defaults after what is `given`."""
    return os.pathsep.join([given, str(_DEFAULTS)] if given else [str(_DEFAULTS)])


def _uses_gateway(extra: Sequence[str]) -> bool:
    # Kernels behind a gateway need Jupyter Server's own connection to it.
    given = any("gateway" in argument.lower() for argument in extra)
    return given or bool(os.environ.get("JUPYTER_GATEWAY_URL"))
