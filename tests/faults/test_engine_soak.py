"""A short soak: everything at once for a while, and nothing grows that should not.

``WORKBENCH_TEST_SOAK_S=86400`` makes it the soak of a release.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.faults.engine_world import (
    PRICE,
    Crew,
    check_sound,
    every_generation,
    fund,
    opened,
    temporary_files,
)

# Read at import: the tests themselves see no WORKBENCH_* variable.
SOAK_S = float(os.environ.get("WORKBENCH_TEST_SOAK_S", "90"))
SETTLED = 50  # requests
MEGABYTE = 1_000_000

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="Linux only: the test counts open files and memory in /proc."
)


SOAK = """
import asyncio, gc, json
until, enough = time.monotonic() + float(given[0]), float(given[1])
log = pathlib.Path(folder, "workbench.sqlite3-wal")
ws = opened()
heard = {"generation_completed": 0, "token_balance_updated": 0, "generation_progress": 0}
def count(name):
    def called(payload):
        heard[name] += 1
    return called
for name in heard:
    ws.on(name, count(name))

followed = 0
async def follow():
    global followed
    async for change in ws.follow():
        followed += 1
def run_follower():
    try:
        asyncio.run(follow())
    except wb.EngineClosed:
        pass
follower = threading.Thread(target=run_follower)
follower.start()

def sample():
    gc.collect()
    status = pathlib.Path("/proc/self/status").read_text()
    number = lambda key: int(status.split(key + ":")[1].split()[0])
    return {
        "submitted": len(submitted),
        "rss": number("VmRSS") * 1024,
        "threads": number("Threads"),
        "fds": len(os.listdir("/proc/self/fd")),
        "log": log.stat().st_size,
        "tasks": len(asyncio.all_tasks(ws._engine.loop.loop)),
        "temporary": len(list(pathlib.Path(folder, "tmp").glob("*"))),
        "subscribers": len(ws._engine.hub._subscribers),
    }

number = 0
submitted = []
next_sample = 0.0
# So many at least, on a machine that is slow.
while time.monotonic() < until or len(submitted) <= enough:
    number += 1
    batch = ws.generate(f"fox {number % 50}", n=2, width=64, height=64, steps=4)
    submitted.append(batch.id)
    page = ws.generations(limit=20)
    ws.generations(limit=20, cursor=page.next_cursor)
    ws.generations(limit=20, search="fox")
    stop = ws.on("generation_failed", print)
    with opened() as another, wb.open(folder, user="bob", run_jobs=False) as bob:
        another.generations(limit=1)
        bob.changes()
    stop()
    if number % 5 == 0:
        batch.wait(80)
        batch.generations[0].thumbnail()
        batch._repr_mimebundle_()
    if number % 20 == 0:
        ws.frame(topic=batch.topic)  # that of everything grows with everything
        batch.generations[1].delete()
        ws.empty_trash()
    if number % 25 == 0:
        slow = ws.generate("to be cancelled", n=2, width=64, height=64, steps=60, delay_ms=50)
        submitted.append(slow.id)
        slow.cancel()
    if number % 30 == 0:
        ws.wait(80)
    while len(ws.generations(limit=100, status=("queued", "processing")).items) > 20:
        time.sleep(0.02)
    if time.monotonic() >= next_sample:
        next_sample = time.monotonic() + 1
        say(json.dumps(sample()))
    time.sleep(0.02)
ws.wait(80)
while heard["generation_completed"] < len(ws.generations(limit=1).items):
    time.sleep(0.01)
say(json.dumps(sample()))
ws.close()
follower.join(80)
say(json.dumps({"submitted": len(submitted), "followed": followed, "heard": heard}))
"""


@pytest.mark.req("LIVE-1", "TOK-2", "DAT-1")
@pytest.mark.timeout(SOAK_S + 400)
def test_a_soak_leaves_nothing_behind_and_grows_nowhere(crew: Crew, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    fund(folder, tokens=10_000_000)
    enough = max(3 * SETTLED, SOAK_S / 4)
    child = crew.start(SOAK, folder, SOAK_S, enough)
    samples: list[dict[str, int]] = []
    while "heard" not in (found := json.loads(child.line())):
        samples.append(found)
    child.rest()
    assert child.errors() == ""

    # The first quarter fills caches and pools, and so many requests do, however long they take;
    # from then on everything has its place.
    settled = [one for one in samples[len(samples) // 4 :] if one["submitted"] > SETTLED]
    assert len(settled) >= 3, samples
    begun, ended = settled[: len(settled) // 3], settled[-len(settled) // 3 :]
    print(begun[0], ended[-1], found)
    for what in ("threads", "fds", "tasks", "subscribers"):
        most = max(sample[what] for sample in ended)
        assert most <= max(sample[what] for sample in begun) + 10, what
    grown = min(s["rss"] for s in ended) - min(s["rss"] for s in begun)
    assert grown <= (30 + SOAK_S / 3600) * MEGABYTE
    assert max(sample["log"] for sample in samples) <= 64 * MEGABYTE
    assert ended[-1]["temporary"] == 0
    assert found["followed"] > found["submitted"] > enough

    with opened(folder, run_jobs=False) as ws:
        made = every_generation(ws)
        assert {g.status for g in made} <= {"completed", "cancelled"}
        completed = ws.sql("SELECT count(*) AS n FROM ledger WHERE kind = 'settle'")["n"][0]
        assert ws.balance == 10_000_000 - PRICE * int(completed)
        assert found["heard"]["generation_completed"] >= sum(g.status == "completed" for g in made)
        assert temporary_files(folder) == []
        check_sound(ws)
