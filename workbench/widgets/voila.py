"""What is different in a page of Voilà: everybody may send anything, and nobody sees an error."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

from workbench.errors import WorkbenchError
from workbench.widgets.failures import words
from workbench.workspace.markup import element

_STOCK = "jupyter.widget"  # what a browser asks for to make a widget of ipywidgets in the kernel

_CANNOT = "This page cannot be shown just now. Whoever runs it finds why in the log."


def in_voila() -> bool:
    """Tell whether this process serves a Voilà page (perhaps one that nobody has opened yet)."""
    if "VOILA_KERNEL_ID" in os.environ or "VOILA_PREHEAT" in os.environ:
        return True
    return os.environ.get("SERVER_SOFTWARE", "").startswith("voila/")


def refuse_stock_widgets() -> None:
    """Let no page of Voilà make widgets in the kernel; what is opened is closed at once.

    Widgets that Python makes are not touched: the page never opens those.
    """
    from comm import get_comm_manager

    if not in_voila():
        return
    # What it says of messages without sense goes to their sender's page, with folders in it.
    logging.getLogger("Comm").setLevel(logging.CRITICAL + 1)
    manager = get_comm_manager()
    if _STOCK in manager.targets:
        # Not taken away alone: each attempt would be written to the server's log.
        manager.register_target(_STOCK, _close)


def _close(comm: Any, _message: object) -> None:
    comm.close()


@contextlib.contextmanager
def failures_told() -> Iterator[None]:
    """Show in the page what Voilà would hide: why a widget could not be made. It is raised on."""
    try:
        yield
    except WorkbenchError as error:
        if in_voila():
            _show(words(error, _CANNOT))
        raise


def _show(sentence: str) -> None:
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        return
    style = "font:15px/1.5 system-ui,sans-serif;max-width:40em;margin:15vh auto;padding:0 24px"
    html = element("div", sentence, role="alert", dir="auto", style=style)
    shell.display_pub.publish(data={"text/plain": sentence, "text/html": html})
