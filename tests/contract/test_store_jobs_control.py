"""What people do with waiting and running work: cancel, pause, run next, edit, retry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.job_world import (
    ANN,
    BEN,
    BROKEN,
    FREE,
    OPERATOR,
    PRICE,
    TOKENS,
    World,
    asset,
)
from workbench.domain.ids import new_id
from workbench.domain.records import AssetRecord, GenerationRecord, Identity
from workbench.domain.status import Status
from workbench.domain.submissions import NewInput
from workbench.errors import InsufficientBalance, InvalidRequest, NotAllowed, NotFound
from workbench.ports import Selection


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "w")
    yield world
    assert world.problems() == []
    world.close()


def failed(world: World, identity: Identity = ANN, **changes: Any) -> GenerationRecord:
    """A generation that failed."""
    batch = world.submit(identity, **changes)
    job = world.one()
    world.store.fail(job.fence, [job.slots[0].generation_id], BROKEN).result()
    return world.generations(batch)[0]


@pytest.mark.req("FEED-10", "TOK-2")
def test_cancelling_a_batch_ends_what_is_open_and_gives_the_money_back(world: World) -> None:
    world.grant(micro=10 * TOKENS)
    batch = world.submit(n=4, price=PRICE)
    neighbour = world.submit(price=PRICE)
    done, broken = world.claim(limit=2)
    world.complete(done)
    world.store.fail(broken.fence, [broken.slots[0].generation_id], BROKEN).result()
    running = world.one()
    result = world.store.cancel(ANN, Selection(batch_id=batch.id)).result()
    ids = [one.id for one in world.generations(batch)]
    assert list(result.cancelled) == ids[2:]
    assert list(result.already_ended) == ids[:2]
    assert [one.status.value for one in world.generations(batch)] == [
        "completed",
        "failed",
        "cancelled",
        "cancelled",
    ]
    assert world.generations(neighbour)[0].status is Status.QUEUED
    assert world.balance() == 8 * TOKENS  # one picture and the neighbour's reservation
    # The queued job is ended, the running one is left to its runner, who is told.
    assert world.job_of(ids[3])["state"] == "ended"
    told = world.job(running.id)
    assert (told["state"], told["cancel_requested"]) == ("running", 1)
    assert world.store.unfinished(running.fence) == ()
    assert world.store.finish_job(running.fence).result()
    assert world.job(running.id)["state"] == "ended"


def test_cancelling_one_picture_of_a_call_leaves_the_call_running(world: World) -> None:
    batch = world.submit(n=2, batchable=True)
    job = world.one()
    one, two = world.generations(batch)
    world.store.cancel(ANN, Selection(generation_ids=(one.id,))).result()
    assert world.job(job.id)["cancel_requested"] == 0
    assert world.store.unfinished(job.fence) == (two.id,)
    assert world.complete(job, slot=1)


def test_cancelling_what_has_ended_reports_it_and_changes_nothing(world: World) -> None:
    one = failed(world)
    before = world.last_change()
    twice = Selection(generation_ids=(one.id, one.id))
    result = world.store.cancel(ANN, twice).result()
    assert (result.cancelled, result.already_ended) == ((), (one.id,))
    assert world.last_change() == before
    assert world.store.cancel(ANN, Selection()).result().cancelled == ()


def test_nobody_cancels_somebody_elses_pictures(world: World) -> None:
    hers = world.submit(ANN)
    (one,) = world.generations(hers)
    selections = [
        Selection(generation_ids=(one.id,)),
        Selection(batch_id=hers.id),
        Selection(topic_id=hers.topic_id),
    ]
    for selection in selections:
        with pytest.raises(NotFound):
            world.store.cancel(BEN, selection).result()
    for nowhere in (new_id(), "no id", ""):
        with pytest.raises(NotFound):
            world.store.cancel(ANN, Selection(generation_ids=(one.id, nowhere))).result()
    world.alter("UPDATE topic SET visibility = 'workspace', rev = rev WHERE id = ?", hers.topic_id)
    for selection in selections[:2]:
        with pytest.raises(NotAllowed, match="ann"):
            world.store.cancel(BEN, selection).result()
    assert world.store.cancel(BEN, selections[2]).result().cancelled == ()
    assert world.store.cancel(BEN, Selection(everything=True)).result().cancelled == ()
    assert world.generation(one.id).status is Status.QUEUED
    assert world.store.cancel(OPERATOR, Selection(everything=True)).result().cancelled == (one.id,)


def test_cancel_by_topic_and_all_mean_the_callers_open_pictures(world: World) -> None:
    first = world.submit(ANN, n=2)
    second = world.submit(ANN)
    bens = world.submit(BEN)
    done = world.one()
    world.complete(done)
    result = world.store.cancel(ANN, Selection(topic_id=first.topic_id)).result()
    assert result.cancelled == (world.generations(first)[1].id,)
    assert result.already_ended == ()
    result = world.store.cancel(ANN, Selection(everything=True)).result()
    assert result.cancelled == (world.generations(second)[0].id,)
    assert world.generations(bens)[0].status is Status.QUEUED


def test_ten_thousand_pictures_are_cancelled_in_one_transaction(world: World) -> None:
    world.grant()
    world.submit(n=10_000, price=PRICE)
    commits: list[None] = []
    end = world.database.on_commit(lambda: commits.append(None))
    result = world.store.cancel(ANN, Selection(everything=True)).result()
    end()
    assert len(result.cancelled) == 10_000
    assert len(commits) == 1
    assert world.balance() == 10**12
    assert world.claim() == []


@pytest.mark.req("FEED-10")
def test_pause_holds_the_own_queue_and_what_is_still_to_come(world: World) -> None:
    world.submit()
    job = world.one()
    waiting = world.submit(n=2)
    world.submit(BEN)
    assert not world.store.paused(ANN)
    assert world.store.pause(ANN).result() == 2
    assert world.store.paused(ANN)
    assert not world.store.paused(BEN)
    later = world.submit()
    for one in (*world.generations(waiting), *world.generations(later)):
        assert (one.status, one.detail) == (Status.PENDING, "paused")
    assert [job.owner for job in world.claim("r2")] == ["ben"]
    assert world.complete(job)  # what runs goes on
    assert world.store.pause(ANN).result() == 0
    assert world.store.resume(ANN).result() == 3
    assert not world.store.paused(ANN)
    for one in world.generations(waiting):
        assert (one.status, one.detail) == (Status.QUEUED, "")
    assert len(world.claim()) == 3


def test_an_operators_pause_holds_everybody_and_spares_nobodys_own_pause(world: World) -> None:
    world.submit(ANN)
    world.submit(BEN)
    world.store.pause(BEN).result()
    assert world.store.pause(OPERATOR).result() == 1
    assert world.store.paused(ANN)
    assert world.store.paused(BEN)
    world.submit(ANN)
    assert world.store.resume(ANN).result() == 0  # not hers to end
    assert world.claim() == []
    assert world.store.resume(OPERATOR).result() == 2
    assert not world.store.paused(ANN)
    assert world.store.paused(BEN)
    assert [job.owner for job in world.claim()] == ["ann", "ann"]
    assert world.store.resume(BEN).result() == 1


def test_run_next_puts_pictures_first_and_keeps_their_order(world: World) -> None:
    batches = [world.submit(prompt=name) for name in "abcd"]
    ids = {batch.prompt: world.generations(batch)[0].id for batch in batches}
    moved = world.store.run_next(ANN, Selection(generation_ids=(ids["d"], ids["c"]))).result()
    assert moved == 2
    assert world.store.run_next(ANN, Selection(batch_id=batches[1].id)).result() == 1
    assert [job.prompt for job in world.claim()] == ["b", "c", "d", "a"]
    assert world.store.run_next(ANN, Selection(everything=True)).result() == 0
    with pytest.raises(NotFound):
        world.store.run_next(BEN, Selection(generation_ids=(ids["a"],))).result()


def test_run_next_works_while_paused(world: World) -> None:
    world.submit(prompt="a")
    second = world.submit(prompt="b")
    world.store.pause(ANN).result()
    assert world.store.run_next(ANN, Selection(batch_id=second.id)).result() == 1
    world.store.resume(ANN).result()
    assert [job.prompt for job in world.claim()] == ["b", "a"]


@pytest.mark.req("FEED-10")
def test_a_waiting_picture_can_be_edited(world: World) -> None:
    batch = world.submit()
    (one,) = world.generations(batch)
    changes = {
        "seed": 42,
        "width": 768,
        "height": 640,
        "params": {"steps": 30},
        "prompt_sent": "a blue fox",
    }
    edited = world.store.edit_queued(ANN, one.id, changes).result()
    assert (edited.seed, edited.width, edited.height) == (42, 768, 640)
    assert (edited.params, edited.prompt_sent) == ({"steps": 30}, "a blue fox")
    assert edited.rev == one.rev + 1
    job = world.one()
    assert (job.prompt, job.params, job.width) == ("a blue fox", {"steps": 30}, 768)
    assert job.slots[0].seed == 42
    # Nothing given: nothing written.
    other = world.generations(world.submit())[0]
    before = world.last_change()
    world.store.edit_queued(ANN, other.id, {}).result()
    assert world.last_change() == before


def test_an_edited_picture_of_a_shared_call_gets_a_call_of_its_own(world: World) -> None:
    batch = world.submit(n=3, batchable=True)
    one, two, three = world.generations(batch)
    world.store.edit_queued(ANN, one.id, {"seed": 1}).result()
    world.store.edit_queued(ANN, two.id, {"params": {"steps": 5}}).result()
    jobs = world.claim()
    slots = [[slot.generation_id for slot in job.slots] for job in jobs]
    assert slots == [[one.id, three.id], [two.id]]
    assert [job.params for job in jobs] == [{"steps": 20}, {"steps": 5}]
    assert jobs[0].slots[0].seed == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", "x"),
        ("status", "completed"),
        ("id; DROP TABLE job", 1),
        ("seed", "7"),
        ("seed", True),
        ("seed", -1),
        ("seed", 2**63),
        ("width", 0),
        ("width", 512.0),
        ("height", 10**9),
        ("params", [1]),
        ("params", {"a": float("nan")}),
        ("params", {1: 2}),
        ("params", {"a": object()}),
        ("prompt_sent", ""),
        ("prompt_sent", "x" * 10_001),
        ("prompt_sent", "\ud800"),
        ("prompt_sent", 7),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(world: World, name: str, value: object) -> None:
    (one,) = world.generations(world.submit())
    before = world.last_change()
    with pytest.raises(InvalidRequest) as caught:
        world.store.edit_queued(ANN, one.id, {"seed": 5, name: value}).result()
    assert caught.value.field == name or caught.value.field.startswith(name)
    assert world.last_change() == before


def test_what_runs_was_sent_or_has_ended_cannot_be_edited(world: World) -> None:
    one = world.generations(world.submit())[0]
    job = world.one()
    with pytest.raises(NotAllowed, match="processing"):
        world.store.edit_queued(ANN, one.id, {"seed": 1}).result()
    world.submitted(job)
    world.store.requeue_dead("r1").result()
    with pytest.raises(NotAllowed, match="already sent"):
        world.store.edit_queued(ANN, one.id, {"seed": 1}).result()
    with pytest.raises(NotFound):
        world.store.edit_queued(BEN, one.id, {"seed": 1}).result()
    world.store.cancel(ANN, Selection(generation_ids=(one.id,))).result()
    with pytest.raises(NotAllowed, match="cancelled"):
        world.store.edit_queued(ANN, one.id, {"seed": 1}).result()


@pytest.mark.req("STA-5")
def test_a_retry_is_a_new_picture_in_the_same_place_with_the_same_seed(world: World) -> None:
    world.grant(micro=10 * TOKENS)
    source: AssetRecord = asset("reference")
    old = failed(world, price=PRICE, inputs=(NewInput(source, "reference", 0),))
    new = world.store.retry(ANN, old.id, PRICE).result()
    assert (new.retry_of, new.batch_id, new.index, new.seed) == (old.id, old.batch_id, 0, old.seed)
    assert (new.status, new.attempt, new.progress, new.error) == (Status.QUEUED, 0, 0.0, None)
    assert new.seq > old.seq
    assert (new.unit, new.rate_version) == ("token", 3)
    assert world.balance() == 9 * TOKENS
    job = world.one()
    assert [slot.generation_id for slot in job.slots] == [new.id]
    assert [entry[0] for entry in job.inputs] == [source.id]
    assert world.complete(job)
    kept = world.generation(old.id)
    assert kept.error is not None
    assert kept.rev == old.rev
    assert world.balance() == 9 * TOKENS


def test_a_double_click_on_retry_retries_once(world: World) -> None:
    old = failed(world)
    first = world.store.retry(ANN, old.id, FREE)
    second = world.store.retry(ANN, old.id, FREE)
    assert first.result().id == second.result().id
    job = world.one()
    world.store.fail(job.fence, [job.slots[0].generation_id], BROKEN).result()
    assert world.store.retry(ANN, old.id, FREE).result().id != first.result().id


def test_a_retry_while_paused_waits_like_the_rest(world: World) -> None:
    old = failed(world)
    world.store.pause(ANN).result()
    new = world.store.retry(ANN, old.id, FREE).result()
    assert (new.status, new.detail) == (Status.PENDING, "paused")
    assert world.claim() == []
    world.store.resume(ANN).result()
    assert len(world.claim()) == 1


def test_only_failed_and_cancelled_pictures_are_retried(world: World) -> None:
    batch = world.submit(n=4)
    done, unknown, running, queued = world.generations(batch)
    first, second, _third = world.claim(limit=3)
    world.complete(first)
    world.store.mark_unknown(second.fence, reason="?").result()
    before = world.last_change()
    for one, word in ((done, "complete"), (unknown, "settle"), (running, "processing")):
        with pytest.raises(NotAllowed, match=word):
            world.store.retry(ANN, one.id, FREE).result()
    with pytest.raises(NotAllowed, match="queued"):
        world.store.retry(ANN, queued.id, FREE).result()
    with pytest.raises(NotFound):
        world.store.retry(BEN, queued.id, FREE).result()
    assert world.last_change() == before
    world.store.cancel(ANN, Selection(generation_ids=(queued.id,))).result()
    assert world.store.retry(ANN, queued.id, FREE).result().retry_of == queued.id


def test_a_retry_that_cannot_be_paid_changes_nothing(world: World) -> None:
    old = failed(world)
    world.grant(micro=TOKENS - 1)
    before = world.last_change()
    with pytest.raises(InsufficientBalance, match="balance"):
        world.store.retry(ANN, old.id, PRICE).result()
    assert world.last_change() == before
    assert world.claim() == []
    assert world.balance() == TOKENS - 1


def test_the_operators_retry_is_paid_by_the_owner(world: World) -> None:
    world.grant(ANN, 5 * TOKENS)
    old = failed(world)
    new = world.store.retry(OPERATOR, old.id, PRICE).result()
    assert new.owner == "ann"
    assert world.balance(ANN) == 4 * TOKENS
    assert world.balance(OPERATOR) == 0
