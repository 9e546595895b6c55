"""What OpenAI's image models and servers like it can do and cost: read from a dated data file.

Models come and go and prices change; nothing of that is code. The file names its date, its sources
and their licences.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from importlib.resources import files
from typing import Any

from workbench.domain.jobs import JobRequest
from workbench.domain.money import USD
from workbench.domain.parameters import Model, Parameter, ParameterKind
from workbench.domain.records import JsonValue
from workbench.domain.status import Operation
from workbench.errors import InvalidRequest

_MICRO = Decimal("0.000001")
_MOST_AT_ONCE = 10  # pictures of one request of ours; each is a call of its own
_SIZE_HELP = "In pixels; the longer side is at most three times the shorter one."
_SEED_BITS = 2**32 - 1


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
        it is OpenAI's own, with the parameters and the models that only that has.
    stream:
        it sends partial images as they come.
    edits:
        it takes references and masks.
    image_field:
        the name under which references are sent.
    response_format:
        the value that asks for the bytes themselves; None where that is not a parameter.
    seed, steps:
        the name of the parameter, with dots where it lies deeper; None where there is none.
    negative_prompt:
        it takes one.
    in_prompt:
        the tag in the prompt that carries parameters the server has no field for.
    size:
        "size" (1024x768) or "width_height".
    """

    name: str
    title: str
    needs_key: bool = False
    free: bool = False
    hosted: bool = False
    stream: bool = False
    edits: bool = False
    image_field: str = "image"
    response_format: str | None = None
    seed: str | None = None
    steps: str | None = None
    negative_prompt: bool = False
    in_prompt: str | None = None
    size: str = "size"


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens, by what the tokens are."""

    text_in: Decimal
    image_in: Decimal
    image_out: Decimal
    text_out: Decimal

    def cost(self, usage: Mapping[str, JsonValue]) -> Decimal | None:
        """Return what an answer's usage costs in USD, or None if it does not say enough.

        >>> rates = Rates(Decimal(5), Decimal(8), Decimal(30), Decimal(30))
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


@dataclass(frozen=True, slots=True)
class Offer:
    """A model of the data file: what our panel shows, its rates, and the limits of its size."""

    model: Model
    rates: Rates | None
    size: Mapping[str, Any]

    def size_of(self, request: JobRequest) -> tuple[int, int] | None:
        """Return the size to ask for, or None for the model's own choice.

        Raises
        ------
        InvalidRequest
            The two sides do not go together.
        """
        if self.size.get("kind") != "free" or not request.width or not request.height:
            return None
        width, height = request.width, request.height
        ratio, most = self.size.get("max_ratio"), self.size.get("max_pixels")
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
def _data() -> Mapping[str, Any]:
    text = files("workbench.providers").joinpath("data/openai_images.json").read_text("utf-8")
    data: Mapping[str, Any] = json.loads(text)
    return data


def dated() -> str:
    """Return the day (ISO) on which models and prices were last looked at."""
    return str(_data()["dated"])


def profile_of(name: str) -> Profile:
    """Return the profile of this name.

    Raises
    ------
    InvalidRequest
        There is none.
    """
    profiles = _data()["profiles"]
    if name not in profiles:
        known = ", ".join(profiles)
        raise InvalidRequest("profile", f"there is no profile {name!r}. There are: {known}.")
    return Profile(name=name, **profiles[name])


def hosted(provider: str) -> dict[str, Offer]:
    """Return OpenAI's own models by name."""
    return {entry["name"]: _offer(provider, entry) for entry in _data()["models"]}


def served(provider: str, names: tuple[str, ...], has: Profile) -> dict[str, Offer]:
    """Return offers for models of another server, by what its profile says."""
    size = {"kind": "free", "default": 512, "minimum": 64, "maximum": 2048, "step": 8}
    parameters = dict(_size_parameters(size))
    if has.steps:
        parameters["steps"] = Parameter(
            ParameterKind.INTEGER, minimum=1, maximum=200, label="Steps", advanced=True
        )
    return {
        name: Offer(
            Model(
                id=f"{provider}:{name}",
                provider=provider,
                name=name,
                title=name,
                help=f"The model {name} of a server that you named.",
                parameters=parameters,
                operations=_operations(has.edits),
                max_images=_MOST_AT_ONCE,
                max_references=4 if has.edits else 0,
                negative_prompt=has.negative_prompt,
                seeds=has.seed is not None,
                steps_preview=has.stream,
            ),
            None,
            size,
        )
        for name in names
    }


