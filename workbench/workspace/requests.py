"""From the arguments of ``generate`` to a checked request; nothing is stored before that."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from workbench import _version
from workbench.domain.arguments import shown
from workbench.domain.parameters import (
    MAX_PROMPT_CHARACTERS,
    Model,
    Parameter,
    ParameterKind,
    check_characters,
    closest,
)
from workbench.domain.records import GenerationRecord, Json, JsonValue
from workbench.domain.status import Operation
from workbench.errors import InvalidRequest

# Who asks, as it is noted with the batch: the API, unless somebody else says so around the call.
request_source: ContextVar[str] = ContextVar("request_source", default="api")

MAX_SEED = 2**63 - 1
_RANDOM_SEED_BITS = 32  # every engine takes 32 bits; JavaScript shows them exactly

_SEED = Parameter(ParameterKind.INTEGER, minimum=0, maximum=MAX_SEED)
_PRIORITY = Parameter(ParameterKind.INTEGER, minimum=-100, maximum=100)

OPTIONS = (
    "prompt",
    "model",
    "n",
    "seed",
    "width",
    "height",
    "negative_prompt",
    "references",
    "source",
    "mask",
    "operation",
    "topic",
    "params",
    "priority",
    "client_key",
    "force",
)


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """What was asked for, checked against the model's specification."""

    prompt: str
    negative_prompt: str | None
    n: int
    seed: int | None
    seeds: tuple[int | None, ...]
    width: int | None
    height: int | None
    params: Json
    priority: int
    client_key: str | None


def check_request(
    model: Model,
    prompt: object,
    *,
    n: object,
    seed: object,
    width: object,
    height: object,
    negative_prompt: object,
    params: object,
    extra: Mapping[str, object],
    priority: object,
    client_key: object,
) -> CheckedRequest:
    """Check everything that ``generate`` was given except references and topic.

    Raises
    ------
    InvalidRequest
        Naming the first argument that is wrong and what would be right.
    """
    text = check_prompt("prompt", prompt)
    negative = None
    if negative_prompt is not None and not (
        isinstance(negative_prompt, str) and negative_prompt == ""
    ):
        if not model.negative_prompt:
            raise InvalidRequest("negative_prompt", f"{model.title} takes no negative prompt.")
        negative = check_prompt("negative_prompt", negative_prompt)
    count = Parameter(ParameterKind.INTEGER, minimum=1, maximum=model.max_images).check("n", n)
    assert isinstance(count, int)
    given = _merged(model, params, extra)
    for name, value in (("width", width), ("height", height)):
        if value is not None:
            if name not in model.parameters:
                raise InvalidRequest(name, f"{model.title} does not let you choose it.")
            given[name] = value
    checked = model.check(given)
    size = {name: checked.pop(name, None) for name in ("width", "height")}
    first_seed, seeds = _seeds(model, seed, count)
    order = _PRIORITY.check("priority", priority)
    assert isinstance(order, int)
    return CheckedRequest(
        prompt=text,
        negative_prompt=negative,
        n=count,
        seed=first_seed,
        seeds=seeds,
        width=_whole(size["width"]),
        height=_whole(size["height"]),
        params=checked,
        priority=order,
        client_key=check_client_key(client_key),
    )


def check_operation(
    model: Model, operation: object, *, source: bool, mask: bool, references: bool
) -> Operation:
    """Return what is to be done, by what was given where it was not named.

    Raises
    ------
    InvalidRequest
        The model does not do that, or an image that it needs is missing or not wanted.
    """
    if operation is None:
        wanted = Operation.INPAINT if mask else Operation.EDIT if source else Operation.GENERATE
        only_edits = Operation.GENERATE not in model.operations
        if wanted is Operation.GENERATE and references and only_edits:
            wanted = Operation.EDIT
    else:
        names = [one.value for one in Operation if one is not Operation.IMPORT]
        if not isinstance(operation, str) or operation not in names:
            near = closest(operation, names) if isinstance(operation, str) else None
            hint = f" Did you mean {near!r}?" if near else f" There are: {', '.join(names)}."
            raise InvalidRequest("operation", f"there is no operation {shown(operation)}.{hint}")
        wanted = Operation(operation)
    if wanted not in model.operations:
        can = ", ".join(model.operations)
        raise InvalidRequest(
            "operation", f"{model.title} does not do {wanted.value}; it does: {can}."
        )
    if wanted is Operation.GENERATE and (source or mask):
        raise InvalidRequest(
            "source" if source else "mask", "is for edit and inpaint; generate begins from nothing."
        )
    if mask and wanted is not Operation.INPAINT:
        raise InvalidRequest("mask", f"is for inpaint, not for {wanted.value}.")
    if wanted is Operation.INPAINT and not mask:
        raise InvalidRequest("mask", "is missing: inpaint needs to know what to paint anew.")
    if wanted is not Operation.GENERATE and not (source or references):
        raise InvalidRequest("source", f"is missing: {wanted.value} needs an image to begin with.")
    return wanted


