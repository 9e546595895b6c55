"""Several processes want the same thing at once: exactly one gets it, and the money agrees."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.job_world import ANN, PRICE, TOKENS, World, picture
from workbench.domain.status import Status
from workbench.ports import Selection

REPOSITORY = Path(__file__).parents[2]
RACES = 1_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "w")
    yield world
    assert world.problems() == []
    world.close()


def race(world: World, *parts: tuple[str, ...]) -> list[list[Any]]:
    """Start one process per part, let them go together, return what each answered."""
    command = [sys.executable, "-m", "tests.faults.race_worker"]
    folder = str(world.store.location)
    runners = [
        subprocess.Popen(
            [*command, part, folder, *rest],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part, *rest in parts
    ]
    try:
        for runner in runners:
            assert runner.stdout is not None
            assert runner.stdout.readline() == "ready\n"
        for runner in runners:
            assert runner.stdin is not None
            runner.stdin.write("go\n")
            runner.stdin.flush()
        answers = [runner.communicate(timeout=150)[0] for runner in runners]
    finally:
        for runner in runners:
            runner.kill()
            runner.communicate()
    return [json.loads(answer) for answer in answers]


@pytest.mark.req("LIVE-7")
@pytest.mark.parametrize("processes", [2, 4])
def test_a_thousand_jobs_are_claimed_once_each(world: World, processes: int) -> None:
    for _ in range(10):
        world.submit(n=RACES // 10)
    answers = race(world, *(("claim", f"r{n}") for n in range(processes)))
    claims = Counter(job for answer in answers for job, _ in answer)
    assert len(claims) == RACES
    assert set(claims.values()) == {1}
    assert {attempt for answer in answers for _, attempt in answer} == {1}
    for number, answer in enumerate(answers):
        rows = world.rows("SELECT id FROM job WHERE runner_id = ?", f"r{number}")
        assert {row["id"] for row in rows} == {job for job, _ in answer}


def test_sweepers_in_several_processes_count_each_death_once(world: World, tmp_path: Path) -> None:
    world.submit(n=200)
    dead = [f"dead{n}" for n in range(50)]
    for runner in dead:
        assert len(world.claim(runner, limit=4)) == 4
    given = tmp_path / "given.json"
    given.write_text(json.dumps([{"runner": runner} for runner in dead]), encoding="utf-8")
    answers = race(world, *(("sweep", f"r{n}", str(given)) for n in range(4)))
    assert [sum(counts) for counts in zip(*answers, strict=True)] == [4] * 50
    rows = world.rows("SELECT DISTINCT deaths, state FROM job")
    assert [(row["deaths"], row["state"]) for row in rows] == [(1, "queued")]


@pytest.mark.req("FEED-10", "TOK-2")
def test_a_thousand_races_of_cancel_and_complete_each_have_one_end(
    world: World, tmp_path: Path
) -> None:
    world.grant(micro=RACES * TOKENS)
    for _ in range(10):
        world.submit(n=RACES // 10, price=PRICE)
    claimed = world.claim("r1")
    assert len(claimed) == RACES
    assert world.balance() == 0
    given = tmp_path / "given.json"
    given.write_text(
        json.dumps(
            [
                {"job": job.id, "runner": "r1", "generation": job.slots[0].generation_id}
                for job in claimed
            ]
        ),
        encoding="utf-8",
    )
    cancelled, completed = race(world, ("cancel", "r0", str(given)), ("complete", "r1", str(given)))
    check_ends(world, cancelled, completed)


def check_ends(world: World, cancelled: list[str], completed: list[str]) -> None:
    assert not set(cancelled) & set(completed)
    assert len(cancelled) + len(completed) == RACES
    ends = {row["id"]: row["status"] for row in world.rows("SELECT id, status FROM generation")}
    assert {id for id, end in ends.items() if end == Status.CANCELLED} == set(cancelled)
    assert {id for id, end in ends.items() if end == Status.COMPLETED} == set(completed)
    assert world.balance() == len(cancelled) * TOKENS
    assert len(world.rows("SELECT 1 FROM ledger WHERE kind = 'settle'")) == len(completed)
    assert len(world.rows("SELECT 1 FROM ledger WHERE kind = 'release'")) == len(cancelled)


@pytest.mark.req("FEED-10")
def test_a_thousand_races_of_threads_each_have_one_end(world: World) -> None:
    world.grant(micro=RACES * TOKENS)
    world.submit(n=RACES, price=PRICE)
    claimed = world.claim("r1")
    cancelled: list[str] = []
    completed: list[str] = []
    together = threading.Barrier(2)

    def cancel() -> None:
        together.wait()
        for job in claimed:
            chosen = Selection(generation_ids=(job.slots[0].generation_id,))
            cancelled.extend(world.store.cancel(ANN, chosen).result().cancelled)

    def complete() -> None:
        together.wait()
        for job in claimed:
            id = job.slots[0].generation_id
            if world.store.complete(job.fence, picture(id)).result():
                completed.append(id)

    threads = [threading.Thread(target=part) for part in (cancel, complete)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_ends(world, cancelled, completed)
    for job in claimed:
        world.store.finish_job(job.fence).result()
