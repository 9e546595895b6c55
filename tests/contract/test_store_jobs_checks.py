"""The doctor sees each kind of damage to the store and says what it means."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.job_world import ANN, BROKEN, PRICE, World
from workbench.domain.status import Status
from workbench.ports import Selection

Damage = Callable[[World], None]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One picture of each status and of each state of work."""
    world = World(tmp_path / "w")
    world.grant()
    world.submit(n=8, price=PRICE)
    done, failed, running, unknown, retried, paused, cancelled = world.claim(limit=7)
    world.complete(done)
    world.store.fail(failed.fence, [failed.slots[0].generation_id], BROKEN).result()
    world.store.mark_unknown(unknown.fence, reason="?").result()
    world.store.retry_later(
        retried.fence, delay_ms=1, detail_key="retrying", detail_args={}
    ).result()
    world.store.cancel(ANN, Selection(generation_ids=(cancelled.slots[0].generation_id,))).result()
    world.store.finish_job(cancelled.fence).result()
    world.store.hand_over(paused.fence).result()
    world.submitted(running)
    yield world
    world.close()


def damage(statement: str) -> Damage:
    def do(world: World) -> None:
        world.alter(statement)

    return do


def without_triggers(name: str, statement: str) -> Damage:
    def do(world: World) -> None:
        world.alter(f"DROP TRIGGER {name}")
        world.alter(statement)

    return do


def test_a_store_in_every_state_of_work_has_no_problem(world: World) -> None:
    assert world.problems() == []
    assert world.problems(deep=False) == []
    statuses = {row["status"] for row in world.rows("SELECT status FROM generation")}
    assert statuses == {status.value for status in Status}


@pytest.mark.req("DAT-6")
@pytest.mark.parametrize(
    ("do", "sentence"),
    [
        (
            damage("UPDATE job SET state = 'ended', runner_id = NULL WHERE state = 'running'"),
            "I1: 1 picture waits for a job that is no longer there",
        ),
        (
            damage("UPDATE generation SET status = 'queued' WHERE status = 'pending'"),
            "I1: 1 picture says something else about the work on it",
        ),
        (
            damage("UPDATE generation SET detail_key = NULL WHERE detail_key = 'outcome_unknown'"),
            "I1: 1 picture says something else",
        ),
        (
            damage(
                "UPDATE job SET state = 'queued' WHERE id ="
                " (SELECT job_id FROM generation WHERE status = 'completed')"
            ),
            "I1: 1 job is still to be done although no picture waits for it",
        ),
        (
            damage("UPDATE job SET hold = 'paused' WHERE state = 'queued'"),
            "I1: 2 jobs have a state that does not fit",
        ),
        (
            damage("UPDATE generation SET asset_id = NULL WHERE status = 'completed'"),
            "I1: 1 picture lacks what belongs to its status",
        ),
        (
            damage("UPDATE generation SET finished_at = 5 WHERE status = 'failed'"),
            "I1: 1 picture lacks",
        ),
        (
            damage("DELETE FROM generation WHERE status = 'failed'"),
            "I1: 1 request has another number of pictures",
        ),
        (damage("DELETE FROM generation"), "I1: 1 request has no pictures at all"),
        (
            damage("DELETE FROM generation WHERE status = 'failed'"),
            "I5: 1 generation differs from what the change feed says last",
        ),
        (
            damage("UPDATE balance SET amount_micro = amount_micro + 1"),
            "I2: The balance of 'ann' is",
        ),
        (
            damage("UPDATE generation SET cost_micro = 1 WHERE status = 'completed'"),
            "I2: 1 picture has bookings that do not add up",
        ),
        (
            damage("UPDATE generation SET reserved_micro = 0 WHERE status = 'processing'"),
            "I2: 2 pictures have bookings that do not add up",
        ),
        (
            damage("UPDATE generation SET reserved_micro = 5 WHERE status = 'cancelled'"),
            "I2: 1 ended picture still holds a reservation",
        ),
        (
            without_triggers("ledger_no_update", "UPDATE ledger SET reason = 'x' WHERE seq = 3"),
            "I2: Ledger entry 3",
        ),
        (
            without_triggers("ledger_no_delete", "DELETE FROM ledger WHERE seq = 3"),
            "does not fit the entry before it",
        ),
        (
            damage("UPDATE generation SET rev = rev + 1 WHERE status = 'queued'"),
            "I5: 2 generations differ from what the change feed says last",
        ),
        (
            damage("DELETE FROM change WHERE entity = 'batch'"),
            "I5: 1 batch was never told by the change feed",
        ),
        (
            damage("UPDATE sqlite_sequence SET seq = 3 WHERE name = 'change'"),
            "I5: 1 change number in the feed would be given again",
        ),
        (
            damage("UPDATE topic SET cover_generation_id = 'gone'"),
            "I1: 1 topic has a cover that is no live picture",
        ),
    ],
)
def test_damage_is_found_and_explained(world: World, do: Damage, sentence: str) -> None:
    do(world)
    problems = world.problems()
    assert [one for one in problems if sentence in one], problems
    for one in problems:
        assert one[-1] in ".)"
        assert len(one) < 500


def test_work_of_a_dead_worker_is_named_with_the_remedy(world: World) -> None:
    world.dead.add("r1")
    (problem,) = world.problems()
    assert problem.startswith("I4: 1 running job belongs to the worker r1")
    assert "jupyter workbench worker" in problem
    world.store.requeue_dead("r1").result()
    assert world.problems() == []


def test_a_row_that_points_nowhere_is_found(world: World) -> None:
    world.close()
    # A foreign program does not check references unless it is asked to.
    with sqlite3.connect(world.store.location / "workbench.sqlite3") as foreign:
        foreign.execute("UPDATE generation SET asset_id = 'f' WHERE status = 'completed'")
    foreign.close()
    again = World(world.store.location)
    problems = again.problems()
    again.close()
    assert [one for one in problems if "I6" in one and "asset" in one], problems


def test_a_pruned_feed_is_no_problem(world: World) -> None:
    world.store.prune_changes(keep_rows=5, keep_ms=0).result()
    assert world.problems() == []


def test_a_million_problems_are_a_few_sentences(world: World) -> None:
    world.submit(n=500)
    world.alter("UPDATE generation SET rev = rev + 7")
    problems = world.problems()
    assert len(problems) == 1
    assert "508 generations differ" in problems[0]
    assert problems[0].count(",") <= 6
