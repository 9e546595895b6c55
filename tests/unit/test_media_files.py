"""Files named by their content: durable, atomic, for many processes, and never led astray."""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import DiskFull, InvalidRequest, NotFound
from workbench.media import FileStore
from workbench.media import files as files_module

DATA = b"not checked here" * 1000
ID = hashlib.sha256(DATA).hexdigest()

posix = pytest.mark.skipif(
    sys.platform == "win32", reason="Not on Windows: the test is about modes and links of files."
)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "media")


def everything_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.req("DAT-2")
def test_an_original_lies_under_its_hash_without_a_suffix(store: FileStore) -> None:
    path = store.put(DATA, ID)
    assert path == store.root / "files" / ID[:2] / ID
    assert path.suffix == ""
    assert store.read(ID) == DATA
    assert store.exists(ID)
    assert store.verify(ID)
    assert everything_below(store.root) == [path]


@posix
def test_only_the_owner_can_read(store: FileStore) -> None:
    before = os.umask(0)
    try:
        path = store.put(DATA, ID)
        small = store.put_variant(ID, 256, b"small")
        preview = store.put_preview("g1", b"preview")
    finally:
        os.umask(before)
    for file in (path, small, preview):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        for folder in list(file.relative_to(store.root).parents)[:-1]:
            assert stat.S_IMODE((store.root / folder).stat().st_mode) == 0o700
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


def test_nothing_is_made_before_the_first_write(store: FileStore) -> None:
    assert not store.exists(ID)
    assert store.read_preview("g1") is None
    assert list(store.iter_files()) == []
    assert store.sweep_temp(0) == 0
    assert store.free_bytes() > 0
    store.remove(ID)
    store.drop_preview("g1")
    assert not store.root.exists()


@pytest.mark.req("SYN-2")
def test_storing_the_same_bytes_again_keeps_the_file_and_makes_it_young(store: FileStore) -> None:
    path = store.put(DATA, ID)
    os.utime(path, (1, 1))
    inode = path.stat().st_ino
    assert store.put(DATA, ID) == path
    assert path.stat().st_ino == inode
    assert path.stat().st_mtime > 1_000
    assert everything_below(store.root) == [path]


@pytest.mark.parametrize("torn", [b"", DATA[:100], bytes(len(DATA)), DATA[:-1] + b"x"])
def test_a_torn_file_is_written_again(store: FileStore, torn: bytes) -> None:
    path = store.put(DATA, ID)
    path.write_bytes(torn)
    assert not store.verify(ID)
    store.put(DATA, ID)
    assert store.verify(ID)


def test_bytes_never_come_under_a_wrong_name(store: FileStore) -> None:
    with pytest.raises(ValueError, match="another SHA-256"):
        store.put(DATA + b"x", ID)
    assert not store.root.exists()


HOSTILE = [
    "",
    ".",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "\\\\h\\s",
    "a\0b",
    "CON",
    "%2e%2e",
    "x" * 5000,
    ID.upper(),
    ID + "/",
    ID + "\n",
    ID[:-1],
    f"../{ID[3:]}",
    f"{ID[:2]}/{ID[3:]}",
    "٠" * 64,  # digits to str.isdigit, not to us
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_a_client_becomes_a_path(store: FileStore, name: str) -> None:
    store.put(DATA, ID)
    for act in (
        store.path,
        store.read,
        store.exists,
        store.verify,
        store.remove,
        lambda text: store.put(DATA, text),
        lambda text: store.variant_path(text, 256),
        lambda text: store.put_variant(text, 256, b"x"),
    ):
        with pytest.raises(InvalidRequest):
            act(name)
    assert everything_below(store.root.parent) == [store.path(ID)]


@pytest.mark.parametrize("name", [n for n in HOSTILE if len(n) != 64 and n != "CON"])
def test_no_text_of_a_client_becomes_a_preview(store: FileStore, name: str) -> None:
    if len(name) == 63:
        return  # looks like one of our ids, and is harmless
    for act in (store.read_preview, store.drop_preview, lambda text: store.put_preview(text, b"")):
        with pytest.raises(InvalidRequest):
            act(name)
    assert not store.root.exists()


@pytest.mark.parametrize("size", [0, -1, 100_000])
def test_sizes_of_thumbnails_are_bounded(store: FileStore, size: int) -> None:
    with pytest.raises(InvalidRequest):
        store.variant_path(ID, size)


def test_reading_what_is_not_there_says_so(store: FileStore) -> None:
    with pytest.raises(NotFound):
        store.read(ID)
    assert store.verify(ID) is False


@posix
def test_links_pipes_and_folders_are_never_read(store: FileStore, tmp_path: Path) -> None:
    path = store.put(DATA, ID)
    secret = tmp_path / "secret"
    secret.write_bytes(DATA)
    path.unlink()
    path.symlink_to(secret)
    assert not store.exists(ID)
    with pytest.raises(OSError, match=r".+"):
        store.read(ID)
    assert list(store.iter_files()) == []
    assert not store.verify(ID)
    # Storing replaces the link and leaves its target alone.
    store.put(DATA, ID)
    assert not path.is_symlink()
    assert secret.read_bytes() == DATA
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        store.read(ID)
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match=r".+"):
        store.read(ID)


def test_removing_takes_the_thumbnails_along_and_no_others(store: FileStore) -> None:
    other = b"other"
    other_id = ID[:2] + hashlib.sha256(other).hexdigest()[2:]
    store.put(DATA, ID)
    store.put_variant(ID, 256, b"a")
    store.put_variant(ID, 768, b"b")
    kept = store.put_variant(other_id, 256, b"c")
    store.remove(ID)
    store.remove(ID)
    assert everything_below(store.root) == [kept]


