"""What the next request will be made with: model, size, seed, parameters; checked on every change.

`Settings` and the functions are plain values without a store; `Config` is the face of them in
Python: ``bench.config.steps = 30`` moves the slider in every open page, and a moved slider is read
here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from workbench.domain.arguments import check_flag, shown
from workbench.domain.parameters import (
    MAX_PROMPT_CHARACTERS,
    Model,
    Parameter,
    ParameterKind,
    unknown_name,
)
from workbench.domain.records import JsonValue
from workbench.errors import InvalidRequest
from workbench.workspace.plugins import ProviderRegistry
from workbench.workspace.requests import MAX_SEED

if TYPE_CHECKING:
    from workbench.widgets.desk import Desk

_USUAL_COUNT = 4  # images of a request, where nobody said anything else
SIZES = ("width", "height")
FIELDS = ("model", "n", "seed", *SIZES, "ratio_lock", "negative_prompt", "params")

_SEED = Parameter(ParameterKind.INTEGER, minimum=0, maximum=MAX_SEED)
_NEGATIVE = Parameter(ParameterKind.TEXT, maximum=MAX_PROMPT_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values that somebody chose; None, or a name that is missing, is the model's default."""

    model: str  # id; "" where no provider offers a model
    n: int = 1
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    ratio_lock: bool = False
    negative_prompt: str = ""
    params: Mapping[str, JsonValue] = field(default_factory=dict)


def first_settings(registry: ProviderRegistry, default_model: str) -> Settings:
    """Return what a new desk starts with: the default model, or the first that can be used."""
    model = _usable(registry, default_model)
    if model is None:
        return Settings("")
    return Settings(model.id, n=min(_USUAL_COUNT, model.max_images))


def restored(
    registry: ProviderRegistry, default_model: str, stored: Mapping[str, Any]
) -> tuple[Settings, list[str], str]:
    """Return settings as they were stored, names of what no longer fits, and a remark or "".

    Never raises for what is stored: a model may be gone and a limit may have changed since.
    """
    wanted = stored.get("model")
    model = _usable(registry, default_model if not isinstance(wanted, str) else wanted)
    if model is None:
        return Settings(""), [], ""
    remark = ""
    if isinstance(wanted, str) and wanted != model.id:
        remark = f"{wanted} cannot be used here any more; {model.title} took its place."
    settings = Settings(model.id, n=min(_USUAL_COUNT, model.max_images))
    dropped: list[str] = []
    params = stored.get("params")
    chosen = {name: stored[name] for name in FIELDS[1:-1] if name in stored}
    chosen.update(params if isinstance(params, Mapping) else {})
    for name, value in chosen.items():
        try:
            settings = _with(settings, model, str(name), value)
        except InvalidRequest:
            dropped.append(str(name))
    return settings, dropped, remark


def changed(
    registry: ProviderRegistry, settings: Settings, changes: Mapping[str, Any]
) -> tuple[Settings, list[str]]:
    """Return the settings after some changes, and the names of what a change of model dropped.

    `changes` maps names of `FIELDS`, or of the model's parameters, to values; None puts a value
    back to the default, and ``params`` is a mapping of parameters of which those that it does not
    name stay as they are. With `ratio_lock`, one side alone moves the other with it.

    Raises
    ------
    InvalidRequest
        For a name or value that the model does not take; then nothing is changed.
    """
    dropped: list[str] = []
    if changes.get("model") is not None:
        _, model = registry.ready_model(changes["model"])
        if model.id != settings.model:
            settings, dropped = _moved(settings, model)
    elif not settings.model:
        raise InvalidRequest("model", "there is none to set anything for; install a provider.")
    else:
        model = registry.model(settings.model)
    before = settings
    values = {name: value for name, value in changes.items() if name not in ("model", "params")}
    params = changes.get("params")
    if params is not None:
        if not isinstance(params, Mapping):
            raise InvalidRequest("params", f"must be a dict, not {type(params).__name__}.")
        for name in params:
            if name in FIELDS:
                raise InvalidRequest(str(name), "is no parameter of the model; set it by itself.")
        values.update(params)
    for name, value in values.items():
        settings = _with(settings, model, name, value)
    if before.ratio_lock and "ratio_lock" not in values:
        settings = _keep_ratio(before, settings, model, [side for side in SIZES if side in values])
    return settings, dropped


