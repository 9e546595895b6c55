"""This project's own engine, for the comparison in one run.

pip: nothing but the project itself and psutil
"""

from __future__ import annotations

import threading

from benchmarks.peers.job import folder, job

PIP = ("psutil",)
IMPORTS = ("PIL", "psutil")
VARIABLES: tuple[str, ...] = ()
SERVER = ""


class Workbench:
    """`ws.generate` here; a workspace that runs jobs there."""

    needs_worker = False

    def __init__(self) -> None:
        self._path = folder() / "workspace"

    def prepare(self) -> None:
        import workbench as wb
        from benchmarks.provider import BenchProvider
        from benchmarks.roles import add_provider

        self._ws = wb.open(self._path, user="bench", run_jobs=False)
        add_provider(self._ws, BenchProvider(lambda *_: None))
        self._topic = self._ws.create_topic("Benchmark")

    def submit(self, name: str) -> None:
        from benchmarks.provider import MODEL

        self._ws.generate(name, model=MODEL, topic=self._topic)

    def work(self) -> None:
        import workbench as wb
        from benchmarks.provider import BenchProvider
        from benchmarks.roles import add_provider

        with wb.open(self._path, user="bench", run_jobs=True) as ws:
            # The body is quick, and the one that waits is killed: it may run on the loop.
            add_provider(ws, BenchProvider(lambda name, _at: job(name)))
            threading.Event().wait()

    def close(self) -> None:
        self._ws.close()


def make() -> Workbench:
    return Workbench()
