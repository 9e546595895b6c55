"""What faces Jupyter: command line, magics, the servers that our commands start.

Importing this room loads nothing of Jupyter; `load_ipython_extension` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Add ``%%imagine`` and ``%workbench`` to a session (``%load_ext workbench`` calls this)."""
    from workbench.jupyter.magics import WorkbenchMagics

    ipython.register_magics(WorkbenchMagics)


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Take the magics out of a session again (``%unload_ext workbench``)."""
    from workbench.jupyter.magics import WorkbenchMagics

    for kind, names in WorkbenchMagics.magics.items():
        for name in names:
            ipython.magics_manager.magics[kind].pop(name, None)
