"""What a vendor's document says of requests and answers, and where ours are otherwise.

Documents are OpenAPI 3 or Swagger 2, as JSON. They leave objects open; here a field that a
document does not name is told as well, because a service may refuse it.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jsonschema import Draft4Validator, Draft202012Validator, ValidationError

from workbench.testing.emulators.server import JSON, Seen

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

SHIPPED = Path(__file__).parent / "documents"
FORM = "multipart/form-data"

Schema = dict[str, Any]


class Document:
    """A vendor's document.

    Parameters
    ----------
    path:
        Its file.

    Attributes
    ----------
    source:
        Where it is from, and of which day.
    """

    def __init__(self, path: Path) -> None:
        raw = json.loads(path.read_text("utf-8"))
        self.source = str(raw.get("x-extracted-from", path.name))
        self._raw: Schema = _with_null(raw)
        self._swagger = "swagger" in raw
        servers = [urlsplit(one["url"]).path for one in raw.get("servers", ())]
        self._base = (raw.get("basePath") or (servers or [""])[0]).rstrip("/")

    # -- where things are -------------------------------------------------------------------------

    def operation(self, seen: Seen) -> tuple[str, Schema] | None:
        """Return the path, and what it says of it; None: it does not know what was asked for."""
        path = seen.path.partition("?")[0]
        for template, operations in self._raw["paths"].items():
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(self._base + template))
            if re.fullmatch(pattern, path) and seen.method.lower() in operations:
                return template, operations[seen.method.lower()]
        return None

    def request(self, operation: Schema, kind: str) -> Schema | None:
        """Return the schema of a body of this content type."""
        if self._swagger:
            bodies = (one for one in operation.get("parameters", ()) if one["in"] == "body")
            return next((one["schema"] for one in bodies), None)
        return _schema_of(self._whole(operation.get("requestBody", {})), kind)

    def posted(self, path: str, kind: str = JSON) -> Schema:
        """Return the schema of what is posted to a path, with this content type."""
        found = self.operation(Seen("POST", path, {}, b""))
        schema = None if found is None else self.request(found[1], kind)
        assert schema is not None, f"the document says nothing of {path}"
        return schema

    def reply(self, operation: Schema, status: int, kind: str) -> Schema | None:
        """Return the schema of an answer with this status and content type."""
        answer = self._whole(operation["responses"].get(str(status), {}))
        return answer.get("schema") if self._swagger else _schema_of(answer, kind)

    def named(self, name: str) -> Schema:
        """Return a schema by its name."""
        room = self._raw["definitions"] if self._swagger else self._raw["components"]["schemas"]
        found: Schema = room[name]
        return found

    def fields(self, schema: Schema) -> dict[str, list[Schema]]:
        """Return the names of an object's fields, each with what is said of it."""
        found: dict[str, list[Schema]] = {}
        for one in self._parts(schema):
            for name, inner in one.get("properties", {}).items():
                found.setdefault(name, []).append(inner)
        return found

    # -- what is otherwise ------------------------------------------------------------------------

    def faults_in(self, value: Any, schema: Schema) -> list[str]:
        """Return what is otherwise than the document says: "where: what", sorted."""
        found = set(self._strangers(value, {"allOf": [schema]}, ""))
        for error in self._validator(json.dumps(schema)).iter_errors(value):
            for one in _nearest(error):
                where = "/".join(map(str, one.absolute_path))
                found.add(f"{where}: {one.message[:200]}")
        return sorted(found)

    def read_form(self, seen: Seen, schema: Schema) -> dict[str, Any]:
        """Return a form as the object that the schema describes; files are their names."""
        fields: dict[str, Any] = {}
        known = self.fields(schema)
        for part in seen.parts():
            name = part.name.removesuffix("[]")
            value: Any = part.filename
            if value is None:
                value = part.content.decode()
                kinds = {
                    one.get("type") for said in known.get(name, ()) for one in self._parts(said)
                }
                if kinds & {"integer", "number", "boolean", "object"}:
                    value = json.loads(value)
            if part.name.endswith("[]"):
                fields.setdefault(name, []).append(value)
            else:
                assert name not in fields, f"{name} is in this form twice"
                fields[name] = value
        return fields

    @functools.cache  # noqa: B019 - as many as a document has schemas, for the time of a test run
    def _validator(self, schema: str) -> Validator:
        rooms = {
            name: self._raw[name] for name in ("components", "definitions") if name in self._raw
        }
        kind = Draft4Validator if self._swagger else Draft202012Validator
        return kind({**rooms, "allOf": [json.loads(schema)]})

    def _strangers(self, value: Any, schema: Schema, where: str) -> Iterator[str]:
        parts = list(self._parts(schema))
        if isinstance(value, list):
            items = {"allOf": [one["items"] for one in parts if isinstance(one.get("items"), dict)]}
            for place, one in enumerate(value):
                yield from self._strangers(one, items, f"{where}/{place}")
        if not isinstance(value, dict):
            return
        known = self.fields(schema)
        anything = not known or any(one.get("additionalProperties") for one in parts)
        for name, inner in value.items():
            if name in known:
                yield from self._strangers(inner, {"allOf": known[name]}, f"{where}/{name}")
            elif not anything:
                yield f"{where}/{name}: the document has no such field".removeprefix("/")

    def _parts(self, schema: Schema) -> Iterator[Schema]:
        """Yield a schema and all that it is made of."""
        whole = self._whole(schema)
        yield whole
        for word in ("allOf", "anyOf", "oneOf"):
            for one in whole.get(word, ()):
                yield from self._parts(one)

    def _whole(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            found = self._raw
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
            schema = found
        return schema


def shipped(name: str) -> Document:
    """Return a document that is beside the tests."""
    return Document(SHIPPED / f"{name}.json")


def given(folder: str, name: str) -> Document | None:
    """Return the document of a folder whose name begins so, if it has one."""
    found = sorted(Path(folder).glob(f"{name}*.json"))
    return Document(found[0]) if found else None


def _schema_of(about: Schema, kind: str) -> Schema | None:
    content = about.get("content", {})
    found: Schema | None = content.get(kind.partition(";")[0].strip() or JSON, {}).get("schema")
    return found


def _nearest(error: ValidationError) -> list[ValidationError]:
    """Return what is wrong with the alternative of a choice that comes nearest."""
    if not error.context or error.validator not in ("anyOf", "oneOf"):
        return [error]
    alternatives: dict[Any, list[ValidationError]] = {}
    for one in error.context:
        alternatives.setdefault(one.schema_path[0], []).append(one)
    best = min(alternatives.values(), key=lambda of: (of[0].validator_value == "null", len(of)))
    return list(itertools.chain.from_iterable(map(_nearest, best)))


def _with_null(value: Any) -> Any:
    """Return a document with OpenAPI's `nullable` in the words of JSON Schema."""
    if isinstance(value, list):
        return [_with_null(one) for one in value]
    if not isinstance(value, dict):
        return value
    inner = {name: _with_null(one) for name, one in value.items()}
    if inner.get("nullable") is True:
        del inner["nullable"]
        return {"anyOf": [inner, {"type": "null"}]}
    return inner
