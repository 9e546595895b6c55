"""dask.distributed: a scheduler and one worker process on this machine. Nothing is durable.

The take-over kills the worker only: with the scheduler everything would be lost.

pip: distributed psutil
"""

from __future__ import annotations

import logging
import time

from benchmarks.peers.job import folder, job

PIP = ("distributed", "psutil")
IMPORTS = ("distributed", "psutil")
VARIABLES: tuple[str, ...] = ()
SERVER = ""
_PATIENCE_S = 60.0


class Dask:
    """`Client.submit`, forgotten at once."""

    needs_worker = True

    def __init__(self) -> None:
        self._client: object = None
        self._file = folder() / "scheduler"

    def prepare(self) -> None:
        # The scheduler of the last worker is gone, and its address with it.
        self._file.unlink(missing_ok=True)
        self._client = None

    def submit(self, name: str) -> None:
        from distributed import Client, fire_and_forget

        # It goes on calling for schedulers that were killed.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        if self._client is None:
            self._client = Client(self._wait(), timeout=_PATIENCE_S)
        fire_and_forget(self._client.submit(job, name, pure=False))  # type: ignore[attr-defined]

    def _wait(self) -> str:
        give_up = time.monotonic() + _PATIENCE_S
        while time.monotonic() < give_up:
            if self._file.exists():
                return self._file.read_text("utf-8")
            time.sleep(0.05)
        raise TimeoutError("the scheduler did not start")

    def work(self) -> None:
        from distributed import LocalCluster

        with LocalCluster(
            n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address=None
        ) as cluster:
            half = self._file.with_suffix(".half")
            half.write_text(cluster.scheduler_address, "utf-8")
            half.replace(self._file)
            while True:
                time.sleep(60)

    def close(self) -> None:
        pass  # its scheduler was killed; closing would wait for it


def make() -> Dask:
    return Dask()
