"""Celery on Redis, acknowledging late, one worker without a pool.

pip: celery[redis] psutil      environment: BENCH_REDIS_PORT (a server on this machine)
"""

from __future__ import annotations

import os

from benchmarks.peers.job import job

PIP = ("celery[redis]", "psutil")
IMPORTS = ("celery", "redis", "psutil")
VARIABLES = ("BENCH_REDIS_PORT",)
SERVER = "the port of a Redis server on this machine that may be emptied"
_DATABASE = 3


class Celery:
    """One task, no results."""

    needs_worker = False

    def __init__(self) -> None:
        from celery import Celery as App

        self._port = int(os.environ["BENCH_REDIS_PORT"])
        self._app = App("bench", broker=f"redis://127.0.0.1:{self._port}/{_DATABASE}")
        self._app.conf.update(
            task_acks_late=True, worker_prefetch_multiplier=1, task_ignore_result=True
        )
        self._task = self._app.task(name="job")(job)

    def prepare(self) -> None:
        from redis import Redis

        Redis(port=self._port, db=_DATABASE).flushdb()

    def submit(self, name: str) -> None:
        self._task.delay(name)

    def work(self) -> None:
        self._app.worker_main(
            ["worker", "-P", "solo", "-l", "CRITICAL", "--without-gossip", "--without-mingle"]
        )

    def close(self) -> None:
        self._app.close()


def make() -> Celery:
    return Celery()
