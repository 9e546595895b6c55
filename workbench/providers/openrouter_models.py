"""From OpenRouter's lists of models to entries of a data file: what can be set, what it costs.

``GET /images/models`` names each model's parameters with what they accept; each model's list of
endpoints names prices. Both become the format of `workbench.providers.catalogue`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from workbench.providers.catalogue import FORMAT, entry_of
from workbench.providers.redaction import plain

SOURCE = {
    "what": "models, their parameters and prices",
    "from": "openrouter.ai/api/v1/images/models",
    "licence": "the service's own answers, read with your key",
}

_ID = re.compile(r"[A-Za-z0-9][\w.:+-]{0,99}/[\w.:+-]{1,99}", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_LONGEST_HELP = 200
_MOST_REFERENCES = 16
_MOST_CHOICES = 60
_MOST_USD, _FINEST = 10_000, -15
# Told in another way than as a parameter.
_NOT_SHOWN = frozenset(("model", "prompt", "n", "seed", "stream", "input_references", "provider"))
_SHOWN: Mapping[str, Mapping[str, Any]] = {
    "aspect_ratio": {"label": "Aspect ratio", "group": "size"},
    "resolution": {"label": "Resolution", "group": "size"},
    "size": {"label": "Size", "group": "size"},
    "quality": {"label": "Quality", "help": "Better ones take longer and cost more."},
    "background": {
        "label": "Background",
        "help": "Transparent ones need the format png or webp.",
        "advanced": True,
    },
    "output_format": {"label": "Format", "advanced": True},
    "output_compression": {
        "label": "Compression",
        "unit": "%",
        "help": "For webp and jpeg: 100 keeps most.",
        "advanced": True,
    },
}
_STREAM = {
    "kind": "boolean",
    "default": True,
    "label": "Previews",
    "help": "Unfinished pictures on the way. Each costs a little more.",
    "advanced": True,
}
_DEFAULTS = {
    "aspect_ratio": ("1:1", "auto"),
    "resolution": ("1K",),
    "quality": ("auto", "medium"),
    "background": ("auto",),
    "output_format": ("png", "webp", "jpeg"),
}
# Believed: a square of each tier. Providers may make fewer pixels for other ratios.
_MEGAPIXELS = {
    "512": Decimal("0.27"),
    "768": Decimal("0.59"),
    "1K": Decimal("1.05"),
    "1.5K": Decimal("2.36"),
    "2K": Decimal("4.2"),
    "4K": Decimal("16.8"),
}


def data_file(models: Sequence[Mapping[str, Any]], today: date) -> dict[str, Any]:
    """Return the object of a data file."""
    return {
        "format": FORMAT,
        "dated": today.isoformat(),
        "sources": [SOURCE],
        "models": list(models),
    }


def ids_of(listing: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a listing that name a model as they should."""
    entries = listing.get("data") if isinstance(listing, dict) else None
    if not isinstance(entries, list):
        return []
    return [
        one
        for one in entries
        if isinstance(one, dict) and isinstance(one.get("id"), str) and _ID.fullmatch(one["id"])
    ]


def model_from(listed: Mapping[str, Any], endpoints: Any) -> dict[str, Any] | None:
    """Return the entry of one model, or None for one that makes no picture that can be shown.

    Parameters
    ----------
    listed:
        Its object in the listing.
    endpoints:
        The answer that names its endpoints; None where there was none.

    Examples
    --------
    >>> tiers = {"type": "enum", "values": ["1K", "2K"]}
    >>> takes = {"resolution": tiers, "seed": {"type": "boolean"}}
    >>> price = {"billable": "output_image", "unit": "image", "cost_usd": 0.04}
    >>> listed = {"id": "a/b", "name": "B", "supported_parameters": takes}
    >>> entry = model_from(listed, {"endpoints": [{"pricing": [price]}]})
    >>> entry["usd"], entry["parameters"]["resolution"]["default"], entry["seeds"]
    ({'per_image': '0.04'}, '1K', True)
    """
    architecture = listed.get("architecture")
    made = architecture.get("output_modalities") if isinstance(architecture, dict) else None
    if isinstance(made, list) and "image" not in made:
        return None
    supported = listed.get("supported_parameters")
    supported = supported if isinstance(supported, dict) else {}
    parameters = _parameters(supported)
    if parameters is None:
        return None
    streams = listed.get("supports_streaming") is True
    if streams:
        parameters["stream"] = _STREAM
    references = _most_references(supported.get("input_references"))
    entry: dict[str, Any] = {
        "name": listed["id"],
        "title": plain(listed.get("name"), limit=100) or listed["id"],
        "help": plain(listed.get("description"), limit=_LONGEST_HELP),
        "operations": ["generate", "edit"] if references else ["generate"],
        "max_references": references,
        "seeds": "seed" in supported,
        "previews": streams,
        "parameters": parameters,
    }
    usd = _usd(endpoints, parameters)
    if usd is not None:
        entry["usd"] = usd
    try:
        entry_of(entry, "openrouter", "2026-01-01")
    except (TypeError, ValueError, KeyError, InvalidOperation):
        return None
    return entry


