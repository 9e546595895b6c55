"""Models and prices of providers: dated data files, which can be refreshed and corrected.

Three layers, the later ones on top: the file that ships with the package, what
``jupyter workbench providers refresh`` fetched last, and what the user wrote. All have one format::

    {"format": 1, "dated": "2026-11-21", "sources": [{"what": …, "from": …, "licence": …}],
     "models": [{"name": "flux-2-pro", "title": "FLUX.2 [pro]", "help": "…",
                 "operations": ["generate", "edit"], "max_images": 4, "max_references": 8,
                 "seeds": true, "previews": false, "gone": "2027-01-31",
                 "usd": {"per_image": "0.03", "per_megapixel": "0.015",
                         "by": {"quality": {"low": "0.01"}},
                         "by_size": {"quality": {"low": {"1024x768": "0.01", "least": "0.01",
                                     "per_image": "0.008", "per_megapixel": "0.002"}}}},
                 "parameters": {"width": {"kind": "integer", "default": 1024, "minimum": 256,
                                          "maximum": 2048, "step": 16, "unit": "px"}},
                 "send": {"path": "flux-2-pro"}}]}

An entry of a later layer changes the fields that it names; ``{"name": …, "removed": true}`` takes
a model out. Without "usd" a model's price is not known before, unless it is "free": true. "send"
is the dialect's own. "by_size" names the price of some sizes and how others are estimated (see
`workbench.domain.rates.SizePrices`). A price is as of the day "priced" of its entry, or else
"dated" of the file that names it, or else the one on which that file was changed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import platformdirs

from workbench.domain.parameters import Model, Parameter, ParameterKind
from workbench.domain.rates import Rate, SizePrices
from workbench.domain.status import Operation
from workbench.errors import ConfigurationError

FOLDER = "WORKBENCH_PROVIDERS"  # where refreshed and own files are; else the user's settings folder
FORMAT = 1
_MAX_BYTES = 20_000_000
_MOST_AT_ONCE = 10
_NAME = re.compile(r"[A-Za-z0-9][\w./:@+-]{0,199}", re.ASCII)
_SIZE = re.compile(r"[1-9]\d{1,4}x[1-9]\d{1,4}", re.ASCII)
# How "by_size" prices what it does not list.
_OTHER_SIZES = frozenset({"per_image", "per_megapixel", "least"})
_LABELS = {"cfg_scale": "CFG scale", "output_format": "Format"}
_PARAMETER_FIELDS = frozenset(
    ("kind", "default", "minimum", "maximum", "step", "choices", "unit", "label", "help", "group")
) | {"advanced", "hidden"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of a catalogue: what our panel shows, and what its dialect needs besides.

    Attributes
    ----------
    model:
        As the workspace offers it.
    send:
        The dialect's own: paths, names of fields, flags.
    gone:
        The day (ISO) from which on the provider does not offer it, or None.
    """

    model: Model
    send: Mapping[str, Any] = field(default_factory=dict)
    gone: str | None = None

    def is_gone(self, today: date | None = None) -> bool:
        """Tell whether its last day is over."""
        if self.gone is None:
            return False
        return date.fromisoformat(self.gone) <= (today or date.today())  # noqa: DTZ011 - days, not instants


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models of one provider.

    Attributes
    ----------
    dated:
        The day (ISO) on which models and prices were last looked at.
    entries:
        By the model's name within the provider, in the order of the file.
    extra:
        Whatever else is in the file, for the dialect.
    """

    dated: str
    entries: Mapping[str, Entry]
    extra: Mapping[str, Any] = field(default_factory=dict)


def own_folder() -> Path:
    """Return the folder of refreshed and own data files (it need not exist)."""
    given = os.environ.get(FOLDER, "").strip()
    if given:
        return Path(given).expanduser()
    return Path(platformdirs.user_config_dir("image-workbench", appauthor=False))


def load(data: str, provider: str) -> Catalogue:
    """Read a catalogue with its layers.

    Parameters
    ----------
    data:
        Name of the data file, without ``.json``.
    provider:
        Name of the provider in the workspace.

    Raises
    ------
    ConfigurationError
        A file is not in order; the text says which, and what is wrong.

    Examples
    --------
    ::

        load("replicate", "replicate").entries["black-forest-labs/flux-schnell"].model
    """
    shipped = files("workbench.providers").joinpath(f"data/{data}.json").read_text("utf-8")
    whole = _parsed(shipped, f"{data}.json")
    folder = own_folder()
    for name in (f"{data}.refreshed.json", f"{data}.json"):
        path = folder / name
        if not path.is_file():
            continue
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ConfigurationError(f"{name} has more than {_MAX_BYTES:,} bytes.")
            text = path.read_text("utf-8")
            changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{name} cannot be read: {error}") from None
        whole = _laid_over(whole, _parsed(text, name), changed)
    return catalogue_of(whole, provider, f"{data}.json")


def keep_refreshed(data: str, entries: Sequence[Mapping[str, Any]], *, known: int = 0) -> int:
    """Write what a provider said about its models, in the place of what it said before.

    Entries that are not in order are left out: one strange model must not cost all the others.

    Parameters
    ----------
    data:
        Name of the data file, without ``.json``.
    entries:
        What it said of its models.
    known:
        How many more it named whose entries the package has: with some, there need be no others.

    Returns
    -------
    int
        How many were kept.

    Raises
    ------
    ConfigurationError
        None of them is in order, or the file cannot be written; the one before stays.
    """
    today = datetime.now(UTC).date().isoformat()
    kept = []
    for entry in entries:
        try:
            entry_of(entry, "refreshed", today)
        except (KeyError, TypeError, ValueError, InvalidOperation, AttributeError):
            continue
        kept.append(dict(entry))
    if not kept and (entries or not known):
        raise ConfigurationError("None of the models that were read can be used.")
    whole = {"format": FORMAT, "dated": today, "models": kept}
    place = own_folder() / f"{data}.refreshed.json"
    part = place.with_suffix(f".{os.getpid()}")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_text(json.dumps(whole, indent=1), "utf-8")
        part.replace(place)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        why = error.strerror or type(error).__name__
        raise ConfigurationError(
            f"{place.name} cannot be written: {why}. Look at {place.parent}."
        ) from None
    return len(kept)


def catalogue_of(whole: Mapping[str, Any], provider: str, name: str) -> Catalogue:
    """Make a catalogue of the object in a data file.

    Raises
    ------
    ConfigurationError
        Something in it is not as it should be.
    """
    dated = str(whole.get("dated") or "")
    try:
        date.fromisoformat(dated)
    except ValueError:
        raise ConfigurationError(f"{name}: 'dated' must be a day like 2026-11-21.") from None
    entries: dict[str, Entry] = {}
    for given in whole["models"]:
        if given.get("removed"):
            continue
        try:
            entry = entry_of(given, provider, dated)
        except (KeyError, TypeError, ValueError, InvalidOperation, AttributeError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ConfigurationError(
                f"{name}: the model {given.get('name')!r} is not in order: {what}"
            ) from None
        entries[entry.model.name] = entry
    extra = {
        key: value
        for key, value in whole.items()
        if key not in ("format", "dated", "sources", "models")
    }
    return Catalogue(dated, MappingProxyType(entries), MappingProxyType(extra))


def entry_of(given: Mapping[str, Any], provider: str, dated: str) -> Entry:
    """Make an entry of one object of "models"; ValueError, TypeError or KeyError if it is wrong."""
    name = given["name"]
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} cannot be the name of a model.")
    gone = given.get("gone")
    if gone is not None:
        date.fromisoformat(gone)
    rate = rate_of(given.get("usd"))
    remarks = [str(given.get("help", "")).strip()]
    if gone is not None:
        remarks.append(f"It is switched off on {gone}.")
    if rate is not None:
        remarks.append(f"Its price is as of {_day(given.get('priced', dated))}.")
    model = Model(
        id=f"{provider}:{name}",
        provider=provider,
        name=name,
        title=str(given.get("title") or name),
        help=" ".join(remark for remark in remarks if remark),
        parameters={
            key: parameter_of(key, value) for key, value in given.get("parameters", {}).items()
        },
        operations=tuple(Operation(one) for one in given.get("operations", ["generate"])),
        max_images=int(given.get("max_images", _MOST_AT_ONCE)),
        max_references=int(given.get("max_references", 0)),
        negative_prompt=bool(given.get("negative_prompt", False)),
        seeds=bool(given.get("seeds", True)),
        batchable=bool(given.get("batchable", False)),
        steps_preview=bool(given.get("previews", False)),
        aliases=tuple(given.get("aliases", ())),
        rate=None if given.get("free") else rate or Rate(),
    )
    return Entry(model, MappingProxyType(dict(given.get("send", {}))), gone)


def _day(text: Any) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except (TypeError, ValueError):
        raise ValueError("'priced' must be a day like 2026-11-21.") from None


def rate_of(given: Mapping[str, Any] | None) -> Rate | None:
    """Make a rate of "usd"; None where nothing is known."""
    if given is None:
        return None
    strange = set(given) - {"per_image", "per_megapixel", "by", "by_size"}
    if strange:
        raise ValueError(f"'usd' has the unknown part {min(strange)!r}.")
    return Rate(
        _usd(given.get("per_image", "0")),
        _usd(given.get("per_megapixel", "0")),
        {
            name: {str(value): _usd(amount) for value, amount in table.items()}
            for name, table in given.get("by", {}).items()
        },
        {
            name: {str(value): _size_prices(prices) for value, prices in table.items()}
            for name, table in given.get("by_size", {}).items()
        },
    )


def _size_prices(given: Mapping[str, Any]) -> SizePrices:
    parts = {key: _usd(amount) for key, amount in given.items() if key in _OTHER_SIZES}
    sizes = {key: _usd(amount) for key, amount in given.items() if key not in _OTHER_SIZES}
    if parts.keys() != _OTHER_SIZES:
        raise ValueError("a part of 'by_size' must say what other sizes cost.")
    return SizePrices({_size(key): amount for key, amount in sizes.items()}, **parts)


def _size(text: str) -> tuple[int, int]:
    if not _SIZE.fullmatch(text):
        raise ValueError(f"{text!r} is no size like '1024x768'.")
    width, _, height = text.partition("x")
    return int(width), int(height)


def parameter_of(name: str, given: Mapping[str, Any]) -> Parameter:
    """Make a parameter of one object of "parameters"."""
    strange = set(given) - _PARAMETER_FIELDS
    if strange:
        raise ValueError(f"the parameter {name!r} has the unknown part {min(strange)!r}.")
    fields = dict(given)
    fields["kind"] = ParameterKind(fields["kind"])
    fields["choices"] = tuple(fields.get("choices", ()))
    fields.setdefault("label", _LABELS.get(name, name.replace("_", " ").capitalize()))
    if name in ("width", "height"):
        fields.setdefault("group", "size")
        fields.setdefault("unit", "px")
    parameter = Parameter(**fields)
    if parameter.default is not None:
        parameter.check(name, parameter.default)  # InvalidRequest is a ValueError
    return parameter


def _usd(text: object) -> Decimal:
    if not isinstance(text, (str, int)) or isinstance(text, bool):
        raise TypeError(f"an amount must be text like '0.04', not {text!r}.")
    amount = Decimal(text)
    if not amount.is_finite() or not 0 <= amount <= 10_000:
        raise ValueError(f"{text!r} is no amount.")
    return amount


def _parsed(text: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name} is not JSON: {error}") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ConfigurationError(f'{name} must be an object with "format": {FORMAT}.')
    models = value.setdefault("models", [])
    if not isinstance(models, list) or any(
        not isinstance(one, dict) or not isinstance(one.get("name"), str) for one in models
    ):
        raise ConfigurationError(f"{name}: 'models' must be a list of objects with a name.")
    return value


def _laid_over(below: dict[str, Any], above: dict[str, Any], changed: str) -> dict[str, Any]:
    """Let the entries of one file win over those of another, part by part.

    A price stays as old as the file that it comes from: a list of models that was read today and
    names no prices makes none of them younger. Where a file does not say how old it is, the day on
    which it was `changed` counts.
    """
    before = below["dated"]
    now = above.get("dated", changed)
    models = {one["name"]: {"priced": before, **one} for one in below["models"]}
    for one in above["models"]:
        under = models.get(one["name"], {"priced": now})
        models[one["name"]] = {**under, **({"priced": now} if "usd" in one else {}), **one}
    return {**below, **above, "models": list(models.values())}
