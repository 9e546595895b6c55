"""The number of pictures that a topic shows, kept by the store through everything that happens."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest

from tests.contract.store_world import (
    ADA,
    LANES,
    MISSING,
    TurnableClock,
    asset,
    bring_in,
    finish,
    submit,
)
from workbench.domain.records import Price
from workbench.errors import NotAllowed, NotFound
from workbench.ports import Outcome, Selection, Store

STEPS = 300
ENTITIES = ("generation", "batch", "topic")


class Life:
    """Random things that happen to the pictures of two topics."""

    def __init__(self, store: Store, clock: TurnableClock, seed: int) -> None:
        self.store = store
        self.clock = clock
        self.draw = random.Random(seed)
        self.topics = [store.create_topic(ADA, name).result().id for name in ("one", "two")]
        self.trashed: list[tuple[str, str]] = []
        self.late_ones = 0
        self.acts: list[Callable[[], object]] = [
            *[self.ask] * 2,
            lambda: finish(store),
            lambda: finish(store, fail=True),
            self.late,
            *[self.retry] * 3,
            *[self.throw] * 3,
            *[self.bring_back] * 2,
            self.purge,
            lambda: bring_in(store, ADA, f"import {self.draw.random()}"),
        ]

    def step(self) -> None:
        self.clock.ms += 1
        # What has ended, is in the trash, or was purged refuses some of this.
        with contextlib.suppress(NotAllowed, NotFound):
            self.draw.choice(self.acts)()

    def row(self) -> tuple[str, str, str]:
        """Ids of some generation, mostly a young one, of its batch and of its topic."""
        _, rows = self.store.sql("SELECT id, batch_id, topic_id FROM generation ORDER BY seq")
        if self.draw.random() < 0.8:
            rows = rows[-6:]
        return self.draw.choice(rows or [(MISSING, MISSING, MISSING)])  # type: ignore[return-value]

    def ask(self) -> None:
        submit(self.store, n=self.draw.randrange(1, 4), topic_id=self.draw.choice(self.topics))

    def late(self) -> None:
        """A paid result for a picture that was cancelled, and perhaps tried again, meanwhile."""
        for job in self.store.claim("r1", lanes=LANES, limit=1).result():
            slot = job.slots[0].generation_id
            self.store.cancel(ADA, Selection(generation_ids=(slot,))).result()
            if self.draw.random() < 0.5:
                self.store.retry(ADA, slot, Price()).result()
            outcome = Outcome(slot, asset(f"late {slot}"), 7)
            self.late_ones += self.store.adopt_late(job.fence, outcome).result() is not None
            self.store.finish_job(job.fence).result()

    def retry(self) -> None:
        self.store.retry(ADA, self.row()[0], Price()).result()

    def throw(self) -> None:
        place = self.draw.choice((0, 0, 0, 1, 1, 2))
        entity, id = ENTITIES[place], self.row()[place]
        self.store.trash(ADA, entity, id).result()
        self.trashed.append((entity, id))

    def bring_back(self) -> None:
        if self.trashed:
            entity, id = self.trashed.pop(self.draw.randrange(len(self.trashed)))
            self.store.restore(ADA, entity, id).result()

    def purge(self) -> None:
        if self.draw.random() < 0.3:
            self.store.purge(ADA).result()
            for place, id in enumerate(self.topics):
                if not self.store.sql("SELECT 1 FROM topic WHERE id = ?", (id,))[1]:
                    self.topics[place] = self.store.create_topic(ADA, "again").result().id


# The definition, in the plainest words of SQL.
COUNTED = """
SELECT g.topic_id, count(*) FROM generation AS g JOIN batch AS b ON b.id = g.batch_id
WHERE g.status = 'completed' AND g.deleted_at IS NULL AND b.deleted_at IS NULL
  AND g.seq = (SELECT max(o.seq) FROM generation AS o
               WHERE o.batch_id = g.batch_id AND o.idx = g.idx AND o.deleted_at IS NULL)
GROUP BY g.topic_id
"""


@pytest.mark.req("TOP-1", "TOP-2", "FEED-8")
@pytest.mark.parametrize("seed", range(3))
def test_the_number_of_pictures_stays_true_whatever_happens(
    store: Store, clock: TurnableClock, seed: int
) -> None:
    life = Life(store, clock, seed)
    seen = set()
    for _ in range(STEPS):
        life.step()
        shown = {id: n for id, n in store.sql("SELECT id, images FROM topic")[1] if n}
        assert shown == dict(store.sql(COUNTED)[1])
        seen.update(shown.values())
    assert len(seen) > 5
    assert life.late_ones > 3


@pytest.mark.req("TOP-1", "FEED-8")
def test_an_index_with_two_pictures_counts_once(store: Store) -> None:
    batch = submit(store)
    (job,) = store.claim("r1", lanes=LANES, limit=1).result()
    slot = job.slots[0].generation_id
    store.cancel(ADA, Selection(generation_ids=(slot,))).result()
    again = store.retry(ADA, slot, Price()).result()
    late = store.adopt_late(job.fence, Outcome(slot, asset("late"), 7)).result()
    assert late is not None

    def images() -> int:
        shown = store.topic_counts(ADA, [batch.topic_id])[batch.topic_id]
        assert dict(store.sql(COUNTED)[1]).get(batch.topic_id, 0) == shown
        return shown

    assert images() == 1
    finish(store)
    assert store.generation(ADA, again.id).asset_id is not None
    assert images() == 1
    store.trash(ADA, "generation", late.id).result()
    assert images() == 1, "the other one is shown instead"
    store.restore(ADA, "generation", late.id).result()
    assert images() == 1
    store.trash(ADA, "generation", again.id).result()
    store.purge(ADA).result()
    assert images() == 1
    store.trash(ADA, "generation", late.id).result()
    assert images() == 0
