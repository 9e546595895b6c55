"""What every job of a runner works with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from workbench.domain.jobs import JobRecord
from workbench.domain.records import Json
from workbench.errors import EngineClosed, StoreError
from workbench.ports import Clock, Executor, Media, Provider, Store
from workbench.runner.settings import RunnerSettings

T = TypeVar("T")

_log = logging.getLogger(__name__)
_LONGEST_TEXT = 2_000  # characters of a line in the event log


@dataclass(frozen=True, slots=True)
class Context:
    """The rooms around a running job.

    Attributes
    ----------
    executor:
        for work that takes processor time or touches image files.
    reads:
        a thread of its own for the store's short reads, so that they do not queue behind
        painting.
    uniform:
        draws a number between two others (waits are spread with it).
    spawn:
        runs a coroutine on the loop that nobody waits for.
    due_in:
        called with the seconds after which a held job is due.
    retry_in:
        called with a job id and the seconds after which the job is tried again; a runner that is
        told to finish its work waits for it.
    ask_later:
        called with a provider that could not be asked what became of a call that it has taken on.
    """

    store: Store
    media: Media
    executor: Executor
    reads: Executor
    clock: Clock
    settings: RunnerSettings
    uniform: Callable[[float, float], float]
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    due_in: Callable[[float], None]
    retry_in: Callable[[str, float], None]
    ask_later: Callable[[Provider], None]

    def note(
        self,
        level: str,
        text: str,
        *,
        kind: str = "runner",
        job: JobRecord | None = None,
        data: Json | None = None,
    ) -> None:
        """Write a line into the event log; never waits, never raises."""
        try:
            future = self.store.log(
                level,
                kind,
                text[:_LONGEST_TEXT],
                entity=None if job is None else "batch",
                entity_id=None if job is None else job.batch_id,
                data=data,
                owner=None if job is None else job.owner,
            )
        except StoreError as error:
            _not_noted(text, error)
            return
        future.add_done_callback(lambda done: _noted(done, text))


def _noted(future: Future[None], text: str) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        _not_noted(text, error)


def _not_noted(text: str, error: BaseException) -> None:
    # After the store closed, whatever still ends here is of no interest to anybody.
    if not isinstance(error, EngineClosed):
        _log.error("%s (not in the event log: %s)", text, error)


async def written(future: Future[T]) -> T:
    """Wait for a write of the store. Being cancelled meanwhile does not touch the write."""
    return await asyncio.shield(asyncio.wrap_future(future))
