"""Takes out of a vendor's document what a dialect of ours speaks: paths, and what they refer to.

Prose, examples and samples of code are left out; nothing else is changed. From the root of the
checkout, `about` says where the document comes from::

    python tests/providers/documents/extract.py openapi.json openai.json "openai/… @ f85dbe2" \
        /images/generations /images/edits /models ErrorResponse
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_HEAD = ("openapi", "swagger", "servers", "basePath")
_PROSE = {"description", "summary", "example", "examples", "tags", "operationId", "security"}
_NAMED = {"properties", "schemas", "definitions", "paths", "responses", "content"}


def without_prose(value: Any, *, named: bool = False) -> Any:
    """Return a part of a document without what is only read by people.

    Parameters
    ----------
    value:
        The part.
    named:
        Its keys are names that somebody chose: a property may be called "description".
    """
    if isinstance(value, list):
        return [without_prose(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: without_prose(one, named=name in _NAMED and not named)
        for name, one in value.items()
        if named or not (name in _PROSE or name.startswith("x-"))
    }


def referred(value: Any) -> set[str]:
    """Return the addresses that a part of a document refers to."""
    if isinstance(value, list):
        return set().union(*map(referred, value))
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
    return own.union(*map(referred, value.values()))


def extract(document: dict[str, Any], about: str, wanted: list[str]) -> dict[str, Any]:
    """Return the extract of a document.

    Parameters
    ----------
    document:
        OpenAPI 3 or Swagger 2.
    about:
        Where it is from, and of which day.
    wanted:
        Paths (they begin with "/") and names of schemas.
    """
    room = ("definitions",) if "swagger" in document else ("components", "schemas")
    info = {name: document["info"].get(name) for name in ("title", "version", "license")}
    taken = {name: document[name] for name in _HEAD if name in document}
    taken |= {"info": info, "x-extracted-from": about}
    paths = {path: without_prose(document["paths"][path]) for path in wanted if path[0] == "/"}
    open_ends = {"/".join(("#", *room, name)) for name in wanted if name[0] != "/"}
    open_ends |= referred(paths)
    whole: dict[str, Any] = {}
    while open_ends:
        address = open_ends.pop()
        *steps, name = address.removeprefix("#/").split("/")
        found, into = document, whole
        for step in steps:
            found, into = found[step], into.setdefault(step, {})
        if name not in into:
            into[name] = without_prose(found[name])
            open_ends |= referred(into[name])
    return {**taken, "paths": paths, **whole}


if __name__ == "__main__":
    source, target, told, *names = sys.argv[1:]
    made = extract(json.loads(Path(source).read_text("utf-8")), told, names)
    Path(target).write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", "utf-8")
