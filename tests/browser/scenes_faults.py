"""Scenes in JupyterLab where something goes wrong: for real, each by the cause that people have."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from shutil import copytree

from playwright.sync_api import expect

from tests.browser.scenes import (
    KEY,
    OPEN,
    SHOW,
    House,
    LeftOut,
    Scene,
    Setting,
    Stage,
    lab_stage,
)
from tests.browser.test_full_disk import fill
from tests.small_disk import NoSmallDiskError, mounting
from workbench.testing.emulators.server import Fault

DISK = "size=96m"  # pictures wait where fewer than 50 MB are free
WITH_KEY = f"""import os
os.environ["OPENAI_API_KEY"] = {KEY!r}
"""
BLOCKED = Fault(status=400, code="moderation_blocked")
CUT = Fault(reset_after=0)  # it made and charged the pictures, and the answer is lost
# A table that every look at a topic needs: without it the database is as good as damaged.
NEEDED = "batch"


# -- pictures that are not there ------------------------------------------------------------------


def _asked(stage: Stage, topic: str, prompt: str, fault: Fault, status: str) -> None:
    """Ask the emulated provider for two pictures, in a topic of their own."""
    stage.house.openai.fault_of = lambda seen: fault if "images" in seen.path else None
    stage.bench.py(
        f"topics[{topic!r}] = ws.create_topic({topic!r})\n"
        f"bench.topic = topics[{topic!r}]\n"
        f"ws.generate({prompt!r}, model='openai:gpt-image-2', n=2, topic=bench.topic)"
    )
    shown = stage.root.locator(f"[data-testid=generation][data-shown={status}]")
    expect(shown).to_have_count(2, timeout=90_000)
    stage.house.openai.fault_of = None


def _failed(stage: Stage) -> None:
    _asked(stage, "Posters", "a poster of a famous film star", BLOCKED, "failed")


def _unknown(stage: Stage) -> None:
    _asked(stage, "Covers", "a cover for a book about the sea", CUT, "unknown")


def _cancelled(stage: Stage) -> None:
    stage.bench.py(
        "sketches = ws.create_topic('Sketches')\n"
        "bench.topic = sketches\n"
        "ws.generate('an owl in an old oak', n=4, topic=sketches, delay_ms=60_000).cancel()"
    )
    expect(stage.cards("cancelled")).to_have_count(4)


# -- the kernel -----------------------------------------------------------------------------------


def _pid(stage: Stage) -> int:
    return int(stage.bench.py("import os\nprint(os.getpid())"))


def _light(stage: Stage, state: str) -> None:
    light = stage.root.get_by_test_id("live")
    expect(light).to_have_attribute("data-state", state, timeout=60_000)


@contextmanager
def _stoppable(house: House) -> Iterator[Stage]:
    with lab_stage(house, "offline") as stage:
        pid = _pid(stage)
        yield stage
        os.kill(pid, signal.SIGCONT)  # also where a picture failed: a stopped kernel never ends


def _offline(stage: Stage) -> None:
    os.kill(_pid(stage), signal.SIGSTOP)
    _light(stage, "offline")
    expect(stage.root.get_by_test_id("link-note")).to_be_visible()


def _killed(stage: Stage) -> None:
    """As the kernel of somebody who ran out of memory; JupyterLab says so over its page."""
    os.kill(_pid(stage), signal.SIGKILL)
    stage.page.get_by_role("dialog").get_by_role("button", name="Ok").click(timeout=60_000)
    expect(stage.root.get_by_test_id("link-note")).to_contain_text("Nothing is lost")


# -- the disk, and what lies on it ----------------------------------------------------------------


@contextmanager
def _on_small_disk(house: House) -> Iterator[Stage]:
    house.paint()
    base = house.base / "disks"
    base.mkdir(exist_ok=True)
    try:
        with mounting(base) as mount:
            disk = mount(DISK)
            copytree(house.pictures / ".workbench", disk / "workspace")
            opened = OPEN.replace("wb.open()", f"wb.open({str(disk / 'workspace')!r})")
            with lab_stage(house, "disk-full", (opened, SHOW), copied=False) as stage:
                stage.disk = disk
                yield stage
    except NoSmallDiskError as error:
        raise LeftOut(str(error)) from None


def _full(stage: Stage) -> None:
    assert stage.disk is not None
    fill(stage.disk, stage.disk / "ballast")
    stage.root.get_by_test_id("prompt").fill("a lighthouse on a cliff at sunset")
    stage.root.get_by_test_id("generate").click()
    expect(stage.root.get_by_test_id("notice-disk_full")).to_be_visible(timeout=60_000)


def _free(stage: Stage) -> None:
    assert stage.disk is not None
    (stage.disk / "ballast").unlink()
    expect(stage.root.get_by_test_id("notice-disk_full")).to_have_count(0, timeout=60_000)


def _rename(stage: Stage, old: str, new: str) -> None:
    """Take a table of the database away, or put it back, as another program could."""
    path = stage.lab.folder / ".workbench" / "workbench.sqlite3"
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as database:
        database.execute("PRAGMA legacy_alter_table = ON")
        database.execute(f"ALTER TABLE {old} RENAME TO {new}")


def _damage(stage: Stage) -> None:
    _rename(stage, NEEDED, "lost")


def _mend(stage: Stage) -> None:
    _rename(stage, "lost", NEEDED)


def _topic_error(stage: Stage) -> None:
    _damage(stage)
    topic = stage.root.get_by_test_id("topic").filter(has_text="Forest")
    topic.get_by_role("button").first.click()
    expect(stage.root.get_by_test_id("feed").get_by_test_id("error")).to_be_visible(timeout=60_000)


def _topic_back(stage: Stage) -> None:
    _mend(stage)
    stage.root.get_by_test_id("feed").get_by_test_id("retry").click()
    expect(stage.cards()).to_have_count(4)


def _failed_start(stage: Stage) -> None:
    stage.bench.notebook.save()
    _damage(stage)
    stage.page.reload()
    stage.bench.notebook.wait_ready()
    expect(stage.root.get_by_test_id("error")).to_be_visible(timeout=60_000)


def _started(stage: Stage) -> None:
    _mend(stage)
    stage.root.get_by_test_id("retry").click()
    _light(stage, "live")


SETTINGS = (
    Setting(
        partial(lab_stage, name="outcomes", cells=(WITH_KEY + OPEN, SHOW)),
        {
            "failed": Scene(says="A provider refused a prompt.", act=_failed, once=True),
            "unknown": Scene(
                says="A provider cut the line: whether it charged is for a person to settle.",
                act=_unknown,
                once=True,
            ),
            "cancelled": Scene(
                says="A batch that was cancelled before it began.", act=_cancelled, once=True
            ),
        },
    ),
    Setting(
        partial(lab_stage, name="damaged"),
        {
            "error": Scene(
                says="A topic cannot be loaded: a table of the database is gone.",
                act=_topic_error,
                undo=_topic_back,
                once=True,
            ),
            "failed-start": Scene(
                says="The workbench cannot start: a table of the database is gone.",
                act=_failed_start,
                undo=_started,
                once=True,
            ),
        },
    ),
    Setting(
        _stoppable,
        {"offline": Scene(says="The kernel says nothing any more.", act=_offline, once=True)},
    ),
    Setting(
        partial(lab_stage, name="kernel-died"),
        {"kernel-died": Scene(says="The kernel was killed.", act=_killed, once=True)},
    ),
    Setting(
        _on_small_disk,
        {"disk-full": Scene(says="The disk is full.", act=_full, undo=_free, once=True)},
    ),
)
