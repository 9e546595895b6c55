"""How far a call to the web UI is, asked beside it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from workbench.domain.jobs import JobEvent, Queued, Running
from workbench.errors import ProviderError
from workbench.providers.pictures import Previews
from workbench.providers.polling import Pace

STRANGERS = 3  # how often a job may be unknown until it is taken to have no id there
_MOST_FAILURES = 5  # in a row, until nothing is asked any more
_IN_QUEUE = re.compile(r"(\d{1,6})\s*/\s*\d")

Told = dict[str, Any] | None


class Watch:
    """Asks how far a call is while it lasts. What goes wrong here does not hurt the call.

    Parameters
    ----------
    id:
        The job's, which the call carries.
    kind:
        txt2img or img2img.
    steps:
        How many it has.
    index:
        Of its slot.
    of_job:
        Asks for the progress of one job; None: the server has none of that kind.
    of_anybody:
        Asks for the progress of whoever's turn it is; likewise.
    pace:
        How often.
    """

    def __init__(
        self,
        id: str,
        *,
        kind: str,
        steps: int,
        index: int,
        of_job: Callable[[str, int | None], Awaitable[Told]],
        of_anybody: Callable[[], Awaitable[Told]],
        pace: Pace,
    ) -> None:
        self._of_job = of_job
        self._of_anybody = of_anybody
        self._pace = pace
        self._id = id
        self._kind = kind
        self._steps = steps
        self._index = index
        self._knows_ids: bool | None = None  # None: not known yet
        self._strangers = 0
        self._previews = Previews(index)
        self._preview = -1  # number of the last one that was sent
        self._blind = False
        self._failures = 0
        self._last: list[JobEvent] = []

    async def events(self, call: asyncio.Task[Any]) -> AsyncIterator[JobEvent]:
        """Yield what is new, until the call has ended."""
        while not self._blind and self._failures < _MOST_FAILURES:
            await asyncio.wait({call}, timeout=self._pace.next_s())
            if call.done():
                return
            look = asyncio.create_task(self._look())
            try:
                await asyncio.wait({call, look}, return_when=asyncio.FIRST_COMPLETED)
                if not look.done():
                    return
                found = look.result()
                self._failures = 0
            except ProviderError:
                self._failures += 1
                continue
            finally:
                await ended(look)
            if found != self._last:
                self._pace.moved()
                self._last = found
                for event in found:
                    yield event
        await asyncio.wait({call})

    async def _look(self) -> list[JobEvent]:
        if self._knows_ids is not False:
            told = await self._of_job(self._id, self._preview)
            if told is None:
                self._knows_ids = False
            elif told.get("active"):
                self._knows_ids = True
                return await self._own_steps(told)
            elif told.get("queued"):
                self._knows_ids = True
                return [Queued(_position_in(told.get("textinfo")))]
            elif self._knows_ids is None:
                # It may be older than ids for calls; or has not begun with ours.
                self._strangers += 1
                if self._strangers >= STRANGERS:
                    self._knows_ids = False
        if self._knows_ids is False:
            return await self._anybodys_steps()
        return []

    async def _own_steps(self, told: Mapping[str, Any]) -> list[JobEvent]:
        share = told.get("progress")
        found: list[JobEvent] = []
        if isinstance(share, (int, float)) and 0 <= share <= 1:
            found.append(Running(round(share * self._steps), self._steps, self._index))
        number = told.get("id_live_preview")
        if isinstance(number, int):
            self._preview = number
        return found + await self._shown(told.get("live_preview"))

    async def _anybodys_steps(self) -> list[JobEvent]:
        """Show the progress of whoever's turn it is, if that may be ours."""
        told = await self._of_anybody()
        state = (told or {}).get("state")
        if told is None or not isinstance(state, dict):
            self._blind = True  # the server has no progress: it stays unknown
            return []
        job = str(state.get("job") or "")
        if job and job not in (self._id, f"scripts_{self._kind}"):
            return [Queued()]  # somebody's in the page, or of another kind
        step, total = state.get("sampling_step"), state.get("sampling_steps")
        if not job or not isinstance(step, int) or not isinstance(total, int):
            return []
        if not 0 <= step <= total or total < 1:
            return []
        return [Running(step, total, self._index), *await self._shown(told.get("current_image"))]

    async def _shown(self, text: object) -> list[JobEvent]:
        if not isinstance(text, str) or not text:
            return []
        preview = await self._previews.event(await asyncio.to_thread(decoded, text))
        return [] if preview is None else [preview]


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task that nobody waits for any more, and look at its end."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def decoded(text: str) -> bytes:
    """Return the bytes of base64, with or without "data:" before it; b"?" if it is none."""
    with suppress(binascii.Error, ValueError):
        return base64.b64decode(text.rpartition(",")[2])
    return b"?"  # the image door says what is wrong


def _position_in(text: object) -> int | None:
    """Read the place in a queue from what is shown about it.

    >>> _position_in("In queue: 2/3"), _position_in("Queued...")
    (2, None)
    """
    found = _IN_QUEUE.search(text) if isinstance(text, str) else None
    return int(found[1]) if found else None
