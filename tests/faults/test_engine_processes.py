"""Many processes and forks on one workspace: together they do everything once and lose nothing."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

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
    stored_files,
)
from tests.waiting import until
from workbench.domain.records import ChangeRecord
from workbench.workspace.workspace import Workspace

# -- all at once --------------------------------------------------------------------------------

SUBMIT_SIX = """
ws = opened()
say("ready")
hear()
batches = [ws.generate(f"fox {given[0]} {i}", n=1, **SMALL) for i in range(6)]
for batch in batches:
    assert batch.wait(50).status == "completed"
    assert batch.generations[0].image.size == (64, 64)
bad = [entry.text for entry in ws.debug.entries() if entry.level == "error"]
say(*bad, *(batch.id for batch in batches))
hear()  # what this process paints for others would begin again elsewhere if it closed now
ws.close()
"""


class Observer:
    """Follows the feed from a cursor, page by page, as a view does that is often asleep."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.cursor = ws.changes().cursor
        self.seen: list[ChangeRecord] = []

    def look(self) -> None:
        more = True
        while more:
            page = self.ws.changes(self.cursor, limit=50)
            assert not page.reset
            self.seen += page.items
            self.cursor = page.cursor
            more = page.has_more


def check_feed(seen: list[ChangeRecord], ws: Workspace) -> None:
    """Every revision of every row came, once and in order, up to the one in the table."""
    assert [c.seq for c in seen] == sorted({c.seq for c in seen})
    revisions: dict[tuple[str, str], list[int]] = defaultdict(list)
    for change in seen:
        if change.entity in ("batch", "generation", "topic"):
            revisions[change.entity, change.id].append(change.rev)
    for (entity, id), found in revisions.items():
        assert found == list(range(1, len(found) + 1)), f"{entity} {id}: {found}"
        table = ws.sql(f"SELECT rev FROM {entity} WHERE id = ?", [id])
        assert table["rev"].tolist() == [found[-1]]