def as_stored(settings: Settings) -> dict[str, Any]:
    """Return settings as JSON for the store: only what was chosen."""
    return {
        "model": settings.model,
        "n": settings.n,
        "seed": settings.seed,
        "width": settings.width,
        "height": settings.height,
        "ratio_lock": settings.ratio_lock,
        "negative_prompt": settings.negative_prompt,
        "params": dict(settings.params),
    }


def in_force(settings: Settings, model: Model | None) -> dict[str, Any]:
    """Return every value that the next request would have, the model's defaults included."""
    values = as_stored(settings)
    if model is not None:
        defaults = model.defaults()
        for side in SIZES:
            default = defaults.pop(side, None)
            values[side] = default if values[side] is None else values[side]
        values["params"] = {**defaults, **settings.params}
    return values


def _usable(registry: ProviderRegistry, name: str) -> Model | None:
    """Return the model of this name, else the first that can be used, else the first at all."""
    models = registry.models()
    ready = {info.name for info in registry.infos() if info.state.ready}
    usable = [model for model in models if model.provider in ready]
    named = [model for model in usable if name == model.id or name in model.aliases]
    return next(iter([*named, *usable, *models]), None)


def _with(settings: Settings, model: Model, name: str, value: object) -> Settings:
    """Return settings with one checked value; None is the default."""
    if name == "n":
        count = Parameter(ParameterKind.INTEGER, minimum=1, maximum=model.max_images)
        n = min(_USUAL_COUNT, model.max_images) if value is None else count.check("n", value)
        return replace(settings, n=int(n))  # type: ignore[arg-type]  # an INTEGER checks to an int
    if name == "seed":
        return replace(settings, seed=_seed(model, value))
    if name == "ratio_lock":
        return replace(settings, ratio_lock=value is not None and check_flag(name, value))
    if name == "negative_prompt":
        return replace(settings, negative_prompt=_negative_prompt(model, value))
    if name not in model.parameters:
        if name in SIZES:
            if value is None:
                return settings
            raise InvalidRequest(name, f"{model.title} does not let you choose it.")
        known = [key for key, one in model.parameters.items() if not one.hidden]
        raise unknown_name(name, [*known, *FIELDS], f"{model.title} has no setting")
    checked = None if value is None else model.parameters[name].checked(name, value)
    if name in SIZES:
        return replace(settings, **{name: checked})  # type: ignore[arg-type]  # the name is a field
    params = {key: old for key, old in settings.params.items() if key != name}
    if checked is not None:
        params[name] = checked
    return replace(settings, params=params)


def _seed(model: Model, value: object) -> int | None:
    if value is None or (isinstance(value, str) and value == ""):
        return None
    if not model.seeds:
        raise InvalidRequest("seed", f"{model.title} takes no seed; leave it empty.")
    if isinstance(value, str):  # as pages send it: JavaScript's numbers end at 2**53
        if not (value.isascii() and value.isdecimal() and len(value) <= 20):
            raise InvalidRequest("seed", f"must be a whole number, not {shown(value)}.")
        value = int(value)
    checked = _SEED.check("seed", value)
    assert isinstance(checked, int)
    return checked


def _negative_prompt(model: Model, value: object) -> str:
    text = "" if value is None else _NEGATIVE.check("negative_prompt", value)
    assert isinstance(text, str)
    if text and not model.negative_prompt:
        raise InvalidRequest("negative_prompt", f"{model.title} takes no negative prompt.")
    return text


def _moved(settings: Settings, model: Model) -> tuple[Settings, list[str]]:
    """Return the settings as another model takes them, and the names of what it does not take."""
    kept = Settings(model.id, n=min(settings.n, model.max_images), ratio_lock=settings.ratio_lock)
    dropped = [] if kept.n == settings.n else ["n"]
    chosen = {name: value for name, value in as_stored(settings).items() if value not in (None, "")}
    for name in ("model", "n", "ratio_lock", "params"):
        chosen.pop(name)
    chosen.update(settings.params)
    for name, value in chosen.items():
        try:
            kept = _with(kept, model, name, value)
        except InvalidRequest:
            dropped.append(name)
    return kept, dropped


