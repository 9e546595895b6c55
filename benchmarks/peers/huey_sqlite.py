"""Huey on SQLite, with its defaults (fsync FULL, polling from 0.1 s with back-off).

pip: huey psutil
"""

from __future__ import annotations

from benchmarks.peers.job import folder, job

PIP = ("huey", "psutil")
IMPORTS = ("huey", "psutil")
VARIABLES: tuple[str, ...] = ()
SERVER = ""


class Huey:
    """One queue file, one consumer with one worker thread."""

    needs_worker = False

    def __init__(self) -> None:
        from huey import SqliteHuey

        self._huey = SqliteHuey(filename=str(folder() / "huey.db"), results=False)
        self._task = self._huey.task(name="job")(job)

    def prepare(self) -> None:
        pass

    def submit(self, name: str) -> None:
        self._task(name)

    def work(self) -> None:
        self._huey.create_consumer(workers=1).run()

    def close(self) -> None:
        self._huey.storage.close()


def make() -> Huey:
    return Huey()
