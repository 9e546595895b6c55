"""Short words for what the contract tests do all the time, in terms of `ports.Store` alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from workbench.domain.records import (
    AssetRecord,
    BatchRecord,
    ChangeRecord,
    GenerationRecord,
    Identity,
)
from workbench.domain.status import ErrorKind
from workbench.domain.submissions import NewBatch, NewImport
from workbench.ports import Failure, Outcome, Store

ADA = Identity("ada", team="crew")
BOB = Identity("bob", team="crew")
EVE = Identity("eve")
OPERATOR = Identity("root", all_users=True)
MISSING = "0" * 26  # the form of an id, but nobody's
LANES = {"painter": 1_000}
VISITOR = Identity("visitor-" + "a" * 32)
DAY_MS = 86_400_000
CENT = 10_000  # in micro-dollars


class TurnableClock:
    """Time that tests turn."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


def asset(name: str, *, source: str = "generation") -> AssetRecord:
    """The record of an image that need not be there."""
    id = hashlib.sha256(name.encode()).hexdigest()
    return AssetRecord(id, "image", "image/png", 64, 48, 1234, 1, None, source, 1_800_000_000_000)


def request(identity: Identity = ADA, *, n: int = 1, **changes: Any) -> NewBatch:
    """A request for `n` free pictures, unless `changes` say otherwise."""
    fields: dict[str, Any] = {
        "identity": identity,
        "topic_id": None,
        "prompt": "a red fox in the snow",
        "negative_prompt": None,
        "provider": "painter",
        "model": "painter:oil",
        "n": n,
        "seed": 7,
        "seeds": tuple(range(7, 7 + n)),
        "width": 512,
        "height": 512,
        "params": {"steps": 20},
    }
    return NewBatch(**(fields | changes))


def submit(store: Store, identity: Identity = ADA, *, n: int = 1, **changes: Any) -> BatchRecord:
    return store.submit_batch(request(identity, n=n, **changes)).result()


def finish(store: Store, *, fail: bool = False, only: str | None = None) -> list[str]:
    """Claim everything that is queued and end it; returns the generations' ids.

    With `only`, one generation is completed and the others are given back.
    """
    ended = []
    for job in store.claim("r1", lanes=LANES, limit=1_000).result():
        for slot in job.slots:
            if only is not None and slot.generation_id != only:
                continue
            if fail:
                failure = Failure(ErrorKind.TRANSIENT, "provider", {"text": "the brush broke"})
                store.fail(job.fence, [slot.generation_id], failure).result()
            else:
                picture = asset(f"picture of {slot.generation_id}")
                outcome = Outcome(slot.generation_id, picture, slot.seed)
                assert store.complete(job.fence, outcome).result()
            ended.append(slot.generation_id)
        store.hand_over(job.fence).result()
    return ended


def make(store: Store, identity: Identity = ADA, *, n: int = 1, **changes: Any) -> BatchRecord:
    """A batch whose pictures are completed."""
    batch = submit(store, identity, n=n, **changes)
    finish(store)
    return batch


def pictures(store: Store, batch: BatchRecord) -> list[GenerationRecord]:
    return store.batch_generations(OPERATOR, batch.id)


def bring_in(
    store: Store, identity: Identity = ADA, *names: str, topic_id: str | None = None
) -> BatchRecord:
    items = tuple((asset(name, source="upload"), name) for name in names)
    return store.import_images(NewImport(identity, topic_id, items)).result()


def changes_since(store: Store, identity: Identity, cursor: str) -> list[ChangeRecord]:
    return list(_changes(store, identity, cursor))


def _changes(store: Store, identity: Identity, cursor: str) -> Iterator[ChangeRecord]:
    more = True
    while more:
        page = store.changes(identity, cursor)
        assert not page.reset
        yield from page.items
        cursor, more = page.cursor, page.has_more


def start_of_feed(store: Store) -> str:
    """The cursor before the first change (cursors are opaque; only tests may do this)."""
    version, feed_id, _ = store.cursor().split(".")
    return f"{version}.{feed_id}.0"
