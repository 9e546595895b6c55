"""The built front end: `static/workbench.js` with all widgets, and `static/loader.js` (1.5 kB).

A page gets the bundle once. The first widget of a process carries it as its `_esm` and puts it
on a shelf of the page, ``globalThis.__wbx[hash]``. The others carry the loader, which takes it
from there; where it is not there, the kernel sends it as a buffer (operation ``bundle``). The hash
travels in the trait `_hash` and names the content, so that two versions of this package in one
page keep apart.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from workbench.errors import ConfigurationError


@cache
def esm() -> str:
    """Return the whole bundle as an ES module.

    Raises
    ------
    ConfigurationError
        If it was not built (a checkout that was not installed).
    """
    return _read("workbench.js")


@cache
def loader() -> str:
    """Return the loader, an ES module that gets the bundle when it is first needed."""
    return _read("loader.js")


@cache
def hash() -> str:  # noqa: A001 - bundle.hash() says what it is
    """Return 16 hexadecimal digits that name the bundle's content."""
    return hashlib.sha256(esm().encode()).hexdigest()[:16]


def _read(name: str) -> str:
    try:
        # As text: anywidget keeps a widget alive for ever whose `_esm` is a path.
        return resources.files("workbench.widgets").joinpath("static", name).read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"The front end is not built: workbench/widgets/static/{name} cannot be read "
            f"({error.strerror or error}). In a checkout run 'make frontend'; else install "
            "image-workbench again."
        ) from error
