"""SQL by name: ``queries/<file>.sql`` holds blocks that each begin with ``-- name: xyz``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"^--\s*name:\s*(\S+)[^\n]*$", re.MULTILINE)


@cache
def load(file: str) -> Mapping[str, str]:
    """Return the statements of ``queries/<file>.sql`` by name.

    Parameters
    ----------
    file:
        Name without the ending, for example "generations".

    Raises
    ------
        LookupError: there is no such file, or a name stands in it twice.
    """
    source = files("workbench.store.sqlite").joinpath("queries", f"{file}.sql")
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LookupError(f"there is no file queries/{file}.sql") from None
    return MappingProxyType(parse(text, file))


def parse(text: str, file: str = "") -> dict[str, str]:
    r"""Split a file of named statements.

    >>> parse("-- name: one\nSELECT 1;\n-- name: two\nSELECT 2;")
    {'one': 'SELECT 1;', 'two': 'SELECT 2;'}
    """
    _, *parts = _NAME.split(text)
    found: dict[str, str] = {}
    for name, statement in zip(parts[::2], parts[1::2], strict=True):
        if name in found:
            raise LookupError(f"queries/{file}.sql has two statements named {name}")
        found[name] = statement.strip()
    return found


@cache
def sql(name: str) -> str:
    """Return one statement, named ``"file.name"``.

    Raises
    ------
        LookupError: no such file or no such statement.
    """
    file, _, statement = name.partition(".")
    try:
        return load(file)[statement]
    except KeyError:
        raise LookupError(f"queries/{file}.sql has no statement named {statement}") from None
