"""The store under kills, forks, foreign readers, many writers: acknowledged writes are there."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from workbench.store.liveness import OwnerLock, is_alive
from workbench.store.sqlite import connect, migrate
from workbench.store.sqlite.database import Database

pytestmark = pytest.mark.skipif(
    sys.platform == "win32",
    reason="Not on Windows: the tests fork and kill processes and use flock.",
)
REPOSITORY = Path(__file__).parents[2]
NEWEST = len(migrate.find([migrate.shipped()]))  # version of the schema

HEAD = """
import os, pathlib, random, signal, subprocess, sys, threading, time
from workbench.store.sqlite.database import Database
folder = pathlib.Path(sys.argv[1])
def put(key, value=""):
    return lambda tx: tx.execute("INSERT INTO meta VALUES (?, ?)", (str(key), value)).rowcount
def say(*words):
    print(*words, flush=True)
"""


def start(script: str, folder: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + script, str(folder), *map(str, arguments)],
        cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(script: str, folder: Path, *arguments: object, rc: int = 0) -> list[str]:
    process = start(script, folder, *arguments)
    out, err = process.communicate(timeout=150)
    assert process.returncode == rc, f"{process.returncode}\n{out[-2000:]}\n{err[-4000:]}"
    return out.splitlines()


def keys(folder: Path) -> set[str]:
    db = Database(folder)
    try:
        assert db.integrity_check() == []
        return {row[0] for row in db.sql("SELECT key FROM meta")[1]}
    finally:
        db.close()


# -- kills --------------------------------------------------------------------------------------

WRITE_FOR_EVER = """
db = Database(folder)
name, full = sys.argv[2], sys.argv[3] == "full"
for number in range(10**9):
    key = f"{name}-{number}"
    db.write(put(key, "x" * random.randint(0, 2000)), full=full).result()
    say(key)
"""


@pytest.mark.timeout(400)  # many processes, one after the other
@pytest.mark.req("DAT-1")
@pytest.mark.parametrize("durability", ["normal", "full"])
def test_no_acknowledged_write_is_lost_by_kills(tmp_path: Path, durability: str) -> None:
    folder = tmp_path / "workspace"
    acknowledged: set[str] = set()
    for round_ in range(12):
        process = start(WRITE_FOR_EVER, folder, round_, durability)
        assert process.stdout is not None
        for _ in range(20 + 37 * (round_ % 4)):
            acknowledged.add(process.stdout.readline().strip())
        process.kill()
        acknowledged.update(line for line in process.communicate()[0].splitlines() if "-" in line)
    acknowledged = {key for key in acknowledged if key.count("-") == 1}
    found = keys(folder)
    # The last line of a killed process may be cut; a cut key is no key that was written whole.
    lost = {key for key in acknowledged - found if not any(k.startswith(key) for k in found)}
    assert not lost
    assert len(found) > 200


CREATE = "say('go')\ndb = Database(folder)\nsay(db.workspace_id)\ndb.close()\n"


@pytest.mark.timeout(400)  # many processes, one after the other
def test_a_kill_during_the_creation_leaves_nothing_half_made(tmp_path: Path) -> None:
    for round_ in range(25):
        folder = tmp_path / str(round_)
        process = start(CREATE, folder)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(round_ * 0.0006)
        process.kill()
        process.communicate()
        db = Database(folder)
        assert db.workspace_id
        assert db.sql("PRAGMA user_version")[1] == [(NEWEST,)]
        assert db.integrity_check() == []
        db.close()


def test_processes_that_create_at_once_agree_on_one_workspace(tmp_path: Path) -> None:
    processes = [start(CREATE, tmp_path / "workspace") for _ in range(6)]
    ids = {process.communicate(timeout=150)[0].splitlines()[-1] for process in processes}
    assert len(ids) == 1


MIGRATE = """
say("go")
Database(folder, more_migrations=[pathlib.Path(sys.argv[2])]).close()
"""


@pytest.mark.timeout(400)  # many processes, one after the other
@pytest.mark.req("DAT-1")
def test_a_migration_that_is_killed_half_way_leaves_the_old_or_the_new_schema(
    tmp_path: Path,
) -> None:
    more = tmp_path / "more"
    more.mkdir()
    steps = "".join(f"CREATE TABLE step_{n} (x);" for n in range(40))
    (more / f"{NEWEST + 1:04}_slow.sql").write_text(
        steps + "INSERT INTO step_39 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
        "FROM n LIMIT 30000) SELECT i FROM n; ALTER TABLE project ADD COLUMN colour TEXT;"
    )
    seen = set()
    for round_ in range(30):
        folder = tmp_path / str(round_)
        db = Database(folder)
        db.write(
            lambda tx: tx.execute(
                "INSERT INTO project (id, title, owner, created_at, updated_at)"
                " VALUES ('p', 'Sea', 'ana', 1, 1)"
            )
        ).result()
        db.close()
        process = start(MIGRATE, folder, more)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(round_ * 0.0017)
        process.kill()
        process.communicate()
        look = sqlite3.connect(folder / connect.DATABASE)
        version = look.execute("PRAGMA user_version").fetchone()[0]
        tables = look.execute(
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'step_%'"
        ).fetchone()[0]
        records = look.execute("SELECT count(*) FROM migration").fetchone()[0]
        columns = {row[1] for row in look.execute("PRAGMA table_info(project)")}
        look.close()
        assert (version, tables, records, "colour" in columns) in {
            (NEWEST, 0, NEWEST, False),
            (NEWEST + 1, 40, NEWEST + 1, True),
        }
        seen.add(version)
        db = Database(folder, more_migrations=[more])
        assert db.sql("SELECT title, colour FROM project")[1] == [("Sea", None)]
        assert db.integrity_check() == []
        db.close()
    assert seen == {NEWEST, NEWEST + 1} or len(seen) == 1  # on a fast or slow machine one side only


# -- foreign readers in the same process ----------------------------------------------------------

FOREIGN = """
db = Database(folder)
db.write(put("before")).result()
path = str(db.path)
how = sys.argv[2]
if how == "open":
    for ending in ("", "-wal", "-shm"):
        with open(path + ending, "rb") as file:
            file.read()
