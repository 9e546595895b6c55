"""Disks that are full, read-only or not ours, at each stage: a sentence, and nothing is lost."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import workbench as wb
from tests.faults.engine_world import (
    PATIENCE_S,
    PRICE,
    SMALL,
    Crew,
    check_ledger,
    check_sound,
    every_generation,
    fund,
    opened,
    temporary_files,
)
from tests.small_disk import Mount, mounting_or_skip
from tests.waiting import until
from workbench.domain.jobs import JobRequest, Running
from workbench.testing.providers import FakeProvider, Gate, Move, Picture
from workbench.workspace.workspace import Workspace


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    with mounting_or_skip(tmp_path) as mount:
        yield mount


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Take the free space but `leave` bytes, also while others write."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            status = os.statvfs(disk)
            wanted = status.f_bavail * status.f_frsize - leave
            if wanted <= 0:
                break
            file.write(b"\0" * min(wanted, 1_000_000))
    return ballast


def settle(ws: Workspace) -> None:
    """Let the log grow, then be emptied: from now on small writes take no new space."""
    for number in range(150):
        ws.create_topic(f"topic {number}")
    # It may have happened already, if this thread slept: then nothing is left for another one.
    writer = ws._engine.store.database._writer
    until(lambda: not writer._units, "a checkpoint of the idle writer")


def on_their_way(ws: Workspace, gate: Gate, count: int) -> wb.Batch:
    """So many pictures that are being painted until the gate is opened, however long that takes."""
    ws.add_provider(held(gate))
    ws.set_price("held:picture", PRICE)
    batch = ws.generate("a fox", model="held:picture", n=count)
    until(lambda: batch.status == "processing", "it is painted")
    return batch


def held(gate: Gate) -> FakeProvider:
    """Paints pictures of some 70 kB, which are nearly ready when they come to the gate."""

    def script(_request: JobRequest) -> list[Move]:
        noise = io.BytesIO()
        Image.effect_noise((256, 256), 90).save(noise, "PNG")
        return [Running(1, 2), gate, Picture(data=noise.getvalue())]

    return FakeProvider("held", script=script, concurrency=2)


def check_reads(ws: Workspace, picture: wb.Generation) -> None:
    """What was there can be seen, whatever the disk."""
    assert picture.image.size == (64, 64)
    assert ws.generations().items
    assert len(ws.frame()) == len(every_generation(ws))
    assert ws.balance >= 0
    assert ws.changes().cursor


# -- full ---------------------------------------------------------------------------------------


def test_a_disk_that_is_full_at_the_opening_is_said_and_leaves_nothing_half_open(
    mount: Mount,
) -> None:
    disk = mount("size=12m")
    said = 0
    for kilobytes in (0, 8, 64, 360, 380, 390, 400, 410, 420, 440, 480):
        ballast = fill(disk, leave=kilobytes * 1024)
        try:
            opened(disk / "w").close()
        except wb.DiskFull:  # nothing else, and no thread stays (the guard around every test)
            said += 1
        ballast.unlink()
        with opened(disk / "w") as ws:
            assert ws.generate("a fox", n=1, **SMALL).wait(PATIENCE_S).status == "completed"
            assert (ws.path / ".gitignore").read_text() == "*\n"
            check_sound(ws)
        shutil.rmtree(disk / "w")
    assert said >= 5


@pytest.mark.req("TOK-2", "DAT-1")
def test_a_submission_that_does_not_fit_is_refused_whole_and_fits_later(mount: Mount) -> None:
    disk = mount("size=12m")
    fund(disk / "w")
    with opened(disk / "w") as ws:
        picture = ws.generate("before", n=1, **SMALL).wait(PATIENCE_S).generations[0]
    with opened(disk / "w", run_jobs=False) as ws:
        picture = ws.generation(picture.id)
        fill(disk)
        accepted = 0
        try:
            while accepted < 1000:
                ws.generate(f"fox {accepted}", n=4, client_key=f"click {accepted}", **SMALL)
                accepted += 1
        except wb.DiskFull as error:
            said = str(error)
        assert "Nothing of what was stored before is lost; free some space" in said
        assert len(every_generation(ws)) == 1 + 4 * accepted
        assert ws.balance == 1000 - PRICE * (1 + 4 * accepted)
        with pytest.raises(wb.DiskFull):
            ws.import_images(Image.effect_noise((300, 300), 90))
        assert len(every_generation(ws)) == 1 + 4 * accepted
        assert temporary_files(ws.path) == []
        check_reads(ws, picture)
        check_sound(ws)
        (disk / "ballast").unlink()
        for number in (accepted - 1, accepted, accepted):  # what was refused, twice: once stored
            if number >= 0:
                ws.generate(f"fox {number}", n=4, client_key=f"click {number}", **SMALL)
        assert len(every_generation(ws)) == 1 + 4 * (accepted + 1)
    with opened(disk / "w") as ws:
        ws.wait(PATIENCE_S)
        assert {g.status for g in every_generation(ws)} == {"completed"}
        check_ledger(ws, completed=1 + 4 * (accepted + 1))
        check_sound(ws)


@pytest.mark.req("TOK-2", "FEED-9")
@pytest.mark.parametrize("what", ["bytes", "inodes"])
def test_a_picture_that_does_not_fit_waits_and_comes_when_there_is_space(
    mount: Mount, what: str
) -> None:
    disk = mount("size=16m,nr_inodes=200")
    fund(disk / "w")
    with opened(disk / "w") as ws:
        picture = ws.generate("before", n=1, **SMALL).wait(PATIENCE_S).generations[0]
        settle(ws)
        ballast = fill(disk, leave=300_000) if what == "bytes" else take_all_inodes(disk)
        batch = ws.generate("a fox under stars", n=2, seed=1, width=512, height=512, steps=2)
        waiting = {("pending", "waiting for free disk space")}
        until(
            lambda: {(g.status, g.detail) for g in batch.generations} == waiting,
            "both pictures wait for space",
        )
        assert ws.balance == 1000 - PRICE * 3  # reserved, not charged, not lost
        check_reads(ws, picture)
        # They are tried again every 10 s, which has one for a moment; none stays.
        until(lambda: temporary_files(ws.path) == [], "nothing is left of the tries")
        assert ws.doctor().ok, ws.doctor().problems
        if what == "bytes":
            # The small ones of others still fit, and do not queue behind the large ones.
            assert ws.generate("small", n=1, **SMALL).wait(PATIENCE_S).status == "completed"
        free(ballast)
        assert batch.wait(PATIENCE_S).status == "completed"  # by itself
        assert all(g.image.size == (512, 512) for g in batch.all_generations())
        check_ledger(ws, completed=len(every_generation(ws)))
        assert temporary_files(ws.path) == []
        check_sound(ws)


def take_all_inodes(disk: Path) -> Path:
    ballast = disk / "ballast"
    ballast.mkdir()
    number = 0
    try:
        while True:
            (ballast / str(number)).touch()
            number += 1
    except OSError:
        return ballast


def free(ballast: Path) -> None:
    if ballast.is_dir():
        shutil.rmtree(ballast)
    else:
        ballast.unlink()


@pytest.mark.req("TOK-2", "FEED-9")
def test_a_disk_that_fills_up_while_pictures_are_painted_only_delays_them(mount: Mount) -> None:
    """Not even the row that says "waiting" fits: the store, its log and its checkpoint are full."""
    disk = mount("size=16m")
    fund(disk / "w")
    with opened(disk / "w") as ws:
        picture = ws.generate("before", n=1, **SMALL).wait(PATIENCE_S).generations[0]
        gate = Gate()
        batch = on_their_way(ws, gate, 6)
        ballast = fill(disk)
        refused = False
        while not refused:  # until the last byte of the log is taken, too
            try:
                ws.create_topic("more")
            except wb.DiskFull:
                refused = True
        gate.open()
        check_reads(ws, picture)
        assert ws.doctor().ok, ws.doctor().problems
        free(ballast)
        assert batch.wait(PATIENCE_S).status == "completed"
        assert len(batch.all_generations()) == 6
        check_ledger(ws, completed=7)
        assert temporary_files(ws.path) == []
        check_sound(ws)


@pytest.mark.req("FEED-9")
def test_closing_on_a_full_disk_and_opening_again_loses_nothing(mount: Mount) -> None:
    disk = mount("size=16m")
    fund(disk / "w")
    ws = opened(disk / "w")
    gate = Gate()
    batch = on_their_way(ws, gate, 4)
    ballast = fill(disk)
    gate.open()
    ws.close()
    with pytest.raises(wb.DiskFull):
        opened(disk / "w")
    free(ballast)
    with opened(disk / "w") as ws:
        ws.add_provider(held(gate))
        assert ws.batch(batch.id).wait(PATIENCE_S).status == "completed"
        check_ledger(ws, completed=4)
        check_sound(ws)


@pytest.mark.req("DAT-2")
def test_without_space_for_a_thumbnail_the_picture_is_still_shown(mount: Mount) -> None:
    disk = mount("size=12m")
    with opened(disk / "w") as ws:
        batch = ws.generate("a fox", n=2, **SMALL).wait(PATIENCE_S)
        picture = batch.generations[0]
        ballast = fill(disk)
        with pytest.raises(wb.DiskFull, match="the thumbnail was not stored"):
            picture.thumbnail()
        assert temporary_files(ws.path) == []
        check_reads(ws, picture)
        assert picture._repr_mimebundle_()["text/plain"]
        assert batch._repr_mimebundle_()["text/plain"]
        free(ballast)
        with Image.open(picture.thumbnail()) as small:
            assert small.size == (64, 64)
        check_sound(ws)


@pytest.mark.req("DAT-6")
@pytest.mark.parametrize("size", ["300k", "900k"])  # the database does not fit; a picture does not
def test_a_backup_without_space_is_said_and_leaves_nothing_behind(
    mount: Mount, tmp_path: Path, size: str
) -> None:
    with opened(tmp_path / "w") as ws:
        ws.generate("a fox", n=2, width=512, height=512, steps=2).wait(PATIENCE_S)
        disk = mount(f"size={size}")
        with pytest.raises(wb.DiskFull):
            ws.backup(disk / "copy")
        assert list(disk.iterdir()) == []
        with wb.open(ws.backup(tmp_path / "copy"), user="ada", run_jobs=False) as copy:
            assert len(every_generation(copy)) == 2
            check_sound(copy)
        check_sound(ws)


@pytest.mark.req("RES-6")
def test_a_file_that_does_not_fit_where_it_is_saved_is_said(mount: Mount, tmp_path: Path) -> None:
    with opened(tmp_path / "w") as ws:
        batch = ws.generate("a fox", n=1, width=256, height=256, steps=2).wait(PATIENCE_S)
        disk = mount("size=64k")
        for save in (batch.generations[0].save, batch.to_zip):
            with pytest.raises(wb.DiskFull, match=r"is full;.* Free some space"):
                save(disk / "picture")
            assert list(disk.iterdir()) == []


# -- read-only, or not ours ---------------------------------------------------------------------


@pytest.mark.req("TOK-2")
def test_a_read_only_folder_of_pictures_fails_its_picture_with_a_sentence(
    mount: Mount, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    with opened(folder) as ws:
        picture = ws.generate("before", n=1, **SMALL).wait(PATIENCE_S).generations[0]
        files = mount(bind=folder / "files")
        subprocess.run(["mount", "-o", "remount,bind,ro", str(files)], check=True)
        batch = ws.generate("a fox", n=2, **SMALL).wait(PATIENCE_S)
        assert [g.status for g in batch.generations] == ["failed"] * 2
        for generation in batch.generations:
            assert generation.error is not None
            assert "Read-only file system" in generation.error.message
            assert "retry" in generation.error.message
            assert not generation.error.charged
        check_reads(ws, picture)
        assert temporary_files(ws.path) == []
        subprocess.run(["umount", str(files)], check=True)
        again = batch.retry_failed()
        assert [g.wait(PATIENCE_S).status for g in again] == ["completed"] * 2
        check_ledger(ws, completed=3, released=2)
        check_sound(ws)


# Root may write everywhere: this gives the right away. Everybody else has none to give.
DROP_RIGHTS = """
import ctypes
class Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]
class Data(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]
libc = ctypes.CDLL(None, use_errno=True)
header, data = Header(0x20080522, 0), (Data * 2)()
assert libc.capset(ctypes.byref(header), ctypes.byref(data)) == 0
"""
REFUSED = """
ws = opened()
batch = ws.generate("a fox", n=3, seed=7, **SMALL).wait(50)
say(*(g.status for g in batch.generations))
for g in batch.generations:
    say(g.error.message if g.error else "")