@pytest.mark.req("LIVE-1", "LIVE-7", "TOK-2")
@pytest.mark.parametrize("processes", [2, 8])
def test_processes_that_all_submit_and_paint_do_everything_once(
    crew: Crew, tmp_path: Path, processes: int
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    children = [crew.start(SUBMIT_SIX, folder, number) for number in range(processes)]
    for child in children:
        assert child.line() == "ready"
    with opened(folder, run_jobs=False) as ws:
        observer = Observer(ws)
        for child in children:
            child.tell("go")
        ids: list[str] = []
        while len(ids) < 6 * processes:
            time.sleep(0.01)
            observer.look()
            for child in children:
                if line := child.line_so_far():
                    ids += line.split()
        for child in children:
            child.tell("end")
        assert [child.rest() for child in children] == [[]] * processes
        assert [child.errors() for child in children] == [""] * processes
        observer.look()
        made = every_generation(ws)
        assert sorted(g.batch.id for g in made) == sorted(ids)
        assert len(set(ids)) == 6 * processes
        assert {(g.status, g.attempt) for g in made} == {("completed", 1)}
        assert {len(g.attempts) for g in made} == {1}
        told = {c.id for c in observer.seen if c.entity == "generation"}
        assert told == {g.id for g in made}
        check_feed(observer.seen, ws)
        check_ledger(ws, completed=6 * processes)
        assert stored_files(folder) == {g.record.asset_id for g in made}
        assert ws.sql("SELECT 1 FROM runner").empty
        check_sound(ws)


SPEND = """
ws = opened()
say("ready")
hear()
got = []
for i in range(8):
    try:
        got.append(ws.generate("a dear fox", n=1, **SMALL))
    except wb.InsufficientBalance as error:
        assert "token" in str(error)
ws.wait(50)
ws.close()
say(len(got))
"""


@pytest.mark.req("TOK-2")
def test_processes_spend_one_balance_to_the_last_token_and_no_further(
    crew: Crew, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    fund(folder, tokens=2 * PRICE * 5)
    children = [crew.start(SPEND, folder) for _ in range(3)]
    for child in children:
        assert child.line() == "ready"
    for child in children:
        child.tell("go")
    assert sum(int(child.rest()[-1]) for child in children) == 10
    with opened(folder, run_jobs=False) as ws:
        assert {g.status for g in every_generation(ws)} == {"completed"}
        check_ledger(ws, granted=20, completed=10)
        assert ws.balance == 0
        check_sound(ws)


COME_AND_GO = """
for i in range(12):
    with opened() as ws:
        say(ws.generate(f"fox {i}", n=1, **SMALL).id)
"""


@pytest.mark.req("FEED-9")
def test_processes_that_come_and_go_leave_their_work_to_whoever_is_there(
    crew: Crew, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    children = [crew.start(COME_AND_GO, folder) for _ in range(2)]
    with opened(folder) as ws:
        ids = [id for child in children for id in child.rest()]
        assert [child.errors() for child in children] == ["", ""]
        ws.wait(PATIENCE_S)
        made = every_generation(ws)
        assert sorted(g.batch.id for g in made) == sorted(ids)
        assert {g.status for g in made} == {"completed"}
        check_ledger(ws, completed=24)
        check_sound(ws)


@pytest.mark.req("LIVE-1", "LIVE-4")
async def test_a_follower_gets_every_revision_of_what_another_process_does(
    crew: Crew, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    with opened(folder, run_jobs=False) as ws:
        seen: list[ChangeRecord] = []
        child = crew.start(SUBMIT_SIX, folder, "followed")
        assert await asyncio.to_thread(child.line) == "ready"
        child.tell("go")

        async def follow() -> None:
            ended = 0
            async for change in ws.follow():
                seen.append(change)
                ended += change.entity == "generation" and change.data.get("asset_id") is not None
                if ended == 6:
                    return

        await asyncio.wait_for(follow(), PATIENCE_S)
        child.tell("end")
        await asyncio.to_thread(child.rest)
        seen += list(ws.changes(f"v1.{_feed(ws)}.{seen[-1].seq}").items)
        check_feed(seen, ws)
        check_sound(ws)


def _feed(ws: Workspace) -> str:
    return ws.changes().cursor.split(".")[1]


# -- a network file system ----------------------------------------------------------------------

ON_A_NETWORK = """
from workbench.store import network
here = network.mount_type(pathlib.Path("/proc/self/mountinfo").read_text(), folder)
network._NETWORK_TYPES.add(here)  # this disk, as if it were NFS
ws = opened()
say(ws.generate("a far fox", n=2, **SMALL).wait(50).status)
hear()
ws.close()
say("closed")
hear()
"""


@pytest.mark.skipif(
    sys.platform != "linux",
    reason="Linux only: the test looks up its disk in /proc/self/mountinfo.",
)
def test_on_a_network_disk_the_second_process_is_told_who_has_it(
    crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.store import network

    folder = tmp_path / "w"
    tmp_path.chmod(0o700)
    here = network.mount_type(Path("/proc/self/mountinfo").read_text(), str(tmp_path))
    monkeypatch.setattr(network, "_NETWORK_TYPES", network._NETWORK_TYPES | {here})
    holder = crew.start(ON_A_NETWORK, folder)
    assert holder.line() == "completed"
    for _ in range(2):
        with pytest.raises(wb.WorkspaceBusy) as caught:
            opened(folder)
        assert f"process {holder.pid} of" in str(caught.value)
        assert "Close it there, put the workspace on a local disk" in str(caught.value)
    holder.tell("close")
    assert holder.line() == "closed"
    with opened(folder) as ws:  # while the other process lives on
        assert ws.generate("a near fox", n=1, **SMALL).wait(PATIENCE_S).status == "completed"
        assert len(every_generation(ws)) == 3
        check_sound(ws)
    killed = crew.start(ON_A_NETWORK, folder)
    assert killed.line() == "completed"
    killed.kill()
    with opened(folder) as ws:
        assert {g.status for g in every_generation(ws)} == {"completed"}
        check_sound(ws)


# -- forks --------------------------------------------------------------------------------------

LOAD_DATA = """
import multiprocessing, warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)  # 3.12 on: fork beside threads
import numpy as np
ws = opened()
heard = []
ws.on("generation_completed", lambda payload: heard.append(payload["generation_id"]))
first = ws.generate("a fox to learn from", n=2, **SMALL).wait(50)
paths = [str(g.path) for g in first.generations]
context = multiprocessing.get_context("fork")

def load(wanted, loaded):
    # What a DataLoader's worker does: it lives for an epoch, reads files, fills a queue.
    from PIL import Image
    try:
        ws.topics()
    except wb.EngineClosed as error:
        loaded.put(("told", "open it again here" in str(error)))
    while (path := wanted.get()) is not None:
        with Image.open(path) as picture:
            loaded.put(("picture", np.asarray(picture).shape))

running = ws.generate("a fox meanwhile", n=10, width=64, height=64, steps=4, delay_ms=20)
epochs, deadline = 0, time.monotonic() + 80
while epochs < 3 or running.status != "completed":
    wanted, loaded = context.Queue(), context.Queue()
    workers = [context.Process(target=load, args=(wanted, loaded), daemon=True) for _ in range(2)]
    for worker in workers:
        worker.start()
    for path in paths * 5:
        wanted.put(path)
    for _ in workers:
        wanted.put(None)
    got = [loaded.get(timeout=40) for _ in range(12)]
    assert got.count(("told", True)) == 2 and got.count(("picture", (64, 64, 3))) == 10, got
    for worker in workers:
        worker.join(40)
        assert worker.exitcode == 0, worker.exitcode
    epochs += 1
    if time.monotonic() > deadline:
        raise SystemExit("the jobs of the parent do not go on")
running.wait(50)
assert ws.generate("after", n=1, **SMALL).wait(50).status == "completed"
while len(heard) < 13:
    time.sleep(0.01)
say(len(set(heard)))
ws.close()
"""


@pytest.mark.req("RES-4")
def test_workers_of_a_data_loader_are_forked_while_pictures_are_painted(
    crew: Crew, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    assert crew.run(LOAD_DATA, folder) == ["13"]
    with opened(folder, run_jobs=False) as ws:
        made = every_generation(ws)
        assert {(g.status, g.attempt) for g in made} == {("completed", 1)}
        check_ledger(ws, completed=13)
        check_sound(ws)


FORK_AND_EXIT = """
import warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)
ws = opened()
running = ws.generate("a fox meanwhile", n=6, width=64, height=64, steps=4, delay_ms=40)
# Own work at once, while the parent imports its painter, and later, while it writes.
for how in ("own", "sys.exit", "os._exit", "own", "sys.exit", "kill", "raise", "own"):
    child = os.fork()
    if child == 0:
        if how == "os._exit":
            os._exit(0)
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "own":
            with opened() as own:  # it paints the parent's pictures, too
                own.generate("of the child", n=1, **SMALL).wait(40)
        ws.close()
        sys.exit(1 if how == "raise" else 0)
    assert os.waitpid(child, 0)[1] == {"kill": 9, "raise": 256}.get(how, 0), how
say(running.wait(50).status)
ws.close()
"""


@pytest.mark.req("RES-4")
def test_children_that_end_in_any_way_leave_the_parents_jobs_alone(
    crew: Crew, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    assert crew.run(FORK_AND_EXIT, folder) == ["completed"]
    with opened(folder, run_jobs=False) as ws:
        made = every_generation(ws)
        assert [g.status for g in made] == ["completed"] * 9
        check_ledger(ws, completed=9)
        check_sound(ws)


ORPHAN = """
import warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)
ws = opened()
# Far from its end when this is killed, though this or the test may sleep.
batch = ws.generate("a fox", n=1, width=64, height=64, steps=10, delay_ms=1000)
while batch.status != "processing":
    time.sleep(0.01)
child = os.fork()
if child == 0:
    for number in (0, 1, 2):
        os.close(number)
    time.sleep(100)
    os._exit(0)
say(child)
say(batch.id)
hear()
"""


@pytest.mark.req("FEED-9")
def test_a_forked_child_that_lives_on_does_not_keep_the_jobs_of_its_killed_parent(
    crew: Crew, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    parent = crew.start(ORPHAN, folder)
    child, id = int(parent.line()), parent.line()
    try:
        parent.kill()
        os.kill(child, 0)  # it lives
        with opened(folder) as ws:
            batch = ws.batch(id)
            batch.wait(PATIENCE_S)
            assert [(g.status, g.attempt) for g in batch.generations] == [("completed", 2)]
            check_ledger(ws, completed=1)
            until(lambda: ws.sql("SELECT 1 FROM runner").shape[0] == 1, "the dead is forgotten")
            check_sound(ws)
    finally:
        os.kill(child, 9)
