"""Every way in which a program may end or close: quietly, soon, and nothing is lost."""

from __future__ import annotations

import random
import re
import signal
import threading
import time
from pathlib import Path

import pytest

import workbench as wb
from tests.faults.engine_world import (
    PATIENCE_S,
    SMALL,
    Child,
    Crew,
    check_ledger,
    check_sound,
    every_generation,
    fund,
    names,
    opened,
    stored_files,
)
from tests.waiting import until


def go_on(folder: Path, *, pictures: int) -> None:
    """Whoever opens next finishes everything."""
    with opened(folder) as ws:
        ws.wait(PATIENCE_S)
        made = every_generation(ws)
        assert [g.status for g in made] == ["completed"] * pictures
        assert stored_files(folder) >= {g.record.asset_id for g in made}
        check_ledger(ws, completed=pictures)
        check_sound(ws)


# -- signals ------------------------------------------------------------------------------------

WAIT = """
ws = opened()
stop = ws.on("generation_progress", lambda payload: say("running"))
# So slow that it is far from its end when the signal comes, though this or the test may sleep.
batch = ws.generate("a fox", n=4, width=64, height=64, steps=4, delay_ms=1500)
try:
    say("waiting")
    batch.wait(50)
except KeyboardInterrupt:
    stop()
    say("interrupted", len(batch))
    if "again" in given:
        batch.wait(50)
        say("and waited")
    ws.close()
    say("closed")
"""


def running(crew: Crew, script: str, folder: Path, *given: object) -> Child:
    child = crew.start(script, folder, *given)
    missing = {"waiting", "running"}
    while missing:
        missing.discard(child.line())
    return child


@pytest.mark.req("RES-4")
@pytest.mark.parametrize("given", ["", "again"])
def test_ctrl_c_ends_the_waiting_and_not_the_jobs(crew: Crew, tmp_path: Path, given: str) -> None:
    folder = tmp_path / "w"
    fund(folder)
    child = running(crew, WAIT, folder, given)
    child.signal(signal.SIGINT)
    said = [line for line in child.rest() if line != "running"]
    assert said == ["interrupted 4", *(["and waited"] if given else []), "closed"]
    assert child.errors() == ""
    go_on(folder, pictures=4)


WAIT_UNAWARE = """
ws = opened()
ws.on("generation_progress", lambda payload: say("running"))
batch = ws.generate("a fox", n=4, width=64, height=64, steps=4, delay_ms=1500)
say("waiting")
batch.wait(50)
"""


