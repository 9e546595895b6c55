"""What a page chose for a request, completed by its desk, within what a page may choose.

Hidden parameters, and in a simple widget advanced ones, belong to Python: their value is the
desk's, whatever a page says, and one that the desk does not have cannot be given by a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.domain.arguments import shown
from workbench.domain.parameters import Model, Parameter
from workbench.errors import InvalidRequest
from workbench.widgets.operations.context import Context
from workbench.widgets.simple import settable
from workbench.workspace.requests import MAX_SEED

_SIZES = ("width", "height")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Arguments of a request, but for prompt, topic and references; the values are not checked."""

    model: Model
    n: int
    seed: int | None
    width: int | None
    height: int | None
    negative_prompt: str | None
    params: dict[str, Any]

    def options(self) -> dict[str, Any]:
        """Return keyword arguments for ``Workspace.generate``."""
        return {
            "model": self.model.id,
            "n": self.n,
            "seed": self.seed,
            "width": self.width,
            "height": self.height,
            "negative_prompt": self.negative_prompt,
            "params": self.params,
        }


def chosen(context: Context, args: Mapping[str, Any]) -> Chosen:
    """Return what `args` gives; what it does not give is the desk's.

    An argument that is given as None is no choice: a fresh seed, the model's own size. (Of model,
    count and parameters there is no such thing; there None is as not given.)

    Raises
    ------
    InvalidRequest
        There is no such model, the seed is no seed, or a parameter is not the page's to set.
    """
    config: Mapping[str, Any] = context.desk.snapshot()["config"]
    model = context.workspace.model(args.get("model") or config["model"])
    own = config if _is_of(context, config, model) else {}
    given = args.get("params")
    params = page_params(context, model, own.get("params", {}) if given is None else given)
    sizes = {side: _size(context, model, side, args, own) for side in _SIZES}
    negative = args["negative_prompt"] if "negative_prompt" in args else own.get("negative_prompt")
    count = args.get("n")
    return Chosen(
        model=model,
        n=config["n"] if count is None else count,
        seed=seed_of(args["seed"] if "seed" in args else own.get("seed")),
        width=sizes["width"],
        height=sizes["height"],
        negative_prompt=negative or None,
        params=params | _kept(context, model),
    )


def page_params(context: Context, model: Model, given: object) -> dict[str, Any]:
    """Return those of a page's parameters that are a page's to set.

    Raises
    ------
    InvalidRequest
        One of them is not, and the desk does not have it either.
    """
    if not isinstance(given, Mapping):
        raise InvalidRequest("params", f"must be a dict, not {shown(given)}.")
    python = _of_desk(context, model)
    allowed: dict[str, Any] = {}
    for name, value in given.items():
        if _is_open(context, model, name):
            allowed[name] = value
        elif name not in python and value is not None:
            raise InvalidRequest(str(name), "cannot be set here.")
    return allowed


def page_config(context: Context, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of a configuration that a page may make; see `page_params`."""
    config = dict(given)
    name = config.get("model") or context.desk.snapshot()["config"]["model"]
    if not name:
        return config
    model = context.workspace.model(name)
    if config.get("params") is not None:
        config["params"] = page_params(context, model, config["params"])
    for side in _SIZES:
        if side in config and not _is_open(context, model, side):
            del config[side]
    return config


def seed_of(value: object) -> int | None:
    """Return a seed that travelled as decimal text; None and "" are none.

    Raises
    ------
    InvalidRequest
        It is anything else than digits, or beyond 63 bits.
    """
    if value is None or (isinstance(value, str) and not value):
        return None
    if not (isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20):
        raise InvalidRequest("seed", f"must be a whole number from 0 on, not {shown(value)}.")
    seed = int(value)
    if seed > MAX_SEED:
        raise InvalidRequest("seed", f"is too large; the largest is {MAX_SEED}.")
    return seed


def _is_open(context: Context, model: Model, name: object) -> bool:
    """Tell whether a page may set the parameter; a name that the model lacks fails later, named."""
    parameter: Parameter | None = model.parameters.get(name) if isinstance(name, str) else None
    return parameter is None or settable(parameter, simple=context.simple)


def _is_of(context: Context, config: Mapping[str, Any], model: Model) -> bool:
    return bool(config["model"]) and context.workspace.model(config["model"]).id == model.id


def _of_desk(context: Context, model: Model) -> Mapping[str, Any]:
    """Return the desk's parameters, if they are those of this model."""
    config: Mapping[str, Any] = context.desk.snapshot()["config"]
    params: Mapping[str, Any] = config["params"] if _is_of(context, config, model) else {}
    return params


def _kept(context: Context, model: Model) -> dict[str, Any]:
    """Return what Python set of the parameters that are not a page's."""
    return {
        name: value
        for name, value in _of_desk(context, model).items()
        if not _is_open(context, model, name)
    }


def _size(
    context: Context, model: Model, side: str, args: Mapping[str, Any], own: Mapping[str, Any]
) -> int | None:
    if side in args and _is_open(context, model, side):
        return args[side]  # type: ignore[no-any-return]  # checked with the request
    value: int | None = own.get(side)
    return value
