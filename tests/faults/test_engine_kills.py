"""Kills of processes that submit and paint: every accepted picture comes, once, and is paid once.

The matrix of paid calls is in `test_paid_kill_matrix.py`; here the real painter runs, in real
processes, and what is looked at is what a person would see.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

import workbench as wb
from tests.faults.engine_world import (
    PATIENCE_S,
    PRICE,
    SMALL,
    Child,
    Crew,
    check_ledger,
    check_sound,
    every_generation,
    fund,
    opened,
    stored_files,
)
from tests.waiting import until
from workbench.runner.failpoints import FAILPOINTS

# -- at each point ------------------------------------------------------------------------------

SUBMIT_AND_WAIT = """
ws = opened()
batch = ws.generate("a red fox", n=3, seed=7, client_key="click", **SMALL)
batch.wait(50)
say("survived")
"""

# A process that paints passes these, in this order; those of the other paths are below.
FREE_PATH = [
    "after_claim",
    "after_send",
    "after_image",
    "after_file",
    "after_complete",
    "before_finish",
    "after_finish",
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[str | None]:
    """The pictures (their hashes) of the same request where nothing is killed."""
    with opened(tmp_path_factory.mktemp("undisturbed") / "w") as ws:
        batch = ws.generate("a red fox", n=3, seed=7, **SMALL).wait(PATIENCE_S)
        return [generation.record.asset_id for generation in batch.generations]


def go_on(folder: Path, undisturbed: list[str | None]) -> None:
    """Another process repeats the request under its key and finishes what the dead one began."""
    with opened(folder) as ws:
        batch = ws.generate("a red fox", n=3, seed=7, client_key="click", **SMALL)
        batch.wait(PATIENCE_S)
        assert [g.status for g in batch.all_generations()] == ["completed"] * 3
        assert [g.record.asset_id for g in batch.generations] == undisturbed
        assert len(every_generation(ws)) == 3
        assert stored_files(folder) == set(undisturbed)
        check_ledger(ws, completed=3)
        check_sound(ws)


@pytest.mark.req("FEED-9", "TOK-2", "DAT-5")
@pytest.mark.parametrize("hit", [1, 2])
@pytest.mark.parametrize("point", FREE_PATH)
def test_a_kill_at_any_point_costs_nothing_and_changes_no_picture(
    crew: Crew, tmp_path: Path, undisturbed: list[str | None], point: str, hit: int
) -> None:
    fund(tmp_path / "w")
    child = crew.start(SUBMIT_AND_WAIT, tmp_path / "w", failpoint=f"{point}:{hit}")
    child.rest(-signal.SIGKILL)
    go_on(tmp_path / "w", undisturbed)


@pytest.mark.req("FEED-9", "TOK-2")
@pytest.mark.parametrize("point", ["after_takeover", "before_resume", "after_file"])
def test_a_kill_of_the_one_that_took_over_costs_nothing_either(
    crew: Crew, tmp_path: Path, undisturbed: list[str | None], point: str
) -> None:
    fund(tmp_path / "w")
    crew.start(SUBMIT_AND_WAIT, tmp_path / "w", failpoint="after_image").rest(-signal.SIGKILL)
    crew.start(SUBMIT_AND_WAIT, tmp_path / "w", failpoint=point).rest(-signal.SIGKILL)
    go_on(tmp_path / "w", undisturbed)


FAIL_ONE = """
ws = opened()
ws.generate("a red fox", n=3, seed=7, client_key="click", fail=[1], **SMALL).wait(50)
"""


@pytest.mark.req("TOK-2")
@pytest.mark.parametrize("point", ["before_fail", "after_fail"])
def test_a_kill_around_a_failure_fails_it_once_and_gives_the_money_back_once(
    crew: Crew, tmp_path: Path, undisturbed: list[str | None], point: str
) -> None:
    fund(tmp_path / "w")
    crew.start(FAIL_ONE, tmp_path / "w", failpoint=point).rest(-signal.SIGKILL)
    with opened(tmp_path / "w") as ws:
        batch = ws.generate("a red fox", n=3, seed=7, client_key="click", fail=[1], **SMALL)
        batch.wait(PATIENCE_S)
        ends = [g.status for g in batch.all_generations()]
        assert ends == ["completed", "failed", "completed"]
        assert batch.generations[1].error is not None
        assert not batch.generations[1].error.charged
        check_ledger(ws, completed=2, released=1)
        assert [g.record.asset_id for g in batch.generations][::2] == undisturbed[::2]
        check_sound(ws)


STUMBLE = """
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.testing.providers import FakeProvider, Picture
stumbles = int(given[0])
def script(request):
    global stumbles
    stumbles -= 1
    return [ProviderError(ErrorKind.TRANSIENT, "try again")] if stumbles >= 0 else [Picture()]
