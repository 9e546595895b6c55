"""What Replicate and Cog are told and what they say: inputs, logs and outputs.

An entry's "send" may have: "version" (a version's id, for models that are not official), "path",
"prompt" (the field's name; null: none is sent), "rename" (our parameter: its field), "fixed"
(fields that are always sent), "with_size" (fields to send where a size was chosen), "more" (the
parameter whose object is laid into the input), "seed_max", "discovered" (a machine wrote the
entry), and the fields of images: "source", "mask" with "mask_paints" (white or black),
"references" (a list) or "reference" (one).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.domain.jobs import JobInput, JobRequest, Slot
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import InvalidRequest, ProviderError
from workbench.providers.catalogue import Entry

_MOST_LOGS = 20_000  # characters of the end of a log that are looked at
_DEEPEST = 4  # of objects and lists in an output

_BAR = re.compile(r"^\s*\d+%\|[^|]*\|\s*(\d+)/(\d+)\b")
_RESETS = re.compile(r"resets in ~?\s*(\d+(?:\.\d+)?)\s*s", re.IGNORECASE)
_BLOCKED = re.compile(
    r"\bnsfw\b|\bE005\b|flagged|sensitive content|content (?:policy|filter|moderation)"
    r"|safety (?:filter|system|check)|moderat(?:ed|ion)|prohibited",
    re.IGNORECASE,
)
# Of the machinery around a model: the same request may well succeed later.
_PASSING = re.compile(
    r"please retry|try again later|interrupted|out of memory|timed? ?out|unexpected error"
    r"|high demand|unavailable|overloaded|\bE\d{4}\b",
    re.IGNORECASE,
)


# -- what is sent ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Images:
    """Images that go into one field of the input.

    Attributes
    ----------
    field:
        Its name.
    inputs:
        The images.
    many:
        The field takes a list.
    paints:
        For a mask: the colour (white or black) of what is painted anew; else None.
    """

    field: str
    inputs: Sequence[JobInput]
    many: bool = False
    paints: str | None = None


def input_of(request: JobRequest, entry: Entry, slot: Slot) -> dict[str, JsonValue]:
    """Return the input of a prediction, without its images."""
    send = entry.send
    rename: Mapping[str, str] = send.get("rename", {})
    asked: dict[str, JsonValue] = {}
    prompt = send.get("prompt", "prompt")
    if prompt is not None:
        asked[prompt] = request.prompt
    if request.negative_prompt:
        asked["negative_prompt"] = request.negative_prompt
    if request.width is not None or request.height is not None:
        asked |= send.get("with_size", {})
    more: JsonValue = None
    sizes = {"width": request.width, "height": request.height}
    for name, value in {**sizes, **request.params}.items():
        if name == send.get("more"):
            more = value
        elif value is not None:
            asked[rename.get(name, name)] = value
    seed = seed_of(slot, entry)
    if seed is not None:
        asked["seed"] = seed
    asked |= send.get("fixed", {})
    if more is not None:
        if not isinstance(more, dict):
            raise InvalidRequest(str(send["more"]), 'must be an object, {"steps": 20} for example.')
        asked |= more
    return asked


def seed_of(slot: Slot, entry: Entry) -> int | None:
    """Return the seed that is sent; some models take no large ones."""
    most = entry.send.get("seed_max")
    if not entry.model.seeds or slot.seed is None or most is None:
        return slot.seed if entry.model.seeds else None
    return slot.seed % (int(most) + 1)


def images_of(request: JobRequest, entry: Entry) -> list[Images]:
    """Say which images go into which fields.

    Raises
    ------
    ProviderError
        The model has no field for one of them.
    """
    send = entry.send
    given: dict[str, list[JobInput]] = {"source": [], "reference": [], "mask": []}
    for one in sorted(request.inputs, key=lambda one: one.position):
        given.setdefault(one.role, []).append(one)
    sources, references, masks = given["source"], given["reference"], given["mask"]
    found: list[Images] = []
    if "source" not in send:
        sources, references = [], sources + references
    elif not sources and not ({"references", "reference"} & set(send)):
        sources, references = references, []
    if sources:
        found.append(Images(send["source"], sources))
    if references and "references" in send:
        found.append(Images(send["references"], references, many=True))
    elif references and "reference" in send:
        found.append(Images(send["reference"], references))
    elif references:
        raise _too_many(entry)
    if masks and "mask" not in send:
        raise ProviderError(ErrorKind.BAD_REQUEST, f"{entry.model.title} takes no mask.")
    if masks:
        found.append(Images(send["mask"], masks, paints=send.get("mask_paints", "white")))
    if any(len(one.inputs) > 1 and not one.many for one in found):
        raise _too_many(entry)
    return found


def _too_many(entry: Entry) -> ProviderError:
    return ProviderError(
        ErrorKind.BAD_REQUEST,
        f"{entry.model.title} has no place for so many images. Use fewer, or another model.",
    )


# -- what they say --------------------------------------------------------------------------------


def progress_of(logs: object) -> tuple[int, int] | None:
    r"""Return step and total of the last progress bar in a log, or None.

    >>> progress_of("loading\n 25%|##5  | 1/4 [00:01<00:03]\r 50%|#####  | 2/4 [00:02<00:02]")
    (2, 4)
    """
    if not isinstance(logs, str):
        return None
    for line in reversed(re.split(r"[\r\n]", logs[-_MOST_LOGS:])):
        found = _BAR.match(line)
        if found:
            step, total = int(found[1][:9]), int(found[2][:9])
            return (step, total) if step <= total != 0 else None
    return None


def pictures_of(output: object, depth: int = _DEEPEST) -> list[str]:
    """Return the addresses in an output, in their order: of files, or ``data:`` ones.

    >>> pictures_of([{"url": "https://a.example/1.png"}, "a caption"])
    ['https://a.example/1.png']
    """
    if isinstance(output, str):
        return [output] if output.startswith(("https://", "http://", "data:")) else []
    if depth == 0:
        return []
    members: Sequence[object] = ()
    if isinstance(output, dict):
        members = [output["url"]] if isinstance(output.get("url"), str) else [*output.values()]
    elif isinstance(output, list):
        members = output
    return [url for member in members for url in pictures_of(member, depth - 1)]


def reset_s(text: str) -> float | None:
    """Return the seconds that a refusal asks to wait in its text.

    >>> reset_s("Request was throttled. Your rate limit resets in ~30s.")
    30.0
    """
    found = _RESETS.search(text)
    return float(found[1]) if found else None


def kind_of(words: str) -> ErrorKind:
    """Return what kind of failure the text of a failed prediction tells.

    >>> kind_of("NSFW content detected. Try running it again.").value
    'blocked'
    """
    if _BLOCKED.search(words):
        return ErrorKind.BLOCKED
    return ErrorKind.TRANSIENT if _PASSING.search(words) else ErrorKind.BAD_REQUEST
