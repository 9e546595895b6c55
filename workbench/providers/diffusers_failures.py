"""From what torch, diffusers and the Hub raise to a sentence that a person can act on."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator

from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers.diffusers_sources import Source
from workbench.providers.redaction import plain

# By name: these classes move between libraries and versions (httpx, httpx2, requests).
_NOT_REACHED = frozenset({"ConnectError", "ConnectTimeout", "ConnectionError"})
_BROKE_OFF = frozenset(
    {"ReadTimeout", "ReadError", "RemoteProtocolError", "ChunkedEncodingError", "WriteError"}
)
_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")


class Foreign:
    """A block in which libraries and models of other people run, which raise what they like.

    What has a sentence leaves it as that, without the error before it, whose frames hold pictures
    and weights. A bug goes on as it is, with empty frames; a cancel or an interrupt just goes on.

    Parameters
    ----------
    sentence:
        Returns the error for people; None for what is a bug.

    Examples
    --------
    >>> try:
    ...     with Foreign(lambda error: ProviderError(ErrorKind.UNAVAILABLE, "It is broken.")):
    ...         {}["weights"]
    ... except ProviderError as error:
    ...     print(error, error.__context__)
    It is broken. None
    """

    def __init__(self, sentence: Callable[[Exception], ProviderError | None]) -> None:
        self._sentence = sentence

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, frames: object
    ) -> None:
        """Raise the sentence for an error, if there is one, from here."""
        if not isinstance(error, Exception):
            return
        failure = self._sentence(error)
        for one in _chain(error):
            traceback.clear_frames(one.__traceback__)
        if failure is None:
            return
        del error, frames
        try:
            raise failure
        finally:
            failure.__context__ = None  # Python has chained the error that it stands for
            del failure  # or the error and this frame would keep one another


def of_loading(error: BaseException, source: Source, device: str) -> ProviderError:
    """Return the error for a pipeline that could not be loaded; there is always a sentence."""
    if isinstance(error, ProviderError):
        return error
    if is_out_of_memory(error):
        return ProviderError(
            ErrorKind.BAD_REQUEST,
            f"There is not enough memory on {device} for {source.name}. Choose a smaller pipeline "
            "or, with WORKBENCH_DIFFUSERS_DTYPE, smaller numbers (bfloat16).",
        )
    if source.is_folder:
        return ProviderError(ErrorKind.UNAVAILABLE, _of_folder(error, source))
    names = {cls.__name__ for one in _chain(error) for cls in type(one).__mro__}
    if "GatedRepoError" in names:
        text = (
            f"{source.place} is given only to who accepts its terms. Accept them at "
            f"https://huggingface.co/{source.place}, and set HF_TOKEN to a token of yours."
        )
    elif "RevisionNotFoundError" in names:
        text = f"{source.place} has no revision {source.revision}. Look it up on the Hub."
    elif "RepositoryNotFoundError" in names:
        text = (
            f"The Hub has no pipeline {source.place}, or it is private. Check its name; for a "
            "private one set HF_TOKEN to a token of yours."
        )
    elif _BROKE_OFF & names:
        # What is here by then stays, so that the next try goes on with it.
        return ProviderError(ErrorKind.TRANSIENT, f"The download of {source.place} broke off.")
    elif _NOT_REACHED & names:
        # The Hub's client has tried for half a minute by now: no sense in doing it all again.
        text = (
            f"The Hub cannot be reached, and {source.place} is not (wholly) on this machine. "
            "Look after the network, then retry."
        )
    elif "OfflineModeIsEnabled" in names or "LocalEntryNotFoundError" in names:
        text = (
            f"{source.place} is not (wholly) on this machine, and the Hub may not be asked. "
            "Unset HF_HUB_OFFLINE for its first use, or copy it here."
        )
    else:
        text = f"{source.place} cannot be loaded: {_words(error)}"
    return ProviderError(ErrorKind.UNAVAILABLE, text)


def of_painting(error: BaseException, name: str, device: str) -> ProviderError | None:
    """Return the error for a picture that was not made; None for what is a bug."""
    if isinstance(error, ProviderError):
        return error
    if is_out_of_memory(error):
        return ProviderError(
            ErrorKind.BAD_REQUEST,
            f"There is not enough memory on {device} for a picture of this size with {name}. "
            "Choose a smaller one.",
        )
    if isinstance(error, ValueError):
        # Pipelines check what they are called with, and say so.
        return ProviderError(ErrorKind.BAD_REQUEST, f"{name} does not accept this: {_words(error)}")
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out, on a GPU or on the CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, (RuntimeError, OSError)) and any(
        words in str(error).lower() for words in _NO_MEMORY
    )


def _of_folder(error: BaseException, source: Source) -> str:
    place = plain(source.place)
    if isinstance(error, FileNotFoundError) and str(error) == source.place:
        if os.path.isfile(source.place):  # noqa: PTH113 - a question, no path work
            return (
                f"{place} is one file. Name the folder of a pipeline; diffusers' "
                "from_single_file() and save_pretrained() make one of it."
            )
        return f"There is no folder {place}. Check what {source.name} names."
    if "no file named model_index.json" in str(error):
        return f"{place} holds no pipeline: there is no model_index.json in it."
    if "contains custom code" in str(error):
        return f"{place} brings code of its own, which is not run here."
    if ".safetensors" in str(error) and "no file named" in str(error):
        return (
            f"{place} lacks weights as .safetensors (others could run code and are not loaded): "
            f"{_words(error)}"
        )
    return f"The pipeline in {place} cannot be loaded: {_words(error)}"


def _words(error: BaseException) -> str:
    return plain(f"{error}" or type(error).__name__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
