"""From the schema of a model's input to an entry of a catalogue: its parameters, and its images.

A version of a model at Replicate, and a Cog server, say in an OpenAPI document what their input
is. What each field means is told by its name; most models agree on those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from workbench.domain.records import JsonValue
from workbench.domain.status import Operation
from workbench.providers.catalogue import parameter_of
from workbench.providers.redaction import plain

_PROMPTS = ("prompt", "text", "instruction", "caption", "text_prompt")
_SOURCES = ("image", "input_image", "init_image", "source_image", "img")
_COUNTS = frozenset(
    ("num_outputs", "num_images", "number_of_images", "num_samples", "batch_size", "max_images")
)
_RENAMED = {"num_inference_steps": "steps", "guidance_scale": "guidance"}
# Arguments of `generate`: a field of such a name is offered under another one.
_TAKEN = frozenset(
    ("model", "n", "topic", "source", "mask", "references", "operation", "params", "priority")
) | {"client_key", "force"}
_SIMPLE = re.compile(r"^(?:width|height|aspect_ratio|size|resolution|steps|guidance|style.*)$")
# What is no business of a panel: keys of other services, and switches of the safety checks.
_NOT_OFFERED = re.compile(r"(?:api_key|token|secret|password|safety_checker)$")
_NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
_BLACK = re.compile(r"black[^.,;]*(?:paint|edit|chang|replac)", re.IGNORECASE)
_MOST_FIELDS = 100
_USUAL_REFERENCES = 8
_KINDS = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "text"}


def fields_of(document: object) -> dict[str, dict[str, Any]]:
    """Return the fields of the input in an OpenAPI document of a model, in their order."""
    schemas = _at(document, "components", "schemas")
    given = _at(schemas, "Input", "properties")
    fields = {
        name: _resolved(spec, schemas)
        for name, spec in list(given.items())[:_MOST_FIELDS]
        if isinstance(spec, dict) and _NAME.fullmatch(str(name))
    }
    return dict(sorted(fields.items(), key=lambda field: _order(field[1])))


def parameters_of_schema(document: object) -> dict[str, dict[str, Any]]:
    """Return our parameters for the input of a model, as data files have them.

    Prompt, seed, number of pictures and images are no parameters: the workspace asks for them.

    Parameters
    ----------
    document:
        The model's OpenAPI document (``openapi_schema`` of a version).

    Examples
    --------
    >>> field = {"type": "integer", "default": 28, "minimum": 1, "maximum": 50}
    >>> input = {"properties": {"prompt": {"type": "string"}, "num_inference_steps": field}}
    >>> parameters_of_schema({"components": {"schemas": {"Input": input}}})
    {'steps': {'kind': 'integer', 'default': 28, 'minimum': 1, 'maximum': 50}}
    """
    return _shape_of(document)[0]


def entry_of_schema(
    name: str, document: object, *, remark: str = "", version: str | None = None
) -> dict[str, Any]:
    """Return an entry of a catalogue for a model that says what its input is.

    Parameters
    ----------
    name:
        The model's.
    document:
        As for `parameters_of_schema`.
    remark:
        A sentence on the model.
    version:
        The id by which it is asked for, where it is not an official one.
    """
    parameters, send = _shape_of(document)
    fields = fields_of(document)
    required = _at(document, "components", "schemas", "Input").get("required") or []
    if version is not None:
        send["version"] = version
    images = [send[role] for role in ("source", "references", "reference") if role in send]
    operations = [] if any(one in required for one in images) else [Operation.GENERATE.value]
    operations += [Operation.EDIT.value] if images else []
    if "source" in send and "mask" in send:
        operations = [] if send["mask"] in required else operations
        operations.append(Operation.INPAINT.value)
    most = 1 if images else 0
    if "references" in send:
        most = fields[send["references"]].get("maxItems") or _USUAL_REFERENCES
    return {
        "name": name,
        "title": name.partition(":")[0],
        "help": plain(remark),
        "operations": operations,
        "max_references": min(int(most), _MOST_FIELDS),
        "seeds": "seed" in fields,
        "negative_prompt": "negative_prompt" in fields,
        "parameters": parameters,
        "send": send,
    }


def _shape_of(document: object) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    fields = fields_of(document)
    prompt = next((name for name in _PROMPTS if name in fields), None)
    send: dict[str, Any] = {"discovered": True}
    send |= {} if prompt == "prompt" else {"prompt": prompt}
    send |= _image_fields(fields)
    used = {"seed", "negative_prompt", prompt, *(send.get(role) for role in _ROLES)}
    parameters: dict[str, dict[str, Any]] = {}
    rename: dict[str, str] = {}
    fixed: dict[str, JsonValue] = {}
    for field, spec in fields.items():
        if field in _COUNTS:
            if spec.get("default", 1) != 1:
                fixed[field] = 1
        elif field not in used and not _NOT_OFFERED.search(field) and not _is_secret(spec):
            name = f"input_{field}" if field in _TAKEN else _RENAMED.get(field, field)
            name = field if name in fields else name
            parameter = _parameter_of(name, spec)
            if parameter is not None:
                parameters[name] = parameter
                rename |= {} if name == field else {name: field}
    custom = [name for name, one in parameters.items() if "custom" in one.get("choices", ())]
    if custom and {"width", "height"} <= set(parameters):
        # A size counts only where it is said that there is one: then it has no default of its own.
        send["with_size"] = {rename.get(custom[0], custom[0]): "custom"}
        for name in ("width", "height"):
            parameters[name].pop("default", None)
        parameters[custom[0]]["choices"].remove("custom")
        if parameters[custom[0]].get("default") == "custom":
            del parameters[custom[0]]["default"]
    send |= {"rename": rename} if rename else {}
    send |= {"fixed": fixed} if fixed else {}
    return parameters, send


_ROLES = ("source", "mask", "references", "reference")


def _image_fields(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Say which fields take which images, by their names."""
    single = [name for name, spec in fields.items() if _is_file(spec)]
    found: dict[str, Any] = {}
    masks = [name for name in single if "mask" in name]
    if masks:
        black = _BLACK.search(str(fields[masks[0]].get("description", "")))
        found |= {"mask": masks[0], "mask_paints": "black" if black else "white"}
    sources = [name for name in _SOURCES if name in single]
    if sources:
        found["source"] = sources[0]
    lists = [name for name, spec in fields.items() if _is_file(spec.get("items"))]
    if lists:
        found["references"] = lists[0]
        return found
    others = [
        name
        for name in single
        if name not in found.values() and ("image" in name or "reference" in name)
    ]
    return found | ({"reference": others[0]} if others else {})


