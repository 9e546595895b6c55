"""The doorbell between engines, and the proof of life of each."""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.store import bell as bells
from workbench.store.bell import Bell
from workbench.store.liveness import OwnerLock, dead_owners, is_alive, remove_dead
from workbench.store.locks import FileLock, is_locked

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Not on Windows: processes look for changes there by the clock."
)
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder with a short path, whatever pytest's is."""
    with tempfile.TemporaryDirectory(prefix="wb", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch, base: Path) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    folder = bells.runtime_dir("workspace")
    assert folder is not None
    return folder


def rung(bell: Bell) -> bool:
    return bool(select.select([bell.fileno()], [], [], 0)[0])


def test_a_ring_reaches_every_other_bell_and_not_oneself(runtime: Path) -> None:
    one, two, three = (Bell(runtime, name * 26) for name in "abc")
    assert one.ring_others() == 2
    assert (rung(one), rung(two), rung(three)) == (False, True, True)
    assert two.drain()
    assert not two.drain()
    assert not rung(two)
    for bell in (one, two, three):
        bell.close()
        bell.close()
    assert list(runtime.iterdir()) == []


def test_a_bell_that_comes_later_is_found(runtime: Path) -> None:
    one = Bell(runtime, "a" * 26)
    assert one.ring_others() == 0
    for _ in range(30):
        later = Bell(runtime, "b" * 26)
        assert one.ring_others() == 1
        assert rung(later)
        later.close()
        assert one.ring_others() == 0
    one.close()


def test_ringing_never_blocks_however_deaf_the_other_is(runtime: Path) -> None:
    one, deaf = Bell(runtime, "a" * 26), Bell(runtime, "b" * 26)
    for _ in range(3000):
        one.ring_others()
    assert deaf.drain()
    one.close()
    deaf.close()


def test_the_socket_of_a_dead_engine_is_removed_but_not_that_of_a_living_one(
    runtime: Path,
) -> None:
    def dead_socket(name: str) -> Path:
        path = runtime / name
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
            left.bind(str(path))
        return path

    dead, silent = dead_socket("dead"), dead_socket("silent")
    one = Bell(runtime, "a" * 26, is_alive=lambda id: id == "silent")
    assert one.ring_others() == 0
    assert (dead.exists(), silent.exists()) == (False, True)
    one.close()


def test_a_bell_without_a_folder_is_mute() -> None:
    mute = Bell(None, "a" * 26)
    assert mute.fileno() == -1
    assert mute.ring_others() == 0
    assert not mute.drain()
    mute.close()


def test_the_runtime_folder_is_private_and_the_same_for_all(
    monkeypatch: pytest.MonkeyPatch, base: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    folder = bells.runtime_dir("workspace")
    assert folder is not None
    assert folder == bells.runtime_dir("workspace") != bells.runtime_dir("another")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(folder.name) == 12
    folder.chmod(0o777)
    bells.runtime_dir("workspace")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_planted_link_or_a_foreign_folder_is_not_used(
    monkeypatch: pytest.MonkeyPatch, base: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    (base / "image-workbench").symlink_to(tmp_path)
    folder = bells.runtime_dir("workspace")
    assert folder is None or base not in folder.parents
    (base / "image-workbench").unlink()
    if os.geteuid() == 0:
        (base / "image-workbench").mkdir()
        os.chown(base / "image-workbench", 12345, 12345)
        folder = bells.runtime_dir("workspace")
        assert folder is None or base not in folder.parents


def test_a_runtime_folder_that_is_too_deep_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    folder = bells.runtime_dir("workspace")
    assert folder is None or deep not in folder.parents
    assert folder is None or len(str(folder / ("a" * 26))) < 108


# -- proof of life ------------------------------------------------------------------------------

OWN = """
import pathlib, sys
from workbench.store.liveness import OwnerLock
lock = OwnerLock(pathlib.Path(sys.argv[1]), sys.argv[2])
lock.acquire()
print("held", flush=True)
sys.stdin.readline()
lock.release()
"""


def owner(folder: Path, id: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWN, str(folder), id],
        cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_an_engine_is_alive_until_it_is_killed(tmp_path: Path) -> None:
    process = owner(tmp_path, "a")
    assert is_alive(tmp_path, "a")
    assert not remove_dead(tmp_path, "a")
    assert dead_owners(tmp_path) == []
    process.kill()
    process.communicate()
    assert not is_alive(tmp_path, "a")
    assert dead_owners(tmp_path) == ["a"]
    assert remove_dead(tmp_path, "a")
    assert not remove_dead(tmp_path, "a")
    assert dead_owners(tmp_path) == []


def test_a_stopped_engine_is_alive(tmp_path: Path) -> None:
    process = owner(tmp_path, "a")
    process.send_signal(signal.SIGSTOP)
    assert is_alive(tmp_path, "a")
    process.send_signal(signal.SIGCONT)
    process.communicate("end\n")
    assert not is_alive(tmp_path, "a")
    assert dead_owners(tmp_path) == []  # it took its file with it


def test_ones_own_lock_counts_as_alive(tmp_path: Path) -> None:
    lock = OwnerLock(tmp_path, "me")
    assert not is_alive(tmp_path, "me")
    lock.acquire()
    assert is_alive(tmp_path, "me")
    assert str(os.getpid()) in (tmp_path / "owners" / "me.lock").read_text()
    lock.release()
    lock.release()
    assert not is_alive(tmp_path, "me")


def test_looking_from_many_sides_never_sees_a_dead_engine_alive(tmp_path: Path) -> None:
    process = owner(tmp_path, "a")
    process.kill()
    process.communicate()
    seen: list[bool] = []

    def look() -> None:
        seen.extend(is_alive(tmp_path, "a") for _ in range(300))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(seen)


def test_a_lock_whose_file_is_deleted_while_it_is_taken_is_taken_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = FileLock(path), FileLock(path)
    assert first.acquire()
    assert not second.acquire(wait=False)
    waiter = threading.Thread(target=second.acquire)
    waiter.start()
    time.sleep(0.02)  # most likely it waits on the old file by now; both ways must work
    path.unlink()
    first.close()
    waiter.join()
    assert is_locked(path)
    assert not FileLock(path).acquire(wait=False)
    second.close()
    assert not is_locked(path)
