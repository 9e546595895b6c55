"""Many calls at once on one line: all are made, and only some connections stay open for later."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from workbench.providers.http import Line
from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen

A_RUNNERS_JOBS = 32
A_CROWD = 48


class Together(Emulator):
    """Answers nobody before all have asked; knows how many connections it has, and ever had."""

    def __init__(self) -> None:
        super().__init__()
        self.here = threading.Barrier(1)
        self._server.socket.listen(A_CROWD)

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        self.here.wait(45)
        return Reply(200, JSON, [b"{}"])


@pytest.fixture
def server() -> Iterator[Together]:
    with Together() as one:
        yield one


async def ask_together(here: Line, server: Together, count: int) -> None:
    server.here = threading.Barrier(count)

    async def ask() -> None:
        answer = await here.open("POST", f"{server.url}/x", json={}, creates=True)
        assert await answer.body(max_bytes=1000) == b"{}"
        await answer.close()

    await asyncio.gather(*(ask() for _ in range(count)))


def kept_open(here: Line) -> set[int]:
    """The connections that a line keeps; the client has no public word for it."""
    return set(map(id, here._client._transport._pool.connections))


async def test_after_a_crowd_no_more_connections_stay_open_than_a_runner_has_jobs(server):
    here = Line("Example")
    await ask_together(here, server, A_CROWD)
    assert len(server.requests) == A_CROWD
    kept = kept_open(here)
    await here.close()
    assert len(kept) <= A_RUNNERS_JOBS


async def test_as_many_calls_as_a_runner_has_jobs_find_their_connections_again(server, monkeypatch):
    # Two seconds, after which an idle one is closed, may pass while nothing runs here.
    monkeypatch.setattr("workbench.providers.http._IDLE_S", 600.0)
    here = Line("Example")
    await ask_together(here, server, A_RUNNERS_JOBS)
    before = kept_open(here)
    await ask_together(here, server, A_RUNNERS_JOBS)
    after = kept_open(here)
    await here.close()
    assert len(before) == A_RUNNERS_JOBS
    assert after == before
