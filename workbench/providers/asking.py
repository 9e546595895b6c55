"""Asking without standing in anybody's way: beside the jobs, and beside the loop."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from workbench.providers.hosted import Hosted
from workbench.providers.http import Line

_IN_THREAD_BYTES = 100_000  # from here on, reading JSON would hold up the loop

P = TypeVar("P", bound=Hosted)
T = TypeVar("T")


@asynccontextmanager
async def apart(provider: P) -> AsyncIterator[P]:
    """Yield a copy of a provider with connections of its own, which are closed afterwards.

    Connections live on one loop. Jobs run on the engine's; a notebook that asks for a list of
    models does so on its own.

    Parameters
    ----------
    provider:
        Whose address, key and limits of time are used.

    Examples
    --------
    ::

        async with apart(provider) as asking:
            told = await asking._ask("GET", asking._address("/models"))
    """
    other = copy.copy(provider)
    line = provider._line  # noqa: SLF001 - the connections are what is changed
    other._line = Line(  # noqa: SLF001 - as above
        line.title,
        patience=line.patience,
        secrets=provider._secrets,  # noqa: SLF001 - as above
        key_hint=lambda: line.key_hint,
        address_hint=line.address_hint,
    )
    try:
        yield other
    finally:
        await other._line.close()  # noqa: SLF001 - as above


async def in_thread(work: Callable[[bytes], T], body: bytes) -> T:
    """Read a body, in a thread where it is long.

    Parameters
    ----------
    work:
        What reads it.
    body:
        What is read.

    Examples
    --------
    >>> asyncio.run(in_thread(len, b"abc"))
    3
    """
    return await asyncio.to_thread(work, body) if len(body) > _IN_THREAD_BYTES else work(body)
