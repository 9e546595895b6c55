"""Parameter specifications: what a model can be asked for, and the check of what was asked."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from workbench.domain.arguments import check_flag, shown
from workbench.domain.money import USD
from workbench.domain.rates import Rate
from workbench.domain.records import BY_PROVIDER, JsonValue, Price
from workbench.domain.status import Operation
from workbench.errors import InvalidRequest

MAX_PROMPT_CHARACTERS = 10_000
# Fields of a generation that its price can depend on (see `Model.price_of`).
PRICED = frozenset({"params", "width", "height"})


class ParameterKind(StrEnum):
    """What values a parameter takes and which control shows it."""

    INTEGER = "integer"
    NUMBER = "number"
    CHOICE = "choice"
    BOOLEAN = "boolean"
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that can be set.

    `minimum`, `maximum` and `step` are in `unit`; `hidden` ones are for developers and tests,
    `advanced` ones are folded away.
    """

    kind: ParameterKind
    default: JsonValue = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[JsonValue, ...] = ()
    unit: str = ""
    label: str = ""
    help: str = ""
    group: str = ""
    advanced: bool = False
    hidden: bool = False
    validator: Callable[[JsonValue], None] | None = field(default=None, repr=False, compare=False)

    def check(self, name: str, value: object) -> JsonValue:
        """Return `value` in the parameter's own type, or raise InvalidRequest(`name`, …).

        >>> Parameter(ParameterKind.INTEGER, minimum=1, maximum=60).check("steps", 20.0)
        20
        """
        if self.kind is ParameterKind.CHOICE:
            if isinstance(value, (str, int, float, bool)) and value in self.choices:
                return value
            typed = value if isinstance(value, str) else ""
            near = closest(typed, [str(choice) for choice in self.choices])
            hint = f" Did you mean {near!r}?" if near else ""
            known = ", ".join(repr(choice) for choice in self.choices)
            raise InvalidRequest(name, f"{shown(value)} is not one of {known}.{hint}")
        if self.kind is ParameterKind.BOOLEAN:
            return check_flag(name, value)
        if self.kind is ParameterKind.TEXT:
            if not isinstance(value, str):
                raise InvalidRequest(name, f"must be text, not {type(value).__name__}.")
            limit = MAX_PROMPT_CHARACTERS if self.maximum is None else int(self.maximum)
            if len(value) > limit:
                raise InvalidRequest(name, f"has {len(value)} characters; the limit is {limit}.")
            return check_characters(name, value)
        if self.kind is ParameterKind.JSON:
            return check_json(name, value)
        return self._check_number(name, value)

    def checked(self, name: str, value: object) -> JsonValue:
        """As `check`, and then the parameter's own `validator`, if it has one.

        A validator raises ValueError with a sentence; here it becomes InvalidRequest.
        """
        result = self.check(name, value)
        if self.validator is not None:
            try:
                self.validator(result)
            except ValueError as error:
                raise InvalidRequest(name, str(error)) from None
        return result

    def _check_number(self, name: str, value: object) -> int | float:
        number = _as_number(name, value)
        if self.kind is ParameterKind.INTEGER:
            if number != int(number):
                raise InvalidRequest(name, f"must be a whole number, not {shown(value)}.")
            number = int(number)
        unit = f" {self.unit}" if self.unit else ""
        if self.minimum is not None and number < self.minimum:
            raise InvalidRequest(
                name, f"{number} is too small; the smallest is {_plain(self.minimum)}{unit}."
            )
        if self.maximum is not None and number > self.maximum:
            raise InvalidRequest(
                name, f"{number} is too large; the largest is {_plain(self.maximum)}{unit}."
            )
        if self.kind is ParameterKind.INTEGER and self.step and self.step > 1:
            base, step = int(self.minimum or 0), int(self.step)
            lower = base + (int(number) - base) // step * step
            if lower != number:
                raise InvalidRequest(
                    name,
                    f"{number} is not a multiple of {step}{unit}; {lower} and {lower + step} are.",
                )
        return number


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a provider offers, with everything that a control panel needs to know.

    `parameters` are in the order in which they are shown. `width` and `height` are among them
    when the size can be chosen. `batchable`: one call makes several images. `rate`: what its
    provider bills; `price` is then what that comes to with all defaults.
    """

    id: str  # "provider:name"
    provider: str
    name: str
    title: str
    help: str
    parameters: Mapping[str, Parameter]
    operations: tuple[Operation, ...] = (Operation.GENERATE,)
    max_images: int = 4
    max_references: int = 0
    negative_prompt: bool = False
    seeds: bool = True
    batchable: bool = False
    steps_preview: bool = False
    price: Price = field(default_factory=Price)
    aliases: tuple[str, ...] = ()
    rate: Rate | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))
        if self.rate is not None and self.price.is_free and self.price.version == 0:
            object.__setattr__(self, "price", Price(unit=USD, version=BY_PROVIDER))
            object.__setattr__(self, "price", self.price_of(self.defaults()))

    def price_of(
        self,
        params: Mapping[str, JsonValue],
        *,
        width: int | None = None,
        height: int | None = None,
    ) -> Price:
        """Return the price of one image of a request; an estimate where the provider bills it.

        Parameters
        ----------
        params:
            Its checked parameters.
        width, height:
            In pixels, where they are not among them.
        """
        if self.rate is None or not self.price.by_provider:
            return self.price
        width, height = width or _side(params, "width"), height or _side(params, "height")
        amount = self.rate.micro(params, width=width, height=height)
        return Price(unit=USD, amount_micro=amount, version=BY_PROVIDER)

    def defaults(self) -> dict[str, JsonValue]:
        """Return the default of every parameter that has one and is not hidden."""
        return {
            name: parameter.default
            for name, parameter in self.parameters.items()
            if parameter.default is not None and not parameter.hidden
        }

    def check(self, given: Mapping[str, object]) -> dict[str, JsonValue]:
        """Return defaults overlaid with the checked `given` values.

        Raises
        ------
        InvalidRequest
            For an unknown name (with a near match) or a value out of range.
        """
        for name in given:
            if name not in self.parameters:
                raise unknown_name(name, self.parameters, f"{self.title} has no parameter")
        checked = self.defaults()
        for name, value in given.items():
            if value is not None:
                checked[name] = self.parameters[name].checked(name, value)
        return checked


def _side(params: Mapping[str, JsonValue], name: str) -> int | None:
    value = params.get(name)
    return int(value) if isinstance(value, (int, float)) else None


def _as_number(name: str, value: object) -> int | float:
    if isinstance(value, (bool, str, bytes)):
        raise InvalidRequest(name, f"must be a number, not {shown(value)}.")
    if not isinstance(value, (int, float)):
        # NumPy scalars and Decimal are numbers too; lists and arrays are not.
        convert = getattr(value, "__index__", None) or getattr(value, "__float__", None)
        if convert is None or type(value).__name__ in ("bool", "bool_"):
            raise InvalidRequest(name, f"must be a number, not {type(value).__name__}.")
        try:
            value = convert()
        except (TypeError, ValueError, OverflowError):
            raise InvalidRequest(name, "must be one number.") from None
    assert isinstance(value, (int, float))
    if isinstance(value, int) and abs(value) >= 2**63:
        raise InvalidRequest(name, "is too large a number.")
    if not math.isfinite(value):
        raise InvalidRequest(name, f"must be a finite number, not {shown(value)}.")
    return value


def unknown_name(name: object, known: Iterable[str], what: str) -> InvalidRequest:
    """Return the error for a name that does not exist, with the nearest one that does."""
    names = list(known)
    near = closest(name, names) if isinstance(name, str) else None
    hint = f" Did you mean {near!r}?" if near else f" There are: {', '.join(sorted(names))}."
    field = name[:80] if isinstance(name, str) else "name"
    return InvalidRequest(field, f"{what} {shown(name)}.{hint}")


def closest(word: str, words: Iterable[str]) -> str | None:
    """Return the member of `words` that looks most like `word`, or None if none does.

    >>> closest("guidence", ["steps", "guidance"])
    'guidance'
    """
    found = difflib.get_close_matches(word[:80], list(words), n=1, cutoff=0.6)
    return found[0] if found else None


def check_characters(name: str, text: str) -> str:
    """Return `text` if it can be kept exactly: no NUL, no half of a surrogate pair."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest(name, "has characters that are not text (NUL or half a surrogate).")
    return text


def check_json(name: str, value: object, depth: int = 0) -> JsonValue:
    """Return `value` if it is plain JSON of depth ≤ 8 with finite numbers, else raise."""
    if depth > 8:
        raise InvalidRequest(name, "is nested deeper than 8 levels.")
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidRequest(name, "contains a number that is not finite.")
        return value
    if isinstance(value, (list, tuple)):
        return [check_json(name, item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        checked: dict[str, JsonValue] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidRequest(name, f"has the key {shown(key)}, which is not text.")
            checked[key] = check_json(name, item, depth + 1)
        return checked
    raise InvalidRequest(name, f"contains a {type(value).__name__}, which is not plain data.")


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)
