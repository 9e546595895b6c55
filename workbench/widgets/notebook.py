"""Which notebook runs here."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from pathlib import Path

DEFAULT_KEY = "default"


def notebook_key(folder: Path) -> str:
    """Return a short name for the running notebook, or "default" outside of one.

    It is made from the way from the workspace's folder to the notebook, so that a project that is
    moved as a whole keeps its desks; no path is stored.
    """
    path = _notebook_path()
    if path is None:
        return DEFAULT_KEY
    way = str(path)
    with contextlib.suppress(ValueError):  # it is on another drive
        way = os.path.relpath(path, folder)
    return hashlib.sha256(Path(way).as_posix().encode(errors="surrogatepass")).hexdigest()[:24]


def _notebook_path() -> Path | None:
    session: object = os.environ.get("JPY_SESSION_NAME", "")  # Jupyter Server
    if not str(session).endswith(".ipynb"):
        ipython = sys.modules.get("IPython")
        shell = None if ipython is None else ipython.get_ipython()
        session = getattr(shell, "user_ns", {}).get("__vsc_ipynb_file__", "")  # VS Code
    if not isinstance(session, str) or not session.endswith(".ipynb"):
        return None
    return Path(session).absolute()
