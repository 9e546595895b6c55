"""tests/plugins/stuck_tests.py: a test that hangs cannot hold up a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(120)  # xdist waits 10 s for a process that is gone

REPOSITORY = Path(__file__).parents[2]
HANGS_AFTER_ITS_TIMEOUT = """
import pytest, threading

@pytest.mark.timeout(1, func_only=True)
def test_that_does_not_let_go():
    try:
        threading.Event().wait()
    finally:
        threading.Event().wait()

def test_that_comes_after_it():
    pass
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_hangs.py").write_text(HANGS_AFTER_ITS_TIMEOUT)
    command = [sys.executable, "-m", "pytest", "-q", "test_hangs.py", "--rootdir", str(folder)]
    command += ["-c", "/dev/null", "-p", "tests.plugins.stuck_tests"]
    # A machine that pauses must not end it before it was interrupted, nor the test after it.
    command += ["-o", "timeout=60", "-o", "stuck_after=4", *options]
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        stdin=subprocess.DEVNULL,
    )


def test_what_hangs_after_its_timeout_ends_its_process_and_says_where(tmp_path: Path) -> None:
    done = run(tmp_path, "-p", "no:xdist")
    assert done.returncode == 70
    assert "test_that_does_not_let_go hangs for 5 s" in done.stderr
    assert 'test_hangs.py", line 9 in test_that_does_not_let_go' in done.stderr


@pytest.mark.skipif(
    sys.platform == "win32", reason="Not on Windows: workers of pytest-xdist die differently there."
)
def test_under_xdist_the_rest_goes_on(tmp_path: Path) -> None:
    done = run(tmp_path, "-n", "1")
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert "crashed while running" in done.stdout
    assert "test_that_does_not_let_go hangs for 5 s" in done.stderr
