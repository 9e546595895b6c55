"""Two processes that are kept alive, and end together, whatever ends first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
import pytest

from tests.waiting import until
from workbench.jupyter import supervise

REPOSITORY = Path(__file__).parents[2]

# Ends when its input does, as the server and the worker do; says who it is.
GOOD = """
import os, sys
from pathlib import Path
from workbench.jupyter.supervise import when_input_ends
import threading
here = Path(sys.argv[1])
end = threading.Event()
when_input_ends(end.set)
with (here / "pids").open("a") as file:
    file.write(f"{os.getpid()}\\n")
end.wait()
(here / f"{os.getpid()}.done").touch()
"""
STUBBORN = GOOD.replace("end.wait()", "import time; time.sleep(3600)")


def part(name: str, code: str, folder: Path) -> supervise.Part:
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return supervise.Part(name, [sys.executable, "-c", code, str(folder)], environment)


def pids(folder: Path) -> list[int]:
    path = folder / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


class Supervised:
    """`supervise` in a thread of this process."""

    def __init__(self, server: supervise.Part, worker: supervise.Part) -> None:
        self.stop = threading.Event()
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run, args=(server, worker))
        self._thread.start()

    def _run(self, server: supervise.Part, worker: supervise.Part) -> None:
        self.code = supervise.supervise(server, worker, self.stop)

    def ended(self, within_s: float = 45) -> int | None:
        self._thread.join(within_s)
        assert not self._thread.is_alive()
        return self.code


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "_FIRST_PAUSE_S", 0.1)
    # Who is willing to end is not killed, however slow the machine is.
    monkeypatch.setattr(supervise, "_END_WITHIN_S", 40.0)


@pytest.mark.usefixtures("soon")
def test_a_worker_that_dies_is_started_again_and_the_server_is_not_touched(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    both = Supervised(
        part("server", GOOD, tmp_path / "server"), part("worker", GOOD, tmp_path / "worker")
    )
    for count in (1, 2):
        until(lambda count=count: len(pids(tmp_path / "worker")) == count)
        os.kill(pids(tmp_path / "worker")[-1], signal.SIGKILL)
    until(lambda: len(pids(tmp_path / "worker")) == 3)
    both.stop.set()
    assert both.ended() == 0
    (server,) = pids(tmp_path / "server")
    assert (tmp_path / "server" / f"{server}.done").exists(), "it was not asked to end"
    assert (tmp_path / "worker" / f"{pids(tmp_path / 'worker')[-1]}.done").exists()
    said = capfd.readouterr().err
    assert "The worker ended (signal 9); a new one starts in 0.1 s." in said
    assert "a new one starts in 0.2 s" in said


@pytest.mark.usefixtures("soon")
def test_a_worker_that_cannot_live_is_tried_with_longer_and_longer_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervise, "_LONGEST_PAUSE_S", 0.4)
    both = Supervised(
        part("server", GOOD, tmp_path / "server"), part("worker", "raise SystemExit(2)", tmp_path)
    )
    said = ""

    def told() -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return said.count("The worker ended (status 2)") >= 5

    until(told)
    both.stop.set()
    both.ended()
    pauses = [float(line.split()[-2]) for line in said.splitlines() if "starts in" in line]
    assert pauses[:5] == [0.1, 0.2, 0.4, 0.4, 0.4]


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(3)", 3),
        ("raise SystemExit(0)", 0),
        ("import os; os.kill(os.getpid(), 9)", 137),
    ],
)
def test_when_the_server_ends_everything_ends_with_its_code(
    tmp_path: Path, code: str, expected: int
) -> None:
    there = str(tmp_path / "worker" / "pids")
    wait = f"import pathlib, time\nwhile not pathlib.Path({there!r}).exists(): time.sleep(0.02)"
    both = Supervised(
        part("server", f"{wait}\n{code}", tmp_path / "server"),
        part("worker", GOOD, tmp_path / "worker"),
    )
    assert both.ended() == expected
    (worker,) = pids(tmp_path / "worker")
    assert (tmp_path / "worker" / f"{worker}.done").exists()
    assert not psutil.pid_exists(worker)


@pytest.mark.usefixtures("soon")
def test_a_part_that_does_not_want_to_end_is_killed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "_END_WITHIN_S", 0.5)
    both = Supervised(
        part("server", GOOD, tmp_path / "server"), part("worker", STUBBORN, tmp_path / "worker")
    )
    until(lambda: pids(tmp_path / "worker"))
    both.stop.set()
    assert both.ended() == 0, "it would have gone on for an hour"
    assert not psutil.pid_exists(pids(tmp_path / "worker")[0])


def test_when_the_supervisor_is_killed_its_parts_end_by_themselves(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import sys, threading
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from tests.unit import test_supervise as ours
        from workbench.jupyter.supervise import supervise
        here = Path(sys.argv[1])
        supervise(
            ours.part("server", ours.GOOD, here / "server"),
            ours.part("worker", ours.GOOD, here / "worker"),
            threading.Event(),
        )
        """
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(REPOSITORY)])
    until(lambda: pids(tmp_path / "server") and pids(tmp_path / "worker"))
    process.kill()
    process.wait()
    for name in ("server", "worker"):
        (pid,) = pids(tmp_path / name)
        until((tmp_path / name / f"{pid}.done").exists)
