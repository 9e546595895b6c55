"""Diffusers in this process: any text-to-image or image-to-image pipeline, by Hub name or folder.

It needs the extra ``[diffusers]``; nothing of it is imported before the first picture. What a
pipeline takes is in `diffusers_sources`, the thread in `diffusers_studio`, the painting in
`diffusers_pipeline`.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from importlib.util import find_spec

from workbench.domain.jobs import FREE, Done, JobEvent, JobRef, JobRequest
from workbench.domain.parameters import Model
from workbench.domain.status import ErrorKind
from workbench.errors import ConfigurationError, ProviderError
from workbench.ports import ProviderState
from workbench.providers.diffusers_loading import Loaded
from workbench.providers.diffusers_pipeline import Painter
from workbench.providers.diffusers_sources import (
    VARIABLE,
    Given,
    Source,
    Traits,
    model_of,
    sources_in,
    sources_of,
    traits_of,
)
from workbench.providers.diffusers_studio import End, Order, Studio
from workbench.providers.redaction import plain

DEVICE = "WORKBENCH_DIFFUSERS_DEVICE"
DTYPE = "WORKBENCH_DIFFUSERS_DTYPE"
HELP = (
    "Pipelines of Hugging Face's diffusers on this machine's own processors, without a key. One "
    "is kept in memory at a time."
)
PIP = 'pip install "image-workbench[diffusers]"'
_PACKAGES = ("torch", "diffusers", "transformers")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")
_DTYPES = ("auto", "float32", "float16", "bfloat16")
_DEADLINE_S = 4 * 3600.0  # a first use may download many gigabytes
_CLOSE_S = 4.0  # less than the engine waits for a plugin


class Diffusers:
    """Provider ``diffusers``: pipelines in this process.

    Parameters
    ----------
    name:
        Its name in the workspace; models are called ``<name>:<pipeline>``.
    models:
        Hub names ("stabilityai/sd-turbo", or "owner/name@revision") and folders, as a list, or by
        the names that they get. None: those of the variable WORKBENCH_DIFFUSERS, with commas
        between them.
    device:
        auto (a GPU if there is one), cpu, cuda, cuda:1, mps. None: WORKBENCH_DIFFUSERS_DEVICE, or
        auto.
    dtype:
        auto, float32, float16 or bfloat16. None: WORKBENCH_DIFFUSERS_DTYPE, or auto: float32 on a
        CPU, else half as long.

    Raises
    ------
    ConfigurationError
        Something that was given here is not in order. What is wrong in a variable is told by
        `state`.

    Examples
    --------
    >>> mine = Diffusers(models={"turbo": "stabilityai/sd-turbo"})
    >>> [(model.id, model.parameters["steps"].default) for model in mine.models()]
    [('diffusers:turbo', 1)]
    """

    title = "Diffusers"
    idempotency = FREE
    concurrency = 1
    deadline_s = _DEADLINE_S

    def __init__(
        self,
        name: str = "diffusers",
        *,
        models: Given | None = None,
        device: str | None = None,
        dtype: str | None = None,
    ) -> None:
        self.name = name
        self.help = HELP
        self._given = None if models is None else sources_of(models)
        self._device = None if device is None else _checked_device(device, "device")
        self._dtype = None if dtype is None else _checked_dtype(dtype, "dtype")
        self._read: tuple[str, dict[str, Source]] = ("", {})
        self._traits: dict[Source, Traits] = {}
        self._is_installed = False
        self._memory = ""
        self._painter = Painter("auto", "auto", self._now_loaded)
        self._studio = Studio(self._painter)

    # -- what people see --------------------------------------------------------------------------

    def state(self) -> ProviderState:
        """Tell what is missing, without importing anything; when ready, what is in memory."""
        missing = self._missing()
        if missing:
            text = f"Not installed here: {', '.join(missing)}. Install with: {PIP}"
            return ProviderState(False, "package_missing", text)
        try:
            sources = self._sources()
            self._settings()
        except ConfigurationError as error:
            return ProviderState(False, "error", str(error))
        if not sources:
            return ProviderState(
                False,
                "error",
                f"No pipeline is named. Set {VARIABLE} to Hub names or folders, with commas "
                "between them.",
            )
        return ProviderState(True, "ready", self._memory)

    def models(self) -> Sequence[Model]:
        """Return the pipelines that are named, whether they are on this machine or not."""
        try:
            sources = self._sources()
        except ConfigurationError:
            return ()  # `state` says what is wrong
        return [model_of(one, self._traits_of(one), self.name) for one in sources.values()]

    async def test(self) -> str:
        """Import the libraries and say what would be used.

        Raises
        ------
        ProviderError
            It would not work; the text says why.
        """
        state = self.state()
        if not state.ready:
            raise ProviderError(ErrorKind.UNAVAILABLE, state.message)
        said: list[str] = []
        sources = list(self._sources().values())
        self._set_up()
        async for _ in self._worked(lambda _order: said.append(self._painter.look(sources))):
            pass
        return "".join(said)

    # -- one job ----------------------------------------------------------------------------------

    async def submit(self, request: JobRequest) -> JobRef:
        """Check what can be checked at once; the painting happens in `events`."""
        self._source(request)
        return JobRef()

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:  # noqa: ARG002
        """Paint in the studio's thread; when this is closed, that ends with the step it is at."""
        source = self._source(request)
        self._set_up()
        work = partial(self._painter.paint, request=request, source=source)
        # Closed at once with this one, and not when it is collected.
        async with aclosing(self._worked(work)) as news:
            async for event in news:
                yield event

    async def cancel(self, ref: JobRef) -> None:
        """Nothing to tell anybody: closing `events` stops the thread."""

    async def lookup(self, request: JobRequest) -> JobRef | None:  # noqa: ARG002 - the protocol's
        """There is nothing to look up."""
        return None

    async def close(self) -> None:
        """Stop what is being painted, and free the memory."""
        await self._studio.close(_CLOSE_S)

    # -- inside -----------------------------------------------------------------------------------

    async def _worked(self, work: Callable[[Order], None]) -> AsyncGenerator[JobEvent, None]:
        order = Order(work)
        self._studio.take(order)
        try:
            while not isinstance(news := await order.news(), End):
                if isinstance(news, Exception):
                    raise news
                yield news
                if isinstance(news, Done):
                    return
        finally:
            order.stop()

    def _source(self, request: JobRequest) -> Source:
        try:
            source = self._sources().get(request.model)
        except ConfigurationError as error:
            raise ProviderError(ErrorKind.UNAVAILABLE, str(error)) from None
        if source is None:
            raise ProviderError(
                ErrorKind.UNAVAILABLE,
                f"Diffusers has no pipeline {plain(request.model)} any more. Choose another one.",
            )
        return source

    def _set_up(self) -> None:
        try:
            self._painter.device, self._painter.dtype = self._settings()
        except ConfigurationError as error:
            raise ProviderError(ErrorKind.UNAVAILABLE, str(error)) from None

    def _settings(self) -> tuple[str, str]:
        device = self._device or _checked_device(os.environ.get(DEVICE) or "auto", DEVICE)
        return device, self._dtype or _checked_dtype(os.environ.get(DTYPE) or "auto", DTYPE)

    def _sources(self) -> Mapping[str, Source]:
        if self._given is not None:
            return self._given
        text = os.environ.get(VARIABLE, "")
        if text != self._read[0]:
            self._read = (text, sources_in(text))
        return self._read[1]

    def _traits_of(self, source: Source) -> Traits:
        # Kept, since the files are read where a loop may wait for it.
        if source not in self._traits:
            self._traits[source] = traits_of(source)
        return self._traits[source]

    def _missing(self) -> list[str]:
        if not self._is_installed:
            missing = [name for name in _PACKAGES if find_spec(name) is None]
            self._is_installed = not missing
            return missing
        return []

    def _now_loaded(self, loaded: Loaded | None) -> None:
        self._memory = "" if loaded is None else f"In memory: {loaded}."
        self.help = f"{HELP} {self._memory}".rstrip()
        if loaded is not None:
            self._traits[loaded.source] = loaded.traits


def _checked_device(device: object, field: str) -> str:
    if not isinstance(device, str) or _DEVICE.fullmatch(device.strip().lower()) is None:
        raise ConfigurationError(f"{field} must be auto, cpu, cuda, cuda:1 or mps.")
    return device.strip().lower()


def _checked_dtype(dtype: object, field: str) -> str:
    text = dtype.strip().lower() if isinstance(dtype, str) else ""
    if text not in _DTYPES:
        raise ConfigurationError(f"{field} must be {', '.join(_DTYPES[:-1])} or {_DTYPES[-1]}.")
    return text
