"""The store fixtures of the contract suite: every test runs once per kind of store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.store_world import TurnableClock
from workbench.ports import Clock, Store
from workbench.store.sqlite.store import SqliteStore

# Opens a store at a place of its own; again at the same name, the same store.
OpenStore = Callable[[str], Store]

STORES: dict[str, Callable[[Path, Clock], Store]] = {
    "sqlite": lambda folder, clock: SqliteStore(folder, clock=clock),
}


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


@pytest.fixture(params=sorted(STORES))
def open_store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: TurnableClock
) -> Iterator[OpenStore]:
    opened: list[Store] = []

    def open_named(name: str) -> Store:
        opened.append(STORES[request.param](tmp_path / name, clock))
        return opened[-1]

    yield open_named
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[Store]:
    """An empty store. At the end of the test, its invariants must hold."""
    store = open_store("workspace")
    yield store
    assert store.check(live_runners=lambda _runner: True) == []
