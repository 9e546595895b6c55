"""Files that several programs of one user change: keys and settings. None loses what another put.

The programs are real processes.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workbench.errors import ConfigurationError
from workbench.providers import keys, own_files, own_settings
from workbench.providers.own_settings import OwnSettings
from workbench.providers.redaction import Secret

REPOSITORY = Path(__file__).parents[2]
EACH = 100
CANARY = "canary-0123456789abcdef"

BEGIN = """
import sys
from workbench.providers import keys, own_files, own_settings
from workbench.providers.own_settings import OwnSettings
keys._keyring = lambda: None
# The other one may hold it a hundred times in a row, however slow the disk is.
own_files.alone.__wrapped__.__kwdefaults__["wait_s"] = 45
name = sys.argv[1]
print("ready", flush=True)
sys.stdin.readline()
"""
KEEPS_KEYS = f"""{BEGIN}
for i in range({EACH}):
    keys.keep(f"{{name}}-{{i}}", f"key-of-{{name}}-{{i}}")
"""
FORGETS_KEYS = f"""{BEGIN}
for i in range({EACH}):
    assert keys.forget(f"{{name}}-{{i}}")
"""
KEEPS_SETTINGS = f"""{BEGIN}
for i in range({EACH}):
    own_settings.put(f"{{name}}-{{i}}", OwnSettings(concurrency=7))
"""
HOLDS = """
import sys
from pathlib import Path
from workbench.providers.own_files import alone
with alone(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(tmp_path / "providers"))
    monkeypatch.setattr(keys, "_keyring", lambda: None)
    return tmp_path / "providers"


def started(script: str, argument: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


@contextmanager
def holding(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds everybody else off."""
    process = started(HOLDS, str(file))
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def run_at_once(*scripts: tuple[str, str]) -> None:
    """Start processes, and let them go when all are there."""
    processes = [started(script, name) for script, name in scripts]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=50)
        assert process.returncode == 0, errors


@pytest.mark.req("PRV-7")
def test_two_programs_keep_keys_at_the_same_time_and_all_are_there(place: Path) -> None:
    run_at_once((KEEPS_KEYS, "ann"), (KEEPS_KEYS, "bob"))
    kept = json.loads((place / keys.FILE).read_text())
    expected = {f"{name}-{i}" for name in ("ann", "bob") for i in range(EACH)}
    assert set(kept) == expected
    assert all(keys.find(name) == Secret(f"key-of-{name}") for name in expected)
    assert stat.S_IMODE((place / keys.FILE).stat().st_mode) == 0o600
    assert sorted(one.name for one in place.iterdir()) == [keys.FILE, f"{keys.FILE}.lock"]


def test_one_forgets_its_keys_while_the_other_keeps_some(place: Path) -> None:
    run_at_once((KEEPS_KEYS, "ann"))
    run_at_once((FORGETS_KEYS, "ann"), (KEEPS_KEYS, "bob"))
    kept = json.loads((place / keys.FILE).read_text())
    assert set(kept) == {f"bob-{i}" for i in range(EACH)}


def test_two_programs_set_providers_at_the_same_time_and_all_is_there(place: Path) -> None:
    run_at_once((KEEPS_SETTINGS, "ann"), (KEEPS_SETTINGS, "bob"))
    kept = json.loads((place / own_settings.FILE).read_text())
    assert set(kept) == {f"{name}-{i}" for name in ("ann", "bob") for i in range(EACH)}
    assert own_settings.of("bob-99") == OwnSettings(concurrency=7)


async def test_a_key_of_another_program_is_not_lost_where_a_loop_runs(place: Path) -> None:
    """As in a cell of a notebook, where what was read last counts for looking a key up."""
    keys.keep("mine", "key-0123456789")
    file = place / keys.FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), "theirs": {"key": "their-key-1"}}))
    keys.keep("again", "key-9876543210")
    assert set(json.loads(file.read_text())) == {"mine", "theirs", "again"}
    assert keys.forget("theirs")
    assert set(json.loads(file.read_text())) == {"mine", "again"}


def open_here(file: Path) -> int:
    """How often this process has a file open, where the system tells."""
    told = Path("/proc/self/fd")
    return sum(one.resolve() == file for one in told.iterdir()) if told.exists() else 0


def test_who_holds_it_too_long_is_told_of_and_nothing_is_lost(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.keep("zoo", CANARY)
    with holding(place / keys.FILE) as other:
        with (
            pytest.raises(ConfigurationError, match=r"Another program keeps keys\.json"),
            own_files.alone(place / keys.FILE, wait_s=0.05),
        ):
            raise AssertionError("it is held by somebody else")
        assert keys.find("zoo") == Secret(CANARY)  # reading waits for nobody
        assert open_here(place / f"{keys.FILE}.lock") == 0
        assert other.poll() is None
    assert keys.forget("zoo")


def test_one_that_is_killed_while_it_holds_it_locks_nobody_out(place: Path) -> None:
    with holding(place / keys.FILE) as other:
        other.kill()
        other.wait()
        assert keys.keep("zoo", CANARY) == "file"
    assert keys.find("zoo") == Secret(CANARY)


def test_a_thread_that_waits_too_long_is_told_so(place: Path) -> None:
    file = place / keys.FILE
    there, done = threading.Event(), threading.Event()

    def hold() -> None:
        with own_files.alone(file):
            there.set()
            done.wait(30)

    other = threading.Thread(target=hold)
    other.start()
    there.wait(30)
    try:
        with (
            pytest.raises(ConfigurationError, match="Another program keeps"),
            own_files.alone(file, wait_s=0.05),
        ):
            raise AssertionError("it is held by another thread")
    finally:
        done.set()
        other.join()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_keeps_keys_all_the_same(
    place: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def without(descriptor: int, how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", without)
    assert keys.keep("zoo", CANARY) == "file"
    assert keys.find("zoo") == Secret(CANARY)


def test_an_error_of_the_disk_is_a_sentence_and_what_was_kept_stays(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.keep("zoo", CANARY)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match=r"keys\.json cannot be written: No space left"):
        keys.keep("zoo", "another-key-0123")
    monkeypatch.undo()
    assert json.loads((place / keys.FILE).read_text()) == {"zoo": {"key": CANARY}}
    assert sorted(one.name for one in place.iterdir()) == [keys.FILE, f"{keys.FILE}.lock"]


def test_a_folder_that_cannot_be_made_is_a_sentence(place: Path) -> None:
    place.write_text("a file is in its place")
    with pytest.raises(ConfigurationError, match=r"settings\.json cannot be written"):
        own_settings.put("zoo", OwnSettings(concurrency=2))


def test_entries_of_a_newer_version_are_left_as_they_are(place: Path) -> None:
    place.mkdir()
    newer = {"zoo": {"key": CANARY, "since": "2027-01-01"}, "attic": ["?"]}
    (place / keys.FILE).write_text(json.dumps(newer))
    (place / keys.FILE).chmod(0o600)
    keys.keep("cellar", "key-0123456789")
    kept = json.loads((place / keys.FILE).read_text())
    assert kept == {**newer, "cellar": {"key": "key-0123456789"}}
    assert keys.find("zoo") == Secret(CANARY)
    assert keys.find("attic") is None
