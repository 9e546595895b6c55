"""A worker process for the kill tests: runs jobs of a workspace until its standard input ends.

usage: python paid_worker.py FOLDER BOOK KIND RESUMABLE
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.runner_world import Process
from workbench.domain.jobs import Idempotency, JobRef, JobRequest
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.runner.runner import RunnerSettings
from workbench.testing.providers import EmulatedPaidProvider

SETTINGS = RunnerSettings(
    backoff_base_s=0.02, backoff_cap_s=0.1, sweep_s=0.05, max_deaths=10_000, max_tries=50
)


class Moody(EmulatedPaidProvider):
    """Has a hiccup at the first request that asks for one, and refuses some."""

    async def submit(self, request: JobRequest) -> JobRef:
        if request.prompt == "refuse":
            raise ProviderError(ErrorKind.BAD_REQUEST, "Not that.")
        if request.prompt == "hiccup" and self._first_time():
            raise ProviderError(ErrorKind.TRANSIENT, "Too busy.")
        return await super().submit(request)

    def _first_time(self) -> bool:
        try:
            os.close(os.open(self.book.path.with_suffix(".hiccup"), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def provider(book: str, kind: str, *, resumable: bool) -> EmulatedPaidProvider:
    return Moody(
        book,
        kind=Idempotency(kind),
        name="fake",
        resumable=resumable,
        # Far above the lag, whatever is late here: a call that goes out long after its intent, in
        # a process that slept between the two, must not be taken for one that was never made.
        quiet_s=2.5,
        lag_s=0.1 if kind == "lookup" else 0.0,
        concurrency=8,
        step_s=float(os.environ.get("STEP_S", "0.005")),
    )


def main() -> None:
    folder, book, kind, resumable = sys.argv[1:]
    fake = provider(book, kind, resumable=resumable == "yes")
    process = Process(Path(folder), [fake], settings=SETTINGS)
    print("open", flush=True)
    process.start()
    print("ready", flush=True)
    sys.stdin.read()
    process.close()


if __name__ == "__main__":
    main()