def test_previews_are_replaced_whole_and_dropped(store: FileStore) -> None:
    store.put_preview("01j0", b"one")
    store.put_preview("01j0", b"two")
    assert store.read_preview("01j0") == b"two"
    store.drop_preview("01j0")
    assert store.read_preview("01j0") is None


def test_readers_never_see_half_a_preview(store: FileStore) -> None:
    versions = [bytes([number]) * 200_000 for number in range(4)]
    store.put_preview("g", versions[0])
    stop = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(store.read_preview("g") or b"")

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(15):
            for version in versions:
                store.put_preview("g", version)
    finally:
        stop.set()
        reader.join()
    assert seen <= set(versions)


def _put_many(root: str, start: Any, outcome: Any) -> None:
    start.wait()
    try:
        for _ in range(20):
            FileStore(root).put(DATA, ID)
    except (OSError, DiskFull) as error:
        outcome.put(repr(error))
    else:
        outcome.put("")


def test_processes_may_store_the_same_content_at_once(store: FileStore) -> None:
    context = multiprocessing.get_context("spawn")
    start, outcome = context.Event(), context.Queue()
    workers = [
        context.Process(target=_put_many, args=(str(store.root), start, outcome)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    start.set()
    assert [outcome.get(timeout=30) for _ in workers] == ["", "", ""]
    for worker in workers:
        worker.join()
    assert everything_below(store.root) == [store.path(ID)]
    assert store.verify(ID)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_nothing_behind(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    def full(*arguments: Any, **more: Any) -> Any:
        raise OSError(number, "full")

    store.put_preview("g", b"old")
    with monkeypatch.context() as patch:
        if call == "write":
            patch.setattr(files_module, "memoryview", full, raising=False)
        elif call == "fsync":
            patch.setattr(os, "fsync", full)
        else:
            patch.setattr(Path, "replace", full)
        with pytest.raises(DiskFull):
            store.put(DATA, ID)
        if call != "fsync":
            with pytest.raises(DiskFull):
                store.put_preview("g", b"new")
    assert not store.exists(ID)
    assert store.read_preview("g") == b"old"
    assert everything_below(store.root / "tmp") == []
    store.put(DATA, ID)
    assert store.verify(ID)


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0,
    reason="Linux as root only: the test mounts a small disk and fills it.",
)
def test_a_really_full_file_system_is_reported_and_recovers(tmp_path: Path) -> None:
    import subprocess

    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("Needs a machine (or container) that lets root mount a small disk.")
    try:
        store = FileStore(place / "media")
        big = bytes(400_000)
        small = b"small"
        big_id, small_id = (hashlib.sha256(data).hexdigest() for data in (big, small))
        with pytest.raises(DiskFull):
            store.put(big, big_id)
        assert not store.exists(big_id)
        assert everything_below(place) == []
        assert 0 < store.free_bytes() < 300_000
        store.put(small, small_id)
        assert store.verify(small_id)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_other_failures_keep_their_error_and_clean_up_too(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, "broken disk")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="broken disk"):
            store.put(DATA, ID)
    assert everything_below(store.root) == []


def test_content_and_name_are_synced_in_this_order(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def seen_fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        steps.append(f"sync {kind}")
        fsync(descriptor)

    def seen_replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(Path, "replace", seen_replace)
    store.put(DATA, ID)
    assert steps[-3:] == ["sync file", "rename", "sync folder"]
    steps.clear()
    store.put_preview("g", b"x")
    store.put_variant(ID, 256, b"x")
    assert steps == ["rename", "rename"]


@pytest.mark.skipif(
    sys.platform == "win32", reason="Not on Windows: folders cannot be synced to the disk there."
)
def test_file_systems_that_cannot_sync_folders_are_good_enough(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def picky(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", picky)
    store.put(DATA, ID)
    assert store.verify(ID)


def test_leftovers_of_crashed_writers_are_swept_and_younger_ones_left(store: FileStore) -> None:
    store.put(DATA, ID)
    tmp = store.root / "tmp"
    old, young = tmp / "old", tmp / "young"
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    os.utime(old, (1, 1))
    assert store.sweep_temp(3600) == 1
    assert everything_below(tmp) == [young]
    assert store.verify(ID)


def test_orphans_are_old_and_unknown(store: FileStore) -> None:
    contents = {hashlib.sha256(data).hexdigest(): data for data in (b"a", b"b", b"c")}
    ids = list(contents)
    for asset_id, data in contents.items():
        store.put(data, asset_id)
    (store.root / "files" / "stray").write_bytes(b"")
    (store.root / "files" / ids[0][:2] / "stray").write_bytes(b"")
    assert set(store.iter_files()) == set(ids)
    hours_ago = time.time() - 7200
    os.utime(store.path(ids[0]), (hours_ago, hours_ago))
    os.utime(store.path(ids[1]), (hours_ago, hours_ago))
    assert list(store.orphans({ids[1]})) == [ids[0]]
    assert list(store.orphans(lambda asset_id: asset_id == ids[1])) == [ids[0]]
    assert set(store.orphans((), older_than_s=0)) == set(ids)


def test_a_stored_file_that_is_wanted_again_is_no_orphan(store: FileStore) -> None:
    path = store.put(DATA, ID)
    os.utime(path, (1, 1))
    assert list(store.orphans(())) == [ID]
    store.put(DATA, ID)
    assert list(store.orphans(())) == []
