"""What visitors may make: counted in the transaction that makes it, so nobody gets past a limit."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contract.store_world import (
    ADA,
    DAY_MS,
    LANES,
    OPERATOR,
    TurnableClock,
    asset,
    changes_since,
    finish,
    request,
    submit,
)
from workbench.domain.limits import VisitorLimits, day_start
from workbench.domain.records import Identity, Price
from workbench.domain.submissions import NewImport
from workbench.errors import LimitReached, NotFound
from workbench.ports import GenerationQuery, Selection, Store
from workbench.store.sqlite.store import SqliteStore

ANN = Identity("visitor-" + "a" * 32)
BEN = Identity("visitor-" + "b" * 32)
FREE = Price()


def limits(
    day: int | None = None, unfinished: int | None = None, queue: int | None = None
) -> VisitorLimits:
    return VisitorLimits(day, unfinished, queue)


def ask(store: Store, who: Identity = ANN, *, n: int = 1, to: VisitorLimits, **more: object) -> str:
    return submit(store, who, n=n, limits=to, **more).id


def refused(store: Store, who: Identity = ANN, *, n: int = 1, to: VisitorLimits) -> str:
    with pytest.raises(LimitReached) as caught:
        ask(store, who, n=n, to=to)
    return str(caught.value)


def ids(store: Store, who: Identity) -> list[str]:
    return [record.id for record in store.generations(who, GenerationQuery(limit=500))[0]]


@pytest.mark.req("TOK-4")
def test_a_visitor_makes_so_many_images_a_day_and_no_more(
    store: Store, clock: TurnableClock
) -> None:
    to = limits(day=3)
    ask(store, n=2, to=to)
    assert refused(store, n=2, to=to) == (
        "You can make 1 more image today, and asked for 2. The limit starts anew at midnight (UTC)."
    )
    ask(store, to=to)
    assert refused(store, to=to) == (
        "You have made 3 images today, which is the limit here. It starts anew at midnight (UTC)."
    )
    finish(store)
    assert "You have made 3 images today" in refused(store, to=to)
    ask(store, BEN, n=3, to=to)
    clock.ms = day_start(clock.ms) + DAY_MS - 1
    refused(store, to=to)
    clock.ms += 1
    ask(store, n=3, to=to)
    refused(store, to=to)


@pytest.mark.req("TOK-4")
def test_a_refused_request_leaves_nothing_behind(store: Store) -> None:
    store.grant(OPERATOR, ANN.user, "token", 10_000_000, "welcome").result()
    start = store.cursor()
    price = Price(unit="token", amount_micro=1_000_000, version=1)
    for to in (limits(day=1), limits(unfinished=1), limits(queue=1)):
        with pytest.raises(LimitReached):
            ask(store, n=2, to=to, price=price)
    assert store.topics(ANN) == []
    assert changes_since(store, ANN, start) == []
    assert store.balances(ANN.user) == {"token": 10_000_000}


@pytest.mark.req("TOK-4")
def test_failed_and_cancelled_images_do_not_count(store: Store, clock: TurnableClock) -> None:
    to = limits(day=2)
    since = day_start(clock.ms)
    first = ask(store, n=2, to=to)
    assert store.images_made(ANN.user, since) == 2
    finish(store, fail=True)
    assert store.images_made(ANN.user, since) == 0
    ask(store, n=2, to=to)
    store.cancel(ANN, Selection(everything=True)).result()
    ask(store, n=2, to=to)
    finish(store)
    assert store.images_made(ANN.user, since) == 2
    for failed in store.batch_generations(ANN, first):
        with pytest.raises(LimitReached, match="2 images today"):
            store.retry(ANN, failed.id, FREE, limits=to).result()
    assert store.images_made(ANN.user, since + DAY_MS) == 0
    assert store.images_made(BEN.user, since) == 0


def test_what_lies_in_the_trash_was_made_all_the_same(store: Store) -> None:
    to = limits(day=1)
    ask(store, to=to)
    finish(store)
    (made,) = ids(store, ANN)
    store.trash(ANN, "generation", made).result()
    refused(store, to=to)


def test_pictures_that_were_brought_along_do_not_count(store: Store) -> None:
    items = tuple((asset(f"{place}", source="upload"), "mine") for place in range(5))
    store.import_images(NewImport(ANN, None, items)).result()
    ask(store, to=limits(day=1))


@pytest.mark.req("TOK-4")
def test_a_visitor_has_so_many_images_on_their_way(store: Store) -> None:
    to = limits(unfinished=3)
    assert refused(store, n=4, to=to) == "At most 3 images can be made at once here; ask for fewer."
    ask(store, to=to)
    assert refused(store, n=3, to=to) == (
        "1 of your images is still on its way, and 3 at once is the limit here; ask for fewer."
    )
    ask(store, n=2, to=to)
    sentence = "3 of your images are still on their way; wait for one of them to finish."
    assert refused(store, to=to) == sentence
    (job, *_) = store.claim("r1", lanes=LANES, limit=1).result()
    assert refused(store, to=to) == sentence, "the one that is being made counts"
    store.pause(ANN).result()
    assert refused(store, to=to) == sentence, "and those that are held"
    ask(store, BEN, n=3, to=to)
    store.cancel(ANN, Selection(generation_ids=(job.slots[0].generation_id,))).result()
    ask(store, to=to)


def test_a_paid_call_without_a_known_end_does_not_lock_a_visitor_out(store: Store) -> None:
    to = limits(unfinished=1, queue=1)
    ask(store, to=to)
    (job,) = store.claim("r1", lanes=LANES, limit=1).result()
    key = store.write_intent(job.fence, key="k", request_sha="0", generation_id=None).result()
    assert key is not None
    assert store.mark_unknown(job.fence, reason="gone").result()
    ask(store, to=to)
    with pytest.raises(LimitReached):
        store.resolve_unknown(ANN, job.slots[0].generation_id, "retry", limits=to).result()
    assert store.generation(ANN, job.slots[0].generation_id).status.value == "processing"
    done = store.resolve_unknown(ANN, job.slots[0].generation_id, "not_charged", limits=to)
    assert done.result().status.value == "failed"


@pytest.mark.req("TOK-4")
def test_all_visitors_together_wait_for_so_many_images(store: Store) -> None:
    to = limits(queue=3)
    submit(store, ADA, n=10)  # no visitor: neither counted nor refused
    ask(store, n=2, to=to)
    assert refused(store, BEN, n=2, to=to) == (
        "2 images of all visitors are waiting here; ask for fewer, or try again in a minute."
    )
    ask(store, BEN, to=to)
    for who in (ANN, BEN):
        assert refused(store, who, to=to) == (
            "3 images of all visitors are waiting here; try again in a minute."
        )
    assert refused(store, n=4, to=to) == "At most 3 images can wait here at once; ask for fewer."
    finish(store)
    ask(store, n=3, to=to)


@pytest.mark.parametrize("to", [limits(day=0), limits(unfinished=0), limits(queue=0)])
def test_zero_is_nothing_at_all(store: Store, to: VisitorLimits) -> None:
    assert refused(store, to=to) == "Visitors cannot make images here."


def test_only_visitors_have_limits(store: Store) -> None:
    strict = limits(day=0, unfinished=0, queue=0)
    ask(store, ADA, n=5, to=strict)
    ask(store, Identity("visitors-club"), to=strict)
    submit(store, ANN, n=50)  # whoever gives no limits has none
    ask(store, n=50, to=limits())


@pytest.mark.req("TOK-4", "FEED-10")
def test_a_request_that_is_sent_again_is_answered_beyond_the_limit(store: Store) -> None:
    to = limits(day=1)
    first = ask(store, to=to, client_key="k")
    assert ask(store, to=to, client_key="k") == first
    (made,) = ids(store, ANN)
    finish(store, fail=True)
    again = store.retry(ANN, made, FREE, limits=to).result()
    assert store.retry(ANN, made, FREE, limits=to).result().id == again.id, "a double click"
    refused(store, to=to)


def test_retries_of_a_batch_are_all_or_none(store: Store) -> None:
    assert isinstance(store, SqliteStore)
    batch = ask(store, n=3, to=limits())
    finish(store, fail=True)
    failed = [record.id for record in store.batch_generations(ANN, batch)]
    with pytest.raises(LimitReached):
        store.retry_all(ANN, failed, [FREE] * 3, limits=limits(unfinished=2)).result()
    assert store.active_count(ANN) == 0
    assert len(store.retry_all(ANN, failed, [FREE] * 3, limits=limits(unfinished=3)).result()) == 3
    with pytest.raises(NotFound):
        store.retry(BEN, failed[0], FREE, limits=limits(day=0)).result()


@pytest.mark.req("TOK-4")
def test_threads_at_once_cannot_overshoot(open_store: object) -> None:
    """Two stores on one file, as two page kernels are, each with several threads."""
    assert callable(open_store)
    stores: list[Store] = [open_store("w"), open_store("w")]
    to = limits(day=20, unfinished=12, queue=17)
    begin = threading.Barrier(8)

    def press(place: int) -> int:
        who = (ANN, BEN)[place % 2]
        begin.wait()
        got = 0
        for _ in range(10):
            try:
                ask(stores[place // 2 % 2], who, n=1 + place % 3, to=to)
                got += 1 + place % 3
            except LimitReached:
                pass
        return got

    with ThreadPoolExecutor(8) as pool:
        got = sum(pool.map(press, range(8)))
    assert got == 17
    mine, hers = (store.active_count(who) for store, who in zip(stores, (ANN, BEN), strict=True))
    assert mine <= 12
    assert hers <= 12
    assert mine + hers == 17


PRESSING = """
import sys
from pathlib import Path
from workbench.domain.limits import VisitorLimits
from workbench.domain.records import Identity
from workbench.domain.submissions import NewBatch
from workbench.errors import LimitReached
from workbench.store.sqlite.store import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
limits = VisitorLimits(images_per_day=None, unfinished=int(sys.argv[3]), queue=None)
print("ready", flush=True)
sys.stdin.readline()
got = 0
for i in range(60):
    new = NewBatch(
        identity=Identity(sys.argv[2]), topic_id=None, prompt=f"{i}", negative_prompt=None,
        provider="painter", model="painter:oil", n=1, seed=None, seeds=(i,), width=64, height=64,
        params={}, limits=limits,
    )
    try:
        store.submit_batch(new).result()
        got += 1
    except LimitReached:
        pass
store.close()
print(got, flush=True)
"""


@pytest.mark.req("TOK-4")
def test_processes_at_once_cannot_overshoot(tmp_path: Path) -> None:
    folder, script = tmp_path / "w", tmp_path / "pressing.py"
    script.write_text(PRESSING, encoding="utf-8")
    store = SqliteStore(folder)
    kernels = [
        subprocess.Popen(
            [sys.executable, str(script), str(folder), ANN.user, "40"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(3)
    ]
    for kernel in kernels:
        assert kernel.stdout is not None
        assert kernel.stdout.readline() == "ready\n"
    for kernel in kernels:
        assert kernel.stdin is not None
        kernel.stdin.write("go\n")
        kernel.stdin.flush()
    ended = [kernel.communicate(timeout=50) for kernel in kernels]
    for kernel, (_, errors) in zip(kernels, ended, strict=True):
        assert kernel.returncode == 0, errors
    assert sum(int(output) for output, _ in ended) == 40
    assert store.active_count(ANN) == 40
    store.close()


def test_the_request_keeps_its_form() -> None:
    assert request(ANN).limits is None
    assert VisitorLimits() == VisitorLimits(100, 8, 200)
