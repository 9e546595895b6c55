"""What is said to text models and by them; the records here know no dialect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.domain.records import JsonValue
from workbench.errors import InvalidRequest

_MOST_AT_ONCE = 10  # pictures of one call
_LONGEST_PROMPT = 10_000
_SIDES = re.compile(r"\s*(\d{1,5})\s*[x×*]\s*(\d{1,5})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a model may ask for.

    Attributes
    ----------
    name, description:
        what the model reads.
    parameters:
        a JSON schema of an object.
    """

    name: str
    description: str
    parameters: Mapping[str, JsonValue]


IMAGE_TOOL = Tool(
    "generate_image",
    "Make pictures from a description. Use it whenever a picture is wanted.",
    {
        "type": "object",
        "properties": {
            "prompt": {
                "type": "string",
                "description": "What the picture shows, complete in itself.",
            },
            "count": {
                "type": "integer",
                "minimum": 1,
                "maximum": _MOST_AT_ONCE,
                "description": "How many pictures; 1 if nothing is said.",
            },
            "size": {
                "type": "string",
                "description": "Width x height in pixels, for example 1024x768; leave it out if "
                "nothing is said.",
            },
        },
        "required": ["prompt"],
    },
)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model asks for a tool.

    Attributes
    ----------
    id:
        what its result is to name.
    name:
        the tool's.
    arguments:
        as the model gave them, unchecked; None where they are no JSON object.
    mark:
        the dialect's own, which has to go back with the call.
    """

    id: str
    name: str
    arguments: Mapping[str, Any] | None
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class TextMessage:
    """One message of a conversation.

    Attributes
    ----------
    role:
        "system", "user", "assistant" or "tool".
    text:
        what was said; for "tool" the result of the call.
    calls:
        what an assistant asked for.
    answers:
        the call that a "tool" message is the result of.

    Examples
    --------
    >>> TextMessage("user", "a red fox").role
    'user'
    """

    role: str
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    answers: ToolCall | None = None


@dataclass(frozen=True, slots=True)
class TextUsage:
    """How many tokens an answer took; None where nothing was said about it."""

    input_tokens: int | None = None
    output_tokens: int | None = None


NOTHING_USED = TextUsage()


@dataclass(frozen=True, slots=True)
class TextReply:
    """What a model answered: text, calls of tools, or both."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: TextUsage = TextUsage()


@dataclass(frozen=True, slots=True)
class ImageCall:
    """Checked arguments of `IMAGE_TOOL`."""

    prompt: str
    count: int = 1
    width: int | None = None
    height: int | None = None


def image_call(call: ToolCall) -> ImageCall:
    """Check what a model gave for `IMAGE_TOOL`. It is somebody else's: nothing in it is trusted.

    Parameters
    ----------
    call:
        The call.

    Raises
    ------
    InvalidRequest
        It is no call of that tool, or its arguments cannot be used; the text may be sent back to
        the model as the result.

    Examples
    --------
    >>> image_call(ToolCall("1", "generate_image", {"prompt": "a fox", "size": "512x256"}))
    ImageCall(prompt='a fox', count=1, width=512, height=256)
    """
    if call.name != IMAGE_TOOL.name:
        raise InvalidRequest("name", f"there is no such tool; there is {IMAGE_TOOL.name}.")
    given = call.arguments
    if given is None:
        raise InvalidRequest("arguments", "must be a JSON object.")
    prompt = given.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidRequest("prompt", "is missing; say what the picture shows.")
    if len(prompt) > _LONGEST_PROMPT:
        raise InvalidRequest("prompt", f"is too long; the limit is {_LONGEST_PROMPT:,} characters.")
    count = given.get("count", 1)
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _MOST_AT_ONCE:
        raise InvalidRequest("count", f"must be a whole number from 1 to {_MOST_AT_ONCE}.")
    size = given.get("size")
    if size in (None, "", "auto"):
        return ImageCall(prompt.strip(), count)
    sides = _SIDES.fullmatch(size) if isinstance(size, str) else None
    if sides is None or not int(sides[1]) or not int(sides[2]):
        raise InvalidRequest("size", "must be like 1024x768.")
    return ImageCall(prompt.strip(), count, int(sides[1]), int(sides[2]))