def check_prompt(field: str, prompt: object) -> str:
    """Return the prompt, whole, or raise InvalidRequest."""
    if not isinstance(prompt, str):
        raise InvalidRequest(field, f"must be text, not {type(prompt).__name__}.")
    if not prompt.strip():
        raise InvalidRequest(field, "is empty; write what the picture should show.")
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise InvalidRequest(
            field, f"has {len(prompt):,} characters; the limit is {MAX_PROMPT_CHARACTERS:,}."
        )
    return check_characters(field, prompt)


def check_client_key(key: object) -> str | None:
    """Return the client key (1–200 printable characters) or None, else raise InvalidRequest."""
    if key is None:
        return None
    if not isinstance(key, str) or not 1 <= len(key) <= 200 or not key.isprintable():
        raise InvalidRequest("client_key", "must be text of 1 to 200 printable characters.")
    return key


def checked_edit(
    model: Model, record: GenerationRecord, changes: Mapping[str, object]
) -> dict[str, Any]:
    """Check the changes of a queued generation and return the fields to store."""
    fields: dict[str, Any] = {}
    params = dict(record.params)
    touched = False
    for name, value in changes.items():
        if name == "prompt":
            fields["prompt_sent"] = check_prompt("prompt", value)
        elif name == "seed":
            if not model.seeds:
                raise InvalidRequest("seed", f"{model.title} takes no seed.")
            fields["seed"] = _SEED.check("seed", value)
        elif name in model.parameters:
            checked = model.parameters[name].checked(name, value)
            if name in ("width", "height"):
                fields[name] = checked
            else:
                params[name] = checked
                touched = True
        else:
            raise _unknown(name, model, ("prompt", "seed"))
    if touched:
        fields["params"] = params
    if not fields:
        raise InvalidRequest("changes", "say what to change, for example seed=7.")
    return fields


def title_from_prompt(prompt: str) -> str:
    r"""Return a title of at most 60 characters, cut at a word.

    >>> title_from_prompt("  a red fox\nin the snow ")
    'a red fox in the snow'
    """
    text = " ".join(prompt.split())
    if len(text) <= 60:
        return text
    cut = text[:60].rsplit(" ", 1)[0] or text[:60]
    return cut.rstrip(" ,;:.-") + "…"


def provenance() -> dict[str, JsonValue]:
    """Return what is known about the place that a request comes from (no paths, no names)."""
    version = sys.version_info
    return {
        "workbench": _version.__version__,
        "python": f"{version.major}.{version.minor}.{version.micro}",
    }


def _merged(model: Model, params: object, extra: Mapping[str, object]) -> dict[str, object]:
    if params is None:
        params = {}
    if not isinstance(params, Mapping):
        raise InvalidRequest("params", f"must be a dict, not {type(params).__name__}.")
    merged: dict[str, object] = {}
    for name, value in (*params.items(), *extra.items()):
        if not isinstance(name, str) or name not in model.parameters:
            raise _unknown(name, model, OPTIONS)
        if name in merged and not _alike(merged[name], value):
            raise InvalidRequest(name, "is given twice with different values.")
        merged[name] = value
    return merged


def _unknown(name: object, model: Model, others: Sequence[str]) -> InvalidRequest:
    known = [key for key, parameter in model.parameters.items() if not parameter.hidden]
    text = name[:80] if isinstance(name, str) else shown(name)
    near = closest(text, [*known, *others])
    hint = f" Did you mean {near!r}?" if near else f" It has: {', '.join(known)}."
    return InvalidRequest(text, f"{model.title} has no such parameter.{hint}")


def _alike(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except (TypeError, ValueError, ArithmeticError):  # arrays, NA, a signalling NaN: no answer
        return False


def _seeds(model: Model, seed: object, count: int) -> tuple[int | None, tuple[int | None, ...]]:
    if not model.seeds:
        if seed is not None:
            raise InvalidRequest("seed", f"{model.title} takes no seed; leave it out.")
        return None, (None,) * count
    if seed is None:
        return None, tuple(secrets.randbits(_RANDOM_SEED_BITS) for _ in range(count))
    first = _SEED.check("seed", seed)
    assert isinstance(first, int)
    if first + count - 1 > MAX_SEED:
        raise InvalidRequest("seed", f"{first} leaves no room for {count} seeds.")
    return first, tuple(range(first, first + count))


def _whole(value: JsonValue) -> int | None:
    return int(value) if isinstance(value, (int, float)) else None