ws = opened()
ws.add_provider(FakeProvider("shaky", script=script))
batch = ws.generate("a red fox", model="shaky:picture", n=1, client_key="click")
say(batch.id)
say(batch.wait(50).status)
ws.close()
"""


@pytest.mark.req("TOK-2")
@pytest.mark.parametrize("point", ["before_retry", "after_retry"])
def test_a_kill_around_a_retry_keeps_the_retry(crew: Crew, tmp_path: Path, point: str) -> None:
    fund(tmp_path / "w")
    child = crew.start(STUMBLE, tmp_path / "w", 1, failpoint=point)
    id = child.rest(-signal.SIGKILL)[0]
    assert crew.run(STUMBLE, tmp_path / "w", 0) == [id, "completed"]
    with opened(tmp_path / "w", run_jobs=False) as ws:
        assert [g.status for g in every_generation(ws)] == ["completed"]
        check_sound(ws)


def test_every_point_is_killed_somewhere() -> None:
    """A new failpoint has to get its kill, here or in the matrix of paid calls."""
    here = {*FREE_PATH, "after_takeover", "before_resume", "before_fail", "after_fail"}
    here |= {"before_retry", "after_retry"}
    paid = {"before_intent", "after_intent", "after_submitted", "after_unknown", "after_late"}
    assert here | paid == {name for name, _ in FAILPOINTS}


# -- at the submission --------------------------------------------------------------------------

DIE_AT_STATEMENT = """
ws = opened(run_jobs=False)
number = int(given[0])
seen = 0
def count(statement):
    global seen
    # A writer that is idle for two seconds tidies up: that is no part of the submission.
    seen += not any(word in statement for word in ("wal_checkpoint", "busy_timeout"))
    if seen == number:
        os.kill(os.getpid(), signal.SIGKILL)
def listen(tx):
    tx.db.set_trace_callback(count)
ws._engine.store.submit_write(listen).result()
batch = ws.generate(f"fox {number}", n=2, client_key=f"click {number}", **SMALL)
say(batch.id)
"""


@pytest.mark.timeout(400)  # many processes, one after the other
@pytest.mark.req("DAT-1", "PRM-3", "TOK-2")
def test_a_kill_at_any_statement_of_a_submission_leaves_all_of_it_or_nothing(
    crew: Crew, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    whole: list[bool] = []
    for number in range(2, 200, 4):
        child = crew.start(DIE_AT_STATEMENT, folder, number)
        until(lambda child=child: child.code is not None, "the child's end")
        with opened(folder, run_jobs=False) as ws:
            there = ws.sql("SELECT * FROM batch WHERE client_key = ?", [f"click {number}"])
            whole.append(len(there) == 1)
            pictures = 2 * sum(whole)
            assert len(every_generation(ws)) == pictures
            assert ws.balance == 1000 - PRICE * pictures
            check_sound(ws)
        if child.code == 0:
            break
    assert child.code == 0
    assert whole[-1]
    assert len(whole) > 5
    assert whole[:-2] == [False] * (len(whole) - 2)  # nothing before the commit
    with opened(folder) as ws:
        for number in range(2, 2 + 4 * len(whole), 4):
            ws.generate(f"fox {number}", n=2, client_key=f"click {number}", **SMALL)
        ws.wait(PATIENCE_S)
        assert {g.status for g in every_generation(ws)} == {"completed"}
        check_ledger(ws, completed=2 * len(whole))
        check_sound(ws)


# -- at any time --------------------------------------------------------------------------------

SUBMIT_FOR_EVER = """
ws = opened()
ws.on("generation_completed", lambda payload: say("done", payload["generation_id"]))
while True:
    say("ack", ws.generate("a red fox", n=2, **SMALL).id)
    time.sleep(0.05)
    while len(ws.generations(limit=20, status=["queued", "processing"]).items) > 12:
        time.sleep(0.01)