ws.close()
"""


@pytest.mark.req("TOK-2")
def test_a_picture_that_may_not_be_stored_fails_alone(crew: Crew, tmp_path: Path) -> None:
    is_root = os.geteuid() == 0
    if is_root and not hasattr(ctypes.CDLL(None), "capset"):
        pytest.skip("Root may write everywhere here: run the test as an ordinary user.")
    with opened(tmp_path / "elsewhere") as ws:
        batch = ws.generate("a fox", n=3, seed=7, **SMALL).wait(PATIENCE_S)
        places = [(g.record.asset_id or "")[:2] for g in batch.generations]
    assert len(set(places)) == 3
    folder = tmp_path / "w"
    fund(folder)
    (folder / "files" / places[1]).mkdir(parents=True)
    (folder / "files" / places[1]).chmod(0o500)
    statuses, *errors = crew.run(DROP_RIGHTS + REFUSED if is_root else REFUSED, folder)
    assert statuses == "completed failed completed"
    assert "Permission denied" in errors[1]
    (folder / "files" / places[1]).chmod(0o700)
    with opened(folder) as ws:
        (batch,) = ws.topics()[0].batches()
        assert [g.wait(PATIENCE_S).status for g in batch.retry_failed()] == ["completed"]
        check_ledger(ws, completed=3, released=1)
        assert temporary_files(folder) == []
        check_sound(ws)


def test_a_workspace_on_a_read_only_disk_is_refused_with_a_sentence(mount: Mount) -> None:
    disk = mount("size=12m")
    with opened(disk / "w") as ws:
        ws.generate("a fox", n=1, **SMALL).wait(PATIENCE_S)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(wb.StoreError, match=r"[Rr]ead-only"):
        opened(disk / "w")
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    with opened(disk / "w") as ws:
        image = ws.generations().items[0].image
        image.save(io.BytesIO(), "PNG")
        check_sound(ws)
