"""Following one picture while a pipeline paints it: steps, previews, and the end if nobody waits.

All of this runs in the studio's thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

from workbench.domain.jobs import (
    Log,
    Partial,
    Running,
)
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers.diffusers_failures import Foreign
from workbench.providers.diffusers_loading import (
    Loaded,
)
from workbench.providers.diffusers_preview import Preview
from workbench.providers.diffusers_studio import Order
from workbench.providers.redaction import plain

_PREVIEW_EVERY_S = 0.5
_PREVIEW_SHARE = 10  # a preview may take a tenth of the time


class Following:
    """Follows one picture: tells steps and previews, and ends it when nobody wants it."""

    def __init__(
        self,
        order: Order,
        index: int,
        loaded: Loaded,
        pipeline: Any,
        size: tuple[int, int] | None,
    ) -> None:
        self._order = order
        self._index = index
        self._loaded = loaded
        self._pipeline = pipeline
        self._size = size
        self._preview_at = 0.0

    @contextlib.contextmanager
    def attached(self, arguments: dict[str, Any], takes: Any) -> Iterator[None]:
        """Listen to a call with these arguments."""
        if "callback_on_step_end" in takes:
            arguments["callback_on_step_end"] = self._after_step
            yield
            return
        # Pipelines without that callback still draw a bar: it becomes ours for this call.
        self._pipeline.progress_bar = self._bar
        try:
            yield
        finally:
            del self._pipeline.progress_bar

    def _after_step(self, pipeline: Any, step: int, _time: Any, tensors: Any) -> Any:
        self._wait_for_device()
        self._order.check()
        total = getattr(pipeline, "num_timesteps", None) or len(pipeline.scheduler.timesteps)
        self._order.tell(Running(step + 1, total, self._index))
        latents = tensors.get("latents")
        if latents is not None and step + 1 < total and time.monotonic() >= self._preview_at:
            self._preview(latents)
        return tensors

    def _wait_for_device(self) -> None:
        # A GPU is sent work far ahead: without this, steps were told, and cancels heard, long
        # before they are true.
        import torch

        kind = self._loaded.device.partition(":")[0]
        if kind == "cuda":
            torch.cuda.synchronize(self._loaded.device)
        elif kind == "mps":
            torch.mps.synchronize()

    def _preview(self, latents: Any) -> None:
        started = time.monotonic()
        try:
            with Foreign(self._no_previews):
                if self._loaded.preview is None:
                    self._loaded.preview = Preview(self._loaded.pipeline)
                    started = time.monotonic()
                if isinstance(self._loaded.preview, Preview):
                    data = self._loaded.preview.picture(self._pipeline, latents, self._size)
                    if data is not None:
                        self._order.tell(Partial(data, self._index))
        except ProviderError as error:
            self._loaded.preview = False
            self._order.tell(Log(str(error)))
        now = time.monotonic()
        self._preview_at = now + max(_PREVIEW_EVERY_S, _PREVIEW_SHARE * (now - started))

    def _no_previews(self, error: Exception) -> ProviderError:
        text = f"No previews of {self._loaded.source.name}: {plain(str(error))}"
        return ProviderError(ErrorKind.INTERNAL, text)

    def _bar(self, iterable: Any = None, total: int | None = None) -> _Bar:
        return _Bar(self._tell_step, iterable, total)

    def _tell_step(self, step: int, total: int | None) -> None:
        self._wait_for_device()
        self._order.check()
        self._order.tell(Running(step, total, self._index))


class _Bar:
    """What pipelines take for a progress bar: they go through it, or enter it and update it."""

    def __init__(
        self, tell: Callable[[int, int | None], None], iterable: Any, total: int | None
    ) -> None:
        self._tell = tell
        self._iterable = iterable
        self._total = len(iterable) if total is None and hasattr(iterable, "__len__") else total
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing is drawn."""

    def __iter__(self) -> Iterator[Any]:
        for item in self._iterable or ():
            yield item
            self.update()

    def update(self, steps: int = 1) -> None:
        """Count steps that were made."""
        self._done += steps
        self._tell(self._done, self._total)