elif how == "sqlite3":
    import sqlite3
    other = sqlite3.connect(path); other.execute("SELECT count(*) FROM meta").fetchall()
    other.close()
elif how == "apsw":
    import apsw
    other = apsw.Connection(path); other.execute("SELECT count(*) FROM meta").fetchall()
    other.close()
elif how == "pandas":
    import pandas, sqlite3
    other = sqlite3.connect(path); pandas.read_sql("SELECT * FROM meta", other); other.close()
elif how == "copy":
    import shutil
    shutil.copy(path, path + ".copy"); os.unlink(path + ".copy")
FOREIGN_WRITER = '''
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
db.execute("INSERT INTO meta VALUES ('foreign' || (SELECT count(*) FROM meta), '')")
db.close()
'''
ours = '''
import pathlib, sys
from workbench.store.sqlite.database import Database
db = Database(pathlib.Path(sys.argv[1]))
db.write(lambda tx: tx.execute("INSERT INTO meta VALUES ('ours', '')")).result()
db.close()
'''
subprocess.run([sys.executable, "-c", FOREIGN_WRITER, path], check=True)
for number in range(3):
    db.write(put(number), full=number % 2 == 0).result()
    say(number)
    if number == 0:
        subprocess.run([sys.executable, "-c", ours, str(folder)], check=True)
