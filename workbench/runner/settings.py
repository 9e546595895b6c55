"""How a runner behaves: limits, pace and patience in one record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """Settings of one runner (one process).

    Attributes
    ----------
    max_jobs:
        jobs at once in this process, over all providers.
    sweep_s:
        seconds between two looks at the locks of other processes, while those run jobs.
    max_tries:
        submissions of a job that may fail for a passing reason before it fails.
    max_deaths:
        workers that a job may take down before it fails as poison.
    stall_s:
        how long a provider that bills may say nothing of a picture that it makes, in seconds. It
        is far above what any is silent for; a provider's own `stall_s` counts instead. Waiting in
        the provider's queue is no silence.
    backoff_base_s:
        bound of the first wait between two tries, in seconds.
    backoff_cap_s:
        bound of all such waits, in seconds.
    progress_hz:
        most progress rows per second and job.
    preview_hz:
        most stored previews per second and generation.
    min_free_bytes:
        no paid job is started with less free space than this.
    disk_wait_s:
        seconds until a job that waits for disk space looks again.
    ask_gap_s:
        seconds until a provider that cannot be used here is looked at again, where it can tell
        what became of calls of unknown outcome.
    """

    max_jobs: int = 32
    sweep_s: float = 0.2
    max_tries: int = 5
    max_deaths: int = 3
    stall_s: float = 900.0
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 30.0
    progress_hz: float = 10.0
    preview_hz: float = 4.0
    min_free_bytes: int = 50_000_000
    disk_wait_s: float = 10.0
    ask_gap_s: float = 30.0
