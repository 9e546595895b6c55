"""litequeue: a queue in a SQLite file, without a worker of its own.

pip: litequeue psutil

The loop below is what a user would write: pop, run, done, and a look every 50 ms when it is empty.
"""

from __future__ import annotations

import time

from benchmarks.peers.job import folder, job

PIP = ("litequeue", "psutil")
IMPORTS = ("litequeue", "psutil")
VARIABLES: tuple[str, ...] = ()
SERVER = ""
_LOOK_S = 0.05


class Litequeue:
    """The queue and a polling loop."""

    needs_worker = False

    def __init__(self) -> None:
        from litequeue import LiteQueue

        self._queue = LiteQueue(str(folder() / "lite.db"))

    def prepare(self) -> None:
        pass

    def submit(self, name: str) -> None:
        self._queue.put(name)

    def work(self) -> None:
        while True:
            message = self._queue.pop()
            if message is None:
                time.sleep(_LOOK_S)
                continue
            job(message.data)
            self._queue.done(message.message_id)

    def close(self) -> None:
        self._queue.close()


def make() -> Litequeue:
    return Litequeue()
