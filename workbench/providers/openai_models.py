"""What servers in OpenAI's dialect have and lack, and what OpenAI's own tokens cost.

Profiles and prices come from the dated data file; nothing of that is code.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from importlib.resources import files
from typing import Any

from workbench.domain.jobs import JobRequest
from workbench.domain.records import JsonValue
from workbench.errors import InvalidRequest
from workbench.providers.catalogue import Entry, entry_of, keep_refreshed, own_folder

_MICRO = Decimal("0.000001")
_SERVER = re.compile(r"[a-z0-9_-]{1,40}")  # as a workspace takes the name of a provider
_SEED_BITS = 2**32 - 1
_MOST_REFERENCES = 4  # of a server of which nothing is known
_SIDE = {"kind": "integer", "default": 512, "minimum": 64, "maximum": 2048, "step": 8}
# What the panel shows where a server's own names say no more than that it takes the parameter.
_SHOWN: Mapping[str, Mapping[str, Any]] = {
    "steps": {"kind": "integer", "minimum": 1, "maximum": 200, "advanced": True},
    "cfg_scale": {
        "kind": "number",
        "minimum": 0,
        "maximum": 30,
        "step": 0.5,
        "label": "Guidance",
        "help": "How closely the picture follows the prompt; empty: the server's own.",
        "advanced": True,
    },
    "true_cfg_scale": {
        "kind": "number",
        "minimum": 0,
        "maximum": 30,
        "step": 0.5,
        "label": "True CFG",
        "help": "For models that weigh the negative prompt by itself, Qwen-Image for one.",
        "advanced": True,
    },
    "output_format": {
        "kind": "choice",
        "default": "png",
        "choices": ["png", "jpeg"],
        "advanced": True,
    },
}


@dataclass(frozen=True, slots=True)
class Profile:
    """What a server that speaks this dialect has and lacks.

    Attributes
    ----------
    needs_key:
        it does not answer without one.
    free:
        its work costs nothing outside, so that it may be asked again after any failure.
    hosted:
        it is OpenAI's own, with the parameters that only that has.
    stream:
        it sends partial images as they come.
    edits, masks:
        it takes references, and masks, at ``/images/edits``.
    mask_white:
        what it makes anew is what is white in a mask; False: what is transparent, as at OpenAI.
    rgb_only:
        it leaves pictures out, without a word, that are no PNG or JPEG in colour.
    image_field:
        the name under which references are sent there.
    references:
        the field of a generation that takes references instead; None where there is none.
    references_as:
        what it takes: "data_url" or "base64".
    response_format:
        the value that asks for the bytes themselves; None where that is not a parameter.
    seed, negative_prompt:
        the name of the parameter, with dots where it lies deeper; None where there is none.
    fields:
        the server's names of our other parameters, likewise.
    most:
        the largest values that it takes of some of them; larger ones it lowers without a word.
    in_prompt:
        the tag in the prompt that carries parameters the server has no field for.
    most_bytes:
        how many the prompt may have, and the parameters in that tag; None: nothing is known.
    prompt_ends_at:
        the character behind which the server takes the prompt for the negative one.
    size:
        "size" (1024x768) or "width_height".
    models:
        names of models that every such server has.
    """

    name: str
    title: str
    needs_key: bool = False
    free: bool = False
    hosted: bool = False
    stream: bool = False
    edits: bool = False
    masks: bool = False
    mask_white: bool = False
    rgb_only: bool = False
    image_field: str = "image"
    references: str | None = None
    references_as: str = "data_url"
    response_format: str | None = None
    seed: str | None = None
    negative_prompt: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)
    in_prompt: str | None = None
    most_bytes: int | None = None
    prompt_ends_at: str | None = None
    size: str = "size"
    models: tuple[str, ...] = ()


_ANY = Profile("any", "A server")


@dataclass(frozen=True, slots=True)
class TokenRates:
    """US dollars per million tokens, by what the tokens are."""

    text_in: Decimal
    image_in: Decimal
    image_out: Decimal
    text_out: Decimal

    def cost(self, usage: Mapping[str, JsonValue]) -> Decimal | None:
        """Return what an answer's usage costs in USD, or None if it does not say enough.

        >>> rates = TokenRates(Decimal(5), Decimal(8), Decimal(30), Decimal(30))
        >>> rates.cost({"input_tokens": 10, "output_tokens": 1000})
        Decimal('0.030050')
        """
        given, made = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
        if given is None or made is None:
            return None
        inward, outward = usage.get("input_tokens_details"), usage.get("output_tokens_details")
        image_in = (_count(inward.get("image_tokens")) or 0) if isinstance(inward, dict) else 0
        text_out = (_count(outward.get("text_tokens")) or 0) if isinstance(outward, dict) else 0
        image_in, text_out = min(image_in, given), min(text_out, made)
        total = (
            (given - image_in) * self.text_in
            + image_in * self.image_in
            + (made - text_out) * self.image_out
            + text_out * self.text_out
        ) / 1_000_000
        return total.quantize(_MICRO, rounding=ROUND_HALF_UP)


def _count(value: JsonValue) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**9:
        return None
    return value


def token_rates(entry: Entry) -> TokenRates | None:
    """Return what the tokens of a model cost, or None where nobody said."""
    given = entry.send.get("usd_per_million_tokens")
    if given is None:
        return None
    image_out = Decimal(given["image_out"])
    return TokenRates(
        Decimal(given["text_in"]),
        Decimal(given["image_in"]),
        image_out,
        Decimal(given.get("text_out", image_out)),
    )


def size_of(entry: Entry, request: JobRequest) -> tuple[int, int] | None:
    """Return the size to ask for, or None for the model's own choice.

    Raises
    ------
    InvalidRequest
        The two sides do not go together.
    """
    if "width" not in entry.model.parameters or not request.width or not request.height:
        return None
    width, height = request.width, request.height
    limits = entry.send.get("size", {})
    ratio, most = limits.get("max_ratio"), limits.get("max_pixels")
    if ratio and max(width, height) > ratio * min(width, height):
        raise InvalidRequest(
            "height",
            f"{width} × {height} is too narrow; one side may be {ratio} times the other.",
        )
    if most and width * height > most:
        raise InvalidRequest(
            "height", f"{width} × {height} is too large; at most {most:,} pixels are possible."
        )
    return width, height


@functools.cache
def _profiles() -> Mapping[str, Mapping[str, Any]]:
    # What servers can do is code's knowledge: layers that correct prices do not change it.
    text = files("workbench.providers").joinpath("data/openai_images.json").read_text("utf-8")
    profiles: Mapping[str, Mapping[str, Any]] = json.loads(text)["profiles"]
    return profiles


def profile_of(name: str) -> Profile:
    """Return the profile of this name.

    Raises
    ------
    InvalidRequest
        There is none.
    """
    profiles = _profiles()
    if name not in profiles:
        known = ", ".join(profiles)
        raise InvalidRequest("profile", f"there is no profile {name!r}. There are: {known}.")
    given = dict(profiles[name])
    return Profile(name=name, **{**given, "models": tuple(given.get("models", ()))})


def served(provider: str, names: Iterable[str], has: Profile) -> dict[str, Entry]:
    """Return entries for models of a server of which no more is known than its profile.

    Raises
    ------
    InvalidRequest
        One of them cannot be the name of a model.
    """
    operations = ["generate"]
    if has.edits:
        operations += ["edit", "inpaint"] if has.masks else ["edit"]
    about = {
        "operations": operations,
        "max_references": _MOST_REFERENCES if has.edits or has.references else 0,
        "negative_prompt": has.negative_prompt is not None,
        "seeds": has.seed is not None,
        "previews": has.stream,
        "free": has.free,
        "parameters": {
            "width": _SIDE,
            "height": _SIDE,
            **{name: _shown(name, has) for name in has.fields if name in _SHOWN},
        },
    }
    entries = {}
    for name in names:
        told = f"The model {name} of a server that you named."
        try:
            entries[name] = entry_of({"name": name, "help": told, **about}, provider, "")
        except (TypeError, ValueError) as error:
            raise InvalidRequest("models", str(error)) from None
    return entries


def _shown(name: str, has: Profile) -> Mapping[str, Any]:
    shown = _SHOWN[name]
    return {**shown, "maximum": has.most[name]} if name in has.most else shown


def note_names(server: str, names: Iterable[str]) -> None:
    """Keep the names of a server's models for other programs and later. It blocks."""
    if _SERVER.fullmatch(server):
        keep_refreshed(f"server-{server}", [{"name": name} for name in names])


def noted_names(server: str) -> list[str]:
    """Return the names that were kept; none where there are none that can be read. It blocks."""
    if _SERVER.fullmatch(server) is None:
        return []
    try:
        text = (own_folder() / f"server-{server}.refreshed.json").read_text("utf-8")
        names = [one["name"] for one in json.loads(text)["models"]]
        served(server, names, _ANY)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return names


def seed_sent(seed: int | None) -> int | None:
    """Return the seed as servers of this dialect take it (32 bits), or None."""
    return None if seed is None else seed & _SEED_BITS
