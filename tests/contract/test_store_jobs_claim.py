"""Claiming, dying, handing over: who works on what, and what people see of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.job_world import (
    ANN,
    BEN,
    BROKEN,
    LANE,
    PRICE,
    TOKENS,
    TurnableClock,
    World,
    picture,
    stale,
)
from workbench.domain.jobs import AttemptState, JobRecord, JobRef, Progress
from workbench.domain.status import ErrorKind, Status
from workbench.errors import NotAllowed
from workbench.ports import Selection
from workbench.store.sqlite import claim
from workbench.store.sqlite.queries import sql
from workbench.store.sqlite.writer import Transaction


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "w")
    yield world
    assert world.problems() == []
    world.close()


def test_a_claimed_job_carries_everything_that_its_runner_needs(world: World) -> None:
    batch = world.submit(n=2, batchable=True, negative_prompt="cats", params={"steps": 9})
    (job,) = world.claim("r1")
    made = world.generations(batch)
    assert [slot.generation_id for slot in job.slots] == [one.id for one in made]
    assert [(slot.index, slot.seed) for slot in job.slots] == [(0, 7), (1, 8)]
    assert (job.prompt, job.negative_prompt, job.params) == (batch.prompt, "cats", {"steps": 9})
    assert (job.width, job.height, job.provider, job.lane) == (512, 512, LANE, LANE)
    assert (job.attempt, job.deaths, job.tries, job.open_attempt) == (1, 0, 0, None)
    for one in made:
        assert (one.status, one.attempt, one.progress) == (Status.PROCESSING, 1, 0.0)
        assert one.started_at is not None
        assert one.detail == ""
    assert world.claim("r2") == []


def test_a_job_makes_only_what_is_still_to_be_made(world: World) -> None:
    batch = world.submit(n=3, batchable=True)
    first, second, third = world.generations(batch)
    world.store.cancel(ANN, Selection(generation_ids=(second.id,))).result()
    job = world.one()
    assert [slot.generation_id for slot in job.slots] == [first.id, third.id]


def test_lanes_hold_their_limit_over_all_runners_and_unknown_lanes_are_left_alone(
    world: World,
) -> None:
    world.submit(n=5)
    world.submit(n=5, lane="other")
    world.submit(n=5, lane="elsewhere")
    assert len(world.claim("r1", painter=2, other=3)) == 5
    assert world.claim("r2", painter=2, other=3) == []
    assert len(world.claim("r2", painter=3, other=3)) == 1
    assert world.claim("r2", limit=0, painter=9) == []


def test_nobody_waits_behind_somebody_elses_hundred_pictures(world: World) -> None:
    world.submit(ANN, n=100)
    world.submit(BEN, n=2)
    owners = [job.owner for job in world.claim(limit=5)]
    assert owners == ["ann", "ben", "ann", "ben", "ann"]
    # Running work counts, also that of other lanes and other runners.
    world.submit(BEN, n=4, lane="other")
    assert [job.owner for job in world.claim("r2", limit=2)] == ["ben", "ann"]


def test_priority_comes_before_age_within_one_owner(world: World) -> None:
    world.submit(prompt="old")
    world.submit(prompt="urgent", priority=5)
    world.submit(prompt="new")
    assert [job.prompt for job in world.claim()] == ["urgent", "old", "new"]


@pytest.mark.req("FEED-10")
def test_a_job_whose_pictures_were_all_cancelled_is_never_claimed(world: World) -> None:
    batch = world.submit(n=2, batchable=True)
    world.store.cancel(ANN, Selection(batch_id=batch.id)).result()
    assert world.claim() == []
    assert world.job_of(world.generations(batch)[0].id)["state"] == "ended"


def test_a_queued_job_without_open_work_is_ended_in_passing(world: World) -> None:
    lost = world.generations(world.submit())[0]
    world.submit(prompt="next")
    # A restore of a copy or an older version could leave such a row.
    world.alter(
        "UPDATE generation SET status = 'cancelled', finished_at = created_at WHERE id = ?", lost.id
    )
    assert [job.prompt for job in world.claim()] == ["next"]
    assert world.job_of(lost.id)["state"] == "ended"


@pytest.mark.req("LIVE-4")
def test_work_of_a_dead_worker_starts_anew_and_says_so(world: World) -> None:
    batch = world.submit()
    job = world.one("r1")
    id = job.slots[0].generation_id
    world.store.report_progress(job.fence, [Progress(id, 0.6, step=12, total=20)]).result()
    assert world.store.requeue_dead("r1").result() == 1
    waiting = world.generation(id)
    assert (waiting.status, waiting.detail) == (Status.QUEUED, "")
    again = world.one("r2")
    (running,) = world.generations(batch)
    assert (again.attempt, again.deaths) == (2, 1)
    assert (running.status, running.attempt, running.progress, running.step) == (
        Status.PROCESSING,
        2,
        0.0,
        None,
    )
    assert running.detail == "started again after its worker ended (attempt 2)"
    # Who died changes nothing any more.
    assert not world.store.report_progress(job.fence, [Progress(id, 0.9)]).result()
    assert not world.complete(job)
    assert world.complete(again)


@pytest.mark.req("PRV-5")
def test_a_remote_job_is_resumed_at_its_true_progress(world: World) -> None:
    world.submit()
    job = world.one("r1")
    id = job.slots[0].generation_id
    attempt = world.submitted(job, "key-1")
    world.store.report_progress(job.fence, [Progress(id, 0.6)]).result()
    world.store.requeue_dead("r1").result()
    again = world.one("r2")
    assert again.open_attempt is not None
    assert (again.open_attempt.id, again.open_attempt.key) == (attempt, "key-1")
    assert again.open_attempt.state is AttemptState.SUBMITTED
    assert again.open_attempt.ref.remote_id == "remote-key-1"
    assert again.open_attempt.ref.data == {"poll": "/status"}
    running = world.generation(id)
    assert (running.attempt, running.progress, running.detail_key) == (1, 0.6, "resumed")
    # The same key again is the same submission.
    assert (
        world.store.write_intent(
            again.fence, key="key-1", request_sha="0" * 64, generation_id=None
        ).result()
        == attempt
    )


def test_a_call_that_may_have_been_sent_is_shown_to_the_next_worker(world: World) -> None:
    world.submit()
    job = world.one("r1")
    world.store.write_intent(
        job.fence, key="k", request_sha="0" * 64, generation_id=job.slots[0].generation_id
    ).result()
    world.store.requeue_dead("r1").result()
    again = world.one("r2")
    assert again.open_attempt is not None
    assert again.open_attempt.state is AttemptState.INTENT
    assert again.open_attempt.ref.remote_id is None


def test_free_work_with_progress_does_not_pass_for_resumed(world: World) -> None:
    world.submit()
    job = world.one("r1")
    id = job.slots[0].generation_id
    world.store.write_intent(job.fence, key="k", request_sha="0" * 64, generation_id=id).result()
    world.store.report_progress(job.fence, [Progress(id, 0.5)]).result()
    world.store.requeue_dead("r1").result()
    world.one("r2")
    running = world.generation(id)
    assert (running.attempt, running.progress, running.detail_key) == (2, 0.0, "restarted")


def test_abandoning_a_resumed_submission_begins_a_new_attempt(world: World) -> None:
    world.submit()
    job = world.one("r1")
    id = job.slots[0].generation_id
    world.submitted(job, "k")
    world.store.report_progress(job.fence, [Progress(id, 0.5)]).result()
    world.store.requeue_dead("r1").result()
    again = world.one("r2")
    assert again.open_attempt is not None
    world.store.end_attempt(again.open_attempt.id, "abandoned").result()
    running = world.generation(id)
    assert (running.attempt, running.progress, running.detail_key) == (2, 0.0, "restarted")


@pytest.mark.req("TOK-2")
def test_the_third_death_is_poison_and_costs_nothing(world: World) -> None:
    world.grant(micro=10 * TOKENS)
    batch = world.submit(price=PRICE)
    for runner in ("r1", "r2", "r3"):
        world.one(runner)
        assert world.balance() == 9 * TOKENS
        world.store.requeue_dead(runner).result()
    (failed,) = world.generations(batch)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error.kind is ErrorKind.POISON
    assert "3 times" in failed.error.message
    assert (failed.charged, failed.cost) == (False, 0)
    assert world.balance() == 10 * TOKENS
    assert world.claim("r4") == []


@pytest.mark.req("TOK-2", "PRV-5")
@pytest.mark.parametrize("free", [False, True])
def test_the_third_death_of_what_was_sent_is_unknown_unless_it_is_free(
    world: World, free: bool
) -> None:
    world.grant(micro=10 * TOKENS)
    batch = world.submit(price=PRICE)
    for runner in ("r1", "r2", "r3"):
        job = world.one(runner)
        if job.open_attempt is None:
            world.submitted(job)
        known = {job.provider} if free else set()
        world.store.requeue_dead(runner, free=known).result()
    (left,) = world.generations(batch)
    assert left.status is (Status.FAILED if free else Status.PROCESSING)
    assert left.detail_key == (None if free else "outcome_unknown")
    assert world.balance() == (10 if free else 9) * TOKENS
    assert world.claim("r4") == []
    assert world.store.ask_again(job.provider).result() == 0, "it would end its worker again"
    if not free:
        world.store.resolve_unknown(ANN, left.id, "charged").result()
        assert world.balance() == 9 * TOKENS


def test_two_sweepers_put_a_dead_workers_jobs_back_once(world: World) -> None:
    world.submit(n=3)
    world.claim("r1")
    first = world.store.requeue_dead("r1")
    second = world.store.requeue_dead("r1")
    assert (first.result(), second.result()) == (3, 0)
    assert {job.deaths for job in world.claim("r2")} == {1}


def test_what_was_cancelled_under_a_dead_worker_stays_ended(world: World) -> None:
    batch = world.submit(n=2, batchable=True)
    job = world.one("r1")
    world.store.cancel(ANN, Selection(batch_id=batch.id)).result()
    assert world.job(job.id)["state"] == "running"
    assert world.store.requeue_dead("r1").result() == 1
    assert world.job(job.id)["state"] == "ended"
    assert {one.status for one in world.generations(batch)} == {Status.CANCELLED}


def test_a_closing_worker_hands_over_without_a_death(world: World) -> None:
    world.submit()
    job = world.one("r1")
    assert world.store.hand_over(job.fence).result()
    assert not world.store.hand_over(job.fence).result()
    again = world.one("r2")
    assert (again.attempt, again.deaths) == (2, 0)


def test_a_retry_waits_for_its_time_and_counts_as_a_try(world: World) -> None:
    batch = world.submit()
    job = world.one("r1")
    shown = {"seconds": 8, "reason": "busy"}
    assert world.store.retry_later(
        job.fence, delay_ms=8_000, detail_key="retrying", detail_args=shown
    ).result()
    (held,) = world.generations(batch)
    assert (held.status, held.detail) == (Status.PENDING, "retrying in 8 s (busy)")
    due = world.store.promote_due().result()
    assert due == world.clock.ms + 8_000
    assert world.claim() == []
    world.clock.ms += 8_000
    assert world.store.promote_due().result() is None
    again = world.one("r2")
    assert (again.tries, again.deaths) == (1, 0)
    # It is a new attempt, but no worker ended: nothing is said about one.
    (running,) = world.generations(batch)
    assert (running.attempt, running.detail) == (2, "")


def test_waiting_for_disk_space_counts_as_no_try_and_keeps_the_open_submission(
    world: World,
) -> None:
    world.submit()
    job = world.one("r1")
    attempt = world.submitted(job)
    world.store.retry_later(
        job.fence, delay_ms=1, detail_key="waiting_for_disk", detail_args={}, count_try=False
    ).result()
    world.clock.ms += 1
    world.store.promote_due().result()
    again = world.one("r2")
    assert (again.tries, again.deaths) == (0, 0)
    assert again.open_attempt is not None
    assert again.open_attempt.id == attempt


def test_a_paused_owners_job_does_not_sneak_back_through_a_retry_or_a_death(world: World) -> None:
    batch = world.submit(n=3)
    one, two, three = world.claim("r1")
    world.store.pause(ANN).result()
    world.store.retry_later(one.fence, delay_ms=5, detail_key="retrying", detail_args={}).result()
    world.store.hand_over(two.fence).result()
    world.store.requeue_dead("r1").result()
    world.clock.ms += 10
    world.store.promote_due().result()
    assert world.claim("r2") == []
    assert {one.detail for one in world.generations(batch)} == {"paused"}
    assert world.store.resume(ANN).result() == 3
    assert len(world.claim("r2")) == 3
    assert three.id


def test_a_clock_that_jumps_stops_nothing_and_makes_no_negative_duration(world: World) -> None:
    batch = world.submit(n=3)
    hour, year = 3_600_000, 365 * 24 * 3_600_000
    one, two, three = world.claim("r1")
    world.clock.ms -= hour
    world.complete(one)
    world.store.retry_later(
        two.fence, delay_ms=1_000, detail_key="retrying", detail_args={}
    ).result()
    world.clock.ms -= hour
    # Held with a clock that was an hour ahead: nobody waits an hour for it.
    assert world.store.promote_due().result() is None
    two = world.one("r1")
    world.clock.ms += 2 * year
    world.complete(two)
    world.clock.ms -= 2 * year
    world.store.fail(three.fence, [three.slots[0].generation_id], BROKEN).result()
    for made in world.generations(batch):
        assert made.started_at is not None
        assert made.finished_at is not None
        assert made.created_at <= made.started_at <= made.finished_at
        assert (made.duration_s or 0) >= 0
    # Order is that of arrival, whatever the clock said.
    later = world.submit(prompt="later")
    assert later.created_at < batch.created_at
    assert world.generations(later)[0].seq > world.generations(batch)[-1].seq


def test_jobs_are_claimed_in_order_of_arrival_though_the_clock_stepped_back(world: World) -> None:
    for prompt in ("first", "second", "third"):
        world.submit(prompt=prompt)
        world.clock.ms -= 3_600_000
    assert [job.prompt for job in world.claim()] == ["first", "second", "third"]


@pytest.mark.req("DAT-5")
def test_every_submission_leaves_an_audit_row_with_its_end(world: World) -> None:
    world.submit()
    job = world.one()
    first = world.submitted(job, "k1")
    world.store.end_attempt(
        first, "failed", error_kind="transient", error_message="busy", usage={"seconds": 2}
    ).result()
    second = world.submitted(job, "k2")
    world.complete(job)
    world.store.end_attempt(second, "done").result()
    rows = world.rows("SELECT * FROM attempt ORDER BY seq")
    assert [(row["number"], row["state"]) for row in rows] == [(1, "failed"), (2, "done")]
    assert (rows[0]["error_kind"], rows[0]["usage"]) == ("transient", '{"seconds":2}')


def test_a_worker_that_dies_between_the_picture_and_the_audit_row_leaves_no_open_one(
    world: World,
) -> None:
    world.submit()
    job = world.one()
    world.submitted(job)
    world.complete(job)
    (row,) = world.rows("SELECT state FROM attempt")
    assert row["state"] == "done"


def test_nothing_is_sent_for_a_picture_that_nobody_wants_any_more(world: World) -> None:
    batch = world.submit()
    job = world.one()
    world.store.cancel(ANN, Selection(batch_id=batch.id)).result()
    assert (
        world.store.write_intent(
            job.fence, key="k", request_sha="0" * 64, generation_id=None
        ).result()
        is None
    )
    assert world.job(job.id)["state"] == "ended"


def test_a_key_that_made_a_picture_is_never_sent_again(world: World) -> None:
    world.submit(n=2)
    one, two = world.claim()
    world.submitted(one, "k")
    with pytest.raises(NotAllowed, match="used before"):
        world.store.write_intent(
            two.fence, key="k", request_sha="0" * 64, generation_id=None
        ).result()
    world.complete(one)
    with pytest.raises(NotAllowed, match="charge a second"):
        world.store.write_intent(
            two.fence, key="k", request_sha="0" * 64, generation_id=None
        ).result()


def test_one_remote_job_never_serves_two_requests(world: World) -> None:
    world.submit(n=2)
    one, two = world.claim()
    world.submitted(one, "k")
    attempt = world.store.write_intent(
        two.fence, key="other", request_sha="0" * 64, generation_id=None
    ).result()
    assert attempt is not None
    with pytest.raises(NotAllowed, match="earlier submission"):
        world.store.write_submitted(two.fence, attempt, JobRef("remote-k")).result()


def test_a_stale_fence_changes_nothing(world: World) -> None:
    world.grant()
    world.submit(n=2, batchable=True, price=PRICE)
    job = world.one("r1")
    id = job.slots[0].generation_id
    attempt = world.submitted(job)
    before = world.last_change()
    attempts = [tuple(row) for row in world.rows("SELECT * FROM attempt")]
    jobs = [tuple(row) for row in world.rows("SELECT * FROM job")]
    for fence in stale(job.fence):
        store = world.store
        assert store.report_progress(fence, [Progress(id, 0.5)]).result() is False
        assert store.complete(fence, picture(id)).result() is False
        assert store.adopt_late(fence, picture(id)).result() is None
        assert store.fail(fence, [id], BROKEN).result() == 0
        assert not store.retry_later(
            fence, delay_ms=1, detail_key="retrying", detail_args={}
        ).result()
        assert not store.mark_unknown(fence, reason="?").result()
        assert not store.finish_job(fence).result()
        assert not store.hand_over(fence).result()
        assert store.unfinished(fence) is None
        assert (
            store.write_intent(fence, key="z", request_sha="", generation_id=None).result() is None
        )
        assert not store.write_submitted(fence, attempt, JobRef("other")).result()
    assert world.last_change() == before
    assert [tuple(row) for row in world.rows("SELECT * FROM attempt")] == attempts
    assert [tuple(row) for row in world.rows("SELECT * FROM job")] == jobs
    assert world.store.unfinished(job.fence) == tuple(slot.generation_id for slot in job.slots)


@pytest.mark.parametrize("statement", ["lane_heads", "next_head"])
def test_a_claim_jumps_through_the_index_instead_of_sorting_the_queue(
    world: World, statement: str
) -> None:
    with world.database.reading() as reader:
        plan = [
            row["detail"]
            for row in reader.all(
                "EXPLAIN QUERY PLAN " + sql(f"jobs.{statement}"), {"lane": LANE, "owner": "ann"}
            )
        ]
    on_jobs = [step for step in plan if " job" in step or " first" in step]
    assert on_jobs
    for step in on_jobs:
        assert step.startswith("SEARCH"), plan
    assert any("job_claim (lane=? AND owner=?)" in step for step in plan)
    assert not any("TEMP B-TREE" in step for step in plan), plan


def test_small_questions_about_jobs_use_their_indexes(world: World) -> None:
    asked = {
        "running_counts": ((), "job_running"),
        "open_generations": (("x",), "generation_job"),
        "due": ({"now": 1, "farthest": 2}, "job_due"),
        "next_due": ((), "job_due"),
        "open_attempt": (("x",), "attempt_job"),
        "running_of": (("x",), "job_running"),
        "resume": ({"owner": "ann"}, "job_held"),
        "highest_priority": ({"owner": "ann"}, "job_claim"),
    }
    with world.database.reading() as reader:
        for name, (parameters, index) in asked.items():
            plan = reader.all("EXPLAIN QUERY PLAN " + sql(f"jobs.{name}"), parameters)
            assert any(index in row["detail"] for row in plan), (name, [r["detail"] for r in plan])


def test_ten_thousand_waiting_jobs_cost_a_claim_no_more_steps_than_ten(
    world: World, tmp_path: Path
) -> None:
    def steps(queued: int) -> int:
        place = World(tmp_path / f"n{queued}", clock=TurnableClock())
        place.submit(n=queued)
        place.submit(BEN, n=3)
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        def work(tx: Transaction) -> list[JobRecord]:
            tx.db.set_progress_handler(count, 100)
            try:
                return claim.claim(tx, "r1", lanes={LANE: 2}, limit=2)
            finally:
                tx.db.set_progress_handler(None, 0)

        assert len(place.database.write(work).result()) == 2
        place.close()
        return counted

    assert steps(10_000) < 2 * steps(10) + 5
