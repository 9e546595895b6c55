"""Which diffusers pipelines there are, and what each can be asked for, without loading any.

A pipeline is named by a Hub name or a folder. What it takes is read from its configuration where
that lies on this machine (a folder, or the Hub's cache), and from a table of pipeline classes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.domain.arguments import shown
from workbench.domain.parameters import Model, Parameter, ParameterKind
from workbench.domain.status import Operation
from workbench.errors import ConfigurationError
from workbench.providers.catalogue import load

VARIABLE = "WORKBENCH_DIFFUSERS"
DATA = "diffusers"
_NAME = re.compile(r"[A-Za-z0-9][\w./:@+-]{0,199}", re.ASCII)
_HUB_NAME = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?(@[\w./-]{1,200})?", re.ASCII)
_HUB_ADDRESS = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?=\w)")
_MAX_CONFIG_BYTES = 1_000_000
_MAX_SIDE = 4096
_USUAL_STRENGTH = 0.6


@dataclass(frozen=True, slots=True)
class Source:
    """Where a pipeline comes from.

    Attributes
    ----------
    name:
        Of the model within the provider.
    place:
        A Hub name, or the full path of a folder.
    revision:
        Branch, tag or commit on the Hub; None: its main branch.
    is_folder:
        Whether `place` is a folder.
    """

    name: str
    place: str
    revision: str | None = None
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Traits:
    """What a pipeline takes; None where that is not known, or has no default.

    `edits`: it can start from an image; `strength` is then how much of it changes, where the
    pipeline lets one choose that.
    """

    pipeline: str | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    strength: float | None = None
    size: int | None = None
    negative_prompt: bool = True
    generates: bool = True
    edits: bool = True


Given = Mapping[str, str | os.PathLike[str]] | Iterable[str | os.PathLike[str]]


def sources_of(given: Given) -> dict[str, Source]:
    """Return the pipelines that were given, by name.

    Parameters
    ----------
    given:
        Places by name, or places alone. A place is a Hub name ("stabilityai/sd-turbo", with
        "@revision" for another one than the newest) or a folder.

    Raises
    ------
    ConfigurationError
        A place or name cannot be one, or two have one name.

    Examples
    --------
    >>> sources_of({"turbo": "stabilityai/sd-turbo@1.0"})["turbo"].revision
    '1.0'
    >>> list(sources_of(["stabilityai/sd-turbo", "/models/mine"]))
    ['stabilityai/sd-turbo', 'mine']
    """
    if isinstance(given, (str, os.PathLike)):
        given = [given]
    pairs = given.items() if isinstance(given, Mapping) else ((None, one) for one in given)
    found: dict[str, Source] = {}
    for name, place in pairs:
        source = _source(name, place)
        if source.name in found:
            raise ConfigurationError(
                f"Two pipelines are called {source.name!r}. Name them: name=folder."
            )
        found[source.name] = source
    return found


def sources_in(text: str) -> dict[str, Source]:
    """Return the pipelines that the variable names: places or name=place, with commas between.

    The system's separator of paths does as well. Errors are as of `sources_of`.

    >>> list(sources_in("stabilityai/sd-turbo, mine=/models/a"))
    ['stabilityai/sd-turbo', 'mine']
    """
    found: dict[str, Source] = {}
    # Pasted addresses have the separator in them.
    text = _HUB_ADDRESS.sub("", text)
    for part in re.split(f"[,{re.escape(os.pathsep)}]", text):
        name, equals, place = part.strip().rpartition("=")
        if not place and not equals:
            continue
        try:
            source = _source(name.strip() if equals else None, place.strip())
        except ConfigurationError as error:
            raise ConfigurationError(f"{VARIABLE}: {error}") from None
        if source.name in found:
            raise ConfigurationError(
                f"{VARIABLE}: two pipelines are called {source.name!r}. Name them: name=folder."
            )
        found[source.name] = source
    return found


def _source(name: object, given: object) -> Source:
    if not isinstance(given, (str, os.PathLike)):
        raise ConfigurationError(f"{shown(given)} is neither a Hub name nor a folder.")
    place = os.fspath(given)
    if not isinstance(place, str) or not place.strip() or not place.isprintable():
        raise ConfigurationError(f"{shown(place)} is neither a Hub name nor a folder.")
    place = _HUB_ADDRESS.sub("", place)
    is_folder = not isinstance(given, str) or _looks_like_a_folder(place)
    revision = None
    if is_folder:
        place = str(Path(place).expanduser().absolute())
        usual = re.sub(r"[^\w.+-]", "-", Path(place).name, flags=re.ASCII).lstrip("-_.") or "folder"
    elif _HUB_NAME.fullmatch(place) is None:
        raise ConfigurationError(
            f"{shown(place)} is neither a Hub name (owner/name) nor a folder (/…, ./…, ~/…)."
        )
    else:
        usual = place
        place, _, tag = place.partition("@")
        revision = tag or None
    chosen = usual if name is None else name
    if not isinstance(chosen, str) or _NAME.fullmatch(chosen) is None:
        raise ConfigurationError(f"{shown(chosen)} cannot be the name of a model.")
    return Source(chosen, place, revision, is_folder)


def _looks_like_a_folder(place: str) -> bool:
    # As the library reads it: what lies here goes before the Hub.
    return (
        place.startswith((".", "/", "~", "\\")) or bool(Path(place).drive) or Path(place).is_dir()
    )


# -- what it takes --------------------------------------------------------------------------------


def traits_of(source: Source, pipeline: str | None = None) -> Traits:
    """Return what a pipeline takes. It reads small files.

    Parameters
    ----------
    source:
        Where it comes from.
    pipeline:
        Its class, if that is known from having loaded it.
    """
    extra = load(DATA, "diffusers").extra
    known = {} if source.is_folder else dict(extra["known"].get(source.place, {}))
    folder = local_folder(source)
    if pipeline is None and folder is not None:
        pipeline = _class_in(folder)
    pipeline = pipeline or known.get("pipeline")
    row = extra["pipelines"].get(pipeline)
    if row is None:
        return Traits(pipeline)
    row = {**row, **known}
    return Traits(
        pipeline,
        steps=row.get("steps"),
        guidance_scale=row.get("guidance_scale"),
        strength=row.get("strength"),
        size=(None if folder is None or "size" in known else _size_in(folder)) or row.get("size"),
        negative_prompt=bool(row.get("negative_prompt")),
        generates=bool(row.get("generate", True)),
        edits=bool(row.get("edit")),
    )


def local_folder(source: Source) -> Path | None:
    """Return the folder where a pipeline's files lie on this machine, or None.

    For Hub names that is the snapshot in the Hub's cache, which may lack files.
    """
    if source.is_folder:
        return Path(source.place)
    repository = _hub_cache() / f"models--{source.place.replace('/', '--')}"
    revision = source.revision or "main"
    try:
        commit = (repository / "refs" / revision).read_text("ascii").strip()
    except (OSError, ValueError):
        commit = revision
    folder = repository / "snapshots" / commit
    return folder if folder.is_dir() else None


def _hub_cache() -> Path:
    """Return the folder of the Hub's cache, as huggingface_hub finds it."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if given := os.environ.get(name):
            return Path(given).expanduser()
    home = os.environ.get("HF_HOME")
    if home is None:
        caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
        home = f"{caches}/huggingface"
    return Path(home).expanduser() / "hub"