with db.reading() as reader:
    say("sees", reader.scalar("SELECT count(*) FROM meta WHERE key IN ('0','1','2','ours')"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["none", "sqlite3", "pandas", "apsw", "open", "copy"])
def test_other_readers_in_this_process_cost_no_acknowledged_write(tmp_path: Path, how: str) -> None:
    for module in {"apsw": ["apsw"], "pandas": ["pandas"]}.get(how, []):
        pytest.importorskip(module, reason=f"Needs the package {module}: `make install` has it.")
    folder = tmp_path / "workspace"
    said = run(FOREIGN, folder, how, rc=-signal.SIGKILL)
    assert said == ["0", "1", "2", "sees 4"]
    found = keys(folder)
    assert {"before", "0", "1", "2", "ours"} <= found
    assert any(key.startswith("foreign") for key in found)


# -- forks --------------------------------------------------------------------------------------

FORKS = """
import warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)  # 3.12 on: fork beside threads
from workbench.errors import EngineClosed
from workbench.store.bell import Bell
from workbench.store.liveness import OwnerLock, is_alive
db = Database(folder)
db.write(put("before")).result()
with db.reading() as reader:
    reader.scalar("SELECT 1")
db.data_version()
lock = OwnerLock(folder, "parent"); lock.acquire()
bell = Bell(db.runtime_dir, "p" * 26)
def as_child():
    said = []
    for use in (lambda: db.write(put("child")).result(), lambda: db.reading().__enter__(),
                lambda: db.sql("SELECT 1"), db.data_version):
        try:
            use()
        except EngineClosed as error:
            said.append("forked" in str(error))
    db.close()
    lock.release()
    bell.close()
    bell.ring_others()
    return said == [True] * 4
"""


@pytest.mark.timeout(400)  # many processes, one after the other
@pytest.mark.parametrize("end", ["os._exit", "sys.exit", "return"])
def test_a_forked_child_says_so_and_harms_nothing_however_it_ends(tmp_path: Path, end: str) -> None:
    folder = tmp_path / "workspace"
    script = """
end = sys.argv[2]
busy = threading.Event()
def keep_busy():
    number = 0
    while not busy.is_set():
        db.write(put(f"busy{number}")).result(); number += 1
        with db.reading() as reader:
            reader.all("SELECT * FROM meta")
threads = [threading.Thread(target=keep_busy) for _ in range(1)]
for thread in threads: thread.start()
bad = 0
for round_ in range(25):
    child = os.fork()
    if child == 0:
        ok = as_child()
        if end == "os._exit":
            os._exit(0 if ok else 3)
        if end == "sys.exit":
            sys.exit(0 if ok else 3)
        break
    until = time.monotonic() + 45
    while (got := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < until:
        time.sleep(0.002)
    if got == (0, 0):
        os.kill(child, signal.SIGKILL); os.waitpid(child, 0); bad += 1
    elif got[1] != 0:
        bad += 1
else:
    busy.set()
    for thread in threads: thread.join()
    db.write(put("after"), full=True).result()
    say(bad, is_alive(folder, "parent"), (db.runtime_dir / ("p" * 26)).exists(),
        db._writer.reopened)
    bell.close(); lock.release(); db.close()
"""
    assert run(FORKS + script, folder, end) == ["0 True True 0"]
    found = keys(folder)
    assert {"before", "after"} <= found
    assert "child" not in found


def test_forked_children_of_multiprocessing_beside_an_open_store_work_on_their_own(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "workspace"
    script = """
import multiprocessing
def child(number):
    fine = as_child()
    own = Database(folder)  # opening anew is the way
    own.write(put(f"child{number}")).result()
    own.close()
    return fine
context = multiprocessing.get_context("fork")
with context.Pool(2) as pool:
    say(all(pool.map(child, range(8))))
db.write(put("after")).result()
bell.close(); lock.release(); db.close()
"""
    assert run(FORKS + script, folder) == ["True"]
    assert {"before", "after", *(f"child{n}" for n in range(8))} <= keys(folder)


def test_a_forked_child_that_lives_on_does_not_keep_the_locks_of_its_killed_parent(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "workspace"
    script = """
def hold(tx):
    put("never")(tx)
    inside.set()
    time.sleep(150)  # the parent dies inside a transaction, with the mutex in its hand
inside = threading.Event()
db.write(hold)
inside.wait()
child = os.fork()
if child == 0:
    os.close(1); os.close(2)
    time.sleep(150)
    os._exit(0)
say(child)
os.kill(os.getpid(), signal.SIGKILL)
"""
    (child,) = run(FORKS + script, folder, rc=-signal.SIGKILL)
    try:
        os.kill(int(child), 0)  # it lives
        assert not is_alive(folder, "parent")
        db = Database(folder)
        db.write(lambda tx: tx.execute("INSERT INTO meta VALUES ('next', '')")).result(timeout=45)
        db.close()
        assert {"before", "next"} <= keys(folder)
    finally:
        os.kill(int(child), signal.SIGKILL)


# -- many writers -------------------------------------------------------------------------------

STRESS = """
from workbench.store.sqlite import writer
writer.CHECKPOINT_PAGES = int(sys.argv[3])
writer.IDLE_S = 0.01
db = Database(folder)
name = sys.argv[2]
until = time.monotonic() + float(sys.argv[4])
last = until + 60
number = 0
def enough():
    return number >= 400 and db._writer.checkpoints
# On a slow machine longer, until there is enough; but not for ever.
while time.monotonic() < until or (time.monotonic() < last and not enough()):
    futures = []
    for n in range(8):
        futures.append(db.write(put(f"{name}-{number + n}", "x" * random.randint(0, 900))))
    for future in futures:
        future.result()
    number += 8
    if number % 160 == 0:
        with db.reading() as reader:
            mine = reader.scalar("SELECT count(*) FROM meta WHERE key GLOB ?", (name + "-*",))
        assert mine == number
say(number, db._writer.checkpoints)
db.close()
"""


@pytest.mark.parametrize(("pages", "seconds"), [(8, 8), (1000, 4)])
def test_three_writers_and_their_checkpoints_corrupt_nothing(
    tmp_path: Path, pages: int, seconds: int
) -> None:
    """Plain SQLite before 3.51.3 lost commits in most such runs; the mutex prevents it."""
    folder = tmp_path / "workspace"
    processes = {name: start(STRESS, folder, name, pages, seconds) for name in "abc"}
    expected: set[str] = set()
    try:
        for name, process in processes.items():
            out, err = process.communicate(timeout=150)
            assert process.returncode == 0, err
            number, made = map(int, out.split())
            assert made >= 1, f"{name} has made no checkpoint"
            expected.update(f"{name}-{n}" for n in range(number))
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()
    found = keys(folder)
    assert not expected - found
    assert len(expected) > 1000


WRITE_AND_DIE = """
db = Database(folder)
name = sys.argv[2]
for number in range(10**9):
    db.write(put(f"{name}-{number}"), full=number % 7 == 0).result()
    say(number)
"""


def test_writers_go_on_while_others_are_killed(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    db = Database(folder)
    mine: list[str] = []
    theirs: dict[str, int] = {}
    for round_ in range(10):
        name = f"r{round_}"
        process = start(WRITE_AND_DIE, folder, name)
        assert process.stdout is not None
        for number in range(40):
            db.write(
                lambda tx, key=f"m{round_}-{number}": tx.execute(
                    "INSERT INTO meta VALUES (?, '')", (key,)
                )
            ).result(timeout=45)
            mine.append(f"m{round_}-{number}")
        theirs[name] = int(process.stdout.readline())
        process.kill()
        process.communicate()
    db.close()
    found = keys(folder)
    assert set(mine) <= found
    assert {f"{name}-{n}" for name, last in theirs.items() for n in range(last + 1)} <= found


# -- the end of a program -----------------------------------------------------------------------


def test_a_program_that_forgets_to_close_ends_at_once_and_cleanly(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    # At the end it waits for its writer, which two seconds may not be enough for on this machine.
    script = "from workbench.store.sqlite import database\ndatabase._EXIT_S = 45.0\n"
    script += "db = Database(folder)\nfor n in range(20): db.write(put(n))\nsay('end')\n"
    assert run(script, folder) == ["end"]
    assert not (folder / f"{connect.DATABASE}-wal").exists()
    assert {str(n) for n in range(20)} <= keys(folder)


def test_a_stopped_owner_counts_as_alive(tmp_path: Path) -> None:
    process = start(
        "from workbench.store.liveness import OwnerLock\n"
        "lock = OwnerLock(folder, 'x'); lock.acquire(); say('held'); time.sleep(150)\n",
        tmp_path,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    try:
        assert is_alive(tmp_path, "x")
        lock = OwnerLock(tmp_path, "y")
        lock.acquire()
        lock.release()
    finally:
        process.kill()
        process.communicate()
    assert not is_alive(tmp_path, "x")


def test_changes_ring_in_another_process(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    db = Database(folder)
    if db.runtime_dir is None:
        db.close()
        pytest.skip("Needs a folder for sockets: set XDG_RUNTIME_DIR to a private one.")
    from workbench.store.bell import Bell

    bell = Bell(db.runtime_dir, "b" * 26)
    script = """
import select
from workbench.store.bell import Bell
db = Database(folder)
bell = Bell(db.runtime_dir, "a" * 26)
say("ready")
while not db.sql("SELECT 1 FROM meta WHERE key = 'news'")[1]:
    select.select([bell.fileno()], [], [], 20)
    bell.drain()
say("read")
bell.close(); db.close()
"""
    process = start(script, folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    db.on_commit(lambda: bell.ring_others() and None)

    def news(tx: Any) -> None:
        tx.execute("INSERT INTO meta VALUES ('news', ?)", (json.dumps({}),))
        tx.changed = True

    db.write(news).result()
    assert process.stdout.readline() == "read\n"
    process.communicate()
    bell.close()
    db.close()
