"""workbench/store/forking.py: a fork waits for threads that are inside SQLite or import."""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.store import forking
from workbench.store.forking import Gate, in_sqlite, others_import

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="Not on Windows: the tests fork processes."
)


@pytest.fixture
def elsewhere() -> Iterator[Callable[[Callable[[], None]], threading.Thread]]:
    """Run something in another thread; it has ended when the test has."""
    threads: list[threading.Thread] = []

    def start(work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, daemon=True)
        threads.append(thread)
        thread.start()
        return thread

    yield start
    for thread in threads:
        thread.join(45)
        assert not thread.is_alive()


def fork(in_child: Callable[[], bool]) -> bool:
    """What a forked child finds, told by its exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads: the point
        child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if in_child() else 2
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.req("RES-4")
def test_a_fork_waits_until_the_others_are_out(monkeypatch: pytest.MonkeyPatch, elsewhere) -> None:
    monkeypatch.setattr(forking, "LONGEST_WAIT_S", 45.0)  # however slow the machine is
    entered, leave = threading.Event(), threading.Event()
    left_at: list[float] = []

    def work() -> None:
        with in_sqlite:
            entered.set()
            leave.wait(45)
            time.sleep(0.05)
            left_at.append(time.monotonic())

    elsewhere(work)
    assert entered.wait(45)
    threading.Timer(0.05, leave.set).start()
    assert fork(lambda: bool(left_at) and in_sqlite.inside == 0)
    assert in_sqlite.inside == 0


def test_who_is_inside_forks_at_once_and_finds_himself_inside(
    monkeypatch: pytest.MonkeyPatch, elsewhere
) -> None:
    monkeypatch.setattr(forking, "LONGEST_WAIT_S", 3600.0)  # nobody waits for himself

    def work() -> None:
        with in_sqlite, in_sqlite:
            assert fork(lambda: in_sqlite.inside == 1)
            assert in_sqlite.inside == 1

    forking_thread = elsewhere(work)
    forking_thread.join(45)
    assert not forking_thread.is_alive()
    assert in_sqlite.inside == 0


def test_a_fork_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, elsewhere) -> None:
    monkeypatch.setattr(forking, "LONGEST_WAIT_S", 0.05)
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        with in_sqlite:
            entered.set()
            leave.wait(45)

    elsewhere(work)
    assert entered.wait(45)
    assert fork(lambda: in_sqlite.inside == 0), "of a thread that is not there in the child"
    assert in_sqlite.inside == 1
    leave.set()


def test_nobody_gets_in_while_a_fork_is_made_and_everybody_after_it(elsewhere) -> None:
    gate = Gate()
    gate.before_fork()
    inside = threading.Event()

    def work() -> None:
        with gate:
            inside.set()

    elsewhere(work)
    assert not inside.wait(0.1)
    gate.after_fork_in_parent()
    assert inside.wait(45)


@pytest.mark.req("RES-4")
def test_a_fork_waits_for_an_import_in_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere
) -> None:
    """Its lock would stay taken in the child, where nobody goes on with the import."""
    monkeypatch.setattr(forking, "LONGEST_WAIT_S", 45.0)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "slow_to_import.py").write_text(
        "import sys\nbegun, go_on = sys.of_slow_import\n"
        "begun.set()\nassert go_on.wait(45)\nready = True\n"
    )
    begun, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(sys, "of_slow_import", (begun, go_on), raising=False)

    def work() -> None:
        import slow_to_import  # type: ignore[import-not-found]  # noqa: F401 - written above

    elsewhere(work)
    assert begun.wait(45)
    assert others_import()
    threading.Timer(0.2, go_on.set).start()  # while the fork waits
    assert fork(lambda: sys.modules["slow_to_import"].ready)
    assert not others_import()
    del sys.modules["slow_to_import"]
