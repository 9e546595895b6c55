"""A kernel that stands still: what a page shows meanwhile, no answer has told it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.browser.bench_page import Bench


@contextmanager
def held(bench: Bench) -> Iterator[None]:
    """Stop the kernel's process, all threads of it; what it was sent waits for it."""
    process = int(bench.value("__import__('os').getpid()"))
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)
