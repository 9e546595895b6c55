"""PgQueuer on PostgreSQL, batches of two.

pip: pgqueuer asyncpg psutil      environment: BENCH_POSTGRES_DSN
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Any

from benchmarks.peers.job import job

PIP = ("pgqueuer", "asyncpg", "psutil")
IMPORTS = ("pgqueuer", "asyncpg", "psutil")
VARIABLES = ("BENCH_POSTGRES_DSN",)
SERVER = "a PostgreSQL database in which PgQueuer's tables may be dropped"


class PgQueuer:
    """Its tables, installed anew at every start."""

    needs_worker = False

    def __init__(self) -> None:
        self._dsn = os.environ["BENCH_POSTGRES_DSN"]
        self._loop = asyncio.new_event_loop()
        self._queries: Any = None

    def prepare(self) -> None:
        async def main() -> Any:
            import asyncpg
            from pgqueuer.db import AsyncpgDriver
            from pgqueuer.queries import Queries

            queries = Queries(AsyncpgDriver(await asyncpg.connect(self._dsn)))
            with suppress(asyncpg.PostgresError):  # nothing was installed
                await queries.uninstall()
            await queries.install()
            return queries

        self._queries = self._loop.run_until_complete(main())

    def submit(self, name: str) -> None:
        self._loop.run_until_complete(self._queries.enqueue("job", name.encode(), 0))

    def work(self) -> None:
        async def main() -> None:
            import asyncpg
            from pgqueuer import PgQueuer as Manager
            from pgqueuer.db import AsyncpgDriver

            manager = Manager(AsyncpgDriver(await asyncpg.connect(self._dsn)))

            @manager.entrypoint("job")
            async def run(given: Any) -> None:
                await asyncio.to_thread(job, given.payload.decode())

            await manager.run(batch_size=2)

        asyncio.run(main())

    def close(self) -> None:
        self._loop.close()


def make() -> PgQueuer:
    return PgQueuer()