def _operations(edits: bool) -> tuple[Operation, ...]:  # noqa: FBT001 - one flag, one name
    one = (Operation.GENERATE,)
    return (*one, Operation.EDIT, Operation.INPAINT) if edits else one


def _offer(provider: str, entry: Mapping[str, Any]) -> Offer:
    rates = _rates(entry["usd_per_million_tokens"])
    remarks = [str(entry["help"])]
    if entry.get("gone"):
        remarks.append(f"OpenAI switches it off on {entry['gone']}.")
    remarks.append(
        f"It costs {rates.image_out:f} {USD} per million tokens of pictures (as of {dated()})."
    )
    model = Model(
        id=f"{provider}:{entry['name']}",
        provider=provider,
        name=entry["name"],
        title=entry["title"],
        help=" ".join(remarks),
        parameters=dict(_parameters(entry)),
        operations=_operations(edits=True),
        max_images=_MOST_AT_ONCE,
        max_references=int(entry["max_references"]),
        seeds=False,
        steps_preview=True,
    )
    return Offer(model, rates, entry["size"])


def _rates(entry: Mapping[str, str]) -> Rates:
    image_out = Decimal(entry["image_out"])
    return Rates(
        Decimal(entry["text_in"]),
        Decimal(entry["image_in"]),
        image_out,
        Decimal(entry.get("text_out", image_out)),
    )


def _size_parameters(size: Mapping[str, Any]) -> list[tuple[str, Parameter]]:
    if size["kind"] != "free":
        choice = Parameter(
            ParameterKind.CHOICE,
            default=size["choices"][0],
            choices=tuple(size["choices"]),
            label="Size",
            unit="px",
            group="size",
        )
        return [("size", choice)]
    return [
        (
            name,
            Parameter(
                ParameterKind.INTEGER,
                default=size["default"],
                minimum=size["minimum"],
                maximum=size["maximum"],
                step=size["step"],
                unit="px",
                label=name.capitalize(),
                help=_SIZE_HELP if "max_ratio" in size else "",
                group="size",
            ),
        )
        for name in ("width", "height")
    ]


def _parameters(entry: Mapping[str, Any]) -> list[tuple[str, Parameter]]:
    def choice(label: str, *choices: str, told: str = "", advanced: bool = True) -> Parameter:
        return Parameter(
            ParameterKind.CHOICE,
            default=choices[0],
            choices=choices,
            label=label,
            help=told,
            advanced=advanced,
        )

    return [
        *_size_parameters(entry["size"]),
        (
            "quality",
            choice(
                "Quality",
                *entry["quality"],
                told="Better ones take longer and cost more.",
                advanced=False,
            ),
        ),
        (
            "background",
            choice(
                "Background",
                *("auto", "opaque", "transparent"),
                told="Transparent ones need the format png or webp.",
            ),
        ),
        ("output_format", choice("Format", "png", "webp", "jpeg")),
        (
            "output_compression",
            Parameter(
                ParameterKind.INTEGER,
                minimum=0,
                maximum=100,
                unit="%",
                label="Compression",
                help="For webp and jpeg: 100 keeps most.",
                advanced=True,
            ),
        ),
        ("moderation", choice("Moderation", "auto", "low", told="low refuses less.")),
        (
            "partial_images",
            Parameter(
                ParameterKind.INTEGER,
                default=1,
                minimum=0,
                maximum=3,
                step=1,
                label="Previews",
                help="Unfinished pictures on the way. Each costs a little more.",
                advanced=True,
            ),
        ),
    ]


def seed_sent(seed: int | None) -> int | None:
    """Return the seed as servers of this dialect take it (32 bits), or None."""
    return None if seed is None else seed & _SEED_BITS
