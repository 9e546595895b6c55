"""A user's place in the queue is what the claims do: the very order, images and not jobs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.job_world import ANN, BEN, FREE, LANE, World
from workbench.domain.records import Identity
from workbench.domain.status import Status
from workbench.ports import Selection

MANY = 100_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "w")
    yield world
    assert world.problems() == []
    world.close()


def claimed_before(world: World, users: list[str], lane: str = LANE) -> dict[str, int]:
    """Of each user, how many images one large claim takes before the first of that user."""
    before: dict[str, int] = {}
    images = 0
    for job in world.claim("oracle", limit=MANY, **{lane: MANY}):
        before.setdefault(job.owner, images)
        images += len(job.slots)
    return {user: before[user] for user in users if user in before}


@pytest.mark.req("FEED-10")
def test_nobody_waits_in_an_empty_queue(world: World) -> None:
    assert world.store.ahead(ANN.user) is None
    world.submit(BEN, n=3)
    assert world.store.ahead(ANN.user) is None
    assert world.store.ahead(BEN.user) == 0


@pytest.mark.req("FEED-10")
def test_owners_take_turns(world: World) -> None:
    world.submit(BEN, n=50)
    world.submit(ANN, n=2)
    assert world.store.ahead(ANN.user) == 1, "one of the other's, and not fifty"
    (job,) = world.claim(limit=1)
    assert job.owner == BEN.user
    assert world.store.ahead(ANN.user) == 0, "whose image runs comes later"
    assert world.store.ahead(BEN.user) == 1
    world.claim(limit=1)
    assert world.store.ahead(ANN.user) == 1, "as many run for each: the older one is next"


@pytest.mark.req("FEED-10")
def test_images_are_counted_and_not_jobs(world: World) -> None:
    batch = world.submit(BEN, n=4, batchable=True)
    world.submit(ANN)
    assert world.store.ahead(ANN.user) == 4
    (_, second, *_) = world.generations(batch)
    world.store.cancel(BEN, Selection(generation_ids=(second.id,))).result()
    assert world.store.ahead(ANN.user) == 3


@pytest.mark.req("FEED-10")
def test_what_is_held_has_no_place(world: World) -> None:
    world.submit(BEN)
    world.submit(ANN)
    world.store.pause(ANN).result()
    assert world.store.ahead(ANN.user) is None
    assert world.store.ahead(BEN.user) == 0
    world.store.resume(ANN).result()
    assert world.store.ahead(ANN.user) == 1
    world.store.pause(BEN).result()
    assert world.store.ahead(ANN.user) == 0


@pytest.mark.req("FEED-10")
def test_a_place_is_one_in_its_own_lane(world: World) -> None:
    for number in range(3):
        world.submit(Identity(f"other-{number}"), lane="other")
    world.submit(BEN)
    world.submit(ANN)
    assert world.store.ahead(ANN.user) == 1
    world.submit(ANN, lane="empty")
    assert world.store.ahead(ANN.user) == 0, "the best of several"


@pytest.mark.req("FEED-10")
def test_a_retry_waits_again_and_an_ended_one_does_not(world: World) -> None:
    world.submit(ANN)
    job = world.one()
    assert world.store.ahead(ANN.user) is None
    world.store.cancel(ANN, Selection(everything=True)).result()
    world.store.finish_job(job.fence).result()
    world.submit(BEN)
    again = world.store.retry(ANN, job.slots[0].generation_id, FREE).result()
    assert again.status is Status.QUEUED
    assert world.store.ahead(ANN.user) == 1


@pytest.mark.req("FEED-10")
@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_order_of_the_claims(world: World, seed: int) -> None:
    """Any mixture of owners, priorities, jobs of several images, work under way and cancels."""
    chance = random.Random(seed)
    users = [f"user-{number:02}" for number in range(chance.randint(2, 9))]
    for _ in range(chance.randint(1, 40)):
        world.submit(
            Identity(chance.choice(users)),
            n=chance.randint(1, 4),
            batchable=chance.random() < 0.4,
            priority=chance.choice((0, 0, 0, 5, -3)),
            lane=chance.choice((LANE, LANE, LANE, "other")),
        )
        if chance.random() < 0.4:
            world.claim("r1", limit=chance.randint(1, 3))
        if chance.random() < 0.2:
            mine = Identity(chance.choice(users))
            waiting = world.rows(
                "SELECT id FROM generation WHERE owner = ? AND status = 'queued'", mine.user
            )
            if waiting:
                one = Selection(generation_ids=(chance.choice(waiting)["id"],))
                act = chance.choice((world.store.cancel, world.store.run_next))
                act(mine, one).result()
    # Places are those of a lane; the other one is emptied, so that each user has one place.
    world.claim("r2", limit=MANY, other=MANY)
    told = {user: world.store.ahead(user) for user in users}
    expected = claimed_before(world, users)
    assert told == {user: expected.get(user) for user in users}


@pytest.mark.req("FEED-10")
def test_fifty_visitors_with_two_hundred_images(world: World) -> None:
    users = [f"visitor-{number:032x}" for number in range(50)]
    chance = random.Random(4)
    for user in chance.sample(users * 4, 200):
        world.submit(Identity(user))
    world.claim("r1", limit=7)
    told = {user: world.store.ahead(user) for user in users}
    assert told == claimed_before(world, users)
    assert min(place for place in told.values() if place is not None) == 0