def _parameter_of(name: str, spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a parameter of a data file, or None where a panel cannot show one."""
    parameter: dict[str, Any] = {"kind": _KINDS.get(str(spec.get("type")), "json")}
    choices = spec.get("enum")
    if isinstance(choices, list):
        simple = [one for one in choices if isinstance(one, (str, int, float))]
        parameter = {"kind": "choice", "choices": simple}
    default = spec.get("default")
    if default is not None:
        parameter["default"] = default
    if parameter["kind"] in ("integer", "number"):
        for bound in ("minimum", "maximum"):
            number = spec.get(bound)
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                parameter[bound] = number
    remark = plain(spec.get("description"))
    if remark:
        parameter["help"] = remark
    if not _SIMPLE.match(name):
        parameter["advanced"] = True
    for without in ((), ("default",), ("default", "minimum", "maximum")):
        # A model's own defaults may lie outside of its own bounds.
        tried = {key: value for key, value in parameter.items() if key not in without}
        try:
            parameter_of(name, tried)
        except (TypeError, ValueError):
            continue
        return tried
    return None


def _is_file(spec: object) -> bool:
    return isinstance(spec, dict) and spec.get("type") == "string" and spec.get("format") == "uri"


def _is_secret(spec: Mapping[str, Any]) -> bool:
    return bool(
        spec.get("writeOnly") or spec.get("x-cog-secret") or "password" in str(spec.get("format"))
    )


def _order(spec: Mapping[str, Any]) -> float:
    order = spec.get("x-order")
    return float(order) if isinstance(order, (int, float)) else float(_MOST_FIELDS)


def _resolved(spec: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field's schema with what it refers to laid under it; "or null" is dropped."""
    whole = dict(spec)
    parts = [*whole.pop("allOf", []), *whole.pop("anyOf", []), *whole.pop("oneOf", [])]
    if "$ref" in whole:
        parts.append({"$ref": whole.pop("$ref")})
    for part in parts:
        if not isinstance(part, dict) or part.get("type") == "null":
            continue
        found = _at(schemas, str(part.get("$ref", "")).rpartition("/")[2]) or part
        whole = {**found, **whole}
    return whole


def _at(value: object, *names: str) -> dict[str, Any]:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