@pytest.mark.req("RES-4", "FEED-9")
def test_ctrl_c_in_a_script_that_does_not_expect_it_says_only_that(
    crew: Crew, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    child = running(crew, WAIT_UNAWARE, folder)
    child.signal(signal.SIGINT)
    child.rest(-signal.SIGINT, 1)  # 1: Python forgot what it was, if code was compiled since
    errors = child.errors()
    assert errors.count("Traceback") == 1
    assert errors.rstrip().endswith("KeyboardInterrupt")
    go_on(folder, pictures=4)


@pytest.mark.req("RES-4", "FEED-9")
def test_sigterm_is_a_death_like_any_other(crew: Crew, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    fund(folder)
    child = running(crew, WAIT_UNAWARE, folder)
    child.signal(signal.SIGTERM)
    child.rest(-signal.SIGTERM)
    assert child.errors() == ""
    go_on(folder, pictures=4)


IMPATIENT = """
armed = False
def interrupt(_number, _frame):
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt
    say("missed")
with opened() as ws:  # imports are Python's own business
    ws.generate("first", n=1, **SMALL).wait(50).generations[0].thumbnail()
signal.signal(signal.SIGINT, interrupt)
say("ready")
for number in range(int(given[0])):
    try:
        armed = True
        ws = opened()
        try:
            batch = ws.generate(f"fox {number}", n=1, client_key=f"click {number}", **SMALL)
            batch.wait(50)
        finally:
            ws.close()
        armed = False
    except KeyboardInterrupt:
        say("interrupted")
signal.signal(signal.SIGINT, signal.SIG_IGN)  # one that comes later is no word behind the last one
say("end")
"""


@pytest.mark.req("RES-4")
def test_ctrl_c_at_any_moment_leaves_a_workspace_that_goes_on(crew: Crew, tmp_path: Path) -> None:
    """Also while it is being opened or closed: the next round has to find nothing stuck."""
    folder = tmp_path / "w"
    fund(folder)
    rounds = 40
    child = crew.start(IMPATIENT, folder, rounds)
    assert child.line() == "ready"
    dice = random.Random(7)
    said: list[str] = []
    while "end" not in said and said.count("interrupted") < 20:
        time.sleep(dice.uniform(0, 0.1))
        child.signal(signal.SIGINT)
        said.append(child.line())
    said += child.rest()
    assert said[-1] == "end"
    assert "interrupted" in said  # how often depends on how busy the machine is
    # An interrupt between two lines, ours or Python's, may leave a socket to the collector, and one
    # in a destructor is printed by Python itself. No error may be.
    kinds = re.findall(
        r"^(?:\w+\.)*(\w+(?:Error|Warning|Interrupt))\b", child.errors(), re.MULTILINE
    )
    harmless = {"KeyboardInterrupt", "ResourceWarning", "RuntimeWarning"}
    assert set(kinds) <= harmless, child.errors()
    with opened(folder) as ws:
        for number in range(rounds):
            ws.generate(f"fox {number}", n=1, client_key=f"click {number}", **SMALL)
    go_on(folder, pictures=1 + rounds)


# -- ends of a program --------------------------------------------------------------------------

ENDS = {
    "the last line": "",
    "sys.exit": "sys.exit(0)",
    "a callback, too": "ws.on('generation_progress', lambda payload: time.sleep(0.05))",
    "a thread that waits": """
def wait():
    try:
        batch.wait()
    except wb.EngineClosed:
        pass
threading.Thread(target=wait, daemon=True).start()
""",
    "a thread that follows": """
import asyncio
async def follow():
    try:
        async for change in ws.follow():
            pass
    except wb.EngineClosed:
        pass
threading.Thread(target=lambda: asyncio.run(follow()), daemon=True).start()
""",
    "handles of others": "others = [wb.open(folder, user=f'u{i}') for i in range(3)]",
    "a queue of many": "[ws.generate('more', n=1, **SMALL) for _ in range(5)]",
    "del": "del ws, batch",
}


@pytest.mark.req("RES-4", "FEED-9")
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_program_that_ends_while_pictures_are_painted_ends_silently(
    crew: Crew, tmp_path: Path, end: str
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    script = """
ws = opened()
made = 0
def paint():
    global made
    made += 3
    return ws.generate("a fox", n=3, width=256, height=256, steps=20)
batch = paint()
while (status := batch.status) != "processing":
    if status == "completed":  # this thread slept meanwhile
        batch = paint()
    time.sleep(0.01)
say(made)
"""
    (made,) = crew.run(script + end, folder)
    go_on(folder, pictures=int(made) + (5 if "more" in end else 0))


@pytest.mark.req("FEED-9")
def test_an_uncaught_error_of_the_user_is_the_only_thing_said(crew: Crew, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    fund(folder)
    script = """
ws = opened()
batch = ws.generate("a fox", n=3, width=256, height=256, steps=20)
1 / 0
"""
    child = crew.start(script, folder)
    child.rest(1)
    assert child.errors().count("Traceback") == 1
    assert "ZeroDivisionError" in child.errors()
    go_on(folder, pictures=3)


# -- closing ------------------------------------------------------------------------------------


@pytest.mark.req("FEED-9")
@pytest.mark.parametrize("wait", [False, True])
def test_closing_in_the_middle_hands_over_or_finishes(tmp_path: Path, wait: bool) -> None:
    folder = tmp_path / "w"
    fund(folder)
    for number in range(4):
        ws = opened(folder)
        batch = ws.generate(f"fox {number}", n=3, width=128, height=128, steps=10)
        ws.close(wait=wait)
        with pytest.raises(wb.EngineClosed):
            batch.wait(1)
        with opened(folder, run_jobs=False) as look:
            statuses = {g.status for g in look.batch(batch.id).generations}
            assert statuses <= ({"completed"} if wait else {"completed", "queued"})
            assert look.doctor().ok, look.doctor().problems
    go_on(folder, pictures=12)


@pytest.mark.timeout(400)
@pytest.mark.req("FEED-9")
def test_two_threads_open_and_close_one_workspace_fifty_times(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    fund(folder)
    failures: list[BaseException] = []

    def come_and_go(name: str) -> None:
        try:
            for number in range(50):
                with opened(folder) as ws:
                    batch = ws.generate(f"{name} {number}", n=1, **SMALL)
                    assert batch.status in ("queued", "processing", "completed")
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=come_and_go, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)
    assert failures == []
    go_on(folder, pictures=100)


@pytest.mark.req("PRM-5", "TOK-2")
def test_eight_threads_submit_wait_and_read_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    fund(folder)
    failures: list[BaseException] = []
    ids: list[str] = []
    together = threading.Barrier(8)
    with opened(folder) as ws:

        def work(number: int) -> None:
            try:
                together.wait()
                for turn in range(4):
                    # Two threads share each key: the second one gets the batch of the first.
                    key = f"{number // 2} {turn}"
                    batch = ws.generate("a fox", n=2, client_key=key, **SMALL)
                    ids.append(batch.id)
                    assert batch.wait(PATIENCE_S).status == "completed"
                    assert len(ws.generations(limit=10).items) >= 2
                    assert len(ws.frame()) >= 2
            except BaseException as error:  # noqa: BLE001 - shown below
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert failures == []
        assert len(ids) == 32
        assert len(set(ids)) == 16
    go_on(folder, pictures=32)


def test_closing_under_threads_that_use_it_ends_each_with_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    fund(folder, tokens=100_000)
    accepted: list[str] = []
    failures: list[BaseException] = []
    begun = threading.Semaphore(0)
    ws = opened(folder)

    def work(number: int) -> None:
        try:
            while True:
                accepted.append(ws.generate(f"fox {number}", n=1, **SMALL).id)
                begun.release()
                ws.generations(limit=5)
                ws.frame()
        except wb.EngineClosed:
            pass
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(12):
        assert begun.acquire(timeout=PATIENCE_S)
    ws.close()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert failures == []
    with opened(folder) as again:
        again.wait(PATIENCE_S)
        made = every_generation(again)
        # What was stored and not answered because of the end is there, too: never less.
        assert {g.batch.id for g in made} >= set(accepted)
        assert {g.status for g in made} == {"completed"}
        check_ledger(again, granted=100_000, completed=len(made))
        check_sound(again)


@pytest.mark.req("FEED-9")
def test_opening_while_another_thread_closes_and_waits_gives_a_workspace_that_stays(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    first = opened(folder)
    first.generate("a fox", n=2, width=64, height=64, steps=4, delay_ms=200)
    closing = threading.Thread(target=first.close, kwargs={"wait": True})
    closing.start()
    until(lambda: first._engine.closed, "the closing has begun")
    with opened(folder) as second:
        closing.join(PATIENCE_S)
        assert second.generate("a fox", n=1, **SMALL).wait(PATIENCE_S).status == "completed"
    go_on(folder, pictures=3)


INTERRUPTED_CLOSE = """
ws = opened()
batch = ws.generate("a fox", n=2, width=64, height=64, steps=10, delay_ms=600)
while batch.status != "processing":
    time.sleep(0.01)
stop_all, interrupted = ws._engine._stop_all, threading.Event()
def stop_interrupted(wait):
    os.kill(os.getpid(), signal.SIGINT)
    # Else the closing might be over before the main thread gets its turn, and the signal.
    interrupted.wait(50)
    stop_all(wait)
ws._engine._stop_all = stop_interrupted
try:
    ws.close(wait=given[0] == "wait")
except KeyboardInterrupt:
    interrupted.set()
    say("interrupted")
if given[1] == "again":
    with opened() as ws:
        say(ws.generate("a fox", n=1, **SMALL).wait(40).status)
"""


@pytest.mark.req("FEED-9", "RES-4")
@pytest.mark.parametrize("then", ["again", "end"])
@pytest.mark.parametrize("how", ["wait", "at once"])
def test_ctrl_c_while_it_closes_does_not_stop_the_closing(
    crew: Crew, tmp_path: Path, how: str, then: str
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    child = crew.start(INTERRUPTED_CLOSE, folder, how, then)
    assert child.line() == "interrupted"
    assert child.rest() == (["completed"] if then == "again" else [])
    assert child.errors() == ""
    assert not names(folder / "owners")
    with opened(folder, run_jobs=False) as ws:
        assert ws.sql("SELECT max(deaths) AS deaths FROM job")["deaths"].tolist() == [0]
    go_on(folder, pictures=3 if then == "again" else 2)
