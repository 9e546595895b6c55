"""Procrastinate on PostgreSQL, one worker with two jobs at a time.

pip: procrastinate psycopg[binary] psutil      environment: BENCH_POSTGRES_DSN
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from benchmarks.peers.job import job

PIP = ("procrastinate", "psycopg[binary]", "psutil")
IMPORTS = ("procrastinate", "psycopg", "psutil")
VARIABLES = ("BENCH_POSTGRES_DSN",)
SERVER = "a PostgreSQL database in which the schema 'bench_procrastinate' may be dropped"
_SCHEMA = "bench_procrastinate"


class Procrastinate:
    """A schema of its own, dropped at every start."""

    needs_worker = False

    def __init__(self) -> None:
        self._dsn = os.environ["BENCH_POSTGRES_DSN"]
        self._app: Any = None

    def _connect(self, connector: Any) -> Any:
        from procrastinate import App

        options = {"options": f"-c search_path={_SCHEMA},public"}
        app = App(connector=connector(conninfo=self._dsn, kwargs=options))
        app.task(name="job")(job)
        return app

    def prepare(self) -> None:
        import psycopg
        from procrastinate import SyncPsycopgConnector

        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {_SCHEMA} CASCADE")
            connection.execute(f"CREATE SCHEMA {_SCHEMA}")
        self._app = self._connect(SyncPsycopgConnector)
        self._app.open()
        self._app.schema_manager.apply_schema()

    def submit(self, name: str) -> None:
        self._app.configure_task("job").defer(name=name)

    def work(self) -> None:
        from procrastinate import PsycopgConnector

        async def main() -> None:
            app = self._connect(PsycopgConnector)
            async with app.open_async():
                await app.run_worker_async(concurrency=2)

        asyncio.run(main())

    def close(self) -> None:
        if self._app is not None:
            self._app.close()


def make() -> Procrastinate:
    return Procrastinate()
