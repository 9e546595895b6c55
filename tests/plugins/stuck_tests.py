"""A test that hangs although its time is up takes its process with it, and says where it hung.

pytest-timeout interrupts a test once. What hangs while it cleans up after that (a kernel that does
not answer, a server that does not end) would hold up the whole run. This ends the process; under
xdist the test counts as failed then, and another process goes on with the rest.
"""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Iterator

import pytest

EXIT_CODE = 70


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "stuck_after", "seconds that a test may go on after its timeout (default 90)", default="90"
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Watch a test with its fixtures, from their setup to their teardown."""
    limit_s = _timeout_of(item) + float(item.config.getini("stuck_after"))
    timer = threading.Timer(limit_s, _end, [item, limit_s])
    timer.name = "stuck-tests"
    timer.daemon = True
    timer.start()
    try:
        return (yield)
    finally:
        timer.cancel()


def _timeout_of(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    if mark is not None:
        return float(mark.args[0] if mark.args else mark.kwargs["timeout"])
    return float(item.config.getini("timeout"))


def _end(item: pytest.Item, limit_s: float) -> None:
    capture = item.config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=True)  # else nobody would see it
    os.write(2, f"\n{item.nodeid} hangs for {limit_s:.0f} s:\n".encode())
    faulthandler.dump_traceback(2, all_threads=True)
    os._exit(EXIT_CODE)