def _parameters(supported: Mapping[str, Any]) -> dict[str, Any] | None:
    known = [name for name in _SHOWN if name in supported]
    if "resolution" in known or "aspect_ratio" in known:
        known = [name for name in known if name != "size"]  # the two exclude one another
    others = sorted(
        name
        for name in supported
        if name not in _NOT_SHOWN and name not in _SHOWN and _NAME.fullmatch(name)
    )
    parameters: dict[str, Any] = {}
    for name in (*known, *others):
        about = dict(_SHOWN.get(name, {"advanced": True}))
        made = _parameter(name, supported[name])
        if made is not None:
            parameters[name] = about | made
        elif name == "output_format":
            return None  # vector graphics only
    return parameters


def _parameter(name: str, given: Any) -> dict[str, Any] | None:
    kind = given.get("type") if isinstance(given, dict) else None
    if kind == "enum":
        values = given.get("values")
        values = values if isinstance(values, list) else []
        choices = [one for one in values if isinstance(one, str) and 0 < len(one) <= 40]
        choices = [one for one in choices if one != "svg"][:_MOST_CHOICES]
        if not choices:
            return None
        wanted = _DEFAULTS.get(name, ("auto",))
        default = next((one for one in wanted if one in choices), choices[0])
        return {"kind": "choice", "choices": choices, "default": default}
    if kind == "range":
        low, high = given.get("min"), given.get("max")
        if all(_is_number(one) for one in (low, high)) and low <= high:
            whole = isinstance(low, int) and isinstance(high, int)
            kind = "integer" if whole else "number"
            return {"kind": kind, "minimum": low, "maximum": high}
    return None  # a flag says that a field is taken, not what it takes


def _most_references(given: Any) -> int:
    if not isinstance(given, dict):
        return 0
    most = given.get("max", 1)
    return min(_MOST_REFERENCES, int(most)) if _is_number(most) and most >= 0 else 0


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


# -- prices ---------------------------------------------------------------------------------------


def _usd(endpoints: Any, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the dearest of the endpoints' prices: which one will be asked is not known before."""
    entries = endpoints.get("endpoints") if isinstance(endpoints, dict) else None
    if not isinstance(entries, list) or not entries:
        return None
    prices = [
        _of_endpoint(one.get("pricing") if isinstance(one, dict) else None, parameters)
        for one in entries
    ]
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return None  # one of them bills by tokens, whose number nobody says before
    return max(known, key=_height)


def _of_endpoint(lines: Any, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    if not isinstance(lines, list):
        return None
    outputs = [
        one for one in lines if isinstance(one, dict) and one.get("billable") == "output_image"
    ]
    images: dict[str, Decimal] = {}
    megapixels: list[Decimal] = []
    for line in outputs:
        amount = amount_of(line.get("cost_usd"))
        if amount is None:
            return None
        if line.get("unit") in ("image", "request"):
            images[str(line.get("variant") or "").casefold()] = amount
        elif line.get("unit") == "megapixel":
            megapixels.append(amount)
        else:
            return None
    if megapixels and not images:
        return _by_megapixel(max(megapixels), parameters)
    if not images or megapixels:
        return None
    return _by_variant(images, parameters)


def _by_megapixel(amount: Decimal, parameters: Mapping[str, Any]) -> dict[str, Any]:
    tiers = parameters.get("resolution", {}).get("choices", ())
    if not tiers:
        return {"per_megapixel": _text(amount)}
    most = max(_MEGAPIXELS.values())
    return {
        "by": {
            "resolution": {one: _text(amount * _MEGAPIXELS.get(one, most)) for one in tiers},
        }
    }


def _by_variant(images: Mapping[str, Decimal], parameters: Mapping[str, Any]) -> dict[str, Any]:
    base = images.get("")
    variants = {name: amount for name, amount in images.items() if name}
    if not variants:
        return {"per_image": _text(max(images.values()))}
    for name in ("resolution", "quality", "size"):
        choices = parameters.get(name, {}).get("choices", ())
        if set(variants) <= {one.casefold() for one in choices}:
            most = max(images.values())
            table = {
                one: _text(variants.get(one.casefold(), most if base is None else base))
                for one in choices
                if one != "auto"
            }
            return {"by": {name: table}}
    return {"per_image": _text(max(images.values()))}


def _height(usd: Mapping[str, Any]) -> Decimal:
    tables = [max(map(Decimal, table.values())) for table in usd.get("by", {}).values()]
    fixed = Decimal(usd.get("per_image", 0)) + Decimal(usd.get("per_megapixel", 0))
    return fixed + sum(tables, Decimal(0))


def amount_of(value: object) -> Decimal | None:
    """Return an amount of USD from JSON; None for what is none.

    >>> amount_of(0.04), amount_of("0.04"), amount_of(-1)
    (Decimal('0.04'), Decimal('0.04'), None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    try:
        amount = Decimal(str(value))  # the shortest form of a float is what was written
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount < _MOST_USD:
        return None
    # "1e-999999999" is a number too, and would be written with a thousand million digits.
    return amount if amount == 0 or amount.adjusted() >= _FINEST else None


def _text(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
