"""What becomes of claimed work: progress, pictures, failures, unknown ends, and the money."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.job_world import (
    ANN,
    BROKEN,
    FREE,
    PRICE,
    TOKENS,
    World,
    asset,
    picture,
)
from workbench.domain.jobs import Progress
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind, Status
from workbench.errors import InsufficientBalance, InvalidRequest, NotAllowed
from workbench.ports import Failure, Selection


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "w")
    yield world
    assert world.problems() == []
    world.close()


@pytest.mark.req("LIVE-4")
def test_progress_only_grows_within_an_attempt(world: World) -> None:
    world.submit(n=2, batchable=True)
    job = world.one()
    a, b = (slot.generation_id for slot in job.slots)
    steps = [
        Progress(a, 0.2, step=4, total=20),
        Progress(b, 0.5, step=10, total=20, preview=2),
        Progress(a, 0.1, step=2, total=20),
        Progress(b, 0.4, step=8, preview=1),
    ]
    assert world.store.report_progress(job.fence, steps).result()
    one, two = world.generation(a), world.generation(b)
    assert (one.progress, one.step, one.total_steps) == (0.2, 4, 20)
    assert (two.progress, two.step, two.preview) == (0.5, 10, 2)
    world.store.report_progress(job.fence, [Progress(a, 7.0), Progress(b, -1.0)]).result()
    assert (world.generation(a).progress, world.generation(b).progress) == (1.0, 0.5)


def test_progress_that_says_nothing_new_writes_nothing(world: World) -> None:
    world.submit()
    job = world.one()
    id = job.slots[0].generation_id
    step = Progress(id, 0.3, step=6, total=20, detail_key="log", detail_args={"text": "sky"})
    world.store.report_progress(job.fence, [step]).result()
    before = world.last_change()
    for same in (step, step, Progress(id, 0.1, detail_key="log", detail_args={"text": "sky"})):
        assert world.store.report_progress(job.fence, [same]).result()
    assert world.store.report_progress(job.fence, [Progress("elsewhere", 0.9)]).result()
    assert world.store.report_progress(job.fence, []).result()
    assert world.last_change() == before


def test_the_providers_queue_shows_as_queued_with_its_position(world: World) -> None:
    world.submit()
    job = world.one()
    id = job.slots[0].generation_id
    args: dict[str, JsonValue] = {"position": 3}
    waiting = Progress(id, 0.0, queued=True, detail_key="provider_queue", detail_args=args)
    world.store.report_progress(job.fence, [waiting]).result()
    shown = world.generation(id)
    assert (shown.status, shown.detail) == (Status.QUEUED, "provider queue #3")
    assert world.problems() == []
    world.store.report_progress(job.fence, [Progress(id, 0.1)]).result()
    shown = world.generation(id)
    assert (shown.status, shown.detail) == (Status.PROCESSING, "")


def test_a_progress_change_is_small_and_tells_the_whole_state(world: World) -> None:
    world.submit(prompt="x" * 5_000, params={"long": "y" * 3_000})
    job = world.one()
    world.store.report_progress(job.fence, [Progress(job.slots[0].generation_id, 0.5)]).result()
    (row,) = world.rows("SELECT data FROM change ORDER BY seq DESC LIMIT 1")
    assert len(row["data"]) < 400
    for name in ("status", "progress", "step", "total_steps", "attempt", "detail_key", "preview"):
        assert f'"{name}"' in row["data"]


@pytest.mark.req("TOK-2")
def test_a_picture_its_asset_its_cover_and_its_price_arrive_together(world: World) -> None:
    world.grant(micro=10 * TOKENS)
    batch = world.submit(n=2, price=PRICE)
    assert world.balance() == 8 * TOKENS
    one, two = world.claim()
    assert world.complete(one, seed=99, prompt_sent="a red fox, oil", detail_key="cached")
    done, open_one = world.generations(batch)
    assert (done.status, done.progress, done.seed) == (Status.COMPLETED, 1.0, 99)
    assert (done.prompt_sent, done.detail_key) == ("a red fox, oil", "cached")
    assert (done.cost_micro, done.unit, done.charged) == (TOKENS, "token", True)
    assert done.asset_id == asset(done.id).id
    assert world.kinds(done.id) == ["reserve", "settle"]
    assert world.balance() == 8 * TOKENS
    assert world.job(one.id)["state"] == "ended"
    (topic,) = world.rows("SELECT cover_generation_id FROM topic")
    assert topic["cover_generation_id"] == done.id
    # A sibling that comes later is no new cover.
    assert world.complete(two)
    (topic,) = world.rows("SELECT cover_generation_id FROM topic")
    assert topic["cover_generation_id"] == done.id
    assert open_one.id


def test_a_picture_is_stored_once_however_often_it_is_reported(world: World) -> None:
    world.grant()
    world.submit(price=PRICE)
    job = world.one()
    assert world.complete(job)
    before, balance = world.last_change(), world.balance()
    assert not world.complete(job)
    assert world.store.fail(job.fence, [job.slots[0].generation_id], BROKEN).result() == 0
    assert not world.store.report_progress(
        job.fence, [Progress(job.slots[0].generation_id, 0.1)]
    ).result()
    assert world.store.finish_job(job.fence).result()
    assert (world.last_change(), world.balance()) == (before, balance)


def test_the_same_bytes_are_one_asset_and_one_insert(world: World) -> None:
    world.submit(n=2)
    for job in world.claim():
        assert world.complete(job, asset=asset("the same"))
    assert len(world.rows("SELECT 1 FROM asset")) == 1
    assert len(world.rows("SELECT 1 FROM change WHERE entity = 'asset'")) == 1


@pytest.mark.parametrize(
    ("named", "unit", "cost", "left"),
    [
        (500_000, "token", 500_000, 9_500_000),
        (3_000_000, None, 3_000_000, 7_000_000),
        (20_000_000, "token", 20_000_000, -10_000_000),
        (0, "token", 0, 10_000_000),
        (40_000, "USD", TOKENS, 8_000_000),  # another currency cannot be set against tokens
        (None, None, TOKENS, 8_000_000),
    ],
)
def test_what_the_provider_charged_is_what_is_booked(
    world: World, named: int | None, unit: str | None, cost: int, left: int
) -> None:
    world.grant(micro=10_000_000)
    batch = world.submit(price=PRICE)
    job = world.one()
    assert world.complete(job, cost_micro=named, unit=unit)
    (done,) = world.generations(batch)
    assert (done.cost_micro, done.unit, done.charged) == (cost, "token", cost > 0)
    assert world.balance() == left


def test_a_cost_without_a_price_is_booked_in_its_own_unit(world: World) -> None:
    batch = world.submit()
    assert world.complete(world.one(), cost_micro=40_000, unit="USD")
    (done,) = world.generations(batch)
    assert (done.cost_micro, done.unit) == (40_000, "USD")
    assert world.balance(unit="USD") == -40_000


def test_free_pictures_book_nothing(world: World) -> None:
    batch = world.submit(n=2)
    one, two = world.claim()
    world.complete(one)
    world.store.fail(two.fence, [two.slots[0].generation_id], BROKEN).result()
    assert world.rows("SELECT 1 FROM ledger") == []
    assert [one.cost for one in world.generations(batch)] == [0, 0]


def test_one_failed_picture_leaves_its_siblings_alone(world: World) -> None:
    world.grant(micro=10 * TOKENS)
    batch = world.submit(n=3, batchable=True, price=PRICE)
    job = world.one()
    assert world.complete(job, slot=0)
    failed = job.slots[1].generation_id
    assert world.store.fail(job.fence, [failed], BROKEN).result() == 1
    assert world.store.unfinished(job.fence) == (job.slots[2].generation_id,)
    assert world.job(job.id)["state"] == "running"
    assert world.complete(job, slot=2)
    one, two, three = world.generations(batch)
    assert [g.status.value for g in (one, two, three)] == ["completed", "failed", "completed"]
    assert two.error is not None
    assert (two.error.kind, two.error.message) == (ErrorKind.TRANSIENT, "the brush broke")
    assert world.kinds(failed) == ["reserve", "release"]
    assert world.balance() == 8 * TOKENS
    assert world.job(job.id)["state"] == "ended"


def test_a_failure_that_was_charged_costs_the_reserved_price_and_says_so(world: World) -> None:
    world.grant(micro=10 * TOKENS)
    batch = world.submit(price=PRICE)
    job = world.one()
    failure = Failure(ErrorKind.BLOCKED, "provider", {"text": "refused"}, charged=True)
    world.store.fail(job.fence, [job.slots[0].generation_id], failure).result()
    (failed,) = world.generations(batch)
    assert failed.error is not None
    assert failed.error.charged
    assert failed.cost_micro == TOKENS
    assert world.balance() == 9 * TOKENS


def test_a_provider_that_ends_without_pictures_fails_what_is_open(world: World) -> None:
    world.grant(micro=10 * TOKENS)
    batch = world.submit(n=2, batchable=True, price=PRICE)
    job = world.one()
    world.complete(job)
    assert world.store.finish_job(job.fence).result()
    done, lost = world.generations(batch)
    assert (done.status, lost.status) == (Status.COMPLETED, Status.FAILED)
    assert lost.error is not None
    assert "without a picture" in lost.error.message
    assert world.balance() == 9 * TOKENS


@pytest.mark.req("TOK-5")
def test_a_paid_call_without_a_known_end_waits_for_a_person(world: World) -> None:
    world.grant(micro=10 * TOKENS)
    batch = world.submit(n=2, batchable=True, price=PRICE)
    job = world.one()
    world.submitted(job)
    assert world.store.mark_unknown(job.fence, reason="no answer").result()
    for one in world.generations(batch):
        assert (one.status, one.detail) == (Status.PROCESSING, "outcome_unknown")
        assert one.detail_args == {"reason": "no answer"}
    assert world.balance() == 8 * TOKENS
    assert world.claim("r2") == []
    assert not world.complete(job)
    assert world.store.requeue_dead("r1").result() == 0
    (attempt,) = world.rows("SELECT state FROM attempt")
    assert attempt["state"] == "unknown"
    # A cancel does not make it known.
    result = world.store.cancel(ANN, Selection(batch_id=batch.id)).result()
    assert result.cancelled == ()
    assert len(result.already_ended) == 2


@pytest.mark.req("TOK-5")
@pytest.mark.parametrize(
    ("said", "balance", "kinds"),
    [
        ("charged", 9 * TOKENS, ["reserve", "settle"]),
        ("not_charged", 10 * TOKENS, ["reserve", "release"]),
        ("retry", 9 * TOKENS, ["reserve", "release"]),
    ],
)
def test_a_person_settles_an_unknown_outcome(
    world: World, said: str, balance: int, kinds: list[str]
) -> None:
    world.grant(micro=10 * TOKENS)
    batch = world.submit(price=PRICE)
    (asked,) = world.generations(batch)
    job = world.one()
    world.store.mark_unknown(job.fence, reason="?").result()
    with pytest.raises(InvalidRequest, match="charged, not_charged, retry"):
        world.store.resolve_unknown(ANN, asked.id, "perhaps").result()
    answer = world.store.resolve_unknown(ANN, asked.id, said).result()
    settled = world.generation(asked.id)
    assert settled.status is Status.FAILED
    assert settled.error is not None
    assert settled.error.kind is ErrorKind.UNKNOWN_OUTCOME
    assert settled.error.charged is (said == "charged")
    assert settled.cost_micro == (TOKENS if said == "charged" else 0)
    assert world.kinds(asked.id) == kinds
    assert world.balance() == balance
    assert world.job(job.id)["state"] == "ended"
    if said == "retry":
        assert (answer.retry_of, answer.status) == (asked.id, Status.QUEUED)
        assert world.kinds(answer.id) == ["reserve"]
        assert world.complete(world.one("r2"))
    else:
        assert answer.id == asked.id
    with pytest.raises(NotAllowed, match="known"):
        world.store.resolve_unknown(ANN, asked.id, said).result()


def test_a_retry_of_an_unknown_outcome_that_cannot_be_paid_changes_nothing(world: World) -> None:
    world.grant(micro=TOKENS)
    world.submit(price=PRICE)
    first = world.one()
    world.store.mark_unknown(first.fence, reason="?").result()
    world.submit(price=FREE)
    # A cost above the price took the balance below 0 meanwhile.
    assert world.complete(world.one(), cost_micro=TOKENS, unit="token")
    before = world.last_change()
    with pytest.raises(InsufficientBalance):
        world.store.resolve_unknown(ANN, first.slots[0].generation_id, "retry").result()
    assert world.last_change() == before


@pytest.mark.req("PRV-4")
def test_a_late_paid_picture_of_a_cancelled_one_is_kept_and_booked(world: World) -> None:
    world.grant(micro=TOKENS)
    batch = world.submit(price=PRICE)
    job = world.one()
    (cancelled,) = world.generations(batch)
    world.store.cancel(ANN, Selection(generation_ids=(cancelled.id,))).result()
    assert world.balance() == TOKENS
    # The money went elsewhere meanwhile: what is spent is spent.
    world.submit(price=PRICE)
    late = world.store.adopt_late(job.fence, picture(cancelled.id, seed=5)).result()
    assert late is not None
    assert (late.status, late.retry_of, late.index) == (Status.COMPLETED, cancelled.id, 0)
    assert (late.cost_micro, late.seed, late.batch_id) == (TOKENS, 5, batch.id)
    assert late.asset_id == asset(cancelled.id).id
    assert world.balance() == -TOKENS
    again = world.store.adopt_late(job.fence, picture(cancelled.id, seed=5)).result()
    assert again is not None
    assert again.id == late.id
    assert world.balance() == -TOKENS
    assert world.generation(cancelled.id).status is Status.CANCELLED
    assert world.store.finish_job(job.fence).result()


def test_a_late_picture_is_taken_even_after_its_sibling_ended_the_job(world: World) -> None:
    batch = world.submit(n=2, batchable=True)
    job = world.one()
    first = job.slots[0].generation_id
    world.store.cancel(ANN, Selection(generation_ids=(first,))).result()
    assert world.complete(job, slot=1)
    assert world.job(job.id)["state"] == "ended"
    assert world.store.adopt_late(job.fence, picture(first)).result() is not None
    assert [one.status.value for one in world.generations(batch)] == [
        "cancelled",
        "completed",
        "completed",
    ]


def test_a_late_picture_of_a_trashed_one_lies_in_the_trash_with_it(world: World) -> None:
    batch = world.submit(n=2)
    job = world.claim()[0]
    id = job.slots[0].generation_id
    world.store.trash(ANN, "generation", id).result()
    late = world.store.adopt_late(job.fence, picture(id)).result()
    assert late is not None
    assert late.deleted_at == world.generation(id).deleted_at is not None
    assert world.store.topic(ANN, batch.topic_id).cover_generation_id is None
    assert world.store.finish_job(job.fence).result()


def test_only_ended_pictures_can_be_late(world: World) -> None:
    world.submit(n=2, batchable=True)
    job = world.one()
    open_id = job.slots[0].generation_id
    assert world.store.adopt_late(job.fence, picture(open_id)).result() is None
    world.complete(job, slot=1)
    done = job.slots[1].generation_id
    assert world.store.adopt_late(job.fence, picture(done)).result() is None


def test_the_feed_row_of_an_end_carries_what_a_view_shows(world: World) -> None:
    batch = world.submit()
    job = world.one()
    world.store.fail(job.fence, [job.slots[0].generation_id], BROKEN).result()
    (row,) = world.rows(
        "SELECT data, topic_id FROM change WHERE entity = 'generation' ORDER BY seq DESC LIMIT 1"
    )
    for name in ("status", "batch_id", "idx", "error_kind", "error_args", "charged", "finished_at"):
        assert f'"{name}"' in row["data"]
    assert row["topic_id"] == batch.topic_id