def _class_in(folder: Path) -> str | None:
    name = _config(folder / "model_index.json").get("_class_name")
    return name if isinstance(name, str) else None


def _size_in(folder: Path) -> int | None:
    """Return the pixels of a side that a U-Net was made for."""
    side = _config(folder / "unet" / "config.json").get("sample_size")
    blocks = _config(folder / "vae" / "config.json").get("block_out_channels")
    if not isinstance(side, int) or not isinstance(blocks, list) or not 1 <= len(blocks) <= 8:
        return None
    pixels = side * 2 ** (len(blocks) - 1)
    return pixels if 8 <= pixels <= _MAX_SIDE and pixels % 8 == 0 else None


def _config(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            return {}
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}  # loading it will say what is wrong
    return value if isinstance(value, dict) else {}


def model_of(source: Source, traits: Traits, provider: str) -> Model:
    """Return a pipeline as a model of the workspace."""
    parameters = {"width": _side("Width", traits), "height": _side("Height", traits)}
    parameters["steps"] = Parameter(
        ParameterKind.INTEGER,
        default=traits.steps,
        minimum=1,
        maximum=200,
        step=1,
        label="Steps",
        help=_or_its_own("How often the noise is refined.", traits.steps),
    )
    if traits.pipeline is None or traits.guidance_scale is not None:
        parameters["guidance_scale"] = Parameter(
            ParameterKind.NUMBER,
            default=traits.guidance_scale,
            minimum=0,
            maximum=30,
            step=0.1,
            label="Guidance",
            help=_or_its_own("How closely it follows the prompt.", traits.guidance_scale),
        )
    if traits.edits and (traits.strength is not None or traits.pipeline is None):
        parameters["strength"] = Parameter(
            ParameterKind.NUMBER,
            default=traits.strength or _USUAL_STRENGTH,
            minimum=0.05,
            maximum=1,
            step=0.05,
            label="Strength",
            help="How much of an image to begin with is painted anew; 1 forgets it.",
        )
    able = ((Operation.GENERATE, traits.generates), (Operation.EDIT, traits.edits))
    place = source.place if source.revision is None else f"{source.place}@{source.revision}"
    return Model(
        id=f"{provider}:{source.name}",
        provider=provider,
        name=source.name,
        title=source.name,
        help=f"{traits.pipeline or 'A pipeline'} from {place}.",
        parameters=parameters,
        operations=tuple(operation for operation, can in able if can),
        max_images=64,
        max_references=1 if traits.edits else 0,
        negative_prompt=traits.negative_prompt,
        seeds=True,
        steps_preview=True,
    )


def _side(label: str, traits: Traits) -> Parameter:
    text = "Multiple of 8."
    if traits.edits:
        text += " Left as it is, an image to begin with keeps its shape."
    return Parameter(
        ParameterKind.INTEGER,
        default=traits.size,
        minimum=8,
        maximum=_MAX_SIDE,
        step=8,
        unit="px",
        label=label,
        help=_or_its_own(text, traits.size),
        group="size",
    )


def _or_its_own(text: str, default: object) -> str:
    return text if default is not None else f"{text} Empty: the pipeline's own."