def _keep_ratio(before: Settings, after: Settings, model: Model, sides: list[str]) -> Settings:
    if len(sides) != 1 or any(side not in model.parameters for side in SIZES):
        return after
    old, new = in_force(before, model), in_force(after, model)
    side = sides[0]
    other = SIZES[1 - SIZES.index(side)]
    if not (old[side] and old[other] and new[side]):
        return after
    fitting = _nearest(model.parameters[other], new[side] * old[other] / old[side])
    return replace(after, **{other: fitting})  # type: ignore[arg-type]  # the name is a field


def _nearest(parameter: Parameter, value: float) -> int:
    """Return the whole number nearest to `value` that the parameter takes."""
    low = int(parameter.minimum or 0)
    step = max(1, int(parameter.step or 1))
    top = None if parameter.maximum is None else low + (int(parameter.maximum) - low) // step * step
    nearest = max(low, low + round((value - low) / step) * step)
    return nearest if top is None else min(nearest, top)


class Config:
    """The settings of the next request; reading is live, assigning moves every open page.

    `model` (id or alias), `n`, `seed` (None: a fresh one for every image), `width`, `height`,
    `ratio_lock`, `negative_prompt`, and each parameter of the model by its name. Assigning None
    brings the default back. Another model keeps what it takes of the other settings; `dropped`
    names the rest.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> bench = wb.Workbench(tempfile.mkdtemp())
    >>> bench.config.steps = 30
    >>> bench.config.update(n=2, seed=7)
    >>> bench.config.n, bench.config.seed, bench.config.params["steps"]
    (2, 7, 30)
    >>> bench.config.stepps = 3
    Traceback (most recent call last):
    workbench.errors.InvalidRequest: stepps: Sketch has no setting 'stepps'. Did you mean 'steps'?
    >>> bench.close()
    """

    __slots__ = ("_desk",)

    _desk: Desk

    def __init__(self, desk: Desk) -> None:
        object.__setattr__(self, "_desk", desk)

    @property
    def dropped(self) -> list[str]:
        """Names of the settings that the last change of model (or an upgrade) did not keep."""
        return list(self._desk.dropped)

    @property
    def remark(self) -> str:
        """A sentence about what was dropped or replaced, or ""."""
        return self._desk.remark

    def update(self, **changes: Any) -> None:
        """Set several at once, all or none; see the class for the names.

        Raises
        ------
        InvalidRequest
            For a name or value that the model does not take; nothing is changed then.
        """
        self._desk.change({"config": changes})

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Return arguments for a request: ``ws.generate("a red fox", **bench.config.settings())``.

        The sides and parameters that the model has are all there, defaults included. `changes` are
        for this request only, with names and checks as for `update`.
        """
        values = self._desk.values(changes)
        del values["ratio_lock"]
        values["negative_prompt"] = values["negative_prompt"] or None
        return values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # IPython and copy ask for many that nobody has
            raise AttributeError(name)
        values = self._desk.values()
        if name == "params":
            return MappingProxyType(values["params"])
        if name in values:
            return values[name]
        if name in values["params"]:
            return values["params"][name]
        if name in self._desk.parameters():  # a hidden one that was not set
            return None
        error = unknown_name(name, list(self), "there is no setting")
        raise AttributeError(error.message)

    def __setattr__(self, name: str, value: Any) -> None:
        self._desk.change({"config": {name: value}})

    def __iter__(self) -> Iterator[str]:
        return iter([*FIELDS[:-1], *self._desk.values()["params"]])

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *FIELDS, *self._desk.values()["params"]]

    def __repr__(self) -> str:
        values = self._desk.values()
        params = values.pop("params")
        said = ", ".join(f"{name}={shown(value)}" for name, value in {**values, **params}.items())
        return f"Config({said})"
