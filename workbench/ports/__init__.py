"""What the rooms expect of one another: protocols of Store, Media, Provider, Executor and Clock.

Rule for `Store`: every method that writes returns a `concurrent.futures.Future` at once; the write
itself happens in the store's one writer thread, whole or not at all. Plain callers use
``.result()``, coroutines ``await asyncio.wrap_future(...)``. Every method that reads is
synchronous, short, and may be called from any thread.
"""

from __future__ import annotations

from workbench.ports.services import Executor, Media, Provider, ProviderState
from workbench.ports.store import Store
from workbench.ports.store_parts import JobStore, MoneyStore, PageStore
from workbench.ports.values import (
    Clock,
    Failure,
    GenerationQuery,
    Limits,
    Outcome,
    RunnerInfo,
    Selection,
)

__all__ = [
    "Clock",
    "Executor",
    "Failure",
    "GenerationQuery",
    "JobStore",
    "Limits",
    "Media",
    "MoneyStore",
    "Outcome",
    "PageStore",
    "Provider",
    "ProviderState",
    "RunnerInfo",
    "Selection",
    "Store",
]