"""


@pytest.mark.req("DAT-1", "FEED-9", "TOK-2")
@pytest.mark.timeout(400)  # twelve processes, one after the other
def test_random_kills_lose_nothing_that_was_accepted(crew: Crew, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    fund(folder)
    dice = random.Random(7)
    accepted: list[str] = []
    finished: list[str] = []

    def hear(lines: list[str]) -> None:
        for line in lines:
            word, id = line.split()
            (accepted if word == "ack" else finished).append(id)

    for _ in range(12):
        child = crew.start(SUBMIT_FOR_EVER, folder)
        # So many that what the last kill interrupted has ended: three deaths would be poison.
        enough = len(finished) + dice.randint(4, 9)
        while len(finished) < enough:
            hear([child.line()])
        time.sleep(dice.uniform(0, 0.08))
        hear(child.kill())
    with opened(folder) as ws:
        ws.wait(PATIENCE_S)
        made = every_generation(ws)
        assert {g.status for g in made} == {"completed"}
        places = [(g.batch.id, g.index) for g in made]
        assert len(set(places)) == len(places)
        assert set(accepted) <= {batch for batch, _ in places}
        assert set(finished) <= {g.id for g in made}
        assert len(accepted) == len(set(accepted)) > 12
        assert stored_files(folder) >= {g.record.asset_id for g in made}
        check_ledger(ws, completed=len(made))
        check_sound(ws)


# -- asleep or dead -----------------------------------------------------------------------------

SLOW_PAINTER = """
ws = opened()
ws.on("generation_progress", lambda payload: say("running"))
batch = ws.generate("a slow fox", n=1, width=64, height=64, steps=10, delay_ms=int(given[0]))
say(batch.id)
say(batch.wait(50).status)
hear()
"""


def running_child(crew: Crew, folder: Path, delay_ms: int) -> tuple[Child, str]:
    child = crew.start(SLOW_PAINTER, folder, delay_ms)
    said = [child.line()]
    while "running" not in said or set(said) == {"running"}:
        said.append(child.line())
    return child, next(word for word in said if word != "running")


@pytest.mark.req("FEED-9", "LIVE-7")
def test_a_stopped_process_keeps_its_job_for_as_long_as_it_sleeps(
    crew: Crew, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    fund(folder)
    child, id = running_child(crew, folder, 800)
    with opened(folder) as ws:
        batch = ws.batch(id)
        claimed = "SELECT runner_id, attempt, state FROM job WHERE batch_id = ?"

        def claim() -> list[list[object]]:
            return ws.sql(claimed, [id]).values.tolist()

        before = claim()
        assert before[0][2] == "running"
        # Inside a transaction of ours, so that it does not fall asleep with the write lock.
        ws._engine.store.submit_write(lambda _tx: os.kill(child.pid, signal.SIGSTOP)).result()
        # Many sweeps (one every 200 ms while others run jobs), and other work goes on meanwhile.
        until_time = time.monotonic() + 3
        while time.monotonic() < until_time:
            assert ws.generate("meanwhile", **SMALL).wait(PATIENCE_S).status == "completed"
            assert claim() == before
        assert batch.generations[0].status == "processing"
        child.signal(signal.SIGCONT)
        batch.wait(PATIENCE_S)
        while (line := child.line()) == "running":
            pass
        assert line == "completed"
        assert [(g.status, g.attempt) for g in batch.all_generations()] == [("completed", 1)]
        assert len(batch.generations[0].attempts) == 1
        child.tell("end")
        child.rest()
        check_ledger(ws, completed=len(every_generation(ws)))
        check_sound(ws)


@pytest.mark.req("FEED-9", "LIVE-7")
def test_a_killed_process_loses_its_job_to_another_that_is_open(crew: Crew, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    fund(folder)
    child, id = running_child(crew, folder, 800)
    with opened(folder) as ws:
        batch = ws.batch(id)
        child.kill()
        batch.wait(PATIENCE_S)
        assert [(g.status, g.attempt) for g in batch.all_generations()] == [("completed", 2)]
        check_ledger(ws, completed=len(every_generation(ws)))
        check_sound(ws)


def test_a_stopped_process_that_was_killed_asleep_is_taken_over(crew: Crew, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    fund(folder)
    child = crew.start(SUBMIT_AND_WAIT, folder, failpoint="after_file=stop")
    until(lambda: child.state == "T", "the child stopped itself")
    child.kill()  # wherever it slept, even with the write lock in its hand
    with opened(folder) as ws:
        ws.wait(PATIENCE_S)
        made = every_generation(ws)
        assert [g.status for g in made] == ["completed"] * 3
        assert isinstance(made[0], wb.Generation)
        check_ledger(ws, completed=3)
        check_sound(ws)
