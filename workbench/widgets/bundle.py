"""The built front end, in parts: `static/workbench.js` is the root part, the others are sent later.

A page gets each part once. The first widget of a process carries the root part (65 kB) as its
`_esm` and puts it on a shelf of the page, ``globalThis.__wbx[hash]``. The others carry
`static/loader.js` (2 kB), which takes it from there; where it is not there, the kernel sends it as
a buffer (operation ``bundle``). The root asks for the parts that its widget shows by the same
operation, with their names. `static/whole.js` is all of it in one module, for a page that cannot
import what the kernel sends.

The hash travels in the trait `_hash` and names the content of all parts, so that two versions of
this package in one page keep apart.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from workbench.errors import ConfigurationError, InvalidRequest

#: What can be asked for by name; a file each of `frontend/src/parts/`.
PARTS = ("dialogs", "feed", "lightbox", "settings", "topics")

_HASH = re.compile(r"// image-workbench ([0-9a-f]{16}):")
_OTHER = "This page belongs to another version of image-workbench. Load the page again."


@cache
def esm() -> str:
    """Return the root part as an ES module.

    Raises
    ------
    ConfigurationError
        If it was not built (a checkout that was not installed).
    """
    return _read("workbench.js").decode()


@cache
def loader() -> str:
    """Return the loader, an ES module that gets the root part when it is first needed."""
    return _read("loader.js").decode()


@cache
def whole() -> str:
    """Return all parts as one ES module, which imports nothing."""
    return _read("whole.js").decode()


@cache
def hash() -> str:  # noqa: A001 - bundle.hash() says what it is
    """Return 16 hexadecimal digits that name the content of root and parts."""
    found = _HASH.match(esm())
    if found is None:
        raise _not_built("workbench.js", "has no hash")
    return found[1]


def part(name: str, of: str) -> bytes:
    """Return a part as a page unpacks it (gzip).

    Parameters
    ----------
    name:
        One of `PARTS`.
    of:
        The hash of the root part that asks; no other one fits.

    Raises
    ------
    InvalidRequest
        There is no such part, or it is of another version.
    """
    if name not in PARTS:
        raise InvalidRequest("part", f"must be one of {', '.join(PARTS)}.")
    if of != hash():
        raise InvalidRequest("hash", _OTHER)
    return _packed(name)


@cache
def _packed(name: str) -> bytes:
    return _read(f"{name}.js.gz")


def _read(name: str) -> bytes:
    try:
        # No path is given on: anywidget keeps a widget alive for ever whose `_esm` is one.
        return resources.files("workbench.widgets").joinpath("static", name).read_bytes()
    except OSError as error:
        raise _not_built(name, f"cannot be read ({error.strerror or error})") from error


def _not_built(name: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"The front end is not built: workbench/widgets/static/{name} {reason}. "
        "In a checkout run 'make frontend'; else install image-workbench again."
    )
