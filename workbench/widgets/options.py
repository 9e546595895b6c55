"""The options of widgets: how they look and what they offer; checked with sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import traitlets

from workbench.domain.arguments import check_flag, check_items, check_whole, shown
from workbench.domain.parameters import closest, unknown_name
from workbench.errors import InvalidRequest

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

BANANA_GOLD = "#f5c542"  # as in frontend/src/styles/tokens.css
# Controls that are no parameter of a model.
CONTROLS = ("model", "n", "seed", "negative_prompt", "references")
_MOST_PIXELS = 10_000
_MOST_CONTROLS = 200

_ACCENT = re.compile(
    r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})"
    r"|[a-z]{3,30}"
    r"|(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch)\([0-9a-z.,%/ -]{1,60}\)",
    re.IGNORECASE,
)


class Option(traitlets.TraitType[Any, Any]):
    """A trait that the page is told; `check(widget, name, value)` raises InvalidRequest."""

    def __init__(self, check: Callable[[Any, str, Any], Any], default: Any, text: str) -> None:
        super().__init__(default, help=text)
        self.tag(sync=True)
        self._check = check

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the value as it is kept."""
        return self._check(obj, self.name or "", value)


def check_pixels(_widget: Any, name: str, value: Any) -> int:
    """Return a number of pixels, 0 to 10,000."""
    return check_whole(name, value, low=0, high=_MOST_PIXELS)


def check_optional_pixels(_widget: Any, name: str, value: Any) -> int | None:
    """Return a number of pixels or None."""
    return None if value is None else check_whole(name, value, low=0, high=_MOST_PIXELS)


def check_simple(_widget: Any, name: str, value: Any) -> bool:
    """Return a flag."""
    return check_flag(name, value)


def check_accent(_widget: Any, name: str, value: Any) -> str:
    """Return a CSS colour: hexadecimal, a name, or a function such as rgb() or oklch()."""
    if not isinstance(value, str) or _ACCENT.fullmatch(value.strip()) is None:
        raise InvalidRequest(name, f"must be a CSS colour such as '#3b82f6', not {shown(value)}.")
    return value.strip()


def check_controls(widget: Any, name: str, value: Any) -> list[str] | None:
    """Return names of controls that some model has, in the order given; None is all of them."""
    if value is None:
        return None
    names = check_items(name, value, "names of controls", limit=_MOST_CONTROLS)
    workspace: Workspace = widget._shown
    offered: set[str] = set(CONTROLS)
    advanced: set[str] = set()
    for model in workspace.models():
        for key, parameter in model.parameters.items():
            if parameter.advanced and not parameter.hidden:
                advanced.add(key)
            elif not parameter.hidden:
                offered.add(key)
    if not widget.simple:
        offered |= advanced
    for one in names:
        if isinstance(one, str) and one in advanced - offered:
            raise InvalidRequest(name, f"{one!r} is for experts; use simple=False to show it.")
        if not isinstance(one, str) or one not in offered:
            raise InvalidRequest(name, unknown_name(one, offered, "there is no control").message)
    return list(dict.fromkeys(names))


def unknown_option(widget: str, name: str, known: Iterable[str]) -> TypeError:
    """Return the error for a keyword that a widget does not have."""
    near = closest(name, known)
    hint = f" Did you mean {near!r}?" if near else f" It has: {', '.join(known)}."
    return TypeError(f"{widget}() has no option {shown(name)}.{hint}")
