"""persist-queue's SQLiteAckQueue: a queue with acknowledgements, without a worker of its own.

pip: persist-queue psutil

The process that submits and the one that works open the queue each for itself, and `get` sees
what the other has put only when the file is looked at anew: hence one object per look.
"""

from __future__ import annotations

import time

from benchmarks.peers.job import folder, job

PIP = ("persist-queue", "psutil")
IMPORTS = ("persistqueue", "psutil")
VARIABLES: tuple[str, ...] = ()
SERVER = ""
_LOOK_S = 0.05


class PersistQueue:
    """The queue and a polling loop."""

    needs_worker = False

    def __init__(self) -> None:
        self._queue = self._open()

    def _open(self) -> object:
        from persistqueue import SQLiteAckQueue

        return SQLiteAckQueue(str(folder() / "persist"), auto_commit=True)

    def prepare(self) -> None:
        pass

    def submit(self, name: str) -> None:
        self._queue.put(name)  # type: ignore[attr-defined]

    def work(self) -> None:
        from persistqueue.exceptions import Empty

        queue = self._queue
        while True:
            try:
                name = queue.get(block=False)  # type: ignore[attr-defined]
            except Empty:
                time.sleep(_LOOK_S)
                queue = self._open()
                continue
            job(name)
            queue.ack(name)  # type: ignore[attr-defined]

    def close(self) -> None:
        self._queue.close()  # type: ignore[attr-defined]


def make() -> PersistQueue:
    return PersistQueue()
